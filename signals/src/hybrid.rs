//! Echo paths of two-wire lines. Independent synthetic ones: the models of ITU-T G.168 annex D are
//! not used.

use crate::RATE_HZ;
use crate::random::Random;

/// Taps of a path: 16 ms.
pub const TAPS: usize = RATE_HZ / 1000 * 16;

/// Impulse response of an echo path: `delay` samples, then a band-limited, dispersive response. Its
/// power gain for white noise is the return loss.
pub fn hybrid(loss_db: f64, delay: usize, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut path = vec![0.0; TAPS];
    let (hz, damping) = (600.0 + 1500.0 * random.unit(), 5.0 + 10.0 * random.unit());
    for (n, tap) in path[delay..].iter_mut().enumerate() {
        let time = n as f64;
        let ringing = (std::f64::consts::TAU * hz * time / RATE_HZ as f64 + 1.0).cos();
        *tap = (ringing + 0.3 * random.gaussian()) * (-time / damping).exp();
    }
    let power: f64 = path.iter().map(|tap| tap * tap).sum();
    let scale = 10f64.powf(-loss_db / 20.0) / power.sqrt();
    path.iter().map(|tap| tap * scale).collect()
}

/// What comes back of `samples` by a path.
pub fn through(path: &[f64], samples: &[f64]) -> Vec<f64> {
    (0..samples.len())
        .map(|n| path.iter().take(n + 1).enumerate().map(|(k, tap)| tap * samples[n - k]).sum())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbm0_of_mean_square;
    use crate::noise::{Noise, noise};

    #[test]
    fn white_noise_comes_back_weaker_by_the_return_loss() {
        let given = noise(Noise::White, -10.0, RATE_HZ, 3);
        for (seed, delay) in [(1, 0), (2, 40)] {
            let echo = through(&hybrid(6.0, delay, seed), &given);
            let power = echo.iter().map(|s| s * s).sum::<f64>() / echo.len() as f64;
            assert!((dbm0_of_mean_square(power) + 16.0).abs() < 0.5, "hybrid {seed}");
            assert!(echo[..delay].iter().all(|&s| s == 0.0));
        }
    }
}
