//! Trunks: accounts of ours at a provider. Each has a registration there, or only an address, and
//! lines by which its calls go, one a call.
//!
//! A provider is no phone of ours: it may ring one number and nothing else, and hand no call on.

mod calls;

pub(super) use calls::FromProvider;
pub(super) mod registration;
pub(super) mod servers;

use super::action::{Action, Actions, Notice};
use super::address::{NameAddr, Uri, escape_user};
use super::agent::{ALLOW, Agent, CALL_ID_END, PRODUCT, Purpose, SUPPORTED};
use super::crypto::Encryption;
use super::digest;
use super::message::{Headers, Peer, Request, Response, Transport};
use crate::config::Cidr;
use crate::control::RegistrationChange;
use crate::view::{SipTrunk, Timestamp, TrunkState};
use registration::{Answer, News, Registration, Step};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};
use tracing::{info, warn};

/// Between two OPTIONS that keep a translator's way open by datagrams (RFC 5626 §4.4.2), ms.
const ALIVE_UDP_MS: u64 = 25_000;
/// The same by a stream, which has to outlive our own limit of silence, ms.
const ALIVE_STREAM_MS: u64 = 100_000;

/// Where to look for servers, as a URI has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A domain, or an IP address.
    pub host: String,
    /// Given: it is one host; not: the domain says by SRV which hosts serve it.
    pub port: Option<u16>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]")?,
            Err(_) => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// What the configuration says of a trunk.
#[derive(Clone)]
pub struct TrunkSettings {
    /// Its name.
    pub name: String,
    /// Lines by which its calls go.
    pub lines: Vec<String>,
    /// The provider's domain: in From, To and Request-URI.
    pub domain: Server,
    /// Outbound proxy: everything goes there instead of to the domain's own servers.
    pub proxy: Option<Server>,
    /// How.
    pub transport: Transport,
    /// Our name there.
    pub user: String,
    /// User name of the digest.
    pub login: String,
    /// Its password; without one no challenge is answered.
    pub password: Option<String>,
    /// What to register for, s; `None` does not register.
    pub expires_s: Option<u32>,
    /// Number of ours that its calls ring.
    pub rings: String,
    /// Shown to those who are called.
    pub number: Option<String>,
    /// Addresses, besides those of its servers, from which its calls come.
    pub sources: Vec<Cidr>,
    /// Whether its audio is encrypted.
    pub encryption: Encryption,
    /// Log its messages, secrets masked.
    pub trace: bool,
}

impl fmt::Debug for TrunkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrunkSettings {{ {}, {}@{}, .. }}", self.name, self.user, self.domain)
    }
}

/// A challenge that may be answered more than once (RFC 7616 §3.3).
#[derive(Debug)]
struct Challenge {
    answer: &'static str,
    values: Vec<String>,
    count: u32,
}

impl Challenge {
    /// The header that answers it once more, and its value.
    fn proof(
        &mut self,
        settings: &TrunkSettings,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> Option<(&'static str, String)> {
        let password = settings.password.as_deref()?;
        self.count += 1;
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        let (login, count) = (&settings.login, self.count);
        let value = digest::answer(&values, login, password, method, uri, cnonce, count)?;
        Some((self.answer, value))
    }
}

/// A trunk as it is now.
#[derive(Debug)]
pub(super) struct Trunk {
    settings: TrunkSettings,
    registration: Registration,
    /// User part of our Contact there: whoever calls it has it from the registrar.
    contact: String,
    call_id: String,
    cseq: u32,
    challenge: Option<Challenge>,
    /// Why the last attempt failed.
    reason: Option<String>,
    alive_ms: u64,
    /// It never answers OPTIONS.
    mute: bool,
}

impl Trunk {
    pub(super) fn new(settings: &TrunkSettings, contact: String) -> Self {
        Self {
            registration: Registration::new(settings.expires_s),
            call_id: format!("{contact}{CALL_ID_END}"),
            settings: settings.clone(),
            contact,
            cseq: 0,
            challenge: None,
            reason: None,
            alive_ms: 0,
            mute: false,
        }
    }

    /// User part of our Contact there.
    pub(super) fn contact(&self) -> &str {
        &self.contact
    }

    /// Whether its calls come from this address.
    pub(super) fn is_at(&self, address: IpAddr) -> bool {
        self.registration.has(address)
            || self.settings.sources.iter().any(|network| network.contains(address))
    }

