//! Where calls to a line go instead: at once, when it is busy, or when nobody answers.

use super::action::{Action, Order};
use super::record::{CallNumber, Moment};
use super::switch::{Switch, do_};
use super::{Cause, Keeper};
use crate::view::{DiversionView, LegState};

/// Lines that one call is sent on by, at most: whoever forwards in a circle is busy.
const MOST: u8 = 5;

impl Switch {
    /// Where calls to a line go from now on; `None` where there is no such line.
    pub fn set_diversion(&mut self, line: &str, diversion: DiversionView) -> Option<()> {
        self.lines.get_mut(line)?.diversion = diversion;
        Some(())
    }

    /// Where calls to a line go; `None` where there is no such line.
    pub fn diversion(&self, line: &str) -> Option<&DiversionView> {
        self.lines.get(line).map(|info| &info.diversion)
    }

    /// How long a line rings that sends on what nobody answers.
    pub(super) fn rings_for_ms(&self, call: CallNumber, line: &str, timeout_ms: u32) -> u32 {
        let kept = self.calls.get(&call).is_some_and(|record| record.keeper != Keeper::Nobody);
        let diversion = self.diversion(line).filter(|d| !kept && d.no_answer.is_some());
        let after_ms = diversion.and_then(|diversion| diversion.no_answer_after_ms);
        after_ms.map_or(timeout_ms, |after_ms| after_ms.min(timeout_ms))
    }

    /// Sends the call on, where `line` wants that; `false`: it does not. `cause` is why it cannot be
    /// had, `None` before anybody has looked.
    pub(super) fn diverts(
        &mut self,
        call: CallNumber,
        line: &str,
        cause: Option<Cause>,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(diversion) = self.diversion(line) else { return false };
        let number = match cause {
            None => &diversion.always,
            Some(Cause::UserBusy) => &diversion.busy,
            Some(Cause::NoAnswer) => &diversion.no_answer,
            Some(_) => return false,
        };
        let Some(number) = number.clone() else { return false };
        let Some(record) = self.calls.get_mut(&call) else { return false };
        // One that the API rings by itself is meant, and no other.
        let Some(caller) = record.legs.first().and_then(|leg| leg.line.clone()) else {
            return false;
        };
        record.diverted += 1;
        if record.diverted > MOST {
            self.callee_failed(call, Cause::UserBusy, None, now, out);
            return true;
        }
        if let Some(leg) = record.leg(line).filter(|leg| leg.state == LegState::Ringing) {
            (leg.state, leg.cause) = (LegState::Ended, Some(Cause::NoAnswer));
            do_(out, call, Order::StopRing { line: line.to_owned(), cause: Cause::NoAnswer });
        }
        self.release_callee(call);
        let target = self.target_of(line, &number, now.wall).cloned();
        let Some(record) = self.calls.get_mut(&call) else { return false };
        record.ends.to = format!("number:{number}");
        self.route(call, &caller, target, out, now);
        true
    }
}
