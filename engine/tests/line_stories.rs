//! What happens on a telephone line, told in virtual time: the line's rules and a simulated
//! telephone, joined as the frame loop joins them. Left is the millisecond; what the person or
//! apid does is in the script, what came of it in the transcript: `>` is an order to the card,
//! `~` what the ear hears, `=` the state; everything else is an event.

use tipring_engine::device::Device;
use tipring_engine::device::simulated::Simulated;
use tipring_engine::line::{Action, Actions, HookTiming, Line, LineConfig};
use tipring_shm_proto::command::{
    Cadence, CallerId, Command, Digits, Hook, HookSource, Law, LineKind, LineState, ProgressTone,
    Refusal, SimAction,
};
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::{LineId, LoopId, Nanos, Text32};

/// One step of a script.
#[derive(Clone, Copy)]
enum Do {
    Person(SimAction),
    Ask(Command),
    /// The card is too busy for so many orders.
    Busy(u32),
}
use Do::{Ask, Busy, Person};

const LIFT: Do = Person(SimAction::Hook { off: true, bounce_ms: 0 });
const PUT_DOWN: Do = Person(SimAction::Hook { off: false, bounce_ms: 0 });
const HANG_UP: Do = Ask(Command::HangUp);
const STOP_RING: Do = Ask(Command::StopRing);

fn lift_bouncing(bounce_ms: u16) -> Do {
    Person(SimAction::Hook { off: true, bounce_ms })
}

fn dial(digits: &str) -> Do {
    Person(SimAction::DialPulses { digits: Digits::new(digits).unwrap() })
}

fn flash(ms: u16) -> Do {
    Person(SimAction::Flash { ms })
}

fn ring(on_off: &[u16], timeout_ms: u32) -> Do {
    let nobody = CallerId { number: Text32::EMPTY, name: Text32::EMPTY };
    let cadence = Cadence::new(on_off).unwrap();
    Ask(Command::Ring { cadence, timeout_ms, caller: nobody })
}

fn tone(tone: ProgressTone) -> Do {
    Ask(Command::Tone(Some(tone)))
}

fn reported(hook: Hook) -> Do {
    Ask(Command::ReportHook { hook, source: HookSource::Signalling })
}

/// A line, its telephone, and what came of them.
struct Story {
    line: Line,
    phone: Simulated,
    told: Vec<String>,
    events: Vec<(u32, LineEvent)>,
}

impl Story {
    fn of(kind: LineKind, hook: HookTiming) -> Self {
        Self {
            line: Line::new(kind, LineConfig { hook, ..LineConfig::default() }, Nanos(0)),
            phone: Simulated::new(Law::Mu),
            told: Vec::new(),
            events: Vec::new(),
        }
    }

    /// An analog telephone, handset down, known to be down.
    fn simulated() -> Self {
        let mut story = Self::of(LineKind::Sim, HookTiming::default());
        story.play(-100, &[], -20);
        assert_eq!(story.told, ["-100 Voltage -48000 mV", "-80 hook On by Loop"]);
        story.told.clear();
        story
    }

    fn rtp() -> Self {
        Self::of(LineKind::Rtp, HookTiming::default())
    }

    /// Plays a script, ticking every 20 ms from one time to the other.
    fn play(&mut self, from: i32, script: &[(i32, Do)], until: i32) {
        let mut script = script.iter().peekable();
        let mut actions = Actions::new();
        for tick in (from..=until).step_by(20) {
            while let Some((at, step)) = script.next_if(|(at, _)| *at <= tick) {
                let result = match step {
                    Person(action) => self.phone.act(*action, instant(*at)),
                    Ask(command) => {
                        actions.clear();
                        let result = self.line.handle_command(command, instant(tick), &mut actions);
                        self.carry_out(tick, &mut actions).and(result)
                    }
                    Busy(orders) => {
                        self.phone.refuse_orders(*orders);
                        Ok(())
                    }
                };
                if let Err(refusal) = result {
                    self.told.push(format!("{tick} refused: {refusal:?}"));
                }
            }
            for _ in 0..8 {
                if self.line.kind() == LineKind::Rtp {
                    break;
                }
                let Some(signal) = self.phone.poll_signal(instant(tick)) else { break };
                actions.clear();
                self.line.handle_signal(signal, instant(tick), &mut actions);
                let _ = self.carry_out(tick, &mut actions);
            }
            actions.clear();
            self.line.handle_time(instant(tick), &mut actions);
            let _ = self.carry_out(tick, &mut actions);
        }
    }

