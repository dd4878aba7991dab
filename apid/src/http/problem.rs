//! How a refusal looks: `application/problem+json` (RFC 9457) with a stable `type`, and
//! `{"detail": …}` on the compatibility routes.

use crate::auth::Caller;
use crate::control::Refused;
use crate::log::Refusal;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// What went wrong, one for each stable `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The body is no JSON.
    MalformedBody,
    /// No token, or none that is known.
    Unauthorized,
    /// The token lacks a scope.
    Forbidden,
    /// The `Host` is not one of ours.
    HostNotAllowed,
    /// The `Origin` is not one of ours.
    OriginNotAllowed,
    /// No such route.
    NoSuchRoute,
    /// No such line.
    NoSuchLine,
    /// No such call.
    NoSuchCall,
    /// Nobody sits in a conference of that name.
    NoSuchConference,
    /// No such playback.
    NoSuchPlayback,
    /// No such recording.
    NoSuchRecording,
    /// No such stream.
    NoSuchStream,
    /// No such extension.
    NoSuchExtension,
    /// No such ban.
    NoSuchBan,
    /// No such device.
    NoSuchDevice,
    /// No such prompt.
    NoSuchPrompt,
    /// The route knows other methods.
    MethodNotAllowed,
    /// The body did not come in time.
    BodyTimeout,
    /// The line is busy.
    LineBusy,
    /// Something has the number.
    NumberTaken,
    /// Not in this state.
    WrongState,
    /// The call does not allow it.
    CallState,
    /// Not on this kind of line.
    UnfitLine,
    /// A bound is reached.
    Full,
    /// The device, or the phone, did not obey.
    Device,
    /// Signalling failed.
    Signalling,
    /// The body is too large.
    TooLarge,
    /// The content type is none that is understood here.
    UnsupportedMediaType,
    /// A value is out of range.
    Invalid,
    /// The configuration is wrong.
    Configuration,
    /// The route is a WebSocket.
    UpgradeRequired,
    /// Too many requests, or connections.
    TooManyRequests,
    /// A program is missing on this machine.
    NotInstalled,
    /// Not built.
    NotBuilt,
    /// The disk did not obey.
    Storage,
    /// The engine is away.
    EngineAway,
    /// The engine did not answer.
    EngineTimeout,
}

impl Kind {
    /// The end of `type`, HTTP status, `title`.
    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::MalformedBody => ("malformed-body", 400, "The body is not JSON"),
            Self::Unauthorized => ("unauthorized", 401, "A token is needed"),
            Self::Forbidden => ("forbidden", 403, "The token does not allow this"),
            Self::HostNotAllowed => ("host-not-allowed", 403, "This Host is not ours"),
            Self::OriginNotAllowed => ("origin-not-allowed", 403, "This Origin is not ours"),
            Self::NoSuchRoute => ("no-such-route", 404, "No such route"),
            Self::NoSuchLine => ("no-such-line", 404, "No such line"),
            Self::NoSuchCall => ("no-such-call", 404, "No such call"),
            Self::NoSuchConference => ("no-such-conference", 404, "No such conference"),
            Self::NoSuchPlayback => ("no-such-playback", 404, "No such playback"),
            Self::NoSuchRecording => ("no-such-recording", 404, "No such recording"),
            Self::NoSuchBan => ("no-such-ban", 404, "No such ban"),
            Self::NoSuchDevice => ("no-such-device", 404, "No such device"),
            Self::NoSuchStream => ("no-such-stream", 404, "No such stream"),
            Self::NoSuchExtension => ("no-such-extension", 404, "No such extension"),
            Self::NoSuchPrompt => ("no-such-prompt", 404, "No such prompt"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "Not with this method"),
            Self::BodyTimeout => ("body-timeout", 408, "The body did not come in time"),
            Self::LineBusy => ("line-busy", 409, "The line is busy"),
            Self::NumberTaken => ("number-taken", 409, "The number is taken"),
            Self::WrongState => ("wrong-state", 409, "Not in this state"),
            Self::CallState => ("call-state", 409, "The call does not allow it"),
            Self::UnfitLine => ("wrong-kind", 409, "Not on this kind of line"),
            Self::Full => ("full", 409, "A bound is reached"),
            Self::Device => ("device", 409, "The device did not obey"),
            Self::Signalling => ("signalling", 409, "The phone cannot be reached"),
            Self::TooLarge => ("too-large", 413, "The body is too large"),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", 415, "Not with this content type")
            }
            Self::Invalid => ("invalid", 422, "A value is not allowed"),
            Self::Configuration => ("configuration", 422, "The configuration is wrong"),
            Self::UpgradeRequired => ("upgrade-required", 426, "This is a WebSocket"),
            Self::TooManyRequests => ("too-many-requests", 429, "Too many requests"),
            Self::NotInstalled => ("not-installed", 501, "Not on this machine"),
            Self::NotBuilt => ("not-built", 501, "Not built yet"),
            Self::Storage => ("storage", 503, "The disk did not obey"),
            Self::EngineAway => ("engine-away", 503, "The engine is away"),
            Self::EngineTimeout => ("engine-timeout", 503, "The engine did not answer"),
        }
    }

    /// The `type`.
    pub(super) fn uri(self) -> String {
        format!("urn:tipring:problem:{}", self.row().0)
    }

    /// HTTP status.
    pub(super) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).expect("the table holds statuses")
    }
}

