//! What the WebSockets promise, over real connections and without an engine: nobody is slowed by
//! a client that stops reading, it is told what it missed, and every end has a reason.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tipring_apid::config::Config;
use tipring_apid::control::{Control, LineDirectory, RegistrationChange};
use tipring_apid::http::{HttpSettings, bind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Longer than anything here takes, even on a busy machine.
const LONG: Duration = Duration::from_mins(1);

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

struct Server {
    control: Control,
    rest: SocketAddr,
    sockets: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(settings: HttpSettings) -> Self {
        let lines = LineDirectory::new(&Config::demonstration(), &mut BTreeMap::new());
        let control = Control::without_engine(lines);
        let any = || vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let settings = HttpSettings {
            listen: any(),
            websocket_listen: any(),
            requests_per_minute: 0,
            ..settings
        };
        let bound = bind(settings).unwrap();
        let address = |service: &str| {
            let ports = bound.ports();
            let port = ports.iter().find(|port| port.service == service).unwrap();
            port.address.parse().unwrap()
        };
        let (rest, sockets) = (address("http"), address("websocket"));
        let (stop, stopped) = oneshot::channel::<()>();
        let served = control.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let shutdown = async {
                let _ = stopped.await;
            };
            runtime.unwrap().block_on(bound.serve(served, shutdown)).unwrap();
        });
        Self { control, rest, sockets, stop: Some(stop), thread: Some(thread) }
    }

    /// Something happens on `phone1`.
    async fn publish(&self, contact: &str) {
        let contact = contact.to_owned();
        self.control.phone_registration("phone1", RegistrationChange::Registered { contact }).await;
    }

    fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A WebSocket client of the plainest kind (RFC 6455), whose mask is zero.
struct Client(TcpStream);

impl Client {
    /// Shakes hands; gives the status line where the server would not.
    async fn connect(server: SocketAddr, path: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(server).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.lines().next().unwrap().to_owned();
        if status.contains(" 101 ") { Ok(Self(stream)) } else { Err(status) }
    }

    async fn send(&mut self, opcode: u8, octets: &[u8]) {
        let mut message = vec![0x80 | opcode];
        match octets.len() {
            short @ 0..126 => message.push(0x80 | short as u8),
            long => {
                message.push(0x80 | 127);
                message.extend((long as u64).to_be_bytes());
            }
        }
        message.extend([0; 4]);
        message.extend(octets);
        self.0.write_all(&message).await.unwrap();
    }

    /// The next message that is no ping.
    async fn receive(&mut self) -> (u8, Vec<u8>) {
        let receive = async {
            loop {
                let opcode = self.0.read_u8().await.unwrap() & 0x0f;
                let length = match self.0.read_u8().await.unwrap() {
                    126 => u64::from(self.0.read_u16().await.unwrap()),
                    127 => self.0.read_u64().await.unwrap(),
                    short => u64::from(short),
                };
                let mut octets = vec![0; length as usize];
                self.0.read_exact(&mut octets).await.unwrap();
                if opcode != PING {
                    return (opcode, octets);
                }
            }
        };
        timeout(LONG, receive).await.expect("a message within the limit")
    }

    async fn json(&mut self) -> Value {
        let (opcode, octets) = self.receive().await;
        assert_eq!(opcode, TEXT, "{}", String::from_utf8_lossy(&octets));
        serde_json::from_slice(&octets).unwrap()
    }

