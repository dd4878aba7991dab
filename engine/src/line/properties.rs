//! What holds for a line whatever is done to it: any signals, any commands with any values, any
//! passing of time, a device that takes orders or not.

use super::state::Company;
use super::{Action, Actions, LARGEST_REACTION, Line, LineConfig};
use crate::signal::{Drive, Driven, Signal};
use proptest::prelude::*;
use tipring_shm_proto::command::{
    Cadence, CallerId, Command, Digits, HeardBy, Hook, HookSource, Law, LineKind, LineState,
    PlayPath, PlaySource, ProgressTone, RtpMedia, StopOn,
};
use tipring_shm_proto::event::{DigitSource, LineEvent};
use tipring_shm_proto::units::{
    ConferenceId, Endpoint, LineId, Nanos, PlaybackId, TenthDb, TenthDbm0, Text32,
};

#[derive(Clone, Debug)]
enum Input {
    Signal(Signal),
    Command(Command),
    Voice(bool),
    Tick { ms: u16 },
}

/// An input, and what the device makes of the orders it leads to.
type Step = (Input, u8);

fn signal() -> impl Strategy<Value = Signal> {
    let level = TenthDbm0(-100);
    prop_oneof![
        8 => any::<bool>().prop_map(|closed| Signal::Loop { closed, at: Nanos(u64::MAX) }),
        2 => Just(Signal::OffHook),
        2 => Just(Signal::OnHook),
        1 => Just(Signal::Flash),
        1 => any::<u8>().prop_map(Signal::PulseDigit),
        1 => Just(Signal::DigitBegin { digit: b'5', source: DigitSource::Dtmf }),
        1 => any::<u8>().prop_map(move |digit| Signal::Digit {
            digit, duration_ms: 80, level, source: DigitSource::Dtmf, twist: TenthDb(-20)
        }),
        1 => Just(Signal::RtpSilent { silent_ms: 5000 }),
        1 => Just(Signal::RtpHeard { remote: Endpoint { ip: [0; 16], port: 1 } }),
        1 => any::<Option<i32>>().prop_map(Signal::Voltage),
        1 => any::<i16>().prop_map(Signal::Temperature),
        1 => any::<bool>().prop_map(Signal::Alarm),
        1 => Just(Signal::Lost),
        2 => Just(Signal::Back),
    ]
}

fn media() -> impl Strategy<Value = RtpMedia> {
    proptest::option::of(90_u8..).prop_map(|telephone_event| RtpMedia {
        remote: None,
        law: Law::Mu,
        telephone_event,
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    })
}

fn tone() -> impl Strategy<Value = Option<ProgressTone>> {
    use ProgressTone::{Busy, Dial, Howler};
    prop_oneof![Just(None), Just(Some(Dial)), Just(Some(Busy)), Just(Some(Howler))]
}

fn cadence() -> impl Strategy<Value = Cadence> {
    prop_oneof![
        3 => Just(Cadence::new(&[400, 200, 400, 2000]).unwrap()),
        2 => Just(Cadence::new(&[100, 100]).unwrap()),
        1 => (any::<u8>(), any::<[u16; 16]>()).prop_map(|(len, ms)| Cadence { len, ms }),
    ]
}

fn hook() -> impl Strategy<Value = Hook> {
    prop_oneof![Just(Hook::On), Just(Hook::Off), Just(Hook::Unknown)]
}

