//! Audio of a line both ways: `/v1/lines/{id}/audio`, `/v1/streams/{id}`, `/v1/sim/{id}/audio`.
//!
//! Binary messages are audio in the agreed format, 20 ms each from us (or the stream's
//! `chunk_ms`), any length to us. Everything else is text: from us `time`, `lost`, `cleared`, `mark`,
//! `queue`, `refused`, `ended`; to us `clear`, `mark`, `status`.

use super::State;
use super::access::Who;
use super::problem::Problem;
use super::socket::{
    ANSWERS, Client, Gone, Received, Receiver, Sender, Socket, open, remote_of, require_upgrade,
};
use super::{body, event_json};
use crate::audio_format::{self, Codec};
use crate::auth::Caller;
use crate::control::{
    AudioTap, Player, PlayerNote, PlayerOptions, Queued, Refused, TapEnd, TapFrame, Tapped,
};
use crate::view::{AudioFormat, TapDirection};
use actix_web::web::{Bytes, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, get, rt};
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

/// Time between two reports of what waits to be played.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Which audio.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AudioQuery {
    /// `pcm_s16le` where none is given.
    #[param(inline)]
    format: Option<AudioFormat>,
    /// `rx`, what the phone says, where none is given; `both` interleaves it (first) with what
    /// the phone hears.
    #[param(inline)]
    direction: Option<TapDirection>,
    /// Each message is followed by a text `time`: which frame it was, and when it was heard.
    #[serde(default)]
    times: bool,
    /// A ticket in place of a token.
    #[expect(dead_code, reason = "read before the request reaches its handler")]
    ticket: Option<String>,
}

/// Which audio of a simulated phone.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SimAudioQuery {
    /// `pcm_s16le` where none is given.
    #[param(inline)]
    format: Option<AudioFormat>,
    /// A ticket in place of a token.
    #[expect(dead_code, reason = "read before the request reaches its handler")]
    ticket: Option<String>,
}

/// Audio of a line: what the phone says, and what it is to hear.
#[utoipa::path(
    tag = "WebSockets",
    params(AudioQuery),
    responses((status = 101, description = "Audio follows"))
)]
#[get("/v1/lines/{id}/audio")]
async fn get_line_audio(
    state: Data<State>,
    who: Who,
    request: HttpRequest,
    id: Path<String>,
    query: Query<AudioQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    require_upgrade(&request)?;
    let direction = query.direction.unwrap_or_default();
    let tap = state.control.audio_tap(&who.0, &id, direction, &remote_of(&request))?;
    let format = query.format.unwrap_or_default();
    let encoder = Encoder { times: query.times, ..Encoder::new(format, direction, 20) };
    let speech = Speech::new(&state, &request, who.0, id.into_inner(), format, false);
    serve(&request, payload, &state, tap, encoder, speech)
}

/// Audio of a stream that was started by `/audio/start`.
#[utoipa::path(tag = "WebSockets", responses((status = 101, description = "Audio follows")))]
#[get("/v1/streams/{id}")]
async fn get_stream_audio(
    state: Data<State>,
    who: Who,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    require_upgrade(&request)?;
    let stream = state.control.stream(&who.0, &id)?;
    let tap = state.control.stream_tap(&who.0, &id, &remote_of(&request))?;
    let encoder = Encoder::new(stream.format, stream.direction, stream.chunk_ms);
    let speech = Speech::new(&state, &request, who.0, stream.line, stream.format, false);
    serve(&request, payload, &state, tap, encoder, speech)
}

/// Earpiece and microphone of a simulated phone.
#[utoipa::path(
    tag = "WebSockets",
    params(SimAudioQuery),
    responses((status = 101, description = "Audio follows"))
)]
#[get("/v1/sim/{id}/audio")]
async fn get_sim_audio(
    state: Data<State>,
    who: Who,
    request: HttpRequest,
    id: Path<String>,
    query: Query<SimAudioQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    require_upgrade(&request)?;
    let line = state.control.line(&who.0, &id)?;
    if line.kind != crate::view::LineKind::Sim {
        return Err(Refused::WrongKind { kind: line.kind }.into());
    }
    let tap = state.control.audio_tap(&who.0, &id, TapDirection::Tx, &remote_of(&request))?;
    let format = query.format.unwrap_or_default();
    let encoder = Encoder::new(format, TapDirection::Tx, 20);
    let speech = Speech::new(&state, &request, who.0, id.into_inner(), format, true);
    serve(&request, payload, &state, tap, encoder, speech)
}

