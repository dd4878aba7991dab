//! The bell: when it sounds, how much of it a phone and a card can bear, when it gives up.

use tipring_shm_proto::command::{Cadence, Refusal};
use tipring_shm_proto::units::Nanos;

/// Longest single burst, ms. A ring generator feeds several lines; the longest burst of any
/// known plan is 2300 ms.
pub const MAX_BURST_MS: u16 = 5000;
/// Shortest burst and shortest pause, ms: ten changes of the line feed a second at most.
pub const MIN_CHANGE_MS: u16 = 100;
/// Most of a cadence that may be ringing, percent. National plans ring 27 to 40.
pub const MAX_DUTY_PERCENT: u32 = 60;
/// Longest time a phone is rung, ms.
pub const MAX_TIMEOUT_MS: u32 = 600_000;

/// A cadence within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rhythm {
    cadence: Cadence,
    period_ms: u32,
}

/// Checks what a peer asked for: [`Refusal::Malformed`] is no cadence, [`Refusal::Limit`] is one
/// that rings too much or changes too often.
pub(super) fn check(cadence: &Cadence, timeout_ms: u32) -> Result<(), Refusal> {
    Rhythm::checked(cadence)?;
    if (1..=MAX_TIMEOUT_MS).contains(&timeout_ms) { Ok(()) } else { Err(Refusal::Malformed) }
}

impl Rhythm {
    fn checked(cadence: &Cadence) -> Result<Self, Refusal> {
        let ms = cadence.as_slice();
        if ms.len() < 2 || !ms.len().is_multiple_of(2) || ms.contains(&0) {
            return Err(Refusal::Malformed);
        }
        let on: u32 = ms.iter().step_by(2).map(|&ms| u32::from(ms)).sum();
        let period_ms: u32 = ms.iter().map(|&ms| u32::from(ms)).sum();
        let burst_too_long = ms.iter().step_by(2).any(|&ms| ms > MAX_BURST_MS);
        let changes_too_fast = ms.iter().any(|&ms| ms < MIN_CHANGE_MS);
        if burst_too_long || changes_too_fast || on * 100 > period_ms * MAX_DUTY_PERCENT {
            return Err(Refusal::Limit);
        }
        Ok(Self { cadence: *cadence, period_ms })
    }

    /// Whether the bell sounds, this long after it began.
    fn sounds(&self, elapsed_ns: u64) -> bool {
        self.place(elapsed_ns).0
    }

    /// How long it is silent from here on; 0 while it sounds.
    fn pause_ms(&self, elapsed_ns: u64) -> u32 {
        let (sounds, left_ns) = self.place(elapsed_ns);
        if sounds { 0 } else { (left_ns / 1_000_000) as u32 }
    }

    /// Whether the bell sounds, and how long it does not change.
    fn place(&self, elapsed_ns: u64) -> (bool, u64) {
        let mut within = elapsed_ns % (u64::from(self.period_ms) * 1_000_000);
        for (index, &ms) in self.cadence.as_slice().iter().enumerate() {
            let ns = u64::from(ms) * 1_000_000;
            if within < ns {
                return (index % 2 == 0, ns - within);
            }
            within -= ns;
        }
        (false, 0)
    }
}

/// What became of a bell's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    On,
    Off,
    Timeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bell {
    /// The device has not taken the first order yet: no time passes.
    Ordered,
    /// Cadence and timeout count from here.
    Began { at: Nanos, sounds: bool },
}

/// A ringing in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ringing {
    rhythm: Rhythm,
    timeout_ms: u32,
    bell: Bell,
}

impl Ringing {
    pub(super) fn new(cadence: &Cadence, timeout_ms: u32) -> Result<Self, Refusal> {
        check(cadence, timeout_ms)?;
        Ok(Self { rhythm: Rhythm::checked(cadence)?, timeout_ms, bell: Bell::Ordered })
    }

    /// As it was asked for.
    pub(super) fn cadence(&self) -> Cadence {
        self.rhythm.cadence
    }

    /// The bell sounds for the first time.
    pub(super) fn begin(&mut self, now: Nanos) {
        if self.bell == Bell::Ordered {
            self.bell = Bell::Began { at: now, sounds: true };
        }
    }

    /// How long the bell is silent from here on, in its cadence; 0 while it sounds.
    pub(super) fn pause_ms(&self, now: Nanos) -> u32 {
        let Bell::Began { at, .. } = self.bell else { return 0 };
        self.rhythm.pause_ms(now.0.saturating_sub(at.0))
    }

