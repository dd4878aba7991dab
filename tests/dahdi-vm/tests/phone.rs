//! A telephone on a card, from REST on the host: the installed system on the real driver.

use serde_json::{Value, json};
use std::time::Duration;
use tipring_dahdi_vm::installed::{Api, HTTP_PORT};
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{Card, Installed, Lan, Machine, Telephone};
use tipring_tests::baresip::{self, Baresip};
use tipring_tests::signal::{self, chirps, hearing};
use tipring_tests::wait::{GENEROUS, until, until_true};

const ENGINE: &str = "tipring-engine.service";
const APID: &str = "tipring-apid.service";
/// Emulated time is uneven: a card holds eight blocks instead of two.
const ENGINE_YML: &str = "dahdi: {auto: true, buffers: 8}\n";
/// How far an edge may be from its time under emulation.
const EMULATED: Duration = Duration::from_millis(60);

fn lines_yml(ports: u16) -> String {
    let line = |n| format!("  - {{id: \"p{n}\", engine: dahdi/{n}, extension: \"10{n}\"}}\n");
    format!("lines:\n{}", (1..=ports).map(line).collect::<String>())
}

/// Everything installed and running, and a card that was plugged into it.
fn plugged<'a>(machine: &'a Machine, ports: u16, more: &str) -> (Card<'a>, Installed<'a>, Api) {
    let card = Card::away(machine, ports);
    let installed = Installed::on(machine);
    installed.configure("engine.yml", ENGINE_YML);
    let api = installed.api(&(lines_yml(ports) + more));
    assert_ne!(machine.try_run(&format!("systemctl is-active {ENGINE}")).0, 0, "nobody asked yet");
    card.command("plug");
    installed.becomes_active(ENGINE);
    all_become(&api, ports, "on_hook");
    (card, installed, api)
}

/// As named by [`lines_yml`].
fn is_port(id: &str) -> bool {
    id.strip_prefix('p').is_some_and(|n| n.parse::<u16>().is_ok())
}

fn all_become(api: &Api, ports: u16, state: &str) {
    until_true(&format!("lines {state}"), 3 * GENEROUS, || {
        let Some(answer) = api.rest.try_get("/v1/lines") else { return false };
        let ours = |line: &Value| line["id"].as_str().is_some_and(is_port);
        answer.status == 200
            && answer.json()["lines"].as_array().is_some_and(|lines| {
                let ours: Vec<_> = lines.iter().filter(|line| ours(line)).collect();
                ours.len() == usize::from(ports) && ours.iter().all(|line| line["state"] == state)
            })
    });
}

#[test]
fn a_card_is_plugged_pulled_and_plugged_again_ten_times() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let (card, installed, api) = plugged(&machine, 2, "");
    let (engine, apid) = (installed.pid(ENGINE), installed.pid(APID));
    let mut phone = Telephone::on(&machine, &card, 1);
    for _ in 0..10 {
        api.rest.post("/v1/lines/p1/ring", &json!({"timeout_ms": 60000})).check(202);
        phone.expect(Noticed::RingBegins);
        phone.lift();
        api.rest.line_becomes("p1", "off_hook");
        // In the middle of it.
        card.command("unplug");
        all_become(&api, 2, "offline");
        phone.put_down();
        card.command("plug");
        all_become(&api, 2, "on_hook");
    }
    assert_eq!((installed.pid(ENGINE), installed.pid(APID)), (engine, apid));
}

#[test]
fn a_telephone_is_rung_lifted_spoken_to_heard_and_put_down() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let (card, _installed, api) = plugged(&machine, 1, "");
    let rest = &api.rest;
    let mut phone = Telephone::on(&machine, &card, 1);
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

#[test]
fn a_line_that_is_hung_up_loses_its_battery_and_then_hears_congestion() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let (card, installed, api) = plugged(&machine, 1, "");
    let rest = &api.rest;
    let mut phone = Telephone::on(&machine, &card, 1);
    // Lifted before the engine opens the channel: no event of the kernel tells that.
    machine.run(&format!("systemctl stop {ENGINE}"));
    phone.lift();
    machine.run(&format!("systemctl start {ENGINE}"));
    installed.becomes_active(ENGINE);
    all_become(&api, 1, "off_hook");
    let mut events = api.socket("/ws");
    rest.post_empty("/v1/lines/p1/hangup").check(202);
    phone.expect(Noticed::NoBattery);
    // The telephone stays lifted; the line is fed again, and used.
    until_true("the battery", GENEROUS, || card.line(1) == "offhook");
    until_true("congestion", GENEROUS, || signal::level_dbm0(&phone.listen(400)) > -40.0);
    phone.put_down();
    events.expect_event("on_hook", "p1");
    rest.line_becomes("p1", "on_hook");
    // It can be rung at once.
    rest.post_empty("/v1/lines/p1/ring").check(202);
    phone.expect(Noticed::RingBegins);
    rest.delete("/v1/lines/p1/ring").check(204);
}

#[test]
fn voltages_and_alarms_of_the_card_are_told() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let (card, _installed, api) = plugged(&machine, 1, "");
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

#[test]
fn a_card_s_phone_and_a_sip_phone_hear_each_other() {
    let lan = Lan::new();
    let machine = Machine::boot_on_lan(&[HTTP_PORT], &lan.tap);
    lan.join(&machine);
    let sip = format!(
        "sip: {{host: {}, accounts: [{{user: phone1, password: a-long-one-of-its-own, algorithms: [md5], extension: \"201\"}}]}}\n",
        lan.guest
    );
    let (card, _installed, api) = plugged(&machine, 1, &sip);
    let mut phone = Telephone::on(&machine, &card, 1);
    let (a_says, b_says) = (chirps(91, 30_000), chirps(92, 60_000));
    let mut other =
        baresip::Telephone::new("phone1", &format!("{}:5060", lan.guest), b_says.clone());
    other.password = Some("a-long-one-of-its-own".into());
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

/// Descriptors, threads and memory of the engine, once nothing happens any more.
fn held(machine: &Machine, pid: u32) -> (usize, usize, u64) {
    let number = |command: &str| machine.run(command).trim().parse::<u64>().expect("a number");
    (
        number(&format!("ls /proc/{pid}/fd | wc -l")) as usize,
        number(&format!("ls /proc/{pid}/task | wc -l")) as usize,
        number(&format!("awk '/^VmRSS/ {{ print $2 }}' /proc/{pid}/status")),
    )
}

#[test]
fn pulling_the_card_at_any_moment_costs_nothing() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let (card, installed, api) = plugged(&machine, 2, "");
    let engine = installed.pid(ENGINE);
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
        tipring_tests::wait::for_duration(Duration::from_millis(random.between(0.0, 300.0) as u64));
        if moment > 1 {
            // At once after the flush.
            let _ = rest.delete("/v1/lines/p1/playbacks");
        }
        card.command("unplug");
        all_become(&api, 2, "offline");
        card.command("hook 1 0");
        card.command("plug");
        all_become(&api, 2, "on_hook");
    };
    // Once through each, so that what is made at first use is there.
    (0..3).for_each(&mut cycle);
    let before = held(&machine, engine);
    (0..if tipring_tests::soak() { 60 } else { 6 }).for_each(|round| cycle(round % 3));
    let after = held(&machine, engine);
    assert_eq!((after.0, after.1), (before.0, before.1), "descriptors and threads");
    assert!(after.2 <= before.2 + 256, "memory grew from {} to {} kB", before.2, after.2);
    assert_eq!(installed.pid(ENGINE), engine);
}