fn command() -> impl Strategy<Value = Command> {
    let caller = CallerId { number: Text32::EMPTY, name: Text32::EMPTY };
    let digits = Digits::new("1234567890ABCD*#").unwrap();
    prop_oneof![
        6 => (cadence(), prop_oneof![Just(30_000_u32), any::<u32>()])
            .prop_map(move |(cadence, timeout_ms)| Command::Ring { cadence, timeout_ms, caller }),
        2 => Just(Command::StopRing),
        4 => hook().prop_map(|hook| Command::ReportHook { hook, source: HookSource::Signalling }),
        2 => Just(Command::HangUp),
        2 => tone().prop_map(Command::Tone),
        1 => Just(Command::CallWaiting {
            caller: CallerId { number: Text32::new("1"), ..caller },
        }),
        2 => (30_u16..150, 30_u16..150)
            .prop_map(move |(on_ms, off_ms)| Command::Dtmf { digits, on_ms, off_ms }),
        1 => Just(Command::Flash),
        1 => any::<bool>().prop_map(Command::Hold),
        2 => Just(Command::Bridge { peer: LineId(3) }),
        1 => Just(Command::Confer {
            conference: ConferenceId(1),
            heard_by: HeardBy::Everybody,
        }),
        1 => Just(Command::Unbridge),
        2 => any::<bool>().prop_map(Command::Echo),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(spoken, heard)| Command::Mute { spoken, heard }),
        1 => any::<bool>().prop_map(Command::KeepDigits),
        1 => any::<u64>().prop_map(Command::Tag),
        1 => any::<u8>().prop_map(|slot| Command::StartPlayback {
            slot: slot % 8,
            playback: PlaybackId(u64::from(slot)),
            path: PlayPath::Line,
            source: PlaySource::Ring,
            gain: TenthDb(0),
            stop_on: StopOn::default(),
        }),
        1 => media().prop_map(|media| Command::OpenRtp { media, local_ip: [0; 16] }),
        1 => media().prop_map(|media| Command::UpdateRtp { media }),
        1 => Just(Command::CloseRtp),
        1 => Just(Command::Reset),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => signal().prop_map(Input::Signal),
        6 => command().prop_map(Input::Command),
        1 => any::<bool>().prop_map(Input::Voice),
        6 => (0_u16..50).prop_map(|ms| Input::Tick { ms }),
        2 => (0_u16..40_000).prop_map(|ms| Input::Tick { ms }),
    ]
}

/// What was last told and ordered, as its receivers know it.
struct Witness {
    kind: LineKind,
    hook: Hook,
    rings: bool,
    state: (LineState, Option<tipring_shm_proto::command::Phase>),
    battery: bool,
    tone: Option<ProgressTone>,
    echo: bool,
    company: Option<Company>,
}

impl Witness {
    fn see(&mut self, action: &Action) {
        match *action {
            Action::Event(LineEvent::HookChanged { hook, .. }) => {
                assert_ne!(hook, self.hook, "a hook that did not change");
                self.hook = hook;
            }
            Action::Event(LineEvent::RingStarted) => {
                assert!(!self.rings, "rings already");
                self.rings = true;
            }
            Action::Event(LineEvent::RingStopped { .. }) => {
                assert!(self.rings, "does not ring");
                self.rings = false;
            }
            Action::Event(LineEvent::State { state, phase }) => {
                assert_ne!((state, phase), self.state, "a state that did not change");
                self.state = (state, phase);
            }
            Action::Event(LineEvent::DeviceLost) => self.battery = true,
            Action::Drive(order) => self.see_order(order),
            Action::Tone(tone) => self.tone = tone,
            Action::Echo(on) => self.echo = on,
            Action::EndBridge => {
                assert!(self.company.take().is_some(), "nothing to end");
            }
            _ => {}
        }
    }

    fn see_order(&mut self, order: Drive) {
        assert_ne!(self.state.0, LineState::Offline, "{order:?} to a lost device");
        if self.kind == LineKind::Rtp {
            assert!(matches!(order, Drive::Digit { .. } | Drive::Flash), "{order:?}");
        }
        match order {
            Drive::RingOn | Drive::Ring(_) => assert!(self.rings, "rings after its end"),
            Drive::Battery(fed) => self.battery = fed,
            _ => {}
        }
    }

    /// State comes after the events that say why.
    fn see_order_of_events(actions: &Actions) {
        let state = |action: &Action| matches!(action, Action::Event(LineEvent::State { .. }));
        let cause = |action: &Action| {
            use LineEvent::{Alarm, DeviceBack, DeviceLost, HookChanged, RingStarted, RingStopped};
            let Action::Event(event) = action else { return false };
            matches!(
                event,
                HookChanged { .. }
                    | RingStarted
                    | RingStopped { .. }
                    | Alarm { .. }
                    | DeviceLost
                    | DeviceBack
            )
        };
        if let Some(last) = actions.iter().rposition(state) {
            assert!(!actions[last..].iter().any(cause), "{:?}", &actions[..]);
        }
    }

