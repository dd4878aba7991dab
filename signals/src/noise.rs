//! Noises, as what a line adds to speech.

use crate::random::Random;
use crate::{RATE_HZ, rms};

/// What kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// All frequencies alike, 0 to 4000 Hz.
    White,
    /// All frequencies from 300 to 3400 Hz alike, others not: what SNR of signalling means.
    Band,
    /// As much in each octave.
    Pink,
    /// 50 Hz and its odd harmonics, each 6 dB below the one before, over a little white noise.
    Hum,
}

/// `samples` of it, of this level.
pub fn noise(kind: Noise, dbm0: f64, samples: usize, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut made: Vec<f64> = match kind {
        Noise::White => (0..samples).map(|_| random.gaussian()).collect(),
        Noise::Band => band(samples, &mut random),
        Noise::Pink => pink(samples, &mut random),
        Noise::Hum => hum(samples, &mut random),
    };
    scale_to(&mut made, rms(dbm0));
    made
}

/// Brings the RMS to this value; silence stays silent.
pub fn scale_to(samples: &mut [f64], rms: f64) {
    let energy: f64 = samples.iter().map(|s| s * s).sum();
    if energy > 0.0 {
        let factor = rms / (energy / samples.len() as f64).sqrt();
        for sample in samples {
            *sample *= factor;
        }
    }
}

/// White noise through a band-pass of 301 taps (Blackman's window over the ideal response).
fn band(samples: usize, random: &mut Random) -> Vec<f64> {
    const HALF: usize = 150;
    let tap = |n: usize| {
        let t = n as f64 - HALF as f64;
        let low_pass = |hz: f64| {
            let turns = 2.0 * hz / RATE_HZ as f64;
            if t == 0.0 {
                turns
            } else {
                (std::f64::consts::PI * turns * t).sin() / (std::f64::consts::PI * t)
            }
        };
        let angle = std::f64::consts::PI * n as f64 / HALF as f64;
        let window = 0.42 - 0.5 * angle.cos() + 0.08 * (2.0 * angle).cos();
        (low_pass(3400.0) - low_pass(300.0)) * window
    };
    let taps: Vec<f64> = (0..=2 * HALF).map(tap).collect();
    let white: Vec<f64> = (0..samples + 2 * HALF).map(|_| random.gaussian()).collect();
    white.windows(taps.len()).map(|w| w.iter().zip(&taps).map(|(a, b)| a * b).sum()).collect()
}

/// Sums of noises that change every 1, 2, 4, … samples (Voss and McCartney).
fn pink(samples: usize, random: &mut Random) -> Vec<f64> {
    let mut rows = [0.0f64; 12];
    (0..samples)
        .map(|n| {
            let row = (n + 1).trailing_zeros() as usize % rows.len();
            rows[row] = random.gaussian();
            rows.iter().sum::<f64>() + random.gaussian()
        })
        .collect()
}

fn hum(samples: usize, random: &mut Random) -> Vec<f64> {
    let sine = |n: usize, hz: f64| {
        (std::f64::consts::TAU * (hz * n as f64 / RATE_HZ as f64).fract()).sin()
    };
    (0..samples)
        .map(|n| {
            let harmonics =
                (0..6).map(|k| sine(n, 50.0 + 100.0 * f64::from(k)) / f64::from(1 << k));
            harmonics.sum::<f64>() + 0.003 * random.gaussian()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Power that a sine of this frequency finds, in 1 s.
    fn power_at(samples: &[f64], hz: f64) -> f64 {
        let turn = |n: usize| std::f64::consts::TAU * (hz * n as f64 / RATE_HZ as f64).fract();
        let re: f64 = samples.iter().enumerate().map(|(n, s)| s * turn(n).cos()).sum();
        let im: f64 = samples.iter().enumerate().map(|(n, s)| s * turn(n).sin()).sum();
        (re * re + im * im) / samples.len() as f64
    }

    fn power_between(samples: &[f64], from: u32, to: u32) -> f64 {
        (from..to).step_by(5).map(|hz| power_at(samples, f64::from(hz))).sum::<f64>()
            / f64::from((to - from) / 5)
    }

    #[test]
    fn noises_have_their_level_and_their_shape() {
        for kind in [Noise::White, Noise::Band, Noise::Pink, Noise::Hum] {
            let samples = noise(kind, -20.0, RATE_HZ, 3);
            let mean_square = samples.iter().map(|s| s * s).sum::<f64>() / RATE_HZ as f64;
            assert!((crate::dbm0_of_mean_square(mean_square) + 20.0).abs() < 0.01, "{kind:?}");
        }
        let band = noise(Noise::Band, -20.0, RATE_HZ, 3);
        let inside = power_between(&band, 400, 3300);
        assert!(power_between(&band, 50, 200) < inside * 2e-3);
        assert!(power_between(&band, 3600, 3900) < inside * 2e-3);
        let pink = noise(Noise::Pink, -20.0, RATE_HZ, 3);
        let fall = power_between(&pink, 100, 200) / power_between(&pink, 1600, 3200);
        assert!((8.0..32.0).contains(&fall), "{fall}");
    }
}
