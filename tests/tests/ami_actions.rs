//! Every action of AMI tried by a client: what it does, and what it says where it cannot. Then what
//! no client should send, and clients that do not read.

use serde_json::json;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use tipring_tests::ami::{Ami, Told};
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::signal::chirps;
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, until_true};

/// Action, headers, what its answer contains: nothing is in a call.
type Try = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// The table: each action at least once.
const AT_REST: &[Try] = &[
    ("AGI", &[], &["Error", "Both, Channel and Command are *required*"]),
    ("AGI", &[("Channel", "X"), ("Command", "NOOP")], &["Error", "Channel X does not exist."]),
    ("Atxfer", &[("Channel", "X"), ("Exten", "1")], &["Error", "Channel specified does not exist"]),
    ("BlindTransfer", &[], &["Error", "No channel specified"]),
    ("BlindTransfer", &[("Channel", "X"), ("Exten", "1")], &["Error", "does not exist"]),
    ("Bridge", &[("Channel1", "X"), ("Channel2", "Y")], &["Error", "Channel1 does not exists: X"]),
    ("Challenge", &[("AuthType", "MD5")], &["Success", "Challenge"]),
    ("Challenge", &[], &["Error", "Must specify AuthType"]),
    (
        "Command",
        &[("Command", "core show version")],
        &["Follows", "Asterisk 11", "--END COMMAND--"],
    ),
    ("Command", &[("Command", "core show channels")], &["Follows", "0 active channels"]),
    ("Command", &[("Command", "core show uptime")], &["Follows", "System uptime"]),
    ("Command", &[("Command", "sip show peers")], &["Follows", "201", "UNKNOWN"]),
    ("Command", &[("Command", "module load x")], &["Follows", "No such command 'module load x'"]),
    ("Command", &[], &["Error", "No command provided"]),
    ("ConfbridgeList", &[], &["Error", "No Conference name provided."]),
    ("ConfbridgeListRooms", &[], &["Error", "No active conferences."]),
    ("ConfbridgeKick", &[("Conference", "9"), ("Channel", "all")], &["Error", "No active conf"]),
    ("ConfbridgeMute", &[("Conference", "9")], &["Error", "No active conferences."]),
    ("ConfbridgeUnmute", &[], &["Error", "No Conference name provided."]),
    ("CoreSettings", &[], &["Success", "AsteriskVersion", "CoreMaxCalls"]),
    ("CoreShowChannels", &[], &["Success", "Channels will follow"]),
    ("CoreStatus", &[], &["Success", "CoreStartupDate", "CoreCurrentCalls"]),
    ("DAHDIDNDoff", &[("DAHDIChannel", "1")], &["Error", "No such channel"]),
    ("DAHDIDNDon", &[], &["Error", "No channel specified"]),
    ("DAHDIShowChannels", &[], &["Success", "DAHDI channel status will follow"]),
    ("DBPut", &[("Family", "f")], &["Error", "No key specified."]),
    (
        "DBPut",
        &[("Family", "doors"), ("Key", "front/code"), ("Val", "12 34")],
        &["Success", "Updated database successfully"],
    ),
    ("DBGet", &[("Key", "k")], &["Error", "No family specified."]),
    ("DBGet", &[("Family", "doors"), ("Key", "back")], &["Error", "Database entry not found"]),
    ("DBGet", &[("Family", "doors"), ("Key", "front/code")], &["Success", "Result will follow"]),
    (
        "Command",
        &[("Command", "database put doors back \"a b\"")],
        &["Updated database successfully"],
    ),
    ("Command", &[("Command", "database get doors back")], &["Value: a b"]),
    (
        "Command",
        &[("Command", "database show doors")],
        &["/doors/back", ": a b", "/doors/front/code", "2 results found."],
    ),
    ("DBDel", &[("Family", "doors"), ("Key", "back")], &["Success", "Key deleted successfully"]),
    ("DBDel", &[("Family", "doors"), ("Key", "back")], &["Error", "Database entry not found"]),
    (
        "DBDelTree",
        &[("Family", "doors"), ("Key", "front")],
        &["Success", "Key tree deleted successfully"],
    ),
    ("DBDelTree", &[("Family", "doors")], &["Error", "Database entry not found"]),
    ("Command", &[("Command", "database get doors back")], &["Database entry not found."]),
    (
        "Command",
        &[("Command", "core show channels count")],
        &["0 active channels", "0 active calls"],
    ),
    ("Command", &[("Command", "core show applications")], &["Playback"]),
    ("Command", &[("Command", "core show functions")], &["CALLERID"]),
    ("Command", &[("Command", "core show hints")], &["101@default", "SIM/1", "State:Idle"]),
    ("Command", &[("Command", "core show channel X")], &["X is not a known channel"]),
    ("Command", &[("Command", "dialplan reload")], &["Dialplan reloaded."]),
    ("Command", &[("Command", "core show help")], &["core show uptime"]),
    ("Events", &[("EventMask", "on")], &["Success", "On"]),
    ("ExtensionState", &[("Exten", "101"), ("Context", "default")], &["Success", "SIM/1", "Idle"]),
    ("ExtensionState", &[("Exten", "201")], &["Success", "SIP/201", "Unavailable"]),
    ("ExtensionState", &[("Exten", "999")], &["Success", "-1"]),
    (
        "Filter",
        &[("Operation", "Add"), ("Filter", "!Event: Nothing")],
        &["Success", "Filter added"],
    ),
    ("Filter", &[("Operation", "Add"), ("Filter", "(a|b)")], &["Error", "Filter failed"]),
    ("Getvar", &[], &["Error", "No variable specified"]),
    ("Getvar", &[("Channel", "X"), ("Variable", "A")], &["Error", "No such channel"]),
    ("Hangup", &[], &["Error", "No channel specified"]),
    ("Hangup", &[("Channel", "SIP/201-00000001")], &["Error", "No such channel"]),
    ("ListCommands", &[], &["Success", "Keepalive command", "Originate"]),
    ("Login", &[], &["Error", "Already logged in"]),
    ("MixMonitor", &[("Channel", "X")], &["Error", "No such channel"]),
    ("MuteAudio", &[("Channel", "X")], &["Error", "State not specified"]),
    (
        "MuteAudio",
        &[("Channel", "X"), ("State", "on"), ("Direction", "all")],
        &["Error", "No such channel"],
    ),
    ("Originate", &[], &["Error", "Channel not specified"]),
    ("Originate", &[("Channel", "phone1"), ("Exten", "600")], &["Error", "Invalid channel"]),
    (
        "Originate",
        &[("Channel", "SIM/1"), ("Exten", "600")],
        &["Error", "requires 'Context' and 'Priority'"],
    ),
    (
        "Originate",
        &[("Channel", "SIM/1"), ("Exten", "999"), ("Context", "default"), ("Priority", "1")],
        &["Error", "Extension does not exist."],
    ),
    (
        "Originate",
        &[("Channel", "SIM/9"), ("Exten", "600"), ("Context", "default"), ("Priority", "1")],
        &["Error", "Originate failed"],
    ),
    ("Originate", &[("Channel", "SIM/1"), ("Timeout", "x")], &["Error", "Invalid timeout"]),
    ("PJSIPShowEndpoints", &[], &["Success", "Endpoints follows"]),
    ("Ping", &[], &["Success", "Pong", "Timestamp"]),
    ("PlayDTMF", &[("Channel", "X"), ("Digit", "1")], &["Error", "Channel not found"]),
    ("Redirect", &[], &["Error", "Channel not specified"]),
    (
        "Redirect",
        &[("Channel", "X"), ("Context", "default"), ("Exten", "600"), ("Priority", "1")],
        &["Error", "Channel does not exist: X"],
    ),
    ("Reload", &[], &["Success", "Module Reloaded"]),
    ("Reload", &[("Module", "chan_sip")], &["Error", "No such module"]),
    ("Setvar", &[("Variable", "G"), ("Value", "42")], &["Success", "Variable Set"]),
    ("Getvar", &[("Variable", "G")], &["Success", "42"]),
    ("SIPpeers", &[], &["Success", "Peer status list will follow"]),
    ("Status", &[], &["Success", "Channel status will follow"]),
    ("Status", &[("Channel", "X")], &["Error", "No such channel"]),
    ("StopMixMonitor", &[("Channel", "X")], &["Error", "No such channel"]),
    ("UserEvent", &[("UserEvent", "Mine"), ("Colour", "blue")], &["Success", "Event Sent"]),
    ("WaitEvent", &[("Timeout", "1")], &["Success", "Waiting for Event completed."]),
    ("QueueAdd", &[], &["Error", "Invalid/unknown command: QueueAdd. Use Action: ListCommands"]),
    ("Logoff", &[], &["Goodbye", "Thanks for all the fish."]),
];

