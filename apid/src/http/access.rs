//! Who may come in. Every request passes here first: how many it may make, whether its Host and
//! Origin are ours, and who it is. What the caller may do is asked by control.

use super::State;
use super::problem::{Kind, Problem};
use super::routes::{Route, kind_of};
use super::socket::remote_of;
use crate::auth::Caller;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use data_encoding::BASE64;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr};

/// What the pages of the documentation may do: they load and ask us only.
const DOCUMENTATION_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'";

/// The caller of a request, for handlers.
#[derive(Clone, Debug)]
pub(super) struct Who(pub Caller);

impl FromRequest for Who {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Caller>().cloned();
        ready(caller.map(Who).ok_or_else(no_token))
    }
}

/// The middleware: lets a request through with its caller, or answers it.
///
/// # Errors
/// What services inside could not turn into an answer themselves.
pub(super) async fn gate(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request.app_data::<web::Data<State>>().expect("the server has a state").clone();
    let route = kind_of(request.path());
    let cross_origin = foreign_origin_allowed(&state, &request);

    if let (Some(origin), &Method::OPTIONS) = (&cross_origin, request.method()) {
        let response = preflight(origin);
        return Ok(request.into_response(response));
    }
    // HEAD is GET without the body (RFC 9110 §9.3.2); the protocol's encoder leaves it out.
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    let judged = judge(&state, &request, route);
    let mut response = match judged {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.call(request).await?.map_into_boxed_body()
        }
        Err(problem) => request.error_response(problem),
    };
    // Who watches our health asks for ever.
    if route != Route::Health {
        note_refusal(&response);
    }
    if route == Route::Compatibility {
        response = in_their_form(response);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    if route == Route::Page && !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let policy = header::HeaderValue::from_static(DOCUMENTATION_POLICY);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if route != Route::Page {
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    }
    if let Some(origin) = cross_origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, header::HeaderValue::from_static("origin"));
    }
    Ok(response)
}

/// Whoever refused, its line in the log is written here.
fn note_refusal(response: &ServiceResponse<BoxBody>) {
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    let Some(problem) = problem else { return };
    let request = response.request();
    let of_line = request.path().starts_with("/v1/lines/");
    let line = request.match_info().get("id").filter(|_| of_line);
    let asked = format!("{} {}", request.method(), request.path());
    problem.log(request.extensions().get(), &remote_of(request), line, &asked);
}

fn in_their_form(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let shaped = response
        .response()
        .error()
        .and_then(|error| error.as_error::<Problem>())
        .map(Problem::to_compat_response);
    match shaped {
        Some(shaped) => response.into_response(shaped),
        None => response,
    }
}

/// Everybody's caller, `None` where none is needed.
fn judge(state: &State, request: &ServiceRequest, route: Route) -> Result<Option<Caller>, Problem> {
    let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
    if route != Route::Health {
        state.limiter.check(peer)?;
    }
    if matches!(route, Route::Health | Route::Page | Route::Device) {
        return Ok(None);
    }
    let tokens = &state.settings.tokens;
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let open = tokens.is_empty() && peer.to_canonical().is_loopback();
    let token = token_of(request, upgrade && state.settings.token_in_query);
    if let (Some(token), false) = (token, open) {
        let caller = tokens.check(&token).ok_or_else(|| {
            Problem::new(Kind::Unauthorized, "the token is not known")
                .header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
        })?;
        return Ok(Some(caller));
    }
    let ticket = if upgrade { query_value(request, "ticket") } else { None };
    if let Some(ticket) = ticket {
        let caller = tokens.redeem_ticket(&ticket).ok_or_else(|| {
            Problem::new(Kind::Unauthorized, "the ticket was used already, or is too old")
        })?;
        return Ok(Some(caller));
    }
    // From here on it is the place that speaks for the caller, and a browser in that place may be
    // led by a page from elsewhere.
    let invited = route == Route::Compatibility
        && state.settings.compat_allow.iter().any(|network| network.contains(peer));
    if !open && !invited {
        return Err(no_token());
    }
    let host = host_of(request);
    if !host_allowed(state, host, invited) {
        return Err(Problem::new(
            Kind::HostNotAllowed,
            "call this server by a loopback address, or configure the name as an allowed host",
        ));
    }
    if !origin_allowed(state, request, host) {
        return Err(Problem::new(
            Kind::OriginNotAllowed,
            "pages from elsewhere are refused unless their origin is configured as allowed",
        ));
    }
    Ok(Some(Caller::everything(if open { "local" } else { "compatibility" })))
}

fn no_token() -> Problem {
    Problem::new(Kind::Unauthorized, "give a token by `Authorization: Bearer` or `X-API-Key`")
        .header(header::WWW_AUTHENTICATE, "Bearer")
}

fn text_header<'a>(request: &'a ServiceRequest, name: &header::HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn token_of(request: &ServiceRequest, in_query: bool) -> Option<String> {
    let bearer = text_header(request, &header::AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    let basic = || {
        let value = text_header(request, &header::AUTHORIZATION)?;
        let (_, encoded) =
            value.split_once(' ').filter(|(s, _)| s.eq_ignore_ascii_case("basic"))?;
        let pair = String::from_utf8(BASE64.decode(encoded.trim().as_bytes()).ok()?).ok()?;
        // The user is named by the path; RFC 7617 §2: it has no colon.
        pair.split_once(':').map(|(_, token)| token.to_owned())
    };
    let key = || {
        let name = header::HeaderName::from_static("x-api-key");
        text_header(request, &name).map(ToOwned::to_owned)
    };
    let query = || in_query.then(|| query_value(request, "token")).flatten();
    bearer.or_else(basic).or_else(key).or_else(query)
}

fn query_value(request: &ServiceRequest, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    pairs.into_inner().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The Host as the client wrote it.
fn host_of(request: &ServiceRequest) -> &str {
    text_header(request, &header::HOST)
        .or_else(|| request.uri().authority().map(actix_web::http::uri::Authority::as_str))
        .unwrap_or("")
}

/// A Host without its port.
fn name_of(host: &str) -> &str {
    if let Some(literal) = host.strip_prefix('[') {
        return literal.split(']').next().unwrap_or("");
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn host_allowed(state: &State, host: &str, invited: bool) -> bool {
    let name = name_of(host);
    let address = name.parse::<IpAddr>().ok();
    // A name that an attacker's DNS answers for is never an address.
    let fitting = |address: IpAddr| invited || address.to_canonical().is_loopback();
    name.eq_ignore_ascii_case("localhost")
        || address.is_some_and(fitting)
        || state
            .settings
            .allowed_hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name) || allowed.eq_ignore_ascii_case(host))
}

fn origin_allowed(state: &State, request: &ServiceRequest, host: &str) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let own = origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host));
    own || is_configured(state, origin)
}

fn is_configured(state: &State, origin: &str) -> bool {
    state.settings.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
}

fn foreign_origin_allowed(state: &State, request: &ServiceRequest) -> Option<header::HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    is_configured(state, origin.to_str().ok()?).then(|| origin.clone())
}

/// The answer to a browser that asks whether it may (Fetch standard §3.2.2).
fn preflight(origin: &header::HeaderValue) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, x-api-key, content-type",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .insert_header((header::VARY, "origin"))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_parted_from_its_port() {
        assert_eq!(name_of("localhost:8000"), "localhost");
        assert_eq!(name_of("localhost"), "localhost");
        assert_eq!(name_of("[::1]:8000"), "::1");
        assert_eq!(name_of("127.0.0.1:8000"), "127.0.0.1");
        assert_eq!(name_of(""), "");
    }
}