    fn carry_out(&mut self, tick: i32, actions: &mut Actions) -> Result<(), Refusal> {
        let mut result = Ok(());
        let mut more = Actions::new();
        for action in actions.iter() {
            self.tell(tick, action);
            if let Action::Drive(order) = *action {
                let driven = self.phone.drive(instant(tick), order);
                more.clear();
                let driven = self.line.handle_driven(order, driven, instant(tick), &mut more);
                result = result.and(driven);
                more.iter().for_each(|action| self.tell(tick, action));
            }
        }
        assert_eq!(actions.overflows(), 0);
        result
    }

    fn tell(&mut self, tick: i32, action: &Action) {
        let what = match action {
            Action::Drive(order) => format!("> {order:?}"),
            Action::Tone(tone) => {
                format!("~ {}", tone.map_or("silence".to_string(), |tone| format!("{tone:?}")))
            }
            Action::Event(event) => {
                self.events.push((u32::try_from(tick).unwrap_or(0), *event));
                match event {
                    LineEvent::State { state, phase: None } => format!("= {state:?}"),
                    LineEvent::State { state, phase: Some(phase) } => {
                        format!("= {state:?} {phase:?}")
                    }
                    LineEvent::HookChanged { hook, source } => {
                        format!("hook {hook:?} by {source:?}")
                    }
                    LineEvent::Digit { digit, source, .. } => {
                        format!("digit {} {source:?}", char::from(*digit))
                    }
                    LineEvent::Flash { duration_ms } => format!("flash of {duration_ms} ms"),
                    LineEvent::RingStopped { cause } => format!("RingStopped {cause:?}"),
                    LineEvent::Voltage { millivolts } => format!("Voltage {millivolts} mV"),
                    event => format!("{event:?}"),
                }
            }
            action => format!("{action:?}"),
        };
        self.told.push(format!("{tick} {what}"));
    }

    /// The transcript since it was last asked for, without what only a change of use does.
    #[track_caller]
    fn tells(&mut self, transcript: &str) {
        let told = std::mem::take(&mut self.told);
        let told: Vec<_> = told.iter().filter(|line| !line.contains("StopPlaybacks")).collect();
        let lines: Vec<_> = transcript.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        assert_eq!(told, lines);
    }

    fn row(&self) -> LineRow {
        let mut row = LineRow::at_rest(Text32::EMPTY, LineKind::Dahdi, LoopId(0), Nanos(0));
        // So that a line which does not write its state is found out.
        row.state.value = LineState::Fault;
        self.line.fill_row(&mut row);
        row
    }
}

/// Scripts begin at 0; the engine has run for an hour.
fn instant(ms: i32) -> Nanos {
    Nanos(0).after_ms(3_600_000).after_ms(u32::try_from(1000 + ms).unwrap())
}

#[test]
fn a_person_lifts_dials_flashes_and_hangs_up() {
    let mut story = Story::simulated();
    let script = [
        (103, LIFT),
        (1000, dial("10")),
        (5000, flash(300)),
        (6000, flash(1001)),
        (9000, PUT_DOWN),
    ];
    story.play(0, &script[..3], 5900);
    story.tells(
        "160 > OffHook
         160 hook Off by Loop
         160 ~ Dial
         160 = OffHook DialTone
         1080 StopOnDigit
         1080 ~ silence
         1320 StopOnDigit
         1320 digit 1 Pulse
         1320 = OffHook Collecting
         1880 StopOnDigit
         3020 StopOnDigit
         3020 digit 0 Pulse
         5320 flash of 300 ms",
    );
    assert_eq!((story.row().last_digit, story.row().millivolts), (b'0', Some(-48_000)));
    // Since it was lifted, whatever phases it went through.
    assert_eq!((story.row().state.at, story.row().hook.at), (instant(160), instant(160)));
    story.play(5920, &script[3..], 11_000);
    story.tells(
        "7020 ~ silence
         7020 > OnHook
         7020 hook On by Loop
         7020 = OnHook
         7060 > OffHook
         7060 hook Off by Loop
         7060 ~ Dial
         7060 = OffHook DialTone
         10020 ~ silence
         10020 > OnHook
         10020 hook On by Loop
         10020 = OnHook",
    );
}

