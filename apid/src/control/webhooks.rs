//! Webhooks: what happens is posted to addresses of the configuration, signed, again when it fails,
//! in order for each call. What could not be delivered is kept to be looked at.

use super::access::need;
use super::{Control, Refused, lock};
use crate::auth::{Caller, Scope, Scopes};
use crate::event_json;
use crate::event_json::phone_api::Phones;
use crate::fetch::FetchError;
use crate::hub::{Delivery, Filter, Notice};
use crate::view::{DeadLetter, Timestamp, WebhookView};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// Deliveries that wait for one address.
const WAITING: usize = 1000;
/// Dead letters kept for one address.
const DEAD_LETTERS: usize = 100;
/// Until it is given up: a little more than a minute.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// In whose words an address is told what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// As it stands on `/v1/events`.
    #[default]
    Events,
    /// `state_change` and `dtmf`, as an older phone API has them.
    PhoneApi,
}

/// One address.
#[derive(Clone)]
pub struct WebhookSettings {
    /// Where to.
    pub url: String,
    /// Signs what is posted.
    pub secret: String,
    /// Sent as `Authorization: Bearer`, where it is given.
    pub bearer: Option<String>,
    /// Only what concerns these lines, where any are given.
    pub lines: Vec<String>,
    /// Only these types, where any are given.
    pub types: Vec<String>,
    /// In whose words.
    pub format: WebhookFormat,
}

