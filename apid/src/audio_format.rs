//! Audio as clients write it: G.711 and linear samples on streams, and whole WAV files of any
//! rate, width and channel count. Inside there is one form only: `i16`, 8 kHz, mono.
//!
//! The engine has a G.711 of its own, with levels and tables made for a frame loop; the two
//! processes share nothing but the contract between them.

use crate::view::AudioFormat;
use rubato::audioadapter::Adapter as _;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

/// Samples a second inside Tipring, Hz.
const RATE_HZ: u32 = 8000;
/// Slowest and fastest WAV that is converted, Hz.
const WAV_RATES_HZ: std::ops::RangeInclusive<u32> = 1000..=384_000;
/// Length of [`wav_head`].
pub const WAV_HEAD_OCTETS: usize = 44;
/// Most channels of a WAV that are mixed down.
const WAV_CHANNELS_MAX: u16 = 16;

/// Samples to octets of `format`.
pub fn encode(format: AudioFormat, samples: &[i16], into: &mut Vec<u8>) {
    match format {
        AudioFormat::PcmS16le => into.extend(samples.iter().flat_map(|s| s.to_le_bytes())),
        AudioFormat::Pcmu => into.extend(samples.iter().map(|s| mu_from_linear(*s))),
        AudioFormat::Pcma => into.extend(samples.iter().map(|s| a_from_linear(*s))),
    }
}

/// Octets of `format` to samples. A last odd octet of linear audio is left out.
pub fn decode(format: AudioFormat, octets: &[u8]) -> Vec<i16> {
    match format {
        AudioFormat::PcmS16le => {
            octets.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
        }
        AudioFormat::Pcmu => octets.iter().map(|o| linear_from_mu(*o)).collect(),
        AudioFormat::Pcma => octets.iter().map(|o| linear_from_a(*o)).collect(),
    }
}

/// One stream in messages: the halves of a sample that was torn between two are joined.
#[derive(Debug)]
pub struct Codec {
    format: AudioFormat,
    /// First half of a sample whose other half is in the next message.
    half: Option<u8>,
}

impl Codec {
    /// Nothing came so far.
    pub const fn new(format: AudioFormat) -> Self {
        Self { format, half: None }
    }

    /// Samples of the next message.
    pub fn decode(&mut self, octets: &[u8]) -> Vec<i16> {
        if self.format != AudioFormat::PcmS16le {
            return decode(self.format, octets);
        }
        let mut whole: Vec<u8> = self.half.take().into_iter().collect();
        whole.extend_from_slice(octets);
        if !whole.len().is_multiple_of(2) {
            self.half = whole.pop();
        }
        decode(self.format, &whole)
    }

    /// A message of these samples.
    pub fn encode(&self, samples: &[i16]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(2 * samples.len());
        encode(self.format, samples, &mut octets);
        octets
    }

    /// The next message begins with a whole sample.
    pub fn clear(&mut self) {
        self.half = None;
    }
}

/// ITU-T G.711 table 2b, µ-law, scaled to 16 bit.
const fn linear_from_mu(octet: u8) -> i16 {
    let octet = !octet;
    let magnitude = (((((octet & 0x0f) as i32) << 3) + 0x84) << ((octet >> 4) & 7)) - 0x84;
    (if octet & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

/// ITU-T G.711 table 2a, µ-law, from 16 bit.
const fn mu_from_linear(sample: i16) -> u8 {
    let wide = sample as i32;
    let magnitude = (if wide.abs() > 32_635 { 32_635 } else { wide.abs() }) + 0x84;
    let segment = 24 - magnitude.leading_zeros() as i32;
    let octet = ((segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)) as u8;
    !(octet | if sample < 0 { 0x80 } else { 0 })
}

/// ITU-T G.711 table 1b, A-law with the even bits inverted, scaled to 16 bit.
const fn linear_from_a(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let mantissa = ((octet & 0x0f) as i32) << 4;
    let magnitude = match (octet >> 4) & 7 {
        0 => mantissa + 8,
        segment => (mantissa + 0x108) << (segment - 1),
    };
    (if octet & 0x80 == 0 { -magnitude } else { magnitude }) as i16
}

/// ITU-T G.711 table 1a, A-law, from 16 bit.
const fn a_from_linear(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample }) as i32;
    let octet = if magnitude < 256 {
        magnitude >> 4
    } else {
        let segment = 24 - magnitude.leading_zeros() as i32;
        (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)
    };
    octet as u8 ^ if sample < 0 { 0x55 } else { 0xd5 }
}

