//! The states of a line, each with what only it needs.

use super::digit_queue::DigitQueue;
use super::ringing::Ringing;
use tipring_shm_proto::command::{LineState, Phase, ProgressTone};
use tipring_shm_proto::units::{ConferenceId, LineId, Nanos};

/// Times of a line that is off hook, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseTiming {
    /// Dial tone without a digit.
    pub dial_tone_ms: u32,
    /// Digits without another one, and nobody who asks for the line.
    pub collecting_ms: u32,
    /// Congestion tone, before the howler.
    pub congestion_ms: u32,
    /// The howler, before silence; 0 leaves it out.
    pub howler_ms: u32,
    /// Disconnect supervision: the loop is without current.
    pub battery_drop_ms: u32,
    /// A recall towards the phone, by its device.
    pub flash_ms: u32,
    /// After the line has interrupted the loop, before it listens to the hook again.
    pub settle_ms: u32,
}

impl Default for PhaseTiming {
    fn default() -> Self {
        Self {
            dial_tone_ms: 16_000,
            collecting_ms: 30_000,
            congestion_ms: 30_000,
            howler_ms: 60_000,
            battery_drop_ms: 500,
            flash_ms: 100,
            settle_ms: 100,
        }
    }
}

/// What a line is.
#[derive(Clone, Debug)]
pub(super) enum State {
    Offline,
    OnHook,
    Ringing(Ringing),
    OffHook(OffHook),
    Fault,
}

impl State {
    pub(super) fn name(&self) -> LineState {
        match self {
            Self::Offline => LineState::Offline,
            Self::OnHook => LineState::OnHook,
            Self::Ringing(_) => LineState::Ringing,
            Self::OffHook(_) => LineState::OffHook,
            Self::Fault => LineState::Fault,
        }
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        match self {
            Self::OffHook(off) => Some(off.talk.phase()),
            _ => None,
        }
    }
}

/// What of a lifted line is silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Muted {
    /// What the phone says, to whoever hears it.
    pub spoken: bool,
    /// What it hears.
    pub heard: bool,
}

/// With whom a lifted line talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Another line.
    Line(LineId),
    /// Whoever sits there.
    Conference(ConferenceId),
}

impl Company {
    /// The other line, where there is just one.
    pub const fn line(self) -> Option<LineId> {
        match self {
            Self::Line(line) => Some(line),
            Self::Conference(_) => None,
        }
    }

    /// Where it sits.
    pub const fn conference(self) -> Option<ConferenceId> {
        match self {
            Self::Line(_) => None,
            Self::Conference(conference) => Some(conference),
        }
    }
}

/// Of a lifted line.
#[derive(Clone, Debug)]
pub(super) struct OffHook {
    pub(super) talk: Talk,
    pub(super) supply: Supply,
    pub(super) company: Option<Company>,
    pub(super) echo: bool,
    pub(super) muted: Muted,
    pub(super) keeps_digits: bool,
    pub(super) voice: bool,
    pub(super) digits: DigitQueue,
}

impl OffHook {
    pub(super) fn new(talk: Talk) -> Self {
        Self {
            talk,
            supply: Supply::Fed,
            company: None,
            echo: false,
            muted: Muted::default(),
            keeps_digits: false,
            voice: false,
            digits: DigitQueue::new(),
        }
    }
}

/// The current in the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    Fed,
    /// Disconnect supervision.
    Dropped {
        until: Nanos,
    },
}

/// What a lifted line is doing: [`Phase`] and its timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    /// `sounds` until the first sign of a digit.
    DialTone {
        until: Nanos,
        sounds: bool,
    },
    Collecting {
        until: Nanos,
    },
    Talking,
    Held,
    LeftOff(LeftOff),
}

/// Nobody wants the line any more, and the handset is still lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftOff {
    /// The far end hung up; the loop is being interrupted.
    Released {
        until: Nanos,
    },
    Congestion {
        until: Nanos,
    },
    Howler {
        until: Nanos,
    },
    Silent,
}