impl std::fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without secrets.
        f.debug_struct("WebhookSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// One address at work.
#[derive(Debug)]
pub(super) struct Webhook {
    settings: WebhookSettings,
    delivered: AtomicU64,
    failed: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What waits, by call (else by line); one that is there has a worker.
    lanes: HashMap<String, VecDeque<Letter>>,
    waiting: usize,
    dead: VecDeque<DeadLetter>,
}

#[derive(Clone, Debug)]
struct Letter {
    /// The same at each attempt.
    id: String,
    body: String,
}

impl Webhook {
    pub(super) fn new(settings: WebhookSettings) -> Arc<Self> {
        let (delivered, failed, state) = Default::default();
        Arc::new(Self { settings, delivered, failed, state })
    }

    /// What is to be posted of a notice, each with its lane.
    fn words_for(&self, notice: &Notice, phones: &mut Phones) -> Vec<(String, String)> {
        match self.settings.format {
            WebhookFormat::Events => {
                let lane = notice.call_id.clone().or_else(|| notice.line.clone());
                vec![(lane.unwrap_or_default(), event_json::of(notice))]
            }
            WebhookFormat::PhoneApi => {
                let Self { settings: WebhookSettings { types, lines, .. }, .. } = self;
                let told = phones.take(notice).into_iter();
                // A call has lines besides those that were asked for.
                told.filter(|m| types.is_empty() || types.iter().any(|kind| kind == m.kind))
                    .filter(|m| lines.is_empty() || lines.contains(&m.line))
                    .map(|message| (message.line, message.body))
                    .collect()
            }
        }
    }

    fn headers(&self, letter: &Letter) -> Vec<(&'static str, String)> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let signature =
            sign(&self.settings.secret, since.map_or(0, |since| since.as_secs()), &letter.body);
        let mut headers =
            vec![("Tipring-Signature", signature), ("Tipring-Delivery", letter.id.clone())];
        if let Some(bearer) = &self.settings.bearer {
            headers.push(("Authorization", format!("Bearer {bearer}")));
        }
        headers
    }

    fn bury(&self, letter: &Letter, attempts: u32, reason: &str) {
        tracing::warn!(url = self.settings.url, attempts, reason, "webhook: given up");
        let mut state = lock(&self.state);
        if state.dead.len() >= DEAD_LETTERS {
            state.dead.pop_front();
        }
        let event = serde_json::from_str(&letter.body).unwrap_or_default();
        let reason = reason.to_owned();
        state.dead.push_back(DeadLetter { event, attempts, reason, at: Timestamp::now() });
    }

    fn view(&self) -> WebhookView {
        let state = lock(&self.state);
        WebhookView {
            url: self.settings.url.clone(),
            delivered: self.delivered.load(Ordering::Relaxed),
            failed_attempts: self.failed.load(Ordering::Relaxed),
            waiting: state.waiting,
            dead_letters: state.dead.iter().cloned().collect(),
        }
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA-256 (RFC 2104) of `SECONDS.BODY`, so that an old message cannot be
/// sent again as a new one.
fn sign(secret: &str, at: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(format!("{at}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().fold(format!("t={at},v1="), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// How long to wait after so many attempts.
fn pause(attempts: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

/// Whether another attempt can help.
fn may_pass(error: &FetchError) -> bool {
    match error {
        FetchError::Status(status) => *status >= 500 || matches!(status, 408 | 425 | 429),
        FetchError::Unreachable(_) | FetchError::TimedOut | FetchError::Busy => true,
        FetchError::Scheme
        | FetchError::Host(_)
        | FetchError::Private(_)
        | FetchError::TooLong(_) => false,
    }
}

/// Posts everything that happens from now on.
pub(super) async fn follow_hub(control: Control, webhook: Arc<Webhook>) {
    let lines = webhook.settings.lines.clone();
    let caller = Caller {
        name: "webhook".to_owned(),
        scopes: Scopes::ALL,
        lines: (!lines.is_empty()).then_some(lines),
    };
    let types = match webhook.settings.format {
        WebhookFormat::Events => webhook.settings.types.clone(),
        // Its types are made of others.
        WebhookFormat::PhoneApi => Vec::new(),
    };
    let filter = Filter { lines: Vec::new(), types };
    let mut listener = control.0.hub.listen(&caller, filter, None, &webhook.settings.url);
    let mut number = 0_u64;
    let mut phones = Phones::default();
    loop {
        let due = match listener.next().await {
            Delivery::Notice(notice) => webhook.words_for(&notice, &mut phones),
            Delivery::Lagged { missed } => vec![(String::new(), event_json::lagged(missed))],
        };
        for (lane, body) in due {
            number += 1;
            let started = control.0.started_at;
            let letter = Letter { id: format!("{started}-{number}"), body };
            control.post_later(&webhook, lane, letter);
        }
    }
}

impl Control {
    fn post_later(&self, webhook: &Arc<Webhook>, lane: String, letter: Letter) {
        let mut state = lock(&webhook.state);
        if state.waiting >= WAITING {
            drop(state);
            webhook.bury(&letter, 0, "too many wait for this address");
            return;
        }
        state.waiting += 1;
        if let Some(waiting) = state.lanes.get_mut(&lane) {
            waiting.push_back(letter);
            return;
        }
        state.lanes.insert(lane.clone(), VecDeque::from([letter]));
        drop(state);
        let (control, webhook) = (self.clone(), webhook.clone());
        self.0.runtime.spawn(async move { control.empty_lane(&webhook, &lane).await });
    }

    /// Posts what waits in a lane, one after the other, until there is nothing.
    async fn empty_lane(&self, webhook: &Webhook, lane: &str) {
        loop {
            let letter = {
                let mut state = lock(&webhook.state);
                let letter = state.lanes.get_mut(lane).and_then(VecDeque::pop_front);
                let Some(letter) = letter else {
                    state.lanes.remove(lane);
                    return;
                };
                letter
            };
            self.post(webhook, letter).await;
            lock(&webhook.state).waiting -= 1;
        }
    }

    async fn post(&self, webhook: &Webhook, letter: Letter) {
        for attempt in 1..=ATTEMPTS {
            let headers = webhook.headers(&letter);
            let url = &webhook.settings.url;
            let Err(error) = self.0.fetcher.post(url, headers, letter.body.clone()).await else {
                webhook.delivered.fetch_add(1, Ordering::Relaxed);
                return;
            };
            webhook.failed.fetch_add(1, Ordering::Relaxed);
            if attempt == ATTEMPTS || !may_pass(&error) {
                return webhook.bury(&letter, attempt, &error.to_string());
            }
            tokio::time::sleep(pause(attempt)).await;
        }
    }

    /// How each webhook is doing, with what could not be delivered. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn webhooks(&self, caller: &Caller) -> Result<Vec<WebhookView>, Refused> {
        need(caller, Scope::Admin)?;
        Ok(self.0.webhooks.iter().map(|webhook| webhook.view()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_moment_and_the_body() {
        // By `printf '7.{}' | openssl dgst -sha256 -hmac key`.
        let expected = "t=7,v1=77bc83bd1f40422311e47918b203449aecf84b02c1568bb1b570ac2a474cc2d8";
        assert_eq!(sign("key", 7, "{}"), expected);
        assert_ne!(sign("key", 8, "{}")[3..], expected[3..]);
        assert_ne!(sign("other", 7, "{}"), expected);
    }

    #[test]
    fn pauses_grow_and_what_cannot_pass_is_not_tried_again() {
        let pauses: Vec<u64> = (1..=9).map(|n| pause(n).as_millis() as u64).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert!(may_pass(&FetchError::Status(503)) && may_pass(&FetchError::TimedOut));
        assert!(!may_pass(&FetchError::Status(404)) && !may_pass(&FetchError::Scheme));
    }
}
