//! The server: each client its own call.

use crate::server_rules::{Input, Output, ServerCall, Timings};
use crate::{Level, Log, MESSAGE_MAX};
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// For the handshake, and for a client that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What holds for all clients.
#[derive(Clone)]
pub struct ServerSettings {
    /// When what happens.
    pub timings: Timings,
    /// Whether events carry the session's id.
    pub ids: bool,
    /// Clients at once; more are refused.
    pub max_clients: usize,
    /// Who may connect.
    pub allows: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Where to say what happens.
    pub log: Log,
}

impl std::fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSettings").field("timings", &self.timings).finish_non_exhaustive()
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    settings: ServerSettings,
}

impl Server {
    /// Over a socket that listens.
    pub const fn new(listener: TcpListener, settings: ServerSettings) -> Self {
        Self { listener, settings }
    }

    /// Serves until it is dropped.
    pub async fn serve(self) {
        let room = Arc::new(Semaphore::new(self.settings.max_clients));
        loop {
            let Ok((stream, peer)) = self.listener.accept().await else {
                // No descriptors left: others will close theirs.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let settings = self.settings.clone();
            if !(settings.allows)(peer.ip()) {
                (settings.log)(Level::Warning, &format!("{peer} refused: it is not allowed"));
                continue;
            }
            let Ok(permit) = room.clone().try_acquire_owned() else {
                (settings.log)(Level::Warning, &format!("{peer} refused: too many clients"));
                continue;
            };
            tokio::spawn(async move {
                let log = settings.log.clone();
                match serve(stream, peer, settings).await {
                    Ok(()) => log(Level::Info, &format!("{peer} has gone")),
                    Err(why) => log(Level::Warning, &format!("{peer}: {why}")),
                }
                drop(permit);
            });
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    settings: ServerSettings,
) -> Result<(), String> {
    let _ = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let accepting = tokio_tungstenite::accept_async_with_config(stream, Some(config));
    let accepted = tokio::time::timeout(PATIENCE, accepting).await;
    let mut socket = accepted
        .map_err(|_| "no handshake in time".to_owned())?
        .map_err(|error| format!("no handshake: {error}"))?;
    let session = session_id();
    (settings.log)(Level::Info, &format!("session {session}: {peer} connected"));
    let began = Instant::now();
    let mut call = ServerCall::new(settings.timings, session, settings.ids, 0);
    while let Some(deadline) = call.deadline() {
        let at = tokio::time::Instant::from_std(began + Duration::from_millis(deadline));
        let message = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) => Some(message),
                Some(Err(error)) => return Err(error.to_string()),
                None => return Ok(()),
            },
            () = tokio::time::sleep_until(at) => None,
        };
        // A deadline that a timer has reached is reached.
        let elapsed = began.elapsed().as_millis() as u64;
        let now = if message.is_none() { elapsed.max(deadline) } else { elapsed };
        let outputs = match &message {
            Some(Message::Text(text)) => call.handle(Input::Text(text), now),
            Some(Message::Binary(octets)) => call.handle(Input::Binary(octets), now),
            Some(Message::Close(_)) => return Ok(()),
            Some(_) => Vec::new(),
            None => call.handle(Input::Time, now),
        };
        for output in outputs {
            match output {
                Output::Send(text) => send(&mut socket, Message::text(text)).await?,
                Output::Echo => {
                    if let Some(message) = &message {
                        send(&mut socket, message.clone()).await?;
                    }
                }
                Output::Log(level, line) => (settings.log)(level, &line),
                Output::Close => send(&mut socket, Message::Close(None)).await?,
            }
        }
    }
    Ok(())
}

async fn send(socket: &mut WebSocketStream<TcpStream>, message: Message) -> Result<(), String> {
    let sent = tokio::time::timeout(PATIENCE, socket.send(message)).await;
    let sent = sent.map_err(|_| "it takes nothing".to_owned())?;
    sent.map_err(|error| error.to_string())
}

/// 128 random bits as a UUID (RFC 9562 §5.4).
fn session_id() -> String {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).expect("the kernel has randomness once it has booted");
    let number = u128::from_be_bytes(octets) & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{number:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
