//! The contract between `tipring-engine` and `tipring-apid`: two shared memory segments with one
//! writer each, and what is said through them. `LAYOUT.md` has the byte tables.
//!
//! The engine uses [`Uplink`], [`Downlink`] and what they hand out; apid uses [`EngineMap`]. What
//! the peer wrote is an allegation: it is copied once, checked, then used, and no reference into
//! memory a peer can write leaves this crate.

#[cfg(target_endian = "big")]
compile_error!("the layout is little-endian, and the futex is the low half of a 64-bit word");

pub mod command;
pub mod event;
pub mod line_table;
pub mod settings;
pub mod units;

pub mod layout;
pub mod wire;

pub mod sync;

pub mod bounded_ring;
pub mod overwriting_ring;

pub mod audio;
pub mod command_ring;
pub mod counters;
pub mod doorbell;
pub mod event_ring;
pub mod line_rows;
pub mod play_ring;

#[cfg(not(loom))]
pub mod handshake;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
pub mod socket_path;

#[cfg(not(loom))]
mod downlink;
#[cfg(not(loom))]
mod engine_map;
#[cfg(not(loom))]
mod uplink;

pub use audio::{AudioFrame, AudioReader, AudioWriter, Direction, FrameFlags, FrameSeq, Next};
pub use bounded_ring::{EngineFault, PeerFault, SendError};
pub use command_ring::{CommandReader, CommandWriter, Taken};
pub use counters::{CounterValues, LoopCounters};
pub use event_ring::{EventCursor, EventReader, EventWriter, Published, Reservation};
pub use layout::{Attachment, Dimensions, LAYOUT_VERSION};
pub use line_rows::{LineReader, LineWriter};
pub use play_ring::{PlayItem, PlayReader, PlayWriter};

#[cfg(not(loom))]
pub use doorbell::{Doorbell, Woken};
#[cfg(not(loom))]
pub use downlink::Downlink;
#[cfg(not(loom))]
pub use engine_map::{AttachError, EngineMap};
#[cfg(not(loom))]
pub use uplink::Uplink;
