//! Programs that command channels.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `agi`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgiConfig {
    /// The Unix socket where scripts of this machine are started, tipring-agi.socket; null runs none.
    pub scripts_socket: Option<PathBuf>,
}

impl AgiConfig {
    /// Where scripts are started.
    pub fn scripts_socket(&self) -> Option<Arc<Path>> {
        self.scripts_socket.as_deref().map(Arc::from)
    }
}
