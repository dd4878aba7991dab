//! Whole lines in their frame loops, ticked by hand.

mod no_allocation;
mod rig;
mod stories;
