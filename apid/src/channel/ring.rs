//! Ringing a line for a program, until somebody lifts it or nobody does.

use super::model::ChannelState;
use super::news::{NewsBody, Told};
use super::registry::Expected;
use super::shared::Channels;
use crate::auth::Caller;
use crate::control::{Control, Refused};
use crate::view::RingRequest;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Why nobody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It was not rung.
    Refused(Refused),
    /// It is over (ITU-T Q.850).
    Ended(u8),
    /// Nobody knows.
    Lost,
}

/// A line that rings.
#[derive(Debug)]
pub struct Ringing {
    /// Which.
    pub line: String,
    /// The call that it rings for.
    pub call: String,
    channels: Channels,
    serial: u64,
    news: Receiver<Arc<Told>>,
}

impl Ringing {
    /// Rings a line; its channel is given what is `expected`.
    ///
    /// # Errors
    /// As [`Control::ring`].
    pub async fn begin(
        (control, channels): (&Control, &Channels),
        caller: &Caller,
        line: &str,
        expected: Expected,
        timeout_ms: u32,
    ) -> Result<Self, Refused> {
        let news = channels.subscribe();
        let caller_id = Some(expected.caller.clone());
        let serial = channels.expect(line, expected);
        let request =
            RingRequest { timeout_ms: Some(timeout_ms), caller_id, ..RingRequest::default() };
        match control.ring(caller, line, request).await {
            Ok(call) => {
                Ok(Self { line: line.to_owned(), call, channels: channels.clone(), serial, news })
            }
            Err(refused) => {
                channels.forget_expected(line, serial);
                Err(refused)
            }
        }
    }

    /// Until it is answered: the unique id of its channel.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn answered(mut self) -> Result<String, Unanswered> {
        let serial = self.serial.to_string();
        let is_ours = |id: &str| id.rsplit('.').next() == Some(serial.as_str());
        loop {
            match self.news.recv().await {
                Ok(news) => {
                    let ours = news.channel.as_ref().filter(|channel| is_ours(&channel.unique_id));
                    let Some(channel) = ours else { continue };
                    match news.body {
                        NewsBody::State if channel.state == ChannelState::Up => {
                            return Ok(channel.unique_id.clone());
                        }
                        NewsBody::Hangup { cause } => return Err(Unanswered::Ended(cause)),
                        _ => {}
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    let channel = self.channels.of_line(&self.line);
                    match channel.filter(|channel| is_ours(&channel.unique_id)) {
                        None => return Err(Unanswered::Lost),
                        Some(channel) if channel.state == ChannelState::Up => {
                            return Ok(channel.unique_id.clone());
                        }
                        Some(_) => {}
                    }
                }
                Err(RecvError::Closed) => return Err(Unanswered::Lost),
            }
        }
    }
}
