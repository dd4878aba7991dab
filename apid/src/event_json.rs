//! What happens, as text: one JSON object for each notice. The only place where the events of the
//! web have words; their keys are the union of ours and of the two older phone APIs'. What the webhooks
//! of one of those say instead is in `phone_api`.

pub(crate) mod phone_api;

use crate::hub::{
    DigitSource, HardwareState, HeardTone, MediaFault, Notice, NoticeBody, PlaybackEnd,
    RingStopCause, SitCode, SpeechEnd,
};
use crate::view::{LineLevels, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A notice as clients read it.
pub(crate) fn of(notice: &Notice) -> String {
    let mut object = own_fields(&notice.body);
    object.insert("type".to_owned(), notice.body.kind().into());
    object.insert("line".to_owned(), json!(notice.line));
    object.insert("call_id".to_owned(), json!(notice.call_id));
    object.insert("timestamp".to_owned(), json!(notice.at));
    object.insert("seq".to_owned(), notice.seq.into());
    Value::Object(object).to_string()
}

/// What a client reads that was too slow.
pub(crate) fn lagged(missed: u64) -> String {
    json!({ "type": "lagged", "missed": missed, "timestamp": Timestamp::now() }).to_string()
}

/// What the meters of a line say, for clients that asked for it.
pub(crate) fn levels(levels: &LineLevels) -> String {
    let LineLevels { line, timestamp, rx, tx } = levels;
    json!({ "type": "levels", "line": line, "timestamp": timestamp, "rx": rx, "tx": tx })
        .to_string()
}

fn own_fields(body: &NoticeBody) -> Map<String, Value> {
    let fields = match body {
        NoticeBody::OffHook { source } | NoticeBody::OnHook { source } => {
            json!({ "source": source })
        }
        NoticeBody::Flash { duration_ms } => json!({ "duration_ms": duration_ms }),
        NoticeBody::Dtmf { digit, duration_ms, signal_level_dbm0, twist_db, source } => json!({
            "digit": digit.to_string(),
            "duration": duration_ms,
            "duration_ms": duration_ms,
            "signal_level": signal_level_dbm0,
            "twist_db": twist_db,
            "source": digit_source(*source),
        }),
        NoticeBody::Voice { active, level_dbm0, noise_dbm0, started_at, ended_at } => json!({
            "active": active,
            "is_voice_active": active,
            "level_dbm0": level_dbm0,
            "noise_dbm0": noise_dbm0,
            "energy_level": level_dbm0,
            "energy": fraction_of_full_scale(*level_dbm0),
            "start_time": started_at,
            "end_time": ended_at,
        }),
        NoticeBody::SpeechEnd { certainty, last_sound_at } => json!({
            "certainty": speech_end(*certainty),
            "end_time": last_sound_at,
        }),
        NoticeBody::Tone { tone, active, level_dbm0, started_at, duration_ms } => json!({
            "tone": heard_tone(*tone),
            "code": sit_code(*tone),
            "active": active,
            "level_dbm0": level_dbm0,
            "start_time": started_at,
            "duration_ms": duration_ms,
        }),
        NoticeBody::RingStart { pattern, cadence_ms, timeout_ms } => json!({
            "pattern": pattern,
            "cadence_ms": cadence_ms,
            "duration": timeout_ms,
            "timeout_ms": timeout_ms,
        }),
        NoticeBody::RingStop { cause } => json!({ "cause": ring_stop(*cause) }),
        NoticeBody::Answered | NoticeBody::Unregistered => json!({}),
        NoticeBody::CallStarted { call }
        | NoticeBody::CallRinging { call }
        | NoticeBody::CallConnected { call }
        | NoticeBody::CallHeld { call }
        | NoticeBody::CallResumed { call } => json!({ "call": &**call }),
        NoticeBody::CallEnded { call, cause } => json!({ "call": &**call, "cause": cause }),
        NoticeBody::ConferenceJoined { conference } | NoticeBody::ConferenceLeft { conference } => {
            json!({ "conference": conference })
        }
        NoticeBody::ConferenceMuted { conference, muted } => {
            json!({ "conference": conference, "muted": muted })
        }
        NoticeBody::ConferenceSpeaking { conference, speaking } => {
            json!({ "conference": conference, "speaking": speaking })
        }
        NoticeBody::PlaybackStarted { playback_id, .. } => json!({ "playback_id": playback_id }),
        NoticeBody::PlaybackEnded { playback_id, cause, played_ms, underruns, .. } => json!({
            "playback_id": playback_id,
            "cause": playback_end(*cause),
            "played_ms": played_ms,
            "underruns": underruns,
        }),
        NoticeBody::Mark { playback_id, name, played_ms } => json!({
            "playback_id": playback_id, "name": name, "played_ms": played_ms,
        }),
        NoticeBody::AudioStart { stream_id } | NoticeBody::AudioStop { stream_id } => {
            json!({ "stream_id": stream_id })
        }
        NoticeBody::RecordingStarted { recording } | NoticeBody::RecordingEnded { recording } => {
            json!({ "recording": recording })
        }
        NoticeBody::Registered { contact } => json!({ "contact": contact }),
        NoticeBody::Error { code, message } => json!({
            "code": code,
            "message": message,
            "error": message,
            "error_code": code,
            "error_message": message,
        }),
        NoticeBody::VoltageChange { voltage, status } => {
            json!({ "voltage": voltage, "status": status })
        }
        NoticeBody::HardwareStatus { status, temperature_celsius, uptime_ms } => json!({
            "status": hardware(*status),
            "details": {
                "temperature": temperature_celsius,
                "uptime": *uptime_ms as f64 / 1000.0,
            },
        }),
        NoticeBody::Media { fault } => json!({
            "flows": fault.is_none(),
            "reason": fault.map(media_fault),
            "message": fault.map(media_advice),
        }),
    };
    match fields {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Power as a fraction of a full-scale sine's, which is +3.17 dBm0 (ITU-T G.711 §7).
fn fraction_of_full_scale(level_dbm0: f64) -> f64 {
    10f64.powf((level_dbm0 - 3.17) / 10.0).min(1.0)
}

const fn digit_source(source: DigitSource) -> &'static str {
    match source {
        DigitSource::Dtmf => "dtmf",
        DigitSource::Pulse => "pulse",
        DigitSource::TelephoneEvent => "telephone_event",
        DigitSource::Info => "info",
    }
}

const fn speech_end(certainty: SpeechEnd) -> &'static str {
    match certainty {
        SpeechEnd::Provisional => "provisional",
        SpeechEnd::Withdrawn => "withdrawn",
        SpeechEnd::Final => "final",
    }
}

const fn sit_code(tone: HeardTone) -> Option<&'static str> {
    match tone {
        HeardTone::SpecialInformation(Some(code)) => Some(match code {
            SitCode::Intercept => "intercept",
            SitCode::VacantCode => "vacant_code",
            SitCode::Reorder => "reorder",
            SitCode::NoCircuit => "no_circuit",
        }),
        _ => None,
    }
}

