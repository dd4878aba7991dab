//! Messages that wait for somebody (RFC 3842): told to phones that subscribe (RFC 6665), and
//! unasked to those that only register.

use super::action::{Action, Actions};
use super::agent::{Agent, PRODUCT, Purpose};
use super::call::TxId;
use super::dialog::Dialog;
use super::message::{Headers, Peer, Request, Response};
use crate::control::{MessagesWaiting, SignallingError};
use std::collections::BTreeMap;
use tracing::debug;

/// Granted where a phone names no time (RFC 3842 §3.4).
const DEFAULT_S: u32 = 3600;
/// Shortest and longest time granted.
const GRANTED_S: std::ops::RangeInclusive<u32> = 60..=3600;
/// Subscriptions of one account; a new one replaces the one that ends first.
const MAX_SUBSCRIPTIONS: usize = 4;

/// What waits for whom, and who wants to know.
#[derive(Debug, Default)]
pub(super) struct MessageWaiting {
    counts: BTreeMap<String, MessagesWaiting>,
    subscriptions: BTreeMap<String, Vec<Subscription>>,
}

#[derive(Debug)]
struct Subscription {
    dialog: Dialog,
    expires_ms: u64,
}

impl MessageWaiting {
    /// The account with the subscription that a request belongs to.
    pub(super) fn owner(&self, request: &Request) -> Option<&str> {
        let owns = |of: &&Subscription| of.dialog.owns(request);
        let all = &self.subscriptions;
        all.iter().find(|(_, of)| of.iter().any(|s| owns(&s))).map(|(line, _)| line.as_str())
    }

    /// When the first subscription ends.
    pub(super) fn next_expiry_ms(&self) -> Option<u64> {
        self.subscriptions.values().flatten().map(|of| of.expires_ms).min()
    }

    pub(super) fn handle_time(&mut self, now_ms: u64) {
        self.subscriptions.retain(|_, of| {
            of.retain(|subscription| subscription.expires_ms > now_ms);
            !of.is_empty()
        });
    }
}

impl Agent {
    /// SUBSCRIBE, new or within its dialog.
    pub(super) fn handle_subscribe(
        &mut self,
        tx: TxId,
        request: &Request,
        source: Peer,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let Some(line) = self.authenticate(tx, request, source, now_ms, out) else { return };
        let tag = self.token();
        let response = match self.subscribe(&line, request, source, &tag, now_ms) {
            Ok(wish_s) => {
                let contact = self.contact(&line, source);
                let ok = request.response(200, Some(&tag)).with("Expires", wish_s.to_string());
                ok.with("Contact", contact)
            }
            Err(refusal) => refusal,
        };
        let status = response.status;
        out.respond(tx, response.with("Server", PRODUCT));
        if status == 200 {
            debug!(line, %source, "phone wants to know of messages");
            self.notify_messages(&line, Some(request.call_id()), now_ms, out);
            self.message_waiting.handle_time(now_ms + 1); // one of 0 s ends with its NOTIFY
        }
    }

    fn subscribe(
        &mut self,
        line: &str,
        request: &Request,
        source: Peer,
        tag: &str,
        now_ms: u64,
    ) -> Result<u32, Response> {
        let no = |status| request.response(status, Some(tag));
        let event = request.headers.get("Event").and_then(|event| event.split(';').next());
        if event.map(str::trim) != Some("message-summary") {
            return Err(no(489).with("Allow-Events", "message-summary"));
        }
        let wish = request.headers.get("Expires").map(|e| e.trim().parse().unwrap_or(DEFAULT_S));
        let wish_s = wish.unwrap_or(DEFAULT_S).min(*GRANTED_S.end());
        if wish_s != 0 && wish_s < *GRANTED_S.start() {
            return Err(no(423).with("Min-Expires", GRANTED_S.start().to_string()));
        }
        let expires_ms = now_ms + u64::from(wish_s) * 1000;
        let of = self.message_waiting.subscriptions.entry(line.to_owned()).or_default();
        if request.to_tag().is_some() {
            let known = of.iter_mut().find(|subscription| subscription.dialog.owns(request));
            let Some(known) = known else { return Err(no(481)) };
            known.dialog.receive(request, source).map_err(|_| no(500))?;
            known.expires_ms = expires_ms;
        } else {
            let dialog = Dialog::of_phones_request(request, tag, source).map_err(|_| no(400))?;
            if of.len() >= MAX_SUBSCRIPTIONS {
                let first = (0..of.len()).min_by_key(|at| of[*at].expires_ms).unwrap_or_default();
                of.remove(first);
            }
            of.push(Subscription { dialog, expires_ms });
        }
        Ok(wish_s)
    }

    /// Control: so many messages wait for this line.
    pub fn order_messages(
        &mut self,
        line: &str,
        counts: MessagesWaiting,
        now_ms: u64,
        out: &mut Actions,
    ) {
        if !self.accounts.contains_key(line) {
            return;
        }
        let before = self.message_waiting.counts.insert(line.to_owned(), counts);
        if before.unwrap_or_default() != counts {
            self.notify_messages(line, None, now_ms, out);
        }
    }

