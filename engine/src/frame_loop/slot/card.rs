//! The channel of a line on a card: taken from the supervisor, waited on, kept in step with the
//! card's other ones, given back.
//!
//! # Real-time contract
//! As [`super`].

use super::Slot;
use crate::device::dahdi::Opened;
use crate::device::{AnyDevice, Device};
use crate::frame_loop::orders::Discard;
use crate::frame_loop::outside::Outside;
use crate::signal::Signal;
use crate::trace::Trace;
use std::os::fd::RawFd;
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::line_table::DahdiRow;
use tipring_shm_proto::units::{FRAME_NS, FRAME_SAMPLES, Nanos};

/// A flood of events is worth a log line this often, ms.
const FLOOD_EVERY_MS: u32 = 10_000;

impl Slot {
    /// What its channel has counted since it was asked last.
    pub(super) fn count_of_card(&mut self, now: Nanos, outside: &mut Outside) {
        let AnyDevice::Dahdi(dahdi) = &mut self.device else { return };
        let counts = dahdi.take_counts();
        outside.count(Counter::card_overruns_total, u64::from(counts.overruns));
        outside.count(Counter::card_underruns_total, u64::from(counts.underruns));
        outside.count(Counter::card_blocks_missing_total, u64::from(counts.missing));
        outside.count(Counter::card_errors_total, u64::from(counts.errors));
        outside.count(Counter::signals_dropped_total, u64::from(counts.events_dropped));
        if counts.overflows > 0 {
            outside.count(Counter::card_event_overflows_total, u64::from(counts.overflows));
            if self.flood_told_at.is_none_or(|at| now.ms_since(at) >= FLOOD_EVERY_MS) {
                self.flood_told_at = Some(now);
                outside.trace(Trace::EventsLost(self.id));
            }
        }
    }

    /// The supervisor has opened a channel for this line.
    pub fn take_channel(&mut self, opened: Opened, row: DahdiRow, outside: &mut Outside) {
        let returned = match &mut self.device {
            AnyDevice::Dahdi(dahdi) => {
                let before = dahdi.adopt(opened);
                dahdi.describe(row);
                before
            }
            AnyDevice::Rtp(_) | AnyDevice::Simulated(_) => Some(opened.port),
        };
        if let Some(channel) = returned {
            outside.discard(Discard::Channel(self.id, channel));
        }
        self.row_changed = true;
    }

    /// The supervisor has looked at the line's channel.
    pub fn describe(&mut self, row: DahdiRow, now: Nanos, outside: &mut Outside) {
        let AnyDevice::Dahdi(dahdi) = &mut self.device else { return };
        dahdi.describe(row);
        self.row_changed = true;
        let between = row.volts.map(|volts| volts.ring - volts.tip);
        self.signal(Signal::Voltage(between), now, outside);
    }

    /// Gives the channel back, for the supervisor to open it anew.
    pub(super) fn reopen(&mut self, now: Nanos, outside: &mut Outside) {
        if let AnyDevice::Dahdi(dahdi) = &mut self.device
            && let Some(channel) = dahdi.release()
        {
            outside.discard(Discard::Channel(self.id, channel));
            self.take_signals(now, outside);
        }
    }

    /// A new channel begins its blocks now.
    pub fn align(&mut self) {
        let in_use = self.is_in_use();
        if let AnyDevice::Dahdi(dahdi) = &mut self.device
            && !dahdi.is_aligned()
            && !in_use
        {
            dahdi.align();
        }
    }

    /// Its channel's, to wait on.
    pub fn descriptor(&self) -> Option<RawFd> {
        match &self.device {
            AnyDevice::Dahdi(dahdi) => dahdi.descriptor(),
            AnyDevice::Rtp(_) | AnyDevice::Simulated(_) => None,
        }
    }

    /// Its channel's blocks begin with those of the card's other ones.
    pub fn is_aligned(&self) -> bool {
        matches!(&self.device, AnyDevice::Dahdi(dahdi) if dahdi.is_aligned())
    }

    /// What its card still has to play when a block was read in time, ns.
    pub fn card_reserve_ns(&self) -> Option<u64> {
        self.descriptor()?;
        let blocks = u64::from(self.device.reserve_samples()) / FRAME_SAMPLES as u64;
        Some(blocks.saturating_sub(1) * FRAME_NS)
    }

    /// A channel that is gone is closed elsewhere.
    pub(super) fn give_up_channel(&mut self, outside: &mut Outside) {
        if let AnyDevice::Dahdi(dahdi) = &mut self.device
            && let Some(channel) = dahdi.take_gone()
        {
            self.row_changed = true;
            outside.discard(Discard::Channel(self.id, channel));
        }
    }
}
