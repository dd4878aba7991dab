//! Calls that programs of the manager interface change while they last: who hears whom then, by
//! content, at simulated and SIP phones.

use std::net::Ipv4Addr;
use std::time::Duration;
use tipring_tests::ami::{Ami, Told};
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::ear::{Ear, share};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, find, samples, wav};
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::system::{Setup, System, free_port};
use tipring_tests::wait::{GENEROUS, until_true};

const APID: &str = "ami:\n  users:\n    - {user: manager, secret: secret}\n    \
    - {user: modern, secret: secret, dialect: modern}\n    \
    - {user: both, secret: secret, dialect: both}\n\
    sip:\n  accounts:\n    \
    - {user: phone1, password: secret, extension: \"201\", algorithms: [md5]}\n    \
    - {user: phone2, password: secret, extension: \"202\", algorithms: [md5]}\n    \
    - {user: phone3, password: secret, extension: \"203\", algorithms: [md5]}\n\
    lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n  \
    - {id: \"2\", engine: sim/2, extension: \"102\"}\n\
    extensions: extensions.conf\n";

const PLAN: &str = "\
[default]
exten => 700,hint,SIM/1&SIP/202
exten => 300,1,Answer()
 same => n,Playback(one)
 same => n,Wait(600)
exten => 301,1,Answer()
 same => n,Playback(two)
 same => n,Wait(600)
exten => 310,1,Answer()
 same => n,Dial(SIM/2,20,g)
 same => n,Playback(one)
 same => n,Wait(600)
exten => 320,1,Set(SEEN=${EXTEN}-${CALLERID(num)})
 same => n,Dial(SIM/1&SIP/202,20)
exten => 321,1,Answer()
 same => n,Read(code,,3)
 same => n,Set(DB(local/code)=${code})
 same => n,Playback(silence/1)
 same => n,Dial(SIM/1,20)
exten => 322,1,Busy()
exten => 323,1,Wait(600)
[other]
exten => 500,1,Answer()
 same => n,Playback(one)
 same => n,Wait(600)
";

fn one() -> Vec<i16> {
    chirps(71, 2000)
}

fn two() -> Vec<i16> {
    chirps(72, 2000)
}

fn system() -> System {
    let mut system =
        System::prepare(Setup { apid_yaml: Some(APID.to_owned()), ..Setup::default() });
    std::fs::write(system.folder.file("extensions.conf"), PLAN).expect("written");
    let sounds = system.folder.file("state").join("sounds");
    std::fs::create_dir_all(&sounds).expect("a folder");
    for (name, speech) in [("one", one()), ("two", two())] {
        let file = sounds.join(format!("{name}.wav"));
        std::fs::write(file, wav(&speech, 8000, 1)).expect("written");
    }
    system.start_engine();
    system.start_apid();
    system.ready();
    let rest = system.rest();
    for line in ["1", "2"] {
        until_true("its hook is known", GENEROUS, || rest.line(line)["hook"] != "unknown");
    }
    system
}

fn phone(system: &System, user: &str, says: &[i16], answers: bool) -> Baresip {
    let telephone = Telephone::new(user, &system.sip_address(), says.to_vec());
    Baresip::start(&Telephone { answers, ..telephone })
}

