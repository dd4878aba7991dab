//! Beside the call that an analog line is in: another one that knocks, or one whose other end waits with
//! music. A flash of the hook switch goes from one to the other, or makes one of both.
//!
//! | the line | a flash |
//! |---|---|
//! | talks, and somebody knocks | answers; whoever it talked with waits |
//! | talks, and somebody waits who knocked, or was left for one who did | changes over |
//! | talks, and nobody waits | gives dial tone; whoever it talked with waits |
//! | dials, hears ringing or why nobody can be had, and somebody waits | goes back |
//! | talks with the one it called so | all three talk with each other |
//! | talks with two | the one called last is hung up on |
//!
//! Whoever puts the handset down while somebody knocks or waits is rung. When the one it talks with hangs
//! up, the line talks with the one who waits again.

use super::action::{Action, News, Order};
use super::dial_plan::Target;
use super::record::{CallNumber, CallRecord, LegRecord, Moment, Stage};
use super::switch::{Switch, do_};
use super::take::Others;
use super::{Cause, Keeper};
use crate::view::LegState;
use serde::{Deserialize, Serialize};
use tipring_shm_proto::command::LineState;

/// Members of a conference of three.
const THREE: usize = 3;

/// Of a call that waits for a line which is in another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// For which.
    line: String,
    how: How,
}

/// How a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    /// It is not answered yet.
    Knocks,
    /// It was left for one that knocked, or is that one.
    Left,
    /// It was left to call a third one.
    Asks,
}

/// Of the call of one who has made three talk with each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreeWay {
    /// The call of the one called last.
    last: CallNumber,
}

impl CallRecord {
    /// The one who is left in it waits.
    pub(super) fn is_held_aside(&self) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.how != How::Knocks)
    }

    fn knocks_at(&self) -> Option<&str> {
        let beside = self.beside.as_ref().filter(|_| !self.is_over());
        beside.filter(|beside| beside.how == How::Knocks).map(|beside| beside.line.as_str())
    }
}

