//! The gateway interface of Asterisk: a program outside tells a channel what to do, line by line.
//!
//! [`command`] says what a line asks for, [`Reply`] how its result is written; both are sans-IO.
//! [`Environment`] is what a program is told at the beginning, [`fast`] the connection to one by
//! `agi://`. What a channel does for it is the dial plan's.

pub mod command;
mod environment;
pub mod fast;
mod reply;
mod words;

pub use environment::Environment;
pub use reply::Reply;
