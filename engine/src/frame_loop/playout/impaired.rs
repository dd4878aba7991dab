//! Whole calls over bad networks, in virtual time: session and playout joined as a slot joins them.
//! Prints a table; `cargo nextest run -p tipring-engine impaired --no-capture`.

use super::Playout;
use crate::codec::g711;
use crate::device::rtp::StreamStart;
use crate::device::rtp::packet::Header;
use crate::device::rtp::session::Session;
use crate::frame::{Companded, Heard, Linear};
use crate::frame_loop::playout::MOST_READS;
use crate::signal::Signal;
use tipring_shm_proto::command::{Law, RtpMedia};
use tipring_shm_proto::line_table::RtpRow;
use tipring_shm_proto::units::{Endpoint, Nanos};
use tipring_signals::impairment::{Impairment, Way};

const EVENT: u8 = 101;
const HZ: f64 = 1004.0;
const DIGITS: &[u8] = b"159*#0";

/// What came out of a call.
struct Outcome {
    heard: Vec<i16>,
    digits: String,
    row: RtpRow,
    concealed_ms: u64,
    scaled_ms: u64,
    /// Ticks in which nothing was heard, after the first sound.
    silent: usize,
}

/// What the phone says in its n-th sample: speech-like syllables, or a tone.
fn said(n: u64, tone: bool) -> f64 {
    let time = n as f64 / 8000.0;
    if tone {
        return 8000.0 * (std::f64::consts::TAU * (HZ * time).fract()).sin();
    }
    let syllable = (time * 3.0).fract();
    let loud = (syllable * std::f64::consts::PI).sin().powi(2);
    let pitch = 125.0;
    let voice: f64 = (1..12)
        .map(|k| {
            (std::f64::consts::TAU * (pitch * f64::from(k) * time).fract()).sin() / f64::from(k)
        })
        .sum();
    5000.0 * loud * voice
}

/// A line that hears its phone as a slot does.
struct Line {
    session: Session,
    playout: Playout,
    frame: Companded,
    rx: Linear,
}

fn phone() -> Endpoint {
    Endpoint::from(std::net::SocketAddr::from(([192, 0, 2, 1], 4000)))
}

fn at(ms: f64) -> Nanos {
    Nanos((ms * 1e6) as u64)
}

impl Line {
    fn new() -> Self {
        let media = RtpMedia {
            remote: Some(phone()),
            law: Law::Mu,
            telephone_event: Some(EVENT),
            send: true,
            receive: true,
            rtcp_mux: false,
            srtp: None,
        };
        let start = StreamStart { ssrc: 1, sequence: 1, timestamp: 1, seed: [0; 12] };
        let mut session = Session::new();
        session.begin(Nanos(0), media, start);
        let frame = Companded { law: Law::Mu, octets: [0; 160] };
        Self { session, playout: Playout::new(), frame, rx: [0; 160] }
    }

    /// A tick; `rx` is what was heard.
    fn tick(&mut self, now_ms: f64, way: &mut Way<Vec<u8>>) -> Heard {
        self.session.handle_tick(at(now_ms));
        while let Some((at_ms, packet)) = way.arrived(now_ms) {
            self.session.handle_packet(at(at_ms), phone(), &packet);
        }
        let pace = self.session.pace(self.playout.held());
        for _ in 0..MOST_READS {
            if !self.playout.wants(pace, || self.session.has_frame()) {
                break;
            }
            let came = self.session.take_frame(at(now_ms), &mut self.frame);
            if came == Heard::Frame {
                g711::decode(&self.frame, &mut self.rx);
            }
            self.playout.put(came, &mut self.rx);
            if came == Heard::Nothing {
                break;
            }
        }
        let heard = self.playout.play(pace, false, self.session.drift_ppm(), &mut self.rx);
        if heard == Heard::Nothing {
            self.playout.rest();
        }
        heard
    }
}

/// The phone's packet of a number, without its payload.
fn header(payload_type: u8, number: u32, timestamp: u32, marker: bool) -> Vec<u8> {
    let (sequence, ssrc) = (number as u16, 7);
    Header { marker, payload_type, sequence, timestamp, ssrc }.octets().to_vec()
}

/// What the phone sends as its `number`-th packet. With digits, every two seconds one of 100 ms: five
/// packets, of which the last says end, as do two repeats.
fn packet(number: u32, tone: bool, digits: bool) -> Vec<u8> {
    let (digit, place) = (number / 100, number % 100);
    if digits && digit > 0 && place < 7 {
        let event = DIGITS[digit as usize % DIGITS.len()];
        let event = b"0123456789*#".iter().position(|known| *known == event).unwrap() as u8;
        let mut octets = header(EVENT, number, digit * 16_000, place == 0);
        octets.extend([event, if place >= 4 { 0x8A } else { 0x0A }]);
        octets.extend(((place + 1).min(5) as u16 * 160).to_be_bytes());
        return octets;
    }
    let samples: Linear =
        std::array::from_fn(|i| said(u64::from(number) * 160 + i as u64, tone).round() as i16);
    let mut audio = Companded { law: Law::Mu, octets: [0; 160] };
    g711::encode(&samples, Law::Mu, &mut audio);
    let mut octets = header(0, number, number.wrapping_mul(160), false);
    octets.extend(audio.octets);
    octets
}

