//! Confirmed dialogs: what the phone asks for in mid-call. ACK, BYE, changed media, digits by INFO.

use super::action::{Action, Actions, Notice};
use super::agent::{ALLOW, Agent, PRODUCT};
use super::call::{Call, Change, SavedRemote, TxId, remote_media};
use super::incoming::{finish_ok, read_offer, refuse_body};
use super::message::{Peer, Request};
use super::reason::cause_of;
use super::sdp::{Description, LocalAudio};
use super::session_timer::{MIN_SE_S, SessionTimer};
use super::usage::Allowance;
use crate::control::{Cause, MediaAnswer};
use tracing::{debug, info};

impl Agent {
    /// A request within a dialog of this line.
    pub(super) fn handle_in_dialog(
        &mut self,
        line: &str,
        tx: TxId,
        request: &Request,
        source: Peer,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let no = |status| Action::RespondOnce { tx, response: request.response(status, None) };
        let dialog = match self.calls.get_mut(line) {
            Some(Call::Established(call)) => &mut call.dialog,
            Some(Call::Incoming(call)) => &mut call.dialog,
            _ => return out.push(no(481)),
        };
        if dialog.receive(request, source).is_err() {
            return out.push(no(500));
        }
        match request.method.as_str() {
            "OPTIONS" => {
                let response = self.capabilities(request);
                out.respond(tx, response);
            }
            "BYE" => self.handle_bye(line, tx, request, out),
            "INFO" => {
                let (status, notice) = info_notice(request);
                out.respond(tx, request.response(status, None).with("Server", PRODUCT));
                if let Some(notice) = notice {
                    out.tell(line, notice);
                }
            }
            "INVITE" | "UPDATE" => self.handle_change(line, tx, request, now_ms, out),
            "PRACK" => self.handle_prack(line, tx, request, out),
            "REFER" => self.handle_refer(line, tx, request, out),
            _ => out.push(Action::RespondOnce {
                tx,
                response: request.response(405, None).with("Allow", ALLOW),
            }),
        }
    }

    fn handle_bye(&mut self, line: &str, tx: TxId, request: &Request, out: &mut Actions) {
        out.respond(tx, request.response(200, None).with("Server", PRODUCT));
        match self.calls.remove(line) {
            Some(Call::Incoming(call)) => {
                // A BYE in an early dialog ends the INVITE too (RFC 3261 §15).
                out.respond(call.tx, call.invite.response(487, Some(call.dialog.local_tag())));
                out.tell(line, Notice::Cancels);
                out.push(Action::SaveDialogs);
            }
            Some(Call::Established(call)) => {
                debug!(line, call_id = call.dialog.call_id, "call ended by phone");
                if let Some(change) = call.open.change {
                    let response = change.request.response(487, None);
                    out.respond(change.tx, response);
                }
                let cause = cause_of(&request.headers).unwrap_or(Cause::NormalClearing);
                out.tell(line, Notice::HangsUp(cause));
                out.push(Action::SaveDialogs);
            }
            _ => {}
        }
    }

