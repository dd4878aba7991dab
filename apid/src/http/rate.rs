//! How many requests an address may make: a bucket that holds a minute's, refilled evenly.

use super::problem::{Kind, Problem};
use super::settings::HttpSettings;
use actix_web::http::header;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;

/// Buckets kept before those that are full again are dropped.
const BUCKETS: usize = 4096;

/// All buckets.
pub(super) struct Limiter {
    buckets: Option<DefaultKeyedRateLimiter<u128>>,
    clock: DefaultClock,
}

impl Limiter {
    /// As configured.
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let buckets = NonZeroU32::new(settings.requests_per_minute)
            .map(|rate| RateLimiter::keyed(Quota::per_minute(rate)));
        Self { buckets, clock: DefaultClock::default() }
    }

    /// Takes a request of `peer` out of its bucket.
    ///
    /// # Errors
    /// 429 with `Retry-After` when the bucket is empty.
    pub(super) fn check(&self, peer: IpAddr) -> Result<(), Problem> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        if buckets.len() > BUCKETS {
            buckets.retain_recent();
        }
        buckets.check_key(&bucket_of(peer)).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now()).as_secs() + 1;
            Problem::new(Kind::TooManyRequests, "more requests than this address may make")
                .header(header::RETRY_AFTER, wait.to_string())
        })
    }
}

/// One IPv6 client commands a /64 (RFC 4291 §2.5.1).
fn bucket_of(peer: IpAddr) -> u128 {
    match peer.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError as _;

    #[test]
    fn an_empty_bucket_refuses_and_others_are_unharmed() {
        let settings = HttpSettings { requests_per_minute: 2, ..HttpSettings::default() };
        let limiter = Limiter::new(&settings);
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse().unwrap());
        assert!(limiter.check(one).is_ok() && limiter.check(one).is_ok());
        let refused = limiter.check(one).unwrap_err();
        assert_eq!(refused.status_code(), 429);
        assert!(limiter.check(two).is_ok());
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let settings = HttpSettings { requests_per_minute: 0, ..HttpSettings::default() };
        let limiter = Limiter::new(&settings);
        let peer = "2001:db8::1".parse().unwrap();
        assert!((0..10_000).all(|_| limiter.check(peer).is_ok()));
    }
}
