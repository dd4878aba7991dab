//! Where an application is, and how it is spoken with: `ws://host:port/path?dialect=twilio`.

use super::dialect::{About, Dialect};
use super::{asterisk, audiosocket, handler, tipring, twilio};
use crate::view::AudioFormat;
use std::str::FromStr;
use tokio_tungstenite::tungstenite::http::Uri;

/// Longest URL.
const LENGTH_MAX: usize = 2048;

/// How an application is spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tipring,
    Twilio,
    Handler,
    Asterisk,
    /// Has a scheme of its own.
    AudioSocket,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] = [
        ("tipring", Self::Tipring),
        ("twilio", Self::Twilio),
        ("handler", Self::Handler),
        ("asterisk", Self::Asterisk),
    ];
}

/// Where an application is, and how it is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or address, IPv6 in brackets.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// What is asked for: the URL without what was meant for us.
    pub(super) url: String,
    kind: Kind,
    /// The dialect's own where none is named.
    format: Option<AudioFormat>,
    /// Control messages are JSON.
    json: bool,
    /// The application need not answer.
    auto_answer: bool,
}

impl Address {
    /// What the application's server is asked to speak, where the dialect has a name for it.
    pub(super) const fn subprotocol(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Asterisk => Some("media"),
            Kind::Tipring | Kind::Twilio | Kind::Handler | Kind::AudioSocket => None,
        }
    }

    /// Whether the application is met on bare TCP, in packets.
    pub(super) const fn is_bare(&self) -> bool {
        matches!(self.kind, Kind::AudioSocket)
    }

    /// A conversation in the address's dialect.
    pub(super) fn dialect(&self, about: About) -> Box<dyn Dialect> {
        let format = self.format.unwrap_or(AudioFormat::PcmS16le);
        match self.kind {
            Kind::Tipring => Box::new(tipring::Tipring::new(about, format)),
            Kind::Twilio => Box::new(twilio::Twilio::new(about)),
            Kind::Handler => Box::new(handler::Handler::new(about, format)),
            Kind::Asterisk => {
                let format = self.format.unwrap_or(AudioFormat::Pcmu);
                let channel = asterisk::Asterisk::new(about, format, self.json, self.auto_answer);
                Box::new(channel)
            }
            Kind::AudioSocket => Box::new(audiosocket::AudioSocket::new(&about)),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH_MAX {
            return Err(format!("a URL has at most {LENGTH_MAX} octets"));
        }
        let uri: Uri = text.parse().map_err(|error| format!("it is no URL: {error}"))?;
        let bare = match uri.scheme_str() {
            Some("ws") => false,
            Some("audiosocket") => true,
            Some("wss") => return Err("wss:// is not built yet; allowed is ws://".to_owned()),
            _ => {
                return Err(
                    "allowed are ws://HOST:PORT/PATH and audiosocket://HOST:PORT".to_owned()
                );
            }
        };
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        if authority.contains('@') {
            return Err("a URL here has no user and no password".to_owned());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        if bare {
            return Self::audiosocket(&uri, host);
        }
        let (mut kind, mut format, mut rest) = (Kind::Tipring, None, Vec::new());
        let (mut json, mut auto_answer) = (false, true);
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("dialect", name)) => kind = kind_of(name)?,
                Some(("format", name)) => format = Some(format_of(name)?),
                Some(("control", name)) => json = one_of(name, "control", ["plain", "json"])?,
                Some(("answer", name)) => {
                    auto_answer = !one_of(name, "answer", ["auto", "application"])?;
                }
                // Whom the call belongs to was noted before.
                Some(("account", _)) => {}
                _ => rest.push(pair),
            }
        }
        let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
        let path = if uri.path().is_empty() { "/" } else { uri.path() };
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            url: format!("ws://{authority}{path}{query}"),
            kind,
            format,
            json,
            auto_answer,
        })
    }
}

impl Address {
    fn audiosocket(uri: &Uri, host: &str) -> Result<Self, String> {
        let port = uri.port_u16().ok_or("audiosocket://HOST:PORT needs a port")?;
        // Whom the call belongs to was noted before.
        let query = uri.query().filter(|query| !query.starts_with("account="));
        if !matches!(uri.path(), "" | "/") || query.is_some() {
            return Err("audiosocket://HOST:PORT has no path and no query".to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            url: format!("audiosocket://{host}:{port}"),
            kind: Kind::AudioSocket,
            format: None,
            json: false,
            auto_answer: true,
        })
    }
}

fn kind_of(name: &str) -> Result<Kind, String> {
    let known = Kind::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names = Kind::ALL.map(|(name, _)| name).join(", ");
        format!("`{name}` is no dialect; there are {names}")
    })
}

/// Whether it is the second of two words.
fn one_of(name: &str, key: &str, [no, yes]: [&str; 2]) -> Result<bool, String> {
    match name {
        name if name == no => Ok(false),
        name if name == yes => Ok(true),
        _ => Err(format!("`{name}`: {key} is {no} or {yes}")),
    }
}

fn format_of(name: &str) -> Result<AudioFormat, String> {
    match name {
        "pcm_s16le" => Ok(AudioFormat::PcmS16le),
        "pcmu" => Ok(AudioFormat::Pcmu),
        "pcma" => Ok(AudioFormat::Pcma),
        _ => Err(format!("`{name}` is no format; there are pcm_s16le, pcmu, pcma")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_us_is_taken_out() {
        let address: Address = "ws://agent:8765/a/b?x=1&dialect=twilio&y=2".parse().unwrap();
        assert_eq!(address.url, "ws://agent:8765/a/b?x=1&y=2");
        assert_eq!(
            (address.host.as_str(), address.port, address.kind),
            ("agent", 8765, Kind::Twilio)
        );
        let plain: Address = "ws://[::1]?format=pcmu".parse().unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("[::1]", 80));
        assert_eq!((plain.kind, plain.format), (Kind::Tipring, Some(AudioFormat::Pcmu)));
        assert_eq!(plain.url, "ws://[::1]/");
        let bare: Address = "audiosocket://agent:9092?account=me".parse().unwrap();
        assert_eq!((bare.host.as_str(), bare.port, bare.is_bare()), ("agent", 9092, true));
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let long = format!("ws://a/{}", "x".repeat(3000));
        for (url, reason) in [
            ("http://a/", "allowed are ws://"),
            ("wss://a/", "not built"),
            ("ws://", "no URL"),
            ("ws://me:pw@a/", "no user"),
            ("ws://a/?dialect=klingon", "no dialect"),
            ("ws://a/?format=mp3", "no format"),
            ("ws://a/?control=xml", "plain or json"),
            ("agent", "allowed are ws://"),
            ("ws://a b/", "no URL"),
            ("audiosocket://a", "needs a port"),
            ("audiosocket://a:9/b", "no path"),
            ("audiosocket://a:9?format=pcmu", "no query"),
            (long.as_str(), "at most"),
        ] {
            let error = url.parse::<Address>().unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
