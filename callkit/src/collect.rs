//! Digits that a handler waits for.

use crate::client::Body;
use crate::{Call, Error};
use serde_json::{Value, json};
use std::time::Duration;

/// Which digits, and how long to wait for them.
#[derive(Clone, Debug)]
pub struct Digits {
    count: Option<usize>,
    terminators: Option<String>,
    filter: Option<String>,
    first: Duration,
    between: Duration,
    type_ahead: bool,
}

impl Default for Digits {
    fn default() -> Self {
        Self {
            count: None,
            terminators: None,
            filter: None,
            first: Duration::from_mins(1),
            between: Duration::from_secs(4),
            type_ahead: false,
        }
    }
}

impl Digits {
    /// So many.
    pub fn count(count: usize) -> Self {
        Self { count: Some(count), ..Self::default() }
    }

    /// Until one of these, which does not count.
    pub fn until(terminators: &str) -> Self {
        Self { terminators: Some(terminators.to_owned()), ..Self::default() }
    }

    /// Others than these are let go by.
    #[must_use]
    pub fn of(mut self, filter: &str) -> Self {
        self.filter = Some(filter.to_owned());
        self
    }

    /// Gives up when none comes for so long: a minute for the first, four seconds between two, where
    /// nobody says.
    #[must_use]
    pub const fn within(mut self, first: Duration, between: Duration) -> Self {
        (self.first, self.between) = (first, between);
        self
    }

    /// Digits that were pressed before count too.
    #[must_use]
    pub const fn with_type_ahead(mut self) -> Self {
        self.type_ahead = true;
        self
    }

    fn question(&self) -> Value {
        let mut question = json!({
            "first_timeout_ms": self.first.as_millis() as u64,
            "inter_digit_ms": self.between.as_millis() as u64,
            "type_ahead": self.type_ahead,
        });
        if let Some(count) = self.count {
            question["count"] = count.into();
        }
        if let Some(terminators) = &self.terminators {
            question["terminators"] = terminators.as_str().into();
        }
        if let Some(filter) = &self.filter {
            question["filter"] = filter.as_str().into();
        }
        question
    }
}

impl Call {
    /// Waits for digits; those that came when it was given up are the answer too. One question at a
    /// time.
    ///
    /// # Errors
    /// [`Error::Refused`] with 409 while another waits, with 422 for a count or a time that cannot be.
    pub async fn collect_digits(&self, digits: Digits) -> Result<String, Error> {
        let path = self.line_path("collect");
        let answer = self.ask("POST", &path, Body::Json(digits.question())).await?;
        Ok(answer["digits"].as_str().unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_asked() {
        let question = Digits::count(4).of("123").question();
        assert_eq!((&question["count"], &question["filter"]), (&json!(4), &json!("123")));
        assert!(question.get("terminators").is_none());
        let question = Digits::until("#").with_type_ahead().question();
        assert_eq!(
            (&question["terminators"], &question["type_ahead"]),
            (&json!("#"), &json!(true))
        );
        assert!(question.get("count").is_none());
    }
}
