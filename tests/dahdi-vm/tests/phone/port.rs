//! What a port of a card does and tells besides calls.

use serde_json::{Value, json};
use tipring_dahdi_vm::system::ENGINE_YML;
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{System, Telephone};
use tipring_tests::signal;
use tipring_tests::wait::{GENEROUS, until, until_true};

pub(crate) fn voltages_and_alarms(system: &System<'_>) {
    let System { card, api, .. } = system;
    let mut events = api.socket("/ws");
    // Tip, ring and battery in mV; between the wires are 39 V.
    card.command("volt 1 -1000 -40000 -52000");
    until("the voltage", GENEROUS, || {
        let answer = api.rest.get("/v1/lines/p1/voltage").expect_json(200);
        (answer["voltage"].as_f64()? + 39.0).abs().lt(&0.5).then_some(())
    });
    events.expect("a low voltage", |event| {
        event["type"] == "voltage_change" && event["line"] == "p1" && event["status"] == "low"
    });
    card.command("volt 1 auto");
    events.expect("a normal voltage", |event| {
        event["type"] == "voltage_change" && event["line"] == "p1" && event["status"] == "normal"
    });
    // A driver that has none (ENOTTY).
    card.command("volt 1 none");
    until("no voltage", GENEROUS, || {
        let answer = api.rest.get("/v1/lines/p1/voltage").expect_json(200);
        let is_why = answer["reason"].as_str()?.contains("driver tells no voltage");
        (answer["voltage"].is_null() && answer["status"] == "unknown" && is_why).then_some(())
    });
    card.command("volt 1 auto");
    card.command("alarm 1 4");
    events.expect("an alarm", |event| {
        event["type"] == "hardware_status" && event["status"] == "alarm"
    });
    card.command("alarm 1 0");
    api.rest.line_becomes("p1", "on_hook");
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

/// Gains of the configuration are the kernel's: of what is played, and of what the telephone says.
pub(crate) fn gains(system: &System<'_>) {
    let System { machine, card, api, installed } = system;
    let louder =
        "rtp_lines: 4\ndahdi: {auto: true, buffers: 8, gain_db: {from_phone: 6, to_phone: -6}}\n";
    system.without_engine(|| installed.configure("engine.yml", louder));
    let mut phone = Telephone::on(machine, card, 1);
    phone.lift();
    api.rest.line_becomes("p1", "off_hook");
    let tone = json!({"tone": {"frequency_hz": [1000], "level_dbm0": -10, "duration_ms": 20_000}});
    api.rest.post("/v1/lines/p1/play", &tone).check(202);
    let near = |level: f64, wanted: f64| (level - wanted).abs() < 0.7;
    until_true("a tone at -16 dBm0", GENEROUS, || {
        near(signal::level_dbm0(&phone.listen(200)), -16.0)
    });
    api.rest.delete("/v1/lines/p1/playbacks").check(200);
    let ear = api.socket("/v1/lines/p1/audio?format=pcm_s16le&direction=rx");
    phone.say(&signal::sine(1500.0, -20.0, 30_000));
    until_true("a tone at -14 dBm0", GENEROUS, || {
        let heard = ear.audio();
        let last = heard.len().checked_sub(1600).map(|from| signal::level_dbm0(&heard[from..]));
        last.is_some_and(|level| near(level, -14.0))
    });
    phone.put_down();
    api.rest.line_becomes("p1", "on_hook");
    system.without_engine(|| installed.configure("engine.yml", ENGINE_YML));
    system.all_become("on_hook");
}
