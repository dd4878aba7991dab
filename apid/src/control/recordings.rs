//! Recordings: begin, list, fetch, delete. They hear what is said, so all of it needs `audio`.

use super::access::{Attached, need};
use super::conference_tap::ConferenceTap;
use super::recorder::{Recorder, Source};
use super::refused::invalid;
use super::{Control, PlayOptions, PlaySource, Refused, lock};
use crate::audio_format::WAV_HEAD_OCTETS;
use crate::auth::{Caller, Scope};
use crate::hub::{Delivery, Filter, Listener, NoticeBody};
use crate::recording::{Shelf, ShelfError, StopCause, StopRules, WavWriter};
use crate::store::{self, RecordingQuery, StoreError};
use crate::view::{
    RecordDirection, RecordRequest, RecordStop, Recording, RecordingState, TapDirection, Timestamp,
    ToneRequest,
};
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::Duration;
use tipring_shm_proto::command::PlayPath;
use tokio_util::sync::CancellationToken;

/// How long a beep may take to be over.
const BEEP_PATIENCE: Duration = Duration::from_secs(2);
/// Most that one page lists.
pub(super) const PAGE_MAX: u32 = 500;

/// Bounds of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingLimits {
    /// The longest.
    pub max_ms: u64,
    /// At once.
    pub max_running: usize,
    /// Older ones are deleted.
    pub keep: Option<Duration>,
}

/// Recordings that run.
#[derive(Debug, Default)]
pub(super) struct Running(pub(super) HashMap<String, CancellationToken>);

/// Which recordings to list.
#[derive(Clone, Debug, Default)]
pub struct RecordingFilter {
    /// Of this line.
    pub line: Option<String>,
    /// Of this call.
    pub call_id: Option<String>,
    /// Older than this one.
    pub before: Option<String>,
    /// So many at most, up to [`PAGE_MAX`].
    pub limit: Option<u32>,
}

/// What deleting a recording did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It ran, and was stopped.
    Stopped(Recording),
    /// Its audio and everything known of it are gone.
    Deleted,
}

/// The WAV file of a recording as it was when it was asked for; reading it may wait for a disk.
#[derive(Debug)]
pub struct RecordedAudio {
    /// Its head, which tells of what was there; that in the file tells of more by now.
    head: Option<[u8; WAV_HEAD_OCTETS]>,
    file: std::fs::File,
    /// Length of what was not read yet.
    pub octets: u64,
}

impl RecordedAudio {
    fn open(path: &Path) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let mut head = [0; WAV_HEAD_OCTETS];
        file.read_exact(&mut head)?;
        let data = u32::from_le_bytes([head[40], head[41], head[42], head[43]]);
        Ok(Self { head: Some(head), file, octets: u64::from(data) + head.len() as u64 })
    }

    /// The next piece of it, `None` at its end.
    ///
    /// # Errors
    /// Of the file system.
    pub fn next_piece(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        if let Some(head) = self.head.take() {
            self.octets -= head.len() as u64;
            return Ok(Some(head.to_vec()));
        }
        let mut piece = vec![0; self.octets.min(64 * 1024) as usize];
        let read = self.file.read(&mut piece)?;
        self.octets -= read as u64;
        piece.truncate(read);
        Ok((read > 0).then_some(piece))
    }
}

impl Control {
    /// Records a lifted line until something ends it. Needs `audio`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook, `Invalid`, `Full` beyond the quota or the number at
    /// once, `Storage`, and as [`Control::line`].
    pub async fn record(
        &self,
        caller: &Caller,
        line: &str,
        request: RecordRequest,
    ) -> Result<Recording, Refused> {
        let at = self.attached(caller, Scope::Audio, line)?;
        at.need_off_hook()?;
        self.begin_recording(at, request).await
    }

