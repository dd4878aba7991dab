//! The routes of the two older phone APIs, with their exact bodies, as their clients use them.

use serde_json::{Value, json};
use tipring_tests::signal::{chirps, find, samples, to_bytes, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::System;

#[test]
fn status_has_every_documented_key() {
    let system = System::demonstration();
    let rest = system.rest();
    let status = rest.get("/status").expect_json(200);
    for key in [
        "state",
        "line_voltage",
        "last_dtmf",
        "dtmf_history",
        "is_voice_active",
        "audio_format",
        "call_stats",
        "error_message",
        "last_update",
    ] {
        assert!(status.get(key).is_some(), "{key} is missing in {status}");
    }
    assert_eq!(status["state"], "idle");
    assert_eq!(status["line_voltage"], -48.0);
    assert_eq!(
        status["audio_format"],
        json!({"sample_rate": 8000, "channels": 1, "bit_depth": 16})
    );
    for key in [
        "total_calls",
        "successful_calls",
        "failed_calls",
        "average_duration",
        "last_call_timestamp",
        "dtmf_digits_received",
    ] {
        assert!(status["call_stats"].get(key).is_some(), "{key} is missing in {status}");
    }
    rest.hook("1", true);
    assert_eq!(rest.get("/status").expect_json(200)["state"], "off_hook");
    assert_eq!(rest.get("/status?line=2").expect_json(200)["state"], "idle");
    assert_eq!(rest.get("/health").expect_json(200)["status"], "healthy");
    let info = rest.get("/system/info").expect_json(200);
    assert_eq!((&info["state"], &info["active_calls"]), (&json!("idle"), &json!(0)));
    assert_eq!((&info["errors"], &info["components"]["engine"]), (&json!([]), &json!("ok")));
    assert!(info["uptime"].as_f64().is_some_and(|seconds| seconds > 0.0), "{info}");
}

#[test]
fn voltage_and_diagnostics_have_every_documented_key() {
    let system = System::demonstration();
    let rest = system.rest();
    let voltage = rest.get("/voltage").expect_json(200);
    for key in ["voltage", "status", "timestamp", "min_voltage", "max_voltage"] {
        assert!(voltage.get(key).is_some(), "{key} is missing in {voltage}");
    }
    assert_eq!(voltage["voltage"], -48.0);
    assert_eq!(voltage["status"], "normal");
    let all = rest.get("/diagnostics").expect_json(200);
    for (group, keys) in [
        (
            "capabilities",
            &[
                "channels",
                "supports_echo_cancel",
                "supports_hwgain",
                "supports_ring_detect",
                "max_ring_voltage",
                "min_idle_voltage",
            ][..],
        ),
        ("voltage_tests", &["idle_voltage", "ring_voltage"]),
        ("signal_quality", &["signal_level", "noise_level", "snr", "distortion"]),
        ("functional_tests", &["ring_test", "audio_test", "dtmf_test"]),
    ] {
        for key in keys {
            assert!(all[group].get(key).is_some(), "{group}.{key} is missing in {all}");
        }
    }
    assert!(all["hardware_present"].is_boolean());
}

#[test]
fn rings_with_each_kind_of_body() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events =
        Socket::open(&format!("{}:{}", "127.0.0.1", system.ports.websocket), "/ws", None);
    let success = |value: &Value| value["status"] == "success" && value["message"].is_string();
    for body in [
        json!({"pattern": "NORMAL", "repeat": 2}),
        json!({"pattern": "CONTINUOUS", "duration": 5000}),
        json!({"pattern": "CUSTOM", "repeat": 0,
            "custom_pattern": {"on_times": [300, 300], "off_times": [200, 800]}}),
    ] {
        let answer = rest.post("/ring", &body).expect_json(200);
        assert!(success(&answer), "{answer}");
        let start = events.expect_event("ring_start", "1");
        assert!(start.get("pattern").is_some() && start.get("duration").is_some(), "{start}");
        let answer = rest.post_empty("/stop-ring").expect_json(200);
        assert!(success(&answer), "{answer}");
        events.expect_event("ring_stop", "1");
        rest.line_becomes("1", "on_hook");
    }
    assert!(success(&rest.post_empty("/ring?duration=300").expect_json(200)));
    events.expect_event("ring_start", "1");
    events.expect_event("ring_stop", "1");
    assert!(success(&rest.post_empty("/ring").expect_json(200)));
    events.expect_event("ring_start", "1");
    rest.line_becomes("1", "ringing");
    assert!(success(&rest.post_empty("/stop-ring").expect_json(200)));
    events.expect_event("ring_stop", "1");
    rest.line_becomes("1", "on_hook");
    let refused = rest.post_empty("/stop-ring").expect_json(400);
    assert!(refused["detail"].is_string(), "{refused}");
    let refused = rest.post("/ring", &json!({"pattern": "NO SUCH"})).expect_json(422);
    assert!(refused["detail"].is_array(), "{refused}");
    assert!(success(&rest.post_empty("/ring?line=2").expect_json(200)));
    rest.line_becomes("2", "ringing");
}