/// A call from its first to its last event, as each dialect tells it. Variables are left out: a plan
/// sets them while its calls go on.
#[test]
fn a_whole_call_is_told_in_order_in_each_dialect() {
    const LEGACY: &[&str] = &[
        "Newchannel SIM/1",
        "Newstate SIM/1",
        "Newchannel SIM/2",
        "Dial SIM/1",
        "Newstate SIM/2",
        "Newstate SIM/2",
        "Dial SIM/1",
        "Link SIM/1",
        "Bridge SIM/1",
        "DTMF SIM/1",
        "DTMF SIM/1",
        "HangupRequest SIM/2",
        "Unlink SIM/2",
        "Hangup SIM/2",
        "HangupRequest SIM/1",
        "Hangup SIM/1",
        "Cdr SIM/1",
    ];
    const MODERN: &[&str] = &[
        "Newchannel SIM/1",
        "Newstate SIM/1",
        "Newchannel SIM/2",
        "DialBegin SIM/1",
        "Newstate SIM/2",
        "Newstate SIM/2",
        "DialEnd SIM/1",
        "BridgeCreate -",
        "BridgeEnter SIM/1",
        "BridgeEnter SIM/2",
        "DTMFBegin SIM/1",
        "DTMFEnd SIM/1",
        "HangupRequest SIM/2",
        "BridgeLeave SIM/2",
        "BridgeLeave SIM/1",
        "BridgeDestroy -",
        "Hangup SIM/2",
        "HangupRequest SIM/1",
        "Hangup SIM/1",
        "Cdr SIM/1",
    ];
    let system = system();
    let rest = system.rest();
    let users = ["manager", "modern", "both"].map(|user| {
        let mut ami = Ami::connect(&system);
        let answer = ami.ask("Login", &[("Username", user), ("Secret", "secret")]);
        assert_eq!(answer.get("Response"), "Success", "{answer:?}");
        ami
    });
    let caller = Ear::lift(&system, "1");
    caller.press("310");
    rest.line_becomes("2", "ringing");
    let dialled = Ear::lift(&system, "2");
    users[0].event("Link", |_| true);
    caller.press("7");
    users[0].event("DTMF", |told| told.get("End") == "Yes");
    drop(dialled);
    users[0].event("Hangup", |told| told.get("Channel").starts_with("SIM/2-"));
    caller.hears(&one());
    drop(caller);
    rest.calls_become(0);
    let told = |ami: &Ami| {
        ami.event("Cdr", |_| true);
        let name = |told: &Told| {
            let event = told.get("Event");
            let other = ["", "VarSet", "Newexten", "FullyBooted", "PeerStatus"];
            let channel = ["Channel", "Channel1"].map(|name| told.get(name)).concat();
            let device = channel.split('-').next().filter(|name| !name.is_empty()).unwrap_or("-");
            (!other.contains(&event)).then(|| format!("{event} {device}"))
        };
        ami.told().iter().filter_map(name).collect::<Vec<_>>()
    };
    let [legacy, modern, both] = [&users[0], &users[1], &users[2]].map(told);
    assert_eq!(legacy, LEGACY);
    assert_eq!(modern, MODERN);
    // Each piece of news in the older words first, what both have in common once.
    let common = ["Cdr"];
    let of = |dialect: &[&str]| {
        let mut rest = both.iter();
        dialect.iter().all(|wanted| rest.any(|told| told == wanted))
    };
    assert!(of(LEGACY) && of(MODERN), "{both:#?}");
    assert_eq!(both.len(), LEGACY.len() + MODERN.len() - common.len());
    let at = |name: &str| both.iter().position(|told| told.starts_with(name));
    assert!(at("Dial SIM/1") < at("DialBegin") && at("Bridge SIM/1") < at("BridgeCreate"));
}

