//! Rules of lines whose kernel judges the hook and rings by itself.

use super::{Action, Actions, HookTiming, Line, LineConfig};
use crate::signal::{Drive, Driven, Signal};
use tipring_shm_proto::command::{Cadence, CallerId, Command, LineKind, LineState, Refusal};
use tipring_shm_proto::event::{LineEvent, RingStop};
use tipring_shm_proto::units::{Nanos, Text32};

fn at(ms: u32) -> Nanos {
    Nanos(3_000_000_000).after_ms(ms)
}

/// A line whose card is there, its handset down.
fn line(pulse_dialling: bool) -> Line {
    let hook = HookTiming { pulse_dialling, ..HookTiming::of_country("de") };
    let config = LineConfig { hook, ..LineConfig::default() };
    let mut line = Line::new(LineKind::Dahdi, config, at(0));
    assert_eq!(line.state(), LineState::Offline);
    let mut actions = Actions::new();
    line.handle_signal(Signal::Back, at(0), &mut actions);
    line.handle_signal(Signal::OnHook, at(0), &mut actions);
    assert_eq!(line.state(), LineState::OnHook);
    line
}

fn told(line: &mut Line, signal: Signal, ms: u32) -> Vec<Action> {
    let mut actions = Actions::new();
    line.handle_signal(signal, at(ms), &mut actions);
    actions.to_vec()
}

#[test]
fn a_lamp_that_the_driver_does_not_have_is_refused() {
    let mut line = line(true);
    let mut actions = Actions::new();
    let lit = Drive::MessageWaiting(2);
    let answer = line.handle_driven(lit, Driven::Unsupported, at(100), &mut actions);
    assert_eq!(answer, Err(Refusal::Device));
}

#[test]
fn the_kernel_rings_the_whole_cadence_and_the_line_ends_it() {
    let mut line = line(true);
    let cadence = Cadence::new(&[400, 200, 400, 2000]).unwrap();
    let caller = CallerId { number: Text32::EMPTY, name: Text32::EMPTY };
    let ring = Command::Ring { cadence, timeout_ms: 5000, caller };
    let mut actions = Actions::new();
    line.handle_command(&ring, at(1000), &mut actions).unwrap();
    assert!(actions.contains(&Action::Drive(Drive::Ring(cadence))), "{actions:?}");
    // Just after a hang-up the kernel is busy for 800 ms.
    for tries in 0..45 {
        let now = at(1000 + tries * 20);
        actions.clear();
        let ring = Drive::Ring(cadence);
        assert_eq!(line.handle_driven(ring, Driven::Busy, now, &mut actions), Ok(()));
        line.handle_time(at(1001 + tries * 20), &mut actions);
        assert_eq!(actions.to_vec(), [Action::Drive(ring)]);
    }
    line.handle_driven(Drive::Ring(cadence), Driven::Done, at(2000), &mut actions).unwrap();
    for ms in (2000..7000).step_by(20) {
        actions.clear();
        line.handle_time(at(ms), &mut actions);
        assert!(actions.is_empty(), "{ms}: {actions:?}");
    }
    line.handle_time(at(7000), &mut actions);
    let stopped = Action::Event(LineEvent::RingStopped { cause: RingStop::Timeout });
    assert!(actions.contains(&Action::Drive(Drive::RingOff)) && actions.contains(&stopped));
}

#[test]
fn a_lifted_handset_is_answered_at_once() {
    let mut line = line(true);
    let cadence = Cadence::new(&[2000, 4000]).unwrap();
    let caller = CallerId { number: Text32::EMPTY, name: Text32::EMPTY };
    let ring = Command::Ring { cadence, timeout_ms: 5000, caller };
    let mut actions = Actions::new();
    line.handle_command(&ring, at(1000), &mut actions).unwrap();
    line.handle_driven(Drive::Ring(cadence), Driven::Done, at(1000), &mut actions).unwrap();
    let told = told(&mut line, Signal::OffHook, 1500);
    let orders: Vec<_> = told.iter().filter(|a| matches!(a, Action::Drive(_))).collect();
    assert_eq!(orders, [&Action::Drive(Drive::RingOff), &Action::Drive(Drive::OffHook)]);
}

#[test]
fn one_pulse_is_a_recall_where_nobody_dials_with_pulses() {
    let flash = Action::Event(LineEvent::Flash { duration_ms: 0 });
    for pulse_dialling in [false, true] {
        let mut line = line(pulse_dialling);
        told(&mut line, Signal::OffHook, 1000);
        told(&mut line, Signal::PulseBegin, 2000);
        let one = told(&mut line, Signal::PulseDigit(b'1'), 2300);
        assert_eq!(one.contains(&flash), !pulse_dialling, "{one:?}");
        let seven = told(&mut line, Signal::PulseDigit(b'7'), 4000);
        assert_eq!(seven.is_empty(), !pulse_dialling, "{seven:?}");
    }
}

#[test]
fn only_a_line_on_a_card_has_polarity_and_a_lamp() {
    for command in [Command::Polarity { reversed: true }, Command::MessageWaiting { messages: 2 }] {
        let mut actions = Actions::new();
        line(true).handle_command(&command, at(1000), &mut actions).unwrap();
        assert!(matches!(actions[..], [Action::Drive(_)]), "{actions:?}");
        let mut simulated = Line::new(LineKind::Sim, LineConfig::default(), at(0));
        let refused = simulated.handle_command(&command, at(1000), &mut Actions::new());
        assert_eq!(refused, Err(Refusal::Kind));
    }
}
