//! A line is taken out of what it does, to go on elsewhere; one leg of a call is hung up on.

use super::Cause;
use super::action::{Action, News, Order};
use super::dial_plan::Target;
use super::kept::Keeper;
use super::record::{CallNumber, Ends, LegRecord, Moment, Stage};
use super::settings::Busy;
use super::switch::{Switch, do_};
use crate::view::{LegState, Timestamp};

/// What becomes of whoever a line talks with when it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// A dial plan that dialled it goes on; anybody else is hung up on.
    Left,
    /// Stays in its call, and waits there to be taken too.
    Stay,
}

impl Switch {
    /// Hangs up on one line. A plan that dialled it, and whoever else that rings, goes on; any
    /// other call is over.
    pub fn hang_up(&mut self, line: &str, cause: Cause, now: Moment) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(call) = self.call_of(line) else { return out };
        let leg = self.calls.get_mut(&call).and_then(|record| record.leg(line));
        let order = match leg.map(|leg| leg.state) {
            Some(LegState::Ringing) => |line, cause| Order::StopRing { line, cause },
            _ => |line, cause| Order::Drop { line, cause },
        };
        if !self.consultation_ends(call, line, cause, order, now, &mut out)
            && !self.dialled_leg_gone(call, line, cause, order, &mut out)
        {
            self.end(call, cause, None, now, &mut out);
        }
        out
    }

    /// A dial plan takes a line out of whatever it does; gives the call in which it is alone then,
    /// which is another one where it talked with somebody.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn keep_line(
        &mut self,
        line: &str,
        others: Others,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Cause> {
        let mut out = Vec::new();
        let call = self.take_line(line, others, now, &mut out)?;
        self.stand_up(call, &mut out);
        if let Some(record) = self.calls.get_mut(&call) {
            record.keeper = Keeper::Plan;
        }
        Ok((call, out))
    }

    /// A line reaches `target` instead of whatever it does.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn redirect(
        &mut self,
        line: &str,
        target: Target,
        others: Others,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Cause> {
        self.check_target(Some(&target))?;
        let mut out = Vec::new();
        let call = self.take_line(line, others, now, &mut out)?;
        out.extend(self.hand_on(call, target, now)?);
        Ok((call, out))
    }

    /// Two lines talk with each other instead of whatever they do.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn bridge_lines(
        &mut self,
        line: &str,
        other: &str,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        let (call, with) = (self.call_of(line), self.call_of(other));
        if call == with || !self.can_be_taken(line) || !self.can_be_taken(other) {
            return Err(Cause::CallRejected);
        }
        // Each may need a call of its own on the way.
        if self.calls.len() + 2 > self.config.max_calls {
            return Err(Cause::ResourceUnavailable);
        }
        let mut out = Vec::new();
        let call = self.take_line(line, Others::Left, now, &mut out)?;
        let with = self.take_line(other, Others::Left, now, &mut out)?;
        out.extend(self.bridge(call, with, now)?);
        Ok(out)
    }

    fn can_be_taken(&self, line: &str) -> bool {
        let Some(call) = self.call_of(line) else { return false };
        let Some(record) = self.calls.get(&call) else { return false };
        let talks = |leg: &LegRecord| matches!(leg.state, LegState::Connected | LegState::Held);
        let ours = record.legs.iter().find(|leg| leg.line.as_deref() == Some(line));
        let first = record.legs.first().and_then(|leg| leg.line.as_deref()) == Some(line);
        match record.stage {
            Stage::Talking => ours.is_some_and(talks) && self.calls.len() < self.config.max_calls,
            Stage::RingingTo => first && record.socket.is_none() && ours.is_some_and(talks),
            _ => self.held_by_application(call).is_ok_and(|held| held == line),
        }
    }

    /// The line is alone in its call, which an application holds, from then on.
    pub(super) fn take_line(
        &mut self,
        line: &str,
        others: Others,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> Result<CallNumber, Cause> {
        let call = self.call_of(line).ok_or(Cause::CallRejected)?;
        if !self.can_be_taken(line) {
            return Err(Cause::CallRejected);
        }
        let Some(record) = self.calls.get(&call) else { return Err(Cause::CallRejected) };
        let first = record.legs.first().and_then(|leg| leg.line.as_deref()) == Some(line);
        let kept = record.keeper == Keeper::Plan;
        match record.stage {
            // Whom it dialled, itself or by its plan, is no matter of the call any more.
            Stage::RingingTo => self.gives_up_others(call, out),
            Stage::Talking if first && kept && others == Others::Left => {
                self.gives_up_others(call, out);
            }
            Stage::Talking => return self.move_line(call, line, others, now, out),
            _ => {}
        }
        Ok(call)
    }

    /// The caller of `call` is alone in it from now on.
    pub(super) fn gives_up_others(&mut self, call: CallNumber, out: &mut Vec<Action>) {
        self.knocks_no_more(call, out);
        let Some(record) = self.calls.get_mut(&call) else { return };
        let cause = Cause::NormalClearing;
        for leg in record.legs.iter_mut().skip(1) {
            let Some(line) = leg.line.clone() else { continue };
            match std::mem::replace(&mut leg.state, LegState::Ended) {
                LegState::Ringing => do_(out, call, Order::StopRing { line, cause }),
                LegState::Connected | LegState::Held => do_(out, call, Order::Drop { line, cause }),
                LegState::Idle | LegState::Ended => {}
            }
        }
        self.waits_alone(call, out);
    }

    /// The first line of `call` is the only one left in it.
    pub(super) fn waits_alone(&mut self, call: CallNumber, out: &mut Vec<Action>) {
        self.release_callee(call);
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.legs.sort_by_key(|leg| leg.state == LegState::Ended);
        record.legs.retain(|leg| leg.line.is_some());
        record.legs.insert(1, LegRecord::application("plan"));
        record.stage = Stage::Application;
        let Some(leg) = record.legs.first_mut() else { return };
        if leg.state == LegState::Held {
            leg.state = LegState::Connected;
        }
        let (line, waits) = (leg.line.clone().unwrap_or_default(), leg.unaccepted);
        record.ends = Ends { from: format!("line:{line}"), to: "app:plan".to_owned() };
        if !waits {
            do_(out, call, Order::Part { line: line.clone() });
            do_(out, call, Order::Tone { line, tone: None });
        }
    }

    /// A line that talks has a call of its own from now on.
    pub(super) fn move_line(
        &mut self,
        from: CallNumber,
        line: &str,
        others: Others,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> Result<CallNumber, Cause> {
        let ends = Ends { from: format!("line:{line}"), to: "app:plan".to_owned() };
        let legs = vec![LegRecord::line(line, LegState::Connected), LegRecord::application("plan")];
        let ring = self.default_ring(line);
        let call = self.begin(ends, legs, Stage::Application, ring, now);
        let call = call.map_err(|_: Busy| Cause::ResourceUnavailable)?;
        if let Some(record) = self.calls.get_mut(&call) {
            record.answered_at = Some(Timestamp(now.wall));
        }
        let tone = Order::Tone { line: line.to_owned(), tone: None };
        for order in
            [Order::Part { line: line.to_owned() }, Order::Tag { line: line.to_owned() }, tone]
        {
            do_(out, call, order);
        }
        self.tell(call, News::Started, out);
        self.tell(call, News::Connected, out);
        let Some(record) = self.calls.get_mut(&from) else { return Ok(call) };
        let first = record.legs.first().and_then(|leg| leg.line.as_deref()) == Some(line);
        if let Some(leg) = record.leg(line) {
            leg.state = LegState::Ended;
        }
        match (others, record.keeper) {
            (Others::Stay, keeper) => {
                self.waits_alone(from, out);
                if first && keeper != Keeper::Nobody {
                    self.plan_leaves(from, out);
                }
            }
            (Others::Left, Keeper::Plan) => self.back_to_plan(from, Cause::NormalClearing, out),
            (Others::Left, _) => self.end(from, Cause::NormalClearing, None, now, out),
        }
        Ok(call)
    }
}
