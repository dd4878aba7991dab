//! What a port of a card does and tells besides calls.

use tipring_dahdi_vm::System;
use tipring_tests::wait::{GENEROUS, until};

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
}
