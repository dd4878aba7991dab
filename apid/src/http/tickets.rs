//! `/v1/tickets`: what a browser shows in place of a token, once.

use super::State;
use super::access::Who;
use super::body::OptionalBody;
use super::problem::{Kind, Problem};
use crate::auth::{Scope, Scopes, Ticket};
use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// What the ticket is for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketRequest {
    /// All of the caller's where none are given.
    pub scopes: Option<Vec<Scope>>,
    /// All lines the caller sees where none are given.
    pub lines: Option<Vec<String>>,
}

/// A ticket: good once, for 30 s, for at most what the caller may do.
#[utoipa::path(
    tag = "system",
    request_body = Option<TicketRequest>,
    responses((status = 201, description = "The ticket", body = Ticket))
)]
#[post("/v1/tickets")]
async fn post_ticket(
    state: Data<State>,
    who: Who,
    body: OptionalBody<TicketRequest>,
) -> Result<HttpResponse, Problem> {
    let TicketRequest { scopes, lines } = body.0;
    let scopes = scopes.map_or(Scopes::ALL, Scopes::from_iter);
    if let Some(missing) = scopes.iter().find(|scope| !who.0.may(*scope) && scopes != Scopes::ALL) {
        let detail = format!("the token lacks the scope `{}`", missing.name());
        return Err(Problem::new(Kind::Forbidden, detail).with("scope", missing.name()));
    }
    if let Some(unseen) = lines.iter().flatten().find(|line| !who.0.sees(line)) {
        return Err(Problem::invalid("lines", format!("there is no line `{unseen}`")));
    }
    let ticket = state.settings.tokens.issue_ticket(&who.0, scopes, lines);
    Ok(HttpResponse::Created().json(ticket))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(post_ticket);
}
