//! What these files say is read by spandsp, which nobody here wrote, before anything of ours is
//! judged by them.

use std::path::Path;
use std::process::Command;
use tipring_signals::companding::Law;
use tipring_signals::dtmf_sweeps::{SLOT, Step, sweeps};
use tipring_signals::signal::Signal;
use tipring_signals::wav;

/// What everybody must hear: whole digits, and no digits.
#[test]
fn spandsp_hears_the_digits_that_are_sent() {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spandsp/dtmf.py");
    for (name, value) in [("level", -10.0), ("length", 50.0), ("noise", 24.0), ("level", -58.0)] {
        let sweeps = sweeps();
        let sweep = sweeps.iter().find(|sweep| sweep.name == name).expect("a sweep");
        let step = sweep.steps.iter().find(|step| (step.value - value).abs() < 1e-9);
        let step = step.expect("a step");
        let path = std::env::temp_dir().join(format!("{name}{value}.{}.wav", std::process::id()));
        let samples = Signal::new(0).then(&step.signal()).companded(Law::A);
        wav::write(&path, &samples).expect("a file");
        let output = Command::new("python3").arg(&reader).arg(&path).arg(SLOT.to_string()).output();
        let output = output.expect("python3");
        std::fs::remove_file(&path).expect("it is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let heard = String::from_utf8(output.stdout).expect("digits");
        let sent: Vec<String> = Step::digits().map(|digit| char::from(digit).to_string()).collect();
        let wanted = if step.wanted == Some(true) { sent } else { vec![String::new(); sent.len()] };
        assert_eq!(heard.lines().skip(1).collect::<Vec<_>>(), wanted, "{name} {value}");
    }
}
