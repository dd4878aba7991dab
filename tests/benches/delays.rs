//! Delay, end to end, through both processes: handset to WebSocket client, back, and phone to
//! phone. A burst is said every half second; each is timed from the departure of the packet (or
//! message) that begins it to the arrival of the packet (or message) in which it is first heard.
//! A phone's own 20 ms of packetisation comes on top, as it would with any telephone.
//!
//! `cargo bench -p tipring-tests --bench delays`

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use tipring_tests::rtp::{Leg, Legs};
use tipring_tests::signal::{from_bytes, mu_decode, samples, to_bytes};
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::system::{System, free_port};
use tipring_tests::wait;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECONDS: u64 = 20;
/// Frames from one burst to the next.
const EVERY: usize = 25;

fn main() {
    println!("delay, ms");
    let (up, down) = websocket();
    println!("  handset to WebSocket client  {up}");
    println!("  WebSocket client to handset  {down}");
    println!("  phone to phone               {}", phones());
}

struct Spread(Vec<f64>);

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            return f.write_str("nothing came");
        }
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        write!(
            f,
            "p50 {:.1}  p99 {:.1}  worst {:.1}  ({} bursts)",
            at(0.5),
            at(0.99),
            at(1.0),
            sorted.len()
        )
    }
}

/// Silence with a burst of one frame every `EVERY` frames.
fn bursts() -> Vec<i16> {
    let mut audio = vec![0; samples(20) * EVERY];
    for (i, sample) in audio[..samples(20)].iter_mut().enumerate() {
        *sample = if i / 4 % 2 == 0 { 9000 } else { -9000 };
    }
    audio
}

/// Moments at which a burst is heard first: a loud piece after at least 100 ms of silence.
fn onsets(pieces: impl Iterator<Item = (Instant, Vec<i16>)>) -> Vec<Instant> {
    let mut quiet = 0;
    let mut found = Vec::new();
    for (at, audio) in pieces {
        let loud = audio.iter().any(|s| s.unsigned_abs() > 3000);
        if loud && quiet >= samples(100) {
            found.push(at);
        }
        quiet = if loud { 0 } else { quiet + audio.len() };
    }
    found
}

/// Each moment of hearing less the last moment of saying before it.
fn delays(said: &[Instant], heard: &[Instant]) -> Spread {
    let each = heard.iter().filter_map(|at| {
        let before = said.iter().rev().find(|s| *s <= at)?;
        Some(at.duration_since(*before).as_secs_f64() * 1000.0)
    });
    // The first second is for jitter buffers to settle.
    Spread(each.skip(2).collect())
}

fn burst_departures(leg: &Leg) -> Vec<Instant> {
    leg.sent_at.iter().step_by(EVERY).copied().collect()
}

fn heard_by(leg: &Leg) -> Vec<Instant> {
    let audio = leg.packets.iter().filter(|p| p.payload_type == 0);
    onsets(audio.map(|p| (p.at, p.payload.iter().map(|&o| mu_decode(o)).collect())))
}

fn register<'a>(sip: &'a str, user: &'a str, keys: &'a [(&'a str, String)]) -> Scenario<'a> {
    let scenario = Scenario {
        name: "register",
        remote: sip,
        host: HERE,
        port: free_port(HERE),
        user,
        password: "secret",
        keys,
        pause: Duration::from_millis(200),
        tcp: false,
    };
    Sipp::start(&scenario).succeeds(wait::GENEROUS);
    scenario
}

fn websocket() -> (Spread, Spread) {
    let system = System::demonstration();
    let rest = system.rest();
    let sip = system.sip_address();
    let leg = Leg::new(HERE, bursts());
    let keys = [("rtp_port", leg.port().to_string())];
    let phone = register(&sip, "phone1", &keys);
    let legs = Legs::start(vec![leg]);
    let rung = Sipp::start(&Scenario { name: "is_rung_and_answers", ..phone });
    rest.post_empty("/v1/lines/phone1/ring").check(202);
    rest.line_becomes("phone1", "off_hook");
    let ear = system.socket("/v1/lines/phone1/audio?direction=rx");
    let mouth = system.socket("/v1/lines/phone1/audio?direction=tx");
    let begin = Instant::now();
    let mut said = Vec::new();
    while begin.elapsed() < Duration::from_secs(SECONDS) {
        said.push(Instant::now());
        mouth.send_octets(to_bytes(&bursts()[..samples(20)]));
        wait::for_duration(Duration::from_millis(487));
    }
    let line = rest.get("/v1/lines/phone1/diagnostics").json();
    println!(
        "  jitter buffer {} ms, jitter {} ms",
        line["jitter_buffer_ms"], line["media"]["jitter_ms"]
    );
    rest.post_empty("/v1/lines/phone1/hangup").check(202);
    rung.succeeds(wait::GENEROUS);
    let leg = legs.finish().remove(0);
    let heard = onsets(ear.chunks().into_iter().map(|c| (c.at, from_bytes(&c.octets))));
    (delays(&burst_departures(&leg), &heard), delays(&said, &heard_by(&leg)))
}

fn phones() -> Spread {
    let system = System::demonstration();
    let rest = system.rest();
    let sip = system.sip_address();
    let legs = [Leg::new(HERE, bursts()), Leg::new(HERE, vec![0; samples(20)])];
    let called_keys = [("rtp_port", legs[1].port().to_string())];
    let called = register(&sip, "phone2", &called_keys);
    let calling_keys = [("rtp_port", legs[0].port().to_string()), ("number", "202".to_owned())];
    let rung = Sipp::start(&Scenario { name: "is_rung_and_answers", ..called });
    let legs = Legs::start(legs.into());
    let calling = Sipp::start(&Scenario {
        name: "hold_call",
        port: free_port(HERE),
        user: "phone1",
        keys: &calling_keys,
        pause: Duration::from_secs(SECONDS),
        ..register(&sip, "phone3", &[])
    });
    calling.succeeds(Duration::from_secs(SECONDS) + wait::GENEROUS);
    rung.succeeds(wait::GENEROUS);
    rest.calls_become(0);
    let legs = legs.finish();
    delays(&burst_departures(&legs[0]), &heard_by(&legs[1]))
}
