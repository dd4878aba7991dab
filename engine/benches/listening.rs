//! Nanoseconds a frame: everything that listens to a line or makes what it hears. Run on a quiet
//! machine: `make bench-dsp`, which puts the table into docs/dsp.md.

use std::hint::black_box;
use std::time::Instant;
use tipring_engine::codec::g711;
use tipring_engine::dsp::call_progress::CallProgress;
use tipring_engine::dsp::caller_id::fsk::FskReceiver;
use tipring_engine::dsp::concealment::Concealment;
use tipring_engine::dsp::dtmf_detector::DtmfDetector;
use tipring_engine::dsp::dtmf_sender::DtmfSender;
use tipring_engine::dsp::gain::Gain;
use tipring_engine::dsp::limiter::Limiter;
use tipring_engine::dsp::sine_fit::{self, Sines};
use tipring_engine::dsp::sub_bands::{Bands, SubBands};
use tipring_engine::dsp::tone_generator::ToneGenerator;
use tipring_engine::dsp::voice_activity::VoiceActivity;
use tipring_engine::dsp::{Listener, level, resampler, tone_plan};
use tipring_engine::frame::{Companded, Linear, SILENCE};
use tipring_engine::mixer::{Mixer, Notes, Playback, Pulled};
use tipring_shm_proto::command::{Law, PlaySource, ProgressTone, StopOn};
use tipring_shm_proto::settings::LineSettings;
use tipring_shm_proto::units::{PlaybackId, TenthDb, TenthDbm0};

const RUNS: usize = 100;
const FRAMES: usize = 500;
/// A frame lasts 20 ms.
const FRAME_NS: u128 = 20_000_000;
/// What all that listens to a line may take.
const BUDGET_NS: u128 = 3000;

fn main() {
    let sound = sound();
    let frame = |n: usize| &sound[n % sound.len()];
    println!("| block | ns a frame |\n|---|---|");
    let chain = listening(&sound);
    echo_control(&frame);
    sending(&frame);
    repairing(&frame);
    mixing(&frame);
    println!(
        "\nAll of listening is {} times real time, of one core; its budget is {BUDGET_NS} ns, which it {}.",
        FRAME_NS / chain.max(1),
        if chain <= BUDGET_NS { "keeps" } else { "does not keep here" }
    );
}

/// The best of all runs: what else the machine does only ever adds.
fn measure(name: &str, mut frame: impl FnMut(usize)) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..FRAMES).for_each(&mut frame);
        best = best.min(start.elapsed().as_nanos() / FRAMES as u128);
    }
    println!("| {name} | {best} |");
    best
}

/// A second of something that is neither silence nor steady.
fn sound() -> Vec<Linear> {
    let mut seed = 1u32;
    let frame = |frame: usize| {
        std::array::from_fn(|i| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let time = (frame * 160 + i) as f32 / 8000.0;
            let tone = (std::f32::consts::TAU * 770.0 * time).sin() * 4000.0;
            tone as i16 + (seed >> 20) as i16
        })
    };
    (0..50).map(frame).collect()
}

fn encoded(frame: &Linear) -> Companded {
    let mut companded = Companded { law: Law::A, octets: [0; 160] };
    g711::encode(frame, Law::A, &mut companded);
    companded
}

/// The whole chain, and each of its blocks.
fn listening(sound: &[Linear]) -> u128 {
    let frame = |n: usize| &sound[n % sound.len()];
    let coded: Vec<Companded> = sound.iter().map(encoded).collect();
    let mut listener = Listener::new();
    let chain = measure("all of listening: decode, level, digits, tones, voice", |n| {
        let mut linear = SILENCE;
        g711::decode(black_box(&coded[n % coded.len()]), &mut linear);
        black_box(listener.listen(&mut linear, &SILENCE, 0));
    });
    let mut linear = SILENCE;
    measure("of it G.711 decode", |n| {
        g711::decode(black_box(&coded[n % coded.len()]), &mut linear);
    });
    measure("of it level", |n| {
        black_box(level::measure(black_box(frame(n))));
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
    let mut progress = CallProgress::new(tone_plan::of_country("us").expect("a plan"));
    measure("of it tones, while none is heard", |_| {
        black_box(progress.hear(black_box(Sines::None), TenthDbm0(-200)));
    });
    measure("of it tones, while they change", |n| {
        let sines = [Sines::One(440.0), Sines::None, Sines::Two([350.0, 440.0])][n / 20 % 3];
        black_box(progress.hear(black_box(sines), TenthDbm0(-200)));
    });
    let mut modem = FskReceiver::new();
    measure("caller ID receiver", |n| {
        modem.hear(black_box(frame(n)), |octets| {
            black_box(octets);
        });
    });
    chain
}

fn echo_control<'a>(frame: &impl Fn(usize) -> &'a Linear) {
    let mut listener = Listener::new();
    listener.set(&LineSettings { echo_canceller: true, ..LineSettings::of_country(*b"us") });
    measure("listening and echo control, nothing played", |n| {
        black_box(listener.listen(&mut black_box(*frame(n)), &SILENCE, 0));
    });
    measure("listening and echo control, always learning", |n| {
        black_box(listener.listen(&mut black_box(*frame(n)), frame(n + 17), 0));
    });
}

fn sending<'a>(frame: &impl Fn(usize) -> &'a Linear) {
    let mut companded = encoded(&SILENCE);
    measure("G.711 encode", |n| g711::encode(black_box(frame(n)), Law::A, &mut companded));
    let mut generator = ToneGenerator::new();
    generator.play(tone_plan::of_country("us").expect("a plan").tone(ProgressTone::Dial));
    let mut mix = [0.0; 160];
    measure("tone generator, two sines", |_| {
        generator.add(black_box(&mut mix), 1.0);
    });
    let mut sender = DtmfSender::new();
    measure("DTMF sender", |_| {
        if !sender.is_sending() {
            sender.send(b'5', 1000, 0);
        }
        sender.add(black_box(&mut mix));
    });
    let mut gain = Gain::new();
    measure("gain", |n| gain.amplify(black_box(&mut frame(n).clone()), TenthDb(-30), 1.0));
    let mut limiter = Limiter::new();
    measure("limiter", |n| limiter.limit(black_box(&mut frame(n).clone()), true));
}

fn repairing<'a>(frame: &impl Fn(usize) -> &'a Linear) {
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
    resampler::prepare();
    let source: Vec<i16> = (0..3).flat_map(|n| *frame(n)).collect();
    let mut linear = SILENCE;
    measure("resampler", |_| {
        black_box(resampler::read(black_box(&source), 100.3, 1.0001, &mut linear));
    });
}

fn mixing<'a>(frame: &impl Fn(usize) -> &'a Linear) {
    let silent = |_: usize, _: PlaybackId, _: &mut Linear| Pulled::Empty;
    let (mut heard, mut notes) = (SILENCE, Notes::new());
    let mut mixer = Mixer::new(tone_plan::of_country("us").expect("a plan"));
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
        *into = *frame(0);
        Pulled::Audio(160)
    };
    measure("mixer, all of it and four playbacks", |n| {
        mixer.mix(Some(frame(n)), Some(frame(n + 1)), &mut full, &mut heard, &mut notes);
        black_box(&heard);
    });
}
