//! Applications behind sockets, and programs that answer numbers while they are connected.

use super::check::{at, row};
use super::values::{Bounded, Cidr, Number};
use super::{Config, ConfigError};
use crate::call::Pattern;
use crate::stream::StreamSettings;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::Path;

/// `applications`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApplicationsConfig {
    /// Private networks, this machine included, whose applications may be dialled, besides those
    /// of `fetch.private`.
    pub private: Vec<Cidr>,
    /// For name, connection and handshake.
    pub connect_timeout_ms: Bounded<100, 60_000>,
    /// An application that takes nothing for so long is given up.
    pub stall_ms: Bounded<100, 60_000>,
    /// Audio that may wait to be played; what is more is dropped and told.
    pub queue_ms: Bounded<100, 60_000>,
    /// A longer message ends the call.
    pub max_message_bytes: Bounded<1024, 16_777_216>,
    /// Sockets at once.
    pub max_sessions: Bounded<1, 1000>,
    /// Numbers, and patterns behind `_`, that programs may answer where nothing else has them; none
    /// where none is given.
    pub claim: Vec<Spanned<String>>,
    /// Numbers answered so at once.
    pub max_claims: Bounded<1, 1000>,
}

impl Default for ApplicationsConfig {
    fn default() -> Self {
        Self {
            private: Vec::new(),
            connect_timeout_ms: Bounded::of(5000),
            stall_ms: Bounded::of(5000),
            queue_ms: Bounded::of(60_000),
            max_message_bytes: Bounded::of(4_194_304),
            max_sessions: Bounded::of(500),
            claim: Vec::new(),
            max_claims: Bounded::of(100),
        }
    }
}

impl ApplicationsConfig {
    /// The numbers that programs may answer.
    ///
    /// # Errors
    /// [`ConfigError`] with the line of what is no number and no pattern.
    pub fn claimable(&self, path: &Path) -> Result<Vec<Pattern>, ConfigError> {
        let pattern = |text: &Spanned<String>| {
            let signs = &text.value;
            let pattern = if signs.starts_with('_') {
                signs.parse()
            } else {
                let number = signs.parse::<Number>();
                number.and_then(|number| format!("_{}", number.as_str()).parse())
            };
            pattern.map_err(|reason: String| at(path, row(text), &reason))
        };
        self.claim.iter().map(pattern).collect()
    }
}

impl Config {
    /// For the sockets of applications, which are dialled within the fetcher's rules.
    pub fn stream_settings(&self) -> StreamSettings {
        let own = &self.applications;
        let mut fetch = self.fetch.settings();
        fetch.private.extend(own.private.iter().copied());
        StreamSettings {
            fetch,
            connect_timeout: own.connect_timeout_ms.ms(),
            stall: own.stall_ms.ms(),
            queue_ms: own.queue_ms.get() as u32,
            max_message_bytes: own.max_message_bytes.get() as usize,
            max_sessions: own.max_sessions.get() as usize,
        }
    }
}
