//! A first look at a datagram, before it is parsed: what is no SIP is dropped, a method that
//! nobody knows is answered here, because the stack below knows a closed list of them.

use super::agent::ALLOW;

/// Methods that the stack parses (RFC 3261 and its extensions).
const METHODS: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];

/// What becomes of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Screened {
    /// Let it through.
    Pass,
    /// Forget it.
    Drop,
    /// Send this back; never longer than what came.
    Answer(Vec<u8>),
}

/// Looks at a datagram that was received into a buffer of `room` octets.
pub(super) fn screen(datagram: &[u8], room: usize) -> Screened {
    if datagram.len() >= room {
        return Screened::Drop; // cut off
    }
    if datagram.iter().all(|c| matches!(c, b'\r' | b'\n')) {
        return Screened::Pass; // keep-alive (RFC 5626 §4.4.1), answered below
    }
    let line_end = datagram.iter().position(|c| *c == b'\r').unwrap_or(datagram.len());
    let Ok(start) = std::str::from_utf8(&datagram[..line_end]) else { return Screened::Drop };
    if start.starts_with("SIP/2.0 ") {
        return Screened::Pass;
    }
    let Some((method, rest)) = start.split_once(' ') else { return Screened::Drop };
    if !rest.ends_with(" SIP/2.0") || !method.bytes().all(|c| c.is_ascii_alphabetic()) {
        return Screened::Drop; // STUN and everything else
    }
    if METHODS.contains(&method) {
        return Screened::Pass;
    }
    // RFC 3261 §8.2.1
    let text = String::from_utf8_lossy(datagram);
    let copied = ["via:", "v:", "from:", "f:", "to:", "t:", "call-id:", "i:", "cseq:"];
    let mut answer = String::from("SIP/2.0 405 Refused\r\n");
    for line in text.split("\r\n").skip(1).take_while(|line| !line.is_empty()) {
        let lower = line.to_ascii_lowercase();
        if copied.iter().any(|name| lower.starts_with(name)) {
            answer += line;
            answer += "\r\n";
        }
    }
    let full = format!("{answer}Allow: {ALLOW}\r\nContent-Length: 0\r\n\r\n");
    let brief = format!("{answer}l: 0\r\n\r\n");
    [full, brief]
        .into_iter()
        .find(|text| text.len() <= datagram.len())
        .map_or(Screened::Drop, |text| Screened::Answer(text.into_bytes()))
}

/// A message without a Content-Length has all that came with it (RFC 3261 §18.3, RFC 7118 §5.1);
/// the parser takes it to have no body. The same with one; `None` where none is missing.
pub(super) fn with_length(message: &[u8]) -> Option<Vec<u8>> {
    let end = message.windows(4).position(|end| end == b"\r\n\r\n")?;
    let (head, body) = (&message[..end], &message[end + 4..]);
    let is_length = |line: &[u8]| {
        let name = line.split(|octet| *octet == b':').next().unwrap_or(line).trim_ascii();
        name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l")
    };
    if body.is_empty() || head.split(|octet| *octet == b'\n').any(is_length) {
        return None;
    }
    let length = format!("\r\nContent-Length: {}\r\n\r\n", body.len());
    Some([head, length.as_bytes(), body].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str) -> String {
        format!(
            "{method} sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nf: <sip:b@h>;tag=1\r\n\
             To: <sip:a@h>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
             User-Agent: a telephone with a rather long name and a version 1.2.3\r\n\
             Contact: <sip:b@somewhere.example.com:5060>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    #[test]
    fn known_methods_pass_and_unknown_ones_are_answered() {
        for method in METHODS {
            assert_eq!(screen(request(method).as_bytes(), 8192), Screened::Pass);
        }
        let Screened::Answer(answer) = screen(request("NEWMETHOD").as_bytes(), 8192) else {
            panic!("it is not answered")
        };
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("SIP/2.0 405 "));
        assert!(answer.contains("f: <sip:b@h>;tag=1") && answer.contains("Allow: INVITE"));
        assert!(answer.len() <= request("NEWMETHOD").len());
        assert_eq!(screen(b"X sip:a@h SIP/2.0\r\n\r\n", 8192), Screened::Drop);
    }

    #[test]
    fn a_body_without_a_length_reaches_to_the_end() {
        let longer = with_length(b"A b SIP/2.0\r\nX: 1\r\n\r\nv=0\r\n").unwrap();
        assert_eq!(longer, b"A b SIP/2.0\r\nX: 1\r\nContent-Length: 5\r\n\r\nv=0\r\n");
        for whole in [
            &b"A b SIP/2.0\r\ncontent-length : 5\r\n\r\nv=0\r\n"[..],
            b"A b SIP/2.0\r\nl:2\r\n\r\nv=0\r\n",
            b"A b SIP/2.0\r\nX: 1\r\n\r\n",
            b"A b SIP/2.0\r\nX: 1",
            b"\r\n\r\n",
            b"",
        ] {
            assert_eq!(with_length(whole), None);
        }
    }

    #[test]
    fn what_is_no_sip_is_dropped() {
        for junk in
            [&b"\x00\x01\x00\x00\x21\x12\xa4\x42"[..], b"GET / HTTP/1.1\r\n", b"x", b"\xff\xff"]
        {
            assert_eq!(screen(junk, 8192), Screened::Drop);
        }
        assert_eq!(screen(b"\r\n\r\n", 8192), Screened::Pass);
        assert_eq!(screen(b"SIP/2.0 200 OK\r\n\r\n", 8192), Screened::Pass);
        assert_eq!(screen(&vec![b'A'; 8192], 8192), Screened::Drop);
    }
}
