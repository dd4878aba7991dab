//! SIP over TLS (RFC 3261 §26.2.1) and over WebSocket (RFC 7118): the handshake of a connection,
//! then its messages, both ways, between the stream and the transactions. Plain TCP is the
//! library's own.

use super::message::{Peer, Transport};
use super::screen::with_length;
use super::settings::WebOrigins;
use crate::tls::{Certificate, Trust};
use futures_util::{SinkExt as _, StreamExt as _};
use rsipstack::sip::SipMessage;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::stream::{SipCodec, SipCodecType};
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Time for TLS and for the WebSocket's handshake, each.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A peer that takes nothing for so long is given up.
const SEND_TIME: Duration = Duration::from_secs(10);
/// Messages that wait for a peer; who sends more waits.
const WAITING: usize = 64;
/// Longest message, as on TCP.
const LONGEST: usize = 65_535;
/// The subprotocol of RFC 7118 §4.
const SUBPROTOCOL: &str = "sip";

/// How connections begin.
#[derive(Clone)]
pub(super) struct Handshakes {
    acceptor: Option<TlsAcceptor>,
    connector: TlsConnector,
    origins: Arc<WebOrigins>,
}

/// A connection that has shaken hands.
pub(super) enum Opened {
    Stream(Box<dyn Duplex>),
    WebSocket(Box<WebSocketStream<Box<dyn Duplex>>>),
}

/// Both ways of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Handshakes {
    pub(super) fn new(
        certificate: Option<&Arc<Certificate>>,
        trust: &Trust,
        origins: WebOrigins,
    ) -> Self {
        let acceptor = certificate.map(|shown| TlsAcceptor::from(Arc::new(shown.server())));
        let connector = TlsConnector::from(Arc::new(trust.client()));
        Self { acceptor, connector, origins: Arc::new(origins) }
    }

    /// A connection of ours over TLS, to a peer whose certificate is of this name and trusted.
    pub(super) async fn dial(
        &self,
        to: SocketAddr,
        name: ServerName<'static>,
    ) -> std::io::Result<Opened> {
        let stream = TcpStream::connect(to).await?;
        let _ = stream.set_nodelay(true);
        let stream = self.connector.connect(name, stream).await?;
        Ok(Opened::Stream(Box::new(stream)))
    }

    /// `None`, and a line in the log, for one that does not speak what it should.
    pub(super) async fn open(&self, stream: TcpStream, from: Peer) -> Option<Opened> {
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Duplex> = match (from.transport, &self.acceptor) {
            (Transport::Tls | Transport::Wss, Some(acceptor)) => {
                let accepted = timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await;
                match accepted {
                    Ok(Ok(stream)) => Box::new(stream),
                    Ok(Err(error)) => {
                        debug!(%from, %error, "no TLS");
                        return None;
                    }
                    Err(_) => return None,
                }
            }
            _ => Box::new(stream),
        };
        if !matches!(from.transport, Transport::Ws | Transport::Wss) {
            return Some(Opened::Stream(stream));
        }
        let origins = Arc::clone(&self.origins);
        #[expect(clippy::result_large_err, reason = "the library's type")]
        let judge = move |request: &Request, response| judge(request, response, &origins);
        let limits = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, judge, Some(limits));
        match timeout(HANDSHAKE_TIME, accepted).await {
            Ok(Ok(socket)) => Some(Opened::WebSocket(Box::new(socket))),
            Ok(Err(error)) => {
                debug!(%from, %error, "no WebSocket");
                None
            }
            Err(_) => None,
        }
    }
}

/// RFC 7118 §4: a client offers the subprotocol `sip`, or is refused. A page from elsewhere is
/// refused too: it would speak from its reader's place in the network.
#[expect(clippy::result_large_err, reason = "the library's type")]
fn judge(
    request: &Request,
    mut response: Response,
    origins: &WebOrigins,
) -> Result<Response, ErrorResponse> {
    let refuse = |status, why: &str| {
        let mut refusal = ErrorResponse::new(Some(why.to_owned()));
        *refusal.status_mut() = status;
        Err(refusal)
    };
    let text = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => {}
        (Some(Ok(origin)), Some(Ok(host))) if origins.allow(origin, host) => {}
        _ => return refuse(StatusCode::FORBIDDEN, "pages of this origin are not allowed here"),
    }
    let mut offered = request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','));
    if !offered.any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL)) {
        return refuse(StatusCode::BAD_REQUEST, "Sec-WebSocket-Protocol: sip is needed");
    }
    let chosen = HeaderValue::from_static(SUBPROTOCOL);
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(response)
}

/// A message that is alone in its frame.
fn whole(octets: &[u8]) -> Option<SipMessage> {
    let longer = with_length(octets);
    SipMessage::try_from(longer.as_deref().unwrap_or(octets)).ok()
}

