//! Speech, prompts and audio fetched by URL: heard by content, and refused with the reason.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, find, samples, wav};
use tipring_tests::system::{Setup, System};

/// What `/generate-tts` gives, as samples.
fn spoken(rest: &Rest, body: &Value) -> Vec<i16> {
    let answer = rest.post("/generate-tts", body).expect(200);
    assert_eq!(answer.content_type, "audio/wav");
    let mut reader = hound::WavReader::new(answer.body.as_slice()).expect("a WAV");
    assert_eq!((reader.spec().sample_rate, reader.spec().channels), (8000, 1));
    reader.samples::<i16>().map(|s| s.expect("a sample")).collect()
}

/// The loudest 700 ms: a part that is speech and no pause.
fn core(speech: &[i16]) -> &[i16] {
    let length = samples(700).min(speech.len());
    let loudness = |at: usize| -> i64 {
        speech[at..at + length].iter().map(|&s| i64::from(s) * i64::from(s)).sum()
    };
    let at = (0..=speech.len() - length).step_by(80).max_by_key(|&at| loudness(at));
    let at = at.expect("there is a beginning");
    &speech[at..at + length]
}

fn heard_on(system: &System, line: &str, direction: &str, speech: &[i16], begin: impl Fn()) {
    let ear = system.socket(&format!("/v1/lines/{line}/audio?direction={direction}"));
    ear.audio_of(40);
    begin();
    let heard = ear.audio_of(speech.len() / 8 + 700);
    let found = find(core(speech), &heard).expect("audio");
    assert!(found.score > 0.9, "{found:?}");
}

#[test]
fn text_is_spoken_to_the_phone_and_by_it() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let text = "Please enter your four digit password, then press the hash key.";
    let speech = spoken(&rest, &json!({"text": text}));
    assert!(speech.len() > samples(2000), "{} samples", speech.len());
    let play = |body: &Value| rest.post("/v1/lines/1/play", body).check(202);
    heard_on(&system, "1", "tx", &speech, || play(&json!({"say": text})));
    heard_on(&system, "1", "tx", &speech, || {
        rest.post_body("/play-audio", "application/octet-stream", &wav(&speech, 8000, 1))
            .check(200);
    });
    heard_on(&system, "1", "rx", &speech, || {
        rest.post("/v1/sim/1/speak", &json!({"say": text})).check(202);
    });

    let voices = rest.get("/v1/voices").expect_json(200);
    let named = |name: &str| {
        voices["voices"].as_array().expect("a list").iter().any(|voice| voice["name"] == name)
    };
    assert!(named("en-gb") && named("de"), "{voices}");
    let german = json!({"say": {"text": text, "voice": "de", "speed_wpm": 200, "pitch": 60}});
    play(&german);
    assert_ne!(spoken(&rest, &json!({"text": text, "voice": "de"})), speech);
    let soft = spoken(&rest, &json!({"text": text, "voice": "no-such-voice", "volume": 50}));
    let peak = |audio: &[i16]| audio.iter().map(|s| i32::from(s.unsigned_abs())).max();
    let (soft, loud) = (peak(&soft).expect("samples"), peak(&speech).expect("samples"));
    assert!((soft * 2 - loud).abs() <= 2, "{soft} against {loud}");
}

#[test]
fn nothing_but_words_reaches_the_synthesiser() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    for (say, field) in [
        (json!(""), "say"),
        (json!("x".repeat(3000)), "say"),
        (json!({"text": "x", "voice": "--help"}), "voice"),
        (json!({"text": "x", "voice": "en -w /tmp/x"}), "voice"),
        (json!({"text": "x", "speed_wpm": 5}), "speed_wpm"),
        (json!({"text": "x", "pitch": 200}), "pitch"),
    ] {
        let problem = rest.post("/v1/lines/1/play", &json!({"say": say}));
        assert_eq!(problem.expect_problem(422, "invalid")["field"], field, "{say}");
    }
    // What looks like an option, a file or markup is spoken.
    for text in ["--help", "-f /etc/passwd", "<speak><audio src='/etc/passwd'/></speak>", "\u{1}9P"]
    {
        rest.post("/v1/lines/1/play", &json!({"say": text})).check(202);
        rest.delete("/v1/lines/1/playbacks").check(200);
    }
}

