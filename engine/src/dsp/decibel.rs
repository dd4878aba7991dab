//! Decibels of a ratio of powers.
//!
//! *What it does.* Ten times the common logarithm, to a thousandth of a decibel; of nothing it is
//! −382 dB.
//!
//! *How it works.* A float is 2ᵉ·m; m is brought to √½ … √2, and its logarithm is the series of
//! artanh((m − 1)/(m + 1)), of which three terms are enough. There is no branch and no call, so that
//! the compiler works on several bands at once.

/// 10·lg `ratio`, which is not negative.
#[inline]
pub fn decibels(ratio: f32) -> f32 {
    const SQRT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    const FRACTION_BITS: u32 = f32::MANTISSA_DIGITS - 1;
    const DB_PER_OCTAVE: f32 = 3.010_3;
    let bits = ratio.to_bits();
    let exponent = (bits.wrapping_sub(SQRT_HALF) as i32) >> FRACTION_BITS;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent as u32) << FRACTION_BITS));
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let artanh = t * (1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0)));
    DB_PER_OCTAVE * (exponent as f32 + 2.0 * std::f32::consts::LOG2_E * artanh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_and_powers_of_ten() {
        assert!(decibels(0.0) < -380.0);
        for tens in -30..=30i8 {
            let found = decibels(10f32.powi(tens.into()));
            assert!((found - 10.0 * f32::from(tens)).abs() < 1e-3, "{tens}: {found}");
        }
    }

    proptest! {
        #[test]
        fn the_logarithm_of_any_power(ratio in f32::MIN_POSITIVE..=f32::MAX) {
            let exact = 10.0 * f64::from(ratio).log10();
            let found = f64::from(decibels(ratio));
            prop_assert!((found - exact).abs() < 1e-3, "{ratio}: {found} for {exact}");
        }
    }
}
