//! A card that is pulled out and plugged in again, from REST on the host.

use serde_json::json;
use std::time::Duration;
use tipring_dahdi_vm::installed::{ENGINE, HTTP_PORT};
use tipring_dahdi_vm::system::ENGINE_YML;
use tipring_dahdi_vm::{Machine, System, Telephone, story};
use tipring_tests::signal;
use tipring_tests::wait::{for_duration, until_true};
use tipring_tests::{soak, wait::GENEROUS};

/// Besides the card a telephone that has nothing to do with it.
const APID_YML: &str = "  - {id: other, engine: sim/1}\n";

#[test]
fn a_card_is_pulled_and_plugged_again() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let engine = format!("simulated_lines: 1\n{ENGINE_YML}");
    let system = System::plugged(&machine, 2, &engine, APID_YML);
    story("ten times, at any moment", || ten_times(&system));
    story("it comes back under another number", || other_number(&system));
}

/// Descriptors, threads and memory of the engine.
fn held(system: &System<'_>, pid: u32) -> (usize, usize, u64) {
    let number = |command: &str| system.machine.run(command).parse::<u64>().expect("a number");
    (
        number(&format!("ls /proc/{pid}/fd | wc -l")) as usize,
        number(&format!("ls /proc/{pid}/task | wc -l")) as usize,
        number(&format!("awk '/^VmRSS/ {{ print $2 }}' /proc/{pid}/status")),
    )
}

/// In the middle of a ring, of a call, and of a flush: each time the call ends, the lines are offline, and
/// once it is plugged again they work by themselves. Nobody else notices, and nothing is left behind.
fn ten_times(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let rest = &api.rest;
    let processes = system.pids();
    rest.hook("other", true);
    let tone = json!({"tone": {"frequency_hz": [440], "duration_ms": 600_000}});
    let undisturbed = rest.post("/v1/lines/other/play", &tone).expect_json(202);
    let mut phone = Telephone::on(machine, card, 1);
    let mut random = signal::Random::new(7);
    let mut before = None;
    let rounds = if soak() { 60 } else { 10 };
    for round in 0..rounds {
        let moment = round % 3;
        if round == 3 {
            // Once through each moment, so that what is made at first use is there.
            before = Some(held(system, processes.0));
        }
        rest.post("/v1/lines/p1/ring", &json!({"timeout_ms": 60000})).check(202);
        // The kernel tells a telephone of no ring within two seconds of its battery's return.
        until_true("the bell", GENEROUS, || card.line(1) == "ringing");
        if moment > 0 {
            phone.lift();
            rest.line_becomes("p1", "off_hook");
            rest.post("/v1/lines/p1/play", &tone).check(202);
            until_true("the tone", GENEROUS, || signal::level_dbm0(&phone.listen(100)) > -30.0);
        }
        for_duration(Duration::from_millis(random.between(0.0, 300.0) as u64));
        if moment > 1 {
            rest.delete("/v1/lines/p1/playbacks").check(200);
        }
        system.unplug();
        rest.calls_become(0);
        if moment > 0 {
            phone.put_down();
        }
        system.plug();
    }
    let (before, after) = (before.expect("more rounds than moments"), held(system, processes.0));
    println!("descriptors, threads, kB: {before:?} before, {after:?} after");
    assert_eq!((after.0, after.1), (before.0, before.1), "descriptors and threads");
    assert!(after.2 <= before.2 + 256, "memory grew from {} to {} kB", before.2, after.2);
    assert_eq!(system.pids(), processes, "both processes outlive the card");
    // Each line is lost once, and opened once, each time: not opened while its card is leaving.
    let journal = || machine.journal(ENGINE);
    assert_eq!(system.told("has lost its device"), 2 * rounds, "{}", journal());
    assert_eq!(system.told("channel 1 on Fake FXS card"), 1 + rounds, "{}", journal());
    assert_eq!(system.told("is it plugged in"), 0, "told already: {}", journal());
    // The other telephone still hears the one tone that it heard at first.
    let inside = rest.get("/v1/lines/other/diagnostics").expect_json(200);
    let playbacks = inside["playbacks"].as_array().expect("playbacks");
    assert_eq!(playbacks.len(), 1, "{inside}");
    assert_eq!(playbacks[0]["playback_id"], undisturbed["playback_id"], "{inside}");
    rest.hook("other", false);
}

/// A line belongs to a port of its card, whatever number the channel has.
fn other_number(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let channel = || {
        let inside = api.rest.get("/v1/lines/p2/diagnostics").expect_json(200);
        inside["dahdi"]["channel"].as_u64()
    };
    assert_eq!(channel(), Some(2));
    system.unplug();
    machine.run("sed -i 's/^fxoks=.*/&,21-22/' /etc/dahdi/system.conf");
    machine.write("/etc/dahdi/assigned-spans.conf", "fakefxs-0001 1:5:21");
    system.plug();
    assert_eq!(channel(), Some(22));
    let mut phone = Telephone::on(machine, card, 2);
    phone.lift();
    api.rest.line_becomes("p2", "off_hook");
    phone.put_down();
    api.rest.line_becomes("p2", "on_hook");
}
