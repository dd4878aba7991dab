//! SRTP and SRTCP (RFC 3711) with AES-CM-128 and HMAC-SHA1, keyed by signalling (RFC 4568).
//!
//! *What it does.* `protect` encrypts a packet that leaves and puts its tag behind it; `unprotect`
//! checks one that came, refuses it if it is forged or came before, and decrypts it. The tag is
//! compared in constant time, before anything of the packet is used.
//!
//! *How it works.* Session keys are derived once from the master key (§4.3, no key derivation rate).
//! Packet indices count roll-overs of the sequence number (§3.3.1); a window of 64 packets refuses
//! replays (§3.3.2). SRTCP's index is explicit, its tag always 80 bit (RFC 4568 §6.2.1).
//!
//! Nothing here allocates; the work is bounded by the packet. A packet index is never used twice with
//! one key: whoever sends must give each packet a sequence number of its own.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use tipring_shm_proto::command::{SrtpKey, SrtpKeys, SrtpSuite};

/// Longest tag, and SRTCP's own: octets.
pub const LONGEST_TAG: usize = 10;
/// What protecting an RTCP packet adds: the index and the tag.
pub const CONTROL_OVERHEAD: usize = 4 + LONGEST_TAG;
/// Octets of an RTP header without what may follow it.
const RTP_HEADER: usize = 12;
/// Octets of RTCP that stay readable (§3.4).
const RTCP_HEADER: usize = 8;
/// Packets back to which replays are told from reordering.
const WINDOW: u64 = 64;

/// Why a packet is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Shorter than header and tag.
    Short,
    /// The tag is not that of the packet: other keys, or a forgery.
    Tag,
    /// Its index was used before, or is too old to tell.
    Replay,
}

/// Both directions of one call.
pub struct Srtp {
    ours: Stream,
    theirs: Stream,
    keys: SrtpKeys,
    tag: usize,
}

impl Srtp {
    /// Derives the session keys. Some microseconds, on the frame loop too.
    pub fn new(keys: SrtpKeys) -> Self {
        let tag = match keys.suite {
            SrtpSuite::Aes128HmacSha1Tag80 => 10,
            SrtpSuite::Aes128HmacSha1Tag32 => 4,
        };
        Self { ours: Stream::new(keys.ours), theirs: Stream::new(keys.theirs), keys, tag }
    }

    /// Takes what signalling agreed on now. A direction whose key stays goes on where it is; another
    /// one begins.
    pub fn update(&mut self, keys: SrtpKeys) {
        if keys.suite != self.keys.suite {
            *self = Self::new(keys);
            return;
        }
        if keys.ours != self.keys.ours {
            self.ours = Stream::new(keys.ours);
        }
        if keys.theirs != self.keys.theirs {
            self.theirs = Stream::new(keys.theirs);
        }
        self.keys = keys;
    }

    /// Encrypts the RTP packet in `octets[..len]` and puts its tag behind it; its new length. `octets`
    /// must have room for the tag.
    pub fn protect(&mut self, octets: &mut [u8], len: usize) -> usize {
        let Some((ssrc, sequence)) = names(octets, len) else { return len };
        let stream = &mut self.ours;
        stream.begin_source(ssrc);
        let index = stream.index(sequence);
        stream.note(index);
        let payload = payload_at(&octets[..len]).unwrap_or(len);
        stream.rtp.cipher(ssrc, index, &mut octets[payload..len]);
        let tag = stream.rtp.tag(&octets[..len], (index >> 16) as u32);
        octets[len..len + self.tag].copy_from_slice(&tag[..self.tag]);
        len + self.tag
    }

    /// Checks and decrypts the RTP packet in `octets`; its length without the tag.
    ///
    /// # Errors
    /// Says why it must not be used; `octets` are as they were.
    pub fn unprotect(&mut self, octets: &mut [u8]) -> Result<usize, Refused> {
        let len = octets.len().checked_sub(self.tag).ok_or(Refused::Short)?;
        let (ssrc, sequence) = names(octets, len).ok_or(Refused::Short)?;
        let payload = payload_at(&octets[..len]).ok_or(Refused::Short)?;
        // Another source is judged by itself, and takes over only if it proves to be one.
        let mut position = self.theirs.position_of(ssrc);
        let index = position.index(sequence);
        let (packet, tag) = octets.split_at(len);
        let own = self.theirs.rtp.tag(packet, (index >> 16) as u32);
        if !is_same(&own[..self.tag], tag) {
            return Err(Refused::Tag);
        }
        if !position.is_new(index) {
            return Err(Refused::Replay);
        }
        position.note(index);
        self.theirs.source = Some((ssrc, position));
        self.theirs.rtp.cipher(ssrc, index, &mut octets[payload..len]);
        Ok(len)
    }

