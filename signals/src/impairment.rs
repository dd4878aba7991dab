//! A bad network, as good as a seed can make it: loss, jitter, reordering, duplication, an outage.
//!
//! Sans-IO, in ms of any clock: for tests in virtual time and on real sockets.

/// What a way through the network does to packets. Shares are per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Never arrive.
    pub loss: f64,
    /// Arrive up to so much later, evenly, ms.
    pub jitter_ms: f64,
    /// Are overtaken: arrive 30 ms later than else.
    pub reordered: f64,
    /// Arrive twice, the second time 5 ms later.
    pub doubled: f64,
    /// From when until when nothing arrives, ms.
    pub outage_ms: (f64, f64),
}

/// A way in one direction, and what is under way on it.
#[derive(Clone, Debug)]
pub struct Way<T> {
    impairment: Impairment,
    random: u64,
    /// When it arrives, and in which order it was sent.
    pending: Vec<(f64, u64, T)>,
    sent: u64,
}

impl<T: Clone> Way<T> {
    /// The same seed gives the same network.
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self { impairment, random: seed | 1, pending: Vec::new(), sent: 0 }
    }

    /// Sends a packet at `now_ms`.
    pub fn send(&mut self, now_ms: f64, packet: T) {
        let Impairment { loss, jitter_ms, reordered, doubled, outage_ms } = self.impairment;
        let lost = self.percent() < loss;
        let mut arrives = now_ms + self.percent() / 100.0 * jitter_ms;
        if self.percent() < reordered {
            arrives += 30.0;
        }
        let again = self.percent() < doubled;
        if lost || (outage_ms.0..outage_ms.1).contains(&now_ms) {
            return;
        }
        self.sent += 1;
        if again {
            self.pending.push((arrives + 5.0, self.sent, packet.clone()));
        }
        self.pending.push((arrives, self.sent, packet));
    }

    /// The next packet that has arrived by `now_ms`, and when it did.
    pub fn arrived(&mut self, now_ms: f64) -> Option<(f64, T)> {
        let first = (0..self.pending.len()).min_by(|&a, &b| {
            let key = |at: usize| (self.pending[at].0, self.pending[at].1);
            key(a).partial_cmp(&key(b)).expect("times are numbers")
        })?;
        if self.pending[first].0 > now_ms {
            return None;
        }
        let (at, _, packet) = self.pending.swap_remove(first);
        Some((at, packet))
    }

    /// 0 to 100 (SplitMix64).
    fn percent(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 * 100.0 / (1u64 << 53) as f64
    }
}
