//! Calls out by a trunk: one of its lines that is free calls what was dialled.

use super::Cause;
use super::action::Action;
use super::record::{CallNumber, Moment};
use super::settings::{Busy, Trunk};
use super::switch::Switch;
use tipring_shm_proto::command::LineState;

impl Switch {
    /// Lines of a trunk.
    pub fn trunk_lines(&self, name: &str) -> &[String] {
        self.config.trunks.get(name).map_or(&[], |trunk| &trunk.lines)
    }

    /// Whether a line is a trunk's.
    fn is_trunk(&self, line: &str) -> bool {
        let has = |trunk: &Trunk| trunk.lines.iter().any(|own| own == line);
        self.config.trunks.values().any(has)
    }

    /// The caller of `call` reaches what it dialled by a trunk. Whoever came by one does not: that
    /// would be a stranger's call at our cost.
    pub(super) fn call_out(
        &mut self,
        call: CallNumber,
        caller: &str,
        name: &str,
        out: &mut Vec<Action>,
        now: Moment,
    ) {
        match self.way_out(call, caller, name) {
            Ok((line, number)) => self.rings_by(call, &line, Some(number), out),
            Err(cause) => self.callee_failed(call, cause, None, now, out),
        }
    }

    fn way_out(
        &self,
        call: CallNumber,
        caller: &str,
        name: &str,
    ) -> Result<(String, String), Cause> {
        let (trunk, line) = self.free_way_out(caller, name)?;
        let record = self.calls.get(&call).ok_or(Cause::NormalClearing)?;
        let dialled = record.ends.to.strip_prefix("number:");
        let number =
            dialled.and_then(|dialled| trunk.sends(dialled)).ok_or(Cause::InvalidNumber)?;
        Ok((line, number))
    }

    /// Whether `caller` could call out by a trunk now.
    pub(super) fn check_way_out(&self, caller: &str, name: &str) -> Result<(), Cause> {
        self.free_way_out(caller, name).map(|_| ())
    }

    fn free_way_out(&self, caller: &str, name: &str) -> Result<(&Trunk, String), Cause> {
        let trunk = self.config.trunks.get(name).ok_or(Cause::UnallocatedNumber)?;
        if self.is_trunk(caller) {
            return Err(Cause::CallRejected);
        }
        self.free_line_of(trunk).map(|line| (trunk, line))
    }

    /// A line of a trunk that is free; otherwise why there is none.
    fn free_line_of(&self, trunk: &Trunk) -> Result<String, Cause> {
        let mut cause = Cause::NetworkOutOfOrder;
        for line in &trunk.lines {
            match self.check_free(line) {
                Ok(()) => return Ok(line.clone()),
                Err(Busy::Absent | Busy::Line(LineState::Offline | LineState::Fault)) => {}
                // Q.850 has "no circuit" for it; callers know it as busy.
                Err(_) => cause = Cause::UserBusy,
            }
        }
        Err(cause)
    }
}
