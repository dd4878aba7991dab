//! Level meter of one direction of a line: what a person reads to set gains, and what monitoring keeps.
//!
//! *What it does.* Every 100 ms: RMS level, peak and DC of what was heard, how many samples touched the
//! outermost code, and, of the call so far, the active speech level and the activity factor of ITU-T
//! P.56 method B.
//!
//! *How it works.* Method B's envelope (the magnitude, smoothed twice with 30 ms) is taken from the mean
//! magnitude of each millisecond rather than from each sample, which is 30 times finer than its
//! time constant. Of each of its fifteen thresholds (2⁰ to 2¹⁴) it is counted how many milliseconds were
//! active: at or above it, or within a hangover of 200 ms. Where one is active so are all below it, and
//! a millisecond is counted once, under the highest. The active level lies 15.9 dB above the
//! threshold that counts it, between two of them by interpolation.
//!
//! *Limits.* Within 0.1 dB of the method sample by sample (tested against `tipring-signals`' own). DC is
//! that of about a second: a tone is not DC.

use crate::dsp::level::{self, Level};
use crate::frame::Linear;
use crate::vectors::widest;
use tipring_shm_proto::line_table::MeterRow;
use tipring_shm_proto::units::TenthDbm0;

/// Frames of what is told at once: 100 ms.
const FRAMES: u8 = 5;
/// Samples of a millisecond, and how many of those a frame has.
const MS: usize = 8;
const MS_PER_FRAME: usize = size_of::<Linear>() / size_of::<i16>() / MS;
/// What a smoother of 30 ms keeps after one: e^(−1/30).
const KEEP: f32 = 0.967_216_1;
/// Milliseconds for which activity goes on below a threshold.
const HANGOVER_MS: u32 = 200;
/// The smallest threshold is 2⁰, the largest 2¹⁴.
const THRESHOLDS: usize = 15;
/// How far the threshold of activity lies below the active level, dB.
const MARGIN_DB: f32 = 15.9;
/// How much of a frame's mean is believed to be DC: half of it after 0.7 s.
const DC_BELIEF: f32 = 0.02;

/// The meter of one direction.
#[derive(Clone, Debug)]
pub struct Meter {
    /// Of the 100 ms that run.
    frames: u8,
    energy: u64,
    peak: u16,
    /// Of the call.
    clipped: u32,
    dc: f32,
    first: f32,
    second: f32,
    ms: u32,
    total: f64,
    /// Thresholds that are active, from the lowest on.
    reach: usize,
    /// Until when, in `ms`, each is active for having been the highest that was reached.
    until: [u32; THRESHOLDS + 1],
    /// Milliseconds in which so many thresholds were active.
    reached: [u32; THRESHOLDS + 1],
    row: MeterRow,
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// Has heard nothing.
    pub const fn new() -> Self {
        Self {
            frames: 0,
            energy: 0,
            peak: 0,
            clipped: 0,
            dc: 0.0,
            first: 0.0,
            second: 0.0,
            ms: 0,
            total: 0.0,
            reach: 0,
            until: [0; THRESHOLDS + 1],
            reached: [0; THRESHOLDS + 1],
            row: MeterRow::SILENCE,
        }
    }

    /// What it says since the last 100 ms that are complete.
    pub const fn row(&self) -> &MeterRow {
        &self.row
    }

    /// Takes a frame, whose level is `level`. Does not allocate, wait or fail.
    pub fn hear(&mut self, frame: &Linear, level: &Level) {
        self.follow(frame);
        self.total += level.energy as f64;
        self.energy += level.energy;
        self.peak = self.peak.max(level.peak);
        self.clipped = self.clipped.saturating_add(level.clipped_samples);
        self.dc += DC_BELIEF * (level.sum as f32 / frame.len() as f32 - self.dc);
        self.frames += 1;
        if self.frames == FRAMES {
            self.tell(frame.len());
        }
    }

    fn follow(&mut self, frame: &Linear) {
        // All here and not in `self`: each millisecond waits for the one before.
        let Self { mut first, mut second, mut ms, mut reach, .. } = *self;
        let envelope = mean_magnitudes(frame).map(|mean| {
            first = KEEP * first + (1.0 - KEEP) * mean;
            second = KEEP * second + (1.0 - KEEP) * first;
            second
        });
        for reached in envelope.map(thresholds_below) {
            ms = ms.saturating_add(1);
            self.until[reached] = ms.saturating_add(HANGOVER_MS);
            reach = reach.max(reached);
            while reach > 0 && self.until[reach] < ms {
                reach -= 1;
            }
            self.reached[reach] += 1;
        }
        (self.first, self.second, self.ms, self.reach) = (first, second, ms, reach);
    }

    fn tell(&mut self, samples: usize) {
        let mean_square = self.energy as f32 / (usize::from(FRAMES) * samples) as f32;
        let peak = f32::from(self.peak);
        let speech = self.active_speech(samples);
        let percent = |ms: f32| (100.0 * ms / self.ms.max(1) as f32).round() as u8;
        self.row = MeterRow {
            level: level::of_mean_square(mean_square),
            peak: level::of_mean_square(peak * peak / 2.0),
            dc: self.dc.round() as i16,
            clipped_samples: self.clipped,
            active_speech: speech.map(|(level, _)| TenthDbm0((10.0 * level).round() as i16)),
            activity_percent: speech.map_or(0, |(_, ms)| percent(ms)).min(100),
        };
        (self.frames, self.energy, self.peak) = (0, 0, 0);
    }

