//! Levels of a line, for people who set gains and for monitoring.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the meters of a line say; they are read ten times a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineLevels {
    /// Whose.
    pub line: String,
    /// When they were read.
    pub timestamp: Timestamp,
    /// What the phone says: as it came, echo taken out, before any gain.
    pub rx: Levels,
    /// What the phone hears.
    pub tx: Levels,
}

/// One direction. Levels are those of ITU-T G.711: a sine at full scale is +3.14 dBm0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Levels {
    /// RMS of the last 100 ms; -96 is silence.
    pub level_dbm0: f64,
    /// Largest sample of the last 100 ms, as the level of a sine with that peak.
    pub peak_dbm0: f64,
    /// Mean of the samples over about a second, of 32768.
    pub dc_offset: i16,
    /// Samples at or beyond the outermost code of the law since the call began.
    pub clipped_samples: u32,
    /// Active speech level of the call so far (ITU-T P.56 method B); null before anybody spoke.
    pub active_speech_dbm0: Option<f64>,
    /// Share of the call in which somebody spoke (P.56's activity factor).
    pub activity_percent: u8,
}
