//! All lines and all calls: what happens to one decides what is asked of the others.

use super::action::{Action, Input, News, Order};
use super::dial_plan::{DialPlan, Target};
use super::kept::Keeper;
use super::lifted::LinePlan;
use super::record::{CallNumber, CallRecord, Ends, LegRecord, Moment, Stage};
use super::settings::{Busy, RingOrder, SwitchConfig};
use super::{Cause, RemoteMedia};
use crate::view::{CallerIdView, DiversionView, LegState, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tipring_shm_proto::command::{LineState, ProgressTone};

/// Calls that are over and still known.
pub(super) const REMEMBERED: usize = 100;

/// Digits of a phone that hears dial tone.
#[derive(Debug, Default)]
pub(super) struct Dialled {
    pub(super) digits: String,
    /// `None` until the first digit.
    pub(super) deadline_ms: Option<u64>,
}

#[derive(Debug)]
pub(super) struct LineInfo {
    pub(super) sip: bool,
    pub(super) caller_id: CallerIdView,
    pub(super) state: LineState,
    pub(super) reachable: bool,
    pub(super) diversion: DiversionView,
    pub(super) call: Option<CallNumber>,
    pub(super) dialled: Option<Dialled>,
    /// Until then a call waits for it, ms.
    pub(super) knocks_until_ms: Option<u64>,
    /// An INVITE that waits for the line's last call to be cleared.
    pub(super) waiting: Option<Waiting>,
}

/// An INVITE that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) to: String,
    pub(super) caller: Option<CallerIdView>,
    pub(super) media: RemoteMedia,
}

/// All lines and all calls.
#[derive(Debug)]
pub struct Switch {
    pub(super) config: SwitchConfig,
    pub(super) lines: BTreeMap<String, LineInfo>,
    pub(super) calls: BTreeMap<CallNumber, CallRecord>,
    pub(super) line_plans: BTreeMap<String, LinePlan>,
    /// Numbers answered by programs, and how many calls each takes.
    pub(super) claims: BTreeMap<String, usize>,
    pub(super) everybody: DialPlan,
    pub(super) over: VecDeque<CallRecord>,
    next: u64,
}

impl Switch {
    /// No lines yet; `first` is greater than any earlier call's number.
    pub fn new(config: SwitchConfig, first: CallNumber) -> Self {
        let (lines, calls, line_plans, claims, everybody, over) = Default::default();
        let next = first.0.max(1);
        Self { config, lines, calls, line_plans, claims, everybody, over, next }
    }

    /// A line: SIP or analog, and what others are shown when it calls.
    pub fn add_line(&mut self, line: &str, sip: bool, caller_id: CallerIdView) {
        let info = LineInfo {
            sip,
            caller_id,
            state: LineState::Offline,
            reachable: !sip,
            diversion: DiversionView::default(),
            call: None,
            dialled: None,
            knocks_until_ms: None,
            waiting: None,
        };
        self.lines.insert(line.to_owned(), info);
    }

    /// Whoever rings the line finds it busy from now on, or not any more; `None` where there is no
    /// such line. Gives whether that changes anything.
    pub fn set_do_not_disturb(&mut self, line: &str, on: bool) -> Option<bool> {
        let info = self.lines.get_mut(line)?;
        Some(std::mem::replace(&mut info.diversion.do_not_disturb, on) != on)
    }

    /// Whether whoever rings the line finds it busy.
    pub fn do_not_disturb(&self, line: &str) -> bool {
        self.lines.get(line).is_some_and(|info| info.diversion.do_not_disturb)
    }

    /// Gives a line a number of its own.
    pub fn add_number(&mut self, number: &str, line: &str) {
        self.config.plan.add(number, Target::Line(line.to_owned()));
    }

    /// All numbers.
    pub fn plan(&self) -> &DialPlan {
        &self.config.plan
    }

    /// Whether the line's phone is down already, but its last call is not cleared yet, or that it
    /// is down has not come here yet.
    pub fn is_being_cleared(&self, line: &str) -> bool {
        self.lines.get(line).is_some_and(|info| match info.call {
            Some(call) => self.calls.get(&call).is_some_and(CallRecord::is_over),
            None => info.state != LineState::OnHook,
        })
    }

