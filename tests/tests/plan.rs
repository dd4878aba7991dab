//! Dial plans: what `extensions.conf` says is done, heard by content at simulated and real phones.

use serde_json::{Value, json};
use tipring_tests::ami::{Ami, Told};
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::ear::{Ear, share};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, find, hearing, samples, wav};
use tipring_tests::system::{Setup, System, program};
use tipring_tests::wait::{GENEROUS, until, until_true};

/// `hello-world` of these tests.
fn hello() -> Vec<i16> {
    chirps(401, 2000)
}

/// A system with prompts of its own, and a plan instead of the demonstration's where one is given.
fn system(plan: Option<&str>) -> System {
    let apid_yaml = plan.map(|_| {
        "sip:\n  accounts:\n    - {user: phone1, password: secret, extension: \"201\", algorithms: [md5]}\n    \
         - {user: phone2, password: secret, extension: \"202\", algorithms: [md5]}\nlines:\n  \
         - {id: \"1\", engine: sim/1, extension: \"101\"}\n  - {id: \"2\", engine: sim/2, extension: \"102\"}\n\
         extensions: extensions.conf\nami:\n  users:\n    - {user: manager, secret: secret}\n"
            .to_owned()
    });
    let mut system = System::prepare(Setup { apid_yaml, ..Setup::default() });
    if let Some(plan) = plan {
        std::fs::write(system.folder.file("extensions.conf"), plan).expect("written");
    }
    let sounds = system.folder.file("state").join("sounds");
    std::fs::create_dir_all(&sounds).expect("a folder");
    std::fs::write(sounds.join("hello-world.wav"), wav(&hello(), 8000, 1)).expect("written");
    for digit in 0..10 {
        let file = sounds.join(format!("digit{digit}.wav"));
        std::fs::write(file, wav(&chirps(500 + digit, 500), 8000, 1)).expect("written");
    }
    system.start_engine();
    system.start_apid();
    system.ready();
    system
}

fn dial(rest: &Rest, line: &str, digits: &str) {
    rest.post(&format!("/v1/sim/{line}/dial"), &json!({ "digits": digits })).check(202);
}

fn lift(rest: &Rest, line: &str) {
    until_true("its hook is known", GENEROUS, || rest.line(line)["hook"] != "unknown");
    rest.hook(line, true);
}

/// The whole prompt is in what was heard.
fn hears(said: &[i16], heard: &[i16]) -> bool {
    hearing(said, heard).is_some_and(|h| h.is_convincing(said.len() / 800 - 4))
}

fn ended(rest: &Rest) -> Value {
    rest.calls_become(0);
    rest.get("/v1/calls").expect_json(200)["calls"][0].clone()
}

#[test]
fn a_simulated_phone_hears_401_and_is_hung_up() {
    let system = system(None);
    let rest = system.rest();
    lift(&rest, "1");
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    dial(&rest, "1", "401");
    // A second of silence, the prompt, another second.
    let heard = ear.audio_of(5000);
    assert!(hears(&hello(), &heard), "{:?}", hearing(&hello(), &heard));
    let call = ended(&rest);
    assert_eq!(
        (call["to"].as_str(), call["cause"]["code"].as_u64()),
        (Some("app:401@default"), Some(16))
    );
    assert!(!call["answered_at"].is_null());
}

#[test]
fn a_sip_phone_hears_401_and_is_hung_up() {
    let system = system(None);
    let telephone = Telephone::new("phone1", &system.sip_address(), vec![0; samples(60_000)]);
    let phone = Baresip::start(&telephone);
    phone.dial("401");
    phone.expect_event("CALL_ESTABLISHED");
    phone.expect_event("CALL_CLOSED");
    let heard = phone.heard();
    assert!(hears(&hello(), &heard), "{:?}", hearing(&hello(), &heard));
    assert_eq!(ended(&system.rest())["cause"]["code"], 16);
}

#[test]
fn the_plan_goes_on_after_dial() {
    let system = system(None);
    let rest = system.rest();
    let silence = vec![0; samples(90_000)];
    let caller = Baresip::start(&Telephone::new("phone1", &system.sip_address(), silence));
    let said = chirps(402, 90_000);
    let other = Telephone {
        answers: true,
        ..Telephone::new("phone2", &system.sip_address(), said.clone())
    };
    let second = Baresip::start(&other);
    caller.dial("402");
    caller.expect_event("CALL_ESTABLISHED");
    second.expect_event("CALL_ESTABLISHED");
    rest.line_becomes("phone2", "off_hook");
    until_true("they talk", GENEROUS, || {
        hearing(&said, &caller.heard()).is_some_and(|h| h.recognised > 15)
    });
    let talked = caller.heard().len();
    second.hang_up();
    second.expect_event("CALL_CLOSED");
    caller.expect_event("CALL_CLOSED");
    let heard = caller.heard();
    let first = find(&hello()[samples(500)..samples(1500)], &heard[..talked]).expect("audio");
    let again = find(&hello()[samples(500)..samples(1500)], &heard[talked..]).expect("audio");
    assert!(first.score > 0.9, "before it dialled: {first:?}");
    assert!(again.score > 0.9, "after the other had gone: {again:?}");
    rest.calls_become(0);
}

