//! Calls by a trunk: out with what the provider wants to know, in from the provider only.

use super::super::action::Actions;
use super::super::address::{Uri, escape_user};
use super::super::agent::{Agent, CALL_ID_END};
use super::super::call::Tried;
use super::super::message::{Headers, Peer, Request, Response};
use super::super::outgoing::offer;
use super::{Trunk, challenge_of};
use crate::control::{MediaOffer, SignallingError};
use tracing::debug;

/// What becomes of an INVITE that may be a provider's.
pub(in crate::sip) enum FromProvider {
    /// It is none.
    No,
    /// It is, and has this line and rings this number.
    Line(String, String),
    /// It is, and all lines of its trunk are taken.
    Full,
}

impl Agent {
    /// Control: call a number by a trunk's line.
    ///
    /// # Errors
    /// `NotRegistered`, `Busy`.
    pub fn order_call_out(
        &mut self,
        line: &str,
        number: &str,
        media: &MediaOffer,
        out: &mut Actions,
    ) -> Result<(), SignallingError> {
        if self.calls.contains_key(line) {
            return Err(SignallingError::Busy);
        }
        let trunk = self.trunk_of(line).ok_or(SignallingError::NotRegistered)?;
        let up = trunk.registration.is_up();
        let to = trunk.registration.server().filter(|_| up);
        let to = to.ok_or(SignallingError::NotRegistered)?;
        let local = self.first_offer(line, media, to);
        let (via, tag, cseq) = (self.via(to), self.token(), ((self.around.random)() >> 48) + 1);
        let call_id = self.token() + &self.token() + CALL_ID_END;
        let contact = self.contact(line, to);
        let trunk = self.trunk_of(line).ok_or(SignallingError::NotRegistered)?;
        let mut invite = trunk.invite(number, &via, &tag, &call_id, cseq);
        invite.headers.push("Contact", contact);
        offer(&mut invite, &local);
        debug!(line, number, %to, call_id, "calling by trunk");
        self.send_invite(line, invite, to, local, Tried::default(), out);
        Ok(())
    }

    /// The next server for an INVITE that this one did not serve (RFC 3263 §4.3): no answer at
    /// all, or 503.
    pub(in crate::sip) fn next_server(
        &self,
        line: &str,
        to: Peer,
        response: &Response,
        rang: bool,
        tried: Tried,
    ) -> Option<Peer> {
        let trunk = self.trunk_of(line)?;
        let unserved = response.status == 503 || (response.status == 408 && !rang);
        let mut others = trunk.registration.others(to).collect::<Vec<_>>().into_iter();
        let left = others.len().checked_sub(usize::from(tried.servers))?;
        (unserved && left > 0).then(|| others.next())?
    }

    /// The same INVITE with an answer to the provider's challenge.
    pub(in crate::sip) fn proven_to_provider(
        &mut self,
        line: &str,
        invite: &Request,
        to: Peer,
        response: &Response,
    ) -> Option<Request> {
        let cnonce = self.token();
        let mut again = self.numbered_anew(invite, to)?;
        let name = self.accounts.get(line)?.trunk.clone()?;
        let settings = &self.trunks.get(&name)?.settings;
        // Its own: that of a registration may be of another realm.
        let mut challenge = challenge_of(response)?;
        let (header, value) = challenge.proof(settings, "INVITE", &invite.uri, &cnonce)?;
        again.headers.set(header, value);
        Some(again)
    }

    /// Whether an INVITE outside any dialog is a provider's. What is not addressed to the Contact
    /// that it has of us, or comes from elsewhere, is a stranger's.
    pub(in crate::sip) fn provider_of(&self, request: &Request, source: Peer) -> FromProvider {
        let called = Uri::parse(&request.uri).and_then(|uri| uri.user).unwrap_or_default();
        let is_its = |trunk: &&Trunk| {
            let registers = trunk.settings.expires_s.is_some();
            trunk.is_at(source.address.ip()) && (!registers || trunk.contact == called)
        };
        let Some(trunk) = self.trunks.values().find(is_its) else { return FromProvider::No };
        let free = trunk.settings.lines.iter().find(|line| !self.calls.contains_key(*line));
        match free {
            Some(line) => FromProvider::Line(line.clone(), trunk.settings.rings.clone()),
            None => FromProvider::Full,
        }
    }
}

impl Trunk {
    fn invite(&self, number: &str, via: &str, tag: &str, call_id: &str, cseq: u64) -> Request {
        let settings = &self.settings;
        let domain = &settings.domain;
        let callee = format!("sip:{}@{domain}", escape_user(number));
        let mut headers = Headers::default();
        headers.push("Via", via);
        headers.push("Max-Forwards", "70");
        if let Some(route) = self.route() {
            headers.push("Route", route);
        }
        headers.push("From", format!("<sip:{}@{domain}>;tag={tag}", escape_user(&settings.user)));
        headers.push("To", format!("<{callee}>"));
        headers.push("Call-ID", call_id);
        headers.push("CSeq", format!("{cseq} INVITE"));
        if let Some(shown) = &settings.number {
            // RFC 3325 §9.2: a provider asserts it, if it is ours.
            let shown = escape_user(shown);
            headers.push("P-Preferred-Identity", format!("<sip:{shown}@{domain}>"));
        }
        Request { method: "INVITE".to_owned(), uri: callee, headers, body: Vec::new() }
    }
}
