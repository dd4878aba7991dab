//! The contract between `tipring-engine` and `tipring-apid`.

pub mod command;
pub mod event;
pub mod line_table;
pub mod units;
