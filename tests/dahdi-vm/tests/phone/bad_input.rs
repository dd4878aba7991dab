//! What a card, its driver or a telephone may do wrong: each has a message and a count, and the line
//! goes on.

use serde_json::json;
use tipring_dahdi_vm::installed::ENGINE;
use tipring_dahdi_vm::system::ENGINE_YML;
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{System, Telephone};
use tipring_tests::signal;
use tipring_tests::wait::{GENEROUS, until_true};

/// Port 3's channel, held by a program that does nothing with it.
const HOLD: &str = "systemd-run -q --unit holder sh -c 'exec sleep 600 </dev/dahdi/chan/001/003' && \
    until grep -q 'In use' /proc/dahdi/1; do :; done";

/// DAHDI_FREEZONE of the only zone: nothing in DAHDI's tools does that.
const FREE_ZONE: &str = "perl -e 'open(F, \"<\", \"/dev/dahdi/ctl\") or die; my $n = pack(\"i\", 0); \
    ioctl(F, 0x4004da1a, $n) or die'";

/// What `dahdi_cfg` did not do, or did otherwise, is said of each line; mended, the line is there.
pub(crate) fn not_set_up(system: &System<'_>) {
    const WRONG: [(&str, &str); 3] = [
        ("p1", "no tone zone is loaded"),
        ("p2", "the channel is not configured"),
        ("p3", "the channel is not signalled as fxoks"),
    ];
    const HIDDEN: &str = "may not open";
    let System { machine, card, api, .. } = system;
    let failures = || api.rest.counter("card_open_failures_total");
    let says = |line: &str, why: &str| {
        until_true(&format!("{line}: {why}"), GENEROUS, || {
            let inside = api.rest.get(&format!("/v1/lines/{line}/diagnostics")).expect_json(200);
            inside["dahdi"]["fault"].as_str().is_some_and(|fault| fault.contains(why))
        });
    };
    let right = machine.run("cat /etc/dahdi/system.conf");
    system.unplug();
    machine.write("/etc/dahdi/system.conf", "fxoks=1\nfxols=3\nfxsks=4-6");
    let before = failures();
    card.command("plug");
    // To look at spans and versions it is enough to read.
    machine.run("chmod 640 /dev/dahdi/ctl");
    // dahdi_cfg loads a zone even where it is told of none: it is taken away again.
    api.rest.line_becomes("p1", "on_hook");
    machine.run(FREE_ZONE);
    api.rest.post_empty("/reset?line=p1").check(200);
    for (line, why) in WRONG {
        says(line, why);
    }
    assert!(failures() >= before + 3);
    machine.run("chmod 600 /dev/dahdi/channel");
    for (line, _) in WRONG {
        says(line, HIDDEN);
    }
    machine.run("chmod 660 /dev/dahdi/channel /dev/dahdi/ctl");
    machine.write("/etc/dahdi/system.conf", &right);
    machine.run("dahdi_cfg");
    system.all_become("on_hook");
    for (_, why) in WRONG {
        assert!(system.told(why) > 0, "{why}: {}", machine.journal(ENGINE));
    }
    assert_eq!(system.told("may not be opened: the engine's user must be in its group"), 3);
}

pub(crate) fn missing_and_held(system: &System<'_>) {
    let System { machine, installed, api, .. } = system;
    let more = "rtp_lines: 4\ndahdi: {auto: true, buffers: 8, lines: [{channel: 99}]}\n";
    system.without_engine(|| {
        installed.configure("engine.yml", more);
        machine.run(HOLD);
    });
    api.rest.line_becomes("p1", "on_hook");
    until_true("why port 3 has no channel", GENEROUS, || {
        let inside = api.rest.get("/v1/lines/p3/diagnostics").expect_json(200);
        inside["dahdi"]["fault"] == "another program holds the channel"
    });
    // Told once, however often it is tried.
    until_true("the message", GENEROUS, || system.told("another program holds the channel") > 0);
    machine.run("systemctl stop holder");
    api.rest.line_becomes("p3", "on_hook");
    let held = "dahdi/3: port 3 of card fakefxs-0001: another program holds the channel";
    assert_eq!(system.told(held), 1);
    assert_eq!(system.told("dahdi/99: channel 99: there is no such channel or card"), 1);
    assert_eq!(api.rest.counter("card_open_failures_total"), 2);
    system.without_engine(|| installed.configure("engine.yml", ENGINE_YML));
    system.all_become("on_hook");
}