    /// A phone that has just come is told what waits for it, unless it subscribes anyway.
    pub(super) fn greet_with_messages(&mut self, line: &str, now_ms: u64, out: &mut Actions) {
        if self.message_waiting.counts.get(line).is_some_and(|counts| counts.new > 0) {
            self.notify_messages(line, None, now_ms, out);
        }
    }

    /// Tells one subscription, or all; where there is none, the phone itself.
    fn notify_messages(
        &mut self,
        line: &str,
        call_id: Option<&str>,
        now_ms: u64,
        out: &mut Actions,
    ) {
        let counts = self.message_waiting.counts.get(line).copied().unwrap_or_default();
        let mut of = self.message_waiting.subscriptions.remove(line).unwrap_or_default();
        for subscription in &mut of {
            if call_id.is_some_and(|id| subscription.dialog.call_id != id) {
                continue;
            }
            let to = subscription.dialog.hop();
            let via = self.via(to);
            let mut notify = subscription.dialog.request("NOTIFY", &via);
            let left_s = subscription.expires_ms.saturating_sub(now_ms) / 1000;
            let state = match left_s {
                0 => "terminated;reason=timeout".to_owned(),
                left_s => format!("active;expires={left_s}"),
            };
            notify.headers.push("Subscription-State", state);
            self.send_messages(line, notify, to, counts, out);
        }
        if !of.is_empty() {
            self.message_waiting.subscriptions.insert(line.to_owned(), of);
        } else if call_id.is_none()
            && let Some((uri, route, to)) = self.reach(line, now_ms)
        {
            let mut notify = self.request_to_phone("NOTIFY", line, &uri, &route, to);
            // RFC 6665 wants the header though nobody has subscribed.
            notify.headers.push("Subscription-State", "terminated;reason=noresource");
            self.send_messages(line, notify, to, counts, out);
        }
    }

    fn send_messages(
        &mut self,
        line: &str,
        mut notify: Request,
        to: Peer,
        counts: MessagesWaiting,
        out: &mut Actions,
    ) {
        let here = (self.around.here)(&to);
        notify.headers.push("Contact", self.contact(line, to));
        notify.headers.push("Event", "message-summary");
        notify.headers.push("User-Agent", PRODUCT);
        notify.headers.push("Content-Type", "application/simple-message-summary");
        let waiting = if counts.new > 0 { "yes" } else { "no" };
        notify.body = format!(
            "Messages-Waiting: {waiting}\r\nMessage-Account: sip:{}@{here}\r\n\
             Voice-Message: {}/{} (0/0)\r\n",
            super::address::escape_user(line),
            counts.new,
            counts.old
        )
        .into_bytes();
        let tx = (self.around.new_tx)();
        let call_id = notify.call_id().to_owned();
        self.purposes.insert(tx, Purpose::Messages { line: line.to_owned(), call_id });
        out.push(Action::Send { tx, request: notify, to });
    }

    /// A phone that knows nothing of its subscription has none (RFC 6665 §4.2.2).
    pub(super) fn handle_messages_answer(&mut self, line: &str, call_id: &str, status: u16) {
        if matches!(status, 408 | 481 | 489)
            && let Some(of) = self.message_waiting.subscriptions.get_mut(line)
        {
            of.retain(|subscription| subscription.dialog.call_id != call_id);
        }
    }

    /// Control: a NOTIFY without a body outside of calls, such as `Event: resync`.
    ///
    /// # Errors
    /// `NotRegistered`.
    pub fn order_notify(
        &mut self,
        line: &str,
        event: &str,
        now_ms: u64,
        out: &mut Actions,
    ) -> Result<(), SignallingError> {
        let (uri, route, to) = self.reach(line, now_ms).ok_or(SignallingError::NotRegistered)?;
        let mut notify = self.request_to_phone("NOTIFY", line, &uri, &route, to);
        notify.headers.push("Contact", self.contact(line, to));
        notify.headers.push("Event", event);
        notify.headers.push("Subscription-State", "terminated;reason=noresource");
        notify.headers.push("User-Agent", PRODUCT);
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Ending);
        out.push(Action::Send { tx, request: notify, to });
        Ok(())
    }

    /// A request outside any dialog to a line's phone, without what is its own.
    pub(super) fn request_to_phone(
        &mut self,
        method: &str,
        line: &str,
        uri: &str,
        route: &[String],
        to: Peer,
    ) -> Request {
        let here = (self.around.here)(&to);
        let user = super::address::escape_user(line);
        let mut headers = Headers::default();
        headers.push("Via", self.via(to));
        headers.push("Max-Forwards", "70");
        for proxy in route {
            headers.push("Route", proxy);
        }
        headers.push("From", format!("<sip:{user}@{here}>;tag={}", self.token()));
        headers.push("To", format!("<sip:{user}@{here}>"));
        headers.push("Call-ID", self.token() + &self.token() + super::agent::CALL_ID_END);
        headers.push("CSeq", format!("1 {method}"));
        Request { method: method.to_owned(), uri: uri.to_owned(), headers, body: Vec::new() }
    }
}
