//! The far end's clock against ours, in parts per million.
//!
//! What it does: from the transit time of each packet (arrival less timestamp) it tells by how much
//! the sender's 8000 Hz differ from ours. Two crystals of ±50 ppm part by one frame in 200 s.
//!
//! How it works: queues only ever delay, so the smallest transit of each second is the clock's alone,
//! as far as anything is. A line is fitted through the minima of the last 10 to 60 s by least squares;
//! its slope is the drift. The slope is told once its standard error is below 12 ppm, and as long as
//! it is. A step of more than 5 ms between two minima is another way through the network: the fit
//! begins anew, and the slope told before stays until there is a better one.

use tipring_shm_proto::units::Nanos;

/// Length of a window, ns: 1 s.
const WINDOW_NS: u64 = 1_000_000_000;
/// Minima that are fitted, at most and at least.
const MOST: usize = 60;
const LEAST: usize = 10;
/// A larger step between two minima is not drift, ns.
const STEP_NS: i64 = 5_000_000;
/// Standard error above which a slope is not told, ppm.
const UNSURE_PPM: f64 = 12.0;
/// No crystal is that far off, ppm; what exceeds it is bounded.
const MOST_PPM: f64 = 500.0;

/// The drift of one source.
#[derive(Clone, Debug)]
pub struct Drift {
    /// Smallest transit of past windows, ns less the first one's, oldest overwritten.
    minima: [f64; MOST],
    /// Windows that were closed since the fit began.
    windows: usize,
    origin: i64,
    last: Option<i64>,
    smallest: Option<i64>,
    window_ends: Nanos,
    ppm: Option<f64>,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            minima: [0.0; MOST],
            windows: 0,
            origin: 0,
            last: None,
            smallest: None,
            window_ends: Nanos(0),
            ppm: None,
        }
    }
}

impl Drift {
    /// Takes the transit of a packet that came at `arrived`, ns.
    pub fn note(&mut self, arrived: Nanos, transit: i64) {
        if arrived >= self.window_ends {
            if let Some(smallest) = self.smallest.take() {
                self.close_window(smallest);
            }
            if arrived.0 > self.window_ends.0.saturating_add(2 * WINDOW_NS) {
                // Silence: the minima would not be a second apart.
                self.begin_anew();
            }
            self.window_ends = Nanos(arrived.0.saturating_add(WINDOW_NS));
        }
        self.smallest = Some(self.smallest.map_or(transit, |smallest| smallest.min(transit)));
    }

    /// The far clock's advance over ours, positive where it is faster; `None` until it is known.
    pub fn ppm(&self) -> Option<f64> {
        self.ppm
    }

    fn begin_anew(&mut self) {
        self.windows = 0;
        self.last = None;
    }

    fn close_window(&mut self, smallest: i64) {
        if self.last.is_some_and(|last| smallest.abs_diff(last) > STEP_NS.unsigned_abs()) {
            self.begin_anew();
        }
        if self.windows == 0 {
            self.origin = smallest;
        }
        self.last = Some(smallest);
        self.minima[self.windows % MOST] = (smallest - self.origin) as f64;
        self.windows += 1;
        if self.windows >= LEAST {
            self.fit();
        }
    }

    /// Least squares over the minima in their order.
    fn fit(&mut self) {
        let count = self.windows.min(MOST);
        let oldest = self.windows - count;
        let minima = || (oldest..self.windows).map(|window| self.minima[window % MOST]);
        let n = count as f64;
        let middle = (n - 1.0) / 2.0;
        let mean = minima().sum::<f64>() / n;
        let (mut product, mut spread) = (0.0, 0.0);
        for (index, smallest) in minima().enumerate() {
            let x = index as f64 - middle;
            product += x * (smallest - mean);
            spread += x * x;
        }
        let slope = product / spread;
        let residual: f64 = minima()
            .enumerate()
            .map(|(index, smallest)| (smallest - mean - slope * (index as f64 - middle)).powi(2))
            .sum();
        let error = (residual / (n - 2.0) / spread).sqrt();
        // ns a second are thousandths of a ppm; a shrinking transit is a faster sender.
        if error / 1000.0 < UNSURE_PPM {
            self.ppm = Some((-slope / 1000.0).clamp(-MOST_PPM, MOST_PPM));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::rtp::delay::transit_ns;

    /// After `seconds` of packets of a sender whose clock is off by `ppm`, each delayed by up to
    /// `jitter_ms`.
    fn measured(ppm: f64, jitter_ms: u32, seconds: u64) -> Option<f64> {
        let mut drift = Drift::default();
        let mut random = 7u32;
        for n in 0..seconds * 50 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let jitter = f64::from(random >> 8) / f64::from(1 << 24) * f64::from(jitter_ms) * 1e6;
            let sent = n as f64 * 20e6 / (1.0 + ppm * 1e-6);
            let arrived = Nanos((sent + jitter) as u64);
            drift.note(arrived, transit_ns(arrived, n as i64 * 160));
        }
        drift.ppm()
    }

    #[test]
    fn clocks_are_measured_within_ten_seconds_on_a_wire() {
        for ppm in [-200.0, -50.0, 0.0, 20.0, 200.0] {
            let found = measured(ppm, 1, 12).expect("a wire is enough");
            assert!((found - ppm).abs() < 5.0, "{ppm}: {found}");
        }
    }

    #[test]
    fn jitter_makes_it_slower_and_not_wrong() {
        for ppm in [-100.0, 0.0, 200.0] {
            let found = measured(ppm, 30, 61).expect("a minute is enough");
            assert!((found - ppm).abs() < 20.0, "{ppm}: {found}");
        }
        assert_eq!(measured(100.0, 200, 11), None);
    }

    #[test]
    fn another_way_through_the_network_is_no_drift() {
        let mut drift = Drift::default();
        for n in 0..50 * 40u64 {
            let way_ms = if n < 50 * 20 { 20 } else { 60 };
            let arrived = Nanos((n * 20 + way_ms) * 1_000_000);
            drift.note(arrived, transit_ns(arrived, n as i64 * 160));
        }
        assert!(drift.ppm().unwrap().abs() < 1.0, "{:?}", drift.ppm());
    }
}
