//! Whether a frame is one sine, or two, and which.
//!
//! *What it does.* Tells tones of exchanges and machines from everything else, and their
//! frequencies to a few hertz; DTMF has a detector of its own.
//!
//! *How it works.* One sine obeys x(n−k) + x(n+k) = 2c·x(n) with c = cos kω, two obey
//! x(n−2k) + x(n+2k) = a·(x(n−k) + x(n+k)) + b·x(n) with a = 2(c₁ + c₂), b = −2 − 4c₁c₂. The
//! coefficients are found by least squares; a frame is accepted as what leaves no more than noise
//! 15 dB below it would leave (G.711 alone leaves −35 dB). Five samples apart (k = 5) harmonics of
//! a voice do not pass for one sine, and 400 and 450 Hz are told apart within 20 ms. Frequencies
//! 1600 Hz apart, or mirrored, look alike then; the correlation of neighbours says which it is.
//!
//! *Limits.* Two sines are looked for below 800 Hz only, where all progress tones have theirs,
//! and those less than 30 Hz apart look like one between them.

use crate::frame::SILENCE;
use crate::vectors::widest;
use tipring_shm_proto::units::SAMPLE_RATE_HZ;

/// A frame as it is measured: without what lies below speech.
pub type Rough = [f32; SILENCE.len()];

/// Samples between the terms of a recursion.
const APART: usize = 5;
/// Share of noise that is let pass: −15 dB.
const NOISE: f32 = 0.03;
/// A single sine over less noise than this, −30 dB, is not looked at twice.
const CLEAN: f32 = 0.001;
/// Two sines leave so much less than one.
const BETTER: f32 = 4.0;
/// Two frames have the same frequencies: relative difference.
const SAME: f32 = 0.01;
/// Sums are kept in so many lanes, which are added at once.
const LANES: usize = 8;
/// Highest frequency that is not mirrored.
const FOLD_HZ: f32 = SAMPLE_RATE_HZ as f32 / (2 * APART) as f32;

/// What a frame consists of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sines {
    /// Anything else.
    None,
    /// One, of this frequency.
    One(f32),
    /// Two, lower one first.
    Two([f32; 2]),
}

impl Sines {
    /// Both are tones, and the same.
    pub fn is_near(self, other: Self) -> bool {
        let near = |a: f32, b: f32| (a - b).abs() <= SAME * a.max(b);
        match (self, other) {
            (Self::One(one), Self::One(other)) => near(one, other),
            (Self::Two(two), Self::Two(other)) => near(two[0], other[0]) && near(two[1], other[1]),
            _ => false,
        }
    }
}

/// Measures one frame; silence is [`Sines::None`]. Does not allocate, wait or fail.
pub fn fit(samples: &Rough) -> Sines {
    widest(
        #[inline(always)]
        || fit_here(samples),
    )
}

#[inline(always)]
fn fit_here(samples: &Rough) -> Sines {
    const REACH: usize = 2 * APART;
    const USED: usize = SILENCE.len() - 2 * REACH;
    let mut sums = [[0.0f32; LANES]; 7];
    let from = |offset: usize| samples[offset..offset + USED].as_chunks::<LANES>().0;
    let near = from(REACH - APART).iter().zip(from(REACH + APART));
    let far = from(0).iter().zip(from(2 * REACH));
    let middle = from(REACH).iter().zip(from(REACH + 1));
    for ((near, far), (middle, next)) in near.zip(far).zip(middle) {
        for lane in 0..LANES {
            let (u, v, w) = (far.0[lane] + far.1[lane], near.0[lane] + near.1[lane], middle[lane]);
            sums[0][lane] += w * w;
            sums[1][lane] += v * w;
            sums[2][lane] += v * v;
            sums[3][lane] += u * v;
            sums[4][lane] += u * w;
            sums[5][lane] += u * u;
            sums[6][lane] += w * next[lane];
        }
    }
    let [ww, vw, vv, uv, uw, uu, neighbours] = sums.map(|sums| sums.iter().sum::<f32>());
    // As if it were one sine; a frame of silence gives 0/0, which is below nothing.
    let coarse_hz = hz_of((neighbours / ww).clamp(-1.0, 1.0), 1);
    let a = vw / ww;
    let of_one = (vv - a * vw) / ((2.0 + a * a) * ww);
    let one = || Sines::One(unfolded(hz_of((a / 2.0).clamp(-1.0, 1.0), APART), coarse_hz));
    let single = if of_one < NOISE { one() } else { Sines::None };
    let determinant = vv * ww - vw * vw;
    if of_one < CLEAN || determinant <= 1e-5 * vv * ww {
        return single;
    }
    let a = (uv * ww - uw * vw) / determinant;
    let b = (uw * vv - uv * vw) / determinant;
    let of_two = (uu - a * uv - b * uw) / ((2.0 + 2.0 * a * a + b * b) * ww);
    if of_two >= NOISE || of_two * BETTER >= of_one {
        return single;
    }
    // Roots of c² − (a/2)·c − (b + 2)/4.
    let discriminant = a * a / 4.0 + b + 2.0;
    if discriminant <= 0.0 {
        return single;
    }
    let cosines = [1.0f32, -1.0].map(|sign| 0.5 * (a / 2.0 + sign * discriminant.sqrt()));
    if cosines.iter().any(|cosine| cosine.abs() > 1.0) {
        return single;
    }
    let hz = cosines.map(|cosine| hz_of(cosine, APART));
    let between = hz[0] - FOLD_HZ / 8.0..hz[1] + FOLD_HZ / 8.0;
    if between.contains(&coarse_hz) { Sines::Two(hz) } else { single }
}

