//! What the engine says of each line as a whole: the row apid reads at attach, after `resync`,
//! and whenever somebody asks for a line.

use crate::command::{Hook, HookSource, Law, LineKind, LineState, Phase, Since};
use crate::settings::LineSettings;
use crate::units::{ConferenceId, Endpoint, LineId, LoopId, Nanos, PlaybackId, TenthDbm0, Text32};
use serde::{Deserialize, Serialize};

/// Playback slots, and play rings, of a line.
pub const PLAYBACK_SLOTS: usize = 4;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineRow {
    /// The engine's name for it: `sim/1`, `rtp/17`, `dahdi/3`.
    pub label: Text32,
    /// Its kind of device.
    pub kind: LineKind,
    /// The frame loop that owns it, for life.
    pub frame_loop: LoopId,
    /// State, and since when.
    pub state: Since<LineState>,
    /// Phase, when off hook.
    pub phase: Option<Phase>,
    /// Position of the handset, and since when.
    pub hook: Since<Hook>,
    /// How it became known.
    pub hook_source: HookSource,
    /// What apid stored with [`crate::command::Command::Tag`]; 0 is none.
    pub tag: u64,
    /// The line it is bridged with.
    pub peer: Option<LineId>,
    /// The conference in which it sits.
    pub conference: Option<ConferenceId>,
    /// The phone hears itself.
    pub echo: bool,
    /// Last digit, ASCII; 0 is none since off hook.
    pub last_digit: u8,
    /// The person speaks.
    pub voice: bool,
    /// What the phone says.
    pub rx_level: TenthDbm0,
    /// What the phone hears.
    pub tx_level: TenthDbm0,
    /// Meter of what the phone says: as it came, echo taken out, before any gain.
    pub rx_meter: MeterRow,
    /// Meter of what the phone hears.
    pub tx_meter: MeterRow,
    /// Open RTP.
    pub rtp: Option<RtpRow>,
    /// Playbacks by slot; id 0 is a free slot.
    pub playbacks: [PlaybackRow; PLAYBACK_SLOTS],
    /// Tip-ring voltage, mV, where the device tells.
    pub millivolts: Option<i32>,
    /// Card temperature, tenths of a degree Celsius, where the device tells.
    pub tenths_celsius: Option<i16>,
    /// An alarm is active.
    pub alarm: bool,
    /// When the row was written.
    pub written_at: Nanos,
    /// Of a line on a card.
    pub dahdi: Option<DahdiRow>,
    /// As they are now.
    pub settings: LineSettings,
}

impl LineRow {
    /// A line of which nothing has been heard yet.
    pub fn at_rest(label: Text32, kind: LineKind, frame_loop: LoopId, now: Nanos) -> Self {
        Self {
            label,
            kind,
            frame_loop,
            state: Since { value: LineState::OnHook, at: now },
            phase: None,
            hook: Since { value: Hook::Unknown, at: now },
            hook_source: HookSource::None,
            tag: 0,
            peer: None,
            conference: None,
            echo: false,
            last_digit: 0,
            voice: false,
            rx_level: TenthDbm0::SILENCE,
            tx_level: TenthDbm0::SILENCE,
            rx_meter: MeterRow::SILENCE,
            tx_meter: MeterRow::SILENCE,
            rtp: None,
            playbacks: [PlaybackRow::default(); PLAYBACK_SLOTS],
            millivolts: None,
            tenths_celsius: None,
            alarm: false,
            written_at: now,
            dahdi: None,
            settings: LineSettings::of_country(*b"us"),
        }
    }
}

/// What the meter of one direction of a line says, ten times a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterRow {
    /// RMS of the last 100 ms.
    pub level: TenthDbm0,
    /// Level of a sine that has the largest sample of the last 100 ms for its peak.
    pub peak: TenthDbm0,
    /// Mean of the samples, over about a second.
    pub dc: i16,
    /// Samples at or beyond the outermost code of the law, since the call began.
    pub clipped_samples: u32,
    /// Active speech level of the call so far (ITU-T P.56 method B); `None` before anybody spoke.
    pub active_speech: Option<TenthDbm0>,
    /// Share of the call's time in which somebody spoke (P.56's activity factor).
    pub activity_percent: u8,
}

impl MeterRow {
    /// Of silence.
    pub const SILENCE: Self = Self {
        level: TenthDbm0::SILENCE,
        peak: TenthDbm0::SILENCE,
        dc: 0,
        clipped_samples: 0,
        active_speech: None,
        activity_percent: 0,
    };
}

