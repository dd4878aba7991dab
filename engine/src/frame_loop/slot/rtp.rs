//! The RTP of a line: its sockets are taken from the supervisor and given back, its packets counted.
//!
//! # Real-time contract
//! As [`super`].

use super::Slot;
use crate::device::AnyDevice;
use crate::frame_loop::orders::{Discard, OpenedSocket};
use crate::frame_loop::outside::Outside;
use tipring_shm_proto::command::{Command, Outcome, Refusal, RtpMedia};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::units::Nanos;

impl Slot {
    /// The supervisor has bound a socket for this line, or could not.
    pub fn take_socket(
        &mut self,
        opened: Result<OpenedSocket, Refusal>,
        media: RtpMedia,
        now: Nanos,
        outside: &mut Outside,
    ) -> Outcome {
        self.row_changed = true;
        let OpenedSocket { sockets, port, start } = match opened {
            Ok(opened) => opened,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        let returned = match &mut self.device {
            AnyDevice::Rtp(rtp) => rtp.open(now, sockets, media, start).err(),
            AnyDevice::Dahdi(_) | AnyDevice::Simulated(_) => Some(sockets),
        };
        if let Some(sockets) = returned {
            outside.discard(Discard::Sockets(sockets));
            return Outcome::Refused(Refusal::Rtp);
        }
        self.ears.begin_call();
        self.actions.clear();
        let command = Command::OpenRtp { media, local_ip: [0; 16] };
        self.line.carried_out(&command, &mut self.actions);
        let _ = self.apply(now, outside);
        self.write_row(now);
        Outcome::RtpOpened { port }
    }

    /// Ends its RTP, where there is any.
    pub(super) fn close_rtp(&mut self, now: Nanos, outside: &mut Outside) {
        if let AnyDevice::Rtp(rtp) = &mut self.device
            && let Some(sockets) = rtp.close(now)
        {
            outside.discard(Discard::Sockets(sockets));
        }
    }

    /// What its packets have come to since they were counted last.
    pub(super) fn count_of_rtp(&mut self, outside: &mut Outside) {
        let AnyDevice::Rtp(rtp) = &mut self.device else { return };
        let counts = rtp.take_counts();
        outside.count(Counter::rtp_received_total, u64::from(counts.received));
        outside.count(Counter::rtp_sent_total, u64::from(counts.sent));
        outside.count(Counter::rtp_lost_total, u64::from(counts.lost));
        outside.count(Counter::rtp_late_total, u64::from(counts.late));
        outside.count(Counter::rtcp_received_total, u64::from(counts.control));
        outside.count(Counter::rtcp_invalid_total, u64::from(counts.control_invalid));
        outside.count(Counter::srtp_refused_total, u64::from(counts.not_authentic));
        let invalid = [counts.malformed, counts.foreign, counts.payload_type];
        let invalid = invalid.map(u64::from).iter().sum();
        outside.count(Counter::rtp_invalid_total, invalid);
    }
}
