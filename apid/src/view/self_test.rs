//! Self-tests of a line.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelfTest {
    /// The bell rings for a moment. The handset must be down.
    Ring,
    /// A tone of 1004 Hz goes to the phone, and what comes back is measured. It must be lifted.
    Tone,
    /// Four digits go to the phone, and those that come back are read. It must be lifted.
    Dtmf,
}

/// Which tests to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SelfTestRequest {
    /// 1 to 3; where none is given, those that the line's state allows.
    #[schema(min_items = 1, max_items = 3)]
    pub tests: Option<Vec<SelfTest>>,
}

/// What one test did and found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SelfTestResult {
    /// Which.
    pub test: SelfTest,
    /// What was to be given to the device was given to it.
    pub passed: bool,
    /// What was done, in words.
    pub did: String,
    /// Level of the tone as it was given to the device.
    pub sent_dbm0: Option<f32>,
    /// Level of the tone in what came from the phone, behind the line's echo canceller where that is
    /// on; null: none was found.
    pub returned_dbm0: Option<f32>,
    /// Digits in what was given to the device.
    pub sent_digits: Option<String>,
    /// Digits in what came from the phone.
    pub returned_digits: Option<String>,
    /// Tip-ring voltage before, V; null where the driver tells none.
    pub voltage_before: Option<f64>,
    /// Highest tip-ring voltage while it rang, V; null where the driver tells none.
    pub voltage_ringing: Option<f64>,
}

/// Levels of what comes from the phone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignalQuality {
    /// While the tone was sent.
    pub signal_level_dbm0: f32,
    /// Before it.
    pub noise_level_dbm0: f32,
    /// Of what came back of the tone, over the noise; null: nothing came back.
    pub snr_db: Option<f32>,
}

/// All tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SelfTestReport {
    /// The line's id.
    pub line: String,
    /// All of them passed.
    pub passed: bool,
    /// In the order in which they were made.
    pub tests: Vec<SelfTestResult>,
    /// Where the test tone was sent.
    pub signal_quality: Option<SignalQuality>,
    /// When the last one ended.
    pub timestamp: Timestamp,
}
