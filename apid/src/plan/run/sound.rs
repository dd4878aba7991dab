//! Playing and recording.

use super::super::arguments;
use super::session::{Outcome, Ran, Session, Stop};
use super::wait::{Event, PATIENCE};
use crate::control::{Cause, PlayOptions, PlaySource};
use crate::hub::PlaybackEnd;
use crate::view::{RecordDirection, RecordRequest, RecordStop, Recording, StopOn};
use std::time::Duration;
use tokio::time::Instant;

/// Every key of a telephone.
pub(super) const EVERY_DIGIT: &str = "0123456789*#";
/// Files of one Playback.
const FILES_MAX: usize = 100;

/// What came of playing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The digit that ended it.
    pub(super) digit: Option<char>,
    /// How much of it was heard, in the last file where there were several.
    pub(super) played_ms: u64,
    /// It could not be played.
    pub(super) failed: bool,
}

/// What came of recording.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The digit that ended it.
    pub(super) digit: Option<char>,
    /// As it was at its end.
    pub(super) recording: Recording,
}

impl Session {
    /// Plays files one after the other, `&` between them; a digit of `escape` ends it.
    pub(super) async fn play_files(&mut self, files: &str, escape: &str) -> Result<Heard, Stop> {
        let mut last = Heard::default();
        for name in files.split('&').map(str::trim).filter(|name| !name.is_empty()).take(FILES_MAX)
        {
            let heard = self.play(PlaySource::Prompt(name.to_owned()), escape).await?;
            last = Heard { failed: last.failed || heard.failed, ..heard };
            if heard.digit.is_some() {
                break;
            }
        }
        Ok(last)
    }

    /// Plays to the end, or until a digit of `escape`.
    pub(super) async fn play(&mut self, source: PlaySource, escape: &str) -> Result<Heard, Stop> {
        if let Some(cause) = self.over {
            return Err(Stop::HangUp(cause));
        }
        if self.local.is_some() {
            let Some(time) = self.length_of(source).await else {
                return Ok(Heard { failed: true, ..Heard::default() });
            };
            let digit = self.silence(time, escape).await?;
            return Ok(Heard { digit, played_ms: time.as_millis() as u64, failed: false });
        }
        // The engine itself silences at the first frame of a digit, but knows no choice of them.
        let any = EVERY_DIGIT.chars().all(|digit| escape.contains(digit));
        let stop_on = if any { vec![StopOn::Digit] } else { Vec::new() };
        let options = PlayOptions { stop_on, ..PlayOptions::default() };
        let started =
            self.services.control.play(&Self::caller(), &self.line, source, options).await;
        let playback = match started {
            Ok(playback) => playback,
            Err(refused) => {
                self.complaint(&refused.to_string());
                return Ok(Heard { failed: true, ..Heard::default() });
            }
        };
        let heard = self.hear(&playback, escape).await;
        if heard.is_err() {
            // Whoever leaves takes what plays along; a line that is down plays nothing.
            let caller = Self::caller();
            let _ = self.services.control.stop_playback(&caller, &self.line, &playback).await;
        }
        heard
    }

    async fn hear(&mut self, playback: &str, escape: &str) -> Result<Heard, Stop> {
        let mut digit = None;
        loop {
            match self.next(None).await? {
                Some(Event::Digit(pressed)) if escape.contains(pressed) && digit.is_none() => {
                    digit = Some(pressed);
                    let caller = Self::caller();
                    // One that the digit has ended already is told of below.
                    let _ =
                        self.services.control.stop_playback(&caller, &self.line, playback).await;
                }
                Some(Event::Played { playback: ended, cause, played_ms }) if ended == playback => {
                    if cause == PlaybackEnd::Digit && digit.is_none() {
                        // The digit that silenced it is told when it has ended.
                        digit = self.next_digit(PATIENCE).await?;
                    }
                    if cause == PlaybackEnd::LineGone {
                        // Its phone was put down; the call's own end follows.
                        self.over = Some(Cause::NormalClearing);
                        return Err(Stop::HangUp(Cause::NormalClearing));
                    }
                    let failed = cause == PlaybackEnd::DeviceLost;
                    return Ok(Heard { digit, played_ms, failed });
                }
                Some(Event::Missed) => return Ok(Heard { digit, ..Heard::default() }),
                _ => {}
            }
        }
    }

    /// `files[,options]`.
    pub(super) async fn app_playback(&mut self, data: &str) -> Ran {
        let arguments = arguments::split(data, 2);
        let files = arguments.first().map(String::as_str).unwrap_or_default().to_owned();
        let options = arguments.get(1).map(String::as_str).unwrap_or_default();
        let answered = self.is_answered();
        if !answered && (options.contains("skip") || options.contains("noanswer")) {
            // There is no way yet to be heard by a phone that is not answered.
            self.set("PLAYBACKSTATUS", "FAILED");
            return Ok(Outcome::Next);
        }
        self.answer().await?;
        let heard = self.play_files(&files, "").await?;
        self.set("PLAYBACKSTATUS", if heard.failed { "FAILED" } else { "SUCCESS" });
        Ok(Outcome::Next)
    }

