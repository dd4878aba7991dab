//! The echo of what the phone is given to hear, taken out of what it says (ITU-T G.168).
//!
//! A frame meets, in this order: [`EchoControl::cancel`] (`canceller`, linear), the detectors of
//! digits and voice, [`EchoControl::suppress`] (`suppressor`, which puts `matched_noise` in the
//! place of what is left). So detectors hear what a person sends, and no hole where a suppressor
//! was at work; and nobody else hears the echo.

pub mod canceller;
pub mod matched_noise;
pub mod suppressor;

pub use canceller::{MAX_DELAY, TAPS};

use crate::dsp::dtmf_sender::{HIGH_HZ, LOW_HZ, place_of};
use crate::dsp::sample::rounded;
use crate::frame::Linear;
use canceller::EchoCanceller;
use suppressor::{NOTHING, Suppressor};
use tipring_shm_proto::units::SAMPLE_RATE_HZ;

/// Frames of echo that are learnt before any is taken out, where it was switched on in a call: 0.5 s.
const LEARNT_FIRST: u8 = 25;
/// In which our own digit is looked for, samples: each as long as a Goertzel filter needs to tell
/// neighbouring keys apart; as many as a digit that is certain began ago.
const OWN_DIGIT_WINDOW: usize = 200;
const OWN_DIGIT_WINDOWS: usize = 3;
/// Share of the energy that both tones have in it, and the least mean square of either: −45 dBm0.
const OWN_DIGIT_SHARE: f32 = 0.8;
const OWN_DIGIT_WEAKEST: f32 = 8_200.0;

/// The echo control of one line.
#[derive(Clone, Debug)]
pub struct EchoControl {
    on: bool,
    /// To be on, or off, as soon as that does not click.
    wanted: bool,
    /// Switched on in a call, so many frames of echo are learnt before any is taken out: what is learnt
    /// first would be heard as clicks. `None`: nothing was heard yet, it is at once what it is set to.
    to_learn: Option<u8>,
    /// The frame as it came, which fades into what is made of it, or the other way round.
    came: Option<Linear>,
    canceller: EchoCanceller,
    suppressor: Suppressor,
    somebody: bool,
}

impl Default for EchoControl {
    fn default() -> Self {
        Self::new()
    }
}

impl EchoControl {
    /// Off.
    pub const fn new() -> Self {
        Self {
            on: false,
            wanted: false,
            to_learn: None,
            came: None,
            canceller: EchoCanceller::new(),
            suppressor: Suppressor::new(),
            somebody: true,
        }
    }

    /// Switches it: off within the next frame, on once half a second of echo has been learnt. What it
    /// had learnt is forgotten where it is off.
    pub const fn set(&mut self, on: bool) {
        self.wanted = on;
        if self.to_learn.is_none() {
            self.on = on;
        }
    }

    /// Forgets what was learnt: another call.
    pub fn reset(&mut self) {
        *self = Self { on: self.wanted, wanted: self.wanted, ..Self::new() };
    }

    /// Takes the echo of `given` out of `heard`, in whose beginning may be the echo of what was
    /// given `delay` samples before ([`MAX_DELAY`] at most). `keys`: keys are being pressed, nothing
    /// is learnt. Whether there was anything to do. Does not allocate, wait or fail.
    pub fn cancel(&mut self, heard: &mut Linear, given: &Linear, delay: usize, keys: bool) -> bool {
        let mut before = self.to_learn.unwrap_or(0);
        if self.wanted && !self.on {
            (self.on, before) = (true, LEARNT_FIRST);
        }
        self.to_learn = Some(before);
        if !self.on {
            return false;
        }
        let came = *heard;
        let told = self.canceller.cancel(heard, given, delay, keys);
        self.somebody = self.suppressor.judge(heard, told.echo, told.reference);
        let left = if told.reference > NOTHING { before.saturating_sub(1) } else { before };
        self.to_learn = Some(left);
        if left > 0 {
            (*heard, self.somebody) = (came, true);
        } else if before > 0 || !self.wanted {
            self.came = Some(came);
        }
        true
    }

    /// Nobody is heard, only what is left of the echo. After [`EchoControl::cancel`].
    pub const fn only_echo(&self) -> bool {
        self.on && !self.somebody
    }

    /// The phone was given this digit to hear a moment ago: what is heard of it is its echo.
    pub fn is_own_digit(&self, digit: u8) -> bool {
        let Some((row, column)) = place_of(digit).filter(|_| self.on) else { return false };
        let windows = self.canceller.given().rchunks(OWN_DIGIT_WINDOW).take(OWN_DIGIT_WINDOWS);
        windows.filter(|window| window.len() == OWN_DIGIT_WINDOW).any(|window| {
            let all: f32 = window.iter().map(|s| s * s).sum::<f32>() / window.len() as f32;
            let tones = [LOW_HZ[row], HIGH_HZ[column]].map(|hz| power_at(window, hz));
            tones.iter().all(|tone| *tone > OWN_DIGIT_WEAKEST)
                && tones.iter().sum::<f32>() > OWN_DIGIT_SHARE * all
        })
    }

    /// Makes `heard` what others are to hear. After [`EchoControl::cancel`].
    pub fn suppress(&mut self, heard: &mut Linear) {
        if self.on && self.to_learn == Some(0) {
            self.suppressor.suppress(heard);
        }
        if let Some(came) = self.came.take() {
            fade(heard, &came, self.wanted);
        }
        if self.on && !self.wanted {
            self.reset();
            self.to_learn = Some(0);
        }
    }
}

/// Makes of a frame one that becomes `other` in its course; or, `from_other`, one that was.
fn fade(frame: &mut Linear, other: &Linear, from_other: bool) {
    let last = frame.len() as f32;
    for (index, (sample, other)) in frame.iter_mut().zip(other).enumerate() {
        let done = (index + 1) as f32 / last;
        let share = if from_other { 1.0 - done } else { done };
        *sample = rounded(f32::from(*sample) * (1.0 - share) + f32::from(*other) * share);
    }
}

/// Mean square of a sine of this frequency in `window`, by Goertzel's recursion.
fn power_at(window: &[f32], hz: u16) -> f32 {
    let turns = f64::from(hz) / f64::from(SAMPLE_RATE_HZ);
    let twice_cosine = 2.0 * crate::dsp::sine::sine_of_turns(turns + 0.25) as f32;
    let (mut last, mut before) = (0.0, 0.0);
    for sample in window {
        (last, before) = (sample + twice_cosine * last - before, last);
    }
    let square = last * last + before * before - twice_cosine * last * before;
    let half = window.len() as f32 / 2.0;
    square / (2.0 * half * half)
}
