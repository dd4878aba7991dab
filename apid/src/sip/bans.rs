//! Addresses that get no answer at all for a while, and why.

use crate::view::BanReason;
use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses banned or suspected at once; beyond it the ban that ends first makes room.
const KEPT: usize = 10_000;

/// When an address is banned, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanRule {
    /// So many wrong passwords…
    pub failures: u32,
    /// …within this time, s.
    pub within_s: u32,
    /// How long a ban lasts, s.
    pub lasts_s: u32,
}

/// One ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub address: IpAddr,
    /// Why.
    pub reason: BanReason,
    /// ms since 1970.
    pub since_ms: u64,
    /// ms since 1970.
    pub until_ms: u64,
}

/// Counts failures, keeps bans.
#[derive(Debug)]
pub struct Bans {
    rule: BanRule,
    failures: HashMap<IpAddr, (u64, u32)>,
    active: HashMap<IpAddr, Ban>,
    changed: bool,
}

impl Bans {
    /// None yet.
    pub fn new(rule: BanRule) -> Self {
        Self { rule, failures: HashMap::new(), active: HashMap::new(), changed: false }
    }

    /// Whether this address gets no answer now.
    pub fn has(&self, address: IpAddr, now_ms: u64) -> bool {
        self.active.get(&address).is_some_and(|ban| ban.until_ms > now_ms)
    }

    /// Bans an address, from now on.
    pub fn add(&mut self, address: IpAddr, reason: BanReason, now_ms: u64) {
        if self.active.len() >= KEPT && !self.active.contains_key(&address) {
            let first = self.active.values().min_by_key(|ban| ban.until_ms).map(|ban| ban.address);
            first.map(|address| self.active.remove(&address));
        }
        let until_ms = now_ms + u64::from(self.rule.lasts_s) * 1000;
        self.active.insert(address, Ban { address, reason, since_ms: now_ms, until_ms });
        self.failures.remove(&address);
        self.changed = true;
    }

    /// Notes a wrong password; returns whether that was one too many.
    pub fn note_failure(&mut self, address: IpAddr, now_ms: u64) -> bool {
        let window_ms = u64::from(self.rule.within_s) * 1000;
        if self.failures.len() >= KEPT {
            self.failures.retain(|_, (since_ms, _)| now_ms.saturating_sub(*since_ms) < window_ms);
            if self.failures.len() >= KEPT {
                self.failures.clear(); // forgetting suspects bans nobody wrongly
            }
        }
        let (since_ms, count) = self.failures.entry(address).or_insert((now_ms, 0));
        if now_ms.saturating_sub(*since_ms) >= window_ms {
            (*since_ms, *count) = (now_ms, 0);
        }
        *count += 1;
        let too_many = *count >= self.rule.failures;
        if too_many {
            self.add(address, BanReason::WrongPasswords, now_ms);
        }
        too_many
    }

    /// Ends a ban early; returns whether there was one.
    pub fn lift(&mut self, address: IpAddr) -> bool {
        let lifted = self.active.remove(&address).is_some();
        self.changed |= lifted;
        lifted
    }

    /// Those that have not ended, the newest first.
    pub fn list(&self, now_ms: u64) -> Vec<Ban> {
        let mut all: Vec<Ban> =
            self.active.values().filter(|ban| ban.until_ms > now_ms).cloned().collect();
        all.sort_by_key(|ban| (std::cmp::Reverse(ban.since_ms), ban.address));
        all
    }

    /// Forgets those that have ended.
    pub fn handle_time(&mut self, now_ms: u64) {
        let before = self.active.len();
        self.active.retain(|_, ban| ban.until_ms > now_ms);
        self.changed |= before != self.active.len();
    }

    /// Whether any came or went since this was asked last.
    pub const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    /// When [`handle_time`](Self::handle_time) has something to do, ms since 1970.
    pub fn next_end_ms(&self) -> Option<u64> {
        self.active.values().map(|ban| ban.until_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
    const RULE: BanRule = BanRule { failures: 3, within_s: 600, lasts_s: 3600 };

    #[test]
    fn too_many_within_a_while_and_an_end() {
        let mut bans = Bans::new(RULE);
        assert!(!bans.note_failure(A, 0) && !bans.note_failure(A, 1000));
        assert!(!bans.note_failure(A, 600_000), "the first ones are too long ago");
        assert!(!bans.note_failure(A, 600_001) && bans.note_failure(A, 600_002));
        assert!(bans.has(A, 600_003));
        assert_eq!(bans.list(600_003)[0].reason, BanReason::WrongPasswords);
        assert_eq!(bans.next_end_ms(), Some(4_200_002));
        assert!(!bans.has(A, 4_200_002));
        assert!(bans.take_changed() && !bans.take_changed());
        bans.handle_time(4_200_002);
        assert!(bans.take_changed() && bans.list(0).is_empty());
        assert!(!bans.note_failure(A, 4_200_003), "it begins anew");
    }

    #[test]
    fn lifted_and_bounded() {
        let mut bans = Bans::new(RULE);
        bans.add(A, BanReason::Scanner, 0);
        assert!(bans.lift(A) && !bans.lift(A) && !bans.has(A, 0));
        for i in 0..KEPT as u32 + 5 {
            bans.add(IpAddr::V4(i.into()), BanReason::Scanner, u64::from(i));
            bans.note_failure(IpAddr::V4((i + 1_000_000).into()), u64::from(i));
        }
        assert_eq!(bans.list(KEPT as u64).len(), KEPT);
        assert!(bans.failures.len() <= KEPT);
        assert!(!bans.has(IpAddr::V4(0.into()), 10), "the oldest made room");
    }
}
