//! A telephone that talks is told who else calls, if it asks; nobody hears any of that.

use crate::rig::Rig;
use tipring_engine::dsp::caller_id::{FskReceiver, Told, message};
use tipring_shm_proto::command::*;
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::units::{
    FRAME_SAMPLES, LineId, PlaybackId, SAMPLE_RATE_HZ, TenthDb, TenthDbm0, Text32,
};
use tipring_shm_proto::{AudioReader, Direction, Next};

/// What the other one says all the time, Hz.
const SAYS_HZ: u16 = 700;
/// CAS (GR-30).
const ALERT_HZ: [u16; 2] = [2130, 2750];

fn john() -> CallerId {
    CallerId { number: Text32::new("5551234567"), name: Text32::new("JOHN SMITH") }
}

/// Level of a sine in a frame, dBm0 (Goertzel).
fn level_of(hz: u16, frame: &[i16; FRAME_SAMPLES]) -> f64 {
    let turn = std::f64::consts::TAU * f64::from(hz) / f64::from(SAMPLE_RATE_HZ);
    let (mut one, mut two) = (0.0, 0.0);
    for &sample in frame {
        (one, two) = (f64::from(sample) + 2.0 * turn.cos() * one - two, one);
    }
    let power = one * one + two * two - 2.0 * turn.cos() * one * two;
    let amplitude = 2.0 * power.max(1.0).sqrt() / FRAME_SAMPLES as f64;
    20.0 * (amplitude / 32_768.0).log10() + 3.1
}

fn hears(hz: u16, frame: &[i16; FRAME_SAMPLES]) -> bool {
    level_of(hz, frame) > -25.0
}

/// Two telephones that talk; the second one hums.
struct Talk {
    rig: Rig,
    ears: [AudioReader; 2],
}

impl Talk {
    fn new() -> Self {
        let mut rig = Rig::new(|tick| tick());
        for line in [0, 1] {
            rig.do_it(line, Command::Sim(SimAction::Hook { off: true, bounce_ms: 0 }));
            rig.wait_for(line, |e| matches!(e, LineEvent::HookChanged { hook: Hook::Off, .. }));
        }
        rig.do_it(0, Command::Bridge { peer: LineId(1) });
        let hum =
            ToneStep { hz: [SAYS_HZ, 0], level: TenthDbm0(-150), ms: 10_000, modulation_hz: 0 };
        rig.do_it(
            1,
            Command::StartPlayback {
                slot: 0,
                playback: PlaybackId(1),
                path: PlayPath::Microphone,
                source: PlaySource::Tone(ToneSpec { len: 1, steps: [hum; 8], repeat: 0 }),
                gain: TenthDb(0),
                stop_on: StopOn::default(),
            },
        );
        let map = &rig.apid.as_ref().unwrap().map;
        let ears = [0, 1].map(|line| map.audio_reader(LineId(line), Direction::Tx));
        let mut talk = Self { rig, ears };
        for _ in 0..10 {
            talk.listen();
        }
        talk.rig.seen.clear();
        talk
    }

    /// A period; what each ear was given.
    fn listen(&mut self) -> [Vec<[i16; FRAME_SAMPLES]>; 2] {
        self.rig.period();
        self.ears.each_mut().map(|ear| {
            let mut frames = Vec::new();
            while let Next::Frame(frame) = ear.next() {
                frames.push(frame.samples);
            }
            frames
        })
    }

    fn press(&mut self, digits: &str) {
        let digits = Digits::new(digits).unwrap();
        self.rig.do_it(0, Command::Sim(SimAction::DialTones { digits, on_ms: 60, off_ms: 60 }));
    }

    /// The call-waiting tone, and CAS to its end.
    fn alerted(&mut self) {
        self.rig.do_it(0, Command::CallWaiting { caller: john() });
        let mut began = false;
        for _ in 0..50 {
            for frame in &self.listen()[0] {
                let alerts = ALERT_HZ.iter().all(|&hz| hears(hz, frame));
                assert!(!hears(SAYS_HZ, frame), "it hears the other one");
                if began && !alerts {
                    return;
                }
                began |= alerts;
            }
        }
        panic!("no CAS, or no end of it");
    }

    fn digits(&self) -> usize {
        let digit = |event: &LineEvent| matches!(event, LineEvent::Digit { .. });
        self.rig.seen.iter().filter(|(_, event)| digit(event)).count()
    }
}

#[test]
fn a_telephone_that_asks_is_told_and_then_they_talk_on() {
    let mut talk = Talk::new();
    talk.alerted();
    talk.press("D");
    let (mut receiver, mut told) = (FskReceiver::new(), Vec::new());
    let mut periods = 0;
    while told.is_empty() {
        let [here, there] = talk.listen();
        for frame in &here {
            assert!(!hears(SAYS_HZ, frame), "it hears the other one");
            receiver.hear(frame, |octets| told.extend(message::read(octets)));
        }
        for frame in there.iter().flatten() {
            assert!(frame.unsigned_abs() <= 40, "the other one hears the digit");
        }
        periods += 1;
        assert!(periods < 100, "nobody was told");
    }
    assert_eq!(told, [Told::Call { caller: john(), time: None }]);
    assert_eq!(talk.digits(), 0, "its digit is nobody's");
    let after: Vec<_> = (0..20).flat_map(|_| talk.listen()[0].clone()).collect();
    assert!(after.last().is_some_and(|frame| hears(SAYS_HZ, frame)), "they talk on");
    talk.press("D");
    (0..15).for_each(|_| drop(talk.listen()));
    assert_eq!(talk.digits(), 1, "like any other now");
}

#[test]
fn a_telephone_that_does_not_ask_talks_on() {
    let mut talk = Talk::new();
    talk.alerted();
    let after: Vec<_> = (0..40).flat_map(|_| talk.listen()[0].clone()).collect();
    assert!(after[..20].iter().all(|frame| !hears(SAYS_HZ, frame)), "it may ask yet");
    assert!(after[30..].iter().all(|frame| hears(SAYS_HZ, frame)), "it does not");
}
