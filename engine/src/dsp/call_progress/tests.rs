//! Tones of every plan, of machines, and what is none.

use super::*;
use crate::dsp::level;
use crate::dsp::sine_fit;
use crate::dsp::sub_bands::SubBands;
use crate::dsp::tone_generator::{Tone, ToneGenerator};
use crate::dsp::tone_plan::{self, PLANS};
use tipring_shm_proto::event::SitCode;
use tipring_signals::companding::Law;
use tipring_signals::dtmf::{Digit, KEYPAD};
use tipring_signals::noise::{Noise, noise};
use tipring_signals::signal::Signal;

fn heard_by(plan: &'static TonePlan, samples: &[i16]) -> Vec<ToneEvent> {
    let mut progress = CallProgress::new(plan);
    let mut bands = SubBands::new();
    let frames = samples.as_chunks().0.iter().flat_map(|frame: &[i16; 160]| {
        let level = level::measure(frame).dbm0;
        let sines = sine_fit::fit(&bands.hear(frame).rough);
        progress.hear(sines, level).iter().collect::<Vec<_>>()
    });
    frames.collect()
}

fn heard(country: &str, samples: &[i16]) -> Vec<(HeardTone, bool)> {
    let events = heard_by(tone_plan::of_country(country).unwrap(), samples);
    events.into_iter().map(|event| (event.tone, event.active)).collect()
}

/// As the exchange of the country sends it from some place of a frame on, then silence.
fn sent(tone: &'static Tone, after_ms: f64, ms: usize, noise_dbm0: f64) -> Vec<i16> {
    let mut generator = ToneGenerator::new();
    generator.play(tone);
    let mut mix = vec![0.0f32; ms * 8];
    generator.add(&mut mix, 1.0);
    let sent: Vec<f64> = mix.into_iter().map(f64::from).collect();
    let line = Signal::new(1).silence(after_ms).then(&sent).silence(8000.0);
    line.over_noise(Noise::White, noise_dbm0).companded(Law::A)
}

fn is_modulated(tone: &Tone) -> bool {
    let steps = tone.phrases.iter().flat_map(|phrase| phrase.steps);
    let sines = steps.map(|step| step.partials.iter().filter(|sine| sine.tenth_hz > 0).count());
    sines.max() > Some(2)
}

