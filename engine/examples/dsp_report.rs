//! What the DTMF receiver accepts and refuses, step by step, with spandsp's on the same files beside
//! it, as the table of docs/dsp.md. `make dsp-report` runs it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tipring_engine::dsp::dtmf_detector::{DtmfDetector, DtmfEvent};
use tipring_engine::dsp::dtmf_limits::DtmfLimits;
use tipring_engine::frame::Linear;
use tipring_shm_proto::settings::{DtmfProfile, DtmfSettings};
use tipring_signals::companding::Law;
use tipring_signals::dtmf_sweeps::{SLOT, Step, Sweep, sweeps};
use tipring_signals::signal::Signal;
use tipring_signals::wav;

const PROFILES: [DtmfProfile; 3] = [DtmfProfile::Att, DtmfProfile::Ntt, DtmfProfile::Etsi];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, reader] = &arguments[..] else {
        eprintln!("dsp_report FOLDER READER: writes files to FOLDER, has READER read them");
        return ExitCode::from(2);
    };
    match report(Path::new(folder), reader) {
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

fn report(folder: &Path, reader: &str) -> Result<String, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    let mut text = String::new();
    let mut missed = Vec::new();
    for sweep in sweeps() {
        writeln!(text, "### {}\n\nTIA-464: {}.\n", title(&sweep), sweep.clause)?;
        writeln!(
            text,
            "| | wanted | `att` | `ntt` | `etsi` | spandsp |\n|---|---|---|---|---|---|"
        )?;
        let mut rows = Rows::default();
        for step in &sweep.steps {
            let samples = Signal::new(0).then(&step.signal()).companded(Law::A);
            let path = folder.join(format!("{}{:+}.wav", sweep.name, step.value));
            wav::write(&path, &samples)?;
            let right = PROFILES.map(|profile| right_answers(step, &heard(profile, &samples)));
            let theirs = right_answers(step, &read_by(reader, &path)?);
            let wanted = match step.wanted {
                Some(true) => "all",
                Some(false) => "none",
                None => "",
            };
            let all = Step::digits().count();
            if step.wanted.is_some_and(|wanted| right[0] != if wanted { all } else { 0 }) {
                missed.push(format!("{} {}: {} of {all}", sweep.name, step.value, right[0]));
            }
            let share = |right: usize| share(right, all);
            let [att, ntt, etsi] = right.map(share);
            rows.add(step.value, format!("{wanted} | {att} | {ntt} | {etsi} | {}", share(theirs)));
        }
        rows.write(&mut text);
        text.push('\n');
    }
    if missed.is_empty() { Ok(text) } else { Err(missed.join("\n").into()) }
}

fn title(sweep: &Sweep) -> String {
    let mut title = sweep.title.to_owned();
    title[..1].make_ascii_uppercase();
    title
}

/// Steps with the same result become one row.
#[derive(Default)]
struct Rows(Vec<(f64, f64, String)>);

impl Rows {
    fn add(&mut self, value: f64, result: String) {
        match self.0.last_mut() {
            Some((_, last, same)) if *same == result => *last = value,
            _ => self.0.push((value, value, result)),
        }
    }

    fn write(&self, text: &mut String) {
        for (first, last, result) in &self.0 {
            let values =
                if first < last { format!("{first} to {last}") } else { first.to_string() };
            text.push_str(&format!("| {values} | {result} |\n").replace('-', "−"));
        }
    }
}

fn share(right: usize, all: usize) -> String {
    match right {
        0 => "none".to_owned(),
        right if right == all => "all".to_owned(),
        right => format!("{right} of {all}"),
    }
}

fn right_answers(step: &Step, heard: &[String]) -> usize {
    Step::digits().zip(heard).filter(|(digit, heard)| step.is_right(*digit, heard)).count()
}

/// What is heard in each slot that counts.
fn heard(profile: DtmfProfile, samples: &[i16]) -> Vec<String> {
    let mut detector = DtmfDetector::new(DtmfLimits::of(DtmfSettings { profile, weakest: None }));
    let slots = samples.chunks_exact(SLOT).map(|slot| {
        let frames = slot.as_chunks().0.iter().flat_map(|frame: &Linear| detector.hear(frame));
        let digits = frames.filter_map(|event| match event {
            DtmfEvent::End { digit, .. } => Some(char::from(digit)),
            DtmfEvent::Early { .. } | DtmfEvent::Begin { .. } => None,
        });
        digits.collect()
    });
    slots.skip(1).collect()
}

/// What another receiver hears: a line for each slot that counts.
fn read_by(reader: &str, path: &PathBuf) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let output = Command::new("python3").arg(reader).arg(path).arg(SLOT.to_string()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().skip(1).map(str::to_owned).collect())
}