const fn heard_tone(tone: HeardTone) -> &'static str {
    match tone {
        HeardTone::Dial => "dial",
        HeardTone::Ringback => "ringback",
        HeardTone::Busy => "busy",
        HeardTone::Congestion => "congestion",
        HeardTone::SpecialInformation(_) => "special_information",
        HeardTone::FaxCalling => "fax_calling",
        HeardTone::FaxAnswering => "fax_answering",
        HeardTone::ModemAnswering => "modem_answering",
        HeardTone::Beep => "beep",
    }
}

const fn ring_stop(cause: RingStopCause) -> &'static str {
    match cause {
        RingStopCause::Answered => "answered",
        RingStopCause::Timeout => "timeout",
        RingStopCause::Stopped => "stopped",
        RingStopCause::Device => "device",
    }
}

const fn playback_end(cause: PlaybackEnd) -> &'static str {
    match cause {
        PlaybackEnd::Finished => "finished",
        PlaybackEnd::Stopped => "stopped",
        PlaybackEnd::Digit => "digit",
        PlaybackEnd::Voice => "voice",
        PlaybackEnd::LineGone => "line_gone",
        PlaybackEnd::DeviceLost => "device_lost",
    }
}

const fn hardware(state: HardwareState) -> &'static str {
    match state {
        HardwareState::Ok => "ok",
        HardwareState::Alarm => "alarm",
        HardwareState::Lost => "lost",
        HardwareState::Back => "back",
        HardwareState::EngineAway => "engine_away",
        HardwareState::EngineAttached => "engine_attached",
        HardwareState::Overloaded => "overloaded",
    }
}

const fn media_fault(fault: MediaFault) -> &'static str {
    match fault {
        MediaFault::NeverHeard => "never_heard",
        MediaFault::Ceased => "ceased",
        MediaFault::Ended => "ended",
        MediaFault::Foreign => "foreign",
        MediaFault::Codec => "codec",
        MediaFault::NotAuthentic => "not_authentic",
        MediaFault::Silence => "silence",
        MediaFault::Unheard => "unheard",
    }
}

