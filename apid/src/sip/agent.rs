//! The user agent: takes requests, responses, orders and time; gives actions. Touches no socket,
//! no clock and no file.
//!
//! This file is the way of a request up to its rules: is it well-formed, is it for us, who sends
//! it. The rules are in `incoming` (the phone calls), `outgoing` (we call) and `established`.

use super::action::{Action, Actions, MAX_ACTIONS, Notice};
use super::address::{NameAddr, Uri, escape_user};
use super::authority::over_share;
use super::call::{Call, Established, Faded, TxId};
use super::defence::Defence;
use super::digest::Authenticator;
use super::keep_alive::KeepAlive;
use super::message::{Peer, Request, Response};
use super::message_waiting::MessageWaiting;
use super::reason::reason;
use super::registrar::{Change, Registrar};
use super::saved::{Ringing, Saved, Waiting};
use super::settings::{Account, SipSettings};
use super::trunk::Trunk;
use super::usage::Meter;
use crate::control::{Cause, RegistrationChange};
use crate::log::Refusal;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::net::SocketAddr;
use tracing::{debug, info};

/// Methods that we understand, for the Allow header.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, \
    REGISTER, SUBSCRIBE, NOTIFY";
/// Extensions that we understand, for the Supported header.
pub(super) const SUPPORTED: &str = "timer, 100rel, path, norefersub";
/// End of our Call-IDs.
pub(super) const CALL_ID_END: &str = "@tipring";
/// User-Agent and Server.
pub(super) const PRODUCT: &str = concat!("tipring/", env!("CARGO_PKG_VERSION"));

/// What the agent needs of its surroundings.
pub struct Surroundings {
    /// Our own address as a peer sees it: for Via, Contact and SDP.
    pub here: Box<dyn Fn(&Peer) -> SocketAddr + Send>,
    /// Unpredictable numbers.
    pub random: Box<dyn FnMut() -> u64 + Send>,
    /// Names for transactions that we start.
    pub new_tx: Box<dyn FnMut() -> TxId + Send>,
}

/// Why a request of ours is being sent.
#[derive(Debug)]
pub(super) enum Purpose {
    Invite {
        line: String,
    },
    /// Our re-INVITE or UPDATE.
    Change {
        line: String,
    },
    /// News of waiting messages.
    Messages {
        line: String,
        call_id: String,
    },
    Faded(Box<Faded>),
    /// Our REGISTER.
    Register {
        trunk: String,
    },
    /// Our OPTIONS that keeps the way to a provider open.
    TrunkAlive {
        trunk: String,
    },
    /// BYE, CANCEL, PRACK, NOTIFY: whatever the answer is, nothing follows.
    Ending,
}

/// The user agent.
pub struct Agent {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) registrar: Registrar,
    pub(super) trunks: BTreeMap<String, Trunk>,
    pub(super) trunks_changed: bool,
    pub(super) calls: BTreeMap<String, Call>,
    pub(super) purposes: HashMap<TxId, Purpose>,
    pub(super) message_waiting: MessageWaiting,
    pub(super) keep_alive: KeepAlive,
    left_ringing: Vec<Ringing>,
    left_waiting: Vec<Waiting>,
    pub(super) authenticator: Authenticator,
    pub(super) defence: Defence,
    pub(super) meter: Meter,
    pub(super) around: Surroundings,
}

