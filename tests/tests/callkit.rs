//! The Rust library for programs that hold calls: its examples answer numbers of the running system,
//! and it calls phones by itself.

use serde_json::json;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use tipring_callkit::{Call, Client, Digits, Error};
use tipring_tests::ear::{Ear, ends};
use tipring_tests::process::Folder;
use tipring_tests::program::Program;
use tipring_tests::signal::{chirps, hearing};
use tipring_tests::system::{Setup, System, program};
use tipring_tests::wait::{GENEROUS, until, until_true};

fn example(system: &System, number: &str, name: &str) -> Program {
    Program::answering(system, number, &mut Command::new(program(&format!("examples/{name}"))))
}

/// What Tipring makes of a text.
fn speech(system: &System, text: &str) -> Vec<i16> {
    let answer = system.rest().post("/generate-tts", &json!({ "text": text })).expect(200);
    let mut reader = hound::WavReader::new(answer.body.as_slice()).expect("a WAV");
    reader.samples::<i16>().map(|s| s.expect("a sample")).collect()
}

#[test]
fn the_examples_answer_simulated_lines() {
    let engine_yaml = Some("simulated_lines: 9\n".to_owned());
    let lines: Vec<String> = (1..=9)
        .map(|n| format!("  - {{id: \"{n}\", engine: sim/{n}, extension: \"10{n}\"}}\n"))
        .collect();
    let apid_yaml = format!("lines:\n{}applications: {{claim: [_7XX]}}\n", lines.concat());
    let system =
        System::start(Setup { engine_yaml, apid_yaml: Some(apid_yaml), ..Setup::default() });
    let system = &system;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _program = example(system, "700", "hello");
            let text = "Hello! This is a computer, speaking to you by telephone.";
            Ear::dial(system, "1", "700").hears(&speech(system, text));
            ends(system, "app:700");
        });
        scope.spawn(|| {
            let _program = example(system, "701", "password");
            let ear = Ear::dial(system, "3", "701");
            ear.hears_tone(440.0);
            ear.hears_tone(660.0);
            ear.hears_nothing();
            ear.press("9999");
            ear.hears(&speech(system, "wrong"));
            ear.hears_nothing();
            ear.press("1234");
            ear.hears(&speech(system, "password correct"));
            ends(system, "app:701");
        });
        scope.spawn(|| {
            let _program = example(system, "702", "echo_samples");
            let ear = Ear::dial(system, "4", "702");
            let says = chirps(3, 5000);
            ear.say(&says);
            let heard = ear.hears_for(5500);
            let hearing = hearing(&says, &heard).expect("something is recognised");
            assert!(hearing.is_convincing(25), "{hearing:?}");
        });
        scope.spawn(|| {
            let _program = example(system, "703", "recorder");
            speaks_and_hears(&Ear::dial(system, "5", "703"), "5");
        });
        scope.spawn(|| {
            let _program = example(system, "704", "synthesiser");
            let ear = Ear::dial(system, "6", "704");
            ear.press("0");
            ear.hears_tone(110.0);
            ear.press("*");
            ear.hears_nothing();
            ear.press("#");
            ends(system, "app:704");
        });
        scope.spawn(|| {
            let _program = example(system, "705", "voice_tree");
            let ear = Ear::dial(system, "7", "705");
            until("the tone", GENEROUS, || {
                // A key that comes before the program asks is let go by.
                ear.press("1");
                ear.hears_for(300);
                ear.now(425.0).filter(|part| *part > 0.9)
            });
            until("goodbye", GENEROUS, || {
                ear.press("*");
                ear.hears_for(1000);
                let calls = system.rest().get("/v1/calls").expect_json(200);
                let over = |c: &serde_json::Value| c["to"] == "app:705" && c["state"] == "ended";
                calls["calls"].as_array().is_some_and(|c| c.iter().any(over)).then_some(())
            });
        });
        scope.spawn(|| {
            let _program = example(system, "706", "echo");
            let ear = Ear::dial(system, "8", "706");
            ear.hears_tone(1000.0);
            let says = chirps(6, 5000);
            ear.say(&says);
            ear.hears_tone(1000.0);
            ear.hears(&says[4000..12_000]);
        });
        scope.spawn(|| {
            let _program = example(system, "708", "sstv");
            let header = sstv_header();
            // The end of it, with the code.
            Ear::dial(system, "9", "708").hears(&header[header.len() - 3600..]);
        });
        scope.spawn(|| {
            let _program = example(system, "707", "memo");
            let ear = Ear::dial(system, "2", "707");
            ear.hears(&speech(system, "Dial the number of your memo, then hash."));
            ear.press("42#");
            ear.hears(&speech(system, "Speak after the tone, then press a key."));
            speaks_and_stops(&ear, 7, "1");
            ends(system, "app:707");
            drop(ear);
            system.rest().line_becomes("2", "on_hook");
            let again = Ear::dial(system, "2", "707");
            again.hears(&speech(system, "Dial the number of your memo, then hash."));
            again.press("42#");
            again.hears(&chirps(7, 2000));
        });
    });
}

