//! `kill -9` of the engine: its calls end with a cause everywhere, and the next engine is attached
//! within a second of its socket.

use std::time::{Duration, Instant};
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::signal::chirps;
use tipring_tests::system::System;
use tipring_tests::wait;

#[test]
fn its_calls_end_with_a_cause_and_the_next_one_is_attached() {
    let mut system = System::demonstration();
    let rest = system.rest();
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), chirps(1, 60_000)));
    phone.dial("101");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    phone.expect_event("CALL_ESTABLISHED");
    rest.calls_become(1);
    let mut events = system.socket("/ws");
    let generation = rest.get("/v1/diagnostics").json()["engine"]["generation"].clone();

    system.engine.as_mut().expect("it runs").kill();
    let ended = events.expect("the call ends", |m| m["type"] == "call_ended");
    assert!(ended["cause"]["code"].is_number() && ended["cause"]["text"].is_string(), "{ended}");
    phone.expect_event("CALL_CLOSED");
    rest.calls_become(0);
    rest.line_becomes("1", "offline");
    assert_eq!(rest.get("/readyz").status, 503);
    rest.post_empty("/v1/lines/1/ring").expect_problem(503, "engine-away");

    system.start_engine();
    wait::until_true("the socket", wait::GENEROUS, || {
        std::os::unix::net::UnixStream::connect(system.socket_path()).is_ok()
    });
    let begin = Instant::now();
    wait::until_true("attached", wait::GENEROUS, || rest.get("/readyz").status == 200);
    println!("attached {:?} after the socket was there", begin.elapsed());
    let now = rest.get("/v1/diagnostics").json()["engine"]["generation"].clone();
    assert_ne!(now, generation);
    events
        .expect("attached", |m| m["type"] == "hardware_status" && m["status"] == "engine_attached");

    // And it works.
    rest.line_becomes("1", "on_hook");
    let phone2 =
        Baresip::start(&Telephone::new("phone2", &system.sip_address(), chirps(2, 60_000)));
    phone2.dial("101");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    phone2.expect_event("CALL_ESTABLISHED");
    drop(phone);
    wait::for_duration(Duration::from_millis(200));
    assert_eq!(rest.calls_become(1).len(), 1);
}
