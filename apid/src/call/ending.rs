//! How calls end, and how one end of them does.

use super::Cause;
use super::action::{Action, News, Order};
use super::kept::Keeper;
use super::record::{CallNumber, CallRecord, Moment, Stage};
use super::switch::{REMEMBERED, Switch, Waiting, do_};
use crate::view::{LegState, Timestamp};
use tipring_shm_proto::command::ProgressTone;

impl Switch {
    /// An essential order could not be carried out.
    pub(super) fn order_failed(
        &mut self,
        call: CallNumber,
        line: Option<&str>,
        cause: Cause,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let stop = |line, cause| Order::StopRing { line, cause };
        if !line.is_some_and(|line| self.dialled_leg_gone(call, line, cause, stop, out)) {
            self.end(call, cause, None, now, out);
        }
    }

    /// Whom the caller wants cannot be had. A caller with an open ear hears why; any other is
    /// hung up on. `refused` is the SIP phone that refused.
    pub(super) fn callee_failed(
        &mut self,
        call: CallNumber,
        cause: Cause,
        refused: Option<&str>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let kept = record.keeper == Keeper::Plan;
        self.knocks_no_more(call, out);
        let Some(record) = self.calls.get_mut(&call) else { return };
        let rings =
            record.legs.iter_mut().find(|leg| leg.state == LegState::Ringing && leg.line.is_some());
        if let Some(leg) = rings {
            (leg.state, leg.cause) = (LegState::Ended, Some(cause));
            let line = leg.line.clone().unwrap_or_default();
            let order = if refused == Some(line.as_str()) {
                Order::Refused { line }
            } else {
                Order::StopRing { line, cause }
            };
            do_(out, call, order);
        }
        if kept {
            self.back_to_plan(call, cause, out);
            return;
        }
        if self.consultation_fails(call, now, out) {
            return;
        }
        let Some(record) = self.calls.get_mut(&call) else { return };
        let listens = record
            .legs
            .first_mut()
            .filter(|leg| leg.state == LegState::Connected && !leg.unaccepted)
            .and_then(|leg| leg.line.clone());
        let Some(caller) = listens else {
            self.end(call, cause, None, now, out);
            return;
        };
        let tone = Some(match cause {
            Cause::UserBusy => ProgressTone::Busy,
            Cause::UnallocatedNumber | Cause::InvalidNumber => ProgressTone::SpecialInformation,
            _ => ProgressTone::Congestion,
        });
        do_(out, call, Order::Tone { line: caller.clone(), tone });
        if self.lines.get(&caller).is_some_and(|info| info.sip) {
            record.cause = Some(cause);
            record.stage = Stage::HearsTone;
            self.release_callee(call);
        } else {
            if let Some(leg) = record.leg(&caller) {
                leg.state = LegState::Ended;
            }
            do_(out, CallNumber(0), Order::Tag { line: caller });
            self.end(call, cause, None, now, out);
        }
    }

    /// The callee of a call that goes on without it is free for others.
    pub(super) fn release_callee(&mut self, call: CallNumber) {
        let Some(record) = self.calls.get(&call) else { return };
        for leg in record.legs.iter().filter(|leg| leg.state == LegState::Ended) {
            let info = leg.line.as_ref().and_then(|line| self.lines.get_mut(line));
            if let Some(info) = info.filter(|info| info.call == Some(call)) {
                info.call = None;
            }
        }
    }

    pub(super) fn leg_gone(
        &mut self,
        line: &str,
        cause: Cause,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(call) = self.call_of(line) else { return };
        let gone = |line, _| Order::Gone { line };
        if !self.consultation_ends(call, line, cause, gone, now, out)
            && !self.dialled_leg_gone(call, line, cause, gone, out)
        {
            self.end(call, cause, Some(line), now, out);
        }
    }

    pub(super) fn end(
        &mut self,
        call: CallNumber,
        cause: Cause,
        gone: Option<&str>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        if self.calls.get(&call).is_none_or(CallRecord::is_over) {
            return;
        }
        self.knocks_no_more(call, out);
        let returns = self.leaves_for_held(call, gone);
        let Some(record) = self.calls.get_mut(&call) else { return };
        if record.socket.is_some() {
            do_(out, call, Order::EndApplication { cause, by_phone: gone.is_some() });
        }
        if record.seat.is_some() {
            let record = std::sync::Arc::new(record.clone());
            out.push(Action::Tell(News::LeftConference(record)));
        }
        for leg in &mut record.legs {
            let before = std::mem::replace(&mut leg.state, LegState::Ended);
            let Some(line) = leg.line.clone() else { continue };
            let order = match before {
                LegState::Idle | LegState::Ended => continue,
                _ if gone == Some(line.as_str()) => Order::Gone { line },
                LegState::Ringing => Order::StopRing { line, cause },
                LegState::Connected | LegState::Held => Order::Drop { line, cause },
            };
            do_(out, call, order);
        }
        record.stage = Stage::Ending;
        record.ended_at = Some(Timestamp(now.wall));
        // Why its number reached nobody says more than who hung up after that.
        record.cause.get_or_insert(cause);
        self.tell(call, News::Ended, out);
        do_(out, call, Order::Release);
        if let Some((held, line)) = returns {
            self.rejoins(held, &line, out);
        }
        self.three_way_shrinks(call, now, out);
    }

    pub(super) fn released(&mut self, call: CallNumber, now: Moment, out: &mut Vec<Action>) {
        let Some(record) = self.calls.remove(&call) else { return };
        let (mut waiting, mut free) = (Vec::new(), Vec::new());
        for line in record.lines() {
            let info = self.lines.get_mut(line).filter(|info| info.call == Some(call));
            if let Some(info) = info {
                info.call = None;
                info.dialled = None;
                waiting.extend(info.waiting.take().map(|waiting| (line.to_owned(), waiting)));
                free.push(line.to_owned());
            }
        }
        self.remember(record);
        for line in free {
            self.rings_back(&line, now, out);
        }
        for (line, Waiting { to, caller, media }) in waiting {
            self.invited(&line, to, caller, media, now, out);
        }
    }

    pub(super) fn remember(&mut self, mut record: CallRecord) {
        record.stage = Stage::Ended;
        if self.over.len() >= REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back(record);
    }
}
