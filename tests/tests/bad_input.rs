//! What is not what it says it is, is refused with the reason, and changes nothing.

use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use tipring_tests::signal::wav;
use tipring_tests::system::System;

#[test]
fn bodies_are_what_they_say_or_refused() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let play = "/v1/lines/1/play";
    rest.post_body(play, "text/plain", b"hello").expect_problem(415, "unsupported-media-type");
    rest.post_body(play, "audio/wav", b"RIFF is not enough").expect_problem(422, "invalid");
    rest.post_body(play, "audio/wav", b"").expect_problem(422, "invalid");
    rest.post_body(play, "application/octet-stream", b"odd").expect_problem(422, "invalid");
    let float = {
        let mut bytes = wav(&[1, 2, 3, 4], 8000, 1);
        bytes[20] = 0x55; // MP3 inside RIFF
        bytes
    };
    rest.post_body(play, "audio/wav", &float).expect_problem(422, "invalid");
    rest.post_body(play, "application/json", b"{").check(400);
    for body in [
        json!({}),
        json!({"tone": "no such tone"}),
        json!({"tone": {"frequency_hz": [5], "duration_ms": 10}}),
        json!({"tone": "dial", "prompt": "both"}),
        json!({"tone": "dial", "gain_db": 99}),
        json!({"tone": "dial", "unknown": 1}),
        json!([1]),
    ] {
        let answer = rest.post(play, &body);
        assert_eq!(answer.status, 422, "{body}: {answer}");
        assert!(answer.json()["detail"].is_string(), "{answer}");
    }
    for digits in ["", "12x", &"1".repeat(33)] {
        rest.post("/v1/lines/1/dtmf", &json!({"digits": digits})).expect_problem(422, "invalid");
    }
    for cadence in [json!([100]), json!([]), json!("waltz"), json!([0, 0])] {
        let answer = rest.post("/v1/lines/2/ring", &json!({"cadence": cadence}));
        answer.expect_problem(422, "invalid");
    }
    assert_eq!(rest.line("2")["state"], "on_hook");
}

#[test]
fn unknown_things_are_404_and_wrong_methods_405() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.get("/v1/lines/99").expect_problem(404, "no-such-line");
    rest.get("/v1/nothing").expect_problem(404, "no-such-route");
    rest.send("PUT", "/v1/lines", &[], &[]).expect_problem(405, "method-not-allowed");
    rest.post("/v1/sim/phone1/hook", &json!({"off": true})).check(409);
    rest.delete("/v1/lines/1/playbacks/nothing").expect_problem(404, "no-such-playback");
    rest.delete("/v1/recordings/nothing").expect_problem(404, "no-such-recording");
}

#[test]
fn what_needs_another_state_is_409() {
    let system = System::demonstration();
    let rest = system.rest();
    for (path, body) in [
        ("/v1/lines/1/play", json!({"tone": "busy"})),
        ("/v1/lines/1/dtmf", json!({"digits": "1"})),
        ("/v1/lines/1/hangup", json!({})),
        ("/v1/lines/1/flash", json!({})),
    ] {
        let answer = rest.post(path, &body);
        assert_eq!(answer.status, 409, "{answer}");
    }
}

#[test]
fn other_hosts_and_origins_are_refused() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.send("GET", "/v1/lines", &[("Host", "evil.example")], &[])
        .expect_problem(403, "host-not-allowed");
    rest.send("GET", "/v1/lines", &[("Origin", "http://evil.example")], &[])
        .expect_problem(403, "origin-not-allowed");
    let own = format!("http://{}", system.address());
    rest.send("GET", "/v1/lines", &[("Origin", &own)], &[]).check(200);
}

#[test]
fn a_huge_body_is_413_and_a_broken_request_harms_nobody() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut stream = TcpStream::connect(system.address()).expect("connected");
    let head = "POST /v1/lines/1/play HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: audio/wav\r\n\
                Content-Length: 4000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer before the body");
    assert_eq!(&answer, b"HTTP/1.1 413");
    for garbage in [&b"\0\0\0\0\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", b"GET  \r\n\r\n"] {
        let mut stream = TcpStream::connect(system.address()).expect("connected");
        let _ = stream.write_all(garbage);
    }
    rest.get("/healthz").check(200);
}
