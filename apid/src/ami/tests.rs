//! The wire, sessions, filters and bans; no socket, no clock.

use super::classes::Classes;
use super::defence::Defence;
use super::filter::Filter;
use super::session::{Session, Step, hex};
use super::settings::{AmiSettings, AmiUser, Dialect};
use super::wire::{Decoder, MAX_HEADERS, MAX_LINE, Message, Packet, WireError, encoded};
use md5::{Digest, Md5};
use std::sync::Arc;
use std::time::Duration;

fn packets(octets: &[u8]) -> Result<Vec<Packet>, WireError> {
    let mut decoder = Decoder::default();
    decoder.push(octets);
    let mut all = Vec::new();
    while let Some(packet) = decoder.next()? {
        all.push(packet);
    }
    Ok(all)
}

fn packet(text: &str) -> Packet {
    packets(format!("{text}\n\n").as_bytes()).unwrap().remove(0)
}

fn written(message: &Message) -> String {
    let mut out = Vec::new();
    message.write_to(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn headers_come_in_any_order_and_case_and_in_any_pieces() {
    let text = b"actionid: 1-2\r\nACTION:Ping\r\n\r\n\r\n\nAction: Logoff\nVariable: a=1\nvariable: b=2\n\n";
    for size in [1, 3, 7, 1000] {
        let mut decoder = Decoder::default();
        let mut all = Vec::new();
        for piece in text.chunks(size) {
            decoder.push(piece);
            while let Some(packet) = decoder.next().unwrap() {
                all.push(packet);
            }
        }
        assert_eq!(all.len(), 2, "pieces of {size}");
        assert_eq!((all[0].get("Action"), all[0].get("ActionID")), ("Ping", "1-2"));
        assert_eq!(all[1].all("VARIABLE").collect::<Vec<_>>(), ["a=1", "b=2"]);
    }
}

#[test]
fn a_line_without_a_colon_is_no_header() {
    let all = packets(b"hello\r\nAction: Ping\r\n\r\nGET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].get("action"), "Ping");
}

#[test]
fn what_is_too_much_is_refused() {
    let long = format!("Action: {}\r\n\r\n", "x".repeat(1024 * 1024));
    assert_eq!(packets(long.as_bytes()), Err(WireError::LineTooLong));
    // Before its end has come.
    assert_eq!(packets(&vec![b'x'; MAX_LINE + 1]), Err(WireError::LineTooLong));
    let many = "A: b\r\n".repeat(MAX_HEADERS + 1);
    assert_eq!(packets(many.as_bytes()), Err(WireError::TooManyHeaders));
    let lines = "no header\r\n".repeat(MAX_HEADERS + 1);
    assert_eq!(packets(lines.as_bytes()), Err(WireError::TooManyHeaders));
    let big = format!("A: {}\r\n", "x".repeat(10_000)).repeat(7);
    assert_eq!(packets(big.as_bytes()), Err(WireError::PacketTooLong));
}

#[test]
fn octets_that_are_no_text_are_taken_as_replacements() {
    let all = packets(b"Action: P\xffng\r\nActionID: \xc3\xa9\r\n\r\n").unwrap();
    assert_eq!(all[0].get("ActionID"), "é");
    assert_eq!(all[0].get("Action"), "P\u{fffd}ng");
}

#[test]
fn nothing_ends_a_line_but_we() {
    let message = Message::event("Newchannel\r\nEvent: Fake")
        .with("CallerIDName", "Eve\r\n\r\nResponse: Success")
        .with("Bad\r\nHeader", "\u{85}\u{0}x");
    assert_eq!(
        written(&message),
        "Event: Newchannel  Event: Fake\r\n\
         CallerIDName: Eve    Response: Success\r\nBad  Header:   x\r\n\r\n"
    );
}

#[test]
fn an_action_id_stands_behind_the_first_header() {
    let message = Message::success().with("Message", "Done").for_action("a: b");
    assert_eq!(written(&message), "Response: Success\r\nActionID: a: b\r\nMessage: Done\r\n\r\n");
    let lines = ["one".to_owned(), "two\nthree".to_owned()];
    let message = Message::response("Follows").with_text(&lines).for_action("7");
    assert_eq!(
        written(&message),
        "Response: Follows\r\nActionID: 7\r\none\ntwo three\n--END COMMAND--\r\n\r\n"
    );
}

#[test]
fn environments_and_results_are_encoded() {
    assert_eq!(encoded("agi_request: async\n"), "agi_request%3A%20async%0A");
    assert_eq!(encoded("200 result=1 (a)\n"), "200%20result%3D1%20%28a%29%0A");
}

#[test]
fn a_filter_lets_through_what_it_names() {
    let mut filter = Filter::default();
    let text = written(&Message::event("Newchannel").with("Channel", "SIP/201-00000001"));
    assert!(filter.wants(&text));
    filter.add("Event: New").unwrap();
    assert!(filter.wants(&text) && !filter.wants("Event: Hangup"));
    filter.add("!Channel: SIP/.*-00000001").unwrap();
    assert!(!filter.wants(&text));
    assert!(filter.wants("Event: Newchannel\r\nChannel: SIP/201-00000002\r\n"));
    for wrong in ["", "!", "Event: (New|Old)", "^Event", &"x".repeat(257)] {
        assert!(filter.add(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn masks_name_classes() {
    assert_eq!(Classes::of_mask("on"), Some(Classes::ALL));
    assert_eq!(Classes::of_mask("OFF"), Some(Classes::NONE));
    let some = Classes::of_mask("call, dtmf").unwrap();
    assert!(some.meets(Classes::DTMF) && !some.meets(Classes::AGI));
    assert_eq!(Classes::of_mask("call,noise"), None);
    assert_eq!(Classes::CALL.privilege(), "call,all");
    assert_eq!(Classes::NONE.privilege(), "<none>");
}

#[test]
fn wrong_secrets_ban_for_a_while() {
    let address = "192.0.2.1".parse().unwrap();
    let at = Duration::from_secs;
    let mut defence = Defence::new(3, at(60));
    assert!(!defence.failed(address, at(1)) && !defence.failed(address, at(2)));
    defence.succeeded(address);
    assert!(!defence.failed(address, at(3)) && !defence.failed(address, at(4)));
    assert!(defence.failed(address, at(5)));
    assert!(defence.is_banned(address, at(64)) && !defence.is_banned(address, at(65)));
    assert!(!defence.is_banned("192.0.2.2".parse().unwrap(), at(6)));
    // Failures that are long past do not add up.
    assert!(!defence.failed(address, at(1000)) && !defence.failed(address, at(1001)));
    assert!(!defence.failed(address, at(1700)));
    // The oldest of too many addresses is forgotten: two more are its first two.
    let first = std::net::Ipv4Addr::from(0).into();
    for n in 0..5000_u64 {
        let address = std::net::Ipv4Addr::from(n as u32).into();
        defence.failed(address, at(2000) + Duration::from_micros(n));
    }
    assert!(!defence.failed(first, at(2001)) && !defence.failed(first, at(2001)));
}

fn session(write: Classes, permit: bool) -> Session {
    let user = AmiUser {
        name: "manager".to_owned(),
        secret: "secret".to_owned(),
        read: Classes::CALL,
        write,
        permit: Arc::new(move |_| permit),
        dialect: Dialect::Legacy,
        filter: Filter::default(),
    };
    let settings = AmiSettings {
        tls: None,
        listen: "127.0.0.1:0".parse().unwrap(),
        max_connections: 10,
        ban_after: 10,
        ban_s: 60,
        max_calls: 10,
        users: vec![user],
    };
    Session::new(Arc::new(settings), "127.0.0.1".parse().unwrap())
}

const CLEAR: &str = "ActionID: 1\nAction: Login\nUsername: manager\nSecret: secret";

#[test]
fn a_secret_in_clear_logs_in() {
    let mut session = session(Classes::ALL, true);
    let Step::LoggedIn(message) = session.handle(&packet(CLEAR), Some(1)) else { panic!() };
    assert_eq!(
        written(&message),
        "Response: Success\r\nActionID: 1\r\nMessage: Authentication accepted\r\n\r\n"
    );
    assert!(session.hears(Classes::CALL) && !session.hears(Classes::DTMF));
    let wrong = CLEAR.replace("Secret: secret", "Secret: Secret");
    for (text, permit) in [(wrong.as_str(), true), (CLEAR, false), ("Action: Login", true)] {
        let mut session = self::session(Classes::ALL, permit);
        let Step::Refused(message) = session.handle(&packet(text), Some(1)) else { panic!() };
        assert!(written(&message).contains("Message: Authentication failed\r\n"));
        assert!(!session.hears(Classes::CALL));
    }
}

#[test]
fn a_challenge_logs_in_once() {
    let mut session = session(Classes::ALL, true);
    let asked = packet("Action: Challenge\nAuthType: MD5");
    let Step::Answer(message) = session.handle(&asked, Some(4711)) else { panic!() };
    assert_eq!(written(&message), "Response: Success\r\nChallenge: 4711\r\n\r\n");
    let key = |text: &str| hex(&Md5::digest(text));
    let login =
        |key: &str| packet(&format!("action: login\nauthtype: md5\nusername: manager\nkey: {key}"));
    let right = login(&key("4711secret"));
    assert!(matches!(session.handle(&right, Some(1)), Step::LoggedIn(_)));
    let mut other = self::session(Classes::ALL, true);
    assert!(matches!(other.handle(&right, Some(1)), Step::Refused(_)), "no challenge was asked");
    other.handle(&asked, Some(4711));
    assert!(matches!(other.handle(&login(&key("4711wrong")), Some(1)), Step::Refused(_)));
    assert!(matches!(other.handle(&right, Some(1)), Step::Refused(_)), "it was good once");
    let Step::Answer(message) = other.handle(&packet("Action: Challenge"), Some(1)) else {
        panic!()
    };
    assert!(written(&message).contains("Must specify AuthType"));
}

#[test]
fn what_is_not_permitted_or_unknown_is_said_in_asterisks_words() {
    let answer = |session: &mut Session, text: &str| match session.handle(&packet(text), Some(1)) {
        Step::Answer(message) => written(&message),
        other => panic!("{other:?}"),
    };
    let mut session = session(Classes::CALL, true);
    assert!(answer(&mut session, "Action: Ping").contains("Message: Permission denied"));
    session.handle(&packet(CLEAR), Some(1));
    assert!(answer(&mut session, "X: y").contains("Message: Missing action in request"));
    assert_eq!(
        answer(&mut session, "Action: Bogus\nActionID: 5"),
        "Response: Error\r\nActionID: 5\r\nMessage: Invalid/unknown command: Bogus. \
         Use Action: ListCommands to show available commands.\r\n\r\n"
    );
    assert!(answer(&mut session, "Action: Originate").contains("Permission denied"));
    assert!(matches!(session.handle(&packet("Action: hangup"), Some(1)), Step::Run(_)));
    assert!(answer(&mut session, "Action: Events\nEventMask: off").contains("Events: Off"));
    assert!(!session.hears(Classes::CALL));
    assert!(answer(&mut session, "Action: Events\nEventMask: call").contains("Events: On"));
    assert!(session.hears(Classes::CALL));
    assert!(matches!(session.handle(&packet("Action: Logoff"), Some(1)), Step::Goodbye(_)));
}

proptest::proptest! {
    /// Whatever comes in whatever pieces: packets are the same, bounded, and nothing panics.
    #[test]
    fn pieces_do_not_matter_and_bounds_hold(
        lines in proptest::collection::vec("[a-zA-Z: \r\x00\u{e9}]{0,40}", 0..60),
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        size in 1_usize..64,
    ) {
        let octets = [lines.join("\n").as_bytes(), b"\n\n", &noise, b"\n\n"].concat();
        let mut decoder = Decoder::default();
        let mut pieced = Vec::new();
        for piece in octets.chunks(size) {
            decoder.push(piece);
            while let Some(packet) = decoder.next().unwrap() {
                pieced.push(packet);
            }
        }
        proptest::prop_assert_eq!(&pieced, &packets(&octets).unwrap());
        for packet in &pieced {
            proptest::prop_assert!(packet.headers().count() > 0);
            for (name, value) in packet.headers() {
                proptest::prop_assert!(!name.contains('\n') && !value.contains('\n'));
                // What is said again is one header, whatever is in it.
                let written = written(&Message::success().with(name, value));
                proptest::prop_assert_eq!(written.matches("\r\n").count(), 3);
                proptest::prop_assert_eq!(written.matches(['\r', '\n']).count(), 6);
            }
        }
    }
}
