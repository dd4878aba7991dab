//! Who may log in, and how much is taken of anybody.

use super::classes::Classes;
use super::filter::Filter;
use crate::tls::Certificate;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Whose shapes a session is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Of Asterisk 1.8 to 11.
    #[default]
    Legacy,
    /// Of Asterisk 12 and later.
    Modern,
    /// First the one, then the other.
    Both,
}

impl Dialect {
    /// Speaks as Asterisk 11 did.
    pub const fn legacy(self) -> bool {
        matches!(self, Self::Legacy | Self::Both)
    }

    /// Speaks as Asterisk 12 and later do.
    pub const fn modern(self) -> bool {
        matches!(self, Self::Modern | Self::Both)
    }
}

/// One who may log in.
#[derive(Clone)]
pub struct AmiUser {
    /// `Username`.
    pub name: String,
    /// `Secret`.
    pub secret: String,
    /// Classes of events it is told.
    pub read: Classes,
    /// Classes of actions it may send.
    pub write: Classes,
    /// Addresses it may come from.
    pub permit: Permit,
    /// Which shapes it is told.
    pub dialect: Dialect,
    /// Which events it is told, of those of its classes.
    pub filter: Filter,
}

/// Whether an address is permitted.
pub type Permit = std::sync::Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

impl std::fmt::Debug for AmiUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmiUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The interface as a whole.
#[derive(Clone, Debug)]
pub struct AmiSettings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// TLS, and the certificate that is shown.
    pub tls: Option<Arc<Certificate>>,
    /// Connections at once; more are closed at once.
    pub max_connections: usize,
    /// Wrong secrets of one address within ten minutes that ban it.
    pub ban_after: u32,
    /// How long a ban lasts, s.
    pub ban_s: u32,
    /// Calls at once, as programs are told.
    pub max_calls: usize,
    /// Who may log in.
    pub users: Vec<AmiUser>,
}
