//! The doorbell: how a frame loop wakes a thread of apid that found nothing to do.
//!
//! The bell is a word of the uplink that counts rings; its low half is a futex. The park flag is
//! a word of the downlink, apid's, the number of threads that wait. The futex is **not** PRIVATE:
//! it is one page seen by two processes, and waiting works on a read-only mapping (futex(2)).
//! Nothing that apid can write is ever waited on, and ringing never blocks: the worst a hostile
//! flag does is one system call per wake-up of a loop.
//!
//! No ring is lost (Dekker's pattern). The ringer publishes, fences, then reads the flag. The
//! reader raises the flag, fences, reads the bell, then looks whether something was published.
//! Both fences are sequentially consistent, [`Edge::BellRing`] and [`Edge::BellPark`]: whichever
//! comes first, either the ringer sees the flag and rings, or the reader sees what was published.
//! A ring after the reader's look at the bell changes the word, and FUTEX_WAIT returns at once
//! (EAGAIN); what a ring before that look was for is seen by the look for news, since that comes
//! after it, [`Edge::BellObserve`], as the ring came after what it was for.
#![cfg_attr(not(loom), allow(unsafe_code, reason = "the futex system call"))]

use crate::sync::{Edge, ReadWords, WriteWords, total_fence};

/// Apid's park flag, as the engine reads it.
#[derive(Clone, Debug)]
pub struct ParkFlag(ReadWords);

impl ParkFlag {
    /// In the first word of `flag`.
    pub fn new(flag: ReadWords) -> Self {
        Self(flag)
    }
}

/// The engine's hand on the bell.
#[derive(Clone, Debug)]
pub struct Ringer(WriteWords);

impl Ringer {
    /// Of the bell in the first word of `bell`.
    pub fn new(bell: WriteWords) -> Self {
        Self(bell)
    }

    /// After something was published: counts a ring if somebody is parked, and tells whether.
    #[inline]
    pub fn count_if_parked(&self, flag: &ParkFlag) -> bool {
        total_fence(Edge::BellRing);
        let parked = flag.0.load(0) != 0;
        if parked {
            self.0.add(0, 1);
        }
        parked
    }

    /// Rings if somebody is parked. Real-time: one system call then, which does not block.
    #[inline]
    pub fn ring_if_parked(&self, flag: &ParkFlag) {
        if self.count_if_parked(flag) {
            #[cfg(not(loom))]
            futex::wake_all(&self.0.reader());
        }
    }
}

/// Apid's side: the bell, and its own park flag.
#[derive(Clone, Debug)]
pub struct Sleeper {
    bell: ReadWords,
    flag: WriteWords,
}

impl Sleeper {
    /// Of the bell in the first word of `bell`, with the flag in the first word of `flag`.
    pub fn new(bell: ReadWords, flag: WriteWords) -> Self {
        Self { bell, flag }
    }

    /// Raises the flag; tells how often the bell was rung so far. What is published from now on
    /// rings.
    pub fn park(&self) -> u64 {
        self.flag.add(0, 1);
        total_fence(Edge::BellPark);
        self.bell.load_acquire(0, Edge::BellObserve)
    }

    /// Lowers the flag.
    pub fn unpark(&self) {
        self.flag.sub(0, 1);
    }

    /// Whether the bell was rung since [`Self::park`] told `before`.
    pub fn was_rung(&self, before: u64) -> bool {
        self.bell.load(0) != before
    }
}

#[cfg(not(loom))]
pub use waiting::{Doorbell, Woken};

#[cfg(not(loom))]
mod waiting {
    use super::{Ringer, Sleeper, futex};
    use std::time::Duration;

    /// Rings without asking whether anybody waits: for the supervisor, when something rare has
    /// changed. Frame loops use [`crate::EventWriter::finish_wake`].
    #[derive(Clone, Debug)]
    pub struct Doorbell(pub(crate) Ringer);

    impl Doorbell {
        /// Wakes every thread that waits.
        pub fn ring(&self) {
            self.0.0.add(0, 1);
            futex::wake_all(&self.0.0.reader());
        }
    }

    /// Why a wait ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Woken {
        /// There was something to do already.
        Busy,
        /// The bell rang (or, rarely, seemed to).
        Rung,
        /// Nothing happened in time.
        TimedOut,
    }

    impl Sleeper {
        /// Waits for the bell, unless `has_work` finds something after the flag is up.
        pub fn wait(&self, timeout: Duration, has_work: impl FnOnce() -> bool) -> Woken {
            let before = self.park();
            let woken = if has_work() {
                Woken::Busy
            } else if futex::wait(&self.bell, before as u32, timeout) {
                Woken::Rung
            } else {
                Woken::TimedOut
            };
            self.unpark();
            woken
        }
    }
}

#[cfg(not(loom))]
mod futex {
    use crate::sync::ReadWords;
    use std::time::Duration;

    /// Wakes everybody who waits on the first of `words`. Its result is not of interest: nobody
    /// waiting is no error, and the address is always good.
    pub(super) fn wake_all(words: &ReadWords) {
        // SAFETY: FUTEX_WAKE does not access the word; the address is that of a live, aligned
        // word, since `words` owns its mapping.
        unsafe {
            libc::syscall(libc::SYS_futex, words.address(0), libc::FUTEX_WAKE, i32::MAX);
        }
    }

    /// Waits while the low half of the first of `words` is `value`; false after `timeout`.
    pub(super) fn wait(words: &ReadWords, value: u32, timeout: Duration) -> bool {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
        };
        // SAFETY: the address is that of a live, aligned word, since `words` owns its mapping;
        // the kernel only reads it. `timeout` lives until the call returns.
        let result = unsafe {
            libc::syscall(
                libc::SYS_futex,
                words.address(0),
                libc::FUTEX_WAIT,
                value,
                &raw const timeout,
            )
        };
        let timed_out =
            result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT);
        !timed_out
    }
}
