//! A connection to a program, line by line.

use super::words::LINE_MAX;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Octets that are read ahead of the command that runs.
const AHEAD_MAX: usize = 64 * 1024;
/// A program that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

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

/// What lines come and go by.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for S {}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: Box<dyn Stream>,
    ahead: Vec<u8>,
}

impl Connection {
    /// Over a stream that is open.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), ahead: Vec::new() }
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
    use tokio::net::TcpStream;

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
