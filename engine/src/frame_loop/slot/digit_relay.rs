//! Digits of a phone on their way to its company: what is told is not heard.
//!
//! *What it does.* A key that is pressed in a bridge reaches the other phone once, in the way that this
//! one takes. Where both ends have it in the audio, it crosses there as it is. Where either end has
//! telephone-event (RFC 4733), the press is told beside the audio when it ends, and sent anew at the
//! other end. Where apid keeps digits for itself, nobody else has them.
//!
//! *How it works.* What is told or kept is taken out of the audio from the frame on in which it is
//! certain, 33 ms into the tones, until it has ended: less than 40 ms are heard of it. A suspicion, at
//! 15 ms, would not do: speech raises one every second. The gate closes and opens within 2 ms.

use crate::crossing::Press;
use crate::frame::Linear;
use crate::signal::Signal;
use tipring_shm_proto::event::DigitSource;

/// Samples in which the gate closes or opens.
const EDGE: usize = 16;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct DigitRelay {
    /// A digit is heard in this frame's audio.
    heard: bool,
    /// An event is under way.
    event: bool,
    pressed: Option<Press>,
    closed: bool,
}

impl DigitRelay {
    pub(super) const fn new() -> Self {
        Self { heard: false, event: false, pressed: None, closed: false }
    }

    /// Whether a digit is heard in this frame.
    pub(super) const fn listen(&mut self, keys: bool) {
        self.heard = keys;
    }

    /// What the line is told of digits.
    pub(super) fn note(&mut self, signal: &Signal) {
        match *signal {
            Signal::DigitBegin { source: DigitSource::TelephoneEvent, .. } => self.event = true,
            Signal::Digit { digit, duration_ms, source, .. } if source != DigitSource::Pulse => {
                self.event = false;
                self.pressed = Some(Press { digit, duration_ms });
            }
            _ => {}
        }
    }

    /// The key that was pressed since the last frame, and whether keys are to be taken out of this one.
    pub(super) fn take(&mut self) -> (Option<Press>, bool) {
        (self.pressed.take(), self.heard || self.event)
    }

    /// Lets a frame pass, or not.
    pub(super) fn gate(&mut self, frame: &mut Linear, close: bool) {
        let was_closed = std::mem::replace(&mut self.closed, close);
        let (edge, rest) = frame.split_at_mut(EDGE);
        if was_closed != close {
            for (index, sample) in edge.iter_mut().enumerate() {
                let open = if close { EDGE - index } else { index } as i32;
                *sample = (i32::from(*sample) * open / EDGE as i32) as i16;
            }
        } else if close {
            edge.fill(0);
        }
        if close {
            rest.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SILENCE;

    #[test]
    fn the_gate_closes_and_opens_softly() {
        let mut relay = DigitRelay::new();
        let mut passed = Vec::new();
        for close in [false, true, true, false, false] {
            let mut frame: Linear = [1600; 160];
            relay.gate(&mut frame, close);
            passed.push(frame);
        }
        assert_eq!((passed[0], passed[2], passed[4]), ([1600; 160], SILENCE, [1600; 160]));
        assert!(
            passed[1][16..].iter().all(|s| *s == 0) && passed[3][16..].iter().all(|s| *s == 1600)
        );
        let whole: Vec<i16> = passed.into_iter().flatten().collect();
        assert!(whole.windows(2).all(|two| two[0].abs_diff(two[1]) <= 100));
    }
}
