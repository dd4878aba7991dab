//! The segment of one attachment: created by the engine, written by apid, and only read here.

use crate::bounded_ring::RingReader;
use crate::command_ring::CommandReader;
use crate::doorbell::ParkFlag;
use crate::event_ring::EventCursor;
use crate::layout::{
    Attachment, COMMAND_RING_BYTES, DOWNLINK_LOOP_BYTES, DOWNLINK_MAGIC, Dimensions,
    DownlinkLayout, LAYOUT_VERSION, PLAY_CURSORS_BYTES, PLAY_RING_BYTES, downlink_header,
    downlink_loop,
};
use crate::line_table::PLAYBACK_SLOTS;
use crate::play_ring::PlayReader;
use crate::segment::{self, Mapping};
use crate::sync::ReadWords;
use crate::units::{LineId, LoopId};
use crate::uplink::{ReadCursors, Uplink};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The downlink of one attachment.
///
/// The supervisor hands its reading ends to the frame loops, one set an attachment, and takes the
/// former ones back to drop them. Everything here allocates or may wait: not for loops.
#[derive(Debug)]
pub struct Downlink {
    cursors: ReadCursors,
    dimensions: Dimensions,
    file: File,
    memory: Arc<Mapping>,
    layout: DownlinkLayout,
    attachment: Attachment,
}

impl Downlink {
    /// Creates, fills and seals the segment, and maps it read-only. `attachment` is a number not
    /// used before with this uplink, not 0.
    ///
    /// # Errors
    /// The system's.
    pub fn create(uplink: &Uplink, attachment: Attachment) -> io::Result<Self> {
        assert!(attachment.0 != 0, "0 is what nobody wrote yet");
        let dimensions = uplink.dimensions();
        let layout = DownlinkLayout::of(dimensions);
        let file = segment::create("tipring-downlink", layout.size)?;
        let mut header = [0; 5];
        header[downlink_header::MAGIC] = DOWNLINK_MAGIC;
        header[downlink_header::VERSION] = u64::from(LAYOUT_VERSION);
        header[downlink_header::ATTACHMENT] = u64::from(attachment.0);
        header[downlink_header::DIMENSIONS] = dimensions.to_word();
        header[downlink_header::SIZE_BYTES] = layout.size as u64;
        file.write_all_at(header.map(u64::to_le_bytes).as_flattened(), 0)?;
        segment::seal(&file, segment::fixed_size())?;
        let memory = Arc::new(Mapping::read_only(&file, layout.size)?);
        let cursors = uplink.read_cursors();
        Ok(Self { cursors, dimensions, file, memory, layout, attachment })
    }

    /// For the handshake.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Which attachment it is for.
    pub fn attachment(&self) -> Attachment {
        self.attachment
    }

    /// Reading end of a loop's command ring; one an attachment.
    ///
    /// # Panics
    /// There is no such loop.
    pub fn command_reader(&self, frame_loop: LoopId) -> CommandReader {
        let index = self.loop_index(frame_loop);
        let mine = self.cursors.commands(index);
        let start = self.layout.commands + index * COMMAND_RING_BYTES;
        let slots = ReadWords::of(&self.memory, start, COMMAND_RING_BYTES);
        let theirs = self.loop_block(frame_loop).part(downlink_loop::COMMANDS_WRITTEN, 1);
        CommandReader::new(RingReader::new(slots, theirs, mine, self.attachment))
    }

    /// Reading end of one of a line's play rings; one an attachment.
    ///
    /// # Panics
    /// There is no such line or slot.
    pub fn play_reader(&self, line: LineId, slot: u8) -> PlayReader {
        assert!(self.dimensions.has_line(line), "the engine knows its lines");
        let (line, slot) = (usize::from(line.0), usize::from(slot));
        assert!(slot < PLAYBACK_SLOTS, "a line has so many play rings");
        let mine = self.cursors.plays(line, slot);
        let start = self.layout.plays + (line * PLAYBACK_SLOTS + slot) * PLAY_RING_BYTES;
        let slots = ReadWords::of(&self.memory, start, PLAY_RING_BYTES);
        let cursor = self.layout.play_cursors + line * PLAY_CURSORS_BYTES + slot * 8;
        let theirs = ReadWords::of(&self.memory, cursor, 8);
        PlayReader::new(RingReader::new(slots, theirs, mine, self.attachment))
    }

    /// What a loop's event writer needs to speak to this attachment.
    ///
    /// # Panics
    /// There is no such loop.
    pub fn event_cursor(&self, frame_loop: LoopId) -> EventCursor {
        EventCursor {
            attachment: self.attachment,
            read: self.loop_block(frame_loop).part(downlink_loop::EVENTS_READ, 1),
            parked: ParkFlag::new(ReadWords::of(&self.memory, downlink_header::PARKED * 8, 8)),
        }
    }

    fn loop_block(&self, frame_loop: LoopId) -> ReadWords {
        let start = self.layout.loops + self.loop_index(frame_loop) * DOWNLINK_LOOP_BYTES;
        ReadWords::of(&self.memory, start, DOWNLINK_LOOP_BYTES)
    }

    fn loop_index(&self, frame_loop: LoopId) -> usize {
        assert!(self.dimensions.has_loop(frame_loop), "the engine knows its loops");
        usize::from(frame_loop.0)
    }
}