    /// How long a phone rings where nobody says.
    pub fn default_timeout_ms(&self) -> u32 {
        self.config.ring_timeout_ms
    }

    /// Calls that are not over, then those that are; newest first.
    pub fn calls(&self) -> impl Iterator<Item = &CallRecord> {
        self.calls.values().rev().chain(self.over.iter().rev())
    }

    /// Calls that are not over or not cleared.
    pub fn active(&self) -> impl Iterator<Item = &CallRecord> {
        self.calls.values()
    }

    /// One call.
    pub fn call(&self, call: CallNumber) -> Option<&CallRecord> {
        self.calls.get(&call).or_else(|| self.over.iter().find(|over| over.number == call))
    }

    /// The line's call is over, and what that takes is not done yet.
    pub fn is_clearing(&self, line: &str) -> bool {
        let call = self.call_of(line).and_then(|call| self.calls.get(&call));
        call.is_some_and(CallRecord::is_over)
    }

    /// The call a line takes part in.
    pub fn call_of(&self, line: &str) -> Option<CallNumber> {
        self.lines.get(line)?.call
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input, now: Moment) -> Vec<Action> {
        let mut out = Vec::new();
        match input {
            Input::Line { line, event } => self.line_event(&line, event, now, &mut out),
            Input::Invited { line, to, caller, media } => {
                self.invited(&line, to, caller, media, now, &mut out);
            }
            Input::Lifted { line, media } => {
                if let Some(call) = self.call_of(&line) {
                    do_(&mut out, call, Order::Lift { line, media });
                }
            }
            Input::Alerting { line } => self.alerting(&line, &mut out),
            Input::Refused { line, cause } => self.leg_refused(&line, cause, now, &mut out),
            Input::HungUp { line, cause } => self.hung_up(&line, cause, now, &mut out),
            Input::Digit { line, digit } => self.digit(&line, digit, now, &mut out),
            Input::Reachable { line, reachable } => {
                if let Some(info) = self.lines.get_mut(&line) {
                    info.reachable = reachable;
                }
            }
            Input::Established { call } => self.established(call, now, &mut out),
            Input::Joined { call } => self.application_joined(call, &mut out),
            Input::Left { call, cause } => self.application_gone(call, cause, now, &mut out),
            Input::Failed { call, line, cause } => {
                self.order_failed(call, line.as_deref(), cause, now, &mut out);
            }
            Input::Released { call } => self.released(call, now, &mut out),
            Input::EngineGone => {
                for info in self.lines.values_mut() {
                    info.state = LineState::Offline;
                    info.dialled = None;
                }
                for call in self.calls.keys().copied().collect::<Vec<_>>() {
                    self.end(call, Cause::TemporaryFailure, None, now, &mut out);
                }
            }
        }
        out
    }

