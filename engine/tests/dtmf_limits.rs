//! The DTMF detector against ITU-T Q.24 (AT&T and NTT columns) and ETSI ES 201 235-3, through an
//! A-law round trip: all 16 digits, in several alignments to the frames, random phases.

use tipring_engine::dsp::dtmf_detector::{DtmfDetector, DtmfEvent};
use tipring_engine::dsp::dtmf_limits::DtmfLimits;
use tipring_engine::frame::{Linear, SILENCE};
use tipring_shm_proto::settings::DtmfProfile::{self, Att, Etsi, Ntt};
use tipring_shm_proto::settings::DtmfSettings;
use tipring_shm_proto::units::TenthDbm0;
use tipring_signals::companding::Law;
use tipring_signals::dtmf::{Digit, KEYPAD};
use tipring_signals::noise::Noise;
use tipring_signals::signal::Signal;

const PROFILES: [DtmfProfile; 3] = [Att, Ntt, Etsi];

/// In which a dial tone becomes known: 320 ms.
const LEAD: usize = 2560;

/// Begins with this much silence, in samples, so that every alignment occurs.
fn after(samples: usize) -> Signal {
    Signal::new(1 + samples as u64).silence_up_to(400 + samples)
}

fn frames(signal: &Signal) -> Vec<Linear> {
    let mut samples = signal.companded(Law::A);
    samples.resize(samples.len() + 10 * SILENCE.len(), 0);
    samples.as_chunks().0.to_vec()
}

fn detector(profile: DtmfProfile) -> DtmfDetector {
    DtmfDetector::new(DtmfLimits::of(DtmfSettings { profile, weakest: None }))
}

/// What is certain.
fn events(profile: DtmfProfile, signal: &Signal) -> Vec<DtmfEvent> {
    let mut detector = detector(profile);
    let events = frames(signal).into_iter().flat_map(|frame| detector.hear(&frame));
    events.filter(|event| !matches!(event, DtmfEvent::Early { .. })).collect()
}

/// Digits that were heard from beginning to end.
fn heard(profile: DtmfProfile, signal: &Signal) -> String {
    let mut begun = None;
    let mut heard = String::new();
    for event in events(profile, signal) {
        match event {
            DtmfEvent::Early { .. } => unreachable!("left out"),
            DtmfEvent::Begin { digit } => {
                assert!(begun.is_none());
                begun = Some(digit);
            }
            DtmfEvent::End { digit, .. } => {
                assert_eq!(begun.take(), Some(digit));
                heard.push(char::from(digit));
            }
        }
    }
    assert!(begun.is_none());
    heard
}

/// How many of all digits, in all alignments, are heard exactly once.
#[derive(Debug, PartialEq)]
enum Share {
    All,
    Some(usize),
    None,
}

/// Of all digits and `alignments` alignments, those that are heard exactly once.
fn share(profile: DtmfProfile, alignments: usize, sent: impl Fn(Digit) -> Digit) -> Share {
    share_in(profile, alignments, sent, |signal| signal)
}

fn share_in(
    profile: DtmfProfile,
    alignments: usize,
    sent: impl Fn(Digit) -> Digit,
    change: impl Fn(Signal) -> Signal,
) -> Share {
    let mut right = 0;
    for &digit in KEYPAD {
        for alignment in 0..alignments {
            let signal = after(LEAD + alignment * 160 / alignments);
            let signal = signal.digit(sent(Digit::nominal(digit)));
            let heard = heard(profile, &change(signal));
            right += usize::from(heard == char::from(digit).to_string());
        }
    }
    match right {
        0 => Share::None,
        all if all == KEYPAD.len() * alignments => Share::All,
        some => Share::Some(some),
    }
}

#[test]
fn levels_of_each_profile() {
    for (profile, accepted, refused) in [
        (Att, &[0.0, -1.0, -4.0, -10.0, -20.0, -25.0, -36.0, -38.0][..], -55.0),
        (Ntt, &[-3.0, -10.0, -24.0], -29.0),
        (Etsi, &[-4.0, -10.0, -30.0], -33.0),
    ] {
        for &dbm0 in accepted {
            let share = share(profile, 8, |digit| digit.at(dbm0));
            assert_eq!(share, Share::All, "{profile:?} {dbm0} dBm0");
        }
        assert_eq!(share(profile, 8, |digit| digit.at(refused)), Share::None, "{profile:?}");
    }
}

