//! From digits to a number: when it is complete, and what is done then.

use super::action::{Action, News, Order};
use super::dial_plan::{Match, Target};
use super::record::{CallNumber, Ends, LegRecord, Moment, Stage};
use super::switch::{Dialled, LineInfo, Switch, do_};
use crate::view::LegState;
use tipring_shm_proto::command::ProgressTone;

/// Longest number that is collected.
const MAX_DIGITS: usize = 32;

impl Switch {
    /// When [`Switch::handle_time`] has something to do.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let dialled = |info: &LineInfo| info.dialled.as_ref()?.deadline_ms;
        self.lines.values().flat_map(|info| [dialled(info), info.knocks_until_ms]).flatten().min()
    }

    /// Numbers that are complete because no digit came, calls that have waited long enough.
    pub fn handle_time(&mut self, now: Moment) -> Vec<Action> {
        let mut out = Vec::new();
        let is_due = |info: &LineInfo| {
            let deadline = info.dialled.as_ref().and_then(|dialled| dialled.deadline_ms);
            deadline.is_some_and(|deadline| deadline <= now.ms)
        };
        let due: Vec<String> = self
            .lines
            .iter()
            .filter(|(_, info)| is_due(info))
            .map(|(line, _)| line.clone())
            .collect();
        for line in due {
            self.number_is_complete(&line, now, &mut out);
        }
        self.give_up_knocking(now, &mut out);
        out
    }

    pub(super) fn digit(&mut self, line: &str, digit: char, now: Moment, out: &mut Vec<Action>) {
        let inter_digit_ms = self.config.inter_digit_ms;
        let Some(info) = self.lines.get_mut(line) else { return };
        let Some(dialled) = &mut info.dialled else { return };
        if dialled.digits.len() < MAX_DIGITS {
            dialled.digits.push(digit);
        }
        dialled.deadline_ms = Some(now.ms + inter_digit_ms);
        let digits = dialled.digits.clone();
        match self.match_digits(line, &digits, now.wall) {
            Match::Incomplete | Match::MayGoOn(_) => {}
            Match::Complete(_) => self.number_is_complete(line, now, out),
            Match::Unknown => {
                // A final # says "that was all".
                let number = digits.strip_suffix('#').unwrap_or(&digits);
                if let Some(dialled) = self.lines.get_mut(line).and_then(|i| i.dialled.as_mut()) {
                    number.clone_into(&mut dialled.digits);
                }
                self.number_is_complete(line, now, out);
            }
        }
    }

    fn number_is_complete(&mut self, line: &str, now: Moment, out: &mut Vec<Action>) {
        let Some(info) = self.lines.get_mut(line) else { return };
        let Some(dialled) = info.dialled.take() else { return };
        let number = dialled.digits;
        let in_call = info.call;
        let target = self.target_of(line, &number, now.wall).cloned();
        if let Some(call) = in_call {
            if let Some(record) = self.calls.get_mut(&call) {
                record.ends.to = format!("number:{number}");
            }
            self.route(call, line, target, out, now);
            return;
        }
        if target == Some(Target::DialTone) {
            let tone = Some(ProgressTone::Dial);
            do_(out, CallNumber(0), Order::Tone { line: line.to_owned(), tone });
            return;
        }
        let to = format!("number:{number}");
        let Some(call) = self.begin_from(line, to, now, out) else { return };
        self.tell(call, News::Started, out);
        self.route(call, line, target, out, now);
    }

    /// Begins a call of a lifted line; where there may be no more, it hears congestion.
    pub(super) fn begin_from(
        &mut self,
        line: &str,
        to: String,
        now: Moment,
        out: &mut Vec<Action>,
    ) -> Option<CallNumber> {
        let ends = Ends { from: format!("line:{line}"), to };
        let legs = vec![LegRecord::line(line, LegState::Connected)];
        let ring = self.default_ring(line);
        let Ok(call) = self.begin(ends, legs, Stage::RingingTo, ring, now) else {
            let tone = Some(ProgressTone::Congestion);
            do_(out, CallNumber(0), Order::Tone { line: line.to_owned(), tone });
            return None;
        };
        do_(out, call, Order::Tag { line: line.to_owned() });
        Some(call)
    }

    pub(super) fn start_dialling(&mut self, line: &str) {
        if let Some(info) = self.lines.get_mut(line) {
            info.dialled = Some(Dialled::default());
        }
    }
}