/// A phone at the far end.
#[derive(Clone, Copy)]
struct Phone {
    /// What its clock is fast.
    ppm: f64,
    /// Its packets come so long after our ticks.
    stands_ms: f64,
    says_tone: bool,
    sends_digits: bool,
}

const SPEAKS: Phone = Phone { ppm: 0.0, stands_ms: 7.0, says_tone: false, sends_digits: false };

impl Phone {
    /// Packets that it has sent by `now_ms`.
    fn sent_by(self, now_ms: f64) -> u32 {
        ((now_ms - self.stands_ms).max(0.0) * (1.0 + self.ppm * 1e-6) / 20.0) as u32
    }

    /// When the packet of this number leaves.
    fn leaves_ms(self, number: u32) -> f64 {
        f64::from(number + 1) * 20.0 / (1.0 + self.ppm * 1e-6) + self.stands_ms
    }
}

/// A call of `seconds`.
fn call(impairment: Impairment, phone: Phone, seconds: u32) -> Outcome {
    let mut line = Line::new();
    let mut way = Way::new(impairment, 42);
    let (mut sent, mut told) = (0, String::new());
    let (mut heard, mut silent) = (Vec::new(), 0);
    for tick in 1..=seconds * 50 {
        let now_ms = f64::from(tick) * 20.0;
        while sent < phone.sent_by(now_ms) {
            let octets = packet(sent, phone.says_tone, phone.sends_digits);
            way.send(phone.leaves_ms(sent), octets);
            sent += 1;
        }
        if line.tick(now_ms, &mut way) == Heard::Nothing {
            silent += usize::from(!heard.is_empty());
        } else {
            heard.extend(line.rx);
        }
        while let Some(signal) = line.session.poll_signal() {
            if let Signal::Digit { digit, .. } = signal {
                told.push(char::from(digit));
            }
        }
    }
    let counts = line.playout.counts();
    Outcome {
        heard,
        digits: told,
        row: line.session.stats(0),
        concealed_ms: counts.concealed / 8,
        scaled_ms: (counts.stretched + counts.shortened) / 8,
        silent,
    }
}

fn steepest(samples: &[i16]) -> i32 {
    samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
}

/// The tone's frequency by its zero crossings over the last four fifths.
fn frequency(samples: &[i16]) -> f64 {
    let samples = &samples[samples.len() / 5..];
    let rising = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
    rising as f64 * 8000.0 / samples.len() as f64
}

