//! Lines are taken out of what they do, one leg of a call is hung up on.

use super::*;

/// phone1 talks with line 1, line 2 with the echo.
fn story() -> Story {
    let mut story = Story::new();
    story.input(Input::Reachable { line: "phone2".to_owned(), reachable: true });
    story.invite("phone1", "101");
    story.answered("1");
    story.lift("2");
    story.dial("2", "600");
    story.drain();
    story.news.clear();
    story
}

fn stages(story: &Story) -> Vec<(String, Stage)> {
    let calls = story.switch.active();
    let of = |call: &CallRecord| {
        let legs = call.legs.iter().filter(|leg| leg.state == LegState::Connected);
        let legs: Vec<&str> = legs.map(|leg| leg.address.as_str()).collect();
        (legs.join(" "), call.stage)
    };
    calls.map(of).collect()
}

fn take(story: &mut Story, line: &str, others: Others) -> CallNumber {
    let (call, actions) = story.switch.keep_line(line, others, story.moment()).unwrap();
    story.take(actions);
    call
}

#[test]
fn one_of_two_goes_on_in_a_call_of_its_own_and_the_other_is_hung_up_on() {
    let mut story = story();
    let call = take(&mut story, "1", Others::Left);
    let orders = story.drain();
    assert_eq!(dropped(&orders, "phone1"), Some(Cause::NormalClearing));
    assert_eq!(dropped(&orders, "1"), None);
    let part = Order::Part { line: "1".to_owned() };
    assert!(orders.contains(&part) && orders.contains(&Order::Tag { line: "1".to_owned() }));
    assert_eq!(story.switch.call_of("1"), Some(call));
    assert_eq!(story.switch.call_of("phone1"), None);
    assert!(stages(&story).contains(&("line:1 app:plan".to_owned(), Stage::Application)));
    let told: Vec<bool> = story
        .news
        .iter()
        .map(|news| matches!(news, News::Started(_) | News::Connected(_)))
        .collect();
    assert_eq!(told, [true, true, false], "first where it goes, then what ended");
}

#[test]
fn both_of_two_go_on_and_nobody_is_hung_up_on() {
    let mut story = story();
    let one = take(&mut story, "phone1", Others::Stay);
    let other = take(&mut story, "1", Others::Left);
    assert_ne!(one, other);
    let orders = story.drain();
    assert_eq!((dropped(&orders, "phone1"), dropped(&orders, "1")), (None, None));
    assert_eq!(story.switch.active().count(), 3);
}

#[test]
fn two_lines_of_different_calls_are_joined() {
    let mut story = story();
    let refused = story.switch.bridge_lines("1", "phone1", story.moment());
    assert_eq!(refused, Err(Cause::CallRejected), "they talk already");
    story.down("2");
    story.lift("2");
    story.dial("2", "600");
    story.drain();
    // Each may need a call on the way, and there are three at most.
    let refused = story.switch.bridge_lines("1", "2", story.moment());
    assert_eq!(refused, Err(Cause::ResourceUnavailable));
    story.switch.config.max_calls = 4;
    let actions = story.switch.bridge_lines("1", "2", story.moment()).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert_eq!(dropped(&orders, "phone1"), Some(Cause::NormalClearing));
    let at = |order: &Order| orders.iter().rposition(|o| o == order).unwrap();
    assert!(at(&Order::Part { line: "1".to_owned() }) < at(&bridge("1", "2")), "{orders:?}");
    assert!(stages(&story).contains(&("line:1 line:2".to_owned(), Stage::Talking)));
}

#[test]
fn a_caller_who_hears_ringing_is_taken_and_the_bell_stops() {
    let mut story = story();
    story.invite("phone2", "102");
    story.down("2");
    story.invite("phone2", "102");
    assert!(rings(&story.drain(), "2"));
    let call = take(&mut story, "phone2", Others::Left);
    let orders = story.drain();
    assert!(orders.iter().any(|o| matches!(o, Order::StopRing { line, .. } if line == "2")));
    assert_eq!(story.switch.call_of("2"), None);
    // It is answered when its plan says so.
    assert!(story.switch.call(call).unwrap().answered_at.is_none());
    let refused = story.switch.keep_line("2", Others::Left, story.moment());
    assert_eq!(refused, Err(Cause::CallRejected));
}

#[test]
fn who_was_dialled_by_a_plan_is_hung_up_on_alone() {
    let mut story = story();
    let call = take(&mut story, "2", Others::Left);
    for answers in [false, true] {
        let lines = vec!["phone2".to_owned()];
        let moment = story.moment();
        let actions = story.switch.dial(call, &lines, ring_order(), true, moment).unwrap();
        story.take(actions);
        if answers {
            story.input(Input::Lifted { line: "phone2".to_owned(), media: media() });
        }
        story.drain();
        let actions = story.switch.hang_up("phone2", Cause::NormalClearing, story.moment());
        story.take(actions);
        let orders = story.drain();
        assert_eq!(dropped(&orders, "phone2").is_some(), answers, "{orders:?}");
        assert_eq!(dropped(&orders, "2"), None);
        assert!(matches!(story.news.last(), Some(News::DialOver(..))));
        assert_eq!(story.switch.call(call).unwrap().stage, Stage::Application);
    }
    let actions = story.switch.hang_up("2", Cause::UserBusy, story.moment());
    story.take(actions);
    assert_eq!(story.switch.call(call).unwrap().cause, Some(Cause::UserBusy));
}

#[test]
fn who_is_redirected_reaches_its_number() {
    let mut story = story();
    let line = Target::Line("phone2".to_owned());
    let refused =
        story.switch.redirect("1", Target::Line("2".into()), Others::Left, story.moment());
    assert_eq!(refused.map(|_| ()), Err(Cause::UserBusy));
    let (call, actions) = story.switch.redirect("1", line, Others::Left, story.moment()).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert!(rings(&orders, "phone2") && dropped(&orders, "phone1").is_some(), "{orders:?}");
    story.input(Input::Lifted { line: "phone2".to_owned(), media: media() });
    assert!(story.drain().contains(&bridge("1", "phone2")));
    assert_eq!(story.switch.call(call).unwrap().stage, Stage::Talking);
}