    /// What is due. Edges are counted from the beginning, so that late ticks do not add up; edges
    /// that were missed altogether are skipped.
    pub(super) fn handle_time(&mut self, now: Nanos) -> Option<Stroke> {
        let Bell::Began { at, sounds } = &mut self.bell else { return None };
        if now >= at.after_ms(self.timeout_ms) {
            return Some(Stroke::Timeout);
        }
        let due = self.rhythm.sounds(now.0.saturating_sub(at.0));
        if due == *sounds {
            return None;
        }
        *sounds = due;
        Some(if due { Stroke::On } else { Stroke::Off })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: [u16; 2] = [2000, 4000];
    const UK: [u16; 4] = [400, 200, 400, 2000];

    fn strokes(on_off: &[u16], timeout_ms: u32, step_ms: u32) -> Vec<(u32, Stroke)> {
        let mut ringing = Ringing::new(&Cadence::new(on_off).unwrap(), timeout_ms).unwrap();
        let start = Nanos(77_000_000_000);
        ringing.begin(start);
        let mut strokes = Vec::new();
        for ms in (0..).step_by(step_ms as usize) {
            if let Some(stroke) = ringing.handle_time(start.after_ms(ms)) {
                strokes.push((ms, stroke));
                if stroke == Stroke::Timeout {
                    return strokes;
                }
            }
        }
        strokes
    }

    #[test]
    fn edges_come_at_their_time_and_do_not_drift() {
        use Stroke::{Off, On, Timeout};
        assert_eq!(
            strokes(&US, 13_000, 20),
            [(2000, Off), (6000, On), (8000, Off), (12_000, On), (13_000, Timeout)]
        );
        assert_eq!(
            strokes(&UK, 3500, 20),
            [(400, Off), (600, On), (1000, Off), (3000, On), (3400, Off), (3500, Timeout)]
        );
        // Ticks that never fall on an edge: each edge is late by less than a tick, for ever.
        for (ms, _) in strokes(&US, 600_000, 70).iter().rev().skip(1) {
            assert!(ms % 6000 < 70 || (ms + 4000) % 6000 < 70, "{ms}");
        }
    }

    #[test]
    fn no_time_passes_before_the_bell_rings() {
        let mut ringing = Ringing::new(&Cadence::new(&US).unwrap(), 1000).unwrap();
        assert_eq!(ringing.handle_time(Nanos(0).after_ms(5000)), None);
        ringing.begin(Nanos(0).after_ms(5000));
        assert_eq!(ringing.handle_time(Nanos(0).after_ms(5980)), None);
        assert_eq!(ringing.handle_time(Nanos(0).after_ms(6000)), Some(Stroke::Timeout));
    }

    #[test]
    fn what_hurts_is_refused_and_what_is_no_cadence_is_refused_otherwise() {
        let check = |on_off: &[u16]| check(&Cadence::new(on_off).unwrap(), 30_000);
        for plan in [
            &US[..],
            &UK,
            &[1000, 2000],
            &[125, 125, 125, 125, 125, 4000],
            &[100, 100, 300, 200, 300, 9100],
            &[1000, 500, 2500, 5000],
        ] {
            assert_eq!(check(plan), Ok(()), "{plan:?}");
        }
        assert_eq!(check(&[0, 4000]), Err(Refusal::Malformed));
        assert_eq!(check(&[2000, 0]), Err(Refusal::Malformed));
        assert_eq!(check(&[5001, 20_000]), Err(Refusal::Limit));
        assert_eq!(check(&[2000, 1000]), Err(Refusal::Limit));
        assert_eq!(check(&[50, 4000]), Err(Refusal::Limit));
        let odd = Cadence { len: 3, ms: [500; 16] };
        let long = Cadence { len: 17, ms: [500; 16] };
        assert_eq!(super::check(&odd, 1), Err(Refusal::Malformed));
        assert_eq!(super::check(&long, 1), Err(Refusal::Malformed));
        let us = Cadence::new(&US).unwrap();
        assert_eq!(super::check(&us, 0), Err(Refusal::Malformed));
        assert_eq!(super::check(&us, 600_001), Err(Refusal::Malformed));
        assert_eq!(super::check(&us, 600_000), Ok(()));
    }
}
