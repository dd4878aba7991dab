//! The attachment to the engine: one thread that attaches, attaches anew after a restart, merges
//! what the frame loops tell, and reads audio for whoever taps a line.
//!
//! A command is answered by its `CommandDone` or not at all: [`EngineLink::ask`] gives up after
//! [`ANSWER_PATIENCE`]. When the attachment ends, everybody who waits is told.

mod attachment;
mod playing;
mod tap;
mod thread;

pub use playing::PlayLease;
pub use tap::{Tap, TapItem, TapMeter};

use crate::view::{EngineDiagnostics, FrameLoopDiagnostics, Timestamp};
use attachment::Attachment;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tap::TapSeat;
use tipring_shm_proto::Direction;
use tipring_shm_proto::command::{Command, Outcome, Refusal, Request};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::{CommandId, Generation, LineId, LoopId, Nanos};
use tokio::sync::{mpsc, oneshot};

/// An answer comes within two ticks; a bridge or a socket within two rounds of the supervisor.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// Commands without an answer, at once.
const PENDING: usize = 4096;
/// Notes that wait for control; the thread waits when there are more, the engine then counts.
const NOTES: usize = 8192;

/// Why a command has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// There is no engine, or it went away before it answered.
    Away,
    /// Too many commands wait.
    Full,
    /// No answer in time.
    TimedOut,
    /// The engine refused.
    Refused(Refusal),
}

/// What the thread tells, in order.
#[derive(Debug)]
pub enum LinkNote {
    /// Attached; the line table as it is now.
    Attached {
        /// Which start of the engine.
        generation: Generation,
        /// All lines.
        rows: Vec<(LineId, LineRow)>,
    },
    /// Not attached any more.
    Detached {
        /// Why.
        reason: String,
    },
    /// Events were dropped; the line table as it is now.
    Resync {
        /// All lines.
        rows: Vec<(LineId, LineRow)>,
    },
    /// Something happened on a line.
    Line {
        /// Which.
        line: LineId,
        /// When.
        at: Timestamp,
        /// What.
        event: LineEvent,
    },
    /// A frame loop has no time for everything, or has again.
    Overloaded {
        /// Which.
        frame_loop: LoopId,
        /// Whether.
        on: bool,
    },
}

/// The attachment. Cheap to clone; the thread ends when the receiver of its notes is dropped.
#[derive(Clone, Debug)]
pub struct EngineLink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: PathBuf,
    attachment: RwLock<Option<Arc<Attachment>>>,
    since: Mutex<Timestamp>,
    attachments: AtomicU64,
    timed_out: AtomicU64,
    resyncs: AtomicU64,
    next_command: AtomicU64,
    taps: Mutex<Vec<TapSeat>>,
    stop: AtomicBool,
}

