//! Audio from one frame loop to another: the two ends of a bridge.
//!
//! Made by the supervisor, used by two frame loops, dropped by the supervisor. Neither end
//! allocates, waits or locks. A full ring drops the newest frame, an empty one gives none. Beside each
//! frame goes what is no audio: a digit that was pressed, and how digits are taken there.

use crate::frame::Linear;
use rtrb::{Consumer, Producer, RingBuffer};

/// Frames a ring can hold: what two loops may be apart after one of them was held up.
const CAPACITY: usize = 8;

/// Frames that may wait once both loops run; what is older is dropped, so that delay does not
/// stay after a hiccup.
const HIGH_WATER: usize = 2;

/// A key that was pressed and let go; none of it is in the audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// ASCII `0-9*#A-D`.
    pub digit: u8,
    /// How long.
    pub duration_ms: u16,
}

/// What goes beside a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Digits are taken here as events (RFC 4733): they are to be told, not to be heard.
    pub takes_events: bool,
    /// A key that was pressed.
    pub pressed: Option<Press>,
}

/// One line's end.
#[derive(Debug)]
pub struct CrossingEnd {
    to_peer: Producer<(Linear, Beside)>,
    from_peer: Consumer<(Linear, Beside)>,
    /// What came last beside a frame; a key until it is taken.
    beside: Beside,
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
        CrossingEnd { to_peer: to_b, from_peer: from_b, beside: Beside::default() },
        CrossingEnd { to_peer: to_a, from_peer: from_a, beside: Beside::default() },
    )
}

impl CrossingEnd {
    /// Hands a frame to the peer; `false` if it is held up and the frame is lost.
    pub fn send(&mut self, frame: &Linear) -> bool {
        self.send_beside(frame, Beside::default())
    }

    /// The same with what goes beside it.
    pub fn send_beside(&mut self, frame: &Linear, beside: Beside) -> bool {
        self.to_peer.push((*frame, beside)).is_ok()
    }

    /// The peer takes digits as events.
    pub const fn peer_takes_events(&self) -> bool {
        self.beside.takes_events
    }

    /// The key that the peer's phone pressed, once.
    pub const fn take_press(&mut self) -> Option<Press> {
        self.beside.pressed.take()
    }

    /// Takes the peer's next frame.
    pub fn receive(&mut self, into: &mut Linear) -> Crossed {
        let mut dropped = 0;
        while self.from_peer.slots() > HIGH_WATER {
            if let Ok((_, beside)) = self.from_peer.pop() {
                self.learn(beside);
            }
            dropped += 1;
        }
        match self.from_peer.pop() {
            Ok((frame, beside)) => {
                *into = frame;
                self.learn(beside);
                Crossed::Frame { dropped }
            }
            Err(_) if self.from_peer.is_abandoned() => Crossed::Gone,
            Err(_) => Crossed::Empty,
        }
    }

    /// A key is not lost with the frame that it came beside.
    fn learn(&mut self, beside: Beside) {
        self.beside = Beside { pressed: beside.pressed.or(self.beside.pressed), ..beside };
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
    fn a_key_survives_the_frame_that_it_came_beside_and_is_told_once() {
        let (mut a, mut b) = pair();
        let press = Press { digit: b'5', duration_ms: 80 };
        for pressed in [None, Some(press), None, None, None] {
            assert!(a.send_beside(&[0; 160], Beside { takes_events: true, pressed }));
        }
        assert!(!b.peer_takes_events());
        assert_eq!(b.receive(&mut [0; 160]), Crossed::Frame { dropped: 3 });
        assert!(b.peer_takes_events());
        assert_eq!((b.take_press(), b.take_press()), (Some(press), None));
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
