//! What all WebSockets share: the handshake, sending to a client that may have stopped reading,
//! pings, silence.
//!
//! A socket is served by one task in which a reader and a writer run side by side. What the client
//! is sent waits in bounded places only (the hub's queue, the audio ring, [`ANSWERS`]), each of
//! which counts what it drops; so a client that stops reading delays nobody but itself.

use super::State;
use super::event_json;
use super::problem::{Kind, Problem};
use crate::auth::Caller;
use crate::control::TapEnd;
use actix_web::http::header;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{
    AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session,
};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Answers to one client that may wait; a client that asks for more is read no further.
pub(super) const ANSWERS: usize = 64;

/// An open WebSocket.
pub(super) struct Socket {
    /// From us.
    pub sender: Sender,
    /// From the client.
    pub receiver: Receiver,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// Due when it is time for a ping.
    pub pings: Interval,
    /// To be kept while it is open.
    pub permit: OwnedSemaphorePermit,
}

/// Why a socket is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The client closed it, or the connection is lost.
    Closed,
    /// Nothing was heard for too long, not even the answer to a ping.
    Silent,
    /// A message was too long.
    TooLong,
    /// What came was no WebSocket protocol.
    Broken,
    /// The client took nothing for too long.
    TookNothing,
    /// There is no more audio.
    NoMore(TapEnd),
    /// The server stops.
    Stopping,
}

impl Gone {
    const fn close(self) -> (CloseCode, &'static str) {
        match self {
            Self::Closed => (CloseCode::Normal, ""),
            Self::Silent => (CloseCode::Policy, "nothing was heard of you for too long"),
            Self::TooLong => (CloseCode::Size, "the message is too long"),
            Self::Broken => (CloseCode::Protocol, "that was no WebSocket protocol"),
            Self::TookNothing => (CloseCode::Policy, "you took nothing for too long"),
            Self::NoMore(end) => (CloseCode::Away, end.text()),
            Self::Stopping => (CloseCode::Away, "the server stops"),
        }
    }
}

/// Sends to one client.
pub(super) struct Sender {
    session: Session,
    patience: Duration,
}

impl Sender {
    /// Sends text; waits until there is room for it.
    pub(super) async fn text(&mut self, text: String) -> Result<(), Gone> {
        self.patiently(async |session: &mut Session| session.text(text).await).await
    }

    /// Sends octets; waits until there is room for them.
    pub(super) async fn binary(&mut self, octets: Bytes) -> Result<(), Gone> {
        self.patiently(async |session: &mut Session| session.binary(octets).await).await
    }

    /// Asks whether the client is there.
    pub(super) async fn ping(&mut self) -> Result<(), Gone> {
        self.patiently(async |session: &mut Session| session.ping(b"").await).await
    }

    /// Answers a ping.
    pub(super) async fn pong(&mut self, octets: &[u8]) -> Result<(), Gone> {
        self.patiently(async |session: &mut Session| session.pong(octets).await).await
    }

    /// Says why, and closes.
    pub(super) async fn close(self, gone: Gone) {
        let (code, reason) = gone.close();
        let reason = CloseReason { code, description: Some(reason.to_owned()) };
        // A client that takes nothing any more loses the connection without the reason.
        let _ = timeout(Duration::from_secs(1), self.session.close(Some(reason))).await;
    }

    async fn patiently(
        &mut self,
        send: impl AsyncFnOnce(&mut Session) -> Result<(), actix_ws::Closed>,
    ) -> Result<(), Gone> {
        match timeout(self.patience, send(&mut self.session)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(actix_ws::Closed)) => Err(Gone::Closed),
            Err(_) => Err(Gone::TookNothing),
        }
    }
}

/// What a client may say.
pub(super) enum Received {
    /// Text.
    Text(String),
    /// Octets.
    Binary(Bytes),
    /// To be answered.
    Ping(Bytes),
}

/// Hears one client.
pub(super) struct Receiver {
    messages: AggregatedMessageStream,
    patience: Duration,
}

