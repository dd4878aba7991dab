//! What clients of the two older phone APIs ask for: the same routes, bodies and answers. They
//! act on the first line unless `?line=` says another.

use super::State;
use super::access::Who;
use super::body::{AnyBody, JsonBody, OptionalBody, unsupported};
use super::playbacks::audio_of;
use super::problem::Problem;
use crate::audio_format;
use crate::auth::Caller;
use crate::control::{PlayOptions, PlaySource};
use crate::speech::Utterance;
use crate::view::{CadenceChoice, RingRequest, ToneRequest, ToneStep};
use actix_web::web::{Data, Json, Query};
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Longest ringing, ms: what `repeat: 0`, for ever, comes to.
const FOREVER_MS: u32 = 600_000;
/// Ringing where a request says nothing at all, ms.
const RING_MS: u32 = 30_000;

/// Which line.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LineQuery {
    /// The first one where none is named.
    pub line: Option<String>,
}

impl LineQuery {
    /// The line's id.
    pub(super) fn resolve(self, state: &State, caller: &Caller) -> Result<String, Problem> {
        match self.line {
            Some(line) => Ok(line),
            None => Ok(state.control.first_line(caller)?),
        }
    }
}

/// It was done.
#[derive(Debug, Serialize, ToSchema)]
struct Success {
    /// `success`.
    status: &'static str,
    /// For people.
    message: String,
}

impl Success {
    fn answer(message: &str) -> Json<Self> {
        Json(Self { status: "success", message: message.to_owned() })
    }
}

/// How to ring, in the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RingQuery {
    /// The first one where none is named.
    line: Option<String>,
    /// ms.
    #[param(minimum = 1, maximum = 600_000)]
    duration: Option<u32>,
    /// As in the body.
    pattern: Option<String>,
}

/// How to ring.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct CompatRing {
    /// `NORMAL`, `DISTINCTIVE1`, `DISTINCTIVE2`, `CONTINUOUS`, `SINGLE`, `TIMER`, `URGENT`,
    /// `CUSTOM`; in any case.
    pattern: Option<String>,
    /// How often; 0 is for ever.
    repeat: Option<u32>,
    /// For `CUSTOM`.
    custom_pattern: Option<CustomPattern>,
    /// ms, in place of `repeat`.
    #[schema(minimum = 1, maximum = 600_000)]
    duration: Option<u32>,
}

/// On and off times, ms.
#[derive(Debug, Deserialize, ToSchema)]
struct CustomPattern {
    /// 1 to 8 times the bell rings.
    on_times: Vec<u16>,
    /// As many pauses.
    off_times: Vec<u16>,
}

/// Control's name of a pattern, its length in ms, and how often it is rung; 0 is for ever.
fn named(pattern: &str) -> Option<(&'static str, u32, u32)> {
    Some(match pattern.to_ascii_uppercase().as_str() {
        "NORMAL" | "STANDARD" => ("normal", 6000, 1),
        "DISTINCTIVE1" => ("distinctive1", 8000, 1),
        "DISTINCTIVE2" => ("distinctive2", 8000, 1),
        "CONTINUOUS" => ("continuous", 5100, 0),
        "SINGLE" => ("single", 500, 1),
        "TIMER" => ("timer", 1000, 1),
        "URGENT" => ("urgent", 600, 5),
        _ => return None,
    })
}

impl CompatRing {
    fn request(self) -> Result<RingRequest, Problem> {
        let nothing = self.repeat.is_none() && self.duration.is_none() && self.pattern.is_none();
        let pattern = self.pattern.as_deref().unwrap_or(match self.custom_pattern {
            Some(_) => "CUSTOM",
            None => "NORMAL",
        });
        let (cadence, once, usual) = if pattern.eq_ignore_ascii_case("custom") {
            let custom = self
                .custom_pattern
                .ok_or_else(|| Problem::invalid("custom_pattern", "the pattern CUSTOM needs it"))?;
            let cadence = custom.cadence()?;
            let once = cadence.iter().map(|ms| u32::from(*ms)).sum();
            (CadenceChoice::OnOffMs(cadence), once, 1)
        } else {
            let (name, once, usual) = named(pattern).ok_or_else(|| {
                let known = "NORMAL, DISTINCTIVE1, DISTINCTIVE2, CONTINUOUS, SINGLE, TIMER, \
                             URGENT, CUSTOM are";
                Problem::invalid("pattern", format!("`{pattern}` is not known; {known}"))
            })?;
            (CadenceChoice::Name(name.to_owned()), once, usual)
        };
        let timeout_ms = match (self.duration, self.repeat.unwrap_or(usual)) {
            (Some(duration), _) => duration,
            (None, _) if nothing => RING_MS,
            (None, 0) => FOREVER_MS,
            (None, times) => once.saturating_mul(times).clamp(1, FOREVER_MS),
        };
        Ok(RingRequest { cadence: Some(cadence), caller_id: None, timeout_ms: Some(timeout_ms) })
    }
}

