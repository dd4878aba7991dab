//! Calls that a dial plan has: what it is told, and what it can do with them. It acts for nobody
//! but whoever wrote the plan, and asks nobody's permission.

use super::{Cause, Control, Refused, lock, moment};
use crate::call::{
    Action, CallNumber, CallRecord, Keeper, Moment, News, Others, RingOrder, Role, Switch,
};
use crate::view::{CallerIdView, LegState};
use tipring_shm_proto::command::ProgressTone;

/// What whoever runs dial plans is told of their calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanNote {
    /// A line begins there.
    Entered {
        /// Its call.
        call: String,
        /// It.
        line: String,
        /// What it dialled, or `s`.
        number: String,
        /// In which context.
        context: String,
    },
    /// The call was answered, or who was dialled talks with its line.
    Connected {
        /// The call.
        call: String,
        /// Who was dialled.
        with: Option<String>,
    },
    /// Dialling is over, with whom it was answered too.
    DialOver {
        /// The call.
        call: String,
        /// Why.
        cause: Cause,
    },
    /// Somebody else has the line now.
    Taken {
        /// The call.
        call: String,
    },
    /// The call is over.
    Ended {
        /// It.
        call: String,
        /// Why.
        cause: Cause,
    },
}

/// Whoever runs dial plans. Its methods never wait: calls are locked meanwhile.
pub trait PlanRunner: Send + Sync {
    /// Something happened to a call of a plan, or to one that is none of theirs.
    fn note(&self, note: PlanNote);
}

/// How a plan rings somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDial {
    /// All at once.
    pub lines: Vec<String>,
    /// Shown to them.
    pub caller: CallerIdView,
    /// 1 to 600 000.
    pub timeout_ms: u32,
    /// The caller hears ringing.
    pub ringback: bool,
}

impl Control {
    /// Who runs dial plans from now on; the first one wins.
    pub fn run_plans_by(&self, runner: std::sync::Arc<dyn PlanRunner>) {
        let _ = self.0.plan_runner.set(runner);
    }

    /// Tells whoever runs dial plans.
    pub(super) fn tell_plans(&self, news: &News) {
        let Some(runner) = self.0.plan_runner.get() else {
            if let News::Entered(record) = news {
                tracing::error!(call = %record.number, "nobody runs dial plans");
            }
            return;
        };
        let note = match news {
            News::Entered(record) => {
                let name = record.ends.to.strip_prefix("app:").unwrap_or_default();
                let (number, context) = name.split_once('@').unwrap_or((name, "default"));
                PlanNote::Entered {
                    call: record.number.to_string(),
                    line: record.lines().next().unwrap_or_default().to_owned(),
                    number: number.to_owned(),
                    context: context.to_owned(),
                }
            }
            News::Connected(record) => {
                let others = record.legs.iter().skip(1);
                let talks = |leg: &&crate::call::LegRecord| {
                    matches!(leg.state, LegState::Connected | LegState::Held)
                };
                let with = others.filter(talks).find_map(|leg| leg.line.clone());
                PlanNote::Connected { call: record.number.to_string(), with }
            }
            News::DialOver(record, cause) => {
                PlanNote::DialOver { call: record.number.to_string(), cause: *cause }
            }
            News::Taken(record) => PlanNote::Taken { call: record.number.to_string() },
            News::Ended(record) => {
                let cause = record.cause.unwrap_or(Cause::NormalClearing);
                PlanNote::Ended { call: record.number.to_string(), cause }
            }
            News::Started(_)
            | News::Ringing(_)
            | News::Held(_)
            | News::Resumed(_)
            | News::JoinedConference(_)
            | News::MutedInConference(_)
            | News::LeftConference(_) => return,
        };
        runner.note(note);
    }

    /// A plan takes a line out of whatever it does; gives the call in which it is alone then, which
    /// is another one where it talked with somebody.
    ///
    /// # Errors
    /// `CallState`.
    pub fn plan_takes(&self, line: &str, others: Others) -> Result<String, Refused> {
        let mut switch = lock(&self.0.switch);
        let (call, actions) = switch.keep_line(line, others, moment(&self.0)).map_err(refused)?;
        self.apply(&mut switch, actions);
        Ok(call.to_string())
    }

    /// Answers a plan's call; `false`: it is answered already. Else [`PlanNote::Connected`] follows.
    ///
    /// # Errors
    /// `NoSuchCall`, `CallState`.
    pub fn plan_answers(&self, call: &str) -> Result<bool, Refused> {
        let mut first = false;
        self.plan_changes(call, |switch, call, now| {
            let (answers, actions) = switch.answer_kept(call, now)?;
            first = answers;
            Ok(actions)
        })?;
        Ok(first)
    }

