//! Transports and transactions, by rsipstack. Nothing else in this folder knows of that crate.
//!
//! What it is not asked to do, because it does it wrongly or not at all: digest, dialogs, the ACK
//! of a 2xx, registrations, session timers. Its transactions repeat a 2xx until the ACK, which
//! RFC 3261 §13.3.1.4 would have the user agent do; the result on the wire is the same.
//! It logs whole messages at INFO, credentials included: the log filter must say `rsipstack=warn`.

use super::address::Uri;
use super::call::TxId;
use super::message::{Peer, Request, Response, Transport};
use super::porch::Porch;
use super::screen::{Screened, screen, with_length};
use super::settings::SipSettings;
use super::streams::{Handshakes, Link};
use async_trait::async_trait;
use rsipstack::sip::{self as wire, SipMessage};
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption, TransportEventInspector};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};
use rsipstack::transport::tcp::TcpConnection;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent, TransportLayer};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Server transactions at once; what comes beyond is dropped, and repeated by its sender.
const MAX_SERVER_TRANSACTIONS: usize = 2000;
/// Connections at once.
const MAX_STREAMS: usize = 512;
/// A connection that is silent for longer is closed; a phone behind a translator sends
/// keep-alives, another one is dialled where it listens.
const STREAM_IDLE: Duration = Duration::from_mins(5);
/// Time for a TCP connection to a phone.
const DIAL_TIMEOUT: Duration = Duration::from_secs(4);
/// A ring may last ten minutes, and is ended by control.
const RING_TIMEOUT: Duration = Duration::from_mins(11);

/// What arrives from the network.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A request; wants exactly one call of [`Stack::respond`], [`Stack::respond_once`] or
    /// [`Stack::drop_request`] first.
    Request(TxId, Request, Peer),
    /// CANCEL of a request without a final response; its 200 has been sent.
    Cancel(TxId),
    /// ACK of a final response.
    Ack(TxId, Request),
    /// A server transaction has ended.
    Over(TxId),
    /// A response to a request of ours, and where it came from; the stack makes a 408 or 503 where
    /// none comes.
    Response(TxId, Response, Option<Peer>),
    /// A 2xx to an INVITE whose transaction is over.
    StrayOk(Response, Peer),
}

/// First answer to a request.
enum First {
    Keep(Response),
    Once(Response),
    Drop,
}

struct Waiting {
    source: Peer,
    first: Option<oneshot::Sender<First>>,
    later: TransactionEventSender,
}

/// A port that takes connections.
pub(super) struct Door {
    transport: Transport,
    address: SocketAddr,
    listener: TcpListener,
}

/// Sockets and transactions.
#[derive(Clone)]
pub(super) struct Stack(Arc<Inner>);

struct Inner {
    endpoint: EndpointInnerRef,
    arrivals: mpsc::Sender<Arrival>,
    waiting: Mutex<HashMap<TxId, Waiting>>,
    names: AtomicU64,
    transactions: AtomicUsize,
    overload: AtomicU64,
    banned: Arc<Banned>,
    /// Where we listen, UDP first.
    ports: Vec<(Transport, SocketAddr)>,
    handshakes: Handshakes,
    /// Whose certificate is wanted there, where that is not the address.
    names_there: RwLock<HashMap<SocketAddr, ServerName<'static>>>,
    /// Connections whose handshake is not over.
    porch: Porch,
    advertise: Option<IpAddr>,
    stop: CancellationToken,
}

