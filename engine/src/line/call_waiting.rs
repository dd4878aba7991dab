//! A telephone that talks is told who else calls (CIDCW: GR-30 and GR-575; EN 300 659-2).
//!
//! After the call-waiting tone the line says that data may follow (CAS), and the telephone, if it
//! understands that, asks for it by a digit D or A, which is nobody else's. Meanwhile it hears nobody and
//! nobody hears it: from 0.4 s for a telephone that does not ask, to 1.5 s for one that is told a number
//! and a name.

use super::Line;
use super::actions::{Action, Actions};
use tipring_shm_proto::command::{CallerId, ProgressTone};
use tipring_shm_proto::units::Nanos;

/// From the end of CAS until the digit has begun and was recognised, ms: it may begin 160 ms after it.
const ASKS_WITHIN_MS: u32 = 500;
/// The longest that the digit lasts, ms: usual is 55 to 65.
const DIGIT_MS: u32 = 500;
/// What a telephone asks by.
const DIGITS: [u8; 2] = *b"DA";

/// What is to be said of a call that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    caller: CallerId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The tone and CAS sound.
    Alerts,
    /// The telephone may ask.
    Listens {
        until: Nanos,
    },
    /// It asks.
    Asked {
        until: Nanos,
    },
    Tells,
}

impl Line {
    /// The tone that somebody else calls, and who that is, where the telephone may be told.
    pub(super) fn call_waits(&mut self, caller: &CallerId, actions: &mut Actions) {
        self.tell_no_more(actions);
        actions.push(Action::Tone(Some(ProgressTone::CallWaiting)));
        if caller.is_empty() || !self.on_a_loop() || !self.caller_id.has_data() {
            return;
        }
        self.telling = Some(Telling { caller: *caller, stage: Stage::Alerts });
        actions.push(Action::AlertOfData);
    }

    /// It hears nothing but that, and is heard by nobody.
    pub fn is_told(&self) -> bool {
        self.telling.is_some()
    }

    /// What was to be said has been said.
    pub(super) fn told(&mut self, now: Nanos) {
        self.telling = self.telling.and_then(|telling| match telling.stage {
            Stage::Alerts => {
                let until = now.after_ms(ASKS_WITHIN_MS);
                Some(Telling { stage: Stage::Listens { until }, ..telling })
            }
            Stage::Listens { .. } | Stage::Asked { .. } => Some(telling),
            Stage::Tells => None,
        });
    }

    /// The telephone has begun a digit; `true`: by that it asks who calls.
    pub(super) fn asks(&mut self, digit: u8, now: Nanos) -> bool {
        let Some(telling) = &mut self.telling else { return false };
        let asks = matches!(telling.stage, Stage::Listens { .. }) && DIGITS.contains(&digit);
        if asks {
            telling.stage = Stage::Asked { until: now.after_ms(DIGIT_MS) };
        }
        asks
    }

    /// A digit is over; `true`: by that the telephone has asked, and is told.
    pub(super) fn has_asked(&mut self, digit: u8, actions: &mut Actions) -> bool {
        let Some(telling) = &mut self.telling else { return false };
        let asked = matches!(telling.stage, Stage::Asked { .. }) && DIGITS.contains(&digit);
        if asked {
            telling.stage = Stage::Tells;
            actions.push(Action::TellCaller(telling.caller));
        }
        asked
    }

    /// It did not ask: one that does not understand CAS.
    pub(super) fn tell_on_time(&mut self, now: Nanos) {
        if let Some(Telling { stage: Stage::Listens { until } | Stage::Asked { until }, .. }) =
            &self.telling
            && now >= *until
        {
            self.telling = None;
        }
    }

