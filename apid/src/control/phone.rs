//! What signalling reports of phones on the network. Called by the implementor of
//! [`super::Signalling`]; each returns as soon as it is noted, what follows comes as calls of
//! that trait.
#![expect(clippy::unused_async, reason = "signalling need not know which of these wait")]

use super::media::{common_law, rtp};
use super::{Cause, Control, RegistrationChange, RemoteMedia, TransferTo, lock, moment};
use crate::call::{DigitWay, Input};
use crate::hub::{DigitSource, NoticeBody};
use crate::view::CallerIdView;
use tipring_shm_proto::command::{Command, Phase};

impl Control {
    /// The phone of `line` calls the number `to`. Control answers through `progress`, `accept` or
    /// `hang_up`.
    /// `caller` is who calls, where that is not the line itself.
    pub async fn phone_invites(
        &self,
        line: &str,
        to: &str,
        caller: Option<CallerIdView>,
        media: RemoteMedia,
    ) {
        tracing::info!(line, to, "phone calls");
        let (line, to) = (line.to_owned(), to.to_owned());
        self.feed(Input::Invited { line, to, caller, media });
    }

    /// The phone rings (180 or 183).
    pub async fn phone_rings(&self, line: &str) {
        self.feed(Input::Alerting { line: line.to_owned() });
    }

    /// The phone was lifted: 200 to our INVITE, its SDP being our offer's answer.
    pub async fn phone_answers(&self, line: &str, media: RemoteMedia) {
        self.feed(Input::Lifted { line: line.to_owned(), media });
    }

    /// The phone refused our INVITE, or it timed out.
    pub async fn phone_refuses(&self, line: &str, cause: Cause) {
        tracing::info!(line, cause = cause.text(), "phone refuses");
        self.feed(Input::Refused { line: line.to_owned(), cause });
    }

    /// BYE, or its call was lost.
    pub async fn phone_hangs_up(&self, line: &str, cause: Cause) {
        self.feed(Input::HungUp { line: line.to_owned(), cause });
    }

    /// CANCEL of its INVITE.
    pub async fn phone_cancels(&self, line: &str) {
        self.feed(Input::HungUp { line: line.to_owned(), cause: Cause::NormalClearing });
    }

    /// REFER: the phone hands its call over. It hears by `transferred` what became of that.
    pub async fn phone_transfers(&self, line: &str, to: TransferTo) {
        let refused = {
            let mut switch = lock(&self.0.switch);
            let done = switch.transfer(line, &to, moment(&self.0));
            done.map(|actions| self.apply(&mut switch, actions)).err()
        };
        if let Some(cause) = refused {
            tracing::info!(line, ?to, cause = cause.text(), "transfer refused");
            self.signalling().transferred(line, cause.sip_status()).await;
        }
    }

    /// Re-INVITE or UPDATE with SDP; gives what our answer should say, `None` where no law is
    /// common or no media is open (488).
    pub async fn phone_media_changes(
        &self,
        line: &str,
        media: RemoteMedia,
    ) -> Option<super::MediaAnswer> {
        let entry = self.directory().get(line).cloned()?;
        let law = common_law(&media, &entry.laws)?;
        let rtp = rtp(&media, law);
        let engine = entry.engine?;
        self.ask(engine, Command::UpdateRtp { media: rtp }).await.ok()?;
        let answer = {
            let mut open = lock(&self.0.media);
            let known = open.get_mut(line)?;
            known.law = law;
            known.telephone_event = rtp.telephone_event;
            known.answer()
        };
        // A phone that wants no audio has put its call on hold; a hold of ours it cannot lift.
        let ours = self.0.link.row(engine).is_some_and(|row| row.phase == Some(Phase::Held));
        if !ours {
            let mut switch = lock(&self.0.switch);
            let actions = switch.note_hold(line, !media.wants_audio);
            self.apply(&mut switch, actions);
        }
        Some(answer)
    }

    /// Registered, gone or refused.
    pub async fn phone_registration(&self, line: &str, change: RegistrationChange) {
        let (reachable, body) = match change {
            RegistrationChange::Registered { contact } => {
                tracing::info!(line, contact, "registered");
                (true, NoticeBody::Registered { contact: Some(contact) })
            }
            RegistrationChange::Unregistered => {
                tracing::info!(line, "unregistered");
                (false, NoticeBody::Unregistered)
            }
            RegistrationChange::Refused { reason, from } => {
                let message = format!("registration of {line} from {from} refused: {reason}");
                // A stranger may use any name; one that is no line of ours is nobody's.
                let known = self.directory().get(line).is_some();
                // Signalling logs what it refuses, within a bound.
                self.publish_error(known.then_some(line), "registration_refused", &message);
                return;
            }
            RegistrationChange::OursFailed { reason } => {
                self.publish_error(Some(line), "trunk_failed", &reason);
                return;
            }
        };
        self.feed(Input::Reachable { line: line.to_owned(), reachable });
        self.0.hub.publish(Some(line), None, body);
    }

    /// A digit by SIP INFO.
    pub async fn phone_digit(&self, line: &str, digit: char, duration_ms: u16) {
        if !self.is_new_digit(line, digit, DigitWay::Info) {
            return;
        }
        let call = lock(&self.0.switch).call_of(line).map(|call| call.to_string());
        let source = DigitSource::Info;
        let body = NoticeBody::Dtmf {
            digit,
            duration_ms,
            signal_level_dbm0: None,
            twist_db: None,
            source,
        };
        self.0.hub.publish(Some(line), call.as_deref(), body);
        self.note_digit(line, digit);
        self.feed(Input::Digit { line: line.to_owned(), digit });
    }

    /// A flash by SIP INFO.
    pub async fn phone_flash(&self, line: &str) {
        self.0.hub.publish(Some(line), None, NoticeBody::Flash { duration_ms: 0 });
    }
}
