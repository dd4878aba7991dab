//! The atomic words everything shared is made of, and what stands for them under loom.
//!
//! A segment is an array of 64-bit words. All access is atomic, slots included (relaxed, word by
//! word), so that a peer that writes when it must not causes garbage, never a data race.
//!
//! Each ordering has a name, its [`Edge`]. Outside loom the name costs nothing; under loom a test
//! can weaken one edge to `Relaxed` and must then see the model fail (`tests/loom_rings.rs`).

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU64, Ordering, fence};

use std::sync::Arc;

#[cfg(not(loom))]
type Memory = Arc<crate::segment::Mapping>;
#[cfg(loom)]
type Memory = Arc<model::Model>;

/// The orderings of this crate. A Release edge is listed before the Acquire edge it pairs with;
/// where both are used is said at the use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Bounded ring: the items are written before the write cursor says so.
    ItemsPublish,
    /// Bounded ring: … and are read after the write cursor was.
    ItemsObserve,
    /// Bounded ring: an item was copied out before the read cursor frees its slot.
    SlotFree,
    /// Bounded ring: … and is overwritten after the read cursor was read.
    SlotReuse,
    /// Bounded ring: the attachment changed before its first item is written.
    AttachmentBegin,
    /// Bounded ring: … and is checked after an item was copied out.
    AttachmentCheck,
    /// Event ring: rows are published before the drops they make up for are told.
    DropsPublish,
    /// Event ring: … and are read after that was seen.
    DropsObserve,
    /// Stamped slot: the odd stamp is written before the data.
    StampBegin,
    /// Stamped slot: … and the stamp is checked again after the data was read.
    StampCheck,
    /// Stamped slot: the data is written before the even stamp.
    StampEnd,
    /// Stamped slot: … and is read after the stamp was.
    StampObserve,
    /// Overwriting ring: a slot is complete before the head counts it.
    HeadPublish,
    /// Overwriting ring: … and is looked at after the head was read.
    HeadObserve,
    /// Doorbell: the ringer publishes before it looks whether the reader is parked.
    BellRing,
    /// Doorbell: … and the reader parks before it looks whether something was published.
    BellPark,
    /// Doorbell: the reader looks at the bell before it looks whether something was published;
    /// pairs with the ringer's fence, after which it counts.
    BellObserve,
    /// Header: all of it is written before `ready`.
    ReadyPublish,
    /// Header: … and is read after `ready`.
    ReadyObserve,
}

#[cfg(loom)]
mod seeded {
    //! The seeded bug: one edge per OS thread (a loom model stays on one) that orders nothing.
    use super::Edge;
    use std::cell::Cell;

    std::thread_local! { static WEAKENED: Cell<Option<Edge>> = const { Cell::new(None) }; }

    /// From now on `edge` orders nothing on this thread's models.
    pub fn weaken(edge: Option<Edge>) {
        WEAKENED.set(edge);
    }

    pub(super) fn holds(edge: Edge) -> bool {
        WEAKENED.get() != Some(edge)
    }
}
#[cfg(loom)]
pub use seeded::weaken;

#[cfg(not(loom))]
#[inline]
const fn holds(_: Edge) -> bool {
    true
}
#[cfg(loom)]
use seeded::holds;

#[cfg(loom)]
mod model {
    //! Memory on the heap of a loom model.
    #![allow(unsafe_code, reason = "loom's cells are shared so that it can check them")]
    use super::AtomicU64;

    /// Words, and where slots must never be written while they are copied, a cell beside each:
    /// loom executes loads in program order, so it cannot show a copy that a processor delays
    /// past the cursor that frees its slot. But it tracks what happens before what, and fails a
    /// cell that is read and written without that.
    #[derive(Debug)]
    pub(crate) struct Model {
        pub(super) words: Vec<AtomicU64>,
        owned: Vec<Owned>,
    }

    #[derive(Debug)]
    struct Owned(loom::cell::UnsafeCell<()>);

    // SAFETY: the cell is only entered through `with` and `with_mut`, which check.
    unsafe impl Sync for Owned {}
    // SAFETY: as above.
    unsafe impl Send for Owned {}

    impl Model {
        pub(super) fn new(len: usize, exclusive: bool) -> Self {
            let owned = if exclusive { len } else { 0 };
            Self {
                words: (0..len).map(|_| AtomicU64::new(0)).collect(),
                owned: (0..owned).map(|_| Owned(loom::cell::UnsafeCell::new(()))).collect(),
            }
        }

        pub(super) fn read(&self, at: usize) {
            if let Some(owned) = self.owned.get(at) {
                owned.0.with(|_| ());
            }
        }

        pub(super) fn write(&self, at: usize) {
            if let Some(owned) = self.owned.get(at) {
                owned.0.with_mut(|_| ());
            }
        }
    }
}

/// An acquire fence, by name.
#[inline]
fn acquire_fence(edge: Edge) {
    if holds(edge) {
        fence(Ordering::Acquire);
    }
}

/// A release fence, by name.
#[inline]
pub(crate) fn release_fence(edge: Edge) {
    if holds(edge) {
        fence(Ordering::Release);
    }
}

/// A sequentially consistent fence, by name.
#[inline]
pub(crate) fn total_fence(edge: Edge) {
    if holds(edge) {
        fence(Ordering::SeqCst);
    }
}

