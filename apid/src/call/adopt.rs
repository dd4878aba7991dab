//! A new apid finds what an earlier one had begun: its journal says which calls there were, the
//! engine's line table which lines still carry their numbers.

use super::Cause;
use super::action::{Action, News, Order};
use super::kept::Keeper;
use super::record::{CallNumber, CallRecord, Moment, Stage};
use super::switch::{Switch, do_};
use crate::view::{LegState, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use tipring_shm_proto::command::{LineState, Phase};

/// What the engine and signalling say of a line now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineNow {
    /// Which.
    pub line: String,
    /// State.
    pub state: LineState,
    /// Phase, when off hook.
    pub phase: Option<Phase>,
    /// The call it was tagged with; 0 is none.
    pub tag: u64,
    /// It is bridged, or sits in a conference.
    pub bridged: bool,
    /// Signalling has a dialog for it; true for a line that needs none.
    pub dialog: bool,
}

impl Switch {
    /// Takes over what is there. `records` is the journal, empty when the engine is another one
    /// than it was written for, or when this apid knows better.
    pub fn adopt(
        &mut self,
        records: Vec<CallRecord>,
        same_engine: bool,
        lines: &[LineNow],
        now: Moment,
    ) -> Vec<Action> {
        let mut out = Vec::new();
        for line in lines {
            if let Some(info) = self.lines.get_mut(&line.line) {
                info.state = line.state;
            }
        }
        let by_id: HashMap<&str, &LineNow> =
            lines.iter().map(|line| (line.line.as_str(), line)).collect();
        for record in records {
            // One that was being cleared is over; its lines are found as nobody's below.
            if matches!(record.stage, Stage::Ending | Stage::Ended) {
                self.remember(record);
                continue;
            }
            self.adopt_call(record, same_engine, &by_id, now, &mut out);
        }
        for line in lines {
            self.adopt_idle(line, &mut out);
        }
        out
    }

    fn adopt_call(
        &mut self,
        record: CallRecord,
        same_engine: bool,
        lines: &HashMap<&str, &LineNow>,
        now: Moment,
        out: &mut Vec<Action>,
    ) {
        let number = record.number;
        let carries = |line: &str| {
            same_engine && lines.get(line).is_some_and(|now| now.tag == number.0 && now.dialog)
        };
        for leg in &record.legs {
            let Some(line) = leg.line.as_deref() else { continue };
            if leg.state == LegState::Ended && !carries(line) {
                continue;
            }
            if let Some(info) = self.lines.get_mut(line) {
                info.call = Some(number);
            }
        }
        let lost: Vec<String> = record
            .legs
            .iter()
            .filter(|leg| leg.state != LegState::Ended)
            .filter_map(|leg| leg.line.clone())
            .filter(|line| !carries(line))
            .collect();
        let (stage, legs) = (record.stage, record.legs.clone());
        self.calls.insert(number, record);
        if !same_engine {
            self.end(number, Cause::TemporaryFailure, None, now, out);
            return;
        }
        if let Some(line) = lost.first() {
            // Put down while nobody looked; or its dialog is lost, then it is dropped.
            let put_down = lines.get(line.as_str()).is_some_and(|now| now.tag != number.0);
            let gone = put_down.then_some(line.as_str());
            self.end(number, Cause::NormalClearing, gone, now, out);
            return;
        }
        let sits = self.calls.get(&number).and_then(|record| record.seat.clone());
        let talks = sits.is_some() || matches!(stage, Stage::Joining | Stage::Talking);
        let kept = self.calls.get_mut(&number).map(|record| std::mem::take(&mut record.keeper));
        if kept.is_some_and(|keeper| keeper != Keeper::Nobody) && !talks {
            // Where its plan was is nowhere written down.
            self.end(number, Cause::TemporaryFailure, None, now, out);
            return;
        }
        out.push(Action::Tell(News::Started(Arc::new(self.calls[&number].clone()))));
        for leg in legs.iter().filter(|leg| leg.state == LegState::Ringing) {
            let Some(line) = leg.line.as_deref() else { continue };
            match lines.get(line).map(|now| now.state) {
                Some(LineState::Ringing) => {}
                Some(LineState::OffHook) => self.leg_answered(number, line, now, out),
                _ => self.end(number, Cause::NoAnswer, Some(line), now, out),
            }
        }
        let bridged =
            legs.iter().filter_map(|leg| lines.get(leg.line.as_deref()?)).any(|line| line.bridged);
        self.knocks_again(number, now);
        match stage {
            Stage::Joining if !bridged => {
                let mut ends = legs.iter().filter_map(|leg| leg.line.clone());
                if let (Some(line), Some(peer)) = (ends.next(), ends.next()) {
                    do_(out, number, Order::Bridge { line, peer });
                    do_(out, number, Order::Established);
                }
            }
            // The socket went with the apid that had it: the application is dialled again.
            Stage::RingingTo | Stage::Entering | Stage::Application
                if self.calls.get(&number).is_some_and(|call| call.socket.is_some()) =>
            {
                self.reach_again(number, out);
            }
            Stage::Entering if !bridged && sits.is_some() => {
                if let (Some(seat), Some(line)) = (sits, legs.first().and_then(|l| l.line.clone()))
                {
                    do_(out, number, Order::Confer { line, seat });
                    do_(out, number, Order::Established);
                }
            }
            Stage::Joining | Stage::Entering => do_(out, number, Order::Established),
            Stage::Dialling => {
                if let Some(line) = legs.first().and_then(|leg| leg.line.as_deref()) {
                    self.start_dialling(line);
                }
            }
            Stage::Application if !bridged && sits.is_some() => {
                self.end(number, Cause::NormalClearing, None, now, out);
            }
            Stage::Talking if !bridged => {
                self.end(number, Cause::NormalClearing, None, now, out);
            }
            _ => {}
        }
        if let Some(record) = self.calls.get_mut(&number)
            && record.answered_at.is_none()
            && matches!(record.stage, Stage::Talking | Stage::Application)
        {
            record.answered_at = Some(Timestamp(now.wall));
        }
    }

    /// A line in no call: it dials, or is what an earlier apid left behind.
    fn adopt_idle(&mut self, now: &LineNow, out: &mut Vec<Action>) {
        let Some(info) = self.lines.get(&now.line) else { return };
        if info.call.is_some() {
            return;
        }
        let in_use = matches!(now.state, LineState::OffHook | LineState::Ringing);
        let dials = matches!(now.phase, Some(Phase::DialTone | Phase::Collecting));
        if in_use && (info.sip || now.tag != 0 || now.state == LineState::Ringing) {
            do_(out, CallNumber(0), Order::Reset { line: now.line.clone() });
        } else if in_use && dials {
            self.start_dialling(&now.line);
        }
    }
}
