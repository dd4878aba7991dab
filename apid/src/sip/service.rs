//! Joins network, rules and control: one task owns the [`Agent`], feeds it with what arrives and
//! carries out what it decides. State that must outlive us is written before anything is sent.

use super::action::{Action, Actions, Notice};
use super::agent::{Agent, Surroundings};
use super::defence::Turned;
use super::exchange::Exchange;
use super::message::{Headers, Peer, Transport};
use super::resolve::Names;
use super::settings::SipSettings;
use super::stack::{Arrival, Door, Stack};
use super::store::Store;
use super::trace::Trace;
use super::trunk::Server;
use crate::control::{
    Cause, MediaAnswer, MediaOffer, MessagesWaiting, Signalling, SignallingError,
};
use crate::view::{Ban, CallerIdView, Registration, SipDiagnostics, SipTrunk, Timestamp};
use async_trait::async_trait;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// Notices that may wait for control, for each line.
const NOTICES: usize = 256;
/// Digits are dropped rather than fill the last part of that: what ends a call must get through.
const NOTICES_RESERVED: usize = 64;
/// Time to take registrations back.
const LEAVE_TIME: Duration = Duration::from_secs(2);

type Reply = oneshot::Sender<Result<(), SignallingError>>;

/// What control orders.
enum Order {
    Invite {
        line: String,
        number: Option<String>,
        media: MediaOffer,
        caller: CallerIdView,
        cadence_ms: Vec<u16>,
        reply: Reply,
    },
    Accept {
        line: String,
        media: MediaAnswer,
        reply: Reply,
    },
    Hold {
        line: String,
        on: bool,
        reply: Reply,
    },
    Progress {
        line: String,
        reply: Reply,
    },
    HangUp {
        line: String,
        cause: Cause,
        reply: Reply,
    },
    Adopt {
        keep: Vec<String>,
        reply: Reply,
    },
    Media {
        line: String,
        answer: Option<MediaAnswer>,
    },
    Transferred {
        line: String,
        status: u16,
    },
    Notify {
        line: String,
        event: String,
        reply: Reply,
    },
    LiftBan {
        address: IpAddr,
        reply: oneshot::Sender<bool>,
    },
    Messages {
        line: String,
        counts: MessagesWaiting,
    },
    Addresses {
        trunk: String,
        found: Result<Vec<SocketAddr>, String>,
    },
    Leave {
        left: oneshot::Sender<()>,
    },
}

/// SIP, open for control's orders. Cheap to clone.
#[derive(Clone)]
pub struct Sip(Arc<Shared>);

struct Shared {
    orders: mpsc::Sender<Order>,
    seen: RwLock<Seen>,
    idle: Mutex<Option<Idle>>,
    stack: Stack,
}

/// What can be asked without waiting.
#[derive(Default)]
struct Seen {
    registrations: HashMap<String, Registration>,
    live: Vec<String>,
    bans: Vec<Ban>,
    turned: Turned,
    trunks: Vec<SipTrunk>,
}

/// What waits for [`Sip::serve`].
struct Idle {
    agent: Agent,
    store: Store,
    arrivals: mpsc::Receiver<Arrival>,
    orders: mpsc::Receiver<Order>,
    doors: Vec<Door>,
    trace: Trace,
    names: Arc<Names>,
}

impl std::fmt::Debug for Sip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sip {{ {} }}", self.local_addr())
    }
}

impl Sip {
    /// Opens the sockets and reads what an earlier apid kept. Orders are taken, but nothing is
    /// received and nothing done before [`serve`](Self::serve).
    ///
    /// # Errors
    /// The address that cannot be had or the folder that cannot be made, and why.
    pub async fn open(settings: &SipSettings) -> std::io::Result<Self> {
        let store = Store::open(&settings.state_dir).map_err(|error| {
            let dir = settings.state_dir.display();
            std::io::Error::new(error.kind(), format!("state folder {dir}: {error}"))
        })?;
        let (stack, doors, arrivals) = Stack::open(settings).await?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        let (here, names) = (stack.clone(), stack.clone());
        let around = Surroundings {
            here: Box::new(move |peer| here.here(peer)),
            random: Box::new(random),
            new_tx: Box::new(move || names.new_tx()),
        };
        let agent = Agent::new(settings, store.load(), key, around);
        let (orders_in, orders) = mpsc::channel(256);
        let phones = settings.accounts.iter().filter(|account| account.trace).map(|one| &one.id);
        let trunks = settings.trunks.iter().filter(|trunk| trunk.trace).map(|trunk| &trunk.user);
        let trace = Trace::of(phones.chain(trunks).cloned());
        let name_servers =
            if settings.trunks.is_empty() { None } else { Some(settings.name_servers.as_slice()) };
        let names = Arc::new(Names::new(name_servers));
        let idle = Idle { agent, store, arrivals, orders, doors, trace, names };
        let seen = RwLock::new(look(&idle.agent));
        let idle = Mutex::new(Some(idle));
        Ok(Self(Arc::new(Shared { orders: orders_in, seen, idle, stack })))
    }

