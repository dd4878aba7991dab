//! `error` is told, with code and message, for every lost device, failed playback, refused
//! registration (in sip_echo.rs) and stopped stream.

use serde_json::{Value, json};
use tipring_tests::signal::{chirps, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::System;
use tipring_tests::wait::{GENEROUS, until_true};

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

/// Those who listen to another line hear on.
#[test]
fn a_lost_device_stops_the_streams_of_its_line() {
    let system = System::demonstration();
    let rest = system.rest();
    let start = |line: &str| {
        rest.hook(line, true);
        let answer = rest.post("/audio/start", &json!({"line": line})).expect_json(200);
        answer["stream_id"].as_str().expect("an id").to_owned()
    };
    let (lost, other) = (start("1"), start("2"));
    let mut events = system.socket("/ws");
    let mut subscribed = system.socket("/ws");
    subscribed.send(&json!({"subscribe": lost}));
    subscribed.expect("subscribed", |m| m["type"] == "subscribed");
    let mut listeners =
        [system.socket(&format!("/v1/streams/{lost}")), system.socket("/v1/lines/1/audio")];
    let hears_on = system.socket(&format!("/v1/streams/{other}"));
    for listener in listeners.iter().chain([&hears_on]) {
        listener.audio_of(40);
    }

    rest.script("1", &json!([{"do": "fail", "lost": true}]));

    let told = expect_error(&mut events, "stream_stopped");
    assert_eq!(told["line"], "1");
    let message = told["message"].as_str().expect("a text");
    assert!(message.contains(&lost) && message.contains("device"), "{told}");
    events.expect("audio_stop", |m| m["type"] == "audio_stop" && m["stream_id"] == lost);
    for listener in &mut listeners {
        let told = listener.expect("why", |m| m["type"] == "error");
        assert_eq!(told["code"], "device_lost", "{told}");
        until_true("its end", GENEROUS, || {
            listener.closed().is_some_and(|why| why.contains("device"))
        });
    }
    let ended = subscribed.expect("unsubscribed", |m| m["type"] == "unsubscribed");
    assert_eq!((&ended["stream_id"], &ended["code"]), (&json!(lost), &json!("device_lost")));

    let heard = hears_on.audio().len();
    hears_on.audio_of(heard / 8 + 200);
    assert_eq!(hears_on.closed(), None);
    let stopped = |stream: &str| rest.post("/audio/stop", &json!({"stream_id": stream})).status;
    assert_eq!((stopped(&lost), stopped(&other)), (404, 200));
}
