//! The key `logging` of both configurations. What is not allowed is refused with what is.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::str::FromStr;

/// `logging`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// What is worth a line.
    pub level: Level,
    /// Form of a line.
    pub format: Format,
    /// `journal` (standard error), or a file.
    pub output: Output,
    /// When a file is closed and the next begun.
    pub rotation: Rotation,
    /// Files kept; older ones are removed.
    pub retention_files: Retention,
}

/// What is worth a line; each level holds those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is lost.
    Error,
    /// Something is worse than it should be.
    #[serde(alias = "warning")]
    Warn,
    /// Something happened.
    #[default]
    Info,
    /// How it happened, digits included.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// As it stands in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "error" | "critical" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(format!("`{text}` is no level; allowed are error, warn, info, debug, trace")),
        }
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Standard error, which systemd hands to its journal.
    #[default]
    Journal,
    /// A file, rotated.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "journal" => Ok(Self::Journal),
            file if file.starts_with('/') => Ok(Self::File(file.into())),
            _ => Err(D::Error::custom(format!(
                "`{text}` is no output; allowed are `journal` and an absolute path"
            ))),
        }
    }
}

/// When a log file is closed and the next begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// At midnight, UTC.
    #[default]
    Daily,
    /// Every hour.
    Hourly,
    /// Never.
    Never,
}

/// Files kept, 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Retention(u16);

impl Retention {
    /// How many, the one that is written included.
    pub const fn files(self) -> usize {
        self.0 as usize
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self(7)
    }
}

impl TryFrom<u64> for Retention {
    type Error = String;
    fn try_from(files: u64) -> Result<Self, String> {
        match u16::try_from(files) {
            Ok(files @ 1..=1000) => Ok(Self(files)),
            _ => Err(format!("{files} is out of range; allowed is 1 to 1000")),
        }
    }
}
