//! One end hands the other over and leaves.

use super::*;

/// phone1 talks with line 1.
fn talking() -> Story {
    let mut story = Story::new();
    story.invite("phone1", "101");
    story.answered("1");
    story.drain();
    story
}

impl Story {
    fn transfer(&mut self, line: &str, to: &TransferTo) -> Result<(), Cause> {
        let now = self.moment();
        let actions = self.switch.transfer(line, to, now)?;
        self.take(actions);
        Ok(())
    }
}

fn number(digits: &str) -> TransferTo {
    TransferTo::Number(digits.to_owned())
}

#[test]
fn blind_the_other_one_hears_ringing_and_is_joined() {
    let mut story = talking();
    story.transfer("phone1", &number("102")).unwrap();
    let orders = story.drain();
    let at = |order: &Order| orders.iter().position(|o| o == order).unwrap();
    let told = at(&Order::Transferred { line: "phone1".to_owned() });
    assert_eq!(dropped(&orders, "phone1"), Some(Cause::NormalClearing));
    assert!(told < at(&tone("1", ProgressTone::Ringback)) && rings(&orders, "2"), "{orders:?}");
    assert_eq!(story.switch.call_of("phone1"), None);
    story.answered("2");
    let orders = story.drain();
    assert!(orders.contains(&bridge("1", "2")), "{orders:?}");
    let call = story.only_call();
    assert_eq!((call.stage, call.ends.to.as_str()), (Stage::Talking, "line:2"));
    assert_eq!(call.view().state, CallState::Connected);
    // The one who left is free, and its going changes nothing.
    story.phone_hangs_up("phone1");
    assert_eq!(story.only_call().stage, Stage::Talking);
    story.state("2", LineState::OnHook, None);
    assert_eq!(story.cause(), Some(Cause::NormalClearing));
}

#[test]
fn blind_to_somebody_who_does_not_answer() {
    let mut story = talking();
    story.transfer("phone1", &number("102")).unwrap();
    story.drain();
    let stopped = LineEvent::RingStopped { cause: RingStop::Timeout };
    story.input(Input::Line { line: "2".to_owned(), event: stopped });
    assert!(story.drain().contains(&tone("1", ProgressTone::Congestion)));
    assert_eq!(story.cause(), Some(Cause::NoAnswer));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut story = talking();
    for (to, cause) in [
        (number("999"), Cause::UnallocatedNumber),
        (number("101"), Cause::UserBusy),
        (number("202"), Cause::SubscriberAbsent),
        (TransferTo::CallOf("2".to_owned()), Cause::NormalClearing),
        (TransferTo::CallOf("1".to_owned()), Cause::CallRejected),
    ] {
        assert_eq!(story.transfer("phone1", &to), Err(cause), "{to:?}");
        assert_eq!(story.drain(), []);
        assert_eq!(story.only_call().stage, Stage::Talking);
    }
    assert_eq!(story.transfer("2", &number("600")), Err(Cause::NormalClearing));
}

#[test]
fn attended_both_others_are_joined() {
    let mut story = talking();
    story.input(Input::Reachable { line: "phone2".to_owned(), reachable: true });
    story.invite("phone2", "102");
    story.answered("2");
    story.drain();
    story.transfer("phone1", &TransferTo::CallOf("phone2".to_owned())).unwrap();
    let orders = story.drain();
    let at = |wanted: &Order| orders.iter().position(|o| o == wanted).unwrap();
    let cause = Cause::NormalClearing;
    let last_drop = at(&Order::Drop { line: "phone2".to_owned(), cause });
    assert!(at(&Order::Drop { line: "phone1".to_owned(), cause }) < last_drop);
    assert!(last_drop < at(&bridge("1", "2")), "{orders:?}");
    assert_eq!(dropped(&orders, "1").or(dropped(&orders, "2")), None);
    let talking: Vec<_> = story.switch.active().collect();
    assert_eq!(talking.len(), 1);
    assert_eq!((talking[0].stage, talking[0].ends.to.as_str()), (Stage::Talking, "line:2"));
    assert_eq!(story.switch.call_of("2"), story.switch.call_of("1"));
    story.state("1", LineState::OnHook, None);
    assert_eq!(dropped(&story.drain(), "2"), Some(cause));
    assert_eq!(story.switch.active().count(), 0);
}
