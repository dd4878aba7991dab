//! The states of a phone's call as signalling sees it. Each state holds what only it needs.

use super::dialog::Dialog;
use super::early::{EarlyDialog, Reliable};
use super::message::{Peer, Request};
use super::sdp::{Description, Direction, LocalAudio, RemoteAudio};
use super::session_timer::SessionTimer;
use super::transfer::Refer;
use crate::control::{Cause, RemoteMedia};
use serde::{Deserialize, Serialize};
use tipring_shm_proto::command::SrtpKeys;

/// Names a transaction; given by whoever starts it, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub u64);

/// An account has at most one.
#[derive(Debug)]
pub(super) enum Call {
    /// The phone's INVITE waits for control.
    Incoming(Box<Incoming>),
    /// Our INVITE waits for the phone.
    Outgoing(Box<Outgoing>),
    /// A 2xx was sent or received.
    Established(Box<Established>),
}

impl Call {
    /// Its dialog, once there is one.
    pub(super) fn dialog(&self) -> Option<&Dialog> {
        match self {
            Self::Incoming(call) => Some(&call.dialog),
            Self::Established(call) => Some(&call.dialog),
            Self::Outgoing(_) => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) tx: TxId,
    pub(super) invite: Request,
    pub(super) dialog: Dialog,
    /// Absent in a late offer: then ours goes with the 200.
    pub(super) offer: Option<Description>,
    pub(super) timer: Option<SessionTimer>,
    /// Our 180 that the phone has not acknowledged yet (RFC 3262).
    pub(super) reliable: Option<Reliable>,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) tx: TxId,
    pub(super) invite: Request,
    pub(super) to: Peer,
    pub(super) local: LocalAudio,
    /// A 1xx came: a CANCEL may be sent (RFC 3261 §9.1).
    pub(super) provisional: bool,
    pub(super) rang: bool,
    /// Phones behind a fork that rang; bounded.
    pub(super) early: Vec<EarlyDialog>,
    pub(super) tried: Tried,
}

/// What was mended in our INVITE already; nothing is mended twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried {
    /// It has an answer to a challenge.
    pub(super) challenge: bool,
    /// It asks for the interval that a 422 wanted.
    pub(super) interval: bool,
    /// Servers of its trunk, besides the first one.
    pub(super) servers: u8,
}

/// What is left of an INVITE that was taken back: its account is free already.
#[derive(Debug)]
pub(super) struct Faded {
    pub(super) invite: Request,
    pub(super) to: Peer,
    pub(super) cancelled: bool,
    pub(super) cause: Cause,
}

/// A confirmed dialog with its media; what is kept on disk.
#[derive(Debug, Serialize, Deserialize)]
pub struct Established {
    pub(super) dialog: Dialog,
    pub(super) local: LocalAudio,
    pub(super) remote: Option<SavedRemote>,
    pub(super) timer: Option<SessionTimer>,
    /// The phone takes UPDATE (RFC 3311): a refresh needs no offer.
    #[serde(default)]
    pub(super) takes_update: bool,
    /// The phone began it.
    #[serde(default)]
    pub(super) placed: bool,
    #[serde(skip)]
    pub(super) open: Open,
}

/// The phone's media as last negotiated: to tell a refresh from a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedRemote {
    address: std::net::SocketAddr,
    telephone_event: Option<u8>,
    direction: Direction,
    #[serde(default)]
    rtcp_mux: bool,
    /// In no file: after a restart both ends get new ones.
    #[serde(skip)]
    srtp: Option<SrtpKeys>,
}

impl SavedRemote {
    pub(super) fn of(audio: &RemoteAudio) -> Self {
        Self {
            address: audio.remote,
            telephone_event: audio.telephone_event,
            direction: audio.direction,
            rtcp_mux: audio.rtcp_mux,
            srtp: audio.crypto.map(|crypto| crypto.keys),
        }
    }
}

/// Transactions that an established call waits for.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Our 2xx to an INVITE is not acknowledged yet.
    pub(super) unacked: Option<TxId>,
    /// That 2xx carried our offer; the ACK brings the answer.
    pub(super) late_offer: bool,
    /// Control hung up meanwhile: BYE at the ACK (RFC 3261 §15).
    pub(super) end_on_ack: Option<Cause>,
    /// The phone's re-INVITE or UPDATE waits for control.
    pub(super) change: Option<Change>,
    /// Our re-INVITE or UPDATE waits for the phone.
    pub(super) ours: Option<OurChange>,
    /// It crossed the phone's: when to try again, ms since 1970, and in which direction.
    pub(super) again: Option<(u64, Direction)>,
    /// The phone waits to hear what became of its REFER.
    pub(super) refer: Option<Refer>,
}

/// A re-INVITE or UPDATE of ours.
#[derive(Debug)]
pub(super) struct OurChange {
    pub(super) tx: TxId,
    /// What it offers; an UPDATE offers nothing.
    pub(super) offered: Option<LocalAudio>,
    /// Number of the phone's last request when it was sent: a phone that was heard from since is
    /// not gone, though it may have moved away from this request.
    pub(super) heard: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Change {
    pub(super) tx: TxId,
    pub(super) request: Request,
    pub(super) offer: Description,
}

/// What control is told of a phone's media.
pub(super) fn remote_media(audio: &RemoteAudio) -> RemoteMedia {
    RemoteMedia {
        remote: Some(audio.remote),
        laws: audio.laws.clone(),
        telephone_event: audio.telephone_event,
        wants_audio: audio.direction.receives(),
        sends_audio: audio.direction.sends(),
        rtcp_mux: audio.rtcp_mux,
        srtp: audio.crypto.map(|crypto| crypto.keys),
    }
}
