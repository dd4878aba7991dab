//! What programs for the manager interface may expect: `make bench-ami`.
//!
//! - Actions a second (`Ping`, sent ahead) and events a second (`UserEvent`, told to everybody) on 1
//!   and on 50 connections, while nobody and while 50 clients read nothing; and what each costs apid:
//!   its processor time, which other work on the machine hardly changes.
//! - Resident memory of a connection.
//! - From the end of a digit to its event, beside the same digit's event on the REST interface's
//!   WebSocket, with and without those who read nothing.
//! - From `Originate` to the bell.
//!
//! Clients and server share the machine. Asterisk is measured beside it where `asterisk` is installed;
//! Debian 12 has no package of it.

use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, until, until_true};

const PINGS: usize = 100_000;
const EVENTS: usize = 200_000;
/// Events that are sent before all have read them.
const AHEAD: usize = 1000;
const CONNECTIONS: usize = 50;
const DIGITS: usize = 200;
/// As long as a simulated telephone's key is held.
const DIGIT_MS: u64 = 80;
const ORIGINATES: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

fn main() {
    let system = System::start(Setup {
        apid_yaml: Some(
            "api: {rate_limit_per_minute: 0}\nlogging: {level: warn}\n\
             lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n\
             ami:\n  max_connections: 500\n  users:\n    - {user: manager, secret: secret}\n\
             extensions: demonstration\n"
                .to_owned(),
        ),
        ..Setup::default()
    });
    let installed = std::process::Command::new("asterisk").arg("-V").output().is_ok();
    println!(
        "Asterisk: {}",
        if installed { "installed, not compared yet" } else { "not installed" }
    );
    memory(&system);
    throughput(&system, "");
    digits(&system, "");
    // In a flood they are cut; at the pace of digits what waits for them is held.
    let others = connections(&system);
    let deaf = deaf_clients(&system);
    throughput(&system, ", 50 clients read nothing");
    drop(deaf);
    until_true("that all have gone", GENEROUS, || connections(&system) == others);
    let deaf = deaf_clients(&system);
    digits(&system, ", 50 clients read nothing");
    let there = connections(&system) - others - 1;
    println!("of those 50, not cut meanwhile: {there}");
    drop(deaf);
    originate(&system);
}

/// A connection, whose owner reads when it likes.
struct Client {
    read: BufReader<TcpStream>,
}

impl Client {
    fn login(system: &System, events: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", system.ports.ami)).expect("AMI listens");
        stream.set_nodelay(true).expect("a stream");
        let mut client = Self { read: BufReader::new(stream) };
        client.send(&format!(
            "Action: Login\r\nUsername: manager\r\nSecret: secret\r\nEvents: {events}\r\n\r\n"
        ));
        client.until("Message: Authentication accepted");
        client
    }

    fn send(&mut self, text: &str) {
        self.read.get_mut().write_all(text.as_bytes()).expect("it reads");
    }

    /// Reads lines until this one.
    fn until(&mut self, line: &str) {
        let mut read = String::new();
        while read.trim_end() != line {
            read.clear();
            assert!(self.read.read_line(&mut read).expect("a line") > 0, "closed before {line}");
        }
    }

    /// Has `text` sent beside, and reads until `line` has come `count` times.
    fn flood(&mut self, text: &str, line: &str, count: usize) {
        let mut writes = self.read.get_ref().try_clone().expect("a stream");
        let text = text.repeat(100);
        let sends = std::thread::spawn(move || {
            for _ in 0..count / 100 {
                writes.write_all(text.as_bytes()).expect("it reads");
            }
        });
        for _ in 0..count {
            self.until(line);
        }
        sends.join().expect("it writes");
    }
}

fn deaf_clients(system: &System) -> Vec<Client> {
    (0..CONNECTIONS).map(|_| Client::login(system, "on")).collect()
}

fn apid(system: &System) -> PathBuf {
    let process = system.apid.as_ref().expect("it runs").id();
    Path::new("/proc").join(process.to_string())
}