/// 201 puts 202 on hold; then it asks a simulated phone while 202 waits, and hands 202 over by hanging
/// up; another time the one who is asked hangs up, and the first two talk on. At last a phone takes
/// its registration back, and apid ends.
#[test]
fn who_is_asked_first_is_handed_over() {
    let mut system = system();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let mut modern = Ami::connect(&system);
    modern.ask("Login", &[("Username", "modern"), ("Secret", "secret")]);
    let (voice1, voice2) = (chirps(64, 90_000), chirps(65, 90_000));
    let (first, second) =
        (phone(&system, "phone1", &voice1, false), phone(&system, "phone2", &voice2, true));
    first.dial("202");
    let link = ami.event("Link", |_| true);
    let (a, b) = (link.get("Channel1").to_owned(), link.get("Channel2").to_owned());
    let state = |ami: &mut Ami, exten: &str| {
        let told = ami.ask("ExtensionState", &[("Exten", exten), ("Context", "default")]);
        ["Hint", "Status", "StatusText"].map(|name| told.get(name).to_owned())
    };
    assert_eq!(state(&mut ami, "700"), ["SIM/1&SIP/202", "1", "InUse"]);
    assert_eq!(state(&mut ami, "101"), ["SIM/1", "0", "Idle"]);

    // Who is put on hold hears music.
    let music = |channel: &str, state: &'static str| {
        let channel = channel.to_owned();
        move |told: &Told| told.get("Channel") == channel && told.get("State") == state
    };
    first.command("hold", "");
    ami.event("Hold", |told| (told.get("Channel"), told.get("Status")) == (&a, "On"));
    ami.event("MusicOnHold", music(&b, "Start"));
    modern.event("Hold", |told| told.get("Channel") == a);
    modern.event("MusicOnHoldStart", |told| told.get("Channel") == b);
    first.command("resume", "");
    ami.event("Hold", |told| (told.get("Channel"), told.get("Status")) == (&a, "Off"));
    ami.event("MusicOnHold", music(&b, "Stop"));
    modern.event("Unhold", |told| told.get("Channel") == a);
    modern.event("MusicOnHoldStop", |told| told.get("Channel") == b);
    let starts = |ami: &Ami| {
        let told = ami.told();
        told.iter().filter(|t| t.get("Event") == "MusicOnHold" && music(&b, "Start")(t)).count()
    };
    for hands_over in [false, true] {
        let headers = [("Channel", a.as_str()), ("Exten", "101"), ("Context", "default")];
        let before = starts(&ami);
        ask(&mut ami, "Atxfer", &headers, "Atxfer successfully queued");
        rest.line_becomes("1", "ringing");
        until_true("its event", GENEROUS, || starts(&ami) == before + 1);
        let third = Ear::lift(&system, "1");
        let from2 = second.heard().len();
        hears_voice(|| third.heard(), &voice1, 0);
        // Whoever waits hears music, a tune of our own where no other is given, and nobody's voice.
        for hz in [392.0, 493.9, 587.3] {
            let sounds = |piece: &[i16]| share(piece, hz).is_some_and(|part| part > 0.8);
            let heard = || second.heard()[from2..].chunks_exact(samples(100)).any(sounds);
            until_true(&format!("{hz} Hz of music"), GENEROUS, heard);
        }
        if !hands_over {
            drop(third);
            hears_voice(|| second.heard(), &voice1, from2);
            rest.calls_become(1);
            rest.line_becomes("1", "on_hook");
            continue;
        }
        let from3 = third.heard().len();
        first.hang_up();
        hears_voice(|| third.heard(), &voice2, from3);
        ami.event("Link", |told| {
            let ends = [told.get("Channel1"), told.get("Channel2")];
            ends.iter().any(|end| end.starts_with("SIM/1-"))
                && ends.iter().any(|end| end.starts_with("SIP/202-"))
        });
        rest.calls_become(1);
        drop(third);
        second.expect_event("CALL_CLOSED");
    }
    rest.calls_become(0);

    // A number that only the plan has is asked; whoever waited goes on there.
    first.dial("202");
    let old = a.clone();
    let link = ami.event("Link", move |told| {
        told.get("Channel1").starts_with("SIP/201-") && told.get("Channel1") != old
    });
    let a = link.get("Channel1").to_owned();
    let headers = [("Channel", a.as_str()), ("Exten", "501"), ("Context", "other")];
    ask(&mut ami, "Atxfer", &headers, "Extension does not exist.");
    let headers = [("Channel", a.as_str()), ("Exten", "500"), ("Context", "other")];
    let from1 = first.heard().len();
    ask(&mut ami, "Atxfer", &headers, "Atxfer successfully queued");
    hears(&first, &one(), from1);
    let from2 = second.heard().len();
    first.hang_up();
    hears(&second, &one(), from2);
    assert_eq!(rest.calls_become(1)[0]["to"], "app:500@other");
    second.hang_up();
    rest.calls_become(0);
    second.command("quit", "");
    let gone = ami.event("PeerStatus", |told| told.get("PeerStatus") == "Unregistered");
    assert_eq!((gone.get("Peer"), gone.get("Cause")), ("SIP/202", "Expired"));
    let apid = system.apid.as_mut().expect("it runs");
    assert!(apid.stop(GENEROUS).is_some(), "apid ends");
    ami.ends();
    let last = ami.told().pop().expect("events");
    assert_eq!((last.get("Event"), last.get("Shutdown")), ("Shutdown", "Cleanly"));
}

