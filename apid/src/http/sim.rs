//! `/v1/sim`: what the user of a simulated phone does.

use super::access::Who;
use super::body::{AnyBody, JsonBody, OptionalBody, parse, unsupported};
use super::playbacks::{PlayAnswer, audio_of};
use super::problem::{Problem, ProblemBody};
use super::{Accepted, State};
use crate::control::PlaySource;
use crate::view::{DialMethod, SayChoice, ScriptStep};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Position of the handset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HookRequest {
    /// Lift (true) or put down (false).
    pub off: bool,
}

/// What to dial.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DialRequest {
    /// 1 to 32 of `0-9*#A-D`; a dial has `0-9` only.
    #[schema(pattern = "^[0-9*#A-Da-d]{1,32}$")]
    pub digits: String,
    /// `dtmf` where none is given.
    #[serde(default)]
    pub method: DialMethod,
}

/// How long to press the hook switch.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SimFlashRequest {
    /// 10 to 2000; 500 where none is given.
    #[schema(minimum = 10, maximum = 2000)]
    pub ms: Option<u16>,
}

/// What to speak.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SayRequest {
    /// Text.
    pub say: SayChoice,
}

/// Steps of a script.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptRequest {
    /// Up to 64, done in turn.
    #[schema(max_items = 64)]
    pub steps: Vec<ScriptStep>,
}

/// Lifts the handset or puts it down.
#[utoipa::path(
    tag = "simulated phone",
    request_body = HookRequest,
    responses((status = 202, description = "Done", body = Accepted))
)]
#[post("/v1/sim/{id}/hook")]
async fn post_hook(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<HookRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.sim_hook(&who.0, &id, body.0.off).await?;
    Ok(Accepted::response())
}

/// Dials.
#[utoipa::path(
    tag = "simulated phone",
    request_body = DialRequest,
    responses((status = 202, description = "It dials", body = Accepted))
)]
#[post("/v1/sim/{id}/dial")]
async fn post_dial(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<DialRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.sim_dial(&who.0, &id, &body.0.digits, body.0.method).await?;
    Ok(Accepted::response())
}

/// Presses the hook switch.
#[utoipa::path(
    tag = "simulated phone",
    request_body = Option<SimFlashRequest>,
    responses((status = 202, description = "Done", body = Accepted))
)]
#[post("/v1/sim/{id}/flash")]
async fn post_sim_flash(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<SimFlashRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.sim_flash(&who.0, &id, body.0.ms).await?;
    Ok(Accepted::response())
}

/// Speaks into the microphone: a WAV file, or text.
#[utoipa::path(
    tag = "simulated phone",
    request_body(content((SayRequest = "application/json"), (String = "audio/wav"))),
    responses(
        (status = 202, description = "It speaks", body = PlayAnswer),
        (status = 501, description = "espeak-ng is not installed", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
#[post("/v1/sim/{id}/speak")]
async fn post_speak(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: AnyBody,
) -> Result<HttpResponse, Problem> {
    let source = if body.is_json() {
        let SayRequest { say } = parse(&body.octets)?;
        PlaySource::Say(say.into())
    } else {
        match audio_of(&body)? {
            PlaySource::Wav(wav) => PlaySource::Wav(wav),
            _ => return Err(unsupported(&body.media_type, "audio/wav, application/json")),
        }
    };
    let playback_id = state.control.sim_speak(&who.0, &id, source).await?;
    Ok(HttpResponse::Accepted().json(PlayAnswer { playback_id }))
}

/// Does several things in turn.
#[utoipa::path(
    tag = "simulated phone",
    request_body = ScriptRequest,
    responses((status = 202, description = "The first step has begun", body = Accepted))
)]
#[post("/v1/sim/{id}/script")]
async fn post_script(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<ScriptRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.sim_script(&who.0, &id, body.0.steps).await?;
    Ok(Accepted::response())
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(post_hook)
        .service(post_dial)
        .service(post_sim_flash)
        .service(post_speak)
        .service(post_script);
}
