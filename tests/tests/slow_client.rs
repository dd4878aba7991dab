//! A client that stops reading is told what it missed, and slows nobody else.

use serde_json::json;
use std::time::{Duration, Instant};
use tipring_tests::signal::{chirps, wav};
use tipring_tests::socket;
use tipring_tests::system::{Setup, System};
use tipring_tests::wait;

#[test]
fn never_slows_another() {
    let setup = Setup {
        apid_yaml: Some(
            "lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n\
             api: {rate_limit_per_minute: 0}\n"
                .into(),
        ),
        ..Setup::default()
    };
    let system = System::start(setup);
    let rest = system.rest();
    rest.hook("1", true);
    // Clients that never read: events and audio, ten of each.
    let deaf: Vec<_> = (0..10)
        .flat_map(|_| {
            ["/ws", "/v1/lines/1/audio?direction=both"]
                .map(|path| socket::connect(&system.address(), path, None).expect("connected"))
        })
        .collect();
    let mut reader = system.socket("/ws");
    let ear = system.socket("/v1/lines/1/audio?direction=rx");
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&chirps(7, 60_000), 8000, 1)).check(202);
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    // Enough events to fill any queue: each tone is two of them.
    for i in 0..300 {
        let body = json!({"tone": {"frequency_hz": [300 + i], "duration_ms": 20}});
        let sent = Instant::now();
        while rest.post("/v1/lines/1/play", &body).status == 409 {
            wait::for_duration(Duration::from_millis(5));
        }
        reader.expect_event("playback_started", "1");
        slowest = slowest.max(sent.elapsed());
    }
    let events_took = begin.elapsed();
    let audio = ear.chunks();
    let gaps: Vec<Duration> = audio.windows(2).map(|p| p[1].at - p[0].at).collect();
    let losses = ear.texts();
    println!(
        "300 tones in {events_took:?}, slowest {slowest:?}; audio: {} chunks, longest gap {:?}",
        audio.len(),
        gaps.iter().max()
    );
    assert!(losses.is_empty(), "the reading client was told of losses: {losses:?}");
    let seconds = audio.last().expect("audio").at - audio[0].at;
    let expected = seconds.as_millis() as usize / 20;
    assert!(audio.len() + 10 >= expected, "{} of {expected} chunks", audio.len());
    let diagnostics = rest.get("/v1/diagnostics").expect_json(200);
    let clients = diagnostics["clients"].as_array().expect("clients");
    assert!(clients.len() >= 22, "{clients:?}");
    for client in clients {
        for key in ["kind", "remote", "queued", "oldest_age_ms", "missed"] {
            assert!(client.get(key).is_some(), "{key} is missing in {client}");
        }
    }
    drop(deaf);
}
