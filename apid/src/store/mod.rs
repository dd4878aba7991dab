//! What is kept for good: calls that are over, and what is known of recordings. One SQLite file
//! in the state directory, one thread that owns the connection; whoever asks waits for an answer,
//! whoever only tells never waits.

mod calls;
mod recordings;

pub use calls::{CallQuery, delete_call, find_call, insert_call, list_calls, prune_calls};
pub use recordings::{
    RecordingQuery, delete_recording, find_recording, insert_recording, list_recordings,
    recordings_in, recordings_older_than, update_recording,
};

use crate::view::Timestamp;
use rusqlite::Connection;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// Jobs that wait.
const QUEUE: usize = 4096;

/// What the tables look like; the number rises with every change of them.
const SCHEMA: (u32, &str) = (
    1,
    "CREATE TABLE calls (
        number INTEGER PRIMARY KEY,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER NOT NULL,
        caller TEXT NOT NULL,
        callee TEXT NOT NULL,
        cause INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX calls_started ON calls (started_ms);
    CREATE TABLE call_lines (
        number INTEGER NOT NULL REFERENCES calls (number) ON DELETE CASCADE,
        line TEXT NOT NULL,
        PRIMARY KEY (line, number)
    ) WITHOUT ROWID;
    CREATE INDEX call_lines_number ON call_lines (number);
    CREATE TABLE recordings (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        line TEXT NOT NULL,
        call_id TEXT,
        running INTEGER NOT NULL,
        started_ms INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX recordings_line ON recordings (line, sequence);
    CREATE INDEX recordings_started ON recordings (started_ms);",
);

/// Why the store did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// More waits than is bounded.
    Full,
    /// The file cannot be read or written; the reason.
    Database(String),
    /// It was made by a newer Tipring.
    Newer(u32),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("too much waits to be stored"),
            Self::Database(reason) => write!(f, "the store: {reason}"),
            Self::Newer(version) => {
                write!(f, "the store has version {version}, which a newer Tipring made")
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The store. Cheap to clone; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct Store(SyncSender<Job>);

impl Store {
    /// Opens the file or makes it, and starts the thread.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        // Readable for us alone: it says who called whom. SQLite's further files follow it.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(file)
            .map_err(|error| StoreError::Database(error.to_string()))?;
        Self::over(Connection::open(file)?)
    }

    /// A store that keeps nothing beyond its own life.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::over(Connection::open_in_memory()?)
    }

    fn over(mut connection: Connection) -> Result<Self, StoreError> {
        prepare(&mut connection)?;
        let (sender, jobs) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(connection, &jobs))
            .map_err(|error| StoreError::Database(error.to_string()))?;
        Ok(Self(sender))
    }

    /// Has something done and waits for what it gives.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |connection| {
            // Whoever asked may have gone.
            let _ = answer.send(job(connection));
        }))?;
        match answered.await {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(StoreError::Database("the thread has ended".to_owned())),
        }
    }

    /// Has something done; what fails is logged.
    ///
    /// # Errors
    /// `Full`.
    pub fn tell(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.send(Box::new(move |connection| {
            if let Err(error) = job(connection) {
                tracing::error!("the store: {error}");
            }
        }))
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.0.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Full,
            TrySendError::Disconnected(_) => {
                StoreError::Database("the thread has ended".to_owned())
            }
        })
    }
}

fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // What is deleted is overwritten; a crash loses the last moment, never the file.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;",
    )?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA.1)?;
            transaction.pragma_update(None, "user_version", SCHEMA.0)?;
            transaction.commit()?;
            Ok(())
        }
        known if known == SCHEMA.0 => Ok(()),
        newer => Err(StoreError::Newer(newer)),
    }
}

fn work(mut connection: Connection, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(&mut connection);
    }
}

/// Milliseconds since 1970.
pub(crate) fn ms_of(time: Timestamp) -> i64 {
    let since = time.0.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
