//! RTCP on the wire: compound packets of what telephony needs (RFC 3550 §6, RFC 3611 §4.7).
//!
//! Reading is total: every octet string is told in [`Told`]s or is [`NotRtcp`]. Writing gives a sender
//! or receiver report, an SDES with CNAME, and, when there is something to say, VoIP metrics and BYE.
//! Nothing allocates; the work is bounded by the datagram.

/// Packet types.
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const EXTENDED_REPORT: u8 = 207;
/// SDES item CNAME (RFC 3550 §6.5.1).
const CNAME: u8 = 1;
/// Block type of VoIP metrics, and its length in words (RFC 3611 §4.7).
const VOIP_METRICS: u8 = 7;
const VOIP_WORDS: u16 = 8;
/// What RFC 3611 says where a value is not known.
const UNAVAILABLE: u8 = 127;
/// Length of the CNAME that we send: 96 random bits as base64 (RFC 7022 §5).
pub const CNAME_OCTETS: usize = 16;
/// Packets of a compound one that are read, at most.
const MAX_PACKETS: usize = 16;
/// Longest compound packet that we send: SR with one block, SDES, XR, BYE.
pub const LONGEST: usize = 28 + 24 + 28 + 44 + 8;

/// Why octets are not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRtcp {
    /// Shorter than a header, or than what a header announces.
    Short,
    /// Not version 2.
    Version,
    /// It does not begin with a report (RFC 3550 A.2).
    First,
}

/// Whether a datagram that came where RTP comes is RTCP (RFC 5761 §4).
pub fn is_control(octets: &[u8]) -> bool {
    octets.len() >= 8 && octets[0] >> 6 == 2 && (192..=223).contains(&octets[1])
}

/// A report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Block {
    /// Whose stream it is about.
    pub ssrc: u32,
    /// Since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Since the beginning, 24 bit signed.
    pub lost: i32,
    /// Highest sequence number with its cycles.
    pub highest: u32,
    /// Timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 is none.
    pub last_report: u32,
    /// Since that came, 1/65536 s.
    pub delay: u32,
}

/// What a compound packet told, one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A sender report's own part.
    Sender {
        /// Who reports.
        ssrc: u32,
        /// Middle 32 bits of its NTP time.
        ntp_middle: u32,
    },
    /// A receiver report's own part.
    Receiver {
        /// Who reports.
        ssrc: u32,
    },
    /// A block of either.
    Block(Block),
    /// A source has left.
    Goodbye {
        /// Which.
        ssrc: u32,
    },
}

