//! The UDP ports of calls: even ones of the configured range for RTP and the odd ones above for RTCP
//! (RFC 3550 §11), taken in turn so that a port is not used again while packets of its last call may still come.

use crate::config::PortRange;
use crate::device::rtp::{CallSockets, Direct, StreamStart};
use crate::frame_loop::orders::OpenedSocket;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use tipring_shm_proto::command::Refusal;
use tipring_shm_proto::units::Endpoint;

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
    /// (RFC 3550 §5.1); for a phone that signalling says is at `remote`.
    ///
    /// # Errors
    /// [`Refusal::NoPort`] when every port of the range is taken, or the address is not ours.
    pub fn open(
        &mut self,
        local_ip: [u8; 16],
        remote: Option<Endpoint>,
    ) -> Result<OpenedSocket, Refusal> {
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
                    let direct = remote.and_then(|remote| direct(&socket, remote.into()));
                    let sockets = CallSockets { rtp: socket, direct, rtcp: control };
                    return Self::prepare(sockets, port).ok_or(Refusal::NoPort);
                }
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(_) => return Err(Refusal::NoPort),
            }
        }
        Err(Refusal::NoPort)
    }

    fn prepare(sockets: CallSockets, port: u16) -> Option<OpenedSocket> {
        let direct = sockets.direct.as_ref().map(|direct| &direct.socket);
        for socket in [Some(&sockets.rtp), direct, sockets.rtcp.as_ref()].into_iter().flatten() {
            socket.set_nonblocking(true).ok()?;
        }
        // A smaller buffer than asked for works too.
        for socket in [Some(&sockets.rtp), direct].into_iter().flatten() {
            let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
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

/// A second socket of the port of `any`, for what comes from `phone`. `None` where that cannot be: a call
/// does without.
fn direct(any: &UdpSocket, phone: SocketAddr) -> Option<Direct> {
    let local = any.local_addr().ok()?;
    let phone = match phone.ip() {
        // A socket of IPv6 reaches IPv4 at mapped addresses only (RFC 4291 §2.5.5.2).
        IpAddr::V4(v4) if local.is_ipv6() => {
            SocketAddr::new(v4.to_ipv6_mapped().into(), phone.port())
        }
        _ => phone,
    };
    let family = if local.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = UdpSocket::from(socket(family, SockType::Datagram, flags, None).ok()?);
    // The port is shared by these two while they are made, and by nobody after: whoever asks for it
    // then is told that it is taken.
    let share = |shared: bool| {
        [any, &socket].iter().all(|each| setsockopt(each, sockopt::ReusePort, &shared).is_ok())
    };
    let bound = share(true) && bind(socket.as_raw_fd(), &SockaddrStorage::from(local)).is_ok();
    let made = bound && socket.connect(phone).is_ok();
    (share(false) && made).then_some(Direct { socket, phone })
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
        let opened: Vec<_> = (0..3).map(|_| ports.open(LOOPBACK, None).unwrap()).collect();
        let numbers: Vec<_> = opened.iter().map(|o| o.port).collect();
        assert_eq!(numbers, [39_002, 39_004, 39_006]);
        let has_control: Vec<_> = opened.iter().map(|o| o.sockets.rtcp.is_some()).collect();
        assert_eq!(has_control, [true, true, false], "the last one would be beyond the range");
        assert_eq!(ports.open(LOOPBACK, None).unwrap_err(), Refusal::NoPort);
        drop(opened);
        assert_eq!(ports.open(LOOPBACK, None).unwrap().port, 39_002);
    }

    #[test]
    fn the_phone_has_a_socket_of_its_own_and_the_port_is_taken_all_the_same() {
        let mut ports = RtpPorts::new(PortRange { min: 39_200, max: 39_202 });
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let remote = phone.local_addr().unwrap();
        for local_ip in [LOOPBACK, [0; 16]] {
            let OpenedSocket { sockets, port, .. } =
                ports.open(local_ip, Some(remote.into())).unwrap();
            let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
            phone.send_to(&[1], ("127.0.0.1", port)).unwrap();
            stranger.send_to(&[2], ("127.0.0.1", port)).unwrap();
            let direct = sockets.direct.unwrap().socket;
            let mut octet = [0];
            assert_eq!((direct.recv(&mut octet).unwrap(), octet), (1, [1]));
            assert!(direct.recv(&mut octet).is_err(), "what strangers send is not for it");
            assert_eq!((sockets.rtp.recv(&mut octet).unwrap(), octet), (1, [2]));
            assert!(sockets.rtp.recv(&mut octet).is_err());
            let greedy = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None);
            let greedy = greedy.unwrap();
            setsockopt(&greedy, sockopt::ReusePort, &true).unwrap();
            let local = SockaddrStorage::from(sockets.rtp.local_addr().unwrap());
            assert!(bind(greedy.as_raw_fd(), &local).is_err(), "the port is taken");
        }
    }

    #[test]
    fn an_address_that_is_not_ours_is_refused() {
        let mut ports = RtpPorts::new(PortRange { min: 39_100, max: 39_110 });
        let elsewhere = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets();
        assert_eq!(ports.open(elsewhere, None).unwrap_err(), Refusal::NoPort);
    }
}
