//! Stories of calls, in virtual time and without an engine.

mod adoption;
mod application;
mod beside;
mod claim;
mod conference;
mod consult;
mod diversion;
mod group;
mod kept;
mod lifted;
mod take;
mod transfer;
mod trunk;

use super::*;
use crate::view::{CallState, CallerIdView, LegState};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use tipring_shm_proto::command::{Law, LineState, Phase, ProgressTone};
use tipring_shm_proto::event::{DigitSource, LineEvent, RingStop};
use tipring_shm_proto::units::{TenthDb, TenthDbm0};

/// A switch, what it asked for, and what it told.
struct Story {
    switch: Switch,
    now: u64,
    orders: Vec<Order>,
    news: Vec<News>,
}

impl Story {
    fn new() -> Self {
        let mut plan = DialPlan::default();
        plan.add("600", Target::Echo);
        plan.add("100", Target::DialTone);
        let config = SwitchConfig {
            plan,
            inter_digit_ms: 4000,
            ring_timeout_ms: 60_000,
            cadence_ms: vec![2000, 4000],
            media_timeout_ms: 10_000,
            max_calls: 3,
            ..SwitchConfig::default()
        };
        let mut switch = Switch::new(config, CallNumber(1));
        for (line, number, sip) in [
            ("1", "101", false),
            ("2", "102", false),
            ("phone1", "201", true),
            ("phone2", "202", true),
        ] {
            let caller = CallerIdView { number: number.to_owned(), name: line.to_owned() };
            switch.add_line(line, sip, caller);
            switch.add_number(number, line);
        }
        let mut story = Self { switch, now: 0, orders: Vec::new(), news: Vec::new() };
        for line in ["1", "2", "phone1", "phone2"] {
            story.state(line, LineState::OnHook, None);
        }
        story.input(Input::Reachable { line: "phone1".to_owned(), reachable: true });
        story
    }

    fn moment(&self) -> Moment {
        Moment { ms: self.now, wall: SystemTime::UNIX_EPOCH + Duration::from_millis(self.now) }
    }

