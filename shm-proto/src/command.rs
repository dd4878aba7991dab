//! Everything apid can ask of the engine. Each variant's documentation gives its precondition,
//! its effect and its reply; the reply always comes as [`crate::event::Event::CommandDone`].
//!
//! A command goes to the command ring of the frame loop that owns its line.

use crate::settings::LineSettings;
use crate::units::{
    CommandId, ConferenceId, Endpoint, Generation, LineId, Nanos, PlaybackId, TenthDb, TenthDbm0,
    Text32,
};
use serde::{Deserialize, Serialize};

/// One entry of a command ring.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Names the answer.
    pub id: CommandId,
    /// The engine start that apid believes it talks to; another one answers
    /// [`Refusal::EngineRestarted`].
    pub generation: Generation,
    /// The line it is about.
    pub line: LineId,
    /// What to do.
    pub command: Command,
}

/// What apid can ask of a line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Needs `on_hook`. Rings until answered, stopped or `timeout_ms` (1 to 600 000). The engine
    /// bounds the ring-on share of the cadence. `Done`, then `RingStarted` and one `RingStopped`.
    Ring {
        /// On and off times.
        cadence: Cadence,
        /// Ends the ringing if nobody answers.
        timeout_ms: u32,
        /// Shown by phones that can.
        caller: CallerId,
    },
    /// Needs `ringing`. `Done`, then `RingStopped { cause: Stopped }`.
    StopRing,
    /// RTP lines only: what signalling knows of the handset. `Off` while ringing is the answer.
    /// `Done`, then `HookChanged` if it changed.
    ReportHook {
        /// Lifted, down, or not known any more.
        hook: Hook,
        /// How it became known.
        source: HookSource,
    },
    /// Needs `off_hook`. Ends bridge, echo, playbacks and tone; an analog line gets disconnect
    /// supervision (a battery drop) and then congestion tone, later the howler; an RTP line's
    /// hook becomes `unknown`. `Done`.
    HangUp,
    /// Needs `off_hook`. Plays a tone of the line's tone plan until another tone, `None`, a digit
    /// (dial tone only) or on-hook. `DialTone` moves the phase to `dial_tone`, digits then move
    /// it to `collecting`; any other tone moves it to `talking`. `Done`.
    Tone(Option<ProgressTone>),
    /// Needs `off_hook`. Sends digits to the phone's ear (in RTP as telephone-event where it was
    /// negotiated). `Done` when accepted, `DtmfSent` when sent.
    Dtmf {
        /// What to send.
        digits: Digits,
        /// 40 to 2000.
        on_ms: u16,
        /// 40 to 2000.
        off_ms: u16,
    },
    /// Needs `off_hook`. A short battery drop towards an analog phone, event 16 (RFC 2833 §3.10)
    /// towards an RTP one. `Done`.
    Flash,
    /// Needs `off_hook`. While held the phone neither hears nor is heard by its bridge. `Done`.
    Hold(bool),
    /// Needs both lines `off_hook` and free of a bridge. Sent to this line's frame loop; the
    /// supervisor joins both. Stops both lines' tones, phases become `talking`. `Done` when
    /// audio can flow.
    Bridge {
        /// The other line.
        peer: LineId,
    },
    /// Ends the bridge, if any, on both sides, or leaves the conference. `Done`; the peer's side
    /// gets `BridgeEnded`.
    Unbridge,
    /// Needs `off_hook`. The phone hears itself, one frame later. `Done`.
    Echo(bool),
    /// Stores a number in the line's row for the next apid to find; cleared by on-hook. `Done`.
    Tag(u64),
    /// Needs a free playback slot, and `off_hook` for [`PlayPath::Line`]. `Done`, then one
    /// `PlaybackEnded`.
    StartPlayback {
        /// Index of the play ring and of the playback's slot in the line table, 0 to 3.
        slot: u8,
        /// Non-zero.
        playback: PlaybackId,
        /// Where it is heard.
        path: PlayPath,
        /// Where it comes from.
        source: PlaySource,
        /// −40.0 to +12.0 dB.
        gain: TenthDb,
        /// What silences it.
        stop_on: StopOn,
    },
    /// Ends the playback in this very tick. `Flushed`, then `PlaybackEnded { cause: Stopped }`.
    StopPlayback {
        /// Which.
        playback: PlaybackId,
    },
    /// RTP lines only, when none is open. The supervisor binds a socket. `RtpOpened`.
    OpenRtp {
        /// What to send and to expect.
        media: RtpMedia,
        /// Address to bind.
        local_ip: [u8; 16],
    },
    /// Needs open RTP. Changes remote, codec or direction from the next frame on. `Done`.
    UpdateRtp {
        /// What to send and to expect from now on.
        media: RtpMedia,
    },
    /// Closes the socket; a bridge over it ends. `Done`, also if none was open.
    CloseRtp,
    /// Simulated lines only: what the telephone's user does. `Done` when accepted.
    Sim(SimAction),
    /// Takes the line back to its state after start: rings, tones, playbacks and bridge end, a
    /// fault is cleared, the device is asked for its hook; a DAHDI channel is closed and opened
    /// anew. `Done`.
    Reset,
    /// DAHDI lines only, and not while one rings. Exchanges tip and ring, or puts them back.
    /// `Device` where the card cannot. `Done`.
    Polarity {
        /// Exchanged.
        reversed: bool,
    },
    /// DAHDI lines only. Lights the telephone's lamp by the card's own means (line reversal or
    /// voltage), or puts it out. `Device` where the card cannot. `Done`.
    MessageWaiting {
        /// Messages that wait; 0 puts it out.
        messages: u16,
    },
    /// All settings of the line, from the next frame on: what sounds goes on without a click.
    /// `Malformed` where a value is out of its range or there is no such country. `Done`.
    LineSettings(LineSettings),
    /// Needs `off_hook`. From the next frame on, until it is on hook: what the phone says is silence
    /// to whoever hears it, what it hears is silence, or both; digits are heard all the same.
    /// `Done`.
    Mute {
        /// What the phone says.
        spoken: bool,
        /// What it hears.
        heard: bool,
    },
    /// Needs `off_hook` and no bridge. The line sits down in a conference, and hears the sum of
    /// the others until `Unbridge`, which frees its seat, or on-hook. As with `Bridge` its tone
    /// stops and its phase becomes `talking`; `Hold` and `Mute` do what they do there.
    /// `Malformed` where there is no such conference, `Full` where it has no free seat. `Done` when
    /// audio can flow.
    Confer {
        /// Which, from 0.
        conference: ConferenceId,
        /// Who hears the line there.
        heard_by: HeardBy,
    },
    /// Needs `off_hook`. From the next frame on, until it is on hook: digits of the phone are apid's
    /// alone, whoever it is bridged or in conference with hears 40 ms of them at most. `Done`.
    KeepDigits(bool),
    /// Needs `off_hook`. The tone of [`ProgressTone::CallWaiting`], as [`Command::Tone`]; after its first
    /// burst a phone on a loop that understands it is told who else calls (GR-30, EN 300 659-2), where the
    /// line's caller ID is sent as data. Meanwhile, 0.4 to 1.5 s, it hears nobody else and is heard by
    /// nobody. A flash, or another tone, ends it. `Done`.
    CallWaiting {
        /// Who waits.
        caller: CallerId,
    },
}