    /// Records a call, as its first line that is lifted says and hears it. Needs `audio`.
    ///
    /// # Errors
    /// `NoSuchCall`, also when it is over; and as [`Control::record`].
    pub async fn record_call(
        &self,
        caller: &Caller,
        call_id: &str,
        request: RecordRequest,
    ) -> Result<Recording, Refused> {
        need(caller, Scope::Audio)?;
        let (_, call) = self.find(caller, call_id)?;
        let mut refused = Refused::NoSuchCall;
        for line in call.legs.iter().filter_map(|leg| leg.line.as_deref()) {
            if call.ended_at.is_some() || !caller.sees(line) {
                continue;
            }
            let at = self.attached(caller, Scope::Audio, line)?;
            match at.need_off_hook() {
                Ok(()) => return self.begin_recording(at, request).await,
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }

    async fn begin_recording(
        &self,
        at: Attached,
        request: RecordRequest,
    ) -> Result<Recording, Refused> {
        let max_ms = self.recording_length(request.max_ms)?;
        if request.silence_ms.is_some_and(|ms| !(100..=600_000).contains(&ms)) {
            return Err(invalid("silence_ms", "allowed is 100 to 600000"));
        }
        let (id, stop) = self.place_for_recording()?;
        let begun = self.prepare_recording(&at, &request, max_ms, &id).await;
        self.run_recording(&id, stop, begun)
    }

    /// Records all that is said in a conference, for as long as somebody sits there. Needs `audio`.
    ///
    /// # Errors
    /// `NoSuchConference`, also where somebody sits there whom the caller may not see; and as
    /// [`Control::record`].
    pub async fn record_conference(
        &self,
        caller: &Caller,
        name: &str,
        max_ms: Option<u64>,
    ) -> Result<Recording, Refused> {
        need(caller, Scope::Audio)?;
        self.check_sees_all(caller, name)?;
        let tap = ConferenceTap::new(self.clone(), name);
        if tap.is_over() {
            return Err(Refused::NoSuchConference);
        }
        let max_ms = self.recording_length(max_ms)?;
        let (id, stop) = self.place_for_recording()?;
        let begun = self.prepare_conference_recording(name, tap, max_ms, &id).await;
        self.run_recording(&id, stop, begun)
    }

    async fn prepare_conference_recording(
        &self,
        name: &str,
        tap: ConferenceTap,
        max_ms: u64,
        id: &str,
    ) -> Result<(Recorder, Recording), Refused> {
        // No line is called so: whoever may see some lines only never sees it.
        let line = format!("conference:{name}");
        let filter = Filter { lines: vec![line.clone()], types: vec!["dtmf".to_owned()] };
        let ourselves = Caller::everything("recorder");
        let events = self.0.hub.listen(&ourselves, filter, None, "recorder");
        let (recording, writer) = self.open_recording(id, &line, RecordDirection::Both, 1).await?;
        let rules = StopRules::new(max_ms, false, None, false);
        let source = Source::Conference(tap);
        let recorder =
            Recorder::new(self.clone(), source, recording.clone(), events, rules, writer);
        Ok((recorder, recording))
    }

    fn recording_length(&self, max_ms: Option<u64>) -> Result<u64, Refused> {
        let limit = self.0.recording_limits.max_ms;
        let max_ms = max_ms.unwrap_or(limit);
        if (20..=limit).contains(&max_ms) {
            return Ok(max_ms);
        }
        Err(Refused::Invalid { field: "max_ms", reason: format!("allowed is 20 to {limit}") })
    }

    /// A new recording's id, and what stops it.
    fn place_for_recording(&self) -> Result<(String, CancellationToken), Refused> {
        let (id, stop) = (random_id(), CancellationToken::new());
        let mut running = lock(&self.0.recordings);
        if running.0.len() >= self.0.recording_limits.max_running {
            return Err(Refused::Full { what: "recordings at once" });
        }
        running.0.insert(id.clone(), stop.clone());
        Ok((id, stop))
    }

    fn run_recording(
        &self,
        id: &str,
        stop: CancellationToken,
        begun: Result<(Recorder, Recording), Refused>,
    ) -> Result<Recording, Refused> {
        match begun {
            Ok((recorder, recording)) => {
                self.0.runtime.spawn(recorder.run(stop));
                Ok(recording)
            }
            Err(refused) => {
                lock(&self.0.recordings).0.remove(id);
                Err(refused)
            }
        }
    }

    async fn prepare_recording(
        &self,
        at: &Attached,
        request: &RecordRequest,
        max_ms: u64,
        id: &str,
    ) -> Result<(Recorder, Recording), Refused> {
        let line = at.entry.id.clone();
        let filter = Filter {
            lines: vec![line.clone()],
            types: ["dtmf", "voice", "playback_ended"].map(str::to_owned).to_vec(),
        };
        let ourselves = Caller::everything("recorder");
        let mut events = self.0.hub.listen(&ourselves, filter, None, "recorder");
        if request.beep {
            self.beep(at, &mut events).await?;
        }
        let (direction, channels) = match request.direction {
            RecordDirection::Rx => (TapDirection::Rx, 1),
            RecordDirection::Tx => (TapDirection::Tx, 1),
            RecordDirection::Both => (TapDirection::Both, 1),
            RecordDirection::Stereo => (TapDirection::Both, 2),
        };
        let tap = self.audio_tap(&ourselves, &line, direction, "recorder")?;
        let (recording, writer) =
            self.open_recording(id, &line, request.direction, channels).await?;
        let on_digit = request.stop_on.contains(&RecordStop::Digit);
        let rules = StopRules::new(max_ms, on_digit, request.silence_ms, at.row.voice);
        let source = Source::Line { engine: at.engine, tap };
        let recorder =
            Recorder::new(self.clone(), source, recording.clone(), events, rules, writer);
        Ok((recorder, recording))
    }

    /// A file, and what is known of it.
    async fn open_recording(
        &self,
        id: &str,
        line: &str,
        direction: RecordDirection,
        channels: u16,
    ) -> Result<(Recording, WavWriter), Refused> {
        let writer = self.create_file(id, channels).await?;
        let recording = Recording {
            id: id.to_owned(),
            line: line.to_owned(),
            call_id: lock(&self.0.switch).call_of(line).map(|call| call.to_string()),
            direction,
            state: RecordingState::Recording,
            cause: None,
            digit: None,
            started_at: Timestamp::now(),
            ended_at: None,
            duration_ms: 0,
            octets: writer.written().octets,
        };
        let kept = recording.clone();
        let stored = self.0.store.ask(move |c| store::insert_recording(c, &kept)).await;
        if let Err(error) = stored {
            self.delete_file(id).await?;
            return Err(unstored(&error));
        }
        self.publish_recording(&recording, |recording| NoticeBody::RecordingStarted { recording });
        Ok((recording, writer))
    }

    /// Plays a beep to its end.
    async fn beep(&self, at: &Attached, events: &mut Listener) -> Result<(), Refused> {
        let tone = PlaySource::Tone(ToneRequest::Name("beep".to_owned()));
        let beep = self.play_on(at, tone, PlayOptions::default(), PlayPath::Line).await?;
        let over = async {
            loop {
                if let Delivery::Notice(notice) = events.next().await
                    && let NoticeBody::PlaybackEnded { playback_id, .. } = &notice.body
                    && *playback_id == beep
                {
                    return;
                }
            }
        };
        tokio::time::timeout(BEEP_PATIENCE, over).await.map_err(|_| Refused::TimedOut)
    }

    async fn create_file(&self, id: &str, channels: u16) -> Result<WavWriter, Refused> {
        let id = id.to_owned();
        match self.on_shelf(move |shelf| shelf.create(&id, channels)).await? {
            Ok(writer) => Ok(writer),
            Err(ShelfError::Quota) => Err(Refused::Full { what: "room for recordings" }),
            Err(ShelfError::Io(error)) => Err(Refused::Storage(error.to_string())),
        }
    }

    async fn delete_file(&self, id: &str) -> Result<(), Refused> {
        let id = id.to_owned();
        let deleted = self.on_shelf(move |shelf| shelf.delete(&id)).await?;
        deleted.map_err(|error| Refused::Storage(error.to_string()))
    }

    pub(super) async fn on_shelf<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let folder = self.0.shelf.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.map_err(|_| Refused::Storage("the work on the disk was given up".to_owned()))
    }

    pub(super) fn publish_recording(
        &self,
        recording: &Recording,
        body: fn(Recording) -> NoticeBody,
    ) {
        let (line, call) = (recording.line.as_str(), recording.call_id.as_deref());
        self.0.hub.publish(Some(line), call, body(recording.clone()));
    }

    /// Recordings of lines the caller may see, newest first. Needs `audio`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`, `Invalid`, `Storage`.
    pub async fn recordings(
        &self,
        caller: &Caller,
        filter: RecordingFilter,
    ) -> Result<Vec<Recording>, Refused> {
        need(caller, Scope::Audio)?;
        let limit = filter.limit.unwrap_or(100);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(invalid("limit", "allowed is 1 to 500"));
        }
        if let Some(line) = &filter.line {
            self.entry(caller, line)?;
        }
        let lines = filter.line.map(|line| vec![line]).or_else(|| caller.lines.clone());
        let RecordingFilter { call_id, before, .. } = filter;
        let query = RecordingQuery { lines, call_id, before, limit };
        let listed = self.0.store.ask(move |c| store::list_recordings(c, &query)).await;
        listed.map_err(|error| unstored(&error))
    }

