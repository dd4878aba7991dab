//! Why calls end: ITU-T Q.850 causes, and what SIP calls them.

use serde::{Deserialize, Serialize};

/// Why a call ends or is refused (ITU-T Q.850).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// 1: nobody has that number.
    UnallocatedNumber,
    /// 16: somebody hung up.
    NormalClearing,
    /// 17: busy.
    UserBusy,
    /// 18: the phone does not respond.
    NoUserResponding,
    /// 19: nobody answered.
    NoAnswer,
    /// 20: not registered, or no device.
    SubscriberAbsent,
    /// 21: the phone refused.
    CallRejected,
    /// 27: the device is out of order.
    DestinationOutOfOrder,
    /// 28: too few digits.
    InvalidNumber,
    /// 38: the network between is out of order.
    NetworkOutOfOrder,
    /// 41: the engine went away.
    TemporaryFailure,
    /// 47: no RTP port, no playback slot.
    ResourceUnavailable,
    /// 65: no codec in common.
    BearerCapability,
    /// 102: no media for too long.
    RecoveryOnTimer,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::UnallocatedNumber,
        Self::NormalClearing,
        Self::UserBusy,
        Self::NoUserResponding,
        Self::NoAnswer,
        Self::SubscriberAbsent,
        Self::CallRejected,
        Self::DestinationOutOfOrder,
        Self::InvalidNumber,
        Self::NetworkOutOfOrder,
        Self::TemporaryFailure,
        Self::ResourceUnavailable,
        Self::BearerCapability,
        Self::RecoveryOnTimer,
    ];

    /// Cause value (ITU-T Q.850 §2.2.7).
    pub const fn code(self) -> u8 {
        match self {
            Self::UnallocatedNumber => 1,
            Self::NormalClearing => 16,
            Self::UserBusy => 17,
            Self::NoUserResponding => 18,
            Self::NoAnswer => 19,
            Self::SubscriberAbsent => 20,
            Self::CallRejected => 21,
            Self::DestinationOutOfOrder => 27,
            Self::InvalidNumber => 28,
            Self::NetworkOutOfOrder => 38,
            Self::TemporaryFailure => 41,
            Self::ResourceUnavailable => 47,
            Self::BearerCapability => 65,
            Self::RecoveryOnTimer => 102,
        }
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::UnallocatedNumber => "unallocated number",
            Self::NormalClearing => "normal call clearing",
            Self::UserBusy => "user busy",
            Self::NoUserResponding => "no user responding",
            Self::NoAnswer => "no answer from user",
            Self::SubscriberAbsent => "subscriber absent",
            Self::CallRejected => "call rejected",
            Self::DestinationOutOfOrder => "destination out of order",
            Self::InvalidNumber => "invalid number format",
            Self::NetworkOutOfOrder => "network out of order",
            Self::TemporaryFailure => "temporary failure",
            Self::ResourceUnavailable => "resource unavailable",
            Self::BearerCapability => "bearer capability not implemented",
            Self::RecoveryOnTimer => "recovery on timer expiry",
        }
    }

    /// The SIP status that refuses an INVITE for this reason (RFC 3398 §7.2.4.1).
    pub const fn sip_status(self) -> u16 {
        match self {
            Self::UnallocatedNumber => 404,
            Self::UserBusy => 486,
            Self::NoUserResponding => 408,
            Self::NormalClearing | Self::NoAnswer | Self::SubscriberAbsent => 480,
            Self::CallRejected => 403,
            Self::DestinationOutOfOrder => 502,
            Self::InvalidNumber => 484,
            Self::BearerCapability => 488,
            Self::NetworkOutOfOrder | Self::TemporaryFailure | Self::ResourceUnavailable => 503,
            Self::RecoveryOnTimer => 504,
        }
    }

    /// What a final SIP response to our INVITE means (RFC 3398 §8.2.6.1).
    pub const fn of_sip_status(status: u16) -> Self {
        match status {
            404 | 485 | 604 => Self::UnallocatedNumber,
            486 | 600 => Self::UserBusy,
            408 => Self::NoUserResponding,
            410 | 480 => Self::SubscriberAbsent,
            487 => Self::NormalClearing,
            484 => Self::InvalidNumber,
            415 | 488 | 606 => Self::BearerCapability,
            401 | 403 | 407 | 603 => Self::CallRejected,
            502 => Self::NetworkOutOfOrder,
            503 | 500 => Self::TemporaryFailure,
            504 => Self::RecoveryOnTimer,
            _ => Self::DestinationOutOfOrder,
        }
    }
}
