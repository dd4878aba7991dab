//! Of digits that are told, or kept, next to nothing is heard: 40 ms of each at most.

use crate::rig::Rig;
use std::net::{Ipv4Addr, UdpSocket};
use tipring_engine::codec::g711;
use tipring_engine::dsp::dtmf_detector::{DtmfDetector, DtmfEvent};
use tipring_engine::frame::{Companded, SILENCE};
use tipring_shm_proto::command::*;
use tipring_shm_proto::event::{DigitSource, LineEvent};
use tipring_shm_proto::units::LineId;
use tipring_shm_proto::{AudioReader, Direction, Next};

/// What may be heard of a digit.
const LEAK_MS: usize = 40;
const DIGITS: &str = "159D0#";
const ON_MS: u16 = 100;

fn plain(tick: &mut dyn FnMut()) {
    tick();
}

fn lift(rig: &mut Rig, line: u16) {
    rig.do_it(line, Command::Sim(SimAction::Hook { off: true, bounce_ms: 0 }));
    rig.wait_for(line, |e| matches!(e, LineEvent::HookChanged { hook: Hook::Off, .. }));
}

/// A SIP phone's socket, its RTP open and lifted.
fn phone(rig: &mut Rig, line: u16, telephone_event: Option<u8>) -> (UdpSocket, u16) {
    let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    phone.set_nonblocking(true).unwrap();
    let remote = Some(phone.local_addr().unwrap().into());
    let (law, send, receive) = (Law::Mu, true, true);
    let media =
        RtpMedia { remote, law, telephone_event, send, receive, rtcp_mux: false, srtp: None };
    let local_ip = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let opened = rig.ask(line, Command::OpenRtp { media, local_ip });
    let Outcome::RtpOpened { port } = opened else { panic!("{opened:?}") };
    rig.do_it(line, Command::ReportHook { hook: Hook::Off, source: HookSource::Signalling });
    (phone, port)
}

fn press(rig: &mut Rig, line: u16, off_ms: u16) {
    let digits = Digits::new(DIGITS).unwrap();
    rig.do_it(line, Command::Sim(SimAction::DialTones { digits, on_ms: ON_MS, off_ms }));
}

/// How long each sound lasts, ms; less than 20 ms of silence do not end one.
fn sounds_ms(heard: &[i16]) -> Vec<usize> {
    let mut sounds: Vec<(usize, usize)> = Vec::new();
    for (ms, samples) in heard.chunks(8).enumerate() {
        if samples.iter().all(|s| s.unsigned_abs() <= 40) {
            continue;
        }
        match sounds.last_mut() {
            Some((_, end)) if ms - *end < 20 => *end = ms + 1,
            _ => sounds.push((ms, ms + 1)),
        }
    }
    sounds.into_iter().map(|(begin, end)| end - begin).collect()
}

/// What came to a phone: audio, and the events whose end was seen.
#[derive(Default)]
struct Came {
    audio: Vec<i16>,
    events: Vec<(u8, u16)>,
}

fn receive(phone: &UdpSocket, came: &mut Came) {
    let mut packet = [0; 1500];
    while let Ok(len) = phone.recv(&mut packet) {
        match packet[1] & 0x7f {
            0 => {
                let octets = packet[12..len].try_into().expect("20 ms");
                let mut frame = SILENCE;
                g711::decode(&Companded { law: Law::Mu, octets }, &mut frame);
                came.audio.extend(frame);
            }
            101 if packet[13] & 0x80 != 0 => {
                let event = (packet[12], u16::from_be_bytes([packet[14], packet[15]]) / 8);
                if came.events.last() != Some(&event) || packet[1] & 0x80 != 0 {
                    came.events.push(event);
                }
            }
            _ => {}
        }
    }
}

fn numbers(digits: &str) -> Vec<u8> {
    digits
        .bytes()
        .map(|digit| b"0123456789*#ABCD".iter().position(|d| *d == digit).unwrap() as u8)
        .collect()
}

