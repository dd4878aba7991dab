//! Digits that somebody waits for: when they are complete. Sans-IO: digits and the time go in,
//! the end comes out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most digits of one collection.
pub const COUNT_MAX: usize = 64;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectRules {
    /// Complete with so many.
    pub count: usize,
    /// Complete with any of these, which do not count.
    pub terminators: String,
    /// What counts; every other digit but a terminator is let go by.
    pub filter: String,
    /// Given up when the first does not come for so long.
    pub first_timeout_ms: u64,
    /// Complete when the next does not come for so long.
    pub inter_digit_ms: u64,
}

/// Why a collection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CollectEnd {
    /// As many as were wanted.
    Count,
    /// A terminator.
    Terminator,
    /// No digit came for too long.
    Timeout,
    /// The phone was put down.
    HungUp,
}

/// One collection.
#[derive(Clone, Debug)]
pub struct DigitCollector {
    rules: CollectRules,
    digits: String,
    terminator: Option<char>,
    /// `None` while a prompt plays and no digit came yet.
    deadline_ms: Option<u64>,
}

impl DigitCollector {
    /// The first digit's time does not run yet.
    pub fn new(rules: CollectRules) -> Self {
        Self { rules, digits: String::new(), terminator: None, deadline_ms: None }
    }

    /// The person has heard what is asked for: from now on the first digit is waited for.
    pub fn handle_prompt_over(&mut self, now_ms: u64) {
        if self.digits.is_empty() {
            self.deadline_ms = Some(now_ms + self.rules.first_timeout_ms);
        }
    }

    /// A digit.
    pub fn handle_digit(&mut self, digit: char, now_ms: u64) -> Option<CollectEnd> {
        if self.rules.terminators.contains(digit) {
            self.terminator = Some(digit);
            return Some(CollectEnd::Terminator);
        }
        if !self.rules.filter.contains(digit) {
            return None;
        }
        self.digits.push(digit);
        self.deadline_ms = Some(now_ms + self.rules.inter_digit_ms);
        (self.digits.len() >= self.rules.count).then_some(CollectEnd::Count)
    }

    /// Time goes by.
    pub fn handle_time(&mut self, now_ms: u64) -> Option<CollectEnd> {
        self.deadline_ms.is_some_and(|deadline| deadline <= now_ms).then_some(CollectEnd::Timeout)
    }

    /// When [`Self::handle_time`] has something to do.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.deadline_ms
    }

    /// What was collected, and the terminator.
    pub fn into_digits(self) -> (String, Option<char>) {
        (self.digits, self.terminator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(count: usize, terminators: &str) -> DigitCollector {
        DigitCollector::new(CollectRules {
            count,
            terminators: terminators.to_owned(),
            filter: "0123456789".to_owned(),
            first_timeout_ms: 5000,
            inter_digit_ms: 3000,
        })
    }

    #[test]
    fn it_is_complete_with_its_count_or_a_terminator() {
        let mut four = collector(4, "#");
        for (digit, at) in ['1', '2', '3'].into_iter().zip(0..) {
            assert_eq!(four.handle_digit(digit, at), None);
        }
        assert_eq!(four.clone().handle_digit('4', 9), Some(CollectEnd::Count));
        assert_eq!(four.handle_digit('*', 9), None, "it is filtered out");
        assert_eq!(four.handle_digit('#', 9), Some(CollectEnd::Terminator));
        assert_eq!(four.into_digits(), ("123".to_owned(), Some('#')));
    }

    #[test]
    fn the_first_digit_is_waited_for_from_the_prompts_end_and_the_next_from_the_last() {
        let mut waits = collector(4, "");
        assert_eq!((waits.deadline_ms(), waits.handle_time(1_000_000)), (None, None));
        waits.handle_prompt_over(1000);
        assert_eq!(waits.handle_time(5999), None);
        assert_eq!(waits.clone().handle_time(6000), Some(CollectEnd::Timeout));
        assert_eq!(waits.handle_digit('7', 5999), None);
        assert_eq!(waits.deadline_ms(), Some(8999));
        waits.handle_prompt_over(20_000);
        assert_eq!(waits.deadline_ms(), Some(8999), "who has begun is not given more time");
        assert_eq!(waits.handle_time(8999), Some(CollectEnd::Timeout));
        assert_eq!(waits.into_digits(), ("7".to_owned(), None));
    }
}