fn whole(told: &Told) -> String {
    let headers = told.headers.iter().map(|(name, value)| format!("{name}: {value}"));
    headers.chain(told.text.iter().cloned()).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_action_answers_what_it_can_and_cannot() {
    let system = System::demonstration();
    let mut ami = Ami::login(&system);
    assert_eq!(ami.banner(), "Asterisk Call Manager/1.3");
    for (action, headers, parts) in AT_REST {
        let answer = whole(&ami.ask(action, headers));
        println!("{action} {headers:?}\n{answer}\n");
        for part in *parts {
            assert!(answer.contains(part), "{action} {headers:?}: no `{part}` in\n{answer}");
        }
    }
    ami.ends();
    let mine = ami.event("UserEvent", |told| told.get("UserEvent") == "Mine");
    assert_eq!((mine.get("Colour"), mine.get("Privilege")), ("blue", "user,all"));
    let value = ami.event("DBGetResponse", |_| true);
    assert_eq!((value.get("Key"), value.get("Val")), ("front/code", "12 34"));
    ami.event("PeerlistComplete", |told| told.get("ListItems") == "4");
    ami.event("WaitEventComplete", |_| true);
    let tried: BTreeSet<&str> = AT_REST.iter().map(|(action, ..)| *action).collect();
    let known = ami.find("the list of commands", |told| told.get("Ping").contains("Keepalive"));
    let untried: Vec<&str> = known.headers.iter().map(|(name, _)| name.as_str()).collect();
    let untried: Vec<&str> = untried.into_iter().skip(2).filter(|n| !tried.contains(n)).collect();
    assert!(untried.is_empty(), "actions without a row in the table: {untried:?}");
}

fn names(ami: &Ami, channel: &str) -> Vec<String> {
    let told = ami.told();
    let of = told.iter().filter(|told| {
        ["Channel", "Channel1", "Channel2"].iter().any(|name| told.get(name) == channel)
    });
    of.filter(|told| !told.get("Event").is_empty())
        .map(|told| told.get("Event").to_owned())
        .collect()
}

/// A simulated line is called, is told who calls, reaches the echo, is seen, sent a digit, recorded
/// and hung up on.
#[test]
fn a_call_from_originate_to_hangup() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let beside = Ami::login(&system);
    let headers = [
        ("Channel", "SIM/1"),
        ("Context", "default"),
        ("Exten", "600"),
        ("Priority", "1"),
        ("CallerID", "\"Front door\" <301>"),
        ("Variable", "AsyncOrigId=abc"),
        ("Variable", "second=2,third=3"),
        ("Async", "true"),
    ];
    let id = ami.act("Originate", &headers);
    assert_eq!(ami.answer(&id).get("Message"), "Originate successfully queued");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    let response = ami.event("OriginateResponse", |told| told.get("ActionID") == id);
    assert_eq!((response.get("Response"), response.get("Reason")), ("Success", "4"));
    let channel = response.get("Channel").to_owned();
    assert!(channel.starts_with("SIM/1-"), "{channel}");
    ami.event("VarSet", |told| told.get("Variable") == "third" && told.get("Value") == "3");
    let order = names(&ami, &channel);
    let first: Vec<&str> = order.iter().map(String::as_str).take(6).collect();
    assert_eq!(first, ["Newchannel", "NewCallerid", "VarSet", "VarSet", "VarSet", "Newstate"]);
    let caller = ami.event("NewCallerid", |_| true);
    assert_eq!((caller.get("CallerIDNum"), caller.get("CallerIDName")), ("301", "Front door"));
    let up = order.iter().rposition(|name| name == "Newstate").expect("it came up");
    let told = order.iter().position(|name| name == "OriginateResponse").expect("told");
    assert!(up < told, "{order:?}");
    ami.event("Newexten", |told| told.get("Application") == "Echo");

    let list = ami.ask("CoreShowChannels", &[]);
    assert_eq!(list.get("EventList"), "start");
    let row = ami.event("CoreShowChannel", |told| told.get("Channel") == channel);
    assert_eq!(row.get("ChannelStateDesc"), "Up");
    ami.event("CoreShowChannelsComplete", |told| told.get("ListItems") == "1");
    ami.ask("Status", &[("Channel", &channel), ("Variables", "second")]);
    ami.event("Status", |told| told.get("Variable") == "second=2");
    let value = ami.ask("Getvar", &[("Channel", &channel), ("Variable", "AsyncOrigId")]);
    assert_eq!(value.get("Value"), "abc");
    let value = ami.ask("Getvar", &[("Channel", &channel), ("Variable", "CALLERID(num)")]);
    assert_eq!(value.get("Value"), "301");
    // Functions are those of dial plans, but for what deletes by being read.
    ami.ask("DBPut", &[("Family", "f"), ("Key", "k"), ("Val", "kept")]);
    for (name, value) in [
        ("CALLERID(all)", "\"Front door\" <301>"),
        ("CHANNEL(state)", "Up"),
        ("LEN(abc)", "3"),
        ("MATH(2*21)", "42"),
        ("DB_DELETE(f/k)", ""),
        ("EVAL(${DB_DELETE(f/k)})", ""),
        ("DB(f/k)", "kept"),
        ("CONTEXT", "default"),
        ("Fly(1)", ""),
    ] {
        let found = ami.ask("Getvar", &[("Channel", &channel), ("Variable", name)]);
        assert_eq!((found.get("Response"), found.get("Value")), ("Success", value), "{name}");
    }
    for (name, value) in [("CDR(userfield)", "door"), ("CHANNEL(accountcode)", "7")] {
        ami.ask("Setvar", &[("Channel", &channel), ("Variable", name), ("Value", value)]);
    }
    let wrong = [("Channel", channel.as_str()), ("Variable", "FLY(x)"), ("Value", "1")];
    let wrong = ami.ask("Setvar", &wrong);
    assert_eq!(wrong.get("Message"), "FLY(x) cannot be set");
    ami.ask("Setvar", &[("Channel", &channel), ("Variable", "x"), ("Value", "y: z")]);
    ami.event("VarSet", |told| told.get("Variable") == "x" && told.get("Value") == "y: z");
    let agi = ami.ask("AGI", &[("Channel", &channel), ("Command", "NOOP")]);
    assert_eq!(agi.get("Message"), format!("Failed to add AGI command to channel {channel} queue"));
    let muted = [("Channel", channel.as_str()), ("State", "on"), ("Direction", "up")];
    let muted = ami.ask("MuteAudio", &muted);
    assert_eq!(muted.get("Message"), "Failed to mute/unmute stream");

    let refused = ami.ask("MixMonitor", &[("Channel", &channel), ("Command", "/bin/true")]);
    assert!(refused.get("Message").contains("commands are not run"), "{refused:?}");
    let begun = ami.ask("MixMonitor", &[("Channel", &channel), ("File", "../../x.wav")]);
    let recording = begun.get("MixMonitorID").to_owned();
    assert_eq!(begun.get("Response"), "Success", "{begun:?}");
    let ended = ami.ask("StopMixMonitor", &[("Channel", &channel)]);
    assert_eq!(ended.get("MixMonitorID"), recording, "{ended:?}");
    rest.get(&format!("/v1/recordings/{recording}")).check(200);

    rest.post("/v1/sim/1/dial", &json!({"digits": "7"})).check(202);
    ami.event("DTMF", |told| {
        (told.get("Digit"), told.get("End"), told.get("Direction")) == ("7", "Yes", "Received")
    });
    let hung = ami.ask("Hangup", &[("Channel", &channel)]);
    assert_eq!(hung.get("Message"), "Channel Hungup");
    let end = ami.event("Hangup", |told| told.get("Channel") == channel);
    assert_eq!((end.get("Cause"), end.get("Cause-txt")), ("16", "Normal Clearing"));
    ami.event("SoftHangupRequest", |_| true);
    let cdr = ami.event("Cdr", |_| true);
    assert_eq!((cdr.get("Disposition"), cdr.get("Source")), ("ANSWERED", "301"));
    assert_eq!((cdr.get("UserField"), cdr.get("AccountCode")), ("door", "7"));
    beside.event("Cdr", |_| true);
    let told = beside.told();
    assert!(told.iter().any(|told| told.get("Event") == "Newchannel"));
    assert!(!told.iter().any(|told| told.get("Event") == "OriginateResponse"), "not its own");
    rest.calls_become(0);
}