impl CustomPattern {
    fn cadence(self) -> Result<Vec<u16>, Problem> {
        let Self { on_times, off_times } = self;
        if on_times.is_empty() || on_times.len() > 8 || on_times.len() != off_times.len() {
            let reason = "1 to 8 on_times and as many off_times are needed";
            return Err(Problem::invalid("custom_pattern", reason));
        }
        Ok(on_times.into_iter().zip(off_times).flat_map(|(on, off)| [on, off]).collect())
    }
}

/// Rings the phone.
#[utoipa::path(
    tag = "older phone APIs",
    params(RingQuery),
    request_body = Option<CompatRing>,
    responses((status = 200, description = "It rings", body = Success))
)]
#[post("/ring")]
async fn post_compat_ring(
    state: Data<State>,
    who: Who,
    query: Query<RingQuery>,
    body: OptionalBody<CompatRing>,
) -> Result<Json<Success>, Problem> {
    let query = query.into_inner();
    let mut ring = body.0;
    ring.duration = ring.duration.or(query.duration);
    ring.pattern = ring.pattern.or(query.pattern);
    let request = ring.request()?;
    let line = LineQuery { line: query.line }.resolve(&state, &who.0)?;
    state.control.ring(&who.0, &line, request).await?;
    Ok(Success::answer("Ring started"))
}

/// Stops the bell.
#[utoipa::path(
    tag = "older phone APIs",
    params(LineQuery),
    responses((status = 200, description = "It is silent", body = Success))
)]
#[post("/stop-ring")]
async fn post_stop_ring(
    state: Data<State>,
    who: Who,
    query: Query<LineQuery>,
) -> Result<Json<Success>, Problem> {
    let line = query.into_inner().resolve(&state, &who.0)?;
    state.control.stop_ring(&who.0, &line).await?;
    Ok(Success::answer("Ring stopped"))
}

/// Audio was taken.
#[derive(Debug, Serialize, ToSchema)]
struct PlaySuccess {
    /// `success`.
    status: &'static str,
    /// For people.
    message: &'static str,
    /// Octets of the body.
    bytes_written: usize,
}

/// Plays the body: linear samples, 8 kHz, or a WAV file under any of these types.
#[utoipa::path(
    tag = "older phone APIs",
    params(LineQuery),
    request_body(content((String = "application/octet-stream"), (String = "audio/wav"))),
    responses((status = 200, description = "It plays", body = PlaySuccess))
)]
#[post("/play-audio")]
async fn post_play_audio(
    state: Data<State>,
    who: Who,
    query: Query<LineQuery>,
    mut body: AnyBody,
) -> Result<Json<PlaySuccess>, Problem> {
    if body.media_type.is_empty() {
        "application/octet-stream".clone_into(&mut body.media_type);
    }
    if body.is_json() {
        return Err(unsupported(&body.media_type, "application/octet-stream, audio/wav"));
    }
    let source = audio_of(&body)?;
    let line = query.into_inner().resolve(&state, &who.0)?;
    state.control.play(&who.0, &line, source, PlayOptions::default()).await?;
    let bytes_written = body.octets.len();
    Ok(Json(PlaySuccess { status: "success", message: "Audio is playing", bytes_written }))
}

/// A tone, in the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ToneQuery {
    /// The first one where none is named.
    line: Option<String>,
    /// Hz.
    #[param(minimum = 20, maximum = 3800)]
    frequency: Option<f64>,
    /// ms.
    #[param(minimum = 1, maximum = 600_000)]
    duration: Option<f64>,
}

/// A tone.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct CompatTone {
    /// Hz.
    #[schema(minimum = 20, maximum = 3800)]
    frequency: Option<f64>,
    /// ms.
    #[schema(minimum = 1, maximum = 600_000)]
    duration: Option<f64>,
}

/// A tone plays.
#[derive(Debug, Serialize, ToSchema)]
struct ToneSuccess {
    /// `success`.
    status: &'static str,
    /// For people.
    message: &'static str,
    /// Hz.
    frequency: u16,
    /// ms.
    duration: u32,
    /// Octets of as much linear audio.
    bytes_written: u64,
}

/// Plays a sine.
#[utoipa::path(
    tag = "older phone APIs",
    params(ToneQuery),
    request_body = Option<CompatTone>,
    responses((status = 200, description = "It plays", body = ToneSuccess))
)]
#[post("/generate-tone")]
async fn post_generate_tone(
    state: Data<State>,
    who: Who,
    query: Query<ToneQuery>,
    body: OptionalBody<CompatTone>,
) -> Result<Json<ToneSuccess>, Problem> {
    let query = query.into_inner();
    let frequency = within("frequency", body.0.frequency.or(query.frequency), 20.0, 3800.0)?;
    let duration = within("duration", body.0.duration.or(query.duration), 1.0, 600_000.0)?;
    let line = LineQuery { line: query.line }.resolve(&state, &who.0)?;
    let (frequency, duration_ms) = (frequency.round() as u16, duration.round() as u32);
    let frequency_hz = vec![frequency];
    let step = ToneStep { frequency_hz, level_dbm0: None, duration_ms, modulation_hz: None };
    let tone = ToneRequest::Step(step);
    state.control.play(&who.0, &line, PlaySource::Tone(tone), PlayOptions::default()).await?;
    Ok(Json(ToneSuccess {
        status: "success",
        message: "Tone is playing",
        frequency,
        duration: duration_ms,
        bytes_written: u64::from(duration_ms) * 16,
    }))
}