fn serve(
    request: &HttpRequest,
    payload: Payload,
    state: &Data<State>,
    mut tap: AudioTap,
    mut encoder: Encoder,
    speech: Speech,
) -> Result<HttpResponse, Problem> {
    let (response, socket) = open(request, payload, state)?;
    let Socket { mut sender, receiver, stopping, pings, permit } = socket;
    let (answers, answered) = mpsc::channel(ANSWERS);
    rt::spawn(async move {
        let _permit = permit;
        let gone = tokio::select! {
            gone = speech.hear(receiver, answers) => gone,
            gone = write(&mut sender, &mut tap, &mut encoder, answered, pings) => gone,
            () = stopping.cancelled() => Gone::Stopping,
        };
        sender.close(gone).await;
    });
    Ok(response)
}

/// What the writer is handed by the reader.
enum Answer {
    Text(String),
    Pong(Bytes),
}

async fn write(
    sender: &mut Sender,
    tap: &mut AudioTap,
    encoder: &mut Encoder,
    mut answers: mpsc::Receiver<Answer>,
    mut pings: Interval,
) -> Gone {
    loop {
        let sent = tokio::select! {
            tapped = tap.next() => match tapped {
                Tapped::Frame(frame) => send_frame(sender, encoder, &frame).await,
                Tapped::Lost(frames) => sender.text(lost(frames)).await,
                Tapped::Gone(end) => Err(tell_end(sender, end).await),
            },
            answer = answers.recv() => match answer {
                Some(Answer::Text(text)) => sender.text(text).await,
                Some(Answer::Pong(octets)) => sender.pong(&octets).await,
                None => Err(Gone::Closed),
            },
            _ = pings.tick() => sender.ping().await,
        };
        if let Err(gone) = sent {
            return gone;
        }
    }
}

/// Tells why there is no more.
async fn tell_end(sender: &mut Sender, end: TapEnd) -> Gone {
    let told = match end.error_code() {
        Some(code) => {
            let why = json!({ "code": code, "message": end.text() });
            sender.text(event_json::answer("error", &why)).await
        }
        None => Ok(()),
    };
    told.err().unwrap_or(Gone::NoMore(end))
}

async fn send_frame(
    sender: &mut Sender,
    encoder: &mut Encoder,
    frame: &TapFrame,
) -> Result<(), Gone> {
    encoder.push(frame);
    while let Some(octets) = encoder.message() {
        sender.binary(octets).await?;
        if encoder.times {
            sender.text(time(frame)).await?;
        }
    }
    Ok(())
}

/// When the last frame of a message was heard: its number on the line, and µs since 1970.
fn time(frame: &TapFrame) -> String {
    let since = frame.at.0.duration_since(UNIX_EPOCH).unwrap_or_default();
    event_json::answer("time", &json!({ "seq": frame.seq, "at_us": since.as_micros() as u64 }))
}

/// Frames that a client was too slow to get.
pub(super) fn lost(frames: u64) -> String {
    event_json::answer("lost", &json!({ "frames": frames, "lost_ms": frames * 20 }))
}

/// Frames to messages: one format, one length.
pub(super) struct Encoder {
    format: AudioFormat,
    direction: TapDirection,
    /// Samples of a message, both directions counted.
    chunk: usize,
    samples: Vec<i16>,
    /// Each is followed by its time.
    times: bool,
}

