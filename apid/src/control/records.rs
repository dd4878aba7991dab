//! Call records: every call that is over, as long as it is kept.

use super::access::need;
use super::recordings::{PAGE_MAX, unstored};
use super::refused::invalid;
use super::{Control, Refused};
use crate::auth::{Caller, Scope};
use crate::call::{CallNumber, CallRecord};
use crate::store::{self, CallQuery};
use crate::view::{CallRecordView, Timestamp};
use std::time::Duration;

/// How often it is looked at what is too old.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// How long call records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Older ones are forgotten.
    pub keep: Option<Duration>,
    /// The oldest beyond so many are forgotten.
    pub max_calls: u64,
}

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct RecordFilter {
    /// With this line.
    pub line: Option<String>,
    /// With this in the address of an end.
    pub text: Option<String>,
    /// Begun then or later.
    pub since: Option<Timestamp>,
    /// Begun before.
    pub until: Option<Timestamp>,
    /// Older than this call.
    pub before: Option<String>,
    /// So many at most, up to [`PAGE_MAX`].
    pub limit: Option<u32>,
}

/// Deletes what is too old, now and then, and at the beginning makes whole what a killed apid
/// left.
pub(super) async fn keep_house(control: Control) {
    control.repair_recordings().await;
    let mut round = tokio::time::interval(PRUNE_EVERY);
    loop {
        round.tick().await;
        control.prune_recordings().await;
        let RecordLimits { keep, max_calls } = control.0.record_limits;
        let oldest = keep.map(Timestamp::ago);
        let pruned = control.0.store.ask(move |c| store::prune_calls(c, oldest, max_calls)).await;
        match pruned {
            Ok(0) => {}
            Ok(calls) => tracing::info!(calls, "old call records forgotten"),
            Err(error) => tracing::error!("call records: {error}"),
        }
    }
}

impl Control {
    /// Keeps a call that is over. Never waits.
    pub(super) fn keep_call(&self, record: &CallRecord) {
        let view = record.view();
        let ended = view.ended_at.unwrap_or(view.started_at);
        let ms = |from: Timestamp| {
            ended.0.duration_since(from.0).map_or(0, |lasted| lasted.as_millis() as u64)
        };
        let kept = CallRecordView {
            duration_ms: ms(view.started_at),
            talk_ms: view.answered_at.map_or(0, ms),
            call: view,
        };
        let number = record.number.0;
        if let Err(error) = self.0.store.tell(move |c| store::insert_call(c, number, &kept)) {
            let message = format!("call {number:x} is not kept: {error}");
            self.report_error(None, "call_record_lost", &message);
        }
    }

    /// Calls with a line the caller may see, newest first. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`, `NoSuchCall` for a page's beginning, `Invalid`, `Storage`.
    pub async fn call_records(
        &self,
        caller: &Caller,
        filter: RecordFilter,
    ) -> Result<Vec<CallRecordView>, Refused> {
        need(caller, Scope::Read)?;
        let limit = filter.limit.unwrap_or(100);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(invalid("limit", "allowed is 1 to 500"));
        }
        if let Some(line) = &filter.line {
            self.entry(caller, line)?;
        }
        let before = match &filter.before {
            Some(id) => Some(CallNumber::parse(id).ok_or(Refused::NoSuchCall)?.0),
            None => None,
        };
        let lines = filter.line.map(|line| vec![line]).or_else(|| caller.lines.clone());
        let RecordFilter { text, since, until, .. } = filter;
        let query = CallQuery { lines, text, since, until, before, limit };
        let listed = self.0.store.ask(move |c| store::list_calls(c, &query)).await;
        listed.map_err(|error| unstored(&error))
    }

    /// One call that is over. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchCall`, `Storage`.
    pub async fn call_record(&self, caller: &Caller, id: &str) -> Result<CallRecordView, Refused> {
        need(caller, Scope::Read)?;
        let number = CallNumber::parse(id).ok_or(Refused::NoSuchCall)?;
        let found = self.0.store.ask(move |c| store::find_call(c, number.0)).await;
        let found = found.map_err(|error| unstored(&error))?;
        let seen = |record: &CallRecordView| {
            let mut lines = record.call.legs.iter().filter_map(|leg| leg.line.as_deref());
            caller.lines.is_none() || lines.any(|line| caller.sees(line))
        };
        found.filter(seen).ok_or(Refused::NoSuchCall)
    }

    /// Forgets a call that is over. Needs `control`.
    ///
    /// # Errors
    /// As [`Control::call_record`].
    pub async fn forget_call(&self, caller: &Caller, id: &str) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        self.call_record(caller, id).await?;
        let number = CallNumber::parse(id).ok_or(Refused::NoSuchCall)?;
        let forgotten = self.0.store.ask(move |c| store::delete_call(c, number.0)).await;
        forgotten.map_err(|error| unstored(&error))
    }
}
