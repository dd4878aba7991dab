//! Nanoseconds a frame: everything that listens to a line, and the mixer. Run on a quiet machine:
//! `cargo bench -p tipring-engine --bench listening`.

use std::hint::black_box;
use std::time::Instant;
use tipring_engine::codec::g711;
use tipring_engine::dsp::Listener;
use tipring_engine::dsp::concealment::Concealment;
use tipring_engine::dsp::dtmf_detector::DtmfDetector;
use tipring_engine::dsp::sine_fit::{self, Sines};
use tipring_engine::dsp::sub_bands::{Bands, SubBands};
use tipring_engine::dsp::tone_plan;
use tipring_engine::dsp::voice_activity::VoiceActivity;
use tipring_engine::frame::{Companded, Linear, SILENCE};
use tipring_engine::mixer::{Mixer, Notes, Playback, Pulled};
use tipring_shm_proto::command::{Law, PlaySource, ProgressTone, StopOn};
use tipring_shm_proto::settings::LineSettings;
use tipring_shm_proto::units::{PlaybackId, TenthDb};

const RUNS: usize = 100;
const FRAMES: usize = 500;

/// The best of all runs: what else the machine does only ever adds.
fn measure(name: &str, mut frame: impl FnMut(usize)) {
    let mut best = u128::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..FRAMES).for_each(&mut frame);
        best = best.min(start.elapsed().as_nanos() / FRAMES as u128);
    }
    println!("{name:<44} {best:>6} ns a frame");
}

fn main() {
    // A second of something that is neither silence nor steady.
    let mut seed = 1u32;
    let sound: Vec<Linear> = (0..50)
        .map(|frame| {
            std::array::from_fn(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let time = (frame * 160 + i) as f32 / 8000.0;
                let tone = (std::f32::consts::TAU * 770.0 * time).sin() * 4000.0;
                tone as i16 + (seed >> 20) as i16
            })
        })
        .collect();
    let frame = |n: usize| &sound[n % sound.len()];

    let mut companded = Companded { law: Law::A, octets: [0; 160] };
    measure("G.711 encode", |n| g711::encode(black_box(frame(n)), Law::A, &mut companded));
    let mut linear = SILENCE;
    measure("G.711 decode", |_| g711::decode(black_box(&companded), &mut linear));

    let mut listener = Listener::new();
    measure("listening: level, digits, voice", |n| {
        black_box(listener.listen(&mut black_box(*frame(n)), &SILENCE, 0));
    });
    let mut listener = Listener::new();
    listener.set(&LineSettings { echo_canceller: true, ..LineSettings::of_country(*b"us") });
    measure("listening and echo control, nothing played", |n| {
        black_box(listener.listen(&mut black_box(*frame(n)), &SILENCE, 0));
    });
    measure("listening and echo control, always learning", |n| {
        black_box(listener.listen(&mut black_box(*frame(n)), frame(n + 17), 0));
    });
    let mut digits = DtmfDetector::default();
    measure("of it digits", |n| {
        black_box(digits.hear(black_box(frame(n))));
    });
    let mut bands = SubBands::new();
    measure("of it bands", |n| {
        black_box(bands.hear(black_box(frame(n))));
    });
    let rough: Vec<Bands> = sound.iter().map(|frame| bands.hear(frame)).collect();
    measure("of it sines", |n| {
        black_box(sine_fit::fit(black_box(&rough[n % rough.len()].rough)));
    });
    let mut voice = VoiceActivity::new(LineSettings::of_country(*b"us").voice);
    measure("of it voice", |n| {
        black_box(voice.hear(black_box(&rough[n % rough.len()]), Sines::None, false));
    });

    let mut concealment = Concealment::new();
    measure("concealment, nothing lost", |n| concealment.heard(&mut frame(n).clone()));
    measure("concealment, every second frame lost", |n| {
        let mut frame = *frame(n);
        if n % 2 == 0 {
            concealment.heard(&mut frame);
        } else {
            concealment.missing(&mut frame);
        }
        black_box(frame);
    });

    let plan = tone_plan::of_country("us").expect("a plan");
    let silent = |_: usize, _: PlaybackId, _: &mut Linear| Pulled::Empty;
    let (mut heard, mut notes) = (SILENCE, Notes::new());
    let mut mixer = Mixer::new(plan);
    measure("mixer, a bridge", |n| {
        mixer.mix(Some(frame(n)), None, &mut { silent }, &mut heard, &mut notes);
        black_box(&heard);
    });
    mixer.set_tone(Some(ProgressTone::Dial));
    measure("mixer, a bridge and dial tone", |n| {
        mixer.mix(Some(frame(n)), None, &mut { silent }, &mut heard, &mut notes);
        black_box(&heard);
    });
    for slot in 0..4 {
        let (source, gain) = (PlaySource::Ring, TenthDb(-30));
        let playback = Playback { id: PlaybackId(1), source, gain, stop_on: StopOn::default() };
        mixer.start(slot, playback).expect("a free slot");
    }
    let mut full = |_: usize, _: PlaybackId, into: &mut Linear| {
        *into = sound[0];
        Pulled::Audio(160)
    };
    measure("mixer, all of it and four playbacks", |n| {
        mixer.mix(Some(frame(n)), Some(frame(n + 1)), &mut full, &mut heard, &mut notes);
        black_box(&heard);
    });
}
