//! Where everything lies in both segments; `LAYOUT.md` is the same as a document, and
//! `tests/golden_layout.rs` compares it with these numbers.
//!
//! **Version rule.** [`LAYOUT_VERSION`] goes up by one with every change that an engine and an
//! apid of different builds would read differently: an offset, a size, a capacity, the meaning of
//! a word, and any change to the types in [`crate::command`], [`crate::event`],
//! [`crate::line_table`] and [`crate::settings`] (bincode has no field names: order is layout). Versions are not
//! negotiated; a peer of another one is refused at the handshake. The golden test fails until
//! both its bytes and this number are changed.

use crate::line_table::PLAYBACK_SLOTS;
use crate::units::{FRAME_SAMPLES, LineId, LoopId};

/// Version of everything this crate describes.
pub const LAYOUT_VERSION: u32 = 7;

/// First word of the uplink: `TIPRUPLK` in memory.
pub const UPLINK_MAGIC: u64 = u64::from_le_bytes(*b"TIPRUPLK");
/// First word of the downlink: `TIPRDNLK` in memory.
pub const DOWNLINK_MAGIC: u64 = u64::from_le_bytes(*b"TIPRDNLK");

/// Most frame loops of an engine.
pub const MAX_LOOPS: u8 = 16;
/// Most lines of an engine.
pub const MAX_LINES: u16 = 1024;

/// Sections begin at multiples of this, so that they share no page.
pub const PAGE_BYTES: usize = 4096;
/// What is written by different threads lies in different cache lines.
pub const CACHE_LINE_BYTES: usize = 64;

/// Events of a loop's event ring.
pub const EVENT_SLOTS: usize = 1024;
/// Words of an event slot: payload length in bytes, then payload.
pub const EVENT_WORDS: usize = 16;
/// Commands of a loop's command ring.
pub const COMMAND_SLOTS: usize = 256;
/// Words of a command slot: payload length in bytes, then payload.
pub const COMMAND_WORDS: usize = 32;
/// Items of a play ring: 2.56 s of audio.
pub const PLAY_SLOTS: usize = 128;
/// Words of a play slot: three of header, five reserved, the samples.
pub const PLAY_WORDS: usize = 8 + SAMPLE_WORDS;
/// Frames of an audio ring: 1.28 s.
pub const AUDIO_SLOTS: usize = 64;
/// Words of an audio slot: stamp, time, level and flags, five reserved, the samples.
pub const AUDIO_WORDS: usize = 8 + SAMPLE_WORDS;
/// Words that 160 samples fill, four in each, the first in the low bits.
pub const SAMPLE_WORDS: usize = FRAME_SAMPLES / 4;
/// Words of a line row: stamp, payload length in bytes, then payload.
pub const ROW_WORDS: usize = 64;
/// Words reserved for a loop's counters.
pub const COUNTER_WORDS: usize = 32;

/// Words of the uplink's header.
pub mod uplink_header {
    /// [`super::UPLINK_MAGIC`].
    pub const MAGIC: usize = 0;
    /// [`super::LAYOUT_VERSION`].
    pub const VERSION: usize = 1;
    /// [`crate::units::Generation`].
    pub const GENERATION: usize = 2;
    /// Loops in bits 0 to 7, lines in bits 16 to 31.
    pub const DIMENSIONS: usize = 3;
    /// Of the whole segment.
    pub const SIZE_BYTES: usize = 4;
    /// 1 once everything else is in place; stored last.
    pub const READY: usize = 5;
    /// CLOCK_MONOTONIC, ns, of the supervisor's last sign of life.
    pub const HEARTBEAT: usize = 8;
    /// Counts rings; its low half is the futex.
    pub const DOORBELL: usize = 16;
}

