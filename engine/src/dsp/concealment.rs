//! Fills frames that never came.
//!
//! *What it does.* Goes on with what the phone said last, one pitch period over and over, at full
//! strength for 10 ms and then fading to silence at 60 ms. No splice clicks, neither into the
//! made-up sound nor out of it. A frame that came is changed only after one that did not.
//!
//! *How it works.* The period is the lag, 5 to 17.5 ms, at which the last 12.5 ms are most like
//! what was before them (normalised cross-correlation). At least 10 ms are repeated, in whole
//! periods, for one period alone buzzes. Where the repetition begins, the step between what was
//! and what follows is bridged by an offset that dies away in 3 ms; where it wraps around, its
//! end is cross-faded to what led to its beginning. The first frame that comes is cross-faded with
//! the repetition, 5 ms after one lost frame and up to 15 ms after more. Own design; no delay.
//! ITU-T G.711 Appendix I sets the pace of the fade.
//!
//! *Limits.* A tone whose period is longer than 17.5 ms, or whose frequency is not a multiple of
//! the repetition's, is repeated with a faint roughness.

use crate::dsp::correlation::{Energies, product};
use crate::dsp::sample::rounded;
use crate::frame::{Linear, SILENCE};
use crate::vectors::widest;

const FRAME: usize = SILENCE.len();
/// What is remembered: the longest lag and the template before it.
const HISTORY: usize = 320;
const SHORTEST_LAG: usize = 40;
const LONGEST_LAG: usize = 140;
const TEMPLATE: usize = 100;
/// The shortest repetition.
const SHORTEST_LOOP: usize = 80;
/// Longest possible: SHORTEST_LOOP − 1 + LONGEST_LAG is never reached, a lag of 79 gives 158.
const LONGEST_LOOP: usize = 160;
/// Samples in which the step at the beginning dies away.
const BRIDGE: usize = 24;
/// Samples at full strength, and until silence.
const FULL: usize = 80;
const SILENT: usize = 480;
/// Cross-fade back to what comes: after one lost frame, and for each one more.
const RETURN: usize = 40;
const LONGEST_RETURN: usize = 120;

/// The concealment of one line.
#[derive(Clone, Debug)]
pub struct Concealment {
    /// The last two frames that came.
    history: [Linear; HISTORY / FRAME],
    newest: usize,
    /// What is repeated.
    cycle: [f32; LONGEST_LOOP],
    cycle_len: usize,
    at: usize,
    /// The step at the beginning.
    step: f32,
    /// Samples made up since the last real one; 0 is none.
    made_up: usize,
}

impl Default for Concealment {
    fn default() -> Self {
        Self::new()
    }
}

impl Concealment {
    /// Has heard silence so far.
    pub const fn new() -> Self {
        Self {
            history: [SILENCE; HISTORY / FRAME],
            newest: 0,
            cycle: [0.0; LONGEST_LOOP],
            cycle_len: SHORTEST_LOOP,
            at: 0,
            step: 0.0,
            made_up: 0,
        }
    }

    /// A frame came: learns from it, and eases it in where the one before was made up.
    pub fn heard(&mut self, frame: &mut Linear) {
        if self.made_up > 0 {
            let lost = self.made_up / FRAME;
            let length = (RETURN * lost).min(LONGEST_RETURN);
            for (n, place) in frame.iter_mut().take(length).enumerate() {
                let real = (n + 1) as f32 / (length + 1) as f32;
                let made_up = self.next();
                *place = rounded(f32::from(*place) * real + made_up * (1.0 - real));
            }
            self.made_up = 0;
        }
        self.newest = 1 - self.newest;
        self.history[self.newest] = *frame;
    }

    /// A frame did not come: makes one up.
    pub fn missing(&mut self, frame: &mut Linear) {
        if self.made_up == 0 {
            self.begin();
        }
        for place in frame {
            *place = rounded(self.next());
        }
    }

    /// There is nothing to hear, and nothing to go on with.
    pub const fn reset(&mut self) {
        *self = Self::new();
    }

