//! Telephones on a card, through the real kernel driver, from REST on the host.

use serde_json::json;
use std::time::Duration;
use tipring_dahdi_vm::installed::HTTP_PORT;
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{Card, Machine, Running, Telephone};
use tipring_tests::signal;
use tipring_tests::wait::{GENEROUS, until, until_true};

/// No simulated line: line 1 is channel 1. The emulator's clock is rough: eight blocks.
const ENGINE: &str =
    "simulated_lines: 0\nrtp_lines: 1\ncountry: us\ndahdi: {auto: true, buffers: 8}";

#[test]
fn a_telephone_is_rung_answers_speaks_and_dials() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let card = Card::plug(&machine, 2);
    let mut phone = Telephone::on(&machine, &card, 1);
    let tipring = Running::on(&machine, ENGINE);
    let rest = tipring.rest();
    rest.line_becomes("1", "on_hook");
    let line = rest.get("/v1/lines/1/diagnostics").expect_json(200);
    println!("{line:#}");
    let mut events = tipring.socket("/v1/events?lines=1");

    // The telephone's own events follow the cadence.
    let ring = json!({"cadence": [600, 400, 600, 2400], "timeout_ms": 60_000});
    rest.post("/v1/lines/1/ring", &ring).check(202);
    events.expect_event("ring_start", "1");
    let first = phone.expect(Noticed::RingBegins);
    let edges: Vec<Duration> = [
        Noticed::RingEnds,
        Noticed::RingBegins,
        Noticed::RingEnds,
        Noticed::RingBegins,
        Noticed::RingEnds,
    ]
    .map(|edge| phone.expect(edge).saturating_sub(first))
    .to_vec();
    println!("edges after the first: {edges:?}");
    // A telephone on an FXO port takes 50 ms without current for the end of a burst
    // (dahdi/kernel.h DAHDI_RINGTRAILER).
    for (edge, expected) in edges.iter().zip([650, 1000, 1650, 4000, 4650]) {
        let off = edge.abs_diff(Duration::from_millis(expected));
        assert!(off <= Duration::from_millis(60), "{edges:?}");
    }

    phone.lift();
    events.expect_event("ring_stop", "1");
    events.expect_event("off_hook", "1");
    rest.line_becomes("1", "off_hook");
    assert_eq!(card.line(1), "offhook");

    // Both ways, by content.
    let audio = tipring.socket("/v1/lines/1/audio?direction=rx");
    let said = signal::chirps(7, 2000);
    phone.say(&said);
    let heard = until("the telephone's voice", GENEROUS, || {
        let audio = audio.audio();
        signal::hearing(&said, &audio).filter(|hearing| hearing.is_convincing(10))
    });
    println!("host hears {heard:?}");
    let played = signal::chirps(8, 2000);
    let wav = signal::wav(&played, 8000, 1);
    let before = phone.heard().len();
    rest.post_body("/v1/lines/1/play", "audio/wav", &wav).check(202);
    let heard = until("what is played", GENEROUS, || {
        let heard = phone.heard();
        signal::hearing(&played, &heard[before..]).filter(|hearing| hearing.is_convincing(10))
    });
    println!("telephone hears {heard:?}");

    phone.press("5");
    phone.expect(Noticed::Dialled);
    let digit = events.expect_event("dtmf", "1");
    assert_eq!((digit["digit"].as_str(), digit["source"].as_str()), (Some("5"), Some("dtmf")));
    phone.dial_pulses("30");
    for expected in ["3", "0"] {
        let digit = events.expect_event("dtmf", "1");
        let seen = (digit["digit"].as_str(), digit["source"].as_str());
        assert_eq!(seen, (Some(expected), Some("pulse")));
    }
    phone.expect(Noticed::Dialled);
    phone.flash();
    events.expect_event("flash", "1");
    phone.put_down();
    events.expect_event("on_hook", "1");
    rest.line_becomes("1", "on_hook");
    println!("{}", tipring.engine_log());
    assert_eq!(tipring.counter("card_overruns_total"), 0);
    assert_eq!(tipring.counter("card_errors_total"), 0);
}

#[test]
fn a_line_that_is_hung_up_loses_its_battery_and_then_hears_congestion() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let card = Card::plug(&machine, 2);
    let mut phone = Telephone::on(&machine, &card, 1);
    // Already lifted when the engine opens the channel: no event of the kernel tells that.
    phone.lift();
    let tipring = Running::on(&machine, ENGINE);
    let rest = tipring.rest();
    rest.line_becomes("1", "off_hook");
    let mut events = tipring.socket("/v1/events?lines=1");
    rest.post_empty("/v1/lines/1/hangup").check(202);
    phone.expect(Noticed::NoBattery);
    // The telephone stays lifted; the line is fed again, and used.
    until_true("the battery", GENEROUS, || card.line(1) == "offhook");
    until_true("congestion", GENEROUS, || signal::level_dbm0(&phone.listen(400)) > -40.0);
    phone.put_down();
    events.expect_event("on_hook", "1");
    rest.line_becomes("1", "on_hook");
    // It can be rung at once.
    rest.post_empty("/v1/lines/1/ring").check(202);
    phone.expect(Noticed::RingBegins);
    rest.delete("/v1/lines/1/ring").check(204);
}

#[test]
fn a_card_that_is_pulled_out_comes_back() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    let card = Card::plug(&machine, 2);
    let mut phone = Telephone::on(&machine, &card, 1);
    let tipring = Running::on(&machine, ENGINE);
    let rest = tipring.rest();
    rest.line_becomes("2", "on_hook");
    for round in 0..3 {
        phone.lift();
        rest.line_becomes("1", "off_hook");
        card.command("unplug");
        rest.line_becomes("1", "offline");
        rest.line_becomes("2", "offline");
        phone.put_down();
        card.command("plug");
        machine.run("dahdi_cfg");
        for line in ["1", "2"] {
            rest.line_becomes(line, "on_hook");
        }
        println!("round {round}\n{}", tipring.engine_log());
    }
    rest.post_empty("/v1/lines/1/ring").check(202);
    phone.expect(Noticed::RingBegins);
}
