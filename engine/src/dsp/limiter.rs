//! Keeps peaks below full scale.
//!
//! *What it does.* [`Limiter::limit`] brings what is louder than −3 dBFS down to it, within 2 ms and
//! for as long as it lasts; afterwards the gain comes back at 40 dB a second. What does not need it
//! passes bit by bit. [`soften`] bends single samples.
//!
//! *How it works.* In pieces of 2 ms: the gain that a piece needs is reached with the piece before
//! it. The first piece of a frame has none before it; what is too loud in there is bent by the knee.

use crate::dsp::sample::{peak_of, rounded};
use crate::frame::Linear;

/// −3 dBFS.
const KNEE: f32 = 23_197.0;
const ABOVE_KNEE: f32 = 32_767.0 - KNEE;
const PIECE: usize = 16;
const PIECES: usize = crate::frame::SILENCE.len() / PIECE;
/// What a gain comes back in a piece: 0.08 dB.
const RELEASE: f32 = 1.0093;

/// A sample as it is up to −3 dBFS; above, a soft knee `x → T + R·d/(R + d)` (d above the threshold
/// T, R what is left to full scale) keeps it below full scale without the edge that clipping has.
#[inline]
pub fn soften(sample: f32) -> f32 {
    let above = sample.abs() - KNEE;
    if above <= 0.0 {
        return sample;
    }
    (KNEE + ABOVE_KNEE * above / (ABOVE_KNEE + above)).copysign(sample)
}

/// The limiter of one direction of a line.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// Has limited nothing yet.
    pub const fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Limits a frame; `on` false lets it pass, as soon as the gain is back. Does not allocate,
    /// wait or fail.
    pub fn limit(&mut self, frame: &mut Linear, on: bool) {
        let needed = |piece: &[i16]| {
            let peak = f32::from(peak_of(piece));
            if on && peak > KNEE { KNEE / peak } else { 1.0 }
        };
        if self.gain >= 1.0 && needed(frame) >= 1.0 {
            return;
        }
        let pieces = frame.as_chunks_mut::<PIECE>().0;
        let needed: [f32; PIECES] = std::array::from_fn(|index| needed(&pieces[index]));
        for (index, piece) in pieces.iter_mut().enumerate() {
            let next = needed.get(index + 1).copied().unwrap_or(1.0);
            let to = (self.gain * RELEASE).min(1.0).min(needed[index]).min(next);
            let step = (to - self.gain) / PIECE as f32;
            for sample in piece {
                self.gain += step;
                *sample = rounded(soften(f32::from(*sample) * self.gain));
            }
            self.gain = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sine(peak: f32, frames: usize) -> Vec<Linear> {
        let sample =
            |n: usize| (peak * (std::f32::consts::TAU * 0.05 * n as f32).sin()).round() as i16;
        (0..frames).map(|f| std::array::from_fn(|i| sample(f * 160 + i))).collect()
    }

    fn peak(frame: &Linear) -> u16 {
        frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap()
    }

    #[test]
    fn what_is_loud_comes_down_and_what_is_not_stays() {
        let mut limiter = Limiter::new();
        for frame in sine(23_000.0, 5) {
            let mut heard = frame;
            limiter.limit(&mut heard, true);
            assert_eq!(heard, frame);
        }
        let peaks: Vec<u16> = sine(32_700.0, 20)
            .into_iter()
            .map(|mut frame| {
                limiter.limit(&mut frame, true);
                peak(&frame)
            })
            .collect();
        assert!(peaks[0] < 30_000 && peaks[2..].iter().all(|peak| *peak <= 23_500), "{peaks:?}");
    }

    #[test]
    fn it_lets_go_and_can_be_switched_off_in_the_midst() {
        let mut limiter = Limiter::new();
        for mut frame in sine(32_700.0, 5) {
            limiter.limit(&mut frame, true);
        }
        let own = 32_700.0 * 2.0 * (std::f32::consts::PI * 0.05).sin();
        let mut last: Option<i16> = None;
        let frames = sine(32_700.0, 60);
        for (index, frame) in frames.iter().enumerate() {
            let mut heard = *frame;
            limiter.limit(&mut heard, false);
            for sample in heard {
                let step = last.map_or(0.0, |last| f32::from(sample) - f32::from(last));
                assert!(step.abs() <= own, "{step}");
                last = Some(sample);
            }
            if index > 20 {
                assert_eq!(heard, *frame);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_comes_out_louder_than_it_went_in(
            samples in prop::collection::vec(any::<i16>(), 160),
        ) {
            let mut frame: Linear = samples.clone().try_into().unwrap();
            let mut limiter = Limiter::new();
            limiter.limit(&mut frame, true);
            for (out, sample) in frame.iter().zip(&samples) {
                prop_assert!(out.unsigned_abs() <= sample.unsigned_abs());
            }
        }
    }
}
