//! What a port of a card does and tells besides calls.

use serde_json::{Value, json};
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{System, Telephone};
use tipring_tests::signal;
use tipring_tests::wait::{GENEROUS, until, until_true};

/// Of `apid.yml`: what is left of a battery, and what is too much of one.
pub(crate) const APID_YML: &str = "voltage: {low_mv: 40000, high_mv: 50000}\n";

pub(crate) fn voltages_and_alarms(system: &System<'_>) {
    let System { card, api, .. } = system;
    let mut events = api.socket("/ws");
    // Tip, ring and battery in mV; the limits are those of the settings.
    for (volts, status) in [(39.0, "low"), (41.0, "normal"), (51.5, "high"), (49.0, "normal")] {
        let ring = -1000 - (volts * 1000.0) as i32;
        card.command(&format!("volt 1 -1000 {ring} -52000"));
        let told = events.expect(status, |event| {
            event["type"] == "voltage_change" && event["line"] == "p1" && event["status"] == status
        });
        assert!((told["voltage"].as_f64().expect("volts") + volts).abs() < 0.01, "{told}");
        let now = api.rest.get("/v1/lines/p1/voltage").expect_json(200);
        let shown = ["voltage", "tip_voltage", "ring_voltage", "battery_voltage"]
            .map(|of| (now[of].as_f64().expect("volts") * 1000.0).round() as i32);
        assert_eq!(shown, [ring + 1000, -1000, ring, -52_000], "{now}");
        assert_eq!(now["status"], status, "{now}");
    }
    // A driver that has none (ENOTTY).
    card.command("volt 1 none");
    until("no voltage", GENEROUS, || {
        let answer = api.rest.get("/v1/lines/p1/voltage").expect_json(200);
        let is_why = answer["reason"].as_str()?.contains("driver tells no voltage");
        (answer["voltage"].is_null() && answer["status"] == "unknown" && is_why).then_some(())
    });
    card.command("volt 1 auto");

    // Of a channel, and of the whole span (DAHDI_ALARM_YELLOW, DAHDI_ALARM_RED).
    for (command, bits, place, name) in
        [("alarm 1", 4, "channel_alarms", "yellow"), ("spanalarm", 8, "span_alarms", "red")]
    {
        card.command(&format!("{command} {bits}"));
        events.expect("an alarm", |event| {
            event["type"] == "hardware_status"
                && event["line"] == "p1"
                && event["status"] == "alarm"
        });
        until_true("the alarm's name", GENEROUS, || {
            let inside = api.rest.get("/v1/lines/p1/diagnostics").expect_json(200);
            inside["alarm"] == true && inside["dahdi"][place] == json!([name])
        });
        if place == "span_alarms" {
            span_alarms_become(system, &json!([name]));
            shown_as_dahdi_scan_does(system, "RED");
        }
        card.command(&format!("{command} 0"));
        events.expect("its end", |event| {
            event["type"] == "hardware_status" && event["line"] == "p1" && event["status"] == "ok"
        });
    }
    span_alarms_become(system, &json!([]));
    shown_as_dahdi_scan_does(system, "OK");
    api.rest.line_becomes("p1", "on_hook");
}

/// Each line of the card learns of its span by itself, one after the other.
fn span_alarms_become(system: &System<'_>, alarms: &Value) {
    until_true("the span's alarms at every line", GENEROUS, || {
        let diagnostics = system.api.rest.get("/v1/diagnostics").expect_json(200);
        let lines = diagnostics["lines"].as_array().expect("lines");
        let mut cards = lines.iter().map(|line| &line["dahdi"]).filter(|dahdi| !dahdi.is_null());
        cards.all(|dahdi| dahdi["span_alarms"] == *alarms)
    });
}

/// `/v1/diagnostics` has what DAHDI's own program finds.
fn shown_as_dahdi_scan_does(system: &System<'_>, alarms: &str) {
    let scanned = system.machine.run("dahdi_scan");
    let span = scanned.split("\n[").find(|span| span.contains("FAKEFXS")).expect("the card's span");
    let of = |key: &str| {
        let found = span.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {key} in {span}"))
    };
    assert_eq!(of("alarms"), alarms, "{scanned}");
    let number = span.trim_start_matches('[').split(']').next().expect("a number");
    let diagnostics = system.api.rest.get("/v1/diagnostics").expect_json(200);
    let lines = diagnostics["lines"].as_array().expect("lines");
    let ours: Vec<&Value> =
        lines.iter().map(|line| &line["dahdi"]).filter(|dahdi| !dahdi.is_null()).collect();
    assert_eq!(ours.len().to_string(), of("totchans"), "{diagnostics}");
    let first: u64 = of("basechan").parse().expect("a number");
    for (place, dahdi) in ours.iter().enumerate() {
        assert_eq!(dahdi["span"].to_string(), number, "{dahdi}");
        assert_eq!(dahdi["span_name"], of("name"), "{dahdi}");
        assert_eq!(dahdi["card"], of("devicetype"), "{dahdi}");
        assert_eq!(dahdi["channel"], first + place as u64, "{dahdi}");
        assert_eq!(dahdi["position"], place as u64 + 1, "{dahdi}");
        assert_eq!(dahdi["signalling"], "fxoks", "{dahdi}");
        assert_eq!(dahdi["span_alarms"] == json!([]), alarms == "OK", "{dahdi}");
    }
}

