//! What clients send.

use super::{AudioFormat, CallerIdView, TapDirection};
use crate::speech::Utterance;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where RTP of a stream flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RtpTarget {
    /// Address.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

/// Body of `POST /audio/start`; an empty one works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamRequest {
    /// The first line where none is named.
    pub line: Option<String>,
    /// Linear unless said otherwise.
    pub format: Option<AudioFormat>,
    /// `rx` unless said otherwise.
    pub direction: Option<TapDirection>,
    /// 10 to 200; 20 unless said otherwise.
    pub chunk_ms: Option<u16>,
    /// Send RTP there instead of using a WebSocket.
    pub rtp: Option<RtpTarget>,
}

/// A cadence by name, or `[on_ms, off_ms, …]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum CadenceChoice {
    /// `normal` (as in the line's country), `distinctive1`, `distinctive2`, `continuous`, `single`, `timer`,
    /// `urgent`, `bellcore-dr1` to `bellcore-dr5` (GR-506), `bellcore-r1` to `bellcore-r8`.
    Name(String),
    /// On and off in turn, 2 to 16 entries.
    OnOffMs(Vec<u16>),
}

/// Body of `POST /v1/lines/{id}/ring`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RingRequest {
    /// `normal` where none is given.
    pub cadence: Option<CadenceChoice>,
    /// Shown by phones that can.
    pub caller_id: Option<CallerIdView>,
    /// 1 to 600 000; 60 000 where none is given.
    pub timeout_ms: Option<u32>,
}

/// A tone: by name, one pair of sines, or steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ToneRequest {
    /// `dial`, `ringback`, `busy`, `congestion`, `special_information`, `sit_intercept`,
    /// `sit_vacant_code`, `sit_reorder`, `sit_no_circuit`, `howler`, `beep`, `call_waiting`.
    Name(String),
    /// Steps, played in turn.
    Steps(ToneSteps),
    /// One step.
    Step(ToneStep),
}

/// Steps of a tone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToneSteps {
    /// 1 to 8.
    pub steps: Vec<ToneStep>,
    /// How often; 0 is until stopped, 1 where none is given.
    pub repeat: Option<u16>,
}

/// Up to two sines for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToneStep {
    /// None (a pause) to two, 20 to 3800 each.
    pub frequency_hz: Vec<u16>,
    /// Each sine's level, −60 to 0; −13 where none is given.
    pub level_dbm0: Option<f32>,
    /// 1 to 600 000.
    pub duration_ms: u32,
    /// Modulates their amplitude by 90 %, 1 to 200; 0, or none, does not.
    pub modulation_hz: Option<u16>,
}

/// Text to be spoken, by itself or with the voice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SayChoice {
    /// Text.
    Text(String),
    /// Text, and how to speak it.
    Voiced(VoicedText),
}

/// Text, and how to speak it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoicedText {
    /// 1 to 2000 characters.
    pub text: String,
    /// One of `GET /v1/voices`.
    pub voice: Option<String>,
    /// 80 to 450 words a minute.
    #[schema(minimum = 80, maximum = 450)]
    pub speed_wpm: Option<u16>,
    /// 0 to 99.
    #[schema(minimum = 0, maximum = 99)]
    pub pitch: Option<u8>,
}

impl From<SayChoice> for Utterance {
    fn from(choice: SayChoice) -> Self {
        match choice {
            SayChoice::Text(text) => Self { text, ..Self::default() },
            SayChoice::Voiced(VoicedText { text, voice, speed_wpm, pitch }) => {
                Self { text, voice, speed_wpm, pitch }
            }
        }
    }
}

/// What silences a playback besides its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    /// The first sign of a digit.
    Digit,
    /// The person speaks.
    Voice,
}

/// Body of `POST /v1/calls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// Rings first: `line:ID`.
    pub from: String,
    /// Rings when `from` has answered: `line:ID`. Or an application behind a socket:
    /// `app:ws://HOST:PORT/PATH?dialect=NAME`, `app:audiosocket://HOST:PORT`.
    pub to: String,
    /// Shown to both.
    pub caller_id: Option<CallerIdView>,
    /// For each phone, 1 to 600 000; 60 000 where none is given.
    pub timeout_ms: Option<u32>,
}

/// Body of `POST /v1/calls/{id}/listen`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenRequest {
    /// Which line hears the call; it takes no part in it.
    pub line: String,
    /// The line of the call that hears what is said there.
    pub whispers_to: Option<String>,
    /// Shown by a phone that rings first.
    pub caller_id: Option<CallerIdView>,
    /// How long it rings, 1 to 600 000; as configured where none is given.
    pub timeout_ms: Option<u32>,
}

/// One step of `POST /v1/sim/{id}/script`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "do", deny_unknown_fields)]
pub enum ScriptStep {
    /// Does nothing.
    Wait {
        /// Up to 60 000.
        ms: u32,
    },
    /// Lifts or puts down.
    Hook {
        /// Lift.
        off: bool,
        /// Contact bounce, 0 to 50.
        #[serde(default)]
        bounce_ms: u16,
    },
    /// Dials.
    Dial {
        /// 1 to 32 of `0-9*#A-D`.
        digits: String,
        /// `dtmf` where none is given.
        #[serde(default)]
        method: DialMethod,
    },
    /// Presses the hook switch.
    Flash {
        /// 10 to 2000.
        #[serde(default = "flash_ms")]
        ms: u16,
    },
    /// The card reports a voltage.
    Voltage {
        /// V, −200 to 200.
        voltage: f64,
    },
    /// The card raises or clears an alarm.
    Alarm {
        /// Raise.
        active: bool,
    },
    /// The card reports a temperature.
    Temperature {
        /// −50 to 200.
        celsius: f64,
    },
    /// The card is lost or found again.
    Fail {
        /// Lost.
        lost: bool,
    },
}

const fn flash_ms() -> u16 {
    500
}

/// How a simulated phone dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DialMethod {
    /// Tones.
    #[default]
    Dtmf,
    /// Loop pulses, `0-9` only.
    Pulse,
}

/// Where calls to a line go instead, by number; null is nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiversionView {
    /// Whoever calls finds the line busy.
    pub do_not_disturb: bool,
    /// Every call, at once.
    pub always: Option<String>,
    /// Calls that find the line busy.
    pub busy: Option<String>,
    /// Calls that nobody answers.
    pub no_answer: Option<String>,
    /// After so long, where that is before the call gives up, 1000 to 600 000.
    #[schema(minimum = 1000, maximum = 600_000)]
    pub no_answer_after_ms: Option<u32>,
}