/// Who is called refuses, is busy or does not lift: the answer comes late and says so.
#[test]
fn an_originate_that_reaches_nobody_says_why() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let to = [("Context", "default"), ("Exten", "600"), ("Priority", "1"), ("Timeout", "700")];
    let call = |ami: &mut Ami, channel: &'static str, wait: &'static str| {
        let mut headers = to.to_vec();
        headers.extend([("Channel", channel), ("Async", wait)]);
        ami.act("Originate", &headers)
    };
    let id = call(&mut ami, "SIM/1", "false");
    let answer = ami.answer(&id);
    assert_eq!(answer.get("Message"), "Originate failed");
    let id = call(&mut ami, "SIM/1", "true");
    let response = ami.event("OriginateResponse", |told| told.get("ActionID") == id);
    assert_eq!((response.get("Response"), response.get("Reason")), ("Failure", "3"));
    assert_eq!((response.get("Channel"), response.get("Uniqueid")), ("SIM/1", "<null>"));
    rest.hook("1", true);
    let id = call(&mut ami, "SIM/1", "true");
    let response = ami.event("OriginateResponse", |told| told.get("ActionID") == id);
    assert_eq!((response.get("Response"), response.get("Reason")), ("Failure", "5"));
    // A phone that is not registered.
    let id = call(&mut ami, "SIP/204", "true");
    let response = ami.event("OriginateResponse", |told| told.get("ActionID") == id);
    assert_eq!((response.get("Response"), response.get("Reason")), ("Failure", "0"));
}

