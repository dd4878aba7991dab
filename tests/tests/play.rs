//! Playing to a phone: heard by content, whatever the WAV's rate and width; a flush tells the
//! milliseconds really heard; marks, mixing, stopping on a digit.

use serde_json::json;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, find, hearing, samples, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::System;
use tipring_tests::wait;

/// phone1 was rung and answered; it says nothing but silence.
fn answered(system: &System) -> Baresip {
    let rest = system.rest();
    let phone =
        Baresip::start(&Telephone::new("phone1", &system.sip_address(), vec![0; samples(90_000)]));
    rest.post_empty("/v1/lines/phone1/ring").check(202);
    phone.expect_event("CALL_INCOMING");
    phone.answer();
    phone.expect_event("CALL_ESTABLISHED");
    rest.line_becomes("phone1", "off_hook");
    phone
}

fn play(rest: &Rest, line: &str, body: &[u8]) -> String {
    let answer = rest.post_body(&format!("/v1/lines/{line}/play"), "audio/wav", body);
    answer.expect_json(202)["playback_id"].as_str().expect("an id").to_owned()
}

/// The last of `heard` that is not silence, as a place in `said`, ms from its beginning.
fn end_of(said: &[i16], heard: &[i16]) -> f64 {
    let end = heard.iter().rposition(|s| s.unsigned_abs() > 300).expect("something was heard") + 1;
    let piece = &heard[end.saturating_sub(samples(300))..end];
    let found = find(piece, said).expect("not silent");
    assert!(found.score > 0.9, "{found:?}");
    (found.at + piece.len()) as f64 / 8.0
}

#[test]
fn a_wav_is_heard_and_a_flush_tells_how_much_of_it() {
    let system = System::demonstration();
    let rest = system.rest();
    let phone = answered(&system);
    let said = chirps(71, 30_000);
    let playback = play(&rest, "phone1", &wav(&said, 8000, 1));
    wait::until_true("two seconds of it", wait::GENEROUS, || {
        hearing(&said, &phone.heard()).is_some_and(|h| h.recognised > 20)
    });
    let played = rest.delete(&format!("/v1/lines/phone1/playbacks/{playback}")).expect_json(200);
    let mark = phone.heard().len();
    let heard = phone.heard_of(mark / 8 + 1500);
    phone.hang_up();
    let hearing = hearing(&said, &heard).expect("recognised");
    assert!(hearing.is_convincing(20) && hearing.gain_db.abs() < 1.0, "{hearing:?}");
    let told = played["played_ms"].as_f64().expect("a number");
    let uncertain = played["uncertain_ms"].as_f64().expect("a number");
    let really = end_of(&said, &heard);
    // What is stopped fades for 2 ms instead of clicking.
    assert!(
        really <= told + 3.0 && really >= told - uncertain - 1.0,
        "told {told} ms of which {uncertain} uncertain, but {really} ms were heard"
    );
    println!("flush: told {told} ms (uncertain {uncertain}), heard {really} ms");
}

#[test]
fn other_rates_widths_and_channels_are_converted() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let said = chirps(72, 2500);
    let piece = &said[samples(300)..samples(2000)];
    let double: Vec<i16> = said
        .iter()
        .zip(said.iter().skip(1).chain(Some(&0)))
        .flat_map(|(&a, &b)| [a, i16::midpoint(a, b)])
        .collect();
    let stereo: Vec<i16> = said.iter().flat_map(|&s| [s, s]).collect();
    let eight_bit = {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 8,
            sample_format: hound::SampleFormat::Int,
        };
        let mut sink = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut sink, spec).expect("in memory");
        for &s in &said {
            writer.write_sample((s >> 8) as i8).expect("in memory");
        }
        writer.finalize().expect("in memory");
        sink.into_inner()
    };
    for (name, body) in [
        ("16 kHz", wav(&double, 16_000, 1)),
        ("stereo", wav(&stereo, 8000, 2)),
        ("8 bit", eight_bit),
    ] {
        let ear = system.socket("/v1/lines/1/audio?direction=tx");
        play(&rest, "1", &body);
        let heard = ear.audio_of(3200);
        let found = find(piece, &heard).expect("audio");
        assert!(found.score > 0.9, "{name}: {found:?}");
        assert!(found.gain_db.abs() < 2.5, "{name}: {found:?}");
        rest.delete("/v1/lines/1/playbacks").check(200);
    }
}

