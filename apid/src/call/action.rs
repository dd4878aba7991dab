//! What calls react to, and what they ask for.

use super::{CallNumber, CallRecord, Cause, RemoteMedia, Seat, SocketEnd};
use crate::view::CallerIdView;
use std::sync::Arc;
use tipring_shm_proto::command::ProgressTone;
use tipring_shm_proto::event::LineEvent;

/// Something that concerns calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The engine says something of a line.
    Line {
        /// Which.
        line: String,
        /// What.
        event: LineEvent,
    },
    /// A SIP phone dialled.
    Invited {
        /// Its line.
        line: String,
        /// What it dialled.
        to: String,
        /// Who calls, where that is not the line itself.
        caller: Option<CallerIdView>,
        /// Its offer.
        media: RemoteMedia,
    },
    /// The SIP phone that we called was lifted.
    Lifted {
        /// Its line.
        line: String,
        /// Its answer.
        media: RemoteMedia,
    },
    /// The SIP phone that we called rings.
    Alerting {
        /// Its line.
        line: String,
    },
    /// The SIP phone that we called refused.
    Refused {
        /// Its line.
        line: String,
        /// Why.
        cause: Cause,
    },
    /// A SIP phone hung up, or took its INVITE back.
    HungUp {
        /// Its line.
        line: String,
        /// Why, where it says so.
        cause: Cause,
    },
    /// A digit by SIP INFO.
    Digit {
        /// Its line.
        line: String,
        /// Which.
        digit: char,
    },
    /// A SIP phone can be reached, or not any more.
    Reachable {
        /// Its line.
        line: String,
        /// Whether.
        reachable: bool,
    },
    /// [`Order::Established`] came by: everything before it was done.
    Established {
        /// Which call.
        call: CallNumber,
    },
    /// The application that was dialled takes the call.
    Joined {
        /// Which call.
        call: CallNumber,
    },
    /// The application that was dialled is gone, or could not be reached.
    Left {
        /// Of which call.
        call: CallNumber,
        /// Why.
        cause: Cause,
    },
    /// An order could not be carried out.
    Failed {
        /// Of which call.
        call: CallNumber,
        /// The line that it was for, where that need not be the end of the call.
        line: Option<String>,
        /// What that means for it.
        cause: Cause,
    },
    /// [`Order::Release`] came by.
    Released {
        /// Which call.
        call: CallNumber,
    },
    /// The engine went away; everything it did has ended.
    EngineGone,
}

/// What is to be done. Actions of one call are carried out in their order; those of different
/// calls in any.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Something for the engine or for signalling.
    Do {
        /// For which call; 0 is none.
        call: CallNumber,
        /// What.
        order: Order,
    },
    /// Something for clients; at once.
    Tell(News),
}

/// Something for the engine or for signalling. What it means for a SIP phone stands in brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Ring the phone (open RTP, INVITE).
    Ring {
        /// Which.
        line: String,
        /// What to call by it, where it is a trunk's.
        number: Option<String>,
        /// Shown by it.
        caller: CallerIdView,
        /// Gives up by itself.
        timeout_ms: u32,
        /// On and off in turn.
        cadence_ms: Vec<u16>,
    },
    /// Stop ringing it (CANCEL, close RTP).
    StopRing {
        /// Which.
        line: String,
        /// Why.
        cause: Cause,
    },
    /// The SIP phone dialled: open RTP to it, note that it is lifted.
    Take {
        /// Which.
        line: String,
        /// Its offer.
        media: RemoteMedia,
    },
    /// The SIP phone that we called was lifted: send RTP there, note that it is lifted.
    Lift {
        /// Which.
        line: String,
        /// Its answer.
        media: RemoteMedia,
    },
    /// Tell the SIP phone that the other one rings (180).
    Alert {
        /// Which.
        line: String,
    },
    /// Tell the SIP phone that it is connected (200).
    Accept {
        /// Which.
        line: String,
    },
    /// Store the call's number in the line's row; 0 clears it.
    Tag {
        /// Which.
        line: String,
    },
    /// Let it hear a tone, or none.
    Tone {
        /// Which.
        line: String,
        /// What.
        tone: Option<ProgressTone>,
    },
    /// Let it hear that somebody else calls, and who, where it understands that.
    CallWaiting {
        /// Which.
        line: String,
        /// Who.
        caller: CallerIdView,
    },
    /// Dial the application behind a socket; [`Input::Joined`] or [`Input::Left`] follows.
    Application {
        /// The line that it shall have.
        line: String,
        /// Where it is.
        socket: SocketEnd,
        /// Who calls.
        caller: CallerIdView,
    },
    /// The call goes on without its application, or is over.
    EndApplication {
        /// Why.
        cause: Cause,
        /// The phone hung up.
        by_phone: bool,
    },
    /// Let it hear itself.
    Echo {
        /// Which.
        line: String,
    },
    /// Let it hear itself no more.
    EndEcho {
        /// Which.
        line: String,
    },
    /// Part it from whatever it is joined with.
    Part {
        /// Which.
        line: String,
    },
    /// Join two lines.
    Bridge {
        /// One.
        line: String,
        /// The other.
        peer: String,
    },
    /// Have it sit down in a conference.
    Confer {
        /// Which.
        line: String,
        /// Where.
        seat: Seat,
    },
    /// Let it be heard again.
    Unmute {
        /// Which.
        line: String,
    },
    /// Hang up on it (final response or BYE, close RTP).
    Drop {
        /// Which.
        line: String,
        /// Why.
        cause: Cause,
    },
    /// Tell the SIP phone that what it talked with is in other hands (NOTIFY of its REFER).
    Transferred {
        /// Which.
        line: String,
    },
    /// It is gone by itself (note that it is down, close RTP).
    Gone {
        /// Which.
        line: String,
    },
    /// The SIP phone refused (note it, close RTP).
    Refused {
        /// Which.
        line: String,
    },
    /// It belongs to nobody: back to its state after start.
    Reset {
        /// Which.
        line: String,
    },
    /// Comes back as [`Input::Established`].
    Established,
    /// Comes back as [`Input::Released`].
    Release,
}

/// Something for clients.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A call began.
    Started(Arc<CallRecord>),
    /// The one who is called rings.
    Ringing(Arc<CallRecord>),
    /// Answered and joined.
    Connected(Arc<CallRecord>),
    /// A leg is on hold.
    Held(Arc<CallRecord>),
    /// No leg is on hold any more.
    Resumed(Arc<CallRecord>),
    /// A dial plan has the call's line.
    Entered(Arc<CallRecord>),
    /// The plan's dial is over, and why: it has the line again.
    DialOver(Arc<CallRecord>, Cause),
    /// Its line sits in a conference.
    JoinedConference(Arc<CallRecord>),
    /// Nobody hears its line there, or they do again.
    MutedInConference(Arc<CallRecord>),
    /// Its line does not sit there any more.
    LeftConference(Arc<CallRecord>),
    /// Somebody else has the line that a plan had.
    Taken(Arc<CallRecord>),
    /// Over.
    Ended(Arc<CallRecord>),
}
