//! Digits sent by RFC 4733 appear once each, in order, with their times; the dial tone extension
//! collects them.

use serde_json::json;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::signal::chirps;
use tipring_tests::system::System;
use tipring_tests::wait;

#[test]
fn each_digit_once_in_order() {
    let system = System::demonstration();
    let phone =
        Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(51, 90_000)));
    let mut events = system.socket("/ws");
    phone.dial("600");
    phone.expect_event("CALL_ESTABLISHED");
    events.expect_event("off_hook", "phone1");
    let digits = "1234567890*#";
    phone.press(digits);
    let mut last = String::new();
    for digit in digits.chars() {
        let event = events.expect("a digit", |m| m["type"] == "dtmf" && m["line"] == "phone1");
        assert_eq!(event["digit"], digit.to_string());
        assert_eq!(event["source"], "telephone_event");
        assert!(
            event["duration_ms"].as_u64().is_some_and(|ms| (20..1000).contains(&ms)),
            "{event}"
        );
        let at = event["timestamp"].as_str().expect("a time").to_owned();
        assert!(at >= last, "out of order: {event}");
        last = at;
    }
    // Once each: nothing follows while the retransmitted ends arrive.
    wait::for_duration(std::time::Duration::from_secs(1));
    let all = events.texts();
    let count = all.iter().filter(|m| m["type"] == "dtmf").count();
    assert_eq!(count, digits.len(), "{all:?}");
    assert_eq!(system.rest().line("phone1")["last_digit"], "#");
}

#[test]
fn a_number_dialled_into_our_dial_tone_rings() {
    let system = System::demonstration();
    let rest = system.rest();
    let phone =
        Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(52, 90_000)));
    phone.dial("100");
    phone.expect_event("CALL_ESTABLISHED");
    wait::until_true("dial tone", wait::GENEROUS, || rest.line("phone1")["phase"] == "dial_tone");
    phone.press("102");
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    let calls = rest.calls_become(1);
    wait::until_true("talking", wait::GENEROUS, || rest.line("2")["phase"] == "talking");
    assert!(calls[0]["legs"].as_array().is_some_and(|l| l.len() == 2), "{calls:?}");
}

#[test]
fn we_press_keys_towards_the_phone() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.post("/v1/extensions/999/dtmf", &json!({"digits": "1"}))
        .expect_problem(404, "no-such-extension");
    let phone =
        Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(53, 90_000)));
    phone.dial("600");
    phone.expect_event("CALL_ESTABLISHED");
    rest.line_becomes("phone1", "off_hook");
    rest.post("/v1/extensions/201/dtmf", &json!({"digits": "42"})).check(202);
    for digit in ["4", "2"] {
        phone.expect("a digit at the phone", |m| {
            m["type"] == "CALL_DTMF_START" && m["param"] == digit
        });
    }
}
