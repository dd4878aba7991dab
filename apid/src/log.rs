//! Log lines: to standard error, which systemd hands to its journal, or to a file that is rotated
//! and of which so many are kept.

mod refusal;

pub use refusal::Refusal;

use std::time::SystemTime;
use tipring_logging::{Format, Level, Logging, Output, RotatedFile};
use tracing_appender::non_blocking::WorkerGuard;
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
        Output::Journal => {
            // journald has its own clock.
            let timed = std::env::var_os("JOURNAL_STREAM").is_none();
            install(logging, std::io::stderr, timed);
            Ok(LogGuard { _writer: None })
        }
        Output::File(path) => {
            let Logging { rotation, retention_files, .. } = *logging;
            let file = RotatedFile::open(path, rotation, retention_files, SystemTime::now())
                .map_err(|error| error.to_string())?;
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
        (Format::Json, _) => lines.json().flatten_event(true).try_init(),
        (Format::Text, true) => lines.try_init(),
        (Format::Text, false) => lines.without_time().try_init(),
    };
}

/// The SIP library prints whole messages, credentials among them, at `info`, and a line for each
/// malformed one at `warn`, with which anybody could fill the log.
fn filter(level: Level) -> EnvFilter {
    let libraries = level.min(Level::Warn).name();
    let level = level.name();
    EnvFilter::new(format!("{libraries},rsipstack=error,tipring_apid={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tipring_logging::Rotation;

    #[test]
    fn a_file_is_written_in_json_and_a_folder_that_is_not_there_is_named() {
        let folder = std::env::temp_dir().join(format!("tipring-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let logging = Logging {
            format: Format::Json,
            output: Output::File(folder.join("apid.log")),
            rotation: Rotation::Never,
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
        let output = Output::File(nowhere.into());
        assert!(start(&Logging { output, ..logging }).unwrap_err().contains(nowhere));
    }
}