    /// One recording. Needs `audio`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchRecording`, `Storage`.
    pub async fn recording(&self, caller: &Caller, id: &str) -> Result<Recording, Refused> {
        need(caller, Scope::Audio)?;
        let wanted = id.to_owned();
        let found = self.0.store.ask(move |c| store::find_recording(c, &wanted)).await;
        let found = found.map_err(|error| unstored(&error))?;
        found.filter(|found| caller.sees(&found.line)).ok_or(Refused::NoSuchRecording)
    }

    /// The audio of a recording; of one that runs, what there is so far. Needs `audio`.
    ///
    /// # Errors
    /// As [`Control::recording`].
    pub async fn recorded_audio(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<RecordedAudio, Refused> {
        let recording = self.recording(caller, id).await?;
        let opened = self.on_shelf(move |shelf| {
            let path = shelf.path(&recording.id).ok_or(ErrorKind::NotFound)?;
            RecordedAudio::open(&path)
        });
        opened.await?.map_err(|_| Refused::NoSuchRecording)
    }

    /// Stops a recording that runs; deletes one that does not, its audio and all that is known
    /// of it. Needs `audio`.
    ///
    /// # Errors
    /// As [`Control::recording`]; `TimedOut` where a disk does not answer.
    pub async fn remove_recording(&self, caller: &Caller, id: &str) -> Result<Removed, Refused> {
        let recording = self.recording(caller, id).await?;
        let running = lock(&self.0.recordings).0.get(id).cloned();
        if let Some(stop) = running {
            stop.cancel();
            let ended = self.wait_until_ended(&recording);
            let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
            ended.map_err(|_| Refused::TimedOut)?;
            return self.recording(caller, id).await.map(Removed::Stopped);
        }
        self.forget_recording(&recording.id).await?;
        tracing::info!(recording = id, caller = caller.name, "recording deleted");
        Ok(Removed::Deleted)
    }

    async fn wait_until_ended(&self, recording: &Recording) {
        while lock(&self.0.recordings).0.contains_key(&recording.id) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// First the audio: what is known of it leads to it until it is gone.
    async fn forget_recording(&self, id: &str) -> Result<(), Refused> {
        self.delete_file(id).await?;
        let id = id.to_owned();
        let forgotten = self.0.store.ask(move |c| store::delete_recording(c, &id)).await;
        forgotten.map_err(|error| unstored(&error))
    }

    /// Makes whole what an apid left behind that was killed.
    pub(super) async fn repair_recordings(&self) {
        let left = self.0.store.ask(|c| store::recordings_in(c, true)).await;
        let left = left.inspect_err(|error| tracing::error!("{error}")).unwrap_or_default();
        for mut recording in left {
            let id = recording.id.clone();
            let Ok(Some(written)) = self.on_shelf(move |shelf| shelf.repair(&id)).await else {
                // Killed before its file was there.
                let _ = self.forget_recording(&recording.id).await;
                continue;
            };
            recording.state = RecordingState::Failed;
            recording.cause = Some(StopCause::Interrupted);
            recording.duration_ms = written.duration_ms;
            recording.octets = written.octets;
            let lasted = Duration::from_millis(written.duration_ms);
            recording.ended_at = Some(Timestamp(recording.started_at.0 + lasted));
            self.keep_recording(&recording).await;
            tracing::info!(recording = recording.id, "an interrupted recording was made whole");
        }
    }

    pub(super) async fn keep_recording(&self, recording: &Recording) {
        let kept = recording.clone();
        let stored = self.0.store.ask(move |c| store::update_recording(c, &kept)).await;
        if let Err(error) = stored {
            let message = format!("recording {}: {error}", recording.id);
            self.report_error(Some(&recording.line), "recording_failed", &message);
        }
    }

    /// Deletes recordings that are older than is configured.
    pub(super) async fn prune_recordings(&self) {
        let Some(keep) = self.0.recording_limits.keep else { return };
        let oldest = Timestamp::ago(keep);
        let old = self.0.store.ask(move |c| store::recordings_older_than(c, oldest)).await;
        for recording in old.unwrap_or_default() {
            if let Err(refused) = self.forget_recording(&recording.id).await {
                tracing::error!(recording = recording.id, "not deleted: {refused}");
            }
        }
    }
}

pub(super) fn unstored(error: &StoreError) -> Refused {
    match error {
        StoreError::Full => Refused::Full { what: "work for the store" },
        error => Refused::Storage(error.to_string()),
    }
}

/// 128 bits, hexadecimal: not to be guessed.
fn random_id() -> String {
    use std::fmt::Write as _;
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).expect("the kernel has randomness");
    octets.iter().fold(String::new(), |mut id, octet| {
        let _ = write!(id, "{octet:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio_format::decode_wav;
    use crate::recording::WavWriter;

    #[test]
    fn what_is_fetched_while_it_grows_is_whole() {
        let path = std::env::temp_dir().join(format!("tipring-grows-{}.wav", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut writer = WavWriter::create(&path, 1).unwrap();
        writer.append(&[5; 160]).unwrap();
        let mut audio = RecordedAudio::open(&path).unwrap();
        let (said, mut octets) = (audio.octets, Vec::new());
        while let Some(piece) = audio.next_piece().unwrap() {
            octets.extend(piece);
            writer.append(&[6; 160]).unwrap();
        }
        assert_eq!(octets.len() as u64, said);
        assert_eq!(decode_wav(&octets).unwrap(), vec![5; 160]);
        std::fs::remove_file(&path).unwrap();
    }
}
