//! The one way by which Tipring fetches from, or posts to, an address that somebody else gave:
//! audio to play, webhooks.
//!
//! Only allowed schemes and hosts. A name is resolved here, every address is judged, and the
//! connection goes to a judged address and to no other: a name that means something else a moment
//! later (DNS rebinding) changes nothing. Redirects pass the same gate, hop by hop. Time, size and
//! number are bounded. No proxy of the environment, no cookies, no compression.

use crate::config::Cidr;
use crate::tls::system_roots;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use ureq::Agent;
use ureq::http::{Request, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Redirects that are followed.
const REDIRECTS: u32 = 3;
/// Requests at once.
const AT_ONCE: usize = 16;
/// Of an answer to a post, which nobody reads.
const ANSWER_MAX: u64 = 64 * 1024;
/// What may be fetched.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// `http` is allowed too, not only `https`.
    pub plain_http: bool,
    /// The only hosts allowed, `*.` in front meaning all below; empty allows every one.
    pub hosts: Vec<String>,
    /// Private networks, this machine included, that may be reached all the same.
    pub private: Vec<Cidr>,
    /// Longest body.
    pub bytes_max: u64,
    /// For all of it: name, connection, redirects, body.
    pub timeout: Duration,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            plain_http: true,
            hosts: Vec::new(),
            private: Vec::new(),
            bytes_max: 16 * 1024 * 1024,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// It is no URL of a scheme that is allowed.
    Scheme,
    /// The host is not one of those allowed.
    Host(String),
    /// The address is not public, and its network not allowed.
    Private(String),
    /// No such name, no connection, no certificate that is trusted; the reason.
    Unreachable(String),
    /// It took too long.
    TimedOut,
    /// The body is longer than that.
    TooLong(u64),
    /// The server refused.
    Status(u16),
    /// Too many requests wait.
    Busy,
}

impl std::fmt::Display for FetchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scheme => {
                f.write_str("a URL that begins with http:// or https:// and is allowed")
            }
            Self::Host(host) => write!(f, "the host {host} is not allowed (fetch.hosts)"),
            Self::Private(host) => {
                write!(f, "{host} is in a private network that is not allowed (fetch.private)")
            }
            Self::Unreachable(reason) => write!(f, "it cannot be reached: {reason}"),
            Self::TimedOut => f.write_str("it took too long"),
            Self::TooLong(limit) => write!(f, "it is longer than {limit} octets"),
            Self::Status(status) => write!(f, "the server answered {status}"),
            Self::Busy => f.write_str("too many requests wait"),
        }
    }
}

impl std::error::Error for FetchError {}

/// Fetches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    agent: Agent,
    settings: FetchSettings,
    turns: Semaphore,
}

impl Fetcher {
    /// Connects to nothing yet.
    pub fn new(settings: FetchSettings) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .timeout_global(Some(settings.timeout))
            .max_redirects(REDIRECTS)
            .max_idle_connections(0)
            .http_status_as_error(false)
            .user_agent(concat!("Tipring/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls())
            .build();
        let guard = Guard { settings: settings.clone() };
        let agent = Agent::with_parts(config, DefaultConnector::new(), guard);
        Self(Arc::new(Shared { agent, settings, turns: Semaphore::new(AT_ONCE) }))
    }

    /// The body that is at `url`.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let limit = self.0.settings.bytes_max;
        let request = Request::get(url).body(()).map_err(|_| FetchError::Scheme)?;
        self.turn(move |agent| {
            let mut response = agent.run(request).map_err(|error| FetchError::of(error, limit))?;
            let status = response.status().as_u16();
            if status != 200 {
                return Err(FetchError::Status(status));
            }
            let body = response.body_mut().with_config().limit(limit);
            body.read_to_vec().map_err(|error| FetchError::of(error, limit))
        })
        .await
    }

