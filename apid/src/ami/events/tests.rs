//! Fields and their order, as the programs that read them were written against.

use super::*;
use crate::channel::ChannelState;
use crate::channel::{Outcome, Position};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

fn at(s: u64) -> Timestamp {
    Timestamp(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + s))
}

fn channel(name: &str, serial: u64) -> Arc<Channel> {
    Arc::new(Channel {
        line: "phone1".to_owned(),
        call_id: "a".to_owned(),
        name: name.to_owned(),
        unique_id: format!("1700000000.{serial}"),
        linked_id: "1700000000.0".to_owned(),
        state: ChannelState::Up,
        calls: true,
        caller: CallerIdView { number: "201".to_owned(), name: "Eve\r\nEvent: Fake".to_owned() },
        connected: CallerIdView::default(),
        account: String::new(),
        user_field: String::new(),
        language: "en".to_owned(),
        position: Position { exten: "202".to_owned(), ..Position::default() },
        application: "Dial".to_owned(),
        data: "SIP/202".to_owned(),
        bridged_with: None,
        held: false,
        muted: (false, false),
        created_at: at(0),
        answered_at: None,
        dialled_by: None,
    })
}

fn news(body: NewsBody) -> ChannelNews {
    ChannelNews { at: at(0), channel: Some(channel("SIP/201-00000000", 0)), body }
}

/// Events with their header names, as `Event(A B C)`.
fn shape(news: &ChannelNews, dialect: Dialect) -> Vec<String> {
    let one = |message: &Message| {
        let mut names = message.text().lines().filter_map(|line| line.split_once(':'));
        let event = names.next().map(|(_, event)| event.trim().to_owned()).unwrap_or_default();
        let names: Vec<&str> = names.map(|(name, _)| name).collect();
        format!("{event}({})", names.join(" "))
    };
    of(news, dialect).iter().map(one).collect()
}

fn text(body: NewsBody, dialect: Dialect) -> String {
    let mut octets = Vec::new();
    for message in of(&news(body), dialect) {
        message.write_to(&mut octets);
    }
    String::from_utf8(octets).unwrap()
}

#[test]
fn asterisk_11s_fields_stand_in_its_order() {
    let other = || channel("SIP/202-00000001", 1);
    let dial = "SIP/202".to_owned();
    let bridge = "a".to_owned();
    for (body, expected) in [
        (
            NewsBody::New,
            vec![
                "Newchannel(Privilege Channel ChannelState ChannelStateDesc CallerIDNum CallerIDName AccountCode Exten Context Uniqueid)",
            ],
        ),
        (
            NewsBody::Exten,
            vec![
                "Newexten(Privilege Channel Context Extension Priority Application AppData Uniqueid)",
            ],
        ),
        (
            NewsBody::DialBegin { destination: other(), dial_string: dial },
            vec![
                "Dial(Privilege SubEvent Channel Destination CallerIDNum CallerIDName ConnectedLineNum ConnectedLineName UniqueID DestUniqueID Dialstring)",
            ],
        ),
        (
            NewsBody::DialEnd { destination: other(), outcome: Outcome::Busy },
            vec!["Dial(Privilege SubEvent Channel UniqueID DialStatus)"],
        ),
        (
            NewsBody::Link { other: other(), bridge },
            vec![
                "Link(Privilege Channel1 Channel2 Uniqueid1 Uniqueid2 CallerID1 CallerID2)",
                "Bridge(Privilege Bridgestate Bridgetype Channel1 Channel2 Uniqueid1 Uniqueid2 CallerID1 CallerID2)",
            ],
        ),
        (
            NewsBody::DtmfEnd { digit: '5', duration_ms: 90, sent: false },
            vec!["DTMF(Privilege Channel Uniqueid Digit Direction Begin End)"],
        ),
        (
            NewsBody::AsyncAgiStart { env: "agi_request: async\n\n".to_owned() },
            vec!["AsyncAGI(Privilege SubEvent Channel Env)"],
        ),
        (NewsBody::AsyncAgiEnd, vec!["AsyncAGI(Privilege SubEvent Channel)"]),
        (
            NewsBody::Hangup { cause: 17 },
            vec![
                "Hangup(Privilege Channel Uniqueid CallerIDNum CallerIDName ConnectedLineNum ConnectedLineName AccountCode Cause Cause-txt)",
            ],
        ),
    ] {
        assert_eq!(shape(&news(body), Dialect::Legacy), expected);
    }
}