/// A pair of Local channels: the second one dials, and the phone that answers takes the place of the
/// first one. Then a bell that is started and stopped as fast as a program can.
#[test]
fn a_pair_of_local_channels_gives_way_to_its_phone() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let to = [("Context", "default"), ("Exten", "600"), ("Priority", "1"), ("Async", "true")];
    let mut headers = to.to_vec();
    headers.extend([("Channel", "Local/101@default"), ("Variable", "AsyncOrigId=abc")]);
    let id = ami.act("Originate", &headers);
    rest.line_becomes("1", "ringing");
    let pair = ami.event("LocalBridge", |told| told.get("Exten") == "101");
    let (one, two) = (pair.get("Channel1").to_owned(), pair.get("Channel2").to_owned());
    assert!(one.starts_with("Local/101@default-") && one.ends_with(";1"), "{one}");
    assert_eq!(two, one.replace(";1", ";2"));
    ami.event("Dial", |told| told.get("Channel") == two && told.get("Dialstring") == "1");
    ami.ask("CoreShowChannels", &[]);
    ami.event("CoreShowChannelsComplete", |told| told.get("ListItems") == "3");
    rest.hook("1", true);
    let response = ami.event("OriginateResponse", |told| told.get("ActionID") == id);
    let phone = response.get("Channel").to_owned();
    assert!(phone.starts_with("SIM/1-"), "{phone}");
    assert_eq!(response.get("Uniqueid"), pair.get("Uniqueid1"));
    let mut order = names(&ami, &one);
    order.retain(|name| name != "CoreShowChannel");
    let begins = ["Newchannel", "NewCallerid", "VarSet", "LocalBridge"];
    assert_eq!(order, [&begins[..], &["Newstate", "Newstate", "Rename"]].concat());
    let zombie = format!("{one}<ZOMBIE>");
    for gone in [&zombie, &two] {
        ami.event("Hangup", |told| told.get("Channel") == gone);
    }
    ami.event("Newexten", |told| told.get("Channel") == phone && told.get("Application") == "Echo");
    let value = ami.ask("Getvar", &[("Channel", &phone), ("Variable", "AsyncOrigId")]);
    assert_eq!(value.get("Value"), "abc");
    rest.hook("1", false);
    rest.calls_become(0);

    let mut headers = to.to_vec();
    headers.push(("Channel", "SIM/1"));
    for round in 0..6 {
        let id = ami.act("Originate", &headers);
        rest.line_becomes("1", "ringing");
        ami.ask("Hangup", &[("Channel", "SIM/1")]);
        let response = ami.event("OriginateResponse", |told| told.get("ActionID") == id);
        assert_eq!(response.get("Reason"), "1", "round {round}: {response:?}");
        rest.line_becomes("1", "on_hook");
    }
}

