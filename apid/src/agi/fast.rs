//! A connection to a program by `agi://`.

use super::words::LINE_MAX;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where programs listen.
const PORT: u16 = 4573;
/// Octets that are read ahead of the command that runs.
const AHEAD_MAX: usize = 64 * 1024;
/// A program that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// Where a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, without the first stroke.
    pub script: String,
}

impl Address {
    /// Of `agi://host[:port][/script]`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let form = "a program is agi://host[:port]/script";
        let rest = url.strip_prefix("agi://").ok_or(form)?;
        let (place, script) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match place.rsplit_once(':') {
            // Colons of an IPv6 address stand within brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| form)?),
            _ => (place, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let plain = !url.chars().any(|c| c.is_control() || c.is_whitespace());
        if host.is_empty() || port == 0 || !plain || url.len() > 1024 {
            return Err(form);
        }
        Ok(Self { host: host.to_owned(), port, script: script.to_owned() })
    }
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A command.
    Line(String),
    /// Nothing more will.
    End,
    /// A line that never ends.
    TooLong,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Connection {
    /// Over a stream that is open.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// The next line; may be cancelled without loss.
    pub async fn next(&mut self) -> Heard {
        loop {
            if let Some(at) = self.ahead.iter().position(|octet| *octet == b'\n') {
                if at > LINE_MAX {
                    return Heard::TooLong;
                }
                let line: Vec<u8> = self.ahead.drain(..=at).collect();
                return Heard::Line(String::from_utf8_lossy(&line).trim().to_owned());
            }
            if self.ahead.len() > LINE_MAX.min(AHEAD_MAX) {
                return Heard::TooLong;
            }
            let mut block = [0; 4096];
            match self.stream.read(&mut block).await {
                Ok(0) | Err(_) => return Heard::End,
                Ok(count) => self.ahead.extend_from_slice(&block[..count]),
            }
        }
    }

    /// Sends text.
    ///
    /// # Errors
    /// It is gone, or takes nothing.
    pub async fn write(&mut self, text: &str) -> Result<(), std::io::Error> {
        let written = tokio::time::timeout(WRITE_PATIENCE, self.stream.write_all(text.as_bytes()));
        written.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address = |host: &str, port, script: &str| Address {
            host: host.to_owned(),
            port,
            script: script.to_owned(),
        };
        assert_eq!(
            Address::parse("agi://10.0.0.1:4574/hello.agi?x=1"),
            Ok(address("10.0.0.1", 4574, "hello.agi?x=1"))
        );
        assert_eq!(Address::parse("agi://host"), Ok(address("host", 4573, "")));
        assert_eq!(Address::parse("agi://[::1]/a/b"), Ok(address("::1", 4573, "a/b")));
        assert_eq!(Address::parse("agi://[::1]:9/"), Ok(address("::1", 9, "")));
        for wrong in ["http://x", "agi://", "agi:///x", "agi://x:y/", "agi://x:0/", "agi://x/a\nb"]
        {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn lines_come_whole_and_one_that_never_ends_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut theirs = TcpStream::connect(address).await.unwrap();
        let mut connection = Connection::new(listener.accept().await.unwrap().0);
        theirs.write_all(b"ANSWER\r\nVERB").await.unwrap();
        assert_eq!(connection.next().await, Heard::Line("ANSWER".to_owned()));
        theirs.write_all(b"OSE x\n").await.unwrap();
        assert_eq!(connection.next().await, Heard::Line("VERBOSE x".to_owned()));
        connection.write("200 result=1\n").await.unwrap();
        theirs.write_all(&[b'x'; 9000]).await.unwrap();
        assert_eq!(connection.next().await, Heard::TooLong);
        drop(theirs);
    }
}
