//! What is left of echoes, after the tests of ITU-T G.168 §6, with spandsp's canceller on the same
//! files beside it, as a table of docs/dsp.md. `tools/dsp-report echo` runs it. Fails where ours
//! does not keep its limit.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use tipring_engine::dsp::Listener;
use tipring_shm_proto::settings::LineSettings;
use tipring_signals::companding::{Law, round_trip};
use tipring_signals::hybrid::{hybrid, through};
use tipring_signals::noise::{Noise, noise};
use tipring_signals::{RATE_HZ, dbm0_of_mean_square, rms, speech_level, wav};

const SECONDS: usize = 12;
/// Of what is played, and of who speaks at the same time: P.56, active.
const LEVEL_DBM0: f64 = -16.0;
/// Of the line's own noise.
const NOISE_DBM0: f64 = -65.0;
/// Delay of each hybrid, samples; its number is its seed.
const DELAYS: [usize; 4] = [0, 8, 20, 40];
/// Return loss enhancement that is promised once a second has passed, dB.
const WANTED_DB: f64 = 25.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, folder, reader] = &arguments[..] else {
        eprintln!("echo_report LIST FOLDER READER: has READER read what is written to FOLDER");
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

/// A line: what is played, by which path it comes back, what else is on it.
struct Case {
    title: &'static str,
    given: Vec<f64>,
    near: Vec<f64>,
    /// The path is another one from here on, s.
    new_path_at: Option<usize>,
    /// From when to when the echo and what is left of it are compared, s.
    measured: [f64; 2],
}

fn report(list: &Path, folder: &Path, reader: &str) -> Result<String, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let mut text = format!(
        "Played at −{:.0} dBm0 into a hybrid, line noise −{:.0} dBm0; return loss enhancement in dB \
         with suppressor, mean (worst) of {} hybrids; ∞ is digital silence.\n\n\
         | | return loss, dB | Tipring | spandsp |\n|---|---|---|---|\n",
        -LEVEL_DBM0,
        -NOISE_DBM0,
        DELAYS.len()
    );
    let mut missed = String::new();
    for case in cases(list)? {
        for loss_db in [6.0, 12.0] {
            let mut enhancements = [Vec::new(), Vec::new()];
            for (delay, seed) in DELAYS.into_iter().zip(1..) {
                let line = Line::of(&case, loss_db, delay, seed);
                let left = [line.left_by_ours(), line.left_by(reader, folder)?];
                for (all, left) in enhancements.iter_mut().zip(left) {
                    all.push(line.echo_level(case.measured) - level(&left, case.measured));
                }
            }
            let [ours, theirs] = enhancements.map(|all| {
                let worst = all.iter().copied().fold(f64::INFINITY, f64::min);
                (all.iter().sum::<f64>() / all.len() as f64, worst)
            });
            let [ours_of, theirs_of] = [ours, theirs].map(|(mean, worst)| cell(mean, worst));
            writeln!(text, "| {} | {loss_db:.0} | {ours_of} | {theirs_of} |", case.title)?;
            if ours.1 < WANTED_DB && case.measured[0] >= 1.0 && case.new_path_at.is_none() {
                writeln!(missed, "{}, {loss_db} dB: {:.1} dB", case.title, ours.1)?;
            }
        }
    }
    if missed.is_empty() { Ok(text) } else { Err(missed.into()) }
}

/// Digital silence is infinitely weaker.
fn cell(mean: f64, worst: f64) -> String {
    format!("{mean:.0} ({worst:.0})").replace("inf", "∞").replace('-', "−")
}

fn cases(list: &Path) -> Result<Vec<Case>, Box<dyn Error>> {
    let far = recorded(list, "en_US_f_Allison")?;
    let near = recorded(list, "it_IT_m_Carlo")?;
    let white = noise(Noise::White, LEVEL_DBM0, SECONDS * RATE_HZ, 1);
    let silence = vec![0.0; SECONDS * RATE_HZ];
    let mut talking = silence.clone();
    talking[4 * RATE_HZ..8 * RATE_HZ].copy_from_slice(&near[..4 * RATE_HZ]);
    let case = |title, given: &[f64], near: &[f64], new_path_at, measured| Case {
        title,
        given: given.to_vec(),
        near: near.to_vec(),
        new_path_at,
        measured,
    };
    Ok(vec![
        case("noise, first second", &white, &silence, None, [0.0, 1.0]),
        case("noise, after a second", &white, &silence, None, [1.0, 12.0]),
        case("speech, first second of it", &far, &silence, None, [0.0, 1.0]),
        case("speech, after a second", &far, &silence, None, [1.0, 12.0]),
        case("speech, after 4 s of double talk", &far, &talking, None, [8.5, 12.0]),
        case("speech, 2 s after the path became another", &far, &silence, Some(6), [8.0, 12.0]),
    ])
}

