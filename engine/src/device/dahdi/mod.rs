//! A telephone on an FXS port of a card, driven by the kernel's DAHDI.
//!
//! The kernel tells hook, flash and pulses apart, rings in a cadence by the card's own clock, and
//! moves audio in blocks; it plays no tone, finds no digit and cancels no echo for us. Channels are
//! opened and closed by the supervisor (`open`); here one is used until it is gone.
//!
//! # Real-time contract
//! As [`super::Device`]. Each call makes a bounded number of system calls, none of which waits.

pub mod inventory;
pub mod ioctl;
pub mod open;
pub mod port;

use super::Device;
use super::queue::Queue;
use crate::frame::{Companded, Heard};
use crate::signal::{Drive, Driven, Signal};
use ioctl::Channel;
use port::{Event, HookOrder, Port, Trouble};
use std::os::fd::RawFd;
use tipring_shm_proto::command::{Cadence, Law};
use tipring_shm_proto::line_table::{DahdiFault, DahdiRow};
use tipring_shm_proto::units::{FRAME_SAMPLES, Nanos};

/// Samples, and octets, of a block.
pub const BLOCK: usize = FRAME_SAMPLES;
/// Events that the kernel keeps; it drops what comes after. Its ring of `DAHDI_MAX_EVENTSIZE`, 64,
/// is full with one less.
const KERNEL_EVENTS: usize = 63;
/// From a battery drop until the loop can be judged, and the line used, again: 500 ms without
/// battery (`DAHDI_KEWLTIME`), 300 ms more (`DAHDI_AFTERKEWLTIME`), and a tick for the card.
const DROP_MS: u32 = 840;

/// What was counted since it was last asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Told by the kernel: what the phone said was not read in time.
    pub overruns: u32,
    /// Told by the kernel: there was nothing to play.
    pub underruns: u32,
    /// Blocks that were not there, while the phone was lifted.
    pub missing: u32,
    /// Refusals for which there is no rule.
    pub errors: u32,
    /// Events that found no room.
    pub events_dropped: u32,
    /// Times the kernel's own queue was full.
    pub overflows: u32,
}

/// When the hook is to be looked at, since the kernel tells changes only, and not all of them.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Nanos,
    /// It lay at the last look: lying still, it is down and not merely flashing.
    lay: bool,
}

/// What the kernel was told of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineUse {
    Idle,
    Rings,
    InUse,
}

/// A channel that is there.
#[derive(Debug)]
struct Seat<P> {
    port: P,
    law: Law,
    buffers: u8,
    /// Longest flash, ms.
    flash_ms: u16,
    /// The phone is lifted, as the kernel last said.
    lifted: bool,
    line: LineUse,
    /// The battery was dropped then.
    dropped_at: Option<Nanos>,
    look: Option<Look>,
    /// Blocks that were missed, and therefore still lie in the kernel.
    behind: u8,
    /// Its blocks begin when those of the other channels do.
    aligned: bool,
}

/// A channel as the supervisor opened it.
#[derive(Debug)]
pub struct Opened<P = Channel> {
    /// Its descriptor.
    pub port: P,
    /// Companding law.
    pub law: Law,
    /// Blocks that the kernel holds each way.
    pub buffers: u8,
    /// Longest flash, ms.
    pub flash_ms: u16,
    /// The phone was lifted when it was opened: the kernel tells changes only.
    pub lifted: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Dahdi<P = Channel> {
    seat: Option<Seat<P>>,
    /// A channel that is gone, for the supervisor to close.
    gone: Option<P>,
    signals: Queue<Signal, KERNEL_EVENTS>,
    counts: Counts,
    row: DahdiRow,
}

impl<P: Port> Default for Dahdi<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Port> Dahdi<P> {
    /// A line whose channel has not been found yet.
    pub fn new() -> Self {
        Self {
            seat: None,
            gone: None,
            signals: Queue::new(),
            counts: Counts::default(),
            row: DahdiRow::without(DahdiFault::NoChannel),
        }
    }

    /// Takes a channel; gives back the one it had.
    pub fn adopt(&mut self, opened: Opened<P>) -> Option<P> {
        let Opened { port, law, buffers, flash_ms, lifted } = opened;
        let before = self.release();
        self.seat = Some(Seat {
            port,
            law,
            buffers,
            flash_ms,
            lifted,
            line: LineUse::Idle,
            dropped_at: None,
            look: None,
            behind: 0,
            aligned: false,
        });
        self.tell(Signal::Back);
        self.tell(if lifted { Signal::OffHook } else { Signal::OnHook });
        before
    }

