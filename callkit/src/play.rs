//! Playing to the phone.

use crate::call::event;
use crate::client::{Body, Socket};
use crate::samples::to_octets;
use crate::{Call, Error, RATE};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;

/// Samples in a frame, and its length.
const FRAME: usize = 160;
const FRAME_LENGTH: Duration = Duration::from_millis(20);
/// How much of what a function makes is sent before it is due.
const AHEAD: Duration = Duration::from_millis(80);

/// What is about to be played: `.await` begins it.
#[derive(Debug)]
#[must_use = "await it to begin"]
pub struct Play<'a> {
    call: &'a Call,
    what: What,
    looped: bool,
    gain_db: f32,
    stop_on_digit: bool,
}

#[derive(Debug)]
enum What {
    Json(Value),
    Audio(Vec<u8>),
    File(PathBuf),
}

impl Play<'_> {
    /// Again and again, until it is cancelled.
    pub const fn looped(mut self) -> Self {
        self.looped = true;
        self
    }

    /// Louder or softer, −40 to +12 dB.
    pub const fn gain_db(mut self, gain_db: f32) -> Self {
        self.gain_db = gain_db;
        self
    }

    /// A digit ends it.
    pub const fn until_digit(mut self) -> Self {
        self.stop_on_digit = true;
        self
    }

    async fn begin(self) -> Result<Playback, Error> {
        let Self { call, what, looped, gain_db, stop_on_digit } = self;
        let path = call.line_path("play");
        let stop_on = if stop_on_digit { "digit" } else { "" };
        let query = format!("?loop={looped}&gain_db={gain_db}&stop_on={stop_on}");
        let (path, body) = match what {
            What::Json(mut request) => {
                request["loop"] = looped.into();
                request["gain_db"] = gain_db.into();
                request["stop_on"] = if stop_on_digit { json!(["digit"]) } else { json!([]) };
                (path, Body::Json(request))
            }
            What::Audio(octets) => (path + &query, Body::Audio(octets)),
            What::File(file) => (path + &query, Body::Audio(read(file).await?)),
        };
        // Before it begins, so that its end is not missed.
        let events = call.events();
        let answer = call.ask("POST", &path, body).await?;
        let id = answer["playback_id"].as_str().unwrap_or_default().to_owned();
        Ok(Playback { call: call.clone(), kind: Kind::Theirs { id, events } })
    }
}

impl<'a> IntoFuture for Play<'a> {
    type Output = Result<Playback, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

/// What plays. It goes on when this is dropped.
#[derive(Debug)]
pub struct Playback {
    call: Call,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Tipring has all of it.
    Theirs { id: String, events: broadcast::Receiver<Arc<Value>> },
    /// We make it while it plays.
    Ours { stop: Arc<Notify>, task: JoinHandle<Result<bool, Error>> },
}

impl Playback {
    /// Waits for its end: true when all of it was heard, false when it was cut.
    ///
    /// # Errors
    /// [`Error::Over`] when the call is over before.
    pub async fn finished(self) -> Result<bool, Error> {
        match self.kind {
            Kind::Theirs { id, mut events } => {
                let ours = |e: &Value| e["type"] == "playback_ended" && e["playback_id"] == *id;
                tokio::select! {
                    ended = event(&mut events, ours) => Ok(ended?["cause"] == "finished"),
                    () = self.call.over() => Err(Error::Over),
                }
            }
            Kind::Ours { task, .. } => task.await.unwrap_or(Err(Error::Over)),
        }
    }

    /// Silences it.
    ///
    /// # Errors
    /// As [`Error`] says; nothing where it has ended.
    pub async fn cancel(self) -> Result<(), Error> {
        match self.kind {
            Kind::Theirs { id, .. } => {
                let path = self.call.line_path(&format!("playbacks/{id}"));
                match self.call.ask("DELETE", &path, Body::Nothing).await {
                    Ok(_) | Err(Error::Refused { status: 404, .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Kind::Ours { stop, task } => {
                stop.notify_one();
                task.await.unwrap_or(Err(Error::Over)).map(|_| ())
            }
        }
    }
}

impl Call {
    fn play(&self, what: What) -> Play<'_> {
        Play { call: self, what, looped: false, gain_db: 0.0, stop_on_digit: false }
    }

    /// Plays a tone: `hz` from 20 to 3800, as long as `duration`.
    pub fn play_tone(&self, hz: u16, duration: Duration) -> Play<'_> {
        let duration_ms = duration.as_millis() as u64;
        let tone = json!({ "frequency_hz": [hz], "duration_ms": duration_ms });
        self.play(What::Json(json!({ "tone": tone })))
    }

    /// Plays a WAV file of any rate, width and channels.
    pub fn play_wav(&self, file: impl AsRef<Path>) -> Play<'_> {
        self.play(What::File(file.as_ref().to_owned()))
    }

    /// Plays samples from -1 to 1, 8000 a second.
    pub fn play_pcm(&self, samples: &[f32]) -> Play<'_> {
        self.play(What::Audio(to_octets(samples)))
    }

