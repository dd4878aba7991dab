//! `error` is told, with code and message, for every lost device, failed playback, refused
//! registration (in sip_echo.rs) and stopped stream.

use serde_json::{Value, json};
use tipring_tests::signal::{chirps, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::System;

fn expect_error(events: &mut Socket, code: &str) -> Value {
    let error = events.expect(code, |m| m["type"] == "error" && m["code"] == code);
    for key in ["message", "error", "error_code", "error_message"] {
        assert!(error[key].is_string(), "{key} is missing in {error}");
    }
    error
}

#[test]
fn a_lost_device_ends_what_ran_on_it() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    rest.post_body("/v1/lines/1/play", "audio/wav", &wav(&chirps(1, 9000), 8000, 1)).check(202);
    let mut events = [(); 2].map(|()| system.socket("/ws"));
    rest.script("1", &json!([{"do": "fail", "lost": true}]));
    assert_eq!(expect_error(&mut events[0], "device_lost")["line"], "1");
    assert_eq!(expect_error(&mut events[1], "playback_failed")["line"], "1");
}

#[test]
fn a_killed_engine_stops_streams() {
    let mut system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let answer = rest.post("/audio/start", &json!({"line": "1"})).expect_json(200);
    let stream = answer["stream_id"].as_str().expect("an id").to_owned();
    let mut events = [(); 2].map(|()| system.socket("/ws"));
    system.engine.as_mut().expect("it runs").kill();
    expect_error(&mut events[0], "engine_away");
    let told = expect_error(&mut events[1], "stream_stopped");
    assert!(told["message"].as_str().is_some_and(|m| m.contains(&stream)), "{told}");
}
