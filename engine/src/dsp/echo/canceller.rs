//! The linear half of echo control: what the phone was given to hear, as its hybrid returns it, is
//! subtracted from what the phone says (the model of ITU-T G.168 §3).
//!
//! *What it does.* Learns an echo path of 16 ms ([`TAPS`] samples) after a known delay, and goes on
//! learning. Somebody who speaks, or dials, while we play something is neither learnt nor
//! weakened. Until a path is known, what was heard is passed on bit by bit.
//!
//! *How it works.* Two filters. The background learns, in steps of 4 ms: the gradient of a block is
//! followed as far as that block's own curvature says (an exact line search), so that a sine, a
//! vowel and noise are learnt equally well; all of it on signals that a pre-emphasis has made
//! nearly white, for speech is not. The foreground is what is heard. It takes over the background
//! only when that has been better for 32 ms, so that double talk, which spoils the background, is
//! not heard; a background that has been spoilt starts again from the foreground. A block that is
//! far louder than its echo is thought to be has somebody in it, and is learnt from so much the
//! less. While keys are pressed nothing is learnt. Each of the four sums of a block runs over 16 neighbours at once, in
//! fixed arrays, which a compiler turns into the vector instructions that every x86-64 and arm64
//! has.
//!
//! *Limits.* See `tests/echo.rs`. A path longer than 16 ms is cancelled as far as it goes.

use crate::dsp::sample::rounded;
use crate::frame::Linear;
use tipring_shm_proto::units::FRAME_SAMPLES;

/// Length of the path, samples.
pub const TAPS: usize = 128;
/// Longest delay before it, samples.
pub const MAX_DELAY: usize = 320;
/// Samples after which the background learns: a frame has whole ones of them.
const BLOCK: usize = 32;
/// What a block needs of the reference.
const WINDOW: usize = TAPS - 1 + BLOCK;
/// What is kept of the reference.
const HISTORY: usize = MAX_DELAY + TAPS - 1 + FRAME_SAMPLES;
/// Samples that are worked on side by side.
const LANES: usize = 16;

/// Of the pre-emphasis 1 − p·z⁻¹.
const EMPHASIS: f32 = 0.6;
/// Share of the best step of a block that is taken: less forgets noise sooner, more learns faster.
const STEP: f32 = 0.6;
/// A block up to so many times louder, in power, than the echo that is known is learnt from in
/// full; a louder one so much the less, down to a share that unlearns a path which is far too weak.
const OWN_ECHO: f32 = 4.0;
const LEAST_STEP: f32 = 0.02;
/// Mean square of the whitened reference, below which there is nothing to learn from: about
/// −48 dBm0 of speech.
const QUIET: f32 = 200.0;
/// Keeps steps small where the reference hardly says anything.
const REGULARISATION: f32 = QUIET * TAPS as f32;
/// Smoothing of the energies that are compared, a block.
const SMOOTHING: f32 = 0.15;
/// The background is better, when its error is this share of the foreground's, for so many blocks.
const BETTER: f32 = 0.85;
const BETTER_BLOCKS: u8 = 8;
/// And only if it takes away more than this leaves of all that is heard: who adapts to somebody's
/// keys or voice does not come near it.
const WORTH: f32 = 0.5;
/// It is spoilt, when its error is this many times the foreground's, for so many blocks.
const WORSE: f32 = 2.0;
const WORSE_BLOCKS: u8 = 10;

/// The canceller of one line.
#[derive(Clone, Debug)]
pub struct EchoCanceller {
    /// What the phone was given, the newest last; and the same after the pre-emphasis.
    reference: [f32; HISTORY],
    whitened: [f32; HISTORY],
    /// Paths, the longest delay first.
    foreground: [f32; TAPS],
    background: [f32; TAPS],
    /// The foreground knows a path.
    knows: bool,
    /// Last samples before the pre-emphasis: heard, and heard without the foreground's echo.
    last_heard: f32,
    last_left: f32,
    /// Smoothed energies of what is heard, and of both errors.
    heard: f32,
    foreground_error: f32,
    background_error: f32,
    better: u8,
    worse: u8,
    was_frozen: bool,
}

