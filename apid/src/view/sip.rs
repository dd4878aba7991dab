//! SIP as administrators see it.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Why an address gets no answer for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BanReason {
    /// It is a tool that looks for phones.
    Scanner,
    /// It tried too many passwords.
    WrongPasswords,
}

/// An address whose SIP gets no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// IP address.
    pub address: String,
    /// Why.
    pub reason: BanReason,
    /// Beginning.
    pub since: Timestamp,
    /// End.
    pub until: Timestamp,
}

/// What became of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrunkState {
    /// Registered: calls go both ways.
    Registered,
    /// It does not register, and its servers are known.
    Reachable,
    /// The first attempt, or one after a failure, is under way.
    Trying,
    /// The last attempt failed.
    Failed,
}

/// An account of ours at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SipTrunk {
    /// Name.
    pub name: String,
    /// Our user there.
    pub user: String,
    /// The provider's domain.
    pub domain: String,
    /// What became of it.
    pub state: TrunkState,
    /// The server that is talked with: transport and address.
    pub server: Option<String>,
    /// End of the registration.
    pub expires_at: Option<Timestamp>,
    /// After a failure.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed: a SIP status and words, or that a name has no address.
    pub reason: Option<String>,
    /// Lines by which its calls go, one a call.
    pub lines: Vec<String>,
    /// Those that have a call now.
    pub calls: usize,
}

/// How SIP is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SipDiagnostics {
    /// Requests that got no service since apid's start, by cause: `banned`, `scanner`,
    /// `over_share`, `curious` (asked what there is, unknown), `wrong_password`, `not_allowed`
    /// (a number or a time that the account may not use), `overload`.
    pub turned_away: BTreeMap<String, u64>,
    /// Addresses banned now.
    pub bans: usize,
    /// Requests that have not been answered for good.
    pub transactions: usize,
    /// Streams that are open.
    pub connections: usize,
}
