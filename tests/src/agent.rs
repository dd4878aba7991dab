//! Where applications behind sockets wait to be dialled.

use crate::socket::Socket;
use nix::sys::socket::sockopt::RcvBuf;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{HandshakeError, WebSocket};

/// A server of WebSockets.
#[derive(Debug)]
pub struct Agents {
    listener: TcpListener,
}

impl Agents {
    /// Listens on a free port of this machine.
    ///
    /// # Panics
    /// If there is none.
    pub fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        Self { listener }
    }

    /// Those who dial from now on are met by receive buffers as small as they can be.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn narrow(&self) {
        let set = nix::sys::socket::setsockopt(&self.listener, RcvBuf, &4096);
        set.expect("a small buffer");
    }

    /// `ws://127.0.0.1:PORT` followed by `path`.
    ///
    /// # Panics
    /// Never: it listens.
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.listener.local_addr().expect("it listens"))
    }

    /// The next one who dials: what was asked for, and the connection.
    ///
    /// # Panics
    /// If nobody dials within a minute.
    #[track_caller]
    pub fn accept(&self) -> (String, Socket) {
        let (path, socket) = self.accept_unread();
        (path, Socket::over(socket))
    }

    /// Like [`Self::accept`]; its owner reads when it likes, or never.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    #[expect(clippy::result_large_err, reason = "as the library has it")]
    pub fn accept_unread(&self) -> (String, WebSocket<TcpStream>) {
        let stream = self.stream();
        let mut asked = String::new();
        let note = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            asked = request.uri().to_string();
            // It speaks whatever it is asked to.
            if let Some(name) = request.headers().get("Sec-WebSocket-Protocol") {
                response.headers_mut().insert("Sec-WebSocket-Protocol", name.clone());
            }
            Ok(response)
        };
        let socket = match tungstenite::accept_hdr(stream, note) {
            Ok(socket) => socket,
            Err(HandshakeError::Failure(error)) => panic!("no handshake: {error}"),
            Err(HandshakeError::Interrupted(_)) => panic!("the handshake took too long"),
        };
        (asked, socket)
    }

    /// The next one who connects, before any handshake.
    ///
    /// # Panics
    /// If nobody connects within a minute.
    #[track_caller]
    pub fn stream(&self) -> TcpStream {
        let accept = || self.listener.accept().ok();
        let (stream, _) = crate::wait::until("a connection", crate::wait::GENEROUS, accept);
        stream.set_nonblocking(false).expect("a stream");
        stream.set_nodelay(true).expect("a stream");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a stream");
        stream
    }
}