/// Who hears a line in a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeardBy {
    /// Everybody else.
    Everybody,
    /// Nobody: it listens in.
    Nobody,
    /// This one line, if it sits there: somebody whispers to it.
    Only(LineId),
}

/// Ring times in ms: on, off, on, off, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cadence {
    /// Entries used; even, 2 to 16.
    pub len: u8,
    /// On and off in turn.
    pub ms: [u16; 16],
}

impl Cadence {
    /// `None` unless `on_off` has an even number of entries, 2 to 16.
    pub const fn new(on_off: &[u16]) -> Option<Self> {
        if on_off.len() < 2 || on_off.len() > 16 || !on_off.len().is_multiple_of(2) {
            return None;
        }
        let mut ms = [0; 16];
        let mut i = 0;
        while i < on_off.len() {
            ms[i] = on_off[i];
            i += 1;
        }
        Some(Self { len: on_off.len() as u8, ms })
    }

    /// The entries used; empty where a peer wrote a length that cannot be.
    pub fn as_slice(&self) -> &[u16] {
        self.ms.get(..self.len as usize).unwrap_or(&[])
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerId {
    /// Digits.
    pub number: Text32,
    /// Displayed name.
    pub name: Text32,
}

impl CallerId {
    /// Nothing is known of whoever calls.
    pub fn is_empty(&self) -> bool {
        self.number.as_str().is_empty() && self.name.as_str().is_empty()
    }
}

/// At most 32 DTMF digits, ASCII `0-9*#A-D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digits(Text32);

impl Digits {
    /// `None` unless there are 1 to 32 digits of `0-9*#A-D`; lower case is raised.
    pub fn new(digits: &str) -> Option<Self> {
        let upper = digits.to_ascii_uppercase();
        let digits = Self(Text32::new(&upper));
        (upper.len() <= 32 && digits.checked() == Some(upper.as_bytes())).then_some(digits)
    }

    /// The digits, if what the peer wrote are 1 to 32 digits.
    pub fn checked(&self) -> Option<&[u8]> {
        let octets = self.0.as_str().as_bytes();
        let valid = octets.iter().all(|c| matches!(c, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D'));
        (!octets.is_empty() && valid).then_some(octets)
    }
}

/// Tones of the tone plan (ITU-T E.180); frequencies, levels and cadences are the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgressTone {
    /// Dial tone.
    Dial,
    /// Ringing tone.
    Ringback,
    /// Busy tone.
    Busy,
    /// Congestion (reorder) tone.
    Congestion,
    /// Special information tone.
    SpecialInformation,
    /// Receiver off hook.
    Howler,
    /// Somebody else calls; heard in a conversation.
    CallWaiting,
    /// Dial tone of somebody for whom messages wait.
    Stutter,
    /// Dial tone after a flash.
    Recall,
}

/// One step of a tone that a client composed: up to two sines, which a third may modulate, for a
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToneStep {
    /// 0 is none, else 20 to 3800 Hz.
    pub hz: [u16; 2],
    /// Each sine's level, −60.0 to 0.0 dBm0.
    pub level: TenthDbm0,
    /// 1 to 600 000.
    pub ms: u32,
    /// Modulates their amplitude, by 90 %: 0 is nothing, else 1 to 200 Hz, less than either sine.
    pub modulation_hz: u16,
}

/// Up to eight steps, repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToneSpec {
    /// Steps used, 1 to 8.
    pub len: u8,
    /// The steps in order.
    pub steps: [ToneStep; 8],
    /// How often all of them are played; 0 is until stopped.
    pub repeat: u16,
}

impl ToneStep {
    /// Every value is in the range that its documentation gives.
    pub fn in_range(&self) -> bool {
        let modulation_hz = self.modulation_hz.min(200);
        let lowest = if modulation_hz == 0 { 20 } else { modulation_hz + 1 };
        let highest = 3800 - modulation_hz;
        self.modulation_hz == modulation_hz
            && self.hz.iter().all(|hz| *hz == 0 || (lowest..=highest).contains(hz))
            && (-600..=0).contains(&self.level.0)
            && (1..=600_000).contains(&self.ms)
    }
}

impl ToneSpec {
    /// Every value is in the range that its documentation gives.
    pub fn in_range(&self) -> bool {
        let steps = self.steps.get(..usize::from(self.len)).unwrap_or(&[]);
        !steps.is_empty() && steps.iter().all(ToneStep::in_range)
    }
}

/// Who hears a playback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlayPath {
    /// The person at the phone.
    Line,
    /// Simulated lines only: what the telephone's microphone picks up.
    Microphone,
}

/// Where a playback's audio comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaySource {
    /// The play ring of the playback's slot.
    Ring,
    /// The engine's own generator.
    Tone(ToneSpec),
}

