//! Bodies of requests: how long, how late, of what type, and what they mean.

use super::State;
use super::problem::{Kind, Problem};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

/// A JSON body.
pub(super) struct JsonBody<T>(pub T);

/// A JSON body that may be left out.
pub(super) struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let octets = read(&request, payload, limits(&request).0).await?;
            require_json(&request)?;
            parse(&octets).map(JsonBody)
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let octets = read(&request, payload, limits(&request).0).await?;
            if octets.is_empty() || octets.trim_ascii() == b"null" {
                return Ok(Self(T::default()));
            }
            require_json(&request)?;
            parse(&octets).map(OptionalBody)
        })
    }
}

/// A body of any type, as long as audio may be.
pub(super) struct AnyBody {
    /// Its media type in lower case, without parameters; empty where the client named none.
    pub media_type: String,
    /// What it holds.
    pub octets: Bytes,
    /// Kept while the body is.
    _permit: Option<OwnedSemaphorePermit>,
}

impl FromRequest for AnyBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let media_type = media_type(&request);
            let (json, audio) = limits(&request);
            if is_json(&media_type) {
                let octets = read(&request, payload, json).await?;
                return Ok(Self { media_type, octets, _permit: None });
            }
            let permit = upload_permit(&request).await?;
            let octets = read(&request, payload, audio).await?;
            Ok(Self { media_type, octets, _permit: Some(permit) })
        })
    }
}

impl AnyBody {
    /// Whether it says it is JSON.
    pub(super) fn is_json(&self) -> bool {
        is_json(&self.media_type)
    }
}

async fn upload_permit(request: &HttpRequest) -> Result<OwnedSemaphorePermit, Problem> {
    let state = request.app_data::<web::Data<State>>().expect("the server has a state");
    let permit = state.uploads.clone().acquire_owned();
    match tokio::time::timeout(state.settings.body_timeout, permit).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::new(Kind::TooManyRequests, "too many long bodies are on their way")
            .header(header::RETRY_AFTER, "5")),
    }
}

fn limits(request: &HttpRequest) -> (usize, usize) {
    let state = request.app_data::<web::Data<State>>().expect("the server has a state");
    (state.settings.body_limit_bytes, state.settings.audio_limit_bytes)
}

fn media_type(request: &HttpRequest) -> String {
    let value = request.headers().get(header::CONTENT_TYPE);
    let value = value.map_or(Ok(""), header::HeaderValue::to_str).unwrap_or("?");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

fn require_json(request: &HttpRequest) -> Result<(), Problem> {
    let media_type = media_type(request);
    if media_type.is_empty() || is_json(&media_type) {
        return Ok(());
    }
    Err(unsupported(&media_type, "application/json"))
}

/// 415, naming what would be understood.
pub(super) fn unsupported(media_type: &str, understood: &str) -> Problem {
    let detail = format!("`{media_type}` is not understood here; send {understood}");
    Problem::new(Kind::UnsupportedMediaType, detail).header(header::ACCEPT, understood)
}

async fn read(request: &HttpRequest, mut payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is longer than {limit} octets");
        Problem::new(Kind::TooLarge, detail).with("limit_bytes", limit)
    };
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if told.is_some_and(|told: usize| told > limit) {
        return Err(too_large());
    }
    let state = request.app_data::<web::Data<State>>().expect("the server has a state");
    let all = async {
        let mut octets = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| {
                Problem::new(Kind::MalformedBody, format!("the body broke off: {error}"))
            })?;
            if octets.len() + chunk.len() > limit {
                return Err(too_large());
            }
            octets.extend_from_slice(&chunk);
        }
        Ok(octets.freeze())
    };
    tokio::time::timeout(state.settings.body_timeout, all)
        .await
        .unwrap_or_else(|_| Err(Problem::new(Kind::BodyTimeout, "the body did not come in time")))
}

/// JSON to what it means: 400 where it is no JSON, 422 where it is but says the wrong thing.
///
/// # Errors
/// As said, with the place.
pub(super) fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    let first = octets.iter().find(|octet| !octet.is_ascii_whitespace());
    // The deserializer would also take the fields in a row.
    if first == Some(&b'[') {
        return Err(Problem::invalid("body", "an object is needed, not an array"));
    }
    serde_json::from_slice(octets).or_else(|error| match error.classify() {
        serde_json::error::Category::Data => with_whole_numbers(octets)
            .ok_or_else(|| Problem::invalid("body", in_plain_words(&error))),
        _ if octets.is_empty() => Err(Problem::new(Kind::MalformedBody, "a JSON body is needed")),
        _ => Err(Problem::new(Kind::MalformedBody, error.to_string())),
    })
}

/// To JSON, 100.0 is as whole as 100 (RFC 8259 §6); to the deserializer it is not.
fn with_whole_numbers<T: DeserializeOwned>(octets: &[u8]) -> Option<T> {
    let mut value = serde_json::from_slice(octets).ok()?;
    make_whole(&mut value);
    serde_json::from_value(value).ok()
}

fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 2f64.powi(53));
            if let (Some(whole), true) = (whole, number.is_f64()) {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(members) => members.values_mut().for_each(make_whole),
        _ => {}
    }
}

/// Where a value may have several shapes the parser only says that none fitted.
fn in_plain_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let plain = [
        ("CadenceChoice", "cadence is a name, or [on_ms, off_ms, …] with 0 to 65535 each"),
        (
            "ToneRequest",
            "tone is a name, {\"frequency_hz\": […], \"duration_ms\": …} or {\"steps\": […]}",
        ),
    ];
    let known = plain.into_iter().find(|(shape, _)| text.contains(shape));
    known.map_or(text, |(_, words)| words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        ms: u16,
    }

    #[test]
    fn a_number_without_a_fraction_is_whole() {
        assert_eq!(parse::<Sample>(b"{\"ms\":100.0}").unwrap(), Sample { ms: 100 });
        for wrong in
            ["{\"ms\":100.5}", "{\"ms\":1e9}", "{\"ms\":-1.0}", "[1]", "{}", "{\"ms\":1,\"s\":2}"]
        {
            assert_eq!(status_of(wrong), 422, "{wrong}");
        }
        for broken in ["", "{", "{\"ms\":}", "\u{1}"] {
            assert_eq!(status_of(broken), 400, "{broken}");
        }
    }

    fn status_of(text: &str) -> u16 {
        use actix_web::ResponseError as _;
        parse::<Sample>(text.as_bytes()).unwrap_err().status_code().as_u16()
    }
}
