//! Sockets: accepts within a bound, and one task for each client that reads, answers and tells.
//! Nobody waits for a client that does not read: what waits for it is bounded, then it is cut.

use super::actions::{self, Context, Reply};
use super::client::{Client, Wait};
use super::defence::Defence;
use super::events;
use super::session::{Session, Step};
use super::settings::{AmiSettings, Dialect};
use super::wire::{Decoder, Message, Packet};
use crate::auth::Caller;
use crate::channel::{Channels, HELD_NEWS, Told};
use crate::control::Control;
use crate::view::PortDiagnostics;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Octets read at once.
const READ: usize = 16 * 1024;
/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a client may take to log in.
const LOGIN_TIME: Duration = Duration::from_secs(30);
/// How long a wrong secret waits for its answer.
const WRONG_SECRET_DELAY: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Octets that the system holds for a client, or a deaf one would be sent megabytes before it shows.
const SEND_BUFFER: u32 = 256 * 1024;
/// How long news rest before one who is behind is told more: in bulk, or many such would be woken for
/// each.
const BEHIND_TIME: Duration = Duration::from_millis(10);
/// Pieces of news that are taken at once, before anything is sent of them.
const NEWS_AT_ONCE: usize = 64;
/// How long clients may take to be told that it is over.
const PARTING_TIME: Duration = Duration::from_secs(2);
/// Why a client is cut that does not read.
const TOO_SLOW: &str = "too slow: more events wait than this client reads";
/// Answers of long actions that wait for their session.
const LATER: usize = 64;

/// A port that is open and not served yet.
#[derive(Debug)]
pub struct BoundAmi {
    listener: TcpListener,
    settings: Arc<AmiSettings>,
    address: SocketAddr,
}

/// Opens the port.
///
/// # Errors
/// Those of the system.
pub async fn bind(settings: AmiSettings) -> std::io::Result<BoundAmi> {
    let listen = settings.listen;
    let socket = if listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Who is accepted has it from here.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(listen)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok(BoundAmi { listener, settings: Arc::new(settings), address })
}

struct Server {
    settings: Arc<AmiSettings>,
    /// Where TLS is wanted.
    acceptor: Option<TlsAcceptor>,
    control: Control,
    channels: Channels,
    defence: Mutex<Defence>,
    started: Instant,
    connections: AtomicUsize,
    sessions: AtomicU64,
    stop: CancellationToken,
    /// Whoever still serves somebody has it.
    _alive: mpsc::Sender<Infallible>,
}

/// A port that is served.
#[derive(Debug)]
pub struct ServedAmi(mpsc::Receiver<Infallible>);

impl ServedAmi {
    /// Waits, after it was told to stop, until every client has been told so, or has not read it in
    /// time.
    pub async fn ended(mut self) {
        // Nothing is ever sent: it ends with its last sender.
        let _ = tokio::time::timeout(PARTING_TIME, self.0.recv()).await;
    }
}