    /// What a line of it has instead of a phone's registration.
    pub(super) fn registration(&self) -> crate::view::Registration {
        let up = self.registration.is_up();
        let at = |ms: u64| Timestamp(UNIX_EPOCH + Duration::from_millis(ms));
        crate::view::Registration {
            registered: up,
            contact: up.then(|| format!("sip:{}", self.settings.domain)),
            expires_at: self.registration.valid_until_ms().map(at),
            user_agent: None,
        }
    }

    fn view(&self, calls: usize) -> SipTrunk {
        let at = |ms: u64| Timestamp(UNIX_EPOCH + Duration::from_millis(ms));
        let registration = &self.registration;
        let state = match (registration.is_up(), registration.is_trying()) {
            (true, _) if self.settings.expires_s.is_some() => TrunkState::Registered,
            (true, _) => TrunkState::Reachable,
            (false, true) => TrunkState::Trying,
            (false, false) => TrunkState::Failed,
        };
        SipTrunk {
            name: self.settings.name.clone(),
            user: self.settings.user.clone(),
            domain: self.settings.domain.to_string(),
            state,
            server: registration.server().map(|server| server.to_string()),
            expires_at: registration.valid_until_ms().map(at),
            next_attempt_at: (state == TrunkState::Failed)
                .then(|| registration.next_ms().map(at))
                .flatten(),
            reason: self.reason.clone(),
            lines: self.settings.lines.clone(),
            calls,
        }
    }
}

impl Agent {
    /// The trunk of a line.
    pub(super) fn trunk_of(&self, line: &str) -> Option<&Trunk> {
        self.trunks.get(self.accounts.get(line)?.trunk.as_deref()?)
    }

    /// Whether a trunk's calls come from this address.
    pub(super) fn is_provider(&self, address: IpAddr) -> bool {
        self.trunks.values().any(|trunk| trunk.is_at(address))
    }

    /// Every trunk as clients see it.
    pub(super) fn trunk_views(&self) -> Vec<SipTrunk> {
        let calls = |trunk: &Trunk| {
            trunk.settings.lines.iter().filter(|line| self.calls.contains_key(*line)).count()
        };
        self.trunks.values().map(|trunk| trunk.view(calls(trunk))).collect()
    }

    /// Whether what is seen of trunks has changed since this was asked last.
    pub(super) fn take_trunks_changed(&mut self) -> bool {
        std::mem::take(&mut self.trunks_changed)
    }

    /// When a trunk has something to do, ms since 1970.
    pub(super) fn next_trunk_ms(&self) -> Option<u64> {
        let next = |trunk: &Trunk| {
            let alive = trunk.keeps_alive().then_some(trunk.alive_ms);
            trunk.registration.next_ms().into_iter().chain(alive).min()
        };
        self.trunks.values().filter_map(next).min()
    }

    /// What time brings to trunks.
    pub(super) fn handle_trunks(&mut self, now_ms: u64, out: &mut Actions) {
        for name in self.trunks.keys().cloned().collect::<Vec<_>>() {
            if out.is_crowded() {
                return;
            }
            let Some(trunk) = self.trunks.get_mut(&name) else { continue };
            let (step, news) = trunk.registration.handle_time(now_ms);
            let alive = trunk.keeps_alive() && trunk.alive_ms <= now_ms;
            self.follow_trunk(&name, step, news, now_ms, out);
            if alive {
                self.keep_trunk_alive(&name, now_ms, out);
            }
        }
    }

    /// Where a trunk's servers are, best first, or why nobody knows.
    pub fn handle_addresses(
        &mut self,
        name: &str,
        found: Result<Vec<SocketAddr>, String>,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let chance = (self.around.random)();
        let Some(trunk) = self.trunks.get_mut(name) else { return };
        let transport = trunk.settings.transport;
        let servers = match found {
            Ok(addresses) => {
                addresses.into_iter().map(|address| Peer { transport, address }).collect()
            }
            Err(reason) => {
                trunk.reason = Some(reason);
                Vec::new()
            }
        };
        let (step, news) = trunk.registration.handle_addresses(servers, now_ms, chance);
        self.follow_trunk(name, step, news, now_ms, out);
    }

    /// The final response to a REGISTER of ours.
    pub(super) fn handle_registered(
        &mut self,
        name: &str,
        response: &Response,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let chance = (self.around.random)();
        let Some(trunk) = self.trunks.get_mut(name) else { return };
        let answer = trunk.read(response);
        trunk.reason = match answer {
            Answer::Granted { .. } => None,
            _ => Some(reason(response.status, trunk.settings.password.is_some())),
        };
        let (step, news) = trunk.registration.handle_answer(answer, now_ms, chance);
        self.follow_trunk(name, step, news, now_ms, out);
    }