    /// Speaks.
    pub fn say(&self, text: &str) -> Play<'_> {
        self.play(What::Json(json!({ "say": text })))
    }

    /// Plays what `function(t)` gives for each sample, `t` in seconds, until that is `None` or the
    /// call is not ours any more.
    ///
    /// # Errors
    /// Where the line has no audio.
    pub async fn play_with<F>(&self, function: F) -> Result<Playback, Error>
    where
        F: FnMut(f64) -> Option<f64> + Send + 'static,
    {
        let path = self.line_path("audio?direction=rx");
        let socket = self.client().socket(&path).await?;
        let stop = Arc::new(Notify::new());
        let (call, stopped) = (self.clone(), stop.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                made = make(socket, function, stopped) => made,
                () = call.gone() => Err(Error::Over),
            }
        });
        Ok(Playback { call: self.clone(), kind: Kind::Ours { stop, task } })
    }

    /// Silences everything that plays.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn cancel(&self) -> Result<(), Error> {
        let path = self.line_path("playbacks");
        self.ask("DELETE", &path, Body::Nothing).await.map(|_| ())
    }
}

async fn read(file: PathBuf) -> Result<Vec<u8>, Error> {
    let reading = tokio::task::spawn_blocking(move || {
        let octets = std::fs::read(&file);
        octets.map_err(|error| Error::Malformed(format!("{}: {error}", file.display())))
    });
    reading.await.unwrap_or(Err(Error::Over))
}

/// Sends what a function makes, so far ahead that it arrives in time. Whether all of it was heard.
async fn make<F>(mut socket: Socket, mut function: F, stop: Arc<Notify>) -> Result<bool, Error>
where
    F: FnMut(f64) -> Option<f64>,
{
    let mut rounds = interval(FRAME_LENGTH / 2);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut made, mut ended, mut sent_until) = (0u64, false, Instant::now());
    loop {
        tokio::select! {
            () = stop.notified() => {
                let clear = Message::text(r#"{"type":"clear"}"#);
                socket.send(clear).await.map_err(|_| Error::Over)?;
                ended = true;
            }
            _ = rounds.tick(), if !ended => {
                sent_until = sent_until.max(Instant::now());
                while !ended && sent_until < Instant::now() + AHEAD {
                    let frame = frame(&mut function, &mut made);
                    ended = frame.len() < FRAME;
                    sent_until += FRAME_LENGTH;
                    let octets = Message::binary(to_octets(&frame));
                    socket.feed(octets).await.map_err(|_| Error::Over)?;
                }
                if ended {
                    let mark = Message::text(r#"{"type":"mark","name":"end"}"#);
                    socket.feed(mark).await.map_err(|_| Error::Over)?;
                }
                socket.flush().await.map_err(|_| Error::Over)?;
            }
            message = socket.next() => {
                let Some(Ok(message)) = message else { return Err(Error::Over) };
                let Message::Text(text) = message else { continue };
                let note: Value = serde_json::from_str(&text).unwrap_or_default();
                match note["type"].as_str() {
                    Some("mark") => return Ok(true),
                    Some("cleared") => return Ok(false),
                    // What really waits: two clocks go apart, and a busy machine leaves gaps.
                    Some("queue") => {
                        let queued = note["queued_ms"].as_u64().unwrap_or(0);
                        sent_until = Instant::now() + Duration::from_millis(queued);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The next 20 ms; fewer samples are the last.
fn frame(function: &mut impl FnMut(f64) -> Option<f64>, made: &mut u64) -> Vec<f32> {
    let mut frame = Vec::with_capacity(FRAME);
    while frame.len() < FRAME {
        let Some(sample) = function(*made as f64 / f64::from(RATE)) else { break };
        *made += 1;
        frame.push(sample as f32);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_asked_for_each_sample_until_it_ends() {
        let mut told = Vec::new();
        let mut made = 0;
        let mut function = |t: f64| {
            told.push(t);
            (told.len() < 200).then_some(0.5)
        };
        assert_eq!(frame(&mut function, &mut made).len(), 160);
        assert_eq!(frame(&mut function, &mut made).len(), 39);
        assert!((told[8] - 0.001).abs() < 1e-12);
    }
}
