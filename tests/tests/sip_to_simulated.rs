//! A SIP phone calls simulated line 1: ringing, speech both ways by content, hang-up from either
//! side, busy, and no answer.

use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::signal::{Hearing, chirps, hearing, samples, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::System;

struct Talk {
    system: System,
    phone: Baresip,
    ear: Socket,
    phone_says: Vec<i16>,
    line_says: Vec<i16>,
}

/// phone1 has called 101, line 1 was lifted, both speak.
fn talking() -> Talk {
    let system = System::demonstration();
    let rest = system.rest();
    let (phone_says, line_says) = (chirps(41, 90_000), chirps(42, 60_000));
    let telephone = Telephone::new("phone1", &system.sip_address(), phone_says.clone());
    let phone = Baresip::start(&telephone);
    let mut events = system.socket("/ws");
    phone.dial("101");
    events.expect_event("ring_start", "1");
    phone.expect_event("CALL_RINGING");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    assert_eq!(events.expect_event("ring_stop", "1")["cause"], "answered");
    phone.expect_event("CALL_ESTABLISHED");
    events.expect("the call is connected", |m| m["type"] == "call_connected");
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&line_says, 8000, 1)).check(202);
    Talk { system, phone, ear, phone_says, line_says }
}

fn convincing(hearing: Option<&Hearing>) -> bool {
    hearing.is_some_and(|h| h.is_convincing(20))
}

#[test]
fn speech_passes_both_ways() {
    let talk = talking();
    let rest = talk.system.rest();
    let at_line = talk.ear.audio_of(3500);
    let from = talk.phone.heard().len();
    let at_phone = talk.phone.heard_of(from * 1000 / 8000 + 3000);
    let calls = rest.calls_become(1);
    assert_eq!(calls[0]["state"], "connected");
    let legs = calls[0]["legs"].as_array().expect("legs");
    assert_eq!(legs.len(), 2, "{calls:?}");
    let at_phone = &at_phone[at_phone.len() - samples(3000)..];

    let (to_line, to_phone) =
        (hearing(&talk.phone_says, &at_line), hearing(&talk.line_says, at_phone));
    assert!(convincing(to_line.as_ref()), "line 1 hears the phone: {to_line:?}");
    assert!(convincing(to_phone.as_ref()), "the phone hears line 1: {to_phone:?}");
    for way in [&to_line, &to_phone].into_iter().flatten() {
        assert!(way.gain_db.abs() < 1.5, "level: {way:?}");
        assert!(way.wander_ms < 60.0, "delay: {way:?}");
    }
    println!("phone to line {to_line:?}\nline to phone {to_phone:?}");

    // The same check with the directions crossed must fail, or it would prove nothing.
    let crossed = [hearing(&talk.line_says, &at_line), hearing(&talk.phone_says, at_phone)];
    assert!(!crossed.iter().any(|c| convincing(c.as_ref())), "{crossed:?}");
}

#[test]
fn the_line_hangs_up() {
    let talk = talking();
    let rest = talk.system.rest();
    let mut events = talk.system.socket("/ws");
    rest.hook("1", false);
    talk.phone.expect_event("CALL_CLOSED");
    let ended = events.expect("the call ends", |m| m["type"] == "call_ended");
    assert_eq!(ended["cause"]["code"], 16, "normal clearing (Q.850): {ended}");
    rest.calls_become(0);
    // The phone was hung up on: nobody knows whether its handset is down.
    rest.hook_becomes("phone1", "unknown", "far_end_hung_up");
}

#[test]
fn the_phone_hangs_up() {
    let talk = talking();
    let rest = talk.system.rest();
    let mut events = talk.system.socket("/ws");
    talk.phone.hang_up();
    let ended = events.expect("the call ends", |m| m["type"] == "call_ended");
    assert_eq!(ended["cause"]["code"], 16, "normal clearing (Q.850): {ended}");
    rest.calls_become(0);
    rest.hook_becomes("phone1", "on", "signalling");
    // Line 1 is still lifted, and can be put down.
    assert_eq!(rest.line("1")["state"], "off_hook");
    rest.hook("1", false);
}

#[test]
fn a_lifted_line_is_busy() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(1, 9000)));
    phone.dial("101");
    let (_, closed) =
        phone.expect("an end", |m| m["type"] == "CALL_CLOSED" || m["type"] == "CALL_ESTABLISHED");
    // Either refused with 486, or answered with busy tone.
    if closed["type"] == "CALL_CLOSED" {
        assert!(closed["param"].as_str().is_some_and(|p| p.contains("486")), "{closed}");
    }
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let system = System::demonstration();
    let rest = system.rest();
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(1, 9000)));
    phone.dial("101");
    rest.line_becomes("1", "ringing");
    phone.hang_up();
    rest.line_becomes("1", "on_hook");
    rest.calls_become(0);
}

#[test]
fn an_unknown_number_is_refused() {
    let system = System::demonstration();
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(1, 9000)));
    phone.dial("999");
    let (_, closed) = phone.expect("CALL_CLOSED", |m| m["type"] == "CALL_CLOSED");
    assert!(closed["param"].as_str().is_some_and(|p| p.contains("404")), "{closed}");
    system.rest().calls_become(0);
}
