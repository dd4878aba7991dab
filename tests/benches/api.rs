//! What programs that hear, speak and listen may expect of the API: `make bench-api`.
//!
//! - From the moment a frame of a simulated telephone was heard to its WebSocket client, which has it after
//!   that; and from what a client sends to the frame in which the telephone is given it: beside 1, 100 and 500
//!   streams.
//! - Barge-in: from the first sample of a digit, or of speech, to the first silent sample for the ear; for
//!   speech also until the prompt is 12 dB softer. Both ears of one line in one stream: samples are counted, and
//!   no clock is read.
//! - From lifting a telephone to the first sample of its prompt.
//! - Events a second to 1, 100 and 1000 listeners. As many are told as telephones press keys.
//! - Memory of a stream.
//!
//! Clients and server share the machine.

use serde_json::json;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tipring_tests::ear::share;
use tipring_tests::signal::{from_bytes, level_dbm0, samples, syllables, to_bytes, wav};
use tipring_tests::socket::{Socket, connect};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, for_duration, until, until_true};
use tungstenite::Message;

const LINES: usize = 128;
const SECONDS: u64 = 15;
const INTERRUPTIONS: usize = 40;
const LIFTS: usize = 30;

const PLAN: &str = "[default]\nexten => s,1,Playback(tone)\nexten => s,n,Wait(60)\n";

fn main() {
    let hotline = "  - {id: \"1\", engine: sim/1, lifted: {hotline: \"context:default\"}}\n";
    let lines: Vec<String> = (2..=LINES)
        .map(|n| format!("  - {{id: \"{n}\", engine: sim/{n}, lifted: {{events: true}}}}\n"))
        .collect();
    let lines = lines.concat();
    let mut system = System::prepare(Setup {
        engine_yaml: Some(format!("simulated_lines: {LINES}\n")),
        apid_yaml: Some(format!(
            "api: {{rate_limit_per_minute: 0, max_connections: 4000, max_websockets: 2000}}\n\
             logging: {{level: warn}}\nextensions: extensions.conf\nlines:\n{hotline}{lines}"
        )),
        ..Setup::default()
    });
    std::fs::write(system.folder.file("extensions.conf"), PLAN).expect("a plan");
    let sounds = system.folder.file("state").join("sounds");
    std::fs::create_dir_all(&sounds).expect("a folder");
    let tone = wav(&tipring_tests::signal::sine(1000.0, -10.0, 2000), 8000, 1);
    let mut file = std::fs::File::create(sounds.join("tone.wav")).expect("a prompt");
    file.write_all(&tone).expect("a prompt");
    system.start_engine();
    system.start_apid();
    system.ready();
    println!("load average {}", load());
    // A telephone that is down says nothing.
    let rest = system.rest();
    (2..=LINES).for_each(|n| rest.hook(&n.to_string(), true));
    memory(&system);
    for streams in [1, 100, 500] {
        delivery(&system, streams);
    }
    barge_in(&system);
    lifting(&system);
    for listeners in [1, 100, 1000] {
        events(&system, listeners);
    }
    println!("load average {}", load());
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn spread(name: &str, mut ms: Vec<f64>) {
    ms.sort_by(f64::total_cmp);
    if ms.is_empty() {
        return println!("{name}: nothing came");
    }
    let at = |share: f64| ms[((ms.len() - 1) as f64 * share) as usize];
    println!(
        "{name}, ms: p50 {:.2}  p95 {:.2}  p99 {:.2}  worst {:.2}  ({})",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0),
        ms.len()
    );
}

/// Readers of streams, who keep nothing.
struct Crowd(std::sync::Arc<AtomicBool>, Vec<std::thread::JoinHandle<u64>>);

impl Crowd {
    fn gather(system: &System, count: usize, path: impl Fn(usize) -> String) -> Self {
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let read = |n: usize| {
            let mut socket = connect(&system.address(), &path(n), None).expect("a stream");
            let patience = Some(Duration::from_millis(500));
            socket.get_ref().set_read_timeout(patience).expect("a socket");
            let over = over.clone();
            std::thread::spawn(move || {
                let mut lost = 0;
                while !over.load(Ordering::Relaxed) {
                    match socket.read() {
                        Ok(Message::Text(text)) => lost += u64::from(text.contains("\"lost\"")),
                        Ok(_) | Err(tungstenite::Error::Io(_)) => {}
                        Err(_) => break,
                    }
                }
                lost
            })
        };
        let readers = (0..count).map(read).collect();
        Self(over, readers)
    }