/// What ends a playback at the next frame, besides its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StopOn {
    /// The first sign of a digit.
    pub digit: bool,
    /// The person speaks.
    pub voice: bool,
}

/// RTP of one call (RFC 3550).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtpMedia {
    /// Where to send; `None` sends nothing until the far end has been heard (RFC 4961).
    pub remote: Option<Endpoint>,
    /// Static payload types 0 and 8 (RFC 3551 §6).
    pub law: Law,
    /// Payload type of telephone-event (RFC 4733), 96 to 127; `None`: digits are heard in-band.
    pub telephone_event: Option<u8>,
    /// Send audio to the phone.
    pub send: bool,
    /// Use audio of the phone.
    pub receive: bool,
    /// RTCP shares RTP's port (RFC 5761); else it has the port above it.
    pub rtcp_mux: bool,
    /// Keys where the call is encrypted (RFC 3711): then nothing is sent or used without.
    pub srtp: Option<SrtpKeys>,
}

/// Keys of both directions, as signalling exchanged them (RFC 4568).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKeys {
    /// Cipher and length of the tag, of both directions.
    pub suite: SrtpSuite,
    /// Of what we send.
    pub ours: SrtpKey,
    /// Of what the phone sends.
    pub theirs: SrtpKey,
}

/// Crypto suites (RFC 4568 §6.2); both have a key of 128 bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SrtpSuite {
    /// `AES_CM_128_HMAC_SHA1_80`.
    Aes128HmacSha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    Aes128HmacSha1Tag32,
}

