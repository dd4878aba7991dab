//! Log lines: to standard error, which systemd hands to its journal, or to a file that is rotated
//! and of which so many are kept.

use crate::config::{Level, LogFormat, LogOutput, Logging, Rotation};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{self, RollingFileAppender};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Writes what is waiting when it is dropped; to be held until the end.
#[derive(Debug)]
#[must_use = "lines that still wait are lost with it"]
pub struct LogGuard {
    _writer: Option<WorkerGuard>,
}

/// Begins to write; once in a process.
///
/// # Errors
/// The file or its folder cannot be written; the text names it.
pub fn start(logging: &Logging) -> Result<LogGuard, String> {
    match &logging.output {
        LogOutput::Journal => {
            // journald has its own clock.
            let timed = std::env::var_os("JOURNAL_STREAM").is_none();
            install(logging, std::io::stderr, timed);
            Ok(LogGuard { _writer: None })
        }
        LogOutput::File(path) => {
            let folder = path.parent().ok_or_else(|| format!("{} is no file", path.display()))?;
            let name = path.file_name().ok_or_else(|| format!("{} is no file", path.display()))?;
            let file = RollingFileAppender::builder()
                .rotation(match logging.rotation {
                    Rotation::Daily => rolling::Rotation::DAILY,
                    Rotation::Hourly => rolling::Rotation::HOURLY,
                    Rotation::Never => rolling::Rotation::NEVER,
                })
                .filename_prefix(name.to_string_lossy())
                .max_log_files(logging.retention_files.get() as usize)
                .build(folder)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let (writer, guard) = tracing_appender::non_blocking(file);
            install(logging, writer, true);
            Ok(LogGuard { _writer: Some(guard) })
        }
    }
}

fn install<W>(logging: &Logging, writer: W, timed: bool)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(logging.level))
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false);
    // A second start in one process, as tests have it, keeps the first.
    let _ = match (logging.format, timed) {
        (LogFormat::Json, _) => lines.json().flatten_event(true).try_init(),
        (LogFormat::Text, true) => lines.try_init(),
        (LogFormat::Text, false) => lines.without_time().try_init(),
    };
}

/// The SIP library prints whole messages, credentials among them, at `info`, and a line for each
/// malformed one at `warn`, with which anybody could fill the log.
fn filter(level: Level) -> EnvFilter {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let libraries = if level == "error" { "error" } else { "warn" };
    EnvFilter::new(format!("{libraries},rsipstack=error,tipring_apid={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bounded;

    #[test]
    fn a_file_is_written_in_json_and_a_folder_that_is_not_there_is_named() {
        let folder = std::env::temp_dir().join(format!("tipring-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let logging = Logging {
            format: LogFormat::Json,
            output: LogOutput::File(folder.join("apid.log")),
            rotation: Rotation::Never,
            retention_files: Bounded::of(2),
            ..Logging::default()
        };
        let guard = start(&logging).unwrap();
        tracing::info!(line = "1", "rings");
        tracing::info!(target: "rsipstack", "Authorization: Digest");
        drop(guard);
        let text = std::fs::read_to_string(folder.join("apid.log")).unwrap();
        assert!(text.contains(r#""message":"rings""#) && text.contains(r#""line":"1""#), "{text}");
        assert!(!text.contains("Digest"), "{text}");
        std::fs::remove_dir_all(&folder).unwrap();

        let nowhere = "/proc/nowhere/apid.log";
        let output = LogOutput::File(nowhere.into());
        assert!(start(&Logging { output, ..logging }).unwrap_err().contains(nowhere));
    }
}
