//! SIP messages as text: a start line, headers in order, a body (RFC 3261 §7).
//!
//! The rules in this folder read and write header values as the peer spelled them. A value that
//! goes back to the peer (To, Via, Contact, Record-Route) is echoed, never re-printed from a
//! parsed form, because phones compare it with what they sent.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::net::SocketAddr;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One datagram, one message.
    Udp,
    /// A stream, framed by Content-Length.
    Tcp,
}

impl Transport {
    /// As written in a Via header.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// The far end of a hop: where a message came from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// UDP or TCP.
    pub transport: Transport,
    /// Address as seen on the wire, behind any NAT.
    pub address: SocketAddr,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.token().to_ascii_lowercase(), self.address)
    }
}

/// Headers in their order on the wire, with long names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Appends a header; line breaks in `value` become spaces, so that no value can end the
    /// header it stands in.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        let mut value = value.into();
        if value.contains(['\r', '\n']) {
            value = value.replace(['\r', '\n'], " ");
        }
        self.0.push((long_name(name).to_owned(), value));
    }

    /// First value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every line of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every value of a header that may list several on a line (RFC 3261 §7.3.1).
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(split_commas)
    }

    /// Whether a list header names `token`, in any case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|item| item.eq_ignore_ascii_case(token))
    }

    /// Replaces every line of a header by one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.push(name, value);
    }

    /// Name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

/// RFC 3261 §7.3.3 and the extensions that define a compact form.
fn long_name(name: &str) -> &str {
    match name {
        "a" | "A" => "Accept-Contact",
        "b" | "B" => "Referred-By",
        "c" | "C" => "Content-Type",
        "e" | "E" => "Content-Encoding",
        "f" | "F" => "From",
        "i" | "I" => "Call-ID",
        "k" | "K" => "Supported",
        "l" | "L" => "Content-Length",
        "m" | "M" => "Contact",
        "o" | "O" => "Event",
        "r" | "R" => "Refer-To",
        "s" | "S" => "Subject",
        "t" | "T" => "To",
        "u" | "U" => "Allow-Events",
        "v" | "V" => "Via",
        "x" | "X" => "Session-Expires",
        other => other,
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// Request-URI as written.
    pub uri: String,
    /// Headers, without Content-Length.
    pub headers: Headers,
    /// Body.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// Headers, without Content-Length.
    pub headers: Headers,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// Number of the CSeq header; `None` if it is missing, malformed or not of this method.
    pub fn cseq(&self) -> Option<u32> {
        let (number, method) = cseq(&self.headers)?;
        (method == self.method).then_some(number)
    }

    /// The Call-ID, empty if there is none.
    pub fn call_id(&self) -> &str {
        self.headers.get("Call-ID").unwrap_or("").trim()
    }

    /// Tag of the From header.
    pub fn from_tag(&self) -> Option<String> {
        tag(self.headers.get("From")?)
    }

    /// Tag of the To header.
    pub fn to_tag(&self) -> Option<String> {
        tag(self.headers.get("To")?)
    }

    /// Whether what every request must have is there once and well-formed (RFC 3261 §8.1.1).
    pub fn is_well_formed(&self) -> bool {
        ["From", "To", "Call-ID", "CSeq"].iter().all(|name| self.headers.all(name).count() == 1)
            && self.headers.get("Via").is_some()
            && !self.call_id().is_empty()
            && self.cseq().is_some_and(|number| number < 1 << 31)
            && self.from_tag().is_some()
            && self.headers.get("To").is_some_and(|to| NameAddr::parse(to).is_some())
    }

    /// A response with what RFC 3261 §8.2.6.2 copies from the request. `to_tag` is added where
    /// the request has none.
    pub fn response(&self, status: u16, to_tag: Option<&str>) -> Response {
        let mut headers = Headers::default();
        for (name, value) in self.headers.iter() {
            match name {
                "Via" | "From" | "Call-ID" | "CSeq" => headers.push(name, value),
                "To" => match to_tag {
                    Some(new) if tag(value).is_none() => {
                        headers.push(name, format!("{value};tag={new}"));
                    }
                    _ => headers.push(name, value),
                },
                _ => {}
            }
        }
        Response { status, headers, body: Vec::new() }
    }
}

impl Response {
    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Number and method of the CSeq header.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        cseq(&self.headers)
    }

    /// Tag of the To header.
    pub fn to_tag(&self) -> Option<String> {
        tag(self.headers.get("To")?)
    }
}

