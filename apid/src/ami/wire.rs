//! Octets to packets of headers, and messages to octets. Lines end in CR LF or LF, a packet ends in
//! an empty line. Everything is bounded; nothing that came from elsewhere can end a line.

use std::fmt::{Display, Write as _};

/// Octets of a line, its end included.
pub(super) const MAX_LINE: usize = 16 * 1024;
/// Headers of a packet.
pub(super) const MAX_HEADERS: usize = 256;
/// Octets of a packet.
pub(super) const MAX_PACKET: usize = 64 * 1024;

/// Why a connection cannot go on: where the next packet begins is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireError {
    /// A line is longer than [`MAX_LINE`].
    LineTooLong,
    /// A packet has more than [`MAX_HEADERS`] headers.
    TooManyHeaders,
    /// A packet is longer than [`MAX_PACKET`].
    PacketTooLong,
}

impl Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LineTooLong => write!(f, "Line longer than {MAX_LINE} octets"),
            Self::TooManyHeaders => write!(f, "More than {MAX_HEADERS} headers"),
            Self::PacketTooLong => write!(f, "Packet longer than {MAX_PACKET} octets"),
        }
    }
}

/// What a client sent: headers in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet(Vec<(String, String)>);

impl Packet {
    /// The first header of that name, whatever its case; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let mut named = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map_or("", |(_, value)| value)
    }

    /// All headers of that name, whatever its case.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// All headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Takes octets as they come, gives packets.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    octets: Vec<u8>,
    /// Up to there they were taken.
    taken: usize,
    /// Up to there no end of line was found.
    searched: usize,
    packet: Packet,
    lines: usize,
    packet_octets: usize,
}

impl Decoder {
    /// More octets. Memory is bounded by taking packets until there is none before the next push.
    pub(super) fn push(&mut self, octets: &[u8]) {
        if self.taken > 0 {
            self.octets.drain(..self.taken);
            self.searched -= self.taken;
            self.taken = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// The next packet, if it is there.
    ///
    /// # Errors
    /// [`WireError`]; the connection has to be closed then.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, WireError> {
        loop {
            let from = self.searched.max(self.taken);
            let Some(end) = self.octets[from..].iter().position(|octet| *octet == b'\n') else {
                self.searched = self.octets.len();
                let waiting = self.octets.len() - self.taken;
                return if waiting > MAX_LINE { Err(WireError::LineTooLong) } else { Ok(None) };
            };
            let end = from + end;
            let line = &self.octets[self.taken..end];
            let octets = line.len() + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if octets > MAX_LINE {
                return Err(WireError::LineTooLong);
            }
            if line.is_empty() {
                self.taken = end + 1;
                self.lines = 0;
                self.packet_octets = 0;
                if !self.packet.0.is_empty() {
                    return Ok(Some(std::mem::take(&mut self.packet)));
                }
                continue;
            }
            self.lines += 1;
            self.packet_octets += octets;
            if self.lines > MAX_HEADERS {
                return Err(WireError::TooManyHeaders);
            }
            if self.packet_octets > MAX_PACKET {
                return Err(WireError::PacketTooLong);
            }
            // A line without a colon is no header, and ignored as Asterisk does.
            if let Some(colon) = line.iter().position(|octet| *octet == b':') {
                let name = String::from_utf8_lossy(&line[..colon]).trim().to_owned();
                let value = String::from_utf8_lossy(&line[colon + 1..]);
                self.packet.0.push((name, value.trim_start().to_owned()));
            }
            self.taken = end + 1;
        }
    }
}

/// A response or an event on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message(String);

impl Message {
    /// `Response: Success`.
    pub(super) fn success() -> Self {
        Self::response("Success")
    }

    /// `Response: Error` and why.
    pub(super) fn error(message: impl Display) -> Self {
        Self::response("Error").with("Message", message)
    }

    pub(super) fn response(kind: &str) -> Self {
        Self(String::new()).with("Response", kind)
    }

    /// `Event: name`.
    pub(super) fn event(name: &str) -> Self {
        Self(String::new()).with("Event", name)
    }

    /// One more header. What would end a line or confuse a terminal is left out of both parts.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Display) -> Self {
        let mut line = OneLine(&mut self.0);
        // Writing to memory cannot fail.
        let _ = write!(line, "{name}: {value}");
        self.0.push_str("\r\n");
        self
    }

    /// Lines that are no headers, as the output of `Command` in Asterisk 11.
    #[must_use]
    pub(super) fn with_text(mut self, lines: &[String]) -> Self {
        for line in lines {
            let _ = write!(OneLine(&mut self.0), "{line}");
            self.0.push('\n');
        }
        self.0.push_str("--END COMMAND--\r\n");
        self
    }

    /// Puts `ActionID` behind the first header, unless it is empty.
    #[must_use]
    pub(super) fn for_action(self, action_id: &str) -> Self {
        if action_id.is_empty() {
            return self;
        }
        let (first, rest) = self.0.split_once("\r\n").unwrap_or((&self.0, ""));
        let mut text = Self(format!("{first}\r\n")).with("ActionID", action_id);
        text.0.push_str(rest);
        text
    }

    /// The text without its final empty line, for filters.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The same, for all who are told it.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Appends it to what is to be sent.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        write_message(&self.0, out);
    }
}

/// Appends a message by its text, and the empty line that ends it.
pub(super) fn write_message(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes text whose control characters are blanks.
struct OneLine<'a>(&'a mut String);

impl std::fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if text.chars().any(char::is_control) {
            self.0.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
        } else {
            self.0.push_str(text);
        }
        Ok(())
    }
}

/// `%`-encoding of AGI environments and results: all but letters, digits and `-_.~/*`.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b'*' => {
                out.push(char::from(octet));
            }
            _ => {
                let _ = write!(out, "%{octet:02X}");
            }
        }
    }
    out
}
