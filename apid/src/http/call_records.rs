//! `/v1/call-records`: calls that are over, as long as they are kept.

use super::State;
use super::access::Who;
use super::problem::Problem;
use crate::control::RecordFilter;
use crate::view::{CallRecordView, Timestamp};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, delete, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Which calls.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RecordQuery {
    /// With this line.
    line: Option<String>,
    /// With this in the address of an end, as `line:1` or `number:0815`.
    text: Option<String>,
    /// Begun then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Begun before.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Older than this call: the next page.
    before: Option<String>,
    /// 1 to 500; 100 where none is given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Calls that are over.
#[derive(Debug, Serialize, ToSchema)]
struct CallRecordList {
    /// Newest first.
    call_records: Vec<CallRecordView>,
}

/// Calls that are over, newest first.
#[utoipa::path(
    tag = "calls",
    params(RecordQuery),
    responses((status = 200, description = "Calls that are over", body = CallRecordList))
)]
#[get("/v1/call-records")]
async fn get_call_records(
    state: Data<State>,
    who: Who,
    query: Query<RecordQuery>,
) -> Result<Json<CallRecordList>, Problem> {
    let RecordQuery { line, text, since, until, before, limit } = query.into_inner();
    let filter = RecordFilter { line, text, since, until, before, limit };
    Ok(Json(CallRecordList { call_records: state.control.call_records(&who.0, filter).await? }))
}

/// One call that is over.
#[utoipa::path(
    tag = "calls",
    responses((status = 200, description = "The call", body = CallRecordView))
)]
#[get("/v1/call-records/{id}")]
async fn get_call_record(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<Json<CallRecordView>, Problem> {
    Ok(Json(state.control.call_record(&who.0, &id).await?))
}

/// Forgets a call that is over.
#[utoipa::path(tag = "calls", responses((status = 204, description = "It is forgotten")))]
#[delete("/v1/call-records/{id}")]
async fn delete_call_record(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.forget_call(&who.0, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_call_records).service(get_call_record).service(delete_call_record);
}
