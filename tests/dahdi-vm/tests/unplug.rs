//! A card that is pulled out and plugged in again, from REST on the host.

use serde_json::json;
use std::time::Duration;
use tipring_dahdi_vm::installed::{ENGINE, HTTP_PORT};
use tipring_dahdi_vm::system::ENGINE_YML;
use tipring_dahdi_vm::{Machine, System, Telephone, story};
use tipring_tests::signal::{self, chirps};
use tipring_tests::wait::{for_duration, until_true};
use tipring_tests::{soak, wait::GENEROUS};

#[test]
fn a_card_is_pulled_and_plugged_again() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let system = System::plugged(&machine, 2, ENGINE_YML, "");
    story("in the middle of calls", || calls_work_again(&system));
    story("at any moment it costs nothing", || nothing_is_lost(&system));
    story("it comes back under another number", || other_number(&system));
}

/// Ten times in a row in `make soak`.
fn calls_work_again(system: &System<'_>) {
    let System { card, api, .. } = system;
    let processes = system.pids();
    let mut phone = Telephone::on(system.machine, card, 1);
    let rounds = if soak() { 10 } else { 3 };
    for _ in 0..rounds {
        api.rest.post("/v1/lines/p1/ring", &json!({"timeout_ms": 60000})).check(202);
        // The kernel tells a telephone of no ring within two seconds of its battery's return.
        until_true("the bell", GENEROUS, || card.line(1) == "ringing");
        phone.lift();
        api.rest.line_becomes("p1", "off_hook");
        let tone = json!({"tone": {"frequency_hz": [440], "duration_ms": 60_000}});
        api.rest.post("/v1/lines/p1/play", &tone).check(202);
        until_true("the tone", GENEROUS, || signal::level_dbm0(&phone.listen(200)) > -30.0);
        // In the middle of it.
        system.unplug();
        phone.put_down();
        system.plug();
    }
    assert_eq!(system.pids(), processes, "an engine outlives its card");
    // Each line is lost once, and opened once, each time: not opened while its card is leaving.
    let journal = || system.machine.journal(ENGINE);
    assert_eq!(system.told("has lost its device"), 2 * rounds, "{}", journal());
    assert_eq!(system.told("channel 1 on Fake FXS card"), 1 + rounds, "{}", journal());
    assert_eq!(system.told("is it plugged in"), 0, "told already: {}", journal());
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

fn nothing_is_lost(system: &System<'_>) {
    let (engine, _) = system.pids();
    let System { card, api, .. } = system;
    let rest = &api.rest;
    let mut random = signal::Random::new(7);
    let mut cycle = |moment: usize| {
        rest.post("/v1/lines/p1/ring", &json!({"timeout_ms": 60000})).check(202);
        if moment > 0 {
            card.command("hook 1 1");
            rest.line_becomes("p1", "off_hook");
            let wav = signal::wav(&chirps(7, 3000), 8000, 1);
            rest.post_body("/v1/lines/p1/play", "audio/wav", &wav).check(202);
        }
        for_duration(Duration::from_millis(random.between(0.0, 300.0) as u64));
        if moment > 1 {
            // At once after the flush.
            let _ = rest.delete("/v1/lines/p1/playbacks");
        }
        system.unplug();
        card.command("hook 1 0");
        system.plug();
    };
    // Once through each, so that what is made at first use is there.
    (0..3).for_each(&mut cycle);
    let before = held(system, engine);
    (0..if soak() { 60 } else { 3 }).for_each(|round| cycle(round % 3));
    let after = held(system, engine);
    println!("descriptors, threads, kB: {before:?} before, {after:?} after");
    assert_eq!((after.0, after.1), (before.0, before.1), "descriptors and threads");
    assert!(after.2 <= before.2 + 256, "memory grew from {} to {} kB", before.2, after.2);
    assert_eq!(system.installed.pid(ENGINE), engine);
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
