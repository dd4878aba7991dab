//! How webhooks are doing.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    /// Where to.
    pub url: String,
    /// Events that were taken there.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Events that wait.
    pub waiting: usize,
    /// The last events that were given up, oldest first.
    pub dead_letters: Vec<DeadLetter>,
}

/// An event that could not be delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// As it was posted.
    #[schema(value_type = Object)]
    pub event: serde_json::Value,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was not taken.
    pub reason: String,
    /// When it was given up.
    pub at: Timestamp,
}
