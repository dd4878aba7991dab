//! When a datagram reached this machine: the kernel writes it down (SO_TIMESTAMPNS), so that jitter
//! and drift are the network's and not those of whoever reads the socket 20 ms later.

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, cmsg_space, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use tipring_shm_proto::units::{Endpoint, Nanos};

/// A stamp that is older says that CLOCK_REALTIME was set meanwhile, ns: 1 s.
const OLDEST_NS: u64 = 1_000_000_000;

/// One datagram.
pub(super) struct Arrival {
    /// CLOCK_MONOTONIC.
    pub(super) at: Nanos,
    pub(super) from: Endpoint,
    pub(super) len: usize,
}

/// The same moment on both clocks.
pub(super) struct Clock {
    pub(super) now: Nanos,
    pub(super) real_ns: u64,
}

impl Clock {
    /// No system call where the vDSO serves it.
    pub(super) fn read(now: Nanos) -> Self {
        let real_ns = clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, in_ns);
        Self { now, real_ns }
    }

    /// CLOCK_REALTIME at `at`, which is not later than now.
    pub(super) fn real_at(&self, at: Nanos) -> u64 {
        self.real_ns.saturating_sub(self.now.0.saturating_sub(at.0))
    }

    fn at(&self, stamp: TimeSpec) -> Nanos {
        let age = self.real_ns.saturating_sub(in_ns(stamp));
        Nanos(self.now.0.saturating_sub(if age > OLDEST_NS { 0 } else { age }))
    }
}

fn in_ns(time: TimeSpec) -> u64 {
    (time.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec() as u64)
}

/// Asks the kernel to note arrivals. Without it a datagram arrives when it is read.
pub(super) fn ask_for_stamps(socket: &UdpSocket) {
    let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
}

/// The next datagram; what exceeds `octets` is cut. `None` if there is none. Does not allocate.
pub(super) fn take(socket: &UdpSocket, clock: &Clock, octets: &mut [u8]) -> Option<Arrival> {
    let mut control = [0; cmsg_space::<libc::timespec>()];
    let mut parts = [IoSliceMut::new(octets)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )
    .ok()?;
    let from = endpoint(message.address.as_ref()?)?;
    let stamp = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
            _ => None,
        })
    });
    let at = stamp.map_or(clock.now, |stamp| clock.at(stamp));
    Some(Arrival { at, from, len: message.bytes })
}

fn endpoint(address: &SockaddrStorage) -> Option<Endpoint> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
    let any =
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))?;
    Some(any.into())
}