/// Words of the downlink's header. The engine writes the first five before it hands the segment
/// over, and believes none of them afterwards.
pub mod downlink_header {
    /// [`super::DOWNLINK_MAGIC`].
    pub const MAGIC: usize = 0;
    /// [`super::LAYOUT_VERSION`].
    pub const VERSION: usize = 1;
    /// [`super::Attachment`].
    pub const ATTACHMENT: usize = 2;
    /// As in the uplink.
    pub const DIMENSIONS: usize = 3;
    /// Of the whole segment.
    pub const SIZE_BYTES: usize = 4;
    /// How many threads of apid are parked on the doorbell.
    pub const PARKED: usize = 8;
}

/// Words of a loop's block in the uplink.
pub mod uplink_loop {
    /// Write cursor of the event ring.
    pub const EVENTS_WRITTEN: usize = 0;
    /// Attachment in the high half, events dropped since in the low half.
    pub const EVENTS_DROPPED: usize = 1;
    /// Read cursor of the command ring.
    pub const COMMANDS_READ: usize = 8;
    /// The counters, see [`crate::counters`].
    pub const COUNTERS: usize = 16;
}

/// Words of a loop's block in the downlink.
pub mod downlink_loop {
    /// Write cursor of the command ring.
    pub const COMMANDS_WRITTEN: usize = 0;
    /// Read cursor of the event ring.
    pub const EVENTS_READ: usize = 8;
}

/// Size of a loop's block in the uplink.
pub const UPLINK_LOOP_BYTES: usize = 512;
/// Size of a loop's block in the downlink.
pub const DOWNLINK_LOOP_BYTES: usize = 128;
/// Size of a line's play cursors, in either segment.
pub const PLAY_CURSORS_BYTES: usize = CACHE_LINE_BYTES;
/// Size of a line's row.
pub const ROW_BYTES: usize = ROW_WORDS * 8;
/// Size of an event ring.
pub const EVENT_RING_BYTES: usize = EVENT_SLOTS * EVENT_WORDS * 8;
/// Size of a command ring.
pub const COMMAND_RING_BYTES: usize = COMMAND_SLOTS * COMMAND_WORDS * 8;
/// Size of a play ring.
pub const PLAY_RING_BYTES: usize = PLAY_SLOTS * PLAY_WORDS * 8;
/// Size of an audio ring: a cache line with the head, then the slots.
pub const AUDIO_RING_BYTES: usize = CACHE_LINE_BYTES + AUDIO_SLOTS * AUDIO_WORDS * 8;

// A cursor counts modulo 2^32 and indexes modulo the capacity.
const _: () = assert!(EVENT_SLOTS.is_power_of_two() && COMMAND_SLOTS.is_power_of_two());
const _: () = assert!(PLAY_SLOTS.is_power_of_two() && AUDIO_SLOTS.is_power_of_two());
const _: () = assert!(SAMPLE_WORDS * 4 == FRAME_SAMPLES);
const _: () = assert!(AUDIO_WORDS * 8 == 384 && PLAY_WORDS * 8 == 384);
const _: () = assert!(EVENT_WORDS * 8 == 128 && COMMAND_WORDS * 8 == 256 && ROW_BYTES == 512);
const _: () = assert!(PLAYBACK_SLOTS * 8 <= PLAY_CURSORS_BYTES);
const _: () = assert!((uplink_loop::COUNTERS + COUNTER_WORDS) * 8 <= UPLINK_LOOP_BYTES);
const _: () = assert!((downlink_loop::EVENTS_READ + 8) * 8 <= DOWNLINK_LOOP_BYTES);
const _: () = assert!(AUDIO_RING_BYTES.is_multiple_of(CACHE_LINE_BYTES));
const _: () = assert!(UPLINK_LOOP_BYTES.is_multiple_of(CACHE_LINE_BYTES));
const _: () = assert!(DOWNLINK_LOOP_BYTES.is_multiple_of(CACHE_LINE_BYTES));

/// One attachment of an apid to this engine, counted from 1. It stands in the high half of every
/// cursor, so that a cursor of an earlier attachment is never taken for one of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment(pub u32);