/// The body of a refusal (RFC 9457). Further members (`field`, `state`, `scope`, …) stand beside
/// these where they help.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// Stable; `urn:tipring:problem:` and a name.
    #[serde(rename = "type")]
    #[schema(example = "urn:tipring:problem:line-busy")]
    pub kind: String,
    /// The same for every problem of this type.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened here.
    pub detail: String,
}

/// A refusal of a compatibility route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DetailBody {
    /// A text, or for 422 a list of `{loc, msg, type}`.
    pub detail: Value,
}

/// A refusal.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    kind: Kind,
    detail: String,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(header::HeaderName, String)>,
}

impl Problem {
    /// `detail` is for people.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), members: Vec::new(), headers: Vec::new() }
    }

    /// With a further member.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// With a header.
    #[must_use]
    pub(super) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A value that is not allowed.
    pub(super) fn invalid(field: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(Kind::Invalid, format!("{field}: {reason}")).with("field", field)
    }

    /// As an object.
    pub(super) fn to_json(&self) -> Value {
        let (_, status, title) = self.kind.row();
        let mut body = json!({
            "type": self.kind.uri(), "title": title, "status": status, "detail": self.detail,
        });
        if let Value::Object(map) = &mut body {
            map.extend(
                self.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())),
            );
        }
        body
    }

    /// As the compatibility routes refuse: what the state of the line forbids is 400 there, and
    /// an engine that is away is 500, "hardware".
    pub(super) fn to_compat_response(&self) -> HttpResponse {
        let status = match self.kind.status() {
            StatusCode::CONFLICT => StatusCode::BAD_REQUEST,
            StatusCode::SERVICE_UNAVAILABLE => StatusCode::INTERNAL_SERVER_ERROR,
            status => status,
        };
        let detail = if self.kind == Kind::Invalid {
            let field = self.members.iter().find(|(name, _)| *name == "field");
            let field = field.map_or(Value::Null, |(_, value)| value.clone());
            json!([{ "loc": ["body", field], "msg": self.detail, "type": "value_error" }])
        } else {
            Value::from(self.detail.as_str())
        };
        self.head(status).json(DetailBody { detail })
    }

    /// The refusal's line in the log. Says nothing of what the client wrote: a body may hold digits.
    pub(super) fn log(&self, caller: Option<&Caller>, from: &str, line: Option<&str>, asked: &str) {
        Refusal {
            surface: "http",
            caller: caller.map(|caller| caller.name.as_str()),
            from: &from,
            line,
            asked: &asked,
            reason: &self.for_log(),
        }
        .write();
    }

    fn for_log(&self) -> String {
        let (name, ..) = self.kind.row();
        let field = self.members.iter().find(|(name, _)| *name == "field");
        match (self.kind, field.and_then(|(_, field)| field.as_str())) {
            (Kind::Invalid, Some(field)) => format!("{name} ({field})"),
            (Kind::Invalid | Kind::MalformedBody, _) => name.to_owned(),
            _ => format!("{name} ({})", self.detail),
        }
    }

    fn head(&self, status: StatusCode) -> actix_web::HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.as_str()));
        }
        response
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.head(self.status_code())
            .content_type("application/problem+json")
            .body(self.to_json().to_string())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let kind = match &refused {
            Refused::NoSuchLine => Kind::NoSuchLine,
            Refused::NoSuchCall => Kind::NoSuchCall,
            Refused::NoSuchConference => Kind::NoSuchConference,
            Refused::NoSuchPlayback => Kind::NoSuchPlayback,
            Refused::NoSuchRecording => Kind::NoSuchRecording,
            Refused::NoSuchStream => Kind::NoSuchStream,
            Refused::NoSuchExtension | Refused::NotClaimable => Kind::NoSuchExtension,
            Refused::NoSuchBan => Kind::NoSuchBan,
            Refused::NoSuchDevice => Kind::NoSuchDevice,
            Refused::NoSuchPrompt => Kind::NoSuchPrompt,
            Refused::NumberTaken => Kind::NumberTaken,
            Refused::Forbidden { .. } | Refused::LimitedToken => Kind::Forbidden,
            Refused::LineBusy { .. } => Kind::LineBusy,
            Refused::WrongState { .. } => Kind::WrongState,
            Refused::CallState(_) => Kind::CallState,
            Refused::WrongKind { .. } => Kind::UnfitLine,
            Refused::Invalid { .. } => Kind::Invalid,
            Refused::Full { .. } => Kind::Full,
            Refused::EngineAway => Kind::EngineAway,
            Refused::TimedOut => Kind::EngineTimeout,
            Refused::Device => Kind::Device,
            Refused::Storage(_) => Kind::Storage,
            Refused::Configuration(_) => Kind::Configuration,
            Refused::NotInstalled(_) => Kind::NotInstalled,
            Refused::NotBuilt(_) => Kind::NotBuilt,
            Refused::Signalling(_) => Kind::Signalling,
        };
        let problem = Self::new(kind, refused.to_string());
        match refused {
            Refused::Forbidden { scope } => problem.with("scope", scope.name()),
            Refused::LineBusy { state } | Refused::WrongState { state } => {
                problem.with("state", state.name())
            }
            Refused::WrongKind { kind } => problem.with("line_kind", kind.name()),
            Refused::Invalid { field, .. } => problem.with("field", field),
            Refused::NotInstalled(what) | Refused::NotBuilt(what) => problem.with("missing", what),
            Refused::EngineAway => problem.header(header::RETRY_AFTER, "1"),
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::LineState;

    #[test]
    fn a_busy_line_is_told_with_its_state() {
        let problem = Problem::from(Refused::LineBusy { state: LineState::OffHook });
        assert_eq!(
            problem.to_json(),
            json!({
                "type": "urn:tipring:problem:line-busy",
                "title": "The line is busy",
                "status": 409,
                "detail": "the line is busy (off_hook)",
                "state": "off_hook",
            })
        );
        let response = problem.error_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
    }

    #[test]
    fn what_a_client_wrote_does_not_reach_the_log() {
        let reason = "`12*A` is not possible".to_owned();
        let invalid = Problem::from(Refused::Invalid { field: "digits", reason });
        assert_eq!(invalid.for_log(), "invalid (digits)");
        let malformed = Problem::new(Kind::MalformedBody, "expected a string, found 1234");
        assert_eq!(malformed.for_log(), "malformed-body");
        let away = Problem::from(Refused::EngineAway);
        assert_eq!(away.for_log(), "engine-away (the engine is away)");
    }

    #[test]
    fn compatibility_routes_know_400_and_500_instead() {
        let status = |refused: Refused| Problem::from(refused).to_compat_response().status();
        assert_eq!(status(Refused::LineBusy { state: LineState::Ringing }), 400);
        assert_eq!(status(Refused::EngineAway), 500);
        assert_eq!(status(Refused::NoSuchLine), 404);
        assert_eq!(status(Refused::Invalid { field: "repeat", reason: String::new() }), 422);
    }
}
