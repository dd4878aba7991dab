//! What can happen, as clients may hear of it. Text exists in one file per surface only.

use crate::auth::Caller;
use crate::view::{Call, CauseView, HookSource, Recording, Timestamp, VoltageStatus};
use std::sync::Arc;

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Counts all notices of this start of apid, from 1.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The line it concerns.
    pub line: Option<String>,
    /// The call it concerns.
    pub call_id: Option<String>,
    /// What.
    pub body: NoticeBody,
}

/// Where a digit was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitSource {
    /// Two tones in the audio.
    Dtmf,
    /// Loop pulses.
    Pulse,
    /// RFC 4733.
    TelephoneEvent,
    /// SIP INFO.
    Info,
}

/// How certain the end of what a person says is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechEnd {
    /// A pause.
    Provisional,
    /// The person goes on.
    Withdrawn,
    /// It is over.
    Final,
}

/// A tone of exchanges and machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeardTone {
    /// Dial tone.
    Dial,
    /// Ringing tone.
    Ringback,
    /// Busy tone.
    Busy,
    /// Congestion (reorder) tone.
    Congestion,
    /// Special information tone, and which announcement follows where it tells.
    SpecialInformation(Option<SitCode>),
    /// A fax machine calls.
    FaxCalling,
    /// A fax machine answers.
    FaxAnswering,
    /// A modem answers.
    ModemAnswering,
    /// An answering machine has begun to record.
    Beep,
}

/// Which announcement follows a special information tone (Bellcore SR-2275).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SitCode {
    /// The number was changed or disconnected.
    Intercept,
    /// There is no such number.
    VacantCode,
    /// All of the own network is busy, or the call was not completed.
    Reorder,
    /// No circuit to another network is free.
    NoCircuit,
}

/// Why a bell fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingStopCause {
    /// The handset was lifted.
    Answered,
    /// Nobody answered.
    Timeout,
    /// Somebody asked for it.
    Stopped,
    /// The phone refused, or is gone.
    Device,
}

/// Why a playback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaybackEnd {
    /// Played to its end.
    Finished,
    /// Somebody asked for it.
    Stopped,
    /// By a digit.
    Digit,
    /// By the person's voice.
    Voice,
    /// The line hung up or was reset.
    LineGone,
    /// The device, or the engine, was lost.
    DeviceLost,
}

/// What a piece of hardware says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardwareState {
    /// In order.
    Ok,
    /// Raises an alarm.
    Alarm,
    /// Lost.
    Lost,
    /// Back.
    Back,
    /// The engine is away; every call has ended.
    EngineAway,
    /// The engine is attached.
    EngineAttached,
    /// A frame loop has no time for everything and sheds listening.
    Overloaded,
}

/// Why one side of a call does not hear the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaFault {
    /// No packet ever came.
    NeverHeard,
    /// Packets came, and ceased.
    Ceased,
    /// The phone ended its stream.
    Ended,
    /// Packets come, but of nobody who may be believed.
    Foreign,
    /// Packets come in a codec that was not agreed on.
    Codec,
    /// Packets come that do not authenticate.
    NotAuthentic,
    /// Packets come and all are digital silence.
    Silence,
    /// The phone reports that it receives nothing.
    Unheard,
}