impl BoundAmi {
    /// Serves clients until `stop`; each is told `Shutdown` then.
    pub fn serve(self, control: Control, channels: Channels, stop: CancellationToken) -> ServedAmi {
        let Self { listener, settings, address } = self;
        let acceptor = settings.tls.as_ref().map(|tls| TlsAcceptor::from(Arc::new(tls.server())));
        control.note_port(PortDiagnostics::new("ami", address, acceptor.is_some()));
        let (alive, over) = mpsc::channel(1);
        let ban = Duration::from_secs(u64::from(settings.ban_s));
        let server = Arc::new(Server {
            defence: Mutex::new(Defence::new(settings.ban_after, ban)),
            settings,
            acceptor,
            control,
            channels,
            started: Instant::now(),
            connections: AtomicUsize::new(0),
            sessions: AtomicU64::new(1),
            stop,
            _alive: alive,
        });
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = server.stop.cancelled() => return,
                };
                match accepted {
                    Ok((stream, remote)) => server.accept(stream, remote),
                    // Out of descriptors: others must be closed first.
                    Err(error) => {
                        tracing::warn!(%error, "AMI cannot accept");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        ServedAmi(over)
    }
}

impl Server {
    fn accept(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let address = remote.ip().to_canonical();
        if self.lock().is_banned(address, self.started.elapsed()) {
            return;
        }
        let max = self.settings.max_connections;
        if self.connections.fetch_add(1, Ordering::AcqRel) >= max {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!(%remote, max, "AMI: too many connections");
            return;
        }
        let server = self.clone();
        tokio::spawn(async move {
            let reason = server.open(stream, remote, address).await;
            tracing::info!(%remote, reason, "AMI client gone");
            server.connections.fetch_sub(1, Ordering::AcqRel);
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Defence> {
        // Nothing below can panic half-way through a change.
        self.defence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection from its handshake to its end; gives the reason of that.
    async fn open(&self, stream: TcpStream, remote: SocketAddr, address: IpAddr) -> String {
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = &self.acceptor else {
            let (reader, writer) = stream.into_split();
            return self.hold(reader, writer, remote, address).await;
        };
        match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let (reader, writer) = tokio::io::split(stream);
                self.hold(reader, writer, remote, address).await
            }
            Ok(Err(error)) => format!("no TLS: {error}"),
            Err(_) => "no TLS: the handshake took too long".to_owned(),
        }
    }

    /// One client from its banner to its end; gives the reason of that.
    async fn hold(
        &self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
        remote: SocketAddr,
        address: IpAddr,
    ) -> String {
        let (later, mut answers) = mpsc::channel::<Vec<Message>>(LATER);
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let session = Session::new(self.settings.clone(), address);
        let note = self.control.note_client("ami", "", &remote.to_string());
        let mut client = Client::new(session, number, note, &banner(&self.settings));
        // News are taken from the login on; until then there are none to wait for.
        let mut news: Option<Receiver<Arc<Told>>> = None;
        let mut decoder = Decoder::default();
        let mut octets = vec![0; READ];
        let began = tokio::time::Instant::now();
        let mut rest_until = began;
        loop {
            client.note.queues(client.waiting());
            if client.is_too_slow() {
                return client.part(&mut writer, TOO_SLOW).await;
            }
            let rests = client.is_behind() && tokio::time::Instant::now() < rest_until;
            let wait = client.waits.as_ref().and_then(|wait| wait.until);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    client.system_event(&events::shutdown());
                    return client.flush(&mut writer, "shutdown").await;
                }
                sent = send_some(&mut writer, client.unsent()), if client.must_send() => {
                    match sent {
                        Ok(sent) => client.was_sent(sent),
                        Err(_) => return "connection lost".to_owned(),
                    }
                }
                Some(messages) = answers.recv() => client.answer(&messages),
                one = next(&mut news), if news.is_some() && !rests => {
                    let most = if client.is_behind() { HELD_NEWS } else { NEWS_AT_ONCE };
                    let told = one.map(|one| client.tell(&one));
                    let told = told.and_then(|()| tell_ready(&mut client, &mut news, most));
                    if let Err(why) = told {
                        return without_news(&mut client, &mut writer, &why).await;
                    }
                    if client.is_behind() {
                        rest_until = tokio::time::Instant::now() + BEHIND_TIME;
                    }
                }
                () = tokio::time::sleep_until(rest_until), if rests => {}
                read = reader.read(&mut octets), if !client.has_enough() => {
                    match read {
                        Ok(0) => return "closed by client".to_owned(),
                        Err(error) => return error.to_string(),
                        Ok(read) => decoder.push(&octets[..read]),
                    }
                    // What happened before is told before what it asks.
                    if let Err(why) = tell_ready(&mut client, &mut news, HELD_NEWS) {
                        return without_news(&mut client, &mut writer, &why).await;
                    }
                    loop {
                        let packet = match decoder.next() {
                            Ok(None) => break,
                            Ok(Some(packet)) => packet,
                            Err(why) => {
                                let reason = why.to_string();
                                return client.part(&mut writer, &reason).await;
                            }
                        };
                        let step = client.session.handle(&packet, random());
                        if let Some(reason) =
                            self.take(&mut client, step, &packet, &mut news, &later, address).await
                        {
                            return client.flush(&mut writer, reason).await;
                        }
                        // What was caused is told behind its answer, and before the next one.
                        if let Err(why) = tell_ready(&mut client, &mut news, HELD_NEWS) {
                            return without_news(&mut client, &mut writer, &why).await;
                        }
                    }
                }
                () = tokio::time::sleep_until(began + LOGIN_TIME), if client.session.user().is_none() => {
                    return client.part(&mut writer, "Login timed out").await;
                }
                () = tokio::time::sleep_until(wait.unwrap_or(began)), if wait.is_some() => {
                    client.end_wait();
                }
            }
        }
    }