#[test]
fn a_menu_reads_digits_jumps_and_remembers() {
    let plan = "\
[globals]
CODE = 42
[default]
exten => 300,1,Answer()
 same => n,Set(tries=0)
 same => n(again),Set(tries=$[${tries} + 1])
 same => n,Read(code,,2)
 same => n,GotoIf($[\"${code}\" = \"${CODE}\"]?right)
 same => n,GotoIf($[${tries} < 2]?again)
 same => n,GotoIfTime(*,*,31,feb?again)
 same => n,Hangup(21)
 same => n(right),Set(DB(doors/last)=${CALLERID(num)})
 same => n,GotoIfTime(00:00-23:59,sun-sat,*,*?open:closed)
 same => n(closed),Hangup(21)
 same => n(open),Background(hello-world)
 same => n,WaitExten(10)
exten => 7,1,Gosub(say,s,1(${DB(doors/last)}))
 same => n,Dial(SIM/2,20)
exten => i,1,Hangup(1)
exten => 301,1,Answer()
 same => n,Set(DB(doors/code)=5)
 same => n,GotoIf($[\"${DB_DELETE(doors/code)}-${DB_EXISTS(doors/code)}\" = \"5-0\"]?gone)
 same => n,Hangup(21)
 same => n(gone),Set(TIMEOUT(response)=0.2)
 same => n,Read(code,,2)
 same => n,GotoIf($[\"${READSTATUS}${TIMEOUT(response)}\" = \"TIMEOUT0.2\"]?late)
 same => n,Hangup(21)
 same => n(late),Set(TIMEOUT(digit)=0.2)
 same => n,Set(TIMEOUT(absolute)=100)
 same => n,GotoIf($[${TIMEOUT(absolute)} < 90 | ${TIMEOUT(absolute)} > 100]?wrong)
 same => n,Set(TIMEOUT(absolute)=4)
 same => n,Read(code,,2,,,20)
 same => n,Dial(SIM/2,20)
 same => n(wrong),Hangup(21)
exten => T,1,Hangup(${IF($[\"${code}\" = \"4\"]?28:21)})
[say]
exten => s,1,Playback(digit${ARG1:0:1}&digit${ARG1:-1})
 same => n,Return()
";
    let system = system(Some(plan));
    let rest = system.rest();
    let ami = Ami::login(&system);
    lift(&rest, "1");
    let mut events = system.socket("/ws");
    dial(&rest, "1", "300");
    events.expect("it is answered", |m| m["type"] == "call_connected");
    dial(&rest, "1", "41");
    dial(&rest, "1", "42");
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    events.expect_event("playback_started", "1");
    dial(&rest, "1", "7");
    assert_eq!(events.expect_event("playback_ended", "1")["cause"], "digit");
    // 101, its first and its last sign.
    let heard = ear.audio_of(5000);
    let one = chirps(501, 500);
    let found = find(&one[samples(100)..samples(400)], &heard).expect("audio");
    assert!(found.score > 0.9, "{found:?}");
    rest.line_becomes("2", "ringing");
    lift(&rest, "2");
    until_true("they talk", GENEROUS, || rest.line("1")["phase"] == "talking");
    let call = rest.calls_become(1)[0].clone();
    assert_eq!((call["from"].as_str(), call["to"].as_str()), (Some("line:1"), Some("line:2")));
    rest.hook("2", false);
    assert_eq!(ended(&rest)["cause"]["code"], 16, "without g the caller is hung up on too");

    // A wrong number of the menu, and too many wrong codes.
    rest.hook("1", false);
    for (digits, cause) in [(["42", "9"], 1), (["41", "43"], 21)] {
        lift(&rest, "1");
        let mut events = system.socket("/ws");
        dial(&rest, "1", "300");
        events.expect("it is answered", |m| m["type"] == "call_connected");
        for (index, digits) in digits.iter().enumerate() {
            if index == 1 && cause == 1 {
                events.expect_event("playback_started", "1");
            }
            dial(&rest, "1", digits);
        }
        let call = events.expect("its end", |m| m["type"] == "call_ended");
        assert_eq!(call["cause"]["code"], cause, "{call}");
        rest.hook("1", false);
    }

    // Times that a plan sets: for the first digit, for the second, and for the call.
    lift(&rest, "1");
    let mut events = system.socket("/ws");
    dial(&rest, "1", "301");
    let read = |told: &Told| told.get("Application") == "Read" && told.get("Priority") == "13";
    ami.event("Newexten", read);
    dial(&rest, "1", "4");
    rest.line_becomes("2", "ringing");
    let call = events.expect("its end", |m| m["type"] == "call_ended");
    assert_eq!(call["cause"]["code"], 28, "{call}");
    rest.line_becomes("2", "on_hook");
}

/// `#` and a number: whom the plan dialled hands the caller on, the caller whom it dialled. Then a
/// conversation that has a limit, of which the caller is told before in the plan's own words.
#[test]
fn a_key_hands_the_other_one_on_and_a_limit_is_told() {
    let plan = "[default]\nexten => 5,1,Dial(SIM/2,20,tT)\nexten => 7,1,Set(LIMIT_WARNING_FILE=digit7)\n \
                same => n,Dial(SIM/2,20,L(3500:2500))\n\
                exten => 61,1,Answer()\n same => n,Playback(hello-world)\n same => n,Wait(60)\n";
    let system = system(Some(plan));
    let rest = system.rest();
    for by_caller in [false, true] {
        let caller = Ear::lift(&system, "1");
        caller.press("5");
        rest.line_becomes("2", "ringing");
        let dialled = Ear::lift(&system, "2");
        until_true("they talk", GENEROUS, || rest.line("1")["phase"] == "talking");
        let (hands_on, goes_on) = if by_caller { (&caller, &dialled) } else { (&dialled, &caller) };
        // Not of that menu: no number begins so, and the two talk on.
        hands_on.press("#9");
        let line = if by_caller { "1" } else { "2" };
        until_true("its keys", GENEROUS, || rest.line(line)["last_digit"] == "9");
        hands_on.press("#61");
        goes_on.hears(&hello());
        until_true("the other one is hung up on", GENEROUS, || {
            rest.calls_become(1)[0]["legs"].as_array().is_some_and(|legs| {
                legs.iter().filter(|leg| leg["kind"] == "line" && leg["state"] != "ended").count()
                    == 1
            })
        });
        drop(caller);
        drop(dialled);
        rest.calls_become(0);
    }
    let mut events = system.socket("/ws");
    let caller = Ear::lift(&system, "1");
    caller.press("7");
    rest.line_becomes("2", "ringing");
    let dialled = Ear::lift(&system, "2");
    caller.hears(&chirps(507, 500));
    events.expect("its end", |m| m["type"] == "call_ended");
    drop((caller, dialled));
}

/// What `Dial` lets both hear before they talk: the caller music or ringing, whom it dialled a macro
/// that asks whether to take the call, each of them digits once they are joined.
#[test]
fn whom_the_plan_dials_is_asked_before_the_two_talk() {
    let plan = "[default]\n\
                exten => 8,1,Dial(SIM/2,20,m(jazz)M(ask^hello-world)D(12:34))\n \
                same => n,Playback(digit${DIALSTATUS:0:1})\n\
                exten => 9,1,Dial(SIM/2,20,rU(ask,s,1^digit9))\n \
                same => n,Playback(digit5)\n same => n,Wait(60)\n\
                exten => 61,1,Answer()\n same => n,Playback(digit6)\n same => n,Wait(60)\n\
                [macro-ask]\n\
                exten => s,1,Read(REPLY,${ARG1},1)\n\
                [ask]\n\
                exten => s,1,Read(REPLY,${ARG1},1)\n \
                same => n,Set(GOSUB_RESULT=${IF($[\"${REPLY}\" = \"1\"]?CONTINUE:GOTO:default^61^1)})\n \
                same => n,Return()\n";
    let system = system(Some(plan));
    let moh = system.folder.file("state").join("sounds/moh");
    std::fs::create_dir_all(&moh).expect("a folder");
    let jazz = chirps(800, 3000);
    std::fs::write(moh.join("jazz.wav"), wav(&jazz, 8000, 1)).expect("written");
    let rest = system.rest();

    let caller = Ear::lift(&system, "1");
    caller.press("8");
    rest.line_becomes("2", "ringing");
    caller.hears(&jazz);
    let dialled = Ear::lift(&system, "2");
    dialled.hears(&hello());
    let voice = chirps(801, 2000);
    caller.say(&voice);
    dialled.hears_for(2500);
    assert!(!hears(&voice, &dialled.heard()), "they are not joined yet");
    assert!(!hears(&hello(), &caller.heard()), "what is asked is nobody else's matter");
    dialled.press("1");
    // The keys that each hears, then each other.
    dialled.hears_key('1');
    dialled.hears_key('2');
    caller.hears_key('3');
    caller.hears_key('4');
    caller.say(&voice);
    dialled.hears(&voice);
    drop((caller, dialled));
    rest.calls_become(0);

    for (reply, follows) in [("1", 505), ("2", 506)] {
        let caller = Ear::lift(&system, "1");
        caller.press("9");
        rest.line_becomes("2", "ringing");
        until_true("ringing, 440 and 480 Hz", GENEROUS, || {
            let both = |piece: &[i16]| {
                [440.0, 480.0].iter().all(|hz| share(piece, *hz).is_some_and(|part| part > 0.4))
            };
            caller.heard().chunks_exact(samples(100)).any(both)
        });
        let dialled = Ear::lift(&system, "2");
        dialled.hears(&chirps(509, 500));
        dialled.press(reply);
        caller.hears(&chirps(follows, 500));
        drop((caller, dialled));
        rest.calls_become(0);
    }
}

/// What a plan has a telephone hear besides prompts, one after the other; then `*` of either ends what
/// it dialled.
#[test]
fn tones_digits_and_words_of_a_plan_are_heard() {
    let plan = "[default]\n\
                exten => 8,1,Answer()\n same => n,PlayTones(620)\n same => n,Wait(2)\n \
                same => n,StopPlayTones()\n same => n,SendDTMF(5)\n same => n,SayDigits(3)\n \
                same => n,SayUnixTime(0,UTC,Y)\n same => n,Milliwatt()\n\
                exten => 9,1,Dial(SIM/2,20,hHg)\n same => n,Playback(digit9)\n same => n,Wait(60)\n";
    let system = system(Some(plan));
    let digits = system.folder.file("state").join("sounds/digits");
    std::fs::create_dir_all(&digits).expect("a folder");
    let word = |seed: u64| chirps(600 + seed, 400);
    for (seed, name) in (0..).zip(["3", "1", "thousand", "9", "hundred", "70"]) {
        let file = digits.join(format!("{name}.wav"));
        std::fs::write(file, wav(&word(seed), 8000, 1)).expect("written");
    }
    let ear = Ear::dial(&system, "1", "8");
    ear.hears_tone(620.0);
    ear.hears_key('5');
    for seed in 0..6 {
        ear.hears(&word(seed));
    }
    ear.hears_tone(1004.0);
    drop(ear);
    let rest = system.rest();
    rest.calls_become(0);

    for by_caller in [false, true] {
        let caller = Ear::lift(&system, "1");
        caller.press("9");
        rest.line_becomes("2", "ringing");
        let dialled = Ear::lift(&system, "2");
        until_true("they talk", GENEROUS, || rest.line("1")["phase"] == "talking");
        if by_caller {
            caller.press("*");
        } else {
            dialled.press("*");
        }
        caller.hears(&chirps(509, 500));
        drop((caller, dialled));
        rest.calls_become(0);
    }
}

/// Two sit in a conference of the plan, a program of the manager interface sees it whole, silences one
/// and has it leave; the plan goes on with that one.
#[test]
fn a_conference_of_the_plan_is_seen_and_changed_by_a_program() {
    let plan = "[default]\nexten => 70,1,Answer()\n same => n,ConfBridge(club)\n \
                same => n,Playback(digit7)\n same => n,Wait(60)\n";
    let system = system(Some(plan));
    let mut ami = Ami::login(&system);
    let rest = system.rest();
    let one = Ear::dial(&system, "1", "70");
    ami.event("ConfbridgeStart", |told| told.get("Conference") == "club");
    let two = Ear::dial(&system, "2", "70");
    let joined = |told: &Told| told.get("Channel").starts_with("SIM/2-");
    let channel = ami.event("ConfbridgeJoin", joined).get("Channel").to_owned();
    let voice = chirps(802, 2000);
    one.say(&voice);
    two.hears(&voice);
    let talks = |told: &Told| {
        told.get("Channel").starts_with("SIM/1-") && told.get("TalkingStatus") == "on"
    };
    ami.event("ConfbridgeTalking", talks);
    ami.ask("ConfbridgeListRooms", &[]);
    ami.event("ConfbridgeListRooms", |told| told.get("Parties") == "2");
    let member = [("Conference", "club"), ("Channel", channel.as_str())];
    assert_eq!(ami.ask("ConfbridgeMute", &member).get("Message"), "User muted");
    ami.event("ConfbridgeMute", |told| told.get("Channel") == channel);
    ami.ask("ConfbridgeList", &[("Conference", "club")]);
    ami.event("ConfbridgeList", |t| t.get("Channel") == channel && t.get("Muted") == "Yes");
    let unheard = chirps(803, 2000);
    two.say(&unheard);
    one.hears_for(2500);
    assert!(!hears(&unheard, &one.heard()), "it is muted");
    assert_eq!(ami.ask("ConfbridgeUnmute", &member).get("Message"), "User unmuted");
    assert_eq!(ami.ask("ConfbridgeKick", &member).get("Message"), "User kicked");
    two.hears(&chirps(507, 500));
    ami.event("ConfbridgeLeave", |told| told.get("Channel") == channel);
    ami.event("VarSet", |t| t.get("Variable") == "CONFBRIDGE_RESULT" && t.get("Value") == "KICKED");
    drop(one);
    ami.event("ConfbridgeEnd", |told| told.get("Conference") == "club");
    drop(two);
    rest.calls_become(0);
}

#[test]
fn a_sip_phone_that_is_not_answered_is_refused_by_the_plan() {
    let plan = "[default]\nexten => 31,1,Busy()\nexten => 32,1,Congestion()\nexten => 33,1,Hangup(21)\n\
                exten => 34,1,Ringing()\n same => n,Wait(1)\n same => n,Goto(nowhere,1)\n";
    let system = system(Some(plan));
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), vec![0; 8000]));
    for (number, status) in [("31", "486"), ("32", "503"), ("33", "403"), ("34", "480")] {
        phone.dial(number);
        if number == "34" {
            phone.expect_event("CALL_RINGING");
        }
        let (_, closed) = phone.expect("an end", |m| m["type"] == "CALL_CLOSED");
        assert!(closed["param"].as_str().is_some_and(|p| p.contains(status)), "{number}: {closed}");
        system.rest().calls_become(0);
    }
}

#[test]
fn a_recording_is_a_prompt_from_then_on() {
    let plan = "[default]\nexten => 5,1,Answer()\n same => n,Record(greetings/mine.wav,0,20,q)\n \
                same => n,Playback(greetings/mine)\n same => n,Hangup()\n";
    let system = system(Some(plan));
    let rest = system.rest();
    lift(&rest, "1");
    let mut events = system.socket("/ws");
    dial(&rest, "1", "5");
    events.expect_event("recording_started", "1");
    let said = chirps(77, 2000);
    let body = wav(&said, 8000, 1);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &body).check(202);
    let mouth = system.socket("/v1/lines/1/audio?direction=rx");
    mouth.audio_of(2500);
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    dial(&rest, "1", "#");
    events.expect_event("playback_started", "1");
    let heard = ear.audio_of(3500);
    assert!(hears(&said[samples(300)..samples(1800)], &heard), "{:?}", hearing(&said, &heard));
}

#[test]
fn a_plan_is_checked_without_starting_and_read_anew() {
    let mut system = system(Some("[default]\nexten => 31,1,Busy()\n"));
    let file = system.folder.file("extensions.conf");
    let check = |plan: &str| {
        std::fs::write(&file, plan).expect("written");
        let config = system.folder.file("apid.yml");
        let mut command = std::process::Command::new(program("tipring-apid"));
        let output = command.arg("--check-config").arg("--config").arg(config).output();
        let output = output.expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(check("[default]\nexten => 31,1,Answer()\n").0);
    let (valid, said) = check("[default]\nexten => 31,1,Answer()\nexten => 32,1,Fly()\n");
    assert!(!valid && said.contains("extensions.conf:3") && said.contains("Fly"), "{said}");
    let rest = system.rest();
    let refused = rest.post_empty("/v1/reload");
    assert!(
        refused.status >= 400 && refused.to_string().contains("extensions.conf:3"),
        "{refused}"
    );
    assert!(check("[default]\nexten => 32,1,Answer()\n same => n,Wait(60)\n").0);
    rest.post_empty("/v1/reload").check(200);
    lift(&rest, "1");
    dial(&rest, "1", "32");
    let call = until("the call", GENEROUS, || {
        let call = rest.calls_become(1)[0].clone();
        (call["state"] == "connected").then_some(call)
    });
    assert_eq!(call["to"], "app:32@default");
    // What a plan does ends with its process; its calls are ended by the next.
    system.apid = None;
    system.start_apid();
    system.ready();
    rest.calls_become(0);
}
