//! What two ends agree on: where RTP goes and how it is encoded.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tipring_shm_proto::command::{Law, SrtpKeys};

/// Media that our SDP offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaOffer {
    /// Local RTP port.
    pub port: u16,
    /// In order of preference.
    pub laws: Vec<Law>,
    /// Payload type of telephone-event.
    pub telephone_event: Option<u8>,
}

/// Media that our SDP answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaAnswer {
    /// Local RTP port.
    pub port: u16,
    /// Chosen from the phone's offer.
    pub law: Law,
    /// The phone's payload type, where it offered one.
    pub telephone_event: Option<u8>,
}

/// Media that the phone's SDP describes, offer or answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteMedia {
    /// Where it wants RTP; `None` where it offered none (then ours is the offer).
    pub remote: Option<SocketAddr>,
    /// What both can, in its order of preference; not empty.
    pub laws: Vec<Law>,
    /// Its payload type of telephone-event.
    pub telephone_event: Option<u8>,
    /// It wants to hear (`sendrecv`, `recvonly`).
    pub wants_audio: bool,
    /// It will speak (`sendrecv`, `sendonly`).
    pub sends_audio: bool,
    /// RTCP shares the port of RTP.
    #[serde(default)]
    pub rtcp_mux: bool,
    /// Keys of an encrypted call; never written to a file.
    #[serde(skip)]
    pub srtp: Option<SrtpKeys>,
}
