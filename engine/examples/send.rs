//! Writes what a line would hear to a WAV file of 8 kHz:
//! `cargo run --release -p tipring-engine --example send -- caller-id bellcore 5551234567 "JOHN SMITH" OUT.wav`.

use std::process::ExitCode;
use tipring_engine::dsp::caller_id::{Announcement, CallTime};
use tipring_engine::dsp::dtmf_sender::DtmfSender;
use tipring_engine::dsp::sample::rounded;
use tipring_engine::dsp::tone_generator::ToneGenerator;
use tipring_engine::dsp::tone_plan;
use tipring_shm_proto::command::{CallerId, ProgressTone};
use tipring_shm_proto::settings::CallerIdType;
use tipring_shm_proto::units::Text32;

const USAGE: &str = "send caller-id TYPE NUMBER [NAME] OUT.wav
send message-waiting TYPE on|off OUT.wav
send tone COUNTRY TONE SECONDS OUT.wav
send digits DIGITS [ON_MS OFF_MS] OUT.wav

TYPE: bellcore bellcore-single etsi-after-ring etsi-dual-tone etsi-line-reversal
      dtmf dtmf-line-reversal dtmf-hash
TONE: dial ringback busy congestion information howler waiting stutter recall";

/// 15:30 on the twenty-first of November: the same file in every run.
const TIME: CallTime = CallTime { month: 11, day: 21, hour: 15, minute: 30 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((samples, path)) = samples_of(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match std::fs::write(path, wav(&samples)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn samples_of<'a>(words: &[&'a str]) -> Option<(Vec<i16>, &'a str)> {
    let (path, words) = words.split_last()?;
    let samples = match words {
        ["caller-id", kind, number] => caller_id(kind, number, "")?,
        ["caller-id", kind, number, name] => caller_id(kind, number, name)?,
        ["message-waiting", kind, lamp @ ("on" | "off")] => {
            announced(Announcement::messages_wait(kind_of(kind)?, *lamp == "on")?)
        }
        ["tone", country, tone, seconds] => tone_of(country, tone, seconds.parse().ok()?)?,
        ["digits", digits] => digits_of(digits, 100, 100)?,
        ["digits", digits, on_ms, off_ms] => {
            digits_of(digits, on_ms.parse().ok()?, off_ms.parse().ok()?)?
        }
        _ => return None,
    };
    Some((samples, path))
}

fn kind_of(name: &str) -> Option<CallerIdType> {
    Some(match name {
        "bellcore" => CallerIdType::Bellcore,
        "bellcore-single" => CallerIdType::BellcoreSingle,
        "etsi-after-ring" => CallerIdType::EtsiAfterRing,
        "etsi-dual-tone" => CallerIdType::EtsiDualTone,
        "etsi-line-reversal" => CallerIdType::EtsiLineReversal,
        "dtmf" => CallerIdType::Dtmf,
        "dtmf-line-reversal" => CallerIdType::DtmfLineReversal,
        "dtmf-hash" => CallerIdType::DtmfHash,
        _ => return None,
    })
}

fn caller_id(kind: &str, number: &str, name: &str) -> Option<Vec<i16>> {
    let caller = CallerId { number: Text32::new(number), name: Text32::new(name) };
    Announcement::call(kind_of(kind)?, &caller, Some(TIME)).map(announced)
}

fn announced(mut announcement: Announcement) -> Vec<i16> {
    frames(|mix| {
        announcement.add(mix);
        !announcement.is_over()
    })
}

fn tone_of(country: &str, tone: &str, seconds: usize) -> Option<Vec<i16>> {
    let tone = match tone {
        "dial" => ProgressTone::Dial,
        "ringback" => ProgressTone::Ringback,
        "busy" => ProgressTone::Busy,
        "congestion" => ProgressTone::Congestion,
        "information" => ProgressTone::SpecialInformation,
        "howler" => ProgressTone::Howler,
        "waiting" => ProgressTone::CallWaiting,
        "stutter" => ProgressTone::Stutter,
        "recall" => ProgressTone::Recall,
        _ => return None,
    };
    let mut generator = ToneGenerator::new();
    generator.play(tone_plan::of_country(country)?.tone(tone));
    let mut left = seconds * 50;
    Some(frames(|mix| {
        generator.add(mix, 1.0);
        left = left.saturating_sub(1);
        left > 0
    }))
}

fn digits_of(digits: &str, on_ms: u16, off_ms: u16) -> Option<Vec<i16>> {
    let mut sender = DtmfSender::new();
    let all = digits.bytes().all(|digit| sender.send(digit, on_ms, off_ms));
    all.then(|| {
        frames(|mix| {
            sender.add(mix);
            sender.is_sending()
        })
    })
}

/// Frames until `next`, which adds one, says that it was the last.
fn frames(mut next: impl FnMut(&mut [f32]) -> bool) -> Vec<i16> {
    let mut samples = Vec::new();
    let mut goes_on = true;
    while goes_on {
        let mut mix = [0.0; 160];
        goes_on = next(&mut mix);
        samples.extend(mix.map(rounded));
    }
    samples
}

fn wav(samples: &[i16]) -> Vec<u8> {
    let data_bytes = samples.len() as u32 * 2;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + data_bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    // PCM, one channel, 8000 samples and 16000 octets a second, 2 octets and 16 bits a sample.
    file.extend([1u16, 1].map(u16::to_le_bytes).concat());
    file.extend([8000u32, 16_000].map(u32::to_le_bytes).concat());
    file.extend([2u16, 16].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(data_bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}
