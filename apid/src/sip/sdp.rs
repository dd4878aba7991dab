//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264) for one G.711 call with
//! telephone-event (RFC 4733).
//!
//! An answer takes one law of the offer, so that no phone changes it in mid-call; other media
//! lines are refused with port 0, in their place and order.

use sdp_types::{Connection, Media, Origin, Session};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use tipring_shm_proto::command::Law;

/// Payload type that we offer for telephone-event.
pub const TELEPHONE_EVENT: u8 = 101;

/// Which way audio flows, seen from the side that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// From the writer only: it holds us.
    SendOnly,
    /// To the writer only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// Attribute name.
    const fn token(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same flow seen from the other side (RFC 3264 §6.1).
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }

    /// Whether its writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether its writer listens.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It is not a session description.
    Malformed,
    /// It has no audio line over RTP/AVP, or only a refused one.
    NoAudio,
    /// Its audio line has neither PCMU nor PCMA.
    NoCommonCodec,
}

/// What a phone wants of an audio line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAudio {
    /// Where it wants its audio.
    pub remote: SocketAddr,
    /// Laws it offers, in its order; not empty.
    pub laws: Vec<Law>,
    /// Its payload type for telephone-event.
    pub telephone_event: Option<u8>,
    /// As the phone sees it; an old-style hold (`c=0.0.0.0`) is `Inactive` or `SendOnly`.
    pub direction: Direction,
}

/// A peer's description.
#[derive(Clone, Debug)]
pub struct Description {
    session: Session,
    audio_line: usize,
    /// The audio line that we use.
    pub audio: RemoteAudio,
}

impl Description {
    /// Reads an offer or an answer.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        // RFC 8866 §9 wants CRLF and no empty lines; phones end with one now and then.
        let body = body.trim_ascii_end();
        let session = Session::parse(body).map_err(|_| SdpError::Malformed)?;
        let usable = |m: &Media| m.media == "audio" && m.port != 0 && is_rtp_avp(m);
        let audio_line = session.medias.iter().position(usable).ok_or(SdpError::NoAudio)?;
        let media = &session.medias[audio_line];
        let address = media.connections.first().or(session.connection.as_ref());
        let ip = address.and_then(connection_ip).ok_or(SdpError::Malformed)?;

        let laws: Vec<Law> = formats(media).filter_map(|pt| law_of(media, pt)).collect();
        if laws.is_empty() {
            return Err(SdpError::NoCommonCodec);
        }
        let telephone_event = formats(media)
            .find(|pt| (96..=127).contains(pt) && maps_to(media, *pt, "telephone-event"));
        let mut direction = direction_of(media.attributes.iter())
            .or_else(|| direction_of(session.attributes.iter()))
            .unwrap_or(Direction::SendRecv);
        if ip.is_unspecified() {
            // RFC 2543 §B.5: no audio to me
            direction = match direction {
                Direction::SendRecv => Direction::SendOnly,
                Direction::RecvOnly => Direction::Inactive,
                other => other,
            };
        }
        let audio = RemoteAudio {
            remote: SocketAddr::new(ip, media.port),
            laws,
            telephone_event,
            direction,
        };
        Ok(Self { session, audio_line, audio })
    }

    /// Our answer to this offer. `local` says what was chosen from it.
    pub fn answer(&self, local: &LocalAudio) -> Vec<u8> {
        let mut session = head(local);
        for (i, offered) in self.session.medias.iter().enumerate() {
            session.medias.push(if i == self.audio_line {
                // The answer names payload types of the offer (RFC 3264 §6.1).
                audio_media(local)
            } else {
                let mut refused = offered.clone();
                refused.port = 0;
                refused.num_ports = None;
                refused.connections.clear();
                refused.bandwidths.clear();
                refused.key = None;
                refused.attributes.clear();
                refused
            });
        }
        write(&session)
    }
}

/// What we say of our own end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalAudio {
    /// Constant for the dialog.
    pub session_id: u64,
    /// Rises by one with each change (RFC 3264 §8).
    pub version: u64,
    /// Where we want audio.
    pub address: SocketAddr,
    /// Laws in order of preference; one in an answer.
    #[serde(with = "law_names")]
    pub laws: Vec<Law>,
    /// Payload type of telephone-event, if used.
    pub telephone_event: Option<u8>,
    /// As we see it.
    pub direction: Direction,
}

impl LocalAudio {
    /// An offer.
    pub fn offer(&self) -> Vec<u8> {
        let mut session = head(self);
        session.medias.push(audio_media(self));
        write(&session)
    }
}

fn head(local: &LocalAudio) -> Session {
    let ip = local.address.ip();
    let mut origin = Origin::with_ip_addr(local.session_id, local.version, ip);
    origin.username = Some("tipring".to_owned());
    let mut session = Session::new(origin, "tipring");
    session.connection = Some(Connection::from_ip_addr(ip));
    session
}

