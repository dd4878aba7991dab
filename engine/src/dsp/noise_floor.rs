//! How loud the noise on a line is, in each band.
//!
//! *What it does.* Follows noise that grows or fades within 2.5 s, whoever speaks meanwhile.
//!
//! *How it works.* Speech pauses in each band several times a second (minimum statistics): the
//! lowest mean of 40 ms within the last 2.5 s is that of the noise, too low by 1.5 dB for being
//! the lowest.

use crate::dsp::sub_bands::BANDS;

/// Energies of 10 ms of which one lowest is kept, 250 ms, and how many of those.
const BUCKET: u8 = 25;
const BUCKETS: usize = 10;
/// Energies of 10 ms in a mean.
const MEAN: usize = 4;
/// What makes a mean of a lowest.
const BIAS: f32 = 1.41;
/// Digital silence and what a codec makes of it, −66 dBm0: a softer floor tells nothing.
const SOFTEST: f32 = 66.0;
/// A floor is never assumed to be louder than −28 dBm0 in a band: who speaks at once and without
/// a pause is heard.
const LOUDEST: f32 = 412_000.0;

/// The floor of one line.
#[derive(Clone, Debug)]
pub struct NoiseFloor {
    /// The last energies, in no order; the oldest is at `oldest`.
    recent: [[f32; BANDS]; MEAN],
    oldest: usize,
    /// Lowest of the last buckets; the newest is not complete.
    lowest: [[f32; BANDS]; BUCKETS],
    newest: usize,
    filled: u8,
}

impl Default for NoiseFloor {
    fn default() -> Self {
        Self::new()
    }
}

impl NoiseFloor {
    /// Has heard nothing so far.
    pub const fn new() -> Self {
        Self {
            recent: [[LOUDEST; BANDS]; MEAN],
            oldest: 0,
            lowest: [[LOUDEST; BANDS]; BUCKETS],
            newest: 0,
            filled: 0,
        }
    }

    /// Takes 10 ms and tells the mean square of the noise in each band.
    pub fn hear(&mut self, energies: &[f32; BANDS]) -> [f32; BANDS] {
        if self.filled == BUCKET {
            self.filled = 0;
            self.newest = (self.newest + 1) % BUCKETS;
            self.lowest[self.newest] = [LOUDEST; BANDS];
        }
        self.filled += 1;
        self.recent[self.oldest] = *energies;
        self.oldest = (self.oldest + 1) % MEAN;
        for band in 0..BANDS {
            let mean = self.recent.iter().map(|energies| energies[band]).sum::<f32>() / MEAN as f32;
            let lowest = &mut self.lowest[self.newest][band];
            *lowest = lowest.min(mean);
        }
        self.floor()
    }

    /// Mean square of the noise in each band.
    pub fn floor(&self) -> [f32; BANDS] {
        let mut floor = [LOUDEST; BANDS];
        for bucket in &self.lowest {
            for band in 0..BANDS {
                floor[band] = floor[band].min(bucket[band]);
            }
        }
        floor.map(|lowest| (lowest * BIAS).max(SOFTEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decibels(floor: [f32; BANDS], energy: f32) -> f32 {
        10.0 * (floor[0] / energy).log10()
    }

    #[test]
    fn the_floor_follows_noise_within_seconds_and_not_speech() {
        let mut floor = NoiseFloor::new();
        for _ in 0..300 {
            floor.hear(&[1000.0; BANDS]);
        }
        assert!(decibels(floor.floor(), 1000.0).abs() < 2.0);
        // Syllables: four a second.
        for ten_ms in 0..1000 {
            let energy = if ten_ms % 25 < 15 { 1e6 } else { 1000.0 };
            floor.hear(&[energy; BANDS]);
        }
        assert!(decibels(floor.floor(), 1000.0).abs() < 2.5);
        for _ in 0..300 {
            floor.hear(&[10_000.0; BANDS]);
        }
        assert!(decibels(floor.floor(), 10_000.0).abs() < 2.0);
    }
}
