//! `/health` and `/system/info`, as clients of an older phone API ask for them.

use super::State;
use super::access::Who;
use super::problem::Problem;
use super::system::Health;
use crate::view::{CallState, LineState, Timestamp};
use actix_web::get;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// What runs here, and how it is.
#[derive(Debug, Serialize, ToSchema)]
struct SystemInfo {
    /// `Tipring`.
    name: &'static str,
    version: &'static str,
    /// `idle`, `ringing`, `connected`, `error`.
    state: &'static str,
    /// Seconds.
    uptime: f64,
    active_calls: usize,
    /// That this caller may see.
    lines: usize,
    /// Why calls cannot be made.
    errors: Vec<String>,
    components: Components,
    timestamp: Timestamp,
}

/// `ok` or `error`, each.
#[derive(Debug, Serialize, ToSchema)]
struct Components {
    api: &'static str,
    engine: &'static str,
}

/// Whether the process is alive. Open to everybody.
#[utoipa::path(
    tag = "older phone APIs",
    responses((status = 200, description = "Alive", body = Health))
)]
#[get("/health")]
async fn get_health() -> Json<Health> {
    Json(Health { status: "healthy", version: env!("CARGO_PKG_VERSION") })
}

/// What runs here, and how it is.
#[utoipa::path(
    tag = "older phone APIs",
    responses((status = 200, description = "The system", body = SystemInfo))
)]
#[get("/system/info")]
async fn get_system_info(state: Data<State>, who: Who) -> Result<Json<SystemInfo>, Problem> {
    let lines = state.control.lines(&who.0)?;
    let calls = state.control.calls(&who.0)?;
    let inside = state.control.diagnostics(&who.0)?;
    let readiness = state.control.readiness();
    let active = calls.iter().filter(|call| call.state != CallState::Ended);
    let talks = |call: &&crate::view::Call| call.state != CallState::Ringing;
    let word = if !readiness.ready {
        "error"
    } else if active.clone().any(|call| talks(&call)) {
        "connected"
    } else if lines.iter().any(|line| line.state == LineState::Ringing) {
        "ringing"
    } else {
        "idle"
    };
    Ok(Json(SystemInfo {
        name: "Tipring",
        version: env!("CARGO_PKG_VERSION"),
        state: word,
        uptime: inside.uptime_ms as f64 / 1000.0,
        active_calls: active.count(),
        lines: lines.len(),
        components: Components { api: "ok", engine: if readiness.ready { "ok" } else { "error" } },
        errors: readiness.reasons,
        timestamp: Timestamp::now(),
    }))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_health).service(get_system_info);
}
