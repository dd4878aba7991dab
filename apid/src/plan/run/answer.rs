//! Taking calls, refusing and ending them; tones that say how it goes.

use super::super::arguments;
use super::session::{Outcome, Ran, Session, Stop};
use super::tones;
use super::wait::{Event, PATIENCE};
use crate::control::{Cause, PlayOptions, PlaySource};
use crate::view::ToneRequest;
use std::time::Duration;
use tipring_shm_proto::command::ProgressTone;
use tokio::time::Instant;

/// Longest time in an argument, s.
const SECONDS_MAX: f64 = 86_400.0;

/// Seconds as `1`, `0.5`; `None` for what is no time.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok().filter(|s| (0.0..=SECONDS_MAX).contains(s))?;
    Some(Duration::from_secs_f64(seconds))
}

impl Session {
    /// The call is answered from here on.
    pub(super) async fn answer(&mut self) -> Result<(), Stop> {
        if let Some(cause) = self.over {
            return Err(Stop::HangUp(cause));
        }
        if self.is_dialled || self.answers_phoneless() {
            return Ok(());
        }
        match self.services.control.plan_answers(&self.call) {
            Ok(false) => Ok(()),
            Ok(true) => {
                let until = Instant::now() + PATIENCE;
                loop {
                    match self.next(Some(until)).await? {
                        Some(Event::Connected(_)) => return Ok(()),
                        Some(_) => {}
                        None => return Err(Stop::HangUp(Cause::TemporaryFailure)),
                    }
                }
            }
            Err(refused) => {
                tracing::debug!(call = self.call, "not answered: {refused}");
                // Its end, or who has it now, is about to be told.
                let until = Instant::now() + PATIENCE;
                while self.next(Some(until)).await?.is_some() {}
                Err(Stop::HangUp(Cause::TemporaryFailure))
            }
        }
    }

    pub(super) async fn app_answer(&mut self, data: &str) -> Ran {
        self.answer().await?;
        // In milliseconds.
        let delay = arguments::split(data, 2).first().and_then(|text| text.trim().parse().ok());
        if let Some(delay) = delay.filter(|ms: &u64| *ms > 0) {
            self.wait_for(Duration::from_millis(delay.min(600_000))).await?;
        }
        Ok(Outcome::Next)
    }

    pub(super) fn app_hangup(data: &str) -> Ran {
        let code = data.trim().parse::<u8>().ok();
        let cause = Cause::ALL.into_iter().find(|cause| Some(cause.code()) == code);
        Err(Stop::HangUp(cause.unwrap_or(Cause::NormalClearing)))
    }

    pub(super) fn app_ringing(&mut self) -> Ran {
        self.indicate(Some(ProgressTone::Ringback))?;
        Ok(Outcome::Next)
    }

    pub(super) fn indicate(&mut self, tone: Option<ProgressTone>) -> Result<(), Stop> {
        if let Some(cause) = self.over {
            return Err(Stop::HangUp(cause));
        }
        if self.local.is_some() {
            return Ok(());
        }
        if let Err(refused) = self.services.control.plan_indicates(&self.call, tone) {
            self.complaint(&refused.to_string());
        }
        Ok(())
    }

    /// A phone that is not answered is refused; any other hears the tone.
    pub(super) async fn app_busy(&mut self, data: &str, cause: Cause) -> Ran {
        let line = self.services.control.line_entry(&Self::caller(), &self.line);
        let hears_no_tone = self.local.is_some() || line.is_ok_and(|line| line.sip);
        if hears_no_tone && !self.is_answered() {
            return Err(Stop::HangUp(cause));
        }
        let tone =
            if cause == Cause::UserBusy { ProgressTone::Busy } else { ProgressTone::Congestion };
        self.indicate(Some(tone))?;
        match seconds(data) {
            Some(time) => {
                self.wait_for(time).await?;
                Err(Stop::HangUp(cause))
            }
            None => Err(self.wait_for_end().await),
        }
    }

    pub(super) async fn app_wait(&mut self, data: &str) -> Ran {
        match seconds(data) {
            Some(time) => self.wait_for(time).await?,
            None => self.complaint(&format!("`{data}` is no number of seconds")),
        }
        Ok(Outcome::Next)
    }

