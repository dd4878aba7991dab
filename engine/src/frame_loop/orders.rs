//! What supervisor and frame loop tell each other, over one `rtrb` ring each way.
//!
//! Whatever owns memory or a descriptor is made by the supervisor and comes back to it to be
//! dropped: a frame loop neither allocates nor frees nor opens nor closes.

use crate::crossing::CrossingEnd;
use crate::device::dahdi::Opened;
use crate::device::dahdi::ioctl::Channel;
use crate::device::rtp::{CallSockets, StreamStart};
use crate::line::Company;
use crate::trace::Trace;
use tipring_shm_proto::command::{HeardBy, Refusal, RtpMedia};
use tipring_shm_proto::line_table::{DahdiRow, PLAYBACK_SLOTS};
use tipring_shm_proto::units::{CommandId, ConferenceId, LineId};
use tipring_shm_proto::{Attachment, CommandReader, EventCursor, PlayReader, Reservation};

/// Messages that may wait each way.
pub const CAPACITY: usize = 1024;

/// A question of apid that an [`Order`] answers late.
#[derive(Debug)]
pub struct Pending {
    /// The place kept for the answer, void when that apid has left.
    pub place: Reservation,
    /// The question.
    pub id: CommandId,
}

/// From the supervisor to a frame loop.
#[derive(Debug)]
pub enum Order {
    /// A new apid: these are its rings.
    Attach(Box<ApidRings>),
    /// Apid is gone.
    Detach,
    /// The answer to [`Report::OpenRtp`].
    Socket {
        /// Which line.
        line: LineId,
        /// Who asked.
        pending: Pending,
        /// As it was asked.
        media: RtpMedia,
        /// Bound, non-blocking sockets and start values, or why there is none.
        opened: Result<OpenedSocket, Refusal>,
    },
    /// A channel of a card, opened.
    Channel {
        /// For this line.
        line: LineId,
        /// The channel.
        opened: Opened,
        /// What is known of it.
        row: DahdiRow,
    },
    /// What is known of a line's channel, or why it has none.
    Describe {
        /// Which line.
        line: LineId,
        /// For its row.
        row: DahdiRow,
    },
    /// One end of a bridge, or the line's end of a seat.
    Join {
        /// The line it is for.
        line: LineId,
        /// Who is at its other end.
        company: Company,
        /// Names it in [`Report::Joined`].
        ticket: u64,
        /// Set on the side whose command it was, which is asked last.
        pending: Option<Pending>,
        /// The end, or why there is none.
        end: Result<CrossingEnd, Refusal>,
    },
    /// The conference's end of a seat; to the loop that mixes conferences.
    Seat {
        /// Where.
        conference: ConferenceId,
        /// Whose it is.
        line: LineId,
        /// Who hears that line.
        heard_by: HeardBy,
        /// Names it in [`Report::Joined`].
        ticket: u64,
        /// The end.
        end: CrossingEnd,
    },
    /// Return from the loop.
    Stop,
}

/// The rings of one apid as one frame loop uses them.
#[derive(Debug)]
pub struct ApidRings {
    /// Which apid.
    pub attachment: Attachment,
    /// This loop's command ring.
    pub commands: CommandReader,
    /// Where apid reads this loop's events; taken when the loop attaches.
    pub cursor: Option<EventCursor>,
    /// Play rings of this loop's lines, in the order of its lines.
    pub plays: Vec<[PlayReader; PLAYBACK_SLOTS]>,
}

/// Sockets for one call.
#[derive(Debug)]
pub struct OpenedSocket {
    /// Bound and non-blocking.
    pub sockets: CallSockets,
    /// The local port of RTP.
    pub port: u16,
    /// Random start values (RFC 3550 §5.1).
    pub start: StreamStart,
}

/// From a frame loop to the supervisor.
#[derive(Debug)]
pub enum Report {
    /// Worth a log line.
    Trace(Trace),
    /// Bind a socket.
    OpenRtp {
        /// For this line.
        line: LineId,
        /// Who asked.
        pending: Pending,
        /// To be given back with the socket.
        media: RtpMedia,
        /// Address to bind.
        local_ip: [u8; 16],
    },
    /// Make a bridge.
    Bridge {
        /// The line whose command it was.
        line: LineId,
        /// The other one.
        peer: LineId,
        /// Who asked.
        pending: Pending,
    },
    /// Find the line a seat.
    Confer {
        /// The line whose command it was.
        line: LineId,
        /// Where.
        conference: ConferenceId,
        /// Who hears it there.
        heard_by: HeardBy,
        /// Who asked.
        pending: Pending,
    },
    /// How the asked line, or conference, took its end.
    Joined {
        /// Of the [`Order::Join`].
        ticket: u64,
        /// Why it did not.
        refused: Option<Refusal>,
    },
    /// Apid wrote what cannot be: take it away.
    PeerFault {
        /// Which apid.
        attachment: Attachment,
    },
    /// To be dropped where dropping may take time.
    Discard(Discard),
}

/// Things whose drop unmaps, closes or frees.
#[derive(Debug)]
pub enum Discard {
    /// Rings of an apid that left.
    Rings(Box<ApidRings>),
    /// Its event cursor.
    Cursor(EventCursor),
    /// The sockets of a call that ended.
    Sockets(CallSockets),
    /// The end of a bridge.
    Crossing(CrossingEnd),
    /// The channel of this line: it is gone, or to be opened anew.
    Channel(LineId, Channel),
}
