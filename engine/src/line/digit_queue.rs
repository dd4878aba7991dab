//! Digits on their way to the phone's ear, one at a time.

use tipring_shm_proto::command::{Digits, Refusal};
use tipring_shm_proto::units::Nanos;

/// Commands that may wait, the one being sent included.
pub const MAX_RUNS: usize = 4;

/// Shortest and longest digit and pause, ms (ITU-T Q.24 receivers need 40 of each).
pub const DIGIT_MS: std::ops::RangeInclusive<u16> = 40..=2000;

/// The digits of one command.
#[derive(Clone, Copy, Debug)]
struct Run {
    digits: Digits,
    sent: u8,
    on_ms: u16,
    off_ms: u16,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Digit {
        digit: u8,
        on_ms: u16,
        off_ms: u16,
    },
    /// The last digit of a command and its pause are over.
    Sent,
}

/// Digits to send, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct DigitQueue {
    runs: [Option<Run>; MAX_RUNS],
    /// The digit being sent, and its pause, last until then.
    quiet_at: Nanos,
}

impl DigitQueue {
    pub(super) fn new() -> Self {
        Self { runs: [None; MAX_RUNS], quiet_at: Nanos(0) }
    }

    pub(super) fn add(&mut self, digits: Digits, on_ms: u16, off_ms: u16) -> Result<(), Refusal> {
        let well_formed = DIGIT_MS.contains(&on_ms) && DIGIT_MS.contains(&off_ms);
        if digits.checked().is_none() || !well_formed {
            return Err(Refusal::Malformed);
        }
        let place = self.runs.iter_mut().find(|run| run.is_none()).ok_or(Refusal::Full)?;
        *place = Some(Run { digits, sent: 0, on_ms, off_ms });
        Ok(())
    }

    /// What is due now. A digit never begins before the pause of the one before it is over; a
    /// tick that comes late makes the pause longer, never shorter.
    pub(super) fn next(&mut self, now: Nanos) -> Option<Due> {
        let run = self.runs[0].as_mut()?;
        if now < self.quiet_at {
            return None;
        }
        let Some(&digit) = run.digits.checked().and_then(|digits| digits.get(run.sent as usize))
        else {
            self.runs.rotate_left(1);
            self.runs[MAX_RUNS - 1] = None;
            return Some(Due::Sent);
        };
        run.sent += 1;
        let (on_ms, off_ms) = (run.on_ms, run.off_ms);
        self.quiet_at = now.after_ms(u32::from(on_ms) + u32::from(off_ms));
        Some(Due::Digit { digit, on_ms, off_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_keep_their_pauses_and_each_command_is_told() {
        let mut queue = DigitQueue::new();
        queue.add(Digits::new("1#").unwrap(), 45, 40).unwrap();
        queue.add(Digits::new("A").unwrap(), 100, 50).unwrap();
        let mut due = Vec::new();
        for ms in (0..1000).step_by(20) {
            while let Some(what) = queue.next(Nanos(0).after_ms(ms)) {
                due.push((ms, what));
            }
        }
        let digit = |digit, on_ms, off_ms| Due::Digit { digit, on_ms, off_ms };
        assert_eq!(
            due,
            [
                (0, digit(b'1', 45, 40)),
                (100, digit(b'#', 45, 40)),
                (200, Due::Sent),
                (200, digit(b'A', 100, 50)),
                (360, Due::Sent)
            ]
        );
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let digits = Digits::new("5").unwrap();
        let mut queue = DigitQueue::new();
        assert_eq!(queue.add(digits, 39, 100), Err(Refusal::Malformed));
        assert_eq!(queue.add(digits, 100, 2001), Err(Refusal::Malformed));
        for _ in 0..MAX_RUNS {
            assert_eq!(queue.add(digits, 100, 100), Ok(()));
        }
        assert_eq!(queue.add(digits, 100, 100), Err(Refusal::Full));
    }
}
