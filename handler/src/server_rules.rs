//! What the server does with one client, and when. Sans-IO.
//!
//! It drives the call by time: announces it, answers, hangs up, waits for the client to close and
//! closes itself. A client that announces the call itself (the newest revision's gateway, and those
//! written for the server that waits for it) is answered as long after its announcement. Binary
//! messages go back byte for byte.

use crate::{Level, digit, quoted};
use serde::Deserialize;
use serde_json::{Value, json};

/// When what happens, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From the connection to `incoming_call`.
    pub announce_ms: u64,
    /// From there to `answer`.
    pub answer_ms: u64,
    /// From there to `hangup`.
    pub hangup_ms: u64,
    /// From there until the server closes.
    pub close_ms: u64,
}

impl Default for Timings {
    fn default() -> Self {
        Self { announce_ms: 1000, answer_ms: 5000, hangup_ms: 10_000, close_ms: 1000 }
    }
}

/// What comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// Time went by.
    Time,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a text message.
    Send(String),
    /// Send the binary message back.
    Echo,
    /// Say so.
    Log(Level, String),
    /// Close.
    Close,
}

/// How far a call is, and when it goes on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connected { announce_at: u64 },
    Ringing { answer_at: u64 },
    Answered { hangup_at: u64 },
    HungUp { close_at: u64 },
    Closed,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Sent {
    IncomingCall {},
    Dtmf {
        digit: Option<Value>,
        #[serde(rename = "sessionId")]
        session: Option<String>,
    },
    Hangup {
        #[serde(rename = "sessionId")]
        session: Option<String>,
    },
    Cdr {},
}

/// One client's call.
#[derive(Debug)]
pub struct ServerCall {
    timings: Timings,
    session: String,
    /// Whether events carry the session's id.
    ids: bool,
    stage: Stage,
}

impl ServerCall {
    /// A client connected `now`.
    pub fn new(timings: Timings, session: String, ids: bool, now_ms: u64) -> Self {
        let stage = Stage::Connected { announce_at: now_ms + timings.announce_ms };
        Self { timings, session, ids, stage }
    }

    /// When [`Input::Time`] has something to do.
    pub const fn deadline(&self) -> Option<u64> {
        match self.stage {
            Stage::Connected { announce_at: at }
            | Stage::Ringing { answer_at: at }
            | Stage::Answered { hangup_at: at }
            | Stage::HungUp { close_at: at } => Some(at),
            Stage::Closed => None,
        }
    }

    /// Takes what came; gives at most three things to do.
    pub fn handle(&mut self, input: Input<'_>, now_ms: u64) -> Vec<Output> {
        match input {
            Input::Binary(_) if matches!(self.stage, Stage::HungUp { .. } | Stage::Closed) => {
                Vec::new()
            }
            Input::Binary(_) => vec![Output::Echo],
            Input::Text(text) => self.text(text, now_ms),
            Input::Time if self.deadline().is_some_and(|at| at <= now_ms) => self.go_on(now_ms),
            Input::Time => Vec::new(),
        }
    }

    fn go_on(&mut self, now: u64) -> Vec<Output> {
        let Timings { answer_ms, hangup_ms, close_ms, .. } = self.timings;
        let (event, stage) = match self.stage {
            Stage::Connected { .. } => {
                ("incoming_call", Stage::Ringing { answer_at: now + answer_ms })
            }
            Stage::Ringing { .. } => ("answer", Stage::Answered { hangup_at: now + hangup_ms }),
            Stage::Answered { .. } => ("hangup", Stage::HungUp { close_at: now + close_ms }),
            Stage::HungUp { .. } => {
                self.stage = Stage::Closed;
                return vec![self.log("the client did not close; closing"), Output::Close];
            }
            Stage::Closed => return Vec::new(),
        };
        self.stage = stage;
        let mut message = json!({ "event": event });
        if self.ids {
            message["sessionId"] = self.session.clone().into();
        }
        vec![Output::Send(message.to_string()), self.log(&format!("sent {event}"))]
    }

    fn text(&mut self, text: &str, now: u64) -> Vec<Output> {
        let sent = match serde_json::from_str(text) {
            Ok(sent) => sent,
            Err(error) => {
                return vec![self.refuse(&format!("{} is no event: {error}", quoted(text)))];
            }
        };
        let own = self.session.clone();
        match sent {
            Sent::IncomingCall {} if matches!(self.stage, Stage::Connected { .. }) => {
                self.stage = Stage::Ringing { answer_at: now + self.timings.answer_ms };
                vec![self.log("the client announces the call itself")]
            }
            Sent::IncomingCall {} => {
                vec![self.refuse("incoming_call of a call that is announced already")]
            }
            Sent::Dtmf { digit: pressed, session } => {
                let session = session.map_or(own, |session| short(&session));
                let text = pressed.as_ref().and_then(Value::as_str).unwrap_or_default();
                vec![if let Some(digit) = digit(text) {
                    Output::Log(Level::Info, format!("session {session}: dtmf {digit}"))
                } else {
                    let shown = quoted(&pressed.unwrap_or_default().to_string());
                    let line = format!(
                        "session {session}: dtmf refused: {shown} is not one of 0-9 * # A-D"
                    );
                    Output::Log(Level::Warning, line)
                }]
            }
            Sent::Hangup { session } => {
                let session = session.map_or(own, |session| short(&session));
                if !matches!(self.stage, Stage::HungUp { .. } | Stage::Closed) {
                    self.stage = Stage::HungUp { close_at: now + self.timings.close_ms };
                }
                vec![Output::Log(Level::Info, format!("session {session}: hangup by the client"))]
            }
            Sent::Cdr {} => vec![self.log(&format!("record of the call: {}", quoted(text)))],
        }
    }