/// What this speaker of the corpus says, without pauses between prompts.
fn recorded(list: &Path, speaker: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut said = Vec::new();
    for line in std::fs::read_to_string(list)?.lines().filter(|line| line.contains(speaker)) {
        let path = line.rsplit('\t').next().unwrap_or_default();
        let samples = wav::read(Path::new(path)).map_err(|error| format!("{path}: {error}"))?;
        let Some(level) = speech_level::active_level(&samples) else { continue };
        let factor = rms(LEVEL_DBM0) / rms(level);
        said.extend(samples.iter().map(|&s| f64::from(s) * factor));
        if said.len() >= SECONDS * RATE_HZ {
            said.truncate(SECONDS * RATE_HZ);
            return Ok(said);
        }
    }
    Err(format!("{} has no {SECONDS} s of {speaker}", list.display()).into())
}

/// As it is measured: both ways through A-law, as on a card.
struct Line {
    given: Vec<i16>,
    said: Vec<i16>,
    echo: Vec<f64>,
}

fn companded(samples: &[f64]) -> Vec<i16> {
    samples.iter().map(|sample| round_trip(Law::A, sample.round() as i16)).collect()
}

impl Line {
    fn of(case: &Case, loss_db: f64, delay: usize, seed: u64) -> Self {
        let given = companded(&case.given);
        let played: Vec<f64> = given.iter().map(|&s| f64::from(s)).collect();
        let mut echo = through(&hybrid(loss_db, delay, seed), &played);
        if let Some(at) = case.new_path_at {
            let other = through(&hybrid(loss_db, delay + 4, seed + 100), &played);
            echo[at * RATE_HZ..].copy_from_slice(&other[at * RATE_HZ..]);
        }
        let own = noise(Noise::White, NOISE_DBM0, echo.len(), seed);
        let sums =
            echo.iter().zip(&case.near).zip(own).map(|((echo, near), own)| echo + near + own);
        let said = companded(&sums.collect::<Vec<f64>>());
        Self { given, said, echo }
    }

    fn echo_level(&self, between: [f64; 2]) -> f64 {
        mean_level(&self.echo, between)
    }

    fn left_by_ours(&self) -> Vec<i16> {
        let mut listener = Listener::new();
        listener.set(&LineSettings { echo_canceller: true, ..LineSettings::of_country(*b"us") });
        let frames = self.said.as_chunks().0.iter().zip(self.given.as_chunks().0);
        let left = frames.flat_map(|(said, given)| {
            let mut heard = *said;
            let _ = listener.listen(&mut heard, given, 0);
            heard
        });
        left.collect()
    }

    fn left_by(&self, reader: &str, folder: &Path) -> Result<Vec<i16>, Box<dyn Error>> {
        let path = |name: &str| -> PathBuf { folder.join(name) };
        let (given, said, left) = (path("given.wav"), path("said.wav"), path("left.wav"));
        wav::write(&given, &self.given)?;
        wav::write(&said, &self.said)?;
        // Debian's library prints what it does for every sample.
        let mut command = Command::new("python3");
        command.arg(reader).args([&given, &said, &left]).stdout(Stdio::null());
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(wav::read(&left)?)
    }
}

fn level(samples: &[i16], between: [f64; 2]) -> f64 {
    let samples: Vec<f64> = samples.iter().map(|&s| f64::from(s)).collect();
    mean_level(&samples, between)
}

fn mean_level(samples: &[f64], between: [f64; 2]) -> f64 {
    let [from, to] = between.map(|seconds| (seconds * RATE_HZ as f64) as usize);
    let part = &samples[from..to.min(samples.len())];
    dbm0_of_mean_square(part.iter().map(|s| s * s).sum::<f64>() / part.len() as f64)
}
