//! `/v1/sip`: who is banned, our accounts at providers; and messages that wait for a SIP phone.

use super::access::Who;
use super::body::JsonBody;
use super::problem::Problem;
use super::{Accepted, State};
use crate::control::MessagesWaiting;
use crate::view::{Ban, SipTrunk};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, delete, get, post};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// How many messages wait.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitingMessages {
    /// Not heard yet.
    pub new: u16,
    /// Heard and kept.
    #[serde(default)]
    pub old: u16,
}

/// Addresses whose SIP gets no answer, the newest first.
#[utoipa::path(
    tag = "sip",
    responses((status = 200, description = "Bans in force", body = Vec<Ban>))
)]
#[get("/v1/sip/bans")]
async fn get_bans(state: Data<State>, who: Who) -> Result<Json<Vec<Ban>>, Problem> {
    Ok(Json(state.control.bans(&who.0)?))
}

/// Our accounts at providers.
#[utoipa::path(
    tag = "sip",
    responses((status = 200, description = "Trunks, by name", body = Vec<SipTrunk>))
)]
#[get("/v1/sip/trunks")]
async fn get_trunks(state: Data<State>, who: Who) -> Result<Json<Vec<SipTrunk>>, Problem> {
    Ok(Json(state.control.trunks(&who.0)?))
}

/// Ends a ban early.
#[utoipa::path(tag = "sip", responses((status = 204, description = "Lifted")))]
#[delete("/v1/sip/bans/{address}")]
async fn delete_ban(
    state: Data<State>,
    who: Who,
    address: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.lift_ban(&who.0, &address).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lights the phone's lamp for waiting messages, or puts it out (RFC 3842).
#[utoipa::path(
    tag = "lines",
    request_body = WaitingMessages,
    responses((status = 202, description = "The phone is told", body = Accepted))
)]
#[post("/v1/lines/{id}/messages")]
async fn post_messages(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<WaitingMessages>,
) -> Result<HttpResponse, Problem> {
    let counts = MessagesWaiting { new: body.0.new, old: body.0.old };
    state.control.messages_wait(&who.0, &id, counts).await?;
    Ok(Accepted::response())
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_bans).service(get_trunks).service(delete_ban).service(post_messages);
}