    fn log(&self, what: &str) -> Output {
        Output::Log(Level::Info, format!("session {}: {what}", self.session))
    }

    fn refuse(&self, what: &str) -> Output {
        Output::Log(Level::Warning, format!("session {}: refused: {what}", self.session))
    }
}

/// Somebody else's id, short and on one line.
fn short(session: &str) -> String {
    session.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ids: bool) -> ServerCall {
        ServerCall::new(Timings::default(), "s1".to_owned(), ids, 0)
    }

    fn sent(outputs: &[Output]) -> Vec<Value> {
        let text = |output: &Output| match output {
            Output::Send(text) => serde_json::from_str(text).ok(),
            _ => None,
        };
        outputs.iter().filter_map(text).collect()
    }

    fn logged(outputs: &[Output]) -> String {
        let text = |output: &Output| match output {
            Output::Log(_, text) => Some(text.clone()),
            _ => None,
        };
        outputs.iter().filter_map(text).collect()
    }

    #[test]
    fn a_call_takes_its_course_by_time() {
        let mut call = call(false);
        let mut course = Vec::new();
        while let Some(at) = call.deadline() {
            assert!(call.handle(Input::Time, at - 1).is_empty());
            let outputs = call.handle(Input::Time, at);
            course.extend(sent(&outputs).into_iter().map(|event| (at, event)));
            if outputs.contains(&Output::Close) {
                course.push((at, Value::Null));
            }
        }
        let event = |name: &str| json!({ "event": name });
        let expected = [
            (1000, event("incoming_call")),
            (6000, event("answer")),
            (16_000, event("hangup")),
            (17_000, Value::Null),
        ];
        assert_eq!(course, expected);
    }

    #[test]
    fn ids_are_a_setting() {
        let expected = json!({"event": "incoming_call", "sessionId": "s1"});
        assert_eq!(sent(&call(true).handle(Input::Time, 1000)), [expected]);
    }

    #[test]
    fn a_client_that_announces_the_call_is_answered_as_long_after() {
        let mut call = call(false);
        let announced = Input::Text("{\"event\":\"incoming_call\",\"callerId\":\"1\"}");
        assert!(logged(&call.handle(announced, 400)).contains("announces"));
        assert_eq!(call.deadline(), Some(5400));
        assert_eq!(sent(&call.handle(Input::Time, 5400)), [json!({"event": "answer"})]);
        assert!(logged(&call.handle(announced, 5500)).contains("refused"));
    }

    #[test]
    fn digits_are_logged_with_their_session_and_wrong_ones_refused() {
        let mut call = call(false);
        let dtmf = |text| format!("{{\"event\":\"dtmf\",\"digit\":{text},\"sessionId\":\"abc\"}}");
        for digit in ["0", "9", "*", "#", "A", "D"] {
            let outputs = call.handle(Input::Text(&dtmf(format!("\"{digit}\""))), 0);
            let line = format!("session abc: dtmf {digit}");
            assert_eq!(outputs, [Output::Log(Level::Info, line)]);
        }
        for wrong in ["\"E\"", "\"a\"", "\"12\"", "\"\"", "5", "null", "[]"] {
            let outputs = call.handle(Input::Text(&dtmf(wrong.to_owned())), 0);
            let refused = matches!(&outputs[..], [Output::Log(Level::Warning, line)]
                if line.contains("abc") && line.contains("not one of"));
            assert!(refused, "{wrong}: {outputs:?}");
        }
    }

    #[test]
    fn octets_come_back_until_it_is_over_and_nonsense_is_logged() {
        let mut call = call(false);
        assert_eq!(call.handle(Input::Binary(&[1]), 0), [Output::Echo]);
        for nonsense in ["{", "[]", "null", "{\"event\":\"sing\"}", ""] {
            assert!(logged(&call.handle(Input::Text(nonsense), 0)).contains("no event"));
        }
        let hangup = Input::Text("{\"event\":\"hangup\",\"sessionId\":\"x\"}");
        assert!(logged(&call.handle(hangup, 100)).contains("session x: hangup"));
        assert!(call.handle(Input::Binary(&[1]), 200).is_empty());
        assert_eq!(call.deadline(), Some(1100));
        assert!(call.handle(Input::Time, 1100).contains(&Output::Close));
        assert_eq!(call.deadline(), None);
    }
}