    /// Where we listen, UDP first.
    pub fn ports(&self) -> &[(Transport, SocketAddr)] {
        self.0.stack.ports()
    }

    /// Where we listen, UDP.
    pub fn local_addr(&self) -> SocketAddr {
        self.ports()[0].1
    }

    /// Receives and acts from now on, telling `exchange`. Does nothing when called again.
    pub fn serve(&self, exchange: Arc<dyn Exchange>) {
        let Some(idle) = lock(&self.0.idle).take() else { return };
        let Idle { agent, store, arrivals, orders, doors, trace, names } = idle;
        self.0.stack.serve(doors);
        let (shared, lines) = (Arc::clone(&self.0), HashMap::new());
        let leaving = None;
        let service = Service { shared, agent, store, exchange, lines, trace, names, leaving };
        tokio::spawn(service.run(arrivals, orders));
    }

    /// Takes back what is registered elsewhere, for as long as that may take.
    pub async fn leave(&self) {
        let (left, gone) = oneshot::channel();
        if self.0.orders.send(Order::Leave { left }).await.is_ok() {
            let _ = tokio::time::timeout(LEAVE_TIME, gone).await;
        }
    }

    /// Closes the sockets. Calls stay as they are: the next apid takes them over.
    pub fn stop(&self) {
        self.0.stack.stop();
    }

