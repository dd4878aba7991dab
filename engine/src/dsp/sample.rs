//! From a float to a sample.

/// To the nearest sample, ties to even; beyond 16 bits it saturates.
///
/// As [`f32::round_ties_even`] and a cast; but that is a call for each sample where the processor may
/// lack the instruction. From 2²³ to 2²⁴ an `f32` has whole values only.
#[inline]
pub fn rounded(value: f32) -> i16 {
    const WHOLE: f32 = 1.5 * (1 << 23) as f32;
    ((value + WHOLE) - WHOLE) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_the_instruction_would_and_saturates() {
        for quarter in -140_000..140_000 {
            let value = quarter as f32 / 4.0;
            assert_eq!(rounded(value), value.round_ties_even() as i16, "{value}");
        }
        assert_eq!([f32::MAX, f32::MIN, 1e7, f32::NAN].map(rounded), [32767, -32768, 32767, 0]);
    }
}
