//! What the client does with its call, and when. Sans-IO.

use crate::{Level, quoted};
use serde::Deserialize;
use serde_json::json;

/// A frame of audio, ms.
const FRAME_MS: u64 = 20;
/// Between two digits, ms.
const DIGIT_EVERY_MS: u64 = 1000;
/// Digits that are sent.
const SENT_DIGITS: &str = "12345";
/// Audio that is sent before a client that hangs up by itself does, ms.
const AUDIO_MS: u64 = 6000;

/// What comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message of so many octets.
    Binary(usize),
    /// Time went by.
    Time,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a text message.
    Send(String),
    /// Send this frame of audio, counted from 0.
    Frame(u64),
    /// Say so.
    Log(Level, String),
    /// The call is over: close.
    Close,
}

#[derive(Debug, Deserialize)]
struct Sent {
    event: String,
    #[serde(rename = "sessionId")]
    session: Option<String>,
}

/// One call.
#[derive(Debug)]
pub struct ClientCall {
    dtmf: bool,
    auto_hangup: bool,
    session: String,
    answered_at: Option<u64>,
    frames: u64,
    digits: u64,
    echoed: u64,
    over: bool,
}

impl ClientCall {
    /// A connection was made.
    pub const fn new(session: String, dtmf: bool, auto_hangup: bool) -> Self {
        Self {
            dtmf,
            auto_hangup,
            session,
            answered_at: None,
            frames: 0,
            digits: 0,
            echoed: 0,
            over: false,
        }
    }

    /// When [`Input::Time`] has something to do.
    pub fn deadline(&self) -> Option<u64> {
        let answered = self.answered_at.filter(|_| !self.over)?;
        let frame = answered + self.frames * FRAME_MS;
        let digit = answered + (self.digits + 1) * DIGIT_EVERY_MS;
        let more = self.dtmf && self.digits < SENT_DIGITS.len() as u64;
        Some(if more { frame.min(digit) } else { frame })
    }

    /// Takes what came.
    pub fn handle(&mut self, input: Input<'_>, now_ms: u64) -> Vec<Output> {
        match input {
            Input::Binary(octets) => {
                self.echoed += 1;
                let line = format!("received {octets} octets of audio");
                vec![Output::Log(Level::Debug, line)]
            }
            Input::Text(text) => self.text(text, now_ms),
            Input::Time => self.time(now_ms),
        }
    }

    fn text(&mut self, text: &str, now: u64) -> Vec<Output> {
        let info = |line: String| Output::Log(Level::Info, line);
        let Ok(sent) = serde_json::from_str::<Sent>(text) else {
            let line = format!("{} is no event", quoted(text));
            return vec![Output::Log(Level::Warning, line)];
        };
        let short: String = text.chars().take(crate::QUOTED_MAX).collect();
        let mut outputs = vec![info(format!("Received JSON: {}", short.replace('\n', " ")))];
        if let Some(session) = sent.session {
            self.session = session;
        }
        match sent.event.as_str() {
            "incoming_call" => outputs.push(info("Incoming call".to_owned())),
            "answer" if self.answered_at.is_none() => {
                self.answered_at = Some(now);
                outputs.push(info("Call ANSWERED!".to_owned()));
            }
            "hangup" => {
                self.over = true;
                let line = format!(
                    "Call ended: {} frames sent, {} messages of audio received",
                    self.frames, self.echoed
                );
                outputs.extend([info(line), Output::Close]);
            }
            _ => {}
        }
        outputs
    }

    fn time(&mut self, now: u64) -> Vec<Output> {
        let Some(answered) = self.answered_at.filter(|_| !self.over) else { return Vec::new() };
        let mut outputs = Vec::new();
        let due = answered + (self.digits + 1) * DIGIT_EVERY_MS;
        if self.dtmf
            && now >= due
            && let Some(digit) = SENT_DIGITS.chars().nth(self.digits as usize)
        {
            self.digits += 1;
            let digit = digit.to_string();
            let event = json!({"event": "dtmf", "sessionId": self.session, "digit": digit});
            let line = format!("Sent DTMF {digit}");
            outputs.extend([Output::Send(event.to_string()), Output::Log(Level::Info, line)]);
        }
        if now >= answered + self.frames * FRAME_MS {
            outputs.push(Output::Frame(self.frames));
            self.frames += 1;
        }
        if self.auto_hangup && self.frames * FRAME_MS >= AUDIO_MS {
            self.over = true;
            let event = json!({"event": "hangup", "sessionId": self.session});
            let line = "Sent hangup".to_owned();
            outputs.extend([
                Output::Send(event.to_string()),
                Output::Log(Level::Info, line),
                Output::Close,
            ]);
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut call: ClientCall, until: u64) -> (u64, String, bool) {
        let (mut frames, mut digits, mut closed) = (0, String::new(), false);
        call.handle(Input::Text("{\"event\":\"incoming_call\"}"), 1000);
        assert_eq!(call.deadline(), None, "nothing is sent before the answer");
        let answered = call.handle(Input::Text("{\"event\":\"answer\"}"), 6000);
        assert!(answered.contains(&Output::Log(Level::Info, "Call ANSWERED!".to_owned())));
        while let Some(at) = call.deadline().filter(|at| *at < until) {
            for output in call.handle(Input::Time, at) {
                match output {
                    Output::Frame(number) => {
                        assert_eq!((number, at), (frames, 6000 + frames * 20));
                        frames += 1;
                    }
                    Output::Send(text) if text.contains("dtmf") => {
                        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
                        digits.push_str(event["digit"].as_str().unwrap());
                    }
                    Output::Close => closed = true,
                    Output::Send(_) | Output::Log(..) => {}
                }
            }
        }
        (frames, digits, closed)
    }

    #[test]
    fn it_streams_and_presses_one_to_five_after_the_answer() {
        let call = ClientCall::new("s".to_owned(), true, false);
        assert_eq!(run(call, 16_000), (500, "12345".to_owned(), false));
        let call = ClientCall::new("s".to_owned(), false, true);
        assert_eq!(run(call, 16_000), (300, String::new(), true));
    }

    #[test]
    fn a_hangup_ends_it_and_nonsense_does_not() {
        let mut call = ClientCall::new("s".to_owned(), true, false);
        for nonsense in ["{", "[]", "{\"event\":5}"] {
            let outputs = call.handle(Input::Text(nonsense), 0);
            assert!(matches!(outputs[..], [Output::Log(Level::Warning, _)]), "{nonsense}");
        }
        let outputs = call.handle(Input::Text("{\"event\":\"hangup\"}"), 0);
        assert_eq!(outputs.last(), Some(&Output::Close));
    }
}
