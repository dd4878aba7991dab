//! A telephone on a card in a call.

use crate::{AMI_PORT, PASSWORD};
use serde_json::{Value, json};
use std::iter::zip;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tipring_dahdi_vm::telephone::Noticed::{self, RingBegins, RingEnds};
use tipring_dahdi_vm::{Lan, System, Telephone};
use tipring_tests::ami::Ami;
use tipring_tests::baresip::{self, Baresip};
use tipring_tests::signal::{self, chirps, hear_a_second};
use tipring_tests::socket::Socket;
use tipring_tests::system::repository;
use tipring_tests::wait::{GENEROUS, for_duration, until_true};

/// How far an edge may be from its time under emulation.
const EMULATED: Duration = Duration::from_millis(60);

pub(crate) fn a_whole_life(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let rest = &api.rest;
    let mut phone = Telephone::on(machine, card, 1);
    let mut events = api.socket("/ws");

    // Rung in a cadence of its own: what the telephone feels is what was asked for, again and again.
    rest.post(
        "/v1/lines/p1/ring",
        &json!({"cadence": [400, 600, 1000, 1500], "timeout_ms": 60000}),
    )
    .check(202);
    events.expect_event("ring_start", "p1");
    let bursts = [(RingBegins, 0), (RingEnds, 400), (RingBegins, 1000), (RingEnds, 2000)];
    until_true("two rings in their cadence", GENEROUS, || {
        has_felt(&phone.noticed(), &[&bursts[..], &[(RingBegins, 3500)]].concat())
    });
    // Within two seconds of a battery's return the kernel tells of no beginning.
    let felt: Vec<Noticed> = phone
        .noticed()
        .into_iter()
        .map(|(_, noticed)| noticed)
        .skip_while(|noticed| *noticed != RingBegins)
        .collect();
    let rings = felt
        .chunks(2)
        .all(|ring| ring[0] == RingBegins && ring.get(1).is_none_or(|end| *end == RingEnds));
    assert!(rings, "{felt:?}");
    phone.lift();
    assert_eq!(events.expect_event("ring_stop", "p1")["cause"], "answered");
    events.expect_event("off_hook", "p1");

    // Played to, and heard.
    let tone = chirps(81, 5000);
    let wav = signal::wav(&tone.repeat(7), 8000, 1);
    rest.post_body("/v1/lines/p1/play", "audio/wav", &wav).check(202);
    phone.hears(&tone);
    rest.delete("/v1/lines/p1/playbacks").check(200);
    let ear = api.socket("/v1/lines/p1/audio?format=pcm_s16le&direction=rx");
    let speech = chirps(82, 5000);
    phone.say(&speech.repeat(7));
    hear_a_second("the WebSocket", &speech, (0, 30_000), |ms| ear.audio_of(ms));
    phone.hush();

    system.undisturbed("what is dialled", || dials_and_hangs_up(&mut phone, &mut events));
    rest.line_becomes("p1", "on_hook");
    let told = events.texts();
    let count = |kind: &str| told.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(count("off_hook"), count("on_hook"), "{told:?}");
}

