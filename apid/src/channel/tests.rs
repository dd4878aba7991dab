//! Calls as a program for Asterisk sees them, in order.

use super::*;
use crate::hub::{DigitSource, Notice, NoticeBody};
use crate::view::{
    Call, CallState, CallerIdView, CauseView, HookSource, Leg, LegKind, LegState, Timestamp,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

#[derive(Default)]
struct World {
    registry: Registry,
    now_in: BTreeMap<String, Call>,
    ms: u64,
}

impl Lookup for BTreeMap<String, Call> {
    fn endpoint(&self, line: &str) -> Option<Endpoint> {
        let (kind, name, number) = match line {
            "phone1" => (EndpointKind::Sip, "201", "201"),
            "phone2" => (EndpointKind::Sip, "202", "202"),
            "card" => (EndpointKind::Dahdi, "1", "301"),
            _ => (EndpointKind::Sim, "1", "101"),
        };
        let caller_name = format!("Name of {line}");
        Some(Endpoint { kind, name: name.to_owned(), number: number.to_owned(), caller_name })
    }

    fn call_of(&self, line: &str) -> Option<Call> {
        self.get(line).cloned()
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp(UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + ms))
}

fn call(id: &str, from: &str, to: &str, state: CallState, legs: &[(&str, LegState)]) -> Call {
    let leg = |(address, state): &(&str, LegState)| Leg {
        kind: if address.starts_with("line:") { LegKind::Line } else { LegKind::Application },
        address: (*address).to_owned(),
        line: address.strip_prefix("line:").map(str::to_owned),
        state: *state,
        cause: None,
        media: None,
    };
    let answered = matches!(state, CallState::Connected | CallState::Held);
    Call {
        id: id.to_owned(),
        state,
        from: from.to_owned(),
        to: to.to_owned(),
        legs: legs.iter().map(leg).collect(),
        started_at: at(0),
        answered_at: answered.then(|| at(5)),
        ended_at: (state == CallState::Ended).then(|| at(50)),
        cause: None,
        media: None,
    }
}

impl World {
    fn notice(&mut self, line: Option<&str>, body: NoticeBody) -> Vec<ChannelNews> {
        self.ms += 1;
        let line = line.map(str::to_owned);
        let notice = Notice { seq: self.ms, at: at(self.ms), line, call_id: None, body };
        self.registry.handle(&notice, &self.now_in)
    }

    fn started(&mut self, call: Call) -> Vec<ChannelNews> {
        self.notice(None, NoticeBody::CallStarted { call: Arc::new(call) })
    }

    fn ringing(&mut self, call: Call) -> Vec<ChannelNews> {
        self.notice(None, NoticeBody::CallRinging { call: Arc::new(call) })
    }

    fn connected(&mut self, call: Call) -> Vec<ChannelNews> {
        self.notice(None, NoticeBody::CallConnected { call: Arc::new(call) })
    }

    fn ended(&mut self, call: Call, code: u8) -> Vec<ChannelNews> {
        let cause = CauseView { code, text: String::new() };
        self.notice(None, NoticeBody::CallEnded { call: Arc::new(call), cause })
    }
}

/// One word for each, with the channel.
fn words(news: &[ChannelNews]) -> Vec<String> {
    let word = |news: &ChannelNews| {
        let short = |name: &str| {
            let (device, serial) = name.split_once('-').unwrap_or((name, ""));
            format!("{device}{}", serial.trim_start_matches(|sign: char| sign.is_ascii_hexdigit()))
        };
        let name = |c: &Arc<Channel>| short(&c.name);
        let channel = news.channel.as_ref().map_or_else(|| "-".to_owned(), name);
        let what = match &news.body {
            NewsBody::State => {
                format!("State {}", news.channel.as_ref().map_or("", |c| c.state.text()))
            }
            NewsBody::CallerId => "CallerId".to_owned(),
            NewsBody::VarSet { variable, value } => format!("VarSet {variable}={value}"),
            NewsBody::Exten => {
                let channel = news.channel.as_ref().unwrap();
                format!(
                    "Exten {} {}({})",
                    channel.position.exten, channel.application, channel.data
                )
            }
            NewsBody::DialBegin { destination, .. } => format!("DialBegin {}", name(destination)),
            NewsBody::DialEnd { destination, outcome } => {
                format!("DialEnd {} {}", name(destination), outcome.text())
            }
            NewsBody::Link { other, .. } => format!("Link {}", name(other)),
            NewsBody::Unlink { other, .. } => format!("Unlink {}", name(other)),
            NewsBody::Conference { what, members, .. } => format!("Conference {what:?} {members}"),
            NewsBody::LocalBridge { other, .. } => format!("LocalBridge {}", name(other)),
            NewsBody::LocalOptimization { ends, .. } => format!("LocalOptimization {ends}"),
            NewsBody::Rename { old } => format!("Rename {}", short(old)),
            NewsBody::Hangup { cause } => format!("Hangup {cause}"),
            NewsBody::Cdr(detail) => format!("Cdr {} {}", detail.destination, detail.cause),
            NewsBody::DtmfBegin { digit, .. } => format!("DtmfBegin {digit}"),
            NewsBody::DtmfEnd { digit, duration_ms, .. } => {
                format!("DtmfEnd {digit} {duration_ms}")
            }
            other => format!("{other:?}"),
        };
        format!("{channel} {what}")
    };
    news.iter().map(word).collect()
}

use CallState as C;
use LegState as L;

#[test]
fn a_call_between_two_phones_is_told_whole_and_in_order() {
    let mut world = World::default();
    let (one, two) = ("line:phone1", "line:phone2");
    let started = call("a", one, "number:202", C::Ringing, &[(one, L::Connected)]);
    assert_eq!(words(&world.started(started)), ["SIP/201 New"]);
    let ringing = call("a", one, two, C::Ringing, &[(one, L::Connected), (two, L::Ringing)]);
    assert_eq!(
        words(&world.ringing(ringing)),
        [
            "SIP/202 New",
            "SIP/201 DialBegin SIP/202",
            "SIP/202 State Ringing",
            "SIP/201 Exten 202 Dial(SIP/202)",
        ]
    );
    let talking = [(one, L::Connected), (two, L::Connected)];
    assert_eq!(
        words(&world.connected(call("a", one, two, C::Connected, &talking))),
        [
            "SIP/201 State Up",
            "SIP/202 State Up",
            "SIP/201 DialEnd SIP/202 ANSWER",
            "SIP/201 Link SIP/202",
        ]
    );
    let held = [(one, L::Held), (two, L::Connected)];
    let body = NoticeBody::CallHeld { call: Arc::new(call("a", one, two, C::Held, &held)) };
    assert_eq!(words(&world.notice(None, body)), ["SIP/201 Hold { on: true }"]);
    let dtmf = NoticeBody::Dtmf {
        digit: '7',
        duration_ms: 90,
        signal_level_dbm0: None,
        twist_db: None,
        source: DigitSource::TelephoneEvent,
    };
    let digits = words(&world.notice(Some("phone2"), dtmf));
    assert_eq!(digits, ["SIP/202 DtmfBegin 7", "SIP/202 DtmfEnd 7 90"]);
    let ended = [(one, L::Ended), (two, L::Ended)];
    assert_eq!(
        words(&world.ended(call("a", one, two, C::Ended, &ended), 16)),
        ["SIP/202 Unlink SIP/201", "SIP/202 Hangup 16", "SIP/201 Hangup 16", "- Cdr 202 16"]
    );
    assert!(world.registry.all().is_empty());
}

#[test]
fn what_an_application_calls_is_given_its_caller_and_variables_before_it_rings() {
    let mut world = World::default();
    let caller = CallerIdView { number: "301".to_owned(), name: "Caller".to_owned() };
    let variables = vec![("AsyncOrigId".to_owned(), "x".to_owned())];
    let expected = Expected { caller, variables, ..Expected::default() };
    let serial = world.registry.expect("phone1", expected);
    let legs = [("app:api", L::Connected), ("line:phone1", L::Ringing)];
    let ringing = call("b", "app:api", "line:phone1", C::Ringing, &legs);
    let news = world.started(ringing.clone());
    let first = news[0].channel.clone().unwrap();
    assert_eq!(first.name, format!("SIP/201-{serial:08x}"));
    assert_eq!(first.unique_id, format!("1700000000.{serial}"));
    assert_eq!(
        words(&news),
        ["SIP/201 New", "SIP/201 CallerId", "SIP/201 VarSet AsyncOrigId=x", "- DialBegin SIP/201"]
    );
    assert_eq!(world.registry.variables(&first.unique_id).unwrap().get("AsyncOrigId"), Some("x"));
    assert_eq!(words(&world.ringing(ringing)), ["SIP/201 State Ringing"]);
    let legs = [("app:api", L::Ended), ("line:phone1", L::Ended)];
    assert_eq!(
        words(&world.ended(call("b", "app:api", "line:phone1", C::Ended, &legs), 17)),
        ["- DialEnd SIP/201 BUSY", "SIP/201 Hangup 17", "- Cdr  17"]
    );
}

#[test]
fn a_pair_without_telephones_dials_and_gives_way_to_the_phone_that_answers() {
    let mut world = World::default();
    let expected = || Expected {
        caller: CallerIdView { number: "301".to_owned(), name: String::new() },
        variables: vec![("AsyncOrigId".to_owned(), "x".to_owned())],
        local: Some(Local { exten: "201".to_owned(), context: "default".to_owned() }),
        ..Expected::default()
    };
    let serial = world.registry.expect("phone1", expected());
    let rings = call("b", "app:api", "line:phone1", C::Ringing, &[("line:phone1", L::Ringing)]);
    assert_eq!(
        words(&world.ringing(rings)),
        [
            "Local/201@default;1 New",
            "Local/201@default;2 New",
            "Local/201@default;1 CallerId",
            "Local/201@default;1 VarSet AsyncOrigId=x",
            "Local/201@default;1 LocalBridge Local/201@default;2",
            "Local/201@default;2 Exten 201 Dial(SIP/201)",
            "SIP/201 New",
            "Local/201@default;2 DialBegin SIP/201",
            "SIP/201 State Ringing",
            "Local/201@default;1 State Ringing",
        ]
    );
    assert_eq!(world.registry.all().len(), 3);
    let id = format!("1700000000.{serial}");
    let name = format!("Local/201@default-{serial:08x};1");
    assert_eq!(world.registry.find(&name).unwrap().unique_id, id);
    let talks = [("app:api", L::Connected), ("line:phone1", L::Connected)];
    let up = call("b", "app:api", "line:phone1", C::Connected, &talks);
    assert_eq!(
        words(&world.connected(up)),
        [
            "SIP/201 State Up",
            "Local/201@default;2 DialEnd SIP/201 ANSWER",
            "Local/201@default;2 State Up",
            "Local/201@default;1 State Up",
            "Local/201@default;1 LocalOptimization false",
            "SIP/201<MASQ> Rename SIP/201",
            "SIP/201 Rename Local/201@default;1",
            "Local/201@default;1<ZOMBIE> Rename SIP/201<MASQ>",
            "Local/201@default;1 LocalOptimization true",
            "Local/201@default;1<ZOMBIE> Hangup 16",
            "Local/201@default;2 Hangup 16",
        ]
    );
    let all = world.registry.all();
    assert_eq!((all.len(), &*all[0].unique_id, &*all[0].caller.number), (1, &*id, "301"));
    assert_eq!(world.registry.variables(&id).unwrap().get("AsyncOrigId"), Some("x"));
    let over = call("b", "app:api", "line:phone1", C::Ended, &[("line:phone1", L::Ended)]);
    assert_eq!(words(&world.ended(over.clone(), 16)), ["SIP/201 Hangup 16", "- Cdr  16"]);

    // Nobody lifts it, or news were lost meanwhile: nothing of the pair stays.
    for lost in [false, true] {
        world.registry.expect("phone1", expected());
        let rings = [("line:phone1", L::Ringing)];
        world.ringing(call("b", "app:api", "line:phone1", C::Ringing, &rings));
        let news = if lost {
            let now_in = world.now_in.clone();
            world.registry.resync(&[], at(20), &now_in)
        } else {
            world.ended(over.clone(), 19)
        };
        let gone = ["SIP/201 Hangup", "Local/201@default;2 Hangup", "Local/201@default;1 Hangup"];
        let told = words(&news);
        let hung_up: Vec<_> = told.iter().filter(|word| word.contains("Hangup")).collect();
        assert!(hung_up.iter().zip(gone).all(|(word, gone)| word.starts_with(gone)), "{told:?}");
        assert_eq!((hung_up.len(), world.registry.all().len()), (3, 0), "{told:?}");
    }
}

#[test]
fn a_line_that_is_handed_on_keeps_its_channel() {
    let mut world = World::default();
    let up = |id: &str, line: &str| {
        let to = [(line, L::Connected), ("app:api", L::Connected)];
        call(id, line, "app:api", C::Connected, &to)
    };
    world.connected(up("a", "line:phone1"));
    world.connected(up("b", "line:card"));
    let id = world.registry.of_line("card").unwrap().unique_id.clone();
    assert_eq!(world.registry.of_line("card").unwrap().name, "DAHDI/1-1");
    let both = [("line:phone1", L::Connected), ("line:card", L::Connected)];
    let joined = call("a", "line:phone1", "line:card", C::Connected, &both);
    world.now_in.insert("card".to_owned(), joined.clone());
    let over = [("line:card", L::Ended), ("app:api", L::Ended)];
    let news = world.ended(call("b", "line:card", "app:api", C::Ended, &over), 16);
    assert_eq!(words(&news), [""; 0]);
    let news = world.connected(joined);
    assert_eq!(words(&news), ["SIP/201 Exten  Dial(DAHDI/1)", "SIP/201 Link DAHDI/1"]);
    assert_eq!(world.registry.of_line("card").unwrap().unique_id, id);
}

#[test]
fn what_a_program_still_tells_comes_before_the_hang_up() {
    let mut world = World::default();
    let up = |id: &str| {
        let legs = [("line:card", L::Connected), ("app:x", L::Connected)];
        call(id, "line:card", "app:x", C::Connected, &legs)
    };
    let over = |id: &str| {
        let legs = [("line:card", L::Ended), ("app:x", L::Ended)];
        call(id, "line:card", "app:x", C::Ended, &legs)
    };
    world.connected(up("a"));
    let id = world.registry.of_line("card").unwrap().unique_id.clone();
    world.registry.hold(&id);
    assert_eq!(words(&world.ended(over("a"), 16)), [""; 0]);
    assert!(world.registry.all().is_empty() && world.registry.find(&id).is_none());
    let told = world.registry.update(&id, |_| {}, NewsBody::AsyncAgiEnd, at(9));
    assert_eq!(words(&told), ["DAHDI/1 AsyncAgiEnd"]);
    assert!(world.registry.set_variable(Some(&id), "STATUS", "HANGUP", at(9)).is_ok());
    assert_eq!(words(&world.registry.release(&id, at(10))), ["DAHDI/1 Hangup 16", "- Cdr  16"]);
    assert!(world.registry.release(&id, at(11)).is_empty());

    // A line that is called again has one channel at a time.
    world.connected(up("b"));
    let id = world.registry.of_line("card").unwrap().unique_id.clone();
    world.registry.hold(&id);
    world.ended(over("b"), 17);
    let news = words(&world.connected(up("c")));
    assert_eq!(news[..3], ["DAHDI/1 Hangup 17", "- Cdr  17", "DAHDI/1 New"]);
    // One whose program has left is as any other.
    let id = world.registry.of_line("card").unwrap().unique_id.clone();
    world.registry.hold(&id);
    assert!(world.registry.release(&id, at(12)).is_empty());
    assert_eq!(words(&world.ended(over("c"), 16)), ["DAHDI/1 Hangup 16", "- Cdr  16"]);
}

#[test]
fn a_phone_that_hangs_up_asks_for_it_first() {
    let mut world = World::default();
    let legs = [("line:1", L::Connected), ("app:echo", L::Connected)];
    let news = world.connected(call("a", "line:1", "app:echo", C::Connected, &legs));
    assert_eq!(words(&news), ["SIM/1 New", "SIM/1 State Up", "SIM/1 Exten  Echo()"]);
    let down = NoticeBody::OnHook { source: HookSource::Loop };
    assert_eq!(words(&world.notice(Some("1"), down)), ["SIM/1 HangupRequest"]);
}

#[test]
fn news_that_were_lost_are_made_up_for() {
    let mut world = World::default();
    let legs = [("line:1", L::Connected), ("app:echo", L::Connected)];
    world.connected(call("a", "line:1", "app:echo", C::Connected, &legs));
    let other =
        call("c", "line:phone1", "app:echo", C::Connected, &[("line:phone1", L::Connected)]);
    let news = world.registry.resync(&[other], at(99), &world.now_in);
    assert_eq!(
        words(&news),
        ["SIM/1 Hangup 16", "SIP/201 New", "SIP/201 State Up", "SIP/201 Exten  Echo()"]
    );
}

#[test]
fn variables_are_bounded() {
    let mut world = World::default();
    let legs = [("line:1", L::Connected)];
    world.connected(call("a", "line:1", "app:echo", C::Connected, &legs));
    let id = world.registry.of_line("1").unwrap().unique_id.clone();
    let mut set = |name: &str, value: &str| {
        world.registry.set_variable(Some(&id), name, value, at(1)).map(|news| words(&news))
    };
    assert_eq!(set("A", "1").unwrap(), ["SIM/1 VarSet A=1"]);
    assert_eq!(set("", "1"), Err(VariableError::Name));
    assert_eq!(set("A", &"x".repeat(8193)), Err(VariableError::Value));
    for n in 0..255 {
        set(&format!("V{n}"), "1").unwrap();
    }
    assert_eq!(set("OneMore", "1"), Err(VariableError::Full));
    assert_eq!(set("A", "2").unwrap(), ["SIM/1 VarSet A=2"]);
    set("A", "").unwrap();
    assert!(set("OneMore", "1").is_ok());
    assert_eq!(
        world.registry.set_variable(Some("1.99"), "A", "1", at(1)),
        Err(VariableError::NoSuchChannel)
    );
    let news = world.registry.set_variable(None, "GLOBAL", "g", at(1)).unwrap();
    assert_eq!(words(&news), ["- VarSet GLOBAL=g"]);
    assert_eq!(world.registry.globals().get("GLOBAL"), Some("g"));
}

#[test]
fn a_form_of_news_is_made_once_for_all_who_are_told() {
    let made = std::cell::Cell::new(0);
    let told =
        Told::new(ChannelNews { at: Timestamp::now(), channel: None, body: NewsBody::AsyncAgiEnd });
    let text = |form| {
        told.texts(form, |_| {
            made.set(made.get() + 1);
            vec![format!("form {form}")]
        })
    };
    assert_eq!(
        (text(0), text(2), text(0)),
        (&["form 0".to_owned()][..], &["form 2".to_owned()][..], &["form 0".to_owned()][..])
    );
    assert_eq!(made.get(), 2);
}

#[test]
fn a_conference_begins_with_the_first_who_sits_there_and_ends_with_the_last() {
    let mut world = World::default();
    let conference = || "club".to_owned();
    let mut told = Vec::new();
    for (id, line) in [("a", "phone1"), ("b", "card")] {
        let address = format!("line:{line}");
        let legs = [(address.as_str(), L::Connected), ("conference:club", L::Connected)];
        world.connected(call(id, &address, "conference:club", C::Connected, &legs));
        let joined = NoticeBody::ConferenceJoined { conference: conference() };
        told.extend(world.notice(Some(line), joined));
    }
    let talks = NoticeBody::ConferenceSpeaking { conference: conference(), speaking: true };
    told.extend(world.notice(Some("card"), talks));
    for line in ["phone1", "card"] {
        told.extend(
            world.notice(Some(line), NoticeBody::ConferenceLeft { conference: conference() }),
        );
    }
    assert_eq!(
        words(&told),
        [
            "- Conference Starts 0",
            "SIP/201 Conference Joins 1",
            "DAHDI/1 Conference Joins 2",
            "DAHDI/1 Conference Talks(true) 2",
            "SIP/201 Conference Leaves 1",
            "DAHDI/1 Conference Leaves 0",
            "- Conference Ends 0",
        ]
    );
}
