//! Faster and slower.

/// Zeros of the sinc on each side of its middle.
const REACH: f64 = 16.0;

/// `samples` as they are at so many times the speed, pitch included: band-limited interpolation by
/// a sinc under a raised cosine, narrower for what gets faster, lest it folds.
pub fn at_speed(samples: &[i16], speed: f64) -> Vec<f64> {
    let cutoff = (1.0 / speed).min(1.0);
    let reach = REACH / cutoff;
    let sample = |n: usize| {
        let middle = n as f64 * speed;
        let (from, to) = ((middle - reach).ceil().max(0.0), (middle + reach).floor());
        let to = (to as usize).min(samples.len() - 1);
        let mut turning = Phasor::new(std::f64::consts::PI * cutoff, from - middle);
        let mut window = Phasor::new(std::f64::consts::PI / reach, from - middle);
        (from as usize..=to)
            .map(|at| {
                let angle = std::f64::consts::PI * cutoff * (at as f64 - middle);
                let sine = turning.next().1;
                let weight = if angle.abs() < 1e-9 { 1.0 } else { sine / angle };
                f64::from(samples[at]) * weight * (0.5 + 0.5 * window.next().0) * cutoff
            })
            .sum()
    };
    (0..(samples.len() as f64 / speed) as usize).map(sample).collect()
}

/// Cosine and sine of angles in equal steps, each by one multiplication from the one before.
struct Phasor {
    now: (f64, f64),
    step: (f64, f64),
}

impl Phasor {
    /// The first is `steps` steps from zero.
    fn new(step: f64, steps: f64) -> Self {
        let (now, step) = ((step * steps).sin_cos(), step.sin_cos());
        Self { now: (now.1, now.0), step: (step.1, step.0) }
    }

    fn next(&mut self) -> (f64, f64) {
        let (now, step) = (self.now, self.step);
        self.now = (now.0 * step.0 - now.1 * step.1, now.1 * step.0 + now.0 * step.1);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;

    #[test]
    fn what_is_faster_is_higher() {
        let sine = Signal::new(1).sines(&[(500.0, -10.0)], 1000.0);
        let samples: Vec<i16> = sine.samples().iter().map(|sample| sample.round() as i16).collect();
        for speed in [0.8, 1.0, 1.25] {
            let made = at_speed(&samples, speed);
            let rises = made.windows(2).filter(|two| two[0] < 0.0 && two[1] >= 0.0).count();
            assert_eq!(made.len(), (8000.0 / speed) as usize);
            assert!((rises as f64 - 500.0).abs() <= 1.0, "{speed}: {rises}");
            let mean_square = made.iter().map(|s| s * s).sum::<f64>() / made.len() as f64;
            assert!((crate::dbm0_of_mean_square(mean_square) + 10.0).abs() < 0.1, "{speed}");
        }
    }
}