    pub(super) async fn app_echo(&mut self) -> Ran {
        self.answer().await?;
        if self.local.is_some() {
            return Err(self.wait_for_end().await);
        }
        if let Err(refused) = self.services.control.plan_echoes(&self.call, true) {
            self.complaint(&refused.to_string());
            return Ok(Outcome::Next);
        }
        let ended = loop {
            match self.next(None).await {
                Ok(Some(Event::Digit('#'))) => break Ok(Outcome::Next),
                Ok(_) => {}
                Err(stop) => break Err(stop),
            }
        };
        // A call that is over has no echo any more.
        let _ = self.services.control.plan_echoes(&self.call, false);
        ended
    }

    pub(super) async fn app_milliwatt(&mut self) -> Ran {
        self.answer().await?;
        self.start_background("1004@0/600000").await?;
        Err(self.wait_for_end().await)
    }

    pub(super) async fn app_play_tones(&mut self, data: &str) -> Ran {
        self.answer().await?;
        self.start_background(data).await?;
        Ok(Outcome::Next)
    }

    /// Music, until the call is over or for so many seconds.
    pub(super) async fn app_music(&mut self, data: &str) -> Ran {
        self.answer().await?;
        let arguments = arguments::split(data, 2);
        let class = arguments.first().map_or("default", String::as_str).to_owned();
        self.start_music(&class).await;
        let ended = match arguments.get(1).and_then(|text| seconds(text)) {
            Some(time) => self.wait_for(time).await.map(|()| Outcome::Next),
            None => Err(self.wait_for_end().await),
        };
        self.stop_background().await;
        ended
    }

    /// Plays tones until they are stopped.
    pub(super) async fn start_background(&mut self, tones: &str) -> Result<(), Stop> {
        self.stop_background().await;
        match tones::read(tones) {
            Ok((text, once)) => {
                let source = PlaySource::Tone(ToneRequest::Name(text));
                self.background_plays(source, !once).await;
            }
            Err(reason) => self.complaint(&reason),
        }
        Ok(())
    }

    pub(super) async fn background_plays(&mut self, source: PlaySource, looped: bool) {
        if self.local.is_some() {
            return;
        }
        let options = PlayOptions { looped, ..PlayOptions::default() };
        let played = self.services.control.play(&Self::caller(), &self.line, source, options).await;
        match played {
            Ok(playback) => self.background = Some(playback),
            Err(refused) => self.complaint(&refused.to_string()),
        }
    }

    pub(super) async fn stop_background(&mut self) {
        let Some(playback) = self.background.take() else { return };
        // One that has ended with its call is stopped already.
        let caller = Self::caller();
        let _ = self.services.control.stop_playback(&caller, &self.line, &playback).await;
    }

    pub(super) async fn app_send_digits(&mut self, data: &str) -> Ran {
        self.answer().await?;
        let arguments = arguments::split(data, 3);
        let ms = |at: usize| arguments.get(at).and_then(|text| text.trim().parse::<u16>().ok());
        let digits = arguments.first().map(String::as_str).unwrap_or_default().to_uppercase();
        self.send_digits(&digits, ms(2), ms(1)).await?;
        Ok(Outcome::Next)
    }

    /// Digits to the ear; `w` is half a second.
    pub(super) async fn send_digits(
        &mut self,
        digits: &str,
        on_ms: Option<u16>,
        off_ms: Option<u16>,
    ) -> Result<(), Stop> {
        if self.local.is_some() {
            return self.send_to_other(digits).await;
        }
        let line = self.line.clone();
        for (index, part) in digits.split('W').enumerate() {
            if index > 0 {
                self.wait_for(Duration::from_millis(500)).await?;
            }
            if part.is_empty() {
                continue;
            }
            let caller = Self::caller();
            let sent = self.services.control.dtmf(&caller, &line, part, on_ms, off_ms).await;
            if let Err(refused) = sent {
                self.complaint(&refused.to_string());
                continue;
            }
            let each = u64::from(on_ms.unwrap_or(100)) + u64::from(off_ms.unwrap_or(100));
            self.wait_for(Duration::from_millis(each * part.len() as u64)).await?;
        }
        Ok(())
    }
}
