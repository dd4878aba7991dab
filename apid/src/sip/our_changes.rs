//! Confirmed dialogs: what we change in mid-call. Hold, refreshes of the session timer, a look
//! whether the phone is still there; and once more where our change crossed the phone's.

use super::action::{Action, Actions, Notice};
use super::agent::{ALLOW, Agent, CALL_ID_END, PRODUCT, Purpose, SUPPORTED};
use super::call::{Call, Established, OurChange, SavedRemote, TxId, remote_media};
use super::incoming::both_laws;
use super::message::{Request, Response};
use super::sdp::{Description, Direction, LocalAudio};
use super::session_timer::{self, SessionTimer};
use crate::control::{Cause, SignallingError};
use tracing::info;

impl Agent {
    /// Control: hold (the phone hears, and is not heard) or not.
    ///
    /// # Errors
    /// `NoDialog`; `Busy` while another change is under way.
    pub fn order_hold(
        &mut self,
        line: &str,
        on: bool,
        out: &mut Actions,
    ) -> Result<(), SignallingError> {
        let direction = if on { Direction::SendOnly } else { Direction::SendRecv };
        match self.calls.get(line) {
            Some(Call::Established(call)) if call.local.direction == direction => Ok(()),
            Some(Call::Established(_)) => self.send_reinvite(line, direction, out),
            _ => Err(SignallingError::NoDialog),
        }
    }

    /// The phone behaves as if it knew nothing of its call: it may have lost its power, which
    /// sends no BYE. A re-INVITE that changes nothing finds out.
    pub(super) fn probe(&mut self, line: &str, out: &mut Actions) {
        if let Some(Call::Established(call)) = self.calls.get(line) {
            let direction = call.local.direction;
            // Busy: what is under way finds out as well.
            let _ = self.send_reinvite(line, direction, out);
        }
    }

    fn send_reinvite(
        &mut self,
        line: &str,
        direction: Direction,
        out: &mut Actions,
    ) -> Result<(), SignallingError> {
        let call = self.free_for_change(line)?;
        let mut local = call.local.clone().with_key();
        if local.direction != direction {
            local = LocalAudio { direction, version: local.version + 1, ..local };
        }
        let offered = LocalAudio { laws: both_laws(local.laws[0]), ..local.clone() };
        let body = offered.offer();
        self.send_change(
            line,
            "INVITE",
            Some(local),
            |request| {
                request.headers.push("Content-Type", "application/sdp");
                request.body = body;
            },
            out,
        );
        Ok(())
    }

    /// Refreshes the session: by UPDATE, which needs no offer, where the phone takes it.
    fn refresh(&mut self, line: &str, out: &mut Actions) {
        let Ok(call) = self.free_for_change(line) else {
            return; // the change that is under way refreshes as well
        };
        let (direction, takes_update) = (call.local.direction, call.takes_update);
        if takes_update {
            self.send_change(line, "UPDATE", None, |_| {}, out);
        } else {
            let _ = self.send_reinvite(line, direction, out);
        }
    }

    fn free_for_change(&self, line: &str) -> Result<&Established, SignallingError> {
        let Some(Call::Established(call)) = self.calls.get(line) else {
            return Err(SignallingError::NoDialog);
        };
        let open = &call.open;
        if open.unacked.is_some() || open.change.is_some() || open.ours.is_some() {
            return Err(SignallingError::Busy);
        }
        Ok(call)
    }

    fn send_change(
        &mut self,
        line: &str,
        method: &str,
        offered: Option<LocalAudio>,
        complete: impl FnOnce(&mut Request),
        out: &mut Actions,
    ) {
        let Some(to) = self.calls.get(line).and_then(Call::dialog).map(super::dialog::Dialog::hop)
        else {
            return;
        };
        let (via, contact, tx) = (self.via(to), self.contact(line, to), (self.around.new_tx)());
        let Some(Call::Established(call)) = self.calls.get_mut(line) else { return };
        let mut request = call.dialog.request(method, &via);
        request.headers.push("Contact", contact);
        request.headers.push("Allow", ALLOW);
        request.headers.push("Supported", SUPPORTED);
        request.headers.push("User-Agent", PRODUCT);
        if let Some(timer) = call.timer {
            timer.ask_again(&mut request.headers);
        }
        complete(&mut request);
        call.open.ours = Some(OurChange { tx, offered, heard: call.dialog.heard() });
        call.open.again = None;
        self.purposes.insert(tx, Purpose::Change { line: line.to_owned() });
        out.push(Action::Send { tx, request, to });
        out.push(Action::SaveDialogs); // its number is used
    }

