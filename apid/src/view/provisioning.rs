//! Adapters that we set up, as administrators see them.

use super::{Hook, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProvisionedDevice {
    /// Twelve lower-case hexadecimal digits.
    pub mac: String,
    /// `ht801`, `ht802`, `ht802v2`.
    pub model: String,
    /// Its open window, if there is one.
    pub window: Option<WindowState>,
    /// Last time that its file was handed out.
    pub fetched_at: Option<Timestamp>,
    /// One for each port, in order.
    pub ports: Vec<ProvisionedPort>,
}

/// Until when and how often a device may fetch its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowState {
    /// End.
    pub until: Timestamp,
    /// Fetches left.
    pub fetches: u32,
}

/// A port of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProvisionedPort {
    /// Its line.
    pub line: String,
    /// What the device says of its handset between calls; `unknown` where it was not heard from.
    pub hook: Hook,
    /// `snmp`; null where it was not heard from.
    pub hook_source: Option<String>,
    /// How old that is.
    pub hook_age_ms: Option<u64>,
}

/// A window as its administrator is told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenedWindow {
    /// Path for a device without HTTP authentication: its file is `cfg<mac>.xml` below it.
    pub path: String,
    /// User name for HTTP authentication (P1360); the file is then `/cfg<mac>.xml`.
    pub user: String,
    /// Password for it (P1361).
    pub password: String,
    /// End.
    pub until: Timestamp,
    /// How often it may fetch.
    pub fetches: u32,
}

/// A setting of a device that is not as we need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingDifference {
    /// P-value.
    pub setting: String,
    /// What we need; secrets are masked.
    pub wanted: String,
    /// What it has; null where its configuration does not say.
    pub found: Option<String>,
}
