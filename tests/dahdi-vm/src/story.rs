//! Several stories on one machine: booting and installing takes longer than most of them do.

use std::time::Instant;

/// One of them: leaves the machine as it found it. Its name is printed before it begins, so that the
/// last one tells which failed, and how long it took.
pub fn story(name: &str, tell: impl FnOnce()) {
    eprintln!("── {name}");
    let begin = Instant::now();
    tell();
    eprintln!("   {:.1} s", begin.elapsed().as_secs_f32());
}