    /// Active level, dBm0, and how long there was activity, ms.
    fn active_speech(&self, samples: usize) -> Option<(f32, f32)> {
        let per_ms = (samples / MS_PER_FRAME) as f32;
        let energy = self.total as f32 / per_ms;
        // The louder the threshold, the less lies the level above it.
        let mut below: Option<(f32, f32)> = None;
        let mut active: u32 = self.reached[1..].iter().sum();
        for bit in 0..THRESHOLDS {
            if active == 0 {
                break;
            }
            let level = level::dbm0_of_mean_square(energy / active as f32);
            active -= self.reached[bit + 1];
            let margin = level - level::dbm0_of_mean_square((1u32 << (2 * bit)) as f32);
            if margin < MARGIN_DB {
                let level = below.map_or(level, |(level_below, margin_below)| {
                    let share = (margin_below - MARGIN_DB) / (margin_below - margin);
                    level_below + (level - level_below) * share
                });
                let excess = level - level::dbm0_of_mean_square(energy / self.ms.max(1) as f32);
                return Some((level, self.ms as f32 / 10f32.powf(excess / 10.0)));
            }
            below = Some((level, margin));
        }
        None
    }
}

/// Of each millisecond.
fn mean_magnitudes(frame: &Linear) -> [f32; MS_PER_FRAME] {
    let mut means = [0.0; MS_PER_FRAME];
    widest(
        #[inline(always)]
        || {
            for (mean, samples) in means.iter_mut().zip(frame.as_chunks::<MS>().0) {
                let sum: u32 = samples.iter().map(|s| u32::from(s.unsigned_abs())).sum();
                *mean = sum as f32 / MS as f32;
            }
        },
    );
    means
}

/// How many thresholds `envelope`, which is not negative, reaches: one for each power of two, by the
/// exponent that it has as a float.
fn thresholds_below(envelope: f32) -> usize {
    const BELOW_ONE: u32 = f32::MAX_EXP as u32 - 2;
    let exponent = envelope.to_bits() >> (f32::MANTISSA_DIGITS - 1);
    (exponent.saturating_sub(BELOW_ONE) as usize).min(THRESHOLDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tipring_signals::companding::Law;
    use tipring_signals::noise::{Noise, noise};
    use tipring_signals::signal::Signal;
    use tipring_signals::speech_level;

    fn metered(samples: &[i16]) -> MeterRow {
        let mut meter = Meter::new();
        for frame in samples.as_chunks().0 {
            meter.hear(frame, &level::measure(frame));
        }
        *meter.row()
    }

    /// Syllables and pauses of all lengths, at a level.
    fn words(dbm0: f64, seed: u64) -> Vec<i16> {
        let mut signal = Signal::new(seed);
        for word in 0..40u64 {
            let ms = 80 + 70 * (word * 7 % 11);
            let softer = (word * 5 % 9) as f64;
            let sound = noise(Noise::Band, dbm0 - softer, ms as usize * 8, seed + word);
            signal = signal.then(&sound).silence((40 + 130 * (word % 5)) as f64);
        }
        signal.over_noise(Noise::White, -70.0).companded(Law::A)
    }

    #[test]
    fn active_speech_is_that_of_p56_sample_by_sample() {
        for dbm0 in [-45.0, -30.0, -19.0, -6.0] {
            let samples = words(dbm0, 3);
            let exact = speech_level::active_level(&samples).unwrap();
            let row = metered(&samples);
            let told = f64::from(row.active_speech.unwrap().0) / 10.0;
            assert!((told - exact).abs() <= 0.15, "{dbm0}: {told}, exactly {exact}");
            // Level over all of it, and level while active: the share between them.
            let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
            let mean = tipring_signals::dbm0_of_mean_square(energy / samples.len() as f64);
            let share = 100.0 * 10f64.powf((mean - exact) / 10.0);
            assert!((f64::from(row.activity_percent) - share).abs() <= 3.0, "{share} {row:?}");
        }
    }

    #[test]
    fn level_and_peak_are_those_of_the_last_100_ms() {
        let loud = Signal::new(1).sines(&[(1004.0, 0.0)], 1000.0).companded(Law::A);
        let row = metered(&loud);
        assert!(row.level.0.abs() <= 1 && row.peak.0.abs() <= 2, "{row:?}");
        assert_eq!((row.clipped_samples, row.dc.abs() < 20), (0, true), "{row:?}");
        let then_soft = Signal::new(1).sines(&[(1004.0, 0.0)], 1000.0);
        let row = metered(&then_soft.sines(&[(1004.0, -30.0)], 200.0).companded(Law::A));
        assert!((row.level.0 + 300).abs() <= 2 && (row.peak.0 + 300).abs() <= 5, "{row:?}");
    }

    #[test]
    fn silence_has_no_speech() {
        assert_eq!(metered(&[0; 8000]), MeterRow::SILENCE);
    }

    #[test]
    fn dc_and_clipping_are_told() {
        let shifted: Vec<i16> = words(-30.0, 5).iter().map(|s| s.saturating_add(500)).collect();
        assert!((metered(&shifted).dc - 500).abs() <= 30, "{:?}", metered(&shifted));
        let mut clipped = words(-30.0, 5);
        for at in [100, 4000, 4001] {
            clipped[at] = i16::MAX;
        }
        assert_eq!(metered(&clipped).clipped_samples, 3);
    }
}
