//! Digits: while something plays, after it, as a number that goes on elsewhere.

use super::super::arguments;
use super::super::dialplan::{Position, Start};
use super::answer::seconds;
use super::session::{Outcome, Ran, Session, Stop};
use crate::call::Match;
use std::time::Duration;

/// Digits that one Read takes at most.
const READ_MAX: usize = 255;
/// Longest number.
const NUMBER_MAX: usize = 32;

impl Session {
    /// Digits until there are `count`, one of `terminators`, or too long a pause.
    pub(super) async fn digits(
        &mut self,
        mut digits: String,
        count: usize,
        terminators: &str,
        first: Duration,
        between: Duration,
    ) -> Result<(String, bool), Stop> {
        while digits.len() < count {
            let time = if digits.is_empty() { first } else { between };
            match self.next_digit(time).await? {
                None => return Ok((digits, false)),
                Some(digit) if terminators.contains(digit) => return Ok((digits, true)),
                Some(digit) => digits.push(digit),
            }
        }
        Ok((digits, true))
    }

    /// `files[,options[,language[,context]]]`.
    pub(super) async fn app_background(&mut self, data: &str) -> Ran {
        let arguments = arguments::split(data, 4);
        let files = arguments.first().map(String::as_str).unwrap_or_default();
        let options = arguments.get(1).map(String::as_str).unwrap_or_default();
        if options.contains('n') {
            // Without an answer nobody would hear it.
            if !self.is_answered() {
                return Ok(Outcome::Next);
            }
        }
        self.answer().await?;
        let context = arguments.get(3).filter(|context| !context.is_empty());
        let played = self.play_files(files, "0123456789*#ABCD").await?;
        self.set("BACKGROUNDSTATUS", if played.failed { "FAILED" } else { "SUCCESS" });
        let Some(digit) = played.digit else { return Ok(Outcome::Next) };
        if options.contains('m') {
            let context = context.unwrap_or(&self.position.context).clone();
            let matches = self.plan().match_digits(&context, &digit.to_string());
            if matches == Match::Unknown {
                return Ok(Outcome::Next);
            }
        }
        if let Some(context) = context {
            self.position.context.clone_from(context);
        }
        Ok(Outcome::Digit(digit))
    }

    /// A digit that is the beginning of a number in this context.
    pub(super) async fn dialled(&mut self, first: char) -> Result<(), Stop> {
        self.collect_number(first.to_string(), self.between_digits).await
    }

    pub(super) async fn app_wait_exten(&mut self, data: &str) -> Ran {
        self.answer().await?;
        let arguments = arguments::split(data, 2);
        let time = arguments.first().and_then(|text| seconds(text)).unwrap_or(self.response);
        self.collect_number(String::new(), time).await?;
        Ok(Outcome::Jump(self.position.clone()))
    }

    async fn collect_number(&mut self, mut digits: String, first: Duration) -> Result<(), Stop> {
        let context = self.position.context.clone();
        loop {
            let matches = self.plan().match_digits(&context, &digits);
            let complete = matches!(matches, Match::Complete(_)) && !digits.is_empty();
            let hopeless = matches == Match::Unknown || digits.len() >= NUMBER_MAX;
            let pause = if digits.is_empty() { first } else { self.between_digits };
            if complete || hopeless && !digits.is_empty() {
                break;
            }
            match self.next_digit(pause).await? {
                Some(digit) => digits.push(digit),
                None => break,
            }
        }
        if digits.is_empty() {
            // Nobody pressed anything: `t`, where there is one.
            if self.plan().find(&context, "t").is_none() {
                return Err(Stop::HangUp(crate::control::Cause::NormalClearing));
            }
            self.position = Position::start(&context, "t");
            return Ok(());
        }
        self.position = Position::start(&context, &digits);
        if self.plan().position(&context, &digits, Start::Priority(1)).is_none() {
            self.invalid()?;
        }
        Ok(())
    }

    /// `variable[,files[,count[,options[,attempts[,seconds]]]]]`.
    pub(super) async fn app_read(&mut self, data: &str) -> Ran {
        let arguments = arguments::split(data, 6);
        let text = |at: usize| arguments.get(at).map(|text| text.trim()).unwrap_or_default();
        let Some(variable) = Some(text(0)).filter(|name| !name.is_empty()) else {
            self.complaint("Read is Read(variable,files,count,options,attempts,seconds)");
            return Ok(Outcome::Next);
        };
        self.answer().await?;
        let count = text(2).parse().ok().filter(|count| (1..=READ_MAX).contains(count));
        let count = count.unwrap_or(READ_MAX);
        let attempts = text(4).parse::<u32>().ok().unwrap_or(1).clamp(1, 20);
        let time = seconds(text(5)).filter(|time| !time.is_zero()).unwrap_or(self.response);
        let mut digits = String::new();
        let mut status = "TIMEOUT";
        for _ in 0..attempts {
            let mut begun = String::new();
            if !text(1).is_empty() {
                let played = self.play_files(text(1), "0123456789*#ABCD").await?;
                match played.digit {
                    Some('#') => {
                        status = "OK";
                        break;
                    }
                    digit => begun.extend(digit),
                }
            }
            let between = self.between_digits;
            let (found, ended) = self.digits(begun, count, "#", time, between).await?;
            if ended || !found.is_empty() {
                digits = found;
                status = "OK";
                break;
            }
        }
        self.set("READSTATUS", status);
        self.set(variable, &digits);
        Ok(Outcome::Next)
    }
}
