//! Notices a loop that needs more than 80 % of its time, and when it has time again.

use super::pace::Pacing;
use tipring_shm_proto::units::FRAME_NS;

/// Periods that are judged together: one second.
const WINDOW: u32 = 50;
/// Share of the window that is too much, and the share at which shedding ends, per cent.
const HIGH_PERCENT: u64 = 80;
const LOW_PERCENT: u64 = 60;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Phases in the window.
    window: u32,
    busy_ns: u64,
    phases: u32,
    overloaded: bool,
}

impl Load {
    pub(super) fn new(pacing: Pacing) -> Self {
        let window = WINDOW * pacing.phases() as u32;
        Self { window, busy_ns: 0, phases: 0, overloaded: false }
    }

    /// One tick took `busy_ns`; tells when the judgement changes.
    pub(super) fn note(&mut self, busy_ns: u64) -> Option<bool> {
        self.busy_ns += busy_ns;
        self.phases += 1;
        if self.phases < self.window {
            return None;
        }
        let percent = self.busy_ns * 100 / (u64::from(WINDOW) * FRAME_NS);
        (self.busy_ns, self.phases) = (0, 0);
        let overloaded =
            if self.overloaded { percent > LOW_PERCENT } else { percent > HIGH_PERCENT };
        let changed = overloaded != self.overloaded;
        self.overloaded = overloaded;
        changed.then_some(overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(load: &mut Load, percent: u64) -> Option<bool> {
        let phase_ns = Pacing::Timer.phase_ns();
        (0..load.window).filter_map(|_| load.note(phase_ns * percent / 100)).last()
    }

    #[test]
    fn a_busy_second_sheds_and_a_calm_one_restores() {
        let mut load = Load::new(Pacing::Timer);
        assert_eq!(second(&mut load, 79), None);
        assert_eq!(second(&mut load, 85), Some(true));
        assert_eq!(second(&mut load, 70), None);
        assert_eq!(second(&mut load, 50), Some(false));
    }
}
