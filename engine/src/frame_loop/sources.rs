//! Play rings, as a mixer draws from them.

use crate::frame::Linear;
use crate::mixer::{Pulled, Supply};
use tipring_shm_proto::line_table::PLAYBACK_SLOTS;
use tipring_shm_proto::units::PlaybackId;
use tipring_shm_proto::{PeerFault, PlayItem, PlayReader};

/// Items of ended playbacks that are skipped in one draw, at most: a whole ring.
const MAX_SKIPPED: usize = 128;

/// The play rings of one line; none while no apid is attached.
pub struct PlayRings<'a> {
    rings: Option<&'a mut [PlayReader; PLAYBACK_SLOTS]>,
    faulted: bool,
}

impl<'a> PlayRings<'a> {
    pub(super) fn new(rings: Option<&'a mut [PlayReader; PLAYBACK_SLOTS]>) -> Self {
        Self { rings, faulted: false }
    }

    /// Apid wrote a cursor that cannot be.
    pub(super) fn faulted(&self) -> bool {
        self.faulted
    }

    /// Throws away what waits in the ring of a slot.
    pub(super) fn flush(&mut self, slot: usize) {
        if let Some(ring) = self.rings.as_mut().and_then(|rings| rings.get_mut(slot)) {
            self.faulted |= ring.flush().is_err();
        }
    }
}

impl Supply for PlayRings<'_> {
    fn pull(&mut self, slot: usize, playback: PlaybackId, into: &mut Linear) -> Pulled {
        let Some(ring) = self.rings.as_mut().and_then(|rings| rings.get_mut(slot)) else {
            return Pulled::Empty;
        };
        for _ in 0..MAX_SKIPPED {
            match ring.take() {
                Ok(None) => return Pulled::Empty,
                Ok(Some(PlayItem::Audio { playback: of, len, samples })) if of == playback => {
                    *into = samples;
                    return Pulled::Audio(usize::from(len));
                }
                Ok(Some(PlayItem::Mark { playback: of, mark })) if of == playback => {
                    return Pulled::Mark(mark);
                }
                Ok(Some(PlayItem::End { playback: of })) if of == playback => return Pulled::End,
                Ok(Some(_)) | Err(PeerFault::Slot) => {}
                Err(PeerFault::Cursor) => {
                    self.faulted = true;
                    return Pulled::Empty;
                }
            }
        }
        Pulled::Empty
    }
}