/// Two SIP phones talk; an external program sees it whole, sends a digit to one, which hears it,
/// and hands the other one on.
#[test]
fn a_call_between_phones_is_seen_and_handed_on() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let telephone = |user: &str, answers: bool| {
        let mut telephone = Telephone::new(user, &system.sip_address(), chirps(5, 400_000));
        telephone.answers = answers;
        Baresip::start(&telephone)
    };
    let (caller, _called) = (telephone("phone1", false), telephone("phone2", true));
    let peer = ami.event("PeerStatus", |told| told.get("Peer") == "SIP/201");
    assert_eq!((peer.get("PeerStatus"), peer.get("ChannelType")), ("Registered", "SIP"));
    assert_eq!(peer.get("Address"), format!("127.0.0.1:{}", caller.port));
    caller.dial("202");
    caller.expect_event("CALL_ESTABLISHED");
    let link = ami.event("Link", |_| true);
    let (one, two) = (link.get("Channel1").to_owned(), link.get("Channel2").to_owned());
    assert!(one.starts_with("SIP/201-") && two.starts_with("SIP/202-"), "{link:?}");
    let begin = ami.event("Dial", |told| told.get("SubEvent") == "Begin");
    assert_eq!((begin.get("Channel"), begin.get("Destination")), (one.as_str(), two.as_str()));
    let end = ami.event("Dial", |told| told.get("SubEvent") == "End");
    assert_eq!(end.get("DialStatus"), "ANSWER");
    let exten = ami.event("Newexten", |told| told.get("Channel") == one);
    assert_eq!((exten.get("Extension"), exten.get("AppData")), ("202", "SIP/202"));

    let sent = ami.ask("PlayDTMF", &[("Channel", "SIP/201"), ("Digit", "5"), ("Duration", "300")]);
    assert_eq!(sent.get("Message"), "DTMF successfully queued");
    ami.event("DTMF", |told| told.get("Direction") == "Sent" && told.get("Channel") == one);

    let moved = ami.ask("BlindTransfer", &[("Channel", &two), ("Exten", "101")]);
    assert_eq!(moved.get("Message"), "Transfer succeeded", "{moved:?}");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    ami.event("Hangup", |told| told.get("Channel") == two);
    let link = ami.event("Link", |told| told.get("Channel2").starts_with("SIM/1-"));
    assert_eq!(link.get("Channel1"), one);
    rest.hook("1", false);
    ami.event("HangupRequest", |told| told.get("Channel").starts_with("SIM/1-"));
    ami.event("Unlink", |told| {
        told.get("Channel1").starts_with("SIM/1-") || told.get("Channel2").starts_with("SIM/1-")
    });
    ami.event("Hangup", |told| told.get("Channel") == one);
    let order = names(&ami, &one);
    assert_eq!(order.first().map(String::as_str), Some("Newchannel"));
    let last = order.iter().map(String::as_str).rfind(|name| *name != "Cdr");
    assert_eq!(last, Some("Hangup"));
}

