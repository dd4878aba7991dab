//! The story of a simulated line over REST and `/ws`: every event type of the two older APIs.

use serde_json::{Value, json};
use tipring_signals::companding::Law;
use tipring_signals::signal::Signal;
use tipring_tests::signal::{syllables, wav};
use tipring_tests::system::System;

fn is_iso_utc(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

#[test]
fn a_line_is_rung_lifted_dialled_flashed_and_put_down() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events = system.socket("/ws");

    let line = rest.line("1");
    assert_eq!(line["kind"], "sim");
    assert_eq!(line["state"], "on_hook");
    assert_eq!(line["hook"], "on");
    assert_eq!(line["phase"], Value::Null);
    assert_eq!(line["registered"], Value::Null);

    // Rung, and lifted.
    let answer =
        rest.post("/v1/lines/1/ring", &json!({"cadence": [400, 400], "timeout_ms": 30000}));
    let call_id = answer.expect_json(202)["call_id"].clone();
    let start = events.expect_event("ring_start", "1");
    assert_eq!(start["call_id"], call_id);
    assert!(is_iso_utc(&start["timestamp"]), "{start}");
    rest.line_becomes("1", "ringing");
    rest.post("/v1/lines/1/ring", &json!({})).expect_problem(409, "line-busy");
    rest.hook("1", true);
    assert_eq!(events.expect_event("ring_stop", "1")["cause"], "answered");
    let off = events.expect_event("off_hook", "1");
    assert!(is_iso_utc(&off["timestamp"]), "{off}");
    assert_eq!(rest.line("1")["phase"], "talking");
    rest.post("/v1/lines/1/ring", &json!({})).expect_problem(409, "line-busy");

    // Speaks.
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&syllables(5, 1500), 8000, 1)).check(202);
    let voice = events.expect("voice begins", |m| m["type"] == "voice" && m["active"] == true);
    for key in ["energy", "energy_level", "start_time", "end_time"] {
        assert!(voice.get(key).is_some(), "{key} is missing in {voice}");
    }
    events.expect("voice ends", |m| m["type"] == "voice" && m["active"] == false);

    // Is an exchange: there is no such number.
    let sit = [(985.2, 380.0), (1370.6, 274.0), (1776.7, 380.0)];
    let sit = sit.iter().fold(Signal::new(1), |line, &(hz, ms)| line.sines(&[(hz, -20.0)], ms));
    let said = wav(&sit.silence(500.0).companded(Law::A), 8000, 1);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &said).check(202);
    let tone = events.expect_event("tone", "1");
    assert_eq!(tone["tone"], "special_information");
    assert_eq!((&tone["code"], &tone["active"]), (&json!("vacant_code"), &json!(true)), "{tone}");
    let level = tone["level_dbm0"].as_f64().expect("a level");
    assert!((-21.0..=-19.0).contains(&level) && is_iso_utc(&tone["start_time"]), "{tone}");

    // Puts down.
    rest.hook("1", false);
    events.expect_event("on_hook", "1");

    // Lifts by itself: dial tone, digits by tones and by pulses, a flash.
    rest.hook("1", true);
    events.expect_event("off_hook", "1");
    assert_eq!(rest.line("1")["phase"], "dial_tone");
    rest.post("/v1/sim/1/dial", &json!({"digits": "15#"})).check(202);
    for digit in ["1", "5", "#"] {
        let event = events.expect_event("dtmf", "1");
        assert_eq!(event["digit"], digit);
        assert_eq!(event["source"], "dtmf");
        assert!(event["duration_ms"].as_u64().is_some_and(|ms| (40..400).contains(&ms)), "{event}");
        assert!(event["signal_level"].is_number(), "{event}");
    }
    assert_eq!(rest.line("1")["last_digit"], "#");
    rest.post("/v1/sim/1/dial", &json!({"digits": "40", "method": "pulse"})).check(202);
    for digit in ["4", "0"] {
        let event = events.expect_event("dtmf", "1");
        assert_eq!((&event["digit"], &event["source"]), (&json!(digit), &json!("pulse")));
    }
    rest.post("/v1/sim/1/flash", &json!({"ms": 400})).check(202);
    let flash = events.expect_event("flash", "1");
    assert!(flash["duration_ms"].as_u64().is_some_and(|ms| (300..500).contains(&ms)), "{flash}");
    assert_eq!(rest.line("1")["hook"], "off");
    rest.hook("1", false);
    events.expect_event("on_hook", "1");
}

