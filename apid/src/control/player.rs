//! Somebody speaks into a line, in pieces of any length, as they come.
#![expect(clippy::unused_async, reason = "surfaces need not know which of these wait")]

use super::playback::{PlayerNote, Started};
use super::{Control, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::engine_link::PlayLease;
use crate::view::Played;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tipring_shm_proto::command::LineState;
use tipring_shm_proto::units::{FRAME_MS, FRAME_SAMPLES, LineId, PlaybackId};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Marks that wait.
const MARKS: usize = 256;
/// What waits is looked at this often.
const ROUND: Duration = Duration::from_millis(FRAME_MS as u64);
/// A piece shorter than a frame waits so long for the rest of it.
const PATIENCE: Duration = Duration::from_millis(2 * FRAME_MS as u64);

/// How a player plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayerOptions {
    /// Into the microphone of a simulated phone, instead of to the person at the phone.
    pub microphone: bool,
    /// 20 to 60 000; what waits beyond is refused.
    pub max_queued_ms: u32,
}

/// How much waits to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Length of it.
    pub queued_ms: u64,
    /// Age of the oldest of it.
    pub age_ms: u64,
}

/// Somebody speaks into a line. Dropping it flushes what waits.
#[derive(Debug)]
pub struct Player {
    shared: Arc<Shared>,
    notes: mpsc::UnboundedReceiver<PlayerNote>,
    rounds: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    control: Control,
    line: String,
    engine: LineId,
    options: PlayerOptions,
    notes: mpsc::UnboundedSender<PlayerNote>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    waiting_samples: usize,
    written_at: Option<Instant>,
    /// Samples written since the last clear, with the time of each piece's end.
    pieces: VecDeque<(u64, Instant)>,
    written: u64,
    running: Option<Running>,
    starting: bool,
    ended: bool,
    marks: usize,
}

#[derive(Debug)]
struct Running {
    id: PlaybackId,
    lease: PlayLease,
}

#[derive(Debug)]
enum Waiting {
    Audio(VecDeque<i16>),
    Mark(String),
}

impl Player {
    /// Appends samples, 8 kHz mono, any length. Never waits.
    ///
    /// # Errors
    /// `Full` beyond `max_queued_ms`, nothing was taken then; `WrongState` after `Ended`, or when
    /// the phone is not lifted.
    pub fn write(&self, samples: &[i16]) -> Result<Queued, Refused> {
        self.shared.check_open()?;
        let mut state = lock(&self.shared.state);
        let queued = state.queued();
        let more_ms = samples.len() as u64 / 8;
        if queued.queued_ms + more_ms > u64::from(self.shared.options.max_queued_ms) {
            return Err(Refused::Full { what: "audio in this player's queue" });
        }
        match state.waiting.back_mut() {
            Some(Waiting::Audio(last)) => last.extend(samples),
            _ => state.waiting.push_back(Waiting::Audio(samples.iter().copied().collect())),
        }
        state.waiting_samples += samples.len();
        state.written += samples.len() as u64;
        state.written_at = Some(Instant::now());
        let end = state.written;
        state.pieces.push_back((end, Instant::now()));
        self.shared.hand_on(&mut state, false);
        Ok(state.queued())
    }

    /// Asks to be told when everything written so far has been handed to the device.
    ///
    /// # Errors
    /// `Full` beyond 256 marks; `WrongState` after `Ended`.
    pub fn mark(&self, name: &str) -> Result<(), Refused> {
        self.shared.check_open()?;
        let mut state = lock(&self.shared.state);
        if state.running.is_none() && !state.starting && state.waiting_samples == 0 {
            let note = PlayerNote::Mark { name: name.to_owned(), played_ms: 0 };
            // Ours is the receiving end too.
            let _ = self.shared.notes.send(note);
            return Ok(());
        }
        if state.marks >= MARKS {
            return Err(Refused::Full { what: "marks in this player" });
        }
        state.marks += 1;
        state.waiting.push_back(Waiting::Mark(name.to_owned()));
        self.shared.hand_on(&mut state, true);
        Ok(())
    }

    /// Drops what waits, silent from the next frame. Pending marks are told, with what was played.
    ///
    /// # Errors
    /// `EngineAway`, `TimedOut`.
    pub async fn clear(&self) -> Result<Played, Refused> {
        let (running, mut names) = lock(&self.shared.state).empty();
        let mut played = Played::default();
        if let Some(Running { id, lease }) = running {
            let mut pending = self.shared.control.take_marks(id);
            pending.append(&mut names);
            names = pending;
            drop(lease);
            match self.shared.control.flush(self.shared.engine, id).await {
                Ok(flushed) => played = flushed,
                // It ended by itself at that moment.
                Err(Refused::NoSuchPlayback) => {}
                Err(refused) => return Err(refused),
            }
        }
        for name in names {
            // Ours is the receiving end too.
            let note = PlayerNote::Mark { name, played_ms: played.played_ms };
            let _ = self.shared.notes.send(note);
        }
        Ok(played)
    }

    /// How much waits.
    pub fn queued(&self) -> Queued {
        lock(&self.shared.state).queued()
    }

    /// The next note; waits for it. May be cancelled without loss.
    pub async fn next_note(&mut self) -> PlayerNote {
        let note = self.notes.recv().await.unwrap_or(PlayerNote::Ended);
        let mut state = lock(&self.shared.state);
        match note {
            PlayerNote::Mark { .. } => state.marks = state.marks.saturating_sub(1),
            PlayerNote::Ended => {
                state.ended = true;
                state.empty();
            }
        }
        note
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.rounds.abort();
        let (running, _) = lock(&self.shared.state).empty();
        if let Some(Running { id, lease }) = running {
            drop(lease);
            let shared = self.shared.clone();
            self.shared.control.0.runtime.spawn(async move {
                if let Err(refused) = shared.control.flush(shared.engine, id).await {
                    tracing::debug!(line = shared.line, "a player's end: {refused}");
                }
            });
        }
    }
}

