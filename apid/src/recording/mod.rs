//! Recordings as files: a WAV that is valid at any moment, when it ends, and the folder of them.

mod shelf;
mod stop_rules;
mod wav_writer;

pub use shelf::{Shelf, ShelfError};
pub use stop_rules::{StopCause, StopRules};
pub use wav_writer::{WavWriter, Written};
