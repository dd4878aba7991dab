//! Conferences: lines that each are in a call of their own, and talk with one another. One lasts as long
//! as somebody sits there; who sits where stands in the calls, and so outlives apid.

use super::action::{Action, News, Order};
use super::kept::Keeper;
use super::record::{CallNumber, CallRecord, LegRecord, Moment, Stage};
use super::settings::{Busy, RingOrder};
use super::switch::{Switch, do_};
use super::take::Others;
use super::{Cause, Target};
use crate::view::{LegState, Timestamp};
use serde::{Deserialize, Serialize};

/// Longest name of a conference, octets.
const NAME_MAX: usize = 64;

/// Who hears somebody who sits in a conference; all of them hear it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Everybody else.
    #[default]
    Speaks,
    /// Nobody: it listens in.
    Listens,
    /// Only that line.
    Whispers(String),
}

/// Where a line sits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Name of the conference.
    pub name: String,
    /// The engine's number of it.
    pub number: u16,
    /// Who hears the line.
    pub role: Role,
    /// Nobody does, for now.
    pub muted: bool,
    /// Since then.
    pub joined_at: Timestamp,
}

impl Switch {
    /// Whether a conference may be called so: 1 to 64 of `A-Z a-z 0-9 _ . -`.
    pub fn is_conference(name: &str) -> bool {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        (1..=NAME_MAX).contains(&name.len()) && name.chars().all(fits)
    }

    /// The calls of those who sit in a conference, or in any.
    pub fn sitting<'a>(&'a self, name: Option<&'a str>) -> impl Iterator<Item = &'a CallRecord> {
        let sits = move |record: &&CallRecord| {
            let seat = record.seat.as_ref().filter(|_| !record.is_over());
            seat.is_some_and(|seat| name.is_none_or(|name| name == seat.name))
        };
        self.calls.values().filter(sits)
    }

    /// A line sits down in a conference: one in a call leaves what it does, one that is lifted has a
    /// call from now on, any other one rings first.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn confer(
        &mut self,
        line: &str,
        name: &str,
        role: Role,
        ring: RingOrder,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Cause> {
        self.conference_number(name)?;
        if self.call_of(line).is_none() {
            return self.place_to_conference(line, name, role, ring, now);
        }
        let mut out = Vec::new();
        let call = self.take_line(line, Others::Left, now, &mut out)?;
        if let Some(record) = self.calls.get_mut(&call) {
            record.wants_role = role;
        }
        out.extend(self.hand_on(call, Target::Conference(name.to_owned()), now)?);
        Ok((call, out))
    }

    /// A plan's line sits down in a conference; the plan has it back by [`News::DialOver`].
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub fn confer_kept(
        &mut self,
        call: CallNumber,
        name: &str,
        role: Role,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        self.conference_number(name)?;
        let line = self.kept_line(call)?;
        let mut out = Vec::new();
        if let Some(record) = self.calls.get_mut(&call) {
            record.wants_role = role;
        }
        self.enter_conference(call, &line, name, now, &mut out);
        Ok(out)
    }

    /// A line leaves its conference: a plan has it back, any other call is over.
    ///
    /// # Errors
    /// It sits in none of that name.
    pub fn leave_conference(
        &mut self,
        line: &str,
        name: &str,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        let call = self.call_of(line).ok_or(Cause::CallRejected)?;
        let sits = self.sitting(Some(name)).any(|record| record.number == call);
        if !sits {
            return Err(Cause::CallRejected);
        }
        let mut out = Vec::new();
        if self.calls.get(&call).is_some_and(|record| record.keeper == Keeper::Plan) {
            self.stand_up(call, &mut out);
            self.back_to_plan(call, Cause::NormalClearing, &mut out);
        } else {
            self.end(call, Cause::NormalClearing, None, now, &mut out);
        }
        Ok(out)
    }

    /// A plan's line leaves its conference; the plan has it back by [`News::DialOver`].
    ///
    /// # Errors
    /// It sits in none.
    pub fn kept_leaves_conference(
        &mut self,
        call: CallNumber,
        now: Moment,
    ) -> Result<Vec<Action>, Cause> {
        let line = self.kept_line(call)?;
        let record = self.calls.get(&call).and_then(|record| record.seat.as_ref());
        let name = record.map(|seat| seat.name.clone()).ok_or(Cause::CallRejected)?;
        self.leave_conference(&line, &name, now)
    }