    fn begin(&mut self) {
        let [older, newer] = [1 - self.newest, self.newest].map(|of| &self.history[of]);
        let mut history = [0.0; HISTORY];
        for (place, &sample) in history.iter_mut().zip(older.iter().chain(newer)) {
            *place = f32::from(sample);
        }
        let lag = lag(&history);
        let len = lag * SHORTEST_LOOP.div_ceil(lag);
        let from = HISTORY - len;
        self.cycle[..len].copy_from_slice(&history[from..]);
        // The end becomes what led to the beginning, as far as history reaches.
        let overlap = (lag / 4).min(from);
        for n in 0..overlap {
            let weight = (n + 1) as f32 / overlap as f32;
            let end = &mut self.cycle[len - overlap + n];
            *end += (history[from - overlap + n] - *end) * weight;
        }
        self.cycle_len = len;
        self.at = 0;
        self.step = history[HISTORY - 1] - history[from - 1];
    }

    /// The next made-up sample.
    fn next(&mut self) -> f32 {
        if self.made_up >= SILENT {
            // Counting on tells how long the return may be.
            self.made_up = self.made_up.saturating_add(1);
            return 0.0;
        }
        let mut sample = self.cycle[self.at];
        self.at = (self.at + 1) % self.cycle_len;
        if self.made_up < BRIDGE {
            sample += self.step * (BRIDGE - self.made_up) as f32 / (BRIDGE + 1) as f32;
        }
        let fading = self.made_up.saturating_sub(FULL);
        self.made_up += 1;
        sample * (1.0 - fading as f32 / (SILENT - FULL) as f32)
    }
}

/// The lag at which the end of history is most like what was before.
fn lag(history: &[f32; HISTORY]) -> usize {
    widest(
        #[inline(always)]
        || lag_here(history),
    )
}