/// For half a second there are no blocks, in the middle of a call.
pub(crate) fn stalled(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let mut phone = Telephone::on(machine, card, 1);
    let stalls = || api.rest.counter("card_stalls_total");
    let before = stalls();
    phone.lift();
    api.rest.line_becomes("p1", "off_hook");
    let tone = json!({"tone": {"frequency_hz": [440], "duration_ms": 60_000}});
    api.rest.post("/v1/lines/p1/play", &tone).check(202);
    until_true("the tone", GENEROUS, || signal::level_dbm0(&phone.listen(200)) > -30.0);
    card.command("stall 500");
    until_true("the stall", GENEROUS, || stalls() > before);
    // The emulator may stall it too, for less; each time its end is told with how long it was.
    until_true("its end", GENEROUS, || {
        let told = machine.journal(ENGINE);
        let after = told.lines().filter_map(|line| line.split_once("its card runs again after "));
        let mut ms = after.filter_map(|(_, ms)| ms.split(' ').next()?.parse::<u32>().ok());
        ms.any(|ms| ms >= 480)
    });
    until_true("the tone", GENEROUS, || signal::level_dbm0(&phone.listen(200)) > -30.0);
    // An engine that stands still itself, for longer than the card holds blocks, is told what it missed.
    let lost =
        || [api.rest.counter("card_overruns_total"), api.rest.counter("card_underruns_total")];
    let before = lost();
    machine.run(&format!("kill -STOP {0}; sleep 0.5; kill -CONT {0}", system.pids().0));
    until_true("an overrun and an underrun", GENEROUS, || {
        lost().iter().zip(before).all(|(now, before)| *now > before)
    });
    until_true("the tone", GENEROUS, || signal::level_dbm0(&phone.listen(200)) > -30.0);
    let (told, this) = (machine.journal(ENGINE), format!("[{}]", system.installed.pid(ENGINE)));
    let told: Vec<bool> = told
        .lines()
        .filter(|line| line.contains("its card ") && line.contains(&this))
        .map(|line| line.contains("stands still"))
        .collect();
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "told once each time: {told:?}");
    assert_eq!(api.rest.line("p1")["state"], "off_hook", "the call goes on");
    phone.put_down();
    api.rest.line_becomes("p1", "on_hook");
}

/// The kernel keeps 63 events of a line and drops what comes after.
pub(crate) fn flooded(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let overflows = || api.rest.counter("card_event_overflows_total");
    let before = overflows();
    card.command("event 1 17 200");
    until_true("the overflow", GENEROUS, || overflows() == before + 1);
    until_true("the message", GENEROUS, || {
        system.told("more events than its card's driver keeps (63)") == 1
    });
    // The line works.
    let mut phone = Telephone::on(machine, card, 1);
    api.rest.post("/v1/lines/p1/ring", &json!({"cadence": [1000, 1000]})).check(202);
    phone.expect(Noticed::RingBegins);
    api.rest.delete("/v1/lines/p1/ring").check(204);
    api.rest.line_becomes("p1", "on_hook");
}

/// A contact that bounces every 5 ms is lifted once and put down once.
pub(crate) fn bouncing(system: &System<'_>) {
    let System { card, api, .. } = system;
    let at_rest = || {
        card.state()
            .lines()
            .any(|line| line.starts_with("port 2 ") && line.ends_with(" bouncing 0"))
    };
    let mut events = api.socket("/ws");
    card.command("bounce 2 5 9");
    events.expect_event("off_hook", "p2");
    api.rest.line_becomes("p2", "off_hook");
    // It is told while the contact still bounces; an odd number of changes has to be over.
    until_true("the contact at rest", GENEROUS, at_rest);
    card.command("bounce 2 5 9");
    events.expect_event("on_hook", "p2");
    api.rest.line_becomes("p2", "on_hook");
    let told = events.texts();
    let of = |kind: &str| {
        told.iter().filter(|event| event["line"] == "p2" && event["type"] == kind).count()
    };
    let counts = [of("off_hook"), of("on_hook"), of("flash"), of("dtmf")];
    assert_eq!(counts, [1, 1, 0, 0], "{told:?}");
}