    /// Re-INVITE or UPDATE: a refresh of the session, a change of its media, or both.
    fn handle_change(
        &mut self,
        line: &str,
        tx: TxId,
        request: &Request,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let tag = match self.calls.get(line) {
            Some(Call::Established(call)) => call.dialog.local_tag().to_owned(),
            // No media before our 200: the phone has to wait for it (RFC 3311 §5.2).
            Some(Call::Incoming(_)) if request.method == "UPDATE" && request.body.is_empty() => {
                return out.respond(tx, request.response(200, None).with("Server", PRODUCT));
            }
            _ => {
                let response = request.response(500, None).with("Retry-After", "1");
                return out.respond(tx, response);
            }
        };
        let mut offer = match read_offer(request, self.accounts[line].encryption) {
            Ok(offer) => offer,
            Err(status) => return out.respond(tx, refuse_body(request, status, &tag)),
        };
        let Some(Call::Established(call)) = self.calls.get_mut(line) else { return };
        if let Some(crypto) = offer.as_mut().and_then(|offer| offer.audio.crypto.as_mut()) {
            crypto.keep(call.local.key);
        }
        if call.open.change.is_some() || call.open.unacked.is_some() {
            // RFC 3261 §14.2: still busy with its last one.
            return out.respond(tx, request.response(500, None).with("Retry-After", "1"));
        }
        if call.open.ours.is_some() {
            return out.respond(tx, request.response(491, None));
        }
        match SessionTimer::asked(request, now_ms) {
            Ok(Some(timer)) => call.timer = Some(timer),
            Ok(None) => call.timer = call.timer.map(|timer| timer.restarted(now_ms)),
            Err(_) => {
                let response = request.response(422, None);
                return out.respond(tx, response.with("Min-SE", MIN_SE_S.to_string()));
            }
        }
        match offer {
            Some(offer) if call.remote != Some(SavedRemote::of(&offer.audio)) => {
                out.tell(line, Notice::MediaChanges(remote_media(&offer.audio)));
                call.open.change = Some(Change { tx, request: request.clone(), offer });
            }
            // Nothing new, or our turn to offer: what was agreed still holds.
            offer => {
                let body = match offer {
                    Some(offer) => Some(offer.answer(&call.local.clone().agreed(&offer.audio))),
                    None if request.method == "INVITE" => {
                        call.open.late_offer = true;
                        call.local = call.local.clone().with_key();
                        Some(call.local.offer())
                    }
                    None => None,
                };
                self.accept_change(line, tx, request, body, out);
            }
        }
    }

    fn accept_change(
        &mut self,
        line: &str,
        tx: TxId,
        request: &Request,
        body: Option<Vec<u8>>,
        out: &mut Actions,
    ) {
        let Some(Call::Established(call)) = self.calls.get_mut(line) else { return };
        if request.method == "INVITE" {
            call.open.unacked = Some(tx);
        }
        let (timer, source) = (call.timer, call.dialog.source());
        let timer = timer.filter(|_| request.headers.get("Session-Expires").is_some());
        let mut ok = request.response(200, None);
        ok.headers.push("Contact", self.contact(line, source));
        finish_ok(&mut ok, timer, body);
        out.respond(tx, ok);
        out.push(Action::SaveDialogs);
    }

    /// Control's answer to [`Notice::MediaChanges`]: `None` refuses it.
    pub fn order_media(&mut self, line: &str, answer: Option<MediaAnswer>, out: &mut Actions) {
        let Some(Call::Established(call)) = self.calls.get_mut(line) else { return };
        let Some(Change { tx, request, offer }) = call.open.change.take() else { return };
        let Some(answer) = answer else {
            let tag = call.dialog.local_tag();
            return out.respond(tx, refuse_body(&request, 488, tag));
        };
        let local = LocalAudio {
            laws: vec![answer.law],
            telephone_event: answer.telephone_event,
            direction: offer.audio.direction.reversed(),
            address: std::net::SocketAddr::new(call.local.address.ip(), answer.port),
            ..call.local.clone()
        };
        let local = local.agreed(&offer.audio);
        if local != call.local {
            call.local = LocalAudio { version: call.local.version + 1, ..local };
        }
        call.remote = Some(SavedRemote::of(&offer.audio));
        let body = offer.answer(&call.local);
        self.accept_change(line, tx, &request, Some(body), out);
    }

    /// The ACK of our 2xx, initial or not.
    pub fn handle_ack(&mut self, tx: TxId, ack: &Request, out: &mut Actions) {
        let Some(line) = self.unacked(tx) else { return };
        let Some(Call::Established(call)) = self.calls.get_mut(&line) else { return };
        call.open.unacked = None;
        if std::mem::take(&mut call.open.late_offer) {
            if let Ok(answer) = Description::parse_answer(&ack.body, &call.local) {
                call.local = call.local.clone().agreed(&answer.audio);
                call.remote = Some(SavedRemote::of(&answer.audio));
                out.tell(&line, Notice::MediaSettled(remote_media(&answer.audio)));
                out.push(Action::SaveDialogs);
            } else if call.remote.is_none() && call.open.end_on_ack.is_none() {
                // RFC 3261 §13.2.2.4: the ACK must carry the answer to our offer.
                info!(line, "phone left our offer without an answer");
                out.tell(&line, Notice::HangsUp(Cause::BearerCapability));
                call.open.end_on_ack = Some(Cause::BearerCapability);
            }
        }
        if let Some(cause) = call.open.end_on_ack {
            self.finish(&line, cause, out);
        }
    }