impl Stack {
    /// Opens the sockets. Nothing is received before [`serve`](Self::serve).
    ///
    /// # Errors
    /// The address that cannot be had, and why.
    pub(super) async fn open(
        settings: &SipSettings,
    ) -> std::io::Result<(Self, Vec<Door>, mpsc::Receiver<Arrival>)> {
        let SipSettings { listen, advertise, .. } = *settings;
        let udp = UdpSocket::bind(listen).await.map_err(named(Transport::Udp, listen))?;
        let listen = udp.local_addr()?;
        let tls = |port: Option<u16>| port.filter(|_| settings.certificate.is_some());
        let mut doors = Vec::new();
        for (transport, port) in [
            (Transport::Tcp, settings.tcp.then_some(listen.port())),
            (Transport::Tls, tls(settings.tls_port)),
            (Transport::Ws, settings.ws_port),
            (Transport::Wss, tls(settings.wss_port)),
        ] {
            if let Some(port) = port {
                let address = SocketAddr::new(listen.ip(), port);
                let listener = TcpListener::bind(address).await;
                let listener = listener.map_err(named(transport, address))?;
                doors.push(Door { transport, address: listener.local_addr()?, listener });
            }
        }
        let mut ports = vec![(Transport::Udp, listen)];
        ports.extend(doors.iter().map(|door| (door.transport, door.address)));

        let stop = CancellationToken::new();
        let transports = TransportLayer::new(stop.clone());
        transports.set_stream_idle_timeout(STREAM_IDLE);
        let banned = Arc::new(Banned::default());
        let socket = Arc::new(ScreenedSocket { socket: udp, banned: Arc::clone(&banned) });
        let udp = UdpConnection::from_socket(socket, None, Some(stop.clone()))
            .await
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        transports.add_transport(SipConnection::Udp(udp));

        let (sender, arrivals) = mpsc::channel(1024);
        let seat = Arc::new(OnceLock::new());
        let endpoint = rsipstack::EndpointBuilder::new()
            .with_transport_layer(transports)
            .with_cancel_token(stop.clone())
            .with_user_agent(super::agent::PRODUCT)
            .with_option(EndpointOption {
                timerc: RING_TIMEOUT,
                callid_suffix: Some("tipring".to_owned()),
                auto_ack_2xx: false,
                ..EndpointOption::default()
            })
            .with_transport_inspector(Box::new(StrayOks(Arc::clone(&seat))))
            .build();
        let inner = Arc::new(Inner {
            endpoint: Arc::clone(&endpoint.inner),
            arrivals: sender,
            waiting: Mutex::default(),
            names: AtomicU64::new(1),
            transactions: AtomicUsize::new(0),
            overload: AtomicU64::new(0),
            banned,
            ports,
            handshakes: Handshakes::new(
                settings.certificate.as_ref(),
                &settings.trust,
                settings.origins.clone(),
            ),
            names_there: RwLock::default(),
            porch: Porch::default(),
            advertise,
            stop,
        });
        let _ = seat.set(Arc::downgrade(&inner));
        Ok((Self(inner), doors, arrivals))
    }

    /// Receives from now on, until [`stop`](Self::stop).
    pub(super) fn serve(&self, doors: Vec<Door>) {
        let endpoint = Arc::clone(&self.0.endpoint);
        tokio::spawn(async move {
            if let Err(error) = endpoint.serve().await {
                warn!(%error, "SIP transports ended");
            }
        });
        for door in doors {
            tokio::spawn(self.clone().accept(door));
        }
        tokio::spawn(self.clone().receive());
    }

    /// Closes the sockets.
    pub(super) fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Where we listen, UDP first.
    pub(super) fn ports(&self) -> &[(Transport, SocketAddr)] {
        &self.0.ports
    }

