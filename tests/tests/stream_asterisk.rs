//! Asterisk's chan_websocket, from its description: an application that it dials.

use serde_json::{Value, json};
use tipring_tests::agent::Agents;
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, hearing, mu_decode, to_bytes, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::System;
use tipring_tests::wait;

fn dialled(rest: &Rest, agents: &Agents, query: &str) -> (String, Socket) {
    rest.hook("1", true);
    let to = format!("app:{}", agents.url(&format!("/media?dialect=asterisk{query}")));
    let call = rest.post("/v1/calls", &json!({"from": "line:1", "to": to})).expect_json(202);
    let (path, socket) = agents.accept();
    assert_eq!(path, "/media");
    (call["id"].as_str().expect("an id").to_owned(), socket)
}

fn becomes(rest: &Rest, call: &str, state: &str) -> Value {
    wait::until(state, wait::GENEROUS, || {
        let call = rest.get(&format!("/v1/calls/{call}")).expect_json(200);
        (call["state"] == state).then_some(call)
    })
}

/// A text that begins so.
fn begins(what: &'static str) -> impl Fn(&Value) -> bool {
    move |message| message.as_str().is_some_and(|text| text.starts_with(what))
}

#[test]
fn plain_control_and_companded_frames() {
    let system = System::demonstration();
    let rest = system.rest();
    let agents = Agents::listen();
    let (call, mut app) = dialled(&rest, &agents, "");
    let start = app.expect("the start", begins("MEDIA_START connection_id:"));
    let told =
        start.as_str().is_some_and(|s| s.ends_with("format:ulaw optimal_frame_size:160 ptime:20"));
    assert!(told, "{start}");
    becomes(&rest, &call, "connected");
    let said = chirps(611, 2500);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    let heard: Vec<i16> = wait::until("three seconds", wait::GENEROUS, || {
        let chunks = app.chunks();
        let octets: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.octets).collect();
        (octets.len() > 28_000).then(|| octets.into_iter().map(mu_decode).collect())
    });
    let found = hearing(&said, &heard).expect("recognised");
    assert!(found.is_convincing(15), "{found:?}");
    rest.post("/v1/sim/1/dial", &json!({"digits": "5", "method": "dtmf"})).check(202);
    app.expect("the digit", begins("DTMF_END digit:5 channel_id:"));
    app.send_text("SING");
    app.expect("an error", begins("ERROR channel_id:"));
    app.send_text("HANGUP");
    assert_eq!(becomes(&rest, &call, "ended")["cause"]["code"], 16);
    app.expect_closed();
}

#[test]
fn json_control_linear_frames_and_the_queue() {
    let system = System::demonstration();
    let rest = system.rest();
    let agents = Agents::listen();
    let query = "&control=json&format=pcm_s16le&answer=application";
    let (call, mut app) = dialled(&rest, &agents, query);
    let event = |name: &'static str| move |message: &Value| message["event"] == name;
    let start = app.expect("the start", event("MEDIA_START"));
    assert_eq!((&start["format"], &start["optimal_frame_size"]), (&json!("slin"), &json!(320)));
    assert_eq!(rest.get(&format!("/v1/calls/{call}")).expect_json(200)["state"], "ringing");
    app.send(&json!({"command": "ANSWER"}));
    becomes(&rest, &call, "connected");
    let ear = system.socket("/v1/sim/1/audio");
    ear.audio_of(40);
    // In pieces of any length, joined.
    let said = chirps(621, 2500);
    app.send(&json!({"command": "START_MEDIA_BUFFERING"}));
    for piece in to_bytes(&said).chunks(777) {
        app.send_octets(piece.to_vec());
    }
    app.send(&json!({"command": "STOP_MEDIA_BUFFERING", "correlation_id": "abc"}));
    app.send(&json!({"command": "MARK_MEDIA", "correlation_id": "m1"}));
    let found = hearing(&said, &ear.audio_of(3200)).expect("recognised");
    assert!(found.is_convincing(15), "{found:?}");
    let done = app.expect("the piece", event("MEDIA_BUFFERING_COMPLETED"));
    assert_eq!(done["correlation_id"], "abc");
    assert_eq!(app.expect("the mark", event("MEDIA_MARK_PROCESSED"))["correlation_id"], "m1");
    // Far more than may wait, and a flush.
    app.send_octets(to_bytes(&vec![0; 160 * 950]));
    app.expect("enough", event("MEDIA_XOFF"));
    app.send(&json!({"command": "FLUSH_MEDIA"}));
    app.send(&json!({"command": "GET_STATUS"}));
    let status = app.expect("the status", event("STATUS"));
    assert_eq!((&status["queue_length"], &status["queue_full"]), (&json!(0), &json!(false)));
    rest.hook("1", false);
    app.expect_closed();
    becomes(&rest, &call, "ended");
}
