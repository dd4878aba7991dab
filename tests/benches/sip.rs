//! What calls cost, and how many there can be: `make bench-sip`.
//!
//! - CPU time of both processes for 200 echo calls, and for the same lines bridged in pairs, as
//!   shares of one core, with digit and voice detection on; beside it what an independent receiver
//!   lost of it.
//! - Calls set up and ended a second, and registrations with digest a second: the highest rate tried
//!   at which none fails.
//! - Resident memory before and after 50 000 calls more.
//!
//! The phones are sipp's, their media this program's; both take their share of the same machine.
//! Loopback is a trusted source here, or its rate limit would be what is measured.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tipring_tests::process::Process;
use tipring_tests::rest::Rest;
use tipring_tests::rtp::{Leg, Legs};
use tipring_tests::signal::chirps;
use tipring_tests::sipp::{Flood, Scenario, Sipp, Tally};
use tipring_tests::system::{Setup, System, free_port};
use tipring_tests::wait;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CALLS: usize = 200;
/// How long CPU time is counted.
const COUNTED: Duration = Duration::from_secs(20);
/// Accounts that register, each by a sipp of its own: this version takes a digest's user from its
/// command line.
const REGISTRARS: u32 = 8;
/// A second.
const SET_UPS: [u32; 6] = [50, 100, 200, 300, 400, 500];
/// A second.
const REGISTRATIONS: [u32; 5] = [200, 400, 600, 800, 1000];
/// How long each rate is kept up.
const KEPT_UP_S: u32 = 10;
/// 50 000 calls between two looks at memory.
const MANY_RATE: u32 = 400;
const MANY_S: u32 = 125;
/// Transactions last 32 s longer than what they carried (RFC 3261 §17, 64·T1).
const TRANSACTIONS_END: Duration = Duration::from_secs(40);

fn main() {
    println!("sources trusted here: 127.0.0.1/32");
    let port = free_port(HERE);
    let system = start(port);
    costs(&system, port);
    rates("calls set up and ended", &SET_UPS, |rate| set_up(&system, port, rate, KEPT_UP_S));
    rates("registrations with digest", &REGISTRATIONS, |rate| register(&system, rate));
    memory(&system, port);
}

/// Resident memory before and after many calls, each time when transactions are forgotten.
fn memory(system: &System, port: u16) {
    wait::for_duration(TRANSACTIONS_END);
    let before = Usage::of(system);
    let tally = set_up(system, port, MANY_RATE, MANY_S);
    wait::for_duration(TRANSACTIONS_END);
    let after = Usage::of(system);
    println!(
        "resident memory, no call active, MB: engine {} to {}, apid {} to {}, after {tally:?}",
        before.engine.resident_mb,
        after.engine.resident_mb,
        before.apid.resident_mb,
        after.apid.resident_mb,
    );
}

fn start(port: u16) -> System {
    let mut apid = String::from(
        "api: {rate_limit_per_minute: 0}\n\
         numbers: {echo: \"600\"}\n\
         logging: {level: warn}\n\
         sip:\n  defence: {trusted_sources: [\"127.0.0.1/32\"]}\n  accounts:\n",
    );
    for i in 0..CALLS {
        writeln!(apid, "    - {{user: f{i}, host: {HERE}, port: {port}, auth: none}}")
            .expect("in memory");
    }
    for i in 0..REGISTRARS {
        writeln!(apid, "    - {{user: r{i}, password: \"pw-of-{i}\", algorithms: [md5]}}")
            .expect("in memory");
    }
    System::start(Setup {
        apid_yaml: Some(apid),
        engine_yaml: Some(format!("rtp_lines: {}\n", CALLS + REGISTRARS as usize)),
        ..Setup::default()
    })
}

/// What a process has used so far.
struct Usage {
    engine: Used,
    apid: Used,
}

struct Used {
    cpu: Duration,
    resident_mb: u64,
}

impl Usage {
    fn of(system: &System) -> Self {
        let of = |process: &Option<Process>| Used::of(process.as_ref().expect("it runs").id());
        Self { engine: of(&system.engine), apid: of(&system.apid) }
    }
}

impl Used {
    /// CPU time of all threads (first figure of `/proc/PID/task/TID/schedstat`, ns), and VmRSS.
    fn of(process: u32) -> Self {
        let folder = format!("/proc/{process}");
        let threads = std::fs::read_dir(format!("{folder}/task")).expect("it runs").flatten();
        let ns: u64 = threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .sum();
        let status = std::fs::read_to_string(format!("{folder}/status")).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb: u64 = resident
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .expect("a line of status");
        Self { cpu: Duration::from_nanos(ns), resident_mb: kb / 1024 }
    }
}

