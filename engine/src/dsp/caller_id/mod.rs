//! Who calls, told to an analog telephone: sent and received.
//!
//! `message` is what is said, `fsk` the modems that say it, `digits` the same in DTMF,
//! `announcement` the whole sequence of a country's standard.

pub mod announcement;
pub mod digits;
pub mod fsk;
pub mod message;

pub use announcement::Announcement;
pub use fsk::FskReceiver;
pub use message::{CallTime, Told};