    /// Carries out what is asked as an obedient engine would.
    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Tell(news) => self.news.push(news),
                Action::Do { call, order } => {
                    self.orders.push(order.clone());
                    match order {
                        Order::Established => self.input(Input::Established { call }),
                        Order::Release => self.input(Input::Released { call }),
                        Order::Ring { line, .. } => self.state(&line, LineState::Ringing, None),
                        Order::Lift { line, .. } => self.answered(&line),
                        Order::StopRing { line, .. } | Order::Refused { line } => {
                            self.state(&line, LineState::OnHook, None);
                        }
                        Order::Drop { line, .. } | Order::Gone { line }
                            if line.starts_with('p') =>
                        {
                            self.state(&line, LineState::OnHook, None);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn input(&mut self, input: Input) {
        let actions = self.switch.handle(input, self.moment());
        self.take(actions);
    }

    fn event(&mut self, line: &str, event: LineEvent) {
        self.input(Input::Line { line: line.to_owned(), event });
    }

    fn state(&mut self, line: &str, state: LineState, phase: Option<Phase>) {
        self.event(line, LineEvent::State { state, phase });
    }

    fn lift(&mut self, line: &str) {
        self.state(line, LineState::OffHook, Some(Phase::DialTone));
    }

    fn answered(&mut self, line: &str) {
        self.event(line, LineEvent::RingStopped { cause: RingStop::Answered });
        self.state(line, LineState::OffHook, Some(Phase::Talking));
    }

    fn down(&mut self, line: &str) {
        self.state(line, LineState::OnHook, None);
    }

    fn dial(&mut self, line: &str, digits: &str) {
        for digit in digits.bytes() {
            self.now += 300;
            let (source, level) = (DigitSource::Pulse, TenthDbm0::SILENCE);
            self.event(
                line,
                LineEvent::Digit { digit, duration_ms: 0, level, source, twist: TenthDb(0) },
            );
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        let actions = self.switch.handle_time(self.moment());
        self.take(actions);
    }

    fn invite(&mut self, line: &str, to: &str) {
        let input = Input::Invited {
            line: line.to_owned(),
            to: to.to_owned(),
            caller: None,
            media: media(),
        };
        self.input(input);
    }

    fn phone_hangs_up(&mut self, line: &str) {
        self.input(Input::HungUp { line: line.to_owned(), cause: Cause::NormalClearing });
    }

    fn drain(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    fn only_call(&self) -> &CallRecord {
        let mut calls = self.switch.calls();
        let call = calls.next().expect("a call");
        assert!(calls.next().is_none(), "one call");
        call
    }

    fn cause(&self) -> Option<Cause> {
        self.only_call().cause
    }
}

fn media() -> RemoteMedia {
    RemoteMedia {
        remote: Some(SocketAddr::from(([127, 0, 0, 1], 4000))),
        laws: vec![Law::Mu],
        telephone_event: Some(101),
        wants_audio: true,
        sends_audio: true,
        rtcp_mux: false,
        srtp: None,
    }
}

fn tone(line: &str, tone: ProgressTone) -> Order {
    Order::Tone { line: line.to_owned(), tone: Some(tone) }
}

fn bridge(line: &str, peer: &str) -> Order {
    Order::Bridge { line: line.to_owned(), peer: peer.to_owned() }
}

fn rings(orders: &[Order], who: &str) -> bool {
    orders.iter().any(|order| matches!(order, Order::Ring { line, .. } if line == who))
}

fn dropped(orders: &[Order], who: &str) -> Option<Cause> {
    orders.iter().find_map(|order| match order {
        Order::Drop { line, cause } if line == who => Some(*cause),
        _ => None,
    })
}

#[test]
fn a_lifted_phone_that_dials_nothing_is_no_call() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "10");
    assert_eq!(story.switch.calls().count(), 0);
    story.down("1");
    assert!(story.orders.is_empty() && story.news.is_empty());
}

#[test]
fn dialled_digits_ring_a_line_and_an_answer_joins_them() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "102");
    let orders = story.drain();
    assert!(rings(&orders, "2") && orders.contains(&tone("1", ProgressTone::Ringback)));
    assert_eq!(story.only_call().view().state, CallState::Ringing);
    story.answered("2");
    assert!(story.drain().contains(&bridge("1", "2")));
    let call = story.only_call().view();
    assert_eq!(
        (call.state, call.from.as_str(), call.to.as_str()),
        (CallState::Connected, "line:1", "line:2")
    );
    story.now += 5000;
    story.down("2");
    assert_eq!(dropped(&story.drain(), "1"), Some(Cause::NormalClearing));
    assert_eq!(story.cause(), Some(Cause::NormalClearing));
    assert!(story.switch.call_of("1").is_none() && story.switch.call_of("2").is_none());
    assert!(matches!(
        story.news.as_slice(),
        [News::Started(_), News::Ringing(_), News::Connected(_), News::Ended(_)]
    ));
}

#[test]
fn the_caller_may_hang_up_first_or_before_an_answer() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "102");
    story.down("1");
    let stop = Order::StopRing { line: "2".to_owned(), cause: Cause::NormalClearing };
    assert!(story.drain().contains(&stop));
    assert!(story.only_call().is_over());
    assert!(story.switch.call_of("2").is_none());
}

#[test]
fn a_busy_line_gives_busy_tone_and_stays_with_its_call() {
    let mut story = Story::new();
    story.lift("2");
    story.lift("1");
    story.dial("1", "102");
    let orders = story.drain();
    assert!(orders.contains(&tone("1", ProgressTone::Busy)) && !rings(&orders, "2"));
    assert_eq!(dropped(&orders, "1"), None, "the caller hears why");
    assert_eq!(story.cause(), Some(Cause::UserBusy));
    story.dial("2", "102");
    assert!(story.drain().contains(&tone("2", ProgressTone::Busy)), "nobody rings himself");
}

