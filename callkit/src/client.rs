//! Where Tipring is, and asking it.

use crate::{Call, Error};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest as _;
use ureq::Agent;

/// Where a Tipring on this machine is.
const URL: &str = "http://127.0.0.1:8000";
/// An answer may take so long; collecting digits takes up to the time that was asked for.
const PATIENCE: Duration = Duration::from_mins(11);
/// A connection may take so long to be there.
const CONNECT: Duration = Duration::from_secs(10);
/// Octets of an answer, the longest of which is a recording.
const ANSWER_MAX: u64 = 256 << 20;

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// A running Tipring. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `host:port`.
    address: String,
    token: Option<String>,
    agent: Agent,
}

/// What is sent with a request.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Nothing,
    Json(Value),
    /// 16-bit samples, or a WAV file, which is recognised.
    Audio(Vec<u8>),
}

impl Client {
    /// The Tipring at `url`, as `http://127.0.0.1:8000`, with a token where it wants one. Nothing is
    /// asked yet.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another kind of address. This library speaks no TLS.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, Error> {
        let address = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let address = address.filter(|a| !a.is_empty() && !a.contains(['/', '?', '#', '@']));
        let Some(address) = address else {
            let reason = format!("`{url}` is no address; one is {URL}");
            return Err(Error::Malformed(reason));
        };
        let port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if port { address.to_owned() } else { format!("{address}:80") };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(PATIENCE));
        let agent = config.build().into();
        Ok(Self(Arc::new(Inner { address, token: token.map(str::to_owned), agent })))
    }

    /// The Tipring that the environment names: `TIPRING_URL` (else the one on this machine) and
    /// `TIPRING_TOKEN`.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn from_environment() -> Result<Self, Error> {
        let url = std::env::var("TIPRING_URL").unwrap_or_else(|_| URL.to_owned());
        Self::new(&url, std::env::var("TIPRING_TOKEN").ok().as_deref())
    }

    /// Rings a line and waits until somebody lifts its phone. The call is the caller's to end:
    /// [`Call::hangup`], or [`Call::hold`] with a handler.
    ///
    /// # Errors
    /// [`Error::Refused`] where it cannot be rung, [`Error::Over`] when nobody lifts it.
    pub async fn call(&self, line: &str) -> Result<Call, Error> {
        let path = format!("/v1/lines/{}/ring", segment(line));
        let rung = self.ask_json("POST", &path, Body::Json(json!({}))).await?;
        let id = rung["call_id"].as_str().unwrap_or_default();
        let call = Call::open(self.clone(), id, line).await?;
        call.answered().await?;
        Ok(call)
    }

    /// The body of an answer.
    pub(crate) async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Body,
    ) -> Result<Vec<u8>, Error> {
        let (inner, path) = (self.0.clone(), path.to_owned());
        let asked = tokio::task::spawn_blocking(move || inner.ask(method, &path, body)).await;
        asked.unwrap_or_else(|_| Err(Error::Unreachable("the program is ending".to_owned())))
    }

    /// The JSON of an answer; null where it is empty.
    pub(crate) async fn ask_json(
        &self,
        method: &'static str,
        path: &str,
        body: Body,
    ) -> Result<Value, Error> {
        let octets = self.ask(method, path, body).await?;
        if octets.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&octets).map_err(|error| Error::Malformed(error.to_string()))
    }

    /// A WebSocket.
    pub(crate) async fn socket(&self, path: &str) -> Result<Socket, Error> {
        let opening = self.open(path);
        let opened = tokio::time::timeout(CONNECT, opening).await;
        opened.unwrap_or_else(|_| Err(Error::Unreachable("it does not answer".to_owned())))
    }

    async fn open(&self, path: &str) -> Result<Socket, Error> {
        let Inner { address, token, .. } = &*self.0;
        let malformed = |error: tungstenite::Error| Error::Malformed(error.to_string());
        let mut request =
            format!("ws://{address}{path}").into_client_request().map_err(malformed)?;
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse();
            let value = value.map_err(|_| Error::Malformed("that is no token".to_owned()))?;
            request.headers_mut().insert("Authorization", value);
        }
        let unreachable = |error: std::io::Error| Error::Unreachable(error.to_string());
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err(Error::refused(answer.status().as_u16(), body))
            }
            Err(error) => Err(Error::Unreachable(error.to_string())),
        }
    }
}

/// A part of a path: what is more than letters, digits and `-._~` as `%` and its octets
/// (RFC 3986 §2.1).
pub(crate) fn segment(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    let escaped = |octet: u8| {
        if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") }
    };
    text.bytes().map(escaped).collect()
}

impl Inner {
    fn ask(&self, method: &str, path: &str, body: Body) -> Result<Vec<u8>, Error> {
        let url = format!("http://{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let (kind, octets) = match body {
            Body::Nothing => (None, Vec::new()),
            Body::Json(value) => (Some("application/json"), value.to_string().into_bytes()),
            Body::Audio(octets) => (Some("application/octet-stream"), octets),
        };
        if let Some(kind) = kind {
            request = request.header("Content-Type", kind);
        }
        let request = request.body(octets).map_err(|error| Error::Malformed(error.to_string()))?;
        // A DELETE may have no body, and needs none.
        let request = self.agent.configure_request(request).allow_non_standard_methods(true);
        let unreachable = |error: ureq::Error| Error::Unreachable(error.to_string());
        let mut answer = self.agent.run(request.build()).map_err(unreachable)?;
        let octets = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        let octets = octets.map_err(unreachable)?;
        if answer.status().is_success() {
            Ok(octets)
        } else {
            Err(Error::refused(answer.status().as_u16(), &octets))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_path_ends_no_path() {
        assert_eq!(segment("700"), "700");
        assert_eq!(segment("*9#/é"), "%2A9%23%2F%C3%A9");
    }

    #[test]
    fn an_address_has_a_host_and_perhaps_a_port() {
        let address = |url| Client::new(url, None).ok().map(|client| client.0.address.clone());
        assert_eq!(address("http://127.0.0.1:8000/").as_deref(), Some("127.0.0.1:8000"));
        assert_eq!(address("http://phones.example").as_deref(), Some("phones.example:80"));
        for wrong in ["https://x", "x:8000", "http://", "http://x/v1", "http://a@b"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
