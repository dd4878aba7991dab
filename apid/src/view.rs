//! What clients see: the shapes of docs/api.md. Units stand in names, times are ISO-8601 UTC with
//! milliseconds and `Z`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::macros::format_description;
use utoipa::ToSchema;

/// A moment, written as `2026-11-21T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T12:00:00.000Z")]
pub struct Timestamp(pub SystemTime);

impl Timestamp {
    /// This moment.
    pub fn now() -> Self {
        Self(SystemTime::now())
    }

    /// Now moved into the past.
    pub fn ago(age: Duration) -> Self {
        let now = SystemTime::now();
        Self(now.checked_sub(age).unwrap_or(now))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let text = OffsetDateTime::from(self.0).format(format).map_err(|_| std::fmt::Error)?;
        f.write_str(&text)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339)
            .map(|moment| Self(moment.into()))
            .map_err(serde::de::Error::custom)
    }
}

/// What kind of telephone a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Simulated.
    Sim,
    /// On a DAHDI card.
    Dahdi,
    /// A SIP phone, or an analog one behind an ATA.
    Sip,
    /// A softphone in the browser.
    Web,
}

impl LineKind {
    /// The name clients know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Dahdi => "dahdi",
            Self::Sip => "sip",
            Self::Web => "web",
        }
    }
}

/// State of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// No device, no registration, or no engine.
    Offline,
    /// Handset down.
    OnHook,
    /// The bell rings.
    Ringing,
    /// Handset lifted.
    OffHook,
    /// The device reports a fault.
    Fault,
}

impl LineState {
    /// The name clients know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::OnHook => "on_hook",
            Self::Ringing => "ringing",
            Self::OffHook => "off_hook",
            Self::Fault => "fault",
        }
    }
}

/// What a lifted line is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Hears dial tone.
    DialTone,
    /// Has dialled at least one digit.
    Collecting,
    /// Talks, or hears what it was played.
    Talking,
    /// On hold.
    Held,
    /// Left off the hook.
    Howler,
}

/// Position of the handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Down.
    On,
    /// Lifted.
    Off,
    /// Cannot be told.
    Unknown,
}

/// How the hook's position became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookSource {
    /// Nothing was heard of it yet.
    None,
    /// Loop current.
    Loop,
    /// A SIP request or response of the phone.
    Signalling,
    /// The far end hung up: the handset may still be lifted.
    FarEndHungUp,
}

/// A telephone line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Stable name in every route.
    pub id: String,
    /// For people.
    pub name: String,
    /// Kind of telephone.
    pub kind: LineKind,
    /// State.
    pub state: LineState,
    /// What it is doing, when off hook.
    pub phase: Option<Phase>,
    /// Position of the handset.
    pub hook: Hook,
    /// How that became known.
    pub hook_source: HookSource,
    /// How long it has been in that position.
    pub hook_age_ms: u64,
    /// The call it takes part in.
    pub call_id: Option<String>,
    /// Registered with SIP; null where that does not apply.
    pub registered: Option<bool>,
    /// Last digit since it was lifted.
    pub last_digit: Option<String>,
    /// The person speaks.
    pub voice: bool,
    /// Level of what the phone says.
    pub rx_level_dbm0: f32,
    /// Level of what the phone hears.
    pub tx_level_dbm0: f32,
    /// Since when it is in `state`.
    pub since: Timestamp,
}

/// Who calls, as shown by phones that can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerIdView {
    /// At most 32 characters.
    #[serde(default)]
    pub number: String,
    /// At most 32 octets of UTF-8.
    #[serde(default)]
    pub name: String,
}

/// State of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// A phone rings.
    Ringing,
    /// Answered.
    Connected,
    /// A leg is on hold.
    Held,
    /// Over.
    Ended,
}

/// What a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegKind {
    /// One of our lines.
    Line,
    /// A SIP peer elsewhere.
    Sip,
    /// An application: the API itself, the echo, the dial tone.
    Application,
}