fn within(field: &str, value: Option<f64>, from: f64, to: f64) -> Result<f64, Problem> {
    let value =
        value.ok_or_else(|| Problem::invalid(field, "is needed, in the body or the query"))?;
    if (from..=to).contains(&value) {
        return Ok(value);
    }
    Err(Problem::invalid(field, format!("{value} is not {from} to {to}")))
}

/// Text to be spoken.
#[derive(Debug, Deserialize, ToSchema)]
struct CompatSpeech {
    /// 1 to 2000 characters.
    text: String,
    /// One of `GET /v1/voices`; a name of another synthesiser's voice means the configured one.
    voice: Option<String>,
    /// 0 to 1, or above that 0 to 100: percent.
    #[schema(minimum = 0, maximum = 100)]
    volume: Option<f32>,
}

/// Speech as a WAV file, 8 kHz, which `/play-audio` takes.
#[utoipa::path(
    tag = "older phone APIs",
    request_body = CompatSpeech,
    responses(
        (status = 200, description = "What would be heard", body = String,
            content_type = "audio/wav"),
        (status = 501, description = "espeak-ng is not installed", body = super::problem::DetailBody)
    )
)]
#[post("/generate-tts")]
async fn post_generate_tts(
    state: Data<State>,
    who: Who,
    body: JsonBody<CompatSpeech>,
) -> Result<HttpResponse, Problem> {
    let CompatSpeech { text, voice, volume } = body.0;
    let volume = volume.unwrap_or(1.0);
    if !(0.0..=100.0).contains(&volume) {
        return Err(Problem::invalid("volume", "allowed is 0 to 1, or to 100 in percent"));
    }
    let gain = if volume > 1.0 { volume / 100.0 } else { volume };
    let known = match &voice {
        Some(name) => state.control.voices(&who.0).await?.iter().any(|voice| voice.name == *name),
        None => false,
    };
    let utterance = Utterance { text, voice: voice.filter(|_| known), ..Utterance::default() };
    let spoken = state.control.speech(&who.0, &utterance).await?;
    let samples: Vec<i16> = spoken.iter().map(|s| (f32::from(*s) * gain).round() as i16).collect();
    Ok(HttpResponse::Ok().content_type("audio/wav").body(audio_format::encode_wav(&samples)))
}

/// Takes the line back to its state after start.
#[utoipa::path(
    tag = "older phone APIs",
    params(LineQuery),
    responses((status = 200, description = "It was reset", body = Success))
)]
#[post("/reset")]
async fn post_reset(
    state: Data<State>,
    who: Who,
    query: Query<LineQuery>,
) -> Result<Json<Success>, Problem> {
    let line = query.into_inner().resolve(&state, &who.0)?;
    state.control.reset(&who.0, &line).await?;
    Ok(Success::answer("The line was reset"))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(post_compat_ring)
        .service(post_stop_ring)
        .service(post_play_audio)
        .service(post_generate_tone)
        .service(post_generate_tts)
        .service(post_reset);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> (CadenceChoice, u32) {
        let ring: CompatRing = serde_json::from_str(json).unwrap();
        let request = ring.request().unwrap();
        (request.cadence.unwrap(), request.timeout_ms.unwrap())
    }

    #[test]
    fn patterns_ring_as_often_as_their_table_says() {
        let name = |name: &str, ms| (CadenceChoice::Name(name.to_owned()), ms);
        assert_eq!(asked("{}"), name("normal", 30_000));
        assert_eq!(asked(r#"{"pattern":"NORMAL"}"#), name("normal", 6000));
        assert_eq!(asked(r#"{"pattern":"normal","repeat":3}"#), name("normal", 18_000));
        assert_eq!(asked(r#"{"pattern":"CONTINUOUS"}"#), name("continuous", 600_000));
        assert_eq!(asked(r#"{"pattern":"URGENT"}"#), name("urgent", 3000));
        assert_eq!(asked(r#"{"pattern":"SINGLE"}"#), name("single", 500));
        assert_eq!(asked(r#"{"pattern":"NORMAL","duration":2000}"#), name("normal", 2000));
        let custom =
            r#"{"custom_pattern":{"on_times":[100,200],"off_times":[300,400]},"repeat":2}"#;
        assert_eq!(asked(custom), (CadenceChoice::OnOffMs(vec![100, 300, 200, 400]), 2000));
    }

    #[test]
    fn unknown_patterns_are_named() {
        let ring: CompatRing = serde_json::from_str(r#"{"pattern":"LOUD"}"#).unwrap();
        assert!(ring.request().unwrap_err().to_string().contains("LOUD"));
    }
}
