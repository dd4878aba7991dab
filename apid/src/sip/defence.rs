//! What strangers meet before the rules do: bans, silence towards scanners, shares of requests.
//! Whoever is known (a registered phone, a fixed one, a trusted source) is never banned: a
//! datagram's source can be forged, and a phone must not lose its call by it.

use super::bans::{BanRule, Bans};
use super::gate::{Gate, Share, is_scanner};
use crate::config::Cidr;
use crate::view::BanReason;
use std::net::IpAddr;
use tracing::info;

/// What a wrong password costs at the gate; a plain unproven request costs 1.
const WRONG_PASSWORD_COST: u32 = 5;

/// What a configuration says of strangers.
#[derive(Clone, Debug)]
pub struct DefenceSettings {
    /// How often an address may ask without proving anything.
    pub strangers: Share,
    /// When it is banned.
    pub bans: BanRule,
    /// Sources that are neither counted nor banned.
    pub trusted: Vec<Cidr>,
}

impl Default for DefenceSettings {
    fn default() -> Self {
        Self {
            strangers: Share { per_s: 20, burst: 60 },
            bans: BanRule { failures: 10, within_s: 600, lasts_s: 3600 },
            trusted: Vec::new(),
        }
    }
}

/// Requests that got no service, by cause, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// From a banned address.
    pub banned: u64,
    /// By a tool for scanning.
    pub scanner: u64,
    /// Beyond a source's share.
    pub over_share: u64,
    /// Asked what there is, by somebody unknown.
    pub curious: u64,
    /// With a wrong password.
    pub wrong_password: u64,
    /// Of a known phone, for a number or a time that it may not use.
    pub not_allowed: u64,
}

/// All of it.
#[derive(Debug)]
pub struct Defence {
    gate: Gate,
    bans: Bans,
    trusted: Vec<Cidr>,
    turned: Turned,
}

impl Defence {
    /// Nobody is banned yet.
    pub fn new(settings: &DefenceSettings) -> Self {
        Self {
            gate: Gate::new(settings.strangers),
            bans: Bans::new(settings.bans),
            trusted: settings.trusted.clone(),
            turned: Turned::default(),
        }
    }

    /// Whether a source is told to be trusted.
    pub fn trusts(&self, source: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(source))
    }

    /// Whether a request is to be forgotten without an answer. `known` is whoever is no stranger.
    pub fn ignores(
        &mut self,
        source: IpAddr,
        known: bool,
        user_agent: Option<&str>,
        now_ms: u64,
    ) -> bool {
        if !known && self.bans.has(source, now_ms) {
            self.turned.banned += 1;
            return true;
        }
        if !user_agent.is_some_and(is_scanner) {
            return false;
        }
        self.turned.scanner += 1;
        if !known {
            info!(%source, user_agent, "banned: a tool for scanning");
            self.bans.add(source, BanReason::Scanner, now_ms);
        }
        true
    }

    /// Whether one more request that proves nothing is within the source's share.
    pub fn admits(&mut self, source: IpAddr, known: bool, now_ms: u64) -> bool {
        let admitted = self.trusts(source) || self.gate.admits(source, known, 1, now_ms);
        self.turned.over_share += u64::from(!admitted);
        admitted
    }

    /// Notes a wrong password, and whether it may be answered at all. `there` says that the source
    /// has our challenge, so that nobody else can be made to look guilty.
    pub fn admits_wrong_password(
        &mut self,
        source: IpAddr,
        known: bool,
        there: bool,
        now_ms: u64,
    ) -> bool {
        self.turned.wrong_password += 1;
        if self.trusts(source) {
            return true;
        }
        if there && !known && self.bans.note_failure(source, now_ms) {
            info!(%source, "banned: too many wrong passwords");
            return false;
        }
        let admitted = self.gate.admits(source, false, WRONG_PASSWORD_COST, now_ms);
        self.turned.over_share += u64::from(!admitted);
        admitted
    }

    /// Somebody unknown asked what there is.
    pub fn note_curious(&mut self) {
        self.turned.curious += 1;
    }

    /// A known phone wanted what it may not.
    pub fn note_not_allowed(&mut self) {
        self.turned.not_allowed += 1;
    }

    /// What was turned away so far.
    pub const fn turned(&self) -> Turned {
        self.turned
    }

    /// Bans in force.
    pub const fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Ends a ban early; returns whether there was one.
    pub fn lift(&mut self, address: IpAddr) -> bool {
        self.bans.lift(address)
    }

    /// Forgets bans that have ended.
    pub fn handle_time(&mut self, now_ms: u64) {
        self.bans.handle_time(now_ms);
    }

    /// Whether any ban came or went since this was asked last.
    pub const fn take_changed(&mut self) -> bool {
        self.bans.take_changed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn defence() -> Defence {
        let trusted = vec!["192.168.0.0/16".parse().unwrap()];
        Defence::new(&DefenceSettings { trusted, ..DefenceSettings::default() })
    }

    #[test]
    fn a_scanner_is_banned_unless_it_is_known() {
        let mut d = defence();
        let (bad, phone) = (address("203.0.113.5"), address("10.0.0.5"));
        assert!(d.ignores(bad, false, Some("friendly-scanner"), 0));
        assert!(d.ignores(bad, false, Some("a telephone"), 1), "it is banned now");
        assert!(d.ignores(phone, true, Some("friendly-scanner"), 0), "no answer all the same");
        assert!(!d.ignores(phone, true, Some("a telephone"), 1));
        assert_eq!(d.bans().list(1).len(), 1);
        assert_eq!((d.turned().scanner, d.turned().banned), (2, 1));
        assert!(d.lift(bad) && !d.ignores(bad, false, None, 2));
    }

    #[test]
    fn wrong_passwords_ban_whoever_has_our_challenge() {
        let mut d = defence();
        let bad = address("203.0.113.5");
        for i in 0..9 {
            assert!(d.admits_wrong_password(bad, false, true, i * 10_000), "{i}");
        }
        assert!(!d.admits_wrong_password(bad, false, true, 90_000));
        assert!(d.ignores(bad, false, None, 90_001));
        // Forged, or of a phone: only its share is used up.
        for (source, known, there) in
            [(address("203.0.113.6"), false, false), (address("203.0.113.7"), true, true)]
        {
            for i in 0..100 {
                d.admits_wrong_password(source, known, there, i * 10_000);
            }
            assert!(!d.ignores(source, known, None, 1_000_000), "{source}");
        }
        let trusted = address("192.168.3.4");
        assert!((0..1000).all(|i| d.admits_wrong_password(trusted, false, true, i)));
        assert!((0..10_000).all(|_| d.admits(trusted, false, 0)));
        assert!(!(0..100).all(|_| d.admits(address("203.0.113.8"), false, 0)));
    }
}
