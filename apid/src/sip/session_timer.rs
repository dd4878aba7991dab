//! Session timers (RFC 4028): a session whose refreshes stop is given up, so that a phone that
//! lost its power does not stay in its call for ever.

use super::message::{Headers, Request, Response};
use serde::{Deserialize, Serialize};

/// RFC 4028 §4: no interval may be shorter.
pub(super) const MIN_SE_S: u32 = 90;
/// What we ask for (RFC 4028 §4.2: the recommended value).
pub(super) const WANTED_S: u32 = 1800;
/// Longest interval that we let a phone talk us into.
const MAX_SE_S: u32 = 86_400;

/// An agreed interval, and whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionTimer {
    pub(super) interval_s: u32,
    /// We refresh; otherwise the phone does.
    pub(super) ours: bool,
    /// ms since 1970: when we refresh, or when we give up.
    pub(super) due_ms: u64,
}

/// A Session-Expires below the minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooShort;

impl SessionTimer {
    /// What a request asks for. The phone refreshes unless it says that we shall. `Err` when the
    /// interval is too short (422).
    pub(super) fn asked(request: &Request, now_ms: u64) -> Result<Option<Self>, TooShort> {
        let Some((interval_s, refresher)) = session_expires(&request.headers) else {
            return Ok(None);
        };
        if !request.headers.lists("Supported", "timer") {
            return Ok(None); // put there by a proxy; the phone itself will not refresh
        }
        if interval_s < MIN_SE_S {
            return Err(TooShort);
        }
        let ours = refresher.is_some_and(|r| r.eq_ignore_ascii_case("uas"));
        Ok(Some(Self { interval_s, ours, due_ms: 0 }.restarted(now_ms)))
    }

    /// What a 2xx to a request of ours grants. Without the header there is no timer
    /// (RFC 4028 §7.2).
    pub(super) fn granted(response: &Response, now_ms: u64) -> Option<Self> {
        let (interval_s, refresher) = session_expires(&response.headers)?;
        let ours = !refresher.is_some_and(|r| r.eq_ignore_ascii_case("uas"));
        let interval_s = (MIN_SE_S..=MAX_SE_S).contains(&interval_s).then_some(interval_s)?;
        Some(Self { interval_s, ours, due_ms: 0 }.restarted(now_ms))
    }

    /// The timer from now on: we refresh at half time, we give up a little before the end
    /// (RFC 4028 §10).
    pub(super) fn restarted(self, now_ms: u64) -> Self {
        let wait_s = if self.ours {
            self.interval_s / 2
        } else {
            self.interval_s - (self.interval_s / 3).min(32)
        };
        Self { due_ms: now_ms + u64::from(wait_s) * 1000, ..self }
    }

    /// Value of Session-Expires in our 2xx to the phone's request.
    pub(super) fn in_response(self) -> String {
        let refresher = if self.ours { "uas" } else { "uac" };
        format!("{};refresher={refresher}", self.interval_s)
    }

    /// What our own request within the dialog says: who refreshed goes on to (RFC 4028 §7.4).
    pub(super) fn ask_again(self, headers: &mut Headers) {
        let refresher = if self.ours { "uac" } else { "uas" };
        headers.push("Session-Expires", format!("{};refresher={refresher}", self.interval_s));
    }
}

/// What our INVITE asks for: whoever answers chooses who refreshes.
pub(super) fn ask(headers: &mut Headers, interval_s: u32, min_s: u32) {
    headers.set("Session-Expires", interval_s.to_string());
    headers.set("Min-SE", min_s.to_string());
}

/// The interval that a 422 wants; `None` where it says none that we would take.
pub(super) fn wanted_by(refusal: &Response) -> Option<u32> {
    let min_s = refusal.headers.get("Min-SE")?.split(';').next()?.trim().parse().ok()?;
    (MIN_SE_S..=MAX_SE_S).contains(&min_s).then_some(min_s)
}

fn session_expires(headers: &Headers) -> Option<(u32, Option<&str>)> {
    let mut parts = headers.get("Session-Expires")?.split(';');
    let interval_s = parts.next()?.trim().parse().ok()?;
    let refresher = parts.find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then_some(value.trim())
    });
    Some((interval_s, refresher))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session_expires: &str, supported: &str) -> Request {
        let mut headers = Headers::default();
        headers.push("Session-Expires", session_expires);
        headers.push("Supported", supported);
        Request { method: "INVITE".into(), uri: String::new(), headers, body: vec![] }
    }

    fn asked(session_expires: &str, supported: &str) -> Result<Option<SessionTimer>, TooShort> {
        SessionTimer::asked(&request(session_expires, supported), 1000)
    }

    #[test]
    fn who_refreshes_and_when_we_give_up() {
        let phone = asked("180", "replaces, timer").unwrap().unwrap();
        assert_eq!((phone.ours, phone.due_ms), (false, 1000 + 148_000));
        assert_eq!(phone.in_response(), "180;refresher=uac");
        let short = asked("90;refresher=uac", "timer").unwrap().unwrap();
        assert_eq!(short.due_ms, 1000 + 60_000);
        let ours = asked("1800 ; refresher=uas", "timer").unwrap().unwrap();
        assert_eq!((ours.ours, ours.due_ms), (true, 1000 + 900_000));
        assert_eq!(asked("89", "timer"), Err(TooShort));
        assert_eq!(asked("180", "replaces"), Ok(None));
        assert_eq!(asked("soon", "timer"), Ok(None));
    }

    #[test]
    fn what_the_called_phone_grants() {
        let granted = |value: &str| {
            let headers = request(value, "").headers;
            SessionTimer::granted(&Response { status: 200, headers, body: vec![] }, 0)
        };
        assert_eq!(granted("90;refresher=uac").map(|t| (t.ours, t.due_ms)), Some((true, 45_000)));
        assert_eq!(granted("90;refresher=UAS").map(|t| (t.ours, t.due_ms)), Some((false, 60_000)));
        assert_eq!(granted("120").map(|t| t.ours), Some(true));
        for none in ["89;refresher=uas", "99999999", "", "-1"] {
            assert_eq!(granted(none), None, "{none}");
        }
    }
}
