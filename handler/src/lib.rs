//! The WebSocket inbound call handler: a server that plays a program which takes calls, for clients
//! to be tried with, and such a client. `tipring-apid` has the server on its port 4143, the command
//! `tipring handler` has both. Rules first, sans-IO; then what does what they say.

pub mod client;
pub mod client_rules;
pub mod server;
pub mod server_rules;

pub use client::{CallError, Caller};
pub use server::{Server, ServerSettings};
pub use server_rules::Timings;

/// How much a line of a log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks closely.
    Debug,
    /// What happens.
    Info,
    /// What was refused.
    Warning,
}

impl Level {
    /// The name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
        }
    }
}

/// Where lines of a log go.
pub type Log = std::sync::Arc<dyn Fn(Level, &str) + Send + Sync>;

/// Longest message.
const MESSAGE_MAX: usize = 1 << 20;
/// Longest text of somebody else's that is repeated in a log.
const QUOTED_MAX: usize = 200;

/// Digits there are.
const DIGITS: &str = "0123456789*#ABCD";

/// The one digit that `text` is.
fn digit(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|one| DIGITS.contains(*one) && chars.next().is_none())
}

/// Somebody else's text, short and on one line.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_MAX).collect();
    format!("{short:?}")
}
