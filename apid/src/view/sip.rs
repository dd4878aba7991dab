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
