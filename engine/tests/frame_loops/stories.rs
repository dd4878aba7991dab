//! Whole lines in their frame loops, in virtual time: what an apid asks, hears and sees.

use crate::rig::Rig;
use std::net::{Ipv4Addr, UdpSocket};
use tipring_engine::config::Config;
use tipring_shm_proto::command::*;
use tipring_shm_proto::event::{DigitSource, LineEvent, PlaybackEnd, RingStop};
use tipring_shm_proto::units::{ConferenceId, LineId, MarkId, PlaybackId, TenthDb, TenthDbm0};
use tipring_shm_proto::{AudioReader, Direction, Next};

fn plain(tick: &mut dyn FnMut()) {
    tick();
}

fn lift(rig: &mut Rig, line: u16) {
    rig.do_it(line, Command::Sim(SimAction::Hook { off: true, bounce_ms: 0 }));
    rig.wait_for(line, |e| matches!(e, LineEvent::HookChanged { hook: Hook::Off, .. }));
}

fn reader(rig: &Rig, line: u16, direction: Direction) -> AudioReader {
    rig.apid.as_ref().unwrap().map.audio_reader(LineId(line), direction)
}

/// The next `frames` frames of a ring, none lost.
fn record(rig: &mut Rig, reader: &mut AudioReader, frames: usize) -> Vec<i16> {
    let mut samples = Vec::new();
    while samples.len() < frames * 160 {
        match reader.next() {
            Next::Frame(frame) => samples.extend(frame.samples),
            Next::Lost(n) => panic!("{n} frames lost"),
            Next::Empty => rig.period(),
        }
    }
    samples
}

/// Strength of one frequency, as the amplitude of its sine.
fn strength(samples: &[i16], hz: f64) -> f64 {
    let step = std::f64::consts::TAU * hz / 8000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        re += f64::from(sample) * (step * n as f64).cos();
        im += f64::from(sample) * (step * n as f64).sin();
    }
    2.0 * re.hypot(im) / samples.len() as f64
}

fn microphone_tone(rig: &mut Rig, line: u16, hz: u16, id: u64) {
    let step = ToneStep { hz: [hz, 0], level: TenthDbm0(-100), ms: 60_000, modulation_hz: 0 };
    let spec = ToneSpec { len: 1, steps: [step; 8], repeat: 1 };
    rig.do_it(
        line,
        Command::StartPlayback {
            slot: 3,
            playback: PlaybackId(id),
            path: PlayPath::Microphone,
            source: PlaySource::Tone(spec),
            gain: TenthDb(0),
            stop_on: StopOn::default(),
        },
    );
}

fn play_ring(rig: &mut Rig, line: u16, id: u64, stop_on: StopOn) {
    rig.do_it(
        line,
        Command::StartPlayback {
            slot: 0,
            playback: PlaybackId(id),
            path: PlayPath::Line,
            source: PlaySource::Ring,
            gain: TenthDb(0),
            stop_on,
        },
    );
}

#[test]
fn a_lifted_phone_hears_dial_tone_until_its_first_digit() {
    let mut rig = Rig::new(plain);
    let mut ear = reader(&rig, 0, Direction::Tx);
    lift(&mut rig, 0);
    let tone = record(&mut rig, &mut ear, 20);
    assert!(strength(&tone[800..], 350.0) > 500.0 && strength(&tone[800..], 440.0) > 500.0);
    let digits = Digits::new("5").unwrap();
    rig.do_it(0, Command::Sim(SimAction::DialTones { digits, on_ms: 80, off_ms: 80 }));
    let digit = rig.wait_for(0, |e| matches!(e, LineEvent::Digit { .. }));
    assert!(
        matches!(digit, LineEvent::Digit { digit: b'5', source: DigitSource::Dtmf, .. }),
        "{digit:?}"
    );
    let mut ear = reader(&rig, 0, Direction::Tx);
    let silence = record(&mut rig, &mut ear, 10);
    assert!(strength(&silence, 350.0) < 5.0);
}