impl Encoder {
    /// Messages of `chunk_ms`, a multiple of which need not be 20.
    pub(super) fn new(format: AudioFormat, direction: TapDirection, chunk_ms: u16) -> Self {
        let channels = if direction == TapDirection::Both { 2 } else { 1 };
        let chunk = usize::from(chunk_ms.max(1)) * 8 * channels;
        Self { format, direction, chunk, samples: Vec::with_capacity(chunk + 320), times: false }
    }

    /// Takes a frame.
    pub(super) fn push(&mut self, frame: &TapFrame) {
        match (self.direction, &frame.rx, &frame.tx) {
            (TapDirection::Rx, Some(samples), _) | (TapDirection::Tx, _, Some(samples)) => {
                self.samples.extend_from_slice(samples);
            }
            (TapDirection::Both, rx, tx) => {
                let silence = [0; 160];
                let (rx, tx) = (rx.as_ref().unwrap_or(&silence), tx.as_ref().unwrap_or(&silence));
                self.samples.extend(rx.iter().zip(tx).flat_map(|(r, t)| [*r, *t]));
            }
            _ => {}
        }
    }

    /// A message, once there is enough for one.
    pub(super) fn message(&mut self) -> Option<Bytes> {
        let due = self.samples.get(..self.chunk)?;
        let mut octets = Vec::with_capacity(self.chunk * 2);
        audio_format::encode(self.format, due, &mut octets);
        self.samples.drain(..self.chunk);
        Some(Bytes::from(octets))
    }
}

/// What a client says on an audio socket.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Ask {
    Clear {},
    Mark { name: String },
    Status {},
}

/// What a client speaks into a line.
struct Speech {
    state: Data<State>,
    client: Client,
    line: String,
    codec: Codec,
    microphone: bool,
    player: Option<Player>,
    /// What was said last was not taken.
    refused: bool,
}

impl Speech {
    fn new(
        state: &Data<State>,
        request: &HttpRequest,
        caller: Caller,
        line: String,
        format: AudioFormat,
        microphone: bool,
    ) -> Self {
        let state = state.clone();
        let client = Client::new(request, caller, Some(line.clone()));
        let codec = Codec::new(format);
        Self { state, client, line, codec, microphone, player: None, refused: false }
    }

    async fn hear(mut self, mut receiver: Receiver, answers: mpsc::Sender<Answer>) -> Gone {
        let mut reports = interval(REPORT_EVERY);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let answer = tokio::select! {
                message = receiver.next() => match message {
                    Ok(Received::Binary(octets)) => self.speak(&octets).await,
                    Ok(Received::Text(text)) => Some(self.obey(&text).await),
                    Ok(Received::Ping(octets)) => {
                        if answers.send(Answer::Pong(octets)).await.is_err() {
                            return Gone::Closed;
                        }
                        None
                    }
                    Err(gone) => return gone,
                },
                note = next_note(&mut self.player) => Some(self.noted(note)),
                _ = reports.tick() => self.waiting(),
            };
            if let Some(text) = answer
                && answers.send(Answer::Text(text)).await.is_err()
            {
                return Gone::Closed;
            }
        }
    }

    async fn player(&mut self) -> Result<&mut Player, Problem> {
        if self.player.is_none() {
            let options = PlayerOptions {
                microphone: self.microphone,
                max_queued_ms: self.state.settings.play_queue_ms,
            };
            let player =
                self.state.control.open_player(self.client.caller(), &self.line, options).await?;
            return Ok(self.player.insert(player));
        }
        Ok(self.player.as_mut().expect("it was looked at"))
    }

    /// Plays octets; gives what is to be said where they were not taken.
    async fn speak(&mut self, octets: &[u8]) -> Option<String> {
        let samples = self.codec.decode(octets);
        let written = match self.player().await {
            Ok(player) => player.write(&samples).map_err(Problem::from),
            Err(problem) => Err(problem),
        };
        let before = std::mem::replace(&mut self.refused, written.is_err());
        let problem = written.err()?;
        if !before {
            // One line, however much is said in vain.
            self.client.log(&problem);
        }
        let refused_ms = samples.len() as f64 / 8.0;
        let Queued { queued_ms, age_ms } = self.queued();
        Some(event_json::answer(
            "refused",
            &json!({
                "problem": problem.to_json(), "refused_ms": refused_ms, "queued_ms": queued_ms,
                "age_ms": age_ms,
            }),
        ))
    }

    async fn obey(&mut self, text: &str) -> String {
        self.try_to_obey(text).await.unwrap_or_else(|problem| self.client.refused(&problem))
    }

    async fn try_to_obey(&mut self, text: &str) -> Result<String, Problem> {
        match body::parse(text.as_bytes())? {
            Ask::Clear {} => {
                self.codec.clear();
                let played = match &self.player {
                    Some(player) => player.clear().await?,
                    None => crate::view::Played::default(),
                };
                Ok(event_json::answer("cleared", &played))
            }
            Ask::Mark { name } => {
                self.player().await?.mark(&name)?;
                Ok(self.queue())
            }
            Ask::Status {} => Ok(self.queue()),
        }
    }

    fn noted(&mut self, note: PlayerNote) -> String {
        match note {
            PlayerNote::Mark { name, played_ms } => {
                event_json::answer("mark", &json!({ "name": name, "played_ms": played_ms }))
            }
            PlayerNote::Ended => {
                self.player = None;
                event_json::answer("ended", &json!({ "line": self.line }))
            }
        }
    }

    /// A report of what waits, while something does.
    fn waiting(&self) -> Option<String> {
        (self.queued().queued_ms > 0).then(|| self.queue())
    }

    fn queued(&self) -> Queued {
        self.player.as_ref().map_or(Queued { queued_ms: 0, age_ms: 0 }, Player::queued)
    }

    fn queue(&self) -> String {
        let Queued { queued_ms, age_ms } = self.queued();
        event_json::answer("queue", &json!({ "queued_ms": queued_ms, "age_ms": age_ms }))
    }
}

