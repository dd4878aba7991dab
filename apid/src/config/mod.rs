//! The configuration: what may stand in `apid.yml`, what holds where nothing stands, and what is
//! refused before anything starts. Unknown keys and values are refused with file and line.

mod agi;
mod ami;
mod applications;
mod check;
mod environment;
mod handler;
mod lifted;
mod media;
mod records;
mod provisioning;
#[cfg(test)]
mod tests;
mod tls;
mod trunks;
mod values;
mod webhooks;

pub use agi::AgiConfig;
pub use ami::{Ami, AmiDialect, AmiUserConfig};
pub use applications::ApplicationsConfig;
pub use handler::HandlerConfig;
pub use lifted::{LiftedConfig, LoadedPlans, PlanRow};
pub use media::{FetchConfig, SoundsConfig, SpeechConfig};
pub use provisioning::{DeviceConfig, DeviceModel, Mac, Provisioning};
pub use records::{CallRecordsConfig, RecordingsConfig};
pub use tls::Tls;
pub use trunks::TrunkConfig;
pub use values::{Bounded, Cidr, Host, Name, Number, Port, Secret};
pub use webhooks::WebhookConfig;

use crate::call::Services;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use tipring_logging::Logging;

/// Why a configuration is refused: file, line where there is one, reason, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// HTTP and WebSockets.
    pub api: Api,
    /// SIP phones.
    pub sip: Sip,
    /// Programs written for Asterisk's manager interface.
    pub ami: Ami,
    /// Programs that command channels.
    pub agi: AgiConfig,
    /// Names and numbers of lines that the engine has by itself.
    pub lines: Vec<LineConfig>,
    /// What an idle line should have between its wires.
    pub voltage: VoltageConfig,
    /// Numbers that are no phone.
    pub numbers: Numbers,
    /// Dial plans by name; lines say which is theirs.
    pub dial_plans: BTreeMap<String, Vec<PlanRow>>,
    /// A dial plan as `extensions.conf`, relative to this file; `demonstration` is the one of the
    /// demonstration.
    pub extensions: Option<String>,
    /// Times of calls.
    pub calls: Calls,
    /// Prompts by name.
    pub sounds: SoundsConfig,
    /// Text to speech.
    pub speech: SpeechConfig,
    /// What may be fetched.
    pub fetch: FetchConfig,
    /// Applications behind sockets.
    pub applications: ApplicationsConfig,
    /// The inbound call handler's server.
    pub handler: HandlerConfig,
    /// Recordings.
    pub recordings: RecordingsConfig,
    /// Calls that are over.
    pub call_records: CallRecordsConfig,
    /// Adapters that are set up from here.
    pub provisioning: Provisioning,
    /// Where to post what happens.
    pub webhooks: Vec<WebhookConfig>,
    /// Who may.
    pub security: Security,
    /// Where to say what happened.
    pub logging: Logging,
}

/// `api`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Address to listen on.
    pub host: Host,
    /// HTTP and WebSocket.
    pub port: Port,
    /// WebSocket of older clients; null opens none.
    pub ws_port: Option<Port>,
    /// HTTPS and `wss://` on both ports instead of HTTP and `ws://`.
    pub tls: Option<Tls>,
    /// Names by which browsers may reach us, besides loopback and `host`.
    pub host_names: Vec<String>,
    /// A request that takes longer is answered 408.
    pub request_timeout_ms: Bounded<100, 600_000>,
    /// Connections open at once.
    pub max_connections: Bounded<1, 100_000>,
    /// A larger body is answered 413.
    pub max_body_bytes: Bounded<1024, 1_073_741_824>,
    /// Requests of one client in a minute; more are answered 429. 0 is no limit.
    pub rate_limit_per_minute: Bounded<0, 10_000_000>,
    /// WebSockets open at once.
    pub max_websockets: Bounded<1, 100_000>,
    /// A WebSocket is pinged this often.
    pub ping_interval_ms: Bounded<1000, 600_000>,
    /// It is closed when nothing is heard for so long after a ping.
    pub ping_timeout_ms: Bounded<1000, 600_000>,
    /// A longer WebSocket message closes it (1009).
    pub max_message_bytes: Bounded<1024, 16_777_216>,
    /// Take `?token=`, which ends up in other people's logs.
    pub token_in_query: bool,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            host: Host::LOOPBACK,
            port: Port::of(8000),
            ws_port: Some(Port::of(8001)),
            tls: None,
            host_names: Vec::new(),
            request_timeout_ms: Bounded::of(30_000),
            max_connections: Bounded::of(1000),
            max_body_bytes: Bounded::of(32 * 1024 * 1024),
            rate_limit_per_minute: Bounded::of(6000),
            max_websockets: Bounded::of(500),
            ping_interval_ms: Bounded::of(30_000),
            ping_timeout_ms: Bounded::of(10_000),
            max_message_bytes: Bounded::of(1024 * 1024),
            token_in_query: false,
        }
    }
}

