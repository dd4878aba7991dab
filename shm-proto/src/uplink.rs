//! The engine's own segment: created once a start, read by whoever is attached.

use crate::audio::AudioWriter;
use crate::counters::LoopCounters;
use crate::doorbell::{Doorbell, Ringer};
use crate::event_ring::EventWriter;
use crate::layout::{
    AUDIO_RING_BYTES, CACHE_LINE_BYTES, COUNTER_WORDS, Dimensions, EVENT_RING_BYTES,
    LAYOUT_VERSION, PAGE_BYTES, PLAY_CURSORS_BYTES, ROW_BYTES, UPLINK_LOOP_BYTES, UPLINK_MAGIC,
    UplinkLayout, uplink_header, uplink_loop,
};
use crate::line_rows::LineWriter;
use crate::segment::{self, Mapping};
use crate::sync::{Edge, WriteWords};
use crate::units::{Generation, LineId, LoopId, Nanos};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// The uplink, writable: the engine holds the only such mapping there can be.
///
/// It hands out each writing end once; those are `Send`, go to their frame loops and keep the
/// mapping alive. Everything here allocates or may wait: for the supervisor, not for loops.
#[derive(Debug)]
pub struct Uplink {
    file: File,
    memory: Arc<Mapping>,
    layout: UplinkLayout,
    dimensions: Dimensions,
    generation: Generation,
    header: WriteWords,
    taken: Mutex<BTreeSet<(Part, u16)>>,
}

/// What is handed out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Events,
    Audio,
    Row,
}

impl Uplink {
    /// Creates, maps (pages in place), fills and seals the segment. Not ready yet.
    ///
    /// # Errors
    /// `InvalidInput` for dimensions beyond their limits, else the system's.
    pub fn create(dimensions: Dimensions, generation: Generation) -> io::Result<Self> {
        if !dimensions.is_valid() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "dimensions out of range"));
        }
        let layout = UplinkLayout::of(dimensions);
        let file = segment::create("tipring-uplink", layout.size)?;
        let memory = Arc::new(Mapping::writable(&file, layout.size, true)?);
        segment::seal(&file, segment::fixed_size_read_only())?;
        let header = WriteWords::of(&memory, 0, PAGE_BYTES);
        header.store(uplink_header::MAGIC, UPLINK_MAGIC);
        header.store(uplink_header::VERSION, u64::from(LAYOUT_VERSION));
        header.store(uplink_header::GENERATION, generation.0);
        header.store(uplink_header::DIMENSIONS, dimensions.to_word());
        header.store(uplink_header::SIZE_BYTES, layout.size as u64);
        let taken = Mutex::new(BTreeSet::new());
        Ok(Self { file, memory, layout, dimensions, generation, header, taken })
    }

    /// For the handshake.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// How much of everything there is.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// Which start of the engine this is.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The last store of start-up: everything else is in place.
    pub fn set_ready(&self) {
        // Pairs with ReadyObserve in `EngineMap::attach`.
        self.header.store_release(uplink_header::READY, 1, Edge::ReadyPublish);
    }

    /// The supervisor's sign of life, about once a second.
    pub fn beat(&self, now: Nanos) {
        self.header.store(uplink_header::HEARTBEAT, now.0);
    }

    /// A loop's event ring, detached.
    ///
    /// # Panics
    /// There is no such loop, or its writer was handed out already.
    pub fn event_writer(&self, frame_loop: LoopId) -> EventWriter {
        self.take(Part::Events, self.loop_index(frame_loop) as u16);
        let slots = self.layout.events + self.loop_index(frame_loop) * EVENT_RING_BYTES;
        let block = self.loop_block(frame_loop);
        EventWriter::new(
            WriteWords::of(&self.memory, slots, EVENT_RING_BYTES),
            block.part(uplink_loop::EVENTS_WRITTEN, 1),
            block.part(uplink_loop::EVENTS_DROPPED, 1),
            self.ringer(),
        )
    }

    /// Both audio rings of a line.
    ///
    /// # Panics
    /// There is no such line, or its writer was handed out already.
    pub fn audio_writer(&self, line: LineId) -> AudioWriter {
        self.take(Part::Audio, line.0);
        let ring = |index: usize| {
            let start = self.layout.audio + index * AUDIO_RING_BYTES;
            let slots = AUDIO_RING_BYTES - CACHE_LINE_BYTES;
            (
                WriteWords::of(&self.memory, start, CACHE_LINE_BYTES),
                WriteWords::of(&self.memory, start + CACHE_LINE_BYTES, slots),
            )
        };
        let rx = self.line_index(line) * 2;
        AudioWriter::new(ring(rx), ring(rx + 1))
    }

    /// A line's row.
    ///
    /// # Panics
    /// There is no such line, or its writer was handed out already.
    pub fn line_writer(&self, line: LineId) -> LineWriter {
        self.take(Part::Row, line.0);
        let start = self.layout.rows + self.line_index(line) * ROW_BYTES;
        LineWriter::new(WriteWords::of(&self.memory, start, ROW_BYTES))
    }

    /// A loop's counters, as often as wanted.
    ///
    /// # Panics
    /// There is no such loop.
    pub fn counters(&self, frame_loop: LoopId) -> LoopCounters {
        LoopCounters::new(self.loop_block(frame_loop).part(uplink_loop::COUNTERS, COUNTER_WORDS))
    }

    /// The doorbell, as often as wanted.
    pub fn doorbell(&self) -> Doorbell {
        Doorbell(self.ringer())
    }

    /// Where the engine's read cursors are, for a downlink.
    pub(crate) fn read_cursors(&self) -> ReadCursors {
        ReadCursors { memory: Arc::clone(&self.memory), layout: self.layout }
    }

    fn ringer(&self) -> Ringer {
        Ringer::new(self.header.part(uplink_header::DOORBELL, 1))
    }

    fn loop_block(&self, frame_loop: LoopId) -> WriteWords {
        let start = self.layout.loops + self.loop_index(frame_loop) * UPLINK_LOOP_BYTES;
        WriteWords::of(&self.memory, start, UPLINK_LOOP_BYTES)
    }

    fn loop_index(&self, frame_loop: LoopId) -> usize {
        assert!(self.dimensions.has_loop(frame_loop), "the engine knows its loops");
        usize::from(frame_loop.0)
    }

    fn line_index(&self, line: LineId) -> usize {
        assert!(self.dimensions.has_line(line), "the engine knows its lines");
        usize::from(line.0)
    }

    fn take(&self, part: Part, index: u16) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(taken.insert((part, index)), "a ring has one writer: {part:?} {index}");
    }
}

/// The engine's read cursors of the rings that apid writes.
#[derive(Debug)]
pub(crate) struct ReadCursors {
    memory: Arc<Mapping>,
    layout: UplinkLayout,
}

impl ReadCursors {
    /// The word for a loop's command ring.
    pub(crate) fn commands(&self, frame_loop: usize) -> WriteWords {
        let block = self.layout.loops + frame_loop * UPLINK_LOOP_BYTES;
        WriteWords::of(&self.memory, block + uplink_loop::COMMANDS_READ * 8, 8)
    }

    /// The word for a line's play ring.
    pub(crate) fn plays(&self, line: usize, slot: usize) -> WriteWords {
        let start = self.layout.play_cursors + line * PLAY_CURSORS_BYTES;
        WriteWords::of(&self.memory, start + slot * 8, 8)
    }
}
