//! ITU-T G.711 (11/1988), both laws, both ways.
//!
//! *What it does.* One octet is one sample. µ-law takes the upper 14 bits of a sample, A-law the
//! upper 13. Negative samples use the one's complement as magnitude, as the reference encoder of
//! ITU-T G.191 does (so −1 and 0 differ in sign only). Silence of A-law decodes to ±8; of µ-law,
//! 0xFF and 0x7F, to 0.
//!
//! *How it works.* Decoding shifts by the segment, encoding finds it by the magnitude's highest bit:
//! many samples at once, where a table has one after the other. Neither allocates, waits or fails.
//!
//! *Test vectors.* All 65 536 inputs, against the decision values of G.711 tables 1 and 2 and
//! against checksums of `sweep-r.a`, `sweep-r.u` and their decodings in ITU-T G.191
//! (`src/g711/test_data`); the digital milliwatt of G.711 tables 5 and 6.

use crate::frame::{Companded, Linear};
use crate::vectors::widest;
use tipring_shm_proto::command::Law;

/// Companded silence of `law`.
pub const fn silence(law: Law) -> u8 {
    match law {
        Law::Mu => 0xFF,
        Law::A => 0xD5,
    }
}

/// Fills `into` with `frame` in `law`.
pub fn encode(frame: &Linear, law: Law, into: &mut Companded) {
    widest(
        #[inline(always)]
        || encode_here(frame, law, into),
    );
}

#[inline(always)]
fn encode_here(frame: &Linear, law: Law, into: &mut Companded) {
    into.law = law;
    let samples = into.octets.iter_mut().zip(frame);
    match law {
        Law::Mu => samples.for_each(|(octet, &sample)| *octet = encode_mu(sample)),
        Law::A => samples.for_each(|(octet, &sample)| *octet = encode_a(sample)),
    }
}

/// Fills `into` with the samples of `frame`.
pub fn decode(frame: &Companded, into: &mut Linear) {
    widest(
        #[inline(always)]
        || decode_here(frame, into),
    );
}

#[inline(always)]
fn decode_here(frame: &Companded, into: &mut Linear) {
    let samples = into.iter_mut().zip(&frame.octets);
    match frame.law {
        Law::Mu => samples.for_each(|(sample, &octet)| *sample = decode_mu(octet)),
        Law::A => samples.for_each(|(sample, &octet)| *sample = decode_a(octet)),
    }
}

/// What stands in place of each octet of `law` where all is made louder by so many tenths of a dB; what
/// would clip is as loud as there is. Not for frame loops, which have `dsp::gain`: rounded twice.
pub fn louder(law: Law, tenth_db: i16) -> [u8; 256] {
    let factor = 10_f32.powf(f32::from(tenth_db) / 200.0);
    let (table, encode): (_, fn(i16) -> u8) = match law {
        Law::Mu => (&MU, encode_mu),
        Law::A => (&A, encode_a),
    };
    // A float beyond the integer's range becomes its last number.
    table.map(|sample| encode((f32::from(sample) * factor).round() as i16))
}

/// One sample to µ-law.
pub const fn encode_mu(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample };
    let mut biased = (magnitude as u32 >> 2) + 33;
    if biased > 0x1FFF {
        biased = 0x1FFF;
    }
    // `biased` is 33 to 8191: its highest bit, 5 to 12, is the segment.
    let code = !(segment_and_step(biased, 5) as u8);
    if sample < 0 { code & 0x7F } else { code }
}

/// One sample to A-law.
pub const fn encode_a(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample } as u32 >> 4;
    // Segments 0 and 1 have the same step.
    let code = if magnitude < 16 { magnitude } else { segment_and_step(magnitude, 3) } as u8;
    // Even bits are inverted on the line (G.711 §3.2), the sign bit is 1 for positive.
    (if sample < 0 { code } else { code | 0x80 }) ^ 0x55
}

