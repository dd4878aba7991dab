//! Between what devices speak and what the engine computes with.

pub mod g711;
