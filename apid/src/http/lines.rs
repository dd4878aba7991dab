//! `/v1/lines`: look at lines, ring them, dial and hang up on them.

use super::access::Who;
use super::body::{JsonBody, OptionalBody};
use super::problem::Problem;
use super::{Accepted, State};
use crate::view::{
    DiversionView, Line, LineDiagnostics, LineLevels, LineSettings, LineSettingsPatch, RingRequest,
    SelfTestReport, SelfTestRequest, Voltage,
};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// All lines.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineList {
    /// In the order of the configuration.
    pub lines: Vec<Line>,
}

/// A phone rings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RingAnswer {
    /// The call it rings for.
    pub call_id: String,
}

/// Digits to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DtmfRequest {
    /// 1 to 32 of `0-9*#A-D`.
    #[schema(pattern = "^[0-9*#A-Da-d]{1,32}$")]
    pub digits: String,
    /// Length of a digit, 40 to 2000; 100 where none is given.
    #[schema(minimum = 40, maximum = 2000)]
    pub on_ms: Option<u16>,
    /// Pause between digits, 40 to 2000; 100 where none is given.
    #[schema(minimum = 40, maximum = 2000)]
    pub off_ms: Option<u16>,
}

/// On hold or not.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldRequest {
    /// On hold (true) or off (false); where none is given, the one it is not.
    pub on: Option<bool>,
}

/// All lines the caller may see.
#[utoipa::path(tag = "lines", responses((status = 200, description = "All lines", body = LineList)))]
#[get("/v1/lines")]
async fn get_lines(state: Data<State>, who: Who) -> Result<Json<LineList>, Problem> {
    Ok(Json(LineList { lines: state.control.lines(&who.0)? }))
}

/// One line.
#[utoipa::path(tag = "lines", responses((status = 200, description = "The line", body = Line)))]
#[get("/v1/lines/{id}")]
async fn get_line(state: Data<State>, who: Who, id: Path<String>) -> Result<Json<Line>, Problem> {
    Ok(Json(state.control.line(&who.0, &id)?))
}

/// Rings a phone until it is answered, stopped or the time is out.
#[utoipa::path(
    tag = "lines",
    request_body = Option<RingRequest>,
    responses((status = 202, description = "It rings", body = RingAnswer))
)]
#[post("/v1/lines/{id}/ring")]
async fn post_ring(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<RingRequest>,
) -> Result<HttpResponse, Problem> {
    let call_id = state.control.ring(&who.0, &id, body.0).await?;
    Ok(HttpResponse::Accepted().json(RingAnswer { call_id }))
}

/// Stops the bell.
#[utoipa::path(tag = "lines", responses((status = 204, description = "It is silent")))]
#[delete("/v1/lines/{id}/ring")]
async fn delete_ring(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.stop_ring(&who.0, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sends digits to the phone's ear.
#[utoipa::path(
    tag = "lines",
    request_body = DtmfRequest,
    responses((status = 202, description = "They are being sent", body = Accepted))
)]
#[post("/v1/lines/{id}/dtmf")]
async fn post_dtmf(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<DtmfRequest>,
) -> Result<HttpResponse, Problem> {
    let DtmfRequest { digits, on_ms, off_ms } = body.0;
    state.control.dtmf(&who.0, &id, &digits, on_ms, off_ms).await?;
    Ok(Accepted::response())
}

/// Takes the line for the application.
#[utoipa::path(tag = "lines", responses((status = 202, description = "Taken", body = Accepted)))]
#[post("/v1/lines/{id}/answer")]
async fn post_answer(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.answer(&who.0, &id).await?;
    Ok(Accepted::response())
}

/// Hangs up on the phone.
#[utoipa::path(tag = "lines", responses((status = 202, description = "Hung up", body = Accepted)))]
#[post("/v1/lines/{id}/hangup")]
async fn post_hangup(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.hangup(&who.0, &id).await?;
    Ok(Accepted::response())
}

/// Puts the phone on hold, or takes it off.
#[utoipa::path(
    tag = "lines",
    request_body = Option<HoldRequest>,
    responses((status = 202, description = "Done", body = Accepted))
)]
#[post("/v1/lines/{id}/hold")]
async fn post_hold(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<HoldRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.hold(&who.0, &id, body.0.on).await?;
    Ok(Accepted::response())
}

/// Sends a hook flash to the phone.
#[utoipa::path(tag = "lines", responses((status = 202, description = "Sent", body = Accepted)))]
#[post("/v1/lines/{id}/flash")]
async fn post_flash(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.flash(&who.0, &id).await?;
    Ok(Accepted::response())
}