/// `sip`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// Address to listen on, UDP and TCP; RTP is received there too.
    pub host: Host,
    /// Port, UDP and TCP.
    pub port: Port,
    /// A certificate: with it SIP over TLS is taken on `tls_port`.
    pub tls: Option<Tls>,
    /// SIP over TLS.
    pub tls_port: Port,
    /// PEM, absolute: who vouches for phones that we reach over TLS; those that the system trusts
    /// where no file is given.
    pub trusts: Option<Spanned<PathBuf>>,
    /// SIP over WebSocket (RFC 7118); null opens none.
    pub ws_port: Option<Port>,
    /// The same over TLS, `wss://`; needs `tls`.
    pub wss_port: Option<Port>,
    /// What phones show when they ask for a password.
    pub realm: String,
    /// One line each.
    pub accounts: Vec<Account>,
    /// Our accounts at providers.
    pub trunks: Vec<TrunkConfig>,
    /// Name servers asked for their servers, `ADDRESS:PORT`; those of the system where none is
    /// given.
    pub name_servers: Vec<SocketAddr>,
    /// What strangers meet.
    pub defence: Defence,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            host: Host::LOOPBACK,
            port: Port::of(5060),
            tls: None,
            tls_port: Port::of(5061),
            trusts: None,
            ws_port: None,
            wss_port: None,
            realm: "tipring".to_owned(),
            accounts: Vec::new(),
            trunks: Vec::new(),
            name_servers: Vec::new(),
            defence: Defence::default(),
        }
    }
}

/// `sip.defence`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defence {
    /// Requests a second that prove nothing, of one address, in the long run.
    pub requests_per_s: Bounded<1, 100_000>,
    /// The same at once.
    pub burst: Bounded<1, 100_000>,
    /// Wrong passwords that ban an address, within `ban_window_s`.
    pub ban_after: Bounded<1, 10_000>,
    /// In seconds.
    pub ban_window_s: Bounded<1, 86_400>,
    /// How long a ban lasts, s.
    pub ban_s: Bounded<1, 2_592_000>,
    /// Sources that are neither counted nor banned.
    pub trusted_sources: Vec<Cidr>,
}

impl Default for Defence {
    fn default() -> Self {
        Self {
            requests_per_s: Bounded::of(20),
            burst: Bounded::of(60),
            ban_after: Bounded::of(10),
            ban_window_s: Bounded::of(600),
            ban_s: Bounded::of(3600),
            trusted_sources: Vec::new(),
        }
    }
}

/// One SIP phone: one line whose id is the user name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// User name and line id.
    pub user: Spanned<Name>,
    /// Needed with `auth: digest`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Instead of `password`: for each of `algorithms` the hash of `user:realm:password` in hex,
    /// which nobody can log in to a person's other accounts with.
    #[serde(default)]
    pub ha1: Option<BTreeMap<Algorithm, Secret>>,
    /// A phone that never registers: requests from there are its, rings go there.
    #[serde(default)]
    pub host: Option<IpAddr>,
    /// Of such a phone: 5060, or 5061 over TLS, where none is given.
    #[serde(default)]
    pub port: Option<Port>,
    /// How such a phone is called.
    #[serde(default)]
    pub transport: HostTransport,
    /// How it proves who it is.
    #[serde(default)]
    pub auth: Auth,
    /// Number to dial; none cannot be dialled.
    #[serde(default)]
    pub extension: Option<Spanned<Number>>,
    /// For people; the user name where none is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Its dial plan, before the numbers that everybody has.
    #[serde(default)]
    pub plan: Option<Spanned<String>>,
    /// Digest algorithms offered, first one first: some phones stop at one they do not know.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// In order of preference.
    #[serde(default = "default_codecs")]
    pub codecs: Vec<Codec>,
    /// Whether its audio is encrypted.
    #[serde(default)]
    pub srtp: Srtp,
    /// Numbers it may call, and beginnings of numbers that end in a full stop; all where none is
    /// given.
    #[serde(default)]
    pub may_call: Option<Vec<String>>,
    /// Calls that it may begin in a day (UTC).
    #[serde(default)]
    pub calls_per_day: Option<Bounded<0, 1_000_000>>,
    /// Minutes of such calls in a day (UTC).
    #[serde(default)]
    pub minutes_per_day: Option<Bounded<0, 100_000>>,
    /// Log its SIP messages, secrets masked.
    #[serde(default)]
    pub trace: bool,
}

/// How a phone that never registers is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostTransport {
    /// One datagram, one message.
    #[default]
    Udp,
    /// A connection of ours.
    Tcp,
    /// The same, if the phone shows a certificate that `sip.trusts` vouches for.
    Tls,
}

fn default_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Sha256, Algorithm::Md5]
}

fn default_codecs() -> Vec<Codec> {
    vec![Codec::Pcmu, Codec::Pcma]
}

/// How a phone proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// RFC 7616.
    #[default]
    Digest,
    /// By its address alone.
    None,
}

