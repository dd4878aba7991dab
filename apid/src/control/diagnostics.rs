//! The system as a whole.

use super::access::need;
use super::{Control, LineEntry, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::view::{ClientDiagnostics, Diagnostics, PortDiagnostics, Readiness, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A client that is no WebSocket.
#[derive(Debug)]
pub struct ClientNote {
    kind: String,
    caller: Mutex<String>,
    remote: String,
    since: Timestamp,
    queued: AtomicUsize,
}

impl ClientNote {
    /// Who it turned out to be.
    pub fn is(&self, caller: &str) {
        caller.clone_into(&mut lock(&self.caller));
    }

    /// So much waits for it.
    pub fn queues(&self, queued: usize) {
        self.queued.store(queued, Ordering::Relaxed);
    }

    fn view(&self) -> ClientDiagnostics {
        ClientDiagnostics {
            kind: self.kind.clone(),
            caller: lock(&self.caller).clone(),
            remote: self.remote.clone(),
            line: None,
            since: self.since,
            queued: self.queued.load(Ordering::Relaxed),
            oldest_age_ms: 0,
            missed: 0,
        }
    }
}

impl Control {
    /// Everything: ports, lines, clients, frame loops, the attachment. Needs `read`; a caller
    /// limited to lines sees those and its own clients only.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn diagnostics(&self, caller: &Caller) -> Result<Diagnostics, Refused> {
        need(caller, Scope::Read)?;
        let entries: Vec<LineEntry> =
            self.directory().entries().filter(|e| caller.sees(&e.id)).cloned().collect();
        let mut clients = self.0.hub.clients();
        clients.extend(self.audio_clients());
        clients.extend(
            lock(&self.0.clients).iter().filter_map(|client| Some(client.upgrade()?.view())),
        );
        clients.retain(|client| caller.lines.is_none() || client.caller == caller.name);
        let calls = lock(&self.0.switch)
            .active()
            .filter(|call| caller.lines.is_none() || call.lines().any(|line| caller.sees(line)))
            .count();
        Ok(Diagnostics {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.0.started_at,
            uptime_ms: self.0.started.elapsed().as_millis() as u64,
            engine: self.0.link.diagnostics(),
            ports: lock(&self.0.ports).clone(),
            lines: entries.iter().map(|entry| self.diagnose(entry)).collect(),
            clients,
            calls,
            last_event_seq: self.0.hub.last_seq(),
            sip: self.0.signalling.diagnostics().filter(|_| caller.lines.is_none()),
        })
    }

    /// Whether calls can be made. Open to everybody.
    pub fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.0.link.generation().is_none() {
            reasons.push("the engine is away".to_owned());
        } else {
            let directory = self.directory();
            let missing: Vec<&str> = directory
                .entries()
                .filter(|entry| entry.engine.is_none())
                .map(|entry| entry.label.as_str())
                .collect();
            if !missing.is_empty() {
                reasons.push(format!("the engine has no line {}", missing.join(", ")));
            }
        }
        Readiness { ready: reasons.is_empty(), reasons }
    }

    /// Notes a client of another surface, for diagnostics, until what it gives is dropped.
    pub fn note_client(&self, kind: &str, caller: &str, remote: &str) -> Arc<ClientNote> {
        let note = Arc::new(ClientNote {
            kind: kind.to_owned(),
            caller: Mutex::new(caller.to_owned()),
            remote: remote.to_owned(),
            since: Timestamp::now(),
            queued: AtomicUsize::new(0),
        });
        let mut clients = lock(&self.0.clients);
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Arc::downgrade(&note));
        note
    }

    /// Notes a port that was opened, for the log and for diagnostics.
    pub fn note_port(&self, port: PortDiagnostics) {
        let PortDiagnostics { service, address, encrypted, warning } = &port;
        tracing::info!(service, address, encrypted, "listening");
        if let Some(warning) = warning {
            tracing::warn!(service, "{warning}");
        }
        lock(&self.0.ports).push(port);
    }
}
