//! A frame without what lies below speech, and its energy in four bands, twice a frame.
//!
//! *What it does.* Takes away DC and hum; gives the mean square of 10 ms below 500 Hz, up to 1, 2
//! and 4 kHz. What follows the line's noise and speech works on these.
//!
//! *How it works.* A high-pass of first order at 200 Hz. Then three times the same split into
//! halves: what a sample's neighbours foretell of it (Deslauriers and Dubuc's interpolation, ±1
//! and ±3) makes with it the lower half, and what they do not foretell is the upper.
//!
//! *Limits.* The halves overlap: a sine at 3/8 of the rate of a split is found in both, 5 dB
//! apart.

use crate::dsp::correlation::product;
use crate::dsp::sine_fit::Rough;
use crate::frame::Linear;
use crate::vectors::widest;

/// Bands, lowest first.
pub const BANDS: usize = 4;
/// Times a frame that they are measured.
pub const PARTS: usize = 2;
/// Of the high-pass of first order, 200 Hz.
const POLE: f32 = 0.864;
/// What is left of its state after one to four samples.
const POWERS: [f32; 4] = [POLE, POLE * POLE, POLE * POLE * POLE, POLE * POLE * POLE * POLE];
/// Samples before those that are split, of which the split has need.
const BEFORE: usize = 6;

/// What is measured of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Bands {
    /// The frame without what lies below speech.
    pub rough: Rough,
    /// Mean square in each band of the first and the second 10 ms.
    pub energies: [[f32; BANDS]; PARTS],
    /// Mean square of both without regard to bands, which together lack what lies between them.
    pub totals: [f32; PARTS],
}

/// Splits the frames of one line.
#[derive(Clone, Debug, Default)]
pub struct SubBands {
    last_sample: f32,
    high: f32,
    /// The last samples that came to each split.
    before: [[f32; BEFORE]; 3],
}

impl SubBands {
    /// Has heard silence so far.
    pub const fn new() -> Self {
        Self { last_sample: 0.0, high: 0.0, before: [[0.0; BEFORE]; 3] }
    }

    /// Measures a frame. Does not allocate, wait or fail.
    pub fn hear(&mut self, frame: &Linear) -> Bands {
        widest(
            #[inline(always)]
            || self.measure(frame),
        )
    }

    #[inline(always)]
    fn measure(&mut self, frame: &Linear) -> Bands {
        let mut rough = frame.map(f32::from);
        self.high_pass(&mut rough);
        let ([low, upper], [first, second, third]) = ([0, 1], &mut self.before);
        let halves: [[f32; 80]; 2] = split::<160, 83, 80>(&rough, first);
        let quarters: [[f32; 40]; 2] = split::<80, 43, 40>(&halves[low], second);
        let eighths: [[f32; 20]; 2] = split::<40, 23, 20>(&quarters[low], third);
        let mut energies = [[0.0; BANDS]; PARTS];
        let bands: [&[f32]; BANDS] =
            [&eighths[low], &eighths[upper], &quarters[upper], &halves[upper]];
        for (number, band) in bands.into_iter().enumerate() {
            let of_band = mean_squares(band);
            for part in 0..PARTS {
                energies[part][number] = of_band[part];
            }
        }
        Bands { rough, energies, totals: mean_squares(&rough) }
    }

    /// y(n) = p·(y(n−1) + x(n) − x(n−1)), in place. Of four samples, only what they owe to those
    /// before them waits for those.
    #[inline(always)]
    fn high_pass(&mut self, samples: &mut Rough) {
        let before = std::mem::replace(&mut self.last_sample, samples[samples.len() - 1]);
        for n in (1..samples.len()).rev() {
            samples[n] = POLE * (samples[n] - samples[n - 1]);
        }
        samples[0] = POLE * (samples[0] - before);
        let mut high = self.high;
        for four in samples.as_chunks_mut::<4>().0 {
            let [a, b, c, d] = *four;
            let b = b + POWERS[0] * a;
            let c = c + POWERS[0] * b;
            let d = d + POWERS[0] * c;
            *four = [
                a + POWERS[0] * high,
                b + POWERS[1] * high,
                c + POWERS[2] * high,
                d + POWERS[3] * high,
            ];
            high = four[3];
        }
        self.high = high;
    }
}

/// Lower and upper half of `N` samples; `HALF` is half of `N`, `ALL` of `N` and [`BEFORE`].
#[inline(always)]
fn split<const N: usize, const ALL: usize, const HALF: usize>(
    samples: &[f32; N],
    before: &mut [f32; BEFORE],
) -> [[f32; HALF]; 2] {
    // Taken apart, so that what follows reads what lies side by side.
    let (mut even, mut odd) = ([0.0; ALL], [0.0; ALL]);
    take_apart(before, &mut even, &mut odd);
    take_apart(samples, &mut even[BEFORE / 2..], &mut odd[BEFORE / 2..]);
    before.copy_from_slice(&samples[N - BEFORE..]);
    let mut halves = [[0.0; HALF]; 2];
    for n in 0..HALF {
        // The even places around an odd one.
        let foretold = (9.0 * (even[n + 1] + even[n + 2]) - (even[n] + even[n + 3])) / 16.0;
        halves[0][n] = 0.5 * (odd[n + 1] + foretold);
        halves[1][n] = 0.5 * (odd[n + 1] - foretold);
    }
    halves
}

#[inline(always)]
fn take_apart(samples: &[f32], even: &mut [f32], odd: &mut [f32]) {
    for ((pair, even), odd) in samples.as_chunks::<2>().0.iter().zip(even).zip(odd) {
        *even = pair[0];
        *odd = pair[1];
    }
}

/// Of the halves of a frame.
#[inline(always)]
fn mean_squares(band: &[f32]) -> [f32; PARTS] {
    let (first, second) = band.split_at(band.len() / 2);
    [first, second].map(|part| product(part, part) / part.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tipring_signals::companding::Law;
    use tipring_signals::signal::Signal;

    fn energies(hz: f64) -> [f32; BANDS] {
        let signal = Signal::new(1).sines(&[(hz, -10.0)], 200.0).companded(Law::A);
        let mut bands = SubBands::new();
        let last = signal.as_chunks().0.iter().map(|frame| bands.hear(frame).energies[1]).last();
        last.expect("frames")
    }

    #[test]
    fn a_sine_is_in_its_band() {
        for (band, hz) in [300.0, 700.0, 1400.0, 3000.0].into_iter().enumerate() {
            let energies = energies(hz);
            let loudest = (0..BANDS).max_by(|&a, &b| energies[a].total_cmp(&energies[b]));
            assert_eq!(loudest, Some(band), "{hz}: {energies:?}");
        }
    }

    #[test]
    fn hum_is_taken_away() {
        let [hum, voice] = [50.0, 300.0].map(|hz| energies(hz)[0]);
        assert!(10.0 * (voice / hum).log10() > 9.0, "{hum} {voice}");
    }
}
