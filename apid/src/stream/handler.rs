//! The inbound call handler, as its gateway: we dial an application's server when a phone is lifted,
//! tell it of the call, and send a record of it at the end. Servers of the older revisions, which
//! announce the call themselves and only then answer, are understood too.

use super::dialect::{About, Act, Dialect, Heard, quoted};
use crate::audio_format::Codec;
use crate::control::{ApplicationEnd, Moment};
use crate::view::{AudioFormat, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::time::SystemTime;

/// Longest digit that an application may have sent, ms.
const DIGIT_MAX_MS: u16 = 1000;
/// Of a digit without a length, ms.
const DIGIT_MS: u16 = 100;

/// What an application sends; older servers send `incoming_call` as well.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Sent {
    Answer {},
    Dtmf { digit: String, duration: Option<u64> },
    Interrupt {},
    Hangup {},
    IncomingCall {},
}

/// One call.
pub(super) struct Handler {
    about: About,
    audio: Codec,
    answered_at: Option<SystemTime>,
    /// The application hung up.
    hung_up: bool,
}

impl Handler {
    pub(super) fn new(about: About, format: AudioFormat) -> Self {
        Self { about, audio: Codec::new(format), answered_at: None, hung_up: false }
    }

    fn event(&self, event: &str) -> Act {
        Act::Text(json!({ "event": event, "sessionId": self.about.session }).to_string())
    }

    fn obey(&mut self, text: &str, now: Moment) -> Result<Act, String> {
        let sent = serde_json::from_str(text)
            .map_err(|error| format!("{} is no event of a handler: {error}", quoted(text)))?;
        match sent {
            Sent::Answer {} if self.answered_at.is_some() => Err("it answered before".to_owned()),
            Sent::Answer {} => {
                self.answered_at = Some(now.wall);
                Ok(Act::Join)
            }
            Sent::Dtmf { digit, duration } => {
                let mut chars = digit.chars();
                let (Some(one), None) = (chars.next(), chars.next()) else {
                    return Err(format!("digit {} is not one of 0-9 * # A-D", quoted(&digit)));
                };
                if !"0123456789*#ABCD".contains(one) {
                    return Err(format!("digit {} is not one of 0-9 * # A-D", quoted(&digit)));
                }
                let on_ms = duration.unwrap_or(u64::from(DIGIT_MS));
                if !(1..=u64::from(DIGIT_MAX_MS)).contains(&on_ms) {
                    return Err(format!("duration {on_ms}: allowed is 1 to {DIGIT_MAX_MS}"));
                }
                Ok(Act::Press { digits: digit, on_ms: (on_ms as u16).max(40) })
            }
            Sent::Interrupt {} => Ok(Act::Clear),
            Sent::Hangup {} => {
                self.hung_up = true;
                Ok(Act::HangUp)
            }
            Sent::IncomingCall {} => Err("it announces the call that it was told of".to_owned()),
        }
    }

    /// The record of the call.
    fn record(&self, end: ApplicationEnd, now: Moment) -> String {
        let seconds = |since: Option<SystemTime>| {
            let lasted = since.and_then(|since| now.wall.duration_since(since).ok());
            lasted.map_or(0, |lasted| lasted.as_secs())
        };
        let by = match (self.hung_up, end.by_phone) {
            (true, _) => "callee",
            (false, true) => "caller",
            (false, false) => "system",
        };
        let disposition = if self.answered_at.is_some() { "ANSWERED" } else { "NO ANSWER" };
        json!({
            "event": "cdr", "sessionId": self.about.session,
            "source": self.about.caller, "destination": self.about.dialled,
            "startTime": self.about.at, "answerTime": self.answered_at.map(Timestamp),
            "endTime": Timestamp(now.wall),
            "duration": seconds(Some(self.about.at.0)),
            "billableSeconds": seconds(self.answered_at), "disposition": disposition,
            "hangupBy": by, "hangupCauseCode": end.cause.code().to_string(),
            "hangupCauseText": end.cause.text(),
        })
        .to_string()
    }
}

