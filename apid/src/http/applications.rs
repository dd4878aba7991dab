//! `/v1/applications/{number}`: a program answers a number for as long as it is connected.

use super::State;
use super::access::Who;
use super::problem::{Kind, Problem};
use super::socket::{Client, Gone, Received, Socket, open, remote_of, require_upgrade};
use crate::control::Claim;
use crate::event_json;
use crate::hub::Delivery;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, get, rt};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

/// How a number is to be answered.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApplicationQuery {
    /// Calls at once, 1 to 1000; 10 where none are given. Further callers hear that it is busy.
    max_calls: Option<usize>,
    /// A ticket in place of a token.
    #[expect(dead_code, reason = "read before the request reaches its handler")]
    ticket: Option<String>,
}

/// Answers a free number, and tells what happens in calls to it.
#[utoipa::path(
    tag = "WebSockets",
    params(ApplicationQuery, ("number" = String, Path, description = "A number that is free")),
    responses((status = 101, description = "Calls follow, as events"))
)]
#[get("/v1/applications/{number}")]
async fn get_application(
    state: Data<State>,
    who: Who,
    request: HttpRequest,
    number: Path<String>,
    query: Query<ApplicationQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    require_upgrade(&request)?;
    let client = Client::new(&request, who.0, None);
    let remote = remote_of(&request);
    let claim = state.control.claim(client.caller(), &number, query.max_calls, &remote)?;
    let (response, mut socket) = open(&request, payload, &state)?;
    let number = number.into_inner();
    rt::spawn(async move {
        let gone = serve(&mut socket, claim, &number, &client).await;
        socket.sender.close(gone).await;
    });
    Ok(response)
}

async fn serve(socket: &mut Socket, mut claim: Claim, number: &str, client: &Client) -> Gone {
    let Socket { sender, receiver, stopping, pings, permit: _ } = socket;
    let claimed = event_json::answer("claimed", &json!({ "number": number }));
    if let Err(gone) = sender.text(claimed).await {
        return gone;
    }
    loop {
        let sent = tokio::select! {
            delivery = claim.next() => match delivery {
                Delivery::Notice(notice) => sender.text(event_json::of(&notice)).await,
                Delivery::Lagged { missed } => sender.text(event_json::lagged(missed)).await,
            },
            received = receiver.next() => match received {
                Ok(Received::Ping(octets)) => sender.pong(&octets).await,
                Ok(_) => sender.text(client.refused(&silence())).await,
                Err(gone) => return gone,
            },
            _ = pings.tick() => sender.ping().await,
            () = stopping.cancelled() => return Gone::Stopping,
        };
        if let Err(gone) = sent {
            return gone;
        }
    }
}

fn silence() -> Problem {
    Problem::new(Kind::Invalid, "nothing is said here; calls are commanded by the other routes")
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_application);
}
