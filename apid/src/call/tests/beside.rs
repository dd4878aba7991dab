//! Call waiting and calls of three by the hook switch, in virtual time.

use super::*;
use std::collections::BTreeMap;

/// Line 1 has both services and talks with phone1; phone2 can be rung.
fn talks() -> Story {
    let mut story = Story::new();
    story.switch.config.max_calls = 8;
    let services = Services { call_waiting: true, three_way: true };
    let plan = LinePlan { services, ..LinePlan::default() };
    let plans = BTreeMap::from([("1".to_owned(), plan)]);
    story.switch.set_line_plans(plans, DialPlan::default());
    story.input(Input::Reachable { line: "phone2".to_owned(), reachable: true });
    story.invite("phone1", "101");
    story.answered("1");
    assert!(talk(&story, "1", "phone1"));
    story.drain();
    story
}

/// ... and phone2 knocks.
fn knocked() -> Story {
    let mut story = talks();
    story.invite("phone2", "101");
    story
}

/// ... and has called phone2 by a flash, which has answered.
fn asked() -> Story {
    let mut story = talks();
    flash(&mut story);
    story.dial("1", "202");
    lifts(&mut story, "phone2");
    assert!(talk(&story, "1", "phone2"));
    story
}

fn flash(story: &mut Story) {
    story.event("1", LineEvent::Flash { duration_ms: 500 });
}

fn lifts(story: &mut Story, line: &str) {
    story.input(Input::Lifted { line: line.to_owned(), media: media() });
}

fn talk(story: &Story, one: &str, other: &str) -> bool {
    let (Some(call), with) = (story.switch.call_of(one), story.switch.call_of(other)) else {
        return false;
    };
    Some(call) == with && story.switch.call(call).unwrap().stage == Stage::Talking
}

fn waits(story: &Story, line: &str) -> bool {
    story.switch.waiting_meanwhile() == [line]
}

/// It hears that phone2 waits.
fn knocks(order: &Order, at: &str) -> bool {
    matches!(order, Order::CallWaiting { line, caller } if line == at && caller.number == "202")
}

fn nothing_is_left(story: &mut Story) {
    for phone in ["phone1", "phone2"] {
        story.phone_hangs_up(phone);
    }
    story.down("1");
    story.down("2");
    assert_eq!(story.switch.active().count(), 0);
    assert!(["1", "2", "phone1", "phone2"].iter().all(|l| story.switch.call_of(l).is_none()));
}

#[test]
fn a_flash_answers_who_knocks_and_changes_over_from_then_on() {
    let mut story = knocked();
    let orders = story.drain();
    assert!(orders.iter().any(|order| knocks(order, "1")) && !rings(&orders, "1"));
    assert!(orders.contains(&Order::Alert { line: "phone2".to_owned() }), "{orders:?}");
    assert!(talk(&story, "1", "phone1"));
    for (with, other) in [("phone2", "phone1"), ("phone1", "phone2"), ("phone2", "phone1")] {
        flash(&mut story);
        assert!(talk(&story, "1", with) && waits(&story, other), "{with}");
        let held = story.switch.call(story.switch.call_of(other).unwrap()).unwrap().view();
        assert_eq!((held.state, held.to.as_str()), (CallState::Held, "line:1"));
    }
    let orders = story.drain();
    assert!(orders.contains(&Order::Accept { line: "phone2".to_owned() }));
    assert!(["1", "phone1", "phone2"].iter().all(|line| dropped(&orders, line).is_none()));
    nothing_is_left(&mut story);
}

#[test]
fn who_knocks_in_vain_or_gives_up_leaves_the_call_alone() {
    let quiet = Order::Tone { line: "1".to_owned(), tone: None };
    for gives_up in [true, false] {
        let mut story = knocked();
        story.drain();
        if gives_up {
            story.phone_hangs_up("phone2");
        } else {
            assert_eq!(story.switch.next_deadline_ms(), Some(60_000));
            story.pass(60_000);
        }
        let orders = story.drain();
        assert!(orders.contains(&quiet) && dropped(&orders, "1").is_none(), "{orders:?}");
        assert_eq!(dropped(&orders, "phone2"), (!gives_up).then_some(Cause::NoAnswer));
        assert!(talk(&story, "1", "phone1"));
        assert_eq!(story.switch.next_deadline_ms(), None);
        story.invite("phone2", "101");
        assert!(story.drain().iter().any(|order| knocks(order, "1")), "and again");
        nothing_is_left(&mut story);
    }
}

