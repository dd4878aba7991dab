//! The same numbers for the same seed, everywhere.

/// A linear congruential generator (Knuth's MMIX); its upper bits are used.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Different seeds give different numbers from the first on.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    /// From 0 up to, but not, 1.
    pub fn unit(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normally distributed, mean 0, variance 1, never beyond 6: a sum of twelve.
    pub fn gaussian(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gaussian_has_its_mean_and_variance() {
        let mut random = Random::new(1);
        let values: Vec<f64> = (0..100_000).map(|_| random.gaussian()).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
