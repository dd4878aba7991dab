//! Lines that a dial plan keeps, in virtual time.

use super::*;

/// A switch with a plan for 401 and the `4xx` around it.
fn story() -> Story {
    let mut story = Story::new();
    let mut plan = DialPlan::default();
    plan.add("401", Target::Plan("default".to_owned()));
    story.switch.set_line_plans(std::collections::BTreeMap::new(), plan);
    story.input(Input::Reachable { line: "phone2".to_owned(), reachable: true });
    story
}

fn call(story: &Story) -> CallNumber {
    story.only_call().number
}

fn dial(story: &mut Story, lines: &[&str]) {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let number = call(story);
    let moment = story.moment();
    let actions = story.switch.dial(number, &lines, ring_order(), true, moment).unwrap();
    story.take(actions);
}

fn answer(story: &mut Story) {
    let (number, moment) = (call(story), story.moment());
    let (answered, actions) = story.switch.answer_kept(number, moment).unwrap();
    assert!(answered);
    story.take(actions);
}

fn dial_over(story: &Story) -> Option<Cause> {
    match story.news.last() {
        Some(News::DialOver(_, cause)) => Some(*cause),
        _ => None,
    }
}

#[test]
fn a_phone_waits_for_its_plans_answer() {
    let mut story = story();
    story.invite("phone1", "401");
    let accepts = |orders: &[Order]| orders.contains(&Order::Accept { line: "phone1".to_owned() });
    assert!(!accepts(&story.drain()), "the plan decides");
    assert!(matches!(story.news.last(), Some(News::Entered(_))));
    let view = story.only_call().view();
    assert_eq!((view.state, view.to.as_str()), (CallState::Ringing, "app:401@default"));
    let actions = story.switch.indicate(call(&story), Some(ProgressTone::Ringback)).unwrap();
    story.take(actions);
    assert!(story.drain().contains(&Order::Alert { line: "phone1".to_owned() }));
    answer(&mut story);
    assert!(accepts(&story.drain()));
    assert!(matches!(story.news.last(), Some(News::Connected(_))));
    assert_eq!(story.only_call().view().state, CallState::Connected);
    let moment = story.moment();
    let again = story.switch.answer_kept(call(&story), moment).unwrap();
    assert_eq!(again, (false, Vec::new()));
}

#[test]
fn a_plan_that_refuses_is_a_final_response() {
    let mut story = story();
    story.invite("phone1", "401");
    story.drain();
    let moment = story.moment();
    let actions = story.switch.end_call(call(&story), Cause::UserBusy, moment);
    story.take(actions);
    assert_eq!(dropped(&story.drain(), "phone1"), Some(Cause::UserBusy));
}

#[test]
fn the_plan_has_its_line_back_when_the_callee_hangs_up() {
    let mut story = story();
    story.invite("phone1", "401");
    answer(&mut story);
    story.drain();
    dial(&mut story, &["phone2"]);
    let orders = story.drain();
    assert!(rings(&orders, "phone2") && orders.contains(&tone("phone1", ProgressTone::Ringback)));
    story.input(Input::Lifted { line: "phone2".to_owned(), media: media() });
    assert!(story.drain().contains(&bridge("phone1", "phone2")));
    assert_eq!(story.only_call().stage, Stage::Talking);
    story.phone_hangs_up("phone2");
    assert_eq!(dial_over(&story), Some(Cause::NormalClearing));
    let orders = story.drain();
    assert!(orders.contains(&Order::Gone { line: "phone2".to_owned() }));
    assert!(orders.contains(&Order::Part { line: "phone1".to_owned() }));
    assert_eq!(dropped(&orders, "phone1"), None);
    assert_eq!(story.only_call().stage, Stage::Application);
    assert!(story.switch.call_of("phone2").is_none());
    // And again: the same phone, which does not answer this time.
    dial(&mut story, &["phone2"]);
    story.event("phone2", LineEvent::RingStopped { cause: RingStop::Timeout });
    assert_eq!(dial_over(&story), Some(Cause::NoAnswer));
    story.phone_hangs_up("phone1");
    assert_eq!(story.cause(), Some(Cause::NormalClearing));
}