#[test]
fn sensitivity_is_a_setting() {
    let weakest = Some(TenthDbm0(-300));
    let mut detector = detector(Att);
    detector.set_limits(DtmfLimits::of(DtmfSettings { profile: Att, weakest }));
    for (dbm0, expected) in [(-29.0, true), (-31.0, false)] {
        for &digit in KEYPAD {
            let signal = after(usize::from(digit)).digit(Digit::nominal(digit).at(dbm0));
            let mut events = frames(&signal).into_iter().flat_map(|frame| detector.hear(&frame));
            let heard = events.any(|event| matches!(event, DtmfEvent::End { .. }));
            assert_eq!(heard, expected, "{dbm0} dBm0 {}", char::from(digit));
        }
    }
}

#[test]
fn forty_milliseconds_are_a_digit_and_twenty_three_are_none() {
    for profile in PROFILES {
        for ms in [38.0, 40.0, 41.0, 45.0, 100.0, 1000.0] {
            let share = share(profile, 16, |digit| digit.lasting(ms));
            assert_eq!(share, Share::All, "{profile:?} {ms} ms");
        }
        for ms in [10.0, 20.0, 23.0, 24.0] {
            let share = share(profile, 32, |digit| digit.lasting(ms));
            assert_eq!(share, Share::None, "{profile:?} {ms} ms");
        }
    }
}

#[test]
fn frequencies_are_accepted_within_two_and_refused_from_three_percent() {
    let of_either_and_both = |off: f64| [[off, 0.0], [0.0, off], [off, off], [off, -off]];
    for profile in PROFILES {
        for off in [0.015, -0.015, 0.018, -0.018].into_iter().flat_map(of_either_and_both) {
            assert_eq!(share(profile, 8, |digit| digit.off(off)), Share::All, "{off:?}");
        }
        for off in
            [0.03, -0.03, 0.035, -0.035, 0.05, -0.05].into_iter().flat_map(of_either_and_both)
        {
            for ms in [50.0, 500.0] {
                let share = share(profile, 4, |digit| digit.off(off).lasting(ms));
                assert_eq!(share, Share::None, "{profile:?} {off:?} for {ms} ms");
            }
        }
    }
    // ES 201 235-3: 1.5 % and 2 Hz more.
    let etsi = |hz: f64| 0.015 + 2.0 / hz;
    assert_eq!(share(Etsi, 8, |digit| digit.off([etsi(697.0), etsi(1209.0)])), Share::All);
}

#[test]
fn twist_of_each_profile() {
    for (profile, accepted) in
        [(Att, &[-8.0, -6.0, -3.0, 2.0, 4.0][..]), (Ntt, &[-5.0, 5.0]), (Etsi, &[-6.0, 6.0])]
    {
        for &db in accepted {
            let share = share(profile, 8, |digit| digit.twisted(db));
            assert_eq!(share, Share::All, "{profile:?} {db} dB");
        }
        for db in [-12.0, 12.0, -20.0, 20.0] {
            let share = share(profile, 8, |digit| digit.twisted(db));
            assert_eq!(share, Share::None, "{profile:?} {db} dB");
        }
    }
}

#[test]
fn a_pause_separates_and_an_interruption_does_not() {
    for (profile, bridged, separating) in [(Att, 20.0, 40.0), (Ntt, 10.0, 30.0), (Etsi, 19.0, 40.0)]
    {
        let twice = |digit, gap, alignment| {
            let sent = Digit::nominal(digit);
            heard(profile, &after(alignment).digit(sent).silence(gap).digit(sent)).len()
        };
        for &digit in KEYPAD {
            for alignment in (0..160).step_by(10) {
                assert_eq!(twice(digit, 10.0, alignment), 1, "{profile:?}");
                assert_eq!(twice(digit, bridged, alignment), 1, "{profile:?}");
                assert_eq!(twice(digit, separating, alignment), 2, "{profile:?}");
                assert_eq!(twice(digit, 60.0, alignment), 2, "{profile:?}");
            }
        }
        for before_end in [50.0, 45.0, 35.0, 25.0, 15.0] {
            let interrupted = |signal: Signal| signal.interrupted(before_end, 10.0);
            let share = share_in(profile, 16, |digit| digit.lasting(60.0), interrupted);
            assert_eq!(share, Share::All, "{profile:?} 10 ms, {before_end} ms before the end");
        }
    }
}

#[test]
fn fast_dialling_is_heard_in_order() {
    let number = "0123456789*#ABCD5551";
    for alignment in 0..160 {
        let mut signal = after(alignment);
        for digit in number.bytes() {
            signal = signal.digit(Digit::nominal(digit)).silence(45.0);
        }
        assert_eq!(heard(Att, &signal), number);
    }
}

