//! REST, WebSockets and the console: the web side of [`crate::control`]. It translates and
//! nothing else; one file per resource, and the words of a surface in one place
//! ([`problem`], [`event_json`]).
//!
//! A request meets: [`access`] (may it come in, and who is it), its resource's handler, which
//! reads the [`body`], asks control and words the answer.

mod access;
mod applications;
mod audio_socket;
mod body;
mod call_records;
mod calls;
mod collect;
mod conferences;
mod compat;
mod compat_status;
mod compat_system;
mod console;
mod event_socket;
mod lines;
mod metrics;
mod openapi;
mod playbacks;
mod problem;
mod provisioning;
mod rate;
mod recordings;
mod routes;
mod server;
mod settings;
mod sim;
mod sip;
mod socket;
mod streams;
mod system;
mod tickets;
mod twilio;
mod twiml;

#[cfg(test)]
mod tests;

pub use server::{BindError, Bound, bind};
pub use settings::HttpSettings;

use crate::control::Control;
use crate::event_json;
use actix_web::HttpResponse;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// What every request finds.
struct State {
    control: Control,
    settings: HttpSettings,
    limiter: rate::Limiter,
    /// A permit for each WebSocket.
    sockets: Arc<Semaphore>,
    /// A permit for each body that may be long.
    uploads: Arc<Semaphore>,
    /// Cancelled when the server stops.
    stopping: CancellationToken,
}

impl State {
    fn new(control: Control, settings: HttpSettings) -> Self {
        let limiter = rate::Limiter::new(&settings);
        let sockets = Arc::new(Semaphore::new(settings.websockets_max));
        let uploads = Arc::new(Semaphore::new(settings.uploads_max));
        let stopping = CancellationToken::new();
        Self { control, settings, limiter, sockets, uploads, stopping }
    }
}

/// It was taken and is being done.
#[derive(Debug, Serialize, ToSchema)]
struct Accepted {
    /// `accepted`.
    status: &'static str,
}

impl Accepted {
    fn response() -> HttpResponse {
        HttpResponse::Accepted().json(Self { status: "accepted" })
    }
}
