//! Recordings: `/v1/lines/{id}/recordings`, `/v1/calls/{id}/record`, `/v1/recordings`.

use super::State;
use super::access::Who;
use super::body::OptionalBody;
use super::problem::Problem;
use crate::control::{RecordedAudio, RecordingFilter, Removed};
use crate::view::{RecordRequest, Recording};
use actix_web::web::{Bytes, Data, Json, Path, Query};
use actix_web::{HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Which recordings.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RecordingQuery {
    /// Of this line.
    line: Option<String>,
    /// Of this call.
    call: Option<String>,
    /// Older than this recording: the next page.
    before: Option<String>,
    /// 1 to 500; 100 where none is given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Recordings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordingList {
    /// Newest first.
    pub recordings: Vec<Recording>,
}

/// Records a lifted line until something ends it.
#[utoipa::path(
    tag = "recordings",
    request_body = Option<RecordRequest>,
    responses((status = 201, description = "It is being recorded", body = Recording))
)]
#[post("/v1/lines/{id}/recordings")]
async fn post_recording(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<RecordRequest>,
) -> Result<HttpResponse, Problem> {
    let recording = state.control.record(&who.0, &id, body.0).await?;
    Ok(HttpResponse::Created().json(recording))
}

/// Records a call, as its first lifted line says and hears it.
#[utoipa::path(
    tag = "recordings",
    request_body = Option<RecordRequest>,
    responses((status = 201, description = "It is being recorded", body = Recording))
)]
#[post("/v1/calls/{id}/record")]
async fn post_call_record(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<RecordRequest>,
) -> Result<HttpResponse, Problem> {
    let recording = state.control.record_call(&who.0, &id, body.0).await?;
    Ok(HttpResponse::Created().json(recording))
}

/// Recordings, newest first.
#[utoipa::path(
    tag = "recordings",
    params(RecordingQuery),
    responses((status = 200, description = "Recordings", body = RecordingList))
)]
#[get("/v1/recordings")]
async fn get_recordings(
    state: Data<State>,
    who: Who,
    query: Query<RecordingQuery>,
) -> Result<Json<RecordingList>, Problem> {
    let RecordingQuery { line, call: call_id, before, limit } = query.into_inner();
    let filter = RecordingFilter { line, call_id, before, limit };
    Ok(Json(RecordingList { recordings: state.control.recordings(&who.0, filter).await? }))
}

/// One recording.
#[utoipa::path(
    tag = "recordings",
    responses((status = 200, description = "The recording", body = Recording))
)]
#[get("/v1/recordings/{rid}")]
async fn get_recording(
    state: Data<State>,
    who: Who,
    rid: Path<String>,
) -> Result<Json<Recording>, Problem> {
    Ok(Json(state.control.recording(&who.0, &rid).await?))
}

/// Stops a recording that runs; deletes one that does not, and all that is known of it.
#[utoipa::path(
    tag = "recordings",
    responses(
        (status = 200, description = "It was stopped", body = Recording),
        (status = 204, description = "It is deleted"),
    )
)]
#[delete("/v1/recordings/{rid}")]
async fn delete_recording(
    state: Data<State>,
    who: Who,
    rid: Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(match state.control.remove_recording(&who.0, &rid).await? {
        Removed::Stopped(recording) => HttpResponse::Ok().json(recording),
        Removed::Deleted => HttpResponse::NoContent().finish(),
    })
}

/// The WAV file of a recording; of one that runs, what there is so far.
#[utoipa::path(
    tag = "recordings",
    responses((status = 200, description = "16 bit, 8 kHz", body = String,
        content_type = "audio/wav"))
)]
#[get("/v1/recordings/{rid}/audio")]
async fn get_recording_audio(
    state: Data<State>,
    who: Who,
    rid: Path<String>,
) -> Result<HttpResponse, Problem> {
    let audio = state.control.recorded_audio(&who.0, &rid).await?;
    let name = format!("attachment; filename=\"{}.wav\"", *rid);
    let octets = audio.octets;
    let pieces = futures_util::stream::unfold(Some(audio), next_piece);
    Ok(HttpResponse::Ok()
        .content_type("audio/wav")
        .insert_header(("Content-Disposition", name))
        .body(actix_web::body::SizedStream::new(octets, Box::pin(pieces))))
}

/// Read by a thread that may wait for the disk.
async fn next_piece(
    audio: Option<RecordedAudio>,
) -> Option<(std::io::Result<Bytes>, Option<RecordedAudio>)> {
    let mut audio = audio?;
    let read = tokio::task::spawn_blocking(move || (audio.next_piece(), audio)).await;
    match read {
        Ok((Ok(Some(piece)), audio)) => Some((Ok(Bytes::from(piece)), Some(audio))),
        Ok((Ok(None), _)) => None,
        Ok((Err(error), _)) => Some((Err(error), None)),
        Err(_) => Some((Err(std::io::ErrorKind::Interrupted.into()), None)),
    }
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(post_recording)
        .service(post_call_record)
        .service(get_recordings)
        .service(get_recording)
        .service(delete_recording)
        .service(get_recording_audio);
}
