//! What this end says by RTCP and when, and what it learns (RFC 3550 §6).
//!
//! Sans-IO: `handle_packet` takes a datagram, `next_packet` gives one when it is due. The interval is
//! the reduced minimum of §6.2, 360 s divided by the session's kbit/s, which for G.711 in 20 ms packets
//! is 4.5 s; the first report comes after half of it; each interval is drawn from 0.5 to 1.5 of that
//! and divided by e − 1.5 (§6.3.1). The round trip is A − LSR − DLSR (§6.4.1).

use super::quality::{Bursts, Judge};
use super::rtcp::{self, Block, CNAME_OCTETS, Compound, LONGEST, NotRtcp, Sent, Told, VoipMetrics};
use tipring_shm_proto::line_table::FarEndReport;
use tipring_shm_proto::units::{FRAME_MS, Nanos};

/// Reduced minimum interval, ms: 360 s by 80 kbit/s (RFC 3550 §6.2).
const INTERVAL_MS: u32 = 4500;
/// e − 3/2, in thousandths (RFC 3550 §6.3.1).
const COMPENSATION: u32 = 1218;
/// Reports in a row that say that nothing was received, before it is believed.
const UNHEARD_REPORTS: u8 = 2;
/// From 1900 (NTP) to 1970, s.
const NTP_EPOCH: u64 = 2_208_988_800;
/// A round trip below this is one too, 1/65536 s: −20 ms.
const LEAST_ROUND_TRIP: i32 = -1311;
/// A round trip beyond this is a defect of the far end's arithmetic, µs.
const LONGEST_ROUND_TRIP_US: u32 = 10_000_000;

/// What we know of a stream that we receive, for a report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// Its source.
    pub ssrc: u32,
    /// Highest sequence number with cycles.
    pub highest: u32,
    /// Packets that should have come since its first.
    pub expected: u64,
    /// Packets that came, duplicates too.
    pub received: u64,
    /// Timestamp units.
    pub jitter: u32,
    /// Dropped by the jitter buffer.
    pub late: u64,
    /// Depth of the jitter buffer, ms.
    pub depth_ms: u16,
    /// Largest depth that it aims at, ms.
    pub most_depth_ms: u16,
}

/// What we know of the stream that we send.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sending {
    /// Our source.
    pub ssrc: u32,
    /// Timestamp of the next frame.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u64,
    /// Octets of their payloads.
    pub octets: u64,
}

/// RTCP of one call.
#[derive(Clone, Copy, Debug)]
pub struct Reports {
    cname: [u8; CNAME_OCTETS],
    /// For the intervals: nothing secret.
    random: u32,
    due: Nanos,
    /// Packets sent when the report before was.
    sent_before: u64,
    expected_before: u64,
    received_before: u64,
    /// The last sender report of the phone: its NTP time, and when it came.
    last_report: Option<(u32, Nanos)>,
    round_trip_us: Option<u32>,
    far_end: Option<FarEndReport>,
    highest_before: Option<u32>,
    unheard: u8,
    left: bool,
}

impl Reports {
    /// Of a new call; `seed` is random.
    pub fn new(now: Nanos, seed: [u8; 12]) -> Self {
        let word = u32::from_be_bytes([seed[0], seed[5], seed[7], seed[11]]);
        let mut reports = Self {
            cname: name_of(seed),
            random: word | 1,
            due: now,
            sent_before: 0,
            expected_before: 0,
            received_before: 0,
            last_report: None,
            round_trip_us: None,
            far_end: None,
            highest_before: None,
            unheard: 0,
            left: false,
        };
        reports.due = now.after_ms(reports.interval_ms() / 2);
        reports
    }

    /// Takes a datagram that reached this machine at `now` and is from where the phone is.
    /// `real_ns` is CLOCK_REALTIME then; `ours` and `theirs` are both sources, as far as known.
    ///
    /// # Errors
    /// It is no RTCP.
    pub fn handle_packet(
        &mut self,
        now: Nanos,
        real_ns: u64,
        octets: &[u8],
        ours: u32,
        theirs: Option<u32>,
    ) -> Result<(), NotRtcp> {
        let mut told = *self;
        rtcp::parse(octets, |what| told.take(what, now, real_ns, ours, theirs))?;
        *self = told;
        Ok(())
    }

