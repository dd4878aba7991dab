//! Calls to 600 over bad networks, both ways: they survive, digits stay exact, what was said comes back,
//! and the statistics say what happened. Prints the table.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tipring_signals::impairment::Impairment;
use tipring_tests::rtp::{Leg, Legs};
use tipring_tests::signal::{chirps, hearing};
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::system::{Setup, System, free_port};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HOLD: Duration = Duration::from_secs(12);
const DIGITS: &[u8] = b"15*#";

fn networks() -> [(&'static str, Impairment); 9] {
    let none = Impairment::default();
    [
        ("nothing wrong", none),
        ("1 % loss", Impairment { loss: 1.0, ..none }),
        ("5 % loss", Impairment { loss: 5.0, ..none }),
        ("20 % loss", Impairment { loss: 20.0, ..none }),
        ("30 ms jitter", Impairment { jitter_ms: 30.0, ..none }),
        ("100 ms jitter", Impairment { jitter_ms: 100.0, ..none }),
        ("10 % reordered", Impairment { reordered: 10.0, ..none }),
        ("10 % doubled", Impairment { doubled: 10.0, ..none }),
        ("outage of 3 s", Impairment { outage_ms: (6300.0, 9300.0), ..none }),
    ]
}

#[test]
fn calls_survive_and_digits_stay_exact() {
    let networks = networks();
    let mut accounts = String::from("sip:\n  accounts:\n");
    for i in 0..networks.len() {
        writeln!(accounts, "    - {{user: p{i}, password: \"pw-of-{i}\", algorithms: [md5]}}")
            .expect("in memory");
    }
    accounts += "numbers: {echo: \"600\"}\napi: {rate_limit_per_minute: 0}\n";
    let setup = Setup {
        apid_yaml: Some(accounts),
        engine_yaml: Some("rtp_lines: 16\n".into()),
        ..Setup::default()
    };
    let system = System::start(setup);
    let rest = system.rest();
    let mut events = system.socket("/ws");
    let says: Vec<Vec<i16>> = (0..networks.len()).map(|i| chirps(900 + i as u64, 30_000)).collect();
    let legs: Vec<Leg> = networks
        .iter()
        .enumerate()
        .map(|(i, (_, impairment))| {
            let mut leg = Leg::new(HERE, says[i].clone()).over(*impairment, 77 + i as u64 * 2);
            leg.digits = DIGITS;
            leg
        })
        .collect();
    let ports: Vec<u16> = legs.iter().map(Leg::port).collect();
    let legs = Legs::start(legs);
    let phones: Vec<Sipp> = (0..networks.len())
        .map(|i| {
            let (user, password) = (format!("p{i}"), format!("pw-of-{i}"));
            let keys = [("number", "600".to_owned()), ("rtp_port", ports[i].to_string())];
            Sipp::start(&Scenario {
                name: "hold_call",
                remote: &system.sip_address(),
                host: HERE,
                port: free_port(HERE),
                user: &user,
                password: &password,
                keys: &keys,
                pause: HOLD,
                tcp: false,
            })
        })
        .collect();
    let mut digits = vec![String::new(); networks.len()];
    let mut ended = vec![None; networks.len()];
    while ended.iter().any(Option::is_none) {
        let event = events.expect("a digit or the end of a call", |event| {
            event["type"] == "dtmf" || event["type"] == "call_ended"
        });
        if event["type"] == "dtmf" {
            let line = event["line"].as_str().expect("a digit has a line");
            let index: usize = line[1..].parse().expect("the lines are p0, p1 …");
            digits[index] += event["digit"].as_str().expect("a digit");
        } else {
            let leg = &event["call"]["legs"][0];
            let line = leg["line"].as_str().expect("a call has a line");
            let index: usize = line[1..].parse().expect("the lines are p0, p1 …");
            ended[index] = Some((leg["media"].clone(), event["cause"]["code"].clone()));
        }
    }
    for phone in phones {
        phone.succeeds(HOLD + Duration::from_mins(1));
    }
    rest.calls_become(0);
    let legs = legs.finish();
    println!(
        "{:<16}{:>6}{:>6}{:>11}{:>8}{:>8}{:>7}{:>8}{:>12}",
        "network", "lost", "late", "made up", "depth", "jitter", "MOS", "digits", "recognised"
    );
    for (i, (name, impairment)) in networks.iter().enumerate() {
        let (media, cause) = ended[i].as_ref().expect("every call has ended");
        let hearing = hearing(&says[i], &legs[i].heard()).expect("something comes back");
        let exact = digits[i].as_bytes() == DIGITS;
        println!(
            "{name:<16}{:>6}{:>6}{:>8} ms{:>5} ms{:>5.1} ms{:>7}{:>8}{:>9}/{}",
            media["lost"],
            media["late"],
            media["concealed_ms"],
            media["buffer_ms"],
            media["jitter_ms"].as_f64().unwrap_or_default(),
            media["mos"],
            if exact { "exact" } else { &digits[i] },
            hearing.recognised,
            hearing.stretches,
        );
        assert_eq!(*cause, 16, "{name}: the call ends when its phone hangs up");
        if impairment.loss <= 5.0 && impairment.outage_ms.1 == 0.0 {
            assert!(exact, "{name}: {:?}", digits[i]);
        }
        assert!(hearing.recognised >= 8, "{name}: {hearing:?}");
    }
}
