//! Lines that a dial plan keeps: it decides when they are answered, and has them back when those
//! they were joined with have gone.

use super::Cause;
use super::action::{Action, News, Order};
use super::record::{CallNumber, LegRecord, Moment, Stage};
use super::settings::RingOrder;
use super::switch::{Switch, do_};
use crate::view::{LegState, Timestamp};
use serde::{Deserialize, Serialize};
use tipring_shm_proto::command::ProgressTone;

/// Whether a dial plan has a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeper {
    /// No.
    #[default]
    Nobody,
    /// It is about to.
    Entering,
    /// It has.
    Plan,
}

impl Switch {
    /// The caller of `call` enters a dial plan, answered or not.
    pub(super) fn enter_plan(
        &mut self,
        call: CallNumber,
        caller: &str,
        context: &str,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        // What leads here without a number, as a hotline, begins at `s`.
        let number = record.ends.to.strip_prefix("number:").unwrap_or("s").to_owned();
        let name = format!("{number}@{context}");
        record.ends.to = format!("app:{name}");
        record.legs.push(LegRecord::application(&name));
        record.stage = Stage::Entering;
        record.keeper = Keeper::Entering;
        let waits = record.leg(caller).is_some_and(|leg| leg.unaccepted);
        if !waits {
            do_(out, call, Order::Tone { line: caller.to_owned(), tone: None });
        }
        do_(out, call, Order::Established);
    }

    /// The plan answers its call. One that is answered already changes nothing, and gives `false`;
    /// else [`News::Connected`] follows.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn answer_kept(
        &mut self,
        call: CallNumber,
        now: Moment,
    ) -> Result<(bool, Vec<Action>), Cause> {
        let line = self.kept_line(call)?;
        let mut out = Vec::new();
        let Some(record) = self.calls.get_mut(&call) else { return Err(Cause::CallRejected) };
        if record.answered_at.is_some() {
            return Ok((false, out));
        }
        record.answered_at = Some(Timestamp(now.wall));
        record.stage = Stage::Entering;
        self.accept(call, &line, &mut out);
        do_(&mut out, call, Order::Tone { line, tone: None });
        do_(&mut out, call, Order::Established);
        Ok((true, out))
    }

    /// The caller hears that something is done: 180 for a phone that waits for its answer, else a
    /// tone, `None` being silence.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn indicate(
        &mut self,
        call: CallNumber,
        tone: Option<ProgressTone>,
    ) -> Result<Vec<Action>, Cause> {
        let line = self.kept_line(call)?;
        let mut out = Vec::new();
        let record = self.calls.get_mut(&call);
        if !record.and_then(|record| record.leg(&line)).is_some_and(|leg| leg.unaccepted) {
            do_(&mut out, call, Order::Tone { line, tone });
        } else if tone == Some(ProgressTone::Ringback) {
            do_(&mut out, call, Order::Alert { line });
        }
        Ok(out)
    }

    /// The plan's line hears itself, or does not any more.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn echo_kept(&mut self, call: CallNumber, on: bool) -> Result<Vec<Action>, Cause> {
        let line = self.kept_line(call)?;
        let mut out = Vec::new();
        do_(&mut out, call, if on { Order::Echo { line } } else { Order::EndEcho { line } });
        Ok(out)
    }

    /// Rings lines for the plan's caller; who answers first talks with it. [`News::DialOver`]
    /// follows when nobody answers, or when the one who did has gone. With `ringback` the caller
    /// hears ringing.
    ///
    /// # Errors
    /// Why nobody can be rung: busy where one of them is; nothing was changed.
    pub fn dial(
        &mut self,
        call: CallNumber,
        lines: &[String],
        ring: RingOrder,
        ringback: bool,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        let caller = self.kept_line(call)?;
        let (free, worst) = self.free_of(lines);
        let knocks = match lines {
            [line] if free.is_empty() && self.can_knock(line) => Some(line),
            _ if free.is_empty() => return Err(worst),
            _ => None,
        };
        let mut out = Vec::new();
        self.application_leaves(call, &caller, &mut out);
        let Some(record) = self.calls.get_mut(&call) else { return Err(Cause::CallRejected) };
        // One that was dialled before has a new leg.
        record.legs.retain(|leg| !leg.line.as_ref().is_some_and(|line| free.contains(line)));
        for (index, line) in free.iter().enumerate() {
            record.legs.insert(1 + index, LegRecord::line(line, LegState::Ringing));
        }
        record.caller_id = ring.caller;
        record.ring_timeout_ms = ring.timeout_ms;
        record.cadence_ms = ring.cadence_ms;
        if let Some(first) = free.first() {
            record.ends.to = format!("line:{first}");
        }
        record.stage = Stage::RingingTo;
        let waits = record.leg(&caller).is_some_and(|leg| leg.unaccepted);
        match (ringback, waits) {
            (true, true) => do_(&mut out, call, Order::Alert { line: caller }),
            (true, false) => {
                let tone = Some(ProgressTone::Ringback);
                do_(&mut out, call, Order::Tone { line: caller, tone });
            }
            (false, _) => {}
        }
        self.ring_all(call, &free, &mut out);
        if let Some(line) = knocks {
            self.knocks(call, line, now, &mut out);
        }
        Ok(out)
    }

    /// Stops ringing, or parts the plan's caller from whom it talks with: [`News::DialOver`] follows.
    /// Nothing happens when it dials nobody.
    pub fn end_dial(&mut self, call: CallNumber, cause: Cause) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(record) = self.calls.get_mut(&call) else { return out };
        let dials = matches!(record.stage, Stage::RingingTo | Stage::Joining | Stage::Talking);
        if record.keeper != Keeper::Plan || !dials {
            return out;
        }
        for leg in record.legs.iter_mut().skip(1) {
            let Some(line) = leg.line.clone() else { continue };
            match std::mem::replace(&mut leg.state, LegState::Ended) {
                LegState::Ringing => do_(&mut out, call, Order::StopRing { line, cause }),
                LegState::Connected | LegState::Held => {
                    do_(&mut out, call, Order::Drop { line, cause });
                }
                LegState::Idle | LegState::Ended => {}
            }
        }
        self.back_to_plan(call, cause, &mut out);
        out
    }

    pub(super) fn back_to_plan(&mut self, call: CallNumber, cause: Cause, out: &mut Vec<Action>) {
        self.knocks_no_more(call, out);
        self.release_callee(call);
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.stage = Stage::Application;
        for leg in record.legs.iter_mut().filter(|leg| leg.line.is_none()) {
            leg.state = LegState::Connected;
        }
        let caller = record.legs.first().filter(|leg| !leg.unaccepted);
        if let Some(line) = caller.and_then(|leg| leg.line.clone()) {
            do_(out, call, Order::Part { line: line.clone() });
            do_(out, call, Order::Tone { line, tone: None });
        }
        if let Some(record) = self.calls.get(&call) {
            let record = std::sync::Arc::new(record.clone());
            out.push(Action::Tell(News::DialOver(record, cause)));
        }
    }

    /// Somebody else takes the line of `call`: the plan has lost it.
    pub(super) fn plan_leaves(&mut self, call: CallNumber, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        if std::mem::take(&mut record.keeper) != Keeper::Nobody {
            self.tell(call, News::Taken, out);
        }
    }

    pub(super) fn kept_line(&self, call: CallNumber) -> Result<String, Cause> {
        match self.calls.get(&call) {
            Some(record) if record.keeper == Keeper::Plan => self.held_by_application(call),
            _ => Err(Cause::CallRejected),
        }
    }
}
