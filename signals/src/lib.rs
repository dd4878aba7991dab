//! Seeded test signals of telephony. What they are is computed here from the standards' numbers,
//! with nothing of the engine, so that no error of the engine is made twice.
//!
//! Levels are in dBm0: a sine that just reaches full scale is +3.14 dBm0 (ITU-T G.711 §2, A-law).
//! Samples are 8 kHz; they are summed as `f64` and rounded once, at the end, where they also clip.

pub mod companding;
pub mod dtmf;
pub mod dtmf_sweeps;
pub mod hybrid;
pub mod impairment;
pub mod noise;
pub mod random;
pub mod resample;
pub mod signal;
pub mod speech_level;
pub mod wav;

/// Samples a second.
pub const RATE_HZ: usize = 8000;
/// Samples a millisecond.
pub const PER_MS: usize = RATE_HZ / 1000;

/// Peak of a sine of this level.
pub fn peak(dbm0: f64) -> f64 {
    32767.0 * 10f64.powf((dbm0 - 314.0 / 100.0) / 20.0)
}

/// RMS of anything of this level.
pub fn rms(dbm0: f64) -> f64 {
    peak(dbm0) * std::f64::consts::FRAC_1_SQRT_2
}

/// Level of a signal with this mean square.
pub fn dbm0_of_mean_square(mean_square: f64) -> f64 {
    10.0 * (mean_square / rms(0.0).powi(2)).log10()
}
