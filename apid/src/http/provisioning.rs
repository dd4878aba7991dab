//! `/v1/provisioning`: adapters that are set up from here; and the files that they ask for.

use super::access::Who;
use super::body::{AnyBody, OptionalBody};
use super::problem::Problem;
use super::{Accepted, State};
use crate::control::Refused;
use crate::provisioning::Fetch;
use crate::view::{OpenedWindow, ProvisionedDevice, SettingDifference};
use actix_web::http::header;
use actix_web::web::{self, Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Adapters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceList {
    /// In the order of the configuration.
    pub devices: Vec<ProvisionedDevice>,
}

/// How long, and how often.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowRequest {
    /// 1 to 1440; 15 where none is given.
    #[schema(minimum = 1, maximum = 1440)]
    pub minutes: Option<u32>,
    /// 1 to 10; 3 where none is given.
    #[schema(minimum = 1, maximum = 10)]
    pub fetches: Option<u32>,
}

/// What to ask of the device.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResyncRequest {
    /// Start anew, instead of fetching the file only.
    #[serde(default)]
    pub reboot: bool,
}

/// What differs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Audit {
    /// Settings that are not as we need them.
    pub differences: Vec<SettingDifference>,
}

/// Adapters that are set up from here.
#[utoipa::path(
    tag = "provisioning",
    responses((status = 200, description = "All", body = DeviceList))
)]
#[get("/v1/provisioning")]
async fn get_devices(state: Data<State>, who: Who) -> Result<Json<DeviceList>, Problem> {
    Ok(Json(DeviceList { devices: state.control.devices(&who.0)? }))
}

/// Lets a device fetch its file for a while, a few times. The password is told once.
#[utoipa::path(
    tag = "provisioning",
    request_body = WindowRequest,
    responses((status = 200, description = "Open", body = OpenedWindow))
)]
#[post("/v1/provisioning/{mac}/window")]
async fn post_window(
    state: Data<State>,
    who: Who,
    mac: Path<String>,
    body: OptionalBody<WindowRequest>,
) -> Result<Json<OpenedWindow>, Problem> {
    let (minutes, fetches) = (body.0.minutes.unwrap_or(15), body.0.fetches.unwrap_or(3));
    Ok(Json(state.control.open_window(&who.0, &mac, minutes, fetches)?))
}

/// Closes the window early.
#[utoipa::path(tag = "provisioning", responses((status = 204, description = "Closed")))]
#[delete("/v1/provisioning/{mac}/window")]
async fn delete_window(
    state: Data<State>,
    who: Who,
    mac: Path<String>,
) -> Result<HttpResponse, Problem> {
    state.control.close_window(&who.0, &mac)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Compares the configuration that the device's web page exports with what we need.
#[utoipa::path(
    tag = "provisioning",
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, description = "Compared", body = Audit))
)]
#[post("/v1/provisioning/{mac}/audit")]
async fn post_audit(
    state: Data<State>,
    who: Who,
    mac: Path<String>,
    body: AnyBody,
) -> Result<Json<Audit>, Problem> {
    let exported = String::from_utf8_lossy(&body.octets);
    Ok(Json(Audit { differences: state.control.audit(&who.0, &mac, &exported)? }))
}

/// Asks the device to fetch its file again.
#[utoipa::path(
    tag = "provisioning",
    request_body = ResyncRequest,
    responses((status = 202, description = "It is asked", body = Accepted))
)]
#[post("/v1/provisioning/{mac}/resync")]
async fn post_resync(
    state: Data<State>,
    who: Who,
    mac: Path<String>,
    body: OptionalBody<ResyncRequest>,
) -> Result<HttpResponse, Problem> {
    state.control.resync_device(&who.0, &mac, body.0.reboot).await?;
    Ok(Accepted::response())
}

/// `/cfg<mac>.xml` with HTTP Basic authentication.
async fn get_file(
    state: Data<State>,
    request: HttpRequest,
    mac: Path<String>,
) -> Result<HttpResponse, Problem> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some((user, password)) = header.and_then(basic) else {
        // Asked for whoever it is, so that nobody learns which devices there are.
        return Ok(HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"tipring\""))
            .finish());
    };
    file(&state, &request, &mac, Fetch::Basic(&user, &password))
}

/// `/provisioning/<password>/cfg<mac>.xml`.
async fn get_file_by_path(
    state: Data<State>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (password, mac) = path.into_inner();
    file(&state, &request, &mac, Fetch::Path(&password))
}

fn file(
    state: &State,
    request: &HttpRequest,
    mac: &str,
    by: Fetch<'_>,
) -> Result<HttpResponse, Problem> {
    let remote = request.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
    match state.control.device_file(&mac.to_ascii_lowercase(), by, &remote) {
        Ok(xml) => Ok(HttpResponse::Ok().content_type("text/xml; charset=utf-8").body(xml)),
        Err(Refused::NoSuchDevice) => Ok(HttpResponse::NotFound().finish()),
        Err(refused) => Err(refused.into()),
    }
}

/// RFC 7617.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 512 {
        return None;
    }
    let text = String::from_utf8(base64(encoded.trim())?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// RFC 4648 §4, padding or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for octet in text.trim_end_matches('=').bytes() {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

/// The routes of this file that are described.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(get_devices)
        .service(post_window)
        .service(delete_window)
        .service(post_audit)
        .service(post_resync);
}

/// What devices ask for: no part of the described interface.
pub(super) fn files(config: &mut web::ServiceConfig) {
    config.route("/cfg{mac:[0-9a-fA-F]{12}}.xml", web::get().to(get_file)).route(
        "/provisioning/{password}/cfg{mac:[0-9a-fA-F]{12}}.xml",
        web::get().to(get_file_by_path),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_read() {
        // RFC 7617 §2.
        let read = basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert_eq!(read, ("Aladdin".into(), "open sesame".into()));
        for wrong in ["Basic", "Bearer QQ==", "Basic ???", "Basic QQ=="] {
            assert_eq!(basic(wrong), None, "{wrong}");
        }
    }
}
