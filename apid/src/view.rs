//! What clients see: the shapes of docs/api.md. Units stand in names, times are ISO-8601 UTC with
//! milliseconds and `Z`.

mod conferences;
mod diagnostics;
mod levels;
mod recordings;
mod provisioning;
mod requests;
mod self_test;
mod webhooks;
mod settings;
mod sip;

pub use conferences::*;
pub use diagnostics::*;
pub use levels::*;
pub use provisioning::*;
pub use recordings::*;
pub use requests::*;
pub use self_test::*;
pub use settings::*;
pub use sip::*;
pub use webhooks::*;

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
    /// The number by which it is reached.
    pub extension: Option<String>,
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
    /// Why it ended, where that was before its call did.
    pub cause: Option<CauseView>,
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
    /// Null until an RTCP report has come back: half the round trip, the jitter buffer and a packet.
    pub one_way_delay_ms: Option<f64>,
    /// The same for the last ten seconds that were judged.
    pub mos_recent: Option<f64>,
    /// Packets that came again.
    pub duplicates: u32,
    /// Audio made up for what was not there in time.
    pub concealed_ms: u64,
    /// Delay that the jitter buffer adds.
    pub buffer_ms: u16,
    /// Audio that time-scaling has added to deepen the buffer.
    pub stretched_ms: u32,
    /// Audio that time-scaling has taken out.
    pub shortened_ms: u32,
    /// The phone's clock against ours, positive where it is faster; null until it is measured.
    pub drift_ppm: Option<i16>,
    /// Of what is sent to the phone, by its RTCP reports.
    pub far_loss_percent: Option<f64>,
    /// Interarrival jitter at the phone, by its RTCP reports.
    pub far_jitter_ms: Option<f64>,
    /// Encrypted (SRTP, RFC 3711).
    pub srtp: bool,
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

/// Tip-ring voltage of a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Voltage {
    /// Ring wire against tip wire, V; null where the driver tells none.
    pub voltage: Option<f64>,
    /// Whether that is as it should be.
    pub status: VoltageStatus,
    /// Tip wire against ground, V, where a card tells it.
    pub tip_voltage: Option<f64>,
    /// Ring wire against ground, V, where a card tells it.
    pub ring_voltage: Option<f64>,
    /// Battery that feeds the loop, V, where a card tells it.
    pub battery_voltage: Option<f64>,
    /// Why it is null.
    pub reason: Option<String>,
    /// When it was read.
    pub timestamp: Timestamp,
}

/// Whether a line has the voltage that it should have (`voltage` of the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoltageStatus {
    /// It has, or it is in use, which changes it.
    Normal,
    /// The handset is down, and there is less.
    Low,
    /// The handset is down, and there is more.
    High,
    /// The driver tells none.
    Unknown,
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
