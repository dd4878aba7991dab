//! The engine's log lines: standard error, which systemd keeps in the journal. Written by a
//! thread of its own, so that a reader that stalls holds up nobody; what it cannot take is
//! counted and told.

use crate::config::{Level, Log, LogFormat};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Lines that may wait for a slow reader.
const WAITING_LINES: usize = 1024;

/// Writes lines. Clones share one writer. Not for frame loops: they push a
/// [`crate::trace::Trace`].
#[derive(Clone, Debug)]
pub struct Journal {
    least: Level,
    lines: Sender<(Level, String)>,
    lost: Arc<AtomicU64>,
}

impl Journal {
    /// Starts the writer; it ends, all lines written, when the last clone is dropped.
    pub fn start(settings: Log) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = bounded(WAITING_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let seen_by_writer = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_lines(&receiver, settings.format, &seen_by_writer))
            .expect("a thread can be started at start-up");
        (Self { least: settings.level, lines: sender, lost }, writer)
    }

    /// One line; never waits.
    pub fn write(&self, level: Level, text: impl Into<String>) {
        if level > self.least {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.lines.try_send((level, text.into())) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_lines(lines: &Receiver<(Level, String)>, format: LogFormat, lost: &AtomicU64) {
    // Only under systemd does a reader understand the priority prefix (sd-daemon(3)).
    let prefixed = std::env::var_os("JOURNAL_STREAM").is_some();
    let mut out = std::io::stderr().lock();
    for (level, text) in lines {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(out, "{}", render(level, &text, format, prefixed));
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} log lines were lost: standard error is not read");
            let _ = writeln!(out, "{}", render(Level::Warn, &text, format, prefixed));
        }
    }
}

fn render(level: Level, text: &str, format: LogFormat, prefixed: bool) -> String {
    let (name, priority) = match level {
        Level::Error => ("error", 3),
        Level::Warn => ("warn", 4),
        Level::Info => ("info", 6),
        Level::Debug => ("debug", 7),
    };
    match format {
        LogFormat::Text if prefixed => format!("<{priority}>engine: {text}"),
        LogFormat::Text => format!("{name:5} engine: {text}"),
        LogFormat::Json => {
            format!(r#"{{"level":"{name}","process":"engine","message":"{}"}}"#, escape(text))
        }
    }
}

/// RFC 8259 §7.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                use std::fmt::Write;
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_text_json_or_journal() {
        let text = "a \"b\"\n";
        assert_eq!(render(Level::Info, "a", LogFormat::Text, false), "info  engine: a");
        assert_eq!(render(Level::Warn, "a", LogFormat::Text, true), "<4>engine: a");
        assert_eq!(
            render(Level::Error, text, LogFormat::Json, false),
            r#"{"level":"error","process":"engine","message":"a \"b\"\u000a"}"#
        );
    }
}
