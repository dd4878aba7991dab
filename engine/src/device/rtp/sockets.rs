//! The sockets of one call: one for everybody, and one connected with where the phone should be.
//!
//! The kernel keeps the route of a connected socket, so that a packet leaves for less, and gives it what
//! comes from there and nothing else: strangers stay in the other one. Where signalling was wrong about
//! the address, as behind a translator, or the phone reaches another of our addresses, all goes by the
//! other one.

use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Sockets of one call, bound and non-blocking.
#[derive(Debug)]
pub struct CallSockets {
    /// For RTP of anybody, and for RTCP where they share a port.
    pub rtp: UdpSocket,
    /// Of the same port, for the phone alone, if it is where signalling says.
    pub direct: Option<Direct>,
    /// For RTCP, one port above; without it RTCP needs the shared port.
    pub rtcp: Option<UdpSocket>,
}

/// A socket that is connected.
#[derive(Debug)]
pub struct Direct {
    /// Bound to the same address as that for anybody.
    pub socket: UdpSocket,
    /// What it is connected with.
    pub phone: SocketAddr,
}

/// One of the two that RTP comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    Any,
}

impl Way {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Direct => Self::Any,
            Self::Any => Self::Direct,
        }
    }
}

impl From<UdpSocket> for CallSockets {
    fn from(rtp: UdpSocket) -> Self {
        Self { rtp, direct: None, rtcp: None }
    }
}

impl CallSockets {
    /// Where RTP comes by this way, if there is one.
    pub(super) fn by(&self, way: Way) -> Option<&UdpSocket> {
        match way {
            Way::Direct => self.direct.as_ref().map(|direct| &direct.socket),
            Way::Any => Some(&self.rtp),
        }
    }

    /// Sends RTP. What the kernel tells of earlier packets (ECONNREFUSED, after an ICMP message) costs
    /// this one nothing.
    pub(super) fn send(&self, octets: &[u8], to: SocketAddr) -> io::Result<usize> {
        match &self.direct {
            Some(direct) if direct.phone == to => {
                direct.socket.send(octets).or_else(|_| self.rtp.send_to(octets, to))
            }
            _ => self.rtp.send_to(octets, to),
        }
    }
}
