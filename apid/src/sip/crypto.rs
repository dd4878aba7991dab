//! Keys of encrypted RTP in a description: `a=crypto` (RFC 4568), which only a signalling path that is
//! itself encrypted keeps secret.

use data_encoding::BASE64;
use tipring_shm_proto::command::{SrtpKey, SrtpKeys, SrtpSuite};

/// Suites that can be used, with their names.
const SUITES: [(&str, SrtpSuite); 2] = [
    ("AES_CM_128_HMAC_SHA1_80", SrtpSuite::Aes128HmacSha1Tag80),
    ("AES_CM_128_HMAC_SHA1_32", SrtpSuite::Aes128HmacSha1Tag32),
];
/// Octets of master key and salt together.
const KEY_OCTETS: usize = 30;

/// Whether audio is encrypted between us and a phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Where the phone offers it; we offer it where signalling is encrypted, and talk without if the
    /// phone knows nothing of it (RFC 8643).
    #[default]
    Automatic,
    /// A call without it is refused.
    Required,
    /// Never.
    Off,
}

/// Our half of a line of keys: what an offer of ours says, or our answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OurKey {
    /// Names the line, in offer and answer (RFC 4568 §9.1).
    tag: u32,
    suite: SrtpSuite,
    key: SrtpKey,
}

impl OurKey {
    /// One that nobody has used before, for an offer. The suite is the one that everybody has to know.
    pub(super) fn fresh() -> Self {
        Self { tag: 1, suite: SrtpSuite::Aes128HmacSha1Tag80, key: fresh() }
    }

    /// The attribute's value.
    pub(super) fn line(&self) -> String {
        let name =
            SUITES.iter().find(|(_, known)| *known == self.suite).map_or("", |(name, _)| name);
        let octets = [&self.key.key[..], &self.key.salt[..]].concat();
        format!("{} {name} inline:{}", self.tag, BASE64.encode(&octets))
    }
}

/// A line that was chosen from an offer or came as an answer, with both keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto {
    tag: u32,
    pub(super) keys: SrtpKeys,
}

impl Crypto {
    /// The first of an offer's lines that can be used, with a new key of ours.
    pub(super) fn choose<'a>(mut offered: impl Iterator<Item = &'a str>) -> Option<Self> {
        offered.find_map(|value| {
            let OurKey { tag, suite, key: theirs } = read(value)?;
            Some(Self { tag, keys: SrtpKeys { suite, ours: fresh(), theirs } })
        })
    }

    /// Our key of this call stays the same for as long as the suite does: what is sent goes on.
    pub(super) fn keep(&mut self, before: Option<OurKey>) {
        if let Some(before) = before.filter(|before| before.suite == self.keys.suite) {
            self.keys.ours = before.key;
        }
    }

    /// Our half of it.
    pub(super) const fn ours(&self) -> OurKey {
        OurKey { tag: self.tag, suite: self.keys.suite, key: self.keys.ours }
    }
}

/// Tag, suite and key of a line; lines with a master key identifier, several keys or session
/// parameters (no encryption, other rates) are not ours.
fn read(value: &str) -> Option<OurKey> {
    let mut parts = value.split_ascii_whitespace();
    let tag = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let (_, suite) = SUITES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let mut key = parts.next()?.strip_prefix("inline:")?.split('|');
    let octets = BASE64.decode(key.next()?.as_bytes()).ok()?;
    // A lifetime says after how many packets to change keys; calls end before. An identifier has a
    // colon.
    let plain = key.all(|rest| !rest.contains(':')) && parts.next().is_none();
    let key = key_of(octets.try_into().ok()?);
    plain.then_some(OurKey { tag, suite: *suite, key })
}

/// A key nobody has used before.
fn fresh() -> SrtpKey {
    let mut octets = [0; KEY_OCTETS];
    getrandom::fill(&mut octets).expect("the kernel has randomness once it has booted");
    key_of(octets)
}

fn key_of(octets: [u8; KEY_OCTETS]) -> SrtpKey {
    let mut key = SrtpKey { key: [0; 16], salt: [0; 14] };
    key.key.copy_from_slice(&octets[..16]);
    key.salt.copy_from_slice(&octets[16..]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

    #[test]
    fn the_first_line_that_can_be_used_is_taken() {
        let lines = [
            format!("1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}"),
            format!("2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
            format!("3 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            "4 AES_CM_128_HMAC_SHA1_80 inline:tooshort".to_owned(),
            format!("5 aes_cm_128_hmac_sha1_80 inline:{KEY}|2^31"),
            format!("6 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"),
        ];
        let chosen = Crypto::choose(lines.iter().map(String::as_str)).unwrap();
        assert_eq!((chosen.tag, chosen.keys.suite), (5, SrtpSuite::Aes128HmacSha1Tag80));
        let expected: [u8; KEY_OCTETS] = std::array::from_fn(|n| n as u8);
        assert_eq!(chosen.keys.theirs, key_of(expected));
        assert_eq!(Crypto::choose(lines[..4].iter().map(String::as_str)), None);
    }

    #[test]
    fn our_key_is_fresh_reads_back_and_is_kept() {
        let line = format!("9 AES_CM_128_HMAC_SHA1_32 inline:{KEY}");
        let choose = || Crypto::choose([&*line].into_iter()).unwrap();
        let (one, mut two) = (choose(), choose());
        assert_ne!(one.keys.ours, two.keys.ours);
        assert_eq!(read(&one.ours().line()), Some(one.ours()));
        two.keep(Some(OurKey::fresh()));
        assert_ne!(one.keys.ours, two.keys.ours, "a key of another suite");
        two.keep(Some(one.ours()));
        assert_eq!(one.keys.ours, two.keys.ours);
    }

    #[test]
    fn nothing_prints_a_key() {
        let (offered, line) = (OurKey::fresh(), OurKey::fresh().line());
        let chosen = Crypto::choose([&*line].into_iter()).unwrap();
        for shown in [format!("{offered:?}"), format!("{chosen:?}")] {
            assert!(shown.contains("SrtpKey(…)"), "{shown}");
        }
    }
}