fn networks() -> [(&'static str, Impairment, f64); 11] {
    let none = Impairment::default();
    [
        ("nothing wrong", none, 0.0),
        ("1 % loss", Impairment { loss: 1.0, ..none }, 0.0),
        ("5 % loss", Impairment { loss: 5.0, ..none }, 0.0),
        ("20 % loss", Impairment { loss: 20.0, ..none }, 0.0),
        ("30 ms jitter", Impairment { jitter_ms: 30.0, ..none }, 0.0),
        ("100 ms jitter", Impairment { jitter_ms: 100.0, ..none }, 0.0),
        ("10 % reordered", Impairment { reordered: 10.0, ..none }, 0.0),
        ("10 % doubled", Impairment { doubled: 10.0, ..none }, 0.0),
        ("outage of 3 s", Impairment { outage_ms: (20_900.0, 23_900.0), ..none }, 0.0),
        ("+200 ppm", none, 200.0),
        ("-200 ppm", none, -200.0),
    ]
}

#[test]
fn calls_survive_bad_networks_and_digits_stay_exact() {
    println!(
        "{:<16}{:>7}{:>7}{:>11}{:>9}{:>9}{:>8}{:>7}{:>8}",
        "network", "lost", "late", "concealed", "scaled", "depth", "drift", "MOS", "digits"
    );
    for (name, impairment, ppm) in networks() {
        let seconds = 61;
        let outcome = call(impairment, Phone { ppm, sends_digits: true, ..SPEAKS }, seconds);
        let expected: String =
            (1..=30).map(|digit| char::from(DIGITS[digit % DIGITS.len()])).collect();
        let row = outcome.row;
        println!(
            "{name:<16}{:>7}{:>7}{:>8} ms{:>6} ms{:>6} ms{:>8}{:>7.2}{:>8}",
            row.lost,
            row.late,
            outcome.concealed_ms,
            outcome.scaled_ms,
            row.depth_ms,
            row.drift_ppm.map_or("-".to_owned(), |ppm| ppm.to_string()),
            f64::from(row.quality.unwrap().call_mos) / 100.0,
            if outcome.digits == expected { "exact" } else { "wrong" },
        );
        if impairment.outage_ms.1 > 0.0 {
            assert!(outcome.digits.len() >= 27, "{name}: {}", outcome.digits);
        } else if impairment.loss <= 5.0 {
            assert_eq!(outcome.digits, expected, "{name}");
        }
        assert!(row.depth_ms <= 150, "{name}: {} ms deep", row.depth_ms);
        let lost_ms = (row.lost * 20) as f64;
        let late_ms = if impairment.jitter_ms > 50.0 { 1800.0 } else { 900.0 };
        assert!(outcome.concealed_ms as f64 <= lost_ms + late_ms, "{name}");
    }
}

#[test]
fn a_tone_comes_out_of_bad_networks_at_its_frequency_and_without_a_click() {
    let own = steepest(&call(Impairment::default(), Phone { says_tone: true, ..SPEAKS }, 20).heard);
    for (name, impairment, ppm) in networks() {
        let outcome = call(impairment, Phone { ppm, says_tone: true, ..SPEAKS }, 60);
        // Minutes of our clock hold more periods of a faster one.
        let hz = frequency(&outcome.heard);
        let wanted = HZ * (1.0 + ppm * 1e-6);
        let steep = steepest(&outcome.heard);
        println!("{name:<16} {hz:>8.2} Hz, steepest {steep} of {own}, {} silent", outcome.silent);
        assert!((hz - wanted).abs() < 0.005 * wanted, "{name}: {hz} Hz");
        assert!(f64::from(steep) <= 1.35 * f64::from(own), "{name}: a step of {steep}, own {own}");
    }
}

#[test]
fn clocks_are_made_equal_and_the_depth_stays() {
    for ppm in [200.0, -200.0, 50.0] {
        let outcome = call(Impairment::default(), Phone { ppm, ..SPEAKS }, 300);
        let row = outcome.row;
        let drift = f64::from(row.drift_ppm.expect("measured"));
        assert!((drift - ppm).abs() <= 5.0, "{ppm}: {drift}");
        assert_eq!((row.late, outcome.concealed_ms), (0, 0), "{ppm}");
        // All that was scaled was before the clock was known.
        assert!(outcome.scaled_ms <= 60, "{ppm}: {} ms", outcome.scaled_ms);
        assert!((15..=60).contains(&row.depth_ms), "{ppm}: {} ms", row.depth_ms);
    }
}

#[test]
fn wherever_the_phones_clock_stands_nothing_is_made_up() {
    for half in 0..40u32 {
        let phone = Phone { stands_ms: f64::from(half) / 2.0, ..SPEAKS };
        for jitter_ms in [0.0, 4.0] {
            let network = Impairment { jitter_ms, ..Impairment::default() };
            let Outcome { row, concealed_ms, scaled_ms, .. } = call(network, phone, 20);
            let case = format!("{} ms, jitter of {jitter_ms} ms", phone.stands_ms);
            assert_eq!((row.late, concealed_ms), (0, 0), "{case}");
            assert!(scaled_ms <= 40, "{case}: {scaled_ms} ms, {} ms deep", row.depth_ms);
            assert!((15..=45).contains(&row.depth_ms), "{case}: {} ms", row.depth_ms);
        }
    }
}

/// An hour; a day with `make soak`.
#[test]
fn a_day_of_virtual_time_leaves_everything_where_it_was() {
    let hours = if std::env::var_os("TIPRING_SOAK").is_some() { 24 } else { 1 };
    let network = Impairment { loss: 0.5, jitter_ms: 20.0, doubled: 0.5, ..Impairment::default() };
    let (mut line, mut way, mut sent) = (Line::new(), Way::new(network, 7), 0);
    let seconds = hours * 3600;
    let payload = [0x11; 160];
    let phone = Phone { ppm: 30.0, ..SPEAKS };
    for tick in 1..=seconds * 50 {
        let now_ms = f64::from(tick) * 20.0;
        while sent < phone.sent_by(now_ms) {
            let head = header(0, sent, sent.wrapping_mul(160), false);
            way.send(phone.leaves_ms(sent), [&head[..], &payload].concat());
            sent += 1;
        }
        line.tick(now_ms, &mut way);
        while line.session.poll_signal().is_some() {}
    }
    let row = line.session.stats(0);
    assert!((15..=80).contains(&row.depth_ms), "{} ms deep", row.depth_ms);
    let made_up = line.playout.counts().concealed as f64 / 8.0 / f64::from(seconds * 1000);
    assert!(made_up < 0.02, "{made_up} of the time made up");
    assert!(u64::from(sent) - (row.received + row.lost) <= 3, "{row:?}");
}
