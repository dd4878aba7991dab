//! `/v1/lines/{id}/collect`: digits that somebody waits for.

use super::State;
use super::access::Who;
use super::body::OptionalBody;
use super::playbacks::PlayRequest;
use super::problem::Problem;
use crate::control::{Collected, Question};
use crate::digit_collector::{COUNT_MAX, CollectEnd, CollectRules};
use actix_web::post;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// What to wait for; an empty body waits for digits and a `#`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CollectRequest {
    /// Complete with so many; 1 to 64, and 64 where none is given.
    #[schema(minimum = 1, maximum = 64)]
    pub count: Option<usize>,
    /// Complete with any of these, which do not count; `#` where neither they nor `count` are
    /// given.
    pub terminators: Option<String>,
    /// What counts; every other digit is let go by. `0123456789*#ABCD` where none is given.
    pub filter: Option<String>,
    /// For the first digit, from the prompt's end; 100 to 600 000, and 10 000 where none is given.
    #[schema(minimum = 100, maximum = 600_000)]
    pub first_timeout_ms: Option<u64>,
    /// For each next one; 100 to 60 000, and 4000 where none is given.
    #[schema(minimum = 100, maximum = 60_000)]
    pub inter_digit_ms: Option<u64>,
    /// Digits count that were pressed before, since the call was answered.
    #[serde(default)]
    pub type_ahead: bool,
    /// Played first.
    pub play: Option<PlayRequest>,
    /// A digit silences what is played; it does where nothing is said.
    pub barge_in: Option<bool>,
}

/// What was collected.
#[derive(Debug, Serialize, ToSchema)]
struct CollectAnswer {
    /// In the order in which they were pressed.
    digits: String,
    /// Why it ended.
    ended: CollectEnd,
    /// Which terminator ended it.
    terminator: Option<char>,
}

/// Waits for digits of a lifted phone, after a prompt where one is given. One at a time on a line.
#[utoipa::path(
    tag = "lines",
    request_body = Option<CollectRequest>,
    responses(
        (status = 200, description = "What was collected", body = CollectAnswer),
        (status = 501, description = "espeak-ng is not installed",
            body = super::problem::ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/v1/lines/{id}/collect")]
async fn post_collect(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: OptionalBody<CollectRequest>,
) -> Result<Json<CollectAnswer>, Problem> {
    let request = body.0;
    let terminators = request
        .terminators
        .unwrap_or_else(|| if request.count.is_none() { "#".to_owned() } else { String::new() });
    let question = Question {
        rules: CollectRules {
            count: request.count.unwrap_or(COUNT_MAX),
            terminators: terminators.to_ascii_uppercase(),
            filter: request.filter.unwrap_or_else(|| "0123456789*#ABCD".to_owned()).to_uppercase(),
            first_timeout_ms: request.first_timeout_ms.unwrap_or(10_000),
            inter_digit_ms: request.inter_digit_ms.unwrap_or(4000),
        },
        type_ahead: request.type_ahead,
        prompt: request.play.map(PlayRequest::split).transpose()?,
        barge_in: request.barge_in.unwrap_or(true),
    };
    let collected = state.control.collect(&who.0, &id, question).await?;
    let Collected { digits, ended, terminator } = collected;
    Ok(Json(CollectAnswer { digits, ended, terminator }))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(post_collect);
}
