//! What the sequence numbers and timestamps of one source tell: losses, duplicates, restarts
//! (RFC 3550 A.1, A.3) and interarrival jitter (§6.4.1, A.8).

/// A gap in sequence numbers up to this is loss, a larger one a restart (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3000;
/// A step back up to this is reordering, a larger one a restart (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
/// A change of transit time beyond this is another clock and says nothing of jitter: 1 s.
const MAX_TRANSIT_STEP: u32 = 8000;

/// What a sequence number says of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Not seen before, be it in order or not.
    Fresh,
    /// Seen before.
    Duplicate,
    /// Far from its predecessors, and not confirmed by a successor yet: leave it alone.
    Stray,
    /// Far from its predecessors and the second in sequence: the source has begun anew.
    Restart,
}

/// Statistics of one source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reception {
    run: Option<Run>,
    received_before: u64,
    lost_before: u64,
    jitter_sixteenths: u32,
    transit: Option<u32>,
}

/// Since the source began, or began anew.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Lowest and highest sequence number, extended; the first packet's stands in the middle of
    /// the range so that reordered predecessors do not fall out of it.
    lowest: u64,
    highest: u64,
    received: u64,
    duplicates: u64,
    /// Bit n: `highest - n` was received.
    seen: u128,
    /// After a stray packet: the number that would confirm it.
    confirming: Option<u16>,
}

impl Run {
    fn begin(sequence: u16) -> Self {
        let first = 0x1_0000 + u64::from(sequence);
        Self {
            lowest: first,
            highest: first,
            received: 1,
            duplicates: 0,
            seen: 1,
            confirming: None,
        }
    }

    fn lost(&self) -> u64 {
        self.highest - self.lowest + 1 - self.received
    }

    fn handle(&mut self, sequence: u16) -> Order {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        let behind = ahead.wrapping_neg();
        if ahead != 0 && ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        } else if behind <= MAX_MISORDER {
            let bit = 1u128 << behind;
            if self.seen & bit != 0 {
                self.duplicates += 1;
                return Order::Duplicate;
            }
            self.seen |= bit;
            self.lowest = self.lowest.min(self.highest - u64::from(behind));
        } else if self.confirming == Some(sequence) {
            return Order::Restart;
        } else {
            self.confirming = Some(sequence.wrapping_add(1));
            return Order::Stray;
        }
        self.confirming = None;
        self.received += 1;
        Order::Fresh
    }
}

impl Reception {
    /// Takes the sequence number of a packet of this source.
    pub fn handle_sequence(&mut self, sequence: u16) -> Order {
        let Some(run) = &mut self.run else {
            self.run = Some(Run::begin(sequence));
            return Order::Fresh;
        };
        let order = run.handle(sequence);
        if order == Order::Restart {
            self.begin_anew();
            self.run = Some(Run::begin(sequence));
        }
        order
    }

