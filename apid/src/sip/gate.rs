//! How often strangers may ask: a token bucket for each source address.
//!
//! Only requests that have not proven themselves are counted. One that is over its share gets no
//! answer at all, so that it learns nothing and a forged source address is not flooded by us.

use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses remembered at once; beyond it a stranger's share is nobody's.
const SOURCES_KEPT: usize = 10_000;

/// How much more an address may that is no stranger's: there may be many phones behind it.
const KNOWN_FACTOR: u64 = 10;

/// User-Agents of scanning tools: never answered.
const SCANNERS: [&str; 7] = [
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "vaxsipuseragent",
    "pplsip",
    "sundayddr",
    "sip-scan",
];

/// Shares of one source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Requests a second, in the long run.
    pub per_s: u32,
    /// Requests at once.
    pub burst: u32,
}

/// Counts requests of strangers by address.
#[derive(Debug)]
pub struct Gate {
    share: Share,
    sources: HashMap<IpAddr, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of a request.
    used: u64,
    at_ms: u64,
}

impl Gate {
    /// A gate that grants this share to each address.
    pub fn new(share: Share) -> Self {
        Self { share, sources: HashMap::new() }
    }

    /// Whether a request that costs `cost` may be answered. `known` is an address with a
    /// registered phone, which may ten times as much.
    pub fn admits(&mut self, source: IpAddr, known: bool, cost: u32, now_ms: u64) -> bool {
        let factor = if known { KNOWN_FACTOR } else { 1 };
        let full = u64::from(self.share.burst) * 1000 * factor;
        let per_ms = u64::from(self.share.per_s) * factor;
        if self.sources.len() >= SOURCES_KEPT && !self.sources.contains_key(&source) {
            // Whose share would be whole again need not be remembered.
            let whole_ms = full.div_ceil(per_ms.max(1));
            self.sources.retain(|_, b| now_ms.saturating_sub(b.at_ms) < whole_ms);
            if self.sources.len() >= SOURCES_KEPT {
                return false;
            }
        }
        let bucket = self.sources.entry(source).or_insert(Bucket { used: 0, at_ms: now_ms });
        let recovered = now_ms.saturating_sub(bucket.at_ms) * per_ms;
        bucket.used = bucket.used.saturating_sub(recovered);
        bucket.at_ms = now_ms;
        let used = bucket.used + u64::from(cost) * 1000;
        if used > full {
            return false;
        }
        bucket.used = used;
        true
    }
}

/// Whether a User-Agent is a scanner's.
pub fn is_scanner(user_agent: &str) -> bool {
    let name = user_agent.to_ascii_lowercase();
    SCANNERS.iter().any(|scanner| name.contains(scanner))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn a_burst_then_a_rate() {
        let mut gate = Gate::new(Share { per_s: 20, burst: 60 });
        let granted = (0..100).filter(|_| gate.admits(A, false, 1, 0)).count();
        assert_eq!(granted, 60);
        let granted = (1..=1000).filter(|ms| gate.admits(A, false, 1, *ms)).count();
        assert_eq!(granted, 20);
        assert!(gate.admits("10.0.0.2".parse().unwrap(), false, 1, 0), "another address");
        assert!(!gate.admits("10.0.0.3".parse().unwrap(), false, 61, 0), "too dear");
        let known = (0..1000).filter(|_| gate.admits("10.0.0.4".parse().unwrap(), true, 1, 0));
        assert_eq!(known.count(), 600);
        // What it used as a stranger does not matter any more once it is known.
        let known = (0..1000).filter(|_| gate.admits(A, true, 1, 1000));
        assert_eq!(known.count(), 540);
    }

    #[test]
    fn the_table_is_bounded_and_recovers() {
        let mut gate = Gate::new(Share { per_s: 20, burst: 60 });
        for i in 0..SOURCES_KEPT as u32 {
            assert!(gate.admits(IpAddr::V4(i.into()), false, 1, 0));
        }
        let next = IpAddr::V4((SOURCES_KEPT as u32).into());
        assert!(!gate.admits(next, false, 1, 2999));
        assert!(gate.admits(next, false, 1, 3000));
        assert_eq!(gate.sources.len(), 1);
    }

    #[test]
    fn scanners_by_name() {
        assert!(is_scanner("friendly-scanner"));
        assert!(is_scanner("VaxSIPUserAgent/3.1"));
        assert!(!is_scanner("Grandstream HT802 1.0.29.8"));
    }
}