const TWO_USERS: &str = "ami:\n  ban_after: 3\n  users:\n    \
    - {user: old, secret: one-of-its-own}\n    \
    - {user: new, secret: one-of-its-own, dialect: modern, read: [call, dtmf], write: [call]}\n    \
    - {user: far, secret: one-of-its-own, permit: [192.0.2.0/24]}\n\
    lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n";

fn two_users() -> System {
    System::start(Setup { apid_yaml: Some(TWO_USERS.into()), ..Setup::default() })
}

#[test]
fn users_hear_and_may_what_they_are_given() {
    let system = two_users();
    let rest = system.rest();
    let secret = ("Secret", "one-of-its-own");
    let mut new = Ami::connect(&system);
    assert_eq!(new.ask("Login", &[("Username", "new"), secret]).get("Response"), "Success");
    let denied = new.ask("Originate", &[("Channel", "SIM/1")]);
    assert_eq!(denied.get("Message"), "Permission denied");
    let mut old = Ami::connect(&system);
    assert_eq!(old.ask("Login", &[("Username", "old"), secret]).get("Response"), "Success");
    rest.hook("1", true);
    rest.post("/v1/sim/1/dial", &json!({"digits": "600"})).check(202);
    let born = new.event("Newchannel", |_| true);
    assert!(!born.get("Linkedid").is_empty() && !born.get("ConnectedLineNum").is_empty());
    let born = old.event("Newchannel", |_| true);
    assert_eq!(born.get("Linkedid"), "");
    old.event("Newexten", |_| true);
    rest.post("/v1/sim/1/dial", &json!({"digits": "3"})).check(202);
    let digit = new.event("DTMFEnd", |told| told.get("Digit") == "3");
    assert!(digit.get("DurationMs").parse::<u32>().is_ok_and(|ms| ms > 0), "{digit:?}");
    rest.hook("1", false);
    new.event("Hangup", |_| true);
    let told = new.told();
    assert!(!told.iter().any(|told| told.get("Event") == "Newexten"), "dialplan is not its class");
    assert!(!told.iter().any(|told| told.get("Event") == "FullyBooted"), "nor is system");
    let clients = rest.get("/v1/diagnostics").expect_json(200);
    let clients = clients["clients"].as_array().expect("clients").clone();
    let ami = clients.iter().filter(|client| client["kind"] == "ami");
    let callers: BTreeSet<String> = ami.map(|client| client["caller"].to_string()).collect();
    assert_eq!(callers.len(), 2, "{callers:?}");
}

