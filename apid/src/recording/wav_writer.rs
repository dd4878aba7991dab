//! A WAV file that grows, and that any program can open whenever the process was killed.
//!
//! Samples are written first, then the two lengths in the head: whatever moment the process ends
//! at, the head tells of no sample that is not there. What came behind it is found again by
//! [`repair`], which the next start does.

use crate::audio_format::{WAV_HEAD_OCTETS, encode, wav_head};
use crate::view::AudioFormat;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Longest data chunk: both lengths of the head have 32 bits.
const DATA_MAX: u64 = u32::MAX as u64 - WAV_HEAD_OCTETS as u64;

/// How much is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Length of the audio.
    pub duration_ms: u64,
    /// Length of the file.
    pub octets: u64,
}

/// One that grows.
#[derive(Debug)]
pub struct WavWriter {
    file: File,
    channels: u16,
    data_octets: u64,
}

impl WavWriter {
    /// A new file without samples, readable for us alone. It is there with its whole head or not
    /// at all.
    ///
    /// # Errors
    /// Of the file system; `AlreadyExists` where there is one.
    pub fn create(path: &Path, channels: u16) -> Result<Self> {
        let new = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&wav_head(channels, 0))?;
        if path.exists() {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        std::fs::rename(&new, path)?;
        Ok(Self { file, channels, data_octets: 0 })
    }

    /// Appends samples, those of two channels in turn, and tells the head of them.
    ///
    /// # Errors
    /// Of the file system, `StorageFull` among them; `FileTooLarge` beyond 4 GiB.
    pub fn append(&mut self, samples: &[i16]) -> Result<()> {
        let mut octets = Vec::with_capacity(samples.len() * 2);
        encode(AudioFormat::PcmS16le, samples, &mut octets);
        let data_octets = self.data_octets + octets.len() as u64;
        if data_octets > DATA_MAX {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        let end = WAV_HEAD_OCTETS as u64 + self.data_octets;
        self.file.write_all_at(&octets, end)?;
        self.data_octets = data_octets;
        self.file.write_all_at(&wav_head(self.channels, data_octets as u32), 0)
    }

    /// How much is in it.
    pub fn written(&self) -> Written {
        written(self.channels, self.data_octets)
    }

    /// Has it written to the disk.
    ///
    /// # Errors
    /// Of the file system.
    pub fn finish(self) -> Result<Written> {
        self.file.sync_data()?;
        Ok(self.written())
    }
}

fn written(channels: u16, data_octets: u64) -> Written {
    let octets_a_ms = 16 * u64::from(channels);
    Written { duration_ms: data_octets / octets_a_ms, octets: data_octets + WAV_HEAD_OCTETS as u64 }
}

/// Makes the head tell of all that is in a file whose writer was killed.
///
/// # Errors
/// Of the file system; `InvalidData` where it has no head of ours.
pub(super) fn repair(path: &Path) -> Result<Written> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut head = [0; WAV_HEAD_OCTETS];
    file.read_exact_at(&mut head, 0)?;
    let channels = u16::from_le_bytes([head[22], head[23]]);
    if !matches!(channels, 1 | 2) || head[..4] != *b"RIFF" || head[36..40] != *b"data" {
        return Err(Error::from(ErrorKind::InvalidData));
    }
    let frame_octets = u64::from(channels) * 2;
    let there = file.metadata()?.len().saturating_sub(WAV_HEAD_OCTETS as u64).min(DATA_MAX);
    let data_octets = there / frame_octets * frame_octets;
    file.set_len(WAV_HEAD_OCTETS as u64 + data_octets)?;
    file.write_all_at(&wav_head(channels, data_octets as u32), 0)?;
    file.sync_data()?;
    Ok(written(channels, data_octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio_format::decode_wav;

    fn file(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("tipring-wav-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn it_can_be_read_after_every_append() {
        let path = file("grows.wav");
        let mut writer = WavWriter::create(&path, 1).unwrap();
        assert!(decode_wav(&std::fs::read(&path).unwrap()).unwrap().is_empty());
        for count in 1..4 {
            writer.append(&[7; 160]).unwrap();
            let read = decode_wav(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(read, vec![7; 160 * count]);
        }
        assert_eq!(writer.finish().unwrap(), Written { duration_ms: 60, octets: 44 + 960 });
        let again = WavWriter::create(&path, 1).map(|_| ()).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_came_behind_the_head_is_found_again() {
        let path = file("killed.wav");
        let mut writer = WavWriter::create(&path, 2).unwrap();
        writer.append(&[1, 2, 3, 4]).unwrap();
        // Killed between the samples and the head, in the midst of a sample.
        writer.file.write_all_at(&[5, 0, 6, 0, 7], 52).unwrap();
        drop(writer);
        assert_eq!(repair(&path).unwrap().octets, 44 + 12);
        let octets = std::fs::read(&path).unwrap();
        assert_eq!(octets[40..44], 12u32.to_le_bytes());
        assert_eq!(octets[44..], [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0]);
        std::fs::write(&path, b"something else, longer than a head of ours would be").unwrap();
        assert_eq!(repair(&path).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_full_disk_is_told() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut writer = WavWriter { file, channels: 1, data_octets: 0 };
        assert_eq!(writer.append(&[1; 160]).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(writer.written().duration_ms, 0);
    }
}