/// A line of a `status` of proc(5).
fn of_status(folder: &Path, name: &str) -> u64 {
    let status = std::fs::read_to_string(folder.join("status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
}

fn resident_kb(system: &System) -> u64 {
    of_status(&apid(system), "VmRSS:")
}

/// What apid has used so far: processor time, and how often its threads were woken.
struct Cost {
    ns: u64,
    woken: u64,
}

impl Cost {
    fn now(system: &System) -> Self {
        let mut cost = Self { ns: 0, woken: 0 };
        for thread in std::fs::read_dir(apid(system).join("task")).expect("it runs") {
            let thread = thread.expect("a thread").path();
            let times = std::fs::read_to_string(thread.join("schedstat")).expect("it runs");
            let first = times.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
            cost.ns += first.expect("ns");
            cost.woken += of_status(&thread, "voluntary_ctxt_switches:");
        }
        cost
    }

    /// Since then, for each of so many.
    fn each(&self, system: &System, what: &str, count: usize) {
        let now = Self::now(system);
        let us = now.ns.saturating_sub(self.ns) as f64 / 1000.0 / count as f64;
        let woken = now.woken.saturating_sub(self.woken) as f64 / count as f64;
        println!("… for each {what}: {us:.2} µs of apid's processor time, {woken:.3} wake-ups");
    }
}

fn memory(system: &System) {
    // What is allocated once is not a connection's.
    drop((0..400).map(|_| Client::login(system, "on")).collect::<Vec<_>>());
    until_true("that all have gone", GENEROUS, || connections(system) == 0);
    let before = resident_kb(system);
    let clients: Vec<Client> = (0..400).map(|_| Client::login(system, "on")).collect();
    let after = resident_kb(system);
    println!(
        "memory of a connection: {:.1} KiB (400 of them)",
        (after as f64 - before as f64) / 400.0
    );
    drop(clients);
    until_true("that all have gone", GENEROUS, || connections(system) == 0);
}

fn connections(system: &System) -> usize {
    let told = system.rest().get("/v1/diagnostics").expect_json(200).to_string();
    told.matches("\"kind\":\"ami\"").count()
}

fn throughput(system: &System, beside: &str) {
    let ping = "Action: Ping\r\nActionID: 1\r\n\r\n";
    for count in [1, CONNECTIONS] {
        let mut clients: Vec<Client> = (0..count).map(|_| Client::login(system, "off")).collect();
        let each = PINGS / count;
        let begin = Instant::now();
        let cost = Cost::now(system);
        std::thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(move || client.flood(ping, "Ping: Pong", each));
            }
        });
        let rate = (each * count) as f64 / begin.elapsed().as_secs_f64();
        println!("actions a second, {count} connections{beside}: {rate:.0}");
        cost.each(system, "action", each * count);
    }
    for count in [1, CONNECTIONS] {
        let mut clients: Vec<Client> = (0..count).map(|_| Client::login(system, "on")).collect();
        let mut writer = Client::login(system, "off");
        let rounds = EVENTS / count / AHEAD;
        // Whoever is too far behind is told that it missed some; here nobody is.
        let together = Barrier::new(count + 1);
        let begin = Instant::now();
        let cost = Cost::now(system);
        std::thread::scope(|scope| {
            for client in &mut clients {
                let together = &together;
                scope.spawn(move || {
                    for _ in 0..rounds {
                        (0..AHEAD).for_each(|_| client.until("Event: UserEvent"));
                        together.wait();
                    }
                });
            }
            let event = "Action: UserEvent\r\nUserEvent: Bench\r\nNumber: 1\r\n\r\n";
            for _ in 0..rounds {
                writer.flood(event, "Response: Success", AHEAD);
                together.wait();
            }
        });
        let told = (rounds * AHEAD * count) as f64;
        let rate = told / begin.elapsed().as_secs_f64();
        println!("events a second, told to {count} connections{beside}: {rate:.0} in all");
        cost.each(system, "event of those", rounds * AHEAD * count);
    }
}

/// Events with a certain line, and when they came.
struct Listener(Arc<Mutex<Vec<(Instant, String)>>>);

