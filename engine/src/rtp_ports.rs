//! The UDP ports of calls: even ones of the configured range for RTP and the odd ones above for RTCP
//! (RFC 3550 §11), taken in turn so that a port is not used again while packets of its last call may still come.

use crate::config::PortRange;
use crate::device::rtp::{CallSockets, StreamStart};
use crate::frame_loop::orders::OpenedSocket;
use nix::sys::socket::{setsockopt, sockopt};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use tipring_shm_proto::command::Refusal;

/// Socket receive buffer, octets: two seconds of G.711 with its headers.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// Hands out sockets.
#[derive(Debug)]
pub struct RtpPorts {
    range: PortRange,
    next: u16,
}

impl RtpPorts {
    /// For this range.
    pub fn new(range: PortRange) -> Self {
        Self { range, next: first_even(range) }
    }

    /// Binds the next free port on `local_ip`, non-blocking, with random start values
    /// (RFC 3550 §5.1).
    ///
    /// # Errors
    /// [`Refusal::NoPort`] when every port of the range is taken, or the address is not ours.
    pub fn open(&mut self, local_ip: [u8; 16]) -> Result<OpenedSocket, Refusal> {
        let v6 = Ipv6Addr::from(local_ip);
        let ip = v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4);
        let candidates = (self.range.max - self.range.min) / 2 + 1;
        for _ in 0..candidates {
            let port = self.next;
            self.next = match port.checked_add(2) {
                Some(next) if next <= self.range.max => next,
                _ => first_even(self.range),
            };
            match UdpSocket::bind(SocketAddr::new(ip, port)) {
                Ok(socket) => {
                    // RTCP has the next port (RFC 3550 §11); where that is taken, or beyond the
                    // range, the call can do without.
                    let above = (port < self.range.max).then_some(port + 1);
                    let control = above.and_then(|port| UdpSocket::bind((ip, port)).ok());
                    let sockets = CallSockets { rtp: socket, rtcp: control };
                    return Self::prepare(sockets, port).ok_or(Refusal::NoPort);
                }
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(_) => return Err(Refusal::NoPort),
            }
        }
        Err(Refusal::NoPort)
    }

    fn prepare(sockets: CallSockets, port: u16) -> Option<OpenedSocket> {
        sockets.rtp.set_nonblocking(true).ok()?;
        if let Some(rtcp) = &sockets.rtcp {
            rtcp.set_nonblocking(true).ok()?;
        }
        // A smaller buffer than asked for works too.
        let _ = setsockopt(&sockets.rtp, sockopt::RcvBuf, &RECEIVE_BUFFER);
        let mut random = [0; 24];
        File::open("/dev/urandom").ok()?.read_exact(&mut random).ok()?;
        let (words, seed) = random.split_first_chunk::<12>()?;
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| words[at + i]));
        let start = StreamStart {
            ssrc: word(0),
            sequence: word(4) as u16,
            timestamp: word(8),
            seed: *seed.first_chunk()?,
        };
        Some(OpenedSocket { sockets, port, start })
    }
}

const fn first_even(range: PortRange) -> u16 {
    range.min.next_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOOPBACK: [u8; 16] = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();

    #[test]
    fn ports_are_even_taken_in_turn_and_run_out() {
        let mut ports = RtpPorts::new(PortRange { min: 39_001, max: 39_006 });
        let opened: Vec<_> = (0..3).map(|_| ports.open(LOOPBACK).unwrap()).collect();
        let numbers: Vec<_> = opened.iter().map(|o| o.port).collect();
        assert_eq!(numbers, [39_002, 39_004, 39_006]);
        let has_control: Vec<_> = opened.iter().map(|o| o.sockets.rtcp.is_some()).collect();
        assert_eq!(has_control, [true, true, false], "the last one would be beyond the range");
        assert_eq!(ports.open(LOOPBACK).unwrap_err(), Refusal::NoPort);
        drop(opened);
        assert_eq!(ports.open(LOOPBACK).unwrap().port, 39_002);
    }

    #[test]
    fn an_address_that_is_not_ours_is_refused() {
        let mut ports = RtpPorts::new(PortRange { min: 39_100, max: 39_110 });
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets();
        assert_eq!(ports.open(elsewhere).unwrap_err(), Refusal::NoPort);
    }
}
