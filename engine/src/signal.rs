//! What devices and lines tell each other, besides audio.

use tipring_shm_proto::command::Cadence;
use tipring_shm_proto::event::{DigitSource, HeardTone, MediaFault, SpeechEnd};
use tipring_shm_proto::units::{Endpoint, Nanos, TenthDb, TenthDbm0};

/// From a device to its line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// The raw contact, not debounced: loop current flows or not.
    Loop {
        /// Current flows.
        closed: bool,
        /// When it changed.
        at: Nanos,
    },
    /// Lifted, judged by the kernel (dahdi/user.h DAHDI_EVENT_RINGOFFHOOK).
    OffHook,
    /// Put down, judged by the kernel (DAHDI_EVENT_ONHOOK).
    OnHook,
    /// A flash, judged by the kernel (DAHDI_EVENT_WINKFLASH) or sent as event 16 (RFC 2833 §3.10).
    Flash,
    /// The first pulse of a dialled digit, judged by the kernel (DAHDI_EVENT_PULSE_START).
    PulseBegin,
    /// A dialled digit, judged by the kernel (DAHDI_EVENT_PULSEDIGIT), ASCII.
    PulseDigit(u8),
    /// A digit has begun: silence what must be silent.
    DigitBegin {
        /// ASCII.
        digit: u8,
        /// Where it was seen.
        source: DigitSource,
    },
    /// A digit has ended.
    Digit {
        /// ASCII.
        digit: u8,
        /// How long it lasted.
        duration_ms: u16,
        /// Level of the stronger tone.
        level: TenthDbm0,
        /// Where it was seen.
        source: DigitSource,
        /// High tone over low tone; 0 where there was none.
        twist: TenthDb,
    },
    /// The person began or ceased to speak; as in the event.
    Voice {
        /// Speaks now.
        active: bool,
        /// Of the deciding frame, or of all that was said.
        level: TenthDbm0,
        /// Of the noise on the line.
        noise: TenthDbm0,
        /// When the first sound was heard.
        began: Nanos,
        /// When the last sound was heard.
        ended: Option<Nanos>,
    },
    /// What the person says is long enough to interrupt a prompt.
    VoiceConfirmed,
    /// Whether the person has said what there was to say.
    SpeechEnd {
        /// How certain that is.
        certainty: SpeechEnd,
        /// When the last sound was heard.
        last_sound: Nanos,
    },
    /// A tone of an exchange or a machine is heard, or has ended; as in the event.
    Tone {
        /// Which.
        tone: HeardTone,
        /// Heard now.
        active: bool,
        /// While it sounds.
        level: TenthDbm0,
        /// When it was first heard.
        began: Nanos,
        /// From then to its last sound.
        duration_ms: u32,
    },
    /// No packet for this long; repeated every 5 s.
    RtpSilent {
        /// Since the last packet.
        silent_ms: u32,
    },
    /// First packet, or first after silence, or of a new source.
    RtpHeard {
        /// Where it came from.
        remote: Endpoint,
    },
    /// Audio does not flow as it should; `None`: it flows again.
    Media(Option<MediaFault>),
    /// Tip-ring voltage, mV; `None` where the driver tells none any more.
    Voltage(Option<i32>),
    /// Card temperature, tenths of a degree Celsius.
    Temperature(i16),
    /// An alarm was raised or cleared.
    Alarm(bool),
    /// The device is gone.
    Lost,
    /// The device is here again.
    Back,
}

/// From a line to its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// Ringing current on.
    RingOn,
    /// Ringing current by the device's own clock, in this cadence, until [`Drive::RingOff`].
    Ring(Cadence),
    /// Ringing current off.
    RingOff,
    /// Loop battery; `false` is a drop (disconnect supervision).
    Battery(bool),
    /// A recall towards the phone: a short battery drop, or event 16.
    Flash,
    /// The line is in use (dahdi/user.h DAHDI_OFFHOOK).
    OffHook,
    /// The line is idle (dahdi/user.h DAHDI_ONHOOK).
    OnHook,
    /// Tip and ring exchanged, or put back.
    Polarity(bool),
    /// So many messages wait: the telephone's lamp is lit, or put out.
    MessageWaiting(u16),
    /// Audio passes to a phone that lies, for so long (dahdi/user.h DAHDI_ONHOOKTRANSFER).
    TransmitOnHook {
        /// From now.
        ms: u16,
    },
    /// A digit as telephone-event (RFC 4733).
    Digit {
        /// ASCII.
        digit: u8,
        /// Its length.
        on_ms: u16,
        /// The pause after it.
        off_ms: u16,
    },
}

/// What became of a [`Drive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driven {
    /// Done, or under way.
    Done,
    /// Not now: try again on a later tick.
    Busy,
    /// This device has no such thing.
    Unsupported,
}
