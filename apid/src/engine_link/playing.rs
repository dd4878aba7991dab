//! A play ring on loan.

use super::attachment::Attachment;
use std::sync::Arc;
use tipring_shm_proto::units::{LineId, MarkId, PlaybackId};
use tipring_shm_proto::{PlayWriter, SendError};

/// A play ring on loan; given back when dropped.
#[derive(Debug)]
pub struct PlayLease {
    attachment: Arc<Attachment>,
    line: LineId,
    slot: u8,
    writer: Option<PlayWriter>,
}

impl PlayLease {
    pub(super) fn take(attachment: Arc<Attachment>, line: LineId, slot: u8) -> Option<Self> {
        let writer = attachment.take_play_ring(line, slot)?;
        Some(Self { attachment, line, slot, writer: Some(writer) })
    }

    /// The slot of the line that it feeds.
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// Writes up to one frame; tells how many samples were taken, 0 where the ring is full.
    pub fn audio(&mut self, playback: PlaybackId, samples: &[i16]) -> usize {
        self.with(|writer| writer.audio(playback, samples)).unwrap_or(0)
    }

    /// Writes a mark; false where the ring is full.
    pub fn mark(&mut self, playback: PlaybackId, mark: MarkId) -> bool {
        self.with(|writer| writer.mark(playback, mark)).is_ok()
    }

    /// Writes the end; false where the ring is full.
    pub fn end(&mut self, playback: PlaybackId) -> bool {
        self.with(|writer| writer.end(playback)).is_ok()
    }

    /// Items that the engine has not taken yet.
    pub fn queued(&mut self) -> u32 {
        self.writer.as_mut().map_or(0, PlayWriter::queued)
    }

    fn with<R>(
        &mut self,
        write: impl FnOnce(&mut PlayWriter) -> Result<R, SendError>,
    ) -> Result<R, SendError> {
        match &mut self.writer {
            Some(writer) => write(writer),
            None => Err(SendError::Full),
        }
    }
}

impl Drop for PlayLease {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.attachment.give_back(self.line, self.slot, writer);
        }
    }
}