    /// Posts JSON with headers; gives the status. A redirect is not followed.
    ///
    /// # Errors
    /// [`FetchError`], `Status` for anything but 2xx.
    pub async fn post(
        &self,
        url: &str,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<u16, FetchError> {
        let mut request = Request::post(url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|_| FetchError::Scheme)?;
        self.turn(move |agent| {
            let request = agent.configure_request(request).max_redirects(0).build();
            let run = agent.run(request);
            let mut response = run.map_err(|error| FetchError::of(error, ANSWER_MAX))?;
            let status = response.status().as_u16();
            // Read for the sake of the connection's orderly end; what it says is nobody's.
            let _ = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
            if (200..300).contains(&status) { Ok(status) } else { Err(FetchError::Status(status)) }
        })
        .await
    }

    /// Opens a connection of another protocol, to an address that is judged as any other.
    ///
    /// # Errors
    /// `Host`, `Private`, `Unreachable`, `TimedOut`, `Busy`.
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<tokio::net::TcpStream, FetchError> {
        let settings = &self.0.settings;
        if !settings.takes_host(host) {
            return Err(FetchError::Host(host.to_owned()));
        }
        let connect = async {
            let _turn = self.0.turns.acquire().await.map_err(|_| FetchError::Busy)?;
            let unreachable = |error: std::io::Error| FetchError::Unreachable(error.to_string());
            let found = tokio::net::lookup_host((host, port)).await.map_err(unreachable)?;
            let mut last = FetchError::Private(host.to_owned());
            for address in found.filter(|address| settings.takes_address(address.ip())) {
                match tokio::net::TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = unreachable(error),
                }
            }
            Err(last)
        };
        tokio::time::timeout(settings.timeout, connect).await.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Agent) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let shared = self.0.clone();
        let patience = tokio::time::timeout(self.0.settings.timeout, self.0.turns.acquire()).await;
        let Ok(Ok(_turn)) = patience else { return Err(FetchError::Busy) };
        // The agent's own limit ends it.
        let done = tokio::task::spawn_blocking(move || work(&shared.agent)).await;
        done.unwrap_or(Err(FetchError::Busy))
    }
}