    fn follow_trunk(
        &mut self,
        name: &str,
        step: Step,
        news: Option<News>,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let Some(trunk) = self.trunks.get(name) else { return };
        self.trunks_changed |= news.is_some() || step != Step::Wait;
        if let Some(news) = news {
            tell(trunk, news, now_ms, out);
        }
        match step {
            Step::Wait => {}
            Step::LookUp => {
                let server = trunk.settings.proxy.as_ref().unwrap_or(&trunk.settings.domain);
                let (server, transport) = (server.clone(), trunk.settings.transport);
                out.push(Action::LookUp { trunk: name.to_owned(), server, transport });
            }
            Step::Register(to) => self.send_register(name, to, now_ms, out),
        }
    }

    fn send_register(&mut self, name: &str, to: Peer, now_ms: u64, out: &mut Actions) {
        let (via, here, cnonce) = (self.via(to), (self.around.here)(&to), self.token());
        let tag = self.token();
        let Some(trunk) = self.trunks.get_mut(name) else { return };
        trunk.cseq += 1;
        trunk.alive_ms = now_ms + alive_ms(to);
        let mut request = trunk.request("REGISTER", &via, &tag);
        let (user, expires_s) = (&trunk.contact, trunk.registration.expires_s());
        let contact = format!("<sip:{user}@{here}{}>", to.transport.uri_param());
        let headers = &mut request.headers;
        headers.push("Contact", format!("{contact};expires={expires_s}"));
        headers.push("Expires", expires_s.to_string());
        headers.push("Allow", ALLOW);
        headers.push("Supported", SUPPORTED);
        headers.push("User-Agent", PRODUCT);
        if let Some((header, value)) = trunk.proof("REGISTER", &request.uri, &cnonce) {
            request.headers.push(header, value);
        }
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Register { trunk: name.to_owned() });
        out.push(Action::Send { tx, request, to });
    }

    fn keep_trunk_alive(&mut self, name: &str, now_ms: u64, out: &mut Actions) {
        let Some(to) = self.trunks.get(name).and_then(|trunk| trunk.registration.server()) else {
            return;
        };
        let (via, tag) = (self.via(to), self.token());
        let call_id = self.token() + CALL_ID_END;
        let Some(trunk) = self.trunks.get_mut(name) else { return };
        trunk.alive_ms = now_ms + alive_ms(to);
        let mut options = trunk.request("OPTIONS", &via, &tag);
        options.headers.set("Call-ID", call_id);
        options.headers.set("CSeq", "1 OPTIONS");
        options.headers.push("User-Agent", PRODUCT);
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::TrunkAlive { trunk: name.to_owned() });
        out.push(Action::Send { tx, request: options, to });
    }

    /// The answer to an OPTIONS that keeps a way open. Where none comes, a registration finds out
    /// whether the server is there; one that registers and never answers OPTIONS is left alone.
    pub(super) fn handle_alive(&mut self, name: &str, status: u16, now_ms: u64, out: &mut Actions) {
        let Some(trunk) = self.trunks.get_mut(name) else { return };
        if !matches!(status, 408 | 503) || std::mem::replace(&mut trunk.mute, true) {
            return;
        }
        let step = trunk.registration.handle_silence();
        self.follow_trunk(name, step, None, now_ms, out);
    }

    /// Takes all registrations back.
    pub fn order_leave(&mut self, now_ms: u64, out: &mut Actions) {
        for name in self.trunks.keys().cloned().collect::<Vec<_>>() {
            let Some(trunk) = self.trunks.get_mut(&name) else { continue };
            let step = trunk.registration.leave();
            if !out.is_crowded() {
                self.follow_trunk(&name, step, None, now_ms, out);
            }
        }
    }

    /// No registration is being taken back any more.
    pub fn has_left(&self) -> bool {
        self.trunks.values().all(|trunk| trunk.registration.has_left())
    }
}

impl Trunk {
    fn keeps_alive(&self) -> bool {
        self.settings.expires_s.is_some()
            && self.registration.is_up()
            && !self.registration.is_trying()
    }

    /// A request of ours to the domain, outside any dialog.
    fn request(&self, method: &str, via: &str, tag: &str) -> Request {
        let TrunkSettings { domain, user, .. } = &self.settings;
        let ours = format!("<sip:{}@{domain}>", escape_user(user));
        let mut headers = Headers::default();
        headers.push("Via", via);
        headers.push("Max-Forwards", "70");
        if let Some(route) = self.route() {
            headers.push("Route", route);
        }
        headers.push("From", format!("{ours};tag={tag}"));
        headers.push("To", ours);
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", format!("{} {method}", self.cseq));
        let uri = format!("sip:{domain}");
        Request { method: method.to_owned(), uri, headers, body: Vec::new() }
    }

