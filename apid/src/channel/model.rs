//! What is known of one channel, and how channels are named.

use crate::view::{CallerIdView, Timestamp};

/// Kind of a channel: what its name begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// A SIP phone.
    Sip,
    /// A telephone on a card.
    Dahdi,
    /// A simulated telephone.
    Sim,
}

/// The device behind a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Kind.
    pub kind: EndpointKind,
    /// Its number among its kind: the extension of a SIP phone, else its user name; the number of
    /// the channel or of the simulated line.
    pub name: String,
    /// Its extension, empty where it has none.
    pub number: String,
    /// Shown when it calls.
    pub caller_name: String,
}

impl Endpoint {
    /// `SIP/201`, `DAHDI/1`, `SIM/1`.
    pub fn address(&self) -> String {
        let kind = match self.kind {
            EndpointKind::Sip => "SIP",
            EndpointKind::Dahdi => "DAHDI",
            EndpointKind::Sim => "SIM",
        };
        format!("{kind}/{}", self.name)
    }

    /// `SIP/201-0000000a`; a card's channel has one call at a time: `DAHDI/1-1`.
    pub(super) fn channel_name(&self, serial: u64) -> String {
        match self.kind {
            EndpointKind::Dahdi => format!("{}-1", self.address()),
            EndpointKind::Sip | EndpointKind::Sim => {
                format!("{}-{:08x}", self.address(), serial as u32)
            }
        }
    }

    pub(super) fn caller_id(&self) -> CallerIdView {
        CallerIdView { number: self.number.clone(), name: self.caller_name.clone() }
    }
}

/// State of a channel, with Asterisk's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// Nothing yet.
    Down,
    /// It calls and was not answered yet.
    Ring,
    /// It is called, and rings.
    Ringing,
    /// Answered.
    Up,
}

impl ChannelState {
    /// `ChannelState`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Ring => 4,
            Self::Ringing => 5,
            Self::Up => 6,
        }
    }

    /// `ChannelStateDesc`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Down => "Down",
            Self::Ring => "Ring",
            Self::Ringing => "Ringing",
            Self::Up => "Up",
        }
    }
}

/// A place in a dial plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Context.
    pub context: String,
    /// Extension; empty where none was dialled.
    pub exten: String,
    /// From 1.
    pub priority: u32,
}

impl Default for Position {
    fn default() -> Self {
        Self { context: "default".to_owned(), exten: String::new(), priority: 1 }
    }
}

/// A channel as it was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// The line whose channel it is.
    pub line: String,
    /// The call its line takes part in, as the REST API knows it.
    pub call_id: String,
    /// `SIP/201-0000000a`.
    pub name: String,
    /// `seconds.serial`.
    pub unique_id: String,
    /// Unique id of the first channel of the call.
    pub linked_id: String,
    /// State.
    pub state: ChannelState,
    /// It began the call, rather than being called.
    pub calls: bool,
    /// Who calls, or for a channel that is called by an application, whom that showed.
    pub caller: CallerIdView,
    /// Whom it is connected with.
    pub connected: CallerIdView,
    /// Account code.
    pub account: String,
    /// What a plan or a program noted for the call's record.
    pub user_field: String,
    /// Language of its prompts, as `en`.
    pub language: String,
    /// Where in a dial plan it is.
    pub position: Position,
    /// Application it is in; empty for none.
    pub application: String,
    /// What the application was given.
    pub data: String,
    /// Unique id of the channel it is bridged with.
    pub bridged_with: Option<String>,
    /// On hold.
    pub held: bool,
    /// What comes from it, and what goes to it, is silenced.
    pub muted: (bool, bool),
    /// Beginning.
    pub created_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// While it is dialled: unique id of the channel that dials it; empty where an application does.
    pub dialled_by: Option<String>,
}