#[test]
fn a_second_one_who_would_knock_finds_the_line_busy() {
    let mut story = knocked();
    story.drain();
    story.lift("2");
    story.dial("2", "101");
    assert!(story.drain().contains(&tone("2", ProgressTone::Busy)));
    nothing_is_left(&mut story);
    let mut story = talks();
    story.switch.set_do_not_disturb("1", true);
    story.invite("phone2", "101");
    assert_eq!(dropped(&story.drain(), "phone2"), Some(Cause::UserBusy));
}

#[test]
fn a_handset_put_down_rings_for_who_knocks_or_waits() {
    for answered in [false, true] {
        let mut story = knocked();
        if answered {
            flash(&mut story);
        }
        story.drain();
        story.down("1");
        let orders = story.drain();
        assert!(rings(&orders, "1"), "{orders:?}");
        story.answered("1");
        assert!(talk(&story, "1", if answered { "phone1" } else { "phone2" }));
        nothing_is_left(&mut story);
    }
}

#[test]
fn who_is_left_by_the_one_he_talks_with_talks_with_the_one_who_waits() {
    let mut story = knocked();
    flash(&mut story);
    story.drain();
    story.phone_hangs_up("phone2");
    assert!(talk(&story, "1", "phone1"));
    assert_eq!(dropped(&story.drain(), "1"), None);
    nothing_is_left(&mut story);
    // Who has waited may have gone as well.
    let mut story = knocked();
    flash(&mut story);
    story.phone_hangs_up("phone1");
    assert!(talk(&story, "1", "phone2"));
    story.drain();
    story.phone_hangs_up("phone2");
    assert_eq!(dropped(&story.drain(), "1"), Some(Cause::NormalClearing));
    nothing_is_left(&mut story);
}

#[test]
fn who_hears_that_the_other_one_is_gone_answers_who_knocks() {
    for flashes in [true, false] {
        let mut story = knocked();
        story.phone_hangs_up("phone1");
        assert_eq!(story.switch.call_of("1"), None);
        story.drain();
        if flashes {
            flash(&mut story);
        } else {
            story.down("1");
            assert!(rings(&story.drain(), "1"));
            story.answered("1");
        }
        assert!(talk(&story, "1", "phone2"), "flashes {flashes}");
        nothing_is_left(&mut story);
    }
}

#[test]
fn a_flash_calls_a_third_one_and_another_joins_all_three() {
    let mut story = talks();
    flash(&mut story);
    assert!(story.drain().contains(&tone("1", ProgressTone::Dial)));
    assert!(waits(&story, "phone1"));
    story.dial("1", "202");
    assert!(rings(&story.drain(), "phone2"));
    lifts(&mut story, "phone2");
    assert!(talk(&story, "1", "phone2") && waits(&story, "phone1"));
    flash(&mut story);
    let sit: Vec<&str> =
        story.switch.sitting(None).filter_map(|record| record.lines().next()).collect();
    assert_eq!(sit, ["phone1", "1", "phone2"]);
    assert!(story.switch.waiting_meanwhile().is_empty());
    // The one called last is hung up on; the first two stay.
    flash(&mut story);
    assert_eq!(dropped(&story.drain(), "phone2"), Some(Cause::NormalClearing));
    assert_eq!(story.switch.sitting(None).count(), 2);
    story.phone_hangs_up("phone1");
    assert_eq!(dropped(&story.drain(), "1"), Some(Cause::NormalClearing));
    nothing_is_left(&mut story);
}