/// Segment and step as they stand in a code; segment s has its highest bit at `zeroth + s`.
///
/// They are the exponent and the first bits of the mantissa of the magnitude, 16 to 2²⁴, as `f32`:
/// so the compiler encodes many samples at once, which it cannot with `ilog2`.
const fn segment_and_step(magnitude: u32, zeroth: u32) -> u32 {
    const BIAS: u32 = 127;
    let bits = (magnitude as f32).to_bits();
    (bits >> (f32::MANTISSA_DIGITS - 1 - 4)).wrapping_sub((BIAS + zeroth) << 4)
}

// In 32 bits, of which processors shift many by different widths at once.

#[inline(always)]
const fn decode_mu(octet: u8) -> i16 {
    let code = !octet as i32;
    let segment = (code >> 4) & 7;
    let magnitude = ((((code & 0xF) << 3) + 0x84) << segment) - 0x84;
    (if code & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

#[inline(always)]
const fn decode_a(octet: u8) -> i16 {
    let code = (octet ^ 0x55) as i32;
    let segment = (code >> 4) & 7;
    let step = ((code & 0xF) << 4) + 8;
    // Segments 0 and 1 have the same step.
    let magnitude = if segment == 0 { step } else { (step + 0x100) << (segment - 1) };
    (if code & 0x80 == 0 { -magnitude } else { magnitude }) as i16
}

static MU: [i16; 256] = table(Law::Mu);
static A: [i16; 256] = table(Law::A);

const fn table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match law {
            Law::Mu => decode_mu(octet as u8),
            Law::A => decode_a(octet as u8),
        };
        octet += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn louder_by_6_db_is_twice_as_far_as_there_is_room() {
        for (law, table) in [(Law::Mu, &MU), (Law::A, &A)] {
            let of = |octets: [u8; 256]| octets.map(|octet| table[usize::from(octet)]);
            let is = of(std::array::from_fn(|octet| octet as u8));
            assert_eq!(of(louder(law, 0)), is);
            let loudest = is.into_iter().max().map_or(0.0, f32::from);
            for (is, twice) in is.map(f32::from).into_iter().zip(of(louder(law, 60)).map(f32::from))
            {
                let wanted = (is * 1.995_262).clamp(-loudest, loudest);
                // Half a step: a thirty-second of what is loud, 8 of what is soft; and what rounding takes.
                let near = (wanted.abs() / 32.0).max(8.0) + 0.5;
                assert!((twice - wanted).abs() <= near, "{law:?} {is}: {twice}");
            }
        }
    }

    /// Lower decision values of the 128 positive codes, in 16-bit units, from the tables' rule:
    /// (number of intervals, their width), outward from zero.
    fn decisions(intervals: &[(usize, i32)]) -> Vec<i32> {
        let mut at = 0;
        let mut lower = Vec::new();
        for &(count, width) in intervals {
            for _ in 0..count {
                lower.push(at);
                at += width;
            }
        }
        assert_eq!(lower.len(), 128);
        lower
    }

    /// G.711 table 2: the first interval is half as wide as the other 15 of its segment.
    fn mu_decisions() -> Vec<i32> {
        let mut intervals = vec![(1, 4), (15, 8)];
        intervals.extend((1..8).map(|segment| (16, 8 << segment)));
        decisions(&intervals)
    }

    /// G.711 table 1.
    fn a_decisions() -> Vec<i32> {
        let mut intervals = vec![(32, 16)];
        intervals.extend((1..7).map(|segment| (16, 16 << segment)));
        decisions(&intervals)
    }

    fn code_by_table(decisions: &[i32], sample: i16) -> u8 {
        let magnitude = i32::from(if sample < 0 { !sample } else { sample });
        (decisions.partition_point(|&lower| lower <= magnitude) - 1) as u8
    }

    #[test]
    fn every_sample_is_encoded_as_the_decision_values_say() {
        let (mu, a) = (mu_decisions(), a_decisions());
        for sample in i16::MIN..=i16::MAX {
            let sign = if sample < 0 { 0 } else { 0x80 };
            let expected = (!code_by_table(&mu, sample) & 0x7F) | sign;
            assert_eq!(encode_mu(sample), expected, "µ {sample}");
            let expected = (code_by_table(&a, sample) | sign) ^ 0x55;
            assert_eq!(encode_a(sample), expected, "A {sample}");
        }
    }

    #[test]
    fn every_octet_decodes_to_the_middle_of_its_interval() {
        let (mu, a) = (mu_decisions(), a_decisions());
        for code in 0..128usize {
            // The first µ interval is centred on zero; the last is as wide as its neighbours.
            let middle = if code == 0 { 0 } else { i32::midpoint(mu[code], upper(&mu, code)) };
            assert_eq!(i32::from(MU[0xFF - code]), middle, "µ {code}");
            assert_eq!(i32::from(MU[0x7F - code]), -middle, "µ −{code}");
            let middle = i32::midpoint(a[code], upper(&a, code));
            assert_eq!(i32::from(A[(code | 0x80) ^ 0x55]), middle, "A {code}");
            assert_eq!(i32::from(A[code ^ 0x55]), -middle, "A −{code}");
        }
    }

    fn upper(decisions: &[i32], code: usize) -> i32 {
        decisions.get(code + 1).copied().unwrap_or(2 * decisions[127] - decisions[126])
    }

    /// FNV-1a, 64 bits.
    fn checksum(octets: impl IntoIterator<Item = u8>) -> u64 {
        octets.into_iter().fold(0xCBF2_9CE4_8422_2325, |sum: u64, octet| {
            (sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01B3)
        })
    }

    /// Computed from `sweep-r.u`, `sweep-r.a` (their low octets), `sweep-r.reu`, `sweep-r.rea`.
    #[test]
    fn sweeps_are_those_of_the_reference_library() {
        let all = || i16::MIN..=i16::MAX;
        assert_eq!(checksum(all().map(encode_mu)), 0x04EC_1F08_3FD7_8C2D);
        assert_eq!(checksum(all().map(encode_a)), 0xF030_666E_B780_CF25);
        let mu = all().flat_map(|sample| MU[encode_mu(sample) as usize].to_le_bytes());
        assert_eq!(checksum(mu), 0xEF15_83B4_0170_0E25);
        let a = all().flat_map(|sample| A[encode_a(sample) as usize].to_le_bytes());
        assert_eq!(checksum(a), 0xE032_751E_D97C_F125);
    }

    #[test]
    fn decoding_and_encoding_again_changes_nothing() {
        for octet in 0..=255u8 {
            // µ-law has two zeros; the reference encoder only ever says the positive one.
            let expected = if octet == 0x7F { 0xFF } else { octet };
            assert_eq!(encode_mu(MU[octet as usize]), expected);
            assert_eq!(encode_a(A[octet as usize]), octet);
        }
    }

    #[test]
    fn silence_is_silent() {
        assert_eq!(encode_mu(0), silence(Law::Mu));
        assert_eq!(encode_a(0), silence(Law::A));
        assert_eq!(MU[silence(Law::Mu) as usize], 0);
        assert_eq!(A[silence(Law::A) as usize], 8);
    }

    #[test]
    fn digital_milliwatt_is_zero_dbm0() {
        let mu = [0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E];
        let a = [0x34, 0x21, 0x21, 0x34, 0xB4, 0xA1, 0xA1, 0xB4];
        for (law, octets, full_scale) in [(Law::Mu, mu, 317.0), (Law::A, a, 314.0)] {
            let mut companded = Companded { law, octets: [0; 160] };
            for (place, octet) in companded.octets.iter_mut().zip(octets.iter().cycle()) {
                *place = *octet;
            }
            let mut linear = [0; 160];
            decode(&companded, &mut linear);
            let power = linear.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / 160.0;
            // Re the laws' own overload points, 32 636 and 32 768 of 16 bits.
            let overload = if law == Law::Mu { 32636.0 } else { 32768.0 };
            let level = 10.0 * (power / (overload * overload / 2.0)).log10() + full_scale / 100.0;
            assert!(level.abs() < 0.02, "{law:?}: {level}");
            let mut again = Companded { law, octets: [0; 160] };
            encode(&linear, law, &mut again);
            assert_eq!(again, companded);
        }
    }
}