    /// A final response to our re-INVITE or UPDATE.
    pub(super) fn handle_change_answer(
        &mut self,
        line: &str,
        tx: TxId,
        response: &Response,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let Some(Call::Established(call)) = self.calls.get_mut(line) else { return };
        let Some(ours) = call.open.ours.take_if(|ours| ours.tx == tx) else { return };
        match response.status {
            200..300 => self.change_accepted(line, ours, response, now_ms, out),
            // It was sent to where the phone is no more, and the phone is heard elsewhere.
            408 | 503 if call.dialog.heard() != ours.heard => {}
            // RFC 3261 §12.2.1.2: the phone knows nothing of this call, or is gone.
            408 | 481 | 503 => {
                info!(line, status = response.status, "phone has lost the call");
                out.tell(line, Notice::HangsUp(Cause::DestinationOutOfOrder));
                self.finish(line, Cause::DestinationOutOfOrder, out);
            }
            // RFC 3261 §14.1: who made the Call-ID waits longer, so that they do not cross again.
            491 => {
                let made_by_us = call.dialog.call_id.ends_with(CALL_ID_END);
                let direction = ours.offered.map_or(call.local.direction, |local| local.direction);
                let random = (self.around.random)() >> 32;
                let wait_ms = if made_by_us { 2100 + random % 191 * 10 } else { random % 201 * 10 };
                call.open.again = Some((now_ms + wait_ms, direction));
            }
            422 if let (Some(timer), Some(interval_s)) =
                (call.timer, session_timer::wanted_by(response)) =>
            {
                if interval_s > timer.interval_s {
                    call.timer = Some(SessionTimer { interval_s, ..timer }.restarted(now_ms));
                    self.refresh(line, out);
                }
            }
            405 | 501 if ours.offered.is_none() => {
                call.takes_update = false;
                self.refresh(line, out);
            }
            // Refused: what was agreed before still holds.
            _ => call.timer = call.timer.map(|timer| timer.restarted(now_ms)),
        }
    }

    fn change_accepted(
        &mut self,
        line: &str,
        ours: OurChange,
        response: &Response,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let Some(Call::Established(call)) = self.calls.get_mut(line) else { return };
        call.dialog.refresh_target(&response.headers);
        call.timer = SessionTimer::granted(response, now_ms)
            .or_else(|| call.timer.map(|timer| timer.restarted(now_ms)));
        let Some(local) = ours.offered else {
            return out.push(Action::SaveDialogs);
        };
        call.local = local;
        if let Ok(answer) = Description::parse_answer(&response.body, &call.local) {
            call.local = call.local.clone().agreed(&answer.audio);
            call.local.laws = vec![answer.audio.laws[0]];
            let remote = Some(SavedRemote::of(&answer.audio));
            if call.remote != remote {
                call.remote = remote;
                out.tell(line, Notice::MediaSettled(remote_media(&answer.audio)));
            }
        }
        let dialog = call.dialog.clone();
        self.send_ack(&dialog, response, out);
        out.push(Action::SaveDialogs);
    }

    /// What time brings to confirmed dialogs: refreshes, sessions given up, second tries.
    pub(super) fn handle_call_timers(&mut self, now_ms: u64, out: &mut Actions) {
        let due = |call: &Call| match call {
            Call::Established(call) => {
                let timer = call.timer.filter(|timer| timer.due_ms <= now_ms);
                let again = call.open.again.filter(|(at_ms, _)| *at_ms <= now_ms);
                (timer.is_some() || again.is_some()).then_some((timer, again))
            }
            _ => None,
        };
        let due: Vec<_> = self
            .calls
            .iter()
            .filter_map(|(line, call)| Some((line.clone(), due(call)?)))
            .take(8)
            .collect();
        for (line, (timer, again)) in due {
            let Some(Call::Established(call)) = self.calls.get_mut(&line) else { continue };
            match (timer, again) {
                (Some(timer), _) if !timer.ours => {
                    info!(line, "session timer expired");
                    out.tell(&line, Notice::HangsUp(Cause::RecoveryOnTimer));
                    self.finish(&line, Cause::RecoveryOnTimer, out);
                }
                (_, Some((_, direction))) => {
                    call.open.again = None;
                    call.timer = call.timer.map(|timer| timer.restarted(now_ms));
                    let _ = self.send_reinvite(&line, direction, out);
                }
                (Some(timer), None) => {
                    call.timer = Some(timer.restarted(now_ms));
                    self.refresh(&line, out);
                }
                (None, None) => {}
            }
        }
    }

    /// When [`handle_call_timers`](Self::handle_call_timers) has something to do.
    pub(super) fn next_call_timer_ms(&self) -> Option<u64> {
        let of = |call: &Call| match call {
            Call::Established(call) => {
                let again = call.open.again.map(|(at_ms, _)| at_ms);
                call.timer.map(|timer| timer.due_ms).into_iter().chain(again).min()
            }
            Call::Incoming(call) => call.reliable.as_ref().map(super::early::Reliable::due_ms),
            Call::Outgoing(_) => None,
        };
        self.calls.values().filter_map(of).min()
    }
}
