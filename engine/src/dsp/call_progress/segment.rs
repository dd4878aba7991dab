//! A line's frames as segments: silence, one or two sines, or anything else, for a time.

use crate::dsp::sine_fit::Sines;
use crate::dsp::tone_generator::Step;
use tipring_shm_proto::units::{FRAME_MS, TenthDbm0};

/// Nothing softer is a tone, and nothing so much softer than the last one.
const SOFTEST: TenthDbm0 = TenthDbm0(-450);
const SOFTER: i16 = 120;
/// Frames unlike those before and unlike each other are an edge for so long; then they are
/// something else.
const EDGE_MS: u32 = 60;
/// Sines closer than this look like one between them where there is noise, and what is measured of
/// two is so uncertain, and of their middle.
const CLOSE_HZ: f32 = 60.0;
const EITHER_HZ: f32 = 28.0;
const MIDDLE_HZ: f32 = 20.0;

/// What a frame, or a segment of them, is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sound {
    Silence,
    Tone(Sines),
    Other,
}

impl Sound {
    /// What a step of a plan sounds like; `None` for more than two sines.
    pub(super) fn of_step(step: &Step) -> Option<Self> {
        let hz = |index: usize| f32::from(step.partials[index].tenth_hz) / 10.0;
        let (one, other) = (hz(0).min(hz(1)), hz(0).max(hz(1)));
        match step.partials.iter().filter(|partial| partial.tenth_hz > 0).count() {
            0 => Some(Self::Silence),
            1 => Some(Self::Tone(Sines::One(other))),
            2 => Some(Self::Tone(Sines::Two([one, other]))),
            _ => None,
        }
    }

    /// Both may be the same.
    pub(super) fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Tone(Sines::One(a)), Self::Tone(Sines::One(b))) => near(a, b),
            (Self::Tone(Sines::Two(a)), Self::Tone(Sines::Two(b))) => {
                (0..2).all(|i| (a[i] - b[i]).abs() <= EITHER_HZ)
            }
            (Self::Tone(Sines::One(one)), Self::Tone(Sines::Two([low, high])))
            | (Self::Tone(Sines::Two([low, high])), Self::Tone(Sines::One(one))) => {
                high - low <= CLOSE_HZ && (one - f32::midpoint(low, high)).abs() <= MIDDLE_HZ
            }
            _ => self == other,
        }
    }

    /// The frequency of a single sine.
    pub(super) const fn single_hz(self) -> Option<f32> {
        match self {
            Self::Tone(Sines::One(hz)) => Some(hz),
            _ => None,
        }
    }

    pub(super) const fn is_tone(self) -> bool {
        matches!(self, Self::Tone(_))
    }
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 10.0 + 0.015 * b
}

/// Frames alike, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) sound: Sound,
    pub(super) ms: u32,
    /// Frames within it that were something else.
    pub(super) clicks: u32,
    /// Sum of the frames' levels, tenths of a dBm0, and how many.
    levels: i32,
    frames: i32,
}

impl Segment {
    const fn of(sound: Sound, ms: u32, level: TenthDbm0) -> Self {
        Self { sound, ms, clicks: 0, levels: level.0 as i32, frames: 1 }
    }

    /// Mean of its frames.
    pub(super) const fn level(&self) -> TenthDbm0 {
        TenthDbm0((self.levels / self.frames) as i16)
    }
}

/// Makes segments of frames. One begins with a silent frame, or with two frames alike: a frame in
/// which a tone begins, ends or turns its phase looks like any sines, and counts half for the
/// segment before it and half for the one after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segments {
    now: Segment,
    edge_ms: u32,
    /// The last frame.
    last: Sound,
    /// Of the last tone.
    level: TenthDbm0,
}

impl Segments {
    /// Silence.
    pub(super) const fn new() -> Self {
        Self {
            now: Segment::of(Sound::Silence, 0, TenthDbm0::SILENCE),
            edge_ms: 0,
            last: Sound::Silence,
            level: TenthDbm0::SILENCE,
        }
    }

    /// What is heard now.
    pub(super) const fn now(&self) -> &Segment {
        &self.now
    }

    /// The next segment may have begun.
    pub(super) const fn is_edge(&self) -> bool {
        self.edge_ms > 0
    }

    /// Level of the last tone, now or before.
    pub(super) const fn tone_level(&self) -> TenthDbm0 {
        self.level
    }

    /// Takes a frame; gives back the segment that has ended with the frames before.
    pub(super) fn take(&mut self, sines: Sines, level: TenthDbm0) -> Option<Segment> {
        let sound = match sines {
            _ if level < SOFTEST.max(TenthDbm0(self.level.0.saturating_sub(SOFTER))) => {
                Sound::Silence
            }
            Sines::None => Sound::Other,
            sines => Sound::Tone(sines),
        };
        let again = self.edge_ms > 0 && sound.is_like(std::mem::replace(&mut self.last, sound));
        let begins = if again || sound == Sound::Silence || sound.is_like(self.now.sound) {
            sound
        } else if self.edge_ms < EDGE_MS {
            self.edge_ms += FRAME_MS;
            return None;
        } else {
            Sound::Other
        };
        let edge_ms = std::mem::take(&mut self.edge_ms);
        let ended = if begins.is_like(self.now.sound) {
            self.now.ms += edge_ms + FRAME_MS;
            self.now.clicks += u32::from(edge_ms > 0);
            self.now.levels += i32::from(level.0);
            self.now.frames += 1;
            None
        } else {
            let own_ms = if again { FRAME_MS } else { 0 };
            let shared_ms = (edge_ms - own_ms) / 2;
            let mut ended = self.now;
            ended.ms += shared_ms;
            self.now = Segment::of(begins, FRAME_MS + own_ms + shared_ms, level);
            Some(ended)
        };
        if self.now.sound.is_tone() {
            self.level = self.now.level();
        }
        ended
    }
}
