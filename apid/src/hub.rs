//! Everything that happens, to everybody who listens: a bounded queue per listener, and the last
//! [`HELD`] notices for those who were away.
//!
//! `publish` never waits: a listener that is too slow loses its oldest notices and is told how
//! many.

mod notice;
#[cfg(test)]
mod tests;

pub use notice::{
    DigitSource, HardwareState, HeardTone, MediaFault, Notice, NoticeBody, PlaybackEnd,
    RingStopCause, SitCode, SpeechEnd,
};

use crate::auth::Caller;
use crate::view::{ClientDiagnostics, Timestamp};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// Notices kept for `since`.
pub const HELD: usize = 4096;
/// Notices that wait for one listener.
pub const QUEUE: usize = 1024;

/// What a listener wants to hear of; empty lists want everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Line ids. Notices of no line are let through by any list.
    pub lines: Vec<String>,
    /// Types, or prefixes ending in `*` such as `call_*`.
    pub types: Vec<String>,
}

/// What a listener is handed.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// Something happened.
    Notice(Arc<Notice>),
    /// Too slow, or away too long: so many notices are gone.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl Filter {
    fn wants(&self, notice: &Notice) -> bool {
        let kind = notice.body.kind();
        let line = self.lines.is_empty()
            || notice.lines().next().is_none()
            || notice.lines().any(|line| self.lines.iter().any(|l| l == line));
        line && (self.types.is_empty() || self.types.iter().any(|t| matches_kind(t, kind)))
    }

    /// The first type that is none.
    pub fn unknown_type(&self) -> Option<&str> {
        let known = |t: &&String| NoticeBody::KINDS.iter().any(|kind| matches_kind(t, kind));
        self.types.iter().find(|t| !known(t)).map(String::as_str)
    }
}

fn matches_kind(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |prefix| kind.starts_with(prefix))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing below can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one client has not taken yet.
#[derive(Debug)]
struct Subscription {
    caller: Caller,
    filter: Filter,
    remote: String,
    since: Timestamp,
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Instant, Arc<Notice>)>,
    missed_untold: u64,
    missed: u64,
}

impl Subscription {
    fn offer(&self, notice: &Arc<Notice>) {
        if !self.filter.wants(notice) || !notice.visible_to(&self.caller) {
            return;
        }
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= QUEUE {
            queue.waiting.pop_front();
            queue.missed_untold += 1;
            queue.missed += 1;
        }
        queue.waiting.push_back((Instant::now(), notice.clone()));
        drop(queue);
        self.arrived.notify_one();
    }
}

/// The receiving end of one client. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Listener {
    hub: Arc<Mutex<State>>,
    subscription: Arc<Subscription>,
}

impl Listener {
    /// The next notice; waits for it. May be cancelled without loss.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if let Some(delivery) = self.try_next() {
                return delivery;
            }
            self.subscription.arrived.notified().await;
        }
    }

    /// The next notice, if it is there.
    pub fn try_next(&mut self) -> Option<Delivery> {
        let mut queue = lock(&self.subscription.queue);
        let missed = std::mem::take(&mut queue.missed_untold);
        if missed > 0 {
            return Some(Delivery::Lagged { missed });
        }
        queue.waiting.pop_front().map(|(_, notice)| Delivery::Notice(notice))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.hub).listeners.retain(|other| !Arc::ptr_eq(other, &self.subscription));
    }
}

#[derive(Debug, Default)]
struct State {
    last_seq: u64,
    held: VecDeque<Arc<Notice>>,
    listeners: Vec<Arc<Subscription>>,
}

/// Where notices come in and go out. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Mutex<State>>);

impl Hub {
    /// A hub without listeners.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands a notice that happened now to everybody who wants it. Never waits.
    pub fn publish(&self, line: Option<&str>, call_id: Option<&str>, body: NoticeBody) {
        self.publish_at(Timestamp::now(), line, call_id, body);
    }

    /// Hands a notice to everybody who wants it. Never waits.
    pub fn publish_at(
        &self,
        at: Timestamp,
        line: Option<&str>,
        call_id: Option<&str>,
        body: NoticeBody,
    ) {
        let mut state = lock(&self.0);
        state.last_seq += 1;
        let notice = Arc::new(Notice {
            seq: state.last_seq,
            at,
            line: line.map(str::to_owned),
            call_id: call_id.map(str::to_owned),
            body,
        });
        if state.held.len() >= HELD {
            state.held.pop_front();
        }
        state.held.push_back(notice.clone());
        for listener in &state.listeners {
            listener.offer(&notice);
        }
    }

    /// A listener for what `caller` may see of what `filter` lets through. With `since`, first
    /// what is still held with a greater sequence number; a number from the future is one of an
    /// earlier start of apid, all that is held is told then.
    pub fn listen(
        &self,
        caller: &Caller,
        filter: Filter,
        since: Option<u64>,
        remote: &str,
    ) -> Listener {
        let subscription = Arc::new(Subscription {
            caller: caller.clone(),
            filter,
            remote: remote.to_owned(),
            since: Timestamp::now(),
            queue: Mutex::default(),
            arrived: Notify::new(),
        });
        let mut state = lock(&self.0);
        if let Some(since) = since {
            let since = if since > state.last_seq { 0 } else { since };
            if let Some(first) = state.held.front() {
                let missed = first.seq.saturating_sub(since + 1);
                let mut queue = lock(&subscription.queue);
                queue.missed_untold = missed;
                queue.missed = missed;
            }
            for notice in state.held.iter().filter(|notice| notice.seq > since) {
                subscription.offer(notice);
            }
        }
        state.listeners.push(subscription.clone());
        Listener { hub: self.0.clone(), subscription }
    }

    /// Everybody who listens.
    pub fn clients(&self) -> Vec<ClientDiagnostics> {
        let state = lock(&self.0);
        let clients = state.listeners.iter().map(|listener| {
            let queue = lock(&listener.queue);
            let oldest = queue.waiting.front().map(|(at, _)| at.elapsed());
            ClientDiagnostics {
                kind: "events".to_owned(),
                caller: listener.caller.name.clone(),
                remote: listener.remote.clone(),
                line: None,
                since: listener.since,
                queued: queue.waiting.len(),
                oldest_age_ms: oldest.map_or(0, |age| age.as_millis() as u64),
                missed: queue.missed,
            }
        });
        clients.collect()
    }

    /// Sequence number of the last notice.
    pub fn last_seq(&self) -> u64 {
        lock(&self.0).last_seq
    }
}
