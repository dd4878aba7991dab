//! Prints what a line would be heard to say, from a WAV file of 8 kHz, 16 bits, one channel:
//! `cargo run --release -p tipring-engine --example listen -- FILE.wav`.
//!
//! A line for every report, with tabs between: `time_s`, `kind`, `value`, `level_dbm0`,
//! `duration_ms`; a dash where there is none. The time is that at which what is reported began.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use tipring_engine::dsp::Listener;
use tipring_engine::dsp::call_progress::ToneEvent;
use tipring_engine::dsp::caller_id::fsk::FskReceiver;
use tipring_engine::dsp::caller_id::message::{self, Told};
use tipring_engine::dsp::dtmf_detector::DtmfEvent;
use tipring_engine::dsp::voice_activity::VoiceEvent;
use tipring_engine::frame::{Linear, SILENCE};
use tipring_shm_proto::event::{HeardTone, SitCode};
use tipring_shm_proto::units::{FRAME_MS, TenthDbm0};
use tipring_signals::wav;

/// A digit's end is certain so long after it, at least.
const DIGIT_END_MS: u32 = 30;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path] = &arguments[..] else {
        eprintln!("listen FILE.wav");
        return ExitCode::from(2);
    };
    match wav::read(Path::new(path)) {
        Ok(samples) => match listen(&samples, &mut BufWriter::new(std::io::stdout().lock())) {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever read has had enough.
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One line.
struct Report<'a> {
    at_ms: u32,
    kind: &'a str,
    value: &'a str,
    level: Option<TenthDbm0>,
    duration_ms: Option<u32>,
}

impl Report<'_> {
    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let dash = || "-".to_owned();
        let level =
            self.level.map_or_else(dash, |level| format!("{:.1}", f64::from(level.0) / 10.0));
        let duration = self.duration_ms.map_or_else(dash, |ms| ms.to_string());
        let (seconds, Self { kind, value, .. }) = (f64::from(self.at_ms) / 1000.0, self);
        writeln!(out, "{seconds:.3}\t{kind}\t{value}\t{level}\t{duration}")
    }
}

fn listen(samples: &[i16], out: &mut impl Write) -> std::io::Result<()> {
    let mut listener = Listener::new();
    let mut modem = FskReceiver::new();
    // What is still going on at the end of the file is told too.
    let mut samples = samples.to_vec();
    samples.resize(samples.len() + 50 * SILENCE.len(), 0);
    for (frame, number) in samples.as_chunks::<{ SILENCE.len() }>().0.iter().zip(1..) {
        let now_ms = number * FRAME_MS;
        let mut messages = Vec::new();
        modem.hear(frame, |octets| messages.extend(message::read(octets)));
        for told in &messages {
            caller_id(told, now_ms).print(out)?;
        }
        one_frame(&mut listener, frame, now_ms, out)?;
    }
    Ok(())
}

fn one_frame(
    listener: &mut Listener,
    frame: &Linear,
    now_ms: u32,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let heard = listener.listen(&mut frame.clone(), &SILENCE, 0);
    for digit in heard.digits {
        if let DtmfEvent::End { digit, duration_ms, level, .. } = digit {
            let duration_ms = u32::from(duration_ms);
            let at_ms = now_ms.saturating_sub(duration_ms + DIGIT_END_MS);
            let value = char::from(digit).to_string();
            let (level, duration_ms) = (Some(level), Some(duration_ms));
            Report { at_ms, kind: "dtmf", value: &value, level, duration_ms }.print(out)?;
        }
    }
    for tone in heard.tones.iter().filter(|tone| !tone.active) {
        let ToneEvent { level, began_ago_ms, duration_ms, .. } = tone;
        let at_ms = now_ms.saturating_sub(began_ago_ms);
        let (value, level, duration_ms) = (name_of(tone.tone), Some(level), Some(duration_ms));
        Report { at_ms, kind: "tone", value, level, duration_ms }.print(out)?;
    }
    for voice in heard.voice {
        let ago = |ago_ms: u16| now_ms.saturating_sub(u32::from(ago_ms));
        let (at_ms, kind, value, level, duration_ms) = match voice {
            VoiceEvent::Begin { ago_ms, level } => {
                (ago(ago_ms), "voice_start", "-", Some(level), None)
            }
            VoiceEvent::End { ago_ms, lasted_ms, level } => {
                (ago(ago_ms), "voice_end", "-", Some(level), Some(lasted_ms))
            }
            VoiceEvent::Confirmed => (now_ms, "voice", "confirmed", None, None),
            VoiceEvent::ProvisionalEnd { ago_ms } => {
                (ago(ago_ms), "speech_end", "provisional", None, None)
            }
            VoiceEvent::Withdrawn => (now_ms, "speech_end", "withdrawn", None, None),
            VoiceEvent::FinalEnd { ago_ms } => (ago(ago_ms), "speech_end", "final", None, None),
        };
        Report { at_ms, kind, value, level, duration_ms }.print(out)?;
    }
    Ok(())
}

fn name_of(tone: HeardTone) -> &'static str {
    match tone {
        HeardTone::Dial => "dial",
        HeardTone::Ringback => "ringback",
        HeardTone::Busy => "busy",
        HeardTone::Congestion => "congestion",
        HeardTone::SpecialInformation { code: None } => "special_information",
        HeardTone::SpecialInformation { code: Some(code) } => match code {
            SitCode::Intercept => "special_information intercept",
            SitCode::VacantCode => "special_information vacant_code",
            SitCode::Reorder => "special_information reorder",
            SitCode::NoCircuit => "special_information no_circuit",
        },
        HeardTone::FaxCalling => "fax_calling",
        HeardTone::FaxAnswering => "fax_answering",
        HeardTone::ModemAnswering => "modem_answering",
        HeardTone::Beep => "beep",
    }
}

fn caller_id(told: &Told, now_ms: u32) -> Report<'_> {
    let (kind, value) = match told {
        Told::Call { caller, .. } => ("caller_id", caller.number.as_str()),
        Told::MessagesWait(true) => ("messages_wait", "on"),
        Told::MessagesWait(false) => ("messages_wait", "off"),
    };
    Report { at_ms: now_ms, kind, value, level: None, duration_ms: None }
}
