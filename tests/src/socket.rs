//! A client of the WebSocket interfaces: keeps everything it is sent, with the time it came.

use serde_json::Value;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

/// One binary message.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// When it was read.
    pub at: Instant,
    /// Its octets.
    pub octets: Vec<u8>,
}

#[derive(Debug, Default)]
struct Inbox {
    texts: Vec<(Instant, Value)>,
    chunks: Vec<Chunk>,
    closed: Option<String>,
}

/// A connected WebSocket; closed when dropped.
#[derive(Debug)]
pub struct Socket {
    inbox: Arc<(Mutex<Inbox>, Condvar)>,
    outbox: Sender<Message>,
    cursor: usize,
}

impl Socket {
    /// Connects to `ws://{address}{path}`.
    ///
    /// # Panics
    /// If that is refused.
    #[track_caller]
    pub fn open(address: &str, path: &str, token: Option<&str>) -> Self {
        Self::try_open(address, path, token).unwrap_or_else(|e| panic!("ws://{address}{path}: {e}"))
    }

    /// Connects, or says with which HTTP status or error it was refused.
    ///
    /// # Errors
    /// The status as text, or the error's text.
    pub fn try_open(address: &str, path: &str, token: Option<&str>) -> Result<Self, String> {
        Ok(Self::over(connect(address, path, token)?))
    }

    /// A connection that was made already, from either side.
    pub fn over(stream: WebSocket<TcpStream>) -> Self {
        let inbox = Arc::new((Mutex::new(Inbox::default()), Condvar::new()));
        let (outbox, orders) = channel();
        let theirs = inbox.clone();
        std::thread::spawn(move || pump(stream, &theirs, &orders));
        Self { inbox, outbox, cursor: 0 }
    }

    /// Sends JSON.
    pub fn send(&self, message: &Value) {
        let _ = self.outbox.send(Message::text(message.to_string()));
    }

    /// Sends text as it is.
    pub fn send_text(&self, text: &str) {
        let _ = self.outbox.send(Message::text(text));
    }

    /// Sends octets.
    pub fn send_octets(&self, octets: Vec<u8>) {
        let _ = self.outbox.send(Message::binary(octets));
    }

    /// Waits for a text message that fits, among those after the one found last, so that a
    /// sequence of calls checks an order.
    ///
    /// # Panics
    /// If none comes within a minute; shows what came instead.
    #[track_caller]
    pub fn expect(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.expect_timed(what, fits).1
    }