/// Whether a phone's audio is encrypted (RFC 3711, keys by RFC 4568).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Srtp {
    /// Where the phone offers it, and where it is reached over TLS and takes it (RFC 8643).
    #[default]
    Automatic,
    /// Calls without it are refused.
    Required,
    /// Never.
    Off,
}

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// RFC 2617.
    Md5,
    /// RFC 7616.
    Sha256,
}

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// A line that the engine has by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// Name in every route.
    pub id: Spanned<Name>,
    /// The engine's name for it, as `sim/1`.
    pub engine: Spanned<String>,
    /// Number to dial; none cannot be dialled.
    #[serde(default)]
    pub extension: Option<Spanned<Number>>,
    /// For people; `Line ID` where none is given.
    #[serde(default)]
    pub name: Option<String>,
    /// What its phone does when it is lifted.
    #[serde(default)]
    pub lifted: Option<LiftedConfig>,
    /// Whoever calls while its phone talks is announced by a tone, and a flash answers.
    #[serde(default)]
    pub call_waiting: bool,
    /// A flash gives its phone dial tone to call a third one, and another joins all three.
    #[serde(default)]
    pub three_way: bool,
}

impl LineConfig {
    /// What its hook switch does.
    fn services(&self) -> Services {
        Services { call_waiting: self.call_waiting, three_way: self.three_way }
    }
}

/// `numbers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Numbers {
    /// Whoever dials it hears himself; null is none.
    pub echo: Option<Number>,
    /// Gives a SIP phone our dial tone; null is none.
    pub dial_tone: Option<Number>,
    /// The number is complete when no digit comes for so long.
    pub inter_digit_ms: Bounded<500, 60_000>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            echo: "600".parse().ok(),
            dial_tone: "100".parse().ok(),
            inter_digit_ms: Bounded::of(4000),
        }
    }
}

/// `calls`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// A phone rings so long.
    pub ring_timeout_ms: Bounded<1, 600_000>,
    /// A call whose phone sends no RTP for so long is ended; 0 never.
    pub media_timeout_ms: Bounded<0, 86_400_000>,
    /// Calls at once.
    pub max_calls: Bounded<1, 10_000>,
    /// Conferences at once, no more than `conferences` of the engine.
    pub conferences: Bounded<0, 64>,
    /// Lines in one of them, no more than `conference_members` of the engine.
    pub conference_members: Bounded<2, 128>,
    /// Who is on hold hears the prompt `moh/NAME`, or a tune where there is none; silence where no
    /// name is given.
    pub hold_music: Option<Name>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            ring_timeout_ms: Bounded::of(60_000),
            media_timeout_ms: Bounded::of(120_000),
            max_calls: Bounded::of(1000),
            conferences: Bounded::of(16),
            conference_members: Bounded::of(32),
            hold_music: Some("default".parse().expect("it is a name")),
        }
    }
}

/// `voltage`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VoltageConfig {
    /// Less is low, mV.
    pub low_mv: Bounded<0, 200_000>,
    /// More is high, mV.
    pub high_mv: Bounded<0, 200_000>,
}

impl VoltageConfig {
    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let (low, high) = (self.low_mv.get(), self.high_mv.get());
        if low < high {
            return Ok(());
        }
        let reason = format!("voltage.low_mv, {low}, must be less than voltage.high_mv, {high}");
        Err(ConfigError(format!("{}: {reason}", path.display())))
    }
}

impl Default for VoltageConfig {
    /// What a card's battery of 48 V gives; Telcordia GR-909 allows 42 to 80.
    fn default() -> Self {
        Self { low_mv: Bounded::of(42_500), high_mv: Bounded::of(56_500) }
    }
}

/// `security`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Token hashes; `tokens.json` in the state directory where none is given.
    pub tokens: Option<PathBuf>,
    /// Origins, besides our own, whose pages may use the API.
    pub allowed_origins: Vec<String>,
    /// Who may use the compatibility routes without a token.
    pub compat_allow: Vec<Cidr>,
}

impl Config {
    /// What holds where there is no file: everything on this machine, two simulated lines, four
    /// SIP phones with a known password.
    pub fn demonstration() -> Self {
        match Self::parse(include_str!("demonstration.yml"), Path::new("demonstration")) {
            Ok(config) => config,
            Err(error) => unreachable!("compiled in and tested: {error}"),
        }
    }

    /// Where token hashes are kept.
    pub fn tokens_file(&self, state_dir: &Path) -> PathBuf {
        self.security.tokens.clone().unwrap_or_else(|| state_dir.join("tokens.json"))
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and what is allowed.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
        Self::parse(&text, path)
    }

    /// Checks `text`; `path` is for messages only.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = if text.lines().all(|l| l.trim().is_empty() || l.trim().starts_with('#'))
        {
            Self::default()
        } else {
            serde_saphyr::from_str(text).map_err(|error| {
                let line = error.location().map(|place| format!(":{}", place.line()));
                let reason = error.without_snippet().to_string();
                ConfigError(format!("{}{}: {reason}", path.display(), line.unwrap_or_default()))
            })?
        };
        check::check(&config, path)?;
        Ok(config)
    }
}
