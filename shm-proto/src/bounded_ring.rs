//! The bounded ring: one writer, one reader, nothing lost and nothing overwritten. Event, command
//! and play rings are of this kind.
//!
//! Real-time contract: neither side allocates, waits or panics, whatever the other one wrote.
//! Full is what [`RingWriter::room`] tells its caller; empty is `Ok(false)`. One thread at a time
//! may use a writer or a reader; both can be moved between threads.
//!
//! Each side's cursor stands in memory that only this side writes, and is an allegation to the
//! other. A cursor is one word: the attachment in the high half, in the low half the items written
//! (or read) since that attachment began, modulo 2^32. A cursor of another attachment counts as
//! "none yet": memory that survives an apid needs no clearing, and the first cursor of an
//! attachment becomes visible together with the fact that there is one.
//!
//! Orderings (each pair: Release by the one side, Acquire by the other):
//! - items before the write cursor, [`Edge::ItemsPublish`], and the write cursor before items,
//!   [`Edge::ItemsObserve`]: a reader never sees a slot before its item.
//! - copy before the read cursor, [`Edge::SlotFree`], and the read cursor before the next item in
//!   the same slot, [`Edge::SlotReuse`]: an item is not overwritten while it is copied.
//! - a new attachment's first cursor before its first item, [`Edge::AttachmentBegin`], and a
//!   copy before the cursor's second look, [`Edge::AttachmentCheck`]: the reader of an ended
//!   attachment, who holds nothing back any more, notices that what it copied was not for it.

use crate::layout::Attachment;
use crate::sync::{Edge, ReadWords, WriteWords, release_fence};

/// What is wrong with what apid wrote. The frame loop detaches on [`PeerFault::Cursor`] and
/// counts both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerFault {
    /// A cursor that cannot be: more read than written, more written than fits, or backwards.
    Cursor,
    /// A slot that does not decode. It was skipped.
    Slot,
}

/// What is wrong with what the engine wrote; apid attaches anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineFault {
    /// The engine speaks to another attachment, or to none.
    Detached,
    /// A cursor that cannot be.
    Cursor,
    /// A slot that does not decode. It was skipped.
    Slot,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The engine has not taken what lies there.
    Full,
    /// The engine's cursor cannot be.
    EngineFault,
}

/// The peer's cursor cannot be, or is another attachment's after it was this one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorFault {
    /// Not possible.
    Impossible,
    /// The peer now speaks to another attachment.
    Detached,
}

const fn cursor(attachment: Attachment, count: u32) -> u64 {
    (attachment.0 as u64) << 32 | count as u64
}

/// The count, if the cursor is of this attachment.
const fn count_of(cursor: u64, attachment: Attachment) -> Option<u32> {
    if (cursor >> 32) as u32 == attachment.0 { Some(cursor as u32) } else { None }
}

/// The writing end. Detached until [`Self::attach`].
#[derive(Debug)]
pub struct RingWriter<const WORDS: usize> {
    slots: WriteWords,
    /// Write cursor, one word.
    mine: WriteWords,
    capacity: u32,
    attachment: Attachment,
    /// Since the attachment began.
    written: u32,
    /// As last believed; `written - freed <= capacity` always.
    freed: u32,
}

impl<const WORDS: usize> RingWriter<WORDS> {
    /// Over `slots`, a power of two of them, with the write cursor in the first word of `mine`.
    pub fn new(slots: WriteWords, mine: WriteWords) -> Self {
        let capacity = slots.reader().len() / WORDS;
        assert!(capacity.is_power_of_two(), "cursors wrap at 2^32");
        let capacity = u32::try_from(capacity).expect("cursors count to 2^32");
        Self { slots, mine, capacity, attachment: Attachment(0), written: 0, freed: 0 }
    }

    /// Begins an attachment, empty; whoever reads for an earlier one is told by the cursor.
    pub fn attach(&mut self, attachment: Attachment) {
        self.attachment = attachment;
        self.written = 0;
        self.freed = 0;
        self.mine.store(0, cursor(attachment, 0));
        // Pairs with AttachmentCheck in `RingReader::pop`.
        release_fence(Edge::AttachmentBegin);
    }

    /// Whom it speaks to.
    pub fn attachment(&self) -> Attachment {
        self.attachment
    }

    /// Items that can be written now, by the read cursor in the first word of `peer`.
    ///
    /// # Errors
    /// The cursor is not possible: the room is as last believed, and the peer a liar.
    #[inline]
    pub fn room(&mut self, peer: &ReadWords) -> Result<u32, CursorFault> {
        // Pairs with SlotFree in `RingReader`: the slots counted free have been copied.
        let alleged = peer.load_acquire(0, Edge::SlotReuse);
        // A peer that has not read anything yet has not written its cursor either.
        let freed = count_of(alleged, self.attachment).unwrap_or(0);
        // Checked against the last believed one too: what was once freed is in use again.
        if self.written.wrapping_sub(freed) > self.written.wrapping_sub(self.freed) {
            return Err(CursorFault::Impossible);
        }
        self.freed = freed;
        Ok(self.capacity - self.written.wrapping_sub(freed))
    }

