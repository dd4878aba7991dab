//! What outlives apid: calls that run, where calls to lines go instead, and which SIP account has which
//! of the engine's RTP lines. Files in the state directory, each written whole by rename at each change, by a thread
//! of its own.

use crate::auth::write_private;
use crate::call::CallRecord;
use crate::view::DiversionView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tipring_shm_proto::units::Generation;

const CALLS: &str = "calls.json";
const DIVERSIONS: &str = "diversions.json";

/// `calls.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct JournalledCalls {
    /// The start of the engine they run on.
    pub generation: Option<u64>,
    /// Calls that were not over.
    pub calls: Vec<CallRecord>,
}

/// `diversions.json`, by line; also of lines that are not there, as on a card that is pulled.
type Diversions = BTreeMap<String, DiversionView>;

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
    calls: Option<JournalledCalls>,
    diversions: Diversions,
    diversions_wait: bool,
    busy: bool,
    closed: bool,
}

impl Slot {
    fn is_waiting(&self) -> bool {
        self.calls.is_some() || self.diversions_wait
    }
}

impl Journal {
    /// Reads what an earlier apid left, and starts the thread that writes. A file that cannot be
    /// understood is put aside and said so: calls of it are lost, not apid.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or the thread cannot be started.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let found = read(&folder.join(CALLS));
        let slot = Slot { diversions: read(&folder.join(DIVERSIONS)), ..Slot::default() };
        let shared = Arc::new(Shared {
            folder: Some(folder.to_owned()),
            found,
            to_write: Mutex::new(slot),
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

    /// The calls that an earlier apid wrote down.
    pub fn calls(&self) -> JournalledCalls {
        self.0.found.clone()
    }

    /// Where calls to a line go.
    pub fn diversion(&self, line: &str) -> DiversionView {
        self.0.slot().diversions.get(line).cloned().unwrap_or_default()
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
        self.0.slot().calls = Some(JournalledCalls { generation, calls });
        self.0.changed.notify_all();
    }

    /// Has it written down where calls to a line go.
    pub fn note_diversion(&self, line: &str, diversion: &DiversionView) {
        if self.0.folder.is_none() {
            return;
        }
        let mut slot = self.0.slot();
        if *diversion == DiversionView::default() {
            slot.diversions.remove(line);
        } else {
            slot.diversions.insert(line.to_owned(), diversion.clone());
        }
        slot.diversions_wait = true;
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, and ends the thread.
    pub fn close(&self) {
        let mut slot = self.0.slot();
        slot.closed = true;
        self.0.changed.notify_all();
        while self.0.folder.is_some() && (slot.is_waiting() || slot.busy) {
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
        loop {
            let (calls, diversions) = {
                let mut slot = self.slot();
                while !slot.is_waiting() {
                    if slot.closed {
                        return;
                    }
                    slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
                }
                slot.busy = true;
                let changed = std::mem::take(&mut slot.diversions_wait);
                (slot.calls.take(), changed.then(|| slot.diversions.clone()))
            };
            if let Some(calls) = calls {
                save(&folder.join(CALLS), &calls);
            }
            if let Some(diversions) = diversions {
                save(&folder.join(DIVERSIONS), &diversions);
            }
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
        let undisturbed = DiversionView { do_not_disturb: true, ..DiversionView::default() };
        journal.note_diversion("1", &undisturbed);
        journal.note_diversion("2", &undisturbed);
        journal.note_diversion("2", &DiversionView::default());
        journal.close();
        let journal = Journal::open(&folder).unwrap();
        assert_eq!(journal.calls().generation, Some(8));
        assert_eq!(journal.diversion("1"), undisturbed);
        assert_eq!(journal.diversion("2"), DiversionView::default());
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