/// Tip and ring are exchanged and put back; the lamp is lit and put out.
pub(crate) fn polarity_and_lamp(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let mut phone = Telephone::on(machine, card, 1);
    let shows = |text: &str| {
        until_true(text, GENEROUS, || {
            card.state().lines().any(|line| line.starts_with("port 1 ") && line.contains(text))
        });
    };
    for (reversed, shown) in [(true, "polarity 1"), (false, "polarity 0")] {
        api.rest.post("/v1/lines/p1/polarity", &json!({"reversed": reversed})).check(202);
        phone.expect(Noticed::Polarity);
        shows(shown);
    }
    for (messages, shown) in [(3, "messages 3"), (0, "messages 0")] {
        api.rest.post("/v1/lines/p1/message_waiting", &json!({"messages": messages})).check(202);
        shows(shown);
    }
}

/// The channel of the line that paces the card is opened anew: another one paces it, and the call on
/// that one does not notice. Looked at again if the machine stood still just then.
pub(crate) fn reset(system: &System<'_>) {
    until_true("a call that notices nothing", 2 * GENEROUS, || is_reset_unnoticed(system));
}

fn is_reset_unnoticed(system: &System<'_>) -> bool {
    let System { machine, card, api, .. } = system;
    // After a start that is the first one.
    system.without_engine(|| ());
    system.all_become("on_hook");
    let mut phone = Telephone::on(machine, card, 2);
    phone.lift();
    api.rest.line_becomes("p2", "off_hook");
    let voice = signal::chirps(83, 40_000);
    api.rest.post_body("/v1/lines/p2/play", "audio/wav", &signal::wav(&voice, 8000, 1)).check(202);
    let count = |name: &str| api.rest.counter(name);
    let opened = |n| system.told(&format!("channel {n} on Fake FXS card"));
    let (before, changes) = ([opened(1), opened(2)], count("card_pacer_changes_total"));
    phone.hears(&voice);
    let from = phone.heard().len();
    api.rest.post_empty("/reset?line=p1").check(200);
    until_true("another pacer", GENEROUS, || count("card_pacer_changes_total") > changes);
    api.rest.line_becomes("p1", "on_hook");
    phone.listen(500);
    let heard = phone.heard().split_off(from);
    until_true("the channel", GENEROUS, || opened(1) == before[0] + 1);
    assert_eq!(opened(2), before[1], "nobody else's channel is opened anew");
    phone.put_down();
    api.rest.line_becomes("p2", "on_hook");
    let (piece, all) = (signal::longest_piece_ms(&voice, &heard), heard.len() / 8);
    println!("{piece} of {all} ms in one piece");
    piece + 200 > all
}

/// A line tests itself: the bell while the handset is down; a tone and digits when it is lifted, of
/// which the hybrid gives half back.
pub(crate) fn self_tests(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let rest = &api.rest;
    let mut phone = Telephone::on(machine, card, 1);
    // Again if the machine stood still in the middle of it: it says so itself.
    let test = |what: &str, is_right: &dyn Fn(&Value) -> bool| {
        until_true(what, 2 * GENEROUS, || {
            let report = rest.post_empty("/v1/lines/p1/diagnostics").expect_json(200);
            println!("{report}");
            report["passed"] == true && is_right(&report["tests"])
        });
    };
    let is_near = |value: &Value, wanted: f64, by: f64| {
        value.as_f64().is_some_and(|level| (level - wanted).abs() < by)
    };
    test("the bell", &|tests| {
        // Fed with 45 V, rung with 48.
        let volts = |of: &str| tests[0][of].as_f64().unwrap_or_default().abs();
        tests[0]["test"] == "ring" && volts("voltage_ringing") > volts("voltage_before") + 1.0
    });
    rest.line_becomes("p1", "on_hook");

    machine.run("echo 50 >/sys/module/fakefxs/parameters/echo");
    phone.lift();
    rest.line_becomes("p1", "off_hook");
    let settings = json!({"echo_canceller": false}).to_string();
    let kind = [("Content-Type", "application/json")];
    rest.send("PATCH", "/v1/lines/p1/settings", &kind, settings.as_bytes()).check(200);
    test("a tone and digits", &|tests| {
        is_near(&tests[0]["sent_dbm0"], -10.0, 1.0)
            && is_near(&tests[0]["returned_dbm0"], -16.0, 1.5)
            && tests[1]["sent_digits"] == "159D"
            && tests[1]["returned_digits"] == "159D"
    });
    machine.run("echo 0 >/sys/module/fakefxs/parameters/echo");
    phone.put_down();
    rest.line_becomes("p1", "on_hook");
}
