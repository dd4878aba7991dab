//! Where an application is, and how it is spoken with: `ws://host:port/path?dialect=twilio`.

use super::dialect::{About, Dialect};
use super::{handler, tipring, twilio};
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
}

impl Kind {
    const ALL: [(&'static str, Self); 3] =
        [("tipring", Self::Tipring), ("twilio", Self::Twilio), ("handler", Self::Handler)];
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
    format: AudioFormat,
}

impl Address {
    /// A conversation in the address's dialect.
    pub(super) fn dialect(&self, about: About) -> Box<dyn Dialect> {
        match self.kind {
            Kind::Tipring => Box::new(tipring::Tipring::new(about, self.format)),
            Kind::Twilio => Box::new(twilio::Twilio::new(about)),
            Kind::Handler => Box::new(handler::Handler::new(about, self.format)),
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
        match uri.scheme_str() {
            Some("ws") => {}
            Some("wss") => return Err("wss:// is not built yet; allowed is ws://".to_owned()),
            _ => return Err("allowed is ws://HOST:PORT/PATH".to_owned()),
        }
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        if authority.contains('@') {
            return Err("a URL here has no user and no password".to_owned());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        let (mut kind, mut format, mut rest) = (Kind::Tipring, AudioFormat::PcmS16le, Vec::new());
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("dialect", name)) => kind = kind_of(name)?,
                Some(("format", name)) => format = format_of(name)?,
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
        assert_eq!((plain.kind, plain.format), (Kind::Tipring, AudioFormat::Pcmu));
        assert_eq!(plain.url, "ws://[::1]/");
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let long = format!("ws://a/{}", "x".repeat(3000));
        for (url, reason) in [
            ("http://a/", "allowed is ws://"),
            ("wss://a/", "not built"),
            ("ws://", "no URL"),
            ("ws://me:pw@a/", "no user"),
            ("ws://a/?dialect=klingon", "no dialect"),
            ("ws://a/?format=mp3", "no format"),
            ("agent", "allowed is ws://"),
            ("ws://a b/", "no URL"),
            (long.as_str(), "at most"),
        ] {
            let error = url.parse::<Address>().unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
