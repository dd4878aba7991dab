//! The engine's table of contents: what happens in every tick, in this order.
//!
//! # Real-time contract
//! [`FrameLoop::tick`] runs on a SCHED_FIFO thread every 2.5 ms, or for each block of a card. It
//! does not allocate, free,
//! lock, wait, format or log; its only system calls are its devices' non-blocking I/O and, while
//! apid is parked, one futex wake. Everything it takes in one tick is bounded: commands, orders,
//! packets, signals. What does not fit is dropped and counted.
//!
//! A 20 ms period has [`PHASES`] phases; a line is ticked in one of them for life. What a line
//! prepared for the network leaves at the beginning of the next phase, so that its departure
//! depends on the wake-up alone and not on the work before it.

mod conferences;
mod ears;
mod load;
pub mod orders;
mod outside;
mod pace;
mod playout;
mod sources;
mod voices;
pub mod slot;

use crate::realtime;
use crate::trace::Trace;
pub use conferences::Conferences;
use load::Load;
use orders::{ApidRings, Discard, Order, Pending, Report};
use outside::Outside;
pub use pace::Pacing;
use pace::{Clock, Pacer, Wake, Woken};
use rtrb::{Consumer, Producer};
use slot::{Carried, Slot};
use sources::PlayRings;
use tipring_shm_proto::command::{Command, Outcome, Refusal, Request};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::Event;
use tipring_shm_proto::units::{FRAME_NS, Generation, LineId, LoopId, Nanos};
use tipring_shm_proto::{PeerFault, Taken, Uplink};

/// Phases of a period.
pub const PHASES: usize = 8;
/// Commands taken in one tick, at most.
const COMMANDS_PER_TICK: usize = 16;
/// Orders taken in one tick, at most.
const ORDERS_PER_TICK: usize = 16;
/// Bells that ring at once, at most: a card's ringing generator feeds all of its lines.
const MAX_BELLS: usize = 16;
/// Reports that one command or order may cause; no command is taken without room for them.
const ROOM_FOR_REPORTS: usize = 8;

/// When ticks are due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule;

impl Schedule {
    /// From one phase to the next, ns.
    pub const PHASE_NS: u64 = FRAME_NS / PHASES as u64;
    /// A frame that is written this much after its time is late: a phone's jitter buffer may have
    /// missed it, ns.
    const LATE_NS: u64 = FRAME_NS / 4;
    /// A loop that is further behind than this skips what it missed, ns.
    const HOPELESS_NS: u64 = 2 * FRAME_NS;
}

/// Some lines, and the thread that serves them.
#[derive(Debug)]
pub struct FrameLoop {
    slots: Vec<Slot>,
    pacing: Pacing,
    pacer: Pacer,
    /// Position in `slots` by line id; `NOT_HERE` for lines of other loops.
    positions: Vec<u16>,
    phase: usize,
    generation: Generation,
    orders: Consumer<Order>,
    apid: Option<Box<ApidRings>>,
    /// Apid wrote what cannot be; nothing of it is read until the supervisor takes it away.
    faulted: bool,
    outside: Outside,
    conferences: Conferences,
    load: Load,
    /// The card gives no blocks since then.
    stalled_at: Option<Nanos>,
}

const NOT_HERE: u16 = u16::MAX;

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// Tick again.
    On,
    /// Asked to return.
    Stop,
}

impl FrameLoop {
    /// Over lines that it owns for life; `conferences` has none but in one loop of a timer. Allocates.
    pub fn new(
        id: LoopId,
        pacing: Pacing,
        slots: Vec<Slot>,
        conferences: Conferences,
        uplink: &Uplink,
        orders: Consumer<Order>,
        reports: Producer<Report>,
    ) -> Self {
        let mut positions = vec![NOT_HERE; usize::from(uplink.dimensions().lines)];
        for (position, slot) in slots.iter().enumerate() {
            positions[usize::from(slot.id().0)] = position as u16;
        }
        Self {
            pacing,
            pacer: Pacer::new(pacing, slots.len()),
            slots,
            positions,
            phase: 0,
            generation: uplink.generation(),
            orders,
            apid: None,
            faulted: false,
            outside: Outside::new(id, uplink, reports),
            conferences,
            load: Load::new(pacing),
            stalled_at: None,
        }
    }