#[test]
fn plays_audio_and_tones_into_a_lifted_line() {
    let system = System::demonstration();
    let rest = system.rest();
    let said = chirps(21, 1500);
    let refused = rest.post_body("/play-audio", "application/octet-stream", &to_bytes(&said));
    assert!(refused.expect_json(400)["detail"].is_string());
    rest.hook("1", true);
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    ear.audio_of(40);
    // Raw samples, then a whole WAV under the same content type, as an existing client sends it.
    for body in [to_bytes(&said), wav(&said, 8000, 1)] {
        let before = ear.audio().len();
        let answer = rest.post_body("/play-audio", "application/octet-stream", &body);
        let answer = answer.expect_json(200);
        assert_eq!(answer["status"], "success");
        assert_eq!(answer["bytes_written"].as_u64(), Some(body.len() as u64), "{answer}");
        let heard =
            tipring_tests::wait::until("it in the earpiece", tipring_tests::wait::GENEROUS, || {
                let heard = ear.audio();
                (heard.len() > before + samples(2200)).then_some(heard)
            });
        let found = find(&said[samples(200)..samples(1200)], &heard[before..]).expect("audio");
        assert!(found.score > 0.95, "{found:?}");
    }
    let answer = rest.post("/generate-tone", &json!({"frequency": 700, "duration": 300}));
    let answer = answer.expect_json(200);
    assert_eq!((&answer["frequency"], &answer["duration"]), (&json!(700), &json!(300)));
    assert!(answer["bytes_written"].is_number(), "{answer}");
    rest.post_empty("/generate-tone?frequency=500&duration=200").check(200);
    let refused = rest.post("/generate-tone", &json!({"frequency": "high"})).expect_json(422);
    assert!(refused["detail"].is_array(), "{refused}");
    let answer = rest.post_empty("/reset").expect_json(200);
    assert_eq!(answer["status"], "success");
    assert!(answer["message"].is_string());
}

#[test]
fn audio_is_started_and_stopped() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let mut events = system.socket("/ws");
    let started = rest.post_empty("/audio/start").expect_json(200);
    let stream = started["stream_id"].as_str().expect("a stream id").to_owned();
    let start = events.expect("audio_start", |m| m["type"] == "audio_start");
    assert_eq!(start["stream_id"], json!(stream));
    assert!(started["status"].is_string() && started["ws_url"].is_string(), "{started}");
    let taken = system.socket(&format!("/v1/streams/{stream}"));
    taken.audio_of(200);
    assert!(taken.chunks().iter().all(|c| c.octets.len() == 320), "20 ms of 16 bit");
    events.send(&json!({"subscribe": stream}));
    rest.post("/audio/stop", &json!({"stream_id": stream})).check(200);
    let stop = events.expect("audio_stop", |m| m["type"] == "audio_stop");
    assert_eq!(stop["stream_id"], json!(stream));
}
