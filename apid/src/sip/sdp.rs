//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264) for one G.711 call with
//! telephone-event (RFC 4733).
//!
//! An answer takes one law of the offer, so that no phone changes it in mid-call; other media
//! lines are refused with port 0, in their place and order. It takes rtcp-mux (RFC 5761) and the first
//! line of keys that can be used ([`crypto`](super::crypto)), and gives our own.

use super::crypto::{Crypto, Encryption, OurKey};
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

/// What stands before the payload types of an audio line. Feedback (RFC 4585) is never sent, which its
/// profiles allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// RFC 3551.
    #[default]
    Avp,
    /// RFC 4585.
    Avpf,
    /// Encrypted (RFC 3711 §12).
    Savp,
    /// RFC 5124.
    Savpf,
}

impl Profile {
    const ALL: [Self; 4] = [Self::Avp, Self::Avpf, Self::Savp, Self::Savpf];

    const fn token(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
        }
    }

    fn of(media: &Media) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| media.proto.eq_ignore_ascii_case(profile.token()))
    }

    /// Nothing goes unencrypted there.
    const fn is_secure(self) -> bool {
        matches!(self, Self::Savp | Self::Savpf)
    }
}

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It is not a session description.
    Malformed,
    /// It has no audio line over RTP, or only a refused one.
    NoAudio,
    /// Its audio line has neither PCMU nor PCMA.
    NoCommonCodec,
    /// It is encrypted with nothing that can be used here, or has to be and is not.
    NoCommonCrypto,
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
    /// Its transport.
    pub profile: Profile,
    /// It can have RTCP on the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// Keys of an encrypted call; ours were made for this description.
    pub crypto: Option<Crypto>,
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
    /// Reads an offer.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn parse(body: &[u8], encryption: Encryption) -> Result<Self, SdpError> {
        // RFC 8866 §9 wants CRLF and no empty lines; phones end with one now and then.
        let body = body.trim_ascii_end();
        let session = Session::parse(body).map_err(|_| SdpError::Malformed)?;
        let (audio_line, profile, crypto) = audio_line(&session, encryption)?;
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
            profile,
            rtcp_mux: attributes(media, "rtcp-mux").next().is_some(),
            crypto,
        };
        Ok(Self { session, audio_line, audio })
    }

    /// Reads the answer to an offer of ours.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn parse_answer(body: &[u8], offered: &LocalAudio) -> Result<Self, SdpError> {
        let encryption = match offered.key {
            None => Encryption::Off,
            Some(_) if offered.profile.is_secure() => Encryption::Required,
            Some(_) => Encryption::Automatic,
        };
        let mut answer = Self::parse(body, encryption)?;
        if let (Some(crypto), Some(key)) = (&mut answer.audio.crypto, offered.key) {
            crypto.keep(Some(key));
            if crypto.ours() != key {
                return Err(SdpError::NoCommonCrypto); // it chose what we did not offer
            }
        }
        Ok(answer)
    }

    /// Our answer to this offer. `local` says what was chosen from it.
    pub fn answer(&self, local: &LocalAudio) -> Vec<u8> {
        let mut session = head(local);
        for (i, offered) in self.session.medias.iter().enumerate() {
            session.medias.push(if i == self.audio_line {
                // The answer names payload types of the offer (RFC 3264 §6.1).
                let mut media = audio_media(local);
                Profile::token(self.audio.profile).clone_into(&mut media.proto);
                if self.audio.rtcp_mux {
                    add_attribute(&mut media, "rtcp-mux", None);
                }
                media
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
    /// What our offers say; an answer has the offer's.
    #[serde(default)]
    pub profile: Profile,
    /// It is encrypted, or offered so.
    #[serde(default)]
    pub encrypted: bool,
    /// Our key then, in no file: the next apid makes another one.
    #[serde(skip)]
    pub(super) key: Option<OurKey>,
}

impl LocalAudio {
    /// What encryption an offer of ours begins with. `hidden`: nobody can read the keys on their way.
    #[must_use]
    pub(super) fn encrypted_by(self, encryption: Encryption, hidden: bool) -> Self {
        let (encrypted, profile) = match encryption {
            Encryption::Off => (false, Profile::Avp),
            Encryption::Automatic => (hidden, Profile::Avp),
            Encryption::Required => (true, Profile::Savp),
        };
        Self { profile, encrypted, key: encrypted.then(OurKey::fresh), ..self }
    }

    /// The same with a key for another offer: that of the last one, if it is known here.
    #[must_use]
    pub(super) fn with_key(self) -> Self {
        let key = self.key.or_else(|| self.encrypted.then(OurKey::fresh));
        Self { key, ..self }
    }

    /// The same, agreed with an offer or answer of the phone.
    #[must_use]
    pub(super) fn agreed(self, audio: &RemoteAudio) -> Self {
        let key = audio.crypto.map(|crypto| crypto.ours());
        Self { profile: audio.profile, encrypted: key.is_some(), key, ..self }
    }

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
        local.profile.token().into(),
        formats.join(" "),
    );
    let mut attribute = |name: &str, value| add_attribute(&mut media, name, value);
    for law in &local.laws {
        attribute("rtpmap", Some(format!("{} {}/8000", payload_type(*law), encoding(*law))));
    }
    if let Some(pt) = local.telephone_event {
        attribute("rtpmap", Some(format!("{pt} telephone-event/8000")));
        attribute("fmtp", Some(format!("{pt} 0-16")));
    }
    attribute("ptime", Some("20".to_owned()));
    attribute(local.direction.token(), None);
    if let Some(key) = &local.key {
        attribute("crypto", Some(key.line()));
    }
    media
}

fn add_attribute(media: &mut Media, name: &str, value: Option<String>) {
    media.attributes.push(sdp_types::Attribute { attribute: name.to_owned(), value });
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

/// Which line we talk by: the first one that can be encrypted, or else the first one that need not be.
fn audio_line(
    session: &Session,
    encryption: Encryption,
) -> Result<(usize, Profile, Option<Crypto>), SdpError> {
    let lines = session.medias.iter().enumerate();
    let lines: Vec<_> = lines
        .filter(|(_, media)| media.media == "audio" && media.port != 0)
        .filter_map(|(at, media)| Some((at, media, Profile::of(media)?)))
        .collect();
    if lines.is_empty() {
        return Err(SdpError::NoAudio);
    }
    let keys = |media| attributes(media, "crypto").filter_map(|a| a.value.as_deref());
    let mut secure = lines.iter().filter(|_| encryption != Encryption::Off);
    if let Some(found) = secure
        .find_map(|(at, media, profile)| Some((*at, *profile, Some(Crypto::choose(keys(media))?))))
    {
        return Ok(found);
    }
    let mut plain = lines.iter().filter(|_| encryption != Encryption::Required);
    let found = plain.find(|(.., profile)| !profile.is_secure());
    found.map(|(at, _, profile)| (*at, *profile, None)).ok_or(SdpError::NoCommonCrypto)
}

fn attributes<'a>(media: &'a Media, name: &str) -> impl Iterator<Item = &'a sdp_types::Attribute> {
    media.attributes.iter().filter(move |a| a.attribute.eq_ignore_ascii_case(name))
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
mod tests;
