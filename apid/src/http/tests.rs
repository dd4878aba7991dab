//! The interface as a whole: what is promised, and what every route does before control is asked.

use super::routes::RouteTable;
use super::settings::HttpSettings;
use super::{State, openapi, server};
use crate::auth::{Scope, Scopes, Tokens, create_token};
use crate::control::{Control, LineDirectory};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::test::{self, TestRequest};
use actix_web::web::Data;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use utoipa_actix_web::AppExt as _;

fn described() -> utoipa::openapi::OpenApi {
    let (_, mut api) = App::new()
        .into_utoipa_app()
        .openapi(openapi::base())
        .configure(openapi::routes)
        .split_for_parts();
    openapi::complete(&mut api);
    api
}

/// Every row of the interface document, and of the compatibility routes.
const PROMISED: &[(&str, &str)] = &[
    ("get", "/v1/lines"),
    ("get", "/v1/lines/{id}"),
    ("post", "/v1/lines/{id}/ring"),
    ("delete", "/v1/lines/{id}/ring"),
    ("post", "/v1/lines/{id}/play"),
    ("delete", "/v1/lines/{id}/playbacks/{pid}"),
    ("delete", "/v1/lines/{id}/playbacks"),
    ("post", "/v1/lines/{id}/dtmf"),
    ("post", "/v1/lines/{id}/recordings"),
    ("delete", "/v1/recordings/{rid}"),
    ("get", "/v1/recordings/{rid}/audio"),
    ("post", "/v1/lines/{id}/answer"),
    ("post", "/v1/lines/{id}/hangup"),
    ("post", "/v1/lines/{id}/hold"),
    ("post", "/v1/lines/{id}/flash"),
    ("get", "/v1/lines/{id}/voltage"),
    ("get", "/v1/lines/{id}/levels"),
    ("get", "/v1/lines/{id}/diagnostics"),
    ("post", "/v1/lines/{id}/diagnostics"),
    ("get", "/v1/calls"),
    ("get", "/v1/calls/{id}"),
    ("post", "/v1/calls"),
    ("delete", "/v1/calls/{id}"),
    ("post", "/v1/calls/{id}/bridge"),
    ("post", "/v1/calls/{id}/transfer"),
    ("post", "/v1/calls/{id}/listen"),
    ("post", "/v1/calls/{id}/hold"),
    ("post", "/v1/calls/{id}/record"),
    ("post", "/v1/extensions/{number}/dtmf"),
    ("get", "/v1/applications/{number}"),
    ("post", "/v1/tickets"),
    ("get", "/v1/events"),
    ("get", "/ws"),
    ("post", "/audio/start"),
    ("post", "/audio/stop"),
    ("get", "/v1/streams/{id}"),
    ("get", "/v1/lines/{id}/audio"),
    ("post", "/v1/sim/{id}/hook"),
    ("post", "/v1/sim/{id}/dial"),
    ("post", "/v1/sim/{id}/flash"),
    ("post", "/v1/sim/{id}/speak"),
    ("post", "/v1/sim/{id}/script"),
    ("get", "/v1/sim/{id}/audio"),
    ("get", "/v1/diagnostics"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
    ("get", "/status"),
    ("get", "/voltage"),
    ("get", "/diagnostics"),
    ("post", "/ring"),
    ("post", "/stop-ring"),
    ("post", "/play-audio"),
    ("post", "/generate-tone"),
    ("post", "/generate-tts"),
    ("post", "/reset"),
    ("get", "/health"),
    ("get", "/system/info"),
    ("get", "/2010-04-01/Accounts/{account}/Calls/{sid}"),
    ("post", "/2010-04-01/Accounts/{account}/Calls/{sid}"),
];

#[test]
fn every_promised_row_is_described() {
    let api = serde_json::to_value(described()).unwrap();
    for (method, path) in PROMISED {
        let operation = &api["paths"][*path][*method];
        assert!(operation.is_object(), "{method} {path} is not in openapi.json");
        let statuses = operation["responses"].as_object().unwrap();
        let works = statuses.keys().any(|status| status.starts_with('2') || status == "101");
        assert!(works || statuses.contains_key("501"), "{method} {path} promises nothing");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::String(target) if key == "$ref" => found.push(target.clone()),
                        value => walk(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let api = serde_json::to_value(described()).unwrap();
    let mut found = Vec::new();
    walk(&api, &mut found);
    assert!(found.len() > 50);
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "{target} is referred to and missing");
    }
}

#[test]
fn operation_ids_are_unique() {
    let api = described();
    let mut ids: Vec<String> = api
        .paths
        .paths
        .values()
        .flat_map(|item| [&item.get, &item.post, &item.delete])
        .flatten()
        .filter_map(|operation| operation.operation_id.clone())
        .collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
    let _ = RouteTable::of(&api);
}

/// Somebody on this machine, by its own name.
fn local(request: TestRequest) -> TestRequest {
    request
        .peer_addr(SocketAddr::from(([127, 0, 0, 1], 40_000)))
        .insert_header(("host", "localhost:8000"))
}

/// Somebody on the network.
fn remote(request: TestRequest) -> TestRequest {
    request
        .peer_addr(SocketAddr::from(([192, 0, 2, 7], 40_000)))
        .insert_header(("host", "192.0.2.1:8000"))
}

struct Answer {
    status: StatusCode,
    content_type: String,
    headers: actix_web::http::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn kind(&self) -> &str {
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(self.body["status"], self.status.as_u16());
        assert!(self.body["title"].is_string() && self.body["detail"].is_string());
        self.body["type"].as_str().unwrap().strip_prefix("urn:tipring:problem:").unwrap()
    }
}

async fn ask(settings: HttpSettings, request: TestRequest) -> Answer {
    let state = Data::new(State::new(Control::without_engine(LineDirectory::default()), settings));
    let app = test::init_service(server::app(state)).await;
    let response: ServiceResponse<_> = test::call_service(&app, request.to_request()).await;
    let status = response.status();
    let headers = response.headers().clone();
    let content_type = headers.get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
    let octets = response.into_body().try_into_bytes().unwrap_or_default();
    let body = serde_json::from_slice(&octets).unwrap_or(Value::Null);
    Answer { status, content_type, headers, body }
}

async fn asked(request: TestRequest) -> Answer {
    ask(HttpSettings::default(), local(request)).await
}

/// Settings with one token, and the token.
fn with_token(name: &str, scopes: Scopes) -> (HttpSettings, String) {
    let folder = std::env::temp_dir().join(format!("tipring-http-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path: PathBuf = folder.join(name);
    let _ = std::fs::remove_file(&path);
    let token = create_token(&path, name, scopes, None).unwrap();
    let tokens = Arc::new(Tokens::load(&path).unwrap());
    (HttpSettings { tokens, ..HttpSettings::default() }, token)
}

#[actix_web::test]
async fn an_unknown_route_is_a_problem_too() {
    let answer = asked(TestRequest::get().uri("/v1/nothing")).await;
    assert_eq!((answer.status, answer.kind()), (StatusCode::NOT_FOUND, "no-such-route"));
}

#[actix_web::test]
async fn another_method_names_those_that_are_known() {
    let answer = asked(TestRequest::put().uri("/v1/lines/1/ring")).await;
    assert_eq!(
        (answer.status, answer.kind()),
        (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
    );
    assert_eq!(answer.headers.get("allow").unwrap(), "POST, DELETE");
}

#[actix_web::test]
async fn head_is_get_without_a_body() {
    let answer =
        asked(TestRequest::default().method(actix_web::http::Method::HEAD).uri("/healthz")).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[actix_web::test]
async fn a_body_must_be_what_it_says_and_short_enough() {
    let post = || TestRequest::post().uri("/v1/sim/1/hook");
    let form = post().insert_header(("content-type", "text/plain")).set_payload("{}");
    let answer = asked(form).await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (415, "unsupported-media-type"));

    let json = |body: &'static str| {
        post().insert_header(("content-type", "application/json")).set_payload(body)
    };
    let answer = asked(json("{\"off\"")).await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (400, "malformed-body"));
    let answer = asked(json("{\"off\":7}")).await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (422, "invalid"));
    let answer = asked(json("{\"off\":true,\"on\":1}")).await;
    assert!(answer.body["detail"].as_str().unwrap().contains("`on`"), "{}", answer.body);

    let settings = HttpSettings { body_limit_bytes: 4, ..HttpSettings::default() };
    let answer = ask(settings, local(json("{\"off\":true}"))).await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (413, "too-large"));
}

