//! The media of telephones whose signalling is somebody else's: sends PCMU on an exact 20 ms grid
//! and notes what comes back and when. It shares no code with the engine.

use crate::signal::{mu_decode, mu_encode};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tipring_signals::impairment::{Impairment, Way};

/// A packet that was received.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When.
    pub at: Instant,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP payload type, without the marker.
    pub payload_type: u8,
    /// RTP payload.
    pub payload: Vec<u8>,
}

/// One telephone's media: a socket, what it says, what came.
#[derive(Debug)]
pub struct Leg {
    socket: UdpSocket,
    says: Vec<i16>,
    /// Where it sends; learnt from the first packet where unknown.
    pub remote: Option<SocketAddr>,
    /// What came, in order of arrival.
    pub packets: Vec<Packet>,
    /// When each packet left.
    pub sent_at: Vec<Instant>,
    ssrc: u32,
    /// Sent one each two seconds as telephone-event of payload type 101, from the third second on.
    pub digits: &'static [u8],
    began: Instant,
    up: Way<Vec<u8>>,
    down: Way<Packet>,
}

/// Packets of a digit: 100 ms, and two repeats of its end (RFC 4733 §2.5.1.4).
const DIGIT_PACKETS: u32 = 7;

impl Leg {
    /// A telephone on a free even port of `host` that says this again and again.
    ///
    /// # Panics
    /// If no port can be bound.
    pub fn new(host: IpAddr, says: Vec<i16>) -> Self {
        let socket = (0..200)
            .find_map(|_| UdpSocket::bind((host, crate::system::free_port(host))).ok())
            .expect("a free port");
        socket.set_nonblocking(true).expect("non-blocking");
        let ssrc = u32::from(socket.local_addr().expect("bound").port()) | 0x5449_0000;
        let (packets, sent_at) = (Vec::new(), Vec::new());
        let up = Way::new(Impairment::default(), 1);
        let down = Way::new(Impairment::default(), 1);
        let began = Instant::now();
        Self { socket, says, remote: None, packets, sent_at, ssrc, digits: b"", began, up, down }
    }

    /// The same behind a bad network, in both directions.
    #[must_use]
    pub fn over(mut self, impairment: Impairment, seed: u64) -> Self {
        self.up = Way::new(impairment, seed);
        self.down = Way::new(impairment, seed + 1);
        self
    }

    fn ms_since_beginning(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1000.0
    }

