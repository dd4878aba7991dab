//! Calls out by a trunk, in virtual time.

use super::*;
use crate::call::Trunk;
use crate::view::DiversionView;

/// Line 1 and phone1 may call out by 0; the trunk has one line.
fn story() -> Story {
    let mut story = Story::new();
    let trunk = Trunk { lines: vec!["out-1".to_owned()], strip: 1, prepend: "+49".to_owned() };
    story.switch.config.trunks.insert("out".to_owned(), trunk);
    story.switch.add_line("out-1", true, CallerIdView::default());
    story.state("out-1", LineState::OnHook, None);
    story.input(Input::Reachable { line: "out-1".to_owned(), reachable: true });
    let mut plan = DialPlan::default();
    plan.add_pattern("_0Z.".parse().unwrap(), None, Target::Trunk("out".to_owned()));
    let house = LinePlan { plan, ..LinePlan::default() };
    let plans = ["1", "phone1"].map(|line| (line.to_owned(), house.clone()));
    story.switch.set_line_plans(plans.into(), DialPlan::default());
    story.drain();
    story
}

/// What a line is told to call by the trunk.
fn called_out(orders: &[Order]) -> Option<&str> {
    orders.iter().find_map(|order| match order {
        Order::Ring { line, number, .. } if line == "out-1" => number.as_deref(),
        _ => None,
    })
}

#[test]
fn what_was_dialled_goes_out_as_the_provider_wants_it() {
    let mut story = story();
    story.lift("1");
    story.dial("1", "030123");
    story.pass(4000);
    assert_eq!(called_out(&story.drain()), Some("+4930123"));
    // The only line is taken.
    story.invite("phone1", "030124");
    let orders = story.drain();
    assert_eq!((called_out(&orders), dropped(&orders, "phone1")), (None, Some(Cause::UserBusy)));
}

#[test]
fn only_who_has_a_plan_for_it_calls_out() {
    let mut story = story();
    story.invite("phone2", "030123");
    let orders = story.drain();
    let nobody = Some(Cause::UnallocatedNumber);
    assert_eq!((called_out(&orders), dropped(&orders, "phone2")), (None, nobody));
    story.invite("phone1", "0030123");
    assert_eq!(called_out(&story.drain()), None, "the pattern has no 00");
}

#[test]
fn a_trunk_that_is_down_is_said() {
    let mut story = story();
    story.input(Input::Reachable { line: "out-1".to_owned(), reachable: false });
    story.invite("phone1", "030123");
    let orders = story.drain();
    let down = Some(Cause::NetworkOutOfOrder);
    assert_eq!((called_out(&orders), dropped(&orders, "phone1")), (None, down));
}

#[test]
fn what_came_in_by_a_trunk_never_goes_out_by_one() {
    let mut story = story();
    let another = Trunk { lines: vec!["out-1".to_owned(), "out-2".to_owned()], ..Trunk::default() };
    story.switch.config.trunks.insert("out".to_owned(), another);
    story.switch.add_line("out-2", true, CallerIdView::default());
    story.state("out-2", LineState::OnHook, None);
    story.input(Input::Reachable { line: "out-2".to_owned(), reachable: true });
    // By a diversion of the line that it rings.
    let away = DiversionView { always: Some("030123".to_owned()), ..DiversionView::default() };
    story.switch.set_diversion("1", away).unwrap();
    story.invite("out-1", "101");
    let orders = story.drain();
    assert_eq!(dropped(&orders, "out-1"), Some(Cause::CallRejected));
    assert!(!rings(&orders, "out-2"));
    story.input(Input::HungUp { line: "out-1".to_owned(), cause: Cause::NormalClearing });
    // By a transfer of the phone that it talks with.
    story.switch.set_diversion("1", DiversionView::default()).unwrap();
    story.input(Input::Released { call: story.only_call().number });
    story.invite("out-1", "201");
    let lifted = Input::Lifted { line: "phone1".to_owned(), media: media() };
    story.input(lifted);
    story.event("phone1", LineEvent::RingStopped { cause: RingStop::Answered });
    let call = story.switch.call_of("out-1").unwrap();
    story.input(Input::Established { call });
    let to = TransferTo::Number("030123".to_owned());
    let refused = story.switch.transfer("phone1", &to, story.moment());
    assert_eq!(refused.err(), Some(Cause::CallRejected));
    assert_eq!(story.switch.call_of("phone1"), Some(call), "nothing has changed");
}
