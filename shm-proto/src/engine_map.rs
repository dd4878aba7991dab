//! Apid's side of both segments.

use crate::audio::{AudioReader, Direction};
use crate::bounded_ring::{RingReader, RingWriter};
use crate::command_ring::CommandWriter;
use crate::counters::CounterValues;
use crate::doorbell::{Sleeper, Woken};
use crate::event_ring::EventReader;
use crate::layout::{
    AUDIO_RING_BYTES, Attachment, CACHE_LINE_BYTES, COMMAND_RING_BYTES, COUNTER_WORDS,
    DOWNLINK_LOOP_BYTES, DOWNLINK_MAGIC, Dimensions, DownlinkLayout, EVENT_RING_BYTES,
    LAYOUT_VERSION, PAGE_BYTES, PLAY_CURSORS_BYTES, PLAY_RING_BYTES, ROW_BYTES, UPLINK_LOOP_BYTES,
    UPLINK_MAGIC, UplinkLayout, downlink_header, downlink_loop, uplink_header, uplink_loop,
};
use crate::line_rows::LineReader;
use crate::line_table::{LineRow, PLAYBACK_SLOTS};
use crate::play_ring::PlayWriter;
use crate::segment::{self, Mapping};
use crate::sync::{Edge, ReadWords, WriteWords};
use crate::units::{Generation, LineId, LoopId, Nanos};
use nix::fcntl::SealFlag;
use nix::sys::stat::fstat;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Why apid is not attached.
#[derive(Debug)]
pub enum AttachError {
    /// The system refused: socket, descriptor or mapping.
    Io(std::io::Error),
    /// The engine refused: the reason is its own.
    Refused(crate::handshake::Refused),
    /// What answered at the socket is no engine of this kind.
    NotAnEngine,
    /// The engine was built for another layout version.
    Version(u32),
    /// The descriptors are not sealed as the contract says.
    NotSealed,
    /// Header, size and dimensions do not agree.
    Inconsistent,
    /// The engine is still starting.
    NotReady,
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the system refused: {error}"),
            Self::Refused(reason) => write!(f, "the engine refused: {reason}"),
            Self::NotAnEngine => write!(f, "what answered at the socket is no tipring-engine"),
            Self::Version(theirs) => {
                write!(f, "the engine speaks layout version {theirs}, this is {LAYOUT_VERSION}")
            }
            Self::NotSealed => write!(f, "the engine's descriptors are not sealed"),
            Self::Inconsistent => write!(f, "the engine's header contradicts itself"),
            Self::NotReady => write!(f, "the engine is still starting"),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

impl From<std::io::Error> for AttachError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<nix::Error> for AttachError {
    fn from(error: nix::Error) -> Self {
        Self::Io(error.into())
    }
}

/// Both segments of one attachment, mapped by apid: the uplink read-only.
///
/// Rings are handed out as values that keep the mapping alive; each ring that apid writes, and
/// each event ring, has one end here and is handed out once.
#[derive(Debug)]
pub struct EngineMap {
    uplink: Arc<Mapping>,
    downlink: Arc<Mapping>,
    up: UplinkLayout,
    down: DownlinkLayout,
    dimensions: Dimensions,
    generation: Generation,
    attachment: Attachment,
    header: ReadWords,
    sleeper: Sleeper,
    taken: Mutex<BTreeSet<(Part, u32)>>,
}

/// What is handed out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Events,
    Commands,
    Play,
}