impl FetchError {
    fn of(error: ureq::Error, limit: u64) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::TimedOut,
            ureq::Error::BodyExceedsLimit(_) => Self::TooLong(limit),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Self::Scheme,
            ureq::Error::Other(ours) => match ours.downcast::<Self>() {
                Ok(ours) => *ours,
                Err(other) => Self::Unreachable(other.to_string()),
            },
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// Certificates of the system; none where it has none, and then nothing over TLS is trusted.
fn tls() -> TlsConfig {
    let pem = system_roots();
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// Judges every name and address, of the first hop and of each redirect.
#[derive(Debug)]
struct Guard {
    settings: FetchSettings,
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let no = |error: FetchError| ureq::Error::Other(Box::new(error));
        let host = uri.host().unwrap_or_default();
        if !self.settings.takes_scheme(uri.scheme_str().unwrap_or_default()) {
            return Err(no(FetchError::Scheme));
        }
        if !self.settings.takes_host(host) {
            return Err(no(FetchError::Host(host.to_owned())));
        }
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| self.settings.takes_address(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() {
            return Err(no(FetchError::Private(host.to_owned())));
        }
        Ok(allowed)
    }
}

impl FetchSettings {
    /// Where `host` may be reached: the addresses of it that are allowed. A name is resolved once,
    /// and the connection is to go to what is given here.
    ///
    /// # Errors
    /// `Scheme` where `tls` is off and plain text is not allowed, `Host`, `Private`,
    /// `Unreachable`, `TimedOut`.
    pub async fn addresses(
        &self,
        tls: bool,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, FetchError> {
        if !tls && !self.plain_http {
            return Err(FetchError::Scheme);
        }
        if !self.takes_host(host) {
            return Err(FetchError::Host(host.to_owned()));
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::time::timeout(self.timeout, tokio::net::lookup_host((bare, port)));
        let found = found.await.map_err(|_| FetchError::TimedOut)?;
        let found = found.map_err(|error| FetchError::Unreachable(error.to_string()))?;
        let allowed: Vec<SocketAddr> =
            found.filter(|address| self.takes_address(address.ip())).collect();
        if allowed.is_empty() { Err(FetchError::Private(host.to_owned())) } else { Ok(allowed) }
    }

    fn takes_scheme(&self, scheme: &str) -> bool {
        scheme == "https" || scheme == "http" && self.plain_http
    }

    fn takes_host(&self, host: &str) -> bool {
        let fits = |allowed: &String| match allowed.strip_prefix("*.") {
            Some(parent) => {
                let below = host.len().checked_sub(parent.len() + 1);
                below.is_some_and(|at| {
                    host.is_char_boundary(at)
                        && host[at..].starts_with('.')
                        && host[at + 1..].eq_ignore_ascii_case(parent)
                })
            }
            None => host.eq_ignore_ascii_case(allowed),
        };
        self.hosts.is_empty() || self.hosts.iter().any(fits)
    }

    fn takes_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.private.iter().any(|network| network.contains(address))
    }
}

/// An address of the public internet: none of the special-purpose ones (RFC 6890 and its
/// registries), nor one that carries another address inside.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        // RFC 6598 §7, RFC 6890 §2.2.2, RFC 2544 §C.2.2, RFC 1112 §4.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240)
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let segments = v6.segments();
    // Global unicast (RFC 4291 §2.4) without Teredo, documentation and 6to4, which stand for
    // other addresses or none.
    (0x2000..0x4000).contains(&segments[0])
        && segments[0] != 0x2002
        && !(segments[0] == 0x2001 && (segments[1] == 0 || segments[1] == 0x0db8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn private_ground_is_told_from_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "203.0.113.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2001:db8::1",
            "2001:0:1::1",
            "::10.0.0.1",
        ] {
            let address: IpAddr = private.parse().unwrap();
            assert!(!FetchSettings::default().takes_address(address), "{private}");
        }
        for public in ["9.9.9.9", "193.99.144.80", "2620:fe::fe", "::ffff:9.9.9.9"] {
            assert!(FetchSettings::default().takes_address(public.parse().unwrap()), "{public}");
        }
        let home = FetchSettings {
            private: vec!["192.168.1.0/24".parse().unwrap()],
            ..FetchSettings::default()
        };
        assert!(home.takes_address("192.168.1.7".parse().unwrap()));
        assert!(home.takes_address("::ffff:192.168.1.7".parse().unwrap()));
        assert!(!home.takes_address("192.168.2.7".parse().unwrap()));
    }

    #[test]
    fn only_hosts_of_the_list_are_taken() {
        let hosts = vec!["media.example.org".to_owned(), "*.sounds.example".to_owned()];
        let settings = FetchSettings { hosts, ..FetchSettings::default() };
        for host in ["media.example.org", "MEDIA.example.org", "a.sounds.example"] {
            assert!(settings.takes_host(host), "{host}");
        }
        for host in ["example.org", "xmedia.example.org", "sounds.example", "asounds.example", ""] {
            assert!(!settings.takes_host(host), "{host}");
        }
    }

    /// Answers each connection with the next of `answers`, and holds the last one open.
    fn server(answers: Vec<String>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = stream.write_all(answer.as_bytes());
                open.push(stream);
            }
            std::thread::sleep(Duration::from_secs(5));
        });
        port
    }

    fn fetcher(private: &str, timeout_ms: u64) -> Fetcher {
        Fetcher::new(FetchSettings {
            private: vec![private.parse().unwrap()],
            bytes_max: 10,
            timeout: Duration::from_millis(timeout_ms),
            ..FetchSettings::default()
        })
    }

    #[tokio::test]
    async fn what_is_allowed_is_fetched_and_what_is_not_is_named() {
        let fetch = fetcher("127.0.0.1/32", 3000);
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned();
        let port = server(vec![ok]);
        assert_eq!(fetch.get(&format!("http://127.0.0.1:{port}/x")).await.unwrap(), b"hello");
        let long = "HTTP/1.1 200 OK\r\n\r\nfar more than ten octets".to_owned();
        let port = server(vec![long]);
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(fetch.get(&url).await, Err(FetchError::TooLong(10)));
        let port = server(vec!["HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned()]);
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(fetch.get(&url).await, Err(FetchError::Status(404)));
        for url in ["ftp://127.0.0.1/", "file:///etc/passwd", "nonsense", ""] {
            let error = fetch.get(url).await.unwrap_err();
            assert_eq!(error, FetchError::Scheme, "{url}");
        }
        let nobody = Fetcher::new(FetchSettings::default());
        let refused = nobody.get("http://localhost:1/").await;
        assert_eq!(refused, Err(FetchError::Private("localhost".to_owned())));
    }

    #[tokio::test]
    async fn a_redirect_into_private_ground_is_refused() {
        let fetch = fetcher("127.0.0.1/32", 3000);
        let elsewhere =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n";
        let port = server(vec![elsewhere.to_owned()]);
        let answer = fetch.get(&format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(answer, Err(FetchError::Private("127.0.0.2".to_owned())));
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let fetch = fetcher("127.0.0.1/32", 300);
        let port = server(vec![String::new()]);
        let answer = fetch.get(&format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(answer, Err(FetchError::TimedOut));
        let port = server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned()]);
        let answer = fetch.get(&format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(answer, Err(FetchError::TimedOut));
    }
}
