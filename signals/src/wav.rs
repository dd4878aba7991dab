//! Files: 16 bits, one channel, 8 kHz.

use crate::RATE_HZ;
use std::path::Path;

/// Why a file cannot be used.
#[derive(Debug)]
pub enum WavError {
    /// It is not a WAV file that can be read, or not a file.
    Unreadable(hound::Error),
    /// It is one, of another kind than 16 bits, one channel, 8 kHz.
    Kind,
}

impl std::fmt::Display for WavError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Kind => f.write_str("not 16 bits, one channel, 8000 Hz"),
        }
    }
}

impl std::error::Error for WavError {}

impl From<hound::Error> for WavError {
    fn from(error: hound::Error) -> Self {
        Self::Unreadable(error)
    }
}

const SPEC: hound::WavSpec = hound::WavSpec {
    channels: 1,
    sample_rate: RATE_HZ as u32,
    bits_per_sample: 16,
    sample_format: hound::SampleFormat::Int,
};

/// All samples of a file.
///
/// # Errors
/// See [`WavError`].
pub fn read(path: &Path) -> Result<Vec<i16>, WavError> {
    let mut reader = hound::WavReader::open(path)?;
    if reader.spec() != SPEC {
        return Err(WavError::Kind);
    }
    Ok(reader.samples().collect::<Result<_, _>>()?)
}

/// Writes a file.
///
/// # Errors
/// See [`WavError`].
pub fn write(path: &Path, samples: &[i16]) -> Result<(), WavError> {
    let mut writer = hound::WavWriter::create(path, SPEC)?;
    for &sample in samples {
        writer.write_sample(sample)?;
    }
    Ok(writer.finalize()?)
}
