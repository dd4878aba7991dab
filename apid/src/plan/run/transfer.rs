//! `#` and a number while two talk by a plan's `Dial`: the other one is handed on, as the feature
//! code `blindxfer` of Asterisk's.

use super::super::dialplan::{Position, Start};
use super::super::substitute::Scope as _;
use super::session::Session;
use crate::call::Match;
use crate::channel;
use crate::control::{PlayOptions, PlaySource};
use std::time::Duration;
use tokio::time::Instant;

/// Without a further digit the number is complete.
const BETWEEN_DIGITS: Duration = Duration::from_secs(3);
/// Longest number.
const DIGITS_MAX: usize = 32;

/// A number that is being entered.
#[derive(Clone, Debug)]
pub(super) struct Entering {
    /// By the caller, rather than by whom it dialled.
    pub(super) by_caller: bool,
    digits: String,
    /// It is complete then.
    pub(super) until: Instant,
}

impl Session {
    /// Asks the one who hands on for a number.
    pub(super) async fn begin_entering(&self, by_caller: bool, callee: &str) -> Entering {
        let line = if by_caller { &self.line } else { callee };
        self.tell_line(line, prompt("pbx-transfer")).await;
        Entering { by_caller, digits: String::new(), until: Instant::now() + BETWEEN_DIGITS * 2 }
    }

    /// One more digit; a last `#` says that this was all.
    pub(super) fn enter(&self, entering: &mut Entering, digit: char) {
        let now = Instant::now();
        if digit == '#' || entering.digits.len() >= DIGITS_MAX {
            entering.until = now;
            return;
        }
        entering.digits.push(digit);
        let context = self.transfer_context();
        entering.until = match self.plan().match_digits(&context, &entering.digits) {
            Match::Complete(_) | Match::Unknown => now,
            Match::MayGoOn(_) | Match::Incomplete => now + BETWEEN_DIGITS,
        };
    }

    /// The other one goes on at the number. Gives where, if that is the caller; whom it dialled is
    /// sent there, and what follows from that is told as any end of a dial.
    pub(super) async fn hand_over(&self, entered: &Entering, callee: &str) -> Option<Position> {
        let line = if entered.by_caller { &self.line } else { callee };
        let context = self.transfer_context();
        let Some(position) = self.plan().position(&context, &entered.digits, Start::Priority(1))
        else {
            self.tell_line(line, prompt("pbx-invalid")).await;
            return None;
        };
        if !entered.by_caller {
            return Some(position);
        }
        let callee = self.services.channels.of_line(callee)?;
        let exten = entered.digits.clone();
        let start = channel::Start::At { context, exten, priority: "1".to_owned() };
        let program = self.services.channels.program();
        if program.start(&callee, start).await.is_err() {
            self.tell_line(line, prompt("pbx-invalid")).await;
        }
        None
    }

    fn transfer_context(&self) -> String {
        let own = self.variable("TRANSFER_CONTEXT").filter(|context| !context.is_empty());
        own.unwrap_or_else(|| self.position.context.clone())
    }

    /// Plays something that nobody waits for.
    pub(super) async fn tell_line(&self, line: &str, source: PlaySource) {
        let caller = Self::caller();
        let played =
            self.services.control.play(&caller, line, source, PlayOptions::default()).await;
        if let Err(refused) = played {
            self.complaint(&refused.to_string());
        }
    }
}

fn prompt(name: &str) -> PlaySource {
    PlaySource::Prompt(name.to_owned())
}