    /// A new name for a transaction.
    pub(super) fn new_tx(&self) -> TxId {
        TxId(self.0.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Our address as a peer sees it.
    pub(super) fn here(&self, peer: &Peer) -> SocketAddr {
        let of = |(transport, _): &&(Transport, SocketAddr)| *transport == peer.transport;
        let (_, listen) = self.0.ports.iter().find(of).unwrap_or(&self.0.ports[0]);
        let ip = match self.0.advertise {
            Some(ip) => ip,
            None if listen.ip().is_unspecified() => source_towards(peer.address),
            None => listen.ip(),
        };
        SocketAddr::new(ip, listen.port())
    }

    /// Answers a request: provisionally any number of times, then finally once.
    pub(super) fn respond(&self, tx: TxId, response: Response) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = waiting.get_mut(&tx) else { return };
        match entry.first.take() {
            Some(first) => drop(first.send(First::Keep(response))),
            None => {
                if let Some(response) = to_response(&response) {
                    let _ = entry.later.send(TransactionEvent::Respond(response));
                }
            }
        }
    }

    /// Where a request came from that has not been answered for good.
    pub(super) fn source_of(&self, tx: TxId) -> Option<Peer> {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(&tx).map(|entry| entry.source)
    }

    /// Nothing from these addresses is read from now on.
    pub(super) fn set_banned(&self, addresses: HashSet<IpAddr>) {
        *self.0.banned.addresses.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Connections of ours to these addresses go to whoever has a certificate of this name
    /// (RFC 5922 §7.1: that of the domain, whatever host serves it).
    pub(super) fn expect_name(&self, addresses: &[SocketAddr], name: &str) {
        let Ok(name) = ServerName::try_from(name.to_owned()) else { return };
        let mut names = self.0.names_there.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() > MAX_STREAMS {
            names.clear();
        }
        names.extend(addresses.iter().map(|address| (*address, name.clone())));
    }

    fn name_at(&self, address: SocketAddr) -> ServerName<'static> {
        let names = self.0.names_there.read().unwrap_or_else(PoisonError::into_inner);
        names.get(&address).cloned().unwrap_or_else(|| address.ip().into())
    }

    /// Datagrams and streams of banned addresses.
    pub(super) fn turned_banned(&self) -> u64 {
        self.0.banned.turned.load(Ordering::Relaxed)
    }

    /// Requests and streams beyond what is handled at once.
    pub(super) fn turned_overload(&self) -> u64 {
        self.0.overload.load(Ordering::Relaxed)
    }

    /// Server transactions that are not over.
    pub(super) fn transactions(&self) -> usize {
        self.0.transactions.load(Ordering::Relaxed)
    }

    /// Streams that are open.
    pub(super) fn connections(&self) -> usize {
        self.0.endpoint.transport_layer.connections_count()
    }

    /// Answers a request without a transaction: nothing is repeated, nothing remembered.
    pub(super) fn respond_once(&self, tx: TxId, response: Response) {
        self.decide(tx, First::Once(response));
    }

    /// Forgets a request.
    pub(super) fn drop_request(&self, tx: TxId) {
        self.decide(tx, First::Drop);
    }

    fn decide(&self, tx: TxId, decision: First) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = waiting.get_mut(&tx).and_then(|entry| entry.first.take()) {
            let _ = first.send(decision);
        }
    }

    /// Sends a request in a transaction of its own.
    pub(super) fn send(&self, tx: TxId, request: Request, to: Peer) {
        let stack = self.clone();
        tokio::spawn(async move {
            let answered = stack.drive_client(tx, &request, to).await;
            if answered.is_none() {
                let response = request.response(503, None);
                stack.deliver(Arrival::Response(tx, response, None)).await;
            }
        });
    }

    /// Sends a response without its transaction.
    pub(super) fn respond_late(&self, response: Response, to: Peer) {
        let stack = self.clone();
        tokio::spawn(async move {
            if let Some((connection, address)) = stack.dial(to).await
                && let Some(message) = to_response(&response)
            {
                let _ = connection.send(message.into(), Some(&address)).await;
            }
        });
    }

    /// Sends the ACK of a 2xx.
    pub(super) fn send_ack(&self, request: Request, to: Peer) {
        let stack = self.clone();
        tokio::spawn(async move {
            let Some((connection, address)) = stack.connection(&request, to).await else { return };
            if let Some(message) = to_request(&request)
                && let Err(error) = connection.send(message.into(), Some(&address)).await
            {
                debug!(%to, %error, "ACK not sent");
            }
        });
    }

