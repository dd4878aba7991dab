//! The real-time half of Tipring. Modules stand in the order a frame meets them.

pub mod codec;
pub mod device;
pub mod dsp;
pub mod frame;
pub mod line;
pub mod mixer;
pub mod signal;
