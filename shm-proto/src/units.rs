//! Quantities that cross the process boundary, each with its unit in its type.

use serde::{Deserialize, Serialize};

/// Samples a second of all audio inside Tipring, Hz.
pub const SAMPLE_RATE_HZ: u32 = 8000;
/// Samples in one frame.
pub const FRAME_SAMPLES: usize = 160;
/// Duration of one frame, ms.
pub const FRAME_MS: u32 = 20;
/// Duration of one frame, ns.
pub const FRAME_NS: u64 = FRAME_MS as u64 * 1_000_000;

/// Index of a line in the line table. Stable for the life of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineId(pub u16);

/// Index of a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConferenceId(pub u16);

/// Index of a frame loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LoopId(pub u8);

/// Chosen by apid, unique for one attachment; echoed in [`crate::event::Event::CommandDone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// Chosen by apid; 0 is "none".
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct PlaybackId(pub u64);

/// A place in a playback that apid wants to hear of; meaningful within its playback only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MarkId(pub u32);

/// Counts engine starts: CLOCK_REALTIME in ns when the engine created its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// CLOCK_MONOTONIC, ns.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Nanos(pub u64);

impl Nanos {
    /// `self` moved into the future; saturates.
    #[must_use]
    pub const fn after_ms(self, ms: u32) -> Self {
        Self(self.0.saturating_add(ms as u64 * 1_000_000))
    }

    /// `self` moved into the past; not before the clock's beginning.
    #[must_use]
    pub const fn before_ms(self, ms: u32) -> Self {
        Self(self.0.saturating_sub(ms as u64 * 1_000_000))
    }

    /// Whole milliseconds from `earlier` to `self`; 0 if `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> u32 {
        let ms = self.0.saturating_sub(earlier.0) / 1_000_000;
        if ms > u32::MAX as u64 { u32::MAX } else { ms as u32 }
    }
}

/// Level in tenths of a dBm0 (ITU-T G.711: a full-scale sine is +3.17 dBm0 µ-law, +3.14 A-law).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenthDbm0(pub i16);

impl TenthDbm0 {
    /// Digital silence, and the floor of every meter.
    pub const SILENCE: Self = Self(-960);
}

/// Gain in tenths of a dB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct TenthDb(pub i16);

/// IP address and UDP port. IPv4 is mapped into IPv6 (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Network byte order.
    pub ip: [u8; 16],
    /// UDP port.
    pub port: u16,
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        let ip = match address.ip() {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            std::net::IpAddr::V6(v6) => v6,
        };
        Self { ip: ip.octets(), port: address.port() }
    }
}

impl From<Endpoint> for std::net::SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        let v6 = std::net::Ipv6Addr::from(endpoint.ip);
        let ip = v6.to_ipv4_mapped().map_or(std::net::IpAddr::V6(v6), std::net::IpAddr::V4);
        Self::new(ip, endpoint.port)
    }
}

/// At most `N` octets of UTF-8 (N ≤ 32), cut at a character where it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text32 {
    len: u8,
    octets: [u8; 32],
}

impl Text32 {
    /// The empty text.
    pub const EMPTY: Self = Self { len: 0, octets: [0; 32] };

    /// As many whole characters of `text` as fit.
    pub fn new(text: &str) -> Self {
        let mut len = text.len().min(32);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        let mut octets = [0; 32];
        octets[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { len: len as u8, octets }
    }

    /// The text; empty where a peer wrote octets that are no UTF-8.
    pub fn as_str(&self) -> &str {
        let len = (self.len as usize).min(32);
        std::str::from_utf8(&self.octets[..len]).unwrap_or("")
    }
}