#[test]
fn tones_become_events_and_are_not_heard_beside_them() {
    let mut rig = Rig::new(plain);
    lift(&mut rig, 0);
    let (socket, _) = phone(&mut rig, 2, Some(101));
    rig.do_it(0, Command::Bridge { peer: LineId(2) });
    (0..10).for_each(|_| rig.period());
    receive(&socket, &mut Came::default());
    // Long enough for the event that is sent meanwhile in the place of audio.
    press(&mut rig, 0, 287);
    let mut came = Came::default();
    for _ in 0..150 {
        rig.period();
        receive(&socket, &mut came);
    }
    let told: Vec<u8> = came.events.iter().map(|(event, _)| *event).collect();
    assert_eq!(told, numbers(DIGITS));
    assert!(came.events.iter().all(|(_, ms)| ms.abs_diff(ON_MS) <= 20), "{:?}", came.events);
    let leaks = sounds_ms(&came.audio);
    println!("ms of digits that are heard: {leaks:?}");
    assert_eq!(leaks.len(), DIGITS.len());
    assert!(leaks.iter().all(|ms| *ms <= LEAK_MS), "{leaks:?}");
}

#[test]
fn events_become_tones_at_a_phone_that_has_none() {
    let mut rig = Rig::new(plain);
    lift(&mut rig, 0);
    let (socket, port) = phone(&mut rig, 2, Some(101));
    rig.do_it(0, Command::Bridge { peer: LineId(2) });
    let mut ear = rig.apid.as_ref().unwrap().map.audio_reader(LineId(0), Direction::Tx);
    let mut sequence = 0u16;
    let mut send = |payload: u8, timestamp: u32, octets: &[u8]| {
        let mut packet = vec![0x80, payload];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(7u32.to_be_bytes());
        packet.extend(octets);
        sequence += 1;
        socket.send_to(&packet, (Ipv4Addr::LOCALHOST, port)).unwrap();
    };
    let mut detector = DtmfDetector::default();
    let mut heard = Vec::new();
    let mut listen = |rig: &mut Rig| {
        rig.period();
        while let Next::Frame(frame) = ear.next() {
            for event in detector.hear(&frame.samples) {
                if let DtmfEvent::End { digit, duration_ms, .. } = event {
                    heard.push((digit, duration_ms));
                }
            }
        }
    };
    let mut frame = 0u32;
    for _ in 0..10 {
        send(0, frame * 160, &[0xff; 160]);
        frame += 1;
        listen(&mut rig);
    }
    for number in numbers(DIGITS) {
        let begin = frame * 160;
        for n in 1..=5u16 {
            let [high, low] = (n * 160).to_be_bytes();
            send(101, begin, &[number, if n == 5 { 0x8a } else { 0x0a }, high, low]);
            frame += 1;
            listen(&mut rig);
        }
        for _ in 0..8 {
            send(0, frame * 160, &[0xff; 160]);
            frame += 1;
            listen(&mut rig);
        }
    }
    (0..10).for_each(|_| listen(&mut rig));
    let digits: String = heard.iter().map(|(digit, _)| char::from(*digit)).collect();
    assert_eq!(digits, DIGITS);
    assert!(heard.iter().all(|(_, ms)| ms.abs_diff(ON_MS) <= 20), "{heard:?}");
}

fn sounds_heard(rig: &mut Rig, ear: &mut AudioReader, periods: usize) -> Vec<usize> {
    let mut samples = Vec::new();
    for _ in 0..periods {
        rig.period();
        while let Next::Frame(frame) = ear.next() {
            samples.extend(frame.samples);
        }
    }
    sounds_ms(&samples)
}

/// Two analog phones hear each other's tones as they are, until somebody collects them.
#[test]
fn digits_that_are_kept_are_not_heard_by_who_talks_with_the_phone() {
    let mut rig = Rig::new(plain);
    lift(&mut rig, 0);
    lift(&mut rig, 1);
    rig.do_it(0, Command::Bridge { peer: LineId(1) });
    let mut ear = rig.apid.as_ref().unwrap().map.audio_reader(LineId(1), Direction::Tx);
    for keep in [false, true, false] {
        rig.do_it(0, Command::KeepDigits(keep));
        sounds_heard(&mut rig, &mut ear, 20);
        rig.seen.clear();
        press(&mut rig, 0, 93);
        let heard = sounds_heard(&mut rig, &mut ear, 90);
        println!("kept: {keep}: ms of digits that are heard: {heard:?}");
        if keep {
            assert!(!heard.is_empty() && heard.iter().all(|ms| *ms <= LEAK_MS), "{heard:?}");
        } else {
            assert_eq!(heard.len(), DIGITS.len());
            assert!(heard.iter().all(|ms| ms.abs_diff(usize::from(ON_MS)) <= 3), "{heard:?}");
        }
        let told = rig.seen.iter().filter(|(line, event)| {
            line.0 == 0 && matches!(event, LineEvent::Digit { source: DigitSource::Dtmf, .. })
        });
        assert_eq!(told.count(), DIGITS.len());
    }
}
