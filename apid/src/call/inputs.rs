//! What the engine and signalling say of a line, and what it means for the line's call.

use super::action::{Action, News, Order};
use super::record::{CallNumber, Ends, LegRecord, Moment, Stage};
use super::switch::{Switch, Waiting, do_};
use super::{Cause, RemoteMedia};
use crate::view::{CallerIdView, LegState};
use tipring_shm_proto::command::{LineState, Phase};
use tipring_shm_proto::event::{LineEvent, RingStop};

impl Switch {
    pub(super) fn line_event(
        &mut self,
        line: &str,
        event: LineEvent,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        match event {
            LineEvent::State { state, phase } => self.line_state(line, state, phase, now, out),
            LineEvent::Digit { digit, .. } => self.digit(line, char::from(digit), now, out),
            LineEvent::RingStopped { cause } => self.ring_stopped(line, cause, now, out),
            LineEvent::Flash { .. } => self.flashed(line, now, out),
            LineEvent::RtpSilent { silent_ms } => {
                let limit = self.config.media_timeout_ms;
                if let Some(call) = self.call_of(line)
                    && limit > 0
                    && silent_ms >= limit
                {
                    self.end(call, Cause::RecoveryOnTimer, None, now, out);
                }
            }
            // A bridge ends because a phone was put down, is lost or was told to: that comes by
            // itself, and says why.
            _ => {}
        }
    }

    pub(super) fn line_state(
        &mut self,
        line: &str,
        state: LineState,
        phase: Option<Phase>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(info) = self.lines.get_mut(line) else { return };
        info.state = state;
        match state {
            LineState::OffHook if info.call.is_none() && !info.sip => match phase {
                Some(Phase::DialTone) => self.lifted(line, now, out),
                Some(Phase::Collecting) => {}
                _ => info.dialled = None,
            },
            LineState::OffHook | LineState::Ringing => {}
            LineState::OnHook => {
                info.dialled = None;
                // Of SIP phones signalling tells; what the engine says may be of the last call.
                if !info.sip {
                    self.leg_gone(line, Cause::NormalClearing, now, out);
                    self.rings_back(line, now, out);
                }
            }
            LineState::Offline | LineState::Fault => {
                info.dialled = None;
                self.leg_gone(line, Cause::DestinationOutOfOrder, now, out);
                self.rings_back(line, now, out);
            }
        }
    }

    pub(super) fn ring_stopped(
        &mut self,
        line: &str,
        cause: RingStop,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(call) = self.call_of(line) else { return };
        let Some(record) = self.calls.get_mut(&call) else { return };
        if record.is_over() || record.leg(line).is_none_or(|leg| leg.state != LegState::Ringing) {
            return;
        }
        let why = match cause {
            RingStop::Answered => return self.leg_answered(call, line, now, out),
            RingStop::Timeout => Cause::NoAnswer,
            RingStop::Stopped => Cause::NormalClearing,
            RingStop::Device => Cause::CallRejected,
        };
        let stop = |line, cause| Order::StopRing { line, cause };
        if !self.dialled_leg_gone(call, line, why, stop, out)
            && !self.diverts(call, line, Some(why), now, out)
        {
            self.callee_failed(call, why, None, now, out);
        }
    }

    pub(super) fn invited(
        &mut self,
        line: &str,
        to: String,
        caller: Option<CallerIdView>,
        media: RemoteMedia,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(info) = self.lines.get_mut(line) else { return };
        if let Some(call) = info.call {
            // It is being cleared, or the phone has forgotten it.
            info.waiting = Some(Waiting { to, caller, media });
            self.end(call, Cause::NormalClearing, Some(line), now, out);
            return;
        }
        if info.state == LineState::Offline {
            let cause = Cause::TemporaryFailure;
            do_(out, CallNumber(0), Order::Drop { line: line.to_owned(), cause });
            return;
        }
        let ends = Ends { from: format!("line:{line}"), to: format!("number:{to}") };
        let mut leg = LegRecord::line(line, LegState::Connected);
        leg.unaccepted = true;
        let mut ring = self.default_ring(line);
        ring.caller = caller.unwrap_or(ring.caller);
        let Ok(call) = self.begin(ends, vec![leg], Stage::RingingTo, ring, now) else {
            let cause = Cause::ResourceUnavailable;
            do_(out, CallNumber(0), Order::Drop { line: line.to_owned(), cause });
            return;
        };
        do_(out, call, Order::Take { line: line.to_owned(), media });
        do_(out, call, Order::Tag { line: line.to_owned() });
        self.tell(call, News::Started, out);
        let target = self.target_of(line, &to, now.wall).cloned();
        self.route(call, line, target, out, now);
    }

    pub(super) fn alerting(&mut self, line: &str, out: &mut Vec<Action>) {
        let Some(call) = self.call_of(line) else { return };
        let rings = self
            .calls
            .get_mut(&call)
            .and_then(|record| record.leg(line))
            .is_some_and(|leg| leg.state == LegState::Ringing);
        if rings {
            self.tell(call, News::Ringing, out);
        }
    }

    pub(super) fn leg_refused(
        &mut self,
        line: &str,
        cause: Cause,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(call) = self.call_of(line) else { return };
        let refused = |line, _| Order::Refused { line };
        if self.calls.get(&call).is_some_and(|record| !record.is_over())
            && !self.dialled_leg_gone(call, line, cause, refused, out)
        {
            self.callee_failed(call, cause, Some(line), now, out);
        }
    }

    pub(super) fn hung_up(&mut self, line: &str, cause: Cause, now: Moment, out: &mut Vec<Action>) {
        let Some(info) = self.lines.get_mut(line) else { return };
        info.dialled = None;
        info.waiting = None;
        if info.call.is_some() {
            self.leg_gone(line, cause, now, out);
        } else {
            do_(out, CallNumber(0), Order::Gone { line: line.to_owned() });
        }
    }
}