impl EngineMap {
    /// Checks seals and sizes of what the handshake brought, maps both, checks the headers.
    ///
    /// # Errors
    /// Each check has its own; nothing stays mapped.
    pub fn attach(uplink: OwnedFd, downlink: OwnedFd) -> Result<Self, AttachError> {
        let (uplink, downlink) = (File::from(uplink), File::from(downlink));
        let uplink_size = sealed_size(&uplink, segment::fixed_size_read_only())?;
        let downlink_size = sealed_size(&downlink, segment::fixed_size())?;
        let uplink = Arc::new(Mapping::read_only(&uplink, uplink_size)?);
        let downlink = Arc::new(Mapping::writable(&downlink, downlink_size, false)?);

        let header = ReadWords::of(&uplink, 0, PAGE_BYTES);
        // Pairs with ReadyPublish in `Uplink::set_ready`.
        let ready = header.load_acquire(uplink_header::READY, Edge::ReadyObserve);
        if header.load(uplink_header::MAGIC) != UPLINK_MAGIC {
            return Err(AttachError::NotAnEngine);
        }
        let version = header.load(uplink_header::VERSION);
        if version != u64::from(LAYOUT_VERSION) {
            return Err(AttachError::Version(version as u32));
        }
        if ready != 1 {
            return Err(AttachError::NotReady);
        }
        let dimensions = Dimensions::from_word(header.load(uplink_header::DIMENSIONS))
            .ok_or(AttachError::Inconsistent)?;
        let (up, down) = (UplinkLayout::of(dimensions), DownlinkLayout::of(dimensions));
        let other = WriteWords::of(&downlink, 0, PAGE_BYTES);
        let attachment = other.load(downlink_header::ATTACHMENT);
        let consistent = up.size == uplink_size
            && header.load(uplink_header::SIZE_BYTES) == uplink_size as u64
            && down.size == downlink_size
            && other.load(downlink_header::SIZE_BYTES) == downlink_size as u64
            && other.load(downlink_header::MAGIC) == DOWNLINK_MAGIC
            && other.load(downlink_header::VERSION) == version
            && other.load(downlink_header::DIMENSIONS) == dimensions.to_word()
            && (1..=u64::from(u32::MAX)).contains(&attachment);
        if !consistent {
            return Err(AttachError::Inconsistent);
        }
        Ok(Self {
            generation: Generation(header.load(uplink_header::GENERATION)),
            attachment: Attachment(attachment as u32),
            sleeper: Sleeper::new(
                header.part(uplink_header::DOORBELL, 1),
                other.part(downlink_header::PARKED, 1),
            ),
            uplink,
            downlink,
            up,
            down,
            dimensions,
            header,
            taken: Mutex::new(BTreeSet::new()),
        })
    }

    /// Which start of the engine this is; goes into every request.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Which attachment this is.
    pub fn attachment(&self) -> Attachment {
        self.attachment
    }

    /// How much of everything there is.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The supervisor's last sign of life.
    pub fn heartbeat(&self) -> Nanos {
        Nanos(self.header.load(uplink_header::HEARTBEAT))
    }

    /// A loop's events.
    ///
    /// # Panics
    /// There is no such loop, or its reader was handed out already.
    pub fn event_reader(&self, frame_loop: LoopId) -> EventReader {
        let index = self.loop_index(frame_loop);
        self.take(Part::Events, index as u32);
        let start = self.up.events + index * EVENT_RING_BYTES;
        let slots = ReadWords::of(&self.uplink, start, EVENT_RING_BYTES);
        let block = self.uplink_block(frame_loop);
        let theirs = block.part(uplink_loop::EVENTS_WRITTEN, 1);
        let mine = self.downlink_block(frame_loop).part(downlink_loop::EVENTS_READ, 1);
        EventReader::new(
            RingReader::new(slots, theirs, mine, self.attachment),
            block.part(uplink_loop::EVENTS_DROPPED, 1),
        )
    }

    /// One of a line's audio rings, from now on; any number of readers.
    ///
    /// # Panics
    /// There is no such line.
    pub fn audio_reader(&self, line: LineId, direction: Direction) -> AudioReader {
        let ring = self.line_index(line) * 2 + usize::from(direction == Direction::Tx);
        let start = self.up.audio + ring * AUDIO_RING_BYTES;
        AudioReader::new((
            ReadWords::of(&self.uplink, start, CACHE_LINE_BYTES),
            ReadWords::of(
                &self.uplink,
                start + CACHE_LINE_BYTES,
                AUDIO_RING_BYTES - CACHE_LINE_BYTES,
            ),
        ))
    }

    /// A line's row, as often as wanted.
    ///
    /// # Panics
    /// There is no such line.
    pub fn line_reader(&self, line: LineId) -> LineReader {
        let start = self.up.rows + self.line_index(line) * ROW_BYTES;
        LineReader::new(ReadWords::of(&self.uplink, start, ROW_BYTES))
    }

    /// A line's row as it is now; `None` where there is no such line, or no row yet.
    pub fn line(&self, line: LineId) -> Option<LineRow> {
        self.dimensions.has_line(line).then(|| self.line_reader(line).read())?
    }