/// How much of everything there is; all other sizes are constants of the layout version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Frame loops, 1 to [`MAX_LOOPS`].
    pub loops: u8,
    /// Lines, 1 to [`MAX_LINES`].
    pub lines: u16,
}

impl Dimensions {
    /// Both are within their limits.
    pub const fn is_valid(self) -> bool {
        self.loops >= 1 && self.loops <= MAX_LOOPS && self.lines >= 1 && self.lines <= MAX_LINES
    }

    /// As the header's word.
    pub const fn to_word(self) -> u64 {
        self.loops as u64 | (self.lines as u64) << 16
    }

    /// From the header's word; `None` unless it is one that [`Self::to_word`] makes of valid
    /// dimensions.
    pub const fn from_word(word: u64) -> Option<Self> {
        let dimensions = Self { loops: word as u8, lines: (word >> 16) as u16 };
        if dimensions.is_valid() && dimensions.to_word() == word { Some(dimensions) } else { None }
    }

    /// There is such a loop.
    pub const fn has_loop(self, frame_loop: LoopId) -> bool {
        frame_loop.0 < self.loops
    }

    /// There is such a line.
    pub const fn has_line(self, line: LineId) -> bool {
        line.0 < self.lines
    }
}

const fn page_end(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE_BYTES)
}

/// Byte offsets of the uplink's sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkLayout {
    /// [`uplink_loop`] blocks by loop.
    pub loops: usize,
    /// Read cursors of the play rings by line, four words used of each cache line.
    pub play_cursors: usize,
    /// Rows by line.
    pub rows: usize,
    /// Event rings by loop.
    pub events: usize,
    /// Audio rings by line, what the phone says before what it hears.
    pub audio: usize,
    /// Size of the segment.
    pub size: usize,
}

impl UplinkLayout {
    /// Of a segment of these dimensions.
    pub const fn of(dimensions: Dimensions) -> Self {
        let (per_loop, per_line) = (dimensions.loops as usize, dimensions.lines as usize);
        let loops = PAGE_BYTES;
        let play_cursors = page_end(loops + per_loop * UPLINK_LOOP_BYTES);
        let rows = page_end(play_cursors + per_line * PLAY_CURSORS_BYTES);
        let events = page_end(rows + per_line * ROW_BYTES);
        let audio = page_end(events + per_loop * EVENT_RING_BYTES);
        let size = page_end(audio + per_line * 2 * AUDIO_RING_BYTES);
        Self { loops, play_cursors, rows, events, audio, size }
    }
}

/// Byte offsets of the downlink's sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownlinkLayout {
    /// [`downlink_loop`] blocks by loop.
    pub loops: usize,
    /// Write cursors of the play rings by line, four words used of each cache line.
    pub play_cursors: usize,
    /// Command rings by loop.
    pub commands: usize,
    /// Play rings, four by line.
    pub plays: usize,
    /// Size of the segment.
    pub size: usize,
}

impl DownlinkLayout {
    /// Of a segment of these dimensions.
    pub const fn of(dimensions: Dimensions) -> Self {
        let (per_loop, per_line) = (dimensions.loops as usize, dimensions.lines as usize);
        let loops = PAGE_BYTES;
        let play_cursors = page_end(loops + per_loop * DOWNLINK_LOOP_BYTES);
        let commands = page_end(play_cursors + per_line * PLAY_CURSORS_BYTES);
        let plays = page_end(commands + per_loop * COMMAND_RING_BYTES);
        let size = page_end(plays + per_line * PLAYBACK_SLOTS * PLAY_RING_BYTES);
        Self { loops, play_cursors, commands, plays, size }
    }
}

// What a hostile header could make a peer compute stays far below an overflow.
const _: () =
    assert!(DownlinkLayout::of(Dimensions { loops: MAX_LOOPS, lines: MAX_LINES }).size < 256 << 20);