impl Receiver {
    /// The next message. May be cancelled without loss.
    ///
    /// # Errors
    /// The client closed, broke the protocol, or was silent for too long.
    pub(super) async fn next(&mut self) -> Result<Received, Gone> {
        loop {
            let message = timeout(self.patience, self.messages.recv()).await;
            match message {
                Ok(Some(Ok(AggregatedMessage::Text(text)))) => {
                    return Ok(Received::Text(text.to_string()));
                }
                Ok(Some(Ok(AggregatedMessage::Binary(octets)))) => {
                    return Ok(Received::Binary(octets));
                }
                Ok(Some(Ok(AggregatedMessage::Ping(octets)))) => return Ok(Received::Ping(octets)),
                Ok(Some(Ok(AggregatedMessage::Pong(_)))) => {}
                Ok(Some(Err(ProtocolError::Overflow))) => return Err(Gone::TooLong),
                // How the stream of whole messages says that the parts are too long together.
                Ok(Some(Err(ProtocolError::Io(error)))) if error.kind() == ErrorKind::Other => {
                    return Err(Gone::TooLong);
                }
                Ok(Some(Ok(AggregatedMessage::Close(_)) | Err(ProtocolError::Io(_))) | None) => {
                    return Err(Gone::Closed);
                }
                Ok(Some(Err(_))) => return Err(Gone::Broken),
                Err(_) => return Err(Gone::Silent),
            }
        }
    }
}

/// Whether a request asks for a WebSocket; 426 where it does not.
pub(super) fn require_upgrade(request: &HttpRequest) -> Result<(), Problem> {
    let asks = request
        .headers()
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if asks { Ok(()) } else { Err(upgrade_required("connect with a WebSocket client")) }
}

fn upgrade_required(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::UpgradeRequired, detail).header(header::UPGRADE, "websocket")
}

/// Shakes hands.
///
/// # Errors
/// 426 for what is no handshake, 429 while there are too many WebSockets.
pub(super) fn open(
    request: &HttpRequest,
    payload: Payload,
    state: &Data<State>,
) -> Result<(HttpResponse, Socket), Problem> {
    let permit = state.sockets.clone().try_acquire_owned().map_err(|_| {
        Problem::new(Kind::TooManyRequests, "there are too many WebSockets")
            .header(header::RETRY_AFTER, "5")
    })?;
    let (response, session, messages) =
        actix_ws::handle(request, payload).map_err(|error| upgrade_required(error.to_string()))?;
    let settings = &state.settings;
    let limit = settings.message_limit_bytes;
    let messages =
        messages.max_frame_size(limit).aggregate_continuations().max_continuation_size(limit);
    let mut pings = interval(settings.ping_interval.max(Duration::from_millis(100)));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let patience = settings.silence_timeout;
    let socket = Socket {
        sender: Sender { session, patience },
        receiver: Receiver { messages, patience },
        stopping: state.stopping.clone(),
        pings,
        permit,
    };
    Ok((response, socket))
}

/// Where a client is, for diagnostics.
pub(super) fn remote_of(request: &HttpRequest) -> String {
    request.peer_addr().map_or_else(String::new, |peer| peer.to_string())
}

/// Who is on a WebSocket, for the log.
pub(super) struct Client {
    caller: Caller,
    remote: String,
    path: String,
    line: Option<String>,
}

impl Client {
    /// `line` is what it is about, where it is about one.
    pub(super) fn new(request: &HttpRequest, caller: Caller, line: Option<String>) -> Self {
        Self { caller, remote: remote_of(request), path: request.path().to_owned(), line }
    }

    /// Who asks.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Where the client is.
    pub(super) fn remote(&self) -> &str {
        &self.remote
    }

    /// A refusal as text on the WebSocket; it is logged.
    pub(super) fn refused(&self, problem: &Problem) -> String {
        self.log(problem);
        event_json::answer("refused", &serde_json::json!({ "problem": problem.to_json() }))
    }

    /// A refusal in the log.
    pub(super) fn log(&self, problem: &Problem) {
        problem.log(Some(&self.caller), &self.remote, self.line.as_deref(), &self.path);
    }
}