/// What to look at.
const fn media_advice(fault: MediaFault) -> &'static str {
    match fault {
        MediaFault::NeverHeard => {
            "no packet of the phone has come: a firewall, or an address that it cannot reach"
        }
        MediaFault::Ceased => "the phone's packets have ceased: it or its network is gone",
        MediaFault::Ended => "the phone has ended its stream, but not the call",
        MediaFault::Foreign => {
            "packets come from elsewhere than signalling said: address translation, or a stranger"
        }
        MediaFault::Codec => "the phone sends a codec that was not agreed on",
        MediaFault::NotAuthentic => "packets do not authenticate: other keys, or none",
        MediaFault::Silence => "the phone sends digital silence: it is muted",
        MediaFault::Unheard => "the phone reports that nothing reaches it: a firewall on its side",
    }
}

/// A short answer on a WebSocket.
pub(crate) fn answer<T: Serialize>(kind: &str, fields: &T) -> String {
    let mut object = json!(fields);
    if let Value::Object(map) = &mut object {
        map.insert("type".to_owned(), kind.into());
    }
    object.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{CauseView, HookSource, VoltageStatus};
    use std::time::{Duration, SystemTime};

    fn text_of(body: NoticeBody) -> Value {
        let at = Timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
        let notice = Notice { seq: 7, at, line: Some("1".to_owned()), call_id: None, body };
        serde_json::from_str(&of(&notice)).unwrap()
    }

    #[test]
    fn a_digit_has_the_keys_of_every_client() {
        let digit = NoticeBody::Dtmf {
            digit: '#',
            duration_ms: 90,
            signal_level_dbm0: Some(-8.5),
            twist_db: Some(-2.5),
            source: DigitSource::TelephoneEvent,
        };
        assert_eq!(
            text_of(digit),
            json!({
                "type": "dtmf", "line": "1", "call_id": null, "seq": 7,
                "timestamp": "2023-11-14T22:13:20.123Z", "digit": "#", "duration": 90,
                "duration_ms": 90, "signal_level": -8.5, "twist_db": -2.5, "source": "telephone_event",
            })
        );
    }

    #[test]
    fn the_older_apis_find_their_keys() {
        let keys = |body: NoticeBody, keys: &[&str]| {
            let text = text_of(body);
            for key in keys {
                assert!(text.get(key).is_some(), "{key} is missing in {text}");
            }
        };
        keys(NoticeBody::OffHook { source: HookSource::Loop }, &["type", "timestamp"]);
        let voice = NoticeBody::Voice {
            active: true,
            level_dbm0: -20.0,
            noise_dbm0: -55.0,
            started_at: None,
            ended_at: None,
        };
        let wanted =
            ["start_time", "end_time", "energy_level", "energy", "active", "is_voice_active"];
        keys(voice, &wanted);
        let ring = NoticeBody::RingStart {
            pattern: "normal".to_owned(),
            cadence_ms: vec![2000, 4000],
            timeout_ms: 6000,
        };
        keys(ring, &["pattern", "duration"]);
        let error = NoticeBody::Error { code: "device_lost", message: String::new() };
        keys(error, &["error_message", "error_code", "error"]);
        let voltage = NoticeBody::VoltageChange { voltage: -40.0, status: VoltageStatus::Low };
        keys(voltage, &["voltage", "status"]);
        let hardware = NoticeBody::HardwareStatus {
            status: HardwareState::Ok,
            temperature_celsius: Some(41.5),
            uptime_ms: 1500,
        };
        let text = text_of(hardware);
        assert_eq!(text["status"], "ok");
        assert_eq!(text["details"], json!({ "temperature": 41.5, "uptime": 1.5 }));
    }

    #[test]
    fn trouble_with_media_names_its_likely_reason() {
        let text = text_of(NoticeBody::Media { fault: Some(MediaFault::Foreign) });
        assert_eq!((&text["type"], &text["flows"]), (&json!("media"), &json!(false)));
        assert_eq!(text["reason"], "foreign");
        let text = text_of(NoticeBody::Media { fault: None });
        assert_eq!((&text["flows"], &text["reason"]), (&json!(true), &Value::Null));
    }

    #[test]
    fn the_cause_of_a_call_stands_beside_it() {
        let cause = CauseView { code: 16, text: "normal call clearing".to_owned() };
        let text = answer("x", &cause);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({ "type": "x", "code": 16, "text": "normal call clearing" })
        );
    }
}