#[test]
fn two_phones_hear_each_other_and_not_themselves() {
    let mut rig = Rig::new(plain);
    lift(&mut rig, 0);
    lift(&mut rig, 1);
    rig.do_it(0, Command::Bridge { peer: LineId(1) });
    microphone_tone(&mut rig, 0, 700, 1);
    microphone_tone(&mut rig, 1, 1900, 2);
    let mut ears = [reader(&rig, 0, Direction::Tx), reader(&rig, 1, Direction::Tx)];
    for _ in 0..10 {
        rig.period();
    }
    let heard = ears.each_mut().map(|ear| record(&mut rig, ear, 25));
    let strengths = heard.map(|h| [strength(&h[2000..], 700.0), strength(&h[2000..], 1900.0)]);
    let [[own0, peer1], [peer0, own1]] = strengths;
    assert!(peer0 > 4000.0 && peer1 > 4000.0 && own0 < 50.0 && own1 < 50.0, "{strengths:?}");
    rig.do_it(0, Command::Sim(SimAction::Hook { off: false, bounce_ms: 0 }));
    rig.wait_for(1, |e| matches!(e, LineEvent::BridgeEnded { peer: LineId(0) }));
}

fn confer(rig: &mut Rig, line: u16, heard_by: HeardBy) {
    rig.do_it(line, Command::Confer { conference: ConferenceId(1), heard_by });
}

/// Whether each of these lines hears each of these frequencies, once what was before is over.
fn who_hears(rig: &mut Rig, lines: [u16; 3], hz: [u16; 3]) -> [[bool; 3]; 3] {
    for _ in 0..15 {
        rig.period();
    }
    let mut ears = lines.map(|line| reader(rig, line, Direction::Tx));
    let heard = ears.each_mut().map(|ear| record(rig, ear, 25));
    heard.map(|heard| {
        hz.map(|hz| {
            let strength = strength(&heard, f64::from(hz));
            assert!(!(50.0..4000.0).contains(&strength), "{hz} Hz is neither there nor not");
            strength > 4000.0
        })
    })
}

#[test]
fn a_conference_hears_everybody_but_himself_and_outlives_apid() {
    let config = Config { simulated_lines: 4, rtp_lines: 0, ..Config::default() };
    let mut rig = Rig::of(Config { conference_members: 3, ..config }, plain);
    let hz = [700, 1100, 1900];
    for line in 0..3 {
        lift(&mut rig, line);
        microphone_tone(&mut rig, line, hz[usize::from(line)], 1);
        confer(&mut rig, line, HeardBy::Everybody);
    }
    lift(&mut rig, 3);
    let full = Command::Confer { conference: ConferenceId(1), heard_by: HeardBy::Nobody };
    assert_eq!(rig.ask(3, full), Outcome::Refused(Refusal::Full));
    assert_eq!(rig.ask(0, full), Outcome::Refused(Refusal::Bridged));
    let (bridge, nowhere) = (
        Command::Bridge { peer: LineId(1) },
        Command::Confer { conference: ConferenceId(999), heard_by: HeardBy::Nobody },
    );
    assert_eq!(rig.ask(3, bridge), Outcome::Refused(Refusal::Bridged));
    assert_eq!(rig.ask(3, nowhere), Outcome::Refused(Refusal::Malformed));
    let (yes, no) = (true, false);
    let others = [[no, yes, yes], [yes, no, yes], [yes, yes, no]];
    assert_eq!(who_hears(&mut rig, [0, 1, 2], hz), others);
    // Muted, one is not heard; on hold, one does not hear either.
    rig.do_it(0, Command::Mute { spoken: true, heard: false });
    rig.do_it(1, Command::Hold(true));
    let some = [[no, no, yes], [no, no, no], [no, no, no]];
    assert_eq!(who_hears(&mut rig, [0, 1, 2], hz), some);
    rig.do_it(0, Command::Mute { spoken: false, heard: false });
    rig.do_it(1, Command::Hold(false));
    // Nobody minds that apid is gone, and the next one finds them there.
    rig.apid = None;
    for _ in 0..30 {
        rig.period();
    }
    rig.attach();
    assert_eq!(who_hears(&mut rig, [0, 1, 2], hz), others);
    let sits = |rig: &Rig, line| rig.apid.as_ref().unwrap().map.line(LineId(line)).unwrap();
    assert_eq!(sits(&rig, 2).conference, Some(ConferenceId(1)));
    // Who whispers is heard by one; a seat is free when its line has left, or is on hook.
    rig.do_it(2, Command::Unbridge);
    confer(&mut rig, 2, HeardBy::Only(LineId(0)));
    let whispered = [[no, yes, yes], [yes, no, no], [yes, yes, no]];
    assert_eq!(who_hears(&mut rig, [0, 1, 2], hz), whispered);
    rig.seen.clear();
    rig.do_it(1, Command::Sim(SimAction::Hook { off: false, bounce_ms: 0 }));
    rig.wait_for(1, |e| matches!(e, LineEvent::HookChanged { hook: Hook::On, .. }));
    assert_eq!(sits(&rig, 1).conference, None);
    for _ in 0..10 {
        rig.period();
    }
    confer(&mut rig, 3, HeardBy::Nobody);
    assert_eq!(who_hears(&mut rig, [0, 2, 3], hz)[2], [yes, no, no]);
}

