//! The simulated phone: what its user does, and what happens to its card. Needs `control`; faults
//! need `admin`.

use super::{Control, Refused};
use crate::auth::Caller;
use crate::view::{DialMethod, Played, ScriptStep};

impl Control {
    /// Lifts the handset or puts it down; returns when the line has taken it (or 2 s have
    /// passed).
    ///
    /// # Errors
    /// `WrongKind` for a line that is not simulated, `EngineAway`, `TimedOut`, and as
    /// [`Control::line`].
    pub async fn sim_hook(&self, _caller: &Caller, _line: &str, _off: bool) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Dials.
    ///
    /// # Errors
    /// `Invalid` for what is no digit, or none that a dial has; and as [`Control::sim_hook`].
    pub async fn sim_dial(
        &self,
        _caller: &Caller,
        _line: &str,
        _digits: &str,
        _method: DialMethod,
    ) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Presses the hook switch for `ms` (10 to 2000; 500 where none is given).
    ///
    /// # Errors
    /// As [`Control::sim_hook`].
    pub async fn sim_flash(
        &self,
        _caller: &Caller,
        _line: &str,
        _ms: Option<u16>,
    ) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Speaks a WAV file into the microphone; gives the playback's id.
    ///
    /// # Errors
    /// As [`Control::play`] and [`Control::sim_hook`].
    pub async fn sim_speak(
        &self,
        _caller: &Caller,
        _line: &str,
        _wav: Vec<u8>,
    ) -> Result<String, Refused> {
        Err(Refused::EngineAway)
    }

    /// Ceases to speak.
    ///
    /// # Errors
    /// As [`Control::stop_playback`].
    pub async fn sim_hush(
        &self,
        _caller: &Caller,
        _line: &str,
        _playback_id: &str,
    ) -> Result<Played, Refused> {
        Err(Refused::EngineAway)
    }

    /// Does up to 64 steps in turn; returns when all are checked and the first has begun.
    ///
    /// # Errors
    /// `Invalid` naming the step, `Full` while another script runs on that line, and as
    /// [`Control::sim_hook`].
    pub async fn sim_script(
        &self,
        _caller: &Caller,
        _line: &str,
        _steps: Vec<ScriptStep>,
    ) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }
}
