//! Echo control, after the tests of ITU-T G.168 §6: convergence (test 2), double talk (3), return
//! loss enhancement, and what the project promises of digits. Hybrids are independent synthetic
//! ones: the models of G.168 annex D could not be had. Everything passes an A-law round trip both
//! ways, as on a card.

use tipring_engine::codec::g711;
use tipring_engine::dsp::dtmf_detector::DtmfEvent;
use tipring_engine::dsp::dtmf_sender::{HIGH_HZ, LOW_HZ, place_of};
use tipring_engine::dsp::voice_activity::VoiceEvent;
use tipring_engine::dsp::{Listener, level};
use tipring_engine::frame::{Companded, Linear};
use tipring_shm_proto::command::Law;
use tipring_shm_proto::settings::LineSettings;
use tipring_shm_proto::units::TenthDbm0;
use tipring_signals::hybrid::{hybrid, through};

const KEYPAD: &[u8] = b"123A456B789C*0#D";

fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 11) as f64 / (1u64 << 53) as f64
}

fn gaussian(seed: &mut u64) -> f64 {
    (0..12).map(|_| random(seed)).sum::<f64>() - 6.0
}

/// Root mean square, in sample units, of this level.
fn rms(dbm0: f64) -> f64 {
    f64::from(level::peak(TenthDbm0((dbm0 * 10.0) as i16))) / std::f64::consts::SQRT_2
}

fn level_of(samples: &[f64]) -> f64 {
    let power = samples.iter().map(|s| s * s).sum::<f64>() / samples.len() as f64;
    f64::from(level::of_mean_square(power as f32).0) / 10.0
}

/// Brought to an active level: that of what is not a pause.
fn at_level(mut samples: Vec<f64>, dbm0: f64) -> Vec<f64> {
    let loud: Vec<f64> = samples
        .chunks(160)
        .filter(|frame| level_of(frame) > level_of(&samples) - 15.0)
        .flatten()
        .copied()
        .collect();
    let gain = 10f64.powf((dbm0 - level_of(&loud)) / 20.0);
    for sample in &mut samples {
        *sample *= gain;
    }
    samples
}

/// Something that has what speech has: a voice of a wandering pitch through wandering formants,
/// fricatives, syllables and pauses.
fn speech(seconds: usize, mut seed: u64) -> Vec<f64> {
    let mut samples = Vec::new();
    let mut resonators = [[0.0f64; 2]; 3];
    let mut phase = 0.0;
    while samples.len() < seconds * 8000 {
        let length = 800 + (random(&mut seed) * 1600.0) as usize;
        let voiced = random(&mut seed) < 0.75;
        let pause = random(&mut seed) < 0.15;
        let pitch = 90.0 + 130.0 * random(&mut seed);
        let spread = |seed: &mut u64, from: f64, by: f64| from + by * random(seed);
        let formants = [
            spread(&mut seed, 300.0, 500.0),
            spread(&mut seed, 900.0, 1200.0),
            spread(&mut seed, 2300.0, 900.0),
        ];
        for n in 0..length {
            let envelope = (std::f64::consts::PI * n as f64 / length as f64).sin();
            phase += (pitch + 10.0 * (n as f64 / 300.0).sin()) / 8000.0;
            let pulse = if phase >= 1.0 {
                phase -= 1.0;
                1.0
            } else {
                0.0
            };
            let source = if voiced { pulse * 8.0 } else { gaussian(&mut seed) * 0.4 };
            let source = source * envelope * f64::from(!pause);
            let mut sum = if voiced { 0.0 } else { source };
            for (state, hz) in resonators.iter_mut().zip(formants) {
                let radius = 0.97;
                let turn = std::f64::consts::TAU * hz / 8000.0;
                let value =
                    source + 2.0 * radius * turn.cos() * state[0] - radius * radius * state[1];
                *state = [value, state[0]];
                sum += value;
            }
            samples.push(sum);
        }
    }
    samples.truncate(seconds * 8000);
    samples
}