/// How the line sounds, what it listens for, how it announces calls.
#[utoipa::path(tag = "lines", responses((status = 200, description = "All", body = LineSettings)))]
#[get("/v1/lines/{id}/settings")]
async fn get_settings(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<Json<LineSettings>, Problem> {
    Ok(Json(state.control.line_settings(&who.0, &id)?))
}

/// Changes settings from the next frame on; what is left out stays.
#[utoipa::path(
    tag = "lines",
    request_body = LineSettingsPatch,
    responses((status = 200, description = "All, as they are now", body = LineSettings))
)]
#[patch("/v1/lines/{id}/settings")]
async fn patch_settings(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<LineSettingsPatch>,
) -> Result<Json<LineSettings>, Problem> {
    Ok(Json(state.control.set_line(&who.0, &id, &body.0).await?))
}

/// Where calls to the line go instead.
#[utoipa::path(
    tag = "lines",
    responses((status = 200, description = "Where", body = DiversionView))
)]
#[get("/v1/lines/{id}/diversion")]
async fn get_diversion(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<Json<DiversionView>, Problem> {
    Ok(Json(state.control.diversion(&who.0, &id)?))
}

/// Sends calls to the line elsewhere, or nobody any more: what is left out is off.
#[utoipa::path(
    tag = "lines",
    request_body = DiversionView,
    responses((status = 200, description = "As it is now", body = DiversionView))
)]
#[post("/v1/lines/{id}/diversion")]
async fn post_diversion(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<DiversionView>,
) -> Result<Json<DiversionView>, Problem> {
    Ok(Json(state.control.set_diversion(&who.0, &id, &body.0)?))
}

/// Which way round the battery is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolarityRequest {
    /// Tip and ring are exchanged.
    pub reversed: bool,
}

/// Messages that wait for the person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessagesRequest {
    /// How many; 0 puts the lamp out.
    pub messages: u16,
}

/// Exchanges tip and ring of a line on a card, or puts them back.
#[utoipa::path(
    tag = "lines",
    request_body = PolarityRequest,
    responses((status = 202, description = "Done", body = Accepted))
)]
#[post("/v1/lines/{id}/polarity")]
async fn post_polarity(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<PolarityRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.set_polarity(&who.0, &id, body.0.reversed).await?;
    Ok(Accepted::response())
}

/// Lights the message lamp of a telephone on a card, or puts it out.
#[utoipa::path(
    tag = "lines",
    request_body = MessagesRequest,
    responses((status = 202, description = "Done", body = Accepted))
)]
#[post("/v1/lines/{id}/message_waiting")]
async fn post_message_waiting(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: JsonBody<MessagesRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.set_messages_waiting(&who.0, &id, body.0.messages).await?;
    Ok(Accepted::response())
}

/// Levels of both directions: RMS, peak, DC, clipping, active speech level (ITU-T P.56).
#[utoipa::path(tag = "lines", responses((status = 200, description = "The levels", body = LineLevels)))]
#[get("/v1/lines/{id}/levels")]
async fn get_levels(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<Json<LineLevels>, Problem> {
    Ok(Json(state.control.levels(&who.0, &id)?))
}

/// Tip-ring voltage; null with a reason where the driver tells none.
#[utoipa::path(tag = "lines", responses((status = 200, description = "Voltage", body = Voltage)))]
#[get("/v1/lines/{id}/voltage")]
async fn get_voltage(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<Json<Voltage>, Problem> {
    Ok(Json(state.control.voltage(&who.0, &id)?))
}

/// What is known of the line's inside.
#[utoipa::path(
    tag = "lines",
    responses((status = 200, description = "Its inside", body = LineDiagnostics))
)]
#[get("/v1/lines/{id}/diagnostics")]
async fn get_line_diagnostics(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<Json<LineDiagnostics>, Problem> {
    Ok(Json(state.control.line_diagnostics(&who.0, &id)?))
}

/// Tests the line: rings it, or sends a tone and digits, and says what came of it. Takes some seconds;
/// whoever holds the handset hears it.
#[utoipa::path(
    tag = "lines",
    request_body = Option<SelfTestRequest>,
    responses((status = 200, description = "What was done and found", body = SelfTestReport))
)]
#[post("/v1/lines/{id}/diagnostics")]
async fn post_line_diagnostics(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<SelfTestRequest>,
) -> Result<Json<SelfTestReport>, Problem> {
    Ok(Json(state.control.self_test(&who.0, &id, body.0.tests).await?))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(get_lines)
        .service(get_line)
        .service(post_ring)
        .service(delete_ring)
        .service(post_dtmf)
        .service(post_answer)
        .service(post_hangup)
        .service(post_hold)
        .service(post_flash)
        .service(get_settings)
        .service(patch_settings)
        .service(get_diversion)
        .service(post_diversion)
        .service(post_polarity)
        .service(post_message_waiting)
        .service(get_levels)
        .service(get_voltage)
        .service(get_line_diagnostics)
        .service(post_line_diagnostics);
}
