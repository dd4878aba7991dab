//! What the phone's packets said, until the line asks.

use crate::signal::Signal;

/// Signals waiting for the line.
pub(super) const SIGNALS: usize = 16;

/// A bounded queue; an overflow drops the newest.
pub(super) struct Signals {
    waiting: [Option<Signal>; SIGNALS],
    first: usize,
    len: usize,
}

impl Signals {
    pub(super) const EMPTY: Self = Self { waiting: [None; SIGNALS], first: 0, len: 0 };

    pub(super) fn push(&mut self, signal: Signal) -> bool {
        if self.len == SIGNALS {
            return false;
        }
        self.waiting[(self.first + self.len) % SIGNALS] = Some(signal);
        self.len += 1;
        true
    }

    pub(super) fn pop(&mut self) -> Option<Signal> {
        let signal = self.waiting[self.first].take()?;
        self.first = (self.first + 1) % SIGNALS;
        self.len -= 1;
        Some(signal)
    }
}
