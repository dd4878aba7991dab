//! What the web side can be told.

use crate::auth::Tokens;
use crate::config::{Cidr, Config, Port};
use crate::tls::Certificate;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything the web side can be told.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// REST, WebSocket and console.
    pub listen: Vec<SocketAddr>,
    /// WebSockets only, for clients that expect them on a port of their own.
    pub websocket_listen: Vec<SocketAddr>,
    /// TLS on all of them, and the certificate that is shown.
    pub tls: Option<Arc<Certificate>>,
    /// Who may come. While there are none, whoever is on this machine may do everything.
    pub tokens: Arc<Tokens>,
    /// Names besides loopback ones by which browsers may call us while there are no tokens.
    pub allowed_hosts: Vec<String>,
    /// Web origins besides our own, `https://console.example`.
    pub allowed_origins: Vec<String>,
    /// From where the compatibility routes may be used without a token.
    pub compat_allow: Vec<Cidr>,
    /// Take a token from `?token=` too: it may end up in other people's logs.
    pub token_in_query: bool,
    /// Requests a minute that one address may make; 0 is without limit.
    pub requests_per_minute: u32,
    /// Longest body that is not audio, octets.
    pub body_limit_bytes: usize,
    /// Longest body that is audio, octets.
    pub audio_limit_bytes: usize,
    /// Longest message on a WebSocket, octets.
    pub message_limit_bytes: usize,
    /// A body has to come within this time.
    pub body_timeout: Duration,
    /// A request's head has to come within this time.
    pub head_timeout: Duration,
    /// A connection without a request is closed after this time.
    pub keep_alive: Duration,
    /// Connections at once, per listening port.
    pub connections_max: usize,
    /// WebSockets at once.
    pub websockets_max: usize,
    /// Long bodies held in memory at once; others wait, as long as a body may take.
    pub uploads_max: usize,
    /// Time between two pings.
    pub ping_interval: Duration,
    /// A WebSocket on which nothing is heard or can be sent for so long is closed.
    pub silence_timeout: Duration,
    /// Audio from a client that may wait to be played, ms.
    pub play_queue_ms: u32,
    /// Threads that serve requests.
    pub workers: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8000))],
            websocket_listen: vec![SocketAddr::from(([127, 0, 0, 1], 8001))],
            tls: None,
            tokens: Arc::new(Tokens::none()),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            compat_allow: Vec::new(),
            token_in_query: false,
            requests_per_minute: 6000,
            body_limit_bytes: 64 * 1024,
            audio_limit_bytes: 32 * 1024 * 1024,
            message_limit_bytes: 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            connections_max: 1000,
            websockets_max: 500,
            uploads_max: 16,
            ping_interval: Duration::from_secs(30),
            silence_timeout: Duration::from_secs(40),
            play_queue_ms: 10_000,
            workers: 2,
        }
    }
}

impl HttpSettings {
    /// As the configuration says.
    pub fn of(config: &Config, tokens: Arc<Tokens>) -> Self {
        let api = &config.api;
        let at = |port: Port| SocketAddr::new(api.host.0, port.number());
        let ping = api.ping_interval_ms.ms();
        Self {
            listen: vec![at(api.port)],
            websocket_listen: api.ws_port.map(at).into_iter().collect(),
            tokens,
            allowed_hosts: api.host_names.clone(),
            allowed_origins: config.security.allowed_origins.clone(),
            compat_allow: config.security.compat_allow.clone(),
            token_in_query: api.token_in_query,
            requests_per_minute: api.rate_limit_per_minute.get() as u32,
            audio_limit_bytes: api.max_body_bytes.get() as usize,
            message_limit_bytes: api.max_message_bytes.get() as usize,
            body_timeout: api.request_timeout_ms.ms(),
            connections_max: api.max_connections.get() as usize,
            websockets_max: api.max_websockets.get() as usize,
            ping_interval: ping,
            silence_timeout: ping + api.ping_timeout_ms.ms(),
            ..Self::default()
        }
    }
}
