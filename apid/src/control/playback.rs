//! Playing to a phone, several playbacks at once.
//!
//! Audio waits in a play ring of the engine, 2.5 s of it; a task fills it up. What was really
//! heard is counted by the engine, and a flush is its doing.

use super::access::Attached;
use super::refused::invalid;
use super::{Control, PlaySource, Refused, lock, tones};
use crate::auth::{Caller, Scope};
use crate::engine_link::PlayLease;
use crate::hub::{NoticeBody, PlaybackEnd};
use crate::view::{Played, StopOn};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tipring_shm_proto::command::{self, Command, Outcome, PlayPath};
use tipring_shm_proto::line_table::{LineRow, PLAYBACK_SLOTS};
use tipring_shm_proto::units::{FRAME_SAMPLES, LineId, MarkId, PlaybackId, TenthDb};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// A play ring is looked at this often; it holds 2.5 s.
const REFILL: Duration = Duration::from_millis(200);
/// A ring that has just been given up may take so long to come back.
const LEASE_TRIES: u32 = 40;

/// How to play it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayOptions {
    /// Again and again until stopped.
    pub looped: bool,
    /// −40 to +12.
    pub gain_db: f32,
    /// What silences it.
    pub stop_on: Vec<StopOn>,
    /// A `mark` of this name is told when it has been played to its end.
    pub mark: Option<String>,
}

/// What runs.
#[derive(Debug)]
pub(super) struct Playbacks {
    next: u64,
    running: HashMap<PlaybackId, Running>,
}

/// One that runs, or is about to.
#[derive(Debug)]
pub(super) struct Running {
    line: String,
    slot: u8,
    microphone: bool,
    /// Told when it was played to its end.
    end_mark: Option<String>,
    /// Its class, where it is music for whoever waits.
    music: Option<String>,
    /// Told when they are reached.
    marks: HashMap<MarkId, String>,
    next_mark: u32,
    /// The player it belongs to.
    notes: Option<mpsc::UnboundedSender<PlayerNote>>,
    feeder: Option<AbortHandle>,
}

impl Playbacks {
    pub(super) fn new() -> Self {
        // Greater than any of an earlier apid, whose leftovers may still lie in a ring.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let next = since_epoch.map_or(1, |age| age.as_micros() as u64);
        Self { next, running: HashMap::new() }
    }

    /// Takes a free slot.
    fn reserve(&mut self, line: &str, microphone: bool) -> Option<(PlaybackId, u8)> {
        let slot = (0..PLAYBACK_SLOTS as u8)
            .find(|slot| !self.running.values().any(|r| r.line == line && r.slot == *slot))?;
        let id = PlaybackId(self.next);
        self.next += 1;
        let running = Running {
            line: line.to_owned(),
            slot,
            microphone,
            end_mark: None,
            music: None,
            marks: HashMap::new(),
            next_mark: 1,
            notes: None,
            feeder: None,
        };
        self.running.insert(id, running);
        Some((id, slot))
    }

    fn of_line(&self, line: &str) -> Vec<PlaybackId> {
        let of_line = self.running.iter().filter(|(_, r)| r.line == line && !r.microphone);
        of_line.map(|(id, _)| *id).collect()
    }
}

/// What a player tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayerNote {
    /// A mark was reached: everything written before it was handed to the device.
    Mark {
        /// Its name.
        name: String,
        /// Handed to the device since the player was opened or cleared.
        played_ms: u64,
    },
    /// There will be no more: the line hung up, the device or the engine is gone.
    Ended,
}

/// A slot taken, and its ring.
pub(super) struct Started {
    pub(super) id: PlaybackId,
    pub(super) lease: PlayLease,
}

