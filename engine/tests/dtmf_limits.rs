//! The DTMF detector against ITU-T Q.24 (AT&T column), through an A-law round trip: all 16 digits,
//! in several alignments to the frames, random phases.

use tipring_engine::codec::g711;
use tipring_engine::dsp::dtmf_detector::{DtmfDetector, DtmfEvent};
use tipring_engine::dsp::dtmf_sender::{HIGH_HZ, LOW_HZ, place_of};
use tipring_engine::frame::{Companded, Linear};
use tipring_shm_proto::command::Law;

const KEYPAD: &[u8] = b"123A456B789C*0#D";

/// Peak of a sine of this level.
fn peak(dbm0: f64) -> f64 {
    32767.0 * 10f64.powf((dbm0 - 314.0 / 100.0) / 20.0)
}

/// A signal under composition.
struct Signal {
    samples: Vec<f64>,
    seed: u64,
}

/// How a digit is sent.
#[derive(Clone, Copy)]
struct Sent {
    digit: u8,
    ms: f64,
    low_dbm0: f64,
    high_dbm0: f64,
    /// Relative deviation of low and high.
    off: [f64; 2],
}

impl Sent {
    fn new(digit: u8, ms: f64, dbm0: f64) -> Self {
        Self { digit, ms, low_dbm0: dbm0, high_dbm0: dbm0, off: [0.0; 2] }
    }
}

impl Signal {
    /// Begins with this much silence, in samples, so that every alignment occurs.
    fn after(samples: usize) -> Self {
        Self { samples: vec![0.0; 400 + samples], seed: 1 + samples as u64 }
    }

    fn silence(mut self, ms: f64) -> Self {
        self.samples.resize(self.samples.len() + (ms * 8.0).round() as usize, 0.0);
        self
    }

    fn digit(mut self, sent: Sent) -> Self {
        let (row, column) = place_of(sent.digit).unwrap();
        let hz = [
            f64::from(LOW_HZ[row]) * (1.0 + sent.off[0]),
            f64::from(HIGH_HZ[column]) * (1.0 + sent.off[1]),
        ];
        let peaks = [peak(sent.low_dbm0), peak(sent.high_dbm0)];
        // Any phase to begin with.
        let phases = [self.random(), self.random()];
        for n in 0..(sent.ms * 8.0).round() as usize {
            let sine = |i: usize| {
                let turns = hz[i] * n as f64 / 8000.0 + phases[i];
                peaks[i] * (std::f64::consts::TAU * turns).sin()
            };
            self.samples.push(sine(0) + sine(1));
        }
        self
    }

    /// Silences part of what is there.
    fn interrupted(mut self, from_ms: f64, ms: f64) -> Self {
        let from = self.samples.len() - (from_ms * 8.0) as usize;
        self.samples[from..from + (ms * 8.0) as usize].fill(0.0);
        self
    }

    fn with_noise(mut self, dbm0: f64) -> Self {
        let rms = peak(dbm0) / std::f64::consts::SQRT_2;
        for i in 0..self.samples.len() {
            let uniform: f64 = (0..12).map(|_| self.random()).sum::<f64>() - 6.0;
            self.samples[i] += rms * uniform;
        }
        self
    }

    fn with_tones(mut self, hz: &[f64], dbm0: f64) -> Self {
        for (n, sample) in self.samples.iter_mut().enumerate() {
            for hz in hz {
                let turns = (hz * n as f64 / 8000.0).fract();
                *sample += peak(dbm0) * (std::f64::consts::TAU * turns).sin();
            }
        }
        self
    }

