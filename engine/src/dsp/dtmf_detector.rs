//! Hears DTMF (ITU-T Q.23) in the audio.
//!
//! *What it does.* Says when a digit may have begun (about 15 ms into it, for whoever must not let
//! it through), when that is certain (33 ms into it), and when it has ended, with its length,
//! level and twist. Its limits are those of a profile, see [`super::dtmf_limits`].
//!
//! *How it works.* Every 2.5 ms a [`ToneCorrelator`] measures the eight frequencies over
//! 12.5 ms. A *hit* is a hop in which the strongest low and the strongest high tone stand out of
//! their groups, are loud enough, near enough to each other, and hold most of the energy. Twelve
//! hits of one key, with no more than one gap among them and none of more than 15 ms, make a digit if
//! both frequencies lie within the profile's limit and did not wander, their phases turned evenly
//! all the while, they hold 90 % of the energy, and below 600 Hz there is nothing but the dial tone
//! that was there before (`dial_tone`): that is what speech does not do. A digit ends when it has
//! not been hit for 30 ms (`ntt`: 25 ms). The frequency is the mean turn of the phase, and a hit's power is corrected for
//! it, for the window weakens a tone that is off its bin.
//!
//! *Limits.* What is promised of profile `att` is in `tests/dtmf_limits.rs`; docs/dsp.md says for every
//! profile, step by step, where it gives way, and what talks it off. A sung vowel, steady to 2 %, two
//! of whose harmonics lie on both tones of a key with 90 % of the energy above 600 Hz and next to
//! nothing below, is a digit. A dial tone that has not been there for 0.3 s, louder than −7 dB below a
//! digit, hides it.

use crate::dsp::bounded::Bounded;
use crate::dsp::decibel::decibels;
use crate::dsp::dial_tone::DialTone;
use crate::dsp::dtmf_limits::DtmfLimits;
use crate::dsp::dtmf_sender::{HIGH_HZ, KEYS, LOW_HZ};
use crate::dsp::level;
use crate::dsp::sample::rounded;
use crate::dsp::tone_correlator::{
    Complex, HOP, LAG_SECONDS, Spectrum, ToneCorrelator, window_loss,
};
use crate::frame::Linear;
use tipring_shm_proto::settings::{DtmfProfile, DtmfSettings};
use tipring_shm_proto::units::{TenthDb, TenthDbm0};

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfEvent {
    /// A digit may be being sent; what never becomes certain is not told of again.
    Early {
        /// ASCII.
        digit: u8,
    },
    /// It is certain that a digit is being sent.
    Begin {
        /// ASCII.
        digit: u8,
    },
    /// The digit that had begun is over.
    End {
        /// ASCII.
        digit: u8,
        /// From its first to its last sample, to about 2 ms.
        duration_ms: u16,
        /// Mean level of the stronger tone.
        level: TenthDbm0,
        /// High tone over low tone.
        twist: TenthDb,
    },
}

/// What one frame can bring: an end, a beginning, and before it what is suspected, which takes
/// four of the eight hops.
pub type DtmfEvents = Bounded<DtmfEvent, 4>;

/// Hits that make a digit. A tone of T samples gives (T − 20)/20 of them, ±1: 15 for 40 ms, 8 for
/// 23 ms.
const HITS: u32 = 12;
/// Of which so many follow upon three others, with one gap among all of them at most.
const SETTLED: u32 = 3;
const BREAKS: u32 = 1;
/// Hits that make a suspicion.
const EARLY_HITS: u32 = 4;
/// Hops without a hit that a digit which is not yet certain survives: 10 ms of silence give 5.
const CANDIDATE_GAP: u32 = 6;
/// High over low in power of a hit, whose digit's mean may be less one-sided: −12 to +10 dB.
const HIT_TWIST: [f32; 2] = [0.063, 10.0];
/// Share of the energy that both tones have: in a hit, whose window the tones need not fill, and
/// in the mean of a digit.
const HIT_SHARE: f32 = 0.55;
const SHARE: f32 = 0.90;
/// How far the strongest of a group stands above the next, in power: 3 dB.
const STANDS_OUT: f32 = 2.0;
/// Mean turn against mean power: how evenly the phase turned, and the power stayed.
const EVENNESS: std::ops::RangeInclusive<f32> = 0.95..=1.15;

/// Settled hops that later ones are compared with, and how far a frequency may have wandered then, Hz:
/// that of a voice does, of a key's tone over the noise it has to be heard in 1 or 2 Hz.
const FIRST: u32 = 4;
const WANDERED_HZ: f32 = 8.0;

/// Power below 600 Hz that may come along with a digit: a share of the tones' own, or between so much
/// less and so much more than the dial tone that was there before.
const BELOW: f32 = 0.2;
const DIAL_TONE: [f32; 2] = [0.7, 2.0];