impl Dialect for Handler {
    fn handle(&mut self, heard: Heard<'_>, now: Moment, out: &mut Vec<Act>) {
        let act = match heard {
            Heard::Opened => Act::Text(
                json!({
                    "event": "incoming_call", "sessionId": self.about.session,
                    "callerId": self.about.caller, "didNumber": self.about.dialled,
                })
                .to_string(),
            ),
            Heard::Frame(samples) => Act::Binary(self.audio.encode(samples)),
            Heard::Digit { digit, .. } => Act::Text(
                json!({
                    "event": "dtmf", "sessionId": self.about.session, "digit": digit.to_string(),
                })
                .to_string(),
            ),
            Heard::Binary(octets) if self.answered_at.is_some() => {
                Act::Speak(self.audio.decode(octets))
            }
            Heard::Binary(_) => Act::Ignored("audio before the answer".to_owned()),
            Heard::Text(text) => self.obey(text, now).unwrap_or_else(Act::Ignored),
            Heard::Over(end) => {
                if !self.hung_up {
                    out.push(self.event("hangup"));
                }
                Act::Text(self.record(end, now))
            }
            Heard::Lost(_) | Heard::Mark { .. } | Heard::Cleared { .. } => return,
        };
        out.push(act);
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tests::{about, talk, talk_at, texts};
    use super::*;
    use crate::control::Cause;

    fn call() -> Handler {
        let mut call = Handler::new(about(), AudioFormat::PcmS16le);
        let expected = json!({
            "event": "incoming_call", "sessionId": about().session, "callerId": "101",
            "didNumber": "700",
        });
        assert_eq!(texts(&talk(&mut call, Heard::Opened)), [expected]);
        call
    }

    #[test]
    fn an_answered_call_ends_with_its_record() {
        let mut us = call();
        assert!(matches!(talk(&mut us, Heard::Binary(&[0, 0]))[..], [Act::Ignored(_)]));
        let answer = Heard::Text("{\"event\":\"answer\"}");
        assert_eq!(talk_at(&mut us, 5000, answer.clone()), [Act::Join]);
        assert!(matches!(talk_at(&mut us, 5001, answer)[..], [Act::Ignored(_)]));
        assert_eq!(talk(&mut us, Heard::Binary(&[1, 0])), [Act::Speak(vec![1])]);
        let digit = Heard::Digit { digit: '5', duration_ms: 90 };
        assert_eq!(texts(&talk(&mut us, digit))[0]["digit"], "5");
        let end = ApplicationEnd { cause: Cause::NormalClearing, by_phone: true };
        let told = texts(&talk_at(&mut us, 12_500, Heard::Over(end)));
        let expected = json!({
            "event": "cdr", "sessionId": about().session, "source": "101", "destination": "700",
            "startTime": "1970-01-01T00:00:00.000Z", "answerTime": "1970-01-01T00:00:05.000Z",
            "endTime": "1970-01-01T00:00:12.500Z", "duration": 12, "billableSeconds": 7,
            "disposition": "ANSWERED", "hangupBy": "caller", "hangupCauseCode": "16",
            "hangupCauseText": "normal call clearing",
        });
        assert_eq!((&told[0]["event"], &told[1]), (&json!("hangup"), &expected));
    }

    #[test]
    fn an_application_presses_interrupts_and_hangs_up() {
        let mut us = call();
        let press = Heard::Text("{\"event\":\"dtmf\",\"digit\":\"7\",\"duration\":250}");
        let seven = Act::Press { digits: "7".to_owned(), on_ms: 250 };
        assert_eq!(talk(&mut us, press), [seven]);
        assert_eq!(talk(&mut us, Heard::Text("{\"event\":\"interrupt\"}")), [Act::Clear]);
        assert_eq!(talk(&mut us, Heard::Text("{\"event\":\"hangup\"}")), [Act::HangUp]);
        let end = ApplicationEnd { cause: Cause::NormalClearing, by_phone: false };
        let told = texts(&talk(&mut us, Heard::Over(end)));
        assert_eq!(told.len(), 1, "no hangup is sent back");
        assert_eq!(
            (&told[0]["hangupBy"], &told[0]["disposition"], &told[0]["answerTime"]),
            (&json!("callee"), &json!("NO ANSWER"), &json!(null))
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (wrong, reason) in [
            ("nonsense", "no event"),
            ("{\"event\":\"sing\"}", "no event"),
            ("{\"event\":\"dtmf\"}", "no event"),
            ("{\"event\":\"dtmf\",\"digit\":\"x\"}", "0-9"),
            ("{\"event\":\"dtmf\",\"digit\":\"12\"}", "0-9"),
            ("{\"event\":\"dtmf\",\"digit\":\"1\",\"duration\":1001}", "1 to 1000"),
            ("{\"event\":\"incoming_call\"}", "announces"),
        ] {
            let acts = talk(&mut call(), Heard::Text(wrong));
            assert!(matches!(&acts[..], [Act::Ignored(why)] if why.contains(reason)), "{wrong}");
        }
    }
}