#[test]
fn wrong_secrets_are_slow_and_banned() {
    let system = two_users();
    let begin = std::time::Instant::now();
    for secret in ["wrong", "one-of-its-own "] {
        let mut ami = Ami::connect(&system);
        let answer = ami.ask("Login", &[("Username", "old"), ("Secret", secret)]);
        assert_eq!(answer.get("Message"), "Authentication failed");
        ami.ends();
    }
    let waited = begin.elapsed();
    assert!(waited.as_secs() >= 2, "each waits a second: {waited:?}");
    // The right secret from an address that is not permitted counts too.
    let mut ami = Ami::connect(&system);
    let answer = ami.ask("Login", &[("Username", "far"), ("Secret", "one-of-its-own")]);
    assert_eq!(answer.get("Message"), "Authentication failed");
    until_true("the ban", GENEROUS, || {
        let mut stream = TcpStream::connect(("127.0.0.1", system.ports.ami)).expect("it listens");
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).is_ok() && octets.is_empty()
    });
}

#[test]
fn what_no_client_should_send_is_refused_precisely() {
    let system = System::demonstration();
    let ami = Ami::connect(&system);
    ami.send(format!("Action: {}\r\n\r\n", "x".repeat(1 << 20)).as_bytes());
    ami.find("the refusal", |told| told.get("Message") == "Line longer than 16384 octets");
    ami.ends();
    let ami = Ami::connect(&system);
    ami.send(&b"A: b\r\n".repeat(300));
    ami.find("the refusal", |told| told.get("Message") == "More than 256 headers");
    let mut ami = Ami::connect(&system);
    ami.send(b"\x00\xff\xfe no colon\r\nAction: Ping\r\nActionID: early\r\n\r\n");
    assert_eq!(ami.answer("early").get("Message"), "Permission denied");
    ami.ask("Login", &[("Username", "manager"), ("Secret", "secret")]);
    // An action id that looks like an answer stays one header.
    ami.send(b"Action: Ping\r\nActionID: x\rResponse: Goodbye\r\n\r\n");
    ami.find("its answer", |told| told.get("ActionID") == "x Response: Goodbye");
    ami.send(b"Action: UserEvent\r\nUserEvent: a\rb\r\nX\rY: 1\r\nActionID: u\r\n\r\n");
    let event = ami.event("UserEvent", |_| true);
    assert_eq!((event.get("UserEvent"), event.get("X Y")), ("a b", "1"));
}