/// What one frame told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cancelled {
    /// Mean square of what was subtracted.
    pub echo: f32,
    /// Mean square of what the phone was given in the time that can be heard now.
    pub reference: f32,
}

impl Default for EchoCanceller {
    fn default() -> Self {
        Self::new()
    }
}

impl EchoCanceller {
    /// Knows no path.
    pub const fn new() -> Self {
        Self {
            reference: [0.0; HISTORY],
            whitened: [0.0; HISTORY],
            foreground: [0.0; TAPS],
            background: [0.0; TAPS],
            knows: false,
            last_heard: 0.0,
            last_left: 0.0,
            heard: 0.0,
            foreground_error: 0.0,
            background_error: 0.0,
            better: 0,
            worse: 0,
            was_frozen: false,
        }
    }

    /// Takes the echo of `given` out of `heard`. The beginning of `heard` may hold the echo of what
    /// was given `delay` samples before it ([`MAX_DELAY`] at most). `frozen`: learn nothing, keys
    /// are pressed. Does not allocate, wait or fail.
    pub fn cancel(
        &mut self,
        heard: &mut Linear,
        given: &Linear,
        delay: usize,
        frozen: bool,
    ) -> Cancelled {
        self.remember(given);
        if frozen && !self.was_frozen {
            // What it has heard of the key before that was certain.
            self.background = self.foreground;
        }
        self.was_frozen = frozen;
        let oldest = MAX_DELAY - delay.min(MAX_DELAY);
        let mut sums = Cancelled::default();
        for (index, block) in heard.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let at = oldest + index * BLOCK;
            let of_block = self.block(block, at, frozen);
            sums.echo += of_block.echo;
            sums.reference += of_block.reference;
        }
        let blocks = (FRAME_SAMPLES / BLOCK) as f32;
        Cancelled { echo: sums.echo / blocks, reference: sums.reference / blocks }
    }

    /// What the phone was given to hear, the newest last.
    pub fn given(&self) -> &[f32] {
        &self.reference
    }

    fn remember(&mut self, given: &Linear) {
        let before = self.reference[HISTORY - 1];
        self.reference.copy_within(FRAME_SAMPLES.., 0);
        self.whitened.copy_within(FRAME_SAMPLES.., 0);
        let newest = HISTORY - FRAME_SAMPLES;
        for (place, &sample) in self.reference[newest..].iter_mut().zip(given) {
            *place = f32::from(sample);
        }
        emphasise(&self.reference[newest..], before, &mut self.whitened[newest..]);
    }

    fn block(&mut self, heard: &mut [i16; BLOCK], at: usize, frozen: bool) -> Cancelled {
        let raw = &self.reference[at..at + WINDOW];
        let whitened = &self.whitened[at..at + WINDOW];
        let reference = energy(raw) / WINDOW as f32;
        let sounds = heard.map(f32::from);
        let mut left = sounds;
        let mut echo = 0.0;
        if self.knows && reference > 0.0 {
            let mut estimate = [0.0; BLOCK];
            correlate(&self.foreground, raw, &mut estimate);
            echo = energy(&estimate) / BLOCK as f32;
            for ((left, estimate), place) in left.iter_mut().zip(&estimate).zip(heard) {
                *left -= estimate;
                *place = rounded(*left);
            }
        }
        let learns = !frozen && energy(whitened) > QUIET * WINDOW as f32;
        if learns {
            let mut white = [0.0; BLOCK];
            emphasise(&sounds, self.last_heard, &mut white);
            let mut white_left = [0.0; BLOCK];
            emphasise(&left, self.last_left, &mut white_left);
            let at = at..at + WINDOW;
            let own = if self.knows { OWN_ECHO * echo * BLOCK as f32 } else { f32::INFINITY };
            let step = STEP * share_of(own, energy(&sounds)).max(LEAST_STEP);
            self.learn(at, &white, energy(&white_left), step);
        }
        (self.last_heard, self.last_left) = (sounds[BLOCK - 1], left[BLOCK - 1]);
        Cancelled { echo, reference }
    }

    /// A share of the best step of the background, and the choice between both.
    fn learn(
        &mut self,
        at: std::ops::Range<usize>,
        heard: &[f32; BLOCK],
        foreground_error: f32,
        share: f32,
    ) {
        let reference = &self.whitened[at];
        let mut error = [0.0; BLOCK];
        correlate(&self.background, reference, &mut error);
        for (error, heard) in error.iter_mut().zip(heard) {
            *error = heard - *error;
        }
        self.heard += SMOOTHING * (energy(heard) - self.heard);
        self.foreground_error += SMOOTHING * (foreground_error - self.foreground_error);
        self.background_error += SMOOTHING * (energy(&error) - self.background_error);

        let mut gradient = [0.0; TAPS];
        correlate(&error, reference, &mut gradient);
        let mut change = [0.0; BLOCK];
        correlate(&gradient, reference, &mut change);
        let slope = energy(&gradient);
        let curvature = energy(&change) + REGULARISATION * slope;
        if curvature > 0.0 {
            let step = share * slope / curvature;
            for (tap, gradient) in self.background.iter_mut().zip(&gradient) {
                *tap += step * gradient;
            }
        }
        self.choose();
    }

    fn choose(&mut self) {
        let (foreground, background) = (self.foreground_error, self.background_error);
        let better = background < BETTER * foreground && background < WORTH * self.heard;
        self.better = if better { self.better + 1 } else { 0 };
        self.worse = if background > WORSE * foreground { self.worse + 1 } else { 0 };
        if self.better >= BETTER_BLOCKS {
            self.foreground = self.background;
            self.foreground_error = background;
            self.knows = true;
            self.better = 0;
        } else if self.worse >= WORSE_BLOCKS {
            self.background = self.foreground;
            self.background_error = foreground;
            self.worse = 0;
        }
    }
}

