//! The overwriting ring and the stamped slot it is made of: one writer that never waits, any
//! number of readers that leave no trace, and a reader that is late learns by exactly how much.
//! Audio rings are of this kind; a line's row is a single stamped slot.
//!
//! Real-time contract: the writer neither allocates, waits nor panics, and does not know its
//! readers. A reader does one bounded copy a call. One thread at a time may use a writer; every
//! reader has its own [`RingReader`].
//!
//! A stamped slot is a sequence lock. Its first word, the stamp, is odd while it is written. For
//! item `n` of a ring it is `2n + 1`, then `2n + 2`: it tells which item lies there, too.
//!
//! Orderings (each pair: Release by the writer, Acquire by the reader):
//! - odd stamp before data, [`Edge::StampBegin`], and data before the stamp's second look,
//!   [`Edge::StampCheck`]: who copied any of a new item's words sees the stamp changed.
//! - data before even stamp, [`Edge::StampEnd`], and the stamp's first look before data,
//!   [`Edge::StampObserve`]: who sees the even stamp copies nothing older.
//! - slot before head, [`Edge::HeadPublish`], and head before slot, [`Edge::HeadObserve`]: who
//!   sees item `n` counted never finds the stamp of an older item in its slot, so that a stamp
//!   that differs always means "overwritten", and the count of lost items is exact.

use crate::sync::{Edge, ReadWords, WriteWords, release_fence};

/// Writes `data` behind the stamp at `at`; `stamp` is the even stamp that ends it.
#[inline]
pub fn write_stamped<const N: usize>(slot: &WriteWords, at: usize, stamp: u64, data: &[u64; N]) {
    slot.store(at, stamp.wrapping_sub(1));
    // Pairs with StampCheck in `read_stamped`.
    release_fence(Edge::StampBegin);
    slot.copy_in(at + 1, data);
    // Pairs with StampObserve in `read_stamped`.
    slot.store_release(at, stamp, Edge::StampEnd);
}

/// Copies the data behind the stamp at `at` and tells the stamp; `None`, and garbage in `into`,
/// while it is written, and if it was while it was copied.
#[inline]
pub fn read_stamped<const N: usize>(
    slot: &ReadWords,
    at: usize,
    into: &mut [u64; N],
) -> Option<u64> {
    // Pairs with StampEnd in `write_stamped`.
    let stamp = slot.load_acquire(at, Edge::StampObserve);
    if stamp % 2 == 1 {
        return None;
    }
    slot.copy_out(at + 1, into);
    // Pairs with StampBegin in `write_stamped`.
    let again = slot.load_after(at, Edge::StampCheck);
    (stamp == again).then_some(stamp)
}

/// The writing end of a ring whose slots are a stamp and `DATA` words.
#[derive(Debug)]
pub struct RingWriter<const DATA: usize> {
    slots: WriteWords,
    /// Items written, one word.
    head: WriteWords,
    capacity: u64,
    written: u64,
}

impl<const DATA: usize> RingWriter<DATA> {
    /// Over `slots`, a power of two of them, with the head in the first word of `head`.
    pub fn new(slots: WriteWords, head: WriteWords) -> Self {
        let capacity = (slots.reader().len() / (DATA + 1)) as u64;
        assert!(capacity.is_power_of_two(), "an index is a masked count");
        Self { slots, head, capacity, written: 0 }
    }

    /// Overwrites the oldest item. Tells the item's number, counted from 0.
    #[inline]
    pub fn push(&mut self, data: &[u64; DATA]) -> u64 {
        let number = self.written;
        let slot = (number & (self.capacity - 1)) as usize;
        write_stamped(&self.slots, slot * (DATA + 1), 2 * number + 2, data);
        self.written = number + 1;
        // Pairs with HeadObserve in `RingReader::pop`.
        self.head.store_release(0, self.written, Edge::HeadPublish);
        number
    }
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped {
    /// The next item, which is in the caller's buffer, has this number.
    Item(u64),
    /// So many items were overwritten before they were read; the one after them is next.
    Lost(u64),
    /// Nothing new.
    Empty,
}

/// A reading end; clones read on from the same place, each for itself.
#[derive(Clone, Debug)]
pub struct RingReader<const DATA: usize> {
    slots: ReadWords,
    head: ReadWords,
    capacity: u64,
    next: u64,
}

impl<const DATA: usize> RingReader<DATA> {
    /// Over `slots` and `head` of a [`RingWriter`]. Its first item is the next one written.
    pub fn new(slots: ReadWords, head: ReadWords) -> Self {
        let capacity = (slots.len() / (DATA + 1)) as u64;
        assert!(capacity.is_power_of_two(), "an index is a masked count");
        let next = head.load(0);
        Self { slots, head, capacity, next }
    }

    /// Number of the item it will ask for next.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Whether there is something to [`Self::pop`].
    #[inline]
    pub fn has_news(&self) -> bool {
        self.head.load(0) != self.next
    }

    /// The next item, copied to `into`, or how many were missed. Items read and lost add up to items written.
    #[inline]
    pub fn pop(&mut self, into: &mut [u64; DATA]) -> Popped {
        // Pairs with HeadPublish in `RingWriter::push`.
        let head = self.head.load_acquire(0, Edge::HeadObserve);
        let behind = head.wrapping_sub(self.next);
        if behind == 0 {
            return Popped::Empty;
        }
        if behind > self.capacity {
            return self.skip_to_oldest(head);
        }
        let slot = (self.next & (self.capacity - 1)) as usize;
        match read_stamped(&self.slots, slot * (DATA + 1), into) {
            Some(stamp) if stamp == self.next.wrapping_mul(2).wrapping_add(2) => {
                let number = self.next;
                self.next = number.wrapping_add(1);
                Popped::Item(number)
            }
            // Overwritten, or being so: at least this item is lost, and by a writer that has
            // gone a whole round since.
            _ => {
                self.next = self.next.wrapping_add(1);
                Popped::Lost(1)
            }
        }
    }

    /// To the oldest item that is not about to be overwritten.
    #[cold]
    fn skip_to_oldest(&mut self, head: u64) -> Popped {
        let oldest = head.wrapping_sub(self.capacity - 1);
        let lost = oldest.wrapping_sub(self.next);
        self.next = oldest;
        // A head that went backwards, which no engine writes, is a loss of nothing.
        if lost > u64::MAX / 2 { Popped::Lost(0) } else { Popped::Lost(lost) }
    }
}
