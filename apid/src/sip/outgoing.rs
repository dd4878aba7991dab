//! We call: our INVITE until the phone's final response, and what is left of one taken back.

use super::action::{Action, Actions, Notice};
use super::address::{escape_user, quote};
use super::agent::{ALLOW, Agent, PRODUCT, Purpose, reason};
use super::call::{Call, Established, Faded, Open, Outgoing, SavedRemote, remote_media};
use super::dialog::Dialog;
use super::digest;
use super::message::{Headers, Peer, Request, Response};
use super::sdp::{Description, Direction, LocalAudio};
use crate::control::{Cause, MediaOffer, SignallingError};
use crate::view::CallerIdView;
use std::net::SocketAddr;
use tracing::{debug, info};

/// End of our Call-IDs.
const CALL_ID_END: &str = "@tipring";

impl Agent {
    /// Control: call the phone.
    ///
    /// # Errors
    /// `NotRegistered`, `Busy`.
    pub fn order_invite(
        &mut self,
        line: &str,
        media: &MediaOffer,
        caller: &CallerIdView,
        now_ms: u64,
        out: &mut Actions,
    ) -> Result<(), SignallingError> {
        if self.calls.contains_key(line) {
            return Err(SignallingError::Busy);
        }
        let (uri, to) = self.reach(line, now_ms).ok_or(SignallingError::NotRegistered)?;
        let here = (self.around.here)(&to);
        let local = LocalAudio {
            session_id: (self.around.random)() >> 1,
            version: 1,
            address: SocketAddr::new(here.ip(), media.port),
            laws: media.laws.clone(),
            telephone_event: media.telephone_event,
            direction: Direction::SendRecv,
        };
        let mut headers = Headers::default();
        headers.push("Via", self.via(to));
        headers.push("Max-Forwards", "70");
        headers.push("From", self.caller(caller, here));
        headers.push("To", format!("<sip:{}@{here}>", escape_user(line)));
        headers.push("Call-ID", self.token() + &self.token() + CALL_ID_END);
        headers.push("CSeq", format!("{} INVITE", ((self.around.random)() >> 48) + 1));
        headers.push("Contact", self.contact(line, to));
        headers.push("Allow", ALLOW);
        headers.push("User-Agent", PRODUCT);
        headers.push("Content-Type", "application/sdp");
        let body = local.offer();
        let invite = Request { method: "INVITE".to_owned(), uri, headers, body };
        debug!(line, %to, call_id = invite.call_id(), "calling phone");
        self.send_invite(line, invite, to, local, false, out);
        Ok(())
    }

    /// From value: who calls, where that is known; else nobody in particular.
    fn caller(&mut self, caller: &CallerIdView, here: SocketAddr) -> String {
        let tag = self.token();
        let number = caller.number.trim();
        let user = if number.is_empty() { "anonymous" } else { number };
        let name = match caller.name.trim() {
            "" => String::new(),
            name => quote(name) + " ",
        };
        format!("{name}<sip:{}@{here}>;tag={tag}", escape_user(user))
    }

