//! The phone calls: its INVITE until a final response, and what becomes of it before the ACK.

use super::action::{Action, Actions, Notice};
use super::address::Uri;
use super::agent::{ALLOW, Agent, PRODUCT, SUPPORTED, refused, user_of};
use super::call::{Call, Established, Incoming, Open, SavedRemote, TxId, remote_media};
use super::caller::caller_of;
use super::crypto::Encryption;
use super::dialog::Dialog;
use super::message::{Headers, Peer, Request, Response, Transport};
use super::reason::reason;
use super::sdp::{Description, Direction, LocalAudio, Profile, SdpError};
use super::session_timer::{MIN_SE_S, SessionTimer, TooShort};
use super::trunk::FromProvider;
use crate::control::{Cause, MediaAnswer, RemoteMedia, SignallingError};
use std::net::SocketAddr;
use tipring_shm_proto::command::Law;
use tracing::debug;

/// Longest number taken; no telephone has a longer one (ITU-T E.164 allows 15 digits).
const MAX_NUMBER: usize = 64;

impl Agent {
    /// An INVITE outside any dialog.
    pub(super) fn handle_invite(
        &mut self,
        tx: TxId,
        request: &Request,
        source: Peer,
        now_ms: u64,
        out: &mut Actions,
    ) {
        // RFC 3261 §8.2.2.2: the same request by another way.
        let merged = |call: &Call| {
            matches!(call, Call::Incoming(call)
                if call.invite.call_id() == request.call_id()
                    && call.invite.from_tag() == request.from_tag()
                    && call.invite.cseq() == request.cseq())
        };
        if self.calls.values().any(merged) {
            return out.push(Action::RespondOnce { tx, response: request.response(482, None) });
        }
        let tag = self.token();
        let (line, rings) = match self.provider_of(request, source) {
            FromProvider::Line(line, rings) => (line, Some(rings)),
            FromProvider::Full => {
                refused(None, source, "INVITE", &"all lines of the trunk are taken");
                return out.respond(tx, request.response(486, Some(&tag)).with("Server", PRODUCT));
            }
            FromProvider::No => match self.authenticate(tx, request, source, now_ms, out) {
                Some(line) => (line, None),
                None => return,
            },
        };
        match self.admit_invite(&line, rings, tx, request, source, &tag, now_ms) {
            Err(response) => {
                refused(Some(&line), source, "INVITE", &response.status);
                let busy = response.status == 486;
                out.respond(tx, response.with("Server", PRODUCT));
                if busy {
                    self.probe(&line, out);
                }
            }
            Ok((call, number)) => {
                let media = match &call.offer {
                    Some(offer) => remote_media(&offer.audio),
                    None => unknown_media(),
                };
                debug!(line, %source, number, call_id = request.call_id(), "call");
                self.calls.insert(line.clone(), Call::Incoming(Box::new(call)));
                out.push(Action::SaveDialogs);
                out.respond(tx, request.response(100, None));
                let trusted = !self.accounts[&line].registers();
                let caller = trusted.then(|| caller_of(&request.headers));
                out.tell(&line, Notice::Invites { to: number, caller, media });
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "who calls, by what, and when")]
    fn admit_invite(
        &mut self,
        line: &str,
        rings: Option<String>,
        tx: TxId,
        request: &Request,
        source: Peer,
        tag: &str,
        now_ms: u64,
    ) -> Result<(Incoming, String), Response> {
        let no = |status| Err(request.response(status, Some(tag)));
        if self.accounts[line].registers() && user_of(request, "From").as_deref() != Some(line) {
            return no(403);
        }
        // Whoever calls by a trunk has no choice.
        let dialled = || Uri::parse(&request.uri).and_then(|uri| uri.user).unwrap_or_default();
        let number = rings.unwrap_or_else(dialled);
        if !is_number(&number) {
            return no(404);
        }
        if self.calls.contains_key(line) {
            return no(486);
        }
        let allowance = &self.accounts[line].allowance;
        if !allowance.permits(&number) || !self.meter.permits(line, allowance, now_ms) {
            debug!(line, number, "the account may not call there, or not any more today");
            self.defence.note_not_allowed();
            let refusal = request.response(403, Some(tag));
            return Err(refusal.with("Reason", reason(Cause::CallRejected)));
        }
        let timer = SessionTimer::asked(request, now_ms).map_err(|TooShort| {
            request.response(422, Some(tag)).with("Min-SE", MIN_SE_S.to_string())
        })?;
        let encryption = self.accounts[line].encryption;
        let offer =
            read_offer(request, encryption).map_err(|status| refuse_body(request, status, tag))?;
        let Ok(dialog) = Dialog::of_phones_request(request, tag, source) else { return no(400) };
        let invite = request.clone();
        Ok((Incoming { tx, invite, dialog, offer, timer, reliable: None }, number))
    }

    /// CANCEL of a request that has no final response yet.
    pub fn handle_cancel(&mut self, tx: TxId, out: &mut Actions) {
        let Some(line) = self.incoming_of(tx) else { return };
        if let Some(Call::Incoming(call)) = self.calls.remove(&line) {
            debug!(line, call_id = call.dialog.call_id, "call cancelled by phone");
            out.respond(tx, call.invite.response(487, Some(call.dialog.local_tag())));
            out.tell(&line, Notice::Cancels);
            out.push(Action::SaveDialogs);
        }
    }

    fn incoming_of(&self, tx: TxId) -> Option<String> {
        let waits = |call: &Call| matches!(call, Call::Incoming(call) if call.tx == tx);
        self.calls.iter().find(|(_, call)| waits(call)).map(|(line, _)| line.clone())
    }

    /// Control: 200 to the phone's INVITE.
    ///
    /// # Errors
    /// `NoDialog` when the phone has cancelled meanwhile.
    pub fn order_accept(
        &mut self,
        line: &str,
        media: MediaAnswer,
        out: &mut Actions,
    ) -> Result<(), SignallingError> {
        let call = match self.calls.remove(line) {
            Some(Call::Incoming(call)) => *call,
            other => {
                self.calls.extend(other.map(|call| (line.to_owned(), call)));
                return Err(SignallingError::NoDialog);
            }
        };
        let source = call.dialog.source();
        let address = SocketAddr::new((self.around.here)(&source).ip(), media.port);
        let offered = call.offer.as_ref().map(|offer| &offer.audio);
        let local = LocalAudio {
            session_id: (self.around.random)() >> 1,
            version: 1,
            address,
            laws: if offered.is_some() { vec![media.law] } else { both_laws(media.law) },
            telephone_event: media.telephone_event,
            direction: offered.map_or(Direction::SendRecv, |audio| audio.direction.reversed()),
            profile: Profile::Avp,
            encrypted: false,
            key: None,
        };
        let local = match offered {
            Some(audio) => local.agreed(audio),
            None => local.encrypted_by(self.accounts[line].encryption, is_hidden(source)),
        };
        let body = call.offer.as_ref().map_or_else(|| local.offer(), |offer| offer.answer(&local));
        let mut ok = call.invite.response(200, Some(call.dialog.local_tag()));
        for route in call.invite.headers.all("Record-Route") {
            ok.headers.push("Record-Route", route); // RFC 3261 §12.1.1
        }
        ok.headers.push("Contact", self.contact(line, source));
        finish_ok(&mut ok, call.timer, Some(body));
        debug!(line, call_id = call.dialog.call_id, "call from phone accepted");
        let open =
            Open { unacked: Some(call.tx), late_offer: call.offer.is_none(), ..Open::default() };
        let remote = offered.map(SavedRemote::of);
        let takes_update = takes_update(&call.invite.headers);
        let (dialog, timer) = (call.dialog, call.timer);
        let placed = true;
        let established = Established { dialog, local, remote, timer, takes_update, placed, open };
        self.calls.insert(line.to_owned(), Call::Established(Box::new(established)));
        out.respond(call.tx, ok);
        out.push(Action::SaveDialogs);
        Ok(())
    }

    /// Control: ends whatever the line has.
    pub fn order_hang_up(&mut self, line: &str, cause: Cause, out: &mut Actions) {
        match self.calls.remove(line) {
            None => {}
            Some(Call::Incoming(call)) => {
                let status = cause.sip_status();
                refused(Some(line), call.dialog.source(), "INVITE", &cause.text());
                let response = call.invite.response(status, Some(call.dialog.local_tag()));
                let response = response.with("Reason", reason(cause)).with("Server", PRODUCT);
                out.respond(call.tx, response);
                out.push(Action::SaveDialogs);
            }
            Some(Call::Outgoing(call)) => self.take_back(line, *call, cause, out),
            Some(Call::Established(mut call)) => {
                if call.open.unacked.is_some() {
                    call.open.end_on_ack = Some(cause);
                    self.calls.insert(line.to_owned(), Call::Established(call));
                } else {
                    self.end(line, *call, cause, out);
                    out.push(Action::SaveDialogs);
                }
            }
        }
    }
}

/// What may be dialled.
pub(super) fn is_number(text: &str) -> bool {
    (1..=MAX_NUMBER).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether the sender of these headers takes UPDATE (RFC 3311 §4).
pub(super) fn takes_update(headers: &Headers) -> bool {
    headers.lists("Allow", "UPDATE")
}

/// The offer in a request's body, if there is a body; else the status that refuses it.
pub(super) fn read_offer(
    request: &Request,
    encryption: Encryption,
) -> Result<Option<Description>, u16> {
    if request.body.is_empty() {
        return Ok(None);
    }
    let essence = request.headers.get("Content-Type").and_then(|t| t.split(';').next());
    let plain = request.headers.get("Content-Encoding").is_none_or(|e| e.trim() == "identity");
    if !plain || !essence.is_some_and(|t| t.trim().eq_ignore_ascii_case("application/sdp")) {
        return Err(415);
    }
    Description::parse(&request.body, encryption).map(Some).map_err(|error| match error {
        SdpError::Malformed => 400,
        SdpError::NoAudio | SdpError::NoCommonCodec | SdpError::NoCommonCrypto => 488,
    })
}

pub(super) fn refuse_body(request: &Request, status: u16, tag: &str) -> Response {
    let response = request.response(status, Some(tag));
    match status {
        415 => response.with("Accept", "application/sdp").with("Accept-Encoding", "identity"),
        488 => response.with(
            "Warning",
            "305 tipring \"PCMU or PCMA over RTP/AVP, or RTP/SAVP with keys by SDES\"",
        ),
        _ => response,
    }
}

/// What every 2xx to an INVITE or UPDATE says.
pub(super) fn finish_ok(ok: &mut Response, timer: Option<SessionTimer>, body: Option<Vec<u8>>) {
    ok.headers.push("Allow", ALLOW);
    ok.headers.push("Supported", SUPPORTED);
    ok.headers.push("Server", PRODUCT);
    if let Some(timer) = timer {
        ok.headers.push("Session-Expires", timer.in_response());
        if !timer.ours {
            ok.headers.push("Require", "timer"); // RFC 4028 §9
        }
    }
    if let Some(body) = body {
        ok.headers.push("Content-Type", "application/sdp");
        ok.body = body;
    }
}

/// Nobody on the way to this peer can read what a description says.
pub(super) const fn is_hidden(peer: Peer) -> bool {
    matches!(peer.transport, Transport::Tls | Transport::Wss)
}

/// Both laws, the wanted one first.
pub(super) fn both_laws(first: Law) -> Vec<Law> {
    match first {
        Law::Mu => vec![Law::Mu, Law::A],
        Law::A => vec![Law::A, Law::Mu],
    }
}

/// Media of a phone that leaves the offer to us.
fn unknown_media() -> RemoteMedia {
    RemoteMedia {
        remote: None,
        laws: both_laws(Law::Mu),
        telephone_event: Some(super::sdp::TELEPHONE_EVENT),
        wants_audio: true,
        sends_audio: true,
        rtcp_mux: false,
        srtp: None,
    }
}
