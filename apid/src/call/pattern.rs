//! Patterns of numbers, as dial plans write them: `_9NXX.`.
//!
//! After the underscore each sign stands for one digit: `X` is 0-9, `Z` 1-9, `N` 2-9, `[1-57]` one of
//! those, every other sign itself. A last `.` stands for one digit or more, a last `!` for any
//! number of them, and is complete at once.

use std::str::FromStr;

/// Longest pattern, signs.
const LENGTH_MAX: usize = 40;

/// Digits that one place takes: a bit for each of `0-9 * # A-D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u16);

/// What follows the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tail {
    Nothing,
    OneOrMore,
    AnyNumber,
}

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    places: Vec<Place>,
    tail: Tail,
}

/// How digits fit a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Not, and no more digits will help.
    No,
    /// Not yet.
    Begins,
    /// They do, and with more digits they would too.
    AndGoesOn,
    /// They do, and no more are wanted.
    Complete,
}

impl Pattern {
    /// How `digits` fit.
    pub fn fit(&self, digits: &str) -> Fit {
        let mut rest = digits.chars();
        for place in &self.places {
            match rest.next() {
                None => return Fit::Begins,
                Some(digit) if place.takes(digit) => {}
                Some(_) => return Fit::No,
            }
        }
        let more = rest.as_str();
        if !more.chars().all(|digit| bit(digit).is_some()) {
            return Fit::No;
        }
        match (self.tail, more.is_empty()) {
            (Tail::Nothing, true) | (Tail::AnyNumber, _) => Fit::Complete,
            (Tail::Nothing, false) => Fit::No,
            (Tail::OneOrMore, true) => Fit::Begins,
            (Tail::OneOrMore, false) => Fit::AndGoesOn,
        }
    }

    /// What is tried first is less: place by place whoever takes fewer digits, then whoever has an
    /// end.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        for (ours, theirs) in self.places.iter().zip(&other.places) {
            let order = ours.0.count_ones().cmp(&theirs.0.count_ones()).then(ours.cmp(theirs));
            if order.is_ne() {
                return order;
            }
        }
        other.places.len().cmp(&self.places.len()).then(self.tail.cmp(&other.tail))
    }
}

impl Place {
    fn takes(self, digit: char) -> bool {
        bit(digit).is_some_and(|bit| self.0 & bit != 0)
    }
}

fn bit(digit: char) -> Option<u16> {
    "0123456789*#ABCD".find(digit).map(|at| 1 << at)
}

fn range(from: char, to: char) -> Option<u16> {
    let (from, to) = (from.to_digit(10)?, to.to_digit(10)?);
    (from <= to).then(|| (from..=to).fold(0, |all, digit| all | 1 << digit))
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is no pattern: {why}");
        let signs = text.strip_prefix('_').ok_or_else(|| wrong("it begins with `_`"))?;
        if signs.len() > LENGTH_MAX {
            return Err(wrong("40 signs at most"));
        }
        let mut places = Vec::new();
        let mut tail = Tail::Nothing;
        let mut rest = signs.chars();
        while let Some(sign) = rest.next() {
            if tail != Tail::Nothing {
                return Err(wrong("`.` and `!` stand at its end only"));
            }
            match sign {
                'X' => places.extend(range('0', '9').map(Place)),
                'Z' => places.extend(range('1', '9').map(Place)),
                'N' => places.extend(range('2', '9').map(Place)),
                '.' => tail = Tail::OneOrMore,
                '!' => tail = Tail::AnyNumber,
                '[' => {
                    let (set, behind) = rest
                        .as_str()
                        .split_once(']')
                        .ok_or_else(|| wrong("a `[` is not closed"))?;
                    places.push(Place(set_of(set).ok_or_else(|| {
                        wrong("between `[` and `]` stand digits and ranges such as 1-5")
                    })?));
                    rest = behind.chars();
                }
                digit => places.push(Place(bit(digit).ok_or_else(|| {
                    wrong("allowed are 0-9 * # A-D, X, Z, N, [1-57], and a last . or !")
                })?)),
            }
        }
        if places.is_empty() && tail != Tail::OneOrMore {
            return Err(wrong("it fits nothing, or everything at once"));
        }
        Ok(Self { places, tail })
    }
}

/// `1-57` is 1 to 5, and 7.
fn set_of(text: &str) -> Option<u16> {
    let signs: Vec<char> = text.chars().collect();
    let mut set = 0;
    let mut at = 0;
    while at < signs.len() {
        if signs.get(at + 1) == Some(&'-') {
            set |= range(signs[at], *signs.get(at + 2)?)?;
            at += 3;
        } else {
            set |= bit(signs[at])?;
            at += 1;
        }
    }
    (set != 0).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(pattern: &str, digits: &str) -> Fit {
        pattern.parse::<Pattern>().unwrap().fit(digits)
    }

    #[test]
    fn signs_stand_for_digits() {
        assert_eq!(fit("_9NXX.", ""), Fit::Begins);
        assert_eq!(fit("_9NXX.", "921"), Fit::Begins);
        assert_eq!(fit("_9NXX.", "9212"), Fit::Begins, "a `.` is one digit at least");
        assert_eq!(fit("_9NXX.", "92123"), Fit::AndGoesOn);
        assert_eq!(fit("_9NXX.", "9112"), Fit::No, "N is not 1");
        assert_eq!(fit("_1ZX", "105"), Fit::No);
        assert_eq!(fit("_1ZX", "115"), Fit::Complete);
        assert_eq!(fit("_1ZX", "1155"), Fit::No);
        assert_eq!(fit("_*[1-57]#", "*7#"), Fit::Complete);
        assert_eq!(fit("_*[1-57]#", "*6"), Fit::No);
        assert_eq!(fit("_00!", "0"), Fit::Begins);
        assert_eq!(fit("_00!", "00"), Fit::Complete);
        assert_eq!(fit("_.", "5"), Fit::AndGoesOn);
    }

    #[test]
    fn the_one_that_takes_less_is_tried_first() {
        let mut patterns: Vec<Pattern> = ["_X.", "_9.", "_9XX", "_9NX", "_91X", "_9X!", "_9X."]
            .map(|text| text.parse().unwrap())
            .to_vec();
        patterns.sort_by(Pattern::order);
        let expected = ["_91X", "_9NX", "_9XX", "_9X.", "_9X!", "_9.", "_X."];
        assert_eq!(patterns, expected.map(|text| text.parse().unwrap()));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for (text, reason) in [
            ("9XX", "begins with"),
            ("_9.X", "end only"),
            ("_[12", "not closed"),
            ("_[9-1]", "ranges"),
            ("_[]", "ranges"),
            ("_Q", "allowed are"),
            ("_", "fits nothing"),
            ("_!", "fits nothing"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