    /// Encrypts the RTCP packet in `octets[..len]`; its new length. `octets` must have room for
    /// [`CONTROL_OVERHEAD`] more.
    pub fn protect_control(&mut self, octets: &mut [u8], len: usize) -> usize {
        if len < RTCP_HEADER {
            return len;
        }
        let stream = &mut self.ours;
        stream.control_index = (stream.control_index + 1) & 0x7FFF_FFFF;
        let index = stream.control_index;
        let ssrc = word(octets, 4);
        stream.rtcp.cipher(ssrc, u64::from(index), &mut octets[RTCP_HEADER..len]);
        octets[len..len + 4].copy_from_slice(&(index | 0x8000_0000).to_be_bytes());
        let tag = stream.rtcp.tag_of(&octets[..len + 4]);
        octets[len + 4..len + CONTROL_OVERHEAD].copy_from_slice(&tag[..LONGEST_TAG]);
        len + CONTROL_OVERHEAD
    }

    /// Checks and decrypts the RTCP packet in `octets`; its length.
    ///
    /// # Errors
    /// Says why it must not be used; `octets` are as they were.
    pub fn unprotect_control(&mut self, octets: &mut [u8]) -> Result<usize, Refused> {
        let len = octets.len().checked_sub(CONTROL_OVERHEAD).ok_or(Refused::Short)?;
        if len < RTCP_HEADER {
            return Err(Refused::Short);
        }
        let (packet, tag) = octets.split_at(len + 4);
        if !is_same(&self.theirs.rtcp.tag_of(packet)[..LONGEST_TAG], tag) {
            return Err(Refused::Tag);
        }
        let word_of_index = word(octets, len);
        let index = u64::from(word_of_index & 0x7FFF_FFFF);
        if !self.theirs.control.is_new(index) {
            return Err(Refused::Replay);
        }
        self.theirs.control.note(index);
        if word_of_index & 0x8000_0000 != 0 {
            let ssrc = word(octets, 4);
            self.theirs.rtcp.cipher(ssrc, index, &mut octets[RTCP_HEADER..len]);
        }
        Ok(len)
    }
}

/// One direction.
struct Stream {
    rtp: Session,
    rtcp: Session,
    source: Option<(u32, Position)>,
    control: Position,
    /// Of what was sent last.
    control_index: u32,
}

impl Stream {
    fn new(master: SrtpKey) -> Self {
        Self {
            rtp: Session::derive(master, 0),
            rtcp: Session::derive(master, 3),
            source: None,
            control: Position::default(),
            control_index: 0,
        }
    }

    fn position_of(&self, ssrc: u32) -> Position {
        self.source.filter(|(known, _)| *known == ssrc).map_or(Position::default(), |(_, at)| at)
    }

    fn begin_source(&mut self, ssrc: u32) {
        self.source = Some((ssrc, self.position_of(ssrc)));
    }

    fn index(&self, sequence: u16) -> u64 {
        self.source.map_or(u64::from(sequence), |(_, at)| at.index(sequence))
    }

    fn note(&mut self, index: u64) {
        if let Some((_, at)) = &mut self.source {
            at.note(index);
        }
    }
}

/// Highest index so far and which of the last ones came (§3.3).
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    highest: Option<u64>,
    /// Bit n: `highest - n` came.
    seen: u64,
}

impl Position {
    /// The index of a sequence number: the one nearest to the highest (§3.3.1).
    fn index(self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(sequence) };
        let step = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        highest.checked_add_signed(step).unwrap_or(u64::from(sequence))
    }

    fn is_new(self, index: u64) -> bool {
        let Some(highest) = self.highest else { return true };
        match highest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.seen & (1 << behind) == 0,
        }
    }

    fn note(&mut self, index: u64) {
        let highest = self.highest.unwrap_or(index);
        if index >= highest {
            let ahead = u32::try_from(index - highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = Some(index);
        } else if highest - index < WINDOW {
            self.seen |= 1 << (highest - index);
        }
    }
}

/// Keys of RTP or of RTCP in one direction.
struct Session {
    cipher: Aes128,
    /// Keyed once; a copy for each packet.
    hmac: Hmac<Sha1>,
    salt: [u8; 14],
}