    async fn close_code(&mut self) -> u16 {
        let (opcode, octets) = self.receive().await;
        assert_eq!(opcode, CLOSE, "{}", String::from_utf8_lossy(&octets));
        u16::from_be_bytes([octets[0], octets[1]])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_slows_nobody_and_learns_what_it_missed() {
    const EVENTS: u64 = 6000;
    let server = Server::start(HttpSettings::default());
    let mut stalled = Client::connect(server.rest, "/v1/events?types=registered").await.unwrap();
    let mut reading = Client::connect(server.sockets, "/ws?types=registered").await.unwrap();
    // 48 MB: more than sockets on loopback hold.
    let contact = "x".repeat(8000);
    for _ in 0..EVENTS / 100 {
        for _ in 0..100 {
            server.publish(&contact).await;
        }
        for _ in 0..100 {
            let event = reading.json().await;
            assert_eq!((&event["type"], &event["line"]), (&json!("registered"), &json!("phone1")));
        }
    }
    let (mut seen, mut missed, mut last) = (0, 0, 0);
    while seen + missed < EVENTS {
        let event = stalled.json().await;
        if event["type"] == "lagged" {
            missed += event["missed"].as_u64().unwrap();
        } else {
            seen += 1;
            let seq = event["seq"].as_u64().unwrap();
            assert!(seq > last, "events come in their order");
            last = seq;
        }
    }
    assert_eq!(seen + missed, EVENTS);
    assert!(missed > 0, "the sockets held everything: the test is too small");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_held_is_replayed() {
    let server = Server::start(HttpSettings::default());
    server.publish("one").await;
    server.publish("two").await;
    let path = "/v1/events?since=0&types=registered&lines=phone1";
    let mut client = Client::connect(server.rest, path).await.unwrap();
    let one = client.json().await;
    assert_eq!(one["contact"], "one");
    assert_eq!(client.json().await["contact"], "two");
    let path = format!("/v1/events?since={}&types=registered", one["seq"]);
    let mut client = Client::connect(server.sockets, &path).await.unwrap();
    assert_eq!(client.json().await["contact"], "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_asks_wrongly_is_refused_and_the_socket_lives_on() {
    let server = Server::start(HttpSettings::default());
    let mut client = Client::connect(server.rest, "/ws?types=registered").await.unwrap();
    let refused = async |client: &mut Client| {
        let answer = client.json().await;
        assert_eq!(answer["type"], "refused");
        answer["problem"]["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
    };
    client.send(TEXT, b"what?").await;
    assert_eq!(refused(&mut client).await, "malformed-body");
    client.send(TEXT, b"{\"subscribe\":\"none\"}").await;
    assert_eq!(refused(&mut client).await, "no-such-stream");
    client.send(BINARY, &[0; 320]).await;
    assert_eq!(refused(&mut client).await, "invalid");
    client.send(PING, b"still there?").await;
    assert_eq!(client.receive().await, (PONG, b"still there?".to_vec()));
    server.publish("one").await;
    assert_eq!(client.json().await["type"], "registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_has_its_reason() {
    let settings = HttpSettings { message_limit_bytes: 1000, ..HttpSettings::default() };
    let mut server = Server::start(settings);
    let mut client = Client::connect(server.rest, "/ws").await.unwrap();
    client.send(TEXT, &[b'x'; 2000]).await;
    assert_eq!(client.close_code().await, 1009);
    let mut client = Client::connect(server.rest, "/ws").await.unwrap();
    client.send(CLOSE, &1000u16.to_be_bytes()).await;
    assert_eq!(client.close_code().await, 1000);
    let mut client = Client::connect(server.rest, "/ws").await.unwrap();
    server.stop();
    assert_eq!(client.close_code().await, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_let_go() {
    let settings = HttpSettings {
        ping_interval: Duration::from_millis(100),
        silence_timeout: Duration::from_millis(400),
        ..HttpSettings::default()
    };
    let server = Server::start(settings);
    let mut client = Client::connect(server.rest, "/ws").await.unwrap();
    assert_eq!(client.close_code().await, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_websockets_than_configured_and_no_rest_on_their_port() {
    let settings = HttpSettings { websockets_max: 1, ..HttpSettings::default() };
    let server = Server::start(settings);
    let first = Client::connect(server.rest, "/ws").await.unwrap();
    let refused = Client::connect(server.rest, "/ws").await.err().unwrap();
    assert!(refused.contains("429"), "{refused}");
    let refused = Client::connect(server.sockets, "/v1/lines").await.err().unwrap();
    assert!(refused.contains("404"), "{refused}");
    drop(first);
    let again = async {
        while Client::connect(server.rest, "/ws").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, again).await.expect("a place becomes free");
}

#[test]
fn the_second_port_may_be_left_out() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _within = runtime.enter();
    let lines = LineDirectory::new(&Config::demonstration(), &mut BTreeMap::new());
    let control = Control::without_engine(lines);
    let settings = HttpSettings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        websocket_listen: Vec::new(),
        ..HttpSettings::default()
    };
    let bound = bind(settings).unwrap();
    runtime.block_on(bound.serve(control, async {})).unwrap();
}