#[test]
fn three_are_over_when_the_one_who_joined_them_leaves() {
    let mut story = asked();
    flash(&mut story);
    story.drain();
    story.down("1");
    let orders = story.drain();
    assert!(dropped(&orders, "phone1").is_some() && dropped(&orders, "phone2").is_some());
    nothing_is_left(&mut story);
    let mut story = asked();
    flash(&mut story);
    story.phone_hangs_up("phone1");
    assert_eq!(story.switch.sitting(None).count(), 2, "two go on");
    nothing_is_left(&mut story);
}

#[test]
fn a_flash_before_an_answer_goes_back_to_the_first() {
    for (digits, rung) in [("", false), ("202", true), ("9", false), ("600", false)] {
        let mut story = talks();
        flash(&mut story);
        story.dial("1", digits);
        story.drain();
        flash(&mut story);
        let orders = story.drain();
        assert!(talk(&story, "1", "phone1"), "{digits}: {orders:?}");
        let stop = Order::StopRing { line: "phone2".to_owned(), cause: Cause::NormalClearing };
        assert_eq!(orders.contains(&stop), rung);
        assert_eq!(dropped(&orders, "1"), None);
        assert!(story.switch.waiting_meanwhile().is_empty());
        nothing_is_left(&mut story);
    }
}

#[test]
fn who_puts_the_handset_down_instead_of_going_back_is_rung() {
    for digits in ["", "202", "9"] {
        let mut story = talks();
        flash(&mut story);
        story.dial("1", digits);
        story.drain();
        story.down("1");
        let orders = story.drain();
        assert!(rings(&orders, "1"), "{digits}: {orders:?}");
        assert!(orders.contains(&tone("phone1", ProgressTone::Ringback)));
        story.answered("1");
        assert!(talk(&story, "1", "phone1"));
        nothing_is_left(&mut story);
    }
    // Nobody answers that either.
    let mut story = talks();
    flash(&mut story);
    story.down("1");
    story.event("1", LineEvent::RingStopped { cause: RingStop::Timeout });
    story.down("1");
    assert!(story.drain().contains(&tone("phone1", ProgressTone::Congestion)));
    nothing_is_left(&mut story);
}

#[test]
fn without_room_for_a_conference_a_flash_changes_over() {
    let mut story = asked();
    story.switch.config.conferences = 0;
    flash(&mut story);
    assert!(talk(&story, "1", "phone1") && waits(&story, "phone2"));
    nothing_is_left(&mut story);
}

#[test]
fn without_the_services_a_flash_is_only_told() {
    let mut story = talks();
    story.switch.set_line_plans(BTreeMap::new(), DialPlan::default());
    flash(&mut story);
    assert!(story.drain().is_empty() && talk(&story, "1", "phone1"));
    story.invite("phone2", "101");
    assert_eq!(dropped(&story.drain(), "phone2"), Some(Cause::UserBusy));
}

#[test]
fn a_plans_dial_knocks_too() {
    let mut story = talks();
    let mut everybody = DialPlan::default();
    everybody.add("401", Target::Plan("default".to_owned()));
    let plans = std::mem::take(&mut story.switch.line_plans);
    story.switch.set_line_plans(plans, everybody);
    for answers in [true, false] {
        story.invite("phone2", "401");
        let call = story.switch.call_of("phone2").unwrap();
        let (lines, moment) = (["1".to_owned()], story.moment());
        let ring = RingOrder {
            caller: CallerIdView { number: "202".to_owned(), name: String::new() },
            timeout_ms: 20_000,
            cadence_ms: vec![2000, 4000],
        };
        let actions = story.switch.dial(call, &lines, ring, true, moment).unwrap();
        story.take(actions);
        assert!(story.drain().iter().any(|order| knocks(order, "1")));
        if answers {
            flash(&mut story);
            assert!(talk(&story, "1", "phone2"));
            story.phone_hangs_up("phone2");
        } else {
            story.pass(20_000);
            assert!(matches!(story.news.last(), Some(News::DialOver(_, Cause::NoAnswer))));
        }
        assert!(talk(&story, "1", "phone1"), "answers {answers}");
    }
    nothing_is_left(&mut story);
}
