//! What the configuration says about SIP.

use super::crypto::Encryption;
use super::defence::DefenceSettings;
use super::digest::{Algorithm, Secret};
use super::message::{Peer, Transport};
use super::registrar::Limits;
use super::trunk::TrunkSettings;
use super::usage::Allowance;
use crate::tls::{Certificate, Trust};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// Everything SIP needs to know before it starts.
#[derive(Clone, Debug)]
pub struct SipSettings {
    /// Address to listen on, UDP and TCP.
    pub listen: SocketAddr,
    /// Listen for TCP too.
    pub tcp: bool,
    /// Shown on the ports of TLS.
    pub certificate: Option<Arc<Certificate>>,
    /// Whose word counts for phones that we reach over TLS.
    pub trust: Trust,
    /// SIP over TLS, where there is a certificate.
    pub tls_port: Option<u16>,
    /// SIP over WebSocket.
    pub ws_port: Option<u16>,
    /// The same over TLS, where there is a certificate.
    pub wss_port: Option<u16>,
    /// Whose pages may use those.
    pub origins: WebOrigins,
    /// Address told to phones in Via, Contact and SDP, where it is not the one that the route to
    /// the phone has: behind a port forwarding.
    pub advertise: Option<IpAddr>,
    /// Digest realm.
    pub realm: String,
    /// Phones.
    pub accounts: Vec<AccountSettings>,
    /// Our accounts at providers.
    pub trunks: Vec<TrunkSettings>,
    /// Asked for their servers; empty: as the system does.
    pub name_servers: Vec<SocketAddr>,
    /// What registrations are granted.
    pub registrations: Limits,
    /// How long a digest nonce is good, s.
    pub nonce_lifetime_s: u32,
    /// What strangers meet.
    pub defence: DefenceSettings,
    /// Where `bindings.json` and `dialogs.json` are kept.
    pub state_dir: PathBuf,
}

impl SipSettings {
    /// Usual values for everything that a configuration may leave out.
    pub fn new(listen: SocketAddr, state_dir: PathBuf) -> Self {
        Self {
            listen,
            tcp: true,
            certificate: None,
            trust: Trust::none(),
            tls_port: None,
            ws_port: None,
            wss_port: None,
            origins: WebOrigins::default(),
            advertise: None,
            realm: "tipring".to_owned(),
            accounts: Vec::new(),
            trunks: Vec::new(),
            name_servers: Vec::new(),
            registrations: Limits::default(),
            nonce_lifetime_s: 300,
            defence: DefenceSettings::default(),
            state_dir,
        }
    }
}

/// Pages that may speak to us by WebSocket: ours, and those of configured origins.
#[derive(Clone, Debug, Default)]
pub struct WebOrigins {
    /// As `https://phones.example.org`.
    pub origins: Vec<String>,
    /// Names by which browsers reach us, besides addresses and `localhost`.
    pub host_names: Vec<String>,
}

impl WebOrigins {
    /// `host` is what the browser believes to speak to. A name that is not ours may be another's
    /// that was made to lead here; an address leads nowhere else.
    pub(super) fn allow(&self, origin: &str, host: &str) -> bool {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        if self.origins.iter().any(|allowed| same(allowed, origin)) {
            return true;
        }
        let (Some((_, page)), host) = (origin.split_once("://"), without_port(host)) else {
            return false;
        };
        let ours = same(host, "localhost")
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || self.host_names.iter().any(|name| same(name, host));
        ours && same(without_port(page), host)
    }
}

fn without_port(host: &str) -> &str {
    let end = host.rfind(']').map_or(0, |bracket| bracket + 1);
    host[end..].find(':').map_or(host, |colon| &host[..end + colon])
}

/// One phone.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// User name, and id of the line.
    pub id: String,
    /// How it proves itself and where it is.
    pub kind: AccountKind,
    /// What it may use.
    pub allowance: Allowance,
    /// Whether its audio is encrypted.
    pub encryption: Encryption,
    /// Log its messages, secrets masked.
    pub trace: bool,
}

/// How a phone proves itself and where it is.
#[derive(Clone)]
pub enum AccountKind {
    /// It registers, with digest.
    Registered {
        /// Its password; only hashes of it are kept.
        password: Password,
        /// Offered in this order; a phone may stop at a first one that it does not know.
        algorithms: Vec<Algorithm>,
    },
    /// It stands at a fixed address. Requests from there are taken without digest unless
    /// `credentials` are given.
    Fixed {
        /// Where to send requests; whatever comes from its IP address is this phone's.
        address: SocketAddr,
        /// How to send them.
        transport: Transport,
        /// User part of the Request-URI of our calls; some phones ignore a wrong one.
        user: String,
        /// User name and password: wanted of the phone, and answered when it wants ours.
        credentials: Option<(String, String)>,
        /// Offered in this order.
        algorithms: Vec<Algorithm>,
    },
}

