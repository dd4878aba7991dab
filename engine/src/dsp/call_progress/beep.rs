//! The beep with which an answering machine begins to record: one sine, once, after a greeting.

use super::segment::{Segment, Segments, Sound};
use super::{ToneEvent, ToneEvents};
use tipring_shm_proto::event::HeardTone;
use tipring_shm_proto::units::{FRAME_MS, TenthDbm0};

/// What makes have: 440 to 2000 Hz, a fifth of a second to more than one.
const HZ: [f32; 2] = [400.0, 2200.0];
const LENGTH_MS: [u32; 2] = [160, 2500];
const SOFTEST: TenthDbm0 = TenthDbm0(-350);
/// What the machine says before, at least, of the last ten seconds and more.
const GREETING_MS: u32 = 600;
const GREETING_AGO_MS: u32 = 10_000;
/// Quiet after it, in which its end is certain: a voice's vowel is followed by something.
const QUIET_MS: u32 = 160;

/// Listens for it on one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beep {
    /// What was spoken, and since when nothing is.
    greeting_ms: u32,
    greeting_ago_ms: u32,
    /// What may be one, if quiet follows.
    candidate: Option<Segment>,
}

impl Beep {
    pub(super) const fn new() -> Self {
        Self { greeting_ms: 0, greeting_ago_ms: 0, candidate: None }
    }

    /// A frame has come; `ended` is the segment that ended before it, and not `known` as another
    /// tone's.
    pub(super) fn follow(
        &mut self,
        segments: &Segments,
        ended: Option<&Segment>,
        known: bool,
        events: &mut ToneEvents,
    ) {
        self.greeting_ago_ms = self.greeting_ago_ms.saturating_add(FRAME_MS);
        if let Some(ended) = ended {
            self.take(ended, known);
        }
        let now = segments.now();
        if now.sound != Sound::Silence {
            return;
        }
        if let Some(beep) = self.candidate.filter(|_| now.ms >= QUIET_MS) {
            let event = ToneEvent {
                tone: HeardTone::Beep,
                active: true,
                level: beep.level(),
                began_ago_ms: beep.ms + now.ms,
                duration_ms: beep.ms,
            };
            events.push(event);
            events.push(ToneEvent { active: false, ..event });
            *self = Self::new();
        }
    }

    fn take(&mut self, ended: &Segment, known: bool) {
        if ended.sound == Sound::Other {
            if self.greeting_ago_ms > GREETING_AGO_MS {
                self.greeting_ms = 0;
            }
            self.greeting_ms += ended.ms;
            self.greeting_ago_ms = 0;
        }
        let ([lowest, highest], [shortest, longest]) = (HZ, LENGTH_MS);
        let is = ended.sound.single_hz().is_some_and(|hz| (lowest..=highest).contains(&hz))
            && (shortest..=longest).contains(&ended.ms)
            && ended.clicks == 0
            && ended.level() >= SOFTEST
            && self.greeting_ms >= GREETING_MS
            && self.greeting_ago_ms <= GREETING_AGO_MS
            && !known;
        self.candidate = is.then_some(*ended);
    }
}
