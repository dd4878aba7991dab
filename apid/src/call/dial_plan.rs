//! Which number reaches what, and when enough digits were dialled.

use std::collections::BTreeMap;

/// What a number reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A line.
    Line(String),
    /// The caller hears himself.
    Echo,
    /// The caller hears dial tone and dials again.
    DialTone,
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

/// All numbers.
#[derive(Clone, Debug, Default)]
pub struct DialPlan(BTreeMap<String, Target>);

impl DialPlan {
    /// Gives `number` a target; the last one given holds.
    pub fn add(&mut self, number: &str, target: Target) {
        self.0.insert(number.to_owned(), target);
    }

    /// What has exactly this number.
    pub fn exact(&self, number: &str) -> Option<&Target> {
        self.0.get(number)
    }

    /// What the digits dialled so far mean.
    pub fn match_digits(&self, digits: &str) -> Match {
        let begins = self.0.range(digits.to_owned()..).take_while(|(n, _)| n.starts_with(digits));
        let longer = begins.filter(|(number, _)| *number != digits).count() > 0;
        match (self.exact(digits), longer) {
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
}