#[test]
fn several_ring_and_the_first_to_answer_talks() {
    let mut story = story();
    story.lift("1");
    story.dial("1", "401");
    answer(&mut story);
    story.drain();
    dial(&mut story, &["2", "phone1", "phone2", "2"]);
    let orders = story.drain();
    assert!(["2", "phone1", "phone2"].iter().all(|line| rings(&orders, line)));
    assert_eq!(story.only_call().lines().filter(|line| *line == "2").count(), 1);
    let cause = Cause::of_sip_status(486);
    story.input(Input::Refused { line: "phone2".to_owned(), cause });
    assert_eq!(story.only_call().stage, Stage::RingingTo, "two still ring");
    story.answered("2");
    let orders = story.drain();
    assert!(orders.contains(&bridge("1", "2")));
    let stop = Order::StopRing { line: "phone1".to_owned(), cause: Cause::NormalClearing };
    assert!(orders.contains(&stop));
    assert!(story.switch.call_of("phone1").is_none());
    story.down("1");
    assert_eq!(dropped(&story.drain(), "2"), Some(Cause::NormalClearing));
    assert!(story.only_call().is_over(), "the caller is the plan's channel");
}

#[test]
fn who_cannot_be_rung_is_told_and_the_plan_goes_on() {
    let mut story = story();
    story.lift("2");
    story.invite("phone1", "401");
    let number = call(&story);
    let moment = story.moment();
    let busy = story.switch.dial(number, &["2".to_owned()], ring_order(), true, moment);
    assert_eq!(busy, Err(Cause::UserBusy));
    let nobody = story.switch.dial(number, &["none".to_owned()], ring_order(), true, moment);
    assert_eq!(nobody, Err(Cause::SubscriberAbsent));
    assert_eq!(story.only_call().stage, Stage::Application);
    dial(&mut story, &["phone2"]);
    let failed = Input::Failed {
        call: number,
        line: Some("phone2".to_owned()),
        cause: Cause::ResourceUnavailable,
    };
    story.input(failed);
    assert_eq!(dial_over(&story), Some(Cause::ResourceUnavailable));
    dial(&mut story, &["phone2"]);
    let actions = story.switch.end_dial(number, Cause::NormalClearing);
    story.take(actions);
    assert_eq!(dial_over(&story), Some(Cause::NormalClearing));
    assert!(story.switch.end_dial(number, Cause::NormalClearing).is_empty());
}

#[test]
fn a_callee_who_answers_an_unanswered_caller_answers_it() {
    let mut story = story();
    story.invite("phone1", "401");
    dial(&mut story, &["phone2"]);
    assert!(story.drain().contains(&Order::Alert { line: "phone1".to_owned() }));
    story.input(Input::Lifted { line: "phone2".to_owned(), media: media() });
    let orders = story.drain();
    assert!(orders.contains(&Order::Accept { line: "phone1".to_owned() }));
    assert!(orders.contains(&bridge("phone1", "phone2")));
}

#[test]
fn a_line_that_is_handed_on_is_the_plans_no_more() {
    let mut story = story();
    story.invite("phone1", "401");
    answer(&mut story);
    let (number, moment) = (call(&story), story.moment());
    let target = Target::Line("phone2".to_owned());
    let actions = story.switch.hand_on(number, target, moment).unwrap();
    story.take(actions);
    assert!(story.news.iter().any(|news| matches!(news, News::Taken(_))));
    story.input(Input::Lifted { line: "phone2".to_owned(), media: media() });
    story.phone_hangs_up("phone2");
    assert!(story.only_call().is_over());
}

#[test]
fn a_call_that_the_api_rang_may_be_kept() {
    let mut story = story();
    let (number, actions) = story.switch.ring("1", ring_order(), story.moment()).unwrap();
    story.take(actions);
    let refused = story.switch.keep_line("1", Others::Left, story.moment());
    assert_eq!(refused, Err(Cause::CallRejected), "it still rings");
    story.answered("1");
    let kept = story.switch.keep_line("1", Others::Left, story.moment());
    assert_eq!(kept, Ok((number, Vec::new())));
    dial(&mut story, &["2"]);
    story.answered("2");
    story.down("2");
    assert_eq!(dial_over(&story), Some(Cause::NormalClearing));
    assert_eq!(story.only_call().stage, Stage::Application);
}
