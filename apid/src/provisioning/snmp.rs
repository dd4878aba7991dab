//! The one question that an HT80x answers by SNMP (v2c, RFC 3416): is a port's handset down.
//! Messages are BER of fixed shape, written and read here; nothing is sent from here.

/// The object of a port: 1.3.6.1.4.1.42397.1.2.2.1.PORT.0.0.
fn object(port: u8) -> Vec<u8> {
    // 42397 in base 128: 2, 75, 29.
    vec![0x2b, 6, 1, 4, 1, 0x82, 0xcb, 0x1d, 1, 2, 2, 1, port, 0, 0]
}

/// A GetRequest for the hook state of a port, counted from 1.
pub(super) fn question(community: &str, request: u16, port: u8) -> Vec<u8> {
    let name = tlv(0x06, &object(port));
    let binding = tlv(0x30, &[name, tlv(0x05, &[])].concat());
    let id = [0, (request >> 8) as u8, request as u8];
    let zero = || tlv(0x02, &[0]);
    let body = [tlv(0x02, &id), zero(), zero(), tlv(0x30, &binding)].concat();
    let version = tlv(0x02, &[1]);
    let community: String = community.chars().take(64).collect();
    tlv(0x30, &[version, tlv(0x04, community.as_bytes()), tlv(0xa0, &body)].concat())
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend_from_slice(value);
    out
}

/// Takes one element off the front: its value and what follows. Nothing longer than a datagram.
fn take(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = octets.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), &rest[2..]),
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// Whether the handset is off, from the answer to question number `request` of `port`.
pub(super) fn answer(octets: &[u8], request: u16, port: u8) -> Option<bool> {
    let (message, _) = take(octets, 0x30)?;
    let (_version, rest) = take(message, 0x02)?;
    let (_community, rest) = take(rest, 0x04)?;
    let (body, _) = take(rest, 0xa2)?;
    let (id, rest) = take(body, 0x02)?;
    let number = id.iter().fold(0_u32, |number, octet| number << 8 | u32::from(*octet));
    let (error, rest) = take(rest, 0x02)?;
    let (_index, rest) = take(rest, 0x02)?;
    let (bindings, _) = take(rest, 0x30)?;
    let (binding, _) = take(bindings, 0x30)?;
    let (name, value) = take(binding, 0x06)?;
    let (text, _) = take(value, 0x04)?;
    let ours = number == u32::from(request) && error == [0] && name == object(port);
    match text.to_ascii_lowercase().as_slice() {
        b"on hook" if ours => Some(false),
        b"off hook" if ours => Some(true),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::provisioning) fn reply(request: u16, port: u8, text: &str) -> Vec<u8> {
        let name = tlv(0x06, &object(port));
        let binding = tlv(0x30, &[name, tlv(0x04, text.as_bytes())].concat());
        let id = [(request >> 8) as u8, request as u8];
        let zero = || tlv(0x02, &[0]);
        let body = [tlv(0x02, &id), zero(), zero(), tlv(0x30, &binding)].concat();
        tlv(0x30, &[tlv(0x02, &[1]), tlv(0x04, b"public"), tlv(0xa2, &body)].concat())
    }

    #[test]
    fn the_question_is_the_one_that_tools_send() {
        // snmpget -v2c -c public HOST .1.3.6.1.4.1.42397.1.2.2.1.1.0.0, by hand from RFC 3416.
        let asked = question("public", 7, 1);
        assert!(asked.starts_with(b"\x30\x2f\x02\x01\x01\x04\x06public"), "{asked:x?}");
        assert!(asked.windows(4).any(|w| w == [0x82, 0xcb, 0x1d, 1]), "42397");
        let number = 2 << 14 | 0x4b << 7 | 0x1d;
        assert_eq!(number, 42397);
    }

    #[test]
    fn answers_are_believed_only_to_our_question() {
        assert_eq!(answer(&reply(300, 2, "Off Hook"), 300, 2), Some(true));
        assert_eq!(answer(&reply(300, 2, "On Hook"), 300, 2), Some(false));
        assert_eq!(answer(&reply(300, 1, "On Hook"), 300, 2), None, "another port");
        assert_eq!(answer(&reply(301, 2, "On Hook"), 300, 2), None, "another question");
        assert_eq!(answer(&reply(300, 2, "Ringing"), 300, 2), None);
        let whole = reply(300, 2, "Off Hook");
        for end in 0..whole.len() {
            assert_eq!(answer(&whole[..end], 300, 2), None, "{end}");
        }
        for at in 0..whole.len() {
            for octet in [0, 0x7f, 0x82, 0xff] {
                let mut spoilt = whole.clone();
                spoilt[at] = octet;
                let _ = answer(&spoilt, 300, 2);
            }
        }
    }
}
