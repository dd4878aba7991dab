//! We call: our INVITE until the phone's final response, and what is left of one taken back.

use super::action::{Action, Actions, Notice};
use super::agent::{ALLOW, Agent, CALL_ID_END, PRODUCT, Purpose, SUPPORTED};
use super::call::{Call, Established, Faded, Open, Outgoing, SavedRemote, Tried, remote_media};
use super::caller::{alert_info, name_caller};
use super::dialog::Dialog;
use super::digest;
use super::incoming::{is_hidden, takes_update};
use super::message::{Headers, Peer, Request, Response};
use super::reason::{cause_of_refusal, reason};
use super::sdp::{Description, Direction, LocalAudio, Profile};
use super::session_timer::{self, SessionTimer};
use crate::control::{Cause, MediaOffer, SignallingError};
use crate::view::CallerIdView;
use std::net::SocketAddr;
use tracing::{debug, info};

impl Agent {
    /// Control: call the phone. `cadence_ms` is how it shall ring, on and off in turn.
    ///
    /// # Errors
    /// `NotRegistered`, `Busy`.
    pub fn order_invite(
        &mut self,
        line: &str,
        media: &MediaOffer,
        caller: &CallerIdView,
        cadence_ms: &[u16],
        now_ms: u64,
        out: &mut Actions,
    ) -> Result<(), SignallingError> {
        if self.calls.contains_key(line) {
            return Err(SignallingError::Busy);
        }
        let (uri, route, to) = self.reach(line, now_ms).ok_or(SignallingError::NotRegistered)?;
        let here = (self.around.here)(&to);
        let local = self.first_offer(line, media, to);
        let tag = self.token();
        let mut invite = self.request_to_phone("INVITE", line, &uri, &route, to);
        let headers = &mut invite.headers;
        headers.remove("From");
        name_caller(headers, caller, here, &tag);
        headers.set("CSeq", format!("{} INVITE", ((self.around.random)() >> 48) + 1));
        headers.push("Contact", self.contact(line, to));
        if let Some(alert) = alert_info(cadence_ms) {
            headers.push("Alert-Info", alert);
        }
        offer(&mut invite, &local);
        debug!(line, %to, call_id = invite.call_id(), "calling phone");
        self.send_invite(line, invite, to, local, Tried::default(), out);
        Ok(())
    }

    /// What we offer in a call that begins.
    pub(super) fn first_offer(&mut self, line: &str, media: &MediaOffer, to: Peer) -> LocalAudio {
        let local = LocalAudio {
            session_id: (self.around.random)() >> 1,
            version: 1,
            address: SocketAddr::new((self.around.here)(&to).ip(), media.port),
            laws: media.laws.clone(),
            telephone_event: media.telephone_event,
            direction: Direction::SendRecv,
            profile: Profile::Avp,
            encrypted: false,
            key: None,
        };
        local.encrypted_by(self.accounts[line].encryption, is_hidden(to))
    }

