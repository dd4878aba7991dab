//! Settings of a line, changed while it is in use.

use serde_json::json;
use tipring_tests::rest::Rest;
use tipring_tests::signal::{level_dbm0, samples};
use tipring_tests::system::System;
use tipring_tests::wait;

fn patch(rest: &Rest, line: &str, body: &serde_json::Value) -> serde_json::Value {
    let headers = [("Content-Type", "application/json")];
    let text = body.to_string();
    let path = format!("/v1/lines/{line}/settings");
    rest.send("PATCH", &path, &headers, text.as_bytes()).expect_json(200)
}

/// The largest step from one sample to the next.
fn steepest(audio: &[i16]) -> u16 {
    audio.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max().unwrap_or(0)
}

#[test]
fn settings_are_told_changed_and_refused_by_name() {
    let system = System::demonstration();
    let rest = system.rest();
    let before = rest.get("/v1/lines/1/settings").expect_json(200);
    assert_eq!((&before["country"], &before["echo_canceller"]), (&json!("us"), &json!(false)));
    let after = patch(&rest, "1", &json!({"country": "de", "tx_gain_db": -6.5}));
    assert_eq!((&after["country"], &after["tx_gain_db"]), (&json!("de"), &json!(-6.5)));
    assert_eq!(after["voice"], before["voice"]);
    assert_eq!(rest.get("/v1/lines/1/settings").expect_json(200), after);
    for (wrong, status) in [
        (json!({"country": "xx"}), 422),
        (json!({"tx_gain_db": 13}), 422),
        (json!({"colour": "red"}), 422),
    ] {
        let headers = [("Content-Type", "application/json")];
        let body = wrong.to_string();
        let answer = rest.send("PATCH", "/v1/lines/1/settings", &headers, body.as_bytes());
        assert_eq!(answer.status, status, "{wrong}");
    }
}

#[test]
fn a_later_engine_has_the_settings_of_the_one_before() {
    let mut system = System::demonstration();
    let rest = system.rest();
    let set = patch(&rest, "2", &json!({"country": "uk", "limiter": true}));
    system.engine.as_mut().expect("an engine").kill();
    system.start_engine();
    wait::until_true("the settings of before", wait::GENEROUS, || {
        let answer = rest.try_get("/v1/lines/2/settings");
        answer.is_some_and(|answer| answer.status == 200 && answer.json() == set)
    });
}

#[test]
fn a_live_line_changes_without_a_click() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let tone = json!({"tone": "300@-20/60000"});
    rest.post("/v1/lines/1/play", &tone).check(202);
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    let steady = ear.audio_of(1000);
    for db in [12, -20, 0] {
        patch(&rest, "1", &json!({"tx_gain_db": db}));
        // A loop of changes that are heard: half a second each.
        let heard = ear.audio().len() / 8;
        ear.audio_of(heard + 500);
    }
    let all = ear.audio();
    let loudest =
        all.windows(samples(100)).step_by(samples(50)).map(level_dbm0).fold(f64::MIN, f64::max);
    assert!((loudest - level_dbm0(&steady[samples(500)..]) - 12.0).abs() < 0.5, "{loudest} dBm0");
    // Of a sine of this level and frequency; full scale is 3.14 dBm0 (ITU-T G.711 table 5).
    let peak = 32767.0 * 10f64.powf((loudest - 314.0 / 100.0) / 20.0);
    let own = 2.0 * peak * (std::f64::consts::PI * 300.0 / 8000.0).sin();
    assert!(f64::from(steepest(&all[samples(200)..])) <= own * 1.02 + 2.0, "a click");
}
