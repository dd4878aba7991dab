//! What is known of one call, in the form that outlives apid.

use super::Cause;
use super::beside::{Beside, ThreeWay};
use super::conference::{Role, Seat};
use super::consult::Consults;
use super::kept::Keeper;
use crate::view::{Call, CallState, CallerIdView, CauseView, Leg, LegKind, LegState, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Names a call; greater than that of any earlier call, also of an earlier apid. Stored as the
/// tag of each line that takes part.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct CallNumber(pub u64);

impl std::fmt::Display for CallNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl CallNumber {
    /// The number of that name.
    pub fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

/// Now: both clocks, read once by whoever feeds an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic, ms from any beginning.
    pub ms: u64,
    /// For people.
    pub wall: SystemTime,
}

/// Who called whom, as addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// `line:ID`, `app:NAME`.
    pub from: String,
    /// `line:ID`, `app:NAME`, `number:DIGITS` for what reached nobody.
    pub to: String,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The one who is to call rings first.
    RingingFrom,
    /// The one who is called rings.
    RingingTo,
    /// Both are lifted; audio is being joined.
    Joining,
    /// They talk.
    Talking,
    /// A line and an application are being joined.
    Entering,
    /// A line hears an application.
    Application,
    /// A SIP phone hears our dial tone and dials.
    Dialling,
    /// It hears why its number reached nobody.
    HearsTone,
    /// Over; its lines are being cleared.
    Ending,
    /// Over.
    Ended,
}

/// An application behind a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketEnd {
    /// Where it is dialled; a query may hold a secret.
    pub url: String,
    /// The number that led there; empty where none did.
    pub dialled: String,
    /// Name of the token that the call belongs to.
    pub owner: String,
}

impl SocketEnd {
    /// Whether `text` looks like the URL of an application behind a socket.
    pub fn is_url(text: &str) -> bool {
        ["ws://", "wss://", "audiosocket://"].iter().any(|scheme| text.starts_with(scheme))
    }

    /// Whom a call belongs to that a number or a hotline leads to `url`: the token of that name in
    /// its query; else whoever is on this machine while there is no token.
    pub fn account(url: &str) -> String {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let named = query.split('&').find_map(|pair| pair.strip_prefix("account="));
        named.unwrap_or("local").to_owned()
    }

    /// As clients may know it: without the query.
    pub fn address(&self) -> String {
        format!("app:{}", self.url.split(['?', '#']).next().unwrap_or_default())
    }
}

/// One end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegRecord {
    /// The line; `None` is an application.
    pub line: Option<String>,
    /// As clients know it.
    pub address: String,
    /// State.
    pub state: LegState,
    /// A SIP phone's INVITE that has no final response yet.
    pub unaccepted: bool,
    /// What a trunk's line calls.
    #[serde(default)]
    pub number: Option<String>,
    /// Why it ended before its call did.
    #[serde(default)]
    pub cause: Option<Cause>,
}

impl LegRecord {
    pub(super) fn line(line: &str, state: LegState) -> Self {
        Self {
            line: Some(line.to_owned()),
            address: format!("line:{line}"),
            state,
            unaccepted: false,
            number: None,
            cause: None,
        }
    }

    pub(super) fn application(name: &str) -> Self {
        Self {
            line: None,
            address: format!("app:{name}"),
            state: LegState::Connected,
            unaccepted: false,
            number: None,
            cause: None,
        }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Names it.
    pub number: CallNumber,
    /// Who called whom.
    pub ends: Ends,
    /// Caller first.
    pub legs: Vec<LegRecord>,
    /// How far it is.
    pub stage: Stage,
    /// Shown to whoever rings.
    pub caller_id: CallerIdView,
    /// Of each phone that rings.
    pub ring_timeout_ms: u32,
    /// On and off in turn.
    pub cadence_ms: Vec<u16>,
    /// Beginning.
    pub started_at: Timestamp,
    /// First answer.
    pub answered_at: Option<Timestamp>,
    /// End.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub cause: Option<Cause>,
    /// Whether a dial plan has it.
    #[serde(default)]
    pub keeper: Keeper,
    /// Its application behind a socket.
    #[serde(default)]
    pub socket: Option<SocketEnd>,
    /// Its caller asks a third one, while another one waits.
    #[serde(default)]
    pub consults: Option<Consults>,
    /// Lines that have sent it on.
    #[serde(default)]
    pub diverted: u8,
    /// Where its line sits.
    #[serde(default)]
    pub seat: Option<Seat>,
    /// What its line will be where it sits down next.
    #[serde(default)]
    pub wants_role: Role,
    /// It waits for an analog line that is in another call.
    #[serde(default)]
    pub beside: Option<Beside>,
    /// Its line has made three talk with each other.
    #[serde(default)]
    pub three_way: Option<ThreeWay>,
}

impl CallRecord {
    /// Whether it is over, its lines cleared or not.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ending | Stage::Ended)
    }

    /// Its lines, caller first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.legs.iter().filter_map(|leg| leg.line.as_deref())
    }

    pub(super) fn leg(&mut self, line: &str) -> Option<&mut LegRecord> {
        self.legs.iter_mut().find(|leg| leg.line.as_deref() == Some(line))
    }

    /// As clients see it; media statistics are filled in by whoever can read them.
    pub fn view(&self) -> Call {
        let held = self.legs.iter().any(|leg| leg.state == LegState::Held);
        let state = match self.stage {
            Stage::Ending | Stage::Ended => CallState::Ended,
            Stage::RingingFrom | Stage::RingingTo | Stage::Joining => CallState::Ringing,
            // A plan may answer later, or never.
            Stage::Entering | Stage::Application
                if self.keeper != Keeper::Nobody && self.answered_at.is_none() =>
            {
                CallState::Ringing
            }
            _ if held => CallState::Held,
            _ => CallState::Connected,
        };
        let legs = self.legs.iter().map(|leg| Leg {
            kind: if leg.line.is_some() { LegKind::Line } else { LegKind::Application },
            address: leg.address.clone(),
            line: leg.line.clone(),
            state: leg.state,
            cause: leg.cause.map(cause_view),
            media: None,
        });
        Call {
            id: self.number.to_string(),
            state,
            from: self.ends.from.clone(),
            to: self.ends.to.clone(),
            legs: legs.collect(),
            started_at: self.started_at,
            answered_at: self.answered_at,
            ended_at: self.ended_at,
            cause: self.cause.map(cause_view),
            media: None,
        }
    }
}

fn cause_view(cause: Cause) -> CauseView {
    CauseView { code: cause.code(), text: cause.text().to_owned() }
}