    pub(super) fn send_invite(
        &mut self,
        line: &str,
        invite: Request,
        to: Peer,
        local: LocalAudio,
        tried: Tried,
        out: &mut Actions,
    ) {
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Invite { line: line.to_owned() });
        out.push(Action::SaveDialogs); // the next apid takes it back
        out.push(Action::Send { tx, request: invite.clone(), to });
        let (provisional, rang, early) = Default::default();
        let call = Outgoing { tx, invite, to, local, provisional, rang, early, tried };
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
                    self.acknowledge_provisional(line, response, out);
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
        let Outgoing { invite, to, local, early, mut tried, rang, .. } = *call;
        out.push(Action::SaveDialogs);
        if response.status >= 300 {
            if matches!(response.status, 401 | 407)
                && !std::mem::replace(&mut tried.challenge, true)
                && let Some(again) = self.with_credentials(line, &invite, to, response)
            {
                return self.send_invite(line, again, to, local, tried, out);
            }
            if response.status == 422
                && !std::mem::replace(&mut tried.interval, true)
                && let Some(min_s) = session_timer::wanted_by(response)
                && let Some(mut again) = self.numbered_anew(&invite, to)
            {
                let interval_s = min_s.max(session_timer::WANTED_S);
                session_timer::ask(&mut again.headers, interval_s, min_s);
                return self.send_invite(line, again, to, local, tried, out);
            }
            if let Some(next) = self.next_server(line, to, response, rang, tried)
                && let Some(mut again) = self.numbered_anew(&invite, next)
            {
                tried.servers += 1;
                again.headers.set("Contact", self.contact(line, next));
                return self.send_invite(line, again, next, local, tried, out);
            }
            debug!(line, call_id = invite.call_id(), status = response.status, "phone refused");
            return out.tell(line, Notice::Refuses(cause_of_refusal(response)));
        }
        let Ok(mut dialog) = Dialog::of_our_invite(response, to) else {
            // Without a Contact there is nowhere to send even the ACK; the phone gives up.
            info!(line, call_id = invite.call_id(), "phone answered without Contact");
            return out.tell(line, Notice::Refuses(Cause::BearerCapability));
        };
        if let Some(early) = early.iter().find(|early| early.dialog.owns_response(response)) {
            dialog.continue_from(&early.dialog);
        }
        self.send_ack(&dialog, response, out);
        let takes_update = takes_update(&response.headers);
        let Ok(description) = Description::parse_answer(&response.body, &local) else {
            info!(line, call_id = invite.call_id(), "phone answered without usable media");
            let (remote, timer, open) = Default::default();
            let placed = false;
            let call = Established { dialog, local, remote, timer, takes_update, placed, open };
            self.end(line, call, Cause::BearerCapability, out);
            return out.tell(line, Notice::Refuses(Cause::BearerCapability));
        };
        debug!(line, call_id = invite.call_id(), "phone answered");
        let audio = description.audio;
        let local = local.agreed(&audio);
        let call = Established {
            dialog,
            local,
            remote: Some(SavedRemote::of(&audio)),
            timer: SessionTimer::granted(response, now_ms),
            takes_update,
            placed: false,
            open: Open::default(),
        };
        self.calls.insert(line.to_owned(), Call::Established(Box::new(call)));
        out.tell(line, Notice::Answers(remote_media(&audio)));
    }

    /// The same INVITE with an answer to the phone's challenge. Only a fixed account's or a
    /// trunk's own credentials are ever used: a phone must not be able to make us hash for it.
    fn with_credentials(
        &mut self,
        line: &str,
        invite: &Request,
        to: Peer,
        response: &Response,
    ) -> Option<Request> {
        if self.accounts[line].trunk.is_some() {
            return self.proven_to_provider(line, invite, to, response);
        }
        let (user, password) = self.accounts[line].fixed.clone()?.credentials?;
        let (challenge, answer) = match response.status {
            401 => ("WWW-Authenticate", "Authorization"),
            _ => ("Proxy-Authenticate", "Proxy-Authorization"),
        };
        let challenges: Vec<&str> = response.headers.all(challenge).collect();
        let cnonce = self.token();
        let value =
            digest::answer(&challenges, &user, &password, "INVITE", &invite.uri, &cnonce, 1)?;
        let mut again = self.numbered_anew(invite, to)?;
        again.headers.set(answer, value);
        Some(again)
    }

    /// The same INVITE as a new request.
    pub(super) fn numbered_anew(&mut self, invite: &Request, to: Peer) -> Option<Request> {
        let mut again = invite.clone();
        again.headers.set("Via", self.via(to));
        again.headers.set("CSeq", format!("{} INVITE", invite.cseq()? + 1));
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

/// Makes an INVITE that has all but that one that offers audio.
pub(super) fn offer(invite: &mut Request, audio: &LocalAudio) {
    let headers = &mut invite.headers;
    headers.push("Allow", ALLOW);
    headers.push("Supported", SUPPORTED);
    session_timer::ask(headers, session_timer::WANTED_S, session_timer::MIN_SE_S);
    headers.push("User-Agent", PRODUCT);
    headers.push("Content-Type", "application/sdp");
    invite.body = audio.offer();
}