impl State {
    /// Nothing waits or runs any more; gives what ran and the marks that waited.
    fn empty(&mut self) -> (Option<Running>, Vec<String>) {
        let marks = self.waiting.drain(..).filter_map(|waiting| match waiting {
            Waiting::Mark(name) => Some(name),
            Waiting::Audio(_) => None,
        });
        let marks = marks.collect();
        self.waiting_samples = 0;
        self.written = 0;
        self.pieces.clear();
        (self.running.take(), marks)
    }

    fn queued(&mut self) -> Queued {
        let in_ring = self.running.as_mut().map_or(0, |running| running.lease.queued());
        let samples = self.waiting_samples as u64 + u64::from(in_ring) * FRAME_SAMPLES as u64;
        let played = self.written.saturating_sub(samples);
        while self.pieces.front().is_some_and(|(end, _)| *end <= played) {
            self.pieces.pop_front();
        }
        let age = self.pieces.front().map_or(0, |(_, at)| at.elapsed().as_millis() as u64);
        Queued { queued_ms: samples / 8, age_ms: age }
    }
}

impl Shared {
    fn check_open(&self) -> Result<(), Refused> {
        let row = self.control.0.link.row(self.engine).ok_or(Refused::EngineAway)?;
        let state = row.state.value;
        let ended = lock(&self.state).ended;
        if ended || (!self.options.microphone && state != LineState::OffHook) {
            return Err(Refused::WrongState { state: state.into() });
        }
        Ok(())
    }

    /// Moves what waits into the ring; the first of it begins a playback. With `all`, also what
    /// is less than a frame.
    fn hand_on(self: &Arc<Self>, state: &mut State, all: bool) {
        if state.running.is_none() {
            if !state.starting && state.waiting_samples > 0 {
                state.starting = true;
                self.control.0.runtime.spawn(self.clone().begin());
            }
            return;
        }
        let Some(Running { id, lease }) = &mut state.running else { return };
        loop {
            match state.waiting.front_mut() {
                None => break,
                Some(Waiting::Audio(samples)) => {
                    let frame: Vec<i16> = samples.iter().take(FRAME_SAMPLES).copied().collect();
                    if frame.is_empty() {
                        state.waiting.pop_front();
                        continue;
                    }
                    // Behind a mark there may be more of the same frame; before one there is not.
                    let last = state.waiting.len() == 1;
                    if frame.len() < FRAME_SAMPLES && last && !all {
                        break;
                    }
                    let taken = lease.audio(*id, &frame);
                    if taken == 0 {
                        break;
                    }
                    state.waiting_samples -= taken;
                    if let Some(Waiting::Audio(samples)) = state.waiting.front_mut() {
                        samples.drain(..taken);
                    }
                }
                Some(Waiting::Mark(name)) => {
                    let Some(mark) = self.control.new_mark(*id, name) else { break };
                    if !lease.mark(*id, mark) {
                        break;
                    }
                    state.waiting.pop_front();
                }
            }
        }
    }

    /// Takes a slot and has the engine begin.
    async fn begin(self: Arc<Self>) {
        let microphone = self.options.microphone;
        let begun = self.control.begin_playback(&self.line, self.engine, microphone).await;
        let result = match begun {
            Ok(Started { id, lease }) => {
                let slot = lease.slot();
                {
                    // Audio first: an engine that begins finds it.
                    let mut state = lock(&self.state);
                    state.running = Some(Running { id, lease });
                    self.hand_on(&mut state, false);
                }
                let notes = self.notes.clone();
                let launched =
                    self.control.launch_player(self.engine, id, slot, microphone, notes).await;
                launched.inspect_err(|_| {
                    lock(&self.state).running = None;
                })
            }
            Err(refused) => Err(refused),
        };
        lock(&self.state).starting = false;
        if let Err(refused) = result {
            let message = format!("audio from a client is not played: {refused}");
            self.control.report_error(Some(&self.line), "playback_failed", &message);
            // The player may have gone.
            let _ = self.notes.send(PlayerNote::Ended);
        }
    }
}

async fn rounds(shared: std::sync::Weak<Shared>) {
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        round.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let mut state = lock(&shared.state);
        if !state.waiting.is_empty() {
            let all = state.written_at.is_none_or(|at| at.elapsed() >= PATIENCE);
            shared.hand_on(&mut state, all);
        }
    }
}

impl Control {
    /// Opens a player; it takes one of the line's four playback slots when it is first written
    /// to. Needs `audio`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`, `WrongKind` for the microphone of a phone that is not
    /// simulated, `Invalid`, `EngineAway`.
    pub async fn open_player(
        &self,
        caller: &Caller,
        line: &str,
        options: PlayerOptions,
    ) -> Result<Player, Refused> {
        let at = self.attached(caller, Scope::Audio, line)?;
        if options.microphone {
            at.need_sim()?;
        }
        if !(20..=60_000).contains(&options.max_queued_ms) {
            return Err(super::refused::invalid("max_queued_ms", "allowed is 20 to 60000"));
        }
        let (sender, notes) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            control: self.clone(),
            line: line.to_owned(),
            engine: at.engine,
            options,
            notes: sender,
            state: Mutex::default(),
        });
        let rounds = self.0.runtime.spawn(rounds(Arc::downgrade(&shared))).abort_handle();
        Ok(Player { shared, notes, rounds })
    }
}