    /// A loop's counters as they are now.
    ///
    /// # Panics
    /// There is no such loop.
    pub fn counters(&self, frame_loop: LoopId) -> CounterValues {
        let block = self.uplink_block(frame_loop);
        CounterValues::read(&block.part(uplink_loop::COUNTERS, COUNTER_WORDS))
    }

    /// Commands to a loop.
    ///
    /// # Panics
    /// There is no such loop, or its writer was handed out already.
    pub fn command_writer(&self, frame_loop: LoopId) -> CommandWriter {
        let index = self.loop_index(frame_loop);
        self.take(Part::Commands, index as u32);
        let start = self.down.commands + index * COMMAND_RING_BYTES;
        let slots = WriteWords::of(&self.downlink, start, COMMAND_RING_BYTES);
        let mine = self.downlink_block(frame_loop).part(downlink_loop::COMMANDS_WRITTEN, 1);
        let mut ring = RingWriter::new(slots, mine);
        ring.attach(self.attachment);
        let peer = self.uplink_block(frame_loop).part(uplink_loop::COMMANDS_READ, 1);
        CommandWriter::new(ring, peer)
    }

    /// One of a line's play rings.
    ///
    /// # Panics
    /// There is no such line or slot, or its writer was handed out already.
    pub fn play_writer(&self, line: LineId, slot: u8) -> PlayWriter {
        let (line, slot) = (self.line_index(line), usize::from(slot));
        assert!(slot < PLAYBACK_SLOTS, "a line has so many play rings");
        let ring = line * PLAYBACK_SLOTS + slot;
        self.take(Part::Play, ring as u32);
        let start = self.down.plays + ring * PLAY_RING_BYTES;
        let slots = WriteWords::of(&self.downlink, start, PLAY_RING_BYTES);
        let cursor = line * PLAY_CURSORS_BYTES + slot * 8;
        let mine = WriteWords::of(&self.downlink, self.down.play_cursors + cursor, 8);
        let mut ring = RingWriter::new(slots, mine);
        ring.attach(self.attachment);
        PlayWriter::new(ring, ReadWords::of(&self.uplink, self.up.play_cursors + cursor, 8))
    }

    /// Waits until a loop has news, `timeout` at most. `has_work` is asked once, after it is
    /// certain that whatever it does not see will ring: it looks at the readers
    /// ([`EventReader::has_news`], [`AudioReader::has_news`]). Any number of threads may wait.
    pub fn wait(&self, timeout: Duration, has_work: impl FnOnce() -> bool) -> Woken {
        self.sleeper.wait(timeout, has_work)
    }

    fn uplink_block(&self, frame_loop: LoopId) -> ReadWords {
        let start = self.up.loops + self.loop_index(frame_loop) * UPLINK_LOOP_BYTES;
        ReadWords::of(&self.uplink, start, UPLINK_LOOP_BYTES)
    }

    fn downlink_block(&self, frame_loop: LoopId) -> WriteWords {
        let start = self.down.loops + self.loop_index(frame_loop) * DOWNLINK_LOOP_BYTES;
        WriteWords::of(&self.downlink, start, DOWNLINK_LOOP_BYTES)
    }

    fn loop_index(&self, frame_loop: LoopId) -> usize {
        assert!(self.dimensions.has_loop(frame_loop), "asked for within the dimensions");
        usize::from(frame_loop.0)
    }

    fn line_index(&self, line: LineId) -> usize {
        assert!(self.dimensions.has_line(line), "asked for within the dimensions");
        usize::from(line.0)
    }

    fn take(&self, part: Part, index: u32) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(taken.insert((part, index)), "a ring has one end here: {part:?} {index}");
    }
}

/// Size of a segment that is sealed and large enough for a header.
fn sealed_size(file: &File, seals: SealFlag) -> Result<usize, AttachError> {
    // A descriptor that cannot be sealed at all (EINVAL) is no memory file.
    if !segment::is_sealed(file, seals).unwrap_or(false) {
        return Err(AttachError::NotSealed);
    }
    let size = usize::try_from(fstat(file.as_fd())?.st_size).unwrap_or(0);
    if size < PAGE_BYTES || !size.is_multiple_of(PAGE_BYTES) {
        return Err(AttachError::Inconsistent);
    }
    Ok(size)
}