    /// Ticks on the grid that starts at `begin`, or as its card has blocks, until told to stop.
    pub fn run(mut self, begin: Nanos) {
        self.pacer.begin(begin);
        self.outside.trace(Trace::LoopStarted);
        loop {
            match self.pacer.wait(&self.slots) {
                Wake::Events => self.serve_events(realtime::now()),
                Wake::Tick(woken) => {
                    self.note_wake(woken);
                    if self.tick(woken.at) == Going::Stop {
                        return;
                    }
                    self.note_work(woken.at);
                }
            }
        }
    }

    fn note_wake(&mut self, woken: Woken) {
        if woken.late_ns > Schedule::PHASE_NS {
            self.outside.count(Counter::ticks_late_total, 1);
        }
        if woken.late_ns > Schedule::LATE_NS {
            self.outside.count(Counter::frames_late_total, self.frames_due());
        }
        if woken.missed > 0 {
            self.outside.count(Counter::ticks_missed_total, woken.missed);
            self.outside.trace(Trace::PhasesMissed(woken.missed as u32));
        }
        let changes = self.pacer.take_changes();
        if changes > 0 {
            self.outside.count(Counter::card_pacer_changes_total, changes);
        }
        match woken.clock {
            // A timer, or a card that is gone.
            Clock::Quiet => self.stalled_at = None,
            Clock::Stalled => {
                self.outside.count(Counter::card_stalls_total, 1);
                if self.stalled_at.is_none() {
                    self.stalled_at = Some(woken.at);
                    self.outside.trace(Trace::CardStalled);
                }
            }
            Clock::Ran => {
                if let Some(since) = self.stalled_at.take() {
                    let ms = woken.at.ms_since(since) + pace::STALL_MS;
                    self.outside.trace(Trace::CardRuns(ms));
                }
                self.note_reserve(woken.late_ns);
                self.align_idle();
            }
        }
    }

    /// A channel that was hung up begins new blocks when it likes: while it is idle they are
    /// brought back to where the pacer's begin, which is now.
    fn align_idle(&mut self) {
        for slot in &mut self.slots {
            slot.align();
        }
    }

    /// What the card still has to play is what it holds, but for the block that it has just
    /// played and what it played while the loop was late.
    fn note_reserve(&mut self, late_ns: u64) {
        let held = self.slots.iter().filter_map(Slot::card_reserve_ns).min();
        if let Some(held) = held {
            self.outside.lower(Counter::card_reserve_ns_min, held.saturating_sub(late_ns));
        }
    }

    fn note_work(&mut self, since: Nanos) {
        let busy = realtime::now().0.saturating_sub(since.0);
        self.outside.count(Counter::tick_ns_sum, busy);
        self.outside.raise(Counter::tick_ns_max, busy);
        if let Some(overloaded) = self.load.note(busy) {
            self.shed(overloaded, since);
        }
    }

    /// What a card has to tell does not wait for the next frame: a lifted handset silences its
    /// bell now.
    pub fn serve_events(&mut self, now: Nanos) {
        for slot in &mut self.slots {
            slot.take_signals(now, &mut self.outside);
        }
        if self.outside.finish().is_err() {
            self.report_peer_fault();
        }
    }

    /// Frames that the next tick writes to phones that hear.
    fn frames_due(&self) -> u64 {
        let due = self.slots.iter().skip(self.phase).step_by(self.pacing.phases());
        due.filter(|slot| slot.is_in_use()).count() as u64
    }

    /// One phase.
    pub fn tick(&mut self, now: Nanos) -> Going {
        self.send_prepared(now);
        if self.take_orders(now) == Going::Stop {
            return Going::Stop;
        }
        self.take_commands(now);
        self.serve_lines(now);
        self.conferences.mix(self.phase, &mut self.outside);
        if self.outside.finish().is_err() {
            self.report_peer_fault();
        }
        self.phase = (self.phase + 1) % self.pacing.phases();
        self.outside.count(Counter::ticks_total, 1);
        self.outside.tell_counts();
        Going::On
    }

