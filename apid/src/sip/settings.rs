//! What the configuration says about SIP.

use super::defence::DefenceSettings;
use super::digest::{Algorithm, Secret};
use super::message::{Peer, Transport};
use super::registrar::Limits;
use super::usage::Allowance;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Everything SIP needs to know before it starts.
#[derive(Clone, Debug)]
pub struct SipSettings {
    /// Address to listen on, UDP and TCP.
    pub listen: SocketAddr,
    /// Listen for TCP too.
    pub tcp: bool,
    /// Address told to phones in Via, Contact and SDP, where it is not the one that the route to
    /// the phone has: behind a port forwarding.
    pub advertise: Option<IpAddr>,
    /// Digest realm.
    pub realm: String,
    /// Phones.
    pub accounts: Vec<AccountSettings>,
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
            advertise: None,
            realm: "tipring".to_owned(),
            accounts: Vec::new(),
            registrations: Limits::default(),
            nonce_lifetime_s: 300,
            defence: DefenceSettings::default(),
            state_dir,
        }
    }
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
    pub(super) allowance: Allowance,
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
        match &settings.kind {
            AccountKind::Registered { password, algorithms } => {
                let secret = password.secret(&id, realm, algorithms);
                Self { id, secret: Some(secret), fixed: None, allowance }
            }
            AccountKind::Fixed { address, transport, user, credentials, algorithms } => {
                let secret = credentials
                    .as_ref()
                    .map(|(name, password)| Secret::new(name, realm, password, algorithms));
                let peer = Peer { transport: *transport, address: *address };
                let fixed = Fixed { peer, user: user.clone(), credentials: credentials.clone() };
                Self { id, secret, fixed: Some(fixed), allowance }
            }
        }
    }

    /// The user name that its digest carries.
    pub(super) fn login(&self) -> &str {
        match self.fixed.as_ref().and_then(|f| f.credentials.as_ref()) {
            Some((name, _)) => name,
            None => &self.id,
        }
    }
}