    fn take(&mut self, told: Told, now: Nanos, real_ns: u64, ours: u32, theirs: Option<u32>) {
        match told {
            Told::Sender { ssrc, ntp_middle } if theirs.is_none_or(|known| known == ssrc) => {
                self.last_report = Some((ntp_middle, now));
                self.left = false;
            }
            Told::Block(block) if block.ssrc == ours => self.take_block(&block, real_ns),
            Told::Goodbye { ssrc } if theirs == Some(ssrc) => self.left = true,
            Told::Sender { .. } | Told::Receiver { .. } | Told::Block(_) | Told::Goodbye { .. } => {
            }
        }
    }

    fn take_block(&mut self, block: &Block, real_ns: u64) {
        // Its clock is 8000 Hz.
        let jitter_us = block.jitter.saturating_mul(125);
        self.far_end =
            Some(FarEndReport { fraction_lost: block.fraction_lost, lost: block.lost, jitter_us });
        let stands_still = self.highest_before.replace(block.highest) == Some(block.highest);
        self.unheard = if stands_still { self.unheard.saturating_add(1) } else { 0 };
        if block.last_report != 0 {
            let took = ntp_middle(real_ns).wrapping_sub(block.last_report);
            // A far end that rounds its delay up to ms makes a short way negative.
            let units = took.wrapping_sub(block.delay).cast_signed();
            let us = (u64::from(units.max(0).unsigned_abs()) * 1_000_000) >> 16;
            if units > LEAST_ROUND_TRIP && us <= u64::from(LONGEST_ROUND_TRIP_US) {
                self.round_trip_us = Some(us as u32);
            }
        }
    }

    /// A report is due.
    pub fn is_due(&self, now: Nanos) -> bool {
        now >= self.due
    }

    /// Writes a report if one is due; its length.
    pub fn next_packet(
        &mut self,
        now: Nanos,
        real_ns: u64,
        sending: &Sending,
        received: Option<&Received>,
        judge: &Judge,
        octets: &mut [u8; LONGEST],
    ) -> Option<usize> {
        if !self.is_due(now) {
            return None;
        }
        self.due = now.after_ms(self.interval_ms());
        Some(self.write(now, real_ns, sending, received, judge, false, octets))
    }

    /// Writes the last one, with BYE; its length.
    pub fn goodbye(
        &mut self,
        now: Nanos,
        real_ns: u64,
        sending: &Sending,
        received: Option<&Received>,
        judge: &Judge,
        octets: &mut [u8; LONGEST],
    ) -> usize {
        self.write(now, real_ns, sending, received, judge, true, octets)
    }

    #[expect(clippy::too_many_arguments, reason = "a report is about everything")]
    fn write(
        &mut self,
        now: Nanos,
        real_ns: u64,
        sending: &Sending,
        received: Option<&Received>,
        judge: &Judge,
        goodbye: bool,
        octets: &mut [u8; LONGEST],
    ) -> usize {
        let has_sent = sending.packets > self.sent_before;
        self.sent_before = sending.packets;
        let sent = has_sent.then_some(Sent {
            ntp: ntp(real_ns),
            timestamp: sending.timestamp,
            packets: sending.packets as u32,
            octets: sending.octets as u32,
        });
        let block = received.map(|received| self.block(now, received));
        let metrics = received.map(|received| self.metrics(received, judge));
        let (ssrc, cname) = (sending.ssrc, &self.cname);
        Compound { ssrc, sent, block, cname, metrics, goodbye }.write(octets)
    }

    /// Another source follows: its counts begin at 0.
    pub fn begin_source(&mut self) {
        self.expected_before = 0;
        self.received_before = 0;
        self.last_report = None;
        self.left = false;
    }

    /// By the last report that told it, µs.
    pub fn round_trip_us(&self) -> Option<u32> {
        self.round_trip_us
    }

    /// What the phone said last of our stream.
    pub fn far_end(&self) -> Option<FarEndReport> {
        self.far_end
    }

    /// The phone has reported more than once that nothing of our stream comes any more.
    pub fn is_unheard(&self) -> bool {
        self.unheard >= UNHEARD_REPORTS
    }

