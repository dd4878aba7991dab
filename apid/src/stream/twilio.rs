//! Twilio Media Streams, as its documentation of bidirectional streams has them: we are Twilio, the
//! application is the server. G.711 µ-law in base64, marks answered when what was before them has
//! been played or cleared.

use super::dialect::{About, Act, Dialect, Heard, quoted};
use crate::audio_format;
use crate::control::Moment;
use crate::twilio_sid;
use crate::view::AudioFormat;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Octets of a message that are looked at, were it to be repeated in a log.
const MARK_NAME_MAX: usize = 256;

/// What an application sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Sent {
    Media {
        #[serde(rename = "streamSid")]
        stream: String,
        media: Media,
    },
    Mark {
        #[serde(rename = "streamSid")]
        stream: String,
        mark: MarkName,
    },
    Clear {
        #[serde(rename = "streamSid")]
        stream: String,
    },
}

#[derive(Debug, Deserialize)]
struct Media {
    payload: String,
}

#[derive(Debug, Deserialize)]
struct MarkName {
    name: String,
}

/// One stream.
pub(super) struct Twilio {
    about: About,
    stream: String,
    call: String,
    account: String,
    sequence: u64,
    chunk: u64,
}

impl Twilio {
    pub(super) fn new(about: About) -> Self {
        Self {
            stream: format!("MZ{}", about.session),
            call: twilio_sid::of_call(&about.call_id),
            account: twilio_sid::of_account(&about.owner),
            about,
            sequence: 0,
            chunk: 0,
        }
    }

    /// A message with its number; the first one has 1.
    fn message(&mut self, event: &str, name: &str, fields: Value) -> String {
        self.sequence += 1;
        let mut message = Map::new();
        message.insert("event".to_owned(), event.into());
        message.insert("sequenceNumber".to_owned(), self.sequence.to_string().into());
        message.insert("streamSid".to_owned(), self.stream.clone().into());
        message.insert(name.to_owned(), fields);
        Value::Object(message).to_string()
    }

    fn start(&mut self) -> String {
        let mut parameters = Map::new();
        for (name, value) in [("from", &self.about.caller), ("to", &self.about.dialled)] {
            if !value.is_empty() {
                parameters.insert(name.to_owned(), value.clone().into());
            }
        }
        let start = json!({
            "accountSid": self.account, "streamSid": self.stream, "callSid": self.call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        });
        self.message("start", "start", start)
    }

    fn obey(&self, text: &str) -> Result<Act, String> {
        let sent: Sent = serde_json::from_str(text)
            .map_err(|error| format!("{} is no message of a stream: {error}", quoted(text)))?;
        let (stream, act) = match sent {
            Sent::Media { stream, media } => {
                let octets = BASE64.decode(media.payload.as_bytes());
                let octets = octets.map_err(|error| format!("media.payload: {error}"))?;
                (stream, Act::Speak(audio_format::decode(AudioFormat::Pcmu, &octets)))
            }
            Sent::Mark { mark, .. } if mark.name.len() > MARK_NAME_MAX => {
                return Err(format!("mark.name has at most {MARK_NAME_MAX} octets"));
            }
            Sent::Mark { stream, mark } => (stream, Act::Mark(mark.name)),
            Sent::Clear { stream } => (stream, Act::Clear),
        };
        if stream == self.stream {
            Ok(act)
        } else {
            Err(format!("streamSid {} is not this stream", quoted(&stream)))
        }
    }
}