#[test]
fn ringing_is_answered() {
    let mut story = Story::simulated();
    story.play(0, &[(0, ring(&[2000, 4000], 60_000)), (6500, LIFT)], 9000);
    story.tells(
        "0 RingStarted
         0 = Ringing
         0 > RingOn
         2000 > RingOff
         6000 > RingOn
         6540 > RingOff
         6540 RingStopped Answered
         6540 > OffHook
         6540 hook Off by Loop
         6540 = OffHook Talking",
    );
    assert_eq!((story.phone.bursts(), story.phone.is_ringing()), (2, false));
}

#[test]
fn ringing_is_answered_in_its_pause() {
    let mut story = Story::simulated();
    story.play(0, &[(0, ring(&[400, 200, 400, 2000], 60_000)), (1500, LIFT)], 20_000);
    story.tells(
        "0 RingStarted
         0 = Ringing
         0 > RingOn
         400 > RingOff
         600 > RingOn
         1000 > RingOff
         1540 > RingOff
         1540 RingStopped Answered
         1540 > OffHook
         1540 hook Off by Loop
         1540 = OffHook Talking",
    );
}

#[test]
fn nobody_answers() {
    let mut story = Story::simulated();
    story.play(0, &[(0, ring(&[1000, 4000], 7000))], 20_000);
    story.tells(
        "0 RingStarted
         0 = Ringing
         0 > RingOn
         1000 > RingOff
         5000 > RingOn
         6000 > RingOff
         7000 > RingOff
         7000 RingStopped Timeout
         7000 = OnHook",
    );
}

#[test]
fn the_caller_gives_up() {
    let mut story = Story::simulated();
    let ring = ring(&[2000, 4000], 60_000);
    story.play(0, &[(0, ring), (100, Ask(Command::Tag(7))), (1000, ring), (1500, STOP_RING)], 1480);
    assert_eq!(story.row().tag, 7);
    story.play(1500, &[(1500, STOP_RING), (1600, STOP_RING)], 20_000);
    story.tells(
        "0 RingStarted
         0 = Ringing
         0 > RingOn
         1000 refused: State(Ringing)
         1500 > RingOff
         1500 RingStopped Stopped
         1500 = OnHook
         1600 refused: State(OnHook)",
    );
    assert_eq!(story.row().tag, 0);
}

#[test]
fn a_lifted_phone_is_not_rung() {
    let mut story = Story::simulated();
    story.play(0, &[(0, LIFT), (1000, ring(&[2000, 4000], 60_000))], 2000);
    assert_eq!(story.told.last().unwrap(), "1000 refused: State(OffHook)");
    assert_eq!(story.phone.bursts(), 0);
}

#[test]
fn the_bell_and_its_timeout_begin_together_when_the_card_is_busy() {
    let mut story = Story::simulated();
    story.play(0, &[(0, Busy(5)), (0, ring(&[300, 700], 1000))], 3000);
    story.tells(
        "0 RingStarted
         0 = Ringing
         0 > RingOn
         20 > RingOn
         40 > RingOn
         60 > RingOn
         80 > RingOn
         100 > RingOn
         400 > RingOff
         1100 > RingOff
         1100 RingStopped Timeout
         1100 = OnHook",
    );
}

#[test]
fn a_card_that_stays_busy_is_given_up() {
    let mut story = Story::simulated();
    story.play(0, &[(0, Busy(60)), (0, ring(&[2000, 4000], 60_000))], 3000);
    let told: Vec<_> = story.told.iter().filter(|line| !line.contains("RingOn")).collect();
    assert_eq!(
        told,
        [
            "0 RingStarted",
            "0 = Ringing",
            "1180 RingStopped Device",
            "1180 = OnHook",
            "1200 > RingOff"
        ]
    );
    assert_eq!(story.phone.bursts(), 0);
}

