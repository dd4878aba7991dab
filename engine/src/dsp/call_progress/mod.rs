//! Hears the tones of exchanges and of machines: dial, ringing, busy, congestion, special
//! information; a fax machine that calls, a fax machine or a modem that answers, the beep of an
//! answering machine.
//!
//! *What it does.* Says which tone of the line's country is heard as soon as no other can be
//! meant, and when it has ended.
//!
//! *How it works.* Frames alike are a [`segment`]. `cadence` follows what is known by its times,
//! `special` the three sines of special information with their code, `beep` a sine after speech.
//!
//! *Limits.* Frequencies to 1.5 % and 10 Hz, two of them to 28 Hz; times to 45 ms or an eighth;
//! from −45 dBm0. Tones whose amplitude is modulated (India's, South Africa's and Singapore's
//! ringing tone, India's and South Africa's dial tone) are not recognised. Where two tones of a
//! plan are the same, the first is reported. A beep that is as high and as long as a burst of the
//! country's tones is not told.

mod beep;
mod cadence;
mod segment;
mod special;
#[cfg(test)]
mod tests;

use crate::dsp::bounded::Bounded;
use crate::dsp::sine_fit::Sines;
use crate::dsp::tone_plan::TonePlan;
use beep::Beep;
use cadence::Cadences;
use segment::Segments;
use special::SpecialInformation;
use tipring_shm_proto::event::HeardTone;
use tipring_shm_proto::units::TenthDbm0;

/// A tone was recognised, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToneEvent {
    /// Which.
    pub tone: HeardTone,
    /// It is heard now.
    pub active: bool,
    /// Mean level while it sounds.
    pub level: TenthDbm0,
    /// When its first sound was, before the end of the frame.
    pub began_ago_ms: u32,
    /// From then to its last sound.
    pub duration_ms: u32,
}

/// What one frame can bring: an end and a beginning from each of three.
pub type ToneEvents = Bounded<ToneEvent, 6>;

/// The listener of one line.
#[derive(Clone, Debug)]
pub struct CallProgress {
    segments: Segments,
    cadences: Cadences,
    special: SpecialInformation,
    beep: Beep,
}

impl CallProgress {
    /// Listens for the tones of this country.
    pub fn new(plan: &'static TonePlan) -> Self {
        Self {
            segments: Segments::new(),
            cadences: Cadences::new(plan),
            special: SpecialInformation::new(),
            beep: Beep::new(),
        }
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.cadences.reset();
        self.segments = Segments::new();
        self.special = SpecialInformation::new();
        self.beep = Beep::new();
    }

    /// Takes a frame, `level` its own. Does not allocate, wait or fail.
    pub fn hear(&mut self, sines: Sines, level: TenthDbm0) -> ToneEvents {
        let mut events = ToneEvents::new();
        let ended = self.segments.take(sines, level);
        let known = ended.is_some_and(|ended| self.cadences.knows(&ended));
        self.cadences.follow(&self.segments, ended.as_ref(), &mut events);
        self.special.follow(&self.segments, ended.as_ref(), &mut events);
        self.beep.follow(&self.segments, ended.as_ref(), known, &mut events);
        events
    }
}
