//! What control needs of whoever signals to phones over the network. `sip` implements it,
//! `startup` wires it, and what phones do comes back through [`super::Control`]'s `phone_*`.

use crate::call::{Cause, MediaAnswer, MediaOffer};
use crate::view::{Ban, CallerIdView, Registration, SipDiagnostics, SipTrunk};
use async_trait::async_trait;
use std::net::{IpAddr, SocketAddr};

/// Why signalling could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignallingError {
    /// The phone is not registered and has no fixed address.
    NotRegistered,
    /// The line has no dialog for that.
    NoDialog,
    /// The line has a dialog already.
    Busy,
    /// Sending failed; the reason.
    Transport(String),
}

/// What happened to an account's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationChange {
    /// Registered, anew or refreshed with another contact.
    Registered {
        /// Where it can be reached.
        contact: String,
    },
    /// Gone: by itself, or expired.
    Unregistered,
    /// Refused; the reason, without secrets.
    Refused {
        /// Why.
        reason: String,
        /// From where.
        from: SocketAddr,
    },
    /// Ours at a provider failed; the reason, without secrets.
    OursFailed {
        /// Why.
        reason: String,
    },
}

/// Messages that wait for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagesWaiting {
    /// Not heard yet.
    pub new: u16,
    /// Heard and kept.
    pub old: u16,
}

/// Signalling to phones on the network. One dialog a line; none of these waits for a person, only
/// for the network. Line ids are account names.
#[async_trait]
pub trait Signalling: Send + Sync {
    /// Calls the phone, which shall ring like `cadence_ms` if it can; by a trunk's line the number.
    /// Returns when the INVITE is sent; `phone_rings`, `phone_answers` or `phone_refuses` follow.
    async fn invite(
        &self,
        line: &str,
        number: Option<&str>,
        media: MediaOffer,
        caller: &CallerIdView,
        cadence_ms: &[u16],
    ) -> Result<(), SignallingError>;
    /// Takes back our INVITE: CANCEL, or BYE where its 200 crossed. No `phone_*` need follow.
    async fn cancel(&self, line: &str, cause: Cause);
    /// 180 to the phone's INVITE.
    async fn progress(&self, line: &str);
    /// 200 to the phone's INVITE.
    async fn accept(&self, line: &str, media: MediaAnswer) -> Result<(), SignallingError>;
    /// Ends whatever dialog the line has: a final response of [`Cause::sip_status`] to its
    /// INVITE, CANCEL to ours, BYE in a confirmed one. Without a dialog nothing happens.
    async fn hang_up(&self, line: &str, cause: Cause);
    /// Re-INVITE with `sendonly` (on) or `sendrecv` (off).
    async fn hold(&self, line: &str, on: bool) -> Result<(), SignallingError>;
    /// NOTIFY to a phone that asked for a transfer: `status` as if it had called there itself.
    async fn transferred(&self, line: &str, status: u16);
    /// Lets the phone know that messages wait, or none any more.
    async fn messages(&self, line: &str, counts: MessagesWaiting);
    /// What is known of the account's registration; `None` for a line that has no account.
    fn registration(&self, line: &str) -> Option<Registration>;
    /// NOTIFY without a body outside of calls, such as `Event: resync`.
    async fn notify(&self, line: &str, event: &str) -> Result<(), SignallingError>;
    /// Our accounts at providers.
    fn trunks(&self) -> Vec<SipTrunk>;
    /// Addresses that get no answer now, the newest first.
    fn bans(&self) -> Vec<Ban>;
    /// Ends a ban early; whether there was one.
    async fn lift_ban(&self, address: IpAddr) -> bool;
    /// How signalling is doing; `None` where there is none.
    fn diagnostics(&self) -> Option<SipDiagnostics>;
    /// Lines whose confirmed dialogs outlived the last apid, or live now.
    fn live_dialogs(&self) -> Vec<String>;
    /// Ends every dialog whose line is not in `keep`: their calls are gone.
    async fn adopt(&self, keep: &[String]);
}

/// Signalling where there is none: no SIP configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSignalling;

#[async_trait]
impl Signalling for NoSignalling {
    async fn invite(
        &self,
        _line: &str,
        _number: Option<&str>,
        _media: MediaOffer,
        _caller: &CallerIdView,
        _cadence_ms: &[u16],
    ) -> Result<(), SignallingError> {
        Err(SignallingError::NotRegistered)
    }
    async fn cancel(&self, _line: &str, _cause: Cause) {}
    async fn progress(&self, _line: &str) {}
    async fn accept(&self, _line: &str, _media: MediaAnswer) -> Result<(), SignallingError> {
        Err(SignallingError::NoDialog)
    }
    async fn hang_up(&self, _line: &str, _cause: Cause) {}
    async fn hold(&self, _line: &str, _on: bool) -> Result<(), SignallingError> {
        Err(SignallingError::NoDialog)
    }
    async fn transferred(&self, _line: &str, _status: u16) {}
    async fn messages(&self, _line: &str, _counts: MessagesWaiting) {}
    fn registration(&self, _line: &str) -> Option<Registration> {
        None
    }
    async fn notify(&self, _line: &str, _event: &str) -> Result<(), SignallingError> {
        Err(SignallingError::NotRegistered)
    }
    fn trunks(&self) -> Vec<SipTrunk> {
        Vec::new()
    }
    fn bans(&self) -> Vec<Ban> {
        Vec::new()
    }
    async fn lift_ban(&self, _address: IpAddr) -> bool {
        false
    }
    fn diagnostics(&self) -> Option<SipDiagnostics> {
        None
    }
    fn live_dialogs(&self) -> Vec<String> {
        Vec::new()
    }
    async fn adopt(&self, _keep: &[String]) {}
}
