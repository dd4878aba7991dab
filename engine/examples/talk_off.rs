//! Digits that nobody sent, heard in hours of speech and music at several levels and speeds, with
//! spandsp's receiver on the same files beside it, as a table of docs/dsp.md. `make dsp-report` runs
//! it. Fails where a digit is heard in speech.

use std::error::Error;
use std::fmt::Write;
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use tipring_engine::dsp::Listener;
use tipring_engine::dsp::dtmf_detector::{DtmfDetector, DtmfEvent};
use tipring_engine::dsp::dtmf_limits::DtmfLimits;
use tipring_engine::frame::{Linear, SILENCE};
use tipring_shm_proto::settings::{DtmfProfile, DtmfSettings};
use tipring_signals::companding::{Law, round_trip};
use tipring_signals::resample::at_speed;
use tipring_signals::{RATE_HZ, rms, speech_level, wav};

const PROFILES: [DtmfProfile; 3] = [DtmfProfile::Att, DtmfProfile::Ntt, DtmfProfile::Etsi];
const SPEEDS: [f64; 5] = [0.8, 0.9, 1.0, 1.1, 1.25];
/// Active speech level (ITU-T P.56), dBm0.
const LEVELS: [f64; 3] = [-10.0, -20.0, -26.0];
/// Between two files of a source, samples.
const PAUSE: usize = RATE_HZ / 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, folder, reader] = &arguments[..] else {
        eprintln!("talk_off LIST FOLDER READER: has READER read what is written to FOLDER");
        return ExitCode::from(2);
    };
    match report(Path::new(list), Path::new(folder), reader) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// All files of one speaker, one after the other, each of one level.
struct Source {
    name: String,
    is_speech: bool,
    samples: Vec<i16>,
}

/// What was heard in one source, or in several.
#[derive(Clone, Copy, Default)]
struct Heard {
    seconds: f64,
    by_profile: [usize; 3],
    by_spandsp: usize,
    tones: usize,
}

impl Heard {
    fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.by_profile.iter_mut().zip(other.by_profile).for_each(|(sum, more)| *sum += more);
        self.by_spandsp += other.by_spandsp;
        self.tones += other.tones;
    }

    fn row(&self, name: &str, text: &mut String) -> std::fmt::Result {
        let ([att, ntt, etsi], spandsp, tones) = (self.by_profile, self.by_spandsp, self.tones);
        let minutes = self.seconds / 60.0;
        writeln!(text, "| {name} | {minutes:.0} | {att} | {ntt} | {etsi} | {spandsp} | {tones} |")
    }
}

fn report(list: &Path, folder: &Path, reader: &str) -> Result<String, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let mut text = format!(
        "Levels {LEVELS:?} dBm0 (P.56, active), speeds {SPEEDS:?}: each source is heard {} times. \
         Digits of all of them together; tones are those of the United States and of machines, at \
         speed 1.\n\n| source | minutes, once | `att` | `ntt` | `etsi` | spandsp | tones |\n\
         |---|---|---|---|---|---|---|\n",
        LEVELS.len() * SPEEDS.len()
    );
    let (mut speech, mut music) = (Heard::default(), Heard::default());
    let sources = sources(list)?;
    for (source, heard) in sources.iter().zip(hear_all(&sources, folder, reader)) {
        let heard = heard?;
        heard.row(&source.name, &mut text)?;
        if source.is_speech { &mut speech } else { &mut music }.add(&heard);
    }
    speech.row("**all speech**", &mut text)?;
    music.row("**all music**", &mut text)?;
    if speech.by_profile == [0; 3] { Ok(text) } else { Err(text.into()) }
}

fn sources(list: &Path) -> Result<Vec<Source>, Box<dyn Error>> {
    let mut sources: Vec<Source> = Vec::new();
    for line in std::fs::read_to_string(list)?.lines() {
        let [name, kind, path] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("not a source, a kind and a file: {line}").into());
        };
        if sources.last().is_none_or(|source| source.name != name) {
            let is_speech = kind == "speech";
            sources.push(Source { name: name.to_owned(), is_speech, samples: Vec::new() });
        }
        let samples = wav::read(Path::new(path)).map_err(|error| format!("{path}: {error}"))?;
        let Some(level) = speech_level::active_level(&samples) else { continue };
        // Files of one level; as loud as they may be without clipping much.
        let factor = rms(LEVELS[1]) / rms(level);
        let source = sources.last_mut().expect("just now");
        source.samples.extend(samples.iter().map(|&s| (f64::from(s) * factor).round() as i16));
        source.samples.resize(source.samples.len() + PAUSE, 0);
    }
    Ok(sources)
}

/// As many at a time as there are processors.
fn hear_all(sources: &[Source], folder: &Path, reader: &str) -> Vec<Result<Heard, String>> {
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut heard = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = sources.get(index) else { return heard };
            let told = hear(source, folder, reader).map_err(|error| error.to_string());
            heard.push((index, told));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let mut heard: Vec<_> =
            workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect();
        heard.sort_by_key(|(index, _)| *index);
        heard.into_iter().map(|(_, told)| told).collect()
    })
}

fn hear(source: &Source, folder: &Path, reader: &str) -> Result<Heard, Box<dyn Error>> {
    let seconds = source.samples.len() as f64 / RATE_HZ as f64;
    let mut heard = Heard { seconds, ..Heard::default() };
    for (number, speed) in SPEEDS.into_iter().enumerate() {
        let at_speed = at_speed(&source.samples, speed);
        for level in LEVELS {
            let factor = rms(level) / rms(LEVELS[1]);
            let sent = at_speed.iter().map(|s| round_trip(Law::A, (s * factor).round() as i16));
            let samples: Vec<i16> = sent.collect();
            for (sum, profile) in heard.by_profile.iter_mut().zip(PROFILES) {
                let digits = digits(profile, &samples);
                for (at, digit) in &digits {
                    eprintln!(
                        "{}, speed {speed}, {level} dBm0: {profile:?} hears {digit} at {at:.2} s",
                        source.name
                    );
                }
                *sum += digits.len();
            }
            if number == SPEEDS.len() / 2 {
                heard.tones += tones(&samples);
            }
            let path = folder.join(format!("{}.wav", source.name));
            wav::write(&path, &samples)?;
            heard.by_spandsp += read_by(reader, &path)?;
        }
    }
    Ok(heard)
}

/// Digits, and when they had ended, s.
fn digits(profile: DtmfProfile, samples: &[i16]) -> Vec<(f64, char)> {
    let mut detector = DtmfDetector::new(DtmfLimits::of(DtmfSettings { profile, weakest: None }));
    let mut heard = Vec::new();
    for (number, frame) in samples.as_chunks().0.iter().enumerate() {
        for event in detector.hear(frame) {
            if let DtmfEvent::End { digit, .. } = event {
                heard.push((number as f64 / 50.0, char::from(digit)));
            }
        }
    }
    heard
}

/// Tones that were told of.
fn tones(samples: &[i16]) -> usize {
    let mut listener = Listener::new();
    let frames = samples.as_chunks().0.iter();
    let heard = frames.map(|frame: &Linear| listener.listen(&mut frame.clone(), &SILENCE, 0).tones);
    heard.map(|tones| tones.iter().filter(|tone| tone.active).count()).sum()
}

/// How many digits another receiver hears.
fn read_by(reader: &str, path: &Path) -> Result<usize, Box<dyn Error>> {
    let output = Command::new("python3").arg(reader).arg(path).arg(RATE_HZ.to_string()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().map(|digits| digits.chars().count()).sum())
}