    /// What the lines of the last phase prepared leaves first.
    fn send_prepared(&mut self, now: Nanos) {
        let last = (self.phase + self.pacing.phases() - 1) % self.pacing.phases();
        for slot in self.slots.iter_mut().skip(last).step_by(self.pacing.phases()) {
            slot.flush_out(now);
        }
    }

    fn serve_lines(&mut self, now: Nanos) {
        // For all lines first: network and signal processing would drive each other from the caches.
        for slot in self.slots.iter_mut().skip(self.phase).step_by(self.pacing.phases()) {
            slot.receive(now);
        }
        let readable = if self.faulted { None } else { self.apid.as_mut() };
        let plays = readable.map_or(&mut [][..], |apid| apid.plays.as_mut_slice());
        let mut plays = plays.iter_mut().skip(self.phase).step_by(self.pacing.phases());
        let mut faulted = false;
        for slot in self.slots.iter_mut().skip(self.phase).step_by(self.pacing.phases()) {
            let mut rings = PlayRings::new(plays.next());
            slot.tick(now, &mut rings, &mut self.outside);
            faulted |= rings.faulted();
        }
        if faulted {
            self.report_peer_fault();
        }
    }

    fn take_commands(&mut self, now: Nanos) {
        for _ in 0..COMMANDS_PER_TICK {
            let Some(apid) = self.apid.as_mut() else { return };
            if self.faulted || !self.outside.has_room(ROOM_FOR_REPORTS) {
                return;
            }
            match self.outside.take(&mut apid.commands) {
                Ok(Taken::Nothing) => return,
                Ok(Taken::Command(request, place)) => {
                    self.outside.count(Counter::commands_total, 1);
                    self.carry_out(&request, Pending { place, id: request.id }, now);
                }
                Ok(Taken::Malformed(id, place)) => {
                    self.outside.count(Counter::commands_malformed_total, 1);
                    let outcome = Outcome::Refused(Refusal::Malformed);
                    self.outside.answer(now, Pending { place, id }, outcome);
                }
                Err(PeerFault::Slot) => self.outside.count(Counter::commands_malformed_total, 1),
                Err(PeerFault::Cursor) => return self.report_peer_fault(),
            }
        }
    }

    /// Answers now, or has the supervisor's order bring the answer.
    fn carry_out(&mut self, request: &Request, pending: Pending, now: Nanos) {
        let line = request.line;
        let outcome = match (self.judge(request, now), request.command) {
            (Ok(Carried::Out(outcome)), _) => outcome,
            (Ok(Carried::ToSupervisor), Command::OpenRtp { media, local_ip }) => {
                return self.outside.report(Report::OpenRtp { line, pending, media, local_ip });
            }
            (Ok(Carried::ToSupervisor), Command::Bridge { peer }) => {
                return self.outside.report(Report::Bridge { line, peer, pending });
            }
            (Ok(Carried::ToSupervisor), Command::Confer { conference, heard_by }) => {
                let report = Report::Confer { line, conference, heard_by, pending };
                return self.outside.report(report);
            }
            (Ok(Carried::ToSupervisor), _) => Outcome::Refused(Refusal::Kind),
            (Err(refusal), _) => Outcome::Refused(refusal),
        };
        self.outside.answer(now, pending, outcome);
    }

    fn judge(&mut self, request: &Request, now: Nanos) -> Result<Carried, Refusal> {
        if request.generation != self.generation {
            return Err(Refusal::EngineRestarted);
        }
        let position = self.position(request.line).ok_or(Refusal::UnknownLine)?;
        if matches!(request.command, Command::Ring { .. })
            && self.slots.iter().filter(|slot| slot.rings_a_bell()).count() >= MAX_BELLS
        {
            return Err(Refusal::Limit);
        }
        let plays = self.apid.as_mut().and_then(|apid| apid.plays.get_mut(position));
        let mut rings = PlayRings::new(plays);
        self.slots[position].carry_out(&request.command, now, &mut rings, &mut self.outside)
    }

