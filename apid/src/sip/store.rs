//! `bindings.json` and `dialogs.json`: what the next apid needs to know.
//!
//! Written whole, beside the old one, and renamed over it: a process that is killed at any moment
//! leaves one or the other. No sync to the disk, which only a power failure would need.

use super::agent::Agent;
use super::saved::Saved;
use crate::auth::write_private;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use tracing::warn;

/// The two files.
#[derive(Clone, Debug)]
pub(super) struct Store {
    dir: PathBuf,
}

impl Store {
    /// Uses a folder, which is made if need be.
    ///
    /// # Errors
    /// Those of making it.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// What an earlier apid kept. A file that cannot be read is as good as none: the phones
    /// register again.
    pub(super) fn load(&self) -> Saved {
        Saved { bindings: self.read("bindings.json"), calls: self.read("dialogs.json") }
    }

    fn read<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let path = self.dir.join(name);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return T::default(),
            Err(error) => {
                warn!(path = %path.display(), %error, "cannot read what was kept");
                return T::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            warn!(path = %path.display(), %error, "what was kept is damaged");
            T::default()
        })
    }

    pub(super) fn save_bindings(&self, agent: &Agent) {
        self.write("bindings.json", agent.bindings());
    }

    pub(super) fn save_dialogs(&self, agent: &Agent) {
        self.write("dialogs.json", &agent.calls_to_save());
    }

    fn write(&self, name: &str, value: &impl Serialize) {
        let path = self.dir.join(name);
        let text = serde_json::to_vec(value).expect("plain data can always be written as JSON");
        if let Err(error) = write_private(&path, &text) {
            warn!(path = %path.display(), %error, "cannot keep state; a restart would lose it");
        }
    }
}
