//! Lines: look, ring, dial, hang up.

use super::{Control, Refused};
use crate::auth::Caller;
use crate::view::{Line, LineDiagnostics, RingRequest, Voltage};

impl Control {
    /// All lines the caller may see, in the order of the configuration. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn lines(&self, _caller: &Caller) -> Result<Vec<Line>, Refused> {
        Err(Refused::EngineAway)
    }

    /// One line. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`.
    pub fn line(&self, _caller: &Caller, _line: &str) -> Result<Line, Refused> {
        Err(Refused::EngineAway)
    }

    /// The first line the caller may see: what the compatibility routes act on.
    ///
    /// # Errors
    /// `NoSuchLine`.
    pub fn first_line(&self, _caller: &Caller) -> Result<String, Refused> {
        Err(Refused::EngineAway)
    }

    /// Rings a phone until it is answered, stopped or the time is out; gives the call's id.
    /// Needs `control`.
    ///
    /// # Errors
    /// `LineBusy` when it is not on hook, `Invalid`, `EngineAway`, `TimedOut`, `Full` when too
    /// many lines ring, `Signalling`, and as [`Control::line`].
    pub async fn ring(
        &self,
        _caller: &Caller,
        _line: &str,
        _request: RingRequest,
    ) -> Result<String, Refused> {
        Err(Refused::EngineAway)
    }

    /// Stops the bell, and ends the call it rang for. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it does not ring, `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn stop_ring(&self, _caller: &Caller, _line: &str) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Sends 1 to 32 digits to the phone's ear; `on_ms`, `off_ms` 40 to 2000, 100 where none is
    /// given. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook, `Invalid`, `Full` while others are being sent, and
    /// as [`Control::stop_ring`].
    pub async fn dtmf(
        &self,
        _caller: &Caller,
        _line: &str,
        _digits: &str,
        _on_ms: Option<u16>,
        _off_ms: Option<u16>,
    ) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Sends digits to the line that has this number. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchExtension`, and as [`Control::dtmf`].
    pub async fn extension_dtmf(
        &self,
        _caller: &Caller,
        _number: &str,
        _digits: &str,
    ) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Takes the line for the application: a lifted line that is in no call is given one (the
    /// dial tone ends), a ringing simulated phone is lifted. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is on hook, or rings and is no simulated phone; `LineBusy` when it
    /// is in a call; and as [`Control::stop_ring`].
    pub async fn answer(&self, _caller: &Caller, _line: &str) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Hangs up on the phone: its call ends, whatever it hears ends. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is on hook, and as [`Control::stop_ring`].
    pub async fn hangup(&self, _caller: &Caller, _line: &str) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Puts the phone on hold (`true`), takes it off (`false`), or the one it is not (`None`).
    /// Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not talking, and as [`Control::stop_ring`].
    pub async fn hold(
        &self,
        _caller: &Caller,
        _line: &str,
        _on: Option<bool>,
    ) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Sends a hook flash to the phone. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook, and as [`Control::stop_ring`].
    pub async fn flash(&self, _caller: &Caller, _line: &str) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Takes the line back to its state after start; its call ends. Needs `control`.
    ///
    /// # Errors
    /// As [`Control::stop_ring`].
    pub async fn reset(&self, _caller: &Caller, _line: &str) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Tip-ring voltage, or why there is none. Needs `read`.
    ///
    /// # Errors
    /// `EngineAway`, and as [`Control::line`].
    pub fn voltage(&self, _caller: &Caller, _line: &str) -> Result<Voltage, Refused> {
        Err(Refused::EngineAway)
    }

    /// What is known of the line's inside. Needs `read`.
    ///
    /// # Errors
    /// As [`Control::line`].
    pub fn line_diagnostics(
        &self,
        _caller: &Caller,
        _line: &str,
    ) -> Result<LineDiagnostics, Refused> {
        Err(Refused::EngineAway)
    }
}