    fn position(&self, line: LineId) -> Option<usize> {
        let position = *self.positions.get(usize::from(line.0))?;
        (position != NOT_HERE).then_some(usize::from(position))
    }

    fn take_orders(&mut self, now: Nanos) -> Going {
        let mut adopted = 0;
        for _ in 0..ORDERS_PER_TICK {
            if !self.outside.has_room(ROOM_FOR_REPORTS) {
                break;
            }
            match self.orders.pop() {
                Err(_) => break,
                Ok(Order::Stop) => return Going::Stop,
                Ok(Order::Attach(attachment)) => self.attach(attachment, now),
                Ok(Order::Detach) => self.detach(now),
                Ok(Order::Socket { line, pending, media, opened }) => {
                    let Some(position) = self.position(line) else { continue };
                    let outcome =
                        self.slots[position].take_socket(opened, media, now, &mut self.outside);
                    self.outside.answer(now, pending, outcome);
                }
                Ok(Order::Channel { line, opened, row }) => {
                    let Some(position) = self.position(line) else { continue };
                    self.slots[position].take_channel(opened, row, &mut self.outside);
                    adopted += 1;
                }
                Ok(Order::Describe { line, row }) => {
                    if let Some(position) = self.position(line) {
                        self.slots[position].describe(row, now, &mut self.outside);
                    }
                }
                Ok(Order::Seat { conference, line, heard_by, ticket, end }) => {
                    let sat = self.conferences.sit(conference, line, heard_by, end);
                    let refused = sat.err().map(|(refusal, end)| {
                        self.outside.discard(Discard::Crossing(end));
                        refusal
                    });
                    self.outside.report(Report::Joined { ticket, refused });
                }
                Ok(Order::Join { line, company, ticket, pending, end }) => {
                    let Some(position) = self.position(line) else { continue };
                    let joined = self.slots[position].join(company, end, now, &mut self.outside);
                    match pending {
                        Some(pending) => {
                            let outcome = joined.map_or_else(Outcome::Refused, |()| Outcome::Done);
                            self.outside.answer(now, pending, outcome);
                        }
                        None => {
                            self.outside.report(Report::Joined { ticket, refused: joined.err() });
                        }
                    }
                }
            }
        }
        if adopted > 0 {
            self.align(adopted);
        }
        Going::On
    }

    /// New channels begin their blocks together, one call after the other.
    fn align(&mut self, channels: u16) {
        let began = realtime::now();
        self.align_idle();
        let took_us = (realtime::now().0 - began.0) / 1000;
        self.outside.trace(Trace::ChannelsAligned { channels, took_us: took_us as u32 });
    }

    fn attach(&mut self, mut apid: Box<ApidRings>, now: Nanos) {
        self.detach(now);
        if let Some(cursor) = apid.cursor.take() {
            self.outside.attach(cursor);
        }
        self.apid = Some(apid);
    }

    /// Playbacks fed by the apid that left end; everything else goes on.
    fn detach(&mut self, now: Nanos) {
        for slot in &mut self.slots {
            slot.forget_apid(now, &mut self.outside);
        }
        self.outside.detach();
        self.faulted = false;
        if let Some(apid) = self.apid.take() {
            self.outside.discard(Discard::Rings(apid));
        }
    }

    fn report_peer_fault(&mut self) {
        self.outside.count(Counter::peer_faults_total, 1);
        if let Some(apid) = self.apid.as_ref()
            && !self.faulted
        {
            let attachment = apid.attachment;
            self.faulted = true;
            self.outside.report(Report::PeerFault { attachment });
            self.outside.trace(Trace::PeerFault);
        }
    }

    fn shed(&mut self, overloaded: bool, now: Nanos) {
        for slot in &mut self.slots {
            slot.shed(overloaded);
        }
        self.outside.publish(now, Event::Overloaded(overloaded));
        self.outside.trace(Trace::Overloaded(overloaded));
    }
}