    /// Takes the timestamp of an audio packet and its arrival, both in 1/8000 s.
    pub fn handle_timestamp(&mut self, arrival: u32, timestamp: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let step = (transit.wrapping_sub(before) as i32).unsigned_abs();
            if step <= MAX_TRANSIT_STEP {
                let before = self.jitter_sixteenths;
                self.jitter_sixteenths = before + step - ((before + 8) >> 4);
            }
        }
    }

    /// Another source follows: totals stay, the rest is forgotten.
    pub fn begin_anew(&mut self) {
        self.received_before = self.received();
        self.lost_before = self.lost();
        self.run = None;
        self.transit = None;
        self.jitter_sixteenths = 0;
    }

    /// For a report block (RFC 3550 §6.4.1) on the source that is heard now: highest sequence number
    /// with its cycles, packets expected, packets received with duplicates (A.3).
    pub fn for_report(&self) -> Option<(u32, u64, u64)> {
        let run = self.run?;
        let highest = run.highest.wrapping_sub(0x1_0000) as u32;
        Some((highest, run.highest - run.lowest + 1, run.received + run.duplicates))
    }

    /// Interarrival jitter, timestamp units.
    pub fn jitter_units(&self) -> u32 {
        self.jitter_sixteenths >> 4
    }

    /// Packets received, each counted once.
    pub fn received(&self) -> u64 {
        self.received_before + self.run.map_or(0, |run| run.received)
    }

    /// Packets between the first and the last that did not come (yet).
    pub fn lost(&self) -> u64 {
        self.lost_before + self.run.map_or(0, |run| run.lost())
    }

    /// Interarrival jitter, µs.
    pub fn jitter_us(&self) -> u32 {
        // 1/16 of 125 µs.
        (u64::from(self.jitter_sixteenths) * 125 / 16) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Order::{Fresh, Restart, Stray};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gaps_are_losses_until_they_are_filled() {
        let mut reception = Reception::default();
        for sequence in [65_533, 65_534, 2, 65_535, 2, 1] {
            reception.handle_sequence(sequence);
        }
        assert_eq!((reception.received(), reception.lost()), (5, 1));
        assert_eq!(reception.handle_sequence(0), Order::Fresh);
        assert_eq!((reception.received(), reception.lost()), (6, 0));
        assert_eq!(reception.handle_sequence(0), Order::Duplicate);
    }

    #[test]
    fn a_predecessor_of_the_first_packet_counts() {
        let mut reception = Reception::default();
        assert_eq!(reception.handle_sequence(0), Order::Fresh);
        assert_eq!(reception.handle_sequence(65_534), Order::Fresh);
        assert_eq!((reception.received(), reception.lost()), (2, 1));
    }

    #[test]
    fn a_restart_needs_two_packets_in_sequence() {
        let mut reception = Reception::default();
        let orders = [10, 20_000, 11, 20_001, 40_000, 40_001, 40_002]
            .map(|sequence| reception.handle_sequence(sequence));
        assert_eq!(orders, [Fresh, Stray, Fresh, Stray, Stray, Restart, Fresh]);
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn losses_of_an_earlier_source_stay_counted() {
        let mut reception = Reception::default();
        reception.handle_sequence(1);
        reception.handle_sequence(4);
        reception.begin_anew();
        reception.handle_sequence(30_000);
        reception.handle_sequence(30_002);
        assert_eq!((reception.received(), reception.lost()), (4, 3));
    }

    #[test]
    fn jitter_settles_at_the_mean_deviation() {
        let mut reception = Reception::default();
        for n in 0..1000u32 {
            // Every second packet comes 5 ms late.
            reception.handle_timestamp(n * 160 + (n % 2) * 40, n * 160);
        }
        assert!((4_500..=5_500).contains(&reception.jitter_us()), "{}", reception.jitter_us());
    }

    proptest! {
        #[test]
        fn any_order_within_reach_is_counted_exactly(
            first: u16,
            fates in prop::collection::vec((0..40usize, 0..10u8), 2..300),
        ) {
            // Each packet is moved back by up to 40 places, lost (0) or doubled (1).
            let mut arrivals: Vec<(usize, usize)> = Vec::new();
            for (index, (shift, fate)) in fates.iter().enumerate() {
                if *fate > 0 { arrivals.push((index + shift, index)); }
                if *fate == 1 { arrivals.push((index + shift + 3, index)); }
            }
            arrivals.sort_unstable();
            let mut reception = Reception::default();
            let mut duplicates = 0;
            for (_, index) in &arrivals {
                let order = reception.handle_sequence(first.wrapping_add(*index as u16));
                duplicates += u64::from(order == Order::Duplicate);
            }
            let mut kept: Vec<usize> = arrivals.iter().map(|(_, index)| *index).collect();
            kept.sort_unstable();
            kept.dedup();
            prop_assert_eq!(reception.received(), kept.len() as u64);
            prop_assert_eq!(duplicates, (arrivals.len() - kept.len()) as u64);
            if let (Some(low), Some(high)) = (kept.first(), kept.last()) {
                prop_assert_eq!(reception.lost(), (high - low + 1 - kept.len()) as u64);
            }
        }

        #[test]
        fn no_sequence_of_numbers_panics(numbers: Vec<(u16, u32, u32)>) {
            let mut reception = Reception::default();
            for (sequence, arrival, timestamp) in numbers {
                reception.handle_sequence(sequence);
                reception.handle_timestamp(arrival, timestamp);
            }
            reception.jitter_us();
        }
    }
}
