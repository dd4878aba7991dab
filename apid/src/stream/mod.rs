//! Applications behind sockets: voice agents and other programs that hear and speak on a line. One
//! file for each dialect, sans-IO, all on the same inside: [`session`] couples a line with a socket.

mod address;
mod asterisk;
mod audiosocket;
mod dialect;
mod handler;
mod session;
mod socket;
mod speech;
mod tipring;
mod twilio;

pub use address::Address;

use crate::control::{AppConnector, ApplicationCall, ApplicationEnd, Cause, Control};
use crate::fetch::FetchSettings;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What holds for all sockets of applications.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// Which addresses may be dialled.
    pub fetch: FetchSettings,
    /// For name, connection and handshake.
    pub connect_timeout: Duration,
    /// An application that takes nothing for so long is given up.
    pub stall: Duration,
    /// Audio that may wait to be played, ms; what is more is dropped and told.
    pub queue_ms: u32,
    /// A longer message ends the call.
    pub max_message_bytes: usize,
    /// Sockets at once.
    pub max_sessions: usize,
}

/// Every socket of an application. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Streams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: StreamSettings,
    sessions: Mutex<HashMap<String, watch::Sender<Option<ApplicationEnd>>>>,
}

impl Streams {
    /// No sockets yet.
    pub fn new(settings: StreamSettings) -> Self {
        Self(Arc::new(Shared { settings, sessions: Mutex::default() }))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<ApplicationEnd>>>> {
        // Nothing behind it can panic half-way through a change.
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AppConnector for Streams {
    fn check(&self, url: &str) -> Result<(), String> {
        url.parse::<Address>().map(|_| ())
    }

    fn connect(&self, control: Control, call: ApplicationCall) {
        let id = call.call_id.clone();
        let (leave, left) = watch::channel(None);
        {
            let mut sessions = self.sessions();
            if sessions.len() >= self.0.settings.max_sessions {
                drop(sessions);
                let why = "there are too many applications on lines (applications.max_sessions)";
                control.application_error(&call.line, "application_refused", why);
                tokio::spawn(async move {
                    control.application_left(&id, Cause::ResourceUnavailable);
                });
                return;
            }
            sessions.insert(id.clone(), leave.clone());
        }
        let streams = self.clone();
        tokio::spawn(async move {
            session::run(control, call, &streams.0.settings, left).await;
            let mut sessions = streams.sessions();
            // A call that goes on may have been given another one meanwhile.
            if sessions.get(&id).is_some_and(|now| now.same_channel(&leave)) {
                sessions.remove(&id);
            }
        });
    }

    fn leave(&self, call_id: &str, end: ApplicationEnd) {
        if let Some(session) = self.sessions().remove(call_id) {
            session.send_replace(Some(end));
        }
    }
}
