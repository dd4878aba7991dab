//! `/v1/conferences`: who sits where.

use super::State;
use super::access::Who;
use super::body::{JsonBody, OptionalBody};
use super::problem::Problem;
use crate::view::{Call, Conference, ConferenceMember, ConferenceRequest, Recording};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Conferences.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConferenceList {
    /// Those in which somebody sits.
    pub conferences: Vec<Conference>,
}

/// What to change of a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberChange {
    /// Nobody hears it, or they do again.
    pub muted: bool,
}

/// Conferences in which somebody sits.
#[utoipa::path(
    tag = "conferences",
    responses((status = 200, description = "Conferences", body = ConferenceList))
)]
#[get("/v1/conferences")]
async fn get_conferences(state: Data<State>, who: Who) -> Result<Json<ConferenceList>, Problem> {
    Ok(Json(ConferenceList { conferences: state.control.conferences(&who.0)? }))
}

/// One conference.
#[utoipa::path(
    tag = "conferences",
    responses((status = 200, description = "The conference", body = Conference))
)]
#[get("/v1/conferences/{name}")]
async fn get_conference(
    state: Data<State>,
    who: Who,
    name: Path<String>,
) -> Result<Json<Conference>, Problem> {
    Ok(Json(state.control.conference(&who.0, &name)?))
}

/// Has everybody leave: it is over then.
#[utoipa::path(tag = "conferences", responses((status = 204, description = "It is over")))]
#[delete("/v1/conferences/{name}")]
async fn delete_conference(
    state: Data<State>,
    who: Who,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.end_conference(&who.0, &name)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Has a line sit down there. One in a call leaves it, one that is not lifted rings first. The
/// conference begins with its first member.
#[utoipa::path(
    tag = "conferences",
    request_body = ConferenceRequest,
    responses((status = 202, description = "The line's call", body = Call))
)]
#[post("/v1/conferences/{name}/members")]
async fn post_member(
    state: Data<State>,
    who: Who,
    name: Path<String>,
    body: JsonBody<ConferenceRequest>,
) -> Result<HttpResponse, Problem> {
    let call = state.control.join_conference(&who.0, &name, body.0).await?;
    Ok(HttpResponse::Accepted().json(call))
}

/// Mutes a member, or lets it be heard again.
#[utoipa::path(
    tag = "conferences",
    request_body = MemberChange,
    responses((status = 200, description = "The member", body = ConferenceMember))
)]
#[patch("/v1/conferences/{name}/members/{line}")]
async fn patch_member(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
    body: JsonBody<MemberChange>,
) -> Result<Json<ConferenceMember>, Problem> {
    let (name, line) = path.into_inner();
    Ok(Json(state.control.mute_member(&who.0, &name, &line, body.0.muted).await?))
}

/// How long to record; an empty one works.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConferenceRecordRequest {
    /// Longest; 20 up to what is configured, which holds where none is given.
    #[schema(minimum = 20)]
    pub max_ms: Option<u64>,
}

/// Records all that is said there, for as long as somebody sits there.
#[utoipa::path(
    tag = "conferences",
    request_body = Option<ConferenceRecordRequest>,
    responses((status = 201, description = "It is being recorded", body = Recording))
)]
#[post("/v1/conferences/{name}/recordings")]
async fn post_conference_recording(
    state: Data<State>,
    who: Who,
    name: Path<String>,
    body: OptionalBody<ConferenceRecordRequest>,
) -> Result<HttpResponse, Problem> {
    let recording = state.control.record_conference(&who.0, &name, body.0.max_ms).await?;
    Ok(HttpResponse::Created().json(recording))
}

/// Has a member leave.
#[utoipa::path(tag = "conferences", responses((status = 204, description = "It has left")))]
#[delete("/v1/conferences/{name}/members/{line}")]
async fn delete_member(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (name, line) = path.into_inner();
    state.control.leave_conference(&who.0, &name, &line)?;
    Ok(HttpResponse::NoContent().finish())
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(get_conferences)
        .service(get_conference)
        .service(delete_conference)
        .service(post_member)
        .service(patch_member)
        .service(delete_member)
        .service(post_conference_recording);
}
