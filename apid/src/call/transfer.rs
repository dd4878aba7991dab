//! Transfer: one end of a call hands the other end over to somebody else, and leaves.

use super::Cause;
use super::action::{Action, Order};
use super::dial_plan::Target;
use super::record::{CallNumber, LegRecord, Moment, Stage};
use super::settings::Busy;
use super::switch::{Switch, do_};
use crate::view::LegState;

/// Whom the other end shall talk with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferTo {
    /// Whoever has this number; it rings there (blind).
    Number(String),
    /// Whoever this line talks with in its own call (attended).
    CallOf(String),
}

impl Switch {
    /// The phone of `line` leaves its call, and whoever it talks with talks with `to` instead.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn transfer(
        &mut self,
        line: &str,
        to: &TransferTo,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        let (call, other) = self.partner(line)?;
        let mut out = Vec::new();
        match to {
            TransferTo::Number(number) => {
                let target = self.target_of(line, number, now.wall).cloned();
                match &target {
                    Some(Target::Trunk(name)) => self.check_way_out(&other, name)?,
                    target => self.check_target(target.as_ref())?,
                }
                self.leave(call, line, &mut out);
                let caller_id = self.default_ring(&other).caller;
                if let Some(record) = self.calls.get_mut(&call) {
                    record.caller_id = caller_id;
                    record.ends.from = format!("line:{other}");
                    record.ends.to = format!("number:{number}");
                }
                self.route(call, &other, target, &mut out, now);
            }
            TransferTo::CallOf(second) => {
                let (second_call, third) = self.partner(second)?;
                if second_call == call {
                    return Err(Cause::CallRejected);
                }
                self.leave(call, line, &mut out);
                self.join(call, &other, (second_call, second, &third), now, &mut out);
            }
        }
        Ok(out)
    }

    /// The call in which a line talks with another line, and that line.
    pub(super) fn partner(&self, line: &str) -> Result<(CallNumber, String), Cause> {
        let call = self.call_of(line).ok_or(Cause::NormalClearing)?;
        let record = self.calls.get(&call).filter(|record| record.stage == Stage::Talking);
        let talks = |leg: &&LegRecord| {
            matches!(leg.state, LegState::Connected | LegState::Held)
                && leg.line.as_deref().is_some_and(|other| other != line)
        };
        let other = record.and_then(|record| record.legs.iter().find(talks));
        let other = other.and_then(|leg| leg.line.clone()).ok_or(Cause::CallRejected)?;
        Ok((call, other))
    }

    pub(super) fn check_target(&self, target: Option<&Target>) -> Result<(), Cause> {
        let line = match target.ok_or(Cause::UnallocatedNumber)? {
            Target::Line(line) => line,
            // What to call by it is not known here.
            Target::Trunk(_) => return Err(Cause::CallRejected),
            Target::Group(lines) => {
                let (free, worst) = self.free_of(lines);
                return if free.is_empty() { Err(worst) } else { Ok(()) };
            }
            _ => return Ok(()),
        };
        self.check_free(line).map_err(Busy::cause)
    }

    /// Takes a leg out of a call that goes on; whoever stays comes first.
    fn leave(&mut self, call: CallNumber, line: &str, out: &mut Vec<Action>) {
        let caller = self.calls.get(&call).and_then(|record| record.legs.first()?.line.as_deref());
        if caller == Some(line) {
            // Whom a plan had is gone; whoever stays is nobody's.
            self.plan_leaves(call, out);
        }
        let Some(record) = self.calls.get_mut(&call) else { return };
        for leg in &mut record.legs {
            leg.state = match leg.state {
                _ if leg.line.as_deref() == Some(line) => LegState::Ended,
                LegState::Held => LegState::Connected,
                other => other,
            };
        }
        record.legs.sort_by_key(|leg| leg.state == LegState::Ended);
        if let Some(info) = self.lines.get_mut(line) {
            info.call = None;
            if info.sip {
                do_(out, call, Order::Transferred { line: line.to_owned() });
            }
        }
        let cause = Cause::NormalClearing;
        do_(out, call, Order::Drop { line: line.to_owned(), cause });
    }

    /// `other` of `call` and the third one of a second call talk with each other; whoever else was
    /// in that call leaves it, and it is over.
    fn join(
        &mut self,
        call: CallNumber,
        other: &str,
        (second_call, second, third): (CallNumber, &str, &str),
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        // Everything by this call's orders, so that it comes one after the other.
        let cause = Cause::NormalClearing;
        do_(out, call, Order::Drop { line: second.to_owned(), cause });
        if let Some(record) = self.calls.get_mut(&second_call) {
            for leg in &mut record.legs {
                leg.state = LegState::Ended;
            }
        }
        for (line, now_in) in [(second, None), (third, Some(call))] {
            if let Some(info) = self.lines.get_mut(line) {
                info.call = now_in;
            }
        }
        self.end(second_call, cause, None, now, out);
        if let Some(record) = self.calls.get_mut(&call) {
            record.legs.insert(1, LegRecord::line(third, LegState::Connected));
            record.ends.from = format!("line:{other}");
            record.ends.to = format!("line:{third}");
            record.stage = Stage::Joining;
        }
        // Whoever left has been hung up on, but these two learn of it a frame later.
        for line in [other, third] {
            do_(out, call, Order::Part { line: line.to_owned() });
        }
        do_(out, call, Order::Tag { line: third.to_owned() });
        let (line, peer) = (other.to_owned(), third.to_owned());
        do_(out, call, Order::Bridge { line, peer });
        do_(out, call, Order::Established);
    }
}
