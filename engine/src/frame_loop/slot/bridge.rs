//! The bridge of a line, or its seat in a conference: its end is taken, frames cross it, it ends.
//!
//! # Real-time contract
//! As [`super`].

use super::Slot;
use crate::crossing::{Beside, Crossed, CrossingEnd, Press};
use crate::device::AnyDevice;
use crate::frame::{Linear, SILENCE};
use crate::frame_loop::orders::Discard;
use crate::frame_loop::outside::Outside;
use crate::line::Company;
use tipring_shm_proto::command::{Command, Refusal};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::units::Nanos;

/// A bridge or a seat, from this side.
pub(super) struct Crossing {
    company: Company,
    end: CrossingEnd,
}

impl Slot {
    /// Hands this frame to the company and takes what it says.
    pub(super) fn cross(
        &mut self,
        rx: &Linear,
        outside: &mut Outside,
        now: Nanos,
    ) -> Option<Linear> {
        let (pressed, keys) = self.relay.take();
        let takes_events = self.takes_events();
        let crossing = self.crossing.as_mut()?;
        let held = self.line.held();
        let mut spoken = if held { SILENCE } else { *rx };
        let kept = self.line.keeps_digits();
        let to_line = crossing.company.line().is_some();
        let told = to_line && (takes_events || crossing.end.peer_takes_events());
        self.relay.gate(&mut spoken, keys && (kept || told));
        let pressed = pressed.filter(|_| told && !kept && !held && !self.line.muted().spoken);
        if !crossing.end.send_beside(&spoken, Beside { takes_events, pressed }) {
            outside.count(Counter::bridge_dropped_frames_total, 1);
        }
        let mut frame = SILENCE;
        match crossing.end.receive(&mut frame) {
            Crossed::Frame { dropped } => {
                outside.count(Counter::bridge_dropped_frames_total, u64::from(dropped));
                if let Some(press) = crossing.end.take_press() {
                    self.send_press(press, now, outside);
                }
                (!held).then_some(frame)
            }
            Crossed::Empty => None,
            Crossed::Gone => {
                let peer = crossing.company.line();
                self.unbridge(now, outside);
                if let Some(peer) = peer {
                    outside.line_event(now, self.id, LineEvent::BridgeEnded { peer });
                }
                None
            }
        }
    }

    /// Its phone has digits as events: it sends them so, and is sent them so.
    pub(super) fn takes_events(&self) -> bool {
        match &self.device {
            AnyDevice::Rtp(rtp) => rtp.has_telephone_event(),
            AnyDevice::Dahdi(_) | AnyDevice::Simulated(_) => false,
        }
    }

    /// The phone is sent the key that its company's phone pressed.
    fn send_press(&mut self, press: Press, now: Nanos, outside: &mut Outside) {
        self.actions.clear();
        self.line.handle_press(press.digit, press.duration_ms, now, &mut self.actions);
        let _ = self.apply(now, outside);
    }

    /// Takes one end of a bridge, or the line's of a seat.
    ///
    /// # Errors
    /// The supervisor had none, or this line is not free for it; the other end notices that
    /// this one is gone.
    pub fn join(
        &mut self,
        company: Company,
        end: Result<CrossingEnd, Refusal>,
        now: Nanos,
        outside: &mut Outside,
    ) -> Result<(), Refusal> {
        let end = end?;
        let free = || if self.crossing.is_some() { Err(Refusal::Bridged) } else { Ok(()) };
        if let Err(refusal) = self.line.may_join().and_then(|()| free()) {
            outside.discard(Discard::Crossing(end));
            return Err(refusal);
        }
        self.crossing = Some(Crossing { company, end });
        self.row_changed = true;
        self.actions.clear();
        self.line.joined(company, &mut self.actions);
        let _ = self.apply(now, outside);
        self.write_row(now);
        Ok(())
    }

    fn unbridge(&mut self, now: Nanos, outside: &mut Outside) {
        self.actions.clear();
        // Allowed in every state.
        let _ = self.line.handle_command(&Command::Unbridge, now, &mut self.actions);
        let _ = self.apply(now, outside);
        self.drop_crossing(outside);
    }

    pub(super) fn drop_crossing(&mut self, outside: &mut Outside) {
        if let Some(crossing) = self.crossing.take() {
            self.row_changed = true;
            outside.discard(Discard::Crossing(crossing.end));
        }
    }
}
