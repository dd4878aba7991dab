//! Which number reaches what, and when enough digits were dialled.

use super::pattern::{Fit, Pattern};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a number reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A line.
    Line(String),
    /// The caller hears himself.
    Echo,
    /// The caller hears dial tone and dials again.
    DialTone,
    /// The dial plan of `extensions.conf`, in this context.
    Plan(String),
    /// An application of that name, which is told by events and commands by the API.
    Application(String),
    /// A conference, by its name.
    Conference(String),
    /// An application behind a socket, by its URL; it is dialled.
    Socket(String),
}

/// What digits mean so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// A number, and no longer one begins with it.
    Complete(Target),
    /// A number, but a longer one begins with it too.
    MayGoOn(Target),
    /// Some number begins with it.
    Incomplete,
    /// No number begins with it.
    Unknown,
}

impl Match {
    /// What digits mean where `self` is asked first and `other` after it.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, other) => other,
            (Self::Incomplete, Self::Complete(target) | Self::MayGoOn(target)) => {
                Self::MayGoOn(target)
            }
            (own, _) => own,
        }
    }
}

/// All numbers.
#[derive(Clone, Debug, Default)]
pub struct DialPlan {
    numbers: BTreeMap<String, Target>,
    /// What takes less comes first.
    patterns: Vec<(Pattern, Target)>,
}

impl DialPlan {
    /// Gives `number` a target; the last one given holds.
    pub fn add(&mut self, number: &str, target: Target) {
        self.numbers.insert(number.to_owned(), target);
    }

    /// Takes from `number` what [`Self::add`] gave it.
    pub fn remove(&mut self, number: &str) {
        self.numbers.remove(number);
    }

    /// Gives what fits `pattern`, and is no number given by [`Self::add`], a target.
    pub fn add_pattern(&mut self, pattern: Pattern, target: Target) {
        let at = self.patterns.partition_point(|(other, _)| other.order(&pattern).is_le());
        self.patterns.insert(at, (pattern, target));
    }

    /// What this number reaches.
    pub fn target(&self, number: &str) -> Option<&Target> {
        let by_pattern = || {
            let fits = |fit| matches!(fit, Fit::Complete | Fit::AndGoesOn);
            let mut patterns = self.patterns.iter();
            patterns.find(|(pattern, _)| fits(pattern.fit(number))).map(|(_, target)| target)
        };
        self.numbers.get(number).or_else(by_pattern)
    }

    /// What the digits dialled so far mean.
    pub fn match_digits(&self, digits: &str) -> Match {
        let begins =
            self.numbers.range(digits.to_owned()..).take_while(|(n, _)| n.starts_with(digits));
        let longer = begins.filter(|(number, _)| *number != digits).count() > 0
            || self
                .patterns
                .iter()
                .any(|(pattern, _)| matches!(pattern.fit(digits), Fit::Begins | Fit::AndGoesOn));
        match (self.target(digits), longer) {
            (Some(target), false) => Match::Complete(target.clone()),
            (Some(target), true) => Match::MayGoOn(target.clone()),
            (None, true) => Match::Incomplete,
            (None, false) => Match::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_complete_when_none_goes_on() {
        let mut plan = DialPlan::default();
        plan.add("10", Target::Echo);
        plan.add("101", Target::Line("1".to_owned()));
        assert_eq!(plan.match_digits(""), Match::Incomplete);
        assert_eq!(plan.match_digits("1"), Match::Incomplete);
        assert_eq!(plan.match_digits("10"), Match::MayGoOn(Target::Echo));
        assert_eq!(plan.match_digits("101"), Match::Complete(Target::Line("1".to_owned())));
        assert_eq!(plan.match_digits("102"), Match::Unknown);
        assert_eq!(plan.match_digits("9"), Match::Unknown);
    }

    #[test]
    fn a_number_of_its_own_goes_before_patterns_and_waits_for_what_is_longer() {
        let mut plan = DialPlan::default();
        let line = |id: &str| Target::Line(id.to_owned());
        for (pattern, id) in [("_9.", "any"), ("_911", "pattern"), ("_9NX", "three")] {
            plan.add_pattern(pattern.parse().unwrap(), line(id));
        }
        plan.add("911", line("own"));
        assert_eq!(plan.target("911"), Some(&line("own")));
        assert_eq!(plan.match_digits("911"), Match::MayGoOn(line("own")));
        assert_eq!(plan.match_digits("92"), Match::MayGoOn(line("any")));
        assert_eq!(plan.match_digits("925"), Match::MayGoOn(line("three")));
        assert_eq!(plan.match_digits("9255"), Match::MayGoOn(line("any")));
        assert_eq!(plan.match_digits("8"), Match::Unknown);
    }
}
