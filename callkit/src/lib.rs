//! Calls held by programs.
//!
//! A handler is an async function that is given a [`Call`]. [`run`] answers a number of a running
//! Tipring with it, for as long as the program runs; each call has a handler of its own.
//!
//! ```no_run
//! use tipring_callkit::{Call, Digits, Outcome, run};
//!
//! async fn tree(call: Call) -> Outcome {
//!     call.say("Your password, please.").await?;
//!     if call.collect_digits(Digits::count(4)).await? != "1234" {
//!         call.say("That is wrong.").await?.finished().await?;
//!         return Ok(());
//!     }
//!     call.say("Press 1 for the workshop, 2 to hang up.").await?;
//!     if call.collect_digits(Digits::count(1).of("12")).await? == "1" {
//!         call.transfer("102").await?;
//!     }
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Outcome {
//!     run(tree).await
//! }
//! ```
//!
//! A call ends when its handler returns or fails; when the caller hangs up, the handler is dropped
//! where it waits. The modules in the order in which a call meets them: [`Client`] answers a number or
//! rings a line, [`Call`] is what the handler holds, [`Playback`] what it plays; what it hears comes by
//! [`Digits`], [`Record`] and [`Call::record_with`].

mod answer;
mod call;
mod client;
mod collect;
mod error;
mod play;
mod record;
mod samples;

pub use answer::run;
pub use call::Call;
pub use client::Client;
pub use collect::Digits;
pub use error::{Error, Outcome};
pub use play::{Play, Playback};
pub use record::Record;

/// Samples a second, everywhere.
pub const RATE: u32 = 8000;