impl Session {
    /// `label` is that of the encryption key; those of authentication and salt follow (§4.3.2).
    fn derive(master: SrtpKey, label: u8) -> Self {
        let prf = Aes128::new(&master.key.into());
        let derive = |label: u8, into: &mut [u8]| {
            let mut salt = master.salt;
            salt[7] ^= label;
            key_stream(&prf, counter(&salt), into);
        };
        let (mut key, mut authentication, mut salt) = ([0; 16], [0; 20], [0; 14]);
        derive(label, &mut key);
        derive(label + 1, &mut authentication);
        derive(label + 2, &mut salt);
        let hmac = <Hmac<Sha1> as KeyInit>::new_from_slice(&authentication)
            .expect("a key of HMAC has any length");
        Self { cipher: Aes128::new(&key.into()), hmac, salt }
    }

    /// Encrypts, or decrypts (§4.1.1).
    fn cipher(&self, ssrc: u32, index: u64, octets: &mut [u8]) {
        let mut block = counter(&self.salt);
        for (place, octet) in block[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
            *place ^= octet;
        }
        for (place, octet) in block[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *place ^= octet;
        }
        key_stream(&self.cipher, block, octets);
    }

    /// Of a packet and its roll-over counter (§4.2).
    fn tag(&self, packet: &[u8], rollovers: u32) -> [u8; 20] {
        let mut hmac = self.hmac.clone();
        hmac.update(packet);
        hmac.update(&rollovers.to_be_bytes());
        hmac.finalize().into_bytes().into()
    }

    fn tag_of(&self, packet: &[u8]) -> [u8; 20] {
        let mut hmac = self.hmac.clone();
        hmac.update(packet);
        hmac.finalize().into_bytes().into()
    }
}

/// The salt, and a block counter of 0 behind it.
fn counter(salt: &[u8; 14]) -> [u8; 16] {
    let mut block = [0; 16];
    block[..14].copy_from_slice(salt);
    block
}

/// XORs AES in counter mode over `octets`.
fn key_stream(cipher: &Aes128, mut block: [u8; 16], octets: &mut [u8]) {
    for (number, chunk) in octets.chunks_mut(16).enumerate() {
        block[14..].copy_from_slice(&(number as u16).to_be_bytes());
        let mut key = block.into();
        cipher.encrypt_block(&mut key);
        for (octet, key) in chunk.iter_mut().zip(key) {
            *octet ^= key;
        }
    }
}

/// Compares in a time that depends on the length only.
fn is_same(own: &[u8], other: &[u8]) -> bool {
    let differing = own.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    own.len() == other.len() && std::hint::black_box(differing) == 0
}

fn word(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_be_bytes(*word))
}

/// SSRC and sequence number of a packet that has a header.
fn names(octets: &[u8], len: usize) -> Option<(u32, u16)> {
    let head = octets.get(..len)?.first_chunk::<RTP_HEADER>()?;
    Some((word(head, 8), u16::from_be_bytes([head[2], head[3]])))
}

