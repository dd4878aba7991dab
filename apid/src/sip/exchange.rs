//! What phones do, for whoever has calls: control, or a stand-in of a test.

use crate::control::{Cause, Control, MediaAnswer, RegistrationChange, RemoteMedia, TransferTo};
use crate::view::CallerIdView;
use async_trait::async_trait;

/// What phones do, as control hears it; see [`Control`] for each.
#[async_trait]
pub trait Exchange: Send + Sync + 'static {
    /// The phone calls a number.
    async fn invites(&self, line: &str, to: &str, caller: Option<CallerIdView>, media: RemoteMedia);
    /// The phone rings.
    async fn rings(&self, line: &str);
    /// The phone was lifted.
    async fn answers(&self, line: &str, media: RemoteMedia);
    /// The phone refused.
    async fn refuses(&self, line: &str, cause: Cause);
    /// The phone hung up.
    async fn hangs_up(&self, line: &str, cause: Cause);
    /// The phone took its call back.
    async fn cancels(&self, line: &str);
    /// The phone wants other media, or has answered our offer.
    async fn media_changes(&self, line: &str, media: RemoteMedia) -> Option<MediaAnswer>;
    /// The phone came, went, or was refused.
    async fn registration(&self, line: &str, change: RegistrationChange);
    /// A digit by INFO.
    async fn digit(&self, line: &str, digit: char, duration_ms: u16);
    /// A flash by INFO.
    async fn flash(&self, line: &str);
    /// The phone hands its call over.
    async fn transfers(&self, line: &str, to: TransferTo);
}

#[async_trait]
impl Exchange for Control {
    async fn invites(
        &self,
        line: &str,
        to: &str,
        caller: Option<CallerIdView>,
        media: RemoteMedia,
    ) {
        self.phone_invites(line, to, caller, media).await;
    }
    async fn rings(&self, line: &str) {
        self.phone_rings(line).await;
    }
    async fn answers(&self, line: &str, media: RemoteMedia) {
        self.phone_answers(line, media).await;
    }
    async fn refuses(&self, line: &str, cause: Cause) {
        self.phone_refuses(line, cause).await;
    }
    async fn hangs_up(&self, line: &str, cause: Cause) {
        self.phone_hangs_up(line, cause).await;
    }
    async fn cancels(&self, line: &str) {
        self.phone_cancels(line).await;
    }
    async fn media_changes(&self, line: &str, media: RemoteMedia) -> Option<MediaAnswer> {
        self.phone_media_changes(line, media).await
    }
    async fn registration(&self, line: &str, change: RegistrationChange) {
        self.phone_registration(line, change).await;
    }
    async fn digit(&self, line: &str, digit: char, duration_ms: u16) {
        self.phone_digit(line, digit, duration_ms).await;
    }
    async fn flash(&self, line: &str) {
        self.phone_flash(line).await;
    }
    async fn transfers(&self, line: &str, to: TransferTo) {
        self.phone_transfers(line, to).await;
    }
}
