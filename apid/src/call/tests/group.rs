//! Ring groups, in virtual time.

use super::*;

/// Line 1 has dialled a group of line 2 and phone1.
fn dialled() -> Story {
    let mut story = Story::new();
    let group = ["2", "phone1", "2"].map(str::to_owned).to_vec();
    story.switch.config.plan.add("300", Target::Group(group));
    story.lift("1");
    story.dial("1", "300");
    story
}

fn stopped(orders: &[Order], who: &str) -> bool {
    orders.iter().any(|order| matches!(order, Order::StopRing { line, .. } if line == who))
}

#[test]
fn who_answers_first_talks_and_the_others_ring_no_more() {
    for (first, other) in [("2", "phone1"), ("phone1", "2")] {
        let mut story = dialled();
        let orders = story.drain();
        let rung = |who| orders.iter().filter(|o| rings(std::slice::from_ref(o), who)).count();
        assert_eq!((rung("2"), rung("phone1")), (1, 1), "each once");
        if first == "2" {
            story.answered("2");
        } else {
            story.input(Input::Lifted { line: "phone1".to_owned(), media: media() });
        }
        let orders = story.drain();
        assert!(stopped(&orders, other) && orders.contains(&bridge("1", first)), "{orders:?}");
        assert_eq!(story.only_call().view().to, format!("line:{first}"));
        assert!(story.switch.call_of(other).is_none());
    }
}

#[test]
fn one_that_refuses_leaves_the_others_ringing() {
    let mut story = dialled();
    story.drain();
    story.input(Input::Refused { line: "phone1".to_owned(), cause: Cause::UserBusy });
    assert!(story.drain().iter().all(|order| !matches!(order, Order::Tone { .. })));
    assert!(story.switch.call_of("2").is_some() && story.switch.call_of("phone1").is_none());
    story.event("2", LineEvent::RingStopped { cause: RingStop::Timeout });
    assert!(story.drain().contains(&tone("1", ProgressTone::Congestion)), "nobody answers");
    story.down("1");
    assert_eq!(story.switch.active().count(), 0);
}

#[test]
fn only_those_who_are_free_ring_and_all_stop_with_the_caller() {
    let mut story = Story::new();
    let group = ["2", "phone1"].map(str::to_owned).to_vec();
    story.switch.config.plan.add("300", Target::Group(group));
    story.lift("2");
    story.lift("1");
    story.dial("1", "300");
    let orders = story.drain();
    assert!(rings(&orders, "phone1") && !rings(&orders, "2"));
    story.down("1");
    assert!(stopped(&story.drain(), "phone1"));
    // Nobody is free.
    story.input(Input::Reachable { line: "phone1".to_owned(), reachable: false });
    story.lift("1");
    story.dial("1", "300");
    assert!(story.drain().contains(&tone("1", ProgressTone::Busy)));
}
