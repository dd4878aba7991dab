//! The description of the interface, from the handlers, and what all of them have in common.

use super::problem::{DetailBody, ProblemBody};
use super::routes::{Route, kind_of};
use super::{
    applications, audio_socket, call_records, calls, collect, compat, compat_status, compat_system,
    conferences, event_socket, lines, playbacks, provisioning, recordings, sim, sip, streams,
    system, tickets, twilio,
};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema as _};
use utoipa_actix_web::service_config::ServiceConfig;

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Tipring",
    description = "Telephone lines with an API. Errors under /v1 are application/problem+json \
                   (RFC 9457) with a stable `type`; times are ISO-8601 UTC; units stand in names."
))]
struct Description;

/// The description before any route is known.
pub(super) fn base() -> OpenApi {
    Description::openapi()
}

/// Every route of the main port.
pub(super) fn routes(config: &mut ServiceConfig) {
    lines::configure(config);
    playbacks::configure(config);
    collect::configure(config);
    provisioning::configure(config);
    recordings::configure(config);
    calls::configure(config);
    conferences::configure(config);
    call_records::configure(config);
    streams::configure(config);
    sim::configure(config);
    sip::configure(config);
    system::configure(config);
    tickets::configure(config);
    twilio::configure(config);
    compat::configure(config);
    compat_status::configure(config);
    compat_system::configure(config);
    sockets(config);
}

/// Every WebSocket.
pub(super) fn sockets(config: &mut ServiceConfig) {
    event_socket::configure(config);
    audio_socket::configure(config);
    applications::configure(config);
}

/// Adds the answers that a route can give because of what it is.
pub(super) fn complete(api: &mut OpenApi) {
    let components = api.components.get_or_insert(Components::new());
    components.schemas.insert("ProblemBody".to_owned(), ProblemBody::schema());
    components.schemas.insert("DetailBody".to_owned(), DetailBody::schema());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let key = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
    components.add_security_scheme("key", SecurityScheme::ApiKey(key));
    let names: Vec<String> = api.paths.paths.keys().cloned().collect();
    for path in names {
        let Some(item) = api.paths.paths.get_mut(&path) else { continue };
        let with_method = [
            (item.get.as_mut(), false),
            (item.post.as_mut(), true),
            (item.put.as_mut(), true),
            (item.patch.as_mut(), true),
            (item.delete.as_mut(), true),
        ];
        for (operation, acts) in with_method {
            if let Some(operation) = operation {
                complete_operation(operation, &path, acts);
            }
        }
    }
}

/// Status, and when it is the answer.
type Answer = (&'static str, &'static str);

fn complete_operation(operation: &mut Operation, path: &str, acts: bool) {
    let route = kind_of(path);
    if matches!(route, Route::Health | Route::Page) {
        if route == Route::Page {
            add(operation, route, &[("429", "Too many requests")]);
        }
        return;
    }
    operation.security = Some(vec![
        SecurityRequirement::default(),
        SecurityRequirement::new("token", Vec::<String>::new()),
        SecurityRequirement::new("key", Vec::<String>::new()),
    ]);
    let mut answers: Vec<Answer> = vec![
        ("401", "No token, or none that is known"),
        ("403", "The token lacks a scope; Host or Origin are not ours"),
        ("429", "Too many requests"),
    ];
    let has_query = operation.parameters.iter().flatten().any(|parameter| {
        matches!(parameter, RefOr::T(parameter)
            if parameter.parameter_in == utoipa::openapi::path::ParameterIn::Query)
    });
    let compatible = route == Route::Compatibility;
    if path.contains('{') || compatible || has_query {
        answers.push(("404", "There is no such thing, or the caller may not know of it"));
    }
    if operation.request_body.is_some() {
        answers.extend([
            ("400", "The body is not JSON"),
            ("408", "The body did not come in time"),
            ("413", "The body is too large"),
            ("415", "Not with this content type"),
        ]);
    }
    if operation.request_body.is_some() || has_query {
        answers.push(("422", "A value is not allowed"));
    }
    if compatible {
        answers.push(("400", "The line's state forbids it, or the body is not JSON"));
        answers.push(("500", "The hardware, or the engine, is away"));
    } else {
        answers.push(("503", "The engine is away, or did not answer"));
        if acts {
            answers
                .push(("409", "The state of the line or call forbids it, or a bound is reached"));
        }
    }
    if path.ends_with("/play") {
        answers.push(("501", "espeak-ng is not installed"));
    }
    if operation.responses.responses.contains_key("101") {
        answers.push(("426", "This is a WebSocket"));
        if path.starts_with("/v1/") {
            answers.push(("409", "Not on this kind of line, or a bound is reached"));
        }
    }
    add(operation, route, &answers);
    name_binary_bodies(operation);
}

fn add(operation: &mut Operation, route: Route, answers: &[Answer]) {
    let (media_type, schema) = if route == Route::Compatibility {
        ("application/json", "DetailBody")
    } else {
        ("application/problem+json", "ProblemBody")
    };
    for (status, description) in answers {
        let response = || {
            let content = Content::new(Some(RefOr::<utoipa::openapi::Schema>::Ref(
                Ref::from_schema_name(schema),
            )));
            RefOr::T(
                ResponseBuilder::new()
                    .description(*description)
                    .content(media_type, content)
                    .build(),
            )
        };
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(response);
    }
}

/// Audio in a body is octets, not text.
fn name_binary_bodies(operation: &mut Operation) {
    let Some(body) = operation.request_body.as_mut() else { return };
    let RefOr::T(body) = body else { return };
    for (media_type, content) in &mut body.content {
        if media_type.starts_with("audio/") || media_type == "application/octet-stream" {
            let octets = ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
            if let RefOr::T(content) = content {
                content.schema = Some(octets.build().into());
            }
        }
    }
}
