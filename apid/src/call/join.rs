//! An application hands on what it holds: to a number, or to the line of another call that an
//! application holds.

use super::Cause;
use super::action::{Action, Order};
use super::dial_plan::Target;
use super::record::{CallNumber, LegRecord, Moment, SocketEnd, Stage};
use super::switch::{Switch, do_};
use crate::view::LegState;

impl Switch {
    /// Joins the lines of two calls that each have one line; the second call is over then.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn bridge(
        &mut self,
        call: CallNumber,
        with: CallNumber,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        let (first, second) = (self.held_by_application(call)?, self.held_by_application(with)?);
        if call == with {
            return Err(Cause::CallRejected);
        }
        let mut out = Vec::new();
        // Its line goes on in the first call: nothing of it is to be dropped.
        if let Some(record) = self.calls.get_mut(&with) {
            record.legs.iter_mut().for_each(|leg| leg.state = LegState::Ended);
        }
        if let Some(info) = self.lines.get_mut(&second) {
            info.call = Some(call);
            info.dialled = None;
        }
        self.plan_leaves(with, &mut out);
        self.plan_leaves(call, &mut out);
        self.end(with, Cause::NormalClearing, None, now, &mut out);
        self.application_leaves(call, &first, &mut out);
        do_(&mut out, call, Order::EndEcho { line: second.clone() });
        if let Some(record) = self.calls.get_mut(&call) {
            record.legs.insert(1, LegRecord::line(&second, LegState::Connected));
            record.ends.to = format!("line:{second}");
            record.stage = Stage::Joining;
        }
        // One that has just left a bridge may be parted by another call's orders, or not yet.
        for line in [&first, &second] {
            do_(&mut out, call, Order::Part { line: line.clone() });
        }
        do_(&mut out, call, Order::Tag { line: second.clone() });
        do_(&mut out, call, Order::Bridge { line: first, peer: second });
        do_(&mut out, call, Order::Established);
        Ok(out)
    }

    /// The line of a call that an application holds reaches `target` instead.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn hand_on(
        &mut self,
        call: CallNumber,
        target: Target,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        let line = self.held_by_application(call)?;
        self.check_target(Some(&target))?;
        let mut out = Vec::new();
        self.plan_leaves(call, &mut out);
        self.application_leaves(call, &line, &mut out);
        do_(&mut out, call, Order::Tone { line: line.clone(), tone: None });
        self.route(call, &line, Some(target), &mut out, now);
        Ok(out)
    }

    /// As [`Switch::hand_on`], by a number: a dial plan that has it begins there.
    ///
    /// # Errors
    /// As that.
    pub fn hand_on_to(
        &mut self,
        call: CallNumber,
        number: &str,
        target: Target,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        self.held_by_application(call)?;
        self.check_target(Some(&target))?;
        if let Some(record) = self.calls.get_mut(&call) {
            record.ends.to = format!("number:{number}");
        }
        self.hand_on(call, target, now)
    }

    /// The line of a call that an application holds reaches the application at `socket` instead.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn hand_to_socket(
        &mut self,
        call: CallNumber,
        socket: SocketEnd,
    ) -> Result<Vec<Action>, Cause> {
        let line = self.held_by_application(call)?;
        let mut out = Vec::new();
        self.application_leaves(call, &line, &mut out);
        if let Some(record) = self.calls.get_mut(&call) {
            record.ends.to = socket.address();
            record.socket = Some(socket);
        }
        self.reach_socket(call, &line, &mut out);
        Ok(out)
    }

    /// The only line of a call in which no other takes part.
    pub(super) fn held_by_application(&self, call: CallNumber) -> Result<String, Cause> {
        let record = self.calls.get(&call).ok_or(Cause::CallRejected)?;
        // One behind a socket has joined already while it enters.
        let joined = record.stage == Stage::Entering && record.socket.is_some();
        let holds = joined
            || matches!(record.stage, Stage::Application | Stage::Dialling | Stage::HearsTone);
        let mut lines = record.legs.iter().filter(|leg| {
            leg.line.is_some() && matches!(leg.state, LegState::Connected | LegState::Held)
        });
        match (holds, lines.next(), lines.next()) {
            (true, Some(leg), None) => leg.line.clone().ok_or(Cause::CallRejected),
            _ => Err(Cause::CallRejected),
        }
    }

    /// The line comes first from now on, and dials nothing.
    pub(super) fn application_leaves(
        &mut self,
        call: CallNumber,
        line: &str,
        out: &mut Vec<Action>,
    ) {
        self.stand_up(call, out);
        do_(out, call, Order::EndEcho { line: line.to_owned() });
        if let Some(info) = self.lines.get_mut(line) {
            info.dialled = None;
        }
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.cause = None;
        if record.socket.take().is_some() {
            let cause = Cause::NormalClearing;
            do_(out, call, Order::EndApplication { cause, by_phone: false });
        }
        record.ends.from = format!("line:{line}");
        for leg in &mut record.legs {
            let stays = leg.line.as_deref() == Some(line);
            leg.state = if stays { LegState::Connected } else { LegState::Ended };
        }
        record.legs.sort_by_key(|leg| leg.state == LegState::Ended);
    }
}