    async fn accept(self, door: Door) {
        loop {
            let accepted = tokio::select! {
                accepted = door.listener.accept() => accepted,
                () = self.0.stop.cancelled() => return,
            };
            let Ok((stream, from)) = accepted else {
                // Out of descriptors: others have to end first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if self.0.banned.has(from.ip()) {
                continue;
            }
            if self.0.endpoint.transport_layer.connections_count() >= MAX_STREAMS {
                self.0.overload.fetch_add(1, Ordering::Relaxed);
                debug!(%from, "too many connections");
                continue;
            }
            if door.transport == Transport::Tcp {
                self.take_tcp(stream, door.address);
                continue;
            }
            let Some(guest) = self.0.porch.enter(from.ip()) else {
                self.0.overload.fetch_add(1, Ordering::Relaxed);
                debug!(%from, "too many handshakes");
                continue;
            };
            let (stack, from) = (self.clone(), Peer { transport: door.transport, address: from });
            tokio::spawn(async move {
                let Some(opened) = stack.0.handshakes.open(stream, from).await else { return };
                let Some(link) = stack.link(from).await else { return };
                drop(guest);
                link.carry(opened, STREAM_IDLE).await;
            });
        }
    }

    fn take_tcp(&self, stream: TcpStream, address: SocketAddr) {
        let local = sip_addr(Peer { transport: Transport::Tcp, address });
        match TcpConnection::from_stream(stream, local, Some(self.0.stop.child_token())) {
            Ok(connection) => {
                let layer = &self.0.endpoint.transport_layer;
                layer.add_connection(SipConnection::Tcp(connection));
            }
            Err(error) => debug!(%error, "TCP connection lost"),
        }
    }

