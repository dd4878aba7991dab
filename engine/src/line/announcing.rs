//! A telephone is told who calls: before it rings, or in the first pause that is long enough.
//!
//! What is said, and how long that takes, is the frame loop's: it tells when it is done.

use super::actions::{Action, Actions};
use super::state::State;
use super::{Line, ringing::Ringing};
use crate::signal::Drive;
use tipring_shm_proto::command::CallerId;
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::settings::CallerIdType;
use tipring_shm_proto::units::Nanos;

/// Least pause between two rings in which anything is said, ms: 550 of silence before it, 250
/// after it.
const LEAST_PAUSE_MS: u32 = 1000;
/// The longest announcement before a ring, ms; a telephone rings after that in any case.
const LONGEST_MS: u16 = 6000;

/// What is to be said to a telephone that rings, or will.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcing {
    caller: CallerId,
    stage: Stage,
    /// Tip and ring are exchanged meanwhile.
    reversed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is being said; then the bell rings.
    BeforeRing {
        since: Nanos,
    },
    /// It will be said in a pause.
    ForPause,
    Said,
}

impl Line {
    /// Begins to ring, or first to say who calls.
    pub(super) fn ring_for(
        &mut self,
        caller: &CallerId,
        ringing: Ringing,
        now: Nanos,
        actions: &mut Actions,
    ) {
        let kind = if self.on_a_loop() { self.caller_id } else { CallerIdType::Off };
        if caller.is_empty() || kind == CallerIdType::Off {
            self.start_ringing(ringing, now, actions);
            return;
        }
        let reversed = kind.reverses_line();
        if !kind.is_before_ring() {
            self.start_ringing(ringing, now, actions);
            let stage = Stage::ForPause;
            self.announcing = Some(Announcing { caller: *caller, stage, reversed });
            return;
        }
        actions.say(LineEvent::RingStarted);
        self.enter(State::Ringing(ringing), now, actions);
        let stage = Stage::BeforeRing { since: now };
        self.announcing = Some(Announcing { caller: *caller, stage, reversed });
        if reversed {
            self.orders.give(Drive::Polarity(true), actions);
        }
        self.orders.give(Drive::TransmitOnHook { ms: LONGEST_MS }, actions);
        actions.push(Action::Announce { caller: *caller, room_ms: None });
    }

    /// What an [`Action::Announce`], [`Action::AlertOfData`] or [`Action::TellCaller`] asked for has been
    /// said.
    pub fn handle_announced(&mut self, now: Nanos, actions: &mut Actions) {
        self.told(now);
        let State::Ringing(ringing) = &self.state else { return };
        let ring = self.first_ring(ringing);
        let Some(announcing) = &mut self.announcing else { return };
        let stage = std::mem::replace(&mut announcing.stage, Stage::Said);
        if matches!(stage, Stage::BeforeRing { .. }) {
            self.order(ring, actions);
        }
    }

    /// A pause of the bell has begun; it lasts so long.
    pub(super) fn announce_in_pause(&mut self, pause_ms: u32, actions: &mut Actions) {
        let Some(announcing) = &mut self.announcing else { return };
        if announcing.stage == Stage::ForPause && pause_ms >= LEAST_PAUSE_MS {
            announcing.stage = Stage::Said;
            let (caller, room_ms) = (announcing.caller, Some(pause_ms));
            actions.push(Action::Announce { caller, room_ms });
        }
    }

    /// Nobody said that it was said: the telephone rings all the same.
    pub(super) fn announce_on_time(&mut self, now: Nanos, actions: &mut Actions) {
        let stage = self.announcing.as_ref().map(|announcing| announcing.stage);
        if let Some(Stage::BeforeRing { since }) = stage
            && now >= since.after_ms(u32::from(LONGEST_MS))
        {
            self.handle_announced(now, actions);
        }
    }