async fn next_note(player: &mut Option<Player>) -> PlayerNote {
    match player {
        Some(player) => player.next_note().await,
        None => std::future::pending().await,
    }
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_line_audio).service(get_stream_audio).service(get_sim_audio);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Timestamp;

    fn frame(rx: i16, tx: i16) -> TapFrame {
        TapFrame { rx: Some([rx; 160]), tx: Some([tx; 160]), at: Timestamp::now(), seq: 0 }
    }

    fn messages(encoder: &mut Encoder, frame: &TapFrame) -> Vec<Bytes> {
        encoder.push(frame);
        std::iter::from_fn(|| encoder.message()).collect()
    }

    #[test]
    fn a_message_of_20_ms_is_one_frame() {
        let mut encoder = Encoder::new(AudioFormat::PcmS16le, TapDirection::Rx, 20);
        assert_eq!(messages(&mut encoder, &frame(0x0102, 9))[0][..4], [2, 1, 2, 1]);
        let mut encoder = Encoder::new(AudioFormat::Pcmu, TapDirection::Tx, 20);
        assert_eq!(messages(&mut encoder, &frame(1, 0)), [vec![0xff; 160]]);
    }

    #[test]
    fn longer_messages_wait_for_their_frames_and_shorter_ones_share_one() {
        let mut encoder = Encoder::new(AudioFormat::Pcma, TapDirection::Rx, 50);
        let lengths: Vec<usize> =
            (0..5).map(|_| messages(&mut encoder, &frame(0, 0)).len()).collect();
        assert_eq!(lengths, [0, 0, 1, 0, 1]);
        let mut encoder = Encoder::new(AudioFormat::Pcma, TapDirection::Rx, 10);
        assert_eq!(messages(&mut encoder, &frame(0, 0)), [vec![0xd5; 80], vec![0xd5; 80]]);
    }

    #[test]
    fn both_directions_are_interleaved() {
        let mut encoder = Encoder::new(AudioFormat::PcmS16le, TapDirection::Both, 20);
        let octets = &messages(&mut encoder, &frame(1, 2))[0];
        assert_eq!((octets.len(), &octets[..4]), (640, &[1, 0, 2, 0][..]));
    }
}