fn hz_of(cosine: f32, apart: usize) -> f32 {
    cosine.acos() * (SAMPLE_RATE_HZ as f32 / std::f32::consts::TAU / apart as f32)
}

/// Of the frequencies that look like this one, the one next to what is known coarsely.
fn unfolded(hz: f32, coarse_hz: f32) -> f32 {
    let mut nearest = hz;
    for period in 1..=2 {
        for like in [2.0 * FOLD_HZ * period as f32 - hz, 2.0 * FOLD_HZ * period as f32 + hz] {
            if (like - coarse_hz).abs() < (nearest - coarse_hz).abs() {
                nearest = like;
            }
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;
    use tipring_signals::companding::Law;
    use tipring_signals::noise::Noise;
    use tipring_signals::signal::Signal;

    fn fits(signal: &Signal) -> Vec<Sines> {
        let frames = signal.companded(Law::A);
        frames.as_chunks().0.iter().map(|frame: &[i16; 160]| fit(&frame.map(f32::from))).collect()
    }

    #[test]
    fn one_sine_has_its_frequency() {
        for hz in [350.0, 400.0, 425.0, 450.0, 620.0, 950.0, 1000.0, 1100.0, 1400.0, 1776.7, 2100.0]
        {
            let signal = Signal::new(1).sines(&[(hz, -20.0)], 1000.0);
            for found in fits(&signal.over_noise(Noise::White, -45.0)) {
                let Sines::One(found) = found else { panic!("{hz}: {found:?}") };
                assert!((f64::from(found) - hz).abs() < 6.0, "{hz}: {found}");
            }
        }
    }

    #[test]
    fn two_sines_are_told_apart() {
        for hz in [[350.0, 440.0], [440.0, 480.0], [480.0, 620.0], [400.0, 450.0]] {
            let signal = Signal::new(1).sines(&[(hz[0], -20.0), (hz[1], -20.0)], 1000.0);
            let found = fits(&signal.over_noise(Noise::White, -50.0));
            let right = found.iter().filter(|found| {
                let Sines::Two(found) = found else { return false };
                (0..2).all(|i| (f64::from(found[i]) - hz[i]).abs() < 18.0)
            });
            assert!(right.count() * 10 >= found.len() * 9, "{hz:?}: {found:?}");
        }
    }

    #[test]
    fn noise_silence_and_harmonics_are_neither() {
        let noise = Signal::new(1).silence(2000.0).over_noise(Noise::White, -20.0);
        assert!(fits(&noise).iter().all(|&found| found == Sines::None));
        assert_eq!(fit(&[0.0; 160]), Sines::None);
        let harmonics: Vec<(f64, f64)> = (1..12).map(|k| (130.0 * f64::from(k), -25.0)).collect();
        let found = fits(&Signal::new(1).sines(&harmonics, 1000.0));
        assert!(found.iter().all(|&found| found == Sines::None), "{found:?}");
    }
}