/// Master key and master salt (RFC 3711 §3.2.1). Nothing prints it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKey {
    /// 128 bit.
    pub key: [u8; 16],
    /// 112 bit.
    pub salt: [u8; 14],
}

impl std::fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SrtpKey(…)")
    }
}

/// Companding law (ITU-T G.711).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Law {
    /// PCMU.
    Mu,
    /// PCMA.
    A,
}

/// What the user of a simulated telephone does, or what happens to its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SimAction {
    /// Lifts or puts down, the contact bouncing for `bounce_ms` (0 to 50).
    Hook {
        /// Lift.
        off: bool,
        /// Duration of contact bounce.
        bounce_ms: u16,
    },
    /// Presses keys.
    DialTones {
        /// Which.
        digits: Digits,
        /// 20 to 2000.
        on_ms: u16,
        /// 20 to 2000.
        off_ms: u16,
    },
    /// Turns the dial: digits `0-9`, 10 pulses a second, 700 ms between digits.
    DialPulses {
        /// Which.
        digits: Digits,
    },
    /// Presses the hook switch for `ms` (10 to 2000).
    Flash {
        /// How long the loop is open.
        ms: u16,
    },
    /// The card reports this tip-ring voltage, mV.
    Voltage(i32),
    /// The card raises or clears an alarm.
    Alarm(bool),
    /// The card reports this temperature, tenths of a degree Celsius.
    Temperature(i16),
    /// The card is lost (or found again).
    Fail(bool),
    /// The card's hybrid returns what the phone hears, weakened by this much (0 to 40.0 dB);
    /// `None`, as at first, returns nothing.
    Hybrid {
        /// Echo return loss.
        loss: Option<TenthDb>,
    },
}

/// Position of the handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hook {
    /// Down.
    On,
    /// Lifted.
    Off,
    /// Cannot be told.
    Unknown,
}

/// How the hook's position became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// As the command's documentation says.
    Done,
    /// Of [`Command::OpenRtp`].
    RtpOpened {
        /// Local RTP port.
        port: u16,
    },
    /// Of [`Command::StopPlayback`].
    Flushed {
        /// Samples handed to the device since the playback began.
        played_samples: u64,
        /// Of those, the last ones that may still lie in the device.
        uncertain_samples: u32,
    },
    /// Nothing was changed.
    Refused(Refusal),
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The slot did not decode, or a value in it is out of range.
    Malformed,
    /// Written for an earlier engine.
    EngineRestarted,
    /// No such line, or not of this frame loop.
    UnknownLine,
    /// Not in this state.
    State(LineState),
    /// This kind of line cannot.
    Kind,
    /// The line or its peer is bridged, or in a conference, already.
    Bridged,
    /// The playback slot is taken, the conference has no free seat, or more is pending than is
    /// bounded.
    Full,
    /// No such playback.
    UnknownPlayback,
    /// No port of the configured range could be bound.
    NoPort,
    /// RTP is open already, or not open.
    Rtp,
    /// A bound on behalf of ears and hardware: too many lines ring, too many changes a second.
    Limit,
    /// The device answered busy for longer than the line waits.
    Device,
}

/// States of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineState {
    /// No device.
    Offline,
    /// Handset down.
    OnHook,
    /// Bell rings.
    Ringing,
    /// Handset lifted.
    OffHook,
    /// The device reports a fault.
    Fault,
}

/// What an off-hook line is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Hears dial tone.
    DialTone,
    /// Dialled at least one digit.
    Collecting,
    /// Audio belongs to whoever asked for it.
    Talking,
    /// On hold.
    Held,
    /// Left off the hook.
    Howler,
}

/// What kind of device a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineKind {
    /// Simulated telephone.
    Sim,
    /// DAHDI channel.
    Dahdi,
    /// RTP, signalled by apid.
    Rtp,
}

/// When a thing began, beside the thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since<T> {
    /// The thing.
    pub value: T,
    /// Its beginning.
    pub at: Nanos,
}