#[test]
fn tones_of_every_country_are_recognised() {
    let mut wrong = Vec::new();
    for (number, plan) in PLANS.iter().enumerate() {
        let tones = [
            (HeardTone::Dial, &plan.dial),
            (HeardTone::Ringback, &plan.ringback),
            (HeardTone::Busy, &plan.busy),
            (HeardTone::Congestion, &plan.congestion),
        ];
        for (index, &(tone, score)) in tones.iter().enumerate() {
            if is_modulated(score) {
                continue;
            }
            // Where two are the same, the first is told.
            let same = tones[..index].iter().find(|(_, other)| other.phrases == score.phrases);
            let wanted = match (plan.country, tone) {
                // Differs from busy in its levels only.
                ("au", HeardTone::Congestion) => HeardTone::Busy,
                _ => same.map_or(tone, |&(first, _)| first),
            };
            let lines = [(500.0, -60.0), (507.0, -50.0), (513.0, -48.0)];
            let (after_ms, noise_dbm0) = lines[(number + index) % lines.len()];
            let events = heard_by(plan, &sent(score, after_ms, 16_000, noise_dbm0));
            let kinds: Vec<_> = events.iter().map(|event| (event.tone, event.active)).collect();
            if kinds != [(wanted, true), (wanted, false)] {
                wrong.push(format!("{} {tone:?} after {after_ms}: {kinds:?}", plan.country));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn special_information_is_recognised() {
    for plan in &PLANS {
        // Others than three sines are followed as cadences, and some are a burst like any other.
        if matches!(plan.country, "tr" | "cn" | "ar" | "es" | "fi" | "nz" | "au") {
            continue;
        }
        let code = (plan.country == "us").then_some(SitCode::Intercept);
        let tone = HeardTone::SpecialInformation { code };
        let heard = heard(plan.country, &sent(&plan.information, 505.0, 6000, -50.0));
        assert_eq!(heard, [(tone, true), (tone, false)], "{}", plan.country);
    }
}

/// Bellcore SR-2275: frequencies to 1.5 %, lengths to 10 %.
#[test]
fn the_four_codes_of_special_information_are_told_apart() {
    let codes = [
        (SitCode::Intercept, [(913.8, 274.0), (1370.6, 274.0)]),
        (SitCode::VacantCode, [(985.2, 380.0), (1370.6, 274.0)]),
        (SitCode::Reorder, [(913.8, 274.0), (1428.5, 380.0)]),
        (SitCode::NoCircuit, [(985.2, 380.0), (1428.5, 380.0)]),
    ];
    for (code, first_two) in codes {
        for off in [-0.01, 0.0, 0.01] {
            for longer in [0.92, 1.0, 1.08] {
                for after_ms in [500.0, 506.0, 512.0] {
                    let mut line = Signal::new(7).silence(after_ms);
                    for (hz, ms) in first_two.into_iter().chain([(1776.7, 380.0)]) {
                        line = line.sines(&[(hz * (1.0 + off), -24.0)], ms * longer);
                    }
                    let line = line.silence(4000.0).over_noise(Noise::White, -50.0);
                    let tone = HeardTone::SpecialInformation { code: Some(code) };
                    let heard = heard("us", &line.companded(Law::A));
                    let told = [(tone, true), (tone, false)];
                    assert_eq!(heard, told, "{code:?} {off} {longer} {after_ms}");
                }
            }
        }
    }
}

/// A modem turns its phase round every 450 ms, and one of V.8 is modulated by 15 Hz as well.
#[test]
fn machines_are_told_apart() {
    let calling = Signal::new(1).silence(300.0).sines(&[(1100.0, -15.0)], 500.0).silence(3000.0);
    let calling = heard("us", &calling.over_noise(Noise::White, -60.0).companded(Law::A));
    assert_eq!(calling.first(), Some(&(HeardTone::FaxCalling, true)));
    for (every_ms, depth, wanted) in [
        (4000.0, 0.0, HeardTone::FaxAnswering),
        (450.0, 0.0, HeardTone::ModemAnswering),
        (450.0, 0.2, HeardTone::ModemAnswering),
    ] {
        for after_ms in [300.0, 307.0, 314.0] {
            let phase = |n: usize| ((n as f64 / 8.0 / every_ms) as usize % 2) as f64 * 0.5;
            let sine = |n: usize| {
                let time = n as f64 / 8000.0;
                let turns = 2100.0 * time + phase(n);
                let envelope = 1.0 + depth * (std::f64::consts::TAU * 15.0 * time).sin();
                4000.0 * envelope * (std::f64::consts::TAU * turns.fract()).sin()
            };
            let answer: Vec<f64> = (0..26_400).map(sine).collect();
            let line = Signal::new(1).silence(after_ms).then(&answer).silence(1000.0);
            let heard = heard("us", &line.over_noise(Noise::White, -60.0).companded(Law::A));
            assert_eq!(heard, [(wanted, true), (wanted, false)], "{every_ms} {depth} {after_ms}");
        }
    }
}

/// A voice stands for a greeting: noise that comes and goes.
#[test]
fn an_answering_machine_beeps_after_its_greeting() {
    let greeting = |seed: u64| noise(Noise::Pink, -20.0, 1600, seed);
    for (hz, ms) in [(440.0, 600.0), (1000.0, 250.0), (1400.0, 400.0), (2000.0, 1200.0)] {
        let said = (0..8).fold(Signal::new(1).silence(500.0), |line, syllable| {
            line.then(&greeting(syllable)).silence(80.0)
        });
        let line = said.silence(300.0).sines(&[(hz, -18.0)], ms).silence(1500.0);
        let line = line.over_noise(Noise::White, -55.0).companded(Law::A);
        let wanted = [(HeardTone::Beep, true), (HeardTone::Beep, false)];
        assert_eq!(heard("us", &line), wanted, "{hz} {ms}");
    }
    let none = Signal::new(1).silence(2000.0).sines(&[(1000.0, -18.0)], 300.0).silence(1500.0);
    let none = none.over_noise(Noise::White, -55.0).companded(Law::A);
    assert_eq!(heard("us", &none), [], "nobody greeted");
}

#[test]
fn digits_and_noise_are_no_tones() {
    let mut line = Signal::new(1).silence(500.0);
    for &digit in KEYPAD {
        line = line.digit(Digit::nominal(digit).lasting(200.0)).silence(200.0);
    }
    let line = line.silence(10_000.0).over_noise(Noise::Pink, -40.0);
    assert_eq!(heard("us", &line.companded(Law::A)), []);
}