impl Request {
    /// As sent.
    pub fn to_wire(&self) -> Vec<u8> {
        to_wire(&format!("{} {} SIP/2.0", self.method, self.uri), &self.headers, &self.body)
    }

    /// Reads what [`to_wire`](Self::to_wire) writes, and what a transport has framed; header
    /// lines without a colon are skipped.
    pub fn from_wire(message: &[u8]) -> Option<Self> {
        let (start, headers, body) = from_wire(message)?;
        let mut words = start.split(' ');
        let (method, uri, version) = (words.next()?, words.next()?, words.next()?);
        (version == "SIP/2.0").then(|| Self {
            method: method.to_owned(),
            uri: uri.to_owned(),
            headers,
            body,
        })
    }
}

impl Response {
    /// As sent.
    pub fn to_wire(&self) -> Vec<u8> {
        // Nobody reads the phrase; the parser wants one.
        to_wire(
            &format!("SIP/2.0 {} {}", self.status, phrase(self.status)),
            &self.headers,
            &self.body,
        )
    }

    /// As [`Request::from_wire`].
    pub fn from_wire(message: &[u8]) -> Option<Self> {
        let (start, headers, body) = from_wire(message)?;
        let status = start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
        (100..700).contains(&status).then_some(Self { status, headers, body })
    }
}

const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        101..=199 => "Ringing",
        200..=299 => "OK",
        300..=399 => "Redirected",
        400..=499 => "Refused",
        500..=599 => "Failed",
        _ => "Declined",
    }
}

fn to_wire(start: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(512);
    text.push_str(start);
    for (name, value) in headers.iter() {
        let _ = write!(text, "\r\n{name}: {value}");
    }
    let _ = write!(text, "\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut wire = text.into_bytes();
    wire.extend_from_slice(body);
    wire
}

fn from_wire(message: &[u8]) -> Option<(String, Headers, Vec<u8>)> {
    let end = message.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&message[..end]);
    let mut lines = head.split("\r\n");
    let start = lines.next()?.to_owned();
    let mut headers = Headers::default();
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && !name.trim().eq_ignore_ascii_case("Content-Length")
        {
            headers.push(name.trim(), value.trim());
        }
    }
    Some((start, headers, message[end + 4..].to_vec()))
}

fn cseq(headers: &Headers) -> Option<(u32, &str)> {
    let (number, method) = headers.get("CSeq")?.trim().split_once([' ', '\t'])?;
    Some((number.parse().ok()?, method.trim()))
}

fn tag(name_addr: &str) -> Option<String> {
    let value = NameAddr::parse(name_addr)?.param("tag")?.to_owned();
    (!value.is_empty()).then_some(value)
}

/// `"Name" <uri>;param=value`, or a bare URI whose parameters belong to the header
/// (RFC 3261 §20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// Displayed name without its quotes.
    pub display: Option<String>,
    /// The URI as written.
    pub uri: String,
    /// Header parameters as written.
    pub params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// `None` if brackets or quotes do not match or there is no URI.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        let (display, rest) = if let Some(quoted) = value.strip_prefix('"') {
            let end = closing_quote(quoted)?;
            (Some(unescape(&quoted[..end])), quoted[end + 1..].trim_start())
        } else {
            match value.find('<') {
                Some(at) => {
                    let name = value[..at].trim();
                    ((!name.is_empty()).then(|| name.to_owned()), &value[at..])
                }
                None => (None, value),
            }
        };
        let (uri, params) = if let Some(inner) = rest.strip_prefix('<') {
            let end = inner.find('>')?;
            (inner[..end].trim(), inner[end + 1..].trim_start())
        } else if display.is_some() {
            return None;
        } else {
            rest.split_at(rest.find(';').unwrap_or(rest.len()))
        };
        (!uri.is_empty()).then(|| Self {
            display: display.filter(|d| !d.is_empty()),
            uri: uri.to_owned(),
            params: parse_params(params),
        })
    }

    /// Value of a parameter: `Some("")` where it has none.
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.params, name)
    }
}

