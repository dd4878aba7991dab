//! Active speech level (ITU-T P.56 method B), and where speech is by it.

use crate::{RATE_HZ, dbm0_of_mean_square};

/// Time constant of both smoothing stages, s.
const SMOOTHING: f64 = 0.03;
/// Samples for which activity goes on after the envelope fell below a threshold: 200 ms.
const HANGOVER: usize = RATE_HZ / 5;
/// How far the threshold of activity lies below the active level, dB.
pub const MARGIN_DB: f64 = 15.9;

/// Level while there is speech, dBm0; `None` for silence.
pub fn active_level(samples: &[i16]) -> Option<f64> {
    let envelope = envelope(samples);
    let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    // The louder the threshold, the less lies the level above it, until so few samples are above
    // it that this turns round.
    let mut below: Option<(f64, f64)> = None;
    for bit in 0..15 {
        let threshold = f64::from(1 << bit);
        let active = active(&envelope, threshold, HANGOVER).filter(|active| *active).count();
        if active == 0 {
            break;
        }
        let level = dbm0_of_mean_square(energy / active as f64);
        let margin = level - dbm0_of_mean_square(threshold * threshold);
        if margin < MARGIN_DB {
            // Between this threshold and the one below, by the margins.
            return Some(match below {
                Some((level_below, margin_below)) => {
                    let share = (margin_below - MARGIN_DB) / (margin_below - margin);
                    level_below + (level - level_below) * share
                }
                None => level,
            });
        }
        below = Some((level, margin));
    }
    below.map(|(level, _)| level)
}

/// For every 10 ms: whether there is speech, without hangover.
pub fn strict_labels(samples: &[i16]) -> Vec<bool> {
    let Some(level) = active_level(samples) else { return vec![false; samples.len() / 80] };
    let threshold = crate::rms(level - MARGIN_DB);
    let envelope = envelope(samples);
    envelope.chunks_exact(RATE_HZ / 100).map(|ten_ms| ten_ms[40] >= threshold).collect()
}

/// Two cascaded smoothers of the magnitude.
fn envelope(samples: &[i16]) -> Vec<f64> {
    let keep = (-1.0 / (RATE_HZ as f64 * SMOOTHING)).exp();
    let (mut first, mut second) = (0.0, 0.0);
    let smooth = |&sample: &i16| {
        first = keep * first + (1.0 - keep) * f64::from(sample).abs();
        second = keep * second + (1.0 - keep) * first;
        second
    };
    samples.iter().map(smooth).collect()
}

fn active(envelope: &[f64], threshold: f64, hangover: usize) -> impl Iterator<Item = bool> {
    let mut left = 0;
    envelope.iter().map(move |&value| {
        if value >= threshold {
            left = hangover;
            return true;
        }
        let active = left > 0;
        left = left.saturating_sub(1);
        active
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companding::Law;
    use crate::signal::Signal;

    /// Pauses longer than the hangover do not lower the level.
    #[test]
    fn pauses_do_not_count() {
        let mut signal = Signal::new(1);
        for _ in 0..10 {
            signal = signal.sines(&[(400.0, -20.0)], 500.0).silence(1500.0);
        }
        let level = active_level(&signal.companded(Law::A)).unwrap();
        // The hangover of 200 ms beside 500 ms of sound, and what the envelope needs to fall.
        assert!((-22.5..-20.5).contains(&level), "{level}");
        assert_eq!(active_level(&[0; 8000]), None);
    }

    /// A click at full scale is no speech.
    #[test]
    fn a_loud_moment_does_not_count() {
        let signal =
            Signal::new(1).sines(&[(400.0, -12.0)], 200_000.0).sines(&[(400.0, 3.0)], 100.0);
        let level = active_level(&signal.companded(Law::A)).unwrap();
        assert!((-12.5..-11.0).contains(&level), "{level}");
    }

    #[test]
    fn labels_follow_the_sound() {
        let signal = Signal::new(1).silence(500.0).sines(&[(400.0, -20.0)], 500.0).silence(500.0);
        let labels = strict_labels(&signal.companded(Law::A));
        assert!(!labels[45] && labels[56] && labels[98] && !labels[130], "{labels:?}");
    }
}
