//! RTCP of a call: what is taken, what is due, where it goes, and its encryption.

use super::{MAX_ENCRYPTED, Outgoing, Session};
use crate::device::rtp::reports::{Received, Sending};
use crate::device::rtp::{jitter_buffer, rtcp, srtp};
use tipring_shm_proto::units::{Endpoint, Nanos};

/// Room for a report of ours, encrypted or not.
pub const CONTROL_OCTETS: usize = rtcp::LONGEST + srtp::CONTROL_OVERHEAD;

impl Session {
    /// Takes RTCP that reached this machine where RTP does; nothing of it is used unless that was
    /// agreed on (RFC 5761).
    pub fn handle_shared_control(
        &mut self,
        now: Nanos,
        real_ns: u64,
        from: Endpoint,
        octets: &[u8],
    ) {
        if self.media.rtcp_mux {
            self.handle_control(now, real_ns, from, octets);
        } else {
            self.counts.control_invalid += 1;
        }
    }

    /// Takes RTCP that reached this machine at `now`, which was `real_ns` by CLOCK_REALTIME. It has to
    /// come from the phone's IP address.
    pub fn handle_control(&mut self, now: Nanos, real_ns: u64, from: Endpoint, octets: &[u8]) {
        let is_phone = self.source.target().is_some_and(|phone| phone.ip == from.ip);
        let taken = is_phone && self.take_control(now, real_ns, octets);
        if taken {
            self.counts.control += 1;
            self.control_from = Some(from);
        } else {
            self.counts.control_invalid += 1;
        }
    }

    fn take_control(&mut self, now: Nanos, real_ns: u64, octets: &[u8]) -> bool {
        let (ours, theirs) = (self.outgoing.ssrc, self.source.ssrc());
        let Some(srtp) = &mut self.srtp else {
            return self.reports.handle_packet(now, real_ns, octets, ours, theirs).is_ok();
        };
        let mut plain = [0; MAX_ENCRYPTED];
        let Some(plain) = plain.get_mut(..octets.len()) else { return false };
        plain.copy_from_slice(octets);
        let Ok(len) = srtp.unprotect_control(plain) else {
            self.counts.not_authentic += 1;
            return false;
        };
        self.reports.handle_packet(now, real_ns, &plain[..len], ours, theirs).is_ok()
    }

    /// A report has to be sent now.
    pub fn is_control_due(&self, now: Nanos) -> bool {
        self.reports.is_due(now)
    }

    /// The report that is due: its length, and where it goes.
    pub fn next_control(
        &mut self,
        now: Nanos,
        real_ns: u64,
        octets: &mut [u8; CONTROL_OCTETS],
    ) -> Option<(usize, Endpoint)> {
        let (sending, received) = (self.sending(), self.received());
        let (received, mut plain) = (received.as_ref(), [0; rtcp::LONGEST]);
        let reports = &mut self.reports;
        let len = reports.next_packet(now, real_ns, &sending, received, &self.judge, &mut plain)?;
        octets[..len].copy_from_slice(&plain[..len]);
        let target = self.control_target()?;
        Some((self.secure_control(octets, len), target))
    }

    /// The last report: its length, and where it goes.
    pub fn goodbye(
        &mut self,
        now: Nanos,
        real_ns: u64,
        octets: &mut [u8; CONTROL_OCTETS],
    ) -> Option<(usize, Endpoint)> {
        let (sending, received) = (self.sending(), self.received());
        let target = self.control_target()?;
        let (received, mut plain) = (received.as_ref(), [0; rtcp::LONGEST]);
        let reports = &mut self.reports;
        let len = reports.goodbye(now, real_ns, &sending, received, &self.judge, &mut plain);
        octets[..len].copy_from_slice(&plain[..len]);
        Some((self.secure_control(octets, len), target))
    }

    fn secure_control(&mut self, octets: &mut [u8], len: usize) -> usize {
        self.srtp.as_mut().map_or(len, |srtp| srtp.protect_control(octets, len))
    }

    fn control_target(&self) -> Option<Endpoint> {
        let phone = self.source.target()?;
        if self.media.rtcp_mux {
            return Some(phone);
        }
        let above = Endpoint { port: phone.port.checked_add(1)?, ..phone };
        Some(self.control_from.filter(|from| from.ip == phone.ip).unwrap_or(above))
    }

    fn sending(&self) -> Sending {
        let Outgoing { ssrc, timestamp, sent, sent_octets, .. } = self.outgoing;
        Sending { ssrc, timestamp, packets: sent, octets: sent_octets }
    }

    fn received(&self) -> Option<Received> {
        let (highest, expected, received) = self.reception.for_report()?;
        Some(Received {
            ssrc: self.source.ssrc()?,
            highest,
            expected,
            received,
            jitter: self.reception.jitter_units(),
            late: self.late,
            depth_ms: self.buffer.depth_ms(),
            most_depth_ms: jitter_buffer::MOST_DEPTH_MS,
        })
    }
}
