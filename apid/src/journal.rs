//! What outlives apid: calls that run, and which SIP account has which of the engine's RTP
//! lines. Files in the state directory, each written whole by rename at each change, by a thread
//! of its own.

use crate::auth::write_private;
use crate::call::CallRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tipring_shm_proto::units::Generation;

/// `calls.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct JournalledCalls {
    /// The start of the engine they run on.
    pub generation: Option<u64>,
    /// Calls that were not over.
    pub calls: Vec<CallRecord>,
}

/// What outlives apid. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: Option<PathBuf>,
    found: JournalledCalls,
    to_write: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    waiting: Option<JournalledCalls>,
    busy: bool,
    closed: bool,
}

impl Journal {
    /// Reads what an earlier apid left, and starts the thread that writes. A file that cannot be
    /// understood is put aside and said so: calls of it are lost, not apid.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or the thread cannot be started.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let found = read(&folder.join("calls.json"));
        let shared = Arc::new(Shared {
            folder: Some(folder.to_owned()),
            found,
            to_write: Mutex::default(),
            changed: Condvar::new(),
        });
        let writer = shared.clone();
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.write_on())?;
        Ok(Self(shared))
    }

    /// A journal that keeps nothing.
    pub fn nowhere() -> Self {
        Self(Arc::new(Shared {
            folder: None,
            found: JournalledCalls::default(),
            to_write: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// What an earlier apid wrote.
    pub fn calls(&self) -> JournalledCalls {
        self.0.found.clone()
    }

    /// Has the calls that run written down.
    pub fn note_calls<'a>(
        &self,
        generation: Option<Generation>,
        calls: impl Iterator<Item = &'a CallRecord>,
    ) {
        if self.0.folder.is_none() {
            return;
        }
        let calls = calls.cloned().collect();
        let generation = generation.map(|generation| generation.0);
        self.0.slot().waiting = Some(JournalledCalls { generation, calls });
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, and ends the thread.
    pub fn close(&self) {
        let mut slot = self.0.slot();
        slot.closed = true;
        self.0.changed.notify_all();
        while self.0.folder.is_some() && (slot.waiting.is_some() || slot.busy) {
            slot = self.0.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.to_write.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_on(&self) {
        let Some(folder) = &self.folder else { return };
        let path = folder.join("calls.json");
        loop {
            let calls = {
                let mut slot = self.slot();
                loop {
                    if let Some(calls) = slot.waiting.take() {
                        slot.busy = true;
                        break calls;
                    }
                    if slot.closed {
                        return;
                    }
                    slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
                }
            };
            save(&path, &calls);
            self.slot().busy = false;
            self.changed.notify_all();
        }
    }
}

fn save<T: Serialize>(path: &Path, value: &T) {
    let written = serde_json::to_vec(value)
        .map_err(std::io::Error::other)
        .and_then(|octets| write_private(path, &octets));
    if let Err(error) = written {
        tracing::error!(file = %path.display(), "not written: {error}");
    }
}

fn read<T: Default + for<'de> Deserialize<'de>>(path: &Path) -> T {
    let octets = match std::fs::read(path) {
        Ok(octets) => octets,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::error!(file = %path.display(), "not read: {error}");
            }
            return T::default();
        }
    };
    serde_json::from_slice(&octets).unwrap_or_else(|error| {
        tracing::error!(file = %path.display(), "not understood, put aside: {error}");
        let aside = path.with_extension("broken");
        if let Err(error) = std::fs::rename(path, &aside) {
            tracing::error!(file = %aside.display(), "not put aside: {error}");
        }
        T::default()
    })
}

/// Which SIP account has which of the engine's RTP lines.
pub fn read_rtp_lines(folder: &Path) -> BTreeMap<String, u16> {
    read(&folder.join("lines.json"))
}

/// Writes that down.
pub fn write_rtp_lines(folder: &Path, lines: &BTreeMap<String, u16>) {
    save(&folder.join("lines.json"), lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("tipring-journal-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn what_was_written_is_found() {
        let folder = folder("found");
        let journal = Journal::open(&folder).unwrap();
        assert!(journal.calls().calls.is_empty());
        journal.note_calls(Some(Generation(7)), std::iter::empty());
        journal.note_calls(Some(Generation(8)), std::iter::empty());
        journal.close();
        assert_eq!(Journal::open(&folder).unwrap().calls().generation, Some(8));
    }

    #[test]
    fn a_broken_file_is_put_aside() {
        let folder = folder("broken");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("calls.json"), "{").unwrap();
        assert!(Journal::open(&folder).unwrap().calls().calls.is_empty());
        assert!(folder.join("calls.broken").exists());
    }
}