    /// RFC 3261 §8.1.2: a proxy that was set stands in a Route.
    fn route(&self) -> Option<String> {
        let proxy = self.settings.proxy.as_ref()?;
        Some(format!("<sip:{proxy}{};lr>", self.settings.transport.uri_param()))
    }

    /// An answer to the challenge that is known.
    fn proof(&mut self, method: &str, uri: &str, cnonce: &str) -> Option<(&'static str, String)> {
        self.challenge.as_mut()?.proof(&self.settings, method, uri, cnonce)
    }

    fn read(&mut self, response: &Response) -> Answer {
        match response.status {
            200..300 => Answer::Granted { expires_s: self.granted_s(response) },
            401 | 407 => {
                self.challenge = challenge_of(response);
                let known = self.challenge.as_ref().map_or(&[][..], |one| &one.values);
                let values: Vec<&str> = known.iter().map(String::as_str).collect();
                let answerable = digest::answer(&values, "", "", "REGISTER", "", "", 1).is_some();
                if answerable && self.settings.password.is_some() {
                    Answer::Challenged
                } else {
                    Answer::Refused
                }
            }
            423 => match number(response, "Min-Expires") {
                Some(min_s) => Answer::TooBrief { min_s },
                None => Answer::Refused,
            },
            408 | 500..600 => {
                Answer::Unavailable { retry_after_s: number(response, "Retry-After") }
            }
            _ => Answer::Refused,
        }
    }

    /// RFC 3261 §10.2.4: the time stands at our Contact, or else for all of them.
    fn granted_s(&self, response: &Response) -> u32 {
        let ours = response.headers.list("Contact").filter_map(NameAddr::parse).find(|contact| {
            Uri::parse(&contact.uri).and_then(|uri| uri.user).as_deref() == Some(&self.contact)
        });
        let own = ours.and_then(|contact| contact.param("expires")?.trim().parse().ok());
        own.or_else(|| number(response, "Expires")).unwrap_or(self.registration.expires_s())
    }
}

fn challenge_of(response: &Response) -> Option<Challenge> {
    let (challenge, answer) = match response.status {
        401 => ("WWW-Authenticate", "Authorization"),
        _ => ("Proxy-Authenticate", "Proxy-Authorization"),
    };
    let values: Vec<String> = response.headers.all(challenge).map(str::to_owned).collect();
    (!values.is_empty()).then_some(Challenge { answer, values, count: 0 })
}

/// The number at the beginning of a header's value.
fn number(response: &Response, header: &str) -> Option<u32> {
    let value = response.headers.get(header)?.trim();
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().ok()
}

const fn alive_ms(to: Peer) -> u64 {
    match to.transport {
        Transport::Udp => ALIVE_UDP_MS,
        _ => ALIVE_STREAM_MS,
    }
}

fn reason(status: u16, has_password: bool) -> String {
    let words = match status {
        401 | 407 if has_password => "wrong user or password",
        401 | 407 => "a password is wanted",
        403 => "forbidden",
        404 => "no such user there",
        408 => "no answer",
        423 => "a longer registration is wanted than is allowed",
        503 => "no answer, or out of service",
        _ => "refused",
    };
    format!("{status} {words}")
}

/// Tells whoever listens.
fn tell(trunk: &Trunk, news: News, now_ms: u64, out: &mut Actions) {
    let TrunkSettings { name, domain, lines, .. } = &trunk.settings;
    let server = trunk.registration.server().map(|server| server.to_string()).unwrap_or_default();
    let change = match news {
        News::Up => {
            info!(trunk = name, %domain, server, "trunk is up");
            RegistrationChange::Registered { contact: format!("sip:{domain}") }
        }
        News::Down => {
            warn!(trunk = name, %domain, "trunk is down");
            RegistrationChange::Unregistered
        }
        News::Failed => {
            let reason = trunk.reason.as_deref().unwrap_or("nobody knows its servers");
            let next = trunk.registration.next_ms().unwrap_or(now_ms).saturating_sub(now_ms) / 1000;
            let reason =
                format!("trunk {name} at {domain} failed: {reason}; next attempt in {next} s");
            warn!(trunk = name, "{reason}");
            let Some(line) = lines.first() else { return };
            let change = RegistrationChange::OursFailed { reason };
            return out.tell(line, Notice::Registration(change));
        }
    };
    for line in lines {
        out.tell(line, Notice::Registration(change.clone()));
    }
}