    /// Times that one of them was told that frames are lost.
    fn disperse(self) -> u64 {
        self.0.store(true, Ordering::Relaxed);
        self.1.into_iter().map(|reader| reader.join().expect("it reads")).sum()
    }
}

fn resident_kb(system: &System) -> f64 {
    let process = system.apid.as_ref().expect("it runs").id();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).expect("a number")
}

fn stream_of(n: usize) -> String {
    format!("/v1/lines/{}/audio", n % (LINES - 1) + 2)
}

fn memory(system: &System) {
    // What is allocated once is not a stream's.
    Crowd::gather(system, 10, stream_of).disperse();
    until_true("that all have gone", GENEROUS, || streams(system) == 0);
    let before = resident_kb(system);
    let crowd = Crowd::gather(system, 400, stream_of);
    for_duration(Duration::from_secs(2));
    let after = resident_kb(system);
    println!("memory of a stream: {:.1} KiB (400 of them)", (after - before) / 400.0);
    crowd.disperse();
    until_true("that all have gone", GENEROUS, || streams(system) == 0);
}

fn streams(system: &System) -> usize {
    let told = system.rest().get("/v1/diagnostics").expect_json(200).to_string();
    told.matches("\"kind\":\"audio\"").count()
}

/// Microseconds since 1970 of a moment.
fn micros(at: Instant) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    (now - at.elapsed().as_secs_f64()) * 1e6
}

/// When each frame was heard, µs since 1970.
fn heard_at(socket: &Socket) -> Vec<f64> {
    let texts = socket.texts();
    texts.iter().filter(|t| t["type"] == "time").filter_map(|t| t["at_us"].as_f64()).collect()
}

fn delivery(system: &System, count: usize) {
    let crowd = Crowd::gather(system, count - 1, |n| stream_of(n + 1));
    let ear = system.socket("/v1/lines/2/audio?times=true");
    let mouth = system.socket("/v1/lines/2/audio?direction=tx&times=true");
    let burst = to_bytes(&[8000; 160]);
    let begin = Instant::now();
    let mut said = Vec::new();
    while begin.elapsed() < Duration::from_secs(SECONDS) {
        said.push(micros(Instant::now()));
        mouth.send_octets(burst.clone());
        // Every moment within a frame has its turn.
        for_duration(Duration::from_millis(203));
    }
    let times = heard_at(&ear);
    let delays = ear.chunks().into_iter().zip(&times).map(|(c, at)| (micros(c.at) - at) / 1000.0);
    spread(&format!("frame heard to its client, {count} streams"), delays.skip(50).collect());
    // A burst is first heard in the frame behind a silent one.
    let chunks = mouth.chunks();
    let loud: Vec<bool> =
        chunks.iter().map(|c| from_bytes(&c.octets).iter().any(|s| s.abs() > 4000)).collect();
    let times = heard_at(&mouth);
    let onsets: Vec<f64> = (1..loud.len().min(times.len()))
        .filter(|&n| loud[n] && !loud[n - 1])
        .map(|n| times[n])
        .collect();
    let back = onsets.iter().filter_map(|at| {
        let sent = said.iter().rev().find(|sent| *sent <= at)?;
        Some((at - sent) / 1000.0)
    });
    let name = format!("sent to the frame that the telephone is given, {count} streams");
    spread(&name, back.collect());
    drop((ear, mouth));
    println!("  told of lost frames: {}", crowd.disperse());
}

/// What the telephone says and what it hears.
fn both(socket: &Socket) -> (Vec<i16>, Vec<i16>) {
    socket.audio().chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip()
}

