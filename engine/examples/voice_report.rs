//! When somebody is said to speak, in recorded speech over noise of several kinds, with earshot alone
//! on the same samples beside it, as a table of docs/dsp.md. `tools/dsp-report voice` runs it.

use earshot::Detector;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use tipring_engine::dsp::Listener;
use tipring_engine::frame::SILENCE;
use tipring_shm_proto::settings::LineSettings;
use tipring_signals::companding::{Law, round_trip};
use tipring_signals::noise::{Noise, noise, scale_to};
use tipring_signals::random::Random;
use tipring_signals::resample::at_speed;
use tipring_signals::{RATE_HZ, rms, speech_level, wav};

/// Of speech: P.56, active.
const SPEECH_DBM0: f64 = -19.0;
const SNRS_DB: [f64; 5] = [20.0, 15.0, 10.0, 5.0, 0.0];
/// Who speaks, and of whose voices babble is made, so many at once.
const SPEAKERS: [&str; 2] = ["en_US_f_Allison", "es_MX_f_Allison"];
const OTHERS: [&str; 3] = ["fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU"];
const BABBLE: usize = 6;
/// Utterances of each speaker, pauses between them, and noise before the first, s.
const UTTERANCES: usize = 40;
const PAUSES_S: [f64; 2] = [0.5, 5.0];
const LEAD_S: usize = 4;
/// In which everything is judged, samples and ms.
const STEP: usize = RATE_HZ / 100;
const STEP_MS: usize = 10;
/// A start is no false one if speech begins so soon after it, steps.
const EARLY: usize = 10;
/// earshot takes frames of 16 ms at 16 kHz; what its authors call speech.
const EARSHOT_FRAME: usize = 256;
const EARSHOT_HZ: f64 = 16_000.0;
const EARSHOT_SPEECH: f32 = 0.5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list] = &arguments[..] else {
        eprintln!("voice_report LIST");
        return ExitCode::from(2);
    };
    match report(Path::new(list)) {
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

fn report(list: &Path) -> Result<String, Box<dyn Error>> {
    let speech = Speech::recorded(list)?;
    let minutes = speech.samples.len() as f64 / RATE_HZ as f64 / 60.0;
    let hold = steps_of_ms(usize::from(LineSettings::of_country(*b"us").voice.offset_ms));
    let truth = held(&speech.labels, hold);
    let mut text = format!(
        "{} utterances in {minutes:.0} minutes, −{:.0} dBm0 (P.56, active), through A-law. Ours / \
         earshot. Both, and the labels, hold speech for {} ms after its last sound; earshot says \
         speech from {EARSHOT_SPEECH} on.\n\n\
         | noise | SNR, dB | F1, % | onset, ms: half, 95 % | offset, ms: half, 95 % | \
         false starts a minute | missed, % |\n|---|---|---|---|---|---|---|\n",
        onsets(&truth).len(),
        -SPEECH_DBM0,
        hold * STEP_MS
    );
    for (name, noise) in noises(list, speech.samples.len())? {
        let snrs: &[f64] = if name == "none" { &[f64::INFINITY] } else { &SNRS_DB };
        for &snr_db in snrs {
            let mixed = mixed(&speech.samples, &noise, snr_db);
            let [ours, theirs] =
                [ours(&mixed), earshot(&mixed, hold)].map(|heard| Measured::of(&truth, &heard));
            let snr = if snr_db.is_finite() { format!("{snr_db:.0}") } else { "∞".to_owned() };
            writeln!(text, "| {name} | {snr} | {} |", ours.beside(&theirs))?;
        }
    }
    Ok(text)
}

const fn steps_of_ms(ms: usize) -> usize {
    ms / STEP_MS
}

/// Utterances with pauses, and for every step whether there is speech.
struct Speech {
    samples: Vec<f64>,
    labels: Vec<bool>,
}

impl Speech {
    fn recorded(list: &Path) -> Result<Self, Box<dyn Error>> {
        let mut random = Random::new(1);
        let mut speech = Self { samples: Vec::new(), labels: Vec::new() };
        speech.pause(LEAD_S as f64);
        let mut of_each: Vec<_> = Vec::new();
        for speaker in SPEAKERS {
            of_each.push(prompts(list, speaker)?);
        }
        for utterance in 0..UTTERANCES {
            for prompts in &of_each {
                // Spread over all of them, for the first are letters and digits.
                let prompt = &prompts[utterance * prompts.len() / UTTERANCES];
                speech.labels.extend(speech_level::strict_labels(prompt));
                let whole = prompt.len() / STEP * STEP;
                speech.samples.extend(prompt[..whole].iter().map(|&s| f64::from(s)));
                speech.pause(PAUSES_S[0] + (PAUSES_S[1] - PAUSES_S[0]) * random.unit().powi(2));
            }
        }
        Ok(speech)
    }

    fn pause(&mut self, seconds: f64) {
        let steps = (seconds * 100.0) as usize;
        self.samples.resize(self.samples.len() + steps * STEP, 0.0);
        self.labels.resize(self.labels.len() + steps, false);
    }
}

/// All prompts of a speaker, each of one level.
fn prompts(list: &Path, speaker: &str) -> Result<Vec<Vec<i16>>, Box<dyn Error>> {
    let files = files(list, speaker)?;
    let mut prompts = Vec::new();
    for path in files {
        let samples = wav::read(Path::new(&path)).map_err(|error| format!("{path}: {error}"))?;
        if let Some(level) = speech_level::active_level(&samples) {
            let factor = rms(SPEECH_DBM0) / rms(level);
            prompts.push(samples.iter().map(|&s| (f64::from(s) * factor).round() as i16).collect());
        }
    }
    Ok(prompts)
}

fn files(list: &Path, of: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let text = std::fs::read_to_string(list)?;
    let lines = text.lines().filter(|line| line.contains(of));
    let files: Vec<_> =
        lines.filter_map(|line| line.rsplit('\t').next().map(str::to_owned)).collect();
    if files.is_empty() {
        Err(format!("{} has nothing of {of}", list.display()).into())
    } else {
        Ok(files)
    }
}

/// Names of noises, and so many samples of each.
type Noises = Vec<(&'static str, Vec<f64>)>;

fn noises(list: &Path, samples: usize) -> Result<Noises, Box<dyn Error>> {
    let mut others = Vec::new();
    for speaker in OTHERS {
        let said: Vec<f64> = prompts(list, speaker)?.concat().into_iter().map(f64::from).collect();
        others.push(said);
    }
    let mut babble = vec![0.0; samples];
    for voice in 0..BABBLE {
        let said = &others[voice % others.len()];
        let from = voice * said.len() / BABBLE;
        let endless = said.iter().cycle().skip(from);
        babble.iter_mut().zip(endless).for_each(|(sum, sample)| *sum += sample);
    }
    let mut music = Vec::new();
    for path in files(list, "asterisk-moh-opsound")? {
        let samples = wav::read(Path::new(&path)).map_err(|error| format!("{path}: {error}"))?;
        music.extend(samples.into_iter().map(f64::from));
    }
    let music = music.into_iter().cycle().take(samples).collect();
    let made = |kind| noise(kind, SPEECH_DBM0, samples, 1);
    Ok(vec![
        ("none", vec![0.0; samples]),
        ("white", made(Noise::White)),
        ("pink", made(Noise::Pink)),
        ("hum", made(Noise::Hum)),
        ("babble of six", babble),
        ("music", music),
    ])
}

fn mixed(speech: &[f64], noise: &[f64], snr_db: f64) -> Vec<i16> {
    let mut noise = noise.to_vec();
    if snr_db.is_finite() {
        scale_to(&mut noise, rms(SPEECH_DBM0 - snr_db));
    }
    let sums = speech.iter().zip(noise).map(|(speech, noise)| (speech + noise).round() as i16);
    sums.map(|sample| round_trip(Law::A, sample)).collect()
}

/// True for so many steps after it was.
fn held(track: &[bool], steps: usize) -> Vec<bool> {
    let mut left = 0;
    let hold = |&now: &bool| {
        left = if now { steps + 1 } else { left.saturating_sub(1) };
        left > 0
    };
    track.iter().map(hold).collect()
}

/// For every step, what is known at its beginning.
fn ours(samples: &[i16]) -> Vec<bool> {
    let mut listener = Listener::new();
    let per_frame = SILENCE.len() / STEP;
    let mut known = vec![false; per_frame];
    for frame in samples.as_chunks::<{ SILENCE.len() }>().0 {
        let speaking = listener.listen(&mut frame.clone(), &SILENCE, 0).speaking;
        known.extend([speaking].repeat(per_frame));
    }
    known
}

/// The same by the other detector, which is told as much sound as there has been.
fn earshot(samples: &[i16], hold: usize) -> Vec<bool> {
    let faster = at_speed(samples, RATE_HZ as f64 / EARSHOT_HZ);
    let faster: Vec<i16> = faster.into_iter().map(|sample| sample.round() as i16).collect();
    let mut detector = Detector::default();
    let speech = faster.as_chunks::<EARSHOT_FRAME>().0.iter();
    let speech: Vec<bool> =
        speech.map(|frame| detector.predict_i16(frame) >= EARSHOT_SPEECH).collect();
    let frame_ms = EARSHOT_FRAME * 1000 / EARSHOT_HZ as usize;
    let known = (0..samples.len() / STEP).map(|step| {
        let frames = step * STEP_MS / frame_ms;
        frames > 0 && speech.get(frames - 1) == Some(&true)
    });
    held(&known.collect::<Vec<_>>(), hold)
}

/// Where a track becomes true.
fn onsets(track: &[bool]) -> Vec<usize> {
    (1..track.len()).filter(|&step| track[step] && !track[step - 1]).collect()
}

struct Measured {
    f1: f64,
    onsets_ms: [isize; 2],
    offsets_ms: [isize; 2],
    false_starts_a_minute: f64,
    missed: f64,
}

impl Measured {
    fn of(truth: &[bool], heard: &[bool]) -> Self {
        let both = |a: bool, b: bool| {
            truth.iter().zip(heard).filter(|&(&truth, &heard)| truth == a && heard == b).count()
                as f64
        };
        let (right, false_alarms, unheard) =
            (both(true, true), both(false, true), both(true, false));
        let false_start = |&step: &usize| !truth[step..].iter().take(EARLY).any(|&speech| speech);
        let false_starts = onsets(heard)
            .iter()
            .filter(|step| **step < truth.len())
            .filter(|step| false_start(step))
            .count();
        let quiet_minutes = truth.iter().filter(|speech| !**speech).count() as f64 / 6000.0;
        let (mut late, mut long, mut missed) = (Vec::new(), Vec::new(), 0);
        let begins = onsets(truth);
        for &begin in &begins {
            let end = begin + truth[begin..].iter().take_while(|speech| **speech).count();
            let Some(found) = (begin..end).find(|&step| heard[step]) else {
                missed += 1;
                continue;
            };
            late.push((found - begin) as isize * STEP_MS as isize);
            // When nothing is heard any more, whether too early or too late.
            let last = (begin..end).rfind(|&step| heard[step]).unwrap_or(found);
            let over = if last + 1 < end {
                last + 1
            } else {
                end + heard[end..].iter().take_while(|speech| **speech).count()
            };
            long.push((over as isize - end as isize) * STEP_MS as isize);
        }
        Self {
            f1: 200.0 * right / (2.0 * right + false_alarms + unheard),
            onsets_ms: percentiles(late),
            offsets_ms: percentiles(long),
            false_starts_a_minute: false_starts as f64 / quiet_minutes,
            missed: 100.0 * f64::from(missed) / begins.len() as f64,
        }
    }

    /// Cells of a row: of this and, after a stroke, of the other.
    fn beside(&self, other: &Self) -> String {
        let pair = |[half, most]: [isize; 2]| format!("{half}, {most}");
        let cells = [
            format!("{:.1} / {:.1}", self.f1, other.f1),
            format!("{} / {}", pair(self.onsets_ms), pair(other.onsets_ms)),
            format!("{} / {}", pair(self.offsets_ms), pair(other.offsets_ms)),
            format!("{:.1} / {:.1}", self.false_starts_a_minute, other.false_starts_a_minute),
            format!("{:.0} / {:.0}", self.missed, other.missed),
        ];
        cells.join(" | ").replace('-', "−")
    }
}

/// What half of them, and 95 of a hundred, do not exceed.
fn percentiles(mut values: Vec<isize>) -> [isize; 2] {
    values.sort_unstable();
    [50, 95].map(|percent| {
        let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
        values.get(place).copied().unwrap_or(0)
    })
}
