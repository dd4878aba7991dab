//! How loud a frame is.
//!
//! *What it does.* RMS of 160 samples as a level in dBm0, and how many of them touch the
//! outermost code of either law; with it what a meter needs: peak, sum, energy.
//!
//! *How it works.* A sine from −32 767 to 32 767 is +3.14 dBm0 (ITU-T G.711 §2, A-law; µ-law's
//! +3.17 differs by less than the meter's step of 0.1 dB). DC counts; a codec has none.

use crate::dsp::decibel::decibels;
use crate::dsp::sample::{peak_of, rounded};
use crate::frame::Linear;
use crate::vectors::widest;
use tipring_shm_proto::units::TenthDbm0;

/// Level of a full-scale sine, dBm0.
pub const FULL_SCALE_DBM0: f32 = 314.0 / 100.0;

/// The smaller of the laws' largest decoded values: µ-law's.
const CLIP: u16 = 32124;

/// A frame's level, and what else a meter needs of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// RMS over the frame.
    pub dbm0: TenthDbm0,
    /// Samples at or beyond the outermost code.
    pub clipped_samples: u32,
    /// Largest magnitude.
    pub peak: u16,
    /// Sum of all samples.
    pub sum: i32,
    /// Sum of their squares.
    pub energy: u64,
}

/// Measures one frame. Does not allocate, wait or fail.
pub fn measure(frame: &Linear) -> Level {
    widest(
        #[inline(always)]
        || measure_here(frame),
    )
}

#[inline(always)]
fn measure_here(frame: &Linear) -> Level {
    // 160 squares of at most 2^30 need 38 bits; two fit 32, and are what processors add at once.
    let squares = |two: &[i16; 2]| two.map(|s| i32::from(s).pow(2) as u32).iter().sum::<u32>();
    let energy: u64 = frame.as_chunks().0.iter().map(|two| u64::from(squares(two))).sum();
    let peak = peak_of(frame);
    let sum = frame.iter().map(|&sample| i32::from(sample)).sum();
    let dbm0 = of_mean_square(energy as f32 / frame.len() as f32);
    let beyond = |sample: &i16| u32::from(sample.unsigned_abs() >= CLIP);
    let clipped_samples = if peak < CLIP { 0 } else { frame.iter().map(beyond).sum() };
    Level { dbm0, clipped_samples, peak, sum, energy }
}

/// Level of a signal with this mean square, in squared sample units.
pub fn of_mean_square(mean_square: f32) -> TenthDbm0 {
    TenthDbm0(rounded(10.0 * dbm0_of_mean_square(mean_square))).max(TenthDbm0::SILENCE)
}

/// The same in dBm0, without a floor.
pub fn dbm0_of_mean_square(mean_square: f32) -> f32 {
    const FULL_SCALE: f32 = 32767.0 * 32767.0 / 2.0;
    decibels(mean_square / FULL_SCALE) + FULL_SCALE_DBM0
}

/// Peak, in sample units, of a sine of this level.
pub fn peak(level: TenthDbm0) -> f32 {
    32767.0 * 10f32.powf((f32::from(level.0) / 10.0 - FULL_SCALE_DBM0) / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SILENCE;
    use proptest::prelude::*;

    fn sine(peak: f32) -> Linear {
        std::array::from_fn(|i| {
            (peak * (std::f32::consts::TAU * 1000.0 * i as f32 / 8000.0).sin()).round() as i16
        })
    }

    #[test]
    fn silence_is_the_floor_and_full_scale_the_ceiling() {
        let told = |frame: &Linear| (measure(frame).dbm0, measure(frame).clipped_samples);
        assert_eq!(told(&SILENCE), (TenthDbm0::SILENCE, 0));
        assert_eq!(told(&sine(32767.0)), (TenthDbm0(31), 40));
        assert_eq!(told(&[i16::MIN; 160]), (TenthDbm0(62), 160));
    }

    #[test]
    fn clipping_begins_at_the_outermost_code() {
        let mut frame = SILENCE;
        frame[159] = -32123;
        assert_eq!(measure(&frame).clipped_samples, 0);
        frame[159] = -32124;
        assert_eq!(measure(&frame).clipped_samples, 1);
    }

    proptest! {
        #[test]
        fn a_sine_of_a_level_measures_that_level(tenths in -450i16..=31) {
            let level = measure(&sine(peak(TenthDbm0(tenths)))).dbm0;
            prop_assert!((level.0 - tenths).abs() <= 1, "{tenths} measured {level:?}");
        }

        #[test]
        fn any_frame_has_a_level(frame in prop::array::uniform32(any::<i16>())) {
            let frame: Linear = std::array::from_fn(|i| frame[i % 32]);
            let level = measure(&frame).dbm0;
            prop_assert!(TenthDbm0::SILENCE <= level && level <= TenthDbm0(62));
        }
    }
}
