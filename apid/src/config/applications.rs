//! Applications behind sockets.

use super::Config;
use super::values::{Bounded, Cidr};
use crate::stream::StreamSettings;
use serde::Deserialize;

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
        }
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