impl Switch {
    /// Has the call wait for a line that talks; `false`: the line takes no such calls, or not now.
    pub(super) fn knocks(
        &mut self,
        call: CallNumber,
        line: &str,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> bool {
        if !self.can_knock(line) {
            return false;
        }
        let Some(record) = self.calls.get_mut(&call) else { return false };
        record.ends.to = format!("line:{line}");
        record.stage = Stage::RingingTo;
        record.beside = Some(Beside { line: line.to_owned(), how: How::Knocks });
        let (rings_for_ms, caller) = (record.ring_timeout_ms, record.caller_id.clone());
        let until_ms = now.ms + u64::from(self.rings_for_ms(call, line, rings_for_ms));
        if let Some(info) = self.lines.get_mut(line) {
            info.knocks_until_ms = Some(until_ms);
        }
        do_(out, call, Order::CallWaiting { line: line.to_owned(), caller });
        self.tell(call, News::Ringing, out);
        true
    }

    /// A call that another apid had knocks on.
    pub(super) fn knocks_again(&mut self, call: CallNumber, now: Moment) {
        let Some(record) = self.calls.get(&call) else { return };
        let until_ms = now.ms + u64::from(record.ring_timeout_ms);
        let line = record.knocks_at().map(str::to_owned);
        if let Some(info) = line.and_then(|line| self.lines.get_mut(&line)) {
            info.knocks_until_ms = Some(until_ms);
        }
    }

    /// The call is over, or goes elsewhere: whoever it knocked at hears no more of it.
    pub(super) fn knocks_no_more(&mut self, call: CallNumber, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let Some(line) = record.knocks_at().map(str::to_owned) else { return };
        record.beside = None;
        if let Some(info) = self.lines.get_mut(&line) {
            info.knocks_until_ms = None;
        }
        // Else it hears a tone of its own.
        if self.talks(&line).is_some() {
            do_(out, call, Order::Tone { line, tone: None });
        }
    }

    /// Nobody has answered those that have knocked long enough.
    pub(super) fn give_up_knocking(&mut self, now: Moment, out: &mut Vec<Action>) {
        let due: Vec<CallNumber> = self
            .calls
            .values()
            .filter(|record| {
                let info = record.knocks_at().and_then(|line| self.lines.get(line));
                info.and_then(|info| info.knocks_until_ms).is_some_and(|until| until <= now.ms)
            })
            .map(|record| record.number)
            .collect();
        for call in due {
            let record = self.calls.get(&call);
            let Some(line) = record.and_then(CallRecord::knocks_at).map(str::to_owned) else {
                continue;
            };
            self.knocks_no_more(call, out);
            let kept = self.calls.get(&call).is_some_and(|call| call.keeper != Keeper::Nobody);
            if kept || !self.diverts(call, &line, Some(Cause::NoAnswer), now, out) {
                self.callee_failed(call, Cause::NoAnswer, None, now, out);
            }
        }
    }

    /// The hook switch of a line was pressed for a moment.
    pub(super) fn flashed(&mut self, line: &str, now: Moment, out: &mut Vec<Action>) {
        let beside = self.beside(line);
        let talks = self.talks(line);
        match (talks, beside) {
            (Some(call), Some((waits, How::Knocks))) => {
                self.set_aside(call, line, How::Left, out);
                self.answers_knock(waits, line, now, out);
            }
            (Some(call), Some((waits, How::Left))) => self.changes_over(call, waits, line, out),
            (Some(call), Some((waits, How::Asks))) => {
                if !self.joins_three(call, waits, line, now, out) {
                    self.changes_over(call, waits, line, out);
                }
            }
            (Some(call), None) if self.services(line).three_way => {
                self.asks_third(call, line, now, out);
            }
            (None, Some((waits, How::Knocks))) if self.is_free(line) => {
                self.answers_knock(waits, line, now, out);
            }
            (None, Some((waits, How::Left | How::Asks))) => {
                self.leaves(line, now, out);
                self.rejoins(waits, line, out);
            }
            (None, None) => self.drops_last(line, now, out),
            (Some(_), None) | (None, Some(_)) => {}
        }
    }

    /// A line is down and in no call, or out of order: it rings for the one who knocks or waits.
    pub(super) fn rings_back(&mut self, line: &str, now: Moment, out: &mut Vec<Action>) {
        let Some((call, how)) = self.beside(line) else { return };
        let free = |info: &&mut super::switch::LineInfo| {
            info.call.is_none() && info.state != LineState::OffHook
        };
        let Some(info) = self.lines.get_mut(line).filter(free) else { return };
        info.knocks_until_ms = None;
        let state = info.state;
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.beside = None;
        if state != LineState::OnHook {
            self.callee_failed(call, Cause::DestinationOutOfOrder, None, now, out);
            return;
        }
        if how != How::Knocks {
            let other = record.lines().next().unwrap_or_default().to_owned();
            for leg in record.legs.iter_mut().filter(|leg| leg.state == LegState::Held) {
                leg.state = LegState::Connected;
            }
            let caller_id = self.default_ring(&other).caller;
            if let Some(record) = self.calls.get_mut(&call) {
                record.caller_id = caller_id;
            }
        }
        self.rings(call, line, out);
    }

    /// The one left in `call` would be hung up on, but somebody waits for it: it leaves the call for
    /// that one.
    pub(super) fn leaves_for_held(
        &mut self,
        call: CallNumber,
        gone: Option<&str>,
    ) -> Option<(CallNumber, String)> {
        let record = self.calls.get(&call).filter(|record| record.stage == Stage::Talking)?;
        let stays = record.lines().filter(|line| gone != Some(line)).find_map(|line| {
            let lifted = self.lines.get(line)?.state == LineState::OffHook;
            let (held, how) = self.beside(line).filter(|_| lifted)?;
            (how != How::Knocks).then(|| (held, line.to_owned()))
        });
        let (held, line) = stays?;
        self.calls.get_mut(&call)?.leg(&line)?.state = LegState::Ended;
        self.release_callee(call);
        Some((held, line))
    }

    /// A call of three is over when the one who made it leaves, or nobody else is left in it.
    pub(super) fn three_way_shrinks(
        &mut self,
        ended: CallNumber,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.calls.get(&ended) else { return };
        let Some(name) = record.seat.as_ref().map(|seat| seat.name.clone()) else { return };
        let others: Vec<&CallRecord> = self.sitting(Some(&name)).collect();
        let ends =
            record.three_way.is_some() || matches!(others[..], [last] if last.three_way.is_some());
        if ends {
            for call in others.iter().map(|other| other.number).collect::<Vec<_>>() {
                self.end(call, Cause::NormalClearing, None, now, out);
            }
        }
    }

    /// The call that waits for a line.
    fn beside(&self, line: &str) -> Option<(CallNumber, How)> {
        self.calls.values().filter(|record| !record.is_over()).find_map(|record| {
            let beside = record.beside.as_ref().filter(|beside| beside.line == line)?;
            Some((record.number, beside.how))
        })
    }

    /// The call in which it talks with another line.
    fn talks(&self, line: &str) -> Option<CallNumber> {
        self.partner(line).ok().map(|(call, _)| call)
    }

    /// In no call, or in one that is over.
    fn is_free(&self, line: &str) -> bool {
        let call = self.call_of(line).and_then(|call| self.calls.get(&call));
        call.is_none_or(CallRecord::is_over)
    }

    /// It talks, and takes another call beside that.
    pub(super) fn can_knock(&self, line: &str) -> bool {
        self.services(line).call_waiting
            && !self.do_not_disturb(line)
            && self.talks(line).is_some()
            && self.beside(line).is_none()
    }

    /// The line leaves a call in which it talks; the other one waits there.
    fn set_aside(&mut self, call: CallNumber, line: &str, how: How, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        let first = record.legs.first().and_then(|leg| leg.line.as_deref()) == Some(line);
        if let Some(leg) = record.leg(line) {
            leg.state = LegState::Ended;
        }
        self.waits_alone(call, out);
        if first {
            self.plan_leaves(call, out);
        }
        self.waits_for(call, line, how, out);
    }

    /// The only line of `call` waits for another one.
    fn waits_for(&mut self, call: CallNumber, line: &str, how: How, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.beside = Some(Beside { line: line.to_owned(), how });
        record.ends.to = format!("line:{line}");
        record.legs.retain(|leg| leg.line.is_some());
        for leg in record.legs.iter_mut().filter(|leg| leg.state == LegState::Connected) {
            leg.state = LegState::Held;
        }
        self.tell(call, News::Held, out);
    }

    /// The line, in no call now, talks with the one who knocks.
    fn answers_knock(&mut self, call: CallNumber, line: &str, now: Moment, out: &mut Vec<Action>) {
        let Some(record) = self.calls.get_mut(&call) else { return };
        record.beside = None;
        record.legs.insert(record.legs.len().min(1), LegRecord::line(line, LegState::Connected));
        if let Some(info) = self.lines.get_mut(line) {
            (info.call, info.knocks_until_ms) = (Some(call), None);
        }
        do_(out, call, Order::Part { line: line.to_owned() });
        do_(out, call, Order::Tag { line: line.to_owned() });
        self.leg_answered(call, line, now, out);
    }

    /// The line talks with the one who waits, and the other one waits.
    fn changes_over(
        &mut self,
        call: CallNumber,
        waits: CallNumber,
        line: &str,
        out: &mut Vec<Action>,
    ) {
        self.set_aside(call, line, How::Left, out);
        self.rejoins(waits, line, out);
    }

    /// The line, in no call now, talks with the one who waits again.
    pub(super) fn rejoins(&mut self, held: CallNumber, line: &str, out: &mut Vec<Action>) {
        let Ok(other) = self.held_by_application(held) else { return };
        let Some(record) = self.calls.get_mut(&held) else { return };
        record.beside = None;
        for leg in &mut record.legs {
            let stays = leg.line.as_ref() == Some(&other);
            leg.state = if stays { LegState::Connected } else { LegState::Ended };
        }
        record.legs.retain(|leg| leg.line.as_deref() != Some(line));
        record.legs.insert(1, LegRecord::line(line, LegState::Connected));
        record.stage = Stage::Joining;
        if let Some(info) = self.lines.get_mut(line) {
            (info.call, info.dialled) = (Some(held), None);
        }
        do_(out, held, Order::EndEcho { line: line.to_owned() });
        for line in [line, &other] {
            do_(out, held, Order::Part { line: line.to_owned() });
        }
        do_(out, held, Order::Tag { line: line.to_owned() });
        do_(out, held, Order::Bridge { line: other, peer: line.to_owned() });
        do_(out, held, Order::Established);
    }

    /// The line hears dial tone, to call a third one.
    fn asks_third(&mut self, waits: CallNumber, line: &str, now: Moment, out: &mut Vec<Action>) {
        let Ok(call) = self.move_line(waits, line, Others::Stay, now, out) else { return };
        self.waits_for(waits, line, How::Asks, out);
        if let Ok(actions) = self.hand_on(call, Target::DialTone, now) {
            out.extend(actions);
        }
    }

    /// The line leaves whatever it does, short of talking.
    fn leaves(&mut self, line: &str, now: Moment, out: &mut Vec<Action>) {
        let Some(call) = self.call_of(line) else { return };
        if let Some(leg) = self.calls.get_mut(&call).and_then(|record| record.leg(line)) {
            leg.state = LegState::Ended;
        }
        self.release_callee(call);
        self.plan_leaves(call, out);
        self.end(call, Cause::NormalClearing, None, now, out);
    }

    /// All three talk with each other; `false`: there is no room for that.
    fn joins_three(
        &mut self,
        call: CallNumber,
        waits: CallNumber,
        line: &str,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> bool {
        let name = format!("three-way-{call}");
        let room = self.conference_number(&name).is_ok() && self.config.conference_members >= THREE;
        let Ok((_, third)) = self.partner(line) else { return false };
        if !room {
            return false;
        }
        let Ok(last) = self.move_line(call, &third, Others::Stay, now, out) else { return false };
        if let Some(record) = self.calls.get_mut(&waits) {
            record.beside = None;
        }
        for member in [call, last, waits] {
            if let Ok(actions) = self.hand_on(member, Target::Conference(name.clone()), now) {
                out.extend(actions);
            }
        }
        if let Some(record) = self.calls.get_mut(&call) {
            record.three_way = Some(ThreeWay { last });
        }
        true
    }

    /// Hangs up on the one called last, of three.
    fn drops_last(&mut self, line: &str, now: Moment, out: &mut Vec<Action>) {
        let record = self.call_of(line).and_then(|call| self.calls.get(&call));
        let three = record.filter(|record| record.seat.is_some() && !record.is_over());
        if let Some(three) = three.and_then(|record| record.three_way.clone()) {
            self.end(three.last, Cause::NormalClearing, None, now, out);
        }
    }
}
