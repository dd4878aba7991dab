//! Numbers that programs answer while they are connected.

use super::Cause;
use super::action::Action;
use super::dial_plan::Target;
use super::pattern::Fit;
use super::record::{CallNumber, CallRecord, Moment, Stage};
use super::switch::Switch;
use crate::view::LegState;

/// Why a program may not answer a number. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimRefused {
    /// No program may answer it.
    NotClaimable,
    /// It reaches somebody.
    Taken,
    /// So many are answered as may be.
    Full,
}

impl Switch {
    /// From now on this number reaches the application of the same name, `max_calls` at once. What
    /// an earlier program of that number left behind ends.
    ///
    /// # Errors
    /// [`ClaimRefused`].
    pub fn claim(
        &mut self,
        number: &str,
        max_calls: usize,
        now: Moment,
    ) -> Result<Vec<Action>, ClaimRefused> {
        let fits = |fit| matches!(fit, Fit::Complete | Fit::AndGoesOn);
        if !self.config.claimable.iter().any(|pattern| fits(pattern.fit(number))) {
            return Err(ClaimRefused::NotClaimable);
        }
        if self.config.plan.knows(number) || self.everybody.knows(number) {
            return Err(ClaimRefused::Taken);
        }
        if self.claims.len() >= self.config.max_claims {
            return Err(ClaimRefused::Full);
        }
        self.config.plan.add(number, Target::Application(number.to_owned()));
        self.claims.insert(number.to_owned(), max_calls);
        Ok(self.end_calls_of(number, now))
    }

    /// The program is gone: the number reaches nobody, and the calls that it held end.
    pub fn give_up_claim(&mut self, number: &str, now: Moment) -> Vec<Action> {
        if self.claims.remove(number).is_none() {
            return Vec::new();
        }
        self.config.plan.remove(number);
        self.end_calls_of(number, now)
    }

    /// The caller reaches an application, unless that is a program with no more room.
    pub(super) fn enter(
        &mut self,
        call: CallNumber,
        caller: &str,
        application: &str,
        out: &mut Vec<Action>,
        now: Moment,
    ) {
        if self.is_occupied(application) {
            self.callee_failed(call, Cause::UserBusy, None, now, out);
            return;
        }
        self.enter_application(call, caller, application, out);
    }

    /// Whether the program of that name holds as many calls as it takes.
    fn is_occupied(&self, application: &str) -> bool {
        self.claims
            .get(application)
            .is_some_and(|max_calls| self.calls_of(application).count() >= *max_calls)
    }

    fn end_calls_of(&mut self, application: &str, now: Moment) -> Vec<Action> {
        let mut out = Vec::new();
        for call in self.calls_of(application).collect::<Vec<_>>() {
            self.end(call, Cause::TemporaryFailure, None, now, &mut out);
        }
        out
    }

    fn calls_of(&self, application: &str) -> impl Iterator<Item = CallNumber> {
        let address = format!("app:{application}");
        let holds = move |record: &&CallRecord| {
            matches!(record.stage, Stage::Entering | Stage::Application)
                && record
                    .legs
                    .iter()
                    .any(|leg| leg.address == address && leg.state != LegState::Ended)
        };
        self.calls.values().filter(holds).map(|record| record.number)
    }
}
