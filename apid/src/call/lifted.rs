//! What a lifted phone does, by configuration: dial plans, hotlines, applications. May be replaced
//! while calls run: they go on as they began.

use super::action::{Action, News, Order};
use super::dial_plan::{DialPlan, Match, Target};
use super::record::{CallNumber, Moment};
use super::switch::{Switch, do_};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What a lifted phone does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lifted {
    /// Hears dial tone and dials.
    #[default]
    Dials,
    /// Reaches this at once.
    Hotline(Target),
    /// Nothing but what is told to programs.
    Events,
}

/// One line's.
#[derive(Clone, Debug, Default)]
pub struct LinePlan {
    /// What lifting does.
    pub lifted: Lifted,
    /// Tried before the numbers that everybody has.
    pub plan: DialPlan,
    /// What its hook switch does in a call.
    pub services: Services,
}

/// What an analog line offers whoever talks on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Who calls meanwhile is announced by a tone, and a flash answers.
    pub call_waiting: bool,
    /// A flash gives dial tone to call a third one, and another one joins all three.
    pub three_way: bool,
}

impl Switch {
    /// From now on lifted phones do this; a line that is not in `plans` dials the numbers that
    /// everybody has. Calls that run are not touched.
    /// `everybody` are the numbers of a dial plan, tried last.
    pub fn set_line_plans(&mut self, plans: BTreeMap<String, LinePlan>, everybody: DialPlan) {
        self.line_plans = plans;
        self.everybody = everybody;
    }

    /// What the hook switch of an analog line does.
    pub(super) fn services(&self, line: &str) -> Services {
        let analog = self.lines.get(line).is_some_and(|info| !info.sip);
        let plan = self.line_plans.get(line).filter(|_| analog);
        plan.map(|plan| plan.services).unwrap_or_default()
    }

    /// What a number reaches when it is dialled on `line` then.
    pub fn target_of(&self, line: &str, number: &str, at: SystemTime) -> Option<&Target> {
        let own = self.line_plans.get(line).and_then(|plan| plan.plan.target(number, at));
        let common = || self.config.plan.target(number, at);
        own.or_else(common).or_else(|| self.everybody.target(number, at))
    }

    /// What digits dialled on `line` mean so far.
    pub(super) fn match_digits(&self, line: &str, digits: &str, at: SystemTime) -> Match {
        let own = self.line_plans.get(line);
        let own = own.map_or(Match::Unknown, |plan| plan.plan.match_digits(digits, at));
        let common = self.config.plan.match_digits(digits, at);
        own.or(common).or(self.everybody.match_digits(digits, at))
    }

    /// A phone was lifted that is in no call and hears dial tone.
    pub(super) fn lifted(&mut self, line: &str, now: Moment, out: &mut Vec<Action>) {
        let lifted = self.line_plans.get(line).map(|plan| plan.lifted.clone()).unwrap_or_default();
        match lifted {
            Lifted::Dials => self.start_dialling(line),
            Lifted::Events => {
                let order = Order::Tone { line: line.to_owned(), tone: None };
                do_(out, CallNumber(0), order);
            }
            Lifted::Hotline(target) => self.hotline(line, target, now, out),
        }
    }

    fn hotline(&mut self, line: &str, target: Target, now: Moment, out: &mut Vec<Action>) {
        let to = "app:hotline".to_owned();
        let Some(call) = self.begin_from(line, to, now, out) else { return };
        do_(out, call, Order::Tone { line: line.to_owned(), tone: None });
        self.tell(call, News::Started, out);
        self.route(call, line, Some(target), out, now);
    }
}