#[test]
fn a_bridge_outlives_apid_and_the_next_one_finds_it() {
    let mut rig = Rig::new(plain);
    lift(&mut rig, 0);
    lift(&mut rig, 1);
    rig.do_it(0, Command::Tag(42));
    rig.do_it(0, Command::Bridge { peer: LineId(1) });
    rig.apid = None;
    for _ in 0..30 {
        rig.period();
    }
    rig.attach();
    let row = rig.apid.as_ref().unwrap().map.line(LineId(0)).unwrap();
    assert_eq!((row.peer, row.tag), (Some(LineId(1)), 42));
    assert_eq!((row.state.value, row.phase), (LineState::OffHook, Some(Phase::Talking)));
    microphone_tone(&mut rig, 1, 1900, 2);
    let mut ear = reader(&rig, 0, Direction::Tx);
    let heard = record(&mut rig, &mut ear, 25);
    assert!(strength(&heard[2000..], 1900.0) > 4000.0);
    rig.do_it(0, Command::HangUp);
    rig.wait_for(1, |e| matches!(e, LineEvent::BridgeEnded { .. }));
}

#[test]
fn what_is_played_is_heard_exactly_and_a_flush_tells_how_much() {
    let mut rig = Rig::new(plain);
    lift(&mut rig, 0);
    play_ring(&mut rig, 0, 7, StopOn::default());
    let map = &rig.apid.as_ref().unwrap().map;
    let mut prompt = map.play_writer(LineId(0), 0);
    let mut ear = reader(&rig, 0, Direction::Tx);
    for n in 0..60_i16 {
        prompt.audio(PlaybackId(7), &[n * 100 + 100; 100]).unwrap();
    }
    prompt.mark(PlaybackId(7), MarkId(9)).unwrap();
    for _ in 0..60 {
        prompt.audio(PlaybackId(7), &[7000; 100]).unwrap();
    }
    let mark = rig.wait_for(0, |e| matches!(e, LineEvent::Mark { .. }));
    let expected =
        LineEvent::Mark { playback: PlaybackId(7), mark: MarkId(9), played_samples: 6000 };
    assert_eq!(mark, expected);
    let flushed = rig.ask(0, Command::StopPlayback { playback: PlaybackId(7) });
    let Outcome::Flushed { played_samples, .. } = flushed else { panic!("{flushed:?}") };
    rig.wait_for(0, |e| matches!(e, LineEvent::PlaybackEnded { cause: PlaybackEnd::Stopped, .. }));
    // Heard are all samples that were counted and no other one; dial tone ended with the start.
    let mut heard = Vec::new();
    while let Next::Frame(frame) = ear.next() {
        heard.extend(frame.samples);
    }
    let first = heard.iter().position(|&s| s == 100).expect("the first sample is heard");
    let expected = (0..60_i16).flat_map(|n| [n * 100 + 100; 100]).chain([7000; 6000]);
    let played: Vec<i16> = expected.take(played_samples as usize).collect();
    assert_eq!(heard[first..][..played.len()], played[..]);
    assert!(heard[first + played.len() + 160..].iter().all(|&s| s == 0));
}

