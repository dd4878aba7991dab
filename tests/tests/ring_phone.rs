//! `POST /v1/lines/phone1/ring` makes a SIP phone ring, and stops at answer, timeout and DELETE.

use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::rtp::Leg;
use tipring_tests::signal::chirps;
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::system::{System, free_port};
use tipring_tests::wait::GENEROUS;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn phone(system: &System) -> Baresip {
    Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(61, 60_000)))
}

#[test]
fn until_it_is_answered() {
    let system = System::demonstration();
    let (rest, phone) = (system.rest(), phone(&system));
    let mut events = system.socket("/ws");
    let body = json!({"timeout_ms": 60_000, "caller_id": {"number": "5551234", "name": "Ada"}});
    let call_id = rest.post("/v1/lines/phone1/ring", &body).expect_json(202)["call_id"].clone();
    let (_, incoming) = phone.expect("it rings", |m| m["type"] == "CALL_INCOMING");
    assert!(incoming.to_string().contains("5551234"), "caller: {incoming}");
    events.expect_event("ring_start", "phone1");
    rest.line_becomes("phone1", "ringing");
    phone.answer();
    assert_eq!(events.expect_event("ring_stop", "phone1")["cause"], "answered");
    events.expect_event("off_hook", "phone1");
    phone.expect_event("CALL_ESTABLISHED");
    let line = rest.line_becomes("phone1", "off_hook");
    assert_eq!(line["call_id"], call_id);
    rest.post("/v1/lines/phone1/ring", &json!({})).expect_problem(409, "line-busy");
    rest.post_empty("/v1/lines/phone1/hangup").check(202);
    phone.expect_event("CALL_CLOSED");
    rest.line_becomes("phone1", "on_hook");
    rest.hook_becomes("phone1", "unknown", "far_end_hung_up");
}

#[test]
fn until_nobody_answers() {
    let system = System::demonstration();
    let (rest, phone) = (system.rest(), phone(&system));
    let mut events = system.socket("/ws");
    rest.post("/v1/lines/phone1/ring", &json!({"timeout_ms": 1500})).check(202);
    phone.expect_event("CALL_INCOMING");
    assert_eq!(events.expect_event("ring_stop", "phone1")["cause"], "timeout");
    phone.expect_event("CALL_CLOSED");
    rest.line_becomes("phone1", "on_hook");
    rest.calls_become(0);
}

#[test]
fn until_it_is_called_off() {
    let system = System::demonstration();
    let (rest, phone) = (system.rest(), phone(&system));
    let mut events = system.socket("/ws");
    rest.post_empty("/v1/lines/phone1/ring").check(202);
    phone.expect_event("CALL_INCOMING");
    rest.delete("/v1/lines/phone1/ring").check(204);
    assert_eq!(events.expect_event("ring_stop", "phone1")["cause"], "stopped");
    phone.expect_event("CALL_CLOSED");
    rest.line_becomes("phone1", "on_hook");
}

#[test]
fn until_it_refuses() {
    let system = System::demonstration();
    let (rest, phone) = (system.rest(), phone(&system));
    let mut events = system.socket("/ws");
    rest.post_empty("/v1/lines/phone1/ring").check(202);
    phone.expect_event("CALL_INCOMING");
    phone.hang_up();
    assert_eq!(events.expect_event("ring_stop", "phone1")["cause"], "device");
    rest.line_becomes("phone1", "on_hook");
    rest.calls_become(0);
}

#[test]
fn not_without_a_registration() {
    let system = System::demonstration();
    let answer = system.rest().post_empty("/v1/lines/phone2/ring");
    assert_eq!(answer.status, 409, "{answer}");
}

/// The same with SIPp, whose scenarios say each message.
#[test]
fn a_scripted_phone_sees_the_messages_of_the_standard() {
    let system = System::demonstration();
    let rest = system.rest();
    let port = free_port(HERE);
    let leg = Leg::new(HERE, chirps(1, 1000));
    let sip = system.sip_address();
    let scenario = |name| Scenario {
        name,
        remote: &sip,
        host: HERE,
        port,
        user: "phone2",
        password: "secret",
        keys: &[],
        pause: Duration::from_millis(500),
        tcp: false,
    };
    let keys = [("rtp_port", leg.port().to_string())];
    Sipp::start(&scenario("register")).succeeds(GENEROUS);

    let rung = Sipp::start(&Scenario { keys: &keys, ..scenario("is_rung_and_answers") });
    rest.post_empty("/v1/lines/phone2/ring").check(202);
    rest.line_becomes("phone2", "off_hook");
    rest.post_empty("/v1/lines/phone2/hangup").check(202);
    rung.succeeds(GENEROUS);

    rest.calls_become(0);
    let rung = Sipp::start(&scenario("is_rung_and_cancelled"));
    rest.post("/v1/lines/phone2/ring", &json!({"timeout_ms": 1000})).check(202);
    rung.succeeds(GENEROUS);
    rest.calls_become(0);

    let rung = Sipp::start(&scenario("is_rung_and_busy"));
    let mut events = system.socket("/ws");
    rest.post_empty("/v1/lines/phone2/ring").check(202);
    events.expect_event("ring_stop", "phone2");
    rung.succeeds(GENEROUS);
    rest.calls_become(0);
}
