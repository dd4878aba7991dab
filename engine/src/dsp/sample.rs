//! Single samples: from a float, and the largest of many.

/// To the nearest sample, ties to even; beyond 16 bits it saturates.
///
/// As [`f32::round_ties_even`] and a cast; but that is a call for each sample where the processor may
/// lack the instruction. From 2²³ to 2²⁴ an `f32` has whole values only.
#[inline]
pub fn rounded(value: f32) -> i16 {
    const WHOLE: f32 = 1.5 * (1 << 23) as f32;
    ((value + WHOLE) - WHOLE) as i16
}

/// The largest magnitude of some samples.
///
/// By the highest and the lowest, for which processors have an instruction, as they may not for
/// magnitudes.
#[inline]
pub fn peak_of(samples: &[i16]) -> u16 {
    let (mut highest, mut lowest) = (0, 0);
    for &sample in samples {
        highest = sample.max(highest);
        lowest = sample.min(lowest);
    }
    highest.unsigned_abs().max(lowest.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_may_lie_on_either_side() {
        assert_eq!(peak_of(&[]), 0);
        assert_eq!(peak_of(&[3, -5, 4]), 5);
        assert_eq!(peak_of(&[i16::MIN, i16::MAX]), 32_768);
    }

    #[test]
    fn rounds_as_the_instruction_would_and_saturates() {
        for quarter in -140_000..140_000 {
            let value = quarter as f32 / 4.0;
            assert_eq!(rounded(value), value.round_ties_even() as i16, "{value}");
        }
        assert_eq!([f32::MAX, f32::MIN, 1e7, f32::NAN].map(rounded), [32767, -32768, 32767, 0]);
    }
}
