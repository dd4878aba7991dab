//! Audio from one frame loop to another: the two ends of a bridge.
//!
//! Made by the supervisor, used by two frame loops, dropped by the supervisor. Neither end
//! allocates, waits or locks. A full ring drops the newest frame, an empty one gives none.

use crate::frame::Linear;
use rtrb::{Consumer, Producer, RingBuffer};

/// Frames a ring can hold: what two loops may be apart after one of them was held up.
const CAPACITY: usize = 8;

/// Frames that may wait once both loops run; what is older is dropped, so that delay does not
/// stay after a hiccup.
const HIGH_WATER: usize = 2;

/// One line's end.
#[derive(Debug)]
pub struct CrossingEnd {
    to_peer: Producer<Linear>,
    from_peer: Consumer<Linear>,
}

/// What the peer said in this frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossed {
    /// One frame; `dropped` older ones were thrown away to bound the delay.
    Frame {
        /// Frames thrown away.
        dropped: u32,
    },
    /// Nothing yet.
    Empty,
    /// The other end is gone.
    Gone,
}

/// Both ends of a new bridge. Allocates.
pub fn pair() -> (CrossingEnd, CrossingEnd) {
    let (to_b, from_a) = RingBuffer::new(CAPACITY);
    let (to_a, from_b) = RingBuffer::new(CAPACITY);
    (
        CrossingEnd { to_peer: to_b, from_peer: from_b },
        CrossingEnd { to_peer: to_a, from_peer: from_a },
    )
}

impl CrossingEnd {
    /// Hands a frame to the peer; `false` if it is held up and the frame is lost.
    pub fn send(&mut self, frame: &Linear) -> bool {
        self.to_peer.push(*frame).is_ok()
    }

    /// Takes the peer's next frame.
    pub fn receive(&mut self, into: &mut Linear) -> Crossed {
        let mut dropped = 0;
        while self.from_peer.slots() > HIGH_WATER {
            let _ = self.from_peer.pop();
            dropped += 1;
        }
        match self.from_peer.pop() {
            Ok(frame) => {
                *into = frame;
                Crossed::Frame { dropped }
            }
            Err(_) if self.from_peer.is_abandoned() => Crossed::Gone,
            Err(_) => Crossed::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cross_in_order_and_a_backlog_is_cut_to_bound_the_delay() {
        let (mut a, mut b) = pair();
        for value in 0..5 {
            assert!(a.send(&[value; 160]));
        }
        let mut frame = [0; 160];
        assert_eq!(b.receive(&mut frame), Crossed::Frame { dropped: 3 });
        assert_eq!(frame[0], 3);
        assert_eq!(b.receive(&mut frame), Crossed::Frame { dropped: 0 });
        assert_eq!(frame[0], 4);
        assert_eq!(b.receive(&mut frame), Crossed::Empty);
    }

    #[test]
    fn a_peer_that_left_is_told_after_its_last_frame() {
        let (mut a, mut b) = pair();
        assert!(a.send(&[1; 160]));
        drop(a);
        let mut frame = [0; 160];
        assert_eq!(b.receive(&mut frame), Crossed::Frame { dropped: 0 });
        assert_eq!(b.receive(&mut frame), Crossed::Gone);
    }

    #[test]
    fn a_stalled_peer_costs_frames_not_time() {
        let (mut a, _b) = pair();
        let taken = (0..20).filter(|_| a.send(&[0; 160])).count();
        assert_eq!(taken, CAPACITY);
    }
}
