//! Waiting: for the phone, for calls, for time. Whoever waits hears at once that the call is over.

use super::super::dialplan::Position;
use super::session::{Session, Stop};
use super::{Begin, Input, PlanNote};
use crate::control::Cause;
use crate::hub::{Delivery, NoticeBody, PlaybackEnd};
use crate::view::Recording;
use std::time::Duration;
use tokio::time::Instant;

/// However long somebody waits for something that comes within milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Something happened to the channel.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Its phone sent a digit.
    Digit(char),
    /// A playback ended.
    Played { playback: String, cause: PlaybackEnd, played_ms: u64 },
    /// A recording ended.
    Recorded(Box<Recording>),
    /// Answered, or talks with that line.
    Connected(Option<String>),
    /// Whom it dialled is gone.
    DialOver(Cause),
    /// Something was missed.
    Missed,
}

impl Session {
    /// The next thing that happens; `None` when none does before `until`.
    pub(super) async fn next(&mut self, until: Option<Instant>) -> Result<Option<Event>, Stop> {
        loop {
            if let Some(note) = self.notes.pop_front() {
                match self.noted(note) {
                    Some(event) => return event.map(Some),
                    None => continue,
                }
            }
            if let Some(cause) = self.over {
                // Nobody listens any more: what is to be waited for will not come.
                return Err(Stop::HangUp(cause));
            }
            let limit = match (until, self.absolute) {
                (Some(until), Some(absolute)) => Some(until.min(absolute)),
                (until, absolute) => until.or(absolute),
            };
            let time = async {
                match limit {
                    Some(limit) => tokio::time::sleep_until(limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                input = self.inputs.recv() => match input {
                    Some(Input::Note(note)) => self.notes.push_back(note),
                    Some(Input::Start(begin)) => return Err(Stop::Start(begin)),
                    Some(Input::Digit(digit)) => return Ok(Some(Event::Digit(digit))),
                    Some(Input::Seat { call, line }) => self.sits_at(call, line),
                    None => {
                        self.over = Some(Cause::NormalClearing);
                    }
                },
                delivery = self.heard.next() => match delivery {
                    Delivery::Lagged { .. } => return Ok(Some(Event::Missed)),
                    Delivery::Notice(notice) => match &notice.body {
                        NoticeBody::Dtmf { digit, .. } => return Ok(Some(Event::Digit(*digit))),
                        NoticeBody::PlaybackEnded { playback_id, cause, played_ms, .. } => {
                            return Ok(Some(Event::Played {
                                playback: playback_id.clone(),
                                cause: *cause,
                                played_ms: *played_ms,
                            }));
                        }
                        NoticeBody::RecordingEnded { recording } => {
                            return Ok(Some(Event::Recorded(Box::new(recording.clone()))));
                        }
                        _ => {}
                    },
                },
                () = time => {
                    if self.absolute.is_some_and(|absolute| absolute <= Instant::now()) {
                        self.absolute = None;
                        let context = &self.position.context;
                        if self.plan().find(context, "T").is_some() {
                            let there = Position::start(context, "T");
                            return Err(Stop::Start(Begin::At(there)));
                        }
                        return Err(Stop::HangUp(Cause::RecoveryOnTimer));
                    }
                    return Ok(None);
                }
            }
        }
    }

    fn noted(&mut self, note: PlanNote) -> Option<Result<Event, Stop>> {
        match note {
            PlanNote::Entered { .. } => None,
            PlanNote::Connected { with, .. } => Some(Ok(Event::Connected(with))),
            PlanNote::DialOver { cause, .. } => Some(Ok(Event::DialOver(cause))),
            PlanNote::Taken { .. } => Some(Err(Stop::Taken)),
            PlanNote::Ended { cause, .. } => {
                self.over = Some(cause);
                Some(Err(Stop::HangUp(cause)))
            }
        }
    }

    /// Lets time pass; what the phone sends meanwhile is lost.
    pub(super) async fn wait_for(&mut self, time: Duration) -> Result<(), Stop> {
        let until = Instant::now() + time;
        while self.next(Some(until)).await?.is_some() {}
        Ok(())
    }

    /// Until the call is over.
    pub(super) async fn wait_for_end(&mut self) -> Stop {
        loop {
            if let Err(stop) = self.next(None).await {
                return stop;
            }
        }
    }

    /// A digit, if one comes within `time`.
    pub(super) async fn next_digit(&mut self, time: Duration) -> Result<Option<char>, Stop> {
        let until = Instant::now() + time;
        loop {
            match self.next(Some(until)).await? {
                Some(Event::Digit(digit)) => return Ok(Some(digit)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}