/// What `part` is of `whole`, at most all of it.
fn share_of(part: f32, whole: f32) -> f32 {
    if part < whole { part / whole } else { 1.0 }
}

/// `white(n) = samples(n) − p·samples(n − 1)`; `before` is the sample before the first.
fn emphasise(samples: &[f32], before: f32, white: &mut [f32]) {
    let mut last = before;
    for (white, &sample) in white.iter_mut().zip(samples) {
        *white = sample - EMPHASIS * last;
        last = sample;
    }
}

/// `into(n) = Σ weights(k)·samples(n + k)`. A filter whose oldest tap comes first; and, with an
/// error as weights, the gradient of its taps. `into` has whole [`LANES`].
fn correlate(weights: &[f32], samples: &[f32], into: &mut [f32]) {
    for (index, into) in into.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let samples = &samples[index * LANES..][..weights.len() + LANES - 1];
        let mut sums = [0.0; LANES];
        for (weight, samples) in weights.iter().zip(samples.array_windows::<LANES>()) {
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum += weight * sample;
            }
        }
        *into = sums;
    }
}

fn energy(samples: &[f32]) -> f32 {
    let (lanes, rest) = samples.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for lane in lanes {
        for (sum, sample) in sums.iter_mut().zip(lane) {
            *sum += sample * sample;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|sample| sample * sample).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SILENCE;

    #[test]
    fn without_an_echo_every_bit_is_passed_on() {
        let mut canceller = EchoCanceller::new();
        let mut seed = 1u32;
        let mut random = || {
            std::array::from_fn(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as i16 / 8
            })
        };
        for _ in 0..200 {
            let (heard, given): (Linear, Linear) = (random(), random());
            let mut left = heard;
            canceller.cancel(&mut left, &given, 0, false);
            assert_eq!(left, heard);
        }
    }

    #[test]
    fn what_saturates_stays_in_range() {
        let mut canceller = EchoCanceller::new();
        let loud: Linear = std::array::from_fn(|i| if i % 7 < 3 { i16::MIN } else { i16::MAX });
        for _ in 0..100 {
            let mut left = loud;
            canceller.cancel(&mut left, &loud, MAX_DELAY + 1, false);
            let mut left = SILENCE;
            canceller.cancel(&mut left, &loud, 0, false);
        }
        assert!(canceller.foreground.iter().all(|tap| tap.is_finite()));
    }
}