    /// Notes that nobody hears a line in its conference, or that they do again; the engine has done it
    /// already.
    pub fn note_muted(&mut self, line: &str, muted: bool) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(call) = self.call_of(line) else { return out };
        let Some(record) = self.calls.get_mut(&call) else { return out };
        let Some(seat) = &mut record.seat else { return out };
        if std::mem::replace(&mut seat.muted, muted) != muted {
            self.tell(call, News::MutedInConference, &mut out);
        }
        out
    }

    /// The caller sits down, answered if it was not.
    pub(super) fn enter_conference(
        &mut self,
        call: CallNumber,
        caller: &str,
        name: &str,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let number = match self.conference_number(name) {
            Ok(number) => number,
            Err(cause) => return self.callee_failed(call, cause, None, now, out),
        };
        self.accept(call, caller, out);
        let Some(record) = self.calls.get_mut(&call) else { return };
        let address = format!("conference:{name}");
        record.ends.to.clone_from(&address);
        record.legs.retain(|leg| leg.line.is_some());
        record.legs.push(LegRecord { address, ..LegRecord::application("") });
        record.stage = Stage::Entering;
        let role = std::mem::take(&mut record.wants_role);
        let seat = Seat {
            name: name.to_owned(),
            number,
            role,
            muted: false,
            joined_at: Timestamp(now.wall),
        };
        record.seat = Some(seat.clone());
        do_(out, call, Order::Tone { line: caller.to_owned(), tone: None });
        do_(out, call, Order::Confer { line: caller.to_owned(), seat });
        do_(out, call, Order::Established);
    }

    /// Whoever sits leaves the conference and goes on otherwise.
    pub(super) fn stand_up(&mut self, call: CallNumber, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get(&call).filter(|record| record.seat.is_some()) else {
            return;
        };
        let line = record.lines().next().unwrap_or_default().to_owned();
        self.tell(call, News::LeftConference, out);
        let muted = record.seat.as_ref().is_some_and(|seat| seat.muted);
        if muted {
            do_(out, call, Order::Unmute { line: line.clone() });
        }
        do_(out, call, Order::Part { line });
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.seat = None;
        "app:plan".clone_into(&mut record.ends.to);
        for leg in record.legs.iter_mut().filter(|leg| leg.line.is_none()) {
            "app:plan".clone_into(&mut leg.address);
        }
    }

    fn place_to_conference(
        &mut self,
        line: &str,
        name: &str,
        role: Role,
        ring: RingOrder,
        now: Moment,
    ) -> Result<(CallNumber, Vec<Action>), Cause> {
        let refused = |busy| match busy {
            Busy::Line(_) => Cause::UserBusy,
            Busy::Absent => Cause::SubscriberAbsent,
            Busy::Full => Cause::ResourceUnavailable,
        };
        let lifted = self.check_caller(line).map_err(refused)?;
        let to = format!("conference:{name}");
        let ends = super::Ends { from: format!("line:{line}"), to };
        let state = if lifted { LegState::Connected } else { LegState::Ringing };
        let legs = vec![LegRecord::line(line, state)];
        let call = self.begin(ends, legs, Stage::RingingFrom, ring, now).map_err(refused)?;
        if let Some(record) = self.calls.get_mut(&call) {
            record.wants_role = role;
        }
        let mut out = Vec::new();
        self.tell(call, News::Started, &mut out);
        if lifted {
            do_(&mut out, call, Order::Tag { line: line.to_owned() });
            self.enter_conference(call, line, name, now, &mut out);
        } else {
            self.ring_line(call, line, &mut out);
        }
        Ok((call, out))
    }

    /// The engine's number of a conference in which there is a seat; a new one has one of its own.
    pub(super) fn conference_number(&self, name: &str) -> Result<u16, Cause> {
        let members = self.sitting(Some(name)).count();
        if members >= self.config.conference_members {
            return Err(Cause::UserBusy);
        }
        if let Some(seat) = self.sitting(Some(name)).find_map(|record| record.seat.as_ref()) {
            return Ok(seat.number);
        }
        // Of those that are being cleared somebody may still sit there.
        let taken: Vec<u16> =
            self.calls.values().filter_map(|record| Some(record.seat.as_ref()?.number)).collect();
        let free = (0..self.config.conferences).find(|number| !taken.contains(number));
        free.ok_or(Cause::ResourceUnavailable)
    }
}
