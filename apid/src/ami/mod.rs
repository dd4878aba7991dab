//! The manager interface of Asterisk (AMI) on port 5038, so that programs written for it run here
//! unmodified: the shapes of Asterisk 11 (`legacy`), of 12 and later (`modern`), or both.
//!
//! In the order of an action: `wire` takes octets apart, `session` asks who it is and whether that
//! one may, `actions` do it through [`crate::control`] and [`crate::channel`], `events` put what
//! happens to channels into words, `client` holds what one is told until it is sent, `server` has
//! the sockets.

mod actions;
mod causes;
mod classes;
mod client;
mod defence;
mod events;
mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod server;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod wire;

pub use classes::Classes;
pub use filter::{Filter, FilterError};
pub use server::{BoundAmi, ServedAmi, bind};
pub use settings::{AmiSettings, AmiUser, Dialect, Permit};
