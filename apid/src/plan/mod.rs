//! Dial plans in the language of `extensions.conf`: what is dialled, step by step.
//!
//! [`run`] does what it says. [`read`] makes a [`Dialplan`] of files and refuses what it does not know, with file and line;
//! [`expression`] and [`substitute`] evaluate what stands in its arguments; these open
//! nothing but the files of a plan.

pub mod arguments;
mod dialplan;
pub mod expression;
mod functions;
mod line;
mod names;
mod read;
pub mod run;
pub mod substitute;

pub use dialplan::{Context, Dialplan, Extension, Found, Position, Start, Step};
pub use functions::FUNCTIONS;
pub use names::{APPLICATIONS, REFUSED};
pub use read::{PlanError, read, read_text};
