//! Recordings: by content, each way, ended by each thing that ends them, whole after `kill -9`;
//! and the records of calls.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tipring_tests::rest::Rest;
use tipring_tests::signal::{Random, chirps, hearing, samples, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::{Setup, System};
use tipring_tests::wait;

fn record(rest: &Rest, line: &str, body: &Value) -> String {
    let recording = rest.post(&format!("/v1/lines/{line}/recordings"), body).expect_json(201);
    assert_eq!(recording["state"], "recording");
    recording["id"].as_str().expect("an id").to_owned()
}

fn fetched(rest: &Rest, id: &str) -> (u16, Vec<i16>) {
    let answer = rest.get(&format!("/v1/recordings/{id}/audio")).expect(200);
    let mut reader = hound::WavReader::new(answer.body.as_slice()).expect("a WAV");
    assert_eq!(reader.spec().sample_rate, 8000);
    let channels = reader.spec().channels;
    (channels, reader.samples::<i16>().map(|s| s.expect("a sample")).collect())
}

fn ended(events: &mut Socket, id: &str) -> Value {
    let message = events.expect("recording_ended", |m| {
        m["type"] == "recording_ended" && m["recording"]["id"] == id
    });
    message["recording"].clone()
}

#[test]
fn both_ways_are_recorded_and_what_is_deleted_is_gone() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.post("/v1/lines/1/recordings", &json!({})).expect_problem(409, "wrong-state");
    rest.hook("1", true);
    // No dial tone in it.
    rest.post_empty("/v1/lines/1/answer").check(202);
    let (says, hears) = (chirps(51, 20_000), chirps(52, 20_000));
    let ways = ["rx", "tx", "both", "stereo"];
    let ids: Vec<String> =
        ways.iter().map(|way| record(&rest, "1", &json!({ "direction": way }))).collect();
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&says, 8000, 1)).check(202);
    rest.post_body("/v1/lines/1/play", "audio/wav", &wav(&hears, 8000, 1)).check(202);
    wait::until_true("three seconds of it", wait::GENEROUS, || {
        ids.iter().all(|id| fetched(&rest, id).1.len() > samples(3500))
    });
    for id in &ids {
        let stopped = rest.delete(&format!("/v1/recordings/{id}")).expect_json(200);
        assert_eq!((&stopped["state"], &stopped["cause"]), (&json!("finished"), &json!("stopped")));
    }
    let audio: Vec<_> = ids.iter().map(|id| fetched(&rest, id)).collect();
    let recognised = |said: &[i16], heard: &[i16]| {
        hearing(said, heard).is_some_and(|hearing| hearing.is_convincing(20))
    };
    assert!(recognised(&says, &audio[0].1) && recognised(&hears, &audio[1].1));
    assert!(!recognised(&hears, &audio[0].1) && !recognised(&says, &audio[1].1));
    let sum: Vec<i16> = audio[2].1.clone();
    assert!(sum.len() > samples(3000) && audio[2].0 == 1);
    assert_eq!(audio[3].0, 2);
    let side =
        |which: usize| -> Vec<i16> { audio[3].1.iter().skip(which).step_by(2).copied().collect() };
    assert!(recognised(&says, &side(0)) && recognised(&hears, &side(1)));
    // The mixture is the sum of what the two sides say at the same time.
    let mixed: Vec<i16> =
        side(0).iter().zip(side(1)).map(|(left, right)| left.saturating_add(right)).collect();
    let found = tipring_tests::signal::find(&mixed[samples(1000)..samples(2500)], &sum);
    assert!(found.expect("audio").score > 0.99, "{found:?}");

    let listed = rest.get("/v1/recordings?line=1&limit=3").expect_json(200);
    let listed = listed["recordings"].as_array().expect("a list").clone();
    assert_eq!((listed.len(), &listed[0]["id"]), (3, &json!(ids[3])));
    let next = rest.get(&format!("/v1/recordings?before={}", ids[1])).expect_json(200);
    assert_eq!(next["recordings"].as_array().expect("a list").len(), 1);

    let files = || std::fs::read_dir(system.folder.file("state/recordings")).expect("it").count();
    assert_eq!(files(), 4);
    rest.delete(&format!("/v1/recordings/{}", ids[0])).check(204);
    rest.get(&format!("/v1/recordings/{}", ids[0])).expect_problem(404, "no-such-recording");
    rest.delete(&format!("/v1/recordings/{}", ids[0])).check(404);
    assert_eq!(files(), 3);
}