impl Control {
    /// Plays to the person at the phone, mixed with what plays already; gives the playback's id.
    /// Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook; `Invalid` with the reason for audio that is not what
    /// it says it is; `NoSuchPrompt`; `NotInstalled` for speech; `Full` beyond four
    /// playbacks; `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn play(
        &self,
        caller: &Caller,
        line: &str,
        source: PlaySource,
        options: PlayOptions,
    ) -> Result<String, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        at.need_off_hook()?;
        self.play_on(&at, source, options, PlayPath::Line).await
    }

    pub(super) async fn play_on(
        &self,
        at: &Attached,
        source: PlaySource,
        options: PlayOptions,
        path: PlayPath,
    ) -> Result<String, Refused> {
        if !(-40.0..=12.0).contains(&options.gain_db) {
            return Err(invalid("gain_db", "allowed is -40 to 12"));
        }
        if let PlaySource::Tone(request) = source {
            let tone = tones::spec(&request, options.looped)?;
            let tone = command::PlaySource::Tone(tone);
            return self.start_tone(at, tone, &options, path).await;
        }
        let music = match &source {
            PlaySource::Music(class) => Some(class.clone()),
            _ => None,
        };
        let samples = self.samples_of(source).await?;
        let microphone = path == PlayPath::Microphone;
        let Started { id, mut lease } =
            self.begin_playback(&at.entry.id, at.engine, microphone).await?;
        let mut feed = Feed::new(samples, options.looped);
        feed.fill(id, &mut lease);
        let play = start(lease.slot(), id, path, command::PlaySource::Ring, &options);
        self.launch(at, id, play, options.mark, music).await?;
        let feeder = self.0.runtime.spawn(async move {
            while !feed.fill(id, &mut lease) {
                tokio::time::sleep(REFILL).await;
            }
        });
        match lock(&self.0.playbacks).running.get_mut(&id) {
            Some(running) => running.feeder = Some(feeder.abort_handle()),
            // It has ended meanwhile.
            None => feeder.abort(),
        }
        Ok(id.0.to_string())
    }

    async fn start_tone(
        &self,
        at: &Attached,
        tone: command::PlaySource,
        options: &PlayOptions,
        path: PlayPath,
    ) -> Result<String, Refused> {
        let microphone = path == PlayPath::Microphone;
        let reserved = lock(&self.0.playbacks).reserve(&at.entry.id, microphone);
        let (id, slot) = reserved.ok_or(Refused::Full { what: "playbacks on this line" })?;
        let play = start(slot, id, path, tone, options);
        self.launch(at, id, play, options.mark.clone(), None).await?;
        Ok(id.0.to_string())
    }

    /// Takes a slot of a line and its ring.
    pub(super) async fn begin_playback(
        &self,
        line: &str,
        engine: LineId,
        microphone: bool,
    ) -> Result<Started, Refused> {
        let reserved = lock(&self.0.playbacks).reserve(line, microphone);
        let (id, slot) = reserved.ok_or(Refused::Full { what: "playbacks on this line" })?;
        for _ in 0..LEASE_TRIES {
            if let Some(lease) = self.0.link.lease_play_ring(engine, slot) {
                return Ok(Started { id, lease });
            }
            if self.0.link.generation().is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.forget_playback(id);
        Err(Refused::EngineAway)
    }

    /// Has the engine begin; on a refusal the slot is free again.
    async fn launch(
        &self,
        at: &Attached,
        id: PlaybackId,
        play: Command,
        mark: Option<String>,
        music: Option<String>,
    ) -> Result<(), Refused> {
        if let Some(running) = lock(&self.0.playbacks).running.get_mut(&id) {
            running.end_mark = mark;
            running.music.clone_from(&music);
        }
        let playback_id = id.0.to_string();
        if let Err(refused) = self.ask(at.engine, play).await {
            self.forget_playback(id);
            let message = format!("playback {playback_id} did not begin: {refused}");
            self.report_error(Some(&at.entry.id), "playback_failed", &message);
            return Err(refused);
        }
        self.publish_playback(&at.entry.id, NoticeBody::PlaybackStarted { playback_id, music });
        Ok(())
    }

    /// Has the engine begin a player's playback.
    pub(super) async fn launch_player(
        &self,
        engine: LineId,
        id: PlaybackId,
        slot: u8,
        microphone: bool,
        notes: mpsc::UnboundedSender<PlayerNote>,
    ) -> Result<(), Refused> {
        if let Some(running) = lock(&self.0.playbacks).running.get_mut(&id) {
            running.notes = Some(notes);
        }
        let path = if microphone { PlayPath::Microphone } else { PlayPath::Line };
        let options = PlayOptions::default();
        let play = start(slot, id, path, command::PlaySource::Ring, &options);
        let launched = self.ask(engine, play).await;
        if launched.is_err() {
            self.forget_playback(id);
        }
        launched.map(|_| ())
    }

    fn publish_playback(&self, line: &str, body: NoticeBody) {
        let call = lock(&self.0.switch).call_of(line).map(|call| call.to_string());
        self.0.hub.publish(Some(line), call.as_deref(), body);
    }

    /// Names a place in a player's audio.
    pub(super) fn new_mark(&self, id: PlaybackId, name: &str) -> Option<MarkId> {
        let mut playbacks = lock(&self.0.playbacks);
        let running = playbacks.running.get_mut(&id)?;
        let mark = MarkId(running.next_mark);
        running.next_mark += 1;
        running.marks.insert(mark, name.to_owned());
        Some(mark)
    }

    /// Marks of a player that will not be reached any more.
    pub(super) fn take_marks(&self, id: PlaybackId) -> Vec<String> {
        let mut playbacks = lock(&self.0.playbacks);
        let Some(running) = playbacks.running.get_mut(&id) else { return Vec::new() };
        let mut marks: Vec<_> = running.marks.drain().collect();
        marks.sort_by_key(|(mark, _)| *mark);
        marks.into_iter().map(|(_, name)| name).collect()
    }

    pub(super) fn forget_playback(&self, id: PlaybackId) -> Option<Running> {
        let running = lock(&self.0.playbacks).running.remove(&id)?;
        if let Some(feeder) = &running.feeder {
            feeder.abort();
        }
        Some(running)
    }

    /// Stops a playback: silent from the next frame. Tells how much of it was handed to the
    /// device and not flushed. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchPlayback`, `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn stop_playback(
        &self,
        caller: &Caller,
        line: &str,
        playback_id: &str,
    ) -> Result<Played, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        let id = playback_id.parse().map(PlaybackId).map_err(|_| Refused::NoSuchPlayback)?;
        let runs = lock(&self.0.playbacks).running.get(&id).is_some_and(|r| r.line == line);
        if runs { self.flush(at.engine, id).await } else { Err(Refused::NoSuchPlayback) }
    }

    /// Stops all playbacks of a line; tells the longest. Needs `control`.
    ///
    /// # Errors
    /// `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn stop_playbacks(&self, caller: &Caller, line: &str) -> Result<Played, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        let ids = lock(&self.0.playbacks).of_line(line);
        let mut longest = Played::default();
        for id in ids {
            match self.flush(at.engine, id).await {
                Ok(played) if played.played_ms >= longest.played_ms => longest = played,
                // One that ended by itself at that moment was stopped as well.
                Ok(_) | Err(Refused::NoSuchPlayback) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(longest)
    }

    pub(super) async fn flush(&self, engine: LineId, id: PlaybackId) -> Result<Played, Refused> {
        match self.ask(engine, Command::StopPlayback { playback: id }).await? {
            Outcome::Flushed { played_samples, uncertain_samples } => Ok(Played {
                played_ms: played_samples / 8,
                uncertain_ms: u64::from(uncertain_samples).div_ceil(8),
            }),
            _ => Err(Refused::NoSuchPlayback),
        }
    }

    pub(super) fn playback_ended(
        &self,
        line: &str,
        id: PlaybackId,
        cause: PlaybackEnd,
        played_samples: u64,
        underruns: u32,
    ) {
        let Some(running) = self.forget_playback(id) else { return };
        let (playback_id, played_ms) = (id.0.to_string(), played_samples / 8);
        if let Some(notes) = running.notes {
            if !matches!(cause, PlaybackEnd::Stopped) {
                // The player may have gone.
                let _ = notes.send(PlayerNote::Ended);
            }
        } else if let (Some(name), PlaybackEnd::Finished) = (running.end_mark, cause) {
            let playback_id = playback_id.clone();
            self.publish_playback(line, NoticeBody::Mark { playback_id, name, played_ms });
        }
        if cause == PlaybackEnd::DeviceLost {
            let message = format!("playback {playback_id} ended: the device is lost");
            self.report_error(Some(line), "playback_failed", &message);
        }
        let music = running.music;
        let ended = NoticeBody::PlaybackEnded { playback_id, cause, played_ms, underruns, music };
        self.publish_playback(line, ended);
    }

    pub(super) fn mark_reached(&self, line: &str, id: PlaybackId, mark: MarkId, samples: u64) {
        let (name, notes) = {
            let mut playbacks = lock(&self.0.playbacks);
            let Some(running) = playbacks.running.get_mut(&id) else { return };
            let Some(name) = running.marks.remove(&mark) else { return };
            (name, running.notes.clone())
        };
        let played_ms = samples / 8;
        if let Some(notes) = notes {
            // The player may have gone.
            let _ = notes.send(PlayerNote::Mark { name: name.clone(), played_ms });
        }
        let playback_id = id.0.to_string();
        self.publish_playback(line, NoticeBody::Mark { playback_id, name, played_ms });
    }

    /// The engine is gone, and with it everything that played.
    pub(super) fn lose_playbacks(&self) {
        let all: Vec<(PlaybackId, String)> = lock(&self.0.playbacks)
            .running
            .iter()
            .map(|(id, running)| (*id, running.line.clone()))
            .collect();
        for (id, line) in all {
            self.playback_ended(&line, id, PlaybackEnd::DeviceLost, 0, 0);
        }
    }

    /// Ends that were lost on the way: the rows know nothing of these any more.
    pub(super) fn forget_ended_playbacks(&self, rows: &[(LineId, LineRow)]) {
        let running: Vec<(PlaybackId, String)> = lock(&self.0.playbacks)
            .running
            .iter()
            .map(|(id, running)| (*id, running.line.clone()))
            .collect();
        for (id, line) in running {
            let engine = self.directory().get(&line).and_then(|entry| entry.engine);
            let row = rows.iter().find(|(other, _)| Some(*other) == engine);
            let runs = row.is_some_and(|(_, row)| row.playbacks.iter().any(|p| p.playback == id));
            if !runs {
                self.playback_ended(&line, id, PlaybackEnd::LineGone, 0, 0);
            }
        }
    }
}

