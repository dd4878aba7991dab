//! Attended transfer without the phone's help.

use super::*;

/// phone1 talks with line 1 and asks whoever has `number`.
fn asks(number: &str) -> Story {
    let mut story = Story::new();
    story.switch.config.max_calls = 8;
    story.input(Input::Reachable { line: "phone2".to_owned(), reachable: true });
    story.invite("phone1", "101");
    story.answered("1");
    story.drain();
    let target = story.switch.target_of("phone1", number, story.moment().wall).cloned().unwrap();
    let actions = story.switch.consult("phone1", number, target, story.moment()).unwrap();
    story.take(actions);
    story
}

fn third_answers(story: &mut Story) {
    story.input(Input::Lifted { line: "phone2".to_owned(), media: media() });
}

fn talk(story: &Story, one: &str, other: &str) -> bool {
    let (Some(call), with) = (story.switch.call_of(one), story.switch.call_of(other)) else {
        return false;
    };
    Some(call) == with && story.switch.call(call).unwrap().stage == Stage::Talking
}

#[test]
fn the_other_two_are_joined_when_the_first_hangs_up() {
    let mut story = asks("202");
    let orders = story.drain();
    assert!(rings(&orders, "phone2") && dropped(&orders, "1").is_none(), "{orders:?}");
    third_answers(&mut story);
    assert!(talk(&story, "phone1", "phone2") && !talk(&story, "1", "phone1"));
    story.drain();
    story.phone_hangs_up("phone1");
    let orders = story.drain();
    assert!(talk(&story, "1", "phone2"), "{orders:?}");
    assert_eq!((dropped(&orders, "1"), dropped(&orders, "phone2")), (None, None));
    assert_eq!(story.switch.call_of("phone1"), None);
    story.down("1");
    assert_eq!(story.switch.active().count(), 0);
}

#[test]
fn who_hangs_up_early_leaves_the_bell_to_the_one_who_waits() {
    let mut story = asks("202");
    story.drain();
    let actions = story.switch.hang_up("phone1", Cause::NormalClearing, story.moment());
    story.take(actions);
    let orders = story.drain();
    assert!(dropped(&orders, "phone1").is_some(), "{orders:?}");
    assert!(orders.contains(&tone("1", ProgressTone::Ringback)), "{orders:?}");
    third_answers(&mut story);
    assert!(talk(&story, "1", "phone2"));
    story.phone_hangs_up("phone2");
    assert_eq!(story.switch.active().count(), 0);
}

#[test]
fn the_first_two_talk_again_when_the_third_cannot_be_had_or_leaves() {
    for answers in [false, true] {
        let mut story = asks("202");
        if answers {
            third_answers(&mut story);
            story.phone_hangs_up("phone2");
        } else {
            let busy = Cause::UserBusy;
            story.input(Input::Refused { line: "phone2".to_owned(), cause: busy });
        }
        assert!(talk(&story, "1", "phone1"), "answered {answers}");
        assert_eq!(story.switch.call_of("phone2"), None);
        story.phone_hangs_up("phone1");
        assert_eq!(story.switch.active().count(), 0);
    }
}

#[test]
fn without_the_one_who_waited_it_is_a_call_like_any_other() {
    let mut story = asks("202");
    third_answers(&mut story);
    story.down("1");
    assert!(talk(&story, "phone1", "phone2"));
    story.phone_hangs_up("phone1");
    assert_eq!(story.switch.active().count(), 0);
}

#[test]
fn one_who_asks_an_application_hands_over_to_it() {
    let mut story = asks("600");
    let call = story.switch.call_of("phone1").unwrap();
    assert_eq!(story.switch.call(call).unwrap().stage, Stage::Application);
    story.drain();
    story.phone_hangs_up("phone1");
    assert!(story.drain().contains(&Order::Echo { line: "1".to_owned() }));
}

#[test]
fn what_cannot_be_asked_changes_nothing() {
    let mut story = asks("202");
    let target = Target::Line("2".to_owned());
    let again = story.switch.consult("phone1", "102", target.clone(), story.moment());
    assert_eq!(again, Err(Cause::CallRejected), "it does not talk yet");
    third_answers(&mut story);
    let again = story.switch.consult("phone1", "102", target, story.moment());
    assert_eq!(again, Err(Cause::CallRejected), "it asks one already");
}

#[test]
fn a_plan_that_is_asked_begins_at_its_number() {
    let mut story = Story::new();
    let mut plan = DialPlan::default();
    plan.add("401", Target::Plan("default".to_owned()));
    story.switch.set_line_plans(std::collections::BTreeMap::new(), plan);
    story.invite("phone1", "101");
    story.answered("1");
    story.drain();
    let target = Target::Plan("default".to_owned());
    let actions = story.switch.consult("phone1", "401", target, story.moment()).unwrap();
    story.take(actions);
    let reached = |story: &Story, line: &str| {
        let call = story.switch.call(story.switch.call_of(line).unwrap()).unwrap();
        call.ends.to.clone()
    };
    assert_eq!(reached(&story, "phone1"), "app:401@default");
    // Nobody is there to be joined with: whoever waits asks for himself.
    story.phone_hangs_up("phone1");
    assert_eq!(reached(&story, "1"), "app:401@default");
}
