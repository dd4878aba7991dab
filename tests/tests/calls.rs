//! Calls that the API makes: between lines, held, resumed, ended, listed.

use serde_json::json;
use tipring_tests::ear::share;
use tipring_tests::signal::{chirps, hearing, wav};
use tipring_tests::system::System;

#[test]
fn two_lines_are_joined_held_and_parted() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events = system.socket("/ws");
    let request = json!({"from": "line:1", "to": "line:2", "caller_id": {"number": "101"}});
    let call = rest.post("/v1/calls", &request).expect_json(202);
    let id = call["id"].as_str().expect("an id").to_owned();
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    events.expect("connected", |m| m["type"] == "call_connected" && m["call_id"] == id.as_str());

    let said = chirps(81, 20_000);
    let ear = system.socket("/v1/lines/2/audio?direction=tx");
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    let heard = ear.audio_of(2500);
    let hearing = hearing(&said, &heard).expect("recognised");
    assert!(hearing.is_convincing(15), "{hearing:?}");

    rest.post(&format!("/v1/calls/{id}/hold"), &json!({"on": true})).check(200);
    events.expect("held", |m| m["type"] == "call_held");
    // Both wait, and hear music instead of each other.
    for line in ["1", "2"] {
        events.expect("music", |m| m["type"] == "playback_started" && m["line"] == line);
    }
    let music = system.socket("/v1/lines/2/audio?direction=tx").audio_of(2500);
    for hz in [392.0, 493.9, 587.3] {
        let sounds = |piece: &[i16]| share(piece, hz).is_some_and(|part| part > 0.8);
        assert!(music.chunks_exact(800).any(sounds), "no {hz} Hz in the music");
    }
    rest.post(&format!("/v1/calls/{id}/hold"), &json!({"on": false})).check(200);
    events.expect("resumed", |m| m["type"] == "call_resumed");
    let ear = system.socket("/v1/lines/2/audio?direction=tx");
    let again = crate::hearing(&said, &ear.audio_of(2500)).expect("recognised");
    assert!(again.is_convincing(15), "{again:?}");

    let shown = rest.get(&format!("/v1/calls/{id}")).expect_json(200);
    assert_eq!(shown["state"], "connected");
    assert_eq!((&shown["from"], &shown["to"]), (&json!("line:1"), &json!("line:2")));
    rest.delete(&format!("/v1/calls/{id}")).check(204);
    let ended = events.expect("ended", |m| m["type"] == "call_ended");
    assert!(ended["cause"]["code"].is_number() && ended["cause"]["text"].is_string(), "{ended}");
    rest.calls_become(0);
    rest.delete("/v1/calls/nothing").expect_problem(404, "no-such-call");
    rest.get("/v1/calls/nothing").expect_problem(404, "no-such-call");
}

#[test]
fn a_line_dials_another() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    rest.post("/v1/sim/1/dial", &json!({"digits": "102"})).check(202);
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    let call = rest.calls_become(1).remove(0);
    assert_eq!(call["from"], "line:1");
    rest.hook("2", false);
    rest.calls_become(0);
    rest.hook("1", false);
}

#[test]
fn ends_that_are_not_built_say_so() {
    let system = System::demonstration();
    let rest = system.rest();
    for to in ["sip:someone@example.org", "app:agi://example.org/"] {
        let request = json!({"from": "line:1", "to": to});
        rest.post("/v1/calls", &request).expect_problem(501, "not-built");
    }
    for request in [json!({"from": "line:1"}), json!({"from": "1", "to": "2"}), json!({})] {
        rest.post("/v1/calls", &request).check(422);
    }
    rest.post("/v1/calls", &json!({"from": "line:1", "to": "line:99"})).check(404);
    rest.calls_become(0);
}