#[actix_web::test]
async fn audio_that_is_none_is_refused_with_the_reason() {
    let play = |media_type: &'static str, body: &'static [u8]| {
        TestRequest::post()
            .uri("/v1/lines/1/play")
            .insert_header(("content-type", media_type))
            .set_payload(body)
    };
    assert_eq!(asked(play("image/png", b"x")).await.status.as_u16(), 415);
    assert_eq!(asked(play("application/octet-stream", b"xyz")).await.status.as_u16(), 422);
    assert_eq!(asked(play("application/json", b"{}")).await.status.as_u16(), 422);
    let two = b"{\"prompt\":\"a\",\"say\":\"b\"}";
    assert_eq!(asked(play("application/json", two)).await.status.as_u16(), 422);
    let query = TestRequest::post().uri("/v1/lines/1/play?gain_db=loud");
    assert_eq!(asked(query).await.status.as_u16(), 422);
}

#[actix_web::test]
async fn a_page_from_elsewhere_cannot_use_an_open_server() {
    let get = || local(TestRequest::get().uri("/v1/recordings/7/audio"));
    let status = async |request| ask(HttpSettings::default(), request).await.status.as_u16();
    assert_eq!(status(get()).await, 404);
    // A name that an attacker's DNS answers with our address.
    assert_eq!(status(get().insert_header(("host", "evil.example"))).await, 403);
    assert_eq!(status(get().insert_header(("host", "192.0.2.1:8000"))).await, 403);
    assert_eq!(status(get().insert_header(("host", "[::1]:8000"))).await, 404);
    assert_eq!(status(get().insert_header(("origin", "http://localhost:8000"))).await, 404);
    for origin in ["http://localhost:9999", "https://evil.example", "null"] {
        assert_eq!(status(get().insert_header(("origin", origin))).await, 403, "{origin}");
    }
    let settings = HttpSettings {
        allowed_hosts: vec!["phones.example".to_owned()],
        allowed_origins: vec!["https://console.example".to_owned()],
        ..HttpSettings::default()
    };
    let request = get()
        .insert_header(("host", "phones.example:8000"))
        .insert_header(("origin", "https://console.example"));
    let answer = ask(settings, request).await;
    assert_eq!(answer.status.as_u16(), 404);
    let allowed = answer.headers.get("access-control-allow-origin").unwrap();
    assert_eq!(allowed, "https://console.example");
}

