//! Who sends a request: by its address, by digest, by the dialog that it belongs to.

use super::action::{Action, Actions, Notice};
use super::agent::{Agent, refused, user_of};
use super::call::{Call, TxId};
use super::digest::{Algorithm, Credentials, Verdict};
use super::message::{Peer, Request, Transport};
use super::settings::Account;
use crate::control::RegistrationChange;

impl Agent {
    /// The account that a request proves to come from. `None`: it has been answered.
    pub(super) fn authenticate(
        &mut self,
        tx: TxId,
        request: &Request,
        source: Peer,
        now_ms: u64,
        out: &mut Actions,
    ) -> Option<String> {
        let claimed = user_of(request, "From").unwrap_or_default();
        let registers = |id: &str| self.accounts.get(id).is_some_and(Account::registers);
        if let Some(fixed) = self.fixed_at(source, &claimed)
            && fixed.secret.is_none()
            && !registers(&claimed)
        {
            return Some(fixed.id.clone());
        }
        let credentials = request.headers.all("Authorization").find_map(Credentials::parse);
        let mut stale = false;
        if let Some(credentials) = credentials {
            let account = self.accounts.values().find(|a| a.login() == credentials.username);
            let verdict = self.authenticator.check(
                &credentials,
                &request.method,
                &request.uri,
                account.and_then(|a| a.secret.as_ref()),
                source.address.ip(),
                now_ms,
            );
            match (verdict, account) {
                (Verdict::Accepted, Some(account)) => return Some(account.id.clone()),
                (Verdict::Stale, Some(_)) => stale = true,
                _ => {
                    let ip = source.address.ip();
                    let there = self.authenticator.made(&credentials.nonce, ip);
                    let known = self.knows(source, now_ms);
                    if !self.defence.admits_wrong_password(ip, known, there, now_ms) {
                        out.push(over_share(tx, request, source));
                        return None;
                    }
                    let reason = format!("wrong credentials for {claimed:?}");
                    refused(None, source, &request.method, &reason);
                    if registers(&claimed) && request.method == "REGISTER" {
                        let reason = "wrong credentials".to_owned();
                        let change = RegistrationChange::Refused { reason, from: source.address };
                        out.tell(&claimed, Notice::Registration(change));
                    }
                }
            }
        }
        self.challenge(tx, request, source, &claimed, stale, now_ms, out);
        None
    }

    #[expect(clippy::too_many_arguments, reason = "what a challenge says and to whom")]
    fn challenge(
        &mut self,
        tx: TxId,
        request: &Request,
        source: Peer,
        claimed: &str,
        stale: bool,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let (tag, salt) = (self.token(), (self.around.random)());
        let mut response = request.response(401, Some(&tag));
        let algorithms = self.algorithms_for(claimed);
        let ip = source.address.ip();
        let challenges =
            self.authenticator.challenges(algorithms.into_iter(), ip, salt, stale, now_ms);
        for challenge in challenges {
            response.headers.push("WWW-Authenticate", challenge);
        }
        out.push(Action::RespondOnce { tx, response });
    }

    /// The algorithms offered to a user, in order. One that nobody has gets those of some account,
    /// always the same: neither which are offered nor whether that ever changes tells who exists.
    fn algorithms_for(&self, user: &str) -> Vec<Algorithm> {
        let mut secrets: Vec<_> =
            self.accounts.values().filter_map(|a| Some((a.login(), a.secret.as_ref()?))).collect();
        if let Some((_, secret)) = secrets.iter().find(|(login, _)| *login == user) {
            return secret.algorithms().collect();
        }
        if secrets.is_empty() {
            return vec![Algorithm::Sha256, Algorithm::Md5];
        }
        let all = secrets.iter().map(|(_, secret)| *secret);
        let chosen = super::digest::index_for_nobody(all, user, secrets.len());
        secrets.swap_remove(chosen).1.algorithms().collect()
    }

    /// Whether a source is no stranger.
    pub(super) fn knows(&self, source: Peer, now_ms: u64) -> bool {
        let ip = source.address.ip();
        let talks = |call: &Call| matches!(call, Call::Established(call) if call.dialog.source().address.ip() == ip);
        self.defence.trusts(ip)
            || self.fixed_at(source, "").is_some()
            || self.registrar.knows(ip, now_ms)
            || self.is_provider(ip)
            || self.calls.values().any(talks)
    }

    /// The account that stands at this address. Where several do, the ports of an adapter or the
    /// numbers of an exchange, it is the one whose user the request names, or else whose port it
    /// comes from.
    pub(super) fn fixed_at(&self, source: Peer, claimed: &str) -> Option<&Account> {
        let here = |account: &&Account| {
            let fixed = account.fixed.as_ref();
            fixed.is_some_and(|fixed| fixed.peer.address.ip() == source.address.ip())
        };
        let is_other = |account: &&Account| {
            let fixed = account.fixed.as_ref();
            let named = fixed.is_some_and(|fixed| fixed.user == claimed) || account.id == claimed;
            let port =
                fixed.is_some_and(|fixed| fixed.peer.address.port() == source.address.port());
            (!named, !port)
        };
        self.accounts.values().filter(here).min_by_key(is_other)
    }

    /// The line whose dialog a request belongs to, by its tags.
    pub(super) fn line_of_dialog(&self, request: &Request) -> Option<String> {
        request.to_tag()?;
        let owns = |call: &Call| call.dialog().is_some_and(|dialog| dialog.owns(request));
        self.calls.iter().find(|(_, call)| owns(call)).map(|(line, _)| line.clone())
    }

    /// Whether a request of this line's dialog comes from where its phone is. One from elsewhere
    /// must not end a call by knowing its tags alone; a phone that moved proves itself again.
    pub(super) fn is_at_home(&self, line: &str, source: Peer, now_ms: u64) -> bool {
        let ip = source.address.ip();
        let dialog = self.calls.get(line).and_then(Call::dialog);
        dialog.is_some_and(|dialog| dialog.source().address.ip() == ip)
            || self.registrar.is_at(line, ip, now_ms)
            || self.trunk_of(line).is_some_and(|trunk| trunk.is_at(ip))
    }
}

/// What becomes of a request beyond a stranger's share. A datagram's source may be forged, and an
/// honest phone repeats it; a stream's is proven, and nothing on it is repeated.
pub(super) fn over_share(tx: TxId, request: &Request, source: Peer) -> Action {
    if source.transport == Transport::Udp {
        return Action::Drop { tx };
    }
    let response = request.response(503, None).with("Retry-After", "1");
    Action::RespondOnce { tx, response }
}