/// Words of a segment that this process only reads. It keeps the mapping alive; cloning or moving
/// it does not touch the words. Dropping the last one unmaps, so not on a real-time thread.
#[derive(Clone, Debug)]
pub struct ReadWords {
    memory: Memory,
    start: usize,
    len: usize,
}

impl ReadWords {
    #[cfg(not(loom))]
    pub(crate) fn of(memory: &Memory, start_bytes: usize, len_bytes: usize) -> Self {
        let (start, len) = (start_bytes / 8, len_bytes / 8);
        assert!(start + len <= memory.words().len(), "the layout lies within its segment");
        Self { memory: Arc::clone(memory), start, len }
    }

    #[inline]
    fn all(&self) -> &[AtomicU64] {
        #[cfg(not(loom))]
        let words = self.memory.words();
        #[cfg(loom)]
        let words = &self.memory.words;
        &words[self.start..self.start + self.len]
    }

    /// Number of words.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// No words at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `len` words from `start` on.
    #[must_use]
    pub fn part(&self, start: usize, len: usize) -> Self {
        assert!(start + len <= self.len, "a part lies within its whole");
        Self { memory: Arc::clone(&self.memory), start: self.start + start, len }
    }

    /// Relaxed load.
    #[inline]
    pub fn load(&self, at: usize) -> u64 {
        self.all()[at].load(Ordering::Relaxed)
    }

    /// Relaxed load and an acquire fence: on memory mapped read-only only relaxed loads are
    /// defined (std::sync::atomic, "Atomic accesses to read-only memory").
    #[inline]
    pub fn load_acquire(&self, at: usize, edge: Edge) -> u64 {
        let value = self.load(at);
        acquire_fence(edge);
        value
    }

    /// An acquire fence and a relaxed load: earlier loads are done before this one.
    #[inline]
    pub fn load_after(&self, at: usize, edge: Edge) -> u64 {
        acquire_fence(edge);
        self.load(at)
    }

    /// Relaxed copy of `N` words from `at` on.
    #[inline]
    pub fn copy_out<const N: usize>(&self, at: usize, into: &mut [u64; N]) {
        #[cfg(loom)]
        self.memory.read(self.start + at);
        for (word, shared) in into.iter_mut().zip(&self.all()[at..at + N]) {
            *word = shared.load(Ordering::Relaxed);
        }
    }
}

/// Words of a segment that this process writes.
#[derive(Clone, Debug)]
pub struct WriteWords(ReadWords);

impl WriteWords {
    #[cfg(not(loom))]
    pub(crate) fn of(memory: &Memory, start_bytes: usize, len_bytes: usize) -> Self {
        assert!(memory.is_writable(), "this side maps the segment writable");
        Self(ReadWords::of(memory, start_bytes, len_bytes))
    }

    /// Words on the heap, for a loom model; `exclusive` if they must never be copied in and out
    /// at once.
    #[cfg(loom)]
    pub fn model(len: usize, exclusive: bool) -> Self {
        let memory = Arc::new(model::Model::new(len, exclusive));
        Self(ReadWords { memory, start: 0, len })
    }

    /// The same words, for reading.
    pub fn reader(&self) -> ReadWords {
        self.0.clone()
    }

    /// `len` words from `start` on.
    #[must_use]
    pub fn part(&self, start: usize, len: usize) -> Self {
        Self(self.0.part(start, len))
    }

    /// Relaxed load of a word this process wrote.
    #[inline]
    pub fn load(&self, at: usize) -> u64 {
        self.0.load(at)
    }

    /// Relaxed store.
    #[inline]
    pub fn store(&self, at: usize, value: u64) {
        self.0.all()[at].store(value, Ordering::Relaxed);
    }

    /// Store with release.
    #[inline]
    pub fn store_release(&self, at: usize, value: u64, edge: Edge) {
        let ordering = if holds(edge) { Ordering::Release } else { Ordering::Relaxed };
        self.0.all()[at].store(value, ordering);
    }

    /// Relaxed copy of `words` to `at` and on.
    #[inline]
    pub fn copy_in<const N: usize>(&self, at: usize, words: &[u64; N]) {
        #[cfg(loom)]
        self.0.memory.write(self.0.start + at);
        for (shared, word) in self.0.all()[at..at + N].iter().zip(words) {
            shared.store(*word, Ordering::Relaxed);
        }
    }

    /// Relaxed read-modify-write addition (wraps).
    #[inline]
    pub fn add(&self, at: usize, amount: u64) {
        self.0.all()[at].fetch_add(amount, Ordering::Relaxed);
    }

    /// Relaxed read-modify-write subtraction (wraps).
    #[inline]
    pub fn sub(&self, at: usize, amount: u64) {
        self.0.all()[at].fetch_sub(amount, Ordering::Relaxed);
    }

    /// Relaxed read-modify-write maximum.
    #[inline]
    pub fn max(&self, at: usize, value: u64) {
        self.0.all()[at].fetch_max(value, Ordering::Relaxed);
    }
}

#[cfg(not(loom))]
impl ReadWords {
    /// Address of a word, for the futex.
    pub(crate) fn address(&self, at: usize) -> *const u32 {
        std::ptr::from_ref(&self.all()[at]).cast()
    }
}