/// Where the payload begins: behind contributing sources and extension (RFC 3550 §5.1, §5.3.1).
fn payload_at(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut at = RTP_HEADER + usize::from(first & 0x0F) * 4;
    if first & 0x10 != 0 {
        let extension = packet.get(at..)?.first_chunk::<4>()?;
        at += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
    }
    (at <= packet.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    fn key(number: u8) -> SrtpKey {
        SrtpKey { key: [number; 16], salt: [number ^ 0x5A; 14] }
    }

    /// Both ends of a call.
    fn ends(suite: SrtpSuite) -> (Srtp, Srtp) {
        let one = Srtp::new(SrtpKeys { suite, ours: key(1), theirs: key(2) });
        (one, Srtp::new(SrtpKeys { suite, ours: key(2), theirs: key(1) }))
    }

    const SUITES: [SrtpSuite; 2] = [SrtpSuite::Aes128HmacSha1Tag80, SrtpSuite::Aes128HmacSha1Tag32];

    fn packet(sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 160, 0, 0, 0, 9];
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet.extend((0..160).map(|n| n as u8));
        packet
    }

    fn protected(end: &mut Srtp, packet: &[u8]) -> Vec<u8> {
        let mut octets = packet.to_vec();
        octets.resize(packet.len() + LONGEST_TAG, 0);
        let len = end.protect(&mut octets, packet.len());
        octets.truncate(len);
        octets
    }

    #[test]
    fn keys_are_derived_as_in_rfc_3711_b_3() {
        let master = SrtpKey {
            key: hex("E1F97A0D3E018BE0D64FA32C06DE4139").try_into().unwrap(),
            salt: hex("0EC675AD498AFEEBB6960B3AABE6").try_into().unwrap(),
        };
        let prf = Aes128::new(&master.key.into());
        let derived = |label: u8, len: usize| {
            let mut salt = master.salt;
            salt[7] ^= label;
            let mut into = vec![0; len];
            key_stream(&prf, counter(&salt), &mut into);
            into
        };
        assert_eq!(derived(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        let authentication = hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
        assert_eq!(derived(1, 20), authentication);
        assert_eq!(Session::derive(master, 0).salt.to_vec(), derived(2, 14));
    }

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_b_2() {
        let key: [u8; 16] = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
        let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let mut stream = [0; 48];
        key_stream(&Aes128::new(&key.into()), counter(&salt), &mut stream);
        let expected = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB\
                        41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream.to_vec(), hex(expected));
    }

    #[test]
    fn what_is_protected_comes_back_over_roll_overs_and_in_any_order() {
        for suite in SUITES {
            let (mut one, mut two) = ends(suite);
            let mut under_way: Vec<_> = (0..300u32)
                .map(|n| {
                    let plain = packet(65_400u16.wrapping_add(n as u16));
                    let sent = protected(&mut one, &plain);
                    assert_ne!(sent[12..172], plain[12..]);
                    (plain, sent)
                })
                .collect();
            for ten in under_way.chunks_mut(10) {
                ten.reverse();
            }
            for (plain, mut sent) in under_way {
                let len = two.unprotect(&mut sent).unwrap();
                assert_eq!(sent[..len], plain);
            }
        }
    }

    #[test]
    fn a_new_key_of_one_direction_leaves_the_other_one_where_it_is() {
        let suite = SUITES[0];
        let (mut one, mut two) = ends(suite);
        // Past a roll-over, which a stream that began anew would know nothing of.
        for n in 0..10u16 {
            let mut sent = protected(&mut one, &packet(65_530u16.wrapping_add(n)));
            two.unprotect(&mut sent).unwrap();
        }
        two.update(SrtpKeys { suite, ours: key(7), theirs: key(1) });
        let mut sent = protected(&mut one, &packet(10));
        assert!(two.unprotect(&mut sent).is_ok());
        let mut back = protected(&mut two, &packet(1));
        assert_eq!(one.unprotect(&mut back.clone()), Err(Refused::Tag));
        one.update(SrtpKeys { suite, ours: key(1), theirs: key(7) });
        assert!(one.unprotect(&mut back).is_ok());
        let mut sent = protected(&mut one, &packet(11));
        assert!(two.unprotect(&mut sent).is_ok());
    }

    #[test]
    fn forgeries_and_replays_are_refused_and_left_alone() {
        for suite in SUITES {
            let (mut one, mut two) = ends(suite);
            let sent = protected(&mut one, &packet(7));
            for place in [0, 3, 11, 12, 100, sent.len() - 1] {
                let mut forged = sent.clone();
                forged[place] ^= 1;
                let before = forged.clone();
                assert_eq!(two.unprotect(&mut forged), Err(Refused::Tag), "octet {place}");
                assert_eq!(forged, before);
            }
            assert!(two.unprotect(&mut sent.clone()).is_ok());
            assert_eq!(two.unprotect(&mut sent.clone()), Err(Refused::Replay));
            assert_eq!(two.unprotect(&mut [0x80; 3]), Err(Refused::Short));
        }
    }

    #[test]
    fn reports_are_protected_too() {
        let (mut one, mut two) = ends(SrtpSuite::Aes128HmacSha1Tag32);
        let plain = [0x80, 201, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4];
        let mut octets = [0; 12 + CONTROL_OVERHEAD];
        octets[..12].copy_from_slice(&plain);
        let len = one.protect_control(&mut octets, 12);
        assert_eq!((len, &octets[..8]), (26, &plain[..8]));
        assert_ne!(octets[8..12], plain[8..]);
        let mut came = octets;
        assert_eq!(two.unprotect_control(&mut came[..len]), Ok(12));
        assert_eq!(came[..12], plain);
        let mut again = octets;
        assert_eq!(two.unprotect_control(&mut again[..len]), Err(Refused::Replay));
        octets[9] ^= 1;
        assert_eq!(two.unprotect_control(&mut octets[..len]), Err(Refused::Tag));
    }

    proptest! {
        #[test]
        fn hostile_octets_are_refused(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let (_, mut two) = ends(SrtpSuite::Aes128HmacSha1Tag80);
            prop_assert!(two.unprotect(&mut octets.clone()).is_err());
            prop_assert!(two.unprotect_control(&mut octets.clone()).is_err());
        }

        #[test]
        fn an_index_is_taken_once(sequences in prop::collection::vec(0u16..200, 1..100)) {
            let mut position = Position::default();
            let mut taken = std::collections::HashSet::new();
            for sequence in sequences {
                let index = position.index(sequence);
                if position.is_new(index) {
                    prop_assert!(taken.insert(index));
                    position.note(index);
                }
            }
        }
    }
}
