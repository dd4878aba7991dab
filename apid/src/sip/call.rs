//! The states of a phone's call as signalling sees it. Each state holds what only it needs.

use super::dialog::Dialog;
use super::message::{Peer, Request};
use super::sdp::{Description, Direction, LocalAudio, RemoteAudio};
use crate::control::{Cause, RemoteMedia};
use serde::{Deserialize, Serialize};

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

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) tx: TxId,
    pub(super) invite: Request,
    pub(super) dialog: Dialog,
    /// Absent in a late offer: then ours goes with the 200.
    pub(super) offer: Option<Description>,
    pub(super) timer: Option<SessionTimer>,
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
    pub(super) answered_challenge: bool,
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
    #[serde(skip)]
    pub(super) open: Open,
}

/// The phone's media as last negotiated: to tell a refresh from a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedRemote {
    address: std::net::SocketAddr,
    telephone_event: Option<u8>,
    direction: Direction,
}

impl SavedRemote {
    pub(super) fn of(audio: &RemoteAudio) -> Self {
        Self {
            address: audio.remote,
            telephone_event: audio.telephone_event,
            direction: audio.direction,
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
    /// Our re-INVITE waits for the phone.
    pub(super) reinvite: Option<(TxId, LocalAudio)>,
}

#[derive(Debug)]
pub(super) struct Change {
    pub(super) tx: TxId,
    pub(super) request: Request,
    pub(super) offer: Description,
}

/// RFC 4028.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionTimer {
    pub(super) interval_s: u32,
    /// We refresh; otherwise the phone does.
    pub(super) ours: bool,
    /// ms since 1970: when we refresh, or when we give up.
    pub(super) due_ms: u64,
}

/// RFC 4028 §4: no interval may be shorter.
pub(super) const MIN_SE_S: u32 = 90;

impl SessionTimer {
    /// What a request asks for. The phone refreshes unless it says that we shall. `Err` when the
    /// interval is too short (422).
    pub(super) fn asked(request: &Request, now_ms: u64) -> Result<Option<Self>, TooShort> {
        let Some(value) = request.headers.get("Session-Expires") else { return Ok(None) };
        let mut parts = value.split(';');
        let Some(interval_s) = parts.next().and_then(|s| s.trim().parse::<u32>().ok()) else {
            return Ok(None);
        };
        if !request.headers.lists("Supported", "timer") {
            return Ok(None); // put there by a proxy; the phone itself will not refresh
        }
        if interval_s < MIN_SE_S {
            return Err(TooShort);
        }
        let refresher = parts.find_map(|p| p.trim().strip_prefix("refresher=").map(str::to_owned));
        let ours = refresher.is_some_and(|r| r.eq_ignore_ascii_case("uas"));
        Ok(Some(Self { interval_s, ours, due_ms: 0 }.restarted(now_ms)))
    }

    /// The timer from now on: we refresh at half time, we give up a little before the end
    /// (RFC 4028 §10).
    pub(super) fn restarted(self, now_ms: u64) -> Self {
        let wait_s = if self.ours {
            self.interval_s / 2
        } else {
            self.interval_s - (self.interval_s / 3).min(32)
        };
        Self { due_ms: now_ms + u64::from(wait_s) * 1000, ..self }
    }

    /// Value of Session-Expires in our 2xx to the phone's request.
    pub(super) fn in_response(self) -> String {
        let refresher = if self.ours { "uas" } else { "uac" };
        format!("{};refresher={refresher}", self.interval_s)
    }
}

/// A Session-Expires below the minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooShort;

/// What control is told of a phone's media.
pub(super) fn remote_media(audio: &RemoteAudio) -> RemoteMedia {
    RemoteMedia {
        remote: Some(audio.remote),
        laws: audio.laws.clone(),
        telephone_event: audio.telephone_event,
        wants_audio: audio.direction.receives(),
        sends_audio: audio.direction.sends(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Headers;

    fn asked(session_expires: &str, supported: &str) -> Result<Option<SessionTimer>, TooShort> {
        let mut headers = Headers::default();
        headers.push("Session-Expires", session_expires);
        headers.push("Supported", supported);
        let request =
            Request { method: "INVITE".into(), uri: String::new(), headers, body: vec![] };
        SessionTimer::asked(&request, 1000)
    }

    #[test]
    fn who_refreshes_and_when_we_give_up() {
        let phone = asked("180", "replaces, timer").unwrap().unwrap();
        assert_eq!((phone.ours, phone.due_ms), (false, 1000 + 148_000));
        assert_eq!(phone.in_response(), "180;refresher=uac");
        let short = asked("90;refresher=uac", "timer").unwrap().unwrap();
        assert_eq!(short.due_ms, 1000 + 60_000);
        let ours = asked("1800 ; refresher=uas", "timer").unwrap().unwrap();
        assert_eq!((ours.ours, ours.due_ms), (true, 1000 + 900_000));
        assert_eq!(asked("89", "timer"), Err(TooShort));
        assert_eq!(asked("180", "replaces"), Ok(None));
        assert_eq!(asked("soon", "timer"), Ok(None));
    }
}