/// State of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// Waits for its turn.
    Idle,
    /// Its bell rings.
    Ringing,
    /// Takes part.
    Connected,
    /// On hold.
    Held,
    /// Gone.
    Ended,
}

/// One end of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Leg {
    /// What it is.
    pub kind: LegKind,
    /// `line:ID`, `sip:URI`, `app:NAME`.
    pub address: String,
    /// The line, where it is one.
    pub line: Option<String>,
    /// State.
    pub state: LegState,
    /// Of its RTP, where it has any.
    pub media: Option<MediaStatistics>,
}

/// RTP statistics of a leg (RFC 3550 §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MediaStatistics {
    /// Packets received.
    pub packets: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came after their frame was played.
    pub late: u64,
    /// Interarrival jitter.
    pub jitter_ms: f64,
    /// Null until an RTCP report has come back.
    pub round_trip_ms: Option<f64>,
    /// ITU-T G.107 E-model from loss and delay; null while nothing was received.
    pub mos: Option<f64>,
    /// Null until an RTCP report has come back.
    pub one_way_delay_ms: Option<f64>,
}

/// Why a call ended (ITU-T Q.850 §2.2.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CauseView {
    /// Cause value.
    pub code: u8,
    /// In words.
    pub text: String,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Call {
    /// Names it.
    pub id: String,
    /// State.
    pub state: CallState,
    /// `line:ID`, `app:NAME`.
    pub from: String,
    /// `line:ID`, `app:NAME`.
    pub to: String,
    /// Its ends, caller first.
    pub legs: Vec<Leg>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub cause: Option<CauseView>,
    /// Of the first leg that has RTP.
    pub media: Option<MediaStatistics>,
}

/// How much of a playback was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Played {
    /// Handed to the device and not flushed.
    pub played_ms: u64,
    /// Of that, what may still lie in the device.
    pub uncertain_ms: u64,
}

/// Encoding of audio on a stream, 8 kHz mono.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudioFormat {
    /// Linear, 16 bit, little-endian.
    #[default]
    PcmS16le,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// Which audio of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TapDirection {
    /// What the phone says.
    #[default]
    Rx,
    /// What it hears.
    Tx,
    /// Both.
    Both,
}

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

/// An audio stream that was started and can be taken up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stream {
    /// Names it.
    pub stream_id: String,
    /// Whose audio.
    pub line: String,
    /// Encoding.
    pub format: AudioFormat,
    /// Which audio.
    pub direction: TapDirection,
    /// Length of a message.
    pub chunk_ms: u16,
    /// Path of the WebSocket that delivers it.
    pub ws_url: String,
    /// Where RTP flows, where it does.
    pub rtp: Option<RtpTarget>,
    /// When it was started.
    pub started_at: Timestamp,
}

/// A cadence by name, or `[on_ms, off_ms, …]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum CadenceChoice {
    /// `normal`, `distinctive1`, `distinctive2`, `continuous`, `single`, `timer`, `urgent`.
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
    /// `dial`, `ringback`, `busy`, `congestion`, `special_information`, `howler`, `beep`.
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
    /// Rings when `from` has answered: `line:ID`.
    pub to: String,
    /// Shown to both.
    pub caller_id: Option<CallerIdView>,
    /// For each phone, 1 to 600 000; 60 000 where none is given.
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

/// Tip-ring voltage of a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Voltage {
    /// Volts; null where the driver tells none.
    pub voltage: Option<f64>,
    /// Why it is null.
    pub reason: Option<String>,
    /// When it was read.
    pub timestamp: Timestamp,
}

/// A playback that is running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Playback {
    /// Names it.
    pub playback_id: String,
    /// Handed to the device so far.
    pub played_ms: u64,
}