#[test]
fn a_line_that_is_not_to_be_disturbed_is_busy() {
    let mut story = Story::new();
    assert_eq!(story.switch.set_do_not_disturb("2", true), Some(true));
    assert_eq!(story.switch.set_do_not_disturb("2", true), Some(false));
    assert_eq!(story.switch.set_do_not_disturb("9", true), None);
    story.invite("phone1", "102");
    let orders = story.drain();
    assert!(!rings(&orders, "2"), "{orders:?}");
    assert_eq!(dropped(&orders, "phone1"), Some(Cause::UserBusy));
    // It may call itself.
    story.lift("2");
    story.dial("2", "600");
    assert!(story.drain().contains(&Order::Echo { line: "2".to_owned() }));
}

#[test]
fn numbers_that_nobody_has_are_refused_at_once_or_when_no_digit_comes() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "9");
    assert!(story.drain().contains(&tone("1", ProgressTone::SpecialInformation)));
    assert_eq!(story.cause(), Some(Cause::UnallocatedNumber));
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "10");
    story.pass(3999);
    assert_eq!(story.switch.calls().count(), 0);
    story.pass(1);
    assert_eq!(story.cause(), Some(Cause::UnallocatedNumber));
    assert!(story.drain().contains(&tone("1", ProgressTone::SpecialInformation)));
}

#[test]
fn a_phone_that_is_not_registered_cannot_be_rung() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "202");
    assert_eq!(story.cause(), Some(Cause::SubscriberAbsent));
    assert!(story.drain().contains(&tone("1", ProgressTone::Congestion)));
}

#[test]
fn the_bell_gives_up() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "102");
    story.drain();
    story.event("2", LineEvent::RingStopped { cause: RingStop::Timeout });
    story.down("2");
    assert_eq!(story.cause(), Some(Cause::NoAnswer));
    assert!(story.drain().contains(&tone("1", ProgressTone::Congestion)));
}

#[test]
fn a_sip_phone_hears_its_ringing_from_its_own_and_is_accepted_with_the_answer() {
    let mut story = Story::new();
    story.invite("phone1", "101");
    let orders = story.drain();
    assert!(matches!(orders[0], Order::Take { .. }));
    assert!(orders.contains(&Order::Alert { line: "phone1".to_owned() }) && rings(&orders, "1"));
    let caller = orders.iter().find_map(|order| match order {
        Order::Ring { caller, .. } => Some(caller.number.clone()),
        _ => None,
    });
    assert_eq!(caller.as_deref(), Some("201"));
    story.answered("1");
    let orders = story.drain();
    assert_eq!(orders[0], Order::Accept { line: "phone1".to_owned() });
    assert_eq!(orders[1], bridge("phone1", "1"));
    story.phone_hangs_up("phone1");
    let orders = story.drain();
    assert!(orders.contains(&Order::Gone { line: "phone1".to_owned() }));
    assert_eq!(dropped(&orders, "1"), Some(Cause::NormalClearing));
}

#[test]
fn a_sip_phone_is_refused_with_the_cause() {
    for (to, cause) in [
        ("999", Cause::UnallocatedNumber),
        ("202", Cause::SubscriberAbsent),
        ("201", Cause::UserBusy),
    ] {
        let mut story = Story::new();
        story.invite("phone1", to);
        assert_eq!(dropped(&story.drain(), "phone1"), Some(cause), "{to}");
    }
}

#[test]
fn a_sip_phone_that_takes_its_call_back_stops_the_bell() {
    let mut story = Story::new();
    story.invite("phone1", "101");
    story.drain();
    story.phone_hangs_up("phone1");
    assert!(matches!(
        story.drain().as_slice(),
        [Order::Gone { .. }, Order::StopRing { .. }, Order::Release]
    ));
}

