//! How much later than the fastest packets arrive, and how deep a buffer has to be for that.
//!
//! What it does: of each audio packet it takes arrival and timestamp; it tells the transit time of
//! the fastest packets of the last seconds, and the depth at which nearly all packets are in time.
//!
//! How it works, after WebRTC's NetEQ: transit is arrival less timestamp; a packet's delay is its
//! transit less the smallest of the last 2 to 4 s. Delays go into a histogram of 5 ms buckets that
//! forgets with time (half-life 20 s, faster at the start): instead of making all that it has lighter, it
//! makes each new one heavier. The depth is the upper end of the bucket
//! in which the 99th percentile lies, and a frame more, for frames are taken whole.

use tipring_shm_proto::units::{FRAME_NS, Nanos};

/// Width of a bucket, ns.
const BUCKET_NS: i64 = 5_000_000;
/// Buckets: delays up to half a second.
const BUCKETS: usize = 100;
/// Weight that remains after each packet.
const FORGET: f32 = 0.9993;
/// Share of packets that shall be in time.
const QUANTILE: f32 = 0.99;
/// The heaviest that all together may be before they are made lighter after all.
const HEAVIEST: f32 = 1e9;
/// Packets after which the histogram is believed.
const LEARNING: u32 = 25;
/// Length of a window in which the smallest transit is kept, ns: 2 s.
const WINDOW_NS: u64 = 2_000_000_000;
/// ns a timestamp unit.
const UNIT_NS: i64 = 125_000;

/// The delays of one source.
#[derive(Clone, Debug)]
pub struct Delays {
    histogram: [f32; BUCKETS],
    /// Weight of all.
    total: f32,
    packets: u32,
    smallest: Option<i64>,
    smallest_before: Option<i64>,
    window_ends: Nanos,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            histogram: [0.0; BUCKETS],
            total: 0.0,
            packets: 0,
            smallest: None,
            smallest_before: None,
            window_ends: Nanos(0),
        }
    }
}

/// Arrival less timestamp, ns; its zero means nothing.
pub fn transit_ns(arrived: Nanos, timestamp: i64) -> i64 {
    (arrived.0 as i64).wrapping_sub(timestamp.wrapping_mul(UNIT_NS))
}

impl Delays {
    /// Takes the transit of a packet that came at `arrived`.
    pub fn note(&mut self, arrived: Nanos, transit: i64) {
        if arrived >= self.window_ends {
            self.smallest_before = self.smallest.take();
            self.window_ends = Nanos(arrived.0 + WINDOW_NS);
        }
        self.smallest = Some(self.smallest.map_or(transit, |smallest| smallest.min(transit)));
        let delay = transit - self.fastest_ns().unwrap_or(transit);
        let bucket = usize::try_from(delay / BUCKET_NS).unwrap_or(0).min(BUCKETS - 1);
        self.packets = self.packets.saturating_add(1);
        // The first packets weigh what they are worth (NetEQ's start_forget_weight of 2).
        let forget = FORGET.min(1.0 - 2.0 / (self.packets as f32 + 1.0));
        let weight = if self.packets == 1 { 1.0 } else { self.total * (1.0 / forget - 1.0) };
        self.histogram[bucket] += weight;
        self.total += weight;
        if self.total > HEAVIEST {
            self.histogram.iter_mut().for_each(|weight| *weight /= HEAVIEST);
            self.total = self.histogram.iter().sum();
        }
    }

    /// Transit of the fastest packets of the last 2 to 4 s, ns; `None` before the first.
    pub fn fastest_ns(&self) -> Option<i64> {
        match (self.smallest, self.smallest_before) {
            (Some(now), Some(before)) => Some(now.min(before)),
            (now, before) => now.or(before),
        }
    }

    /// Depth that is enough, ns; `None` while too little was seen.
    pub fn enough_ns(&self) -> Option<i64> {
        if self.packets < LEARNING {
            return None;
        }
        let mut sum = 0.0;
        let within = self.histogram.iter().position(|weight| {
            sum += weight;
            sum >= QUANTILE * self.total
        });
        let buckets = within.unwrap_or(BUCKETS - 1) as i64 + 1;
        Some(buckets * BUCKET_NS + FRAME_NS as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enough_ms(delay_ms: impl Fn(u64) -> u64, packets: u64) -> Option<i64> {
        let mut delays = Delays::default();
        for n in 0..packets {
            let arrived = Nanos((n * 20 + delay_ms(n)) * 1_000_000);
            delays.note(arrived, transit_ns(arrived, n as i64 * 160));
        }
        delays.enough_ns().map(|ns| ns / 1_000_000)
    }

    #[test]
    fn a_steady_stream_needs_a_frame_and_a_bucket() {
        assert_eq!(enough_ms(|_| 70, 24), None);
        assert_eq!(enough_ms(|_| 70, 500), Some(25));
    }

    #[test]
    fn the_depth_follows_all_but_a_hundredth() {
        assert_eq!(enough_ms(|n| n * 7 % 31, 2000), Some(55));
        assert_eq!(enough_ms(|n| if n % 40 == 0 { 90 } else { 0 }, 4000), Some(115));
        assert_eq!(enough_ms(|n| if n % 300 == 0 { 90 } else { 0 }, 4000), Some(25));
    }

    #[test]
    fn a_faster_way_is_noticed_at_once_and_a_slower_one_in_seconds() {
        let mut delays = Delays::default();
        let mut fastest = Vec::new();
        for n in 0..1000u64 {
            let way_ms = if n < 300 {
                50
            } else if n < 600 {
                20
            } else {
                80
            };
            let arrived = Nanos((n * 20 + way_ms) * 1_000_000);
            delays.note(arrived, transit_ns(arrived, n as i64 * 160));
            fastest.push(delays.fastest_ns().unwrap() / 1_000_000);
        }
        assert_eq!((fastest[299], fastest[300], fastest[601], fastest[810]), (50, 20, 20, 80));
    }
}