/// How a picture in Martin M1 begins: leader, break, leader, start bit, the code 44 least significant
/// bit first, even parity, stop bit.
fn sstv_header() -> Vec<i16> {
    let leader = [(1900, 300), (1200, 10), (1900, 300), (1200, 30)];
    let bits = [0, 0, 1, 1, 0, 1, 0, 1].map(|bit| (1300 - 200 * bit, 30));
    let mut phase = 0.0f64;
    leader
        .into_iter()
        .chain(bits)
        .chain([(1200, 30)])
        .flat_map(|(hz, ms)| vec![f64::from(hz); ms * 8])
        .map(|hz| {
            phase += std::f64::consts::TAU * hz / 8000.0;
            (phase.sin() * 10_000.0) as i16
        })
        .collect()
}

/// After a beep: speaks for two seconds and presses a key.
fn speaks_and_stops(ear: &Ear, seed: u64, key: &str) {
    until("a beep", GENEROUS, || {
        ear.hears_for(20);
        [800.0, 1000.0, 1400.0].into_iter().find(|hz| ear.now(*hz).is_some_and(|part| part > 0.8))
    });
    ear.hears_nothing();
    ear.say(&chirps(seed, 2000));
    // While it is said as much is heard, of silence.
    ear.hears_for(2300);
    ear.press(key);
}

fn speaks_and_hears(ear: &Ear, key: &str) {
    speaks_and_stops(ear, 4, key);
    ear.hears(&chirps(4, 2000));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads")
}

fn client(system: &System) -> Client {
    Client::new(&format!("http://{}", system.address()), None).expect("an address")
}

/// Lifts a phone when it rings.
fn lifted(system: &System, line: &str) -> Ear {
    system.rest().line_becomes(line, "ringing");
    Ear::lift(system, line)
}

#[test]
fn a_program_calls_two_phones_and_joins_them() {
    let system = System::demonstration();
    let runtime = runtime();
    let client = client(&system);
    let calling = runtime.spawn(async move {
        let (first, second) = (client.call("1").await?, client.call("2").await?);
        let playing = first.play_tone(440, Duration::from_mins(1)).looped().await?;
        second.cancel().await?;
        playing.cancel().await?;
        first.bridge(&second).await?;
        Ok::<Call, Error>(first)
    });
    let (one, other) = (lifted(&system, "1"), lifted(&system, "2"));
    let first = runtime.block_on(calling).expect("no panic").expect("both are joined");
    system.rest().calls_become(1);
    let says = chirps(1, 3000);
    one.say(&says);
    let hearing = hearing(&says, &other.hears_for(3500)).expect("something is recognised");
    assert!(hearing.is_convincing(15), "{hearing:?}");
    runtime.block_on(first.hangup()).expect("it ends");
    runtime.block_on(first.over());
    system.rest().calls_become(0);
}

#[test]
fn a_call_ends_with_its_handler_and_a_handler_with_its_call() {
    struct Dropped(mpsc::Sender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }
    let system = System::demonstration();
    let rest = system.rest();
    let runtime = runtime();
    let (tell, told) = mpsc::channel();
    let told = || told.recv_timeout(GENEROUS).expect("it is told");
    let (answering, waiting) = (client(&system), tell.clone());
    runtime.spawn(async move {
        let handler = move |call: Call| {
            let dropped = Dropped(waiting.clone());
            async move {
                let _ = dropped.0.send("waits");
                let none = call.collect_digits(Digits::count(12)).await?;
                drop(dropped);
                Err(format!("{none} is wrong").into())
            }
        };
        answering.answer("700", handler).await
    });
    until_true("the number", GENEROUS, || {
        system
            .apid
            .as_ref()
            .is_some_and(|apid| apid.log().contains("a program answers this number"))
    });
    // The caller hangs up.
    let ear = Ear::dial(&system, "1", "700");
    assert_eq!(told(), "waits");
    drop(ear);
    assert_eq!(told(), "dropped");
    rest.calls_become(0);
    // The handler fails.
    let ear = Ear::dial(&system, "2", "700");
    assert_eq!(told(), "waits");
    until("the end of the call", GENEROUS, || {
        ear.press("123456789012");
        ear.hears_for(2500);
        let calls = rest.get("/v1/calls").expect_json(200);
        (calls["calls"][0]["state"] == "ended").then_some(())
    });
    assert_eq!(told(), "dropped");
    // A call that the program placed, the same.
    let wav = rest.post("/generate-tts", &json!({ "text": "You are wanted." })).expect(200).body;
    let folder = Folder::new("callkit");
    std::fs::write(folder.file("wanted.wav"), &wav).expect("file");
    let (placing, file) = (client(&system), folder.file("wanted.wav"));
    let placed = runtime.spawn(async move {
        let call = placing.call("1").await.map_err(|error| error.to_string())?;
        let held = call.hold(|call| async move {
            call.play_wav(&file).await?.finished().await?;
            call.play_wav(file.with_extension("no")).await?;
            Ok(())
        });
        held.await.map_err(|error| error.to_string())
    });
    lifted(&system, "1").hears(&speech(&system, "You are wanted."));
    let failed = runtime.block_on(placed).expect("no panic").expect_err("there is no such file");
    assert!(failed.contains("wanted.no: "), "{failed}");
    rest.calls_become(0);
    // A second program is refused, and nobody rings what does not exist.
    let second = client(&system);
    let refused = runtime.block_on(second.answer("700", |_| async { Ok(()) }));
    assert!(matches!(refused, Err(Error::Refused { status: 409, .. })), "{refused:?}");
    let refused = runtime.block_on(second.call("9"));
    assert!(matches!(refused, Err(Error::Refused { status: 404, .. })), "{refused:?}");
}
