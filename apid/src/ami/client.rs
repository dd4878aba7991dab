//! What one client is told: its answers and its events in their order, until they are sent.

use super::classes::Classes;
use super::events;
use super::session::Session;
use super::wire::{self, Message};
use crate::channel::{NewsBody, Told};
use crate::control::ClientNote;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Octets that wait for a client before it is cut.
const MAX_WAITING: usize = 2 * 1024 * 1024;
/// Octets that wait for a client before no more is read from it.
const ENOUGH_WAITING: usize = 256 * 1024;
/// Octets that wait for a client before it is told news in bulk only.
const BEHIND: usize = 32 * 1024;
/// Octets of memory that one keeps for whom nothing waits.
const KEPT: usize = 4 * 1024;
/// How long the last words may take to be sent.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A `WaitEvent` without its event yet.
pub(super) struct Wait {
    pub(super) action_id: String,
    pub(super) until: Option<tokio::time::Instant>,
}

/// A client, and what waits for it.
pub(super) struct Client {
    pub(super) session: Session,
    /// Names the connection.
    pub(super) number: u64,
    out: Vec<u8>,
    /// Of `out`, what is sent already.
    sent: usize,
    /// What was sent may not be on its way yet.
    unflushed: bool,
    pub(super) note: Arc<ClientNote>,
    pub(super) waits: Option<Wait>,
}

impl Client {
    /// One that is told `banner` first.
    pub(super) fn new(session: Session, number: u64, note: Arc<ClientNote>, banner: &str) -> Self {
        let out = banner.as_bytes().to_vec();
        Self { session, number, out, sent: 0, unflushed: false, note, waits: None }
    }

    /// Nobody waits for one who is so slow.
    pub(super) fn is_too_slow(&self) -> bool {
        self.waiting() > MAX_WAITING
    }

    /// What it asks is answered when it has read more.
    pub(super) fn has_enough(&self) -> bool {
        self.waiting() >= ENOUGH_WAITING
    }

    /// It reads more slowly than it is told.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting() >= BEHIND
    }

    /// Octets that it has not been sent yet.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Those.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// There is something to be sent, or to be sent on.
    pub(super) fn must_send(&self) -> bool {
        self.unflushed || self.waiting() > 0
    }

    /// So many octets are on their way; none: what an encrypting layer held is.
    pub(super) fn was_sent(&mut self, octets: usize) {
        self.unflushed = octets > 0;
        self.sent += octets;
        if self.sent == self.out.len() {
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.sent = 0;
        } else if self.sent > ENOUGH_WAITING {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// An answer, with the events of a list.
    pub(super) fn answer(&mut self, messages: &[Message]) {
        for message in messages {
            message.write_to(&mut self.out);
        }
    }

    /// Something happened: every event of it that it wants.
    pub(super) fn tell(&mut self, told: &Told) {
        if let NewsBody::OriginateResponse { session, .. } = &told.body
            && *session != self.number
        {
            return;
        }
        if !self.session.hears(events::classes(&told.body)) {
            return;
        }
        for event in events::texts(told, self.session.dialect()) {
            self.event(event);
        }
    }

    /// An event of class `system`.
    pub(super) fn system_event(&mut self, message: &Message) {
        if self.session.hears(Classes::SYSTEM) {
            self.event(message.text());
        }
    }

    fn event(&mut self, text: &str) {
        if !self.session.wants(text) {
            return;
        }
        let wait = self.waits.take();
        if let Some(wait) = &wait {
            self.begin_wait_answer(wait);
        }
        wire::write_message(text, &mut self.out);
        if let Some(wait) = wait {
            self.complete_wait(&wait);
        }
    }

    fn begin_wait_answer(&mut self, wait: &Wait) {
        let begin = Message::success().with("Message", "Waiting for Event completed.");
        begin.for_action(&wait.action_id).write_to(&mut self.out);
    }

    fn complete_wait(&mut self, wait: &Wait) {
        let end = Message::event("WaitEventComplete").for_action(&wait.action_id);
        end.write_to(&mut self.out);
    }

    /// `WaitEvent` is answered, whether there was one or not.
    pub(super) fn end_wait(&mut self) {
        if let Some(wait) = self.waits.take() {
            self.begin_wait_answer(&wait);
            self.complete_wait(&wait);
        }
    }

    /// Says why, and ends.
    pub(super) async fn part(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        reason: &str,
    ) -> String {
        Message::error(reason).write_to(&mut self.out);
        self.flush(writer, reason).await
    }

    /// Sends what there is, not for long.
    pub(super) async fn flush(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        reason: &str,
    ) -> String {
        let send = async {
            writer.write_all(self.unsent()).await?;
            writer.flush().await?;
            writer.shutdown().await
        };
        // One who does not read it does not want it.
        let _ = tokio::time::timeout(LAST_WORDS, send).await;
        reason.to_owned()
    }
}
