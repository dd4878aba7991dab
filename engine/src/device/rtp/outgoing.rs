//! The stream that is sent to the phone: its numbers, and the packet that waits to leave.

use super::packet::{HEADER_OCTETS, Header};
use super::srtp::LONGEST_TAG;
use tipring_shm_proto::units::FRAME_SAMPLES;

/// Longest packet sent.
const PACKET_OCTETS: usize = HEADER_OCTETS + FRAME_SAMPLES + LONGEST_TAG;

/// First values of an outgoing stream; all three random (RFC 3550 §5.1), made by the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number of the first packet.
    pub sequence: u16,
    /// Timestamp of the first frame.
    pub timestamp: u32,
    /// Of our RTCP name (RFC 7022 §5) and intervals.
    pub seed: [u8; 12],
}

/// The stream we send.
pub(super) struct Outgoing {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// Nothing was sent for the frame before this one.
    pub(super) after_silence: bool,
    pub(super) sent: u64,
    /// Of their payloads.
    pub(super) sent_octets: u64,
    /// Of the payload that waits.
    pub(super) payload_octets: usize,
    pub(super) octets: [u8; PACKET_OCTETS],
    /// Octets that wait in `octets`; 0 is none.
    pub(super) ready: usize,
}

impl Outgoing {
    pub(super) const fn of(start: StreamStart) -> Self {
        Self {
            ssrc: start.ssrc,
            sequence: start.sequence,
            timestamp: start.timestamp,
            after_silence: true,
            sent: 0,
            sent_octets: 0,
            payload_octets: 0,
            octets: [0; PACKET_OCTETS],
            ready: 0,
        }
    }

    pub(super) fn prepare(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
    ) {
        let header =
            Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        self.octets[..HEADER_OCTETS].copy_from_slice(&header.octets());
        self.octets[HEADER_OCTETS..HEADER_OCTETS + payload.len()].copy_from_slice(payload);
        self.payload_octets = payload.len();
        self.ready = HEADER_OCTETS + payload.len();
    }
}
