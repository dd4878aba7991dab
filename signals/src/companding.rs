//! What G.711 makes of a sample: coded and decoded, straight from the tables of the Recommendation.

/// Companding law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Table 1.
    A,
    /// Table 2.
    Mu,
}

/// A sample after coding and decoding.
pub fn round_trip(law: Law, sample: i16) -> i16 {
    let decoded = match law {
        Law::A => a_law(sample),
        Law::Mu => mu_law(sample),
    };
    if sample < 0 { -decoded } else { decoded }
}

/// Negative samples are coded as their ones' complement.
fn magnitude(sample: i16) -> i16 {
    if sample < 0 { !sample } else { sample }
}

fn a_law(sample: i16) -> i16 {
    let value = magnitude(sample) >> 4;
    // Segments 0 and 1 have the same step; each further one twice the step before.
    let shift = (value >> 5).checked_ilog2().map_or(0, |octave| octave + 1);
    ((2 * (value >> shift) + 1) << shift) << 3
}

fn mu_law(sample: i16) -> i16 {
    const BIAS: i32 = 132;
    let value = i32::from(magnitude(sample)).min(32_635) + BIAS;
    let shift = (value >> 7).ilog2() + 3;
    // The middle of the step.
    (((((value >> shift) << 1) + 1) << (shift - 1)) - BIAS) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends of the scale, zero, and the digital milliwatt's octets (G.711 tables 5 and 6).
    #[test]
    fn values_of_the_tables() {
        for (law, ends) in [(Law::A, 32_256), (Law::Mu, 32_124)] {
            assert_eq!(round_trip(law, i16::MAX), ends);
            assert_eq!(round_trip(law, i16::MIN), -ends);
        }
        assert_eq!((round_trip(Law::A, 0), round_trip(Law::Mu, 0)), (8, 0));
        assert_eq!((round_trip(Law::A, 8400), round_trip(Law::A, 20_300)), (8448, 19_968));
        assert_eq!((round_trip(Law::Mu, 8400), round_trip(Law::Mu, 20_300)), (8316, 19_836));
    }

    #[test]
    fn what_was_decoded_stays_as_it_is() {
        for law in [Law::A, Law::Mu] {
            for sample in i16::MIN..=i16::MAX {
                let once = round_trip(law, sample);
                assert_eq!(round_trip(law, once), once, "{law:?} {sample}");
            }
        }
    }
}
