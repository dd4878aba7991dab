//! Playing to a phone: `/v1/lines/{id}/play` and its playbacks.

use super::State;
use super::access::Who;
use super::body::{AnyBody, parse, unsupported};
use super::problem::{Kind, Problem};
use crate::audio_format;
use crate::control::{PlayOptions, PlaySource};
use crate::view::{AudioFormat, Played, SayChoice, StopOn, ToneRequest};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, delete, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// What to play and how; exactly one of `url`, `prompt`, `say`, `tone`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlayRequest {
    /// Of a WAV file to be fetched.
    pub url: Option<String>,
    /// A WAV file of the sounds folder, without `.wav`; one that is missing is spoken.
    pub prompt: Option<String>,
    /// To be spoken.
    pub say: Option<SayChoice>,
    /// Made by the engine.
    pub tone: Option<ToneRequest>,
    /// Again and again until stopped.
    #[serde(rename = "loop", default)]
    pub looped: bool,
    /// −40 to +12.
    #[serde(default)]
    #[schema(minimum = -40, maximum = 12)]
    pub gain_db: f32,
    /// What silences it.
    #[serde(default)]
    pub stop_on: Vec<StopOn>,
    /// A `mark` of this name is told at its end.
    pub mark: Option<String>,
}

/// How to play a body that is audio.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PlayQuery {
    /// Again and again until stopped.
    #[serde(rename = "loop")]
    pub looped: Option<bool>,
    /// −40 to +12.
    #[param(minimum = -40, maximum = 12)]
    pub gain_db: Option<f32>,
    /// `digit`, `voice`, or both with a comma.
    pub stop_on: Option<String>,
    /// A `mark` of this name is told at its end.
    pub mark: Option<String>,
}

/// A playback began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlayAnswer {
    /// Names it.
    pub playback_id: String,
}

impl PlayQuery {
    fn options(self) -> Result<PlayOptions, Problem> {
        let stop_on = self.stop_on.unwrap_or_default();
        let stop_on = stop_on.split(',').filter(|name| !name.is_empty()).map(|name| match name {
            "digit" => Ok(StopOn::Digit),
            "voice" => Ok(StopOn::Voice),
            other => Err(Problem::invalid("stop_on", format!("`{other}`; digit and voice are"))),
        });
        Ok(PlayOptions {
            looped: self.looped.unwrap_or(false),
            gain_db: self.gain_db.unwrap_or(0.0),
            stop_on: stop_on.collect::<Result<_, _>>()?,
            mark: self.mark,
        })
    }
}

impl PlayRequest {
    pub(super) fn split(self) -> Result<(PlaySource, PlayOptions), Problem> {
        let sources = [
            self.url.map(PlaySource::Url),
            self.prompt.map(PlaySource::Prompt),
            self.say.map(|say| PlaySource::Say(say.into())),
            self.tone.map(PlaySource::Tone),
        ];
        let mut sources = sources.into_iter().flatten();
        let (Some(source), None) = (sources.next(), sources.next()) else {
            return Err(Problem::invalid("body", "give exactly one of url, prompt, say, tone"));
        };
        let options = PlayOptions {
            looped: self.looped,
            gain_db: self.gain_db,
            stop_on: self.stop_on,
            mark: self.mark,
        };
        Ok((source, options))
    }
}

/// A body that is audio: WAV where it says so or begins like one, else linear samples.
///
/// # Errors
/// 415 for another type, 422 for audio that is not what it says it is.
pub(super) fn audio_of(body: &AnyBody) -> Result<PlaySource, Problem> {
    let wav = match body.media_type.as_str() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => true,
        "application/octet-stream" => audio_format::is_riff(&body.octets),
        other => {
            let understood = "application/json, audio/wav, application/octet-stream";
            return Err(unsupported(other, understood));
        }
    };
    if wav {
        return Ok(PlaySource::Wav(body.octets.to_vec()));
    }
    if body.octets.is_empty() || !body.octets.len().is_multiple_of(2) {
        let reason = "16-bit samples come in pairs of octets, at least one pair";
        return Err(Problem::invalid("body", reason));
    }
    Ok(PlaySource::Pcm(audio_format::decode(AudioFormat::PcmS16le, &body.octets)))
}

/// Plays to the person at the phone, mixed with what plays already.
#[utoipa::path(
    tag = "playbacks",
    params(PlayQuery),
    request_body(content(
        (PlayRequest = "application/json"),
        (String = "audio/wav"),
        (String = "application/octet-stream")
    )),
    responses((status = 202, description = "It plays", body = PlayAnswer))
)]
#[post("/v1/lines/{id}/play")]
async fn post_play(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<PlayQuery>,
    body: AnyBody,
) -> Result<HttpResponse, Problem> {
    let (source, options) = if body.is_json() || body.media_type.is_empty() {
        parse::<PlayRequest>(&body.octets)?.split()?
    } else {
        (audio_of(&body)?, query.into_inner().options()?)
    };
    if !options.gain_db.is_finite() {
        return Err(Problem::new(Kind::Invalid, "gain_db: not a number").with("field", "gain_db"));
    }
    let playback_id = state.control.play(&who.0, &id, source, options).await?;
    Ok(HttpResponse::Accepted().json(PlayAnswer { playback_id }))
}

/// Stops one playback and tells how much of it was heard.
#[utoipa::path(
    tag = "playbacks",
    responses((status = 200, description = "How much was heard", body = Played))
)]
#[delete("/v1/lines/{id}/playbacks/{pid}")]
async fn delete_playback(
    state: Data<State>,
    who: Who,
    ids: Path<(String, String)>,
) -> Result<Json<Played>, Problem> {
    Ok(Json(state.control.stop_playback(&who.0, &ids.0, &ids.1).await?))
}

/// Stops everything that plays on a line and tells how much of the longest was heard.
#[utoipa::path(
    tag = "playbacks",
    responses((status = 200, description = "How much was heard", body = Played))
)]
#[delete("/v1/lines/{id}/playbacks")]
async fn delete_playbacks(
    state: Data<State>,
    who: Who,
    id: Path<String>,
) -> Result<Json<Played>, Problem> {
    Ok(Json(state.control.stop_playbacks(&who.0, &id).await?))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(post_play).service(delete_playback).service(delete_playbacks);
}
