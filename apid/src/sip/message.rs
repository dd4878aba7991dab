//! SIP messages as text: a start line, headers in order, a body (RFC 3261 §7).
//!
//! The rules in this folder read and write header values as the peer spelled them. A value that
//! goes back to the peer (To, Via, Contact, Record-Route) is echoed, never re-printed from a
//! parsed form, because phones compare it with what they sent.

use super::address::{NameAddr, split_commas};
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
    /// The same, encrypted.
    Tls,
    /// Messages on a WebSocket (RFC 7118).
    Ws,
    /// The same, encrypted.
    Wss,
}

impl Transport {
    /// As written in a Via header.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// As written at the end of a URI (RFC 3261 §19.1.1; RFC 7118 §5.3 has one word for both
    /// kinds of WebSocket).
    pub(super) const fn uri_param(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }
}

/// The far end of a hop: where a message came from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// How.
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
        self.remove(name);
        self.push(name, value);
    }

    /// Takes every line of a header out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
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

pub(super) const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        101..=199 => "Ringing",
        202 => "Accepted",
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

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
