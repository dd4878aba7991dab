//! What the phone says.

use crate::call::event;
use crate::client::Body;
use crate::samples::{from_octets, of_wav};
use crate::{Call, Error};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

/// When a recording ends.
#[derive(Clone, Debug)]
pub struct Record {
    longest: Duration,
    digit: bool,
    silence: Option<Duration>,
    beep: bool,
}

impl Record {
    /// After so long, at the latest.
    pub const fn at_most(longest: Duration) -> Self {
        Self { longest, digit: false, silence: None, beep: false }
    }

    /// With a digit.
    #[must_use]
    pub const fn until_digit(mut self) -> Self {
        self.digit = true;
        self
    }

    /// After so long a silence.
    #[must_use]
    pub const fn until_silence(mut self, silence: Duration) -> Self {
        self.silence = Some(silence);
        self
    }

    /// After a beep.
    #[must_use]
    pub const fn after_beep(mut self) -> Self {
        self.beep = true;
        self
    }

    fn request(&self) -> Value {
        let mut request = json!({
            "direction": "rx",
            "max_ms": self.longest.as_millis() as u64,
            "beep": self.beep,
        });
        if self.digit {
            request["stop_on"] = json!(["digit"]);
        }
        if let Some(silence) = self.silence {
            request["silence_ms"] = json!(silence.as_millis() as u64);
        }
        request
    }
}

impl Call {
    /// Records what the phone says, as samples from -1 to 1, 8000 a second. Tipring keeps the
    /// recording too.
    ///
    /// # Errors
    /// [`Error::Refused`] where it cannot be recorded, [`Error::Over`] when the call is over first.
    pub async fn record(&self, record: Record) -> Result<Vec<f32>, Error> {
        let mut events = self.events();
        let path = self.line_path("recordings");
        let begun = self.ask("POST", &path, Body::Json(record.request())).await?;
        let id = begun["id"].as_str().unwrap_or_default().to_owned();
        let ours = |e: &Value| e["type"] == "recording_ended" && e["recording"]["id"] == *id;
        tokio::select! {
            ended = event(&mut events, ours) => ended?,
            () = self.over() => return Err(Error::Over),
        };
        let path = format!("/v1/recordings/{id}/audio");
        of_wav(&self.client().ask("GET", &path, Body::Nothing).await?)
    }

    /// Gives `function` what the phone says, 20 ms at a time, until it answers false.
    ///
    /// # Errors
    /// [`Error::Over`] when there is no more audio.
    pub async fn record_with(&self, mut function: impl FnMut(&[f32]) -> bool) -> Result<(), Error> {
        let path = self.line_path("audio?direction=rx");
        let mut socket = self.client().socket(&path).await?;
        while let Some(Ok(message)) = socket.next().await {
            let Message::Binary(octets) = message else { continue };
            if !function(&from_octets(&octets)) {
                return Ok(());
            }
        }
        Err(Error::Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_asked() {
        let request = Record::at_most(Duration::from_secs(2)).request();
        assert_eq!(request, json!({"direction": "rx", "max_ms": 2000, "beep": false}));
        let record = Record::at_most(Duration::from_secs(2)).until_digit().after_beep();
        let request = record.until_silence(Duration::from_secs(1)).request();
        assert_eq!(
            (&request["stop_on"], &request["silence_ms"]),
            (&json!(["digit"]), &json!(1000))
        );
    }
}
