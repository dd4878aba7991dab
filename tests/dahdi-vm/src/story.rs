//! Several stories on one machine: booting and installing takes longer than most of them do.

use std::time::Instant;

/// One of them: leaves the machine as it found it. Its name is printed before it begins, so that the
/// last one tells which failed, and how long it took. Where `TIPRING_STORY` is set, only those are told
/// whose name contains it.
pub fn story(name: &str, tell: impl FnOnce()) {
    if std::env::var("TIPRING_STORY").is_ok_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    eprintln!("── {name}");
    let begin = Instant::now();
    tell();
    eprintln!("   {:.1} s", begin.elapsed().as_secs_f32());
}