    /// The phone has ended its stream.
    pub fn has_left(&self) -> bool {
        self.left
    }

    fn block(&mut self, now: Nanos, received: &Received) -> Block {
        let expected = received.expected.saturating_sub(self.expected_before);
        let came = received.received.saturating_sub(self.received_before);
        self.expected_before = received.expected;
        self.received_before = received.received;
        let lost = expected.saturating_sub(came);
        // RFC 3550 A.3: 0 where duplicates make up for losses.
        let fraction_lost = (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8;
        let all_lost = received.expected as i64 - received.received as i64;
        let (last_report, delay) = self.last_report.map_or((0, 0), |(ntp, at)| {
            let since_ns = now.0.saturating_sub(at.0);
            (ntp, ((u128::from(since_ns) << 16) / 1_000_000_000) as u32)
        });
        Block {
            ssrc: received.ssrc,
            fraction_lost,
            lost: all_lost.clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest: received.highest,
            jitter: received.jitter,
            last_report,
            delay,
        }
    }

    fn metrics(&self, received: &Received, judge: &Judge) -> VoipMetrics {
        let share = |part: u64, all: u64| (part * 256).checked_div(all).unwrap_or(0).min(255) as u8;
        let lost = received.expected.saturating_sub(received.received);
        let Bursts { burst_frames, burst_lost, bursts, gap_frames, gap_lost } = judge.bursts();
        let frames_ms = |frames: u32, times: u32| {
            let ms = frames / times.max(1) * FRAME_MS;
            u16::try_from(ms).unwrap_or(u16::MAX)
        };
        let delay_ms = u32::from(received.depth_ms) + FRAME_MS;
        let mos = judge.quality(delay_ms).map_or(100, |quality| quality.call_mos);
        VoipMetrics {
            loss: share(lost, received.expected),
            discard: share(received.late, received.expected),
            burst_density: share(u64::from(burst_lost), u64::from(burst_frames)),
            gap_density: share(u64::from(gap_lost), u64::from(gap_frames)),
            burst_ms: frames_ms(burst_frames, bursts),
            gap_ms: frames_ms(gap_frames, bursts + 1),
            round_trip_ms: self.round_trip_us.map_or(0, |us| (us / 1000) as u16),
            end_system_ms: delay_ms as u16,
            r_factor: judge.r_factor(delay_ms),
            mos_tenths: (mos / 10) as u8,
            depth_ms: received.depth_ms,
            most_depth_ms: received.most_depth_ms,
        }
    }

    fn interval_ms(&mut self) -> u32 {
        // xorshift32: spreads reports of many calls, and has no other purpose.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let spread = 500 + self.random % 1000;
        INTERVAL_MS * spread / COMPENSATION
    }
}

/// NTP time: seconds since 1900 and their fraction.
fn ntp(real_ns: u64) -> u64 {
    let seconds = (real_ns / 1_000_000_000).wrapping_add(NTP_EPOCH);
    let fraction = ((real_ns % 1_000_000_000) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

fn ntp_middle(real_ns: u64) -> u32 {
    (ntp(real_ns) >> 16) as u32
}

/// 96 random bits as base64 (RFC 7022 §5).
fn name_of(seed: [u8; 12]) -> [u8; CNAME_OCTETS] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::array::from_fn(|place| {
        let three = &seed[place / 4 * 3..place / 4 * 3 + 3];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        DIGITS[(bits >> (18 - 6 * (place % 4)) & 63) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    const REAL: u64 = 1_700_000_000_000_000_000;

    fn at(ms: u64) -> Nanos {
        Nanos(1_000_000_000 + ms * 1_000_000)
    }

    fn real(ms: u64) -> u64 {
        REAL + ms * 1_000_000
    }

    /// Two ends with 30 ms between them that report to each other for `seconds`; the first one.
    fn talk(seconds: u64) -> Reports {
        let mut ends = [Reports::new(at(0), SEED), Reports::new(at(0), [9; 12])];
        let mut under_way: Vec<(u64, usize, Vec<u8>)> = Vec::new();
        for ms in (0..seconds * 1000).step_by(10) {
            for (from, end) in ends.iter_mut().enumerate() {
                let (ssrc, other) = (from as u32 + 1, 2 - from as u32);
                let sending = Sending { ssrc, timestamp: 0, packets: ms / 20, octets: ms * 8 };
                // Of each hundred packets ninety come.
                let received = Received {
                    ssrc: other,
                    highest: (ms / 20) as u32,
                    expected: ms / 20,
                    received: ms / 20 * 9 / 10,
                    jitter: 16,
                    ..Received::default()
                };
                let (mut octets, judge) = ([0; LONGEST], Judge::default());
                let len = end.next_packet(
                    at(ms),
                    real(ms),
                    &sending,
                    Some(&received),
                    &judge,
                    &mut octets,
                );
                if let Some(len) = len {
                    under_way.push((ms + 30, 1 - from, octets[..len].to_vec()));
                }
            }
            under_way.retain(|(arrives, to, octets)| {
                if *arrives <= ms {
                    let (ours, theirs) = (*to as u32 + 1, 2 - *to as u32);
                    let end = &mut ends[*to];
                    end.handle_packet(at(ms), real(ms), octets, ours, Some(theirs)).unwrap();
                }
                *arrives > ms
            });
        }
        ends[0]
    }

    #[test]
    fn the_round_trip_and_the_far_ends_losses_are_learnt() {
        let end = talk(30);
        let round_trip_us = end.round_trip_us().unwrap();
        assert!((59_000..=61_000).contains(&round_trip_us), "{round_trip_us}");
        let far = end.far_end().unwrap();
        assert!((24..=27).contains(&far.fraction_lost) && far.lost > 50, "{far:?}");
        assert_eq!(far.jitter_us, 2000);
        assert!(!end.is_unheard() && !end.has_left());
    }

    #[test]
    fn reports_come_at_intervals_that_nobody_shares() {
        let mut reports = Reports::new(at(0), SEED);
        let mut sent = Vec::new();
        for ms in 0..600_000 {
            let mut octets = [0; LONGEST];
            let (sending, judge) = (Sending::default(), Judge::default());
            if reports.next_packet(at(ms), real(ms), &sending, None, &judge, &mut octets).is_some()
            {
                sent.push(ms);
            }
        }
        assert!(sent[0] < 3100, "{}", sent[0]);
        let gaps: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (1840..=5550).contains(gap)), "{gaps:?}");
        let mean = gaps.iter().sum::<u64>() / gaps.len() as u64;
        assert!((3300..=4100).contains(&mean), "{mean}");
    }

    #[test]
    fn a_stream_that_stands_still_there_is_unheard_and_bye_is_a_leave() {
        let block = |highest| Block { ssrc: 1, highest, ..Block::default() };
        let compound = |highest, goodbye| {
            let mut octets = [0; LONGEST];
            let cname = &name_of(SEED);
            let block = Some(block(highest));
            let len = Compound { ssrc: 2, sent: None, block, cname, metrics: None, goodbye }
                .write(&mut octets);
            octets[..len].to_vec()
        };
        let mut reports = Reports::new(at(0), SEED);
        for (highest, unheard) in [(5, false), (9, false), (9, false), (9, true), (12, false)] {
            let octets = compound(highest, false);
            reports.handle_packet(at(0), REAL, &octets, 1, Some(2)).unwrap();
            assert_eq!(reports.is_unheard(), unheard, "{highest}");
        }
        reports.handle_packet(at(0), REAL, &compound(13, true), 1, Some(2)).unwrap();
        assert!(reports.has_left());
    }

    #[test]
    fn a_delay_that_was_rounded_up_is_a_round_trip_of_nothing() {
        for (delay, expected) in [(66, Some(0)), (0, Some(991)), (3000, None)] {
            let mut reports = Reports::new(at(0), SEED);
            let last_report = ntp_middle(REAL);
            let block = Block { ssrc: 1, last_report, delay, ..Block::default() };
            reports.take_block(&block, REAL + 1_000_000);
            assert_eq!(reports.round_trip_us(), expected, "{delay}");
        }
    }

    #[test]
    fn the_name_is_base64_of_its_bits() {
        assert_eq!(&name_of(SEED), b"AQIDBAUGBwgJCgsM");
    }
}
