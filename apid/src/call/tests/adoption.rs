//! What a new apid makes of an earlier one's journal.

use super::*;

fn talking() -> (Vec<CallRecord>, u64) {
    let mut story = Story::new();
    story.invite("phone1", "101");
    story.answered("1");
    let records: Vec<CallRecord> = story.switch.active().cloned().collect();
    let text = serde_json::to_string(&records).unwrap();
    let number = records[0].number.0;
    (serde_json::from_str(&text).unwrap(), number)
}

fn line_now(line: &str, state: LineState, tag: u64) -> LineNow {
    let phase = (state == LineState::OffHook).then_some(Phase::Talking);
    let bridged = state == LineState::OffHook;
    LineNow { line: line.to_owned(), state, phase, tag, bridged, dialog: true }
}

fn adopted(records: Vec<CallRecord>, same_engine: bool, lines: &[LineNow]) -> Story {
    let mut story = Story::new();
    let moment = story.moment();
    let actions = story.switch.adopt(records, same_engine, lines, moment);
    story.take(actions);
    story
}

#[test]
fn a_new_apid_adopts_a_call_whose_lines_carry_its_number() {
    let (records, number) = talking();
    let lines =
        [line_now("1", LineState::OffHook, number), line_now("phone1", LineState::OffHook, number)];
    let mut story = adopted(records, true, &lines);
    assert_eq!(story.drain(), []);
    assert_eq!(story.only_call().view().state, CallState::Connected);
    story.down("1");
    assert_eq!(dropped(&story.drain(), "phone1"), Some(Cause::NormalClearing));
}

#[test]
fn a_phone_put_down_while_nobody_looked_has_ended_its_call() {
    let (records, number) = talking();
    let lines =
        [line_now("1", LineState::OnHook, 0), line_now("phone1", LineState::OffHook, number)];
    let mut story = adopted(records, true, &lines);
    assert_eq!(dropped(&story.drain(), "phone1"), Some(Cause::NormalClearing));
    assert_eq!(story.cause(), Some(Cause::NormalClearing));
}

#[test]
fn a_dialog_that_is_lost_ends_its_call_on_both_sides() {
    let (records, number) = talking();
    let mut lines =
        [line_now("1", LineState::OffHook, number), line_now("phone1", LineState::OffHook, number)];
    lines[1].dialog = false;
    let mut story = adopted(records, true, &lines);
    let orders = story.drain();
    assert!(dropped(&orders, "phone1").is_some() && dropped(&orders, "1").is_some());
}

#[test]
fn calls_of_another_engine_are_over_and_their_dialogs_end() {
    let (records, _) = talking();
    let lines = [line_now("1", LineState::OnHook, 0), line_now("phone1", LineState::OnHook, 0)];
    let mut story = adopted(records, false, &lines);
    assert_eq!(dropped(&story.drain(), "phone1"), Some(Cause::TemporaryFailure));
    assert_eq!(story.cause(), Some(Cause::TemporaryFailure));
}

#[test]
fn an_answer_that_came_while_nobody_looked_is_acted_on() {
    let mut story = Story::new();
    story.lift("1");
    story.dial("1", "102");
    let records: Vec<CallRecord> = story.switch.active().cloned().collect();
    let number = records[0].number.0;
    let mut lines =
        [line_now("1", LineState::OffHook, number), line_now("2", LineState::OffHook, number)];
    lines[0].bridged = false;
    lines[1].bridged = false;
    let mut story = adopted(records, true, &lines);
    assert!(story.drain().contains(&bridge("1", "2")));
    assert_eq!(story.only_call().stage, Stage::Talking);
}

#[test]
fn lines_that_belong_to_nobody_are_reset_and_those_that_dial_go_on() {
    let mut dials = line_now("2", LineState::OffHook, 0);
    dials.phase = Some(Phase::DialTone);
    let lines = [
        line_now("1", LineState::OffHook, 77),
        dials,
        line_now("phone1", LineState::OffHook, 0),
        line_now("phone2", LineState::OnHook, 0),
    ];
    let mut story = adopted(Vec::new(), true, &lines);
    let reset = |line: &str| Order::Reset { line: line.to_owned() };
    assert_eq!(story.drain(), [reset("1"), reset("phone1")]);
    story.dial("2", "600");
    assert!(story.drain().contains(&Order::Echo { line: "2".to_owned() }));
}
