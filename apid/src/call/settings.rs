//! What holds for all calls, how a phone is rung, why it cannot be.

use super::Cause;
use super::dial_plan::DialPlan;
use super::pattern::Pattern;
use crate::view::CallerIdView;
use std::collections::BTreeMap;
use tipring_shm_proto::command::LineState;

/// What holds for all calls.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// Numbers.
    pub plan: DialPlan,
    /// A number is complete when no digit comes for so long.
    pub inter_digit_ms: u64,
    /// A phone rings so long.
    pub ring_timeout_ms: u32,
    /// On and off in turn; empty is as telephones ring in the line's country.
    pub cadence_ms: Vec<u16>,
    /// A call whose phone sends no RTP for so long ends; 0 is never.
    pub media_timeout_ms: u32,
    /// Calls at once.
    pub max_calls: usize,
    /// Conferences at once.
    pub conferences: u16,
    /// Lines in one of them.
    pub conference_members: usize,
    /// Ways out, by name.
    pub trunks: BTreeMap<String, Trunk>,
    /// Numbers that programs may answer.
    pub claimable: Vec<Pattern>,
    /// Numbers answered by programs at once.
    pub max_claims: usize,
}

impl Default for SwitchConfig {
    fn default() -> Self {
        Self {
            plan: DialPlan::default(),
            inter_digit_ms: 4000,
            ring_timeout_ms: 60_000,
            cadence_ms: Vec::new(),
            media_timeout_ms: 120_000,
            max_calls: 1000,
            conferences: 16,
            conference_members: 32,
            trunks: BTreeMap::new(),
            claimable: Vec::new(),
            max_claims: 100,
        }
    }
}

/// A way out to a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trunk {
    /// Lines by which its calls go, one a call.
    pub lines: Vec<String>,
    /// Digits at the beginning of what was dialled that the provider is not sent.
    pub strip: usize,
    /// What it is sent before the rest.
    pub prepend: String,
}

impl Trunk {
    /// What the provider is sent; `None` where nothing is left of what was dialled.
    pub(super) fn sends(&self, dialled: &str) -> Option<String> {
        let rest = dialled.get(self.strip..).filter(|rest| !rest.is_empty())?;
        Some(format!("{}{rest}", self.prepend))
    }
}

/// How to ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingOrder {
    /// Shown by the phone.
    pub caller: CallerIdView,
    /// Gives up by itself.
    pub timeout_ms: u32,
    /// On and off in turn; empty is as telephones ring in the line's country.
    pub cadence_ms: Vec<u16>,
}

/// Why a call cannot begin, or a line cannot be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// The line is in this state, or in a call.
    Line(LineState),
    /// The phone cannot be reached.
    Absent,
    /// Too many calls.
    Full,
}

impl Busy {
    /// What whoever called is told.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Line(LineState::Offline) | Self::Absent => Cause::SubscriberAbsent,
            Self::Line(LineState::Fault) => Cause::DestinationOutOfOrder,
            Self::Line(_) | Self::Full => Cause::UserBusy,
        }
    }
}