impl Agent {
    /// An agent that continues what an earlier one saved. `key` must be random and new.
    pub fn new(
        settings: &SipSettings,
        saved: Saved,
        key: [u8; 32],
        mut around: Surroundings,
    ) -> Self {
        let phones = settings.accounts.iter().map(|a| Account::new(a, &settings.realm));
        let lines = settings
            .trunks
            .iter()
            .flat_map(|trunk| trunk.lines.iter().map(move |line| Account::of_trunk(line, trunk)));
        let accounts: BTreeMap<_, _> =
            phones.chain(lines).map(|account| (account.id.clone(), account)).collect();
        let trunks = settings.trunks.iter().map(|trunk| {
            let contact = format!("{:016x}", (around.random)());
            (trunk.name.clone(), Trunk::new(trunk, contact))
        });
        let trunks = trunks.collect();
        let mut registrar = Registrar::new(settings.registrations, saved.bindings);
        registrar.keep_accounts(|id| accounts.contains_key(id));
        let calls = saved
            .calls
            .dialogs
            .into_iter()
            .filter(|(line, _)| accounts.contains_key(line))
            .map(|(line, call)| (line, Call::Established(Box::new(call))))
            .collect();
        let lifetime_ms = u64::from(settings.nonce_lifetime_s) * 1000;
        Self {
            accounts,
            registrar,
            trunks,
            trunks_changed: true,
            calls,
            left_ringing: saved.calls.ringing,
            left_waiting: saved.calls.waiting,
            purposes: HashMap::new(),
            message_waiting: MessageWaiting::default(),
            keep_alive: KeepAlive::default(),
            authenticator: Authenticator::new(&settings.realm, key, lifetime_ms),
            defence: Defence::new(&settings.defence),
            meter: saved.calls.meter,
            around,
        }
    }

    /// First of all: takes back what an earlier apid left ringing, refuses what it left waiting.
    /// Calls that were being set up are lost with the process; both ends must learn it.
    pub fn handle_start(&mut self, out: &mut Actions) {
        for Ringing { invite, to } in std::mem::take(&mut self.left_ringing).iter().take(32) {
            self.send_cancel(invite, *to, Cause::TemporaryFailure, out);
        }
        for Waiting { response, to } in std::mem::take(&mut self.left_waiting).into_iter().take(16)
        {
            out.push(Action::RespondLate { response, to });
        }
        out.push(Action::SaveDialogs);
    }

    /// A request that no transaction knows, except ACK and CANCEL.
    pub fn handle_request(
        &mut self,
        tx: TxId,
        request: &Request,
        source: Peer,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let ip = source.address.ip();
        let known = self.knows(source, now_ms);
        if self.defence.ignores(ip, known, request.headers.get("User-Agent"), now_ms) {
            return out.push(Action::Drop { tx });
        }
        let belongs = self.line_of_dialog(request);
        let in_dialog = belongs.clone().filter(|line| self.is_at_home(line, source, now_ms));
        let claims = request.headers.get("Authorization").is_some();
        if in_dialog.is_none() && !claims && !self.defence.admits(ip, known, now_ms) {
            return out.push(over_share(tx, request, source));
        }
        if !known && matches!(&*request.method, "OPTIONS" | "NOTIFY") {
            // Whoever looks for telephones is not told that here is one.
            self.defence.note_curious();
            return out.push(Action::Drop { tx });
        }
        if let Some(mut refusal) = unacceptable(request) {
            refusal.headers.push("Server", PRODUCT);
            return out.push(Action::RespondOnce { tx, response: refusal });
        }
        if let Some(line) = in_dialog {
            return self.handle_in_dialog(&line, tx, request, source, now_ms, out);
        }
        if let Some(line) = belongs {
            let Some(account) = self.authenticate(tx, request, source, now_ms, out) else { return };
            if account == line {
                info!(line, %source, "phone has moved in mid-call");
                return self.handle_in_dialog(&line, tx, request, source, now_ms, out);
            }
            return out.push(Action::RespondOnce { tx, response: request.response(403, None) });
        }
        let subscribed = self.message_waiting.owner(request).is_some();
        let needs_dialog =
            matches!(&*request.method, "BYE" | "UPDATE" | "INFO" | "PRACK" | "REFER");
        if needs_dialog || (request.to_tag().is_some() && !subscribed) {
            return out.push(Action::RespondOnce { tx, response: request.response(481, None) });
        }
        match request.method.as_str() {
            "SUBSCRIBE" => self.handle_subscribe(tx, request, source, now_ms, out),
            "OPTIONS" => {
                let response = self.capabilities(request);
                out.push(Action::RespondOnce { tx, response });
            }
            "NOTIFY" => {
                // ATAs keep a translator's way open by it.
                let keep_alive = request.headers.get("Event").is_some_and(|e| {
                    e.split(';').next().is_some_and(|e| e.trim().eq_ignore_ascii_case("keep-alive"))
                });
                let tag = self.token();
                let status = if keep_alive { 200 } else { 489 };
                let response = request.response(status, Some(&tag));
                out.push(Action::RespondOnce { tx, response });
            }
            "REGISTER" => self.handle_register(tx, request, source, now_ms, out),
            _ => self.handle_invite(tx, request, source, now_ms, out),
        }
    }

