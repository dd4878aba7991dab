//! Which number reaches what, and when enough digits were dialled.

use super::pattern::{Fit, Pattern};
use super::when::When;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What a number reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A line.
    Line(String),
    /// The number that was dialled, by a trunk of that name.
    Trunk(String),
    /// Several lines at once: who answers first.
    Group(Vec<String>),
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
    /// What holds at some times only comes first.
    numbers: BTreeMap<String, Vec<Row>>,
    /// What takes less comes first, and of what takes as much what holds at some times only.
    patterns: Vec<(Pattern, Row)>,
}

#[derive(Clone, Debug)]
struct Row {
    /// Always where none is given.
    when: Option<When>,
    target: Target,
}

impl Row {
    fn holds(&self, at: SystemTime) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds(at))
    }
}

impl DialPlan {
    /// Gives `number` a target; the last one given holds.
    pub fn add(&mut self, number: &str, target: Target) {
        let rows = self.numbers.entry(number.to_owned()).or_default();
        rows.retain(|row| row.when.is_some());
        rows.push(Row { when: None, target });
    }

    /// Gives `number` a target at these times; the first one given that holds goes before what
    /// [`Self::add`] gave it.
    pub fn add_at(&mut self, number: &str, when: When, target: Target) {
        let rows = self.numbers.entry(number.to_owned()).or_default();
        let at = rows.partition_point(|row| row.when.is_some());
        rows.insert(at, Row { when: Some(when), target });
    }

    /// Takes from `number` what it was given.
    pub fn remove(&mut self, number: &str) {
        self.numbers.remove(number);
    }

    /// Gives what fits `pattern`, and is no number given by [`Self::add`], a target, always or at
    /// these times.
    pub fn add_pattern(&mut self, pattern: Pattern, when: Option<When>, target: Target) {
        let before = |(other, row): &(Pattern, Row)| match other.order(&pattern) {
            Ordering::Less => true,
            Ordering::Equal => row.when.is_some() || when.is_none(),
            Ordering::Greater => false,
        };
        let at = self.patterns.partition_point(before);
        self.patterns.insert(at, (pattern, Row { when, target }));
    }

    /// What this number reaches then.
    pub fn target(&self, number: &str, at: SystemTime) -> Option<&Target> {
        let fits = |fit| matches!(fit, Fit::Complete | Fit::AndGoesOn);
        let own = self.numbers.get(number).into_iter().flatten();
        let patterns = self.patterns.iter().filter(|(pattern, _)| fits(pattern.fit(number)));
        let mut rows = own.chain(patterns.map(|(_, row)| row));
        rows.find(|row| row.holds(at)).map(|row| &row.target)
    }

    /// Whether this number reaches something at some time.
    pub fn knows(&self, number: &str) -> bool {
        let fits = |fit| matches!(fit, Fit::Complete | Fit::AndGoesOn);
        self.numbers.contains_key(number)
            || self.patterns.iter().any(|(pattern, _)| fits(pattern.fit(number)))
    }

    /// What the digits dialled so far mean.
    pub fn match_digits(&self, digits: &str, at: SystemTime) -> Match {
        let begins =
            self.numbers.range(digits.to_owned()..).take_while(|(n, _)| n.starts_with(digits));
        let longer = begins.filter(|(number, _)| *number != digits).count() > 0
            || self
                .patterns
                .iter()
                .any(|(pattern, _)| matches!(pattern.fit(digits), Fit::Begins | Fit::AndGoesOn));
        match (self.target(digits, at), longer) {
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

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_number_is_complete_when_none_goes_on() {
        let mut plan = DialPlan::default();
        plan.add("10", Target::Echo);
        plan.add("101", Target::Line("1".to_owned()));
        assert_eq!(plan.match_digits("", NOW), Match::Incomplete);
        assert_eq!(plan.match_digits("1", NOW), Match::Incomplete);
        assert_eq!(plan.match_digits("10", NOW), Match::MayGoOn(Target::Echo));
        assert_eq!(plan.match_digits("101", NOW), Match::Complete(Target::Line("1".to_owned())));
        assert_eq!(plan.match_digits("102", NOW), Match::Unknown);
        assert_eq!(plan.match_digits("9", NOW), Match::Unknown);
    }

    #[test]
    fn a_number_of_its_own_goes_before_patterns_and_waits_for_what_is_longer() {
        let mut plan = DialPlan::default();
        let line = |id: &str| Target::Line(id.to_owned());
        for (pattern, id) in [("_9.", "any"), ("_911", "pattern"), ("_9NX", "three")] {
            plan.add_pattern(pattern.parse().unwrap(), None, line(id));
        }
        plan.add("911", line("own"));
        assert_eq!(plan.target("911", NOW), Some(&line("own")));
        assert_eq!(plan.match_digits("911", NOW), Match::MayGoOn(line("own")));
        assert_eq!(plan.match_digits("92", NOW), Match::MayGoOn(line("any")));
        assert_eq!(plan.match_digits("925", NOW), Match::MayGoOn(line("three")));
        assert_eq!(plan.match_digits("9255", NOW), Match::MayGoOn(line("any")));
        assert_eq!(plan.match_digits("8", NOW), Match::Unknown);
    }

    #[test]
    fn what_holds_at_some_times_goes_before_what_always_does() {
        let mut plan = DialPlan::default();
        let line = |id: &str| Target::Line(id.to_owned());
        let when = |text: &str| text.parse::<When>().unwrap();
        plan.add("9", line("always"));
        plan.add_at("9", when("00:00-05:59,*,*,*,UTC"), line("night"));
        plan.add_at("9", when("05:00-11:59,*,*,*,UTC"), line("morning"));
        plan.add_at("8", when("05:00-11:59,*,*,*,UTC"), line("morning"));
        plan.add_pattern("_7X".parse().unwrap(), None, line("always"));
        let night = Some(when("00:00-05:59,*,*,*,UTC"));
        plan.add_pattern("_7X".parse().unwrap(), night, line("night"));
        for (hour, nine, eight, pattern) in [
            (0, "night", None, "night"),
            (5, "night", Some("morning"), "night"),
            (6, "morning", Some("morning"), "always"),
            (12, "always", None, "always"),
        ] {
            let at = NOW + std::time::Duration::from_secs(hour * 3600);
            assert_eq!(plan.target("9", at), Some(&line(nine)), "{hour}");
            assert_eq!(plan.target("8", at), eight.map(line).as_ref(), "{hour}");
            assert_eq!(plan.target("75", at), Some(&line(pattern)), "{hour}");
        }
        assert!(plan.knows("8") && plan.knows("75") && !plan.knows("6"));
    }
}
