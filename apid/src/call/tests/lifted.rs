//! What a lifted phone does by configuration, and what applications do with it.

use super::*;
use std::collections::BTreeMap;

fn with(line: &str, lifted: Lifted, patterns: &[(&str, Target)]) -> Story {
    let mut story = Story::new();
    let mut plan = DialPlan::default();
    for (pattern, target) in patterns {
        plan.add_pattern(pattern.parse().unwrap(), None, target.clone());
    }
    let plans =
        BTreeMap::from([(line.to_owned(), LinePlan { lifted, plan, ..LinePlan::default() })]);
    story.switch.set_line_plans(plans, DialPlan::default());
    story
}

fn app(name: &str) -> Target {
    Target::Application(name.to_owned())
}

#[test]
fn a_plan_of_ones_own_is_asked_first_and_the_common_numbers_then() {
    let patterns = [("_1X", Target::Line("2".to_owned())), ("_9.", app("out"))];
    let mut story = with("1", Lifted::Dials, &patterns);
    story.lift("1");
    story.dial("1", "10");
    assert!(rings(&story.drain(), "2"), "its own 1X is complete, though 101 is longer");
    story.down("1");
    story.lift("1");
    story.dial("1", "9123");
    assert_eq!(story.switch.active().count(), 0, "it may go on");
    story.pass(4000);
    let call = story.switch.active().next().expect("a call").view();
    assert_eq!((call.to.as_str(), call.state), ("app:out", CallState::Connected));
    story.down("1");
    story.lift("2");
    story.dial("2", "101");
    assert!(rings(&story.drain(), "1"), "others dial as ever");
}

#[test]
fn a_hotline_reaches_its_end_at_once_and_bare_events_reach_nobody() {
    let mut story = with("1", Lifted::Hotline(Target::Line("2".to_owned())), &[]);
    story.lift("1");
    let orders = story.drain();
    assert!(rings(&orders, "2") && orders.contains(&tone("1", ProgressTone::Ringback)));
    story.answered("2");
    assert!(story.drain().contains(&bridge("1", "2")));

    let mut story = with("1", Lifted::Events, &[]);
    story.lift("1");
    assert_eq!(story.drain(), [Order::Tone { line: "1".to_owned(), tone: None }]);
    story.dial("1", "102");
    assert!(story.drain().is_empty() && story.switch.calls().count() == 0);
}

#[test]
fn plans_are_replaced_while_a_call_runs() {
    let mut story = with("1", Lifted::Hotline(app("booth")), &[]);
    story.lift("1");
    assert_eq!(story.only_call().stage, Stage::Application);
    story.switch.set_line_plans(BTreeMap::new(), DialPlan::default());
    assert_eq!(story.only_call().stage, Stage::Application);
    story.down("1");
    story.drain();
    story.lift("1");
    story.dial("1", "102");
    assert!(rings(&story.drain(), "2"), "from now on it dials");
}

#[test]
fn two_applications_calls_become_one() {
    let mut story = Story::new();
    let mut calls = Vec::new();
    for line in ["1", "2"] {
        let (call, actions) = story.switch.ring(line, ring_order(), story.moment()).unwrap();
        story.take(actions);
        story.answered(line);
        calls.push(call);
    }
    story.drain();
    let moment = story.moment();
    assert!(story.switch.bridge(calls[0], calls[0], moment).is_err());
    let actions = story.switch.bridge(calls[0], calls[1], moment).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert!(orders.contains(&bridge("1", "2")), "{orders:?}");
    assert_eq!(dropped(&orders, "1").or(dropped(&orders, "2")), None);
    assert_eq!(story.switch.active().count(), 1);
    assert_eq!(story.switch.call_of("2"), Some(calls[0]));
    assert_eq!(story.switch.call(calls[0]).unwrap().stage, Stage::Talking);
    story.down("2");
    assert_eq!(dropped(&story.drain(), "1"), Some(Cause::NormalClearing));
    assert_eq!(story.switch.active().count(), 0);
}

#[test]
fn an_application_hands_its_line_on_and_is_told_why_not() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "600");
    story.drain();
    let call = story.only_call().number;
    let moment = story.moment();
    let away = Target::Line("phone2".to_owned());
    assert_eq!(story.switch.hand_on(call, away, moment), Err(Cause::SubscriberAbsent));
    let actions = story.switch.hand_on(call, Target::Line("2".to_owned()), moment).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert!(orders.contains(&Order::EndEcho { line: "1".to_owned() }), "{orders:?}");
    assert!(rings(&orders, "2") && orders.contains(&tone("1", ProgressTone::Ringback)));
    story.answered("2");
    assert!(story.drain().contains(&bridge("1", "2")));
    let talking = story.switch.bridge(call, call, moment);
    assert!(talking.is_err(), "two lines talk: no application holds it");
}
