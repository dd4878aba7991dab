//! `/audio/start` and `/audio/stop`: streams that one request starts and another takes up.

use super::State;
use super::access::Who;
use super::body::OptionalBody;
use super::problem::Problem;
use crate::view::{RtpTarget, Stream, StreamRequest};
use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// A stream was started.
#[derive(Debug, Serialize, ToSchema)]
struct StreamStarted {
    /// `success`.
    status: &'static str,
    /// Names it.
    stream_id: String,
    /// Where to take it up.
    ws_url: String,
    /// Where its RTP flows, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtp: Option<RtpTarget>,
}

/// Which stream to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StreamStopRequest {
    /// The one started last where none is named.
    stream_id: Option<String>,
}

/// A stream was ended.
#[derive(Debug, Serialize, ToSchema)]
struct StreamStopped {
    /// `success`.
    status: &'static str,
    /// Which.
    stream_id: String,
}

/// Starts a stream of a line's audio: to be taken at its `ws_url`, or by
/// `{"subscribe": stream_id}` on `/ws`.
#[utoipa::path(
    tag = "streams",
    request_body = Option<StreamRequest>,
    responses(
        (status = 200, description = "Started", body = StreamStarted),
        (status = 501, description = "RTP to a client is not built yet",
            body = super::problem::DetailBody),
    )
)]
#[post("/audio/start")]
async fn post_audio_start(
    state: Data<State>,
    who: Who,
    request: HttpRequest,
    body: OptionalBody<StreamRequest>,
) -> Result<Json<StreamStarted>, Problem> {
    let stream = state.control.start_stream(&who.0, body.0).await?;
    let ws_url = absolute(&request, &stream);
    Ok(Json(StreamStarted {
        status: "success",
        stream_id: stream.stream_id,
        ws_url,
        rtp: stream.rtp,
    }))
}

/// Ends a stream.
#[utoipa::path(
    tag = "streams",
    request_body = Option<StreamStopRequest>,
    responses((status = 200, description = "Ended", body = StreamStopped))
)]
#[post("/audio/stop")]
async fn post_audio_stop(
    state: Data<State>,
    who: Who,
    body: OptionalBody<StreamStopRequest>,
) -> Result<Json<StreamStopped>, Problem> {
    let stream = state.control.stop_stream(&who.0, body.0.stream_id.as_deref()).await?;
    Ok(Json(StreamStopped { status: "success", stream_id: stream.stream_id }))
}

/// The stream's WebSocket under the name by which the client called us.
fn absolute(request: &HttpRequest, stream: &Stream) -> String {
    let connection = request.connection_info();
    let scheme = if connection.scheme() == "https" { "wss" } else { "ws" };
    format!("{scheme}://{}{}", connection.host(), stream.ws_url)
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(post_audio_start).service(post_audio_stop);
}
