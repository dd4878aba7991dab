//! What happens, in the words of the webhooks of an older phone API: `state_change` and `dtmf`.

use crate::hub::{HardwareState, Notice, NoticeBody, RingStopCause};
use crate::view::Call;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The types of its messages.
pub(crate) const TYPES: [&str; 2] = ["state_change", "dtmf"];

/// States of a phone; the words of the API are theirs in snake_case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PhoneState {
    OnHook,
    OffHook,
    Ringing,
    Connecting,
    Active,
    Ended,
    Error,
}

impl PhoneState {
    const fn word(self) -> &'static str {
        match self {
            Self::OnHook => "on_hook",
            Self::OffHook => "off_hook",
            Self::Ringing => "ringing",
            Self::Connecting => "connecting",
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Error => "error",
        }
    }

    const fn is_in_a_call(self) -> bool {
        matches!(self, Self::Connecting | Self::Active)
    }
}

#[derive(Debug)]
struct Phone {
    state: PhoneState,
    /// The call whose digits are counted, and how many there were.
    call_id: Option<String>,
    digits: u64,
}

/// One line's message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// The line.
    pub line: String,
    /// One of [`TYPES`].
    pub kind: &'static str,
    /// The JSON.
    pub body: String,
}

/// The phones as they were told of, one for each line that anything was told of.
#[derive(Debug, Default)]
pub(crate) struct Phones(HashMap<String, Phone>);

impl Phones {
    /// What is to be told of a notice.
    pub(crate) fn take(&mut self, notice: &Notice) -> Vec<Message> {
        match &notice.body {
            NoticeBody::CallStarted { call } | NoticeBody::CallRinging { call } => {
                self.each(notice, call, |state| {
                    (state == PhoneState::OffHook).then_some(PhoneState::Connecting)
                })
            }
            NoticeBody::CallConnected { call } => {
                self.each(notice, call, |_| Some(PhoneState::Active))
            }
            NoticeBody::CallEnded { call, .. } => {
                self.each(notice, call, |state| state.is_in_a_call().then_some(PhoneState::Ended))
            }
            body => {
                let Some(line) = notice.line.as_deref() else { return Vec::new() };
                match body {
                    NoticeBody::OffHook { .. } => self.becomes(notice, line, PhoneState::OffHook),
                    NoticeBody::OnHook { .. } => self.put_down(notice, line),
                    NoticeBody::RingStart { .. } => self.becomes(notice, line, PhoneState::Ringing),
                    // The other causes leave the handset where it is; lifting it is told by itself.
                    NoticeBody::RingStop { cause } if *cause != RingStopCause::Answered => {
                        self.becomes(notice, line, PhoneState::OnHook)
                    }
                    NoticeBody::HardwareStatus { status: HardwareState::Lost, .. } => {
                        self.becomes(notice, line, PhoneState::Error)
                    }
                    NoticeBody::Dtmf { digit, duration_ms, .. } => {
                        vec![self.press(notice, line, *digit, *duration_ms)]
                    }
                    _ => Vec::new(),
                }
            }
        }
    }

    fn phone(&mut self, line: &str) -> &mut Phone {
        let new = || Phone { state: PhoneState::OnHook, call_id: None, digits: 0 };
        self.0.entry(line.to_owned()).or_insert_with(new)
    }

    fn each(
        &mut self,
        notice: &Notice,
        call: &Call,
        next: impl Fn(PhoneState) -> Option<PhoneState>,
    ) -> Vec<Message> {
        let lines = call.legs.iter().filter_map(|leg| leg.line.as_deref());
        let mut told = Vec::new();
        for line in lines {
            if let Some(state) = next(self.phone(line).state) {
                told.extend(self.becomes(notice, line, state));
            }
        }
        told
    }

    /// A call ends before its phone is at rest.
    fn put_down(&mut self, notice: &Notice, line: &str) -> Vec<Message> {
        let mut told = Vec::new();
        if self.phone(line).state.is_in_a_call() {
            told = self.becomes(notice, line, PhoneState::Ended);
        }
        told.extend(self.becomes(notice, line, PhoneState::OnHook));
        told
    }

    fn becomes(&mut self, notice: &Notice, line: &str, new: PhoneState) -> Vec<Message> {
        let old = std::mem::replace(&mut self.phone(line).state, new);
        if old == new {
            return Vec::new();
        }
        let fields = json!({ "old_state": old.word(), "new_state": new.word() });
        vec![message("state_change", notice, line, fields)]
    }

    fn press(&mut self, notice: &Notice, line: &str, digit: char, duration_ms: u16) -> Message {
        let phone = self.phone(line);
        if phone.call_id != notice.call_id {
            (phone.call_id, phone.digits) = (notice.call_id.clone(), 0);
        }
        phone.digits += 1;
        let fields = json!({
            "digit": digit.to_string(), "sequence": phone.digits, "duration_ms": duration_ms,
        });
        message("dtmf", notice, line, fields)
    }
}

fn message(kind: &'static str, notice: &Notice, line: &str, mut body: Value) -> Message {
    body["type"] = kind.into();
    body["timestamp"] = json!(notice.at);
    body["call_id"] = json!(notice.call_id);
    body["line"] = line.into();
    Message { line: line.to_owned(), kind, body: body.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::DigitSource;
    use crate::view::{HookSource, Timestamp};
    use std::time::{Duration, SystemTime};

    fn notice(call_id: Option<&str>, body: NoticeBody) -> Notice {
        let at = Timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
        let call_id = call_id.map(str::to_owned);
        Notice { seq: 1, at, line: Some("1".to_owned()), call_id, body }
    }

    fn digit(digit: char) -> NoticeBody {
        let source = DigitSource::Dtmf;
        let (signal_level_dbm0, twist_db) = (None, None);
        NoticeBody::Dtmf { digit, duration_ms: 80, signal_level_dbm0, twist_db, source }
    }

    #[test]
    fn a_change_is_told_once_with_both_states() {
        let mut phones = Phones::default();
        let lifted = notice(None, NoticeBody::OffHook { source: HookSource::Loop });
        let told = phones.take(&lifted);
        assert_eq!(
            serde_json::from_str::<Value>(&told[0].body).unwrap(),
            json!({
                "type": "state_change", "old_state": "on_hook", "new_state": "off_hook",
                "timestamp": "2023-11-14T22:13:20.123Z", "call_id": null, "line": "1",
            })
        );
        assert!(phones.take(&lifted).is_empty());
        let ringing = |cause| notice(None, NoticeBody::RingStop { cause });
        assert!(phones.take(&ringing(RingStopCause::Answered)).is_empty());
        assert_eq!(phones.take(&ringing(RingStopCause::Timeout)).len(), 1);
    }

    #[test]
    fn digits_are_counted_in_each_call() {
        let mut phones = Phones::default();
        let mut sequence = |call, pressed| {
            let told = phones.take(&notice(Some(call), digit(pressed)));
            let body: Value = serde_json::from_str(&told[0].body).unwrap();
            assert_eq!((&body["type"], &body["duration_ms"]), (&json!("dtmf"), &json!(80)));
            (body["digit"].clone(), body["sequence"].clone())
        };
        assert_eq!(sequence("a", '5'), (json!("5"), json!(1)));
        assert_eq!(sequence("a", '#'), (json!("#"), json!(2)));
        assert_eq!(sequence("b", '5'), (json!("5"), json!(1)));
    }
}
