//! What paces a loop: a timer, or the clock of a card.
//!
//! # Real-time contract
//! The loop's thread waits here and nowhere else. Nothing here allocates, except what makes a
//! pacer.

use super::slot::Slot;
use super::{PHASES, Schedule};
use crate::device::dahdi::ioctl;
use crate::realtime;
use tipring_shm_proto::units::{FRAME_MS, FRAME_NS, Nanos};

/// A card that has no block for this long has stalled, ms.
pub(super) const STALL_MS: u32 = 2 * FRAME_MS;
/// A loop that finds a block each time it comes has more to do than it can, and does not sleep. At
/// least this often it does nevertheless, so that the machine is not taken along, ms.
const REST_EVERY_MS: u32 = 500;
/// For so long, ms.
const REST_MS: u32 = 1;
/// A wait that took longer has slept, ns: to look whether there is a block takes less.
const SLEPT_NS: u64 = 200_000;
/// Wake-ups for events in one frame, after which a card is taken for one that raves: it is then
/// listened to once a millisecond.
const MANY_WAKE_UPS: u32 = 64;
const CALM_MS: u32 = 1;
/// A card's clock may differ from ours by this much: in one frame, 100 ppm.
const DRIFT_NS: u64 = FRAME_NS / 10_000;

/// Of a loop, for life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// [`PHASES`] phases of a 20 ms period.
    Timer,
    /// The blocks of a card, all lines in one phase.
    Card,
}

impl Pacing {
    /// Phases of a period.
    pub const fn phases(self) -> usize {
        match self {
            Self::Timer => PHASES,
            Self::Card => 1,
        }
    }

    /// From one phase to the next, ns.
    pub const fn phase_ns(self) -> u64 {
        FRAME_NS / self.phases() as u64
    }
}

/// Why the loop woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// A phase is due.
    Tick(Woken),
    /// A card has something to tell, which does not wait for the next frame.
    Events,
}

/// How a phase began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Woken {
    pub(super) at: Nanos,
    /// After its time.
    pub(super) late_ns: u64,
    /// Phases that were left out, since too many were behind.
    pub(super) missed: u64,
    /// What happened to the card's clock.
    pub(super) clock: Clock,
}

/// Whether a card's clock runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// There is none, or nothing to say about it.
    Quiet,
    /// A block came.
    Ran,
    /// No block came for two frames.
    Stalled,
}

/// See the module.
#[derive(Debug)]
pub(super) enum Pacer {
    Timer(Timer),
    Card(Card),
}

impl Pacer {
    /// For so many lines. Allocates.
    pub(super) fn new(pacing: Pacing, lines: usize) -> Self {
        match pacing {
            Pacing::Timer => Self::Timer(Timer { due: Nanos(0) }),
            Pacing::Card => Self::Card(Card::new(lines)),
        }
    }

    /// The first phase of a timer.
    pub(super) fn begin(&mut self, at: Nanos) {
        if let Self::Timer(timer) = self {
            timer.due = at;
        }
    }

    /// Waits for the next thing to do.
    pub(super) fn wait(&mut self, slots: &[Slot]) -> Wake {
        match self {
            Self::Timer(timer) => Wake::Tick(timer.wait()),
            Self::Card(card) => card.wait(slots),
        }
    }

    /// Changes of the pacing channel since the last time.
    pub(super) fn take_changes(&mut self) -> u64 {
        match self {
            Self::Timer(_) => 0,
            Self::Card(card) => std::mem::take(&mut card.changes),
        }
    }
}

/// An absolute timer.
#[derive(Debug)]
pub(super) struct Timer {
    due: Nanos,
}

impl Timer {
    fn wait(&mut self) -> Woken {
        realtime::sleep_until(self.due);
        let at = realtime::now();
        let late_ns = at.0.saturating_sub(self.due.0);
        let mut missed = 0;
        if late_ns > Schedule::HOPELESS_NS {
            missed = late_ns / Schedule::PHASE_NS;
            self.due = Nanos(self.due.0 + missed * Schedule::PHASE_NS);
        }
        self.due = Nanos(self.due.0 + Schedule::PHASE_NS);
        Woken { at, late_ns, missed, clock: Clock::Quiet }
    }
}

/// The blocks of one channel, and the events of all.
#[derive(Debug)]
pub(super) struct Card {
    entries: Vec<libc::pollfd>,
    pacer: Option<usize>,
    changes: u64,
    /// When a wait without a block ends.
    patience: Nanos,
    /// Times the loop woke for events since the last block.
    woken: u32,
    /// It slept last.
    slept_at: Nanos,
    schedule: CardSchedule,
}

impl Card {
    fn new(lines: usize) -> Self {
        Self {
            entries: vec![libc::pollfd { fd: -1, events: 0, revents: 0 }; lines],
            pacer: None,
            changes: 0,
            patience: Nanos(0),
            woken: 0,
            slept_at: Nanos(0),
            schedule: CardSchedule::default(),
        }
    }