#[test]
fn a_line_calls_a_sip_phone() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "201");
    assert!(rings(&story.drain(), "phone1"));
    story.input(Input::Alerting { line: "phone1".to_owned() });
    assert!(matches!(story.news.last(), Some(News::Ringing(_))));
    story.input(Input::Lifted { line: "phone1".to_owned(), media: media() });
    let orders = story.drain();
    assert!(matches!(orders[0], Order::Lift { .. }));
    assert!(orders.contains(&bridge("1", "phone1")));
    story.down("1");
    assert_eq!(dropped(&story.drain(), "phone1"), Some(Cause::NormalClearing));
}

#[test]
fn a_sip_phone_that_refuses_gives_the_caller_busy() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "201");
    story.drain();
    let cause = Cause::of_sip_status(486);
    story.input(Input::Refused { line: "phone1".to_owned(), cause });
    let orders = story.drain();
    assert!(orders.contains(&Order::Refused { line: "phone1".to_owned() }));
    assert!(orders.contains(&tone("1", ProgressTone::Busy)));
    assert!(story.switch.call_of("phone1").is_none());
}

#[test]
fn six_hundred_is_an_echo() {
    let mut story = Story::new();
    story.invite("phone1", "600");
    let orders = story.drain();
    let at = |wanted: &Order| orders.iter().position(|order| order == wanted).unwrap();
    let accept = at(&Order::Accept { line: "phone1".to_owned() });
    assert!(accept < at(&Order::Echo { line: "phone1".to_owned() }));
    let call = story.only_call().view();
    assert_eq!((call.state, call.to.as_str()), (CallState::Connected, "app:echo"));
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "600");
    assert!(story.drain().contains(&Order::Echo { line: "1".to_owned() }));
}

#[test]
fn a_hundred_gives_a_sip_phone_dial_tone_and_the_call_goes_on_from_there() {
    let mut story = Story::new();
    story.invite("phone1", "100");
    assert!(story.drain().contains(&tone("phone1", ProgressTone::Dial)));
    story.dial("phone1", "101");
    let orders = story.drain();
    assert!(rings(&orders, "1") && orders.contains(&tone("phone1", ProgressTone::Ringback)));
    story.answered("1");
    assert!(story.drain().contains(&bridge("phone1", "1")));
    assert_eq!(story.only_call().ends.to, "line:1");
}

#[test]
fn behind_dial_tone_a_busy_number_is_heard_and_the_other_line_is_free() {
    let mut story = Story::new();
    story.lift("1");
    story.invite("phone1", "100");
    story.dial("phone1", "101");
    assert!(story.drain().contains(&tone("phone1", ProgressTone::Busy)));
    let record = story.only_call();
    assert_eq!(record.stage, Stage::HearsTone);
    assert!(story.switch.call_of("1").is_none());
    story.phone_hangs_up("phone1");
    assert_eq!(story.cause(), Some(Cause::UserBusy));
}

fn ring_order() -> RingOrder {
    RingOrder { caller: CallerIdView::default(), timeout_ms: 30_000, cadence_ms: vec![1000, 3000] }
}

#[test]
fn the_api_rings_a_phone_and_talks_to_who_answers() {
    let mut story = Story::new();
    let (call, actions) = story.switch.ring("1", ring_order(), story.moment()).unwrap();
    story.take(actions);
    assert!(rings(&story.drain(), "1"));
    assert_eq!(
        story.switch.ring("1", ring_order(), story.moment()),
        Err(Busy::Line(LineState::Ringing))
    );
    story.answered("1");
    assert_eq!(story.switch.call(call).unwrap().stage, Stage::Application);
    let moment = story.moment();
    let actions = story.switch.end_call(call, Cause::NormalClearing, moment);
    story.take(actions);
    assert_eq!(dropped(&story.drain(), "1"), Some(Cause::NormalClearing));
}

