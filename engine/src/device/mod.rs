//! What a line is made of: a telephone on a card, behind RTP, or simulated. One trait, and the
//! match over the back ends.
//!
//! # Real-time contract
//! Every method of [`Device`] is called on a frame loop, by its owner alone, with the same `now`
//! for all calls of one tick. None of them allocates, waits, locks, formats, logs or panics; the
//! only system calls are the device's own non-blocking reads and writes, bounded in number a
//! call. Devices speak companded octets (ITU-T G.711) and know neither codec nor line.

pub mod dahdi;
mod queue;
pub mod rtp;
pub mod simulated;

use crate::frame::{Companded, Heard, Pace};
use crate::signal::{Drive, Driven, Signal};
use dahdi::Dahdi;
use rtp::Rtp;
use simulated::Simulated;
use tipring_shm_proto::units::Nanos;

/// A back end. In each tick of its line: `receive`, `pace`, `read_frame` as often as that needs (once
/// where it is steady and clocks are alike), `poll_signal` until `None` (8 at most),
/// `drive` for what the line decided, `write_frame`; `flush_out` at the next wake of the loop.
///
/// Any order of calls is survived; a call left out loses its frame and nothing else.
pub trait Device {
    /// A tick begins: takes what has come meanwhile. Nothing to do for a device that is read frame
    /// by frame.
    fn receive(&mut self, now: Nanos) {
        let _ = now;
    }

    /// How the next frames should be played while `held` samples of the last ones wait.
    fn pace(&mut self, held: u32) -> Pace {
        let _ = held;
        Pace::Steady
    }

    /// The next frame is here: to read it makes nothing up.
    fn has_frame(&self) -> bool {
        true
    }

    /// What the phone's clock is ahead of ours, ppm; `None` where it is ours, or not known yet.
    fn drift_ppm(&self) -> Option<f64> {
        None
    }

    /// Takes 20 ms of what the phone says.
    ///
    /// `into` is written for [`Heard::Frame`] only. Never waits: what is not here is
    /// [`Heard::Missing`]. Takes a bounded number of packets or blocks from the kernel.
    fn read_frame(&mut self, now: Nanos, into: &mut Companded) -> Heard;

    /// Gives 20 ms of what the phone shall hear. When the device cannot take it, the frame is
    /// lost and counted by the device.
    fn write_frame(&mut self, now: Nanos, frame: &Companded);

    /// Sends what `write_frame` prepared, so that it leaves when the loop wakes and not when it
    /// is done. Nothing to do for a device that is paced by hardware.
    fn flush_out(&mut self, now: Nanos) {
        let _ = now;
    }

    /// Carries out an order. Never retries by itself: [`Driven::Busy`] means that the line may
    /// try again on a later tick.
    fn drive(&mut self, now: Nanos, order: Drive) -> Driven;

    /// The next thing the device noticed, oldest first; `None` when there is no more. The queue
    /// behind it is bounded; an overflow drops the newest.
    fn poll_signal(&mut self, now: Nanos) -> Option<Signal>;

    /// Samples that were written but possibly not yet heard, at most.
    fn reserve_samples(&self) -> u32;
}

/// The back ends. A match and not `dyn`, so that a reader and the compiler see every callee.
#[expect(clippy::large_enum_variant, reason = "a line has one for life, made at the start")]
pub enum AnyDevice {
    /// A port of a card.
    Dahdi(Dahdi),
    /// RTP, signalled by apid.
    Rtp(Rtp),
    /// A telephone nobody has to buy.
    Simulated(Simulated),
}

impl Device for AnyDevice {
    fn receive(&mut self, now: Nanos) {
        match self {
            Self::Dahdi(device) => device.receive(now),
            Self::Rtp(device) => device.receive(now),
            Self::Simulated(device) => device.receive(now),
        }
    }

    fn pace(&mut self, held: u32) -> Pace {
        match self {
            Self::Dahdi(device) => device.pace(held),
            Self::Rtp(device) => device.pace(held),
            Self::Simulated(device) => device.pace(held),
        }
    }

    fn has_frame(&self) -> bool {
        match self {
            Self::Dahdi(device) => device.has_frame(),
            Self::Rtp(device) => device.has_frame(),
            Self::Simulated(device) => device.has_frame(),
        }
    }

    fn drift_ppm(&self) -> Option<f64> {
        match self {
            Self::Dahdi(device) => device.drift_ppm(),
            Self::Rtp(device) => device.drift_ppm(),
            Self::Simulated(device) => device.drift_ppm(),
        }
    }

    fn read_frame(&mut self, now: Nanos, into: &mut Companded) -> Heard {
        match self {
            Self::Dahdi(device) => device.read_frame(now, into),
            Self::Rtp(device) => device.read_frame(now, into),
            Self::Simulated(device) => device.read_frame(now, into),
        }
    }

    fn write_frame(&mut self, now: Nanos, frame: &Companded) {
        match self {
            Self::Dahdi(device) => device.write_frame(now, frame),
            Self::Rtp(device) => device.write_frame(now, frame),
            Self::Simulated(device) => device.write_frame(now, frame),
        }
    }

    fn flush_out(&mut self, now: Nanos) {
        match self {
            Self::Dahdi(device) => device.flush_out(now),
            Self::Rtp(device) => device.flush_out(now),
            Self::Simulated(device) => device.flush_out(now),
        }
    }

    fn drive(&mut self, now: Nanos, order: Drive) -> Driven {
        match self {
            Self::Dahdi(device) => device.drive(now, order),
            Self::Rtp(device) => device.drive(now, order),
            Self::Simulated(device) => device.drive(now, order),
        }
    }

    fn poll_signal(&mut self, now: Nanos) -> Option<Signal> {
        match self {
            Self::Dahdi(device) => device.poll_signal(now),
            Self::Rtp(device) => device.poll_signal(now),
            Self::Simulated(device) => device.poll_signal(now),
        }
    }

    fn reserve_samples(&self) -> u32 {
        match self {
            Self::Dahdi(device) => device.reserve_samples(),
            Self::Rtp(device) => device.reserve_samples(),
            Self::Simulated(device) => device.reserve_samples(),
        }
    }
}