/// Reads a compound packet and tells what it holds; packets of other types are passed over.
///
/// # Errors
/// Says why `octets` cannot be RTCP; what stands before the defect was told.
pub fn parse(octets: &[u8], mut tell: impl FnMut(Told)) -> Result<(), NotRtcp> {
    let mut rest = octets;
    for number in 0..MAX_PACKETS {
        let (header, _) = rest.split_first_chunk::<4>().ok_or(NotRtcp::Short)?;
        if header[0] >> 6 != 2 {
            return Err(NotRtcp::Version);
        }
        let packet_type = header[1];
        if number == 0 && !matches!(packet_type, SENDER_REPORT | RECEIVER_REPORT) {
            return Err(NotRtcp::First);
        }
        let len = (usize::from(u16::from_be_bytes([header[2], header[3]])) + 1) * 4;
        let (packet, after) = rest.split_at_checked(len).ok_or(NotRtcp::Short)?;
        parse_one(header[0] & 0x1F, packet_type, &packet[4..], &mut tell)?;
        rest = after;
        if rest.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

fn parse_one(
    count: u8,
    packet_type: u8,
    body: &[u8],
    tell: &mut impl FnMut(Told),
) -> Result<(), NotRtcp> {
    let ssrc = || word(body, 0).ok_or(NotRtcp::Short);
    let blocks = match packet_type {
        SENDER_REPORT => {
            let seconds = word(body, 4).ok_or(NotRtcp::Short)?;
            let fraction = word(body, 8).ok_or(NotRtcp::Short)?;
            tell(Told::Sender { ssrc: ssrc()?, ntp_middle: seconds << 16 | fraction >> 16 });
            body.get(24..).ok_or(NotRtcp::Short)?
        }
        RECEIVER_REPORT => {
            tell(Told::Receiver { ssrc: ssrc()? });
            &body[4..]
        }
        GOODBYE => {
            for index in 0..usize::from(count) {
                let ssrc = word(body, index * 4).ok_or(NotRtcp::Short)?;
                tell(Told::Goodbye { ssrc });
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    for index in 0..usize::from(count) {
        let block = blocks.get(index * 24..index * 24 + 24).ok_or(NotRtcp::Short)?;
        let word = |at| word(block, at).unwrap_or(0);
        tell(Told::Block(Block {
            ssrc: word(0),
            fraction_lost: block[4],
            // Sign-extended from 24 bit.
            lost: (word(4) << 8) as i32 >> 8,
            highest: word(8),
            jitter: word(12),
            last_report: word(16),
            delay: word(20),
        }));
    }
    Ok(())
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// The sender's part of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// NTP time of this moment (seconds since 1900 in the high half).
    pub ntp: u64,
    /// RTP timestamp of this moment.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Octets of their payloads.
    pub octets: u32,
}

/// VoIP metrics (RFC 3611 §4.7) as far as they are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoipMetrics {
    /// Lost in the network, and dropped by the jitter buffer, in 1/256 of all.
    pub loss: u8,
    /// See `loss`.
    pub discard: u8,
    /// Share of lost frames in bursts and in gaps, in 1/256.
    pub burst_density: u8,
    /// See `burst_density`.
    pub gap_density: u8,
    /// Mean length of bursts and gaps, ms.
    pub burst_ms: u16,
    /// See `burst_ms`.
    pub gap_ms: u16,
    /// Round trip by RTCP, ms; 0 is unknown.
    pub round_trip_ms: u16,
    /// Delay of this end system, ms.
    pub end_system_ms: u16,
    /// R factor.
    pub r_factor: u8,
    /// Listening quality, tenths of MOS.
    pub mos_tenths: u8,
    /// Depth of the jitter buffer: now and at most, ms.
    pub depth_ms: u16,
    /// See `depth_ms`.
    pub most_depth_ms: u16,
}

/// What a compound packet of ours says.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    /// Who we are.
    pub ssrc: u32,
    /// Set where we have sent since the report before.
    pub sent: Option<Sent>,
    /// What was received, if anything.
    pub block: Option<Block>,
    /// Our name.
    pub cname: &'a [u8; CNAME_OCTETS],
    /// How what was received could be heard.
    pub metrics: Option<VoipMetrics>,
    /// This is the last one.
    pub goodbye: bool,
}

impl Compound<'_> {
    /// Writes it; how long it is.
    pub fn write(&self, octets: &mut [u8; LONGEST]) -> usize {
        let mut to = Writer { octets, len: 0 };
        let blocks = u8::from(self.block.is_some());
        let words = 6 * u16::from(blocks);
        if let Some(sent) = self.sent {
            to.header(blocks, SENDER_REPORT, 6 + words);
            to.word(self.ssrc);
            to.word((sent.ntp >> 32) as u32);
            to.word(sent.ntp as u32);
            to.word(sent.timestamp);
            to.word(sent.packets);
            to.word(sent.octets);
        } else {
            to.header(blocks, RECEIVER_REPORT, 1 + words);
            to.word(self.ssrc);
        }
        if let Some(block) = self.block {
            to.word(block.ssrc);
            let lost = block.lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
            to.word(u32::from(block.fraction_lost) << 24 | lost);
            to.word(block.highest);
            to.word(block.jitter);
            to.word(block.last_report);
            to.word(block.delay);
        }
        // One chunk: SSRC, the item with its two octets, and one to three zeros.
        to.header(1, SOURCE_DESCRIPTION, 1 + (2 + CNAME_OCTETS as u16).div_ceil(4));
        to.word(self.ssrc);
        to.put(&[CNAME, CNAME_OCTETS as u8]);
        to.put(self.cname);
        to.put(&[0, 0]);
        if let (Some(metrics), Some(block)) = (self.metrics, self.block) {
            self.write_metrics(&metrics, block.ssrc, &mut to);
        }
        if self.goodbye {
            to.header(1, GOODBYE, 1);
            to.word(self.ssrc);
        }
        to.len
    }

    fn write_metrics(&self, metrics: &VoipMetrics, of: u32, to: &mut Writer<'_>) {
        to.header(0, EXTENDED_REPORT, 2 + VOIP_WORDS);
        to.word(self.ssrc);
        to.put(&[VOIP_METRICS, 0]);
        to.put(&VOIP_WORDS.to_be_bytes());
        to.word(of);
        to.put(&[metrics.loss, metrics.discard, metrics.burst_density, metrics.gap_density]);
        to.put(&metrics.burst_ms.to_be_bytes());
        to.put(&metrics.gap_ms.to_be_bytes());
        to.put(&metrics.round_trip_ms.to_be_bytes());
        to.put(&metrics.end_system_ms.to_be_bytes());
        // Signal, noise and echo return loss are not measured.
        to.put(&[UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, super::quality::GMIN as u8]);
        to.put(&[metrics.r_factor, UNAVAILABLE, metrics.mos_tenths, metrics.mos_tenths]);
        // Standard concealment, adaptive buffer, rate unknown.
        to.put(&[0b1111_0000, 0]);
        to.put(&metrics.depth_ms.to_be_bytes());
        to.put(&metrics.depth_ms.to_be_bytes());
        to.put(&metrics.most_depth_ms.to_be_bytes());
    }
}

struct Writer<'a> {
    octets: &'a mut [u8; LONGEST],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) {
        if let Some(places) = self.octets.get_mut(self.len..self.len + octets.len()) {
            places.copy_from_slice(octets);
            self.len += octets.len();
        }
    }

    fn word(&mut self, word: u32) {
        self.put(&word.to_be_bytes());
    }

    /// `words` follow it.
    fn header(&mut self, count: u8, packet_type: u8, words: u16) {
        let [high, low] = words.to_be_bytes();
        self.put(&[0x80 | count, packet_type, high, low]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &[u8; CNAME_OCTETS] = b"abcdefghijklmnop";

    fn told(octets: &[u8]) -> (Vec<Told>, Result<(), NotRtcp>) {
        let mut all = Vec::new();
        let result = parse(octets, |told| all.push(told));
        (all, result)
    }

    fn written(compound: &Compound<'_>) -> Vec<u8> {
        let mut octets = [0; LONGEST];
        let len = compound.write(&mut octets);
        octets[..len].to_vec()
    }

    const METRICS: VoipMetrics = VoipMetrics {
        loss: 1,
        discard: 2,
        burst_density: 3,
        gap_density: 4,
        burst_ms: 5,
        gap_ms: 6,
        round_trip_ms: 7,
        end_system_ms: 8,
        r_factor: 90,
        mos_tenths: 43,
        depth_ms: 40,
        most_depth_ms: 300,
    };

    #[test]
    fn a_whole_report_is_the_octets_of_its_rfcs() {
        let block = Block {
            ssrc: 0x0A0B_0C0D,
            fraction_lost: 0x40,
            lost: -2,
            highest: 0x0001_0203,
            jitter: 9,
            last_report: 0x1111_2222,
            delay: 0x0001_0000,
        };
        let sent = Sent { ntp: 0xE000_0000_8000_0000, timestamp: 5, packets: 6, octets: 960 };
        let compound = Compound {
            ssrc: 0x0102_0304,
            sent: Some(sent),
            block: Some(block),
            cname: NAME,
            metrics: Some(METRICS),
            goodbye: true,
        };
        let octets = written(&compound);
        assert_eq!(octets.len(), LONGEST);
        let expected: &[&[u8]] = &[
            &[0x81, 200, 0, 12, 1, 2, 3, 4, 0xE0, 0, 0, 0, 0x80, 0, 0, 0],
            &[0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 3, 0xC0],
            &[10, 11, 12, 13, 0x40, 0xFF, 0xFF, 0xFE, 0, 1, 2, 3, 0, 0, 0, 9],
            &[0x11, 0x11, 0x22, 0x22, 0, 1, 0, 0],
            &[0x81, 202, 0, 6, 1, 2, 3, 4, 1, 16],
            NAME,
            &[0, 0],
            &[0x80, 207, 0, 10, 1, 2, 3, 4, 7, 0, 0, 8, 10, 11, 12, 13, 1, 2, 3, 4],
            &[0, 5, 0, 6, 0, 7, 0, 8, 127, 127, 127, 16, 90, 127, 43, 43],
            &[0xF0, 0, 0, 40, 0, 40, 1, 44],
            &[0x81, 203, 0, 1, 1, 2, 3, 4],
        ];
        assert_eq!(octets, expected.concat());
        let (all, result) = told(&octets);
        assert_eq!(result, Ok(()));
        assert_eq!(
            all,
            [
                Told::Sender { ssrc: 0x0102_0304, ntp_middle: 0x0000_8000 },
                Told::Block(block),
                Told::Goodbye { ssrc: 0x0102_0304 },
            ]
        );
    }

    #[test]
    fn who_neither_sent_nor_heard_says_who_it_is() {
        let silent = Compound {
            ssrc: 7,
            sent: None,
            block: None,
            cname: NAME,
            metrics: None,
            goodbye: false,
        };
        let octets = written(&silent);
        assert_eq!(octets[..8], [0x80, 201, 0, 1, 0, 0, 0, 7]);
        assert_eq!(told(&octets), (vec![Told::Receiver { ssrc: 7 }], Ok(())));
    }

    #[test]
    fn what_is_not_rtcp_says_why() {
        for (octets, expected) in [
            (&[][..], NotRtcp::Short),
            (&[0x80, 201, 0], NotRtcp::Short),
            (&[0x40, 201, 0, 1, 0, 0, 0, 1], NotRtcp::Version),
            (&[0x81, 203, 0, 1, 0, 0, 0, 1], NotRtcp::First),
            (&[0x80, 201, 0, 2, 0, 0, 0, 1], NotRtcp::Short),
            (&[0x81, 201, 0, 1, 0, 0, 0, 1], NotRtcp::Short),
            (&[0x80, 201, 0, 0], NotRtcp::Short),
            (&[0x80, 200, 0, 1, 0, 0, 0, 1], NotRtcp::Short),
        ] {
            assert_eq!(told(octets).1, Err(expected), "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn hostile_octets_give_an_answer(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = told(&octets);
        }

        #[test]
        fn what_is_written_is_read(
            ssrc: u32, of: u32, lost in -0x80_0000..0x7F_FFFF, highest: u32, goodbye: bool,
        ) {
            let block = Block { ssrc: of, lost, highest, ..Block::default() };
            let compound = Compound {
                ssrc, sent: None, block: Some(block), cname: NAME, metrics: Some(METRICS), goodbye,
            };
            let (all, result) = told(&written(&compound));
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(&all[..2], &[Told::Receiver { ssrc }, Told::Block(block)]);
            prop_assert_eq!(all.len(), 2 + usize::from(goodbye));
        }
    }
}
