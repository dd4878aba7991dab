//! The folder of recordings: names, room, deletion. Reads and writes files: not for an
//! asynchronous thread.

use super::wav_writer::{WavWriter, Written, repair};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Why a recording cannot begin.
#[derive(Debug)]
pub enum ShelfError {
    /// Recordings take up as much as is configured.
    Quota,
    /// Of the file system.
    Io(Error),
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
    /// All recordings together.
    bytes_max: u64,
}

impl Shelf {
    /// Makes the folder, readable for us alone, where there is none.
    ///
    /// # Errors
    /// Of the file system.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), bytes_max })
    }

    /// A folder that has room for nothing.
    pub fn nowhere() -> Self {
        Self { folder: PathBuf::from("/nonexistent"), bytes_max: 0 }
    }

    /// Where a recording is; ids are hexadecimal, nothing else leads anywhere.
    pub fn path(&self, id: &str) -> Option<PathBuf> {
        let plain = !id.is_empty() && id.len() <= 64 && id.bytes().all(|c| c.is_ascii_hexdigit());
        plain.then(|| self.folder.join(format!("{id}.wav")))
    }

    /// Begins a file.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn create(&self, id: &str, channels: u16) -> std::result::Result<WavWriter, ShelfError> {
        if self.used() >= self.bytes_max {
            return Err(ShelfError::Quota);
        }
        let path = self.path(id).ok_or(Error::from(ErrorKind::InvalidInput));
        path.and_then(|path| WavWriter::create(&path, channels)).map_err(ShelfError::Io)
    }

    /// Octets of all files in the folder.
    pub fn used(&self) -> u64 {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }

    /// Whether there is no room for more.
    pub fn is_over_quota(&self) -> bool {
        self.used() > self.bytes_max
    }

    /// Makes whole what a killed process left; `None` where there is no file.
    pub fn repair(&self, id: &str) -> Option<Written> {
        repair(&self.path(id)?).ok()
    }

    /// Deletes the file.
    ///
    /// # Errors
    /// Of the file system; one that is gone already is none.
    pub fn delete(&self, id: &str) -> Result<()> {
        let path = self.path(id).ok_or(Error::from(ErrorKind::InvalidInput))?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            deleted => deleted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_only_so_much_room_and_names_lead_nowhere_else() {
        let folder = std::env::temp_dir().join(format!("tipring-shelf-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let shelf = Shelf::open(&folder, 100).unwrap();
        let mut writer = shelf.create("0a", 1).unwrap();
        assert!(!shelf.is_over_quota());
        writer.append(&[0; 160]).unwrap();
        assert!(shelf.is_over_quota());
        assert!(matches!(shelf.create("0b", 1), Err(ShelfError::Quota)));
        for id in ["", "..", "../0a", "0a/", "zz"] {
            assert_eq!(shelf.path(id), None, "{id}");
        }
        shelf.delete("0a").unwrap();
        shelf.delete("0a").unwrap();
        assert_eq!(shelf.used(), 0);
        let _ = std::fs::remove_dir_all(&folder);
    }
}
