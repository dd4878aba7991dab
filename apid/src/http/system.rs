//! The system as a whole: diagnostics, health, metrics.

use super::access::Who;
use super::metrics;
use super::problem::{Problem, ProblemBody};
use super::{Accepted, State};
use crate::view::{Diagnostics, Readiness, WebhookView};
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `healthy`.
    pub status: &'static str,
    /// Version of apid.
    pub version: &'static str,
}

/// Everything: ports, lines, clients, frame loops, the attachment to the engine.
#[utoipa::path(
    tag = "system",
    responses((status = 200, description = "Everything", body = Diagnostics))
)]
#[get("/v1/diagnostics")]
async fn get_diagnostics(state: Data<State>, who: Who) -> Result<Json<Diagnostics>, Problem> {
    Ok(Json(state.control.diagnostics(&who.0)?))
}

/// Reads dial plans, hotlines and applications of lines anew; calls that run are not touched. What is
/// wrong is refused with its place in the file, and the old plans stay.
#[utoipa::path(
    tag = "system",
    responses(
        (status = 200, description = "They hold from now on", body = Accepted),
        (status = 422, description = "The configuration is wrong", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
#[post("/v1/reload")]
async fn post_reload(state: Data<State>, who: Who) -> Result<Json<Accepted>, Problem> {
    state.control.reload(&who.0).await?;
    Ok(Json(Accepted { status: "accepted" }))
}

/// Webhooks.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookList {
    /// In the order of the configuration.
    webhooks: Vec<WebhookView>,
}

/// How each webhook is doing, with the events that could not be delivered.
#[utoipa::path(
    tag = "system",
    responses((status = 200, description = "Webhooks", body = WebhookList))
)]
#[get("/v1/webhooks")]
async fn get_webhooks(state: Data<State>, who: Who) -> Result<Json<WebhookList>, Problem> {
    Ok(Json(WebhookList { webhooks: state.control.webhooks(&who.0)? }))
}

/// Voices.
#[derive(Debug, Serialize, ToSchema)]
struct VoiceList {
    /// In the order of `espeak-ng`.
    voices: Vec<VoiceBody>,
}

/// A voice.
#[derive(Debug, Serialize, ToSchema)]
struct VoiceBody {
    /// What `say` chooses it by: its language.
    name: String,
    /// For people.
    title: String,
}

/// Voices that can speak.
#[utoipa::path(
    tag = "playbacks",
    responses(
        (status = 200, description = "Voices", body = VoiceList),
        (status = 501, description = "espeak-ng is not installed", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
#[get("/v1/voices")]
async fn get_voices(state: Data<State>, who: Who) -> Result<Json<VoiceList>, Problem> {
    let voices = state.control.voices(&who.0).await?;
    let voices = voices.into_iter().map(|voice| VoiceBody { name: voice.name, title: voice.title });
    Ok(Json(VoiceList { voices: voices.collect() }))
}

/// Whether the process is alive. Open to everybody.
#[utoipa::path(tag = "system", responses((status = 200, description = "Alive", body = Health)))]
#[get("/healthz")]
async fn get_healthz() -> Json<Health> {
    Json(Health { status: "healthy", version: env!("CARGO_PKG_VERSION") })
}

/// Whether calls can be made. Open to everybody.
#[utoipa::path(
    tag = "system",
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready, and why", body = Readiness),
    )
)]
#[get("/readyz")]
async fn get_readyz(state: Data<State>) -> HttpResponse {
    let readiness = state.control.readiness();
    if readiness.ready {
        HttpResponse::Ok().json(readiness)
    } else {
        HttpResponse::ServiceUnavailable().json(readiness)
    }
}

/// Counters and gauges for Prometheus.
#[utoipa::path(
    tag = "system",
    responses((status = 200, description = "Prometheus text", body = String,
        content_type = "text/plain"))
)]
#[get("/metrics")]
async fn get_metrics(state: Data<State>, who: Who) -> Result<HttpResponse, Problem> {
    let text = metrics::of(&state.control.diagnostics(&who.0)?);
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// The description of the interface, made once.
pub(super) struct Description(String);

impl Description {
    /// As text.
    pub(super) fn of(api: &utoipa::openapi::OpenApi) -> Self {
        Self(serde_json::to_string(api).expect("a description has nothing that JSON has not"))
    }
}

/// This description.
#[utoipa::path(tag = "system", responses(
    (status = 200, description = "OpenAPI", body = serde_json::Value)
))]
#[get("/openapi.json")]
async fn get_openapi(description: Data<Description>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(description.0.clone())
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(get_diagnostics)
        .service(post_reload)
        .service(get_webhooks)
        .service(get_voices)
        .service(get_healthz)
        .service(get_readyz)
        .service(get_metrics)
        .service(get_openapi);
}
