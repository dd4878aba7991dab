//! What came for one tick, and whether that is all it needs.

use tipring_shm_proto::units::{FRAME_NS, FRAME_SAMPLES, Nanos};

/// A packet that came so shortly after the last tick may have its successor here already, which jitter
/// brought before its time, ns.
const TWO_ARE_HERE_NS: u64 = FRAME_NS / 4;

/// Audio that came since the tick began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Intake {
    samples: usize,
    /// When its first packet reached this machine.
    since: Nanos,
    /// Something else came too: of others, of a new source, out of order.
    disordered: bool,
}

impl Intake {
    /// A packet came that is not the next of the source that is heard.
    pub(super) const fn note_other(&mut self) {
        self.disordered = true;
    }

    /// Audio came that reached this machine at `at`.
    pub(super) const fn note_audio(&mut self, at: Nanos, samples: usize) {
        if self.samples == 0 {
            self.since = at;
        }
        self.samples += samples;
    }

    /// This tick's frame came since the `last` tick, next in order, and nothing else did: the packet
    /// behind it is due after this tick, and may wait for the next one where it is early. Whoever does
    /// not look for it saves a system call a tick, and never falls behind by more: one that waited came
    /// before the last tick.
    pub(super) fn is_enough(&self, last: Nanos, now: Nanos) -> bool {
        // One that the kernel put no time on seems to come now.
        let alone = self.since.0 > last.0 + TWO_ARE_HERE_NS && self.since < now;
        self.samples >= FRAME_SAMPLES && !self.disordered && alone
    }
}
