//! The real-time half of Tipring. Modules stand in the order a frame meets them, then in the
//! order in which the engine starts.

pub mod frame;
pub mod signal;

pub mod device;
pub mod codec;
pub mod dsp;
pub mod line;
pub mod crossing;
pub mod mixer;

pub mod frame_loop;
pub mod trace;
pub mod vectors;

pub mod assembly;
pub mod cards;
pub mod config;
pub mod confinement;
pub mod journal;
pub mod privileges;
pub mod realtime;
pub mod rtp_ports;
pub mod startup;
pub mod supervisor;