#[test]
fn a_contact_that_bounces_is_lifted_once() {
    for bounce_ms in [0, 1, 5, 14, 33, 50] {
        let mut story = Story::simulated();
        let down = Person(SimAction::Hook { off: false, bounce_ms });
        story.play(0, &[(0, lift_bouncing(bounce_ms)), (2000, down)], 6000);
        let hooks: Vec<_> = story.told.iter().filter(|line| line.contains("hook")).collect();
        assert_eq!(hooks.len(), 2, "{bounce_ms}: {hooks:?}");
        assert!(!story.told.iter().any(|line| line.contains("digit") || line.contains("flash")));
    }
    let mut story = Story::simulated();
    story.play(0, &[(0, lift_bouncing(5))], 100);
    assert_eq!(story.told[0], "60 > OffHook");
}

#[test]
fn a_bouncing_handset_trips_the_bell_once() {
    let mut story = Story::simulated();
    story.play(0, &[(0, ring(&[2000, 4000], 60_000)), (1000, lift_bouncing(5))], 8000);
    let rings: Vec<_> = story.told.iter().filter(|line| line.contains("Ring")).collect();
    assert_eq!(
        rings,
        [
            "0 RingStarted",
            "0 = Ringing",
            "0 > RingOn",
            "1060 > RingOff",
            "1060 RingStopped Answered"
        ]
    );
}

#[test]
fn a_timed_break_is_a_recall_where_nobody_dials_by_pulses() {
    let timing = HookTiming { pulse_dialling: false, ..HookTiming::default() };
    let mut story = Story::of(LineKind::Sim, timing);
    story.play(0, &[(100, LIFT), (1000, flash(90))], 2000);
    assert_eq!(story.told.last().unwrap(), "1120 flash of 90 ms");
    let mut story = Story::simulated();
    story.play(0, &[(100, LIFT), (1000, flash(90))], 2000);
    assert!(story.told.contains(&"1340 digit 1 Pulse".to_string()), "{:?}", story.told);
}

#[test]
fn a_forgotten_handset_is_howled_at() {
    let mut story = Story::simulated();
    story.play(0, &[(0, LIFT), (150_000, PUT_DOWN)], 160_000);
    story.tells(
        "40 > OffHook
         40 hook Off by Loop
         40 ~ Dial
         40 = OffHook DialTone
         16040 ~ Congestion
         16040 = OffHook Howler
         46040 ~ Howler
         106040 ~ silence
         151020 ~ silence
         151020 > OnHook
         151020 hook On by Loop
         151020 = OnHook",
    );
}

#[test]
fn whoever_begins_to_dial_and_stops_hears_congestion() {
    let mut story = Story::simulated();
    story.play(0, &[(0, LIFT), (1000, dial("5"))], 40_000);
    let congestion = story.told.iter().position(|line| line == "31720 ~ Congestion");
    assert_eq!(story.told[congestion.unwrap() + 1], "31720 = OffHook Howler");
}

#[test]
fn the_far_end_hangs_up() {
    let mut story = Story::simulated();
    story.play(0, &[(0, ring(&[2000, 4000], 60_000)), (1000, LIFT)], 1900);
    story.told.clear();
    story.play(2000, &[(2000, HANG_UP), (2200, HANG_UP), (40_000, PUT_DOWN)], 45_000);
    story.tells(
        "2000 ~ silence
         2000 > Battery(false)
         2000 = OffHook Howler
         2500 > Battery(true)
         2500 ~ Congestion
         32500 ~ Howler
         41020 ~ silence
         41020 > OnHook
         41020 hook On by Loop
         41020 = OnHook",
    );
    assert!(story.phone.is_fed());
}

#[test]
fn who_hangs_up_while_the_loop_is_interrupted_is_noticed() {
    let mut story = Story::simulated();
    story.play(0, &[(0, LIFT), (2000, HANG_UP), (2300, PUT_DOWN)], 6000);
    let hooks: Vec<_> = story.told.iter().filter(|line| line.contains("hook")).collect();
    assert_eq!(hooks, ["40 hook Off by Loop", "3620 hook On by Loop"]);
}

