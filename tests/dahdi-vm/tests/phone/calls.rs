//! A telephone on a card in a call.

use crate::PASSWORD;
use serde_json::json;
use std::iter::zip;
use std::process::Command;
use std::time::Duration;
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{Lan, System, Telephone};
use tipring_tests::baresip::{self, Baresip};
use tipring_tests::signal::{self, chirps, hear_a_second};
use tipring_tests::system::repository;
use tipring_tests::wait::{GENEROUS, until_true};

/// How far an edge may be from its time under emulation.
const EMULATED: Duration = Duration::from_millis(60);

pub(crate) fn a_whole_life(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let rest = &api.rest;
    let mut phone = Telephone::on(machine, card, 1);
    let mut events = api.socket("/ws");

    // Rung in a cadence: what the telephone feels is what was asked for, again and again.
    rest.post("/v1/lines/p1/ring", &json!({"cadence": [1000, 1500], "timeout_ms": 60000}))
        .check(202);
    events.expect_event("ring_start", "p1");
    until_true("two rings in their cadence", GENEROUS, || {
        let edges =
            [Noticed::RingBegins, Noticed::RingEnds, Noticed::RingBegins, Noticed::RingEnds]
                .map(|edge| phone.expect(edge));
        println!("rings felt at {edges:?}");
        // The kernel's FXO side tells the end of a ring 50 ms after it.
        zip([1050, 2500, 3550], &edges[1..]).all(|(ms, edge)| {
            edge.saturating_sub(edges[0]).abs_diff(Duration::from_millis(ms)) <= EMULATED
        })
    });
    phone.expect(Noticed::RingBegins);
    let felt: Vec<Noticed> = phone.noticed().into_iter().map(|(_, noticed)| noticed).collect();
    let rings = felt.chunks(2).all(|ring| {
        ring[0] == Noticed::RingBegins && ring.get(1).is_none_or(|end| *end == Noticed::RingEnds)
    });
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

    // Dialled, by keys and by the dial; flashed; put down. Each is told once.
    phone.press("25");
    for digit in ["2", "5"] {
        let event = events.expect_event("dtmf", "p1");
        assert_eq!((&event["digit"], &event["source"]), (&json!(digit), &json!("dtmf")));
    }
    phone.dial_pulses("30");
    for digit in ["3", "0"] {
        let event = events.expect_event("dtmf", "p1");
        assert_eq!((&event["digit"], &event["source"]), (&json!(digit), &json!("pulse")));
    }
    phone.flash();
    events.expect_event("flash", "p1");
    assert_eq!(rest.line("p1")["hook"], "off");
    phone.put_down();
    events.expect_event("on_hook", "p1");
    rest.line_becomes("p1", "on_hook");
    let told = events.texts();
    let count = |kind: &str| told.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((count("off_hook"), count("on_hook"), count("flash")), (1, 1, 1), "{told:?}");
    assert_eq!(count("dtmf"), 4, "{told:?}");
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
    // It can be rung at once.
    rest.post_empty("/v1/lines/p1/ring").check(202);
    phone.expect(Noticed::RingBegins);
    rest.delete("/v1/lines/p1/ring").check(204);
    rest.line_becomes("p1", "on_hook");
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

    phone.lift();
    api.rest.line_becomes("p1", "off_hook");
    phone.press("201");
    other.expect_event("CALL_ESTABLISHED");
    phone.say(&a_says.repeat(12));
    phone.hears(&b_says);
    hear_a_second("the SIP phone", &a_says, (0, 50_000), |ms| other.heard_of(ms));
    phone.put_down();
    other.expect_event("CALL_CLOSED");
}

/// Who calls is heard at the telephone after the first ring, and read by spandsp.
pub(crate) fn caller_id(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let phone = Telephone::on(machine, card, 1);
    let caller = json!({"number": "5551234567", "name": "JOHN SMITH"});
    let ring = json!({"cadence": [1000, 4000], "caller_id": caller, "timeout_ms": 60_000});
    until_true("who calls", 2 * GENEROUS, || {
        api.rest.post("/v1/lines/p1/ring", &ring).check(202);
        // A second of bell, half a second of silence, then it is said.
        let heard = phone.listen(4500);
        api.rest.delete("/v1/lines/p1/ring").check(204);
        api.rest.line_becomes("p1", "on_hook");
        let wav = machine.share().join("caller_id.wav");
        signal::write_wav(&wav, &heard);
        let reader = repository().join("tests/spandsp/caller_id.py");
        let read = Command::new("/usr/bin/python3").arg(reader).arg(&wav).output();
        let read = read.expect("python3");
        let messages = String::from_utf8_lossy(&read.stdout);
        println!("read: {messages:?} {}", String::from_utf8_lossy(&read.stderr));
        // Telcordia GR-30: a message of several parameters; the number, 2, is 5551234567, and the
        // name, 7, is JOHN SMITH.
        let parameters = ["020a35353531323334353637", "070a4a4f484e20534d495448"];
        let mut complete = messages.lines().filter(|line| line.starts_with("80"));
        complete.any(|message| parameters.iter().all(|parameter| message.contains(parameter)))
    });
}