    /// Something else has begun.
    pub(super) fn tell_no_more(&mut self, actions: &mut Actions) {
        if self.telling.take().is_some() {
            actions.push(Action::StopAnnouncement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LineConfig;
    use crate::signal::Signal;
    use tipring_shm_proto::command::{Command, LineKind};
    use tipring_shm_proto::event::{DigitSource, LineEvent};
    use tipring_shm_proto::settings::{CallerIdType, LineSettings};
    use tipring_shm_proto::units::{TenthDb, TenthDbm0, Text32};

    fn at(ms: u32) -> Nanos {
        Nanos(1_000_000_000).after_ms(ms)
    }

    fn john() -> CallerId {
        CallerId { number: Text32::new("5551234"), name: Text32::new("JOHN") }
    }

    fn digit(digit: u8) -> Signal {
        let (level, twist) = (TenthDbm0(-100), TenthDb(0));
        Signal::Digit { digit, duration_ms: 60, level, source: DigitSource::Dtmf, twist }
    }

    /// A lifted telephone for which a call waits, and what that led to.
    fn waited_for(kind: CallerIdType) -> (Line, Actions) {
        let mut line = Line::new(LineKind::Sim, LineConfig::default(), at(0));
        let mut actions = Actions::new();
        let settings = LineSettings { caller_id: kind, ..LineSettings::of_country(*b"us") };
        line.handle_command(&Command::LineSettings(settings), at(0), &mut actions).unwrap();
        line.handle_signal(Signal::OffHook, at(0), &mut actions);
        actions.clear();
        let waits = Command::CallWaiting { caller: john() };
        line.handle_command(&waits, at(0), &mut actions).unwrap();
        (line, actions)
    }

    fn says_digit(actions: &Actions) -> bool {
        actions.iter().any(|action| matches!(action, Action::Event(LineEvent::Digit { .. })))
    }

    #[test]
    fn one_that_asks_is_told_and_its_digit_is_nobodys() {
        for asks_by in DIGITS {
            let (mut line, mut actions) = waited_for(CallerIdType::Bellcore);
            assert!(actions.contains(&Action::Tone(Some(ProgressTone::CallWaiting))));
            assert!(actions.contains(&Action::AlertOfData));
            assert!(line.is_told() && line.muted().spoken && !line.muted().heard);
            actions.clear();
            line.handle_announced(at(400), &mut actions);
            let source = DigitSource::Dtmf;
            line.handle_signal(
                Signal::DigitBegin { digit: asks_by, source },
                at(600),
                &mut actions,
            );
            line.handle_signal(digit(asks_by), at(640), &mut actions);
            assert_eq!(actions[..], [Action::TellCaller(john())]);
            line.handle_announced(at(1500), &mut actions);
            assert!(!line.is_told() && !line.muted().spoken);
            // From now on it is a digit like any other.
            line.handle_signal(digit(asks_by), at(1600), &mut actions);
            assert!(says_digit(&actions));
        }
    }

    #[test]
    fn one_that_does_not_ask_talks_on() {
        let (mut line, mut actions) = waited_for(CallerIdType::EtsiAfterRing);
        line.handle_announced(at(400), &mut actions);
        actions.clear();
        // Another digit is one.
        line.handle_signal(digit(b'5'), at(600), &mut actions);
        assert!(says_digit(&actions) && line.is_told());
        line.handle_time(at(880), &mut actions);
        assert!(line.is_told());
        line.handle_time(at(900), &mut actions);
        assert!(!line.is_told());
    }

    #[test]
    fn whoever_has_no_data_hears_the_tone_alone() {
        for kind in [CallerIdType::Off, CallerIdType::Dtmf] {
            let (line, actions) = waited_for(kind);
            assert!(actions.contains(&Action::Tone(Some(ProgressTone::CallWaiting))));
            assert!(!actions.contains(&Action::AlertOfData) && !line.is_told(), "{kind:?}");
        }
    }

    #[test]
    fn a_flash_another_tone_and_the_cradle_end_it() {
        let ends = |end: &dyn Fn(&mut Line, &mut Actions)| {
            let (mut line, mut actions) = waited_for(CallerIdType::Bellcore);
            actions.clear();
            end(&mut line, &mut actions);
            assert!(actions.contains(&Action::StopAnnouncement) && !line.is_told());
        };
        ends(&|line, actions| line.handle_signal(Signal::Flash, at(100), actions));
        ends(&|line, actions| {
            line.handle_command(&Command::Tone(None), at(100), actions).unwrap();
        });
        ends(&|line, actions| {
            line.handle_signal(Signal::OnHook, at(100), actions);
            line.handle_time(at(2000), actions);
        });
    }
}