    fn handle_register(
        &mut self,
        tx: TxId,
        request: &Request,
        source: Peer,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let Some(account) = self.authenticate(tx, request, source, now_ms, out) else { return };
        let tag = self.token();
        if user_of(request, "To").as_deref() != Some(&account) {
            refused(Some(&account), source, "REGISTER", &"for another account");
            return out
                .push(Action::RespondOnce { tx, response: request.response(403, Some(&tag)) });
        }
        let before = self.registrar.binding(&account, now_ms).map(|b| b.contact.clone());
        let (mut response, change) =
            self.registrar.handle_register(&account, request, source, &tag, now_ms);
        let status = response.status;
        response.headers.push("Server", PRODUCT);
        out.respond(tx, response);
        if status != 200 {
            refused(Some(&account), source, "REGISTER", &status);
            return;
        }
        out.push(Action::SaveBindings);
        let contact = self.registrar.binding(&account, now_ms).map(|b| b.contact.clone());
        match (change, contact) {
            (Some(Change::Unregistered), _) => {
                debug!(line = account, %source, "unregistered");
                out.tell(&account, Notice::Registration(RegistrationChange::Unregistered));
            }
            (_, Some(contact)) if before.as_ref() != Some(&contact) => {
                debug!(line = account, %source, contact, "registered");
                let change = RegistrationChange::Registered { contact };
                out.tell(&account, Notice::Registration(change));
                self.greet_with_messages(&account, now_ms, out);
                self.probe(&account, out);
            }
            _ => {}
        }
    }

    /// Our answer to OPTIONS.
    pub(super) fn capabilities(&mut self, request: &Request) -> Response {
        let tag = self.token();
        request
            .response(200, Some(&tag))
            .with("Allow", ALLOW)
            .with("Accept", "application/sdp, application/dtmf-relay")
            .with("Supported", SUPPORTED)
            .with("Server", PRODUCT)
    }

    /// What strangers meet; bans are lifted there.
    pub const fn defence_mut(&mut self) -> &mut Defence {
        &mut self.defence
    }

    /// What time brings: expired registrations, session timers.
    pub fn handle_time(&mut self, now_ms: u64, out: &mut Actions) {
        let mut gone = self.registrar.handle_time(now_ms);
        gone.truncate(MAX_ACTIONS / 4);
        for line in &gone {
            debug!(line, "registration expired");
            out.tell(line, Notice::Registration(RegistrationChange::Unregistered));
        }
        if !gone.is_empty() {
            out.push(Action::SaveBindings);
        }
        self.message_waiting.handle_time(now_ms);
        self.defence.handle_time(now_ms);
        self.handle_used_up(now_ms, out);
        self.handle_keep_alives(now_ms, out);
        self.handle_call_timers(now_ms, out);
        self.handle_unpracked(now_ms, out);
        self.handle_trunks(now_ms, out);
    }

    /// When [`handle_time`](Self::handle_time) wants to be called, ms since 1970.
    pub fn next_time_ms(&self) -> Option<u64> {
        let of = [
            self.registrar.next_expiry_ms(),
            self.message_waiting.next_expiry_ms(),
            self.next_call_timer_ms(),
            self.defence.bans().next_end_ms(),
            self.meter.next_end_ms(),
            self.next_keep_alive_ms(0),
            self.next_trunk_ms(),
        ];
        of.into_iter().flatten().min()
    }

