//! Everything the engine tells apid, but audio and the line table.

use crate::command::{Hook, HookSource, LineState, Outcome, Phase};
use crate::units::{CommandId, Endpoint, LineId, MarkId, Nanos, PlaybackId, TenthDb, TenthDbm0};
use serde::{Deserialize, Serialize};

/// One entry of an event ring.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// When it happened.
    pub at: Nanos,
    /// What happened.
    pub event: Event,
}

/// What can happen. Order is promised per line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The answer to a command; its slot was reserved when the command was taken, so it is never
    /// lost.
    CommandDone {
        /// Of the request.
        id: CommandId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Something that concerns one line.
    Line {
        /// Which line.
        line: LineId,
        /// What.
        event: LineEvent,
    },
    /// A frame loop has needed more than 80 % of its period for a second and sheds listening.
    Overloaded(bool),
}

/// What can happen on a line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum LineEvent {
    /// State or phase changed. Comes after the event that says why.
    State {
        /// New state.
        state: LineState,
        /// New phase, when off hook.
        phase: Option<Phase>,
    },
    /// The handset was lifted or put down.
    HookChanged {
        /// New position.
        hook: Hook,
        /// How it became known.
        source: HookSource,
    },
    /// A hook flash (recall).
    Flash {
        /// How long the loop was open; 0 where it cannot be told.
        duration_ms: u16,
    },
    /// A digit has ended.
    Digit {
        /// ASCII.
        digit: u8,
        /// How long it lasted.
        duration_ms: u16,
        /// Level of the stronger tone; silence where there was none.
        level: TenthDbm0,
        /// Where it was seen.
        source: DigitSource,
        /// High tone over low tone; 0 where there was none.
        twist: TenthDb,
    },
    /// The person began or ceased to speak.
    Voice {
        /// Speaks now.
        active: bool,
        /// Of the deciding frame at the beginning, of all speech since then at the end (ITU-T
        /// P.56 active level).
        level: TenthDbm0,
        /// Of the noise on the line.
        noise: TenthDbm0,
        /// When the first sound of it was heard.
        began: Nanos,
        /// When the last sound of it was heard; `None` while the person speaks.
        ended: Option<Nanos>,
    },
    /// The bell rings.
    RingStarted,
    /// The bell is silent.
    RingStopped {
        /// Why.
        cause: RingStop,
    },
    /// A playback is over; its slot is free.
    PlaybackEnded {
        /// Which.
        playback: PlaybackId,
        /// Why.
        cause: PlaybackEnd,
        /// Samples handed to the device.
        played_samples: u64,
        /// Frames for which its ring was empty too early.
        underruns: u32,
    },
    /// A mark was reached: everything before it was handed to the device.
    Mark {
        /// Of which playback.
        playback: PlaybackId,
        /// Which.
        mark: MarkId,
        /// Samples handed to the device before it.
        played_samples: u64,
    },
    /// All digits of a [`crate::command::Command::Dtmf`] were sent.
    DtmfSent,
    /// The bridge ended, other than by a command to this line.
    BridgeEnded {
        /// With whom it was.
        peer: LineId,
    },
    /// No RTP for this long on a line that should receive; repeated every 5 s.
    RtpSilent {
        /// Since the last packet.
        silent_ms: u32,
    },
    /// RTP is received: the first time, and after silence or from a new source.
    RtpHeard {
        /// Where it comes from.
        remote: Endpoint,
    },
    /// Tip-ring voltage, when it changed by more than a volt.
    Voltage {
        /// mV.
        millivolts: i32,
    },
    /// Card temperature, when it changed by more than a degree.
    Temperature {
        /// Tenths of a degree Celsius.
        tenths_celsius: i16,
    },
    /// An alarm of the card (dahdi/user.h DAHDI_EVENT_ALARM, NOALARM).
    Alarm {
        /// Raised.
        active: bool,
    },
    /// The device is lost. The line is `offline`; whatever ran on it has ended.
    DeviceLost,
    /// The device is back.
    DeviceBack,
    /// Audio does not flow as it should, and the likely reason; `None`: it flows again.
    Media {
        /// What is wrong.
        fault: Option<MediaFault>,
    },
    /// Whether the person has said what there was to say (the settings' `provisional_end_ms` and
    /// `final_end_ms`).
    SpeechEnd {
        /// How certain that is.
        certainty: SpeechEnd,
        /// When the last sound was heard.
        last_sound: Nanos,
    },
    /// A tone that exchanges and machines send is heard, or has ended.
    Tone {
        /// Which.
        tone: HeardTone,
        /// Heard now.
        active: bool,
        /// Mean level while it sounds.
        level: TenthDbm0,
        /// When it was first heard.
        began: Nanos,
        /// Since then.
        duration_ms: u32,
    },
}

/// Why one side does not hear the other, as far as can be told here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaFault {
    /// No packet ever came: a firewall, or the phone sends elsewhere.
    NeverHeard,
    /// Packets came, and ceased.
    Ceased,
    /// The phone ended its stream (RTCP BYE), and the call goes on.
    Ended,
    /// Packets come, but of nobody who may be believed.
    Foreign,
    /// Packets come in a codec that was not agreed on.
    Codec,
    /// Packets come that do not authenticate: other keys, or none.
    NotAuthentic,
    /// Packets come and all are digital silence: muted, or no microphone.
    Silence,
    /// The phone reports that it receives nothing of what is sent (RTCP).
    Unheard,
}

/// How certain the end of what a person says is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpeechEnd {
    /// A pause: prepare an answer.
    Provisional,
    /// The person goes on: the provisional end was none.
    Withdrawn,
    /// It is over: answer.
    Final,
}

/// Tones that are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeardTone {
    /// Dial tone, of the line's country.
    Dial,
    /// Ringing tone, of the line's country.
    Ringback,
    /// Busy tone, of the line's country.
    Busy,
    /// Congestion (reorder) tone, of the line's country.
    Congestion,
    /// Special information tone (ITU-T E.180 §6).
    SpecialInformation {
        /// Which announcement follows, where the tone tells.
        code: Option<SitCode>,
    },
    /// A fax machine calls: 1100 Hz (ITU-T T.30 §4.1).
    FaxCalling,
    /// A fax machine answers: 2100 Hz (ITU-T T.30 §4.2).
    FaxAnswering,
    /// A modem answers: 2100 Hz whose phase turns round (ITU-T V.8 ANSam, V.25).
    ModemAnswering,
    /// An answering machine has begun to record.
    Beep,
}

/// Which announcement follows a special information tone (Bellcore SR-2275).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Where a digit was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigitSource {
    /// Two tones in the audio (ITU-T Q.23).
    Dtmf,
    /// Loop pulses.
    Pulse,
    /// telephone-event (RFC 4733).
    TelephoneEvent,
}

/// Why the bell fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RingStop {
    /// Ring trip: the handset was lifted.
    Answered,
    /// Nobody answered in time.
    Timeout,
    /// By command.
    Stopped,
    /// The phone refused (SIP), or is gone.
    Device,
}

/// Why a playback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaybackEnd {
    /// It was played to its end.
    Finished,
    /// By command.
    Stopped,
    /// A digit silenced it.
    Digit,
    /// The person's voice silenced it.
    Voice,
    /// The line hung up, was reset, or apid left.
    LineGone,
    /// The device was lost.
    DeviceLost,
}