/// The head of a WAV file: linear, 16 bit, 8 kHz, with `data_octets` of samples behind it.
pub fn wav_head(channels: u16, data_octets: u32) -> [u8; WAV_HEAD_OCTETS] {
    let frame_octets = channels * 2;
    let mut head = [0; WAV_HEAD_OCTETS];
    let mut put = |at: usize, octets: &[u8]| head[at..at + octets.len()].copy_from_slice(octets);
    put(0, b"RIFF");
    put(4, &(data_octets.saturating_add(WAV_HEAD_OCTETS as u32 - 8)).to_le_bytes());
    put(8, b"WAVEfmt ");
    put(16, &16u32.to_le_bytes());
    put(20, &1u16.to_le_bytes());
    put(22, &channels.to_le_bytes());
    put(24, &RATE_HZ.to_le_bytes());
    put(28, &(RATE_HZ * u32::from(frame_octets)).to_le_bytes());
    put(32, &frame_octets.to_le_bytes());
    put(34, &16u16.to_le_bytes());
    put(36, b"data");
    put(40, &data_octets.to_le_bytes());
    head
}

/// Mono samples as a whole WAV file.
pub fn encode_wav(samples: &[i16]) -> Vec<u8> {
    let mut file = wav_head(1, samples.len() as u32 * 2).to_vec();
    encode(AudioFormat::PcmS16le, samples, &mut file);
    file
}

/// Why a body that calls itself a WAV cannot be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WavError {
    /// There is no RIFF/WAVE header.
    NotWav,
    /// A chunk that is needed is missing or cut off.
    Missing(&'static str),
    /// Its encoding, with the format tag.
    Encoding(u16),
    /// Rate, width or channel count out of range.
    Range(String),
}

impl std::fmt::Display for WavError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotWav => write!(f, "the body does not begin with a RIFF/WAVE header"),
            Self::Missing(chunk) => write!(f, "the WAV has no complete '{chunk}' chunk"),
            Self::Encoding(tag) => write!(
                f,
                "WAV format tag {tag} is not understood: linear (1), float (3), A-law (6) and \
                 µ-law (7) are"
            ),
            Self::Range(what) => write!(f, "the WAV {what}"),
        }
    }
}

/// Whether `octets` begin like a WAV file.
pub fn is_riff(octets: &[u8]) -> bool {
    octets.len() >= 12 && &octets[..4] == b"RIFF" && &octets[8..12] == b"WAVE"
}

/// What the `fmt ` chunk says.
struct WavLayout {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
}

/// A whole WAV file to samples: channels are averaged, other rates are converted.
///
/// Lengths that reach beyond the file (a stream's placeholder, 0 or 0xFFFFFFFF) mean "to its
/// end". Runs for as long as the conversion takes: not for an asynchronous thread.
///
/// # Errors
/// [`WavError`].
pub fn decode_wav(octets: &[u8]) -> Result<Vec<i16>, WavError> {
    if !is_riff(octets) {
        return Err(WavError::NotWav);
    }
    let mut layout = None;
    let mut rest = &octets[12..];
    while let Some((head, body)) = rest.split_at_checked(8) {
        let told = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let length = told.min(body.len());
        match &head[..4] {
            b"fmt " => layout = Some(layout_of(&body[..length])?),
            b"data" => {
                let layout = layout.ok_or(WavError::Missing("fmt "))?;
                let length = if told == 0 { body.len() } else { length };
                return Ok(to_8_khz(mono(&layout, &body[..length])?, layout.rate_hz));
            }
            _ => {}
        }
        // Chunks are padded to even lengths.
        rest = body.get(length + (length & 1)..).unwrap_or(&[]);
    }
    Err(WavError::Missing(if layout.is_some() { "data" } else { "fmt " }))
}