    /// The telephone does not ring any more.
    pub(super) fn stop_announcing(&mut self, actions: &mut Actions) {
        let Some(announcing) = self.announcing.take() else { return };
        actions.push(Action::StopAnnouncement);
        if announcing.reversed {
            self.orders.give(Drive::Polarity(false), actions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LineConfig;
    use crate::signal::Driven;
    use tipring_shm_proto::command::{Cadence, Command, Hook, HookSource, LineKind};
    use tipring_shm_proto::settings::LineSettings;
    use tipring_shm_proto::units::Text32;

    fn at(ms: u32) -> Nanos {
        Nanos(1_000_000_000).after_ms(ms)
    }

    fn john() -> CallerId {
        CallerId { number: Text32::new("5551234"), name: Text32::new("JOHN") }
    }

    /// A line of this type, and everything it did, tick by tick, while it was rung; announcements
    /// take 700 ms.
    fn rung(kind: CallerIdType, cadence: &[u16], until_ms: u32) -> Vec<(u32, Action)> {
        let mut line = Line::new(LineKind::Sim, LineConfig::default(), at(0));
        let mut actions = Actions::new();
        let settings = LineSettings { caller_id: kind, ..LineSettings::of_country(*b"us") };
        line.handle_command(&Command::LineSettings(settings), at(0), &mut actions).unwrap();
        line.handle_signal(crate::signal::Signal::OnHook, at(0), &mut actions);
        let cadence = Cadence::new(cadence).unwrap();
        let ring = Command::Ring { cadence, timeout_ms: 60_000, caller: john() };
        actions.clear();
        line.handle_command(&ring, at(0), &mut actions).unwrap();
        let mut done = Vec::new();
        let mut said_at = None;
        for ms in (0..until_ms).step_by(20) {
            line.handle_time(at(ms), &mut actions);
            if said_at == Some(ms) {
                line.handle_announced(at(ms), &mut actions);
            }
            for action in std::mem::take(&mut actions).iter() {
                if let Action::Drive(order) = action {
                    let _ = line.handle_driven(*order, Driven::Done, at(ms), &mut actions);
                }
                if let Action::Announce { .. } = action {
                    said_at = Some(ms + 700);
                }
                if !matches!(action, Action::Event(_)) {
                    done.push((ms, *action));
                }
            }
        }
        line.handle_signal(crate::signal::Signal::OffHook, at(until_ms), &mut actions);
        assert!(actions.iter().any(|action| matches!(action, Action::StopAnnouncement)));
        done
    }

    fn times(done: &[(u32, Action)], which: impl Fn(&Action) -> bool) -> Vec<u32> {
        done.iter().filter(|(_, action)| which(action)).map(|(ms, _)| *ms).collect()
    }

    #[test]
    fn after_the_first_ring_it_is_said_once_in_the_pause() {
        let done = rung(CallerIdType::Bellcore, &[2000, 4000], 9000);
        let said =
            |room| move |a: &Action| *a == Action::Announce { caller: john(), room_ms: room };
        assert_eq!(times(&done, said(Some(4000))), [2000]);
        assert_eq!(times(&done, |a| matches!(a, Action::Announce { .. })), [2000]);
        // Of two rings, the pause between which is too short.
        let done = rung(CallerIdType::EtsiAfterRing, &[400, 200, 400, 2000], 4000);
        assert_eq!(times(&done, |a| matches!(a, Action::Announce { .. })), [1000]);
    }

    #[test]
    fn before_the_first_ring_the_bell_waits_and_the_line_is_reversed() {
        let ring = |a: &Action| *a == Action::Drive(Drive::RingOn);
        let reverse = |a: &Action| *a == Action::Drive(Drive::Polarity(true));
        let done = rung(CallerIdType::EtsiLineReversal, &[2000, 4000], 3000);
        assert_eq!((times(&done, ring), times(&done, reverse)), (vec![700], vec![0]));
        let done = rung(CallerIdType::Dtmf, &[2000, 4000], 3000);
        assert_eq!((times(&done, ring), times(&done, reverse)), (vec![700], vec![]));
        let done = rung(CallerIdType::Dtmf, &[2000, 4000], 3000);
        assert_eq!(times(&done, |a| matches!(a, Action::Announce { room_ms: None, .. })), [0]);
    }

    #[test]
    fn polarity_is_put_back_when_it_is_answered() {
        let mut line = Line::new(LineKind::Sim, LineConfig::default(), at(0));
        let mut actions = Actions::new();
        line.caller_id = CallerIdType::EtsiLineReversal;
        let cadence = Cadence::new(&[2000, 4000]).unwrap();
        let ring = Command::Ring { cadence, timeout_ms: 60_000, caller: john() };
        line.handle_command(&ring, at(0), &mut actions).unwrap();
        actions.clear();
        line.lifted(HookSource::Loop, at(100), &mut actions);
        let back = Action::Drive(Drive::Polarity(false));
        assert!(actions.contains(&back) && actions.contains(&Action::StopAnnouncement));
        assert_eq!(line.handset.hook.value, Hook::Off);
    }
}