    /// Its port.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn port(&self) -> u16 {
        self.socket.local_addr().expect("bound").port()
    }

    fn receive(&mut self) {
        let mut octets = [0; 2048];
        while let Ok((count, from)) = self.socket.recv_from(&mut octets) {
            let at = Instant::now();
            let header: &[u8] = &octets[..count];
            if count < 12 || header[0] >> 6 != 2 || (72..80).contains(&(header[1] & 0x7f)) {
                continue;
            }
            self.remote = Some(from);
            let csrc = usize::from(header[0] & 0x0f) * 4;
            let packet = Packet {
                at,
                sequence: u16::from_be_bytes([header[2], header[3]]),
                timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                payload_type: header[1] & 0x7f,
                payload: header.get(12 + csrc..).unwrap_or_default().to_vec(),
            };
            self.down.send(self.ms_since_beginning(), packet);
        }
        let now_ms = self.ms_since_beginning();
        while let Some((at_ms, packet)) = self.down.arrived(now_ms) {
            let at = self.began + Duration::from_secs_f64(at_ms / 1000.0);
            self.packets.push(Packet { at: at.max(packet.at), ..packet });
        }
        if let Some(remote) = self.remote {
            while let Some((_, packet)) = self.up.arrived(now_ms) {
                let _ = self.socket.send_to(&packet, remote);
            }
        }
    }

    fn send(&mut self) {
        if self.remote.is_none() {
            return;
        }
        let sent = self.sent_at.len() as u32;
        let from = sent as usize * 160 % (self.says.len() / 160 * 160);
        let (digit, place) = ((sent / 100) as usize, sent % 100);
        let event = (digit > 0 && place < DIGIT_PACKETS)
            .then(|| self.digits.get(digit - 1))
            .flatten()
            .and_then(|digit| b"0123456789*#".iter().position(|known| known == digit));
        let (payload_type, timestamp) = match event {
            Some(_) => (101, digit as u32 * 16_000),
            None => (0, sent * 160),
        };
        let marker = sent == 0 || (event.is_some() && place == 0);
        let mut packet = Vec::with_capacity(172);
        packet.extend_from_slice(&[0x80, payload_type | if marker { 0x80 } else { 0 }]);
        packet.extend_from_slice(&(sent as u16).to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some(event) = event {
            packet.extend_from_slice(&[event as u8, if place >= 4 { 0x8A } else { 0x0A }]);
            packet.extend_from_slice(&((place + 1).min(5) as u16 * 160).to_be_bytes());
        } else {
            packet.extend(self.says[from..from + 160].iter().map(|&s| mu_encode(s)));
        }
        self.sent_at.push(Instant::now());
        self.up.send(self.ms_since_beginning(), packet);
        let now_ms = self.ms_since_beginning();
        while let (Some(remote), Some((_, packet))) = (self.remote, self.up.arrived(now_ms)) {
            let _ = self.socket.send_to(&packet, remote);
        }
    }

    /// Audio of all packets of payload type 0, in order of their timestamps; what never came is
    /// silence.
    pub fn heard(&self) -> Vec<i16> {
        let audio: Vec<&Packet> = self.packets.iter().filter(|p| p.payload_type == 0).collect();
        let Some(first) = audio.first() else { return Vec::new() };
        let mut out = Vec::new();
        for packet in &audio {
            let at = packet.timestamp.wrapping_sub(first.timestamp) as usize;
            if at < 100_000_000 {
                if out.len() < at + packet.payload.len() {
                    out.resize(at + packet.payload.len(), 0);
                }
                for (i, &octet) in packet.payload.iter().enumerate() {
                    out[at + i] = mu_decode(octet);
                }
            }
        }
        out
    }

    /// Packets that never came, among the first and last that did.
    pub fn lost(&self) -> u64 {
        let (Some(first), Some(last)) = (self.packets.first(), self.packets.last()) else {
            return 0;
        };
        let span = u64::from(last.sequence.wrapping_sub(first.sequence)) + 1;
        span.saturating_sub(self.packets.len() as u64)
    }

    /// Deviation of each arrival from the stream's own 20 ms grid, ms: the grid is laid through
    /// the earliest arrival relative to its timestamp, so 0 is the best packet.
    pub fn deviations_ms(&self) -> Vec<f64> {
        let Some(first) = self.packets.first() else { return Vec::new() };
        let relative: Vec<f64> = self
            .packets
            .iter()
            .map(|p| {
                let due = f64::from(p.timestamp.wrapping_sub(first.timestamp)) / 8.0;
                p.at.duration_since(first.at).as_secs_f64() * 1000.0 - due
            })
            .collect();
        let best = relative.iter().copied().fold(f64::MAX, f64::min);
        relative.into_iter().map(|r| r - best).collect()
    }
}

/// Many legs on one thread.
#[derive(Debug)]
pub struct Legs {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Leg>>>,
}

impl Legs {
    /// Begins to receive, and to send wherever the far end is known.
    pub fn start(mut legs: Vec<Leg>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = stop.clone();
        let thread = std::thread::spawn(move || {
            keep_time();
            let begin = Instant::now();
            let mut tick = 0u32;
            while !theirs.load(Ordering::Relaxed) {
                // Eight slices of the period, as in a world of phones that know nothing of
                // each other.
                let slice = tick % 8;
                for (i, leg) in legs.iter_mut().enumerate() {
                    leg.receive();
                    if i as u32 % 8 == slice {
                        leg.send();
                    }
                }
                tick += 1;
                let due = begin + Duration::from_micros(2500) * tick;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            legs.iter_mut().for_each(Leg::receive);
            legs
        });
        Self { stop, thread: Some(thread) }
    }

    /// Stops, and hands back what came.
    ///
    /// # Panics
    /// If the thread did.
    pub fn finish(mut self) -> Vec<Leg> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("the legs' thread does not panic")
    }
}

/// A telephone's clock does not wait for what else this machine does: where it may be, this thread is
/// a real-time one, below the engine's. Elsewhere packets are late when the machine is busy.
fn keep_time() {
    let thread = nix::unistd::gettid().to_string();
    let mut command = std::process::Command::new("chrt");
    let _ = command.args(["-f", "-p", "10", &thread]).stderr(std::process::Stdio::null()).status();
}

impl Drop for Legs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