#[test]
fn noise_and_dial_tone_do_not_hide_digits() {
    for profile in PROFILES {
        for snr in [20.0, 15.0, 12.0] {
            // Both tones together are 3 dB louder than one.
            let noisy =
                |signal: Signal| signal.silence(100.0).over_noise(Noise::Band, -10.0 + 3.01 - snr);
            assert_eq!(share_in(profile, 8, |digit| digit, noisy), Share::All, "{snr} dB");
        }
        for tones in [[350.0, 440.0], [400.0, 450.0], [425.0, 425.0], [440.0, 480.0]] {
            for dbm0 in [-15.0, -10.0] {
                let dialled = |signal: Signal| signal.silence(100.0).over_sines(&tones, dbm0);
                let share = share_in(profile, 8, |digit| digit.at(-15.0), dialled);
                assert_eq!(share, Share::All, "{profile:?} {tones:?} at {dbm0} dBm0");
            }
        }
    }
}

#[test]
fn length_level_and_twist_are_told() {
    for ms in [40.0, 50.0, 75.0, 100.0, 250.0] {
        for &digit in KEYPAD {
            for db in [-4.0, 2.0] {
                let sent = Digit::nominal(digit).lasting(ms).at(-12.0).twisted(db);
                let [
                    DtmfEvent::Begin { digit: begun },
                    DtmfEvent::End { digit: ended, duration_ms, level, twist },
                ] = events(Att, &after(usize::from(digit)).digit(sent))[..]
                else {
                    panic!("not one digit")
                };
                assert_eq!((begun, ended), (digit, digit));
                assert!((f64::from(duration_ms) - ms).abs() <= 6.0, "{duration_ms} of {ms} ms");
                assert!((level.0 + 120).abs() <= 15, "{level:?}");
                assert!((f64::from(twist.0) - 10.0 * db).abs() <= 10.0, "{twist:?} of {db} dB");
            }
        }
    }
}

/// Whoever must not let a digit through silences the frame in which it is suspected, and those
/// after it.
#[test]
fn little_of_a_digit_passes_before_it_is_suspected() {
    for &digit in KEYPAD {
        for alignment in (0..160).step_by(5) {
            let begin = 400 + alignment;
            let mut detector = detector(Att);
            let signal = after(alignment).digit(Digit::nominal(digit));
            let frames = frames(&signal);
            let suspected = frames.iter().position(|frame| {
                let events = detector.hear(frame);
                events.iter().any(|event| event == DtmfEvent::Early { digit })
            });
            let passed_ms = (suspected.expect("it is heard") * 160).saturating_sub(begin) / 8;
            assert!(passed_ms <= 20, "{} passes for {passed_ms} ms", char::from(digit));
        }
    }
}

/// Noise, as it is and through two resonances that lie on a key's tones, with the rhythm of
/// syllables, is no digit.
#[test]
fn speech_like_noise_is_no_digit() {
    for dbm0 in [-30.0, -10.0] {
        let noise = after(0).silence(60_000.0).over_noise(Noise::White, dbm0);
        assert_eq!(events(Att, &noise), []);
    }
    for &key in KEYPAD {
        let [low, high] = tipring_signals::dtmf::frequencies_hz(key);
        for width in [60.0, 100.0, 150.0] {
            let noise = Signal::new(7).silence(30_000.0).over_noise(Noise::White, -20.0);
            let (mut low, mut high) = (Resonance::new(low, width), Resonance::new(high, width));
            let said: Vec<f64> = noise
                .samples()
                .iter()
                .enumerate()
                .map(|(n, &sample)| {
                    let syllables = (std::f64::consts::TAU * 2.0 * n as f64 / 8000.0).sin().abs();
                    (low.hear(sample) + 0.7 * high.hear(sample)) * syllables
                })
                .collect();
            let said = Signal::new(0).then(&said);
            assert_eq!(events(Att, &said), [], "{} {width} Hz", char::from(key));
        }
    }
}

/// A formant: two poles.
struct Resonance {
    a: [f64; 2],
    gain: f64,
    state: [f64; 2],
}

impl Resonance {
    fn new(hz: f64, width_hz: f64) -> Self {
        let radius = (-std::f64::consts::PI * width_hz / 8000.0).exp();
        let angle = std::f64::consts::TAU * hz / 8000.0;
        Self {
            a: [2.0 * radius * angle.cos(), -radius * radius],
            gain: 1.0 - radius,
            state: [0.0; 2],
        }
    }

    fn hear(&mut self, input: f64) -> f64 {
        let output = self.gain * input + self.a[0] * self.state[0] + self.a[1] * self.state[1];
        self.state = [output, self.state[0]];
        output
    }
}