#[test]
fn a_recording_ends_by_a_digit_by_silence_by_its_length_and_with_the_call() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events = system.socket("/ws?types=recording_*");
    rest.hook("1", true);
    rest.post_empty("/v1/lines/1/answer").check(202);

    let id = record(&rest, "1", &json!({"stop_on": ["digit"], "beep": true}));
    rest.post("/v1/sim/1/dial", &json!({"digits": "5"})).check(202);
    let by_digit = ended(&mut events, &id);
    assert_eq!((&by_digit["cause"], &by_digit["digit"]), (&json!("digit"), &json!("5")));

    let id = record(&rest, "1", &json!({"max_ms": 600}));
    let by_length = ended(&mut events, &id);
    assert_eq!((&by_length["cause"], &by_length["duration_ms"]), (&json!("length"), &json!(600)));
    assert_eq!(fetched(&rest, &id).1.len(), samples(600));

    let id = record(&rest, "1", &json!({"silence_ms": 800}));
    let said = wav(&tipring_tests::signal::syllables(5, 1500), 8000, 1);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &said).check(202);
    let by_silence = ended(&mut events, &id);
    assert_eq!(by_silence["cause"], "silence");
    let lasted = by_silence["duration_ms"].as_u64().expect("a number");
    assert!(lasted >= 1500 + 800 - 200, "it heard the person: {by_silence}");

    let call = rest.calls_become(1).remove(0)["id"].as_str().expect("an id").to_owned();
    let recording = rest.post_empty(&format!("/v1/calls/{call}/record")).expect_json(201);
    assert_eq!(recording["call_id"], call.as_str());
    rest.hook("1", false);
    let with_call = ended(&mut events, recording["id"].as_str().expect("an id"));
    assert_eq!(with_call["cause"], "hung_up");
    let of_call = rest.get(&format!("/v1/recordings?call={call}")).expect_json(200);
    assert_eq!(of_call["recordings"].as_array().expect("a list").len(), 4);

    for wrong in [
        json!({"max_ms": 1}),
        json!({"silence_ms": 1}),
        json!({"direction": "up"}),
        json!({"stop_on": ["rain"]}),
    ] {
        rest.hook("1", true);
        rest.post("/v1/lines/1/recordings", &wrong).check(422);
    }
    rest.post_empty("/v1/calls/nothing/record").check(404);
}

/// Length of a WAV file as Python's `wave` reads it.
fn by_python(file: &Path) -> usize {
    let program = "import sys, wave\n\
                   with wave.open(sys.argv[1]) as f:\n\
                   \x20   frames = f.readframes(f.getnframes())\n\
                   \x20   assert (f.getframerate(), f.getsampwidth()) == (8000, 2)\n\
                   \x20   assert len(frames) == f.getnframes() * f.getnchannels() * 2\n\
                   \x20   print(f.getnframes())\n";
    let output = Command::new("python3").args(["-c", program]).arg(file).output();
    let output = output.expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", file.display());
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

#[test]
fn a_recording_is_whole_after_a_kill_at_any_moment() {
    let kills = if tipring_tests::soak() { 100 } else { 5 };
    let mut system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let mut random = Random::new(11);
    let mut most_lost = 0;
    for kill in 0..kills {
        let ear = system.socket("/v1/lines/1/audio?direction=rx");
        ear.audio_of(20);
        let id =
            record(&rest, "1", &json!({"direction": if kill % 2 == 0 { "rx" } else { "stereo" }}));
        let before = ear.audio().len();
        wait::for_duration(Duration::from_millis(random.between(0.0, 1500.0) as u64));
        system.apid.as_mut().expect("it runs").kill();
        let heard = ear.audio().len() - before;
        let file = system.folder.file(&format!("state/recordings/{id}.wav"));
        let recorded = by_python(&file);
        let lost = heard.saturating_sub(recorded);
        assert!(lost <= samples(1000), "kill {kill}: {lost} of {heard} samples are lost");
        most_lost = most_lost.max(lost);
        system.start_apid();
        system.ready();
        let shown = rest.get(&format!("/v1/recordings/{id}")).expect_json(200);
        assert_eq!((&shown["state"], &shown["cause"]), (&json!("failed"), &json!("interrupted")));
        assert!(by_python(&file) >= recorded, "nothing goes by making it whole");
    }
    println!("{kills} kills: every file can be read, at most {} ms lost", most_lost / 8);
}

#[test]
fn there_is_room_for_so_much_only_and_a_call_goes_on_without() {
    let yaml = "lines:\n  - {id: \"1\", engine: sim/1}\nrecordings:\n  max_bytes: 20000\n  \
                max_running: 2\n";
    let system = System::start(Setup { apid_yaml: Some(yaml.to_owned()), ..Setup::default() });
    let rest = system.rest();
    let mut events = system.socket("/ws?types=recording_*");
    rest.hook("1", true);
    let first = record(&rest, "1", &json!({"max_ms": 1500}));
    let second = record(&rest, "1", &json!({}));
    rest.post("/v1/lines/1/recordings", &json!({})).expect_problem(409, "full");
    assert_eq!(ended(&mut events, &first)["cause"], "length");
    rest.post("/v1/lines/1/recordings", &json!({})).expect_problem(409, "full");
    assert_eq!(ended(&mut events, &second)["cause"], "quota");
    assert_eq!(rest.line("1")["state"], "off_hook");
    for id in [&first, &second] {
        rest.delete(&format!("/v1/recordings/{id}")).check(204);
    }
    record(&rest, "1", &json!({}));
}

#[test]
fn who_may_not_hear_may_not_record_and_lines_stay_apart() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let system = System::start(Setup {
        tokens: vec![
            words("all --scope read --scope control --scope audio"),
            words("deaf --scope read --scope control"),
            words("second --scope read --scope control --scope audio --line 2"),
        ],
        ..Setup::default()
    });
    let rest = system.rest();
    let (deaf, second) = (rest.with_token(&system.tokens[1]), rest.with_token(&system.tokens[2]));
    rest.hook("1", true);
    deaf.post("/v1/lines/1/recordings", &json!({})).expect_problem(403, "forbidden");
    second.post("/v1/lines/1/recordings", &json!({})).expect_problem(404, "no-such-line");
    let id = record(&rest, "1", &json!({"max_ms": 200}));
    for path in [format!("/v1/recordings/{id}"), format!("/v1/recordings/{id}/audio")] {
        deaf.get(&path).check(403);
        second.get(&path).check(404);
        second.get("/v1/recordings?line=1").check(404);
    }
    second.delete(&format!("/v1/recordings/{id}")).check(404);
    let none = second.get("/v1/recordings").expect_json(200);
    assert_eq!(none["recordings"], json!([]));
    rest.get(&format!("/v1/recordings/{id}")).check(200);

    // Calls that are over.
    rest.post_empty("/v1/lines/1/answer").check(202);
    let call = rest.calls_become(1).remove(0)["id"].as_str().expect("an id").to_owned();
    rest.hook("1", false);
    rest.calls_become(0);
    let path = format!("/v1/call-records/{call}");
    wait::until_true("the record", wait::GENEROUS, || rest.get(&path).status == 200);
    second.get(&path).check(404);
    assert_eq!(second.get("/v1/call-records").expect_json(200)["call_records"], json!([]));
    second.delete(&path).check(404);
    rest.delete(&path).check(204);
    rest.get(&path).check(404);
}