/// `Local/NUMBER@CONTEXT` of a number that only the plan has: its steps are run without a telephone,
/// and whoever they dial is where the other end was, in the middle of what that does.
#[test]
fn a_plan_runs_without_a_telephone_until_it_dials_one() {
    let system = system();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let second = phone(&system, "phone2", &[0; 8000], false);
    let originate = |ami: &mut Ami, number: &str, more: &[(&str, &str)]| {
        let channel = format!("Local/{number}@default");
        let mut headers = vec![("Channel", channel.as_str()), ("CallerID", "Ann <301>")];
        headers.extend([("Async", "true")]);
        headers.extend(more);
        ami.act("Originate", &headers)
    };
    let response =
        |ami: &Ami, id: &str| ami.event("OriginateResponse", |told| told.get("ActionID") == id);

    // It dials two: the one who lifts goes on, the other one is left alone.
    let playback = [("Application", "Playback"), ("Data", "one"), ("Variable", "who=ann")];
    let id = originate(&mut ami, "320", &playback);
    let pair = ami.event("LocalBridge", |told| told.get("Exten") == "320");
    let (waits, dials) = (pair.get("Channel1").to_owned(), pair.get("Channel2").to_owned());
    rest.line_becomes("1", "ringing");
    second.expect_event("CALL_INCOMING");
    let seen = ami.event("VarSet", |told| told.get("Variable") == "SEEN");
    assert_eq!((seen.get("Channel"), seen.get("Value")), (dials.as_str(), "320-301"));
    let begin = |told: &Told| told.get("Dialstring") == "1" && told.get("Channel") == dials;
    ami.event("Dial", begin);
    let ear = Ear::lift(&system, "1");
    second.expect_event("CALL_CLOSED");
    let answered = response(&ami, &id);
    assert_eq!((answered.get("Response"), answered.get("Reason")), ("Success", "4"));
    assert!(answered.get("Channel").starts_with("SIM/1-"), "{answered:?}");
    assert_eq!(answered.get("Uniqueid"), pair.get("Uniqueid1"));
    ear.hears(&one());
    let phone_is =
        |told: &Told| told.get("Oldname") == waits && told.get("Newname").starts_with("SIM");
    ami.event("Rename", phone_is);
    ami.event("Hangup", |told| told.get("Channel") == dials);
    drop(ear);
    rest.calls_become(0);
    rest.line_becomes("1", "on_hook");

    // It answers itself: the two ends talk by digits, and a phone comes in later.
    let id = originate(&mut ami, "321", &[("Application", "AGI"), ("Data", "agi:async")]);
    assert_eq!(response(&ami, &id).get("Reason"), "4");
    let started =
        |told: &Told| told.get("SubEvent") == "Start" && told.get("Channel").ends_with(";1");
    let waits = ami.event("AsyncAGI", started).get("Channel").to_owned();
    let agi = |ami: &mut Ami, channel: &str, command: &str| {
        let headers = [("Channel", channel), ("Command", command), ("CommandID", command)];
        ask(ami, "AGI", &headers, "Added AGI command to queue");
        let told = ami.event("AsyncAGI", |told| told.get("CommandID") == command);
        told.get("Result").to_owned()
    };
    assert_eq!(agi(&mut ami, &waits, "CHANNEL STATUS"), "200%20result%3D6%0A");
    assert_eq!(agi(&mut ami, &waits, "EXEC SendDTMF 427"), "200%20result%3D0%0A");
    let kept = ami.event("VarSet", |told| told.get("Variable") == "code");
    assert_eq!(kept.get("Value"), "427");
    rest.line_becomes("1", "ringing");
    let ear = Ear::lift(&system, "1");
    let channel = ami.event("Rename", |told| told.get("Oldname") == waits);
    let channel = channel.get("Newname").to_owned();
    assert_eq!(agi(&mut ami, &channel, "EXEC Playback two"), "200%20result%3D0%0A");
    ear.hears(&two());
    ear.press("5");
    ami.event("DTMF", |told| told.get("Channel") == channel && told.get("Digit") == "5");
    assert_eq!(agi(&mut ami, &channel, "HANGUP"), "200%20result%3D1%0A");
    ami.event("Hangup", |told| told.get("Channel") == channel);
    drop(ear);
    rest.calls_become(0);

    // Nobody answers.
    let echo = [("Application", "Echo")];
    let id = originate(&mut ami, "322", &echo);
    assert_eq!(response(&ami, &id).get("Reason"), "5", "busy");
    let id = originate(&mut ami, "999", &echo);
    assert_eq!(response(&ami, &id).get("Reason"), "0", "there is no such number");
    let id = originate(&mut ami, "323", &[("Application", "Echo"), ("Timeout", "300")]);
    assert_eq!(response(&ami, &id).get("Reason"), "3", "it takes too long");
    let id = originate(&mut ami, "323", &[("Application", "Echo"), ("Timeout", "60000")]);
    let late = |told: &Told| told.get("Application") == "Wait" && told.get("Extension") == "323";
    until_true("both", GENEROUS, || ami.told().iter().filter(|told| late(told)).count() == 2);
    let dials =
        ami.told().iter().rfind(|told| late(told)).expect("it waits").get("Channel").to_owned();
    ask(&mut ami, "Hangup", &[("Channel", &dials)], "Channel Hungup");
    assert_eq!(response(&ami, &id).get("Reason"), "1", "hung up");
    until_true("that no channel is left", GENEROUS, || {
        let id = ami.act("CoreShowChannels", &[]);
        let end = |told: &Told| told.get("ActionID") == id && !told.get("ListItems").is_empty();
        ami.find("the list", end).get("ListItems") == "0"
    });
}

