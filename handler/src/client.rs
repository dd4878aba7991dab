//! The client: one call.

use crate::client_rules::{ClientCall, Input, Output};
use crate::{Level, Log, MESSAGE_MAX};
use futures_util::{SinkExt as _, StreamExt as _};
use std::f64::consts::TAU;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// For connection and handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a server may take to close.
const CLOSING: Duration = Duration::from_secs(1);

/// What to call.
#[derive(Clone)]
pub struct Caller {
    /// `ws://HOST:PORT/PATH`.
    pub url: String,
    /// Send digits.
    pub dtmf: bool,
    /// Hang up after sending audio.
    pub auto_hangup: bool,
    /// Where to say what happens.
    pub log: Log,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why there was no call, or it broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// It is no URL that can be called; what is allowed.
    Url(String),
    /// Nobody listens there.
    NoServer(String),
    /// The server is there, and does not speak WebSocket or broke off; the reason.
    Broken(String),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url} cannot be called; allowed is ws://HOST:PORT/PATH"),
            Self::NoServer(address) => write!(f, "no server is running at {address}"),
            Self::Broken(reason) => write!(f, "the connection failed: {reason}"),
        }
    }
}

impl std::error::Error for CallError {}

impl Caller {
    /// Calls, and returns when the call is over.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self) -> Result<(), CallError> {
        let no_url = || CallError::Url(self.url.clone());
        let uri: Uri = self.url.parse().map_err(|_| no_url())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("ws")).ok_or_else(no_url)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(80);
        let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect((bare, port)));
        let connected = connecting.await.ok().and_then(Result::ok);
        let stream = connected.ok_or_else(|| CallError::NoServer(format!("ws://{host}:{port}")))?;
        let _ = stream.set_nodelay(true);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        let opening =
            tokio_tungstenite::client_async_with_config(self.url.as_str(), stream, Some(config));
        let broken = |reason: String| CallError::Broken(reason);
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let opened = opened.map_err(|_| broken("no handshake in time".to_owned()))?;
        let (socket, _) = opened.map_err(|error| broken(error.to_string()))?;
        (self.log)(Level::Info, "Connected!");
        let (mut sink, mut messages) = socket.split();
        let began = Instant::now();
        let mut call = ClientCall::new("client".to_owned(), self.dtmf, self.auto_hangup);
        loop {
            let now = began.elapsed().as_millis() as u64;
            let input = if call.deadline().is_some_and(|at| at <= now) {
                None
            } else {
                tokio::select! {
                    message = messages.next() => Some(message),
                    () = until(began, call.deadline()) => None,
                }
            };
            let now = began.elapsed().as_millis() as u64;
            let outputs = match &input {
                None => call.handle(Input::Time, now),
                Some(Some(Ok(Message::Text(text)))) => call.handle(Input::Text(text), now),
                Some(Some(Ok(Message::Binary(octets)))) => {
                    call.handle(Input::Binary(octets.len()), now)
                }
                Some(Some(Ok(Message::Close(_))) | None) => {
                    (self.log)(Level::Info, "Connection closed by the server");
                    return Ok(());
                }
                Some(Some(Ok(_))) => Vec::new(),
                Some(Some(Err(error))) => return Err(broken(error.to_string())),
            };
            for output in outputs {
                let message = match output {
                    Output::Send(text) => Message::text(text),
                    Output::Frame(number) => Message::binary(frame(number)),
                    Output::Log(level, line) => {
                        (self.log)(level, &line);
                        continue;
                    }
                    Output::Close => {
                        let _ = sink.send(Message::Close(None)).await;
                        let closing = async { while messages.next().await.is_some() {} };
                        let _ = tokio::time::timeout(CLOSING, closing).await;
                        return Ok(());
                    }
                };
                let sent = tokio::time::timeout(PATIENCE, sink.send(message)).await;
                let sent = sent.map_err(|_| broken("the server takes nothing".to_owned()))?;
                sent.map_err(|error| broken(error.to_string()))?;
            }
        }
    }
}

async fn until(began: Instant, deadline: Option<u64>) {
    match deadline {
        Some(ms) => {
            let at = began + Duration::from_millis(ms);
            tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await;
        }
        None => std::future::pending().await,
    }
}

/// 20 ms of a tone of 440 Hz, 16-bit little-endian at 8 kHz.
fn frame(number: u64) -> Vec<u8> {
    let sample = |at: u64| {
        let phase = TAU * 440.0 * (at % 8000) as f64 / 8000.0;
        (phase.sin() * 8000.0) as i16
    };
    (0..160).flat_map(|at| sample(number * 160 + at).to_le_bytes()).collect()
}