fn white(seconds: usize, mut seed: u64) -> Vec<f64> {
    (0..seconds * 8000).map(|_| gaussian(&mut seed)).collect()
}

fn digit(key: u8, ms: usize, dbm0: f64) -> Vec<f64> {
    let (row, column) = place_of(key).unwrap();
    let hz = [f64::from(LOW_HZ[row]), f64::from(HIGH_HZ[column])];
    let peak = rms(dbm0) * std::f64::consts::SQRT_2;
    let sine = |hz: f64, n: usize| peak * (std::f64::consts::TAU * hz * n as f64 / 8000.0).sin();
    (0..ms * 8).map(|n| sine(hz[0], n) + sine(hz[1], n)).collect()
}

fn add(into: &mut [f64], at: usize, what: &[f64]) {
    into[at..].iter_mut().zip(what).for_each(|(into, what)| *into += what);
}

fn companded(frame: &[f64]) -> Linear {
    let linear: Linear = std::array::from_fn(|n| frame[n].round() as i16);
    let mut octets = Companded { law: Law::A, octets: [0; 160] };
    g711::encode(&linear, Law::A, &mut octets);
    let mut back = linear;
    g711::decode(&octets, &mut back);
    back
}

/// A line under test: what is played, the path it comes back by, and what the person sends.
struct Line {
    listener: Listener,
    given: Vec<f64>,
    near: Vec<f64>,
    path: Vec<f64>,
}

/// What became of it.
struct Run {
    /// What came back, and what others heard of it all, sample by sample.
    echo: Vec<f64>,
    heard: Vec<f64>,
    digits: Vec<(usize, u8)>,
    /// Where somebody began to speak.
    voice: Vec<usize>,
}

impl Line {
    fn new(given: Vec<f64>, path: Vec<f64>) -> Self {
        let mut listener = Listener::new();
        listener.set(&LineSettings { echo_canceller: true, ..LineSettings::of_country(*b"us") });
        let near = vec![0.0; given.len()];
        Self { listener, given, near, path }
    }

    /// The person's side of the line is never quite silent.
    fn with_noise(mut self, dbm0: f64) -> Self {
        let noise = white(self.near.len() / 8000 + 1, 99);
        let scale = rms(dbm0);
        self.near.iter_mut().zip(&noise).for_each(|(near, noise)| *near += noise * scale);
        self
    }

    fn run(mut self) -> Run {
        // The phone hears what the card made of it.
        let given: Vec<Linear> = self.given.chunks_exact(160).map(companded).collect();
        let played: Vec<f64> = given.iter().flatten().map(|s| f64::from(*s)).collect();
        let echo = through(&self.path, &played);
        let mut run = Run { echo, heard: Vec::new(), digits: Vec::new(), voice: Vec::new() };
        for (index, given) in given.iter().enumerate() {
            let at = index * 160;
            let said: Vec<f64> = (at..at + 160).map(|n| run.echo[n] + self.near[n]).collect();
            let mut rx = companded(&said);
            let told = self.listener.listen(&mut rx, given, 0);
            run.heard.extend(rx.map(f64::from));
            for event in told.digits {
                if let DtmfEvent::Begin { digit } = event {
                    run.digits.push((at, digit));
                }
            }
            let begins = |event: &VoiceEvent| matches!(event, VoiceEvent::Begin { .. });
            if told.voice.into_iter().any(|event| begins(&event)) {
                run.voice.push(at);
            }
        }
        run
    }
}

/// Level of `samples` from one second to another.
fn level_between(samples: &[f64], from_s: f64, to_s: f64) -> f64 {
    level_of(&samples[(from_s * 8000.0) as usize..(to_s * 8000.0) as usize])
}