#[test]
fn later_versions_begin_with_the_whole_channel() {
    let all = "Privilege Channel ChannelState ChannelStateDesc CallerIDNum CallerIDName \
               ConnectedLineNum ConnectedLineName Language AccountCode Context Exten Priority \
               Uniqueid Linkedid";
    let digit = NewsBody::DtmfEnd { digit: '5', duration_ms: 90, sent: false };
    let shapes = shape(&news(digit.clone()), Dialect::Modern);
    assert_eq!(shapes, [format!("DTMFEnd({all} Digit DurationMs Direction)")]);
    let done = NewsBody::AsyncAgiExec {
        command_id: "c".to_owned(),
        action_id: String::new(),
        result: "200 result=0\n".to_owned(),
    };
    assert_eq!(
        shape(&news(done), Dialect::Modern),
        [format!("AsyncAGIExec({all} Result CommandId)")]
    );
    let both = shape(&news(digit), Dialect::Both);
    let both: Vec<&str> = both.iter().filter_map(|shape| shape.split('(').next()).collect();
    assert_eq!(both, ["DTMF", "DTMFEnd"]);
}

#[test]
fn a_result_carries_the_ids_of_who_queued_it() {
    let done = NewsBody::AsyncAgiExec {
        command_id: "c-1".to_owned(),
        action_id: "a-1".to_owned(),
        result: "200 result=0\n".to_owned(),
    };
    assert_eq!(
        text(done, Dialect::Legacy),
        "Event: AsyncAGI\r\nActionID: a-1\r\nPrivilege: agi,all\r\nSubEvent: Exec\r\n\
         Channel: SIP/201-00000000\r\nCommandID: c-1\r\nResult: 200%20result%3D0%0A\r\n\r\n"
    );
}

#[test]
fn nobody_makes_events_by_a_name() {
    let said = text(NewsBody::New, Dialect::Both);
    assert_eq!(said.matches("\r\nEvent: ").count(), 1, "the modern one: {said}");
    assert!(said.contains("CallerIDName: Eve  Event: Fake\r\n"), "{said}");
}

#[test]
fn a_registration_tells_where() {
    let peer = |contact: Option<&str>| {
        let contact = contact.map(str::to_owned);
        text(NewsBody::Peer { peer: "SIP/201".to_owned(), contact }, Dialect::Legacy)
    };
    let said = peer(Some("sip:phone1@192.0.2.1:5062;ob"));
    assert_eq!(
        said,
        "Event: PeerStatus\r\nPrivilege: system,all\r\nChannelType: SIP\r\nPeer: SIP/201\r\n\
         PeerStatus: Registered\r\nAddress: 192.0.2.1:5062\r\n\r\n"
    );
    assert!(peer(None).ends_with("PeerStatus: Unregistered\r\nCause: Expired\r\n\r\n"));
    for (contact, address) in [
        ("sip:192.0.2.1", "192.0.2.1:5060"),
        ("sip:a@[2001:db8::1]:5070;transport=tcp", "[2001:db8::1]:5070"),
        ("sip:a@[2001:db8::1]", "[2001:db8::1]:5060"),
    ] {
        assert_eq!(address_of(contact), address);
    }
}

#[test]
fn a_record_of_a_call_says_how_long_it_was() {
    let detail = CallDetail {
        source: CallerIdView { number: "201".to_owned(), name: "Kitchen".to_owned() },
        destination: "202".to_owned(),
        context: "default".to_owned(),
        channel: "SIP/201-00000000".to_owned(),
        destination_channel: "SIP/202-00000001".to_owned(),
        application: ("Dial".to_owned(), "SIP/202".to_owned()),
        started_at: at(0),
        answered_at: Some(at(5)),
        ended_at: at(65),
        cause: 16,
        unique_id: "1700000000.0".to_owned(),
        account: String::new(),
        user_field: "blue".to_owned(),
    };
    let said = text(NewsBody::Cdr(Box::new(detail)), Dialect::Legacy);
    for part in [
        "CallerID: \"Kitchen\" <201>\r\n",
        "StartTime: 2023-11-14 22:13:20\r\n",
        "Duration: 65\r\n",
        "BillableSeconds: 60\r\n",
        "Disposition: ANSWERED\r\n",
        "UserField: blue\r\n",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
