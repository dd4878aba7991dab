//! One recording that runs: a tap's audio into a file, until something ends it.

use super::conference_tap::ConferenceTap;
use super::{AudioTap, Control, TapFrame, Tapped, lock};
use crate::hub::{Delivery, Listener, NoticeBody};
use crate::recording::{StopCause, StopRules, WavWriter};
use crate::view::{RecordDirection, Recording, RecordingState, Timestamp};
use std::io::{Error, ErrorKind};
use std::time::Duration;
use tipring_shm_proto::command::LineState;
use tipring_shm_proto::units::{FRAME_SAMPLES, LineId};
use tokio_util::sync::CancellationToken;

/// Frames between two writes: 200 ms, of which a kill may lose the last.
const FRAMES_A_WRITE: u32 = 10;
/// Writes between two looks at how much room is taken: 10 s.
const WRITES_A_LOOK: u32 = 50;
/// Between two looks at whether the phone was put down.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest gap that is filled with silence, frames: one second.
const GAP_MAX: u64 = 50;

/// Whose audio it is.
pub(super) enum Source {
    Line { engine: LineId, tap: AudioTap },
    Conference(ConferenceTap),
}

impl Source {
    /// The next 20 ms. May be cancelled without loss.
    async fn next(&mut self) -> Tapped {
        match self {
            Self::Line { tap, .. } => tap.next().await,
            Self::Conference(tap) => tap.next().await,
        }
    }

    /// Nobody is there to be recorded.
    fn is_over(&self, control: &Control) -> bool {
        match self {
            Self::Line { engine, .. } => {
                let row = control.0.link.row(*engine);
                row.is_none_or(|row| row.state.value != LineState::OffHook)
            }
            Self::Conference(tap) => tap.is_over(),
        }
    }
}

/// See the module.
pub(super) struct Recorder {
    control: Control,
    source: Source,
    recording: Recording,
    events: Listener,
    rules: StopRules,
    /// Away while it writes.
    writer: Option<WavWriter>,
    /// Samples that are not in the file yet, and their frames.
    waiting: Vec<i16>,
    frames: u32,
    writes: u32,
}

impl Recorder {
    pub(super) fn new(
        control: Control,
        source: Source,
        recording: Recording,
        events: Listener,
        rules: StopRules,
        writer: WavWriter,
    ) -> Self {
        Self {
            control,
            source,
            recording,
            events,
            rules,
            writer: Some(writer),
            waiting: Vec::new(),
            frames: 0,
            writes: 0,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        // A line that is put down has no frames any more.
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let cause = loop {
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => Some(StopCause::Stopped),
                delivery = self.events.next() => self.noted(&delivery),
                tapped = self.source.next() => self.heard(tapped),
                _ = looks.tick() => self.source.is_over(&self.control).then_some(StopCause::HungUp),
            };
            if let Some(cause) = ended {
                break cause;
            }
            if self.frames >= FRAMES_A_WRITE
                && let Some(cause) = self.write().await
            {
                break cause;
            }
        };
        self.end(cause).await;
    }

    fn noted(&mut self, delivery: &Delivery) -> Option<StopCause> {
        let Delivery::Notice(notice) = delivery else { return None };
        match notice.body {
            NoticeBody::Voice { active, .. } => {
                self.rules.handle_voice(active);
                None
            }
            NoticeBody::Dtmf { digit, .. } => {
                let ends = self.rules.handle_digit();
                self.recording.digit = ends.map(|_| digit);
                ends
            }
            _ => None,
        }
    }

    fn heard(&mut self, tapped: Tapped) -> Option<StopCause> {
        match tapped {
            Tapped::Frame(frame) => {
                self.push(&frame);
                self.rules.handle_frame()
            }
            Tapped::Lost(frames) => {
                // What follows stays where it belongs in time.
                let channels = if self.is_stereo() { 2 } else { 1 };
                let silent = frames.min(GAP_MAX) as usize * FRAME_SAMPLES * channels;
                self.waiting.resize(self.waiting.len() + silent, 0);
                None
            }
            Tapped::Gone(_) => Some(StopCause::LineGone),
        }
    }

    fn is_stereo(&self) -> bool {
        self.recording.direction == RecordDirection::Stereo
    }

    fn push(&mut self, frame: &TapFrame) {
        self.frames += 1;
        match (&frame.rx, &frame.tx) {
            (Some(rx), Some(tx)) if self.is_stereo() => {
                self.waiting.extend(rx.iter().zip(tx).flat_map(|(r, t)| [*r, *t]));
            }
            (Some(rx), Some(tx)) => {
                self.waiting.extend(rx.iter().zip(tx).map(|(r, t)| r.saturating_add(*t)));
            }
            (Some(one), None) | (None, Some(one)) => self.waiting.extend_from_slice(one),
            (None, None) => {}
        }
    }

    /// Has what waits written, by a thread that may wait for the disk.
    async fn write(&mut self) -> Option<StopCause> {
        let mut writer = self.writer.take()?;
        let samples = std::mem::take(&mut self.waiting);
        self.frames = 0;
        self.writes += 1;
        let look = self.writes.is_multiple_of(WRITES_A_LOOK);
        let written = self.control.on_shelf(move |shelf| {
            let result = writer.append(&samples);
            (writer, result, look && shelf.is_over_quota())
        });
        let Ok((writer, result, over_quota)) = written.await else {
            return Some(StopCause::FileError);
        };
        self.writer = Some(writer);
        match result {
            Err(error) => Some(self.failed(&error)),
            Ok(()) => over_quota.then_some(StopCause::Quota),
        }
    }

    fn failed(&self, error: &Error) -> StopCause {
        let line = Some(self.recording.line.as_str());
        let message = format!("recording {}: {error}", self.recording.id);
        self.control.report_error(line, "recording_failed", &message);
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StopCause::DiskFull,
            ErrorKind::FileTooLarge => StopCause::Length,
            _ => StopCause::FileError,
        }
    }

    async fn end(mut self, mut cause: StopCause) {
        if !self.waiting.is_empty()
            && !matches!(cause, StopCause::DiskFull | StopCause::FileError)
            && let Some(failed) = self.write().await
        {
            cause = failed;
        }
        if let Some(writer) = self.writer.take() {
            let so_far = writer.written();
            let finished = self.control.on_shelf(move |_| writer.finish()).await;
            let written = finished.ok().and_then(Result::ok).unwrap_or(so_far);
            self.recording.duration_ms = written.duration_ms;
            self.recording.octets = written.octets;
        }
        let early = matches!(
            cause,
            StopCause::DiskFull | StopCause::FileError | StopCause::Quota | StopCause::LineGone
        );
        self.recording.state =
            if early { RecordingState::Failed } else { RecordingState::Finished };
        self.recording.cause = Some(cause);
        self.recording.ended_at = Some(Timestamp::now());
        self.control.keep_recording(&self.recording).await;
        lock(&self.control.0.recordings).0.remove(&self.recording.id);
        let ended = |recording| NoticeBody::RecordingEnded { recording };
        self.control.publish_recording(&self.recording, ended);
    }
}
