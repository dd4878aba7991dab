//! Applications behind sockets: dialled, joined, left.

use super::*;
use std::collections::BTreeMap;

const URL: &str = "ws://127.0.0.1:9/agent?dialect=twilio&key=hidden";
const SHOWN: &str = "app:ws://127.0.0.1:9/agent";

fn socket(owner: &str) -> SocketEnd {
    SocketEnd { url: URL.to_owned(), dialled: String::new(), owner: owner.to_owned() }
}

/// The URL and number of the application that was dialled last.
fn dialled(orders: &[Order]) -> Option<(String, String)> {
    orders.iter().rev().find_map(|order| match order {
        Order::Application { socket, .. } => Some((socket.url.clone(), socket.dialled.clone())),
        _ => None,
    })
}

fn left(orders: &[Order]) -> Option<bool> {
    orders.iter().find_map(|order| match order {
        Order::EndApplication { by_phone, .. } => Some(*by_phone),
        _ => None,
    })
}

fn placed(from: &str) -> (Story, CallNumber) {
    let mut story = Story::new();
    let placed = story.switch.place_to_socket(from, socket("me"), ring_order(), story.moment());
    let (call, actions) = placed.unwrap();
    story.take(actions);
    (story, call)
}

#[test]
fn a_line_is_rung_then_its_application_dialled_which_joins_and_hangs_up() {
    let (mut story, call) = placed("1");
    assert!(rings(&story.drain(), "1"));
    story.answered("1");
    let orders = story.drain();
    assert_eq!(dialled(&orders), Some((URL.to_owned(), String::new())));
    assert!(orders.contains(&tone("1", ProgressTone::Ringback)));
    let view = story.only_call().view();
    assert_eq!((view.to.as_str(), view.state), (SHOWN, CallState::Ringing));
    story.input(Input::Joined { call });
    assert!(story.drain().contains(&Order::Tone { line: "1".to_owned(), tone: None }));
    assert_eq!(story.only_call().view().state, CallState::Connected);
    story.input(Input::Left { call, cause: Cause::NormalClearing });
    let cause = Cause::NormalClearing;
    assert!(story.drain().contains(&Order::Drop { line: "1".to_owned(), cause }));
    assert_eq!(story.switch.active().count(), 0);
}

#[test]
fn a_phone_that_is_put_down_tells_its_application() {
    let (mut story, call) = placed("1");
    story.answered("1");
    story.input(Input::Joined { call });
    story.drain();
    story.down("1");
    assert_eq!(left(&story.drain()), Some(true));
    // What comes late changes nothing.
    story.input(Input::Left { call, cause: Cause::NormalClearing });
    story.input(Input::Joined { call });
    assert!(story.drain().is_empty() && story.switch.active().count() == 0);
}

#[test]
fn an_application_that_cannot_be_reached_ends_the_call_with_its_cause() {
    let (mut story, call) = placed("1");
    story.answered("1");
    story.drain();
    story.input(Input::Left { call, cause: Cause::CallRejected });
    assert!(story.drain().contains(&tone("1", ProgressTone::Congestion)));
    let view = story.switch.call(call).unwrap().view();
    assert_eq!((view.state, view.cause.unwrap().code), (CallState::Ended, 21));
}

#[test]
fn a_number_of_the_plan_leads_to_an_application_and_a_sip_phone_is_answered_when_it_joins() {
    let mut story = Story::new();
    let mut plan = DialPlan::default();
    plan.add("700", Target::Socket(URL.to_owned()));
    let own = LinePlan { plan, ..LinePlan::default() };
    let plans = BTreeMap::from([("phone1".to_owned(), own)]);
    story.switch.set_line_plans(plans, DialPlan::default());
    story.invite("phone1", "700");
    let orders = story.drain();
    assert_eq!(dialled(&orders), Some((URL.to_owned(), "700".to_owned())));
    assert!(orders.contains(&Order::Alert { line: "phone1".to_owned() }));
    assert!(!orders.contains(&Order::Accept { line: "phone1".to_owned() }));
    let call = story.only_call().number;
    story.input(Input::Joined { call });
    assert!(story.drain().contains(&Order::Accept { line: "phone1".to_owned() }));
}

#[test]
fn a_call_that_is_handed_on_leaves_its_application() {
    let (mut story, call) = placed("1");
    story.answered("1");
    story.input(Input::Joined { call });
    story.drain();
    let handed = story.switch.hand_on(call, Target::Line("2".to_owned()), story.moment());
    story.take(handed.unwrap());
    let orders = story.drain();
    assert_eq!(left(&orders), Some(false));
    assert!(rings(&orders, "2"));
    story.input(Input::Left { call, cause: Cause::NormalClearing });
    story.answered("2");
    assert!(story.drain().contains(&bridge("1", "2")));
    assert_eq!(story.only_call().view().state, CallState::Connected);
}

#[test]
fn the_next_apid_dials_the_application_again() {
    let (mut story, call) = placed("1");
    story.answered("1");
    story.input(Input::Joined { call });
    let records = vec![story.only_call().clone()];
    let mut next = Story::new();
    let lines = [LineNow {
        line: "1".to_owned(),
        state: LineState::OffHook,
        phase: Some(Phase::Talking),
        tag: call.0,
        bridged: false,
        dialog: true,
    }];
    let actions = next.switch.adopt(records, true, &lines, next.moment());
    next.take(actions);
    assert!(dialled(&next.drain()).is_some());
    next.input(Input::Joined { call });
    let view = next.only_call().view();
    assert_eq!((view.state, view.legs.len()), (CallState::Connected, 2));
}