#[test]
fn calls_are_kept_over_a_restart_and_found_again() {
    let mut system = System::demonstration();
    let rest = system.rest();
    let mut ids = Vec::new();
    for _ in 0..3 {
        rest.hook("1", true);
        rest.post("/v1/sim/1/dial", &json!({"digits": "102"})).check(202);
        rest.line_becomes("2", "ringing");
        let id = rest.calls_become(1).remove(0)["id"].as_str().expect("an id").to_owned();
        rest.hook("2", true);
        wait::until_true("they talk", wait::GENEROUS, || {
            rest.get(&format!("/v1/calls/{id}")).json()["state"] == "connected"
        });
        rest.hook("1", false);
        rest.hook("2", false);
        rest.calls_become(0);
        ids.push(id);
    }
    let path = |id: &str| format!("/v1/call-records/{id}");
    wait::until_true("the last record", wait::GENEROUS, || rest.get(&path(&ids[2])).status == 200);
    system.apid.as_mut().expect("it runs").kill();
    system.start_apid();
    system.ready();
    let page = rest.get("/v1/call-records?line=2&limit=2").expect_json(200);
    let shown: Vec<&str> = page["call_records"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|call| call["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(shown, [&ids[2], &ids[1]]);
    let next = format!("/v1/call-records?text=LINE:2&before={}", ids[1]);
    let next = rest.get(&next).expect_json(200);
    assert_eq!(next["call_records"].as_array().expect("a list").len(), 1);
    let first = &next["call_records"][0];
    assert_eq!((&first["id"], &first["cause"]["code"]), (&json!(ids[0]), &json!(16)));
    let (all, talk) = (first["duration_ms"].as_u64(), first["talk_ms"].as_u64());
    assert!(all > talk && talk > Some(0), "{first}");
    let nothing = rest.get("/v1/call-records?until=2001-01-01T00:00:00Z").expect_json(200);
    assert_eq!(nothing["call_records"], json!([]));
    for wrong in ["limit=0", "limit=9999", "since=yesterday", "line=99", "before=zz"] {
        let status = rest.get(&format!("/v1/call-records?{wrong}")).status;
        assert!(matches!(status, 404 | 422), "{wrong}: {status}");
    }
}
