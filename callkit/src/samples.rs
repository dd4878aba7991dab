//! Samples as floats from -1 to 1, and as the octets that travel.

use crate::Error;

/// Full scale.
const SCALE: f32 = 32_767.0;

/// 16-bit little-endian samples; what is beyond full scale stays there.
pub(crate) fn to_octets(samples: &[f32]) -> Vec<u8> {
    let octets = |sample: &f32| ((sample.clamp(-1.0, 1.0) * SCALE) as i16).to_le_bytes();
    samples.iter().flat_map(octets).collect()
}

/// Back; half a sample at the end is dropped.
pub(crate) fn from_octets(octets: &[u8]) -> Vec<f32> {
    octets.as_chunks::<2>().0.iter().map(|&o| f32::from(i16::from_le_bytes(o)) / SCALE).collect()
}

/// The samples of a WAV file of 16 bit and one channel, as recordings are.
pub(crate) fn of_wav(file: &[u8]) -> Result<Vec<f32>, Error> {
    let malformed = || Error::Malformed("that is no WAV file of 16 bit and one channel".to_owned());
    let mut rest = file.strip_prefix(b"RIFF").and_then(|r| r.get(4..)).ok_or_else(malformed)?;
    rest = rest.strip_prefix(b"WAVE").ok_or_else(malformed)?;
    while let Some((head, after)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let body = &after[..length.min(after.len())];
        match &head[..4] {
            b"fmt " if body.len() < 16 || body[..4] != [1, 0, 1, 0] || body[14..16] != [16, 0] => {
                return Err(malformed());
            }
            b"data" => return Ok(from_octets(body)),
            _ => {}
        }
        // A chunk of odd length is followed by an octet of nothing.
        rest = after.get(length + length % 2..).unwrap_or_default();
    }
    Err(malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_travel_and_come_back() {
        let octets = to_octets(&[0.0, 1.0, -1.0, 2.0]);
        assert_eq!(octets, [0, 0, 0xff, 0x7f, 0x01, 0x80, 0xff, 0x7f]);
        assert_eq!(from_octets(&octets[..7]), [0.0, 1.0, -1.0]);
    }

    #[test]
    fn a_wav_file_is_read_and_other_files_are_refused() {
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x01\0".to_vec();
        file.extend(8000u32.to_le_bytes());
        file.extend(16_000u32.to_le_bytes());
        file.extend([2, 0, 16, 0]);
        file.extend(b"data\xff\xff\xff\x7f\xff\x7f\0\0");
        assert_eq!(of_wav(&file).unwrap(), [1.0, 0.0]);
        let stereo: Vec<u8> =
            file.iter().enumerate().map(|(i, &b)| if i == 34 { 2 } else { b }).collect();
        for wrong in [&stereo[..], b"RIFF\0\0\0\0WAVE", b"", b"data"] {
            assert!(of_wav(wrong).is_err());
        }
    }
}