    async fn order(&self, order: impl FnOnce(Reply) -> Order) -> Result<(), SignallingError> {
        let (reply, answer) = oneshot::channel();
        let gone = || SignallingError::Transport("SIP has stopped".to_owned());
        self.0.orders.send(order(reply)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[async_trait]
impl Signalling for Sip {
    async fn invite(
        &self,
        line: &str,
        number: Option<&str>,
        media: MediaOffer,
        caller: &CallerIdView,
        cadence_ms: &[u16],
    ) -> Result<(), SignallingError> {
        let (line, caller, cadence_ms) = (line.to_owned(), caller.clone(), cadence_ms.to_vec());
        let number = number.map(str::to_owned);
        self.order(|reply| Order::Invite { line, number, media, caller, cadence_ms, reply }).await
    }

    async fn cancel(&self, line: &str, cause: Cause) {
        self.hang_up(line, cause).await;
    }

    async fn progress(&self, line: &str) {
        let line = line.to_owned();
        let _ = self.order(|reply| Order::Progress { line, reply }).await;
    }

    async fn accept(&self, line: &str, media: MediaAnswer) -> Result<(), SignallingError> {
        let line = line.to_owned();
        self.order(|reply| Order::Accept { line, media, reply }).await
    }

    async fn hang_up(&self, line: &str, cause: Cause) {
        let line = line.to_owned();
        let _ = self.order(|reply| Order::HangUp { line, cause, reply }).await;
    }

    async fn hold(&self, line: &str, on: bool) -> Result<(), SignallingError> {
        let line = line.to_owned();
        self.order(|reply| Order::Hold { line, on, reply }).await
    }

    async fn transferred(&self, line: &str, status: u16) {
        let _ = self.0.orders.send(Order::Transferred { line: line.to_owned(), status }).await;
    }

    async fn messages(&self, line: &str, counts: MessagesWaiting) {
        let _ = self.0.orders.send(Order::Messages { line: line.to_owned(), counts }).await;
    }

    fn registration(&self, line: &str) -> Option<Registration> {
        let seen = self.0.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.registrations.get(line).cloned()
    }

    async fn notify(&self, line: &str, event: &str) -> Result<(), SignallingError> {
        let (line, event) = (line.to_owned(), event.to_owned());
        self.order(|reply| Order::Notify { line, event, reply }).await
    }

    fn trunks(&self) -> Vec<SipTrunk> {
        self.0.seen.read().unwrap_or_else(PoisonError::into_inner).trunks.clone()
    }

    fn bans(&self) -> Vec<Ban> {
        self.0.seen.read().unwrap_or_else(PoisonError::into_inner).bans.clone()
    }

    async fn lift_ban(&self, address: IpAddr) -> bool {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.orders.send(Order::LiftBan { address, reply }).await;
        sent.is_ok() && answer.await.unwrap_or(false)
    }

    fn diagnostics(&self) -> Option<SipDiagnostics> {
        let seen = self.0.seen.read().unwrap_or_else(PoisonError::into_inner);
        let (turned, stack) = (seen.turned, &self.0.stack);
        let banned = turned.banned + stack.turned_banned();
        let turned_away = [
            ("banned", banned),
            ("scanner", turned.scanner),
            ("over_share", turned.over_share),
            ("curious", turned.curious),
            ("wrong_password", turned.wrong_password),
            ("not_allowed", turned.not_allowed),
            ("overload", stack.turned_overload()),
        ];
        Some(SipDiagnostics {
            turned_away: turned_away.map(|(cause, count)| (cause.to_owned(), count)).into(),
            bans: seen.bans.len(),
            transactions: stack.transactions(),
            connections: stack.connections(),
        })
    }

    fn live_dialogs(&self) -> Vec<String> {
        self.0.seen.read().unwrap_or_else(PoisonError::into_inner).live.clone()
    }

    async fn adopt(&self, keep: &[String]) {
        let keep = keep.to_vec();
        let _ = self.order(|reply| Order::Adopt { keep, reply }).await;
    }
}

struct Service {
    shared: Arc<Shared>,
    agent: Agent,
    store: Store,
    exchange: Arc<dyn Exchange>,
    /// One task for each line: its notices in order, and no line waits for another.
    lines: HashMap<String, mpsc::Sender<Notice>>,
    trace: Trace,
    names: Arc<Names>,
    /// Waits until nothing is registered elsewhere any more.
    leaving: Option<oneshot::Sender<()>>,
}

impl Service {
    async fn run(
        mut self,
        mut arrivals: mpsc::Receiver<Arrival>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let mut out = Actions::default();
        self.agent.handle_start(&mut out);
        self.perform(&mut out);
        loop {
            let wait_ms =
                self.agent.next_time_ms().map_or(60_000, |at| at.saturating_sub(now_ms()));
            let mut out = Actions::default();
            tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(arrival) => self.arrived(arrival, &mut out),
                    None => return,
                },
                order = orders.recv() => match order {
                    Some(order) => self.obey(order, &mut out),
                    None => return,
                },
                // The clock may be set meanwhile: look again at least each minute.
                () = tokio::time::sleep(Duration::from_millis(wait_ms.clamp(5, 60_000))) => {
                    self.agent.handle_time(now_ms(), &mut out);
                }
            }
            self.agent.follow_usage(now_ms(), &mut out);
            self.perform(&mut out);
            self.show_defence();
            self.show_trunks();
            if self.agent.has_left()
                && let Some(left) = self.leaving.take()
            {
                let _ = left.send(());
            }
        }
    }

    /// Lets others see what became of registrations elsewhere.
    fn show_trunks(&mut self) {
        if self.agent.take_trunks_changed() {
            self.show();
        }
    }

    fn show(&self) {
        let Seen { registrations, live, trunks, .. } = look(&self.agent);
        let mut seen = self.shared.seen.write().unwrap_or_else(PoisonError::into_inner);
        (seen.registrations, seen.live, seen.trunks) = (registrations, live, trunks);
    }

    /// Lets others see who is banned and what was turned away, and has the stack drop what comes
    /// from banned addresses before it is read.
    fn show_defence(&mut self) {
        let defence = self.agent.defence_mut();
        let turned = defence.turned();
        let bans = defence.take_changed().then(|| defence.bans().list(now_ms()));
        let mut seen = self.shared.seen.write().unwrap_or_else(PoisonError::into_inner);
        seen.turned = turned;
        if let Some(bans) = bans {
            self.shared.stack.set_banned(bans.iter().map(|ban| ban.address).collect());
            seen.bans = bans.iter().map(view_of_ban).collect();
        }
    }

    fn arrived(&mut self, arrival: Arrival, out: &mut Actions) {
        let now_ms = now_ms();
        match arrival {
            Arrival::Request(tx, request, source) => {
                self.trace.note("<-", source, &request.headers, || request.to_wire());
                self.agent.handle_request(tx, &request, source, now_ms, out);
            }
            Arrival::Cancel(tx) => self.agent.handle_cancel(tx, out),
            Arrival::Ack(tx, ack) => self.agent.handle_ack(tx, &ack, out),
            Arrival::Over(tx) => self.agent.handle_unacked(tx, out),
            Arrival::Response(tx, response, source) => {
                if let Some(source) = source {
                    self.trace.note("<-", source, &response.headers, || response.to_wire());
                }
                self.agent.handle_response(tx, &response, now_ms, out);
            }
            Arrival::StrayOk(response, source) => {
                self.agent.handle_stray_ok(&response, source, out);
            }
        }
    }

    fn obey(&mut self, order: Order, out: &mut Actions) {
        let agent = &mut self.agent;
        let (done, reply) = match order {
            Order::Invite { line, number: Some(number), media, reply, .. } => {
                (agent.order_call_out(&line, &number, &media, out), reply)
            }
            Order::Invite { line, number: None, media, caller, cadence_ms, reply } => {
                let now_ms = now_ms();
                (agent.order_invite(&line, &media, &caller, &cadence_ms, now_ms, out), reply)
            }
            Order::Accept { line, media, reply } => (agent.order_accept(&line, media, out), reply),
            Order::Notify { line, event, reply } => {
                (agent.order_notify(&line, &event, now_ms(), out), reply)
            }
            Order::Hold { line, on, reply } => (agent.order_hold(&line, on, out), reply),
            Order::Progress { line, reply } => {
                agent.order_progress(&line, now_ms(), out);
                (Ok(()), reply)
            }
            Order::HangUp { line, cause, reply } => {
                agent.order_hang_up(&line, cause, out);
                (Ok(()), reply)
            }
            Order::Adopt { keep, reply } => {
                for line in agent.live().iter().filter(|line| !keep.contains(line)) {
                    self.agent.order_hang_up(line, Cause::TemporaryFailure, out);
                    self.perform(out);
                }
                (Ok(()), reply)
            }
            Order::Media { line, answer } => return agent.order_media(&line, answer, out),
            Order::Transferred { line, status } => {
                return agent.order_transferred(&line, status, out);
            }
            Order::LiftBan { address, reply } => {
                let _ = reply.send(agent.defence_mut().lift(address));
                return;
            }
            Order::Addresses { trunk, found } => {
                return agent.handle_addresses(&trunk, found, now_ms(), out);
            }
            Order::Leave { left } => {
                self.leaving = Some(left);
                return agent.order_leave(now_ms(), out);
            }
            Order::Messages { line, counts } => {
                return agent.order_messages(&line, counts, now_ms(), out);
            }
        };
        self.perform(out);
        let _ = reply.send(done);
    }

    fn perform(&mut self, out: &mut Actions) {
        let actions: Vec<Action> = out.drain().collect();
        if actions.contains(&Action::SaveBindings) {
            self.store.save_bindings(&self.agent);
        }
        if actions.contains(&Action::SaveDialogs) {
            self.store.save_dialogs(&self.agent);
        }
        if actions.iter().any(|a| matches!(a, Action::SaveBindings | Action::SaveDialogs)) {
            self.show();
        }
        let stack = self.shared.stack.clone();
        for action in actions {
            match action {
                Action::Respond { tx, response } => {
                    self.note_sent(stack.source_of(tx), &response.headers, || response.to_wire());
                    stack.respond(tx, response);
                }
                Action::RespondOnce { tx, response } => {
                    self.note_sent(stack.source_of(tx), &response.headers, || response.to_wire());
                    stack.respond_once(tx, response);
                }
                Action::Drop { tx } => stack.drop_request(tx),
                Action::Send { tx, request, to } => {
                    self.note_sent(Some(to), &request.headers, || request.to_wire());
                    stack.send(tx, request, to);
                }
                Action::RespondLate { response, to } => stack.respond_late(response, to),
                Action::SendAck { request, to } => {
                    self.note_sent(Some(to), &request.headers, || request.to_wire());
                    stack.send_ack(request, to);
                }
                Action::LookUp { trunk, server, transport } => {
                    self.look_up(trunk, server, transport);
                }
                Action::Tell { line, notice } => self.tell(&line, notice),
                Action::SaveBindings | Action::SaveDialogs => {}
            }
        }
    }

    /// Finds a trunk's servers beside everything else.
    fn look_up(&self, trunk: String, server: Server, transport: Transport) {
        let (shared, names) = (Arc::clone(&self.shared), Arc::clone(&self.names));
        let ipv4 = shared.stack.ports()[0].1.is_ipv4();
        tokio::spawn(async move {
            let found = names.find(&server, transport, ipv4).await;
            if transport == Transport::Tls {
                shared.stack.expect_name(found.as_deref().unwrap_or_default(), &server.host);
            }
            let _ = shared.orders.send(Order::Addresses { trunk, found }).await;
        });
    }

    fn note_sent(&self, to: Option<Peer>, headers: &Headers, wire: impl Fn() -> Vec<u8>) {
        if let Some(to) = to {
            self.trace.note("->", to, headers, wire);
        }
    }

    fn tell(&mut self, line: &str, notice: Notice) {
        let sender = self.lines.entry(line.to_owned()).or_insert_with(|| {
            let (sender, notices) = mpsc::channel(NOTICES);
            let (exchange, shared) = (Arc::clone(&self.exchange), Arc::clone(&self.shared));
            tokio::spawn(tell_control(exchange, shared, line.to_owned(), notices));
            sender
        });
        let minor = matches!(notice, Notice::Digit { .. } | Notice::Flash);
        if minor && sender.capacity() < NOTICES_RESERVED {
            warn!(line, "too many digits at once");
        } else if sender.try_send(notice).is_err() {
            warn!(line, "control does not keep up with this phone");
        }
    }
}

/// Hands one line's notices to control, in order.
async fn tell_control(
    exchange: Arc<dyn Exchange>,
    shared: Arc<Shared>,
    line: String,
    mut notices: mpsc::Receiver<Notice>,
) {
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Invites { to, caller, media } => {
                exchange.invites(&line, &to, caller, media).await;
            }
            Notice::Rings => exchange.rings(&line).await,
            Notice::Answers(media) => exchange.answers(&line, media).await,
            Notice::Refuses(cause) => exchange.refuses(&line, cause).await,
            Notice::HangsUp(cause) => exchange.hangs_up(&line, cause).await,
            Notice::Cancels => exchange.cancels(&line).await,
            Notice::MediaChanges(media) => {
                let answer = exchange.media_changes(&line, media).await;
                let _ = shared.orders.send(Order::Media { line: line.clone(), answer }).await;
            }
            Notice::MediaSettled(media) => drop(exchange.media_changes(&line, media).await),
            Notice::Registration(change) => exchange.registration(&line, change).await,
            Notice::Digit { digit, duration_ms } => {
                exchange.digit(&line, digit, duration_ms).await;
            }
            Notice::Flash => exchange.flash(&line).await,
            Notice::Transfers(to) => exchange.transfers(&line, to).await,
        }
    }
}