#[test]
fn what_is_left_of_an_echo_is_25_db_weaker_after_a_second() {
    for (name, signal) in [("speech", speech(6, 1)), ("noise", white(6, 1))] {
        for (seed, delay) in [(1, 0), (2, 8), (3, 20), (4, 40)] {
            for loss in [6.0, 12.0] {
                let line = Line::new(at_level(signal.clone(), -16.0), hybrid(loss, delay, seed));
                let run = line.with_noise(-65.0).run();
                let (before, after) =
                    (level_between(&run.echo, 1.0, 6.0), level_between(&run.heard, 1.0, 6.0));
                assert!(
                    before - after >= 25.0,
                    "{name}, hybrid {seed}, {loss} dB: {before} to {after} dBm0"
                );
            }
        }
    }
}

#[test]
fn nobody_is_heard_where_nobody_speaks() {
    let line = Line::new(at_level(speech(20, 3), -16.0), hybrid(6.0, 8, 5)).with_noise(-65.0);
    let run = line.run();
    let late: Vec<_> = run.voice.iter().filter(|at| **at > 8000).collect();
    assert!(late.is_empty(), "its own echo is somebody at {late:?}");
    assert!(run.digits.is_empty());
}

#[test]
fn who_speaks_at_the_same_time_is_let_through_and_spoils_nothing() {
    let mut line = Line::new(at_level(speech(12, 4), -16.0), hybrid(6.0, 8, 6)).with_noise(-65.0);
    let near = at_level(speech(4, 50), -16.0);
    add(&mut line.near, 4 * 8000, &near);
    let run = line.run();
    let passed = level_between(&run.heard, 4.2, 7.8);
    let spoken = level_of(&near[1600..30_400]);
    assert!((passed - spoken).abs() < 3.0, "{spoken} dBm0 was heard as {passed}");
    assert!(run.voice.iter().any(|at| (32_000..40_000).contains(at)));
    // Afterwards the echo is as gone as it was.
    let (echo, left) = (level_between(&run.echo, 8.5, 12.0), level_between(&run.heard, 8.5, 12.0));
    assert!(echo - left >= 25.0, "{echo} to {left} dBm0 after double talk");
}

#[test]
fn a_new_path_is_learnt() {
    let given = at_level(speech(12, 7), -16.0);
    let mut line = Line::new(given, hybrid(6.0, 4, 8)).with_noise(-65.0);
    // In the middle of it the hybrid becomes another one.
    let other = through(&hybrid(8.0, 12, 9), &line.given);
    let old = through(&line.path, &line.given);
    for n in 6 * 8000..12 * 8000 {
        line.near[n] += other[n] - old[n];
    }
    let run = line.run();
    let (echo, left) = (level_between(&run.echo, 8.0, 12.0), level_between(&run.heard, 8.0, 12.0));
    assert!(echo - left >= 20.0, "{echo} to {left} dBm0");
}

/// A prompt of −16 dBm0 into a hybrid of 6 dB: the keys of a person at this level, from this second
/// on; how many there were, and which were missed.
fn missed(prompt: &[f64], dbm0: f64, from_s: usize, seed: u64) -> (usize, Vec<u8>) {
    let mut line = Line::new(prompt.to_vec(), hybrid(6.0, 8, seed)).with_noise(-65.0);
    let mut sent = Vec::new();
    let mut at = from_s * 8000 + 37;
    while at + 4000 < line.near.len() {
        let key = KEYPAD[sent.len() % 16];
        add(&mut line.near, at, &digit(key, 50, dbm0));
        sent.push((at, key));
        at += 8 * 211;
    }
    let run = line.run();
    let heard = |at: usize, key: u8| {
        run.digits.iter().any(|(when, digit)| *digit == key && (at..at + 1200).contains(when))
    };
    let missed = sent.iter().filter(|(at, key)| !heard(*at, *key)).map(|(_, key)| *key).collect();
    assert!(run.digits.len() <= sent.len(), "more digits than were sent");
    (sent.len(), missed)
}

