//! The RTP header (RFC 3550 §5.1, §5.3.1): reading what anybody may have sent, and writing ours.
//!
//! Reading is total: every octet string is a [`Packet`] or a [`NotRtp`]. Nothing is copied, nothing
//! allocates, and the work is the same for every packet but the padding octet's place.

/// Octets of a header without sources and extension.
pub const HEADER_OCTETS: usize = 12;

/// What the header says, and what it stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header's fields.
    pub header: Header,
    /// Between contributing sources or extension and padding.
    pub payload: &'a [u8],
}

/// The fields that telephony needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Beginning of a talkspurt or an event (RFC 3551 §4.1). Receivers must not rely on it.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// One more for each packet, wrapping.
    pub sequence: u16,
    /// Sampling instant of the first octet, 1/8000 s, wrapping.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// Why octets are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRtp {
    /// Shorter than a header, or than what the header announces.
    Short,
    /// Not version 2: STUN, DTLS, an older RTP.
    Version,
    /// Payload types 72 to 76 are RTCP packet types without their top bit (RFC 5761 §4).
    Rtcp,
    /// The padding octet is 0 or more than there is.
    Padding,
}

/// Reads one packet.
///
/// # Errors
/// Says why `octets` cannot be RTP.
pub fn parse(octets: &[u8]) -> Result<Packet<'_>, NotRtp> {
    let (fixed, rest) = octets.split_first_chunk::<HEADER_OCTETS>().ok_or(NotRtp::Short)?;
    if fixed[0] >> 6 != 2 {
        return Err(NotRtp::Version);
    }
    let header = Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7F,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    };
    if (72..=76).contains(&header.payload_type) {
        return Err(NotRtp::Rtcp);
    }
    let contributing = usize::from(fixed[0] & 0x0F) * 4;
    let mut payload = rest.get(contributing..).ok_or(NotRtp::Short)?;
    if fixed[0] & 0x10 != 0 {
        let (extension, after) = payload.split_first_chunk::<4>().ok_or(NotRtp::Short)?;
        let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        payload = after.get(words * 4..).ok_or(NotRtp::Short)?;
    }
    if fixed[0] & 0x20 != 0 {
        let padding = usize::from(*payload.last().ok_or(NotRtp::Padding)?);
        let kept = payload.len().checked_sub(padding).ok_or(NotRtp::Padding)?;
        if padding == 0 {
            return Err(NotRtp::Padding);
        }
        payload = &payload[..kept];
    }
    Ok(Packet { header, payload })
}

impl Header {
    /// Version 2, no padding, no extension, no contributing sources. The payload type's top bit
    /// is not sent.
    pub fn octets(&self) -> [u8; HEADER_OCTETS] {
        let mut octets = [0; HEADER_OCTETS];
        octets[0] = 0x80;
        octets[1] = u8::from(self.marker) << 7 | (self.payload_type & 0x7F);
        octets[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        octets[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        octets[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 8,
        sequence: 0xABCD,
        timestamp: 0x0102_0304,
        ssrc: 0xDEAD_BEEF,
    };

    fn packet(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut octets = HEADER.octets().to_vec();
        octets[0] = first;
        octets.extend_from_slice(tail);
        octets
    }

    #[test]
    fn a_header_is_the_octets_of_rfc_3550() {
        let octets = [0x80, 0x88, 0xAB, 0xCD, 1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF];
        assert_eq!(HEADER.octets(), octets);
        assert_eq!(parse(&octets), Ok(Packet { header: HEADER, payload: &[] }));
    }

    #[test]
    fn what_stands_around_the_payload_is_taken_off() {
        let table = [
            ("plain", packet(0x80, &[1, 2, 3]), Ok(&[1, 2, 3][..])),
            ("two sources", packet(0x82, &[0, 0, 0, 1, 0, 0, 0, 2, 7]), Ok(&[7])),
            ("sources cut", packet(0x82, &[0, 0, 0, 1, 0, 0, 0]), Err(NotRtp::Short)),
            ("extension", packet(0x90, &[0xBE, 0xDE, 0, 1, 9, 9, 9, 9, 7]), Ok(&[7])),
            ("empty extension", packet(0x90, &[0, 0, 0, 0]), Ok(&[])),
            ("extension cut", packet(0x90, &[0, 0, 0xFF, 0xFF, 1]), Err(NotRtp::Short)),
            ("extension header cut", packet(0x90, &[0, 0, 0]), Err(NotRtp::Short)),
            ("padding", packet(0xA0, &[7, 0, 0, 3]), Ok(&[7])),
            ("all padding", packet(0xA0, &[0, 2]), Ok(&[])),
            ("padding 0", packet(0xA0, &[7, 0]), Err(NotRtp::Padding)),
            ("padding too long", packet(0xA0, &[7, 3]), Err(NotRtp::Padding)),
            ("padding of nothing", packet(0xA0, &[]), Err(NotRtp::Padding)),
            ("version 1", packet(0x40, &[7]), Err(NotRtp::Version)),
        ];
        for (name, octets, expected) in table {
            assert_eq!(parse(&octets).map(|packet| packet.payload), expected, "{name}");
        }
    }

    #[test]
    fn rtcp_is_not_taken_for_rtp() {
        for packet_type in 200..=204u8 {
            let mut octets = packet(0x80, &[0; 16]);
            octets[1] = packet_type;
            assert_eq!(parse(&octets), Err(NotRtp::Rtcp), "{packet_type}");
        }
    }

    proptest! {
        #[test]
        fn hostile_octets_give_an_answer(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(packet) = parse(&octets) {
                prop_assert!(packet.payload.len() + HEADER_OCTETS <= octets.len());
            }
        }

        #[test]
        fn what_is_written_is_read(marker: bool, payload_type in 0..72u8, sequence: u16,
                                   timestamp: u32, ssrc: u32, payload: Vec<u8>) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut octets = header.octets().to_vec();
            octets.extend_from_slice(&payload);
            prop_assert_eq!(parse(&octets), Ok(Packet { header, payload: &payload }));
        }
    }
}
