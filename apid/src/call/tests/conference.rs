//! Who sits in which conference, in virtual time.

use super::*;

/// Everybody may dial the lobby by 800; there are two conferences of three lines.
fn story() -> Story {
    let mut story = Story::new();
    let mut plan = DialPlan::default();
    plan.add("800", Target::Conference("lobby".to_owned()));
    plan.add("401", Target::Plan("default".to_owned()));
    story.switch.set_line_plans(std::collections::BTreeMap::new(), plan);
    story.switch.config.conferences = 2;
    story.switch.config.conference_members = 3;
    story.switch.config.max_calls = 10;
    story.input(Input::Reachable { line: "phone2".to_owned(), reachable: true });
    story
}

fn ring() -> RingOrder {
    RingOrder { caller: CallerIdView::default(), timeout_ms: 1000, cadence_ms: vec![2000, 4000] }
}

fn confer(story: &mut Story, line: &str, name: &str, role: Role) -> Result<CallNumber, Cause> {
    let moment = story.moment();
    let (call, actions) = story.switch.confer(line, name, role, ring(), moment)?;
    story.take(actions);
    Ok(call)
}

fn leave(story: &mut Story, line: &str) {
    let moment = story.moment();
    let actions = story.switch.leave_conference(line, "lobby", moment).unwrap();
    story.take(actions);
}

fn sitting(story: &Story, name: &str) -> Vec<String> {
    story.switch.sitting(Some(name)).flat_map(CallRecord::lines).map(str::to_owned).collect()
}

/// Line, the engine's number and the role of those who were told to sit down.
fn seated(orders: &[Order]) -> Vec<(&str, u16, Role)> {
    let seats = orders.iter().filter_map(|order| match order {
        Order::Confer { line, seat } => Some((line.as_str(), seat.number, seat.role.clone())),
        _ => None,
    });
    seats.collect()
}

fn parted(orders: &[Order], who: &str) -> bool {
    orders.contains(&Order::Part { line: who.to_owned() })
}

fn left(story: &Story) -> usize {
    story.news.iter().filter(|news| matches!(news, News::LeftConference(_))).count()
}

#[test]
fn who_dials_is_asked_or_calls_sits_down_and_leaves_by_hanging_up() {
    let mut story = story();
    story.lift("1");
    story.dial("1", "800");
    assert_eq!(seated(&story.drain()), [("1", 0, Role::Speaks)]);
    assert!(matches!(story.news.last(), Some(News::JoinedConference(_))));
    story.invite("phone1", "800");
    let orders = story.drain();
    assert!(orders.contains(&Order::Accept { line: "phone1".to_owned() }));
    assert_eq!(seated(&orders), [("phone1", 0, Role::Speaks)]);
    confer(&mut story, "2", "lobby", Role::Listens).unwrap();
    assert!(rings(&story.drain(), "2"));
    assert_eq!(sitting(&story, "lobby"), ["1", "phone1"]);
    story.answered("2");
    assert_eq!(seated(&story.drain()), [("2", 0, Role::Listens)]);
    assert_eq!(sitting(&story, "lobby"), ["1", "phone1", "2"]);
    assert_eq!(confer(&mut story, "phone2", "lobby", Role::Speaks), Err(Cause::UserBusy));
    story.invite("phone2", "800");
    assert_eq!(dropped(&story.drain(), "phone2"), Some(Cause::UserBusy));
    story.down("1");
    story.phone_hangs_up("phone1");
    assert_eq!((sitting(&story, "lobby"), left(&story)), (vec!["2".to_owned()], 2));
    leave(&mut story, "2");
    assert_eq!(dropped(&story.drain(), "2"), Some(Cause::NormalClearing));
    assert_eq!((sitting(&story, "lobby").len(), left(&story)), (0, 3));
}