#[test]
fn a_line_taken_again_while_the_loop_is_interrupted_gets_its_current_back() {
    let mut story = Story::simulated();
    story.play(0, &[(0, LIFT), (2000, HANG_UP), (2200, tone(ProgressTone::Ringback))], 60_000);
    let after: Vec<_> = story.told.iter().skip_while(|l| !l.starts_with("2200")).collect();
    assert_eq!(after, ["2200 ~ Ringback", "2200 = OffHook Talking", "2500 > Battery(true)"]);
}

#[test]
fn a_recall_towards_the_phone_is_no_hook() {
    let mut story = Story::simulated();
    story.play(0, &[(0, LIFT), (1000, Ask(Command::Flash))], 5000);
    story.told.drain(..4);
    story.tells("1000 > Flash");
}

#[test]
fn voltage_and_temperature_are_news_when_they_move() {
    let mut story = Story::simulated();
    let volts = |millivolts| Person(SimAction::Voltage(millivolts));
    let tenths = |tenths| Person(SimAction::Temperature(tenths));
    let script = [
        (0, volts(-47_100)),
        (20, volts(-49_000)),
        (40, volts(-49_001)),
        (60, volts(-8000)),
        (80, tenths(312)),
        (100, tenths(322)),
        (120, tenths(323)),
    ];
    story.play(0, &script, 200);
    story.tells(
        "40 Voltage -49001 mV
         60 Voltage -8000 mV
         80 Temperature { tenths_celsius: 312 }
         120 Temperature { tenths_celsius: 323 }",
    );
    assert_eq!(story.row().tenths_celsius, Some(323));
}

#[test]
fn a_card_is_lost_in_a_ring_and_found_with_the_handset_lifted() {
    let mut story = Story::simulated();
    let fail = |lost| Person(SimAction::Fail(lost));
    let script =
        [(0, ring(&[2000, 4000], 60_000)), (1000, fail(true)), (1500, LIFT), (3000, fail(false))];
    story.play(0, &script, 4000);
    story.tells(
        "0 RingStarted
         0 = Ringing
         0 > RingOn
         1000 RingStopped Device
         1000 DeviceLost
         1000 hook Unknown by None
         1000 = Offline
         3000 DeviceBack
         3000 = OnHook
         3040 > OffHook
         3040 hook Off by Loop
         3040 ~ Dial
         3040 = OffHook DialTone",
    );
}

#[test]
fn an_alarm_puts_the_line_out_of_service_until_it_ends() {
    let mut story = Story::simulated();
    let alarm = |active| Person(SimAction::Alarm(active));
    let script = [(0, LIFT), (1000, alarm(true)), (1500, HANG_UP), (3000, alarm(false))];
    story.play(0, &script, 4000);
    story.told.drain(..4);
    story.tells(
        "1000 Alarm { active: true }
         1000 ~ silence
         1000 > OnHook
         1000 = Fault
         1500 refused: State(Fault)
         3000 Alarm { active: false }
         3000 = OnHook
         3000 > OffHook
         3000 ~ Dial
         3000 = OffHook DialTone",
    );
}

#[test]
fn a_bridge_ends_with_the_handset() {
    let mut story = Story::simulated();
    story.play(0, &[(0, LIFT)], 980);
    let bridge = Command::Bridge { peer: LineId(9) };
    let mut actions = Actions::new();
    assert_eq!(story.line.allows(&bridge), Ok(()));
    story.line.carried_out(&bridge, &mut actions);
    story.told.clear();
    story.carry_out(980, &mut actions).unwrap();
    assert_eq!(
        (story.row().peer, story.line.allows(&bridge)),
        (Some(LineId(9)), Err(Refusal::Bridged))
    );
    story.play(1000, &[(1000, Ask(Command::Hold(true))), (2000, PUT_DOWN)], 4000);
    story.tells(
        "980 ~ silence
         980 = OffHook Talking
         1000 ~ silence
         1000 = OffHook Held
         3020 ~ silence
         3020 EndBridge
         3020 BridgeEnded { peer: LineId(9) }
         3020 > OnHook
         3020 hook On by Loop
         3020 = OnHook",
    );
}