/// The detector of one line.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    limits: DtmfLimits,
    correlator: ToneCorrelator,
    dial_tone: DialTone,
    /// What may become a digit.
    candidate: Option<Run>,
    /// The digit that has begun.
    digit: Option<Run>,
}

/// Hits of one key, and what they measured.
#[derive(Clone, Copy, Debug)]
struct Run {
    row: usize,
    column: usize,
    hits: u32,
    /// Hops since the first hit, and since the last.
    age: u32,
    gap: u32,
    /// Hits in a row.
    streak: u32,
    /// Gaps among them.
    breaks: u32,
    /// Sums over the hits: power, and what was turned (only from a hit right after a hit).
    power: [f32; 2],
    turned: [Complex; 2],
    turning: [f32; 2],
    total: f32,
    below: f32,
    /// Hops that the four sums above have.
    settled: u32,
    /// What the first of them had turned.
    turned_first: [Complex; 2],
    /// Power of the dial tone that was there before the first hit.
    dial_tone: f32,
}

/// One hop, seen as a key.
struct Hit {
    row: usize,
    column: usize,
    power: [f32; 2],
    turn: [Complex; 2],
    total: f32,
    below: f32,
}

impl Default for DtmfDetector {
    fn default() -> Self {
        Self::new(DtmfLimits::of(DtmfSettings { profile: DtmfProfile::Att, weakest: None }))
    }
}

impl DtmfDetector {
    /// Has heard silence so far.
    pub const fn new(limits: DtmfLimits) -> Self {
        Self {
            limits,
            correlator: ToneCorrelator::new(),
            dial_tone: DialTone::new(),
            candidate: None,
            digit: None,
        }
    }

    /// Its limits from now on; what is being heard goes on.
    pub const fn set_limits(&mut self, limits: DtmfLimits) {
        self.limits = limits;
    }

    /// Forgets what was heard.
    pub const fn reset(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Listens to a frame. Does not allocate, wait or fail.
    pub fn hear(&mut self, frame: &Linear) -> DtmfEvents {
        let mut events = DtmfEvents::new();
        for spectrum in &self.correlator.hear(frame) {
            self.dial_tone.hear(spectrum.below, self.hears_tones());
            self.hop(Hit::of(spectrum, self.limits.weakest), &mut events);
        }
        events
    }

    /// Two tones of a key are heard, whether or not they will make a digit.
    pub fn hears_tones(&self) -> bool {
        self.digit.is_some() || self.candidate.is_some_and(|candidate| candidate.hits >= EARLY_HITS)
    }

    /// The digit that has begun and not ended, ASCII.
    pub fn digit(&self) -> Option<u8> {
        self.digit.map(|digit| digit.key())
    }

    fn hop(&mut self, hit: Option<Hit>, events: &mut DtmfEvents) {
        if let Some(digit) = &mut self.digit {
            match &hit {
                Some(hit) if digit.is_of(hit) => {
                    digit.add(hit);
                    self.candidate = None;
                    return;
                }
                _ => digit.miss(),
            }
            if digit.gap >= self.limits.end_gap {
                events.push(digit.end());
                self.digit = None;
            }
        }
        match (&mut self.candidate, hit) {
            (Some(candidate), Some(hit)) if candidate.is_of(&hit) => {
                candidate.add(&hit);
                if candidate.breaks > BREAKS {
                    *candidate = Run::begin(&hit, self.dial_tone.power());
                }
                if candidate.hits == EARLY_HITS {
                    events.push(DtmfEvent::Early { digit: candidate.key() });
                }
            }
            (Some(candidate), hit) => {
                candidate.miss();
                if candidate.gap > CANDIDATE_GAP {
                    self.candidate = hit.map(|hit| Run::begin(&hit, self.dial_tone.power()));
                }
            }
            (none, Some(hit)) => *none = Some(Run::begin(&hit, self.dial_tone.power())),
            (None, None) => {}
        }
        if let Some(candidate) = self.candidate.filter(|run| run.is_digit(&self.limits)) {
            // At most one digit becomes certain in a frame, for it takes twelve hops.
            if let Some(digit) = self.digit.take() {
                events.push(digit.end());
            }
            events.push(DtmfEvent::Begin { digit: candidate.key() });
            self.digit = self.candidate.take();
        }
    }
}

impl Hit {
    fn of(spectrum: &Spectrum, weakest: f32) -> Option<Self> {
        let row = strongest(&spectrum.power[..4])?;
        let column = strongest(&spectrum.power[4..])?;
        let turn = [spectrum.turn[row], spectrum.turn[4 + column]];
        let (low, high) = (spectrum.power[row], spectrum.power[4 + column]);
        if low.min(high) < weakest * 0.5 || (low + high) < spectrum.total * HIT_SHARE * 0.5 {
            return None;
        }
        let low = low * window_loss(deviation_hz(turn[0]));
        let high = high * window_loss(deviation_hz(turn[1]));
        let twist = HIT_TWIST[0]..=HIT_TWIST[1];
        let hit = low.min(high) >= weakest
            && low + high >= spectrum.total * HIT_SHARE
            && twist.contains(&(high / low));
        hit.then_some(Self {
            row,
            column,
            power: [low, high],
            turn,
            total: spectrum.total,
            below: spectrum.below,
        })
    }
}

/// The one of a group that stands out.
fn strongest(group: &[f32]) -> Option<usize> {
    let best = (0..group.len()).max_by(|&a, &b| group[a].total_cmp(&group[b]))?;
    let stands_out = |other: usize| other == best || group[other] * STANDS_OUT <= group[best];
    (0..group.len()).all(stands_out).then_some(best)
}

/// How far a tone is off its bin, Hz.
fn deviation_hz(turn: Complex) -> f32 {
    turn.im.atan2(turn.re) / (std::f32::consts::TAU * LAG_SECONDS)
}

impl Run {
    fn begin(hit: &Hit, dial_tone: f32) -> Self {
        Self {
            row: hit.row,
            column: hit.column,
            hits: 1,
            age: 0,
            gap: 0,
            streak: 1,
            breaks: 0,
            power: hit.power,
            turned: [Complex::default(); 2],
            turning: [0.0; 2],
            total: 0.0,
            below: 0.0,
            settled: 0,
            turned_first: [Complex::default(); 2],
            dial_tone,
        }
    }