    /// A response to one of our requests. Each request gets exactly one final one.
    pub fn handle_response(
        &mut self,
        tx: TxId,
        response: &Response,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let Some(purpose) = self.purposes.remove(&tx) else { return };
        if response.status < 200 {
            let purpose = self.handle_provisional(purpose, response, out);
            self.purposes.insert(tx, purpose);
            return;
        }
        match purpose {
            Purpose::Invite { line } => self.handle_answer(&line, response, now_ms, out),
            Purpose::Change { line } => {
                self.handle_change_answer(&line, tx, response, now_ms, out);
            }
            Purpose::Messages { line, call_id } => {
                self.handle_messages_answer(&line, &call_id, response.status);
            }
            Purpose::Register { trunk } => self.handle_registered(&trunk, response, now_ms, out),
            Purpose::TrunkAlive { trunk } => {
                self.handle_alive(&trunk, response.status, now_ms, out);
            }
            Purpose::Faded(faded) => self.handle_faded(&faded, response, out),
            Purpose::Ending => {}
        }
    }

    /// Where a line's phone is, for our requests: Request-URI, Route values, next hop.
    pub(super) fn reach(&self, line: &str, now_ms: u64) -> Option<(String, Vec<String>, Peer)> {
        let account = self.accounts.get(line)?;
        if account.trunk.is_some() {
            return None;
        }
        if let Some(fixed) = &account.fixed {
            let (user, peer) = (escape_user(&fixed.user), fixed.peer);
            let uri = format!("sip:{user}@{}{}", peer.address, peer.transport.uri_param());
            return Some((uri, Vec::new(), peer));
        }
        let binding = self.registrar.binding(line, now_ms)?;
        Some((binding.contact.clone(), binding.path.clone(), binding.peer()))
    }

    pub(super) fn token(&mut self) -> String {
        format!("{:016x}", (self.around.random)())
    }

    pub(super) fn via(&mut self, to: Peer) -> String {
        let (here, branch) = ((self.around.here)(&to), self.token());
        format!("SIP/2.0/{} {here};branch=z9hG4bK{branch};rport", to.transport.token())
    }

    /// Our Contact as this peer can reach it.
    pub(super) fn contact(&self, line: &str, to: Peer) -> String {
        let here = (self.around.here)(&to);
        let user = self.trunk_of(line).map_or(line, Trunk::contact);
        format!("<sip:{}@{here}{}>", escape_user(user), to.transport.uri_param())
    }

    /// Sends a BYE and forgets the call. The account is free at once.
    pub(super) fn end(
        &mut self,
        line: &str,
        mut call: Established,
        cause: Cause,
        out: &mut Actions,
    ) {
        let to = call.dialog.hop();
        let via = self.via(to);
        let mut bye = call.dialog.request("BYE", &via);
        bye.headers.push("Reason", reason(cause));
        bye.headers.push("User-Agent", PRODUCT);
        debug!(line, call_id = call.dialog.call_id, cause = cause.text(), "call ended by us");
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Ending);
        out.push(Action::Send { tx, request: bye, to });
    }
}

/// The log's line for a refusal. `account` is whose request it has proved to be.
pub(super) fn refused(account: Option<&str>, source: Peer, method: &str, reason: &dyn Display) {
    Refusal {
        surface: "sip",
        caller: account,
        from: &source,
        line: account,
        asked: &method,
        reason,
    }
    .write();
}

/// User part of the URI in a From or To header.
pub(super) fn user_of(request: &Request, header: &str) -> Option<String> {
    Uri::parse(&NameAddr::parse(request.headers.get(header)?)?.uri)?.user
}

/// RFC 3261 §8.2.1 to §8.2.3 and §16.3, before anything is asked of the sender.
fn unacceptable(request: &Request) -> Option<Response> {
    if !request.is_well_formed() {
        return Some(request.response(400, None));
    }
    if !ALLOW.split(", ").any(|method| method == request.method) {
        return Some(request.response(405, None).with("Allow", ALLOW));
    }
    match Uri::parse(&request.uri).map(|uri| uri.scheme) {
        Some(scheme) if matches!(scheme.as_str(), "sip" | "sips" | "tel") => {}
        _ => return Some(request.response(416, None)),
    }
    if request.headers.get("Max-Forwards").is_some_and(|hops| hops.trim() == "0") {
        return Some(request.response(483, None));
    }
    let unknown: Vec<&str> = request
        .headers
        .list("Require")
        .filter(|option| !SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(option)))
        .collect();
    if !unknown.is_empty() {
        return Some(request.response(420, None).with("Unsupported", unknown.join(", ")));
    }
    None
}
