//! SIP for telephones: registrations, calls from phones, calls to phones (RFC 3261).
//!
//! In the order a request meets them: `stack` carries messages and transactions, `service` joins
//! it with control, `agent` asks who sends a request, `incoming`, `outgoing` and `established`
//! have the rules of calls. From `agent` on nothing touches a socket, a clock or a file.
pub mod agent;
pub mod call;
pub mod dialog;
pub mod digest;
mod established;
pub mod gate;
mod incoming;
pub mod message;
mod outgoing;
pub mod registrar;
mod screen;
pub mod sdp;
mod service;
pub mod settings;
mod stack;
mod store;

pub use service::{Exchange, Sip};

#[cfg(test)]
mod tests;
