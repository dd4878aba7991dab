//! A line and an application: one that is told by events, or one behind a socket that is dialled.

use super::Cause;
use super::action::{Action, News, Order};
use super::record::{CallNumber, Ends, LegRecord, Moment, SocketEnd, Stage};
use super::settings::{Busy, RingOrder};
use super::switch::{Switch, do_};
use crate::view::LegState;
use tipring_shm_proto::command::ProgressTone;

impl Switch {
    /// A call from a line, which rings first unless it is lifted and in no call, to an application
    /// behind a socket.
    ///
    /// # Errors
    /// [`Busy`]; nothing was changed.
    pub fn place_to_socket(
        &mut self,
        from: &str,
        socket: SocketEnd,
        ring: RingOrder,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Busy> {
        let lifted = self.check_caller(from)?;
        let ends = Ends { from: format!("line:{from}"), to: socket.address() };
        let state = if lifted { LegState::Connected } else { LegState::Ringing };
        let legs = vec![LegRecord::line(from, state)];
        let call = self.begin(ends, legs, Stage::RingingFrom, ring, now)?;
        if let Some(record) = self.calls.get_mut(&call) {
            record.socket = Some(socket);
        }
        let mut out = Vec::new();
        self.tell(call, News::Started, &mut out);
        if lifted {
            do_(&mut out, call, Order::Tag { line: from.to_owned() });
            self.reach_socket(call, from, &mut out);
        } else {
            self.ring_line(call, from, &mut out);
        }
        Ok((call, out))
    }

    /// A call from apid to a line that shall hear something: one that is lifted and in no call has it
    /// at once, any other rings first.
    ///
    /// # Errors
    /// [`Busy`]; nothing was changed.
    pub fn listen(
        &mut self,
        line: &str,
        ring: RingOrder,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Busy> {
        if !self.check_caller(line)? {
            return self.ring(line, ring, now);
        }
        let actions = self.answer(line, now)?;
        Ok((self.call_of(line).ok_or(Busy::Absent)?, actions))
    }

    /// The caller belongs to an application that is told by events.
    pub(super) fn enter_application(
        &mut self,
        call: CallNumber,
        caller: &str,
        name: &str,
        out: &mut Vec<Action>,
    ) {
        self.accept(call, caller, out);
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.ends.to = format!("app:{name}");
        record.legs.push(LegRecord::application(name));
        record.stage = Stage::Entering;
        do_(out, call, Order::Tone { line: caller.to_owned(), tone: None });
        do_(out, call, Order::Established);
    }

    /// The application at `url` is to be dialled for the caller.
    pub(super) fn enter_socket(
        &mut self,
        call: CallNumber,
        caller: &str,
        url: String,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let dialled = record.ends.to.strip_prefix("number:").unwrap_or_default().to_owned();
        let owner = SocketEnd::account(&url);
        let socket = SocketEnd { url, dialled, owner };
        record.ends.to = socket.address();
        record.socket = Some(socket);
        self.reach_socket(call, caller, out);
    }

    /// Dials the call's application; the caller hears ringing until it has joined.
    pub(super) fn reach_socket(&mut self, call: CallNumber, caller: &str, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let Some(socket) = &record.socket else { return };
        let mut leg = LegRecord::application("");
        leg.address = socket.address();
        leg.state = LegState::Ringing;
        record.legs.push(leg);
        record.stage = Stage::RingingTo;
        let waits = record.leg(caller).is_some_and(|leg| leg.unaccepted);
        let line = caller.to_owned();
        let order = if waits {
            Order::Alert { line }
        } else {
            Order::Tone { line, tone: Some(ProgressTone::Ringback) }
        };
        do_(out, call, order);
        self.order_application(call, out);
        self.tell(call, News::Ringing, out);
    }

    /// Dials the application of a call that is taken over anew.
    pub(super) fn reach_again(&mut self, call: CallNumber, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let Some(line) = record.lines().next().map(str::to_owned) else { return };
        record.legs.retain(|leg| leg.line.is_some());
        self.reach_socket(call, &line, out);
    }

    /// Has the application of a call dialled, with what it is to be told.
    pub(super) fn order_application(&self, call: CallNumber, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get(&call) else { return };
        let line = record.lines().next().map(str::to_owned);
        if let (Some(line), Some(socket)) = (line, record.socket.clone()) {
            let mut caller = record.caller_id.clone();
            if caller.number.is_empty() && caller.name.is_empty() {
                caller = self.default_ring(&line).caller;
            }
            do_(out, call, Order::Application { line, socket, caller });
        }
    }

    /// The application that was dialled takes the call.
    pub(super) fn application_joined(&mut self, call: CallNumber, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let Some(leg) = socket_leg(record).filter(|leg| leg.state == LegState::Ringing) else {
            return;
        };
        leg.state = LegState::Connected;
        record.stage = Stage::Entering;
        let Some(line) = record.lines().next().map(str::to_owned) else { return };
        self.accept(call, &line, out);
        do_(out, call, Order::Tone { line, tone: None });
        do_(out, call, Order::Established);
    }

    /// The application is gone: it hung up, could not be reached or broke off.
    pub(super) fn application_gone(
        &mut self,
        call: CallNumber,
        cause: Cause,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let Some(leg) = socket_leg(record) else { return };
        match std::mem::replace(&mut leg.state, LegState::Ended) {
            LegState::Ringing => self.callee_failed(call, cause, None, now, out),
            LegState::Connected | LegState::Held => self.end(call, cause, None, now, out),
            LegState::Idle | LegState::Ended => {}
        }
    }
}

/// The leg of the application behind a socket, unless the call is over or another took its place.
fn socket_leg(record: &mut super::CallRecord) -> Option<&mut LegRecord> {
    if record.socket.is_none() || record.is_over() {
        return None;
    }
    record.legs.iter_mut().find(|leg| leg.line.is_none() && leg.state != LegState::Ended)
}