fn layout_of(chunk: &[u8]) -> Result<WavLayout, WavError> {
    let word = |at: usize| Some(u16::from_le_bytes([*chunk.get(at)?, *chunk.get(at + 1)?]));
    let read = || {
        let tag = word(0)?;
        // WAVE_FORMAT_EXTENSIBLE: the tag begins the sub-format's GUID.
        let tag = if tag == 0xfffe { word(24)? } else { tag };
        let rate_hz = u32::from(word(4)?) | (u32::from(word(6)?) << 16);
        Some(WavLayout { tag, channels: word(2)?, rate_hz, bits: word(14)? })
    };
    let layout = read().ok_or(WavError::Missing("fmt "))?;
    if !WAV_RATES_HZ.contains(&layout.rate_hz) {
        return Err(WavError::Range(format!(
            "has {} samples a second; {} to {} are converted",
            layout.rate_hz,
            WAV_RATES_HZ.start(),
            WAV_RATES_HZ.end()
        )));
    }
    if layout.channels == 0 || layout.channels > WAV_CHANNELS_MAX {
        return Err(WavError::Range(format!(
            "has {} channels; 1 to {WAV_CHANNELS_MAX} are mixed down",
            layout.channels
        )));
    }
    Ok(layout)
}

/// Frames to one sample each, full scale ±1.
fn mono(layout: &WavLayout, data: &[u8]) -> Result<Vec<f32>, WavError> {
    let convert: fn(&[u8]) -> f32 = match (layout.tag, layout.bits) {
        (1, 8) => |o| (f32::from(o[0]) - 128.0) / 128.0,
        (1, 16) => |o| f32::from(i16::from_le_bytes([o[0], o[1]])) / 32_768.0,
        (1, 24) => |o| i32::from_le_bytes([0, o[0], o[1], o[2]]) as f32 / 2_147_483_648.0,
        (1, 32) => |o| i32::from_le_bytes([o[0], o[1], o[2], o[3]]) as f32 / 2_147_483_648.0,
        (3, 32) => |o| finite(f32::from_le_bytes([o[0], o[1], o[2], o[3]])),
        (3, 64) => {
            |o| finite(f64::from_le_bytes([o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7]]) as f32)
        }
        (6, 8) => |o| f32::from(linear_from_a(o[0])) / 32_768.0,
        (7, 8) => |o| f32::from(linear_from_mu(o[0])) / 32_768.0,
        (1 | 3 | 6 | 7, bits) => {
            return Err(WavError::Range(format!("has {bits} bits a sample, which is not usual")));
        }
        (tag, _) => return Err(WavError::Encoding(tag)),
    };
    let width = usize::from(layout.bits / 8);
    let channels = usize::from(layout.channels);
    Ok(data
        .chunks_exact(width * channels)
        .map(|frame| frame.chunks_exact(width).map(convert).sum::<f32>() / channels as f32)
        .collect())
}

fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