    fn is_of(&self, hit: &Hit) -> bool {
        (self.row, self.column) == (hit.row, hit.column)
    }

    fn add(&mut self, hit: &Hit) {
        self.hits += 1;
        self.age += 1;
        self.breaks += u32::from(self.gap > 0);
        self.streak = if self.gap == 0 { self.streak + 1 } else { 1 };
        // Four hits in a row: the tones fill this window, and the one that the turn spans.
        let settled = self.streak > 3;
        if settled {
            self.total += hit.total;
            self.below += hit.below;
            self.settled += 1;
        }
        for group in 0..2 {
            self.power[group] += hit.power[group];
            if settled {
                self.turned[group].re += hit.turn[group].re;
                self.turned[group].im += hit.turn[group].im;
                self.turning[group] += hit.power[group];
            }
        }
        if self.settled == FIRST && settled {
            self.turned_first = self.turned;
        }
        self.gap = 0;
    }

    fn miss(&mut self) {
        self.age += 1;
        self.gap += 1;
    }

    fn key(&self) -> u8 {
        KEYS[self.row][self.column]
    }

    fn is_digit(&self, limits: &DtmfLimits) -> bool {
        if self.hits < HITS || self.settled < SETTLED || self.gap > 0 {
            return false;
        }
        let twist = limits.twist[0]..=limits.twist[1];
        let hz = [LOW_HZ[self.row], HIGH_HZ[self.column]].map(f32::from);
        twist.contains(&(self.power[1] / self.power[0]))
            && self.turning[0] + self.turning[1] >= self.total * SHARE
            && self.has_little_below()
            && (0..2).all(|group| {
                let turned = self.turned[group];
                let off_hz = deviation_hz(turned);
                // The power of the turn is weakened by the window as the hits' power was.
                let even = turned.power().sqrt() * window_loss(off_hz) / self.turning[group];
                off_hz.abs() <= hz[group] * limits.deviation
                    && EVENNESS.contains(&even)
                    && self.wandered_hz(group) <= WANDERED_HZ
            })
    }

    /// Between the first settled hops and those after them.
    fn wandered_hz(&self, group: usize) -> f32 {
        if self.settled <= FIRST {
            return 0.0;
        }
        let (all, first) = (self.turned[group], self.turned_first[group]);
        let later = Complex { re: all.re - first.re, im: all.im - first.im };
        (deviation_hz(later) - deviation_hz(first)).abs()
    }

    /// Below 600 Hz there is next to nothing, or the dial tone that was there before.
    fn has_little_below(&self) -> bool {
        let tones = self.turning[0] + self.turning[1];
        let [least, most] = DIAL_TONE.map(|share| share * self.dial_tone * self.settled as f32);
        self.below <= tones * BELOW || (least..=most + tones * BELOW).contains(&self.below)
    }

    fn end(&self) -> DtmfEvent {
        let heard = (self.age - self.gap + 2) * HOP as u32 / 8;
        let mean = self.power[0].max(self.power[1]) / self.hits as f32;
        DtmfEvent::End {
            digit: self.key(),
            duration_ms: heard.min(u32::from(u16::MAX)) as u16,
            level: level::of_mean_square(mean),
            twist: TenthDb(rounded(10.0 * decibels(self.power[1] / self.power[0]))),
        }
    }
}
