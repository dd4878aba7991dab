//! Ring groups: several lines ring for one call, and who answers first talks.

use super::Cause;
use super::action::Action;
use super::kept::DIAL_MAX;
use super::record::{CallNumber, LegRecord, Moment, Stage};
use super::settings::Busy;
use super::switch::Switch;
use crate::view::LegState;
use tipring_shm_proto::command::LineState;

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
        for line in &free {
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
                Ok(()) | Err(Busy::Line(LineState::Offline | LineState::Fault) | Busy::Absent) => {}
                Err(Busy::Line(_) | Busy::Full) => worst = Cause::UserBusy,
            }
        }
        (free, worst)
    }
}