impl Listener {
    fn start(system: &System, wanted: &'static str) -> Self {
        let mut client = Client::login(system, "on");
        let found = Arc::new(Mutex::new(Vec::new()));
        let theirs = found.clone();
        std::thread::spawn(move || {
            let (mut text, mut block) = (String::new(), vec![0; 65_536]);
            while let Ok(count @ 1..) = client.read.read(&mut block) {
                let now = Instant::now();
                text.push_str(&String::from_utf8_lossy(&block[..count]));
                while let Some((message, rest)) = text.split_once("\r\n\r\n") {
                    if message.contains(wanted) {
                        theirs.lock().expect("nobody panics").push((now, message.to_owned()));
                    }
                    text = rest.to_owned();
                }
            }
        });
        Self(found)
    }

    fn nth(&self, n: usize) -> Instant {
        until("an event", GENEROUS, || self.0.lock().expect("nobody panics").get(n).map(|e| e.0))
    }
}

fn spread(name: &str, mut ms: Vec<f64>) {
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| ms[((ms.len() - 1) as f64 * share) as usize];
    println!(
        "{name}, ms: p50 {:.2}  p99 {:.2}  worst {:.2}  ({})",
        at(0.5),
        at(0.99),
        at(1.0),
        ms.len()
    );
}

fn ms(from: Instant, to: Instant) -> f64 {
    to.checked_duration_since(from).map_or_else(
        || -from.duration_since(to).as_secs_f64() * 1000.0,
        |time| time.as_secs_f64() * 1000.0,
    )
}

fn digits(system: &System, beside: &str) {
    let rest = system.rest();
    rest.hook("1", true);
    rest.post("/v1/sim/1/dial", &json!({ "digits": "403" })).check(202);
    let calls = || rest.get("/v1/calls").expect_json(200)["calls"][0].clone();
    until_true("a call", GENEROUS, || {
        let call = calls();
        call["to"] == "app:403@default" && call["ended_at"].is_null()
    });
    let mut socket = system.socket("/ws");
    let ami = Listener::start(system, "End: Yes");
    let (mut event, mut later) = (Vec::new(), Vec::new());
    let cost = Cost::now(system);
    for n in 0..DIGITS {
        let begin = Instant::now();
        rest.post("/v1/sim/1/dial", &json!({ "digits": "5" })).check(202);
        let (rest_at, _) = socket.expect_timed("a digit", |told| told["type"] == "dtmf");
        let ami_at = ami.nth(n);
        event.push(ms(begin, ami_at) - DIGIT_MS as f64);
        later.push(ms(rest_at, ami_at));
        std::thread::sleep(PAUSE);
    }
    cost.each(system, "digit", DIGITS);
    spread(&format!("digit's end to its event{beside}"), event);
    spread(&format!("… after the same on the REST WebSocket{beside}"), later);
    rest.hook("1", false);
    rest.calls_become(0);
}

fn originate(system: &System) {
    let rest = system.rest();
    let ami = Listener::start(system, "ChannelStateDesc: Ringing");
    let mut client = Client::login(system, "off");
    let (mut told, mut bell) = (Vec::new(), Vec::new());
    let mut socket = system.socket("/ws");
    for n in 0..ORIGINATES {
        let begin = Instant::now();
        client.send(
            "Action: Originate\r\nChannel: SIM/1\r\nApplication: Echo\r\nAsync: true\r\n\r\n",
        );
        let (rings, _) = socket.expect_timed("the bell", |told| told["type"] == "ring_start");
        bell.push(ms(begin, rings));
        told.push(ms(begin, ami.nth(n)));
        client.send("Action: Hangup\r\nChannel: SIM/1\r\n\r\n");
        rest.calls_become(0);
        rest.line_becomes("1", "on_hook");
        // A bell that was stopped this moment is not rung again yet.
        std::thread::sleep(10 * PAUSE);
    }
    spread("Originate to the bell's event (ring_start)", bell);
    spread("Originate to its own Newstate Ringing", told);
}
