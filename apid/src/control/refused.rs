//! Why control says no.

use crate::auth::Scope;
use crate::view::{LineKind, LineState};

/// Why a request was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such line, or the caller may not know of it.
    NoSuchLine,
    /// There is no such call, or the caller may not know of it.
    NoSuchCall,
    /// Nobody sits there, or somebody whom the caller may not know of.
    NoSuchConference,
    /// There is no such playback on that line.
    NoSuchPlayback,
    /// There is no such recording.
    NoSuchRecording,
    /// There is no such stream.
    NoSuchStream,
    /// Nothing has that number.
    NoSuchExtension,
    /// No program may answer that number.
    NotClaimable,
    /// Something has that number.
    NumberTaken,
    /// The token is limited to lines, and this concerns all.
    LimitedToken,
    /// That address is not banned.
    NoSuchBan,
    /// There is no such device, or no open window for it.
    NoSuchDevice,
    /// There is no prompt of that name.
    NoSuchPrompt,
    /// The token lacks a scope.
    Forbidden {
        /// Which.
        scope: Scope,
    },
    /// The line is off hook, ringing or in a call.
    LineBusy {
        /// Its state.
        state: LineState,
    },
    /// Not in this state.
    WrongState {
        /// The line's state.
        state: LineState,
    },
    /// The call does not allow it; the reason.
    CallState(String),
    /// Not with this kind of line.
    WrongKind {
        /// Its kind.
        kind: LineKind,
    },
    /// A value is out of range or malformed.
    Invalid {
        /// Where.
        field: &'static str,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// A bound is reached.
    Full {
        /// Of what.
        what: &'static str,
    },
    /// The engine is away; it is being restarted.
    EngineAway,
    /// The engine did not answer in time; what was asked may have happened.
    TimedOut,
    /// The configuration is wrong: file, line and reason.
    Configuration(String),
    /// The disk did not obey; the reason.
    Storage(String),
    /// The device did not obey.
    Device,
    /// A program that does it is not on this machine; its name.
    NotInstalled(&'static str),
    /// Not built yet.
    NotBuilt(&'static str),
    /// Signalling to the phone failed; the reason.
    Signalling(String),
}

/// A value is out of range or malformed; `reason` also says what is allowed.
pub(super) fn invalid(field: &'static str, reason: &str) -> Refused {
    Refused::Invalid { field, reason: reason.to_owned() }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchLine => f.write_str("there is no such line"),
            Self::NoSuchCall => f.write_str("there is no such call"),
            Self::NoSuchConference => f.write_str("nobody sits in a conference of this name"),
            Self::NoSuchPlayback => f.write_str("there is no such playback on this line"),
            Self::NoSuchRecording => f.write_str("there is no such recording"),
            Self::NoSuchStream => f.write_str("there is no such stream"),
            Self::NoSuchExtension => f.write_str("nothing has this number"),
            Self::NotClaimable => {
                f.write_str("no program may answer this number; applications.claim says which")
            }
            Self::NumberTaken => f.write_str("something has this number already"),
            Self::LimitedToken => {
                f.write_str("anybody may dial a number; this token is limited to lines")
            }
            Self::NoSuchDevice => f.write_str("there is no such device, or no open window for it"),
            Self::NoSuchBan => f.write_str("this address is not banned"),
            Self::NoSuchPrompt => f.write_str("there is no prompt of this name"),
            Self::Forbidden { scope } => write!(f, "the token lacks the scope `{}`", scope.name()),
            Self::LineBusy { state } => write!(f, "the line is busy ({})", state.name()),
            Self::WrongState { state } => {
                write!(f, "not possible while the line is {}", state.name())
            }
            Self::CallState(reason) => write!(f, "the call does not allow it: {reason}"),
            Self::WrongKind { kind } => write!(f, "not possible on a {} line", kind.name()),
            Self::Invalid { field, reason } => write!(f, "{field}: {reason}"),
            Self::Full { what } => write!(f, "no more {what}"),
            Self::EngineAway => f.write_str("the engine is away"),
            Self::TimedOut => f.write_str("the engine did not answer in time"),
            Self::Configuration(reason) => write!(f, "the configuration is wrong: {reason}"),
            Self::Storage(reason) => write!(f, "the disk: {reason}"),
            Self::Device => f.write_str("the device did not obey"),
            Self::NotInstalled(program) => write!(f, "{program} is not installed here"),
            Self::NotBuilt(what) => write!(f, "not built yet: {what}"),
            Self::Signalling(reason) => write!(f, "signalling failed: {reason}"),
        }
    }
}

impl std::error::Error for Refused {}