    /// A call from the API to a line, which rings.
    ///
    /// # Errors
    /// [`Busy`]; nothing was changed.
    pub fn ring(
        &mut self,
        line: &str,
        ring: RingOrder,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Busy> {
        self.check_free(line)?;
        let ends = Ends { from: "app:api".to_owned(), to: format!("line:{line}") };
        let legs = vec![LegRecord::application("api"), LegRecord::line(line, LegState::Ringing)];
        let call = self.begin(ends, legs, Stage::RingingTo, ring, now)?;
        let mut out = Vec::new();
        self.tell(call, News::Started, &mut out);
        self.ring_line(call, line, &mut out);
        Ok((call, out))
    }

    /// A call between two lines: `from` rings first, unless it is lifted and in no call.
    ///
    /// # Errors
    /// [`Busy`] with either; nothing was changed.
    pub fn place(
        &mut self,
        from: &str,
        to: &str,
        ring: RingOrder,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Busy> {
        let lifted = self.check_caller(from)?;
        self.check_free(to)?;
        let ends = Ends { from: format!("line:{from}"), to: format!("line:{to}") };
        let state = if lifted { LegState::Connected } else { LegState::Ringing };
        let legs = vec![LegRecord::line(from, state)];
        let call = self.begin(ends, legs, Stage::RingingFrom, ring, now)?;
        let mut out = Vec::new();
        self.tell(call, News::Started, &mut out);
        if lifted {
            do_(&mut out, call, Order::Tag { line: from.to_owned() });
            self.ring_callee(call, to, &mut out, now);
        } else {
            self.ring_line(call, from, &mut out);
        }
        Ok((call, out))
    }

    /// Ends a call; nothing happens to one that is over.
    pub fn end_call(&mut self, call: CallNumber, cause: Cause, now: Moment) -> Vec<Action> {
        let mut out = Vec::new();
        if !self.consultation_fails(call, now, &mut out) {
            self.end(call, cause, None, now, &mut out);
        }
        out
    }

    /// Takes a lifted line that is in no call for the application.
    ///
    /// # Errors
    /// [`Busy`]; nothing was changed.
    pub fn answer(&mut self, line: &str, now: Moment) -> Result<Vec<Action>, Busy> {
        let info = self.lines.get(line).ok_or(Busy::Absent)?;
        if info.call.is_some() || info.state != LineState::OffHook {
            return Err(Busy::Line(info.state));
        }
        let ends = Ends { from: format!("line:{line}"), to: "app:api".to_owned() };
        let legs = vec![LegRecord::line(line, LegState::Connected), LegRecord::application("api")];
        let ring = self.default_ring(line);
        let call = self.begin(ends, legs, Stage::Entering, ring, now)?;
        let mut out = Vec::new();
        self.tell(call, News::Started, &mut out);
        do_(&mut out, call, Order::Tag { line: line.to_owned() });
        do_(&mut out, call, Order::Tone { line: line.to_owned(), tone: None });
        do_(&mut out, call, Order::Established);
        Ok(out)
    }

    /// Notes that a leg is on hold, or not; the engine has done it already.
    pub fn note_hold(&mut self, line: &str, on: bool) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(call) = self.call_of(line) else { return out };
        let Some(record) = self.calls.get_mut(&call) else { return out };
        let Some(leg) = record.leg(line) else { return out };
        let state = if on { LegState::Held } else { LegState::Connected };
        if leg.state != state && matches!(leg.state, LegState::Connected | LegState::Held) {
            leg.state = state;
            let held = record.legs.iter().any(|leg| leg.state == LegState::Held);
            self.tell(call, if held { News::Held } else { News::Resumed }, &mut out);
        }
        out
    }

    pub(super) fn default_ring(&self, caller: &str) -> RingOrder {
        RingOrder {
            caller: self.lines.get(caller).map(|i| i.caller_id.clone()).unwrap_or_default(),
            timeout_ms: self.config.ring_timeout_ms,
            cadence_ms: self.config.cadence_ms.clone(),
        }
    }

    pub(super) fn begin(
        &mut self,
        ends: Ends,
        legs: Vec<LegRecord>,
        stage: Stage,
        ring: RingOrder,
        now: Moment,
    ) -> Result<CallNumber, Busy> {
        if self.calls.len() >= self.config.max_calls {
            return Err(Busy::Full);
        }
        let number = CallNumber(self.next);
        self.next += 1;
        for line in legs.iter().filter_map(|leg| leg.line.as_deref()) {
            if let Some(info) = self.lines.get_mut(line) {
                info.call = Some(number);
                info.dialled = None;
            }
        }
        let record = CallRecord {
            number,
            ends,
            legs,
            stage,
            caller_id: ring.caller,
            ring_timeout_ms: ring.timeout_ms,
            cadence_ms: ring.cadence_ms,
            started_at: Timestamp(now.wall),
            answered_at: None,
            ended_at: None,
            cause: None,
            keeper: Keeper::Nobody,
            socket: None,
            consults: None,
            diverted: 0,
            seat: None,
            wants_role: super::Role::default(),
            beside: None,
            three_way: None,
        };
        self.calls.insert(number, record);
        Ok(number)
    }

    /// Whoever is to call is lifted and in no call, `true`, or free to be rung first.
    pub(super) fn check_caller(&self, line: &str) -> Result<bool, Busy> {
        let lifted = self.lines.get(line).is_some_and(|info| {
            info.call.is_none() && info.state == LineState::OffHook && !info.sip
        });
        if lifted { Ok(true) } else { self.check_free(line).map(|()| false) }
    }

    pub(super) fn check_free(&self, line: &str) -> Result<(), Busy> {
        let info = self.lines.get(line).ok_or(Busy::Absent)?;
        if info.call.is_some() || info.state != LineState::OnHook {
            return Err(Busy::Line(info.state));
        }
        if info.diversion.do_not_disturb {
            return Err(Busy::Line(LineState::OffHook));
        }
        if info.reachable { Ok(()) } else { Err(Busy::Absent) }
    }

    pub(super) fn leg_answered(
        &mut self,
        call: CallNumber,
        line: &str,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        if let Some(leg) = record.leg(line) {
            leg.state = LegState::Connected;
        }
        if record.stage == Stage::RingingFrom && record.socket.is_some() {
            self.reach_socket(call, line, out);
        } else if let Some(name) = wanted_conference(record) {
            self.enter_conference(call, line, &name, now, out);
        } else if record.stage == Stage::RingingFrom {
            let to = record.ends.to.strip_prefix("line:").unwrap_or_default().to_owned();
            self.ring_callee(call, &to, out, now);
        } else if record.stage == Stage::RingingTo {
            self.answered_elsewhere(call, line, out);
            let Some(record) = self.calls.get_mut(&call) else { return };
            let caller = record.legs.first_mut().filter(|leg| leg.line.is_some());
            let Some(caller) = caller else {
                record.stage = Stage::Entering;
                do_(out, call, Order::Established);
                return;
            };
            let caller_line = caller.line.clone().unwrap_or_default();
            if std::mem::take(&mut caller.unaccepted) {
                do_(out, call, Order::Accept { line: caller_line.clone() });
            }
            record.stage = Stage::Joining;
            do_(out, call, Order::Bridge { line: caller_line, peer: line.to_owned() });
            do_(out, call, Order::Established);
        }
    }

    pub(super) fn established(&mut self, call: CallNumber, now: Moment, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        if record.stage == Stage::Entering && record.keeper == Keeper::Entering {
            record.stage = Stage::Application;
            record.keeper = Keeper::Plan;
            self.tell(call, News::Entered, out);
            return;
        }
        record.stage = match record.stage {
            Stage::Joining => Stage::Talking,
            Stage::Entering => Stage::Application,
            Stage::Dialling if record.answered_at.is_none() => Stage::Dialling,
            _ => return,
        };
        record.answered_at.get_or_insert(Timestamp(now.wall));
        let sat = record.seat.is_some() && record.stage == Stage::Application;
        self.tell(call, News::Connected, out);
        if sat {
            self.tell(call, News::JoinedConference, out);
        }
    }

    /// The caller of `call` wants `target`; `None` is a number nobody has.
    pub(super) fn route(
        &mut self,
        call: CallNumber,
        caller: &str,
        target: Option<Target>,
        out: &mut Vec<Action>,
        now: Moment,
    ) {
        match target {
            None => self.callee_failed(call, Cause::UnallocatedNumber, None, now, out),
            Some(Target::Line(line)) => self.ring_callee(call, &line, out, now),
            Some(Target::Trunk(name)) => self.call_out(call, caller, &name, out, now),
            Some(Target::Group(lines)) => self.ring_group(call, &lines, out, now),
            Some(Target::Echo) => {
                self.accept(call, caller, out);
                let Some(record) = self.calls.get_mut(&call) else { return };
                "app:echo".clone_into(&mut record.ends.to);
                record.legs.push(LegRecord::application("echo"));
                record.stage = Stage::Entering;
                do_(out, call, Order::Tone { line: caller.to_owned(), tone: None });
                do_(out, call, Order::Echo { line: caller.to_owned() });
                do_(out, call, Order::Established);
            }
            Some(Target::Application(name)) => self.enter(call, caller, &name, out, now),
            Some(Target::Socket(url)) => self.enter_socket(call, caller, url, out),
            Some(Target::Conference(name)) => {
                self.enter_conference(call, caller, &name, now, out);
            }
            Some(Target::Plan(context)) => self.enter_plan(call, caller, &context, out),
            Some(Target::DialTone) => {
                self.accept(call, caller, out);
                let Some(record) = self.calls.get_mut(&call) else { return };
                "app:dial_tone".clone_into(&mut record.ends.to);
                record.stage = Stage::Dialling;
                let tone = Some(ProgressTone::Dial);
                do_(out, call, Order::Tone { line: caller.to_owned(), tone });
                do_(out, call, Order::Established);
                if let Some(info) = self.lines.get_mut(caller) {
                    info.dialled = Some(Dialled::default());
                }
            }
        }
    }

    pub(super) fn accept(&mut self, call: CallNumber, caller: &str, out: &mut Vec<Action>) {
        let leg = self.calls.get_mut(&call).and_then(|record| record.leg(caller));
        if leg.is_some_and(|leg| std::mem::take(&mut leg.unaccepted)) {
            do_(out, call, Order::Accept { line: caller.to_owned() });
        }
    }

    /// Rings the line that the caller of `call` wants.
    pub(super) fn ring_callee(
        &mut self,
        call: CallNumber,
        to: &str,
        out: &mut Vec<Action>,
        now: Moment,
    ) {
        if self.diverts(call, to, None, now, out) {
            return;
        }
        if self.knocks(call, to, now, out) {
            return self.caller_hears_ringing(call, out);
        }
        let cause = self.check_free(to).err().map(Busy::cause);
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.ends.to = format!("line:{to}");
        if let Some(cause) = cause {
            if self.diverts(call, to, Some(cause), now, out) {
                return;
            }
            self.callee_failed(call, cause, None, now, out);
            return;
        }
        self.rings(call, to, out);
    }

    /// The line rings for `call`, whose caller hears that.
    pub(super) fn rings(&mut self, call: CallNumber, to: &str, out: &mut Vec<Action>) {
        self.rings_by(call, to, None, out);
    }

    /// The same, by a trunk's line that calls `number`.
    pub(super) fn rings_by(
        &mut self,
        call: CallNumber,
        to: &str,
        number: Option<String>,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.stage = Stage::RingingTo;
        // It may have been in the call before.
        record.legs.retain(|leg| leg.line.as_deref() != Some(to));
        record.legs.push(LegRecord { number, ..LegRecord::line(to, LegState::Ringing) });
        if let Some(info) = self.lines.get_mut(to) {
            info.call = Some(call);
        }
        self.caller_hears_ringing(call, out);
        self.ring_line(call, to, out);
    }

    pub(super) fn caller_hears_ringing(&self, call: CallNumber, out: &mut Vec<Action>) {
        let caller = self.calls.get(&call).and_then(|record| record.legs.first());
        match caller.and_then(|leg| Some((leg.line.clone()?, leg.unaccepted))) {
            Some((line, true)) => do_(out, call, Order::Alert { line }),
            Some((line, false)) => {
                do_(out, call, Order::Tone { line, tone: Some(ProgressTone::Ringback) });
            }
            None => {}
        }
    }

    pub(super) fn ring_line(&mut self, call: CallNumber, line: &str, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get(&call) else { return };
        let leg = record.legs.iter().find(|leg| leg.line.as_deref() == Some(line));
        let ring = Order::Ring {
            line: line.to_owned(),
            number: leg.and_then(|leg| leg.number.clone()),
            caller: record.caller_id.clone(),
            timeout_ms: self.rings_for_ms(call, line, record.ring_timeout_ms),
            cadence_ms: record.cadence_ms.clone(),
        };
        do_(out, call, ring);
        do_(out, call, Order::Tag { line: line.to_owned() });
        // A SIP phone says itself when it rings.
        if self.lines.get(line).is_some_and(|info| !info.sip) {
            self.tell(call, News::Ringing, out);
        }
    }

    pub(super) fn tell(
        &self,
        call: CallNumber,
        news: fn(Arc<CallRecord>) -> News,
        out: &mut Vec<Action>,
    ) {
        if let Some(record) = self.calls.get(&call) {
            out.push(Action::Tell(news(Arc::new(record.clone()))));
        }
    }
}

/// Where the one who rings first shall sit down.
fn wanted_conference(record: &CallRecord) -> Option<String> {
    let rings = record.stage == Stage::RingingFrom;
    record.ends.to.strip_prefix("conference:").filter(|_| rings).map(str::to_owned)
}

pub(super) fn do_(out: &mut Vec<Action>, call: CallNumber, order: Order) {
    out.push(Action::Do { call, order });
}