#[test]
fn who_talks_is_taken_out_of_the_call_and_goes_on_from_there() {
    let mut story = story();
    story.lift("1");
    story.dial("1", "102");
    story.answered("2");
    story.drain();
    confer(&mut story, "2", "other", Role::Whispers("1".to_owned())).unwrap();
    let orders = story.drain();
    assert!(parted(&orders, "2") && dropped(&orders, "1").is_some());
    assert_eq!(seated(&orders), [("2", 0, Role::Whispers("1".to_owned()))]);
    // To the next one, which has a number of its own until the first one is over.
    confer(&mut story, "2", "lobby", Role::Speaks).unwrap();
    let orders = story.drain();
    assert!(parted(&orders, "2"));
    assert_eq!(seated(&orders).len(), 1);
    assert_eq!((sitting(&story, "other").len(), sitting(&story, "lobby").len()), (0, 1));
    let (call, moment) = (story.switch.call_of("2").unwrap(), story.moment());
    let actions = story.switch.hand_on(call, Target::Echo, moment).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert!(parted(&orders, "2") && orders.contains(&Order::Echo { line: "2".to_owned() }));
    assert!(sitting(&story, "lobby").is_empty());
    confer(&mut story, "2", "a", Role::Speaks).unwrap();
    confer(&mut story, "phone1", "b", Role::Speaks).unwrap();
    story.input(Input::Lifted { line: "phone1".to_owned(), media: media() });
    assert_eq!(confer(&mut story, "phone2", "c", Role::Speaks), Err(Cause::ResourceUnavailable));
}

#[test]
fn a_plan_has_its_line_back() {
    let mut story = story();
    story.invite("phone1", "401");
    let (call, moment) = (story.only_call().number, story.moment());
    let actions = story.switch.confer_kept(call, "lobby", Role::Speaks, moment).unwrap();
    story.take(actions);
    let orders = story.drain();
    assert!(orders.contains(&Order::Accept { line: "phone1".to_owned() }));
    assert_eq!(seated(&orders).len(), 1);
    leave(&mut story, "phone1");
    let orders = story.drain();
    assert!(parted(&orders, "phone1") && dropped(&orders, "phone1").is_none());
    assert!(matches!(story.news.last(), Some(News::DialOver(_, Cause::NormalClearing))));
    assert_eq!(story.only_call().view().state, CallState::Connected);
    let again = story.switch.confer_kept(call, "lobby", Role::Speaks, moment);
    assert!(again.is_ok(), "{again:?}");
}

#[test]
fn a_muted_one_is_heard_again_when_it_leaves_and_names_are_checked() {
    let mut story = story();
    story.lift("1");
    story.dial("1", "800");
    story.drain();
    for _ in 0..2 {
        let actions = story.switch.note_muted("1", true);
        story.take(actions);
    }
    let muted = story.news.iter().filter(|news| matches!(news, News::MutedInConference(_)));
    assert_eq!(muted.count(), 1);
    let (call, moment) = (story.only_call().number, story.moment());
    let actions = story.switch.hand_on(call, Target::Echo, moment).unwrap();
    story.take(actions);
    assert!(story.drain().contains(&Order::Unmute { line: "1".to_owned() }));
    let (long, longest) = ("x".repeat(65), "x".repeat(64));
    let names = [("a-B_3.c", true), (&longest, true), (&long, false), ("", false), ("a b", false)];
    assert!(names.iter().all(|(name, fits)| Switch::is_conference(name) == *fits));
}

#[test]
fn a_new_apid_finds_who_sits_there() {
    let mut story = story();
    story.lift("1");
    story.dial("1", "800");
    let records: Vec<CallRecord> = story.switch.active().cloned().collect();
    let text = serde_json::to_string(&records).unwrap();
    let number = records[0].number.0;
    for (bridged, sits) in [(true, 1), (false, 0)] {
        let mut next = Story::new();
        let now = LineNow {
            line: "1".to_owned(),
            state: LineState::OffHook,
            phase: Some(Phase::Talking),
            tag: number,
            bridged,
            dialog: true,
        };
        let moment = next.moment();
        let records = serde_json::from_str(&text).unwrap();
        let actions = next.switch.adopt(records, true, &[now], moment);
        next.take(actions);
        assert_eq!(sitting(&next, "lobby").len(), sits, "bridged: {bridged}");
        assert!(seated(&next.drain()).is_empty());
    }
}
