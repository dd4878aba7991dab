//! A telephone behind RTP (RFC 3550, 3551): G.711 and telephone-event over one UDP socket.
//!
//! The supervisor makes sockets and closes them; between [`Rtp::open`] and [`Rtp::close`] the
//! frame loop owns one. While none is open the phone says nothing and hears nothing.

pub mod packet;
pub mod reception;
pub mod source;
pub mod jitter_buffer;
pub mod telephone_event;

use crate::device::Device;
use crate::frame::{Companded, Heard};
use crate::signal::{Drive, Driven, Signal};
use std::net::UdpSocket;
use tipring_shm_proto::command::RtpMedia;
use tipring_shm_proto::line_table::RtpRow;
use tipring_shm_proto::units::{Endpoint, FRAME_SAMPLES, Nanos};

/// First values of an outgoing stream; all three random (RFC 3550 §5.1), made by the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number of the first packet.
    pub sequence: u16,
    /// Timestamp of the first frame.
    pub timestamp: u32,
}

/// What happened to packets, each since the last [`Rtp::take_counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RtpCounts {
    /// Accepted from the phone.
    pub received: u32,
    /// Handed to the kernel.
    pub sent: u32,
    /// Never came, as far as their successors tell.
    pub lost: u32,
    /// Came after their frame was due.
    pub late: u32,
    /// Came twice.
    pub duplicate: u32,
    /// No RTP, or telephone-event of less than four octets.
    pub malformed: u32,
    /// Not from the phone, as far as can be told.
    pub foreign: u32,
    /// A payload type that was not agreed on.
    pub payload_type: u32,
    /// The kernel did not take a packet.
    pub send_errors: u32,
    /// Times the jitter buffer began anew.
    pub resets: u32,
    /// Frames dropped to shorten the jitter buffer.
    pub shortened: u32,
    /// Signals dropped because the line did not poll.
    pub signals_dropped: u32,
}

/// The back end. Allocates once, in [`Rtp::new`].
pub struct Rtp {
    call: Option<Call>,
}

struct Call {
    socket: UdpSocket,
    local_port: u16,
    media: RtpMedia,
}

impl Default for Rtp {
    fn default() -> Self {
        Self::new()
    }
}

impl Rtp {
    /// A closed one. Not for the frame loop: allocates.
    pub fn new() -> Self {
        Self { call: None }
    }

    /// Begins a call on `socket`, which the supervisor has bound and made non-blocking; it must
    /// not be connected (a connected one answers ECONNREFUSED and cannot be symmetric).
    /// Does not allocate; one system call.
    ///
    /// # Errors
    /// Gives the socket back if a call is open already.
    pub fn open(
        &mut self,
        now: Nanos,
        socket: UdpSocket,
        media: RtpMedia,
        start: StreamStart,
    ) -> Result<(), UdpSocket> {
        let _ = (now, start);
        if self.call.is_some() {
            return Err(socket);
        }
        let local_port = socket.local_addr().map_or(0, |address| address.port());
        self.call = Some(Call { socket, local_port, media });
        Ok(())
    }

    /// Ends the call. The socket goes back to the supervisor, which closes it: closing a
    /// descriptor can take long. `None` if no call is open. Does not allocate.
    #[must_use = "dropping the socket here would close it on the frame loop"]
    pub fn close(&mut self) -> Option<UdpSocket> {
        self.call.take().map(|call| call.socket)
    }

    /// A call is open.
    pub fn is_open(&self) -> bool {
        self.call.is_some()
    }

    /// What signalling agreed on, from the next frame on. `false` if no call is open.
    pub fn update(&mut self, now: Nanos, media: RtpMedia) -> bool {
        let _ = now;
        self.call.as_mut().map(|call| call.media = media).is_some()
    }

    /// Digits arrive as telephone-event: do not look for them in the audio.
    pub fn has_telephone_event(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.media.telephone_event.is_some())
    }

    /// Digits accepted by [`Device::drive`] that are not sent to their end yet.
    pub fn digits_pending(&self) -> bool {
        false
    }

    /// For the line table; `None` if no call is open.
    pub fn stats(&self) -> Option<RtpRow> {
        self.call.as_ref().map(|call| RtpRow {
            local_port: call.local_port,
            remote: self.remote(),
            law: call.media.law,
            telephone_event: call.media.telephone_event,
            received: 0,
            sent: 0,
            lost: 0,
            late: 0,
            jitter_us: 0,
            depth_ms: 0,
        })
    }

    /// Where packets are sent to.
    pub fn remote(&self) -> Option<Endpoint> {
        self.call.as_ref().and_then(|call| call.media.remote)
    }

    /// What happened since the last call of this function.
    pub fn take_counts(&mut self) -> RtpCounts {
        RtpCounts::default()
    }
}

impl Device for Rtp {
    fn read_frame(&mut self, _now: Nanos, _into: &mut Companded) -> Heard {
        Heard::Nothing
    }

    fn write_frame(&mut self, _now: Nanos, _frame: &Companded) {}

    fn drive(&mut self, _now: Nanos, _order: Drive) -> Driven {
        Driven::Unsupported
    }

    fn poll_signal(&mut self, _now: Nanos) -> Option<Signal> {
        None
    }

    fn reserve_samples(&self) -> u32 {
        FRAME_SAMPLES as u32
    }
}
