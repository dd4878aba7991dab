//! A telephone on a card in a call.

use crate::PASSWORD;
use serde_json::json;
use std::process::Command;
use std::time::Duration;
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{Lan, System, Telephone};
use tipring_tests::baresip::{self, Baresip};
use tipring_tests::signal::{self, chirps, hearing};
use tipring_tests::system::repository;
use tipring_tests::wait::{GENEROUS, until_true};

/// How far an edge may be from its time under emulation.
const EMULATED: Duration = Duration::from_millis(60);

pub(crate) fn a_whole_life(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let rest = &api.rest;
    let mut phone = Telephone::on(machine, card, 1);
    let mut events = api.socket("/ws");

    // Rung in a cadence: what the telephone feels is what was asked for.
    rest.post("/v1/lines/p1/ring", &json!({"cadence": [1000, 1500], "timeout_ms": 60000}))
        .check(202);
    events.expect_event("ring_start", "p1");
    let begin = phone.expect(Noticed::RingBegins);
    let edges = [(Noticed::RingEnds, 1000), (Noticed::RingBegins, 2500), (Noticed::RingEnds, 3500)];
    for (edge, ms) in edges {
        // The kernel's FXO side tells the end of a ring 50 ms after it.
        let lag = if edge == Noticed::RingEnds { 50 } else { 0 };
        let at = phone.expect(edge).saturating_sub(begin);
        let off = at.abs_diff(Duration::from_millis(ms + lag));
        assert!(off <= EMULATED, "{edge:?} {at:?} after the first, {ms} ms wanted");
    }
    phone.expect(Noticed::RingBegins);
    phone.lift();
    assert_eq!(events.expect_event("ring_stop", "p1")["cause"], "answered");
    events.expect_event("off_hook", "p1");

    // Played to, and heard.
    let tone = chirps(81, 4000);
    let wav = signal::wav(&tone, 8000, 1);
    rest.post_body("/v1/lines/p1/play", "audio/wav", &wav).check(202);
    let heard = phone.listen(4500);
    let found = hearing(&tone, &heard);
    assert!(found.as_ref().is_some_and(|h| h.is_convincing(25)), "{found:?}");
    let ear = api.socket("/v1/lines/p1/audio?format=pcm_s16le&direction=rx");
    let speech = chirps(82, 4000);
    phone.say(&speech);
    let heard = ear.audio_of(4500);
    let found = hearing(&speech, &heard);
    assert!(found.as_ref().is_some_and(|h| h.is_convincing(25)), "{found:?}");

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
    let (a_says, b_says) = (chirps(91, 30_000), chirps(92, 60_000));
    let mut other =
        baresip::Telephone::new("phone1", &format!("{}:5060", lan.guest), b_says.clone());
    other.password = Some(PASSWORD.into());
    other.host = lan.host.into();
    other.answers = true;
    let other = Baresip::start(&other);

    phone.lift();
    api.rest.line_becomes("p1", "off_hook");
    phone.press("201");
    other.expect_event("CALL_ESTABLISHED");
    phone.say(&a_says);
    let (a_heard, b_heard) = (phone.listen(6000), other.heard_of(6000));
    for (who, said, heard) in [("the card's", &b_says, &a_heard), ("the SIP", &a_says, &b_heard)] {
        let found = hearing(said, heard);
        assert!(found.as_ref().is_some_and(|h| h.is_convincing(10)), "{who} phone: {found:?}");
    }
    phone.put_down();
    other.expect_event("CALL_CLOSED");
}

/// Who calls is heard at the telephone after the first ring, and read by spandsp.
pub(crate) fn caller_id(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let phone = Telephone::on(machine, card, 1);
    let caller = json!({"number": "5551234567", "name": "JOHN SMITH"});
    let ring = json!({"cadence": [1000, 4000], "caller_id": caller, "timeout_ms": 60_000});
    api.rest.post("/v1/lines/p1/ring", &ring).check(202);
    // A second of bell, half a second of silence, then it is said.
    let heard = phone.listen(4500);
    api.rest.delete("/v1/lines/p1/ring").check(204);
    api.rest.line_becomes("p1", "on_hook");
    let wav = machine.share().join("caller_id.wav");
    signal::write_wav(&wav, &heard);
    let reader = repository().join("tests/spandsp/caller_id.py");
    let read = Command::new("/usr/bin/python3").arg(reader).arg(&wav).output().expect("python3");
    let messages = String::from_utf8_lossy(&read.stdout);
    // Telcordia GR-30: a message of several parameters; the number is 2, the name 7.
    let message = messages.lines().find(|line| line.starts_with("80")).unwrap_or_else(|| {
        panic!("no message in {messages:?} {}", String::from_utf8_lossy(&read.stderr))
    });
    // 5551234567, JOHN SMITH.
    for parameter in ["020a35353531323334353637", "070a4a4f484e20534d495448"] {
        assert!(message.contains(parameter), "{parameter} is not in {message}");
    }
}