/// What of some speech was heard behind `from`; the score of its best place.
fn part_of(speech: &[i16], heard: &[i16], from: usize) -> f64 {
    let core = &speech[speech.len() / 2 - samples(300)..speech.len() / 2 + samples(300)];
    let heard = heard.get(from..).unwrap_or_default();
    find(core, heard).map_or(0.0, |found| found.score)
}

/// Waits until the phone has heard the middle of a prompt.
#[track_caller]
fn hears(phone: &Baresip, speech: &[i16], from: usize) {
    until_true("the prompt", GENEROUS, || part_of(speech, &phone.heard(), from) > 0.9);
}

/// Waits until what was heard last is of somebody's long speech.
#[track_caller]
fn hears_voice(heard: impl Fn() -> Vec<i16>, voice: &[i16], from: usize) {
    until_true("the other one's voice", GENEROUS, || {
        let heard = heard();
        let now = heard.len().saturating_sub(samples(800)).max(from);
        heard.len() >= now + samples(800)
            && find(&heard[now..now + samples(600)], voice).is_some_and(|found| found.score > 0.9)
    });
}

/// Keys (ITU-T Q.23) that are heard in otherwise silent audio, and for how long, ms.
fn keys(audio: &[i16]) -> (String, usize) {
    const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    let (mut keys, mut last, mut ms) = (String::new(), None, 0);
    for block in audio.chunks_exact(samples(20)) {
        let of = |tones: [f64; 4]| {
            let found = (0..4).find(|&at| share(block, tones[at]).is_some_and(|part| part > 0.25));
            found.filter(|_| block.iter().any(|s| s.abs() > 300))
        };
        let key = of(LOW).zip(of(HIGH));
        assert!(key.is_some() || block.iter().all(|s| s.abs() < 12_000), "something else");
        ms += if key.is_some() { 20 } else { 0 };
        if let Some((row, column)) = key.filter(|_| key != last) {
            keys.push(b"123A456B789C*0#D"[row * 4 + column].into());
        }
        last = key;
    }
    (keys, ms)
}

fn ask(ami: &mut Ami, action: &str, headers: &[(&str, &str)], message: &str) -> Told {
    let told = ami.ask(action, headers);
    assert_eq!(told.get("Message"), message, "{action} {headers:?}: {told:?}");
    told
}

fn channel(ami: &mut Ami, device: &str) -> String {
    let own = format!("{device}-");
    let told = ami.told();
    let born = told
        .iter()
        .rev()
        .find(|told| told.get("Event") == "Newchannel" && told.get("Channel").starts_with(&own));
    born.unwrap_or_else(|| panic!("no channel of {device}")).get("Channel").to_owned()
}