#[inline(always)]
fn lag_here(history: &[f32; HISTORY]) -> usize {
    let template: &[f32; TEMPLATE] = history.last_chunk().expect("history is longer");
    let farthest = HISTORY - TEMPLATE - LONGEST_LAG;
    let mut energies = [0.0; LONGEST_LAG + 1];
    let past = Energies::<TEMPLATE>::new(&history[farthest..]);
    for (place, energy) in energies.iter_mut().rev().zip(past) {
        *place = energy;
    }
    let mut best = (0.0, LONGEST_LAG);
    for (lag, energy) in energies.into_iter().enumerate().skip(SHORTEST_LAG) {
        let from = HISTORY - TEMPLATE - lag;
        let product = product(template, &history[from..from + TEMPLATE]);
        // Squared with its sign: no root, and the best one is the same.
        let likeness = product * product.abs() / (energy + 1.0);
        // A multiple of the period is as like; the shorter lag wins unless clearly worse.
        if likeness > best.0 * 1.05 {
            best = (likeness, lag);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A vowel: harmonics of `hz` under two formants.
    fn vowel(hz: f32) -> impl Fn(usize) -> f32 {
        move |n| {
            let harmonics = (1..).map(|k| k as f32 * hz).take_while(|&f| f < 3400.0);
            harmonics
                .map(|f| {
                    let formant = |centre: f32| 1.0 / (1.0 + ((f - centre) / 120.0).powi(2));
                    let peak = 3000.0 * (formant(600.0) + 0.5 * formant(1700.0) + 0.02);
                    peak * (std::f32::consts::TAU * (f * n as f32 / 8000.0).fract() + f).sin()
                })
                .sum()
        }
    }

    /// `frames` of a signal, some of them lost; the result.
    fn carried(frames: usize, lost: &[usize], signal: impl Fn(usize) -> f32) -> Vec<f32> {
        let mut concealment = Concealment::new();
        let mut out = Vec::new();
        for frame in 0..frames {
            let mut samples: Linear = std::array::from_fn(|i| signal(frame * 160 + i) as i16);
            if lost.contains(&frame) {
                samples = [0; 160];
                concealment.missing(&mut samples);
            } else {
                concealment.heard(&mut samples);
            }
            out.extend(samples.map(f32::from));
        }
        out
    }

    fn steepest(samples: &[f32]) -> f32 {
        samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    fn power(samples: &[f32]) -> f32 {
        samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
    }

    #[test]
    fn nothing_lost_is_nothing_changed() {
        let signal = vowel(130.0);
        let out = carried(20, &[], &signal);
        assert!(out.iter().enumerate().all(|(n, &sample)| sample as i16 == signal(n) as i16));
    }

    #[test]
    fn a_lost_frame_of_a_vowel_goes_on_and_does_not_click() {
        for hz in [80.0, 101.0, 130.0, 170.0, 199.0, 230.0] {
            let signal = vowel(hz);
            let out = carried(20, &[10], &signal);
            let clean: Vec<f32> = (0..20 * 160).map(&signal).collect();
            let own = steepest(&clean);
            assert!(steepest(&out) <= own, "{hz}: {} of {own}", steepest(&out));
            let first = power(&out[1600..1680]) / power(&clean[1600..1680]);
            assert!(first > 0.5, "{hz}: {first} of its power in the first 10 ms");
            assert!(
                out[1760 + RETURN..]
                    .iter()
                    .zip(&clean[1760 + RETURN..])
                    .all(|(a, b)| *a as i16 == *b as i16)
            );
        }
    }

    #[test]
    fn what_is_lost_for_long_is_silent_after_60_ms() {
        let out = carried(20, &[10, 11, 12, 13, 14], vowel(120.0));
        assert!(out[1600 + SILENT..15 * 160].iter().all(|&sample| sample == 0.0));
        assert!(power(&out[1600 + 240..1600 + 400]) > 0.0);
    }

    #[test]
    fn better_than_silence_and_than_the_last_frame_again() {
        let signal = vowel(143.0);
        let clean: Vec<f32> = (0..200 * 160).map(&signal).collect();
        let lost: Vec<usize> = (10..200).step_by(19).collect();
        let noise = |out: &[f32]| {
            let error: Vec<f32> = out.iter().zip(&clean).map(|(a, b)| a - b).collect();
            power(&error)
        };
        let concealed = noise(&carried(200, &lost, &signal));
        let (mut silent, mut repeated) = (clean.clone(), clean.clone());
        for &frame in &lost {
            silent[frame * 160..][..160].fill(0.0);
            repeated.copy_within((frame - 1) * 160..frame * 160, frame * 160);
        }
        assert!(concealed < 0.5 * noise(&silent), "{concealed} {}", noise(&silent));
        assert!(concealed < 0.5 * noise(&repeated), "{concealed} {}", noise(&repeated));
    }

    #[test]
    fn silence_stays_silent() {
        assert!(carried(10, &[3, 4, 7], |_| 0.0).iter().all(|&sample| sample == 0.0));
    }

    proptest! {
        /// Whatever is said and lost: a frame that came after one that came is left alone, and
        /// three frames after the last that came there is silence.
        #[test]
        fn only_what_is_near_a_loss_is_changed(
            seed in any::<u32>(),
            lost in prop::collection::vec(0usize..30, 0..20),
        ) {
            let noise = |n: usize| {
                let mixed = (n as u32 ^ seed).wrapping_mul(2_654_435_761).rotate_left(11);
                f32::from((mixed >> 16) as i16)
            };
            let out = carried(30, &lost, noise);
            let is_lost = |frame: usize| lost.contains(&frame);
            for frame in 3..30 {
                let heard = &out[frame * 160..][..160];
                if !is_lost(frame) && !is_lost(frame - 1) {
                    let mut said = heard.iter().enumerate();
                    prop_assert!(said.all(|(i, &s)| s as i16 == noise(frame * 160 + i) as i16));
                }
                if (frame - 3..=frame).all(is_lost) {
                    prop_assert!(heard.iter().all(|&sample| sample == 0.0));
                }
            }
        }
    }
}
