//! Recordings: promised by the interface, not built yet.

use super::State;
use super::access::Who;
use super::problem::Problem;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete, get, post};
use utoipa_actix_web::service_config::ServiceConfig;

/// Records a line. Not built yet.
#[utoipa::path(
    tag = "recordings",
    responses((status = 501, description = "Not built yet", body = super::problem::ProblemBody,
        content_type = "application/problem+json"))
)]
#[post("/v1/lines/{id}/recordings")]
async fn post_recording(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.line(&who.0, &id)?;
    Err(Problem::not_built("recordings"))
}

/// Stops a recording. Not built yet.
#[utoipa::path(
    tag = "recordings",
    responses((status = 501, description = "Not built yet", body = super::problem::ProblemBody,
        content_type = "application/problem+json"))
)]
#[delete("/v1/recordings/{rid}")]
async fn delete_recording(_who: Who, _rid: Path<String>) -> Result<HttpResponse, Problem> {
    Err(Problem::not_built("recordings"))
}

/// The WAV of a recording. Not built yet.
#[utoipa::path(
    tag = "recordings",
    responses((status = 501, description = "Not built yet", body = super::problem::ProblemBody,
        content_type = "application/problem+json"))
)]
#[get("/v1/recordings/{rid}/audio")]
async fn get_recording(_who: Who, _rid: Path<String>) -> Result<HttpResponse, Problem> {
    Err(Problem::not_built("recordings"))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(post_recording).service(delete_recording).service(get_recording);
}
