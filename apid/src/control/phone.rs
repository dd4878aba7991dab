//! What signalling reports of phones on the network. Called by the implementor of
//! [`super::Signalling`]; each returns as soon as it is noted, what follows comes as calls of
//! that trait.

use super::{Control, RegistrationChange, RemoteMedia};

impl Control {
    /// The phone of `line` calls the number `to`. Control answers through `progress`, `accept` or
    /// `hang_up`.
    pub async fn phone_invites(&self, _line: &str, _to: &str, _media: RemoteMedia) {}

    /// The phone rings (180 or 183).
    pub async fn phone_rings(&self, _line: &str) {}

    /// The phone was lifted: 200 to our INVITE, its SDP being our offer's answer.
    pub async fn phone_answers(&self, _line: &str, _media: RemoteMedia) {}

    /// The phone refused our INVITE, or it timed out (408).
    pub async fn phone_refuses(&self, _line: &str, _status: u16) {}

    /// BYE.
    pub async fn phone_hangs_up(&self, _line: &str) {}

    /// CANCEL of its INVITE.
    pub async fn phone_cancels(&self, _line: &str) {}

    /// Re-INVITE or UPDATE with SDP; gives what our answer should say, `None` where no law is
    /// common or no media is open (488).
    pub async fn phone_media_changes(
        &self,
        _line: &str,
        _media: RemoteMedia,
    ) -> Option<super::MediaAnswer> {
        None
    }

    /// Registered, gone or refused.
    pub async fn phone_registration(&self, _line: &str, _change: RegistrationChange) {}

    /// A digit by SIP INFO.
    pub async fn phone_digit(&self, _line: &str, _digit: char, _duration_ms: u16) {}

    /// A flash by SIP INFO.
    pub async fn phone_flash(&self, _line: &str) {}
}