/// A person speaks a third of the time, at a level, too loud for a moment; who watches the meters
/// sees just that, and nothing once the handset is down.
#[test]
fn its_meters_tell_level_peak_clipping_and_active_speech() {
    let system = System::demonstration();
    let rest = system.rest();
    let silent = rest.get("/v1/lines/1/levels").expect_json(200);
    assert_eq!(
        (&silent["rx"]["level_dbm0"], &silent["tx"]["level_dbm0"]),
        (&json!(-96.0), &json!(-96.0))
    );
    assert_eq!(silent["rx"]["active_speech_dbm0"], Value::Null);
    rest.post("/v1/lines/1/ring", &json!({})).check(202);
    rest.hook("1", true);
    rest.line_becomes("1", "off_hook");

    let mut meters = system.socket("/v1/events?lines=1&types=on_hook&levels=true");
    let said = Signal::new(1).sines(&[(1004.0, -15.0)], 1500.0).silence(3000.0);
    let mut said = said.sines(&[(1004.0, -15.0)], 500.0).silence(1500.0).companded(Law::A);
    said[80..90].fill(i16::MAX);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    let near =
        |value: &Value, dbm0: f64| value.as_f64().is_some_and(|level| (level - dbm0).abs() <= 0.5);
    let loud = meters.expect("the tone", |m| near(&m["rx"]["level_dbm0"], -15.0));
    assert!(near(&loud["rx"]["peak_dbm0"], -15.0) || loud["rx"]["peak_dbm0"] == 3.1, "{loud}");
    assert_eq!(loud["rx"]["clipped_samples"], 10, "{loud}");
    assert!(is_iso_utc(&loud["timestamp"]) && loud["line"] == "1", "{loud}");
    // Silence again, twice: then the level was that of the tone while it sounded.
    meters.expect("the pause", |m| m["rx"]["level_dbm0"].as_f64().is_some_and(|l| l < -60.0));
    meters.expect("the tone again", |m| near(&m["rx"]["level_dbm0"], -15.0));
    meters.expect("the end", |m| m["rx"]["level_dbm0"].as_f64().is_some_and(|l| l < -60.0));
    let levels = rest.get("/v1/lines/1/levels").expect_json(200);
    let active = levels["rx"]["active_speech_dbm0"].as_f64().expect("somebody spoke");
    assert!((-16.5..=-14.5).contains(&active), "{levels}");
    assert!(
        levels["rx"]["activity_percent"].as_u64().is_some_and(|p| (20..60).contains(&p)),
        "{levels}"
    );

    rest.hook("1", false);
    meters.expect_event("on_hook", "1");
    let levels = rest.get("/v1/lines/1/levels").expect_json(200);
    assert_eq!((&levels["rx"], &levels["tx"]), (&silent["rx"], &silent["tx"]));
    rest.get("/v1/lines/nobody/levels").expect_problem(404, "no-such-line");
}

#[test]
fn a_ring_ends_by_itself_and_on_request() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events = system.socket("/v1/events?lines=1&types=ring_start,ring_stop");
    rest.post("/v1/lines/1/ring", &json!({"timeout_ms": 300})).check(202);
    events.expect_event("ring_start", "1");
    assert_eq!(events.expect_event("ring_stop", "1")["cause"], "timeout");
    rest.line_becomes("1", "on_hook");
    rest.post_empty("/v1/lines/1/ring").check(202);
    events.expect_event("ring_start", "1");
    rest.delete("/v1/lines/1/ring").check(204);
    assert_eq!(events.expect_event("ring_stop", "1")["cause"], "stopped");
    let only_rings = |m: &Value| m["type"] == "ring_start" || m["type"] == "ring_stop";
    assert!(events.texts().iter().all(only_rings), "{:?}", events.texts());
}

#[test]
fn its_card_tells_voltage_temperature_alarm_and_failure() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events = system.socket("/ws");
    assert_eq!(rest.get("/v1/lines/1/voltage").expect_json(200)["voltage"], -48.0);
    rest.script(
        "1",
        &json!([
            {"do": "voltage", "voltage": -51.5},
            {"do": "temperature", "celsius": 61.0},
            {"do": "alarm", "active": true},
            {"do": "alarm", "active": false},
            {"do": "fail", "lost": true},
        ]),
    );
    let change = events.expect_event("voltage_change", "1");
    assert_eq!((&change["voltage"], &change["status"]), (&json!(-51.5), &json!("normal")));
    let hot = events.expect("temperature", |m| {
        m["type"] == "hardware_status" && m["details"]["temperature"] == 61.0
    });
    assert!(hot["details"]["uptime"].is_number(), "{hot}");
    events.expect("alarm", |m| m["type"] == "hardware_status" && m["status"] == "alarm");
    let error = events.expect("lost device", |m| m["type"] == "error" && m["line"] == "1");
    for key in ["error", "error_message", "error_code", "code", "message"] {
        assert!(error[key].is_string(), "{key} is missing in {error}");
    }
    rest.line_becomes("1", "offline");
    rest.script("1", &json!([{"do": "fail", "lost": false}]));
    rest.line_becomes("1", "on_hook");
}

#[test]
fn missed_events_are_replayed() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events = system.socket("/ws");
    rest.hook("1", true);
    let first = events.expect_event("off_hook", "1");
    rest.hook("1", false);
    let second = events.expect_event("on_hook", "1");
    let seq = first["seq"].as_u64().expect("a sequence number");
    let mut late = system.socket(&format!("/v1/events?since={seq}"));
    let replayed = late.expect_event("on_hook", "1");
    assert_eq!(replayed, second);
    assert!(late.texts().iter().all(|m| m["seq"].as_u64() > Some(seq)), "{:?}", late.texts());
}
