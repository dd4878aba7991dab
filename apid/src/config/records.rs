//! What is kept: recordings and call records.

use super::values::Bounded;
use serde::Deserialize;
use std::path::PathBuf;

/// `recordings`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingsConfig {
    /// Where they are; `recordings` in the state directory where none is given.
    pub folder: Option<PathBuf>,
    /// All of them together; more are refused, and those that run are ended.
    pub max_bytes: Bounded<1024, { u64::MAX }>,
    /// Older ones are deleted; 0 keeps them.
    pub keep_days: Bounded<0, 36_500>,
    /// The longest, and how long one is where nobody says.
    pub max_ms: Bounded<1000, 86_400_000>,
    /// At once.
    pub max_running: Bounded<0, 1000>,
}

impl Default for RecordingsConfig {
    fn default() -> Self {
        Self {
            folder: None,
            max_bytes: Bounded::of(10 * 1024 * 1024 * 1024),
            keep_days: Bounded::of(0),
            max_ms: Bounded::of(3_600_000),
            max_running: Bounded::of(100),
        }
    }
}

/// `call_records`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallRecordsConfig {
    /// Older ones are forgotten; 0 keeps them.
    pub keep_days: Bounded<0, 36_500>,
    /// The oldest beyond so many are forgotten.
    pub max_calls: Bounded<0, 100_000_000>,
}

impl Default for CallRecordsConfig {
    fn default() -> Self {
        Self { keep_days: Bounded::of(365), max_calls: Bounded::of(100_000) }
    }
}