    fn agree(&self, line: &Line) {
        let state = (line.state(), line.phase());
        assert_eq!(state, self.state);
        assert_eq!(self.rings, state.0 == LineState::Ringing);
        assert_eq!(line.handset.hook.value, self.hook);
        if state.0 != LineState::OffHook {
            assert!(self.battery, "left without current");
            assert!(self.tone.is_none() && !self.echo && self.company.is_none(), "still in use");
        }
    }
}

fn survive(kind: LineKind, steps: &[Step]) {
    let mut now = Nanos(1_000_000_000);
    let mut line = Line::new(kind, LineConfig::default(), now);
    let mut witness = Witness {
        kind,
        hook: Hook::Unknown,
        rings: false,
        state: (line.state(), None),
        battery: true,
        tone: None,
        echo: false,
        company: None,
    };
    let mut actions = Actions::new();
    let mut more = Actions::new();
    for (input, device) in steps {
        actions.clear();
        match input {
            Input::Signal(Signal::Loop { closed, .. }) => {
                now = now.after_ms(u32::from(*device) % 7);
                line.handle_signal(Signal::Loop { closed: *closed, at: now }, now, &mut actions);
            }
            Input::Signal(signal) => line.handle_signal(*signal, now, &mut actions),
            Input::Command(command) => {
                let before = line.clone();
                if line.handle_command(command, now, &mut actions).is_ok() {
                    line.carried_out(command, &mut actions);
                    match *command {
                        Command::Bridge { peer } => witness.company = Some(Company::Line(peer)),
                        Command::Confer { conference, .. } => {
                            witness.company = Some(Company::Conference(conference));
                        }
                        _ => {}
                    }
                } else {
                    assert!(actions.is_empty(), "refused, and yet {:?}", &actions[..]);
                    witness.agree(&before);
                }
            }
            Input::Voice(active) => {
                let (level, noise) = (TenthDbm0(-200), TenthDbm0(-500));
                let ended = (!active).then_some(now);
                let voice = Signal::Voice { active: *active, level, noise, began: now, ended };
                line.handle_signal(voice, now, &mut actions);
            }
            Input::Tick { ms } => {
                now = now.after_ms(u32::from(*ms));
                line.handle_time(now, &mut actions);
            }
        }
        Witness::see_order_of_events(&actions);
        if !matches!(input, Input::Tick { .. } | Input::Signal(Signal::Loop { .. })) {
            assert!(actions.len() <= LARGEST_REACTION, "{:?}", &actions[..]);
        }
        for action in actions.iter() {
            witness.see(action);
            if let Action::Drive(order) = *action {
                let driven = match device % 8 {
                    0..=4 => Driven::Done,
                    5 | 6 => Driven::Busy,
                    _ => Driven::Unsupported,
                };
                more.clear();
                let _ = line.handle_driven(order, driven, now, &mut more);
                for action in more.iter() {
                    assert!(!matches!(action, Action::Drive(_)));
                    witness.see(action);
                }
            }
        }
        assert_eq!(actions.overflows() + more.overflows(), 0);
        witness.agree(&line);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_analog_line_keeps_its_promises(
        steps in proptest::collection::vec((input(), any::<u8>()), 1..200)
    ) {
        survive(LineKind::Sim, &steps);
    }

    #[test]
    fn a_line_on_a_card_keeps_its_promises(
        steps in proptest::collection::vec((input(), any::<u8>()), 1..200)
    ) {
        survive(LineKind::Dahdi, &steps);
    }

    #[test]
    fn an_rtp_line_keeps_its_promises(
        steps in proptest::collection::vec((input(), any::<u8>()), 1..200)
    ) {
        survive(LineKind::Rtp, &steps);
    }
}