#[actix_web::test]
async fn nobody_comes_from_elsewhere_without_a_token() {
    let get = || remote(TestRequest::get().uri("/v1/recordings/7/audio"));
    let answer = ask(HttpSettings::default(), get()).await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (401, "unauthorized"));
    let (settings, token) = with_token("elsewhere", Scopes::ALL);
    let bearer = get().insert_header(("authorization", format!("Bearer {token}")));
    assert_eq!(ask(settings.clone(), bearer).await.status.as_u16(), 404);
    let key = get().insert_header(("x-api-key", token.clone()));
    assert_eq!(ask(settings.clone(), key).await.status.as_u16(), 404);
    let wrong = get().insert_header(("x-api-key", "tpr_wrong"));
    assert_eq!(ask(settings.clone(), wrong).await.status.as_u16(), 401);
    // With tokens, this machine is no exception.
    let here = local(TestRequest::get().uri("/v1/recordings/7/audio"));
    assert_eq!(ask(settings, here).await.status.as_u16(), 401);
    // Health is for everybody.
    let health = remote(TestRequest::get().uri("/healthz"));
    assert_eq!(ask(HttpSettings::default(), health).await.status.as_u16(), 200);
}

#[actix_web::test]
async fn a_ticket_opens_sockets_once_and_nothing_else() {
    let scopes = Scopes::NONE.with(Scope::Read).with(Scope::Control);
    let (settings, token) = with_token("tickets", scopes);
    let post = |body: Value| {
        remote(TestRequest::post().uri("/v1/tickets"))
            .insert_header(("x-api-key", token.clone()))
            .set_json(body)
    };
    let answer = ask(settings.clone(), post(json!({ "scopes": ["audio"] }))).await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (403, "forbidden"));
    let answer = ask(settings.clone(), post(json!({ "scopes": ["read"] }))).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let ticket = answer.body["ticket"].as_str().unwrap().to_owned();
    let get = |path: &str| remote(TestRequest::get().uri(&format!("{path}?ticket={ticket}")));
    let answer = ask(settings.clone(), get("/v1/recordings/7/audio")).await;
    assert_eq!(answer.status.as_u16(), 401);
    let socket = || get("/v1/nothing").insert_header(("upgrade", "websocket"));
    assert_eq!(ask(settings.clone(), socket()).await.status.as_u16(), 404);
    assert_eq!(ask(settings, socket()).await.status.as_u16(), 401);
}