#[test]
fn no_key_is_missed_while_a_prompt_plays() {
    for seed in 1..4 {
        let prompt = at_level(speech(25, 20 + seed), -16.0);
        let (sent, missed) = missed(&prompt, -20.0, 1, seed);
        assert!(missed.is_empty(), "hybrid {seed}: {} of {sent} missed", missed.len());
    }
}

#[test]
fn no_loud_key_is_missed_before_the_canceller_knows_the_line() {
    for seed in 1..20 {
        let prompt = at_level(speech(2, 40 + seed), -16.0);
        let (sent, missed) = missed(&prompt, -10.0, 0, seed);
        assert!(missed.is_empty(), "hybrid {seed}: {} of {sent} missed", missed.len());
    }
}

#[test]
fn our_own_digits_are_nobodys() {
    for seed in 1..6 {
        let mut given = vec![0.0; 8 * 8000];
        for (index, key) in KEYPAD.iter().cycle().take(64).enumerate() {
            add(&mut given, 200 + index * 8 * 115, &digit(*key, 60, -8.0));
        }
        let run = Line::new(given, hybrid(6.0, 4, seed)).with_noise(-65.0).run();
        assert!(run.digits.is_empty(), "{:?}", run.digits);
    }
}

#[test]
fn a_person_who_dials_while_we_dial_is_heard() {
    let mut given = vec![0.0; 4 * 8000];
    add(&mut given, 0, &digit(b'1', 100, -8.0));
    let mut line = Line::new(given, hybrid(6.0, 4, 1)).with_noise(-65.0);
    add(&mut line.near, 8 * 300, &digit(b'1', 100, -10.0));
    add(&mut line.near, 8 * 900, &digit(b'5', 100, -10.0));
    let digits: Vec<u8> = line.run().digits.iter().map(|(_, digit)| *digit).collect();
    assert_eq!(digits, b"15");
}

#[test]
fn the_noise_of_the_line_stays_when_its_echo_goes() {
    // Noise alone for two seconds, then a prompt: a listener hears the same noise throughout.
    let mut given = vec![0.0; 2 * 8000];
    given.extend(at_level(speech(6, 30), -16.0));
    let run = Line::new(given, hybrid(6.0, 8, 3)).with_noise(-50.0).run();
    let before = level_between(&run.heard, 0.5, 2.0);
    let during = level_between(&run.heard, 3.0, 8.0);
    assert!((during - before).abs() < 3.0, "{before} dBm0, then {during}");
}

/// A vowel that is sung: harmonics of a pitch that hardly wanders.
fn vowel(ms: usize, pitch: f64, dbm0: f64) -> Vec<f64> {
    let mut phase = 0.0;
    let samples = (0..ms * 8).map(|n| {
        phase += (pitch + 2.0 * (n as f64 / 900.0).sin()) / 8000.0;
        let harmonic = |k: usize| {
            let weight = 1.0 / (1.0 + ((k as f64 * pitch - 600.0) / 300.0).powi(2));
            weight * (std::f64::consts::TAU * k as f64 * phase).sin()
        };
        (1..12).map(harmonic).sum()
    });
    at_level(samples.collect(), dbm0)
}

/// Whoever is 30 dB louder than the echo teaches nothing. A canceller that learns from that as from
/// anything else makes of the second of these echoes one that is 24 dB louder.
#[test]
fn who_is_much_louder_than_the_echo_spoils_nothing() {
    for seed in [5, 6] {
        let given = at_level(speech(12, 60 + seed), -16.0);
        let mut line = Line::new(given, hybrid(12.0, 8, seed)).with_noise(-65.0);
        for word in 0..6 {
            let pitch = 110.0 + 17.0 * word as f64 + 5.0 * seed as f64;
            add(&mut line.near, 4 * 8000 + word * 5600, &vowel(690, pitch, -1.0));
        }
        let run = line.run();
        let (echo, left) =
            (level_between(&run.echo, 8.2, 12.0), level_between(&run.heard, 8.2, 12.0));
        assert!(echo - left >= 25.0, "hybrid {seed}: {echo} to {left} dBm0 after double talk");
    }
}