/// RTP of a line, with RFC 3550 §6.4.1 statistics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RtpRow {
    /// Bound here.
    pub local_port: u16,
    /// Sending there.
    pub remote: Option<Endpoint>,
    /// Companding law.
    pub law: Law,
    /// Payload type of telephone-event.
    pub telephone_event: Option<u8>,
    /// Packets received and sent.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came after their frame was played.
    pub late: u64,
    /// Interarrival jitter, µs.
    pub jitter_us: u32,
    /// Depth of the jitter buffer, ms.
    pub depth_ms: u16,
    /// Depth that it aims at, ms.
    pub target_ms: u16,
    /// Packets that came again.
    pub duplicates: u32,
    /// Audio made up for what was not there in time, ms.
    pub concealed_ms: u64,
    /// Audio added by time-scaling, ms.
    pub stretched_ms: u32,
    /// Audio taken out by time-scaling, ms.
    pub shortened_ms: u32,
    /// The far end's clock against ours, positive where it is faster; `None` until it is measured.
    pub drift_ppm: Option<i16>,
    /// By RTCP (RFC 3550 §6.4.1), µs; `None` until a report has come back.
    pub round_trip_us: Option<u32>,
    /// What the far end says of our stream; `None` until it has.
    pub far_end: Option<FarEndReport>,
    /// `None` while nothing was received.
    pub quality: Option<Quality>,
    /// Encrypted (RFC 3711).
    pub srtp: bool,
}

/// The far end's last report block on our stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarEndReport {
    /// Since its report before, in 1/256.
    pub fraction_lost: u8,
    /// Since the beginning; duplicates count against it.
    pub lost: i32,
    /// Interarrival jitter there, µs.
    pub jitter_us: u32,
}

/// Estimates of listening quality by the E-model (ITU-T G.107), as MOS in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Of the whole call.
    pub call_mos: u16,
    /// Of the last ten seconds that were judged.
    pub recent_mos: u16,
}

/// The channel of a card, as `dahdi_scan` shows it (dahdi/user.h `dahdi_params`, `dahdi_spaninfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DahdiRow {
    /// Number of the channel; 0 while there is none.
    pub channel: u16,
    /// Number of its span.
    pub span: u16,
    /// Position in the span, from 1.
    pub position: u16,
    /// `DAHDI_SIG_*`; 0x1020 is FXOKS, which an FXS port must have.
    pub signalling: u32,
    /// Companding law of the channel.
    pub law: Law,
    /// `DAHDI_ALARM_*` of the span.
    pub span_alarms: u32,
    /// `DAHDI_ALARM_*` of the channel.
    pub channel_alarms: u32,
    /// Name of the span, as its driver gives it: `WCTDM/0`.
    pub span_name: Text32,
    /// The card: `Wildcard TDM410P`.
    pub card: Text32,
    /// Voltages, where the driver tells (`WCTDM_GET_STATS`).
    pub volts: Option<LineVolts>,
    /// Why there is no channel.
    pub fault: Option<DahdiFault>,
}

impl DahdiRow {
    /// No channel.
    pub const fn without(fault: DahdiFault) -> Self {
        Self {
            channel: 0,
            span: 0,
            position: 0,
            signalling: 0,
            law: Law::Mu,
            span_alarms: 0,
            channel_alarms: 0,
            span_name: Text32::EMPTY,
            card: Text32::EMPTY,
            volts: None,
            fault: Some(fault),
        }
    }
}

/// Voltages of a line against ground, mV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineVolts {
    /// Of the tip wire.
    pub tip: i32,
    /// Of the ring wire.
    pub ring: i32,
    /// Of the battery that feeds the loop.
    pub battery: i32,
}

/// Why a line has no channel. The engine looks again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DahdiFault {
    /// DAHDI is not loaded: there is no `/dev/dahdi/ctl` and no `/dev/dahdi/channel`.
    NoDriver,
    /// The engine may not open `/dev/dahdi/channel`: its group must be that of the nodes.
    Permission,
    /// The kernel's DAHDI does not speak this interface.
    Version,
    /// No such channel, or no such card: it is not plugged in, or has no number yet.
    NoChannel,
    /// The channel is not configured: `dahdi_cfg` has not run.
    NotConfigured,
    /// The channel is not signalled as `fxoks`, which an FXS port needs.
    WrongSignalling,
    /// No tone zone is loaded (`loadzone`, `defaultzone`): the kernel would refuse to ring.
    NoToneZone,
    /// Another program holds the channel.
    Busy,
    /// The channel was there and is gone.
    Removed,
    /// The kernel refused something else.
    Kernel,
}

/// A playback slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlaybackRow {
    /// 0 is a free slot.
    pub playback: PlaybackId,
    /// Samples handed to the device.
    pub played_samples: u64,
}
