//! Recordings and call records.

use super::{Call, Timestamp};
use crate::recording::StopCause;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordDirection {
    /// What the phone says.
    Rx,
    /// What it hears.
    Tx,
    /// Both, mixed.
    #[default]
    Both,
    /// Both, what it says on the left.
    Stereo,
}

/// What ends a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordStop {
    /// Any digit.
    Digit,
}

/// Body of `POST /v1/lines/{id}/recordings` and `POST /v1/calls/{id}/record`; an empty one works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// `both` where none is given.
    #[serde(default)]
    pub direction: RecordDirection,
    /// Longest; 20 up to what is configured, which holds where none is given.
    #[schema(minimum = 20)]
    pub max_ms: Option<u64>,
    /// What else ends it.
    #[serde(default)]
    pub stop_on: Vec<RecordStop>,
    /// The person saying nothing for so long ends it, 100 to 600 000.
    #[schema(minimum = 100, maximum = 600_000)]
    pub silence_ms: Option<u64>,
    /// Play a beep first; it is not recorded.
    #[serde(default)]
    pub beep: bool,
}

/// How a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It runs.
    Recording,
    /// It ended in order.
    Finished,
    /// It ended before its time; what there is can be heard.
    Failed,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recording {
    /// Names it.
    pub id: String,
    /// Whose audio.
    pub line: String,
    /// The call in which it began.
    pub call_id: Option<String>,
    /// What is recorded.
    pub direction: RecordDirection,
    /// How it stands.
    pub state: RecordingState,
    /// Why it ended.
    pub cause: Option<StopCause>,
    /// The digit that ended it.
    pub digit: Option<char>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Length of its audio, as far as it was known when this was told.
    pub duration_ms: u64,
    /// Length of its file.
    pub octets: u64,
}

/// A call that is over, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallRecordView {
    /// The call.
    #[serde(flatten)]
    pub call: Call,
    /// From its beginning to its end.
    pub duration_ms: u64,
    /// From its answer to its end; 0 where nobody answered.
    pub talk_ms: u64,
}
