//! `/v1/calls` and `/v1/extensions`: who talks to whom.

use super::access::Who;
use super::body::{JsonBody, OptionalBody};
use super::lines::HoldRequest;
use super::problem::{Problem, ProblemBody};
use super::{Accepted, State};
use crate::control::TransferTo;
use crate::view::{Call, CallRequest, ListenRequest};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallList {
    /// Those that are not over, then the last ones that are.
    pub calls: Vec<Call>,
}

/// Whom to join a call with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BridgeRequest {
    /// Id of the other call.
    pub with: String,
}

/// Who leaves a call, and whom the other one shall talk with: exactly one of `to`, `with_line`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferRequest {
    /// The line that leaves; the application where none is given.
    pub line: Option<String>,
    /// A number; it rings there (blind).
    pub to: Option<String>,
    /// Whoever this line talks with in its own call, which is over then (attended).
    pub with_line: Option<String>,
}

/// Digits for an extension.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtensionDtmfRequest {
    /// 1 to 32 of `0-9*#A-D`.
    #[schema(pattern = "^[0-9*#A-Da-d]{1,32}$")]
    pub digits: String,
}

/// Calls that are not over, and the last ones that are.
#[utoipa::path(tag = "calls", responses((status = 200, description = "Calls", body = CallList)))]
#[get("/v1/calls")]
async fn get_calls(state: Data<State>, who: Who) -> Result<Json<CallList>, Problem> {
    Ok(Json(CallList { calls: state.control.calls(&who.0)? }))
}

/// One call.
#[utoipa::path(tag = "calls", responses((status = 200, description = "The call", body = Call)))]
#[get("/v1/calls/{id}")]
async fn get_call(state: Data<State>, who: Who, id: Path<String>) -> Result<Json<Call>, Problem> {
    Ok(Json(state.control.call(&who.0, &id)?))
}

/// Rings one end, then the other, and joins them. The other one may be an application behind a
/// socket. `sip:` and `app:agi:` ends are not built yet (501).
#[utoipa::path(
    tag = "calls",
    request_body = CallRequest,
    responses(
        (status = 202, description = "The first end rings", body = Call),
        (status = 501, description = "Such an end is not built yet",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/calls")]
async fn post_call(
    state: Data<State>,
    who: Who,
    body: JsonBody<CallRequest>,
) -> Result<HttpResponse, Problem> {
    let call = state.control.place_call(&who.0, body.0).await?;
    Ok(HttpResponse::Accepted().json(call))
}

/// Ends a call.
#[utoipa::path(tag = "calls", responses((status = 204, description = "It is over")))]
#[delete("/v1/calls/{id}")]
async fn delete_call(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.end_call(&who.0, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Puts a call on hold, or takes it off.
#[utoipa::path(
    tag = "calls",
    request_body = Option<HoldRequest>,
    responses((status = 200, description = "The call", body = Call))
)]
#[post("/v1/calls/{id}/hold")]
async fn post_call_hold(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<HoldRequest>,
) -> Result<Json<Call>, Problem> {
    Ok(Json(state.control.hold_call(&who.0, &id, body.0.on).await?))
}

/// Joins the lines of two calls that an application holds; the second is over then.
#[utoipa::path(
    tag = "calls",
    request_body = BridgeRequest,
    responses((status = 200, description = "The call", body = Call))
)]
#[post("/v1/calls/{id}/bridge")]
async fn post_call_bridge(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<BridgeRequest>,
) -> Result<Json<Call>, Problem> {
    Ok(Json(state.control.bridge_calls(&who.0, &id, &body.0.with).await?))
}

/// Hands a call on: with `line`, that line leaves it; without, the application that holds it does.
#[utoipa::path(
    tag = "calls",
    request_body = TransferRequest,
    responses((status = 200, description = "The call", body = Call))
)]
#[post("/v1/calls/{id}/transfer")]
async fn post_call_transfer(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<TransferRequest>,
) -> Result<Json<Call>, Problem> {
    let TransferRequest { line, to, with_line } = body.0;
    let to = match (to, with_line) {
        (Some(number), None) => TransferTo::Number(number),
        (None, Some(line)) => TransferTo::CallOf(line),
        _ => return Err(Problem::invalid("to", "give either to or with_line")),
    };
    Ok(Json(state.control.transfer_call(&who.0, &id, line.as_deref(), &to).await?))
}

/// Has a line that takes no part in a call hear it, and whisper to one of those who do. Rings it first,
/// unless it is lifted; ends with either call.
#[utoipa::path(
    tag = "calls",
    request_body = ListenRequest,
    responses((status = 202, description = "Its own call", body = Call))
)]
#[post("/v1/calls/{id}/listen")]
async fn post_call_listen(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<ListenRequest>,
) -> Result<HttpResponse, Problem> {
    let call = state.control.listen_in(&who.0, &id, body.0).await?;
    Ok(HttpResponse::Accepted().json(call))
}

/// Sends digits to the line that has this number.
#[utoipa::path(
    tag = "calls",
    request_body = ExtensionDtmfRequest,
    responses((status = 202, description = "They are being sent", body = Accepted))
)]
#[post("/v1/extensions/{number}/dtmf")]
async fn post_extension_dtmf(
    state: Data<State>,
    who: Who,
    number: Path<String>,
    body: JsonBody<ExtensionDtmfRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.extension_dtmf(&who.0, &number, &body.0.digits).await?;
    Ok(Accepted::response())
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(get_calls)
        .service(post_call)
        .service(get_call)
        .service(delete_call)
        .service(post_call_hold)
        .service(post_call_bridge)
        .service(post_call_transfer)
        .service(post_call_listen)
        .service(post_extension_dtmf);
}
