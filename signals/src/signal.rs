//! A signal under composition.

use crate::companding::{Law, round_trip};
use crate::dtmf::{Digit, frequencies_hz};
use crate::noise::{Noise, noise};
use crate::random::Random;
use crate::{PER_MS, RATE_HZ, peak};

/// See the module. Whatever is random in it follows from its seed.
#[derive(Clone, Debug)]
pub struct Signal {
    samples: Vec<f64>,
    random: Random,
    seed: u64,
}

impl Signal {
    /// Nothing yet.
    pub const fn new(seed: u64) -> Self {
        Self { samples: Vec::new(), random: Random::new(seed), seed }
    }

    /// Samples so far.
    pub const fn len(&self) -> usize {
        self.samples.len()
    }

    /// There are none.
    pub const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Adds silence.
    #[must_use]
    pub fn silence(self, ms: f64) -> Self {
        let len = self.samples.len() + (ms * PER_MS as f64).round() as usize;
        self.silence_up_to(len)
    }

    /// Adds silence until there are so many samples.
    ///
    /// # Panics
    /// If there are more.
    #[must_use]
    pub fn silence_up_to(mut self, samples: usize) -> Self {
        assert!(self.samples.len() <= samples, "{} of {samples}", self.samples.len());
        self.samples.resize(samples, 0.0);
        self
    }

    /// Adds sines, each with its frequency and level, beginning at any phase.
    #[must_use]
    pub fn sines(mut self, sines: &[(f64, f64)], ms: f64) -> Self {
        let phases: Vec<f64> = sines.iter().map(|_| self.random.unit()).collect();
        for n in 0..(ms * PER_MS as f64).round() as usize {
            let sine = |(&(hz, dbm0), phase): (&(f64, f64), &f64)| {
                let turns = (hz * n as f64 / RATE_HZ as f64 + phase).fract();
                peak(dbm0) * (std::f64::consts::TAU * turns).sin()
            };
            self.samples.push(sines.iter().zip(&phases).map(sine).sum());
        }
        self
    }

    /// Adds a digit.
    #[must_use]
    pub fn digit(self, sent: Digit) -> Self {
        let hz = frequencies_hz(sent.digit);
        let sine = |group: usize| (hz[group] * (1.0 + sent.off[group]), sent.dbm0[group]);
        self.sines(&[sine(0), sine(1)], sent.ms)
    }

    /// Adds what is there already.
    #[must_use]
    pub fn then(mut self, other: &[f64]) -> Self {
        self.samples.extend_from_slice(other);
        self
    }

    /// Silences `ms` of it, beginning so long before its end.
    #[must_use]
    pub fn interrupted(mut self, before_end_ms: f64, ms: f64) -> Self {
        let from = self.samples.len() - (before_end_ms * PER_MS as f64) as usize;
        self.samples[from..from + (ms * PER_MS as f64) as usize].fill(0.0);
        self
    }

    /// Puts noise under all of it.
    #[must_use]
    pub fn over_noise(mut self, kind: Noise, dbm0: f64) -> Self {
        let noise = noise(kind, dbm0, self.samples.len(), self.seed ^ 0x6e6f);
        self.samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += noise);
        self
    }

    /// Puts steady sines under all of it, all of one level.
    #[must_use]
    pub fn over_sines(mut self, hz: &[f64], dbm0: f64) -> Self {
        for (n, sample) in self.samples.iter_mut().enumerate() {
            for hz in hz {
                let turns = (hz * n as f64 / RATE_HZ as f64).fract();
                *sample += peak(dbm0) * (std::f64::consts::TAU * turns).sin();
            }
        }
        self
    }

    /// As it is.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// As a line carries it: rounded, clipped, coded and decoded.
    pub fn companded(&self, law: Law) -> Vec<i16> {
        // Rust's cast saturates, as a sender does.
        self.samples.iter().map(|sample| round_trip(law, sample.round() as i16)).collect()
    }
}