impl Talk {
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::DialTone { .. } => Phase::DialTone,
            Self::Collecting { .. } => Phase::Collecting,
            Self::Talking => Phase::Talking,
            Self::Held => Phase::Held,
            Self::LeftOff(_) => Phase::Howler,
        }
    }

    pub(super) fn dial_tone(now: Nanos, timing: &PhaseTiming) -> Self {
        Self::DialTone { until: now.after_ms(timing.dial_tone_ms), sounds: true }
    }

    pub(super) fn collecting(now: Nanos, timing: &PhaseTiming) -> Self {
        Self::Collecting { until: now.after_ms(timing.collecting_ms) }
    }

    /// Moves on if it is time, and says to what. Each step counts from
    /// the end of the one before, so late ticks do not add up.
    ///
    /// Only a handset on a loop is howled at: who sits before a softphone has it at the ear.
    pub(super) fn handle_time(
        &mut self,
        now: Nanos,
        timing: &PhaseTiming,
        howls: bool,
    ) -> Option<LeftOff> {
        let (Self::DialTone { until, .. }
        | Self::Collecting { until }
        | Self::LeftOff(
            LeftOff::Released { until } | LeftOff::Congestion { until } | LeftOff::Howler { until },
        )) = *self
        else {
            return None;
        };
        if now < until {
            return None;
        }
        let next = match self {
            Self::LeftOff(LeftOff::Congestion { .. }) if howls && timing.howler_ms > 0 => {
                LeftOff::Howler { until: until.after_ms(timing.howler_ms) }
            }
            Self::LeftOff(LeftOff::Congestion { .. } | LeftOff::Howler { .. }) => LeftOff::Silent,
            _ => LeftOff::Congestion { until: until.after_ms(timing.congestion_ms) },
        };
        *self = Self::LeftOff(next);
        Some(next)
    }
}

impl LeftOff {
    pub(super) fn tone(self) -> Option<ProgressTone> {
        match self {
            Self::Congestion { .. } => Some(ProgressTone::Congestion),
            Self::Howler { .. } => Some(ProgressTone::Howler),
            Self::Released { .. } | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(talk: Talk, howls: bool) -> Vec<(u32, Option<ProgressTone>)> {
        course_of(talk, &PhaseTiming::default(), howls)
    }

    fn course_of(
        mut talk: Talk,
        timing: &PhaseTiming,
        howls: bool,
    ) -> Vec<(u32, Option<ProgressTone>)> {
        let mut course = Vec::new();
        for ms in (0..300_000).step_by(20) {
            if let Some(next) = talk.handle_time(Nanos(0).after_ms(ms), timing, howls) {
                course.push((ms, next.tone()));
            }
        }
        assert_eq!(talk.phase(), Phase::Howler);
        course
    }

    #[test]
    fn a_forgotten_handset_hears_congestion_then_the_howler_then_nothing() {
        use ProgressTone::{Congestion, Howler};
        let timing = PhaseTiming::default();
        assert_eq!(
            course(Talk::dial_tone(Nanos(0), &timing), true),
            [(16_000, Some(Congestion)), (46_000, Some(Howler)), (106_000, None)]
        );
        assert_eq!(
            course(Talk::collecting(Nanos(0), &timing), false),
            [(30_000, Some(Congestion)), (60_000, None)]
        );
        let calm = PhaseTiming { congestion_ms: 2000, howler_ms: 0, ..timing };
        let tones = course_of(Talk::dial_tone(Nanos(0), &calm), &calm, true);
        assert_eq!(tones, [(16_000, Some(Congestion)), (18_000, None)]);
        let until = Nanos(0).after_ms(500);
        assert_eq!(course(Talk::LeftOff(LeftOff::Released { until }), true)[0].0, 500);
    }

    #[test]
    fn whoever_has_the_line_has_it_for_good() {
        for talk in [Talk::Talking, Talk::Held, Talk::LeftOff(LeftOff::Silent)] {
            let mut later = talk;
            assert_eq!(later.handle_time(Nanos(u64::MAX), &PhaseTiming::default(), true), None);
            assert_eq!(later, talk);
        }
    }
}
