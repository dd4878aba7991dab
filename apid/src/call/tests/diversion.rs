//! Calls that are sent on, in virtual time.

use super::*;
use crate::view::DiversionView;

fn divert(story: &mut Story, line: &str, diversion: DiversionView) {
    story.switch.set_diversion(line, diversion).expect("there is such a line");
}

fn number(number: &str) -> String {
    number.to_owned()
}

fn calls_102(story: &mut Story) -> Vec<Order> {
    story.lift("1");
    story.dial("1", "102");
    story.drain()
}

#[test]
fn every_call_goes_elsewhere_at_once() {
    let mut story = Story::new();
    divert(
        &mut story,
        "2",
        DiversionView { always: Some(number("201")), ..DiversionView::default() },
    );
    let orders = calls_102(&mut story);
    assert!(rings(&orders, "phone1") && !rings(&orders, "2"));
    assert_eq!(story.only_call().view().to, "line:phone1");
    assert!(story.switch.call_of("2").is_none());
}

#[test]
fn a_busy_line_and_one_that_nobody_may_disturb_send_on() {
    for disturbed in [true, false] {
        let mut story = Story::new();
        let busy = DiversionView {
            do_not_disturb: !disturbed,
            busy: Some(number("201")),
            ..DiversionView::default()
        };
        divert(&mut story, "2", busy);
        if disturbed {
            story.lift("2");
        }
        let orders = calls_102(&mut story);
        assert!(rings(&orders, "phone1") && !rings(&orders, "2"));
    }
}

#[test]
fn what_nobody_answers_is_sent_on_in_its_time() {
    let mut story = Story::new();
    let no_answer = DiversionView {
        no_answer: Some(number("201")),
        no_answer_after_ms: Some(15_000),
        ..DiversionView::default()
    };
    divert(&mut story, "2", no_answer);
    let orders = calls_102(&mut story);
    let rang = orders.iter().find_map(|order| match order {
        Order::Ring { line, timeout_ms, .. } if line == "2" => Some(*timeout_ms),
        _ => None,
    });
    assert_eq!(rang, Some(15_000));
    story.event("2", LineEvent::RingStopped { cause: RingStop::Timeout });
    story.down("2");
    assert!(rings(&story.drain(), "phone1"));
    assert!(story.switch.call_of("2").is_none());
    story.input(Input::Lifted { line: "phone1".to_owned(), media: media() });
    assert!(story.drain().contains(&bridge("1", "phone1")));
    story.down("1");
    assert_eq!(story.switch.calls().filter(|call| !call.is_over()).count(), 0);
}

#[test]
fn a_circle_is_busy() {
    let mut story = Story::new();
    divert(
        &mut story,
        "2",
        DiversionView { always: Some(number("201")), ..DiversionView::default() },
    );
    divert(
        &mut story,
        "phone1",
        DiversionView { always: Some(number("102")), ..DiversionView::default() },
    );
    let orders = calls_102(&mut story);
    assert!(orders.contains(&tone("1", ProgressTone::Busy)), "{orders:?}");
    assert_eq!(story.cause(), Some(Cause::UserBusy));
}