#[test]
fn the_api_joins_two_lines_and_rings_the_first_first() {
    let mut story = Story::new();
    let (_, actions) = story.switch.place("1", "2", ring_order(), story.moment()).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert!(rings(&orders, "1") && !rings(&orders, "2"));
    story.answered("1");
    let orders = story.drain();
    assert!(rings(&orders, "2") && orders.contains(&tone("1", ProgressTone::Ringback)));
    story.answered("2");
    assert!(story.drain().contains(&bridge("1", "2")));
}

#[test]
fn a_placed_call_rings_no_phone_that_is_lifted_already() {
    let mut story = Story::new();
    story.lift("1");
    let (_, actions) = story.switch.place("1", "2", ring_order(), story.moment()).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert!(!rings(&orders, "1") && rings(&orders, "2"));
}

#[test]
fn a_lifted_phone_can_be_answered_by_the_application() {
    let mut story = Story::new();
    assert!(story.switch.answer("1", story.moment()).is_err());
    story.lift("1");
    let actions = story.switch.answer("1", story.moment()).unwrap();
    story.take(actions);
    story.dial("1", "102");
    assert!(!rings(&story.drain(), "2"), "digits belong to the application");
    assert_eq!(story.only_call().stage, Stage::Application);
}

#[test]
fn hold_is_seen_in_the_call() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "102");
    story.answered("2");
    let actions = story.switch.note_hold("1", true);
    story.take(actions);
    assert_eq!(story.only_call().view().state, CallState::Held);
    let actions = story.switch.note_hold("1", false);
    story.take(actions);
    assert!(matches!(story.news.last(), Some(News::Resumed(_))));
}

#[test]
fn an_engine_that_goes_ends_every_call_with_a_cause() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "102");
    story.answered("2");
    story.invite("phone1", "600");
    story.drain();
    story.input(Input::EngineGone);
    assert_eq!(story.switch.active().count(), 0);
    assert!(story.switch.calls().all(|call| call.cause == Some(Cause::TemporaryFailure)));
    assert_eq!(dropped(&story.drain(), "phone1"), Some(Cause::TemporaryFailure), "it gets a BYE");
}

#[test]
fn a_failed_order_ends_the_call() {
    let mut story = Story::new();
    story.invite("phone1", "101");
    story.drain();
    let call = story.only_call().number;
    story.input(Input::Failed { call, line: None, cause: Cause::ResourceUnavailable });
    let orders = story.drain();
    assert_eq!(dropped(&orders, "phone1"), Some(Cause::ResourceUnavailable));
    assert!(orders.iter().any(|order| matches!(order, Order::StopRing { .. })));
}

#[test]
fn a_phone_without_rtp_is_given_up() {
    let mut story = Story::new();
    story.invite("phone1", "600");
    story.event("phone1", LineEvent::RtpSilent { silent_ms: 5000 });
    assert!(!story.only_call().is_over());
    story.event("phone1", LineEvent::RtpSilent { silent_ms: 10_000 });
    assert_eq!(story.cause(), Some(Cause::RecoveryOnTimer));
}

#[test]
fn a_new_invite_waits_until_the_last_call_is_cleared() {
    let mut story = Story::new();
    story.invite("phone1", "600");
    story.drain();
    story.invite("phone1", "101");
    let orders = story.drain();
    assert!(matches!(orders[0], Order::Gone { .. }));
    assert!(rings(&orders, "1"));
    assert_eq!(story.switch.calls().count(), 2);
}

#[test]
fn there_are_only_so_many_calls() {
    let mut story = Story::new();
    story.switch.config.max_calls = 1;
    story.invite("phone1", "600");
    story.drain();
    assert_eq!(story.switch.ring("1", ring_order(), story.moment()).err(), Some(Busy::Full));
    story.lift("1");
    story.dial("1", "102");
    assert_eq!(story.drain(), [tone("1", ProgressTone::Congestion)]);
}