#[test]
fn playbacks_are_mixed_and_marked_and_stopped_by_a_digit() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let mut events = system.socket("/ws");
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    ear.audio_of(40);
    let (one, two) = (chirps(73, 2000), chirps(74, 2000));
    play(&rest, "1", &wav(&one, 8000, 1));
    play(&rest, "1", &wav(&two, 8000, 1));
    for _ in 0..2 {
        let ended = events.expect_event("playback_ended", "1");
        assert_eq!((&ended["cause"], &ended["underruns"]), (&json!("finished"), &json!(0)));
        assert_eq!(ended["played_ms"], 2000);
    }
    let heard = ear.audio_of(2500);
    for said in [&one, &two] {
        let found = find(&said[samples(300)..samples(1700)], &heard).expect("audio");
        assert!(found.score > 0.5, "{found:?}");
    }

    let tone = json!({"tone": {"frequency_hz": [700], "duration_ms": 60000},
        "stop_on": ["digit"], "mark": "over"});
    rest.post("/v1/lines/1/play", &tone).check(202);
    events.expect_event("playback_started", "1");
    rest.post("/v1/sim/1/dial", &json!({"digits": "7"})).check(202);
    assert_eq!(events.expect_event("playback_ended", "1")["cause"], "digit");

    let tone = json!({"tone": {"frequency_hz": [700], "duration_ms": 300}, "mark": "over"});
    rest.post("/v1/lines/1/play", &tone).check(202);
    let mark = events.expect("the mark", |m| m["type"] == "mark");
    assert_eq!((&mark["name"], &mark["played_ms"]), (&json!("over"), &json!(300)));
}

#[test]
fn a_client_plays_over_a_websocket_and_clears() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let mut voice = system.socket("/v1/lines/1/audio?direction=tx");
    voice.audio_of(40);
    let said = chirps(75, 10_000);
    for piece in tipring_tests::signal::to_bytes(&said[..samples(1000)]).chunks(500) {
        voice.send_octets(piece.to_vec());
    }
    voice.send(&json!({"type": "mark", "name": "first"}));
    let mark = voice.expect("the mark", |m| m["type"] == "mark" && m["name"] == "first");
    assert_eq!(mark["played_ms"], 1000, "{mark}");
    voice.send_octets(tipring_tests::signal::to_bytes(&said[samples(1000)..samples(3000)]));
    wait::until_true("more of it", wait::GENEROUS, || {
        hearing(&said, &voice.audio()).is_some_and(|h| h.recognised > 12)
    });
    voice.send(&json!({"type": "clear"}));
    let cleared = voice.expect("cleared", |m| m["type"] == "cleared");
    let told = cleared["played_ms"].as_f64().expect("a number");
    let silent_from = voice.audio().len();
    let heard = voice.audio_of(silent_from / 8 + 500);
    let really = end_of(&said, &heard);
    assert!((really - told).abs() <= 20.0, "told {told} ms, heard {really} ms");
}

#[test]
fn audio_comes_in_each_format() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let said = chirps(76, 8000);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    let linear = system.socket("/v1/lines/1/audio?format=pcm_s16le&direction=rx");
    let mu = system.socket("/v1/lines/1/audio?format=pcmu&direction=rx");
    let found = find(&linear.audio_of(1500)[samples(500)..samples(1200)], &said).expect("audio");
    assert!(found.score > 0.9, "{found:?}");
    let octets = wait::until("µ-law", wait::GENEROUS, || {
        let octets: Vec<u8> = mu.chunks().into_iter().flat_map(|c| c.octets).collect();
        (octets.len() > samples(1500)).then_some(octets)
    });
    assert!(mu.chunks().iter().all(|c| c.octets.len() == 160));
    let heard: Vec<i16> = octets.into_iter().map(tipring_tests::signal::mu_decode).collect();
    let found = find(&heard[samples(500)..samples(1200)], &said).expect("audio");
    assert!(found.score > 0.9, "{found:?}");
    let refused = Socket::try_open(&system.address(), "/v1/lines/1/audio?format=mp3", None);
    assert!(refused.is_err(), "an unknown format was taken");
}

#[test]
fn a_prompt_is_played_by_name_and_never_from_elsewhere() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let sounds = system.folder.file("state").join("sounds");
    std::fs::create_dir_all(&sounds).expect("folder");
    let said = chirps(77, 1500);
    std::fs::write(sounds.join("hello.wav"), wav(&said, 8000, 1)).expect("written");
    std::fs::write(system.folder.file("state").join("secret.wav"), wav(&said, 8000, 1))
        .expect("it");
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    rest.post("/v1/lines/1/play", &json!({"prompt": "hello"})).check(202);
    let found = find(&said[samples(200)..samples(1200)], &ear.audio_of(2200)).expect("audio");
    assert!(found.score > 0.9, "{found:?}");
    for name in ["../secret", "/etc/passwd", "sounds/../../secret", ""] {
        rest.post("/v1/lines/1/play", &json!({"prompt": name})).expect_problem(422, "invalid");
    }
}
