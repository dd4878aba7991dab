//! Whole lines in their frame loops, ticked by hand.

mod live_settings;
mod no_allocation;
mod call_waiting;
mod digit_leak;
mod rig;
mod stories;