fn start(
    slot: u8,
    playback: PlaybackId,
    path: PlayPath,
    source: command::PlaySource,
    options: &PlayOptions,
) -> Command {
    let stop_on = command::StopOn {
        digit: options.stop_on.contains(&StopOn::Digit),
        voice: options.stop_on.contains(&StopOn::Voice),
    };
    let gain = TenthDb((options.gain_db * 10.0).round() as i16);
    Command::StartPlayback { slot, playback, path, source, gain, stop_on }
}

/// Audio on its way into a ring, in whole frames.
struct Feed {
    samples: Arc<[i16]>,
    at: usize,
    looped: bool,
}

impl Feed {
    fn new(samples: Arc<[i16]>, looped: bool) -> Self {
        Self { samples, at: 0, looped }
    }

    /// Fills the ring; true when everything and its end is in it.
    fn fill(&mut self, id: PlaybackId, lease: &mut PlayLease) -> bool {
        loop {
            let frame = self.frame();
            if frame.is_empty() {
                return lease.end(id);
            }
            if lease.audio(id, &frame) == 0 {
                return false;
            }
            self.at += frame.len();
            if self.looped {
                self.at %= self.samples.len();
            }
        }
    }

    /// The next frame; a loop goes on at its beginning within a frame.
    fn frame(&self) -> Vec<i16> {
        let rest = self.samples[self.at..].iter().copied();
        if self.looped {
            rest.chain(self.samples.iter().copied().cycle()).take(FRAME_SAMPLES).collect()
        } else {
            rest.take(FRAME_SAMPLES).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_has_no_seam() {
        let samples: Vec<i16> = (0..100).collect();
        let mut feed = Feed::new(samples.into(), true);
        let first = feed.frame();
        assert_eq!(first.len(), FRAME_SAMPLES);
        assert_eq!((first[99], first[100]), (99, 0));
        feed.at = 60;
        assert_eq!(feed.frame()[0], 60);
        let feed = Feed { samples: vec![1; 170].into(), at: 160, looped: false };
        assert_eq!(feed.frame().len(), 10);
    }

    #[test]
    fn a_line_has_four_slots() {
        let mut playbacks = Playbacks::new();
        let slots: Vec<_> = (0..4).map(|_| playbacks.reserve("1", false).unwrap().1).collect();
        assert_eq!(slots, [0, 1, 2, 3]);
        assert!(playbacks.reserve("1", false).is_none());
        assert!(playbacks.reserve("2", false).is_some());
    }
}
