//! What a port of a card does and tells besides calls.

use serde_json::json;
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
    card.command("alarm 1 4");
    events.expect("an alarm", |event| {
        event["type"] == "hardware_status" && event["status"] == "alarm"
    });
    card.command("alarm 1 0");
    card.command("volt 1 auto");
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
/// that one does not notice.
pub(crate) fn reset(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    // After a start that is the first one.
    system.without_engine(|| ());
    system.all_become("on_hook");
    let mut phone = Telephone::on(machine, card, 2);
    phone.lift();
    api.rest.line_becomes("p2", "off_hook");
    let wav = signal::wav(&signal::chirps(83, 8000), 8000, 1);
    api.rest.post_body("/v1/lines/p2/play", "audio/wav", &wav).check(202);
    let count = |name: &str| api.rest.counter(name);
    let opened = |n| system.told(&format!("channel {n} on Fake FXS card"));
    let (before, changes) = ([opened(1), opened(2)], count("card_pacer_changes_total"));
    until_true("the voice", GENEROUS, || signal::level_dbm0(&phone.listen(100)) > -40.0);
    let from = phone.heard().len();
    api.rest.post_empty("/reset?line=p1").check(200);
    until_true("another pacer", GENEROUS, || count("card_pacer_changes_total") > changes);
    api.rest.line_becomes("p1", "on_hook");
    phone.listen(4000);
    let heard = phone.heard()[from..].to_vec();
    let found = signal::hearing(&signal::chirps(83, 8000), &heard);
    assert!(found.as_ref().is_some_and(|h| h.is_convincing(20)), "{found:?}");
    until_true("the channel", GENEROUS, || opened(1) == before[0] + 1);
    assert_eq!(opened(2), before[1], "nobody else's channel is opened anew");
    phone.put_down();
    api.rest.line_becomes("p2", "on_hook");
}