#[test]
fn a_prompt_that_nobody_recorded_is_spoken() {
    let system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    let sounds = system.folder.file("state").join("sounds");
    std::fs::create_dir_all(&sounds).expect("folder");
    let words = "The office is closed until Monday morning.";
    std::fs::write(sounds.join("closed.txt"), words).expect("written");
    for (prompt, text) in [("closed", words), ("please-hold_the/line", "please hold the line")] {
        let speech = spoken(&rest, &json!({"text": text}));
        heard_on(&system, "1", "tx", &speech, || {
            rest.post("/v1/lines/1/play", &json!({"prompt": prompt})).check(202);
        });
    }
}

/// Answers every connection as its path says, until the test ends.
fn server(said: &[i16]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let wav = wav(said, 8000, 1);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let wav = wav.clone();
            std::thread::spawn(move || answer(stream, &wav));
        }
    });
    port
}

fn answer(mut stream: TcpStream, wav: &[u8]) {
    let mut head = [0; 2048];
    let read = stream.read(&mut head).unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let ok = |length: u64| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let redirect =
        |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let send = |stream: &mut TcpStream, octets: &[u8]| stream.write_all(octets).is_ok();
    match path.as_str() {
        "/wav" => {
            send(&mut stream, ok(wav.len() as u64).as_bytes());
            send(&mut stream, wav);
        }
        "/lying" => {
            // Its head tells of four times as much as there is.
            let mut lying = wav.to_vec();
            let told = (wav.len() as u32 - 44) * 4;
            lying[40..44].copy_from_slice(&told.to_le_bytes());
            send(&mut stream, ok(lying.len() as u64).as_bytes());
            send(&mut stream, &lying);
        }
        "/text" => {
            send(&mut stream, format!("{}no audio", ok(8)).as_bytes());
        }
        "/endless" => {
            send(&mut stream, ok(10_000_000_000).as_bytes());
            let piece = vec![0; 65_536];
            while send(&mut stream, &piece) {}
        }
        "/moved" => {
            send(&mut stream, redirect("/wav").as_bytes());
        }
        "/inside" => {
            send(&mut stream, redirect("http://169.254.169.254/latest/meta-data").as_bytes());
        }
        "/elsewhere" => {
            send(&mut stream, redirect("file:///etc/passwd").as_bytes());
        }
        "/none" => {
            send(&mut stream, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
        // Never answers.
        _ => {
            let _ = stream.read(&mut [0; 1]);
        }
    }
}

#[test]
fn audio_is_fetched_and_whatever_is_none_is_named() {
    let said = chirps(61, 1500);
    let port = server(&said);
    let yaml = "lines:\n  - {id: \"1\", engine: sim/1}\nfetch:\n  private: [127.0.0.1/32]\n  \
                timeout_ms: 1500\n  max_bytes: 1000000\n";
    let system = System::start(Setup { apid_yaml: Some(yaml.to_owned()), ..Setup::default() });
    let rest = system.rest();
    rest.hook("1", true);
    let play = |path: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        rest.post("/v1/lines/1/play", &json!({ "url": url }))
    };
    for path in ["/wav", "/moved", "/lying"] {
        heard_on(&system, "1", "tx", &said, || play(path).check(202));
    }
    for (path, reason) in [
        ("/text", "RIFF"),
        ("/endless", "longer than"),
        ("/none", "404"),
        ("/inside", "private"),
        ("/elsewhere", ""),
        ("/silent", "too long"),
    ] {
        let problem = play(path).expect_problem(422, "invalid");
        assert_eq!(problem["field"], "url", "{path}: {problem}");
        let detail = problem["detail"].as_str().expect("a reason");
        assert!(detail.contains(reason), "{path}: {detail}");
    }
    for url in ["http://10.0.0.1/x.wav", "http://[::1]:9/", "gopher://example.org/", "/etc/passwd"]
    {
        rest.post("/v1/lines/1/play", &json!({ "url": url })).expect_problem(422, "invalid");
    }
    // The line is as it was.
    assert_eq!(rest.line("1")["state"], "off_hook");
    heard_on(&system, "1", "tx", &said, || play("/wav").check(202));
}