    fn send_invite(
        &mut self,
        line: &str,
        invite: Request,
        to: Peer,
        local: LocalAudio,
        answered_challenge: bool,
        out: &mut Actions,
    ) {
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Invite { line: line.to_owned() });
        out.push(Action::SaveDialogs); // the next apid takes it back
        out.push(Action::Send { tx, request: invite.clone(), to });
        let call =
            Outgoing { tx, invite, to, local, provisional: false, rang: false, answered_challenge };
        self.calls.insert(line.to_owned(), Call::Outgoing(Box::new(call)));
    }

    /// A 1xx to any request of ours.
    pub(super) fn handle_provisional(
        &mut self,
        mut purpose: Purpose,
        response: &Response,
        out: &mut Actions,
    ) -> Purpose {
        match &mut purpose {
            Purpose::Invite { line } => {
                if let Some(Call::Outgoing(call)) = self.calls.get_mut(line.as_str()) {
                    call.provisional = true;
                    if response.status > 100 && !call.rang {
                        call.rang = true;
                        out.tell(line, Notice::Rings);
                    }
                }
            }
            Purpose::Faded(faded) if !faded.cancelled => {
                faded.cancelled = true;
                self.send_cancel(&faded.invite, faded.to, faded.cause, out);
            }
            _ => {}
        }
        purpose
    }

    /// A final response to our INVITE.
    pub(super) fn handle_answer(
        &mut self,
        line: &str,
        response: &Response,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let Some(Call::Outgoing(call)) = self.calls.remove(line) else { return };
        let Outgoing { invite, to, local, answered_challenge, .. } = *call;
        out.push(Action::SaveDialogs);
        if response.status >= 300 {
            if matches!(response.status, 401 | 407)
                && !answered_challenge
                && let Some(again) = self.with_credentials(line, &invite, to, response)
            {
                return self.send_invite(line, again, to, local, true, out);
            }
            debug!(line, call_id = invite.call_id(), status = response.status, "phone refused");
            return out.tell(line, Notice::Refuses(response.status));
        }
        let Ok(dialog) = Dialog::of_our_invite(response, to) else {
            // Without a Contact there is nowhere to send even the ACK; the phone gives up.
            info!(line, call_id = invite.call_id(), "phone answered without Contact");
            return out.tell(line, Notice::Refuses(488));
        };
        self.send_ack(&dialog, response, out);
        let Ok(description) = Description::parse(&response.body) else {
            info!(line, call_id = invite.call_id(), "phone answered without usable media");
            let call =
                Established { dialog, local, remote: None, timer: None, open: Open::default() };
            self.end(line, call, Cause::BearerCapability, out);
            return out.tell(line, Notice::Refuses(488));
        };
        debug!(line, call_id = invite.call_id(), "phone answered");
        let audio = description.audio;
        let call = Established {
            dialog,
            local,
            remote: Some(SavedRemote::of(&audio)),
            // We did not ask for a timer; a phone that wants one refreshes by itself
            // (RFC 4028 §7.2), and we give up with it.
            timer: refresher_is_phone(response).map(|timer| timer.restarted(now_ms)),
            open: Open::default(),
        };
        self.calls.insert(line.to_owned(), Call::Established(Box::new(call)));
        out.tell(line, Notice::Answers(remote_media(&audio)));
    }

    /// The same INVITE with an answer to the phone's challenge. Only a fixed account's own
    /// credentials are ever used: a phone must not be able to make us hash for it.
    fn with_credentials(
        &mut self,
        line: &str,
        invite: &Request,
        to: Peer,
        response: &Response,
    ) -> Option<Request> {
        let (user, password) = self.accounts[line].fixed.clone()?.credentials?;
        let (challenge, answer) = match response.status {
            401 => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        let challenges: Vec<&str> = response.headers.all(challenge).collect();
        let cnonce = self.token();
        let value =
            digest::answer(&challenges, &user, &password, "INVITE", &invite.uri, &cnonce, 1)?;
        let mut again = invite.clone();
        again.headers.set("Via", self.via(to));
        again.headers.set("CSeq", format!("{} INVITE", invite.cseq()? + 1));
        again.headers.set(answer, value);
        Some(again)
    }

    /// Takes our INVITE back. The account is free at once; what the phone still answers is
    /// handled apart: an unanswered INVITE would leave the phone busy for ever.
    pub(super) fn take_back(
        &mut self,
        line: &str,
        call: Outgoing,
        cause: Cause,
        out: &mut Actions,
    ) {
        debug!(line, call_id = call.invite.call_id(), cause = cause.text(), "call taken back");
        let Outgoing { tx, invite, to, provisional, .. } = call;
        if provisional {
            self.send_cancel(&invite, to, cause, out);
        }
        let faded = Faded { invite, to, cancelled: provisional, cause };
        self.purposes.insert(tx, Purpose::Faded(Box::new(faded)));
    }

    /// RFC 3261 §9.1: the INVITE's Request-URI, top Via, From, To, Call-ID, Route and number.
    pub(super) fn send_cancel(
        &mut self,
        invite: &Request,
        to: Peer,
        cause: Cause,
        out: &mut Actions,
    ) {
        let mut headers = Headers::default();
        for (name, value) in invite.headers.iter() {
            match name {
                "Via" | "Max-Forwards" | "From" | "To" | "Call-ID" | "Route" => {
                    headers.push(name, value);
                }
                "CSeq" => headers.push(name, value.replace("INVITE", "CANCEL")),
                _ => {}
            }
        }
        headers.push("Reason", reason(cause));
        headers.push("User-Agent", PRODUCT);
        let cancel =
            Request { method: "CANCEL".to_owned(), uri: invite.uri.clone(), headers, body: vec![] };
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Ending);
        out.push(Action::Send { tx, request: cancel, to });
    }

    /// A final response to an INVITE that was taken back. A 2xx crossed our CANCEL.
    pub(super) fn handle_faded(&mut self, faded: &Faded, response: &Response, out: &mut Actions) {
        out.push(Action::SaveDialogs);
        if response.status < 300 {
            self.refuse_answer(response, faded.to, faded.cause, out);
        }
    }

    /// ACK and BYE for a 2xx that nobody wants.
    fn refuse_answer(&mut self, ok: &Response, source: Peer, cause: Cause, out: &mut Actions) {
        let Ok(mut dialog) = Dialog::of_our_invite(ok, source) else { return };
        self.send_ack(&dialog, ok, out);
        let to = dialog.hop();
        let via = self.via(to);
        let mut bye = dialog.request("BYE", &via);
        bye.headers.push("Reason", reason(cause));
        bye.headers.push("User-Agent", PRODUCT);
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Ending);
        out.push(Action::Send { tx, request: bye, to });
    }

    /// A 2xx that no transaction waits for: the phone has not seen our ACK, or answers what an
    /// earlier apid asked, or another phone behind a fork has answered too (RFC 3261 §13.2.2.4).
    pub fn handle_stray_ok(&mut self, response: &Response, source: Peer, out: &mut Actions) {
        let ours = |call: &Call| match call {
            Call::Established(call) if call.dialog.owns_response(response) => {
                Some(call.dialog.clone())
            }
            _ => None,
        };
        if let Some(dialog) = self.calls.values().find_map(ours) {
            self.send_ack(&dialog, response, out);
        } else if response.headers.get("Call-ID").is_some_and(|id| id.ends_with(CALL_ID_END)) {
            self.refuse_answer(response, source, Cause::NormalClearing, out);
        }
    }

    pub(super) fn send_ack(&mut self, dialog: &Dialog, ok: &Response, out: &mut Actions) {
        let Some((cseq, _)) = ok.cseq() else { return };
        let to = dialog.hop();
        let via = self.via(to);
        let mut request = dialog.ack(cseq, &via);
        request.headers.push("User-Agent", PRODUCT);
        out.push(Action::SendAck { request, to });
    }
}

/// A session timer that the phone put into its 2xx and refreshes itself.
fn refresher_is_phone(response: &Response) -> Option<super::call::SessionTimer> {
    let mut parts = response.headers.get("Session-Expires")?.split(';');
    let interval_s = parts.next()?.trim().parse().ok().filter(|s| *s >= super::call::MIN_SE_S)?;
    parts
        .any(|p| p.trim().eq_ignore_ascii_case("refresher=uas"))
        .then_some(super::call::SessionTimer { interval_s, ours: false, due_ms: 0 })
}
