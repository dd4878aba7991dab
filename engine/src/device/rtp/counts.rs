//! What happened to the packets of a line, for the engine's counters.

/// What happened to packets, each since the last
/// [`Session::take_counts`](super::session::Session::take_counts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RtpCounts {
    /// Accepted from the phone.
    pub received: u32,
    /// Handed to the kernel.
    pub sent: u32,
    /// Found missing when a later packet came. One that comes after all, late or reordered, stays
    /// in this count; [`lost`](tipring_shm_proto::line_table::RtpRow::lost) in the line's row is the
    /// figure that takes it back.
    pub lost: u32,
    /// Came after their frame was due.
    pub late: u32,
    /// Came twice.
    pub duplicate: u32,
    /// No RTP, a stray sequence number, or telephone-event of less than four octets.
    pub malformed: u32,
    /// Not from the phone, as far as can be told.
    pub foreign: u32,
    /// A payload type that was not agreed on.
    pub payload_type: u32,
    /// RTCP packets that were used.
    pub control: u32,
    /// No RTCP, or not from the phone.
    pub control_invalid: u32,
    /// Did not authenticate, or came again (RFC 3711 §3.3).
    pub not_authentic: u32,
    /// Packets that the kernel did not take, or that nobody flushed.
    pub unsent: u32,
    /// Times the jitter buffer began anew, the first of a source left out.
    pub resets: u32,
    /// Signals dropped because the line did not poll.
    pub signals_dropped: u32,
}
