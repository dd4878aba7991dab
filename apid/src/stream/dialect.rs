//! What a dialect is: what it hears, what it asks for. Sans-IO.

use crate::control::{ApplicationEnd, Moment, Samples};
use crate::view::Timestamp;

/// Longest text of somebody else's that is repeated in a message of ours.
const QUOTED_MAX: usize = 60;

/// What a conversation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Id of the call, hexadecimal.
    pub(super) call_id: String,
    /// Its line.
    pub(super) line: String,
    /// Who calls.
    pub(super) caller: String,
    /// The number that was dialled; empty where none was.
    pub(super) dialled: String,
    /// Name of the token that placed the call.
    pub(super) owner: String,
    /// 128 random bits, hexadecimal.
    pub(super) session: String,
    /// When the application was asked for.
    pub(super) at: Timestamp,
}

/// Something a dialect hears.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard<'a> {
    /// The socket is open.
    Opened,
    /// 20 ms that the phone says; told once the application has joined.
    Frame(&'a Samples),
    /// So many frames are lost: the application was too slow.
    Lost(u64),
    /// The phone dialled.
    Digit { digit: char, duration_ms: u16 },
    /// A text message.
    Text(&'a str),
    /// A binary message, or a packet.
    Binary(&'a [u8]),
    /// What was said before this mark was handed to the device, or dropped.
    Mark { name: &'a str, played_ms: u64 },
    /// [`Act::Clear`] was done.
    Cleared { played_ms: u64 },
    /// The call is over, or goes on without the application.
    Over(ApplicationEnd),
}

/// Something a dialect asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Send a text message.
    Text(String),
    /// Send a binary message: audio, which may be dropped where nobody reads.
    Binary(Vec<u8>),
    /// Send a binary message that is no audio.
    Packet(Vec<u8>),
    /// Send a text message with audio, which may be dropped likewise.
    Audio(String),
    /// The application takes the call.
    Join,
    /// Let the phone hear it.
    Speak(Vec<i16>),
    /// Tell when what was said so far has been handed to the device.
    Mark(String),
    /// Drop what waits to be heard.
    Clear,
    /// Let the phone hear digits.
    Press { digits: String, on_ms: u16 },
    /// The application hangs up.
    HangUp,
    /// What came makes no sense; the reason.
    Ignored(String),
}

/// One conversation. Gives few actions for each thing heard, and never waits.
pub(super) trait Dialect: Send {
    /// Takes what was heard.
    fn handle(&mut self, heard: Heard<'_>, now: Moment, out: &mut Vec<Act>);
}

/// Somebody else's text, short and without what would break a line.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_MAX).collect();
    format!("{short:?}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::Value;
    use std::time::SystemTime;

    /// A conversation about line 1.
    pub(in super::super) fn about() -> About {
        About {
            call_id: "1f".to_owned(),
            line: "1".to_owned(),
            caller: "101".to_owned(),
            dialled: "700".to_owned(),
            owner: "laptop".to_owned(),
            session: "0123456789abcdef0123456789abcdef".to_owned(),
            at: Timestamp(SystemTime::UNIX_EPOCH),
        }
    }

    /// What a dialect asks for, at once.
    pub(in super::super) fn talk(dialect: &mut dyn Dialect, heard: Heard<'_>) -> Vec<Act> {
        talk_at(dialect, 0, heard)
    }

    /// What a dialect asks for at a time, ms.
    pub(in super::super) fn talk_at(
        dialect: &mut dyn Dialect,
        ms: u64,
        heard: Heard<'_>,
    ) -> Vec<Act> {
        let wall = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(ms);
        let mut out = Vec::new();
        dialect.handle(heard, Moment { ms, wall }, &mut out);
        out
    }

    /// The texts among actions, as JSON.
    pub(in super::super) fn texts(acts: &[Act]) -> Vec<Value> {
        let text = |act: &Act| match act {
            Act::Text(text) | Act::Audio(text) => serde_json::from_str(text).ok(),
            _ => None,
        };
        acts.iter().filter_map(text).collect()
    }
}
