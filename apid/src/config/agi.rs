//! Programs that command channels.

use super::values::Bounded;
use crate::agi::AgiSettings;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// `agi`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgiConfig {
    /// The Unix socket where scripts of this machine are started, tipring-agi.socket; null runs none.
    pub scripts_socket: Option<PathBuf>,
    /// How long a program that has a channel may ask for nothing, s; AsyncAGI may for ever.
    pub idle_s: Bounded<1, 86_400>,
}

impl Default for AgiConfig {
    fn default() -> Self {
        Self { scripts_socket: None, idle_s: Bounded::of(600) }
    }
}

impl AgiConfig {
    /// What plans have of it.
    pub fn settings(&self) -> AgiSettings {
        let scripts = self.scripts_socket.as_deref().map(Into::into);
        AgiSettings { scripts, idle: Duration::from_secs(self.idle_s.get()) }
    }
}