/// How a password is given.
#[derive(Clone)]
pub enum Password {
    /// As it is.
    Plain(String),
    /// H(user ":" realm ":" password) of each algorithm, hex: nobody can read it.
    Hashes(Vec<(Algorithm, String)>),
}

impl Password {
    /// What is kept of it, in the order in which the algorithms are offered.
    fn secret(&self, user: &str, realm: &str, algorithms: &[Algorithm]) -> Secret {
        match self {
            Self::Plain(password) => Secret::new(user, realm, password, algorithms),
            Self::Hashes(all) => {
                let of = |a: &Algorithm| all.iter().find(|(known, _)| known == a).cloned();
                Secret::of_hashes(algorithms.iter().filter_map(of).collect())
            }
        }
    }
}

impl std::fmt::Debug for AccountKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Registered { algorithms, .. } => write!(f, "Registered {{ {algorithms:?}, .. }}"),
            Self::Fixed { address, transport, user, .. } => {
                write!(f, "Fixed {{ {address}, {transport:?}, {user}, .. }}")
            }
        }
    }
}

/// An account as the rules use it: no plain password unless it must be answered with.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) secret: Option<Secret>,
    pub(super) fixed: Option<Fixed>,
    /// It is a line of this trunk, and no phone's.
    pub(super) trunk: Option<String>,
    pub(super) allowance: Allowance,
    pub(super) encryption: Encryption,
}

/// The fixed part of a fixed account.
#[derive(Clone)]
pub(super) struct Fixed {
    pub(super) peer: Peer,
    pub(super) user: String,
    pub(super) credentials: Option<(String, String)>,
}

impl std::fmt::Debug for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fixed {{ {}, {}, .. }}", self.peer, self.user)
    }
}

impl Account {
    pub(super) fn new(settings: &AccountSettings, realm: &str) -> Self {
        let (id, allowance) = (settings.id.clone(), settings.allowance.clone());
        let encryption = settings.encryption;
        match &settings.kind {
            AccountKind::Registered { password, algorithms } => {
                let secret = password.secret(&id, realm, algorithms);
                Self { id, secret: Some(secret), fixed: None, trunk: None, allowance, encryption }
            }
            AccountKind::Fixed { address, transport, user, credentials, algorithms } => {
                let secret = credentials
                    .as_ref()
                    .map(|(name, password)| Secret::new(name, realm, password, algorithms));
                let peer = Peer { transport: *transport, address: *address };
                let fixed = Fixed { peer, user: user.clone(), credentials: credentials.clone() };
                Self { id, secret, fixed: Some(fixed), trunk: None, allowance, encryption }
            }
        }
    }

    /// A line of a trunk: nobody proves to be it.
    pub(super) fn of_trunk(line: &str, trunk: &TrunkSettings) -> Self {
        Self {
            id: line.to_owned(),
            secret: None,
            fixed: None,
            trunk: Some(trunk.name.clone()),
            allowance: Allowance::default(),
            encryption: trunk.encryption,
        }
    }

    /// It is a phone that registers.
    pub(super) const fn registers(&self) -> bool {
        self.fixed.is_none() && self.trunk.is_none()
    }

    /// The user name that its digest carries.
    pub(super) fn login(&self) -> &str {
        match self.fixed.as_ref().and_then(|f| f.credentials.as_ref()) {
            Some((name, _)) => name,
            None => &self.id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_from_elsewhere_are_told_apart() {
        let origins = WebOrigins {
            origins: vec!["https://crm.example".into()],
            host_names: vec!["phones.example".into()],
        };
        for (origin, host) in [
            ("https://crm.example", "10.0.0.1:5066"),
            ("https://phones.example:8000", "phones.example:5066"),
            ("http://10.0.0.1:8000", "10.0.0.1:5066"),
            ("http://[::1]:8000", "[::1]:5066"),
            ("http://localhost", "LOCALHOST"),
        ] {
            assert!(origins.allow(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "10.0.0.1:5066"),
            ("https://evil.example", "evil.example:5066"), // its name leads here
            ("https://phones.example.evil", "phones.example"),
            ("null", "10.0.0.1"),
            ("http://[::2]", "[::1]"),
        ] {
            assert!(!origins.allow(origin, host), "{origin} {host}");
        }
    }
}