fn barge_in(system: &System) {
    let rest = system.rest();
    let press = json!({ "digits": "5" });
    let speech = wav(&syllables(3, 1500), 8000, 1);
    for stops in ["digit", "voice"] {
        let (mut silent_after, mut softer_after) = (Vec::new(), Vec::new());
        for _ in 0..INTERRUPTIONS {
            let play =
                json!({"tone": {"frequency_hz": [620], "duration_ms": 20000}, "stop_on": [stops]});
            rest.post("/v1/lines/2/play", &play).check(202);
            let socket = system.socket("/v1/lines/2/audio?direction=both");
            until_true("the prompt", GENEROUS, || {
                let (_, hears) = both(&socket);
                hears.len() > samples(400) && level_dbm0(&hears[hears.len() - 160..]) > -30.0
            });
            if stops == "digit" {
                rest.post("/v1/sim/2/dial", &press).check(202);
            } else {
                rest.post_body("/v1/sim/2/speak", "audio/wav", &speech).check(202);
            }
            let quiet = |hears: &[i16]| hears.iter().all(|s| s.abs() < 30);
            until_true("silence", GENEROUS, || {
                let (_, hears) = both(&socket);
                quiet(&hears[hears.len() - 160..])
            });
            let (says, hears) = both(&socket);
            let first = says.iter().position(|s| s.abs() > 200).expect("it said something");
            let silent = (first..hears.len() - 80).find(|&n| quiet(&hears[n..n + 80]));
            let silent = silent.expect("it is silent");
            silent_after.push((silent - first) as f64 / 8.0);
            let before = level_dbm0(&hears[first - 160..first]);
            let soft =
                (first..silent).step_by(8).find(|&n| level_dbm0(&hears[n..n + 80]) < before - 11.5);
            softer_after.push((soft.unwrap_or(silent) - first) as f64 / 8.0);
            drop(socket);
            rest.delete("/v1/lines/2/playbacks").check(200);
            // Until what it said is over.
            for_duration(Duration::from_millis(if stops == "voice" { 1800 } else { 150 }));
        }
        spread(&format!("{stops}: its first sample to silence"), silent_after);
        if stops == "voice" {
            spread("voice: its first sample to 12 dB softer", softer_after);
        }
    }
}

fn lifting(system: &System) {
    let rest = system.rest();
    let mut found = Vec::new();
    for _ in 0..LIFTS {
        let socket = system.socket("/v1/lines/1/audio?direction=tx&times=true");
        let mut events = system.socket("/v1/events?lines=1&types=off_hook");
        rest.post("/v1/sim/1/hook", &json!({"off": true})).check(202);
        let (lifted, _) = events.expect_timed("lifted", |m| m["type"] == "off_hook");
        let first = until("the prompt", GENEROUS, || {
            let frames = socket.audio();
            frames.chunks_exact(160).position(|f| share(f, 1000.0).is_some_and(|part| part > 0.5))
        });
        let at = until("its time", GENEROUS, || heard_at(&socket).get(first).copied());
        found.push((at - micros(lifted)) / 1000.0);
        drop(socket);
        rest.hook("1", false);
        rest.calls_become(0);
    }
    spread("told that it is lifted to the first frame of its prompt", found);
}

fn events(system: &System, count: usize) {
    let rest = system.rest();
    let over = AtomicBool::new(false);
    let (told, lagged) = (AtomicU64::new(0), AtomicU64::new(0));
    let keys = json!({"digits": "12345678901234567890123456789012"});
    std::thread::scope(|scope| {
        for _ in 0..count {
            let path = "/v1/events?types=dtmf";
            let mut socket = connect(&system.address(), path, None).expect("a listener");
            let patience = Some(Duration::from_millis(500));
            socket.get_ref().set_read_timeout(patience).expect("a socket");
            let (over, told, lagged) = (&over, &told, &lagged);
            scope.spawn(move || {
                let (mut mine, mut missed) = (0, 0);
                while !over.load(Ordering::Relaxed) {
                    match socket.read() {
                        Ok(Message::Text(text)) if text.contains("\"lagged\"") => missed += 1,
                        Ok(Message::Text(_)) => mine += 1,
                        Ok(_) | Err(tungstenite::Error::Io(_)) => {}
                        Err(_) => break,
                    }
                    if mine % 64 == 0 {
                        told.fetch_add(std::mem::take(&mut mine), Ordering::Relaxed);
                    }
                }
                told.fetch_add(mine, Ordering::Relaxed);
                lagged.fetch_add(missed, Ordering::Relaxed);
            });
        }
        let begin = Instant::now();
        for _ in 0..3 {
            let round = Instant::now();
            for n in 2..=LINES {
                rest.post(&format!("/v1/sim/{n}/dial"), &keys).check(202);
            }
            for_duration(Duration::from_millis(5300).saturating_sub(round.elapsed()));
        }
        let rate = told.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
        println!("events a second to {count} listeners: {rate:.0} in all");
        over.store(true, Ordering::Relaxed);
    });
    println!("  told that they missed some: {} times", lagged.load(Ordering::Relaxed));
}
