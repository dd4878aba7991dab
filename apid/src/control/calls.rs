//! Calls: look, place, end.

use super::{Control, Refused};
use crate::auth::Caller;
use crate::view::{Call, CallRequest};

impl Control {
    /// Calls with a line the caller may see: those that are not over, then the last 100 that
    /// are, newest first. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn calls(&self, _caller: &Caller) -> Result<Vec<Call>, Refused> {
        Err(Refused::EngineAway)
    }

    /// One call. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchCall`.
    pub fn call(&self, _caller: &Caller, _call_id: &str) -> Result<Call, Refused> {
        Err(Refused::EngineAway)
    }

    /// Rings `from`, then `to`, and joins them. A `from` that is lifted already is not rung.
    /// Needs `control`.
    ///
    /// # Errors
    /// `Invalid` for an end that is none, `NotBuilt` for `sip:` and `app:` ends, `LineBusy`, and
    /// as [`Control::ring`].
    pub async fn place_call(
        &self,
        _caller: &Caller,
        _request: CallRequest,
    ) -> Result<Call, Refused> {
        Err(Refused::EngineAway)
    }

    /// Ends a call. Needs `control`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchCall`; `WrongState` when it is over.
    pub async fn end_call(&self, _caller: &Caller, _call_id: &str) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Puts all lines of a call on hold, or takes them off (`None`: the one it is not). Needs
    /// `control`.
    ///
    /// # Errors
    /// As [`Control::end_call`].
    pub async fn hold_call(
        &self,
        _caller: &Caller,
        _call_id: &str,
        _on: Option<bool>,
    ) -> Result<Call, Refused> {
        Err(Refused::EngineAway)
    }

    /// Joins the lines of two calls that each have one line. Needs `control`.
    ///
    /// # Errors
    /// As [`Control::end_call`], `LineBusy`.
    pub async fn bridge_calls(
        &self,
        _caller: &Caller,
        _call_id: &str,
        _with_call_id: &str,
    ) -> Result<Call, Refused> {
        Err(Refused::NotBuilt("bridging two calls"))
    }
}