    /// Gives the channel away, for it to be closed. The line is told that it is lost.
    pub fn release(&mut self) -> Option<P> {
        self.lose();
        self.gone.take()
    }

    /// A channel that is gone.
    pub fn take_gone(&mut self) -> Option<P> {
        self.gone.take()
    }

    /// Lets the next block begin now, both ways, with as much silence to play as the kernel
    /// holds. Written before the flush of what is read: so a block has been played whenever one
    /// is ready to be read.
    pub fn align(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        let flushed = seat.port.flush_write();
        self.fill();
        let Some(seat) = &mut self.seat else { return };
        let flushed = flushed.and_then(|()| seat.port.flush_read());
        (seat.behind, seat.aligned) = (0, flushed.is_ok());
        self.judge(flushed);
    }

    /// What the supervisor knows of the channel.
    pub fn describe(&mut self, row: DahdiRow) {
        self.row = row;
    }

    /// For the line table.
    pub fn row(&self) -> DahdiRow {
        self.row
    }

    /// Law of what is written.
    pub fn law(&self) -> Law {
        self.seat.as_ref().map_or(Law::Mu, |seat| seat.law)
    }

    /// To wait on; `None` without a channel.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.seat.as_ref().map(|seat| seat.port.descriptor())
    }

    /// Its blocks begin when those of the other channels do. One that was hung up has lost that:
    /// the kernel then begins anew.
    pub fn is_aligned(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.aligned)
    }

    /// What was counted since the last time.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    fn tell(&mut self, signal: Signal) {
        if !self.signals.push(signal) {
            self.counts.events_dropped += 1;
        }
    }

    fn lose(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.gone = Some(seat.port);
            self.row = DahdiRow::without(DahdiFault::Removed);
            // What the line was not told yet is of no use to it any more.
            self.signals.clear();
            self.tell(Signal::Lost);
        }
    }

    /// Counts a refusal, or loses the channel; whether all went well.
    fn judge(&mut self, result: Result<(), Trouble>) -> bool {
        match result {
            Ok(()) => true,
            Err(trouble) if trouble.is_final() => {
                self.lose();
                false
            }
            Err(_) => {
                self.counts.errors += 1;
                false
            }
        }
    }

    /// Fills the kernel with silence to play.
    fn fill(&mut self) {
        let silence = self.silence();
        let Some(seat) = &self.seat else { return };
        for _ in 0..seat.buffers {
            self.put(&silence);
        }
    }

    fn silence(&self) -> [u8; BLOCK] {
        // ITU-T G.711: the smallest positive value.
        [if self.law() == Law::Mu { 0xff } else { 0xd5 }; BLOCK]
    }

    /// One block to the phone. What finds no room is left out: the kernel has enough to play.
    fn put(&mut self, octets: &[u8; BLOCK]) {
        for _ in 0..2 {
            let Some(seat) = &mut self.seat else { return };
            match seat.port.write(octets) {
                Ok(_) | Err(Trouble::NotNow) => return,
                Err(Trouble::EventFirst) => self.take_events(),
                Err(trouble) => {
                    self.judge(Err(trouble));
                    return;
                }
            }
        }
    }

    /// One block of the phone; `None` where there is none.
    fn get(&mut self, octets: &mut [u8; BLOCK]) -> Option<()> {
        for _ in 0..2 {
            match self.seat.as_mut()?.port.read(octets) {
                Ok(BLOCK) => return Some(()),
                // The rest of a shorter one is lost: the kernel discards it.
                Ok(_) => {
                    self.counts.errors += 1;
                    return None;
                }
                Err(Trouble::NotNow) => return None,
                Err(Trouble::EventFirst) => self.take_events(),
                Err(trouble) => {
                    self.judge(Err(trouble));
                    return None;
                }
            }
        }
        None
    }

    /// Takes every event that waits: before that the kernel moves no audio (`ELAST`).
    fn take_events(&mut self) {
        for taken in 0..KERNEL_EVENTS {
            let Some(seat) = &mut self.seat else { return };
            match seat.port.event() {
                Ok(0) => return,
                Ok(number) => self.take_event(Event::of(number)),
                Err(trouble) => {
                    self.judge(Err(trouble));
                    return;
                }
            }
            if taken + 1 == KERNEL_EVENTS
                && let Some(seat) = &mut self.seat
            {
                // Whatever came after these is lost, the handset's last move perhaps too.
                seat.look = Some(Look { at: Nanos(0), lay: false });
                self.counts.overflows += 1;
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        let Some(seat) = &mut self.seat else { return };
        let signal = match event {
            Event::OnHook => {
                seat.lifted = false;
                Signal::OnHook
            }
            Event::OffHook => {
                seat.lifted = true;
                Signal::OffHook
            }
            Event::Flash => Signal::Flash,
            Event::Alarm(active) => {
                if !active {
                    seat.look = Some(Look { at: Nanos(0), lay: false });
                }
                Signal::Alarm(active)
            }
            Event::PulseStart => Signal::PulseBegin,
            Event::PulseDigit(digit) => Signal::PulseDigit(digit),
            Event::Removed => return self.lose(),
            Event::Overrun => {
                self.counts.overruns += 1;
                return;
            }
            Event::Underrun => {
                self.counts.underruns += 1;
                return;
            }
            Event::Ringer(_) | Event::Other => return,
        };
        self.tell(signal);
    }

    /// Looks at the hook, if it is time.
    fn look(&mut self, now: Nanos) -> Option<Signal> {
        let seat = self.seat.as_mut()?;
        let look = seat.look.filter(|look| now >= look.at)?;
        seat.look = None;
        match seat.port.is_off_hook() {
            Ok(true) => {
                seat.lifted = true;
                Some(Signal::OffHook)
            }
            Ok(false) if look.lay => {
                seat.lifted = false;
                Some(Signal::OnHook)
            }
            Ok(false) => {
                let at = now.after_ms(u32::from(seat.flash_ms) + 1);
                seat.look = Some(Look { at, lay: true });
                None
            }
            Err(trouble) => {
                self.judge(Err(trouble));
                None
            }
        }
    }

    /// Gives an order to the kernel. Begun is done: nobody waits for a bell here.
    fn hook(&mut self, order: HookOrder) -> Driven {
        let Some(seat) = &mut self.seat else { return Driven::Busy };
        let result = seat.port.hook(order);
        self.driven(result)
    }

    fn driven(&mut self, result: Result<(), Trouble>) -> Driven {
        match result {
            Ok(()) | Err(Trouble::InProgress) => Driven::Done,
            Err(Trouble::Busy | Trouble::EventFirst | Trouble::NotNow) => Driven::Busy,
            Err(Trouble::Unsupported) => Driven::Unsupported,
            Err(trouble) => {
                self.judge(Err(trouble));
                if self.seat.is_some() { Driven::Unsupported } else { Driven::Busy }
            }
        }
    }

    fn ring(&mut self, cadence: &Cadence) -> Driven {
        let Some(seat) = &mut self.seat else { return Driven::Busy };
        let cadence = seat.port.set_cadence(kernel_cadence(cadence));
        let driven = match self.driven(cadence) {
            Driven::Done => self.hook(HookOrder::Ring),
            refused => refused,
        };
        self.note(driven, |seat| seat.line = LineUse::Rings)
    }

    /// The line is idle, or loses its battery because the phone is still lifted. The kernel
    /// empties its buffers at that, and begins new blocks.
    fn hang_up(&mut self, now: Nanos) -> Driven {
        if self.seat.as_ref().is_some_and(|seat| seat.line == LineUse::InUse) {
            match self.hook(HookOrder::OnHook) {
                Driven::Done => self.fill(),
                refused => return refused,
            }
        }
        let look = Look { at: now.after_ms(DROP_MS), lay: false };
        self.note(Driven::Done, |seat| {
            (seat.look, seat.behind) = (Some(look), 0);
            if seat.line == LineUse::InUse {
                (seat.line, seat.aligned) = (LineUse::Idle, false);
            }
        })
    }

    /// The line feeds the loop again. A phone that was put down meanwhile is found by looking.
    fn restore(&mut self, now: Nanos) -> Driven {
        let Some(seat) = &mut self.seat else { return Driven::Busy };
        if seat.dropped_at.is_some_and(|at| now < at.after_ms(DROP_MS)) {
            return Driven::Busy;
        }
        seat.dropped_at = None;
        match seat.port.is_off_hook() {
            Ok(true) => {
                let driven = self.hook(HookOrder::OffHook);
                self.note(driven, |seat| seat.line = LineUse::InUse)
            }
            Ok(false) => {
                seat.look = Some(Look { at: now, lay: true });
                Driven::Done
            }
            Err(trouble) => self.driven(Err(trouble)),
        }
    }

    /// Remembers what an order that was done has changed.
    fn note(&mut self, driven: Driven, change: impl FnOnce(&mut Seat<P>)) -> Driven {
        if driven == Driven::Done
            && let Some(seat) = &mut self.seat
        {
            change(seat);
        }
        driven
    }
}

/// As the kernel takes it: on and off in turn, the rest 0. The kernel goes back to the first
/// burst at the end of the list or at a burst of 0.
fn kernel_cadence(cadence: &Cadence) -> [i32; 16] {
    let mut ms = [0; 16];
    for (into, &from) in ms.iter_mut().zip(cadence.as_slice()) {
        *into = i32::from(from);
    }
    ms
}

impl<P: Port> Device for Dahdi<P> {
    fn read_frame(&mut self, _now: Nanos, into: &mut Companded) -> Heard {
        let mut octets = [0; BLOCK];
        let mut read = self.get(&mut octets).is_some();
        let Some(seat) = &mut self.seat else { return Heard::Nothing };
        let behind = seat.behind;
        if !read {
            seat.behind = behind.saturating_add(1);
        } else if behind >= 2 {
            // One block behind is where a channel rests whose blocks end a little after the
            // pacer's; what is further behind has been concealed, and is left out.
            let mut newer = [0; BLOCK];
            let caught_up = self.get(&mut newer).is_some();
            if caught_up {
                octets = newer;
            }
            let Some(seat) = &mut self.seat else { return Heard::Nothing };
            seat.behind = if caught_up { behind - 1 } else { 1 };
            read = true;
        }
        let Some(seat) = &self.seat else { return Heard::Nothing };
        if !seat.lifted {
            return Heard::Nothing;
        }
        if !read {
            self.counts.missing += 1;
            return Heard::Missing;
        }
        *into = Companded { law: seat.law, octets };
        Heard::Frame
    }

    fn write_frame(&mut self, _now: Nanos, frame: &Companded) {
        self.put(&frame.octets);
    }

    fn drive(&mut self, now: Nanos, order: Drive) -> Driven {
        match order {
            Drive::Ring(cadence) => self.ring(&cadence),
            Drive::RingOff => {
                if !self.seat.as_ref().is_some_and(|seat| seat.line == LineUse::Rings) {
                    // To a line that does not ring the kernel would take away what it does.
                    return if self.seat.is_some() { Driven::Done } else { Driven::Busy };
                }
                let driven = self.hook(HookOrder::RingOff);
                self.note(driven, |seat| seat.line = LineUse::Idle)
            }
            Drive::OffHook => {
                let driven = self.hook(HookOrder::OffHook);
                self.note(driven, |seat| seat.line = LineUse::InUse)
            }
            Drive::OnHook => {
                if self.seat.is_none() {
                    return Driven::Busy;
                }
                self.hang_up(now)
            }
            Drive::Battery(false) => {
                if self.seat.is_none() {
                    return Driven::Busy;
                }
                let driven = self.hang_up(now);
                self.note(driven, |seat| seat.dropped_at = Some(now))
            }
            Drive::Battery(true) => self.restore(now),
            Drive::Polarity(reversed) => {
                let Some(seat) = &mut self.seat else { return Driven::Busy };
                let result = seat.port.set_polarity(reversed);
                self.driven(result)
            }
            Drive::MessageWaiting(messages) => {
                let Some(seat) = &mut self.seat else { return Driven::Busy };
                let result = seat.port.set_messages(messages);
                self.driven(result)
            }
            Drive::TransmitOnHook { ms } => {
                let Some(seat) = &mut self.seat else { return Driven::Busy };
                let result = seat.port.transmit_on_hook(ms);
                self.driven(result)
            }
            // The kernel rings whole cadences; its shortest battery drop is a hang-up; digits
            // are heard in the audio.
            Drive::RingOn | Drive::Flash | Drive::Digit { .. } => Driven::Unsupported,
        }
    }

    fn poll_signal(&mut self, now: Nanos) -> Option<Signal> {
        if self.signals.first().is_none() {
            self.take_events();
        }
        self.signals.pop().or_else(|| self.look(now)).or_else(|| self.signals.pop())
    }

    fn reserve_samples(&self) -> u32 {
        self.seat.as_ref().map_or(0, |seat| u32::from(seat.buffers) * BLOCK as u32)
    }
}

#[cfg(test)]
mod tests;