    async fn receive(self) {
        let Some(mut incoming) = self.0.endpoint_incoming() else { return };
        loop {
            let transaction = tokio::select! {
                transaction = incoming.recv() => transaction,
                () = self.0.stop.cancelled() => return,
            };
            let Some(transaction) = transaction else { return };
            if self.0.transactions.load(Ordering::Relaxed) >= MAX_SERVER_TRANSACTIONS {
                self.0.overload.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.0.transactions.fetch_add(1, Ordering::Relaxed);
            let (stack, tx) = (self.clone(), self.new_tx());
            // Handed on here and not in its task: a phone's requests have to stay in order.
            let begun = self.begin_server(tx, &transaction).await;
            tokio::spawn(async move {
                if let Some((source, decision)) = begun {
                    stack.drive_server(tx, transaction, source, decision).await;
                }
                stack.forget(tx);
                stack.0.transactions.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    fn forget(&self, tx: TxId) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&tx);
    }

    /// Hands a request on; gives where it came from and what becomes of it.
    async fn begin_server(
        &self,
        tx: TxId,
        transaction: &Transaction,
    ) -> Option<(Peer, oneshot::Receiver<First>)> {
        let source = transaction.connection.as_ref().and_then(peer_of)?;
        let request = Request::from_wire(&transaction.original.to_bytes())?;
        let (first, decision) = oneshot::channel();
        let later = transaction.tu_sender.clone();
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tx, Waiting { source, first: Some(first), later });
        self.deliver(Arrival::Request(tx, request, source)).await;
        Some((source, decision))
    }

    /// One request from the decision what becomes of it to the end of its transaction.
    async fn drive_server(
        &self,
        tx: TxId,
        mut transaction: Transaction,
        source: Peer,
        decision: oneshot::Receiver<First>,
    ) {
        match decision.await {
            Ok(First::Keep(response)) => {
                let Some(response) = to_response(&response) else { return };
                if let Err(error) = transaction.respond(response).await {
                    debug!(%source, %error, "response not sent");
                    return self.deliver(Arrival::Over(tx)).await;
                }
            }
            Ok(First::Once(response)) => {
                let connection = transaction.connection.clone();
                if let (Some(connection), Some(response)) = (connection, to_response(&response)) {
                    let to = sip_addr(source);
                    let _ = connection.send(response.into(), Some(&to)).await;
                }
                return;
            }
            Ok(First::Drop) | Err(_) => return,
        }
        while let Some(message) = transaction.receive().await {
            let SipMessage::Request(request) = message else { continue };
            let arrival = match request.method {
                wire::Method::Cancel => Arrival::Cancel(tx),
                wire::Method::Ack => match Request::from_wire(&request.to_bytes()) {
                    Some(ack) => Arrival::Ack(tx, ack),
                    None => continue,
                },
                _ => continue,
            };
            self.deliver(arrival).await;
        }
        self.deliver(Arrival::Over(tx)).await;
    }

    /// One request of ours until its final response. `None`: there was none.
    async fn drive_client(&self, tx: TxId, request: &Request, to: Peer) -> Option<()> {
        let message = to_request(request)?;
        let key = TransactionKey::from_request(&message, TransactionRole::Client).ok()?;
        let (connection, address) = self.connection(request, to).await?;
        let endpoint = Arc::clone(&self.0.endpoint);
        let mut transaction = Transaction::new_client(key, message, endpoint, Some(connection));
        transaction.destination = Some(address);
        transaction.send().await.ok()?;
        let mut answered = None;
        while let Some(message) = transaction.receive().await {
            let SipMessage::Response(response) = message else { continue };
            let Some(response) = Response::from_wire(&response.to_bytes()) else { continue };
            if response.status >= 200 {
                answered = Some(());
            }
            self.deliver(Arrival::Response(tx, response, Some(to))).await;
        }
        answered
    }

    /// The way to a phone. A stream is the one that the phone opened; where that is gone, as
    /// after a restart, a new one to the address that it listens on.
    async fn connection(&self, request: &Request, to: Peer) -> Option<(SipConnection, SipAddr)> {
        if let Some(found) = self.dial(to).await {
            return Some(found);
        }
        let listens = Uri::parse(&request.uri).and_then(|uri| uri.address());
        let listens = listens.filter(|at| *at != to.address && at.ip() == to.address.ip())?;
        self.dial(Peer { address: listens, ..to }).await
    }

    /// A connection that has shaken hands, for the transactions to use.
    async fn link(&self, with: Peer) -> Option<Link> {
        let link = Link::new(sip_addr(with), self.0.stop.child_token()).await?;
        self.0.endpoint.transport_layer.add_connection(link.connection());
        Some(link)
    }

    async fn dial(&self, to: Peer) -> Option<(SipConnection, SipAddr)> {
        let address = sip_addr(to);
        let lookup = self.0.endpoint.transport_layer.lookup(&address, None);
        match tokio::time::timeout(DIAL_TIMEOUT, lookup).await {
            Ok(Ok(found)) => Some(found),
            // The library knows the connections that there are, and makes none of these.
            Ok(Err(_)) if to.transport == Transport::Tls => self.dial_tls(to).await,
            Ok(Err(error)) => {
                debug!(%to, %error, "no way to the phone");
                None
            }
            Err(_) => {
                debug!(%to, "the phone takes no connection");
                None
            }
        }
    }

    async fn dial_tls(&self, to: Peer) -> Option<(SipConnection, SipAddr)> {
        let dialled = self.0.handshakes.dial(to.address, self.name_at(to.address));
        match tokio::time::timeout(DIAL_TIMEOUT, dialled).await {
            Ok(Ok(opened)) => {
                let link = self.link(to).await?;
                let connection = link.connection();
                tokio::spawn(link.carry(opened, STREAM_IDLE));
                Some((connection, sip_addr(to)))
            }
            Ok(Err(error)) => {
                warn!(%to, %error, "no TLS connection to the phone");
                None
            }
            Err(_) => {
                debug!(%to, "the phone takes no connection");
                None
            }
        }
    }

    async fn deliver(&self, arrival: Arrival) {
        let _ = self.0.arrivals.send(arrival).await;
    }
}

impl Inner {
    fn endpoint_incoming(&self) -> Option<rsipstack::transaction::TransactionReceiver> {
        let endpoint = rsipstack::transaction::Endpoint { inner: Arc::clone(&self.endpoint) };
        endpoint.incoming_transactions().ok()
    }
}

/// Sees each message before the transactions do, and keeps the 2xx that none of them waits for.
struct StrayOks(Arc<OnceLock<Weak<Inner>>>);

#[async_trait]
impl TransportEventInspector for StrayOks {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        let TransportEvent::Incoming(SipMessage::Response(response), connection, _) = &event else {
            return Some(event);
        };
        if (200..300).contains(&response.status_code.code())
            && let Some(inner) = self.0.get().and_then(Weak::upgrade)
            && let Ok(key) = TransactionKey::from_response(response, TransactionRole::Client)
            && inner.endpoint.transactions.get(&key).is_none()
            && let Some(ok) = Response::from_wire(&response.to_bytes())
            && ok.cseq().is_some_and(|(_, method)| method == "INVITE")
            && let Some(source) = peer_of(connection)
        {
            let _ = inner.arrivals.try_send(Arrival::StrayOk(ok, source));
            return None;
        }
        Some(event)
    }
}

/// A UDP socket whose datagrams are [screened](screen).
struct ScreenedSocket {
    socket: UdpSocket,
    banned: Arc<Banned>,
}

/// Addresses whose messages are not even read.
#[derive(Default)]
struct Banned {
    addresses: RwLock<HashSet<IpAddr>>,
    turned: AtomicU64,
}

impl Banned {
    fn has(&self, address: IpAddr) -> bool {
        let addresses = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
        let has = addresses.contains(&address);
        if has {
            self.turned.fetch_add(1, Ordering::Relaxed);
        }
        has
    }
}

#[async_trait]
impl rsipstack::platform::net::UdpSocket for ScreenedSocket {
    async fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr)> {
        loop {
            let (len, from) = self.socket.recv_from(buf).await?;
            if self.banned.has(from.ip()) {
                continue;
            }
            match screen(&buf[..len], buf.len()) {
                Screened::Pass => match with_length(&buf[..len]) {
                    None => return Ok((len, from)),
                    Some(longer) if longer.len() <= buf.len() => {
                        buf[..longer.len()].copy_from_slice(&longer);
                        return Ok((longer.len(), from));
                    }
                    Some(_) => {}
                },
                Screened::Drop => {}
                Screened::Answer(answer) => {
                    let _ = self.socket.send_to(&answer, from).await;
                }
            }
        }
    }