/// What is known of one line's inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineDiagnostics {
    /// The line.
    pub line: Line,
    /// The engine's name for it; null while there is no engine.
    pub device: Option<String>,
    /// The frame loop that serves it.
    pub frame_loop: Option<u8>,
    /// Number to dial.
    pub extension: Option<String>,
    /// The line it is bridged with.
    pub bridged_with: Option<String>,
    /// The phone hears itself.
    pub echo: bool,
    /// Tip-ring voltage, V.
    pub voltage: Option<f64>,
    /// Of the card.
    pub temperature_celsius: Option<f64>,
    /// The card raises an alarm.
    pub alarm: bool,
    /// Running now.
    pub playbacks: Vec<Playback>,
    /// Of its RTP.
    pub media: Option<MediaStatistics>,
    /// Depth of its jitter buffer.
    pub jitter_buffer_ms: Option<u16>,
    /// Local RTP port.
    pub rtp_port: Option<u16>,
    /// SIP registration, where that applies.
    pub registration: Option<Registration>,
}

/// Registration of a SIP account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// Calls can be sent there.
    pub registered: bool,
    /// Where to.
    pub contact: Option<String>,
    /// Until when; null for a fixed account.
    pub expires_at: Option<Timestamp>,
    /// What the phone calls itself.
    pub user_agent: Option<String>,
}

/// The attachment to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EngineDiagnostics {
    /// Attached now.
    pub attached: bool,
    /// Names the engine's start.
    pub generation: Option<String>,
    /// Attached or away since.
    pub since: Timestamp,
    /// Attachments since apid's start.
    pub attachments: u64,
    /// Age of the engine's last sign of life.
    pub heartbeat_age_ms: Option<u64>,
    /// Its socket.
    pub socket: String,
    /// Commands without an answer yet.
    pub commands_pending: usize,
    /// Commands that were not answered in time.
    pub commands_timed_out: u64,
    /// Times the line table was read anew because events were dropped.
    pub resyncs: u64,
    /// Its frame loops.
    pub frame_loops: Vec<FrameLoopDiagnostics>,
}

/// Counters of a frame loop, by name, since the engine's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FrameLoopDiagnostics {
    /// Index.
    pub frame_loop: u8,
    /// Every counter the engine keeps.
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// A port apid has opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortDiagnostics {
    /// `http`, `websocket`, `sip_udp`, `sip_tcp`.
    pub service: String,
    /// Address it listens on.
    pub address: String,
}

/// A client that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientDiagnostics {
    /// `events` or `audio`.
    pub kind: String,
    /// Who it is: token name.
    pub caller: String,
    /// Where it is.
    pub remote: String,
    /// The line, for audio.
    pub line: Option<String>,
    /// Connected since.
    pub since: Timestamp,
    /// Messages waiting for it.
    pub queued: usize,
    /// Age of the oldest message waiting for it.
    pub oldest_age_ms: u64,
    /// Messages it missed.
    pub missed: u64,
}

/// The whole system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostics {
    /// Version of apid.
    pub version: String,
    /// apid's start.
    pub started_at: Timestamp,
    /// Since then.
    pub uptime_ms: u64,
    /// The other process.
    pub engine: EngineDiagnostics,
    /// Everything that is open.
    pub ports: Vec<PortDiagnostics>,
    /// Everything that is a line.
    pub lines: Vec<LineDiagnostics>,
    /// Everybody who listens on a WebSocket.
    pub clients: Vec<ClientDiagnostics>,
    /// Calls that are not over.
    pub calls: usize,
    /// Sequence number of the last event.
    pub last_event_seq: u64,
}

/// Whether calls can be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Everything is in order.
    pub ready: bool,
    /// What is not.
    pub reasons: Vec<String>,
}

/// The engine's words in ours: the same names, once as a contract with the engine and once with
/// clients.
mod from_engine {
    use tipring_shm_proto::command as engine;

    macro_rules! same_names {
        ($($name:ident: $($variant:ident)+;)+) => {
            $(impl From<engine::$name> for super::$name {
                fn from(theirs: engine::$name) -> Self {
                    match theirs { $(engine::$name::$variant => Self::$variant,)+ }
                }
            })+
        };
    }

    same_names! {
        LineState: Offline OnHook Ringing OffHook Fault;
        Phase: DialTone Collecting Talking Held Howler;
        Hook: On Off Unknown;
        HookSource: None Loop Signalling FarEndHungUp;
    }
}