#[test]
fn a_digit_silences_a_prompt_that_wants_it() {
    let mut rig = Rig::new(plain);
    lift(&mut rig, 0);
    play_ring(&mut rig, 0, 7, StopOn { digit: true, voice: false });
    let map = &rig.apid.as_ref().unwrap().map;
    let mut prompt = map.play_writer(LineId(0), 0);
    for _ in 0..120 {
        prompt.audio(PlaybackId(7), &[3000; 160]).unwrap();
    }
    let digits = Digits::new("#").unwrap();
    rig.do_it(0, Command::Sim(SimAction::DialTones { digits, on_ms: 80, off_ms: 80 }));
    rig.wait_for(0, |e| matches!(e, LineEvent::PlaybackEnded { cause: PlaybackEnd::Digit, .. }));
    rig.wait_for(0, |e| matches!(e, LineEvent::Digit { digit: b'#', .. }));
}

#[test]
fn ring_trip_is_told_in_its_order() {
    let mut rig = Rig::new(plain);
    let caller = CallerId {
        number: tipring_shm_proto::units::Text32::EMPTY,
        name: tipring_shm_proto::units::Text32::EMPTY,
    };
    let cadence = Cadence::new(&[2000, 4000]).unwrap();
    rig.do_it(1, Command::Ring { cadence, timeout_ms: 30_000, caller });
    rig.wait_for(1, |e| matches!(e, LineEvent::RingStarted));
    rig.seen.clear();
    rig.do_it(1, Command::Sim(SimAction::Hook { off: true, bounce_ms: 20 }));
    rig.wait_for(1, |e| matches!(e, LineEvent::State { state: LineState::OffHook, .. }));
    let before: Vec<_> = rig.seen.iter().map(|(_, event)| *event).collect();
    let expected = [
        LineEvent::RingStopped { cause: RingStop::Answered },
        LineEvent::HookChanged { hook: Hook::Off, source: HookSource::Loop },
    ];
    assert_eq!(before, expected);
}

#[test]
fn an_rtp_phone_on_echo_hears_its_own_packets() {
    let mut rig = Rig::new(plain);
    let phone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    phone.set_nonblocking(true).unwrap();
    let remote = Some(phone.local_addr().unwrap().into());
    let media = RtpMedia {
        remote,
        law: Law::Mu,
        telephone_event: None,
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    };
    let local_ip = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let opened = rig.ask(2, Command::OpenRtp { media, local_ip });
    let Outcome::RtpOpened { port } = opened else { panic!("{opened:?}") };
    rig.do_it(2, Command::ReportHook { hook: Hook::Off, source: HookSource::Signalling });
    rig.do_it(2, Command::Echo(true));
    let talk = |rig: &mut Rig, period: std::ops::Range<u16>| {
        let mut heard = Vec::new();
        for n in period {
            let mut packet = vec![0x80, 0];
            packet.extend(n.to_be_bytes());
            packet.extend((u32::from(n) * 160).to_be_bytes());
            packet.extend(7_u32.to_be_bytes());
            packet.extend([0x80 | n as u8; 160]);
            phone.send_to(&packet, (Ipv4Addr::LOCALHOST, port)).unwrap();
            rig.period();
            let mut buffer = [0; 1500];
            while let Ok(len) = phone.recv(&mut buffer) {
                assert_eq!(len, 172);
                heard.push(buffer[12]);
            }
        }
        heard.into_iter().filter(|&octet| octet != 0xff).collect::<Vec<u8>>()
    };
    let echoed = talk(&mut rig, 0..40);
    let expected: Vec<u8> = (0..40).map(|n| 0x80 | n).collect();
    assert!(echoed.len() > 25, "{echoed:?}");
    assert!(expected.windows(echoed.len()).any(|w| w == echoed), "{echoed:?}");
    // What was echoed before may still be on its way for a frame or two.
    for (from, spoken, heard) in [(40, true, false), (100, false, true)] {
        rig.do_it(2, Command::Mute { spoken, heard });
        assert!(talk(&mut rig, from..from + 20).len() < 8, "{spoken} {heard}");
        assert_eq!(talk(&mut rig, from + 20..from + 40), [0_u8; 0], "{spoken} {heard}");
        rig.do_it(2, Command::Mute { spoken: false, heard: false });
        assert!(talk(&mut rig, from + 40..from + 60).len() > 10);
    }
}
