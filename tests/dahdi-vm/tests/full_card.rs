//! As many telephones as a card has, all in calls at once.

use serde_json::json;
use std::time::Duration;
use tipring_dahdi_vm::installed::HTTP_PORT;
use tipring_dahdi_vm::{Machine, System, Telephone, story};
use tipring_tests::wait::{GENEROUS, for_duration, until_true};
use tipring_tests::{signal, soak};

const PORTS: u16 = 32;
/// The emulator may pause a processor for a quarter of a second when its host is busy.
const ENGINE_YML: &str = "rtp_lines: 0\ndahdi: {auto: true, buffers: 32}\n";

#[test]
fn thirty_two_calls_at_once() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let system = System::plugged(&machine, PORTS, ENGINE_YML, "");
    story("all lines of a card in calls", || all_in_calls(&system));
}

/// Nothing is read or written too late: ten seconds, two minutes in `make soak`, of several where the
/// machine stands still for longer than the card holds blocks in the first. Without echo cancellers, for 32 of which an emulated processor has
/// no time (a real one needs some microseconds for each).
fn all_in_calls(system: &System<'_>) {
    let System { card, api, .. } = system;
    let engine = system.pids().0;
    let tone = json!({"tone": {"frequency_hz": [440], "duration_ms": 300_000}});
    let hooks = |lifted| {
        let all = format!("for p in $(seq {PORTS}); do echo hook $p {lifted} >/dev/fakefxs; done");
        system.machine.run(&all);
    };
    hooks(1);
    for port in 1..=PORTS {
        let line = format!("p{port}");
        api.rest.line_becomes(&line, "off_hook");
        let settings = format!("/v1/lines/{line}/settings");
        let patch = json!({"echo_canceller": false}).to_string();
        let json = [("Content-Type", "application/json")];
        api.rest.send("PATCH", &settings, &json, patch.as_bytes()).check(200);
        api.rest.post(&format!("/v1/lines/{line}/play"), &tone).check(202);
    }
    let names = [
        "card_overruns_total",
        "card_underruns_total",
        "card_stalls_total",
        "card_blocks_missing_total",
        "ticks_total",
        "tick_ns_sum",
    ];
    let counts = || names.map(|name| api.rest.counter(name));
    let seconds = if soak() { 120 } else { 10 };
    let unspoilt = (0..5).any(|_| {
        let before = counts();
        for_duration(Duration::from_secs(seconds));
        let after = counts();
        for (name, (before, after)) in names.iter().zip(before.iter().zip(after)) {
            println!("{name}: {}", after - before);
        }
        println!("least that the card had in hand: {} ns", api.rest.counter("card_reserve_ns_min"));
        after[..2] == before[..2]
    });
    assert!(unspoilt, "overruns or underruns each time\n{}", system.card.state());
    for port in 1..=PORTS {
        assert_eq!(api.rest.line(&format!("p{port}"))["state"], "off_hook", "port {port}");
    }
    // The last one's telephone, whose handset lies on the table, hears its line.
    let phone = Telephone::on(system.machine, card, PORTS);
    until_true("the tone", GENEROUS, || signal::level_dbm0(&phone.listen(200)) > -30.0);
    assert_eq!(system.pids().0, engine, "the engine was not ended");
    drop(phone);
    hooks(0);
    system.all_become("on_hook");
}