/// What can happen. Text exists in one file per surface only.
#[derive(Clone, Debug, PartialEq)]
pub enum NoticeBody {
    /// The handset was lifted.
    OffHook {
        /// How that became known.
        source: HookSource,
    },
    /// The handset was put down.
    OnHook {
        /// How that became known.
        source: HookSource,
    },
    /// Recall.
    Flash {
        /// How long the loop was open; 0 where that is unknown.
        duration_ms: u16,
    },
    /// A digit.
    Dtmf {
        /// `0-9*#A-D`.
        digit: char,
        /// How long.
        duration_ms: u16,
        /// Level of the stronger tone; null where there was none.
        signal_level_dbm0: Option<f64>,
        /// High tone over low tone; null where there was none.
        twist_db: Option<f64>,
        /// Where it was seen.
        source: DigitSource,
    },
    /// The person began or ceased to speak.
    Voice {
        /// Speaks now.
        active: bool,
        /// Of what decided, or, at the end, of all that was said.
        level_dbm0: f64,
        /// Of the noise on the line.
        noise_dbm0: f64,
        /// When the person began to speak.
        started_at: Option<Timestamp>,
        /// When the person ceased.
        ended_at: Option<Timestamp>,
    },
    /// Whether the person has said what there was to say.
    SpeechEnd {
        /// How certain that is.
        certainty: SpeechEnd,
        /// When the last sound was heard.
        last_sound_at: Timestamp,
    },
    /// A tone of an exchange or a machine is heard, or has ended.
    Tone {
        /// Which.
        tone: HeardTone,
        /// Heard now.
        active: bool,
        /// While it sounds.
        level_dbm0: f64,
        /// When it was first heard.
        started_at: Timestamp,
        /// Since then.
        duration_ms: u32,
    },
    /// The bell rings.
    RingStart {
        /// Name of the cadence, or `custom`.
        pattern: String,
        /// On and off in turn.
        cadence_ms: Vec<u16>,
        /// It ends by itself after that.
        timeout_ms: u32,
    },
    /// The bell is silent.
    RingStop {
        /// Why.
        cause: RingStopCause,
    },
    /// A ringing phone was answered.
    Answered,
    /// A call began.
    CallStarted {
        /// As it is now.
        call: Arc<Call>,
    },
    /// Its other end rings.
    CallRinging {
        /// As it is now.
        call: Arc<Call>,
    },
    /// It was answered.
    CallConnected {
        /// As it is now.
        call: Arc<Call>,
    },
    /// It was put on hold.
    CallHeld {
        /// As it is now.
        call: Arc<Call>,
    },
    /// It was taken off hold.
    CallResumed {
        /// As it is now.
        call: Arc<Call>,
    },
    /// It is over.
    CallEnded {
        /// As it is now.
        call: Arc<Call>,
        /// Why.
        cause: CauseView,
    },
    /// The line sits in a conference.
    ConferenceJoined {
        /// Its name.
        conference: String,
    },
    /// Nobody hears the line there, or they do again.
    ConferenceMuted {
        /// Its name.
        conference: String,
        /// Whether.
        muted: bool,
    },
    /// The line's person speaks there, or ceased.
    ConferenceSpeaking {
        /// Its name.
        conference: String,
        /// Whether.
        speaking: bool,
    },
    /// The line sits there no more.
    ConferenceLeft {
        /// Its name.
        conference: String,
    },
    /// A playback began.
    PlaybackStarted {
        /// Which.
        playback_id: String,
        /// Its class, where it is music for whoever waits.
        music: Option<String>,
    },
    /// A playback ended.
    PlaybackEnded {
        /// Which.
        playback_id: String,
        /// Why.
        cause: PlaybackEnd,
        /// Handed to the device.
        played_ms: u64,
        /// Frames for which no audio was there in time.
        underruns: u32,
        /// Its class, where it was music for whoever waits.
        music: Option<String>,
    },
    /// A mark was reached.
    Mark {
        /// In which playback.
        playback_id: String,
        /// Its name.
        name: String,
        /// Handed to the device before it.
        played_ms: u64,
    },
    /// A stream was started.
    AudioStart {
        /// Which.
        stream_id: String,
    },
    /// A stream ended.
    AudioStop {
        /// Which.
        stream_id: String,
    },
    /// A recording began.
    RecordingStarted {
        /// As it is now.
        recording: Recording,
    },
    /// A recording ended.
    RecordingEnded {
        /// As it is now.
        recording: Recording,
    },
    /// A SIP phone registered.
    Registered {
        /// Where it can be reached.
        contact: Option<String>,
    },
    /// A SIP phone is not registered any more.
    Unregistered,
    /// A device lost, a playback failed, a registration refused, a stream stopped.
    Error {
        /// Stable, in snake_case.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// Tip-ring voltage changed.
    VoltageChange {
        /// V.
        voltage: f64,
        /// Whether that is as it should be.
        status: VoltageStatus,
    },
    /// A card, or the engine, says how it is.
    HardwareStatus {
        /// How.
        status: HardwareState,
        /// Of the card, where it tells.
        temperature_celsius: Option<f64>,
        /// Of apid.
        uptime_ms: u64,
    },
    /// Audio does not flow as it should, or flows again.
    Media {
        /// What is wrong; `None`: it flows again.
        fault: Option<MediaFault>,
    },
}

impl NoticeBody {
    /// The `type` clients know it by, and filter by.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OffHook { .. } => "off_hook",
            Self::OnHook { .. } => "on_hook",
            Self::Flash { .. } => "flash",
            Self::Dtmf { .. } => "dtmf",
            Self::Voice { .. } => "voice",
            Self::SpeechEnd { .. } => "speech_end",
            Self::Tone { .. } => "tone",
            Self::RingStart { .. } => "ring_start",
            Self::RingStop { .. } => "ring_stop",
            Self::Answered => "answered",
            Self::CallStarted { .. } => "call_started",
            Self::CallRinging { .. } => "call_ringing",
            Self::CallConnected { .. } => "call_connected",
            Self::CallHeld { .. } => "call_held",
            Self::CallResumed { .. } => "call_resumed",
            Self::CallEnded { .. } => "call_ended",
            Self::ConferenceJoined { .. } => "conference_joined",
            Self::ConferenceMuted { .. } => "conference_muted",
            Self::ConferenceSpeaking { .. } => "conference_speaking",
            Self::ConferenceLeft { .. } => "conference_left",
            Self::PlaybackStarted { .. } => "playback_started",
            Self::PlaybackEnded { .. } => "playback_ended",
            Self::Mark { .. } => "mark",
            Self::AudioStart { .. } => "audio_start",
            Self::AudioStop { .. } => "audio_stop",
            Self::RecordingStarted { .. } => "recording_started",
            Self::RecordingEnded { .. } => "recording_ended",
            Self::Registered { .. } => "registered",
            Self::Unregistered => "unregistered",
            Self::Error { .. } => "error",
            Self::VoltageChange { .. } => "voltage_change",
            Self::HardwareStatus { .. } => "hardware_status",
            Self::Media { .. } => "media",
        }
    }

    /// Every `type` there is.
    pub const KINDS: [&'static str; 33] = [
        "off_hook",
        "on_hook",
        "flash",
        "dtmf",
        "voice",
        "speech_end",
        "tone",
        "ring_start",
        "ring_stop",
        "answered",
        "call_started",
        "call_ringing",
        "call_connected",
        "call_held",
        "call_resumed",
        "call_ended",
        "conference_joined",
        "conference_muted",
        "conference_speaking",
        "conference_left",
        "playback_started",
        "playback_ended",
        "mark",
        "audio_start",
        "audio_stop",
        "recording_started",
        "recording_ended",
        "registered",
        "unregistered",
        "error",
        "voltage_change",
        "hardware_status",
        "media",
    ];
}

impl Notice {
    /// The call it tells of, where it is one of a call's own.
    pub fn call(&self) -> Option<&Call> {
        match &self.body {
            NoticeBody::CallStarted { call }
            | NoticeBody::CallRinging { call }
            | NoticeBody::CallConnected { call }
            | NoticeBody::CallHeld { call }
            | NoticeBody::CallResumed { call }
            | NoticeBody::CallEnded { call, .. } => Some(call),
            _ => None,
        }
    }

    /// The lines it concerns: its own, and those of its call.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let legs = self.call().map_or(&[][..], |call| call.legs.as_slice());
        let of_legs = legs.iter().filter_map(|leg| leg.line.as_deref());
        self.line.as_deref().into_iter().chain(of_legs)
    }

    /// Whether `caller` may know: of what concerns one of its lines, and of what concerns none.
    pub fn visible_to(&self, caller: &Caller) -> bool {
        caller.lines.is_none()
            || self.lines().next().is_none()
            || self.lines().any(|line| caller.sees(line))
    }
}