fn audio_media(local: &LocalAudio) -> Media {
    let mut formats: Vec<u8> = local.laws.iter().map(|law| payload_type(*law)).collect();
    formats.extend(local.telephone_event);
    let formats: Vec<String> = formats.iter().map(u8::to_string).collect();
    let mut media = Media::new(
        sdp_types::MediaType::Audio,
        local.address.port(),
        "RTP/AVP".into(),
        formats.join(" "),
    );
    let mut attribute = |name: &str, value: Option<String>| {
        media.attributes.push(sdp_types::Attribute { attribute: name.to_owned(), value });
    };
    for law in &local.laws {
        attribute("rtpmap", Some(format!("{} {}/8000", payload_type(*law), encoding(*law))));
    }
    if let Some(pt) = local.telephone_event {
        attribute("rtpmap", Some(format!("{pt} telephone-event/8000")));
        attribute("fmtp", Some(format!("{pt} 0-16")));
    }
    attribute("ptime", Some("20".to_owned()));
    attribute(local.direction.token(), None);
    media
}

fn write(session: &Session) -> Vec<u8> {
    let mut body = Vec::new();
    session.write(&mut body).expect("writing to memory does not fail");
    body
}

/// RFC 3551 §6.
const fn payload_type(law: Law) -> u8 {
    match law {
        Law::Mu => 0,
        Law::A => 8,
    }
}

const fn encoding(law: Law) -> &'static str {
    match law {
        Law::Mu => "PCMU",
        Law::A => "PCMA",
    }
}

fn is_rtp_avp(media: &Media) -> bool {
    media.proto.eq_ignore_ascii_case("RTP/AVP")
}

fn formats(media: &Media) -> impl Iterator<Item = u8> {
    media.fmt.split_ascii_whitespace().filter_map(|f| f.parse().ok())
}

/// The static types need no rtpmap; a dynamic one may stand for them, which the engine does not
/// send, so only the static ones are taken.
fn law_of(media: &Media, pt: u8) -> Option<Law> {
    let law = match pt {
        0 => Law::Mu,
        8 => Law::A,
        _ => return None,
    };
    let remapped = rtpmap(media, pt).is_some_and(|m| !is_encoding(m, encoding(law)));
    (!remapped).then_some(law)
}

fn maps_to(media: &Media, pt: u8, name: &str) -> bool {
    rtpmap(media, pt).is_some_and(|mapping| is_encoding(mapping, name))
}

fn rtpmap(media: &Media, pt: u8) -> Option<&str> {
    let maps = media.attributes.iter().filter(|a| a.attribute.eq_ignore_ascii_case("rtpmap"));
    maps.filter_map(|a| a.value.as_deref()?.trim().split_once([' ', '\t']))
        .find(|(number, _)| number.parse() == Ok(pt))
        .map(|(_, mapping)| mapping.trim())
}

fn is_encoding(mapping: &str, name: &str) -> bool {
    let mut parts = mapping.split('/');
    parts.next().is_some_and(|n| n.eq_ignore_ascii_case(name)) && parts.next() == Some("8000")
}

fn direction_of<'a>(
    mut attributes: impl Iterator<Item = &'a sdp_types::Attribute>,
) -> Option<Direction> {
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    attributes.find_map(|a| all.into_iter().find(|d| a.attribute.eq_ignore_ascii_case(d.token())))
}

fn connection_ip(connection: &Connection) -> Option<IpAddr> {
    connection.try_address().ok().map(|address| address.ip)
}

/// Laws by their names in files.
mod law_names {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tipring_shm_proto::command::Law;