    /// Has the line of a plan's call hear a tone, or none; a SIP phone that is not answered hears
    /// ringing only.
    ///
    /// # Errors
    /// `NoSuchCall`, `CallState`.
    pub fn plan_indicates(&self, call: &str, tone: Option<ProgressTone>) -> Result<(), Refused> {
        self.plan_changes(call, |switch, call, _| switch.indicate(call, tone))
    }

    /// Has the line of a plan's call hear itself, or not any more.
    ///
    /// # Errors
    /// `NoSuchCall`, `CallState`.
    pub fn plan_echoes(&self, call: &str, on: bool) -> Result<(), Refused> {
        self.plan_changes(call, |switch, call, _| switch.echo_kept(call, on))
    }

    /// Rings lines for a plan's call. Who answers first talks with its line: `Connected`; `DialOver`
    /// follows in any case.
    ///
    /// # Errors
    /// The cause where nobody can be rung.
    pub async fn plan_dials(&self, call: &str, dial: PlanDial) -> Result<(), Cause> {
        let number = CallNumber::parse(call).ok_or(Cause::CallRejected)?;
        let lines: Vec<&str> = dial.lines.iter().map(String::as_str).collect();
        self.settle(&lines).await;
        let mut switch = lock(&self.0.switch);
        let ring =
            RingOrder { caller: dial.caller, timeout_ms: dial.timeout_ms, cadence_ms: Vec::new() };
        let actions = switch.dial(number, &dial.lines, ring, dial.ringback, moment(&self.0))?;
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// Has the line of a plan's call sit down in a conference, answered then: `Connected`; and `DialOver`
    /// when it is asked to leave by somebody else.
    ///
    /// # Errors
    /// `NoSuchCall`; `CallState` with the reason, as that the conference is full; `Invalid` for no
    /// name of one.
    pub fn plan_confers(&self, call: &str, name: &str, role: Role) -> Result<(), Refused> {
        super::conferences::check_name(name)?;
        self.plan_changes(call, |switch, call, now| switch.confer_kept(call, name, role, now))
    }

    /// The line of a plan's call leaves its conference; [`PlanNote::DialOver`] follows.
    ///
    /// # Errors
    /// `NoSuchCall`; `CallState` where it sits in none.
    pub fn plan_leaves_conference(&self, call: &str) -> Result<(), Refused> {
        self.plan_changes(call, Switch::kept_leaves_conference)
    }

    /// Ends what [`Control::plan_dials`] began, if it lasts.
    pub fn plan_ends_dial(&self, call: &str) {
        let Some(number) = CallNumber::parse(call) else { return };
        let mut switch = lock(&self.0.switch);
        let actions = switch.end_dial(number, Cause::NormalClearing);
        self.apply(&mut switch, actions);
    }

    /// Ends a plan's call; a SIP phone that was not answered is refused with that cause. One that
    /// another has now, or that is over, stays as it is.
    pub fn plan_ends(&self, call: &str, cause: Cause) {
        let Some(number) = CallNumber::parse(call) else { return };
        let mut switch = lock(&self.0.switch);
        let kept = switch.call(number).is_some_and(|record| record.keeper == Keeper::Plan);
        if kept {
            let actions = switch.end_call(number, cause, moment(&self.0));
            self.apply(&mut switch, actions);
        }
    }

    /// Whether a plan's call was answered.
    pub fn plan_is_answered(&self, call: &str) -> bool {
        let number = CallNumber::parse(call);
        let switch = lock(&self.0.switch);
        let record = number.and_then(|number| switch.call(number));
        record.is_some_and(|record: &CallRecord| record.answered_at.is_some())
    }

    fn plan_changes(
        &self,
        call: &str,
        change: impl FnOnce(&mut Switch, CallNumber, Moment) -> Result<Vec<Action>, Cause>,
    ) -> Result<(), Refused> {
        let number = CallNumber::parse(call).ok_or(Refused::NoSuchCall)?;
        let mut switch = lock(&self.0.switch);
        let actions = change(&mut switch, number, moment(&self.0)).map_err(refused)?;
        self.apply(&mut switch, actions);
        Ok(())
    }
}

fn refused(cause: Cause) -> Refused {
    Refused::CallState(cause.text().to_owned())
}