#[test]
fn a_flapping_hook_is_bounded() {
    let mut story = Story::simulated();
    let script: Vec<_> =
        (0..2500).map(|i| (i * 4, if i % 2 == 0 { LIFT } else { PUT_DOWN })).collect();
    story.play(0, &script, 10_000);
    assert!(story.told.is_empty(), "{:?}", story.told);
    let script: Vec<_> =
        (0..200).map(|i| (10_000 + i * 50, if i % 2 == 0 { LIFT } else { PUT_DOWN })).collect();
    story.play(10_000, &script, 20_000);
    let hooks = story.told.iter().filter(|line| line.contains("hook")).count();
    let orders = story.told.iter().filter(|line| line.contains('>')).count();
    assert!(hooks <= 1 && orders <= 1, "{hooks} {orders}");
}

#[test]
fn apid_may_change_a_line_so_many_times_a_second_and_no_more() {
    let mut story = Story::simulated();
    let script: Vec<_> = (0..500)
        .map(|i| (i * 20, if i % 2 == 0 { ring(&[1000, 4000], 5000) } else { STOP_RING }))
        .collect();
    story.play(0, &script, 10_000);
    assert!(story.phone.bursts() <= 8 + 80, "{}", story.phone.bursts());
    assert!(story.told.iter().any(|line| line.contains("refused: Limit")));
}

#[test]
fn a_sip_phone_answers_and_its_far_end_hangs_up() {
    let mut story = Story::rtp();
    let ring = ring(&[2000, 4000], 60_000);
    let script =
        [(0, ring), (100, reported(Hook::On)), (1000, reported(Hook::Off)), (5000, HANG_UP)];
    story.play(0, &script, 6000);
    story.tells(
        "0 RingStarted
         0 = Ringing
         100 hook On by Signalling
         1000 RingStopped Answered
         1000 hook Off by Signalling
         1000 = OffHook Talking
         5000 ~ silence
         5000 hook Unknown by FarEndHungUp
         5000 = OnHook",
    );
}

#[test]
fn a_sip_phone_calls_hangs_up_and_refuses() {
    let mut story = Story::rtp();
    let script = [
        (0, reported(Hook::Off)),
        (1000, reported(Hook::On)),
        (2000, ring(&[2000, 4000], 9000)),
        (3000, reported(Hook::Unknown)),
        (4000, ring(&[2000, 4000], 9000)),
        (20_000, Ask(Command::Flash)),
    ];
    story.play(0, &script, 21_000);
    story.tells(
        "0 hook Off by Signalling
         0 = OffHook Talking
         1000 ~ silence
         1000 hook On by Signalling
         1000 = OnHook
         2000 RingStarted
         2000 = Ringing
         3000 RingStopped Device
         3000 hook Unknown by Signalling
         3000 = OnHook
         4000 RingStarted
         4000 = Ringing
         13000 RingStopped Timeout
         13000 = OnHook
         20000 refused: State(OnHook)",
    );
}

#[test]
fn dial_tone_for_a_sip_phone_ends_without_a_howler() {
    let mut story = Story::rtp();
    story.play(0, &[(0, reported(Hook::Off)), (100, tone(ProgressTone::Dial))], 60_000);
    story.told.drain(..2);
    story.tells(
        "100 ~ Dial
         100 = OffHook DialTone
         16100 ~ Congestion
         16100 = OffHook Howler
         46100 ~ silence",
    );
}

#[test]
fn digits_are_sent_at_their_pace() {
    let mut story = Story::simulated();
    let digits = Digits::new("7#").unwrap();
    let send = Ask(Command::Dtmf { digits, on_ms: 100, off_ms: 50 });
    story.play(0, &[(0, send), (20, LIFT), (1000, send)], 3000);
    story
        .told
        .retain(|line| line.contains("Dtmf") || line.contains("Digit") || line.contains("ref"));
    story.tells(
        "0 refused: State(OnHook)
         1000 SendDigit { digit: 55, on_ms: 100, off_ms: 50 }
         1160 SendDigit { digit: 35, on_ms: 100, off_ms: 50 }
         1320 DtmfSent",
    );
}