/// Whoever goes by the name of phone3 is there once and never again.
fn registers_for_half_a_minute(system: &System) {
    let scenario = Scenario {
        name: "register",
        remote: &system.sip_address(),
        host: Ipv4Addr::LOCALHOST.into(),
        port: free_port(Ipv4Addr::LOCALHOST.into()),
        user: "phone3",
        password: "secret",
        keys: &[("expires_s", "30".to_owned())],
        pause: Duration::ZERO,
        tcp: false,
    };
    Sipp::start(&scenario).succeeds(GENEROUS);
}

/// The samples of a recording, both ends in one.
fn recorded(rest: &Rest, id: &str) -> Vec<i16> {
    let audio = rest.get(&format!("/v1/recordings/{id}/audio")).expect(200);
    let mut reader = hound::WavReader::new(audio.body.as_slice()).expect("a WAV");
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (1, 8000));
    reader.samples::<i16>().map(|sample| sample.expect("a sample")).collect()
}

#[test]
fn calls_are_redirected_bridged_muted_and_hung_up_on_one_by_one() {
    let system = system();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    registers_for_half_a_minute(&system);
    let (voice1, voice2) = (chirps(61, 90_000), chirps(62, 90_000));
    let (first, second) =
        (phone(&system, "phone1", &voice1, false), phone(&system, "phone2", &voice2, true));
    first.dial("202");
    let link = ami.event("Link", |_| true);
    let (a, b) = (link.get("Channel1").to_owned(), link.get("Channel2").to_owned());
    hears_voice(|| second.heard(), &voice1, 0);

    // Both at once, each to its own place: nobody is hung up on.
    let (from1, from2) = (first.heard().len(), second.heard().len());
    let both = [
        ("Channel", a.as_str()),
        ("ExtraChannel", b.as_str()),
        ("Context", "default"),
        ("Exten", "300"),
        ("Priority", "1"),
        ("ExtraContext", "default"),
        ("ExtraExten", "301"),
        ("ExtraPriority", "1"),
    ];
    ask(&mut ami, "Redirect", &both, "Dual Redirect successful");
    hears(&first, &one(), from1);
    hears(&second, &two(), from2);
    assert!(part_of(&two(), &first.heard(), from1) < 0.8, "the other one's prompt");
    ami.event("Unlink", |told| told.get("Channel1") == a || told.get("Channel2") == a);
    rest.calls_become(2);

    // And joined again.
    let (from1, from2) = (first.heard().len(), second.heard().len());
    let joined = [("Channel1", a.as_str()), ("Channel2", b.as_str())];
    ask(&mut ami, "Bridge", &joined, "Launched bridge thread with success");
    hears_voice(|| second.heard(), &voice1, from2);
    hears_voice(|| first.heard(), &voice2, from1);
    rest.calls_become(1);
    assert_eq!(ami.told().iter().filter(|told| told.get("Event") == "Link").count(), 2);

    // One alone: whoever it talked with is hung up on.
    let from2 = second.heard().len();
    let place =
        [("Channel", b.as_str()), ("Context", "default"), ("Exten", "301"), ("Priority", "1")];
    ask(&mut ami, "Redirect", &place, "Redirect successful");
    first.expect_event("CALL_CLOSED");
    hears(&second, &two(), from2);
    ami.event("Hangup", |told| told.get("Channel") == a);
    let gone = |told: &Told| told.get("Event") == "Hangup" && told.get("Channel") == b;
    assert!(!ami.told().iter().any(gone), "it is the same channel all the time");

    // Who was dialled by a plan is hung up on, and the plan goes on.
    let caller = Ear::lift(&system, "1");
    caller.press("310");
    rest.line_becomes("2", "ringing");
    let dialled = Ear::lift(&system, "2");
    ami.event("Link", |told| told.get("Channel1").starts_with("SIM/1-"));
    let (sim1, sim2) = (channel(&mut ami, "SIM/1"), channel(&mut ami, "SIM/2"));
    let one_of_them = [("Channel", sim2.as_str()), ("Cause", "17")];
    ask(&mut ami, "Hangup", &one_of_them, "Channel Hungup");
    ami.event("Hangup", |told| told.get("Channel") == sim2 && told.get("Cause") == "17");
    caller.hears(&one());
    drop(dialled);

    // A simulated and a SIP phone that never called each other.
    let from2 = second.heard().len();
    let joined = [("Channel1", sim1.as_str()), ("Channel2", b.as_str())];
    ask(&mut ami, "Bridge", &joined, "Launched bridge thread with success");
    let voice3 = chirps(63, 60_000);
    let body = wav(&voice3, 8000, 1);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &body).check(202);
    hears_voice(|| second.heard(), &voice3, from2);
    hears_voice(|| caller.heard(), &voice2, 0);

    // Recorded, both of them.
    let file = [("Channel", sim1.as_str()), ("File", "talk.wav")];
    let recording = ami.ask("MixMonitor", &file).get("MixMonitorID").to_owned();
    let (from1, from2) = (caller.heard().len(), second.heard().len());
    hears_voice(|| second.heard(), &voice3, from2);
    hears_voice(|| caller.heard(), &voice2, from1);
    let ended = ami.ask("StopMixMonitor", &[("Channel", &sim1)]);
    assert_eq!(ended.get("Response"), "Success", "{ended:?}");
    let recorded = recorded(&rest, &recording);
    let scores = [&voice3, &voice2, &voice1].map(|voice| {
        let pieces = recorded.chunks_exact(samples(600));
        let scores = pieces.filter_map(|piece| Some(find(piece, voice)?.score));
        scores.fold(0.0, f64::max)
    });
    // Of two that are as loud as each other.
    assert!(scores[0] > 0.6 && scores[1] > 0.6 && scores[2] < 0.5, "{scores:?}");

    // Muted, one way and the other.
    let mute = |ami: &mut Ami, direction: &str, state: &str| {
        let headers = [("Channel", sim1.as_str()), ("Direction", direction), ("State", state)];
        assert_eq!(ami.ask("MuteAudio", &headers).get("Response"), "Success");
    };
    mute(&mut ami, "out", "on");
    caller.hears_nothing();
    mute(&mut ami, "in", "on");
    let silent = |heard: Vec<i16>, from: usize| {
        let last = heard.len().saturating_sub(samples(200)).max(from);
        heard.len() >= last + samples(200) && heard[last..].iter().all(|&s| s.abs() < 100)
    };
    until_true("silence", GENEROUS, || silent(second.heard(), from2));
    mute(&mut ami, "out", "off");
    let from = caller.heard().len();
    hears_voice(|| caller.heard(), &voice2, from);
    assert!(silent(second.heard(), from2), "what comes from it is still silenced");
    mute(&mut ami, "all", "off");
    let from2 = second.heard().len();
    hears_voice(|| second.heard(), &voice3, from2);

    // One digit to the SIP phone, by a program.
    let sent = [("Channel", "SIP/202"), ("Digit", "7"), ("Duration", "200")];
    ask(&mut ami, "PlayDTMF", &sent, "DTMF successfully queued");
    let (_, digit) = second.expect("a digit", |m| m["type"] == "CALL_DTMF_START");
    assert_eq!(digit["param"], "7");

    // The one who is left is what the transfer is about.
    let moved = [("Channel", b.as_str()), ("Context", "default"), ("Exten", "301")];
    ask(&mut ami, "BlindTransfer", &moved, "Transfer succeeded");
    second.expect_event("CALL_CLOSED");
    caller.hears(&two());

    // One digit to an analog phone: it hears that, and nothing else.
    caller.hears_nothing();
    let from = caller.heard().len();
    let sent = [("Channel", "SIM/1"), ("Digit", "5"), ("Duration", "300")];
    ask(&mut ami, "PlayDTMF", &sent, "DTMF successfully queued");
    let heard = caller.hears_for(1200);
    let (digits, ms) = keys(&heard[from..]);
    assert_eq!(digits, "5");
    assert!((260..=340).contains(&ms), "{ms} ms");
    let gone = ask(&mut ami, "Hangup", &[("Channel", &sim1)], "Channel Hungup");
    assert_eq!(gone.get("Response"), "Success");
    rest.calls_become(0);

    // A phone that is not heard of any more.
    let gone = ami.event("PeerStatus", |told| told.get("PeerStatus") == "Unregistered");
    assert_eq!((gone.get("Peer"), gone.get("Cause")), ("SIP/203", "Expired"));
}