/// A `sip:`, `sips:` or `tel:` URI, split but not interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// Lower case.
    pub scheme: String,
    /// User part with escapes resolved, without a password; the number of a `tel:` URI.
    pub user: Option<String>,
    /// Host without brackets, lower case; empty for `tel:`.
    pub host: String,
    /// Port, if written.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Vec<(String, Option<String>)>,
}

impl Uri {
    /// `None` for what has no scheme, no host or an impossible port.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.trim().split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split('?').next().unwrap_or("");
        if scheme == "tel" {
            let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            let params = parse_params(params);
            return Some(Self {
                scheme,
                user: Some(percent_decode(number)),
                host: String::new(),
                port: None,
                params,
            });
        }
        // '@' may not stand unescaped in a user part; taking the last one refuses to be fooled.
        let (user, place) = match rest.rfind('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let user = user.map(|u| percent_decode(u.split(':').next().unwrap_or("")));
        let (host_port, params) = place.split_at(place.find(';').unwrap_or(place.len()));
        let (host, port) = if let Some(inner) = host_port.strip_prefix('[') {
            let (host, after) = inner.split_once(']')?;
            (host, after.strip_prefix(':'))
        } else {
            match host_port.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host_port, None),
            }
        };
        let port = match port {
            Some(digits) => Some(digits.trim().parse().ok().filter(|p| *p != 0)?),
            None => None,
        };
        (!host.is_empty()).then(|| Self {
            scheme,
            user: user.filter(|u| !u.is_empty()),
            host: host.to_ascii_lowercase(),
            port,
            params: parse_params(params),
        })
    }

    /// Value of a URI parameter: `Some("")` where it has none.
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.params, name)
    }

    /// Address, where the host is one; the default port is 5060.
    pub fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port.unwrap_or(5060)))
    }
}

fn param<'a>(params: &'a [(String, Option<String>)], name: &str) -> Option<&'a str> {
    params
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_deref().unwrap_or(""))
}

/// `;a=b;c` into pairs; quotes around a value are removed.
fn parse_params(text: &str) -> Vec<(String, Option<String>)> {
    split_outside_quotes(text, ';')
        .filter(|p| !p.is_empty())
        .map(|p| match p.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(unquote(value.trim()))),
            None => (p.to_owned(), None),
        })
        .collect()
}

/// Splits at commas that stand neither in quotes nor in angle brackets.
pub fn split_commas(value: &str) -> impl Iterator<Item = &str> {
    split_outside_quotes(value, ',').filter(|item| !item.is_empty())
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
        for (at, c) in current.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '<' if !quoted => depth += 1,
                '>' if !quoted => depth = depth.saturating_sub(1),
                _ if c == separator && !quoted && depth == 0 => {
                    rest = Some(&current[at + c.len_utf8()..]);
                    return Some(current[..at].trim());
                }
                _ => {}
            }
        }
        rest = None;
        Some(current.trim())
    })
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// Removes quotes and their escapes, if there are any.
pub fn unquote(value: &str) -> String {
    match value.strip_prefix('"') {
        Some(inner) => unescape(&inner[..closing_quote(inner).unwrap_or(inner.len())]),
        None => value.to_owned(),
    }
}

/// A displayed name as a quoted string; control characters are dropped.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A user part with everything escaped that RFC 3261 §25.1 does not allow there.
pub fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for octet in user.bytes() {
        match octet {
            b'0'..=b'9'
            | b'A'..=b'Z'
            | b'a'..=b'z'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'~'
            | b'*'
            | b'\''
            | b'('
            | b')'
            | b'&'
            | b'='
            | b'+'
            | b'$'
            | b','
            | b'/' => out.push(octet as char),
            _ => {
                let _ = write!(out, "%{octet:02X}");
            }
        }
    }
    out
}