    /// Items not taken yet, as last believed.
    pub fn pending(&self) -> u32 {
        self.written.wrapping_sub(self.freed)
    }

    /// Writes one item; `false`, and nothing written, if there is no room as last believed.
    #[inline]
    pub fn push(&mut self, item: &[u64; WORDS]) -> bool {
        if self.pending() >= self.capacity {
            return false;
        }
        let slot = (self.written & (self.capacity - 1)) as usize;
        self.slots.copy_in(slot * WORDS, item);
        self.written = self.written.wrapping_add(1);
        // Pairs with ItemsObserve in `RingReader::pop`.
        self.mine.store_release(0, cursor(self.attachment, self.written), Edge::ItemsPublish);
        true
    }
}

/// The reading end, for one attachment.
#[derive(Debug)]
pub struct RingReader<const WORDS: usize> {
    slots: ReadWords,
    /// Write cursor, one word, the peer's.
    theirs: ReadWords,
    /// Read cursor, one word.
    mine: WriteWords,
    capacity: u32,
    attachment: Attachment,
    read: u32,
    /// The peer has spoken to this attachment.
    seen: bool,
}

impl<const WORDS: usize> RingReader<WORDS> {
    /// Over `slots`, a power of two of them, with cursors in the first words of `theirs` and
    /// `mine`. Touches nothing before the first [`Self::pop`].
    pub fn new(
        slots: ReadWords,
        theirs: ReadWords,
        mine: WriteWords,
        attachment: Attachment,
    ) -> Self {
        let capacity = slots.len() / WORDS;
        assert!(capacity.is_power_of_two(), "cursors wrap at 2^32");
        let capacity = u32::try_from(capacity).expect("cursors count to 2^32");
        Self { slots, theirs, mine, capacity, attachment, read: 0, seen: false }
    }

    /// For whom it reads.
    pub fn attachment(&self) -> Attachment {
        self.attachment
    }

    /// The peer is known to have begun this attachment: if it no longer speaks to it, it is over.
    pub fn note_attached(&mut self) {
        self.seen = true;
    }

    /// The peer has begun to write for this attachment.
    pub fn is_attached(&self) -> bool {
        count_of(self.theirs.load(0), self.attachment).is_some()
    }

    /// Items that can be read now.
    ///
    /// # Errors
    /// The peer's cursor cannot be, or is another attachment's.
    #[inline]
    pub fn pending(&mut self) -> Result<u32, CursorFault> {
        // Pairs with ItemsPublish in `RingWriter::push`.
        let alleged = self.theirs.load_acquire(0, Edge::ItemsObserve);
        let Some(written) = count_of(alleged, self.attachment) else {
            // Attachments are counted: a later one means that this one is over, too.
            let later = (alleged >> 32) as u32 > self.attachment.0;
            return if self.seen || later { Err(CursorFault::Detached) } else { Ok(0) };
        };
        self.seen = true;
        let pending = written.wrapping_sub(self.read);
        if pending > self.capacity { Err(CursorFault::Impossible) } else { Ok(pending) }
    }

    /// Copies the oldest item to `into` and frees its slot; `false` if there is none.
    ///
    /// # Errors
    /// The peer's cursor cannot be, or is another attachment's; nothing was taken.
    #[inline]
    pub fn pop(&mut self, into: &mut [u64; WORDS]) -> Result<bool, CursorFault> {
        if self.pending()? == 0 {
            return Ok(false);
        }
        let slot = (self.read & (self.capacity - 1)) as usize;
        self.slots.copy_out(slot * WORDS, into);
        // Pairs with AttachmentBegin in `RingWriter::attach`: if a later attachment's item was
        // copied, that attachment's cursor (or a later one) is seen here.
        let now = self.theirs.load_after(0, Edge::AttachmentCheck);
        if count_of(now, self.attachment).is_none() {
            return Err(CursorFault::Detached);
        }
        self.advance(1);
        Ok(true)
    }

    /// Frees everything written so far without reading it; tells how many items that were.
    ///
    /// # Errors
    /// As [`Self::pending`].
    pub fn skip_all(&mut self) -> Result<u32, CursorFault> {
        let pending = self.pending()?;
        if pending > 0 {
            self.advance(pending);
        }
        Ok(pending)
    }

    #[inline]
    fn advance(&mut self, items: u32) {
        self.read = self.read.wrapping_add(items);
        // Pairs with SlotReuse in `RingWriter::room`.
        self.mine.store_release(0, cursor(self.attachment, self.read), Edge::SlotFree);
    }
}

impl From<CursorFault> for PeerFault {
    fn from(_: CursorFault) -> Self {
        Self::Cursor
    }
}

impl From<CursorFault> for EngineFault {
    fn from(fault: CursorFault) -> Self {
        match fault {
            CursorFault::Impossible => Self::Cursor,
            CursorFault::Detached => Self::Detached,
        }
    }
}
