//! One line for each refusal, whoever asked: who, from where, for what, why. A flood of them cannot
//! fill a disk: beyond a bound they are left out, and the next line says how many.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that may be written at once.
const BURST: u32 = 100;
/// After these, one line each so often: at most some 40 MB a day.
const EACH: Duration = Duration::from_millis(500);

/// Characters of a request, or of a reason.
const CHARACTERS: usize = 120;

/// The log is the process's one, and so is its bound.
static BOUND: Mutex<Bound> = Mutex::new(Bound { paid_until: None, left_out: 0 });

/// A refusal. No part of it may hold a secret or a digit that was dialled.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it lives for one call, and texts have none")]
pub struct Refusal<'a> {
    /// By what way it was asked: `http`, `sip`.
    pub surface: &'static str,
    /// Name of the caller's token, or the account; `None` where nobody has said who he is.
    pub caller: Option<&'a str>,
    /// Address of the caller.
    pub from: &'a dyn Display,
    /// The line that was meant, where it was one.
    pub line: Option<&'a str>,
    /// What was asked.
    pub asked: &'a dyn Display,
    /// Why not.
    pub reason: &'a dyn Display,
}

impl Refusal<'_> {
    /// Writes its line, or counts it.
    pub fn write(self) {
        let admitted = BOUND.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
        let Some(left_out) = admitted else { return };
        let Self { surface, caller, from, line, asked, reason } = self;
        tracing::info!(
            surface,
            caller,
            %from,
            line,
            asked = beginning(asked),
            left_out = (left_out > 0).then_some(left_out),
            "refused: {}",
            beginning(reason)
        );
    }
}

/// As much of a text as a line needs, and on one line, whoever wrote it.
fn beginning(text: &dyn Display) -> String {
    text.to_string().chars().filter(|c| !c.is_control()).take(CHARACTERS).collect()
}

/// A bucket of [`BURST`] lines, of which one comes back every [`EACH`].
#[derive(Debug)]
struct Bound {
    /// When the bucket will be full again.
    paid_until: Option<Instant>,
    left_out: u64,
}

impl Bound {
    /// Whether a line may be written at `now`; if so, how many were left out before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let paid_until = self.paid_until.map_or(now, |until| until.max(now)) + EACH;
        if paid_until > now + EACH * BURST {
            self.left_out += 1;
            return None;
        }
        self.paid_until = Some(paid_until);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_bounded_and_what_was_left_out_is_told() {
        let mut bound = Bound { paid_until: None, left_out: 0 };
        let mut now = Instant::now();
        let written = (0..5000).filter(|_| bound.admit(now).is_some()).count();
        assert_eq!(written, BURST as usize);
        now += EACH;
        assert_eq!((bound.admit(now), bound.admit(now)), (Some(4900), None));
        now += EACH;
        assert_eq!(bound.admit(now), Some(1));
        // After a rest all of them may be written again, and no more than these.
        now += EACH * (3 * BURST);
        assert_eq!((0..5000).filter(|_| bound.admit(now).is_some()).count(), BURST as usize);
    }
}
