//! Everything a frame loop writes that is not audio: events and answers for apid, reports for
//! the supervisor, counters.

use super::orders::{Discard, Pending, Report};
use crate::trace::Trace;
use rtrb::Producer;
use tipring_shm_proto::command::Outcome;
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::units::{LineId, LoopId, Nanos};
use tipring_shm_proto::{
    CommandReader, EventCursor, EventWriter, LoopCounters, PeerFault, Published, Taken, Uplink,
};

/// See the module.
#[derive(Debug)]
pub struct Outside {
    events: EventWriter,
    reports: Producer<Report>,
    counters: LoopCounters,
    /// Not told yet.
    counted: [u64; Counter::ALL.len()],
    /// Audio was published: a parked apid wants to know.
    news: bool,
}

impl Outside {
    pub(super) fn new(id: LoopId, uplink: &Uplink, reports: Producer<Report>) -> Self {
        Self {
            events: uplink.event_writer(id),
            reports,
            counters: uplink.counters(id),
            counted: [0; Counter::ALL.len()],
            news: false,
        }
    }

    /// Counts. The tick's sums are told at its end: an atomic addition for every line would wait
    /// for all that was written before it.
    pub fn count(&mut self, counter: Counter, amount: u64) {
        self.counted[counter as usize] += amount;
    }

    /// Tells what was counted.
    pub(super) fn tell_counts(&mut self) {
        for (&counter, amount) in Counter::ALL.iter().zip(&mut self.counted) {
            if *amount > 0 {
                self.counters.add(counter, std::mem::take(amount));
            }
        }
    }

    /// Keeps the highest value.
    pub(super) fn raise(&self, counter: Counter, value: u64) {
        self.counters.raise(counter, value);
    }

    /// Keeps the lowest value; 0 is none yet.
    pub(super) fn lower(&self, counter: Counter, value: u64) {
        let was = self.counters.get(counter);
        if was == 0 || value < was {
            self.counters.set(counter, value.max(1));
        }
    }

    /// Tells apid; dropped and counted when its ring is full.
    pub(super) fn publish(&mut self, at: Nanos, event: Event) {
        if self.events.publish(&Stamped { at, event }) == Published::Dropped {
            self.count(Counter::events_dropped_total, 1);
        }
    }

    /// Tells apid what happened on a line.
    pub fn line_event(&mut self, at: Nanos, line: LineId, event: LineEvent) {
        self.publish(at, Event::Line { line, event });
    }

    /// The next command for which an answer's place is free.
    pub(super) fn take(&mut self, commands: &mut CommandReader) -> Result<Taken, PeerFault> {
        commands.take(&mut self.events)
    }

    /// Never lost: its place was kept when the command was taken.
    pub(super) fn answer(&mut self, at: Nanos, pending: Pending, outcome: Outcome) {
        let _ = self.events.answer(pending.place, at, pending.id, outcome);
    }

    /// Audio was published.
    pub fn note_news(&mut self) {
        self.news = true;
    }

    /// The end of a tick: wakes apid if it is parked and there is something for it.
    pub(super) fn finish(&mut self) -> Result<(), PeerFault> {
        let news = std::mem::take(&mut self.news);
        self.events.finish_wake(news)
    }

    pub(super) fn attach(&mut self, cursor: EventCursor) {
        if let Some(old) = self.events.attach(cursor) {
            self.report(Report::Discard(Discard::Cursor(old)));
        }
    }

    pub(super) fn detach(&mut self) {
        if let Some(old) = self.events.detach() {
            self.report(Report::Discard(Discard::Cursor(old)));
        }
    }

    pub(super) fn has_room(&self, reports: usize) -> bool {
        self.reports.slots() >= reports
    }

    /// Tells the supervisor. A discarded thing that finds no room is dropped here, late but not
    /// lost; room is kept for all that one tick can cause.
    pub(super) fn report(&mut self, report: Report) {
        if self.reports.push(report).is_err() {
            self.count(Counter::reports_dropped_total, 1);
        }
    }

    /// Drops a thing elsewhere.
    pub fn discard(&mut self, thing: Discard) {
        self.report(Report::Discard(thing));
    }

    /// Worth a log line.
    pub fn trace(&mut self, trace: Trace) {
        self.report(Report::Trace(trace));
    }
}

const _: () = {
    let mut n = 0;
    while n < Counter::ALL.len() {
        assert!(Counter::ALL[n] as usize == n, "counters are numbered without a gap");
        n += 1;
    }
};