/// One that does not read is cut, and told why; one beside it misses nothing, nor does one that has
/// only not read for a while.
#[test]
fn a_client_that_does_not_read_is_cut() {
    let system = System::demonstration();
    let silent = || {
        let mut stream = TcpStream::connect(("127.0.0.1", system.ports.ami)).expect("it listens");
        let login = b"Action: Login\r\nUsername: manager\r\nSecret: secret\r\n\r\n";
        stream.write_all(login).expect("sent");
        stream.set_read_timeout(Some(GENEROUS)).expect("a socket");
        stream
    };
    let (mut deaf, late) = (silent(), silent());
    let mut other = Ami::login(&system);
    let text = "x".repeat(12_000);
    let tell = |other: &mut Ami, n: usize| {
        let n = n.to_string();
        other.ask("UserEvent", &[("UserEvent", "Big"), ("N", &n), ("Text", &text)]);
    };
    // More than the system holds for it, less than apid does.
    (0..150).for_each(|n| tell(&mut other, n));
    let lines = BufReader::new(late).lines().map(|line| line.expect("text"));
    let numbers = lines.filter_map(|line| line.strip_prefix("N: ")?.parse::<usize>().ok());
    assert!(numbers.take(150).eq(0..150));
    let mut cut = false;
    for n in 150..2000 {
        tell(&mut other, n);
        cut = system.apid.as_ref().is_some_and(|apid| apid.log().contains("more events wait"));
        if cut {
            break;
        }
    }
    until_true("that it is cut", GENEROUS, || {
        cut || system.apid.as_ref().is_some_and(|apid| apid.log().contains("more events wait"))
    });
    let mut octets = Vec::new();
    // It may be reset before its last words.
    let _ = deaf.read_to_end(&mut octets);
    let told = other.told();
    let seen: Vec<&str> =
        told.iter().filter(|t| t.get("UserEvent") == "Big").map(|t| t.get("N")).collect();
    assert!(seen.iter().enumerate().all(|(n, seen)| *seen == n.to_string()), "in order, whole");
    assert_eq!(other.ask("Ping", &[]).get("Ping"), "Pong");
}