fn fixed<'a>(
    sip: &'a str,
    port: u16,
    pause: Duration,
    keys: &'a [(&'a str, String)],
) -> Scenario<'a> {
    Scenario {
        name: "fixed_calls",
        remote: sip,
        host: HERE,
        port,
        user: "fixed",
        password: "",
        keys,
        pause,
        tcp: false,
    }
}

fn costs(system: &System, port: u16) {
    let rest = system.rest();
    let legs: Vec<Leg> = (0..CALLS).map(|i| Leg::new(HERE, chirps(i as u64, 5000))).collect();
    let mut values = String::new();
    for (i, leg) in legs.iter().enumerate() {
        writeln!(values, "f{i};{};", leg.port()).expect("in memory");
    }
    let legs = Legs::start(legs);
    let (sip, keys) = (system.sip_address(), [("number", "600".to_owned())]);
    let calls = CALLS as u32;
    let flood = Flood { calls, rate: 50, at_once: calls, values };
    let pause = 2 * COUNTED + Duration::from_secs(30);
    let phones = Sipp::flood(&fixed(&sip, port, pause, &keys), &flood);
    let talking = rest.calls_become(CALLS);
    print_cost("echo call", CALLS, system, &rest);
    let ids: Vec<&str> = talking.iter().filter_map(|call| call["id"].as_str()).collect();
    for pair in ids.as_chunks::<2>().0 {
        let body = serde_json::json!({"with": pair[1]});
        rest.post(&format!("/v1/calls/{}/bridge", pair[0]), &body).check(200);
    }
    rest.calls_become(CALLS / 2);
    print_cost("bridged pair", CALLS / 2, system, &rest);
    let tally = phones.tally(pause);
    rest.calls_become(0);
    let legs = legs.finish();
    let lost: u64 = legs.iter().map(Leg::lost).sum();
    let packets: usize = legs.iter().map(|leg| leg.packets.len()).sum();
    println!("  at the phones: {packets} packets, {lost} lost; {tally:?}");
}

fn print_cost(what: &str, many: usize, system: &System, rest: &Rest) {
    let late = rest.counter("frames_late_total");
    let before = Usage::of(system);
    wait::for_duration(COUNTED);
    let after = Usage::of(system);
    let share = |before: &Used, after: &Used| {
        let used = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        100.0 * used / COUNTED.as_secs_f64() / many as f64
    };
    println!(
        "{what}, {many} at once: {:.4} % of a core each in the engine, {:.4} % in apid; {} frames late",
        share(&before.engine, &after.engine),
        share(&before.apid, &after.apid),
        rest.counter("frames_late_total") - late,
    );
}

/// Prints what each rate came to, until one fails.
fn rates(what: &str, rates: &[u32], mut flood: impl FnMut(u32) -> Tally) {
    let mut clean = 0;
    for &rate in rates {
        let tally = flood(rate);
        println!("  {rate} a second: {tally:?}");
        if tally.failed > 0 || tally.succeeded < u64::from(rate * KEPT_UP_S) {
            break;
        }
        clean = rate;
    }
    println!("{what}: {clean} a second without a failure");
}

fn set_up(system: &System, port: u16, rate: u32, seconds: u32) -> Tally {
    let mut values = String::new();
    for i in 0..CALLS {
        writeln!(values, "f{i};9;").expect("in memory");
    }
    let (sip, keys) = (system.sip_address(), [("number", "600".to_owned())]);
    let flood = Flood { calls: rate * seconds, rate, at_once: CALLS as u32 / 2, values };
    let phones = Sipp::flood(&fixed(&sip, port, Duration::from_millis(1), &keys), &flood);
    let tally = phones.tally(Duration::from_secs(u64::from(seconds) * 3));
    system.rest().calls_become(0);
    tally
}

fn register(system: &System, rate: u32) -> Tally {
    let sip = system.sip_address();
    let phones: Vec<Sipp> = (0..REGISTRARS)
        .map(|i| {
            let (user, password) = (format!("r{i}"), format!("pw-of-{i}"));
            let rate = rate / REGISTRARS;
            let scenario = Scenario {
                name: "register",
                remote: &sip,
                host: HERE,
                port: free_port(HERE),
                user: &user,
                password: &password,
                keys: &[],
                pause: Duration::ZERO,
                tcp: false,
            };
            let calls = rate * KEPT_UP_S;
            Sipp::flood(&scenario, &Flood { calls, rate, at_once: calls, values: ";\n".to_owned() })
        })
        .collect();
    let limit = Duration::from_secs(u64::from(KEPT_UP_S) * 3);
    phones.into_iter().map(|phone| phone.tally(limit)).fold(Tally::default(), |all, one| Tally {
        succeeded: all.succeeded + one.succeeded,
        failed: all.failed + one.failed,
        repeated: all.repeated + one.repeated,
    })
}
