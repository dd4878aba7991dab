//! Calls: who talks to whom. Sans-IO; time is an input.

mod cause;

pub use cause::Cause;