    fn wait(&mut self, slots: &[Slot]) -> Wake {
        self.choose(slots);
        let now = realtime::now();
        if self.woken > MANY_WAKE_UPS {
            realtime::sleep_until(now.after_ms(CALM_MS));
        }
        if self.patience <= now {
            let patience = if self.pacer.is_some() { STALL_MS } else { FRAME_MS };
            self.patience = now.after_ms(patience);
        }
        // Rounded up: to wait for nothing would be to spin.
        let left = (self.patience.ms_since(now) + 1) as u16;
        ioctl::wait(&mut self.entries, left);
        let mut at = realtime::now();
        if needs_rest(self.slept_at, now, at) {
            realtime::sleep_until(at.after_ms(REST_MS));
            at = realtime::now();
            self.slept_at = at;
        } else if has_slept(now, at) {
            self.slept_at = at;
        }
        let ran = self.pacer.is_some_and(|pacer| self.entries[pacer].revents & libc::POLLIN != 0);
        if ran {
            (self.patience, self.woken) = (Nanos(0), 0);
            let late_ns = self.schedule.note(at);
            return Wake::Tick(Woken { at, late_ns, missed: 0, clock: Clock::Ran });
        }
        if at < self.patience {
            self.woken += 1;
            return Wake::Events;
        }
        (self.patience, self.woken) = (Nanos(0), 0);
        self.schedule.reset();
        let stalled = self.pacer.is_some();
        if stalled {
            self.next(slots);
        }
        let clock = if stalled { Clock::Stalled } else { Clock::Quiet };
        Wake::Tick(Woken { at, late_ns: 0, missed: 0, clock })
    }

    /// The pacer stays as long as it is there and begins its blocks with the others; then the
    /// first that does takes over, or else the first that is there.
    fn choose(&mut self, slots: &[Slot]) {
        for (entry, slot) in self.entries.iter_mut().zip(slots) {
            entry.fd = slot.descriptor().unwrap_or(-1);
            (entry.events, entry.revents) = (libc::POLLPRI, 0);
        }
        let is_there = |index: &usize| self.entries[*index].fd >= 0;
        let is_aligned = |index: &usize| slots[*index].is_aligned();
        let keeps = self.pacer.filter(is_there);
        let all = 0..self.entries.len();
        let pacer = keeps
            .filter(is_aligned)
            .or_else(|| all.clone().find(is_aligned))
            .or(keeps)
            .or_else(|| all.clone().find(is_there));
        self.take(pacer);
        if let Some(pacer) = pacer {
            self.entries[pacer].events |= libc::POLLIN;
        }
    }

    /// The pacer has stalled: another one may not have.
    fn next(&mut self, slots: &[Slot]) {
        let Some(pacer) = self.pacer else { return };
        let count = self.entries.len();
        let others = (1..count).map(|step| (pacer + step) % count);
        let next = others.into_iter().find(|&index| slots[index].is_aligned());
        self.take(next.or(Some(pacer)));
    }

    fn take(&mut self, pacer: Option<usize>) {
        if pacer != self.pacer {
            self.changes += u64::from(self.pacer.is_some() && pacer.is_some());
            self.pacer = pacer;
            self.schedule.reset();
        }
    }
}

/// The thread slept between these two.
fn has_slept(from: Nanos, until: Nanos) -> bool {
    until.0.saturating_sub(from.0) > SLEPT_NS
}

/// It did not, and has not for long.
fn needs_rest(slept_at: Nanos, from: Nanos, until: Nanos) -> bool {
    !has_slept(from, until) && until.ms_since(slept_at) >= REST_EVERY_MS
}

/// When a card's blocks are complete, seen from wake-ups that are late by various amounts: the
/// earliest of them, moved on by whole frames.
#[derive(Clone, Copy, Debug, Default)]
struct CardSchedule {
    due: Option<Nanos>,
}

impl CardSchedule {
    /// A block was found at `at`; how late that was.
    fn note(&mut self, at: Nanos) -> u64 {
        let due = self.due.map_or(at, |due| at.min(due));
        let late_ns = at.0 - due.0;
        self.due = Some(Nanos(due.0 + FRAME_NS + DRIFT_NS));
        late_ns
    }

    fn reset(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_against_the_earliest_wake_up() {
        let mut schedule = CardSchedule::default();
        let frame = |n: u64| n * FRAME_NS;
        let late: Vec<u64> = [0, 3_000_000, 0, 500_000, 9_000_000, 0]
            .iter()
            .enumerate()
            .map(|(n, late)| schedule.note(Nanos(1_000_000_000 + frame(n as u64) + late)))
            .collect();
        let near = |a: u64, b: u64| a.abs_diff(b) < 20_000;
        for (seen, truth) in late.iter().zip([0, 3_000_000, 0, 500_000, 9_000_000, 0]) {
            assert!(near(*seen, truth), "{late:?}");
        }
    }

    #[test]
    fn a_loop_with_too_much_to_do_rests_nevertheless() {
        let at = |ms: u32| Nanos(1_000_000_000).after_ms(ms);
        let just_after = |ms| Nanos(at(ms).0 + 50_000);
        assert!(!needs_rest(at(0), at(499), just_after(499)));
        assert!(needs_rest(at(0), at(500), just_after(500)));
        // One that waits for its card sleeps there.
        assert!(!needs_rest(at(0), at(500), at(501)) && has_slept(at(500), at(501)));
    }

    #[test]
    fn a_fast_or_slow_card_is_followed() {
        for ppm in [-100_i64, 100] {
            let mut schedule = CardSchedule::default();
            let step = (FRAME_NS as i64 + FRAME_NS as i64 * ppm / 1_000_000) as u64;
            let worst = (0..10_000).map(|n| schedule.note(Nanos(1 + n * step))).max();
            assert!(worst < Some(FRAME_NS / 1000), "{worst:?} ns");
        }
    }

    #[test]
    fn a_late_thread_that_catches_up_is_late_until_it_has() {
        let mut schedule = CardSchedule::default();
        schedule.note(Nanos(1_000_000_000));
        let woken = 1_000_000_000 + 5 * FRAME_NS;
        // Four blocks wait; they are read one after the other.
        let late: Vec<u64> =
            (0..5).map(|n| schedule.note(Nanos(woken + n * 100_000)) / 1_000_000).collect();
        assert_eq!(late, [79, 60, 40, 20, 0]);
    }
}