    /// Carries out a step; gives the reason where the connection ends.
    async fn take(
        &self,
        client: &mut Client,
        step: Step,
        packet: &Packet,
        news: &mut Option<Receiver<Arc<Told>>>,
        later: &mpsc::Sender<Vec<Message>>,
        address: IpAddr,
    ) -> Option<&'static str> {
        match step {
            Step::Answer(message) => client.answer(&[message]),
            Step::LoggedIn(message) => {
                self.lock().succeeded(address);
                let name = client.session.user().map(|user| user.name.clone()).unwrap_or_default();
                tracing::info!(user = name, remote = %address, "AMI login");
                client.note.is(&name);
                *news = Some(self.channels.subscribe());
                client.answer(&[message]);
                let uptime = self.started.elapsed().as_secs();
                client.system_event(&events::fully_booted(client.session.dialect(), uptime));
            }
            Step::Refused(message) => {
                let banned = self.lock().failed(address, self.started.elapsed());
                tracing::warn!(remote = %address, banned, "AMI login refused");
                tokio::time::sleep(WRONG_SECRET_DELAY).await;
                client.answer(&[message]);
                return Some("login refused");
            }
            Step::Goodbye(message) => {
                client.answer(&[message]);
                return Some("logoff");
            }
            Step::Run(action) => {
                let user = client.session.user().map(|user| user.name.as_str()).unwrap_or_default();
                let context = Context {
                    control: self.control.clone(),
                    channels: self.channels.clone(),
                    settings: self.settings.clone(),
                    caller: Caller::everything(&format!("ami:{user}")),
                    session: client.number,
                    dialect: client.session.dialect(),
                    later: later.clone(),
                };
                match actions::run(&context, action, packet).await {
                    Reply::Now(messages) => client.answer(&messages),
                    Reply::Later => {}
                    Reply::NextEvent(seconds) => {
                        client.end_wait();
                        let until =
                            seconds.map(|s| tokio::time::Instant::now() + Duration::from_secs(s));
                        let action_id = packet.get("ActionID").to_owned();
                        client.waits = Some(Wait { action_id, until });
                    }
                }
            }
        }
        None
    }
}

/// Sends a part and tells how long it is; where nothing is left, sends on what an encrypting layer
/// may still hold. What is given up half-way has sent nothing that is not told.
async fn send_some(
    writer: &mut (impl AsyncWrite + Unpin),
    octets: &[u8],
) -> std::io::Result<usize> {
    if octets.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(octets).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        sent => Ok(sent),
    }
}

/// Tells what is there, up to so many pieces, and no more than anybody may have waiting.
fn tell_ready(
    client: &mut Client,
    news: &mut Option<Receiver<Arc<Told>>>,
    most: usize,
) -> Result<(), RecvError> {
    for _ in 0..most {
        if client.is_too_slow() {
            break;
        }
        match news.as_mut().map(Receiver::try_recv) {
            Some(Ok(one)) => client.tell(&one),
            Some(Err(TryRecvError::Lagged(missed))) => return Err(RecvError::Lagged(missed)),
            Some(Err(TryRecvError::Closed)) => return Err(RecvError::Closed),
            Some(Err(TryRecvError::Empty)) | None => break,
        }
    }
    Ok(())
}

/// Ends a connection that has no news any more.
async fn without_news(
    client: &mut Client,
    writer: &mut (impl AsyncWrite + Unpin),
    why: &RecvError,
) -> String {
    let RecvError::Lagged(missed) = why else { return "shutdown".to_owned() };
    if client.is_behind() {
        return client.part(writer, TOO_SLOW).await;
    }
    tracing::warn!(missed, "AMI client lost events");
    client.part(writer, "events were lost: this server was too busy").await
}

async fn next(news: &mut Option<Receiver<Arc<Told>>>) -> Result<Arc<Told>, RecvError> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

/// Who logs in is not known yet: the version is the later one only where all speak it.
fn banner(settings: &AmiSettings) -> String {
    let modern = settings.users.iter().all(|user| user.dialect == Dialect::Modern);
    format!("Asterisk Call Manager/{}\r\n", if modern { "5.0.4" } else { "1.3" })
}

/// A number for a challenge; `None` where the system has no random numbers.
fn random() -> Option<u32> {
    let mut octets = [0; 4];
    getrandom::fill(&mut octets).ok()?;
    Some(u32::from_le_bytes(octets) % 1_000_000_000)
}
