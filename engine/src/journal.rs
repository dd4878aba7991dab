//! The engine's log lines: to standard error, which systemd keeps in its journal, or to a file that is
//! rotated. Written by a thread of its own, so that a reader or a disk that stalls holds up nobody;
//! what it cannot take is counted and told.

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::SystemTime;
use tipring_logging::{Format, Level, Logging, OpenError, Output, RotatedFile, timestamp};

/// Lines that may wait for a slow reader.
const WAITING_LINES: usize = 1024;

/// Writes lines. Clones share one writer. Not for frame loops: they push a
/// [`crate::trace::Trace`].
#[derive(Clone, Debug)]
pub struct Journal {
    least: Level,
    lines: Sender<Line>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Line {
    at: SystemTime,
    level: Level,
    text: String,
}

impl Journal {
    /// Starts the writer; it ends, all lines written, when the last clone is dropped.
    ///
    /// # Errors
    /// The file or its folder cannot be written; the text names it.
    pub fn start(logging: &Logging) -> Result<(Self, JoinHandle<()>), OpenError> {
        let shape = Shape { format: logging.format, head: Head::of(&logging.output) };
        let mut out: Box<dyn Write + Send> = match &logging.output {
            Output::Journal => Box::new(io::stderr()),
            Output::File(path) => Box::new(RotatedFile::open(
                path,
                logging.rotation,
                logging.retention_files,
                SystemTime::now(),
            )?),
        };
        let (sender, receiver) = bounded(WAITING_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let seen_by_writer = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_lines(&receiver, shape, &mut out, &seen_by_writer))
            .expect("a thread can be started at start-up");
        Ok((Self { least: logging.level, lines: sender, lost }, writer))
    }

    /// One line; never waits.
    pub fn write(&self, level: Level, text: impl Into<String>) {
        if level > self.least {
            return;
        }
        let line = Line { at: SystemTime::now(), level, text: text.into() };
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_lines(lines: &Receiver<Line>, shape: Shape, out: &mut dyn Write, lost: &AtomicU64) {
    for line in lines {
        if out.write_all(shape.render(&line).as_bytes()).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let text = format!("{count} log lines were lost: nothing took them in time");
            let line = Line { at: SystemTime::now(), level: Level::Warn, text };
            if out.write_all(shape.render(&line).as_bytes()).is_err() {
                lost.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

/// What stands before a line for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// The priority as systemd's journal, which has its own clock, understands it (sd-daemon(3)).
    Priority,
    /// The time and the level.
    Time,
}

impl Head {
    fn of(output: &Output) -> Self {
        match output {
            Output::Journal if std::env::var_os("JOURNAL_STREAM").is_some() => Self::Priority,
            Output::Journal | Output::File(_) => Self::Time,
        }
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug)]
struct Shape {
    format: Format,
    head: Head,
}

impl Shape {
    fn render(self, line: &Line) -> String {
        let Line { at, level, text } = line;
        let level_name = level.name().to_ascii_uppercase();
        match (self.format, self.head) {
            (Format::Text, Head::Priority) => {
                // Of syslog(3).
                let priority = match level {
                    Level::Error => 3,
                    Level::Warn => 4,
                    Level::Info => 6,
                    Level::Debug | Level::Trace => 7,
                };
                format!("<{priority}>engine: {text}\n")
            }
            (Format::Text, Head::Time) => {
                format!("{} {level_name:>5} engine: {text}\n", timestamp(*at))
            }
            (Format::Json, _) => format!(
                r#"{{"timestamp":"{}","level":"{level_name}","process":"engine","message":"{}"}}{}"#,
                timestamp(*at),
                escape(text),
                '\n'
            ),
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
    use std::time::Duration;
    use tipring_logging::Rotation;

    #[test]
    fn lines_are_text_json_or_journal() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_273_199);
        let render = |format, head, level, text: &str| {
            Shape { format, head }.render(&Line { at, level, text: text.into() })
        };
        assert_eq!(
            render(Format::Text, Head::Time, Level::Info, "a"),
            "2026-11-21T14:59:59Z  INFO engine: a\n"
        );
        assert_eq!(render(Format::Text, Head::Priority, Level::Warn, "a"), "<4>engine: a\n");
        let expected = r#"{"timestamp":"2026-11-21T14:59:59Z","level":"ERROR","process":"engine","message":"a \"b\"\u000a"}"#;
        let json = render(Format::Json, Head::Priority, Level::Error, "a \"b\"\n");
        assert_eq!(json.trim_end(), expected);
    }

    #[test]
    fn a_file_gets_what_is_worth_a_line() {
        let folder = std::env::temp_dir().join(format!("tipring-journal-{}", std::process::id()));
        let output = Output::File(folder.join("engine.log"));
        let logging = Logging { output, rotation: Rotation::Never, ..Logging::default() };
        let (journal, writer) = Journal::start(&logging).unwrap();
        journal.write(Level::Warn, "something");
        journal.write(Level::Debug, "digit 5");
        drop(journal);
        writer.join().unwrap();
        let text = std::fs::read_to_string(folder.join("engine.log")).unwrap();
        assert!(text.ends_with(" WARN engine: something\n") && text.lines().count() == 1, "{text}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_could_not_be_written_is_counted_and_told() {
        /// Takes nothing at first.
        struct Stuck(u32, Vec<u8>);
        impl Write for Stuck {
            fn write(&mut self, line: &[u8]) -> io::Result<usize> {
                if self.0 > 0 {
                    self.0 -= 1;
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.1.write(line)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, receiver) = bounded(4);
        for text in ["a", "b", "c"] {
            let line = Line { at: SystemTime::UNIX_EPOCH, level: Level::Info, text: text.into() };
            sender.send(line).unwrap();
        }
        drop(sender);
        let mut out = Stuck(2, Vec::new());
        let shape = Shape { format: Format::Text, head: Head::Time };
        write_lines(&receiver, shape, &mut out, &AtomicU64::new(0));
        let text = String::from_utf8(out.1).unwrap();
        assert!(text.contains("engine: c\n") && text.contains(" 2 log lines were lost"), "{text}");
    }
}