    /// `file.format[,silence[,seconds[,options]]]`.
    pub(super) async fn app_record(&mut self, data: &str) -> Ran {
        let arguments = arguments::split(data, 4);
        let text = |at: usize| arguments.get(at).map(|text| text.trim()).unwrap_or_default();
        let (name, format) = text(0).rsplit_once(['.', ':']).unwrap_or((text(0), "wav"));
        if !matches!(format, "wav" | "wav16") {
            self.complaint(&format!("recordings are WAV files; `{format}` is none"));
            self.set("RECORD_STATUS", "ERROR");
            return Ok(Outcome::Next);
        }
        let whole = |at: usize| text(at).parse::<u64>().ok().filter(|seconds| *seconds > 0);
        let options = text(3);
        self.answer().await?;
        let request = RecordRequest {
            direction: RecordDirection::Rx,
            max_ms: whole(2).map(|seconds| seconds.saturating_mul(1000)),
            stop_on: Vec::new(),
            silence_ms: whole(1).map(|seconds| seconds.saturating_mul(1000).min(600_000)),
            beep: !options.contains('q'),
        };
        let escape = if options.contains('y') {
            EVERY_DIGIT
        } else if options.contains('t') {
            "*"
        } else {
            "#"
        };
        let status = match self.record(name, request, escape).await? {
            Some(kept) if kept.digit.is_some() => "DTMF",
            Some(kept) => match kept.recording.cause {
                Some(crate::recording::StopCause::Silence) => "SILENCE",
                Some(crate::recording::StopCause::HungUp) => "HANGUP",
                _ => "TIMEOUT",
            },
            None => "ERROR",
        };
        self.set("RECORD_STATUS", status);
        self.set("RECORDED_FILE", name);
        Ok(Outcome::Next)
    }

    /// Records the person until a digit of `escape` or what the request says, as a prompt of that
    /// name; `None` where that cannot be.
    pub(super) async fn record(
        &mut self,
        name: &str,
        mut request: RecordRequest,
        escape: &str,
    ) -> Result<Option<Kept>, Stop> {
        if let Some(cause) = self.over {
            return Err(Stop::HangUp(cause));
        }
        if self.local.is_some() {
            self.complaint("there is nothing to record without a telephone");
            return Ok(None);
        }
        let any = EVERY_DIGIT.chars().all(|digit| escape.contains(digit));
        if any {
            request.stop_on.push(RecordStop::Digit);
        }
        let caller = Self::caller();
        let recording = match self.services.control.record(&caller, &self.line, request).await {
            Ok(recording) => recording,
            Err(refused) => {
                self.complaint(&refused.to_string());
                return Ok(None);
            }
        };
        let ended = self.recorded(&recording.id, escape).await;
        if ended.is_err() {
            // It ends with the call by itself; whoever goes on elsewhere ends it.
            let _ = self.services.control.remove_recording(&caller, &recording.id).await;
            return ended;
        }
        let saved = self.services.control.save_prompt(&recording.id, name).await;
        if let Err(refused) = saved {
            self.complaint(&format!("`{name}` is not kept: {refused}"));
            return Ok(None);
        }
        ended
    }

    async fn recorded(&mut self, id: &str, escape: &str) -> Result<Option<Kept>, Stop> {
        let mut digit = None;
        let mut until = None;
        loop {
            match self.next(until).await? {
                Some(Event::Digit(pressed)) if escape.contains(pressed) && digit.is_none() => {
                    digit = Some(pressed);
                    let caller = Self::caller();
                    // One that has just ended by itself is told of as well.
                    let _ = self.services.control.remove_recording(&caller, id).await;
                    until = Some(Instant::now() + PATIENCE);
                }
                Some(Event::Recorded(recording)) if recording.id == id => {
                    let digit = digit.or(recording.digit);
                    return Ok(Some(Kept { digit, recording: *recording }));
                }
                Some(Event::Missed) | None => return Ok(None),
                Some(_) => {}
            }
        }
    }

    /// Silence of that length, which a digit ends too.
    pub(super) async fn silence(
        &mut self,
        time: Duration,
        escape: &str,
    ) -> Result<Option<char>, Stop> {
        let until = Instant::now() + time;
        loop {
            match self.next(Some(until)).await? {
                Some(Event::Digit(digit)) if escape.contains(digit) => return Ok(Some(digit)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Music while somebody waits: `moh/CLASS` of the sounds folder, else a tune of our own.
    pub(super) async fn start_music(&mut self, class: &str) {
        self.stop_background().await;
        self.background_plays(PlaySource::Music(class.to_owned()), true).await;
    }
}