/// Dials by keys and by the dial, flashes, and puts down: each is told once, in this order.
fn dials_and_hangs_up(phone: &mut Telephone, events: &mut Socket) -> Result<(), String> {
    if events.texts().last().is_some_and(|last| last["type"] == "on_hook") {
        phone.lift();
        events.expect_event("off_hook", "p1");
    }
    let from = events.texts().len();
    phone.press("25");
    phone.dial_pulses("30");
    phone.flash();
    // One that lasts too long is a hang-up.
    let ends = ["flash", "on_hook"];
    events.expect("the flash", |m| m["line"] == "p1" && ends.iter().any(|end| m["type"] == *end));
    phone.put_down();
    events.expect_event("on_hook", "p1");
    let told = events.texts().split_off(from);
    let kinds = ["dtmf", "flash", "off_hook", "on_hook"];
    let ours = |m: &&Value| m["line"] == "p1" && kinds.iter().any(|kind| m["type"] == *kind);
    let said: Vec<String> = told
        .iter()
        .filter(ours)
        .map(|m| match (m["digit"].as_str(), m["source"].as_str()) {
            (Some(digit), Some(source)) => format!("{digit} by {source}"),
            _ => m["type"].as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    let wanted = ["2 by dtmf", "5 by dtmf", "3 by pulse", "0 by pulse", "flash", "on_hook"];
    if said == wanted { Ok(()) } else { Err(format!("told {said:?}")) }
}

/// Rings that were felt at these times after the first one, ms, somewhere in what was noticed.
pub(crate) fn has_felt(noticed: &[(Duration, Noticed)], pattern: &[(Noticed, u64)]) -> bool {
    noticed.windows(pattern.len()).any(|felt| {
        zip(felt, pattern).all(|((at, what), (wanted, ms))| {
            // The kernel's FXO side tells the end of a ring 50 ms after it.
            let ms = if *wanted == RingEnds { ms + 50 } else { *ms };
            let after = at.saturating_sub(felt[0].0);
            what == wanted && after.abs_diff(Duration::from_millis(ms)) <= EMULATED
        })
    })
}

/// Lifts the telephone at `line` and dials, once more if the machine stood still in the middle of it.
pub(crate) fn dials(system: &System<'_>, phone: &mut Telephone, line: &str, number: &str) {
    let rest = &system.api.rest;
    let events = system.api.socket("/ws?types=dtmf");
    system.undisturbed(&format!("dialling {number}"), || {
        let from = events.texts().len();
        phone.lift();
        rest.line_becomes(line, "off_hook");
        phone.press(number);
        let dialled = || -> String {
            let told = events.texts().split_off(from);
            let ours = told.iter().filter(|m| m["type"] == "dtmf" && m["line"] == line);
            ours.filter_map(|m| m["digit"].as_str()).collect()
        };
        // What was pressed is known at once; what was not heard never comes.
        let begin = Instant::now();
        while dialled().len() < number.len() && begin.elapsed() < Duration::from_secs(5) {
            for_duration(Duration::from_millis(50));
        }
        if dialled() == number {
            return Ok(());
        }
        phone.put_down();
        rest.line_becomes(line, "on_hook");
        Err(format!("heard {}", dialled()))
    });
}

pub(crate) fn hung_up(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let rest = &api.rest;
    let mut phone = Telephone::on(machine, card, 1);
    // Lifted before the engine opens the channel: no event of the kernel tells that.
    system.without_engine(|| phone.lift());
    rest.line_becomes("p1", "off_hook");
    let mut events = api.socket("/ws");
    rest.post_empty("/v1/lines/p1/hangup").check(202);
    phone.expect(Noticed::NoBattery);
    // The telephone stays lifted; the line is fed again, and used.
    until_true("the battery", GENEROUS, || card.line(1) == "offhook");
    until_true("congestion", GENEROUS, || signal::level_dbm0(&phone.listen(400)) > -40.0);
    // Some seconds later, for one that was forgotten.
    until_true("the howler", GENEROUS, || signal::level_dbm0(&phone.listen(400)) > -18.0);
    assert_eq!(rest.line("p1")["phase"], "howler");
    phone.put_down();
    events.expect_event("on_hook", "p1");
    rest.line_becomes("p1", "on_hook");
    rings_at_once(system, &mut phone);
}

pub(crate) fn with_a_sip_phone(system: &System<'_>, lan: &Lan) {
    let System { machine, card, api, .. } = system;
    let mut phone = Telephone::on(machine, card, 1);
    let (a_says, b_says) = (chirps(91, 5000), chirps(92, 5000));
    let mut other =
        baresip::Telephone::new("phone1", &format!("{}:5060", lan.guest), b_says.repeat(24));
    other.password = Some(PASSWORD.into());
    other.host = lan.host.into();
    other.answers = true;
    let other = Baresip::start(&other);

    dials(system, &mut phone, "p1", "201");
    other.expect_event("CALL_ESTABLISHED");
    phone.say(&a_says.repeat(12));
    phone.hears(&b_says);
    hear_a_second("the SIP phone", &a_says, (0, 50_000), |ms| other.heard_of(ms));
    // The far end hangs up: the telephone is told by its battery. Put down while it has none, it is
    // down, not flashing, and can be rung.
    let mut events = api.socket("/ws");
    other.hang_up();
    phone.expect(Noticed::NoBattery);
    phone.put_down();
    events.expect_event("on_hook", "p1");
    assert!(events.texts().iter().all(|m| m["type"] != "flash"), "{:?}", events.texts());
    other.expect_event("CALL_CLOSED");
    until_true("the battery", GENEROUS, || card.line(1) == "idle");
    rings_at_once(system, &mut phone);
}

fn rings_at_once(system: &System<'_>, phone: &mut Telephone) {
    let rest = &system.api.rest;
    rest.post_empty("/v1/lines/p1/ring").check(202);
    phone.expect(RingBegins);
    rest.delete("/v1/lines/p1/ring").check(204);
    rest.line_becomes("p1", "on_hook");
}

/// By AMI, `DAHDIDNDon` and `DAHDIDNDoff`: a telephone that is not to be disturbed is busy to others.
pub(crate) fn not_disturbed(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let mut ami = Ami::connect_to(&machine.address(AMI_PORT));
    ami.log_in("manager", PASSWORD);
    let mut phone = Telephone::on(machine, card, 2);
    let mut events = api.socket("/ws");
    for (action, state) in [("DAHDIDNDon", "enabled"), ("DAHDIDNDoff", "disabled")] {
        let answer = ami.ask(action, &[("DAHDIChannel", "1")]);
        assert_eq!(answer.get("Response"), "Success", "{answer:?}");
        let told = ami.event("DNDState", |told| told.get("Status") == state);
        assert_eq!(told.get("Channel"), "DAHDI/1", "{told:?}");
        dials(system, &mut phone, "p2", "101");
        if state == "enabled" {
            let ended = events.expect("a busy line", |m| {
                m["type"] == "call_ended" && m["call"]["to"] == "line:p1"
            });
            assert_eq!(ended["cause"]["code"], 17, "{ended}");
        } else {
            until_true("the bell", GENEROUS, || card.line(1) == "ringing");
        }
        phone.put_down();
        api.rest.line_becomes("p2", "on_hook");
    }
    api.rest.line_becomes("p1", "on_hook");
    let rung =
        events.texts().iter().filter(|m| m["type"] == "ring_start" && m["line"] == "p1").count();
    assert_eq!(rung, 1, "the second time only");
}

pub(crate) fn john() -> Value {
    json!({"number": "5551234567", "name": "JOHN SMITH"})
}

/// Who calls is heard at the telephone after the first ring, and read by spandsp.
pub(crate) fn caller_id(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let phone = Telephone::on(machine, card, 1);
    let ring = json!({"cadence": [1000, 4000], "caller_id": john(), "timeout_ms": 60_000});
    until_true("who calls", 2 * GENEROUS, || {
        api.rest.post("/v1/lines/p1/ring", &ring).check(202);
        // A second of bell, half a second of silence, then it is said.
        let heard = phone.listen(4500);
        api.rest.delete("/v1/lines/p1/ring").check(204);
        api.rest.line_becomes("p1", "on_hook");
        names_john(&heard, "class", machine.share().join("caller_id.wav"))
    });
}

/// spandsp reads of it who calls: it waits for messages of `class` or `clip`.
pub(crate) fn names_john(heard: &[i16], kind: &str, wav: PathBuf) -> bool {
    signal::write_wav(&wav, heard);
    let reader = repository().join("tests/spandsp/caller_id.py");
    let read = Command::new("/usr/bin/python3").arg(reader).arg(wav).arg(kind).output();
    let read = read.expect("python3");
    let messages = String::from_utf8_lossy(&read.stdout);
    println!("read: {messages:?} {}", String::from_utf8_lossy(&read.stderr));
    // Telcordia GR-30 and ETSI EN 300 659: a message of several parameters; the number, 2, is
    // 5551234567, and the name, 7, is JOHN SMITH.
    let parameters = ["020a35353531323334353637", "070a4a4f484e20534d495448"];
    let mut complete = messages.lines().filter(|line| line.starts_with("80"));
    complete.any(|message| parameters.iter().all(|parameter| message.contains(parameter)))
}