    /// Like [`Self::expect`], with the time at which it was read.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn expect_timed(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> (Instant, Value) {
        let begin = Instant::now();
        let (mutex, changed) = &*self.inbox;
        let mut inbox = mutex.lock().expect("the pump does not panic");
        loop {
            let found = inbox.texts[self.cursor..].iter().position(|(_, m)| fits(m));
            if let Some(found) = found {
                let at = self.cursor + found;
                self.cursor = at + 1;
                return inbox.texts[at].clone();
            }
            let left = crate::wait::GENEROUS.checked_sub(begin.elapsed());
            let Some(left) = left else {
                let came: Vec<String> =
                    inbox.texts[self.cursor..].iter().map(|(_, m)| m.to_string()).collect();
                let closed = inbox.closed.clone();
                drop(inbox);
                panic!("no {what}; closed: {closed:?}; came:\n{}", came.join("\n"));
            };
            inbox = changed.wait_timeout(inbox, left).expect("the pump does not panic").0;
        }
    }

    /// Waits for an event of this type about this line.
    #[track_caller]
    pub fn expect_event(&mut self, kind: &str, line: &str) -> Value {
        self.expect(&format!("{kind} of line {line}"), |m| m["type"] == kind && m["line"] == line)
    }

    /// All text messages so far.
    ///
    /// # Panics
    /// If the pump did.
    pub fn texts(&self) -> Vec<Value> {
        let inbox = self.inbox.0.lock().expect("the pump does not panic");
        inbox.texts.iter().map(|(_, m)| m.clone()).collect()
    }

    /// All binary messages so far.
    ///
    /// # Panics
    /// If the pump did.
    pub fn chunks(&self) -> Vec<Chunk> {
        self.inbox.0.lock().expect("the pump does not panic").chunks.clone()
    }

    /// All binary messages so far as one piece of 16-bit audio.
    pub fn audio(&self) -> Vec<i16> {
        let octets: Vec<u8> = self.chunks().into_iter().flat_map(|c| c.octets).collect();
        crate::signal::from_bytes(&octets)
    }

    /// Waits until so much 16-bit audio has come.
    ///
    /// # Panics
    /// If it does not within [`GENEROUS`] beyond its own duration.
    #[track_caller]
    pub fn audio_of(&self, ms: usize) -> Vec<i16> {
        let limit = crate::wait::GENEROUS + Duration::from_millis(ms as u64);
        crate::wait::until(&format!("{ms} ms of audio"), limit, || {
            let audio = self.audio();
            (audio.len() >= crate::signal::samples(ms)).then_some(audio)
        })
    }

    /// Waits until the other side has closed it; gives what it said.
    ///
    /// # Panics
    /// If it does not within a minute.
    #[track_caller]
    pub fn expect_closed(&self) -> String {
        crate::wait::until("the end of a WebSocket", crate::wait::GENEROUS, || self.closed())
    }

    /// Why the other side closed it, if it did.
    ///
    /// # Panics
    /// If the pump did.
    pub fn closed(&self) -> Option<String> {
        self.inbox.0.lock().expect("the pump does not panic").closed.clone()
    }
}

/// A WebSocket whose owner reads when it likes, or never.
///
/// # Errors
/// The HTTP status as text, or the error's text.
pub fn connect(
    address: &str,
    path: &str,
    token: Option<&str>,
) -> Result<WebSocket<TcpStream>, String> {
    let mut request =
        format!("ws://{address}{path}").into_client_request().map_err(|e| e.to_string())?;
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().map_err(|_| "token".to_owned())?;
        request.headers_mut().insert("Authorization", value);
    }
    let stream = TcpStream::connect(address).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|e| e.to_string())?;
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            Err(response.status().as_u16().to_string())
        }
        Err(e) => Err(e.to_string()),
    }
}

fn pump(
    mut socket: WebSocket<TcpStream>,
    inbox: &(Mutex<Inbox>, Condvar),
    orders: &Receiver<Message>,
) {
    let end = |why: String| {
        inbox.0.lock().expect("nobody panics with it").closed.get_or_insert(why);
        inbox.1.notify_all();
    };
    if let Err(e) = socket.get_ref().set_read_timeout(Some(Duration::from_millis(5))) {
        return end(e.to_string());
    }
    loop {
        loop {
            match orders.try_recv() {
                Ok(message) => {
                    if let Err(e) = socket.send(message) {
                        return end(e.to_string());
                    }
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    let _ = socket.close(None);
                    let _ = socket.flush();
                    return;
                }
            }
        }
        let message = match socket.read() {
            Ok(message) => message,
            Err(tungstenite::Error::Io(e))
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                continue;
            }
            Err(e) => return end(e.to_string()),
        };
        let at = Instant::now();
        let mut inbox_now = inbox.0.lock().expect("nobody panics with it");
        match message {
            Message::Text(text) => {
                let value =
                    serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.to_string()));
                inbox_now.texts.push((at, value));
            }
            Message::Binary(octets) => {
                inbox_now.chunks.push(Chunk { at, octets: octets.to_vec() });
            }
            Message::Close(frame) => {
                inbox_now.closed.get_or_insert_with(|| {
                    frame.map_or_else(|| "closed".into(), |f| format!("{} {}", f.code, f.reason))
                });
            }
            _ => {}
        }
        inbox.1.notify_all();
    }
}
