//! Several lines ring for one call, and who answers first talks: a ring group of our own plans, or what
//! `Dial` of `extensions.conf` asks for.

use super::action::{Action, Order};
use super::record::{CallNumber, LegRecord, Moment, Stage};
use super::switch::{Switch, do_};
use super::{Cause, Keeper};
use crate::view::LegState;

/// Lines that one dial rings at most.
pub const DIAL_MAX: usize = 32;

impl Switch {
    /// Rings those of a group that are free; their own diversions do not count. Nobody is: the caller
    /// hears busy, where one of them is.
    pub(super) fn ring_group(
        &mut self,
        call: CallNumber,
        lines: &[String],
        out: &mut Vec<Action>,
        now: Moment,
    ) {
        let (free, worst) = self.free_of(lines);
        if free.is_empty() {
            return self.callee_failed(call, worst, None, now, out);
        }
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.stage = Stage::RingingTo;
        record.legs.retain(|leg| !leg.line.as_ref().is_some_and(|line| free.contains(line)));
        let ringing = free.iter().map(|line| LegRecord::line(line, LegState::Ringing));
        record.legs.extend(ringing);
        self.caller_hears_ringing(call, out);
        self.ring_all(call, &free, out);
    }

    /// Rings lines that `call` has a leg of.
    pub(super) fn ring_all(&mut self, call: CallNumber, lines: &[String], out: &mut Vec<Action>) {
        for line in lines {
            if let Some(info) = self.lines.get_mut(line) {
                info.call = Some(call);
            }
            self.ring_line(call, line, out);
        }
    }

    /// The lines that can be rung, each once, and why none could be if none can.
    pub(super) fn free_of(&self, lines: &[String]) -> (Vec<String>, Cause) {
        let mut free: Vec<String> = Vec::new();
        let mut worst = Cause::SubscriberAbsent;
        for line in lines.iter().take(DIAL_MAX) {
            match self.check_free(line) {
                Ok(()) if !free.contains(line) => free.push(line.clone()),
                Err(busy) if busy.cause() == Cause::UserBusy => worst = Cause::UserBusy,
                Ok(()) | Err(_) => {}
            }
        }
        (free, worst)
    }
    /// One of those who were dialled, and not the caller, is no more, and the call goes on: for its plan, or
    /// because others ring. `false`: it does not.
    pub(super) fn dialled_leg_gone(
        &mut self,
        call: CallNumber,
        line: &str,
        cause: Cause,
        order: fn(String, Cause) -> Order,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(record) = self.calls.get_mut(&call) else { return false };
        let caller = record.legs.first().and_then(|leg| leg.line.as_deref());
        let kept = record.keeper == Keeper::Plan
            && matches!(record.stage, Stage::RingingTo | Stage::Joining | Stage::Talking);
        let mut ringing = record.legs.iter().skip(1).filter(|leg| leg.state == LegState::Ringing);
        let others_ring = record.stage == Stage::RingingTo
            && ringing.any(|leg| leg.line.as_deref().is_some_and(|other| other != line));
        if caller == Some(line) || !kept && !others_ring {
            return false;
        }
        let Some(leg) = record.leg(line).filter(|leg| kept || leg.state == LegState::Ringing)
        else {
            return false;
        };
        (leg.state, leg.cause) = (LegState::Ended, Some(cause));
        do_(out, call, order(line.to_owned(), cause));
        let others = record.legs.iter().skip(1).any(|leg| {
            let there = !matches!(leg.state, LegState::Idle | LegState::Ended);
            leg.line.is_some() && there
        });
        self.release_callee(call);
        if kept && !others {
            self.back_to_plan(call, cause, out);
        }
        true
    }

    /// Whoever else rings for `call` need not any more.
    pub(super) fn answered_elsewhere(&mut self, call: CallNumber, by: &str, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        for leg in &mut record.legs {
            let Some(line) = leg.line.clone().filter(|line| line != by) else { continue };
            if leg.state == LegState::Ringing {
                leg.state = LegState::Ended;
                do_(out, call, Order::StopRing { line, cause: Cause::NormalClearing });
            }
        }
        record.ends.to = format!("line:{by}");
        self.release_callee(call);
    }
}