impl EngineLink {
    /// Starts the thread, which attaches as soon as there is an engine.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(socket: &Path) -> std::io::Result<(Self, mpsc::Receiver<LinkNote>)> {
        let link = Self::away(socket);
        let (notes, receiver) = mpsc::channel(NOTES);
        let shared = link.0.clone();
        std::thread::Builder::new()
            .name("engine-link".to_owned())
            .spawn(move || thread::run(&shared, &notes))?;
        Ok((link, receiver))
    }

    /// A link that never attaches.
    pub fn away(socket: &Path) -> Self {
        Self(Arc::new(Shared {
            socket: socket.to_owned(),
            attachment: RwLock::new(None),
            since: Mutex::new(Timestamp::now()),
            attachments: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            resyncs: AtomicU64::new(0),
            next_command: AtomicU64::new(1),
            taps: Mutex::default(),
            stop: AtomicBool::new(false),
        }))
    }

    /// Ends the thread, and with it the attachment.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    fn attachment(&self) -> Option<Arc<Attachment>> {
        self.0.attachment.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The start of the engine that is attached.
    pub fn generation(&self) -> Option<Generation> {
        Some(self.attachment()?.map.generation())
    }

    /// A line's row as it is now.
    pub fn row(&self, line: LineId) -> Option<LineRow> {
        self.attachment()?.map.line(line)
    }

    /// Asks the engine; waits for the answer.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn ask(&self, line: LineId, command: Command) -> Result<Outcome, LinkError> {
        let attachment = self.attachment().ok_or(LinkError::Away)?;
        let row = attachment.map.line(line).ok_or(LinkError::Refused(Refusal::UnknownLine))?;
        let id = CommandId(self.0.next_command.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        {
            let mut pending = lock(&attachment.pending);
            if pending.closed {
                return Err(LinkError::Away);
            }
            if pending.answers.len() >= PENDING {
                return Err(LinkError::Full);
            }
            pending.answers.insert(id, answer);
        }
        let generation = attachment.map.generation();
        let request = Request { id, generation, line, command };
        let sent = attachment.command_writer(row.frame_loop, |writer| writer.send(&request));
        if !matches!(sent, Some(Ok(()))) {
            lock(&attachment.pending).answers.remove(&id);
            return Err(LinkError::Full);
        }
        match tokio::time::timeout(ANSWER_PATIENCE, answered).await {
            Ok(Ok(Outcome::Refused(Refusal::EngineRestarted)) | Err(_)) => Err(LinkError::Away),
            Ok(Ok(Outcome::Refused(refusal))) => Err(LinkError::Refused(refusal)),
            Ok(Ok(outcome)) => Ok(outcome),
            Err(_) => {
                lock(&attachment.pending).answers.remove(&id);
                self.0.timed_out.fetch_add(1, Ordering::Relaxed);
                Err(LinkError::TimedOut)
            }
        }
    }

    /// Takes a play ring; one at a time can have it.
    pub fn lease_play_ring(&self, line: LineId, slot: u8) -> Option<PlayLease> {
        PlayLease::take(self.attachment()?, line, slot)
    }

    /// Hears a line from now on, as long as the attachment lasts; `None` where there is no such
    /// line or no engine.
    pub fn tap(&self, line: LineId, rx: bool, tx: bool) -> Option<Tap> {
        let attachment = self.attachment()?;
        if !attachment.map.dimensions().has_line(line) {
            return None;
        }
        let reader =
            |wanted: bool, direction| wanted.then(|| attachment.map.audio_reader(line, direction));
        let (seat, tap) = tap::pair(reader(rx, Direction::Rx), reader(tx, Direction::Tx));
        lock(&self.0.taps).push(seat);
        Some(tap)
    }

    /// How the attachment is.
    pub fn diagnostics(&self) -> EngineDiagnostics {
        let attachment = self.attachment();
        let map = attachment.as_ref().map(|attachment| &attachment.map);
        let frame_loops = map.map_or_else(Vec::new, |map| {
            let loops = 0..map.dimensions().loops;
            let counters = loops.map(|index| {
                let values = map.counters(LoopId(index));
                let named = Counter::ALL.iter().map(|c| (c.name().to_owned(), values.get(*c)));
                FrameLoopDiagnostics { frame_loop: index, counters: named.collect() }
            });
            counters.collect()
        });
        EngineDiagnostics {
            attached: attachment.is_some(),
            generation: map.map(|map| map.generation().0.to_string()),
            since: *lock(&self.0.since),
            attachments: self.0.attachments.load(Ordering::Relaxed),
            heartbeat_age_ms: map.map(|map| u64::from(now().ms_since(map.heartbeat()))),
            socket: self.0.socket.display().to_string(),
            commands_pending: attachment
                .as_ref()
                .map_or(0, |attachment| lock(&attachment.pending).answers.len()),
            commands_timed_out: self.0.timed_out.load(Ordering::Relaxed),
            resyncs: self.0.resyncs.load(Ordering::Relaxed),
            frame_loops,
        }
    }
}

/// CLOCK_MONOTONIC, as the engine reads it.
pub fn now() -> Nanos {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .expect("every Linux has this clock");
    Nanos(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// The engine's time as everybody's.
pub fn wall(at: Nanos) -> Timestamp {
    Timestamp::ago(Duration::from_nanos(now().0.saturating_sub(at.0)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing here can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