    /// A server transaction is over. Without an ACK to its 2xx the dialog ends
    /// (RFC 3261 §13.3.1.4).
    pub fn handle_unacked(&mut self, tx: TxId, out: &mut Actions) {
        let Some(line) = self.unacked(tx) else { return };
        info!(line, "phone did not acknowledge our answer");
        if let Some(Call::Established(call)) = self.calls.get(&line)
            && call.open.end_on_ack.is_none()
        {
            out.tell(&line, Notice::HangsUp(Cause::NoUserResponding));
        }
        self.finish(&line, Cause::NoUserResponding, out);
    }

    fn unacked(&self, tx: TxId) -> Option<String> {
        let waits =
            |call: &Call| matches!(call, Call::Established(call) if call.open.unacked == Some(tx));
        self.calls.iter().find(|(_, call)| waits(call)).map(|(line, _)| line.clone())
    }

    /// BYE and forget.
    pub(super) fn finish(&mut self, line: &str, cause: Cause, out: &mut Actions) {
        if let Some(Call::Established(call)) = self.calls.remove(line) {
            self.end(line, *call, cause, out);
            out.push(Action::SaveDialogs);
        }
    }

    /// To be called after each input: follows what accounts use of what they may.
    pub fn follow_usage(&mut self, now_ms: u64, out: &mut Actions) {
        let accounts = &self.accounts;
        let placed = self.calls.iter().filter_map(|(line, call)| match call {
            Call::Established(call) if call.placed => {
                let allowance = &accounts.get(line)?.allowance;
                let limited = *allowance != Allowance::default();
                limited.then_some((line.as_str(), allowance, call.dialog.call_id.as_str()))
            }
            _ => None,
        });
        if self.meter.follow(placed, now_ms) {
            out.push(Action::SaveDialogs);
        }
    }

    /// Ends calls whose account has used its minutes up.
    pub(super) fn handle_used_up(&mut self, now_ms: u64, out: &mut Actions) {
        let over: Vec<String> = self.meter.over(now_ms).take(4).map(str::to_owned).collect();
        for line in over {
            info!(line, "the account has used its minutes up");
            out.tell(&line, Notice::HangsUp(Cause::CallRejected));
            self.finish(&line, Cause::CallRejected, out);
        }
        self.follow_usage(now_ms, out);
    }

    /// Lines with a confirmed dialog.
    pub fn live(&self) -> Vec<String> {
        self.dialogs().into_keys().map(str::to_owned).collect()
    }
}

/// What an INFO says, and the answer to it.
fn info_notice(request: &Request) -> (u16, Option<Notice>) {
    let kind = request.headers.get("Content-Type").unwrap_or("").split(';').next().unwrap_or("");
    let body = String::from_utf8_lossy(&request.body);
    let field = |name: &str| {
        body.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let digit_of = |text: &str| match text.trim().to_ascii_uppercase().as_str() {
        "10" => Some('*'),
        "11" => Some('#'),
        one => {
            let mut chars = one.chars();
            chars.next().filter(|c| {
                chars.next().is_none() && matches!(c, '0'..='9' | 'A'..='D' | '*' | '#')
            })
        }
    };
    let (signal, duration_ms) = match kind.trim().to_ascii_lowercase().as_str() {
        "" if request.body.is_empty() => return (200, None), // RFC 6086 §4.2.2: a keep-alive
        "application/dtmf-relay" => (
            field("Signal").unwrap_or_default(),
            field("Duration").and_then(|d| d.parse().ok()).unwrap_or(100),
        ),
        "application/dtmf" => (body.trim().to_owned(), 100),
        "application/hook-flash" => ("16".to_owned(), 0),
        _ => return (415, None),
    };
    if matches!(signal.to_ascii_lowercase().as_str(), "16" | "hf" | "flash" | "hook-flash") {
        return (200, Some(Notice::Flash));
    }
    match digit_of(&signal) {
        Some(digit) => (200, Some(Notice::Digit { digit, duration_ms })),
        None => (400, None),
    }
}
