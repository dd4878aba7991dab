//! Wrong secrets: counted by address, and in the end banned. Sans-IO.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Wrong secrets are forgotten after so long.
const WINDOW: Duration = Duration::from_mins(10);
/// Addresses that are remembered; beyond them the oldest is forgotten.
const MAX_ADDRESSES: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    first: Duration,
    banned_until: Option<Duration>,
}

/// Who failed how often. Times are since any beginning.
#[derive(Debug)]
pub(super) struct Defence {
    ban_after: u32,
    ban: Duration,
    known: HashMap<IpAddr, Failures>,
}

impl Defence {
    pub(super) fn new(ban_after: u32, ban: Duration) -> Self {
        Self { ban_after, ban, known: HashMap::new() }
    }

    /// Whether an address is banned now.
    pub(super) fn is_banned(&self, address: IpAddr, now: Duration) -> bool {
        let until = self.known.get(&address).and_then(|failures| failures.banned_until);
        until.is_some_and(|until| now < until)
    }

    /// A wrong secret; whether that bans the address.
    pub(super) fn failed(&mut self, address: IpAddr, now: Duration) -> bool {
        if self.known.len() >= MAX_ADDRESSES && !self.known.contains_key(&address) {
            let oldest = self.known.iter().min_by_key(|(_, failures)| failures.first);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.known.remove(&oldest);
            }
        }
        let fresh = Failures { count: 0, first: now, banned_until: None };
        let failures = self.known.entry(address).or_insert(fresh);
        if now.saturating_sub(failures.first) > WINDOW {
            *failures = fresh;
        }
        failures.count += 1;
        if failures.count < self.ban_after {
            return false;
        }
        *failures = Failures { banned_until: Some(now + self.ban), ..fresh };
        true
    }

    /// The right secret.
    pub(super) fn succeeded(&mut self, address: IpAddr) {
        self.known.remove(&address);
    }
}