    /// 0 to 1.
    fn random(&mut self) -> f64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 11) as f64 / (1u64 << 53) as f64
    }

    fn frames(&self, law: Law) -> Vec<Linear> {
        let mut padded = self.samples.clone();
        padded.resize(padded.len() + 1600, 0.0);
        padded
            .chunks_exact(160)
            .map(|chunk| {
                // A sender saturates; Rust's cast does too.
                let mut frame: Linear = std::array::from_fn(|i| chunk[i].round() as i16);
                let mut companded = Companded { law, octets: [0; 160] };
                g711::encode(&frame, law, &mut companded);
                g711::decode(&companded, &mut frame);
                frame
            })
            .collect()
    }

    fn events(&self, law: Law) -> Vec<DtmfEvent> {
        let mut detector = DtmfDetector::new();
        self.frames(law).iter().flat_map(|frame| detector.hear(frame)).collect()
    }

    /// Digits that were heard from beginning to end.
    fn heard(&self) -> String {
        let events = self.events(Law::A);
        let mut begun = None;
        let mut heard = String::new();
        for event in events {
            match event {
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
}

/// How many of all digits, in all alignments, are heard exactly once.
#[derive(Debug, PartialEq)]
enum Share {
    All,
    Some(usize),
    None,
}

/// Of all digits and `alignments` alignments, those that are heard exactly once.
fn share(alignments: usize, sent: impl Fn(u8) -> Sent) -> Share {
    share_in(alignments, sent, |signal| signal)
}

fn share_in(
    alignments: usize,
    sent: impl Fn(u8) -> Sent,
    change: impl Fn(Signal) -> Signal,
) -> Share {
    let mut right = 0;
    for &digit in KEYPAD {
        for alignment in 0..alignments {
            let signal = Signal::after(alignment * 160 / alignments).digit(sent(digit));
            let heard = change(signal).heard();
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
fn all_digits_are_heard_once_at_every_level() {
    for dbm0 in [0.0, -1.0, -4.0, -10.0, -20.0, -30.0, -36.0, -38.0] {
        assert_eq!(share(8, |digit| Sent::new(digit, 50.0, dbm0)), Share::All, "{dbm0} dBm0");
    }
    assert_eq!(share(8, |digit| Sent::new(digit, 50.0, -45.0)), Share::None);
}

#[test]
fn forty_milliseconds_are_a_digit_and_twenty_three_are_none() {
    for ms in [38.0, 40.0, 41.0, 45.0, 100.0, 1000.0] {
        assert_eq!(share(16, |digit| Sent::new(digit, ms, -10.0)), Share::All, "{ms} ms");
    }
    for ms in [10.0, 20.0, 23.0, 25.0] {
        assert_eq!(share(32, |digit| Sent::new(digit, ms, -10.0)), Share::None, "{ms} ms");
    }
}

#[test]
fn frequencies_are_accepted_within_two_and_refused_from_three_percent() {
    let both = |off: [f64; 2], ms| share(8, |digit| Sent { off, ..Sent::new(digit, ms, -10.0) });
    for off in [0.015, -0.015, 0.018, -0.018] {
        for off in [[off, 0.0], [0.0, off], [off, off], [off, -off]] {
            assert_eq!(both(off, 50.0), Share::All, "{off:?}");
        }
    }
    for off in [0.03, -0.03, 0.035, -0.035, 0.05, -0.05] {
        for off in [[off, 0.0], [0.0, off], [off, off], [off, -off]] {
            assert_eq!(both(off, 50.0), Share::None, "{off:?}");
            assert_eq!(both(off, 500.0), Share::None, "{off:?} for 500 ms");
        }
    }
}

#[test]
fn twist_of_q24_is_accepted() {
    for twist in [-8.0, -6.0, -3.0, 2.0, 4.0] {
        let sent = |digit| Sent { high_dbm0: -12.0 + twist, ..Sent::new(digit, 50.0, -12.0) };
        assert_eq!(share(8, sent), Share::All, "{twist} dB");
    }
}

#[test]
fn a_pause_separates_and_an_interruption_does_not() {
    let twice = |digit, gap, alignment| {
        let sent = Sent::new(digit, 50.0, -10.0);
        Signal::after(alignment).digit(sent).silence(gap).digit(sent).heard().len()
    };
    for &digit in KEYPAD {
        for alignment in (0..160).step_by(10) {
            assert_eq!(twice(digit, 10.0, alignment), 1);
            assert_eq!(twice(digit, 20.0, alignment), 1);
            assert_eq!(twice(digit, 40.0, alignment), 2);
            assert_eq!(twice(digit, 60.0, alignment), 2);
        }
    }
    for before_end in [50.0, 45.0, 35.0, 25.0, 15.0] {
        let sent = |digit| Sent::new(digit, 60.0, -10.0);
        let share = share_in(16, sent, |signal| signal.interrupted(before_end, 10.0));
        assert_eq!(share, Share::All, "10 ms, {before_end} ms before the end of 60");
    }
}

#[test]
fn fast_dialling_is_heard_in_order() {
    let number = "0123456789*#ABCD5551";
    for alignment in 0..160 {
        let mut signal = Signal::after(alignment);
        for digit in number.bytes() {
            signal = signal.digit(Sent::new(digit, 50.0, -10.0)).silence(45.0);
        }
        assert_eq!(signal.heard(), number);
    }
}

#[test]
fn noise_and_dial_tone_do_not_hide_digits() {
    for snr in [20.0, 15.0, 12.0] {
        // Both tones together are 3 dB louder than one.
        let sent = |digit| Sent::new(digit, 50.0, -10.0);
        let noisy = |signal: Signal| signal.silence(100.0).with_noise(-7.0 - snr);
        assert_eq!(share_in(8, sent, noisy), Share::All, "{snr} dB");
    }
    for tones in [[350.0, 440.0], [400.0, 450.0], [425.0, 425.0], [440.0, 480.0]] {
        for dbm0 in [-15.0, -10.0] {
            let sent = |digit| Sent::new(digit, 50.0, -15.0);
            let dialled = |signal: Signal| signal.silence(100.0).with_tones(&tones, dbm0);
            assert_eq!(share_in(8, sent, dialled), Share::All, "{tones:?} at {dbm0} dBm0");
        }
    }
}

#[test]
fn length_and_level_are_told() {
    for ms in [40.0, 50.0, 75.0, 100.0, 250.0] {
        for &digit in KEYPAD {
            let sent = Sent { low_dbm0: -14.0, ..Sent::new(digit, ms, -12.0) };
            let events = Signal::after(usize::from(digit)).digit(sent).events(Law::Mu);
            let [
                DtmfEvent::Begin { digit: begun },
                DtmfEvent::End { digit: ended, duration_ms, level },
            ] = events[..]
            else {
                panic!("{events:?}")
            };
            assert_eq!((begun, ended), (digit, digit));
            assert!((f64::from(duration_ms) - ms).abs() <= 6.0, "{duration_ms} of {ms} ms");
            assert!((level.0 + 120).abs() <= 15, "{level:?}");
        }
    }
}

/// Noise, as it is and through two resonances that lie on a key's tones, with the rhythm of
/// syllables, is no digit.
#[test]
fn speech_like_noise_is_no_digit() {
    for dbm0 in [-30.0, -10.0] {
        let noise = Signal::after(0).silence(60_000.0).with_noise(dbm0);
        assert_eq!(noise.events(Law::A), []);
    }
    for &key in KEYPAD {
        let (row, column) = place_of(key).unwrap();
        for width in [60.0, 100.0, 150.0] {
            let mut said = Signal::after(0).silence(30_000.0).with_noise(-20.0);
            let mut low = Resonance::new(f64::from(LOW_HZ[row]), width);
            let mut high = Resonance::new(f64::from(HIGH_HZ[column]), width);
            for (n, sample) in said.samples.iter_mut().enumerate() {
                let syllables = (std::f64::consts::TAU * 2.0 * n as f64 / 8000.0).sin().abs();
                *sample = (low.hear(*sample) + 0.7 * high.hear(*sample)) * syllables;
            }
            assert_eq!(said.events(Law::A), [], "{} {width} Hz", char::from(key));
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
