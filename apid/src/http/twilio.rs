//! The routes by which programs written for Twilio look at, hang up and update a call. An
//! AccountSid names a token, which is the password of `Basic` too, and sees the calls that this
//! token placed.

use super::State;
use super::access::Who;
use super::problem::Problem;
use super::twiml::{self, Verb};
use crate::auth::Caller;
use crate::control::{Refused, TransferTo};
use crate::twilio_sid;
use crate::view::{Call, CallState};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, ResponseError as _, get, post};
use serde::{Deserialize, Serialize};
use std::time::UNIX_EPOCH;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// A call as Twilio's clients know it.
#[derive(Debug, Serialize, ToSchema)]
struct TwilioCall {
    /// `CA` and 32 hexadecimal digits.
    sid: String,
    /// Of the token that placed it.
    account_sid: String,
    /// `ringing`, `in-progress`, `completed`, `busy`, `no-answer`, `failed`.
    status: &'static str,
    /// Caller.
    from: String,
    /// Callee.
    to: String,
    /// Always `outbound-api`.
    direction: &'static str,
    /// Seconds since the answer, at the end.
    duration: Option<String>,
    /// Of this route.
    uri: String,
}

/// What shall become of a call: `Status` or `Twiml`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
struct Update {
    /// `completed`, `canceled`.
    status: Option<String>,
    /// `<Response>` with `<Hangup/>`, `<Dial>NUMBER</Dial>` or `<Connect><Stream url/></Connect>`.
    twiml: Option<String>,
    /// Not fetched: refused.
    url: Option<String>,
}

/// Why not, in Twilio's form.
#[derive(Debug, Serialize, ToSchema)]
struct TwilioRefusal {
    /// One of Twilio's.
    code: u32,
    /// For people.
    message: String,
    /// The HTTP status.
    status: u16,
    /// Twilio's page of the code.
    more_info: String,
}

fn refuse(status: u16, code: u32, message: &str) -> HttpResponse {
    let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    HttpResponse::build(status_code).json(TwilioRefusal {
        code,
        message: message.to_owned(),
        status,
        more_info: format!("https://www.twilio.com/docs/errors/{code}"),
    })
}

fn absent() -> HttpResponse {
    refuse(404, 20404, "the requested resource was not found")
}

/// The id of a call that this account placed, and the call.
fn own(state: &State, caller: &Caller, account: &str, sid: &str) -> Option<(String, Call)> {
    let id = twilio_sid::call_of(sid.strip_suffix(".json")?)?;
    if account != twilio_sid::of_account(&caller.name) {
        return None;
    }
    let call = state.control.placed_call(caller, id).ok()?;
    Some((id.to_owned(), call))
}

fn status_of(call: &Call) -> &'static str {
    match (call.state, &call.cause) {
        (CallState::Ringing, _) => "ringing",
        (CallState::Ended, Some(cause)) if call.answered_at.is_none() => match cause.code {
            17 => "busy",
            18..=20 => "no-answer",
            _ => "failed",
        },
        (CallState::Ended, _) => "completed",
        _ => "in-progress",
    }
}

fn shown(call: &Call, account: &str) -> TwilioCall {
    let sid = twilio_sid::of_call(&call.id);
    let duration = call.ended_at.zip(call.answered_at).map(|(ended, answered)| {
        let since = |at: crate::view::Timestamp| at.0.duration_since(UNIX_EPOCH).ok();
        let lasted = since(ended).zip(since(answered)).map(|(e, a)| e.saturating_sub(a));
        lasted.unwrap_or_default().as_secs().to_string()
    });
    TwilioCall {
        uri: format!("/2010-04-01/Accounts/{account}/Calls/{sid}.json"),
        sid,
        account_sid: account.to_owned(),
        status: status_of(call),
        from: call.from.clone(),
        to: call.to.clone(),
        direction: "outbound-api",
        duration,
    }
}

/// A call that this account placed, as Twilio's clients know it.
#[utoipa::path(
    tag = "twilio",
    responses(
        (status = 200, description = "The call", body = TwilioCall),
        (status = 404, description = "This account placed no such call", body = TwilioRefusal),
    )
)]
#[get("/2010-04-01/Accounts/{account}/Calls/{sid}")]
async fn get_twilio_call(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
) -> HttpResponse {
    let (account, sid) = path.into_inner();
    own(&state, &who.0, &account, &sid)
        .map_or_else(absent, |(_, call)| HttpResponse::Ok().json(shown(&call, &account)))
}

/// Hangs up or updates a call that this account placed, as Twilio's clients do it.
#[utoipa::path(
    tag = "twilio",
    request_body(content = Update, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The call", body = TwilioCall),
        (status = 400, description = "The form says nothing that is built", body = TwilioRefusal),
        (status = 404, description = "This account placed no such call, or it is over",
            body = TwilioRefusal),
    )
)]
#[post("/2010-04-01/Accounts/{account}/Calls/{sid}")]
async fn post_twilio_call(
    state: Data<State>,
    who: Who,
    path: Path<(String, String)>,
    form: Result<Form<Update>, actix_web::Error>,
) -> HttpResponse {
    let (account, sid) = path.into_inner();
    let Some((id, call)) = own(&state, &who.0, &account, &sid) else { return absent() };
    if call.state == CallState::Ended {
        return absent();
    }
    let update = match form {
        Ok(form) => form.into_inner(),
        Err(error) => return refuse(400, 20001, &format!("the body is no form: {error}")),
    };
    match carry_out(&state, &who.0, &id, update).await {
        Ok(()) => {
            let now = state.control.placed_call(&who.0, &id).unwrap_or(call);
            HttpResponse::Ok().json(shown(&now, &account))
        }
        Err(answer) => answer,
    }
}

async fn carry_out(
    state: &State,
    caller: &Caller,
    id: &str,
    update: Update,
) -> Result<(), HttpResponse> {
    let refused = |refused: Refused| match refused {
        Refused::NoSuchCall => absent(),
        Refused::Forbidden { .. } => Problem::from(refused).error_response(),
        _ => refuse(400, 21220, &refused.to_string()),
    };
    let verb = match (update.status.as_deref(), update.twiml, update.url) {
        (Some("completed" | "canceled"), None, None) => Verb::HangUp,
        (None, Some(document), None) => {
            twiml::parse(&document).map_err(|reason| refuse(400, 12100, &reason))?
        }
        (None, None, Some(_)) => {
            return Err(refuse(400, 21205, "TwiML is not fetched here; send it as Twiml"));
        }
        (Some(status), None, None) => {
            let status: String = status.chars().take(20).collect();
            let reason = format!("Status {status:?}: allowed are completed, canceled");
            return Err(refuse(400, 21218, &reason));
        }
        _ => return Err(refuse(400, 20001, "give one of Status and Twiml")),
    };
    let control = &state.control;
    match verb {
        Verb::HangUp => control.end_call(caller, id).await.map_err(refused),
        Verb::Dial(number) => {
            let to = TransferTo::Number(number);
            control.transfer_call(caller, id, None, &to).await.map(|_| ()).map_err(refused)
        }
        Verb::Stream(url) => {
            control.hand_to_application(caller, id, &url).map(|_| ()).map_err(refused)
        }
    }
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_twilio_call).service(post_twilio_call);
}