    async fn send_to(&self, buf: &[u8], to: SocketAddr) -> Result<usize> {
        Ok(self.socket.send_to(buf, to).await?)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

type Result<T> = std::result::Result<T, rsipstack::Error>;

/// An error that tells which port it is about.
fn named(transport: Transport, address: SocketAddr) -> impl Fn(std::io::Error) -> std::io::Error {
    let transport = transport.token();
    move |error| {
        std::io::Error::new(
            error.kind(),
            format!("SIP cannot listen on {address} ({transport}): {error}"),
        )
    }
}

/// The address that the system would send from; no packet is sent to find out.
fn source_towards(to: SocketAddr) -> IpAddr {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let found = std::net::UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(to)?;
        Ok(socket.local_addr()?.ip())
    });
    found.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into())
}

fn peer_of(connection: &SipConnection) -> Option<Peer> {
    let remote = connection.get_remote_addr()?;
    // What a link of ours carries is known by its address alone.
    let transport = match remote.r#type.unwrap_or_else(|| connection.transport()) {
        wire::Transport::Udp => Transport::Udp,
        wire::Transport::Tcp => Transport::Tcp,
        wire::Transport::Tls => Transport::Tls,
        wire::Transport::Ws => Transport::Ws,
        wire::Transport::Wss => Transport::Wss,
        _ => return None,
    };
    let address = remote.get_socketaddr().ok()?;
    Some(Peer { transport, address })
}

fn sip_addr(peer: Peer) -> SipAddr {
    let transport = match peer.transport {
        Transport::Udp => wire::Transport::Udp,
        Transport::Tcp => wire::Transport::Tcp,
        Transport::Tls => wire::Transport::Tls,
        Transport::Ws => wire::Transport::Ws,
        Transport::Wss => wire::Transport::Wss,
    };
    SipAddr { r#type: Some(transport), addr: peer.address.into() }
}

fn to_request(request: &Request) -> Option<wire::Request> {
    wire::Request::try_from(request.to_wire()).ok()
}

fn to_response(response: &Response) -> Option<wire::Response> {
    wire::Response::try_from(response.to_wire()).ok()
}
