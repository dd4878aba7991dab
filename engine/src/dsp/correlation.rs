//! How alike two stretches of sound are.

/// Products that are summed apart and then together: a sum in order cannot be computed at once.
const LANES: usize = 8;

/// The sum of the products of two stretches; what one has more than the other counts nothing.
#[inline(always)]
pub fn product(first: &[f32], second: &[f32]) -> f32 {
    let ((first, rest), (second, other)) = (first.as_chunks(), second.as_chunks());
    let mut sums = [0.0; LANES];
    for (first, second) in first.iter().zip(second) {
        let (first, second): (&[f32; LANES], &[f32; LANES]) = (first, second);
        for lane in 0..LANES {
            sums[lane] += first[lane] * second[lane];
        }
    }
    let rest: f32 = rest.iter().zip(other).map(|(first, second)| first * second).sum();
    sums.iter().sum::<f32>() + rest
}

/// The energies of all stretches of `N` samples within a longer one, told one after the other from
/// its beginning. Exact for samples of 16 bits: each owes its own to the one before.
#[derive(Clone, Debug)]
pub struct Energies<'a, const N: usize> {
    samples: &'a [f32],
    at: usize,
    energy: f64,
}

impl<'a, const N: usize> Energies<'a, N> {
    /// Of `samples`, at least `N` of them.
    pub fn new(samples: &'a [f32]) -> Self {
        let square = |sample: &f32| f64::from(*sample) * f64::from(*sample);
        Self { samples, at: 0, energy: samples[..N].iter().map(square).sum() }
    }
}

impl<const N: usize> Iterator for Energies<'_, N> {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if self.at + N > self.samples.len() {
            return None;
        }
        let energy = self.energy as f32;
        let [first, after] = [self.at, self.at + N]
            .map(|at| self.samples.get(at).map_or(0.0, |&sample| f64::from(sample)));
        self.energy += after * after - first * first;
        self.at += 1;
        Some(energy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_energies_are_those_of_the_definition() {
        let samples: Vec<f32> =
            (0..50).map(|n: i32| ((n * 7919) % 65_536 - 32_768) as f32).collect();
        let energies: Vec<f32> = Energies::<20>::new(&samples).collect();
        assert_eq!(energies.len(), 31);
        for (at, &energy) in energies.iter().enumerate() {
            let stretch = &samples[at..at + 20];
            let exact: f64 = stretch.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
            assert!((f64::from(energy) - exact).abs() < 1e-6 * exact, "{energy} {exact}");
            let found = f64::from(product(stretch, stretch));
            assert!((found - exact).abs() < 1e-6 * exact, "{found} {exact}");
        }
    }
}
