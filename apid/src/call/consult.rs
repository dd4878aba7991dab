//! Attended transfer without a phone that knows of it: whoever talks with the one who hands over
//! waits, that one talks with a third one first and hangs up, and the other two are joined.

use super::Cause;
use super::action::Order;
use super::dial_plan::Target;
use super::record::{CallNumber, LegRecord, Moment, Stage};
use super::switch::{Switch, do_};
use super::take::Others;
use crate::view::LegState;
use serde::{Deserialize, Serialize};

/// Of the call of one who asks a third one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consults {
    /// Where the other one waits.
    waits: CallNumber,
    /// Whom that one shall reach.
    target: Target,
    /// By which number.
    #[serde(default)]
    number: String,
}

impl Switch {
    /// The phone of `line` reaches `target` by `number`, while whoever it talks with waits. When it hangs up
    /// those two talk with each other; when the third one does, or cannot be had, the first two
    /// do again.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn consult(
        &mut self,
        line: &str,
        number: &str,
        target: Target,
        now: Moment,
    ) -> Result<Vec<super::Action>, Cause> {
        let (waits, _) = self.partner(line)?;
        if self.calls.get(&waits).is_some_and(|record| record.consults.is_some()) {
            return Err(Cause::CallRejected);
        }
        self.check_target(Some(&target))?;
        let mut out = Vec::new();
        let call = self.move_line(waits, line, Others::Stay, now, &mut out)?;
        if let Some(record) = self.calls.get_mut(&call) {
            let (number, target) = (number.to_owned(), target.clone());
            record.consults = Some(Consults { waits, target, number });
        }
        out.extend(self.hand_on_to(call, number, target, now)?);
        Ok(out)
    }

    /// Lines that wait while those they talked with talk with others.
    pub fn waiting_meanwhile(&self) -> Vec<String> {
        let running = || self.calls.values().filter(|record| !record.is_over());
        let consulted = running().filter_map(|record| Some(record.consults.as_ref()?.waits));
        let aside = running().filter(|record| record.is_held_aside()).map(|record| record.number);
        let waits = consulted.chain(aside);
        waits.filter_map(|call| self.held_by_application(call).ok()).collect()
    }

    /// What ends the call of `line` is the end of a consultation: `false` where it is none. `order`
    /// is what becomes of the line.
    pub(super) fn consultation_ends(
        &mut self,
        call: CallNumber,
        line: &str,
        cause: Cause,
        order: fn(String, Cause) -> Order,
        now: Moment,
        out: &mut Vec<super::Action>,
    ) -> bool {
        let Some(consults) = self.consults(call) else { return false };
        let Some(record) = self.calls.get_mut(&call) else { return false };
        let asks = record.legs.first().is_some_and(|leg| leg.line.as_deref() == Some(line));
        let Some(leg) = record.leg(line) else { return false };
        (leg.state, leg.cause) = (LegState::Ended, Some(cause));
        record.consults = None;
        let (stage, kept) = (record.stage, record.keeper != super::Keeper::Nobody);
        do_(out, call, order(line.to_owned(), cause));
        if !asks {
            self.returns(call, consults.waits, now, out);
            return true;
        }
        self.release_callee(call);
        match stage {
            Stage::Talking if !kept => {
                self.waits_alone(call, out);
                self.joined(consults.waits, call, now, out);
            }
            Stage::RingingTo if !kept => self.takes_place(call, consults.waits, now, out),
            _ => {
                self.end(call, cause, Some(line), now, out);
                let Consults { waits, target, number } = &consults;
                match self.hand_on_to(*waits, number, target.clone(), now) {
                    Ok(actions) => out.extend(actions),
                    Err(cause) => self.end(consults.waits, cause, None, now, out),
                }
            }
        }
        true
    }

    /// Whom the consultation of `call` was to reach cannot be had: `false` where it is none.
    pub(super) fn consultation_fails(
        &mut self,
        call: CallNumber,
        now: Moment,
        out: &mut Vec<super::Action>,
    ) -> bool {
        let Some(consults) = self.consults(call) else { return false };
        if let Some(record) = self.calls.get_mut(&call) {
            record.consults = None;
        }
        self.returns(call, consults.waits, now, out);
        true
    }

    /// The consultation of a call, if somebody still waits for it.
    fn consults(&self, call: CallNumber) -> Option<Consults> {
        let record = self.calls.get(&call).filter(|record| !record.is_over())?;
        let consults = record.consults.clone()?;
        self.held_by_application(consults.waits).is_ok().then_some(consults)
    }

    /// The one who asked talks with the one who waits again.
    fn returns(
        &mut self,
        call: CallNumber,
        waits: CallNumber,
        now: Moment,
        out: &mut Vec<super::Action>,
    ) {
        self.plan_leaves(call, out);
        self.gives_up_others(call, out);
        self.joined(waits, call, now, out);
    }

    fn joined(
        &mut self,
        waits: CallNumber,
        call: CallNumber,
        now: Moment,
        out: &mut Vec<super::Action>,
    ) {
        // Each has one line, and an application holds it.
        match self.bridge(waits, call, now) {
            Ok(actions) => out.extend(actions),
            Err(cause) => {
                self.end(call, cause, None, now, out);
                self.end(waits, cause, None, now, out);
            }
        }
    }

    /// The one who waits hears the third one's bell in place of the one who asked.
    fn takes_place(
        &mut self,
        call: CallNumber,
        waits: CallNumber,
        now: Moment,
        out: &mut Vec<super::Action>,
    ) {
        let Ok(line) = self.held_by_application(waits) else { return };
        self.plan_leaves(waits, out);
        if let Some(record) = self.calls.get_mut(&waits) {
            record.legs.iter_mut().for_each(|leg| leg.state = LegState::Ended);
        }
        if let Some(info) = self.lines.get_mut(&line) {
            info.call = Some(call);
        }
        self.end(waits, Cause::NormalClearing, None, now, out);
        if let Some(record) = self.calls.get_mut(&call) {
            record.legs.insert(0, LegRecord::line(&line, LegState::Connected));
            record.ends.from = format!("line:{line}");
        }
        let tone = Some(tipring_shm_proto::command::ProgressTone::Ringback);
        do_(out, call, Order::Tag { line: line.clone() });
        do_(out, call, Order::Tone { line, tone });
        self.tell(call, super::News::Ringing, out);
    }
}
