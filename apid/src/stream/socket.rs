//! The sockets themselves: dialled within the fetcher's rules, written without waiting for whoever
//! reads.

use super::{Address, StreamSettings, audiosocket};
use crate::control::Cause;
use crate::fetch::FetchError;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _, sink, stream};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

/// Messages that wait for an application that reads slowly.
const WAITING: usize = 256;
/// Audio is dropped while so few are free: it is old by then, and what is said must get through.
const KEPT_FREE: usize = 192;

/// Octets that the kernel may keep for an application that reads slowly: about a second of audio.
const SEND_BUFFER: u32 = 16 * 1024;

/// Why an application could not be dialled: for the call, and for people.
#[derive(Debug)]
pub(super) struct Unreachable {
    pub(super) cause: Cause,
    pub(super) reason: String,
}

/// What comes; a close is what ends it properly.
pub(super) type Reader = Pin<Box<dyn Stream<Item = Result<Message, String>> + Send>>;

/// An open socket; both halves work by themselves.
pub(super) struct Socket {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// What is to be sent.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    /// Ends when everything was sent, or says why it cannot be; `None` once that was told.
    task: Option<JoinHandle<Result<(), String>>>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// Gives up when nothing was taken for `stall`. The sink's error is none where the other side
    /// closed it.
    fn new<S>(mut sink: S, stall: Duration) -> Self
    where
        S: Sink<Message, Error = Option<String>> + Unpin + Send + 'static,
    {
        let (queue, mut messages) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                match tokio::time::timeout(stall, sink.send(message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(None)) => return Ok(()),
                    Ok(Err(Some(reason))) => return Err(reason),
                    Err(_) => return Err(format!("it took nothing for {} ms", stall.as_millis())),
                }
            }
            Ok(())
        });
        Self { queue, task: Some(task), dropped: Arc::default() }
    }

    /// Sends audio, unless the application reads too slowly.
    pub(super) fn audio(&self, message: Message) {
        if self.queue.capacity() <= KEPT_FREE || self.queue.try_send(message).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what must not get lost; whether there was room for it.
    pub(super) fn say(&self, message: Message) -> bool {
        self.queue.try_send(message).is_ok()
    }

    /// Messages of audio that were dropped since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Why nothing can be sent any more; told once. May be cancelled without loss.
    pub(super) async fn broken(&mut self) -> String {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(Err(reason)) => reason,
            Ok(Ok(())) | Err(_) => "its connection closed".to_owned(),
        }
    }

    /// Sends what waits and closes; gives up after a while.
    pub(super) async fn close(self, patience: Duration) {
        let _ = self.queue.try_send(Message::Close(None));
        drop(self.queue);
        let Some(mut task) = self.task else { return };
        if tokio::time::timeout(patience, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Dials an application.
pub(super) async fn dial(
    address: &Address,
    settings: &StreamSettings,
) -> Result<Socket, Unreachable> {
    let dialled = tokio::time::timeout(settings.connect_timeout, connect(address, settings));
    dialled.await.unwrap_or_else(|_| {
        let ms = settings.connect_timeout.as_millis();
        let reason = format!("it did not answer within {ms} ms (applications.connect_timeout_ms)");
        Err(Unreachable { cause: Cause::NoUserResponding, reason })
    })
}

async fn connect(address: &Address, settings: &StreamSettings) -> Result<Socket, Unreachable> {
    let addresses = settings.fetch.addresses(false, &address.host, address.port).await;
    let addresses = addresses.map_err(|error| match error {
        FetchError::Private(host) => Unreachable {
            cause: Cause::CallRejected,
            reason: format!(
                "{host} is in a private network that is not allowed (applications.private)"
            ),
        },
        FetchError::Scheme => Unreachable {
            cause: Cause::CallRejected,
            reason: "ws:// is not allowed (fetch.plain_http)".to_owned(),
        },
        FetchError::Host(_) => {
            Unreachable { cause: Cause::CallRejected, reason: error.to_string() }
        }
        error => Unreachable { cause: Cause::NetworkOutOfOrder, reason: error.to_string() },
    })?;
    let stream = tcp(&addresses).await?;
    // 20 ms at a time: nothing is to be gained by waiting for more.
    let _ = stream.set_nodelay(true);
    if address.is_bare() {
        return Ok(packets(stream, settings.stall));
    }
    let refused = |reason: String| Unreachable { cause: Cause::CallRejected, reason };
    let request = address.url.as_str().into_client_request();
    let mut request = request.map_err(|error| refused(error.to_string()))?;
    if let Some(name) = address.subprotocol() {
        let name = HeaderValue::from_static(name);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(settings.max_message_bytes))
        .max_frame_size(Some(settings.max_message_bytes))
        .max_write_buffer_size(1 << 20);
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    let (socket, _) = opened.map_err(|error| match error {
        Error::Http(response) => refused(format!("its server answered {}", response.status())),
        error => refused(error.to_string()),
    })?;
    Ok(messages(socket, settings.stall))
}

async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, Unreachable> {
    let mut last = "it has no address".to_owned();
    for address in addresses {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let connected = async {
            let socket = socket?;
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.connect(*address).await
        };
        match connected.await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("no server at {address}: {error}"),
        }
    }
    Err(Unreachable { cause: Cause::NetworkOutOfOrder, reason: last })
}

/// A WebSocket.
fn messages(socket: WebSocketStream<TcpStream>, stall: Duration) -> Socket {
    let (sink, reader) = socket.split();
    let reader = reader.map(|message| match message {
        Err(Error::ConnectionClosed) => Ok(Message::Close(None)),
        message => message.map_err(|error| error.to_string()),
    });
    let sink = sink.sink_map_err(|error| match error {
        Error::ConnectionClosed | Error::AlreadyClosed => None,
        error => Some(error.to_string()),
    });
    Socket { reader: Box::pin(reader), writer: Writer::new(sink, stall) }
}

/// Bare TCP: packets of a type, a length (16 bit, big-endian) and so many octets are binary
/// messages, heads included. Closing between two of them is a close.
fn packets(stream: TcpStream, stall: Duration) -> Socket {
    let (reader, writer) = stream.into_split();
    let packets = LengthDelimitedCodec::builder()
        .length_field_offset(1)
        .length_field_type::<u16>()
        .length_adjustment(audiosocket::HEAD as isize)
        .num_skip(0)
        .new_codec();
    let reader = FramedRead::new(reader, packets)
        .map(|packet| match packet {
            Ok(octets) => Ok(Message::Binary(octets.freeze())),
            Err(error) => Err(error.to_string()),
        })
        .chain(stream::once(async { Ok(Message::Close(None)) }));
    let sink = sink::unfold(writer, |mut writer, message: Message| async move {
        let written = match message {
            Message::Binary(packet) => writer.write_all(&packet).await,
            Message::Close(_) => writer.shutdown().await,
            _ => Ok(()),
        };
        written.map(|()| writer).map_err(|error| Some(error.to_string()))
    });
    Socket { reader: Box::pin(reader), writer: Writer::new(Box::pin(sink), stall) }
}