fn to_8_khz(samples: Vec<f32>, rate_hz: u32) -> Vec<i16> {
    let converted = if rate_hz == RATE_HZ || samples.is_empty() {
        samples
    } else {
        resample(&samples, rate_hz)
    };
    converted.iter().map(|s| (s * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// Band-limited interpolation. The filter is as long as 128 samples of the lower rate, so that
/// what lies above 4 kHz is gone whatever the rate was.
fn resample(samples: &[f32], rate_hz: u32) -> Vec<f32> {
    let taps = 128 * rate_hz.div_ceil(RATE_HZ).clamp(1, 16) as usize;
    let parameters = SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris2)
        .oversampling_factor(256)
        .interpolation(SincInterpolationType::Linear);
    let ratio = f64::from(RATE_HZ) / f64::from(rate_hz);
    let mut resampler = Async::<f32>::new_sinc(ratio, 1.0, &parameters, 1024, 1, FixedAsync::Input)
        .expect("the rate was checked");
    let input = InterleavedSlice::new(samples, 1, samples.len()).expect("one channel, its length");
    let output = resampler.process_all(&input, samples.len(), None).expect("lengths agree");
    (0..output.frames()).filter_map(|i| output.read_sample(0, i)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend((rate * u32::from(channels) * u32::from(bits) / 8).to_le_bytes());
        file.extend((channels * bits / 8).to_le_bytes());
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        file
    }

    fn sine(rate: u32, hz: f32, seconds: f32) -> Vec<f32> {
        let step = std::f32::consts::TAU * hz / rate as f32;
        (0..(rate as f32 * seconds) as usize).map(|i| 0.5 * (step * i as f32).sin()).collect()
    }

    fn power(samples: &[i16]) -> f32 {
        let sum: f32 = samples.iter().map(|s| f32::from(*s).powi(2)).sum();
        10.0 * (sum / samples.len() as f32 / 32_768.0f32.powi(2)).max(1e-12).log10()
    }

    #[test]
    fn every_octet_survives_the_way_to_linear_and_back() {
        for octet in 0..=u8::MAX {
            // µ-law has two zeros; the negative one comes back as the positive one.
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(mu_from_linear(linear_from_mu(octet)), expected);
            assert_eq!(a_from_linear(linear_from_a(octet)), octet);
        }
    }

    #[test]
    fn the_extremes_are_those_of_the_recommendation() {
        assert_eq!((linear_from_mu(0x00), linear_from_mu(0x80)), (-32_124, 32_124));
        assert_eq!((linear_from_a(0x2a), linear_from_a(0xaa)), (-32_256, 32_256));
        for sample in [i16::MIN, -1, 0, 1, i16::MAX] {
            let back = i32::from(linear_from_mu(mu_from_linear(sample)));
            assert!((back - i32::from(sample)).abs() <= 644, "{sample} became {back}");
        }
    }

    #[test]
    fn linear_octets_are_little_endian_and_an_odd_one_is_left_out() {
        assert_eq!(decode(AudioFormat::PcmS16le, &[0x34, 0x12, 0xff]), [0x1234]);
        let mut octets = Vec::new();
        encode(AudioFormat::PcmS16le, &[-2], &mut octets);
        assert_eq!(octets, [0xfe, 0xff]);
    }

    #[test]
    fn a_wav_of_8_khz_comes_through_unchanged() {
        let data: Vec<u8> = [1i16, -2, 300].iter().flat_map(|s| s.to_le_bytes()).collect();
        assert_eq!(decode_wav(&wav(1, 1, 8000, 16, &data)).unwrap(), [1, -2, 300]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        assert_eq!(decode_wav(&encode_wav(&samples)).unwrap(), samples);
    }

    #[test]
    fn other_rates_widths_and_channels_are_converted() {
        for rate in [11_025, 16_000, 22_050, 44_100, 48_000, 4000] {
            let data: Vec<u8> = sine(rate, 440.0, 0.5)
                .iter()
                .flat_map(|s| {
                    let sample = ((s * 8_388_607.0) as i32).to_le_bytes();
                    [sample[0], sample[1], sample[2], sample[0], sample[1], sample[2]]
                })
                .collect();
            let samples = decode_wav(&wav(1, 2, rate, 24, &data)).unwrap();
            assert!(samples.len().abs_diff(4000) <= 2, "{rate}: {}", samples.len());
            let level = power(&samples[800..3200]);
            assert!((level + 9.03).abs() < 0.1, "{rate}: {level} dB");
        }
    }

    #[test]
    fn the_telephone_band_passes_whole() {
        for (rate, hz) in [(16_000, 3400.0), (44_100, 3400.0), (48_000, 300.0)] {
            let data: Vec<u8> = sine(rate, hz, 0.5).iter().flat_map(|s| s.to_le_bytes()).collect();
            let level = power(&decode_wav(&wav(3, 1, rate, 32, &data)).unwrap()[800..3200]);
            assert!((level + 9.03).abs() < 0.1, "{hz} Hz at {rate}: {level} dB");
        }
    }

    #[test]
    fn what_8_khz_cannot_hold_is_filtered_out() {
        let data: Vec<u8> =
            sine(48_000, 6000.0, 0.5).iter().flat_map(|s| s.to_le_bytes()).collect();
        let samples = decode_wav(&wav(3, 1, 48_000, 32, &data)).unwrap();
        assert!(power(&samples[800..3200]) < -70.0);
    }

    #[test]
    fn a_streams_placeholder_length_means_to_the_end() {
        let mut file = wav(7, 1, 8000, 8, &[0xff, 0x80]);
        let length = file.len();
        file[length - 6..length - 2].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode_wav(&file).unwrap(), [0, 32_124]);
    }

    #[test]
    fn what_is_no_wav_is_refused_with_the_reason() {
        assert_eq!(decode_wav(b"no"), Err(WavError::NotWav));
        assert_eq!(decode_wav(b"RIFF\0\0\0\0WAVE"), Err(WavError::Missing("fmt ")));
        assert_eq!(decode_wav(&wav(85, 1, 8000, 16, &[])), Err(WavError::Encoding(85)));
        assert!(matches!(decode_wav(&wav(1, 0, 8000, 16, &[])), Err(WavError::Range(_))));
        assert!(matches!(decode_wav(&wav(1, 1, 0, 16, &[])), Err(WavError::Range(_))));
        assert!(matches!(decode_wav(&wav(1, 1, 8000, 12, &[])), Err(WavError::Range(_))));
    }
}