#[actix_web::test]
async fn older_clients_are_refused_in_their_form_and_invited_by_address() {
    let post = || remote(TestRequest::post().uri("/generate-tts"));
    let answer = ask(HttpSettings::default(), post()).await;
    assert_eq!(answer.status.as_u16(), 401);
    assert!(answer.body["detail"].is_string() && answer.body.get("type").is_none());
    let invited = || HttpSettings {
        compat_allow: vec!["192.0.2.0/24".parse().unwrap()],
        ..HttpSettings::default()
    };
    assert_eq!(ask(invited(), post()).await.status.as_u16(), 400);
    let rebound = post().insert_header(("host", "evil.example"));
    assert_eq!(ask(invited(), rebound).await.status.as_u16(), 403);
    let elsewhere = remote(TestRequest::get().uri("/v1/recordings/7/audio"));
    assert_eq!(ask(invited(), elsewhere).await.status.as_u16(), 401);
    let ring = remote(TestRequest::post().uri("/ring")).set_json(json!({ "pattern": "LOUD" }));
    let answer = ask(invited(), ring).await;
    assert_eq!(answer.status.as_u16(), 422);
    assert_eq!(answer.body["detail"][0]["loc"], json!(["body", "pattern"]));
}

#[actix_web::test]
async fn an_absent_engine_is_named() {
    let answer = asked(TestRequest::get().uri("/readyz")).await;
    assert_eq!(answer.status.as_u16(), 503);
    assert_eq!(answer.body["ready"], false);
}

#[actix_web::test]
async fn a_socket_wants_a_websocket_client() {
    let answer = asked(TestRequest::get().uri("/v1/events")).await;
    assert_eq!((answer.status.as_u16(), answer.kind()), (426, "upgrade-required"));
    assert_eq!(answer.headers.get("upgrade").unwrap(), "websocket");
}

#[actix_web::test]
async fn pages_come_with_a_policy_and_from_here_only() {
    let answer = asked(TestRequest::get().uri("/")).await;
    assert_eq!(answer.status.as_u16(), 200);
    let policy = answer.headers.get("content-security-policy").unwrap().to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"));
    for page in [
        include_str!("../../web/console.html"),
        include_str!("../../web/console.js"),
        include_str!("../../web/console.css"),
    ] {
        assert!(!page.contains("http://") && !page.contains("https://"), "a page refers elsewhere");
    }
    assert_eq!(asked(TestRequest::get().uri("/docs/")).await.status.as_u16(), 200);
    let answer = asked(TestRequest::get().uri("/openapi.json")).await;
    assert!(answer.body["openapi"].as_str().unwrap().starts_with("3."));
}

#[actix_web::test]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let settings = HttpSettings { requests_per_minute: 2, ..HttpSettings::default() };
    let control = Control::without_engine(LineDirectory::default());
    let app = test::init_service(server::app(Data::new(State::new(control, settings)))).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let request = local(TestRequest::get().uri("/v1/nothing")).to_request();
        let response = test::call_service(&app, request).await;
        statuses.push(response.status().as_u16());
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(response.headers().contains_key("retry-after"));
        }
    }
    assert_eq!(statuses, [404, 404, 429]);
    let health = local(TestRequest::get().uri("/healthz")).to_request();
    assert_eq!(test::call_service(&app, health).await.status(), StatusCode::OK);
}
