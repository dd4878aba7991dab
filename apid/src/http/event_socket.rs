//! `/v1/events` and `/ws`: what happens, as it happens.

use super::State;
use super::access::Who;
use super::audio_socket::Encoder;
use super::problem::Problem;
use super::socket::{
    ANSWERS, Client, Gone, Received, Receiver, Sender, Socket, open, require_upgrade,
};
use super::{body, event_json};
use crate::auth::Caller;
use crate::control::{AudioTap, LEVELS_EVERY, Tapped};
use crate::hub::{Delivery, Filter, Listener};
use actix_web::web::{Bytes, Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, get, rt};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

/// What to hear of.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Ids with commas; all where none are given.
    lines: Option<String>,
    /// Types with commas, `call_*` for all that begin so; all where none are given.
    types: Option<String>,
    /// First what is still held with a greater `seq`.
    since: Option<u64>,
    /// Also `levels`, ten times a second for each of the lines on which something is to be heard.
    levels: Option<bool>,
    /// A ticket in place of a token.
    #[expect(dead_code, reason = "read before the request reaches its handler")]
    ticket: Option<String>,
}

/// Events, one JSON object a message.
#[utoipa::path(
    tag = "WebSockets",
    params(EventQuery),
    responses((status = 101, description = "Events follow"))
)]
#[get("/v1/events")]
async fn get_events(
    state: Data<State>,
    who: Who,
    request: HttpRequest,
    query: Query<EventQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    serve(&state, who.0, &request, query.into_inner(), payload)
}

/// Events under the name that clients of the older phone APIs know.
#[utoipa::path(
    tag = "WebSockets",
    params(EventQuery),
    responses((status = 101, description = "Events follow"))
)]
#[get("/ws")]
async fn get_ws(
    state: Data<State>,
    who: Who,
    request: HttpRequest,
    query: Query<EventQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    serve(&state, who.0, &request, query.into_inner(), payload)
}

fn serve(
    state: &Data<State>,
    caller: Caller,
    request: &HttpRequest,
    query: EventQuery,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    require_upgrade(request)?;
    let filter = Filter { lines: list(query.lines), types: list(query.types) };
    let client = Client::new(request, caller, None);
    let meters = query.levels.unwrap_or(false).then(|| Meters::of(&filter.lines));
    let listener = state.control.listen(client.caller(), filter, query.since, client.remote())?;
    let (response, socket) = open(request, payload, state)?;
    let Socket { sender, receiver, stopping, pings, permit } = socket;
    let (asks, asked) = mpsc::channel(ANSWERS);
    let state = state.clone();
    let mut writer = Writer { sender, listener, meters, subscription: None, state, client };
    rt::spawn(async move {
        let _permit = permit;
        let gone = tokio::select! {
            gone = read(receiver, asks) => gone,
            gone = writer.run(asked, pings) => gone,
            () = stopping.cancelled() => Gone::Stopping,
        };
        writer.sender.close(gone).await;
    });
    Ok(response)
}

fn list(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect()
}

/// What a client asks for on an event socket.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ask {
    Subscribe {
        subscribe: String,
    },
    Unsubscribe {
        #[expect(dead_code, reason = "its presence is the wish")]
        unsubscribe: serde_json::Value,
    },
}

/// What the reader hands to the writer.
enum Asked {
    Text(String),
    Pong(Bytes),
    Octets,
}

async fn read(mut receiver: Receiver, asks: mpsc::Sender<Asked>) -> Gone {
    loop {
        let asked = match receiver.next().await {
            Ok(Received::Text(text)) => Asked::Text(text),
            Ok(Received::Ping(octets)) => Asked::Pong(octets),
            Ok(Received::Binary(_)) => Asked::Octets,
            Err(gone) => return gone,
        };
        if asks.send(asked).await.is_err() {
            return Gone::Closed;
        }
    }
}

/// A stream's audio on an event socket.
struct Subscription {
    stream_id: String,
    tap: AudioTap,
    encoder: Encoder,
}

/// The meters that a client reads.
struct Meters {
    lines: Vec<String>,
    reading: Interval,
}