impl Dialect for Twilio {
    fn handle(&mut self, heard: Heard<'_>, _now: Moment, out: &mut Vec<Act>) {
        let act = match heard {
            Heard::Opened => {
                let connected =
                    json!({"event": "connected", "protocol": "Call", "version": "1.0.0"});
                out.extend([Act::Text(connected.to_string()), Act::Text(self.start())]);
                Act::Join
            }
            Heard::Frame(samples) => {
                self.chunk += 1;
                let mut octets = Vec::with_capacity(samples.len());
                audio_format::encode(AudioFormat::Pcmu, samples, &mut octets);
                let media = json!({
                    "track": "inbound", "chunk": self.chunk.to_string(),
                    "timestamp": (self.chunk * 20).to_string(), "payload": BASE64.encode(&octets),
                });
                Act::Audio(self.message("media", "media", media))
            }
            Heard::Lost(frames) => {
                // Time goes on, as it does for the listener.
                self.chunk += frames;
                return;
            }
            Heard::Digit { digit, .. } => {
                let dtmf = json!({"track": "inbound_track", "digit": digit.to_string()});
                Act::Text(self.message("dtmf", "dtmf", dtmf))
            }
            Heard::Mark { name, .. } => {
                Act::Text(self.message("mark", "mark", json!({ "name": name })))
            }
            Heard::Cleared { .. } => return,
            Heard::Over(_) => {
                let stop = json!({"accountSid": self.account, "callSid": self.call});
                Act::Text(self.message("stop", "stop", stop))
            }
            Heard::Text(text) => self.obey(text).unwrap_or_else(Act::Ignored),
            Heard::Binary(_) => Act::Ignored("a binary message; audio is base64 here".to_owned()),
        };
        out.push(act);
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tests::{about, talk, texts};
    use super::*;
    use crate::control::{ApplicationEnd, Cause};

    fn stream() -> Twilio {
        let mut stream = Twilio::new(about());
        let opened = talk(&mut stream, Heard::Opened);
        let texts = texts(&opened);
        let connected = json!({"event": "connected", "protocol": "Call", "version": "1.0.0"});
        assert_eq!(texts[0], connected);
        let expected = json!({
            "event": "start", "sequenceNumber": "1", "streamSid": stream.stream,
            "start": {
                "accountSid": stream.account, "streamSid": stream.stream, "callSid": stream.call,
                "tracks": ["inbound"], "customParameters": {"from": "101", "to": "700"},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        });
        assert_eq!((&texts[1], &opened[2]), (&expected, &Act::Join));
        stream
    }

    #[test]
    fn audio_digits_marks_and_the_end_are_told_as_documented() {
        let mut us = stream();
        assert!(us.stream.starts_with("MZ") && us.stream.len() == 34);
        assert!(us.call.starts_with("CA") && us.call.len() == 34);
        assert!(us.account.starts_with("AC") && us.account.len() == 34);
        let sid = us.stream.clone();
        let media = &texts(&talk(&mut us, Heard::Frame(&[0; 160])))[0];
        let payload = BASE64.encode(&[0xff; 160]);
        let expected = json!({
            "event": "media", "sequenceNumber": "2", "streamSid": sid,
            "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": payload},
        });
        assert_eq!(media, &expected);
        let digit = Heard::Digit { digit: '#', duration_ms: 90 };
        let expected = json!({
            "event": "dtmf", "sequenceNumber": "3", "streamSid": sid,
            "dtmf": {"track": "inbound_track", "digit": "#"},
        });
        assert_eq!(texts(&talk(&mut us, digit)), [expected]);
        let mark = Heard::Mark { name: "x", played_ms: 3 };
        let expected = json!({
            "event": "mark", "sequenceNumber": "4", "streamSid": sid, "mark": {"name": "x"},
        });
        assert_eq!(texts(&talk(&mut us, mark)), [expected]);
        let end = ApplicationEnd { cause: Cause::NormalClearing, by_phone: true };
        let expected = json!({
            "event": "stop", "sequenceNumber": "5", "streamSid": sid,
            "stop": {"accountSid": us.account, "callSid": us.call},
        });
        assert_eq!(texts(&talk(&mut us, Heard::Over(end))), [expected]);
    }

    #[test]
    fn what_it_sends_is_obeyed_and_what_makes_no_sense_is_named() {
        let mut us = stream();
        let sid = us.stream.clone();
        let say = |value: Value| value.to_string();
        let speak = say(json!({"event": "media", "streamSid": sid, "media": {"payload": "/w=="}}));
        assert_eq!(talk(&mut us, Heard::Text(&speak)), [Act::Speak(vec![0])]);
        let mark = say(json!({"event": "mark", "streamSid": sid, "mark": {"name": "m"}}));
        assert_eq!(talk(&mut us, Heard::Text(&mark)), [Act::Mark("m".to_owned())]);
        let clear = say(json!({"event": "clear", "streamSid": sid}));
        assert_eq!(talk(&mut us, Heard::Text(&clear)), [Act::Clear]);
        for (wrong, reason) in [
            ("{".to_owned(), "no message"),
            ("[1]".to_owned(), "no message"),
            (say(json!({"event": "sing"})), "no message"),
            (say(json!({"event": "media", "streamSid": sid})), "no message"),
            (say(json!({"event": "clear", "streamSid": "MZ0"})), "not this stream"),
            (
                say(json!({"event": "media", "streamSid": sid, "media": {"payload": "%"}})),
                "payload",
            ),
            (
                say(json!({"event": "mark", "streamSid": sid, "mark": {"name": "m".repeat(300)}})),
                "at most",
            ),
        ] {
            let acts = talk(&mut us, Heard::Text(&wrong));
            assert!(matches!(&acts[..], [Act::Ignored(why)] if why.contains(reason)), "{wrong}");
        }
        assert!(matches!(talk(&mut us, Heard::Binary(&[1]))[..], [Act::Ignored(_)]));
    }
}
