//! The inbound call handler's server, for clients to be tried with.

use super::check::at;
use super::values::{Bounded, Cidr, Host, Port};
use super::{Config, ConfigError};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use tipring_handler::Timings;

/// `handler`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandlerConfig {
    /// Address to listen on.
    pub host: Host,
    /// Null listens nowhere.
    pub port: Option<Port>,
    /// Networks that may connect, besides this machine: it knows no token.
    pub peers: Vec<Cidr>,
    /// From the connection to `incoming_call`.
    pub announce_ms: Bounded<0, 600_000>,
    /// From there to `answer`.
    pub answer_ms: Bounded<0, 600_000>,
    /// From there to `hangup`.
    pub hangup_ms: Bounded<0, 3_600_000>,
    /// From there until the server closes.
    pub close_ms: Bounded<0, 60_000>,
    /// Whether events carry `sessionId`.
    pub session_id_in_events: bool,
    /// Clients at once.
    pub max_clients: Bounded<1, 1000>,
}

impl Default for HandlerConfig {
    fn default() -> Self {
        let Timings { announce_ms, answer_ms, hangup_ms, close_ms } = Timings::default();
        Self {
            host: Host::LOOPBACK,
            port: None,
            peers: Vec::new(),
            announce_ms: Bounded::of(announce_ms),
            answer_ms: Bounded::of(answer_ms),
            hangup_ms: Bounded::of(hangup_ms),
            close_ms: Bounded::of(close_ms),
            session_id_in_events: false,
            max_clients: Bounded::of(100),
        }
    }
}

impl HandlerConfig {
    /// Where to listen.
    pub fn address(&self) -> Option<SocketAddr> {
        self.port.map(|port| SocketAddr::new(self.host.0, port.number()))
    }

    /// Whether a client of that address may connect.
    pub fn allows(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.peers.iter().any(|net| net.contains(peer))
    }

    /// When what happens.
    pub fn timings(&self) -> Timings {
        Timings {
            announce_ms: self.announce_ms.get(),
            answer_ms: self.answer_ms.get(),
            hangup_ms: self.hangup_ms.get(),
            close_ms: self.close_ms.get(),
        }
    }
}

impl Config {
    /// A server that knows no token and that others can reach names who may.
    pub(super) fn check_handler(&self, path: &Path) -> Result<(), ConfigError> {
        let HandlerConfig { host, port, peers, .. } = &self.handler;
        if port.is_some() && !host.is_loopback() && peers.is_empty() {
            let reason = format!(
                "handler.host {host} can be reached by others, and the handler knows no token. Name \
                 who may connect in handler.peers, or listen on 127.0.0.1"
            );
            return Err(at(path, 0, &reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_named_or_kept_out() {
        let path = Path::new("apid.yml");
        let open = "handler: {host: 192.168.1.10, port: 4143}\n";
        let error = Config::parse(open, path).unwrap_err().to_string();
        assert!(error.contains("handler.peers"), "{error}");
        let named = "handler: {host: 192.168.1.10, port: 4143, peers: [192.168.1.0/24]}\n";
        let handler = Config::parse(named, path).unwrap().handler;
        let may = |peer: &str| handler.allows(peer.parse().unwrap());
        assert!(may("127.0.0.1") && may("::ffff:127.0.0.1") && may("192.168.1.7"));
        assert!(!may("192.168.2.7") && !may("9.9.9.9"));
    }
}