impl Meters {
    fn of(lines: &[String]) -> Self {
        let mut reading = interval(LEVELS_EVERY);
        // Who reads slowly reads fewer, not old ones.
        reading.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { lines: lines.to_owned(), reading }
    }
}

struct Writer {
    sender: Sender,
    listener: Listener,
    meters: Option<Meters>,
    subscription: Option<Subscription>,
    state: Data<State>,
    client: Client,
}

impl Writer {
    async fn run(&mut self, mut asked: mpsc::Receiver<Asked>, mut pings: Interval) -> Gone {
        loop {
            let sent = tokio::select! {
                delivery = self.listener.next() => self.deliver(delivery).await,
                tapped = next_of(&mut self.subscription) => self.send_frame(tapped).await,
                () = next_reading(&mut self.meters) => self.send_levels().await,
                asked = asked.recv() => match asked {
                    Some(asked) => self.answer(asked).await,
                    None => Err(Gone::Closed),
                },
                _ = pings.tick() => self.sender.ping().await,
            };
            if let Err(gone) = sent {
                return gone;
            }
        }
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), Gone> {
        let text = match delivery {
            Delivery::Notice(notice) => event_json::of(&notice),
            Delivery::Lagged { missed } => event_json::lagged(missed),
        };
        self.sender.text(text).await
    }

    async fn send_levels(&mut self) -> Result<(), Gone> {
        let lines = self.meters.as_ref().map(|meters| meters.lines.as_slice()).unwrap_or_default();
        let levels = self.state.control.levels_in_use(self.client.caller(), lines);
        for line in levels.unwrap_or_default() {
            self.sender.text(event_json::levels(&line)).await?;
        }
        Ok(())
    }

    async fn send_frame(&mut self, tapped: Tapped) -> Result<(), Gone> {
        let Some(subscription) = &mut self.subscription else { return Ok(()) };
        match tapped {
            Tapped::Frame(frame) => {
                subscription.encoder.push(&frame);
                while let Some(octets) = subscription.encoder.message() {
                    self.sender.binary(octets).await?;
                }
                Ok(())
            }
            Tapped::Lost(frames) => self.sender.text(super::audio_socket::lost(frames)).await,
            Tapped::Gone(end) => {
                let stream_id = &subscription.stream_id;
                let code = end.error_code();
                let ended = json!({ "stream_id": stream_id, "code": code, "message": end.text() });
                self.subscription = None;
                self.sender.text(event_json::answer("unsubscribed", &ended)).await
            }
        }
    }

    async fn answer(&mut self, asked: Asked) -> Result<(), Gone> {
        let text = match asked {
            Asked::Pong(octets) => return self.sender.pong(&octets).await,
            Asked::Octets => {
                let hint = "audio is taken at /v1/lines/{id}/audio and /v1/streams/{id}";
                self.client.refused(&Problem::invalid("message", hint))
            }
            Asked::Text(text) => {
                self.obey(&text).unwrap_or_else(|problem| self.client.refused(&problem))
            }
        };
        self.sender.text(text).await
    }

    fn obey(&mut self, text: &str) -> Result<String, Problem> {
        match body::parse(text.as_bytes())? {
            Ask::Subscribe { subscribe } => {
                let (control, client) = (&self.state.control, &self.client);
                let stream = control.stream(client.caller(), &subscribe)?;
                let tap = control.stream_tap(client.caller(), &subscribe, client.remote())?;
                let encoder = Encoder::new(stream.format, stream.direction, stream.chunk_ms);
                self.subscription = Some(Subscription { stream_id: subscribe, tap, encoder });
                Ok(event_json::answer("subscribed", &json!(stream)))
            }
            Ask::Unsubscribe { .. } => {
                let stream_id = self.subscription.take().map(|ended| ended.stream_id);
                Ok(event_json::answer("unsubscribed", &json!({ "stream_id": stream_id })))
            }
        }
    }
}

async fn next_reading(meters: &mut Option<Meters>) {
    match meters {
        Some(meters) => {
            meters.reading.tick().await;
        }
        None => std::future::pending().await,
    }
}

async fn next_of(subscription: &mut Option<Subscription>) -> Tapped {
    match subscription {
        Some(subscription) => subscription.tap.next().await,
        None => std::future::pending().await,
    }
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_events).service(get_ws);
}