fn view_of_ban(ban: &super::bans::Ban) -> Ban {
    let at = |ms: u64| Timestamp(UNIX_EPOCH + Duration::from_millis(ms));
    Ban {
        address: ban.address.to_string(),
        reason: ban.reason,
        since: at(ban.since_ms),
        until: at(ban.until_ms),
    }
}

fn look(agent: &Agent) -> Seen {
    let now_ms = now_ms();
    let registrations = agent.registrations(now_ms).collect();
    Seen { registrations, live: agent.live(), trunks: agent.trunk_views(), ..Seen::default() }
}

impl Agent {
    /// Every account as clients see it.
    fn registrations(&self, now_ms: u64) -> impl Iterator<Item = (String, Registration)> {
        self.accounts.values().map(move |account| {
            if let Some(trunk) = self.trunk_of(&account.id) {
                return (account.id.clone(), trunk.registration());
            }
            let fixed = account.fixed.as_ref().map(|f| f.peer);
            let binding = self.registrar.binding(&account.id, now_ms);
            let at = |ms: u64| Timestamp(UNIX_EPOCH + Duration::from_millis(ms));
            let registration = Registration {
                registered: fixed.is_some() || binding.is_some(),
                contact: fixed
                    .map(|Peer { address, .. }| format!("sip:{address}"))
                    .or_else(|| binding.map(|b| b.contact.clone())),
                expires_at: binding.filter(|_| fixed.is_none()).map(|b| at(b.expires_ms)),
                user_agent: binding.and_then(|b| b.user_agent.clone()),
            };
            (account.id.clone(), registration)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn random() -> u64 {
    getrandom::u64().expect("the system has random numbers")
}
