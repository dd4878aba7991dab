//! The gateway interface of Asterisk: a program outside tells a channel what to do, line by line.
//!
//! [`command`] says what a line asks for, [`Reply`] how its result is written; both are sans-IO.
//! [`Environment`] is what a program is told at the beginning, [`connection`] how lines come and go:
//! to an address that [`fast`] reads of `agi://`, or to a script that [`local`] has started. What a
//! channel does for it is the dial plan's.

pub mod command;
pub mod connection;
mod environment;
pub mod fast;
pub mod local;
mod reply;
mod words;

pub use environment::Environment;
pub use reply::Reply;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What programs may.
#[derive(Clone, Debug)]
pub struct AgiSettings {
    /// The socket where scripts of this machine are started; without one none is.
    pub scripts: Option<Arc<Path>>,
    /// A program that asks for nothing for so long is given up.
    pub idle: Duration,
}
