//! SIP for telephones: registrations, calls from phones, calls to phones (RFC 3261).
//!
//! In the order a request meets them: `stack` carries messages and transactions, `service` joins
//! it with control, `agent` asks who sends a request, `incoming`, `outgoing` and `established`
//! have the rules of calls. From `agent` on nothing touches a socket, a clock or a file.

pub mod settings;

// The network, and what joins it with the rules.
mod screen;
mod exchange;
mod resolve;
mod service;
mod stack;
mod store;
mod porch;
mod streams;
mod trace;

// Who asks.
pub mod action;
pub mod agent;
mod authority;
pub mod digest;
pub mod bans;
pub mod defence;
pub mod gate;
pub mod usage;
pub mod registrar;

// Our accounts elsewhere.
pub mod trunk;

// Calls.
pub mod call;
mod caller;
pub mod crypto;
mod early;
mod established;
mod incoming;
mod our_changes;
mod outgoing;
mod reason;
pub mod saved;
mod session_timer;
mod transfer;

// Beside calls.
mod keep_alive;
mod message_waiting;

// What they are made of.
pub mod address;
pub mod dialog;
pub mod message;
pub mod sdp;

pub use exchange::Exchange;
pub use service::Sip;

#[cfg(test)]
mod tests;