    pub(super) fn serialize<S: Serializer>(laws: &[Law], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(laws.iter().map(|law| super::encoding(*law)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Law>, D::Error> {
        Vec::<String>::deserialize(from)?
            .iter()
            .map(|name| match name.as_str() {
                "PCMU" => Ok(Law::Mu),
                "PCMA" => Ok(Law::A),
                other => Err(D::Error::custom(format!("{other} is neither PCMU nor PCMA"))),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(lines: &[&str]) -> Vec<u8> {
        let mut text = String::from("v=0\r\no=u 8000 8000 IN IP4 10.0.0.5\r\ns=SIP Call\r\n");
        for line in lines {
            text += line;
            text += "\r\n";
        }
        text.into_bytes()
    }

    /// The lines of an HT801 (reference sheet).
    const ATA: [&str; 8] = [
        "c=IN IP4 10.0.0.5",
        "t=0 0",
        "m=audio 5004 RTP/AVP 0 8 4 18 2 97 123 101",
        "a=sendrecv",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
    ];

    fn local(law: Law) -> LocalAudio {
        LocalAudio {
            session_id: 42,
            version: 1,
            address: "10.0.0.1:10000".parse().unwrap(),
            laws: vec![law],
            telephone_event: Some(101),
            direction: Direction::SendRecv,
        }
    }

    #[test]
    fn an_atas_offer_is_understood_and_answered() {
        let d = Description::parse(&offer(&ATA)).unwrap();
        assert_eq!(d.audio.remote, "10.0.0.5:5004".parse().unwrap());
        assert_eq!(d.audio.laws, [Law::Mu, Law::A]);
        assert_eq!(d.audio.telephone_event, Some(101));
        assert_eq!(d.audio.direction, Direction::SendRecv);
        let answer = String::from_utf8(d.answer(&local(Law::Mu))).unwrap();
        assert_eq!(
            answer,
            "v=0\r\no=tipring 42 1 IN IP4 10.0.0.1\r\ns=tipring\r\nc=IN IP4 10.0.0.1\r\n\
             t=0 0\r\nm=audio 10000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        let back = Description::parse(answer.as_bytes()).unwrap();
        assert_eq!(back.audio.laws, [Law::Mu]);
    }

    #[test]
    fn our_own_offer_reads_back() {
        let mut ours = local(Law::Mu);
        ours.laws = vec![Law::A, Law::Mu];
        let d = Description::parse(&ours.offer()).unwrap();
        assert_eq!(d.audio.laws, [Law::A, Law::Mu]);
        assert_eq!(d.audio.remote, ours.address);
        let text = serde_json::to_string(&ours).unwrap();
        assert_eq!(serde_json::from_str::<LocalAudio>(&text).unwrap(), ours);
    }

    #[test]
    fn every_form_of_hold_is_recognised() {
        for (connection, attribute, want) in [
            ("c=IN IP4 10.0.0.5", "a=sendonly", Direction::SendOnly),
            ("c=IN IP4 10.0.0.5", "a=inactive", Direction::Inactive),
            ("c=IN IP4 10.0.0.5", "a=recvonly", Direction::RecvOnly),
            ("c=IN IP4 0.0.0.0", "a=sendrecv", Direction::SendOnly),
            ("c=IN IP4 0.0.0.0", "a=recvonly", Direction::Inactive),
        ] {
            let at_media = offer(&[connection, "t=0 0", "m=audio 5004 RTP/AVP 0", attribute]);
            let at_session = offer(&[connection, "t=0 0", attribute, "m=audio 5004 RTP/AVP 0"]);
            for body in [at_media, at_session] {
                let d = Description::parse(&body).unwrap();
                assert_eq!(d.audio.direction, want, "{connection} {attribute}");
            }
        }
        assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
        assert!(!Direction::SendOnly.reversed().sends());
        assert!(Direction::SendOnly.reversed().receives());
    }

    #[test]
    fn other_media_lines_are_refused_in_their_place() {
        let d = Description::parse(&offer(&[
            "t=0 0",
            "m=video 6000 RTP/AVP 31",
            "c=IN IP4 10.0.0.6",
            "m=audio 5004 RTP/AVP 8",
            "c=IN IP4 10.0.0.7",
            "m=image 7000 udptl t38",
        ]))
        .unwrap();
        assert_eq!(d.audio.remote, "10.0.0.7:5004".parse().unwrap());
        let answer = String::from_utf8(d.answer(&local(Law::A))).unwrap();
        let lines: Vec<&str> = answer.lines().filter(|l| l.starts_with("m=")).collect();
        assert_eq!(
            lines,
            ["m=video 0 RTP/AVP 31", "m=audio 10000 RTP/AVP 8 101", "m=image 0 udptl t38"]
        );
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let c = "c=IN IP4 10.0.0.5";
        for (lines, want) in [
            (&[c, "t=0 0", "m=audio 0 RTP/AVP 0"][..], SdpError::NoAudio),
            (&[c, "t=0 0", "m=audio 5004 RTP/SAVP 0"][..], SdpError::NoAudio),
            (&[c, "t=0 0", "m=video 5004 RTP/AVP 31"][..], SdpError::NoAudio),
            (&[c, "t=0 0", "m=audio 5004 RTP/AVP 18 9"][..], SdpError::NoCommonCodec),
            (&["t=0 0", "m=audio 5004 RTP/AVP 0"][..], SdpError::Malformed),
            (&["c=IN IP4 phone.local", "t=0 0", "m=audio 5004 RTP/AVP 0"][..], SdpError::Malformed),
            (&[c, "t=0 0", "m=audio 99999 RTP/AVP 0"][..], SdpError::Malformed),
        ] {
            assert_eq!(Description::parse(&offer(lines)).unwrap_err(), want, "{lines:?}");
        }
        for garbage in [&b""[..], b"hello", b"\xff\xfe\x00", b"v=0"] {
            assert!(Description::parse(garbage).is_err());
        }
    }
}
