//! One attachment: the map of both segments, what is handed out of it, what waits for answers.

use super::lock;
use std::collections::HashMap;
use std::sync::Mutex;
use tipring_shm_proto::command::Outcome;
use tipring_shm_proto::units::{CommandId, LineId, LoopId};
use tipring_shm_proto::{CommandWriter, EngineMap, PlayWriter};
use tokio::sync::oneshot;

#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) map: EngineMap,
    pub(super) pending: Mutex<Pending>,
    commands: Vec<Mutex<CommandWriter>>,
    /// Play rings that were taken and given back; those never taken are still in the map.
    plays: Mutex<HashMap<(LineId, u8), Option<PlayWriter>>>,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The attachment has ended: nobody will answer.
    pub(super) closed: bool,
    pub(super) answers: HashMap<CommandId, oneshot::Sender<Outcome>>,
}

impl Attachment {
    pub(super) fn new(map: EngineMap) -> Self {
        let loops = 0..map.dimensions().loops;
        let commands = loops.map(|index| Mutex::new(map.command_writer(LoopId(index)))).collect();
        Self { map, pending: Mutex::default(), commands, plays: Mutex::default() }
    }

    /// `None` where the row named a loop that is none.
    pub(super) fn command_writer<R>(
        &self,
        frame_loop: LoopId,
        with: impl FnOnce(&mut CommandWriter) -> R,
    ) -> Option<R> {
        let writer = self.commands.get(usize::from(frame_loop.0))?;
        Some(with(&mut lock(writer)))
    }

    /// Tells everybody who waits that no answer will come.
    pub(super) fn close(&self) {
        let mut pending = lock(&self.pending);
        pending.closed = true;
        pending.answers.clear();
    }

    pub(super) fn take_play_ring(&self, line: LineId, slot: u8) -> Option<PlayWriter> {
        let known = self.map.dimensions().has_line(line)
            && usize::from(slot) < tipring_shm_proto::line_table::PLAYBACK_SLOTS;
        if !known {
            return None;
        }
        lock(&self.plays)
            .entry((line, slot))
            .or_insert_with(|| Some(self.map.play_writer(line, slot)))
            .take()
    }

    pub(super) fn give_back(&self, line: LineId, slot: u8, writer: PlayWriter) {
        lock(&self.plays).insert((line, slot), Some(writer));
    }
}