fn percent_decode(text: &str) -> String {
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut i = 0;
    while i < octets.len() {
        let hex = octets.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(octet) if octets[i] == b'%' => {
                out.push(octet);
                i += 3;
            }
            _ => {
                out.push(octets[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_addr_keeps_header_parameters_apart_from_uri_parameters() {
        let n =
            NameAddr::parse(r#""A. \"G\" <Bell>" <sip:bell@h;transport=tcp>;tag=9;q=0.5"#).unwrap();
        assert_eq!(n.display.as_deref(), Some(r#"A. "G" <Bell>"#));
        assert_eq!(n.uri, "sip:bell@h;transport=tcp");
        assert_eq!((n.param("tag"), n.param("q"), n.param("x")), (Some("9"), Some("0.5"), None));
        let bare = NameAddr::parse("sip:bell@h;tag=9").unwrap();
        assert_eq!((bare.uri.as_str(), bare.param("tag")), ("sip:bell@h", Some("9")));
        for bad in ["", "<sip:a@b", "\"x <sip:a@b>", "\"x\" sip:a@b", "<>"] {
            assert_eq!(NameAddr::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        let items: Vec<_> =
            split_commas(r#""a, b" <sip:x@h,y>;q=1 , <sip:z@h>,, sip:w@h"#).collect();
        assert_eq!(items, [r#""a, b" <sip:x@h,y>;q=1"#, "<sip:z@h>", "sip:w@h"]);
    }

    #[test]
    fn uris_of_phones() {
        let u = Uri::parse("sip:phone1-0x5570@127.0.0.1:38843;transport=TCP").unwrap();
        assert_eq!(
            (u.user.as_deref(), u.host.as_str(), u.port),
            (Some("phone1-0x5570"), "127.0.0.1", Some(38843))
        );
        assert_eq!(u.param("Transport"), Some("TCP"));
        assert_eq!(
            Uri::parse("sip:%23100:pw@[2001:db8::1]:5070").unwrap().user.as_deref(),
            Some("#100")
        );
        assert_eq!(Uri::parse("sip:[2001:db8::1]").unwrap().address().unwrap().port(), 5060);
        assert_eq!(Uri::parse("tel:+1-201;ext=5").unwrap().user.as_deref(), Some("+1-201"));
        assert_eq!(Uri::parse("sip:h").unwrap().user, None);
        for bad in ["", "sip:", "nonsense", "sip:a@", "sip:a@h:0", "sip:a@h:99999", "sip:a@[::1"] {
            assert_eq!(Uri::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_response_copies_what_it_must_and_adds_the_tag_once() {
        let mut headers = Headers::default();
        for (name, value) in [
            ("v", "SIP/2.0/UDP a"),
            ("v", "SIP/2.0/UDP b"),
            ("f", "<sip:a@h>;tag=1"),
            ("t", "<sip:b@h>"),
            ("i", "c1"),
            ("CSeq", "7 INVITE"),
            ("Subject", "no"),
        ] {
            headers.push(name, value);
        }
        let request =
            Request { method: "INVITE".into(), uri: "sip:b@h".into(), headers, body: vec![] };
        assert!(request.is_well_formed());
        let response = request.response(180, Some("t2"));
        assert_eq!(response.headers.all("Via").count(), 2);
        assert_eq!(response.to_tag().as_deref(), Some("t2"));
        assert_eq!(response.headers.get("Subject"), None);
        assert_eq!(response.cseq(), Some((7, "INVITE")));
    }

    #[test]
    fn no_value_can_end_its_header() {
        let mut headers = Headers::default();
        headers.push("From", "a\r\nEvil: 1");
        assert_eq!(headers.get("From"), Some("a  Evil: 1"));
        assert_eq!(quote("a\"\r\nb"), r#""a\"b""#);
        assert_eq!(escape_user("a b@c#"), "a%20b%40c%23");
    }
}
