//! The system as a whole.

use super::{Control, Refused};
use crate::auth::Caller;
use crate::view::{Diagnostics, PortDiagnostics, Readiness};

impl Control {
    /// Everything: ports, lines, clients, frame loops, the attachment. Needs `read`; a caller
    /// limited to lines sees those and its own clients only.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn diagnostics(&self, _caller: &Caller) -> Result<Diagnostics, Refused> {
        Err(Refused::EngineAway)
    }

    /// Whether calls can be made. Open to everybody.
    pub fn readiness(&self) -> Readiness {
        Readiness { ready: false, reasons: vec!["the engine is away".to_owned()] }
    }

    /// Notes a port that was opened, for diagnostics.
    pub fn note_port(&self, _port: PortDiagnostics) {}
}