/// One connection as the transactions see it: what goes in at one end comes out at the other.
pub(super) struct Link {
    connection: SipConnection,
    remote: SipAddr,
    incoming: mpsc::UnboundedSender<TransportEvent>,
    outgoing: mpsc::Receiver<TransportEvent>,
    gone: CancellationToken,
}

impl Link {
    /// `gone` ends it, and is cancelled when it has ended.
    pub(super) async fn new(remote: SipAddr, gone: CancellationToken) -> Option<Self> {
        let (incoming, received) = mpsc::unbounded_channel();
        let (sent, outgoing) = mpsc::channel(WAITING);
        let (address, token) = (remote.clone(), Some(gone.clone()));
        let channel =
            ChannelConnection::create_connection_bounded(received, sent, address, token).await;
        let connection = SipConnection::Channel(channel.ok()?);
        Some(Self { connection, remote, incoming, outgoing, gone })
    }

    /// For the transactions.
    pub(super) fn connection(&self) -> SipConnection {
        self.connection.clone()
    }

    /// Carries messages until one side ends, or nothing is heard for `idle`.
    pub(super) async fn carry(mut self, opened: Opened, idle: Duration) {
        let why = match opened {
            Opened::Stream(stream) => self.carry_stream(stream, idle).await,
            Opened::WebSocket(socket) => self.carry_web_socket(*socket, idle).await,
        };
        debug!(remote = %self.remote, why, "SIP connection over");
        self.gone.cancel();
    }

    async fn carry_stream(&mut self, stream: Box<dyn Duplex>, idle: Duration) -> &'static str {
        let mut framed = Framed::new(stream, SipCodec::new());
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                read = framed.next() => {
                    heard = Instant::now();
                    match read {
                        Some(Ok(SipCodecType::Message(message))) => {
                            if self.take(message).is_none() {
                                return "not understood";
                            }
                        }
                        Some(Ok(SipCodecType::KeepaliveRequest)) => {
                            // RFC 5626 §3.5.1
                            let pong = framed.get_mut().write_all(b"\r\n");
                            if !matches!(timeout(SEND_TIME, pong).await, Ok(Ok(()))) {
                                return "nothing can be sent";
                            }
                            let _ = timeout(SEND_TIME, framed.get_mut().flush()).await;
                        }
                        Some(Ok(SipCodecType::KeepaliveResponse)) => {}
                        Some(Err(_)) => return "not understood, or lost",
                        None => return "closed by the peer",
                    }
                }
                Some(event) = self.outgoing.recv() => {
                    let TransportEvent::Incoming(message, ..) = event else { continue };
                    if !matches!(timeout(SEND_TIME, framed.send(message)).await, Ok(Ok(()))) {
                        return "nothing can be sent";
                    }
                }
                () = sleep_until(heard + idle) => return "silent",
                () = self.gone.cancelled() => return "closed by us",
            }
        }
    }

    async fn carry_web_socket(
        &mut self,
        mut socket: WebSocketStream<Box<dyn Duplex>>,
        idle: Duration,
    ) -> &'static str {
        let mut heard = Instant::now();
        loop {
            let reply = tokio::select! {
                read = socket.next() => {
                    heard = Instant::now();
                    let octets = match read {
                        Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                        Some(Ok(Message::Binary(octets))) => octets.to_vec(),
                        // The library answers pings and closes.
                        Some(Ok(_)) => continue,
                        Some(Err(_)) => return "lost",
                        None => return "closed by the peer",
                    };
                    match octets.as_slice() {
                        b"\r\n\r\n" => Message::text("\r\n"),
                        b"\r\n" => continue,
                        octets => {
                            if whole(octets).and_then(|message| self.take(message)).is_none() {
                                return "not understood";
                            }
                            continue;
                        }
                    }
                }
                Some(event) = self.outgoing.recv() => {
                    let TransportEvent::Incoming(message, ..) = event else { continue };
                    // RFC 7118 §5.2: text where the message is UTF-8.
                    match String::from_utf8(message.to_bytes()) {
                        Ok(text) => Message::text(text),
                        Err(octets) => Message::binary(octets.into_bytes()),
                    }
                }
                () = sleep_until(heard + idle) => return "silent",
                () = self.gone.cancelled() => {
                    let _ = timeout(SEND_TIME, socket.close(None)).await;
                    return "closed by us";
                }
            };
            if !matches!(timeout(SEND_TIME, socket.send(reply)).await, Ok(Ok(()))) {
                return "nothing can be sent";
            }
        }
    }

    /// Hands a message to the transactions, with where it came from (RFC 3261 §18.2.1).
    fn take(&self, message: SipMessage) -> Option<()> {
        let from = self.remote.get_socketaddr().ok()?;
        let transport = self.remote.r#type.unwrap_or_default();
        let message = SipConnection::update_msg_received(message, from, transport).ok()?;
        let event = TransportEvent::Incoming(message, self.connection.clone(), self.remote.clone());
        self.incoming.send(event).ok()
    }
}
