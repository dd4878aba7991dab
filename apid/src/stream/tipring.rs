//! Our own dialect: binary messages are audio, everything else is one JSON object with a `type`, as
//! on `/v1/lines/{id}/audio`.

use super::dialect::{About, Act, Dialect, Heard, quoted};
use crate::audio_format::Codec;
use crate::control::Moment;
use crate::event_json::answer;
use crate::view::AudioFormat;
use serde::Deserialize;
use serde_json::json;

/// What an application asks for.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Ask {
    Clear {},
    Mark { name: String },
    Dtmf { digits: String, on_ms: Option<u16> },
    Hangup {},
}

/// One conversation.
pub(super) struct Tipring {
    about: About,
    format: AudioFormat,
    audio: Codec,
}

impl Tipring {
    pub(super) fn new(about: About, format: AudioFormat) -> Self {
        Self { about, format, audio: Codec::new(format) }
    }
}

impl Dialect for Tipring {
    fn handle(&mut self, heard: Heard<'_>, _now: Moment, out: &mut Vec<Act>) {
        let text = |kind, fields: serde_json::Value| Act::Text(answer(kind, &fields));
        let act = match heard {
            Heard::Opened => {
                let About { call_id, line, caller, dialled, .. } = &self.about;
                out.push(text(
                    "start",
                    json!({
                        "call_id": call_id, "line": line, "from": caller, "to": dialled,
                        "format": self.format, "sample_rate_hz": 8000,
                    }),
                ));
                Act::Join
            }
            Heard::Frame(samples) => Act::Binary(self.audio.encode(samples)),
            Heard::Lost(frames) => {
                text("lost", json!({ "frames": frames, "lost_ms": frames * 20 }))
            }
            Heard::Digit { digit, duration_ms } => {
                text("dtmf", json!({ "digit": digit, "duration_ms": duration_ms }))
            }
            Heard::Binary(octets) => Act::Speak(self.audio.decode(octets)),
            Heard::Mark { name, played_ms } => {
                text("mark", json!({ "name": name, "played_ms": played_ms }))
            }
            Heard::Cleared { played_ms } => text("cleared", json!({ "played_ms": played_ms })),
            Heard::Over(end) => {
                let cause = json!({ "code": end.cause.code(), "text": end.cause.text() });
                text("stop", json!({ "cause": cause }))
            }
            Heard::Text(asked) => match serde_json::from_str(asked) {
                Ok(Ask::Clear {}) => Act::Clear,
                Ok(Ask::Mark { name }) => Act::Mark(name),
                Ok(Ask::Dtmf { digits, on_ms }) => {
                    Act::Press { digits, on_ms: on_ms.unwrap_or(100) }
                }
                Ok(Ask::Hangup {}) => Act::HangUp,
                Err(error) => {
                    let reason = format!("{} is no request: {error}", quoted(asked));
                    out.push(text("error", json!({ "code": "invalid", "message": reason })));
                    Act::Ignored(reason)
                }
            },
        };
        out.push(act);
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tests::{about, talk, texts};
    use super::*;
    use crate::control::{ApplicationEnd, Cause};

    fn conversation() -> Tipring {
        Tipring::new(about(), AudioFormat::PcmS16le)
    }

    #[test]
    fn it_begins_with_a_start_and_ends_with_a_stop() {
        let mut us = conversation();
        let opened = talk(&mut us, Heard::Opened);
        assert_eq!(opened[1], Act::Join);
        let start = &texts(&opened)[0];
        assert_eq!((&start["type"], &start["line"]), (&json!("start"), &json!("1")));
        let end = ApplicationEnd { cause: Cause::NormalClearing, by_phone: true };
        let stop = &texts(&talk(&mut us, Heard::Over(end)))[0];
        assert_eq!((&stop["type"], &stop["cause"]["code"]), (&json!("stop"), &json!(16)));
    }

    #[test]
    fn torn_samples_are_joined_and_wrong_requests_answered() {
        let mut us = conversation();
        assert_eq!(talk(&mut us, Heard::Binary(&[1])), [Act::Speak(vec![])]);
        assert_eq!(talk(&mut us, Heard::Binary(&[0, 2])), [Act::Speak(vec![1])]);
        assert_eq!(talk(&mut us, Heard::Binary(&[0])), [Act::Speak(vec![2])]);
        for wrong in ["{", "[]", "{\"type\":\"sing\"}", "{\"type\":\"mark\"}", ""] {
            let acts = talk(&mut us, Heard::Text(wrong));
            assert_eq!(texts(&acts)[0]["type"], "error", "{wrong}");
            assert!(matches!(acts[1], Act::Ignored(_)), "{wrong}");
        }
        assert_eq!(talk(&mut us, Heard::Text("{\"type\":\"hangup\"}")), [Act::HangUp]);
    }
}
