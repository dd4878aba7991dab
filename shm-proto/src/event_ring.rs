//! Events of a frame loop: a bounded ring in the uplink whose read cursor is apid's.
//!
//! While nobody is attached events are dropped; at attach a resync is due. Answers to commands are
//! never dropped: their slots are reserved when the command is taken, and other events leave
//! reserved slots alone.

use crate::bounded_ring::{EngineFault, PeerFault, RingReader, RingWriter};
use crate::command::Outcome;
use crate::doorbell::{ParkFlag, Ringer};
use crate::event::{Event, Stamped};
use crate::layout::{Attachment, EVENT_WORDS};
use crate::sync::{Edge, ReadWords, WriteWords};
use crate::units::{CommandId, Nanos};
use crate::wire;

/// What apid's memory tells the event writer: how far it has read, whether it is parked. One per
/// loop and attachment, made by [`crate::Downlink::event_cursor`], handed to the loop, and given
/// back by it, so that the last owner of the mapping is not a real-time thread.
#[derive(Debug)]
pub struct EventCursor {
    pub(crate) attachment: Attachment,
    pub(crate) read: ReadWords,
    pub(crate) parked: ParkFlag,
}

impl EventCursor {
    /// Of which attachment.
    pub fn attachment(&self) -> Attachment {
        self.attachment
    }
}

/// A slot kept free for the answer to one command. Owed to one attachment; an answer that comes
/// after it ended goes nowhere.
#[must_use = "a command that was taken is answered"]
#[derive(Debug)]
pub struct Reservation(Attachment);

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Apid will get it.
    Sent,
    /// Full, or nobody there: counted, and apid is told to read the line table.
    Dropped,
}

/// Writing end of a loop's event ring.
///
/// Real-time: never allocates, waits or panics, but for the doorbell's system call in
/// [`Self::finish_wake`]; its frame loop only.
#[derive(Debug)]
pub struct EventWriter {
    ring: RingWriter<EVENT_WORDS>,
    peer: Option<EventCursor>,
    /// High half: attachment. Low half: events dropped since.
    dropped_word: WriteWords,
    ringer: Ringer,
    dropped: u32,
    /// Slots of answers that are owed; with those pending at most the ring's capacity.
    reserved: u32,
    announced: u32,
    written: bool,
    fault: bool,
}

impl EventWriter {
    /// Over the ring's slots, write cursor and drop counter.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(
        slots: WriteWords,
        cursor: WriteWords,
        dropped_word: WriteWords,
        ringer: Ringer,
    ) -> Self {
        Self {
            ring: RingWriter::new(slots, cursor),
            peer: None,
            dropped_word,
            ringer,
            dropped: 0,
            reserved: 0,
            announced: 0,
            written: false,
            fault: false,
        }
    }

    /// From now on events go to the apid behind `cursor`, the ring empty, nothing reserved.
    /// Returns the former cursor, to be dropped off the real-time thread.
    pub fn attach(&mut self, cursor: EventCursor) -> Option<EventCursor> {
        let former = self.detach();
        self.dropped_word.store(0, u64::from(cursor.attachment.0) << 32);
        self.ring.attach(cursor.attachment);
        self.peer = Some(cursor);
        former
    }

    /// From now on events are dropped. Returns the cursor, to be dropped off the real-time
    /// thread.
    pub fn detach(&mut self) -> Option<EventCursor> {
        self.ring.attach(Attachment(0));
        self.reserved = 0;
        self.dropped = 0;
        self.announced = 0;
        self.written = false;
        self.fault = false;
        self.peer.take()
    }

    /// Whom it speaks to.
    pub fn attachment(&self) -> Option<Attachment> {
        self.peer.as_ref().map(|peer| peer.attachment)
    }

    /// Writes an event, unless the slots left are all reserved.
    pub fn publish(&mut self, event: &Stamped) -> Published {
        if self.free_slots() > 0 && self.write(event) {
            return Published::Sent;
        }
        self.dropped = self.dropped.wrapping_add(1);
        Published::Dropped
    }

    /// Keeps a slot for an answer. `None` if there is none to keep, or nobody there: then the
    /// command is left in its ring.
    pub fn reserve(&mut self) -> Option<Reservation> {
        if self.free_slots() == 0 {
            return None;
        }
        self.reserved += 1;
        self.attachment().map(Reservation)
    }

    /// Gives a slot back for which no command was found.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is spent once")]
    pub fn release(&mut self, reservation: Reservation) {
        if Some(reservation.0) == self.attachment() {
            self.reserved = self.reserved.saturating_sub(1);
        }
    }

    /// Writes the answer to a command into the slot reserved for it.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is spent once")]
    pub fn answer(
        &mut self,
        reservation: Reservation,
        at: Nanos,
        id: CommandId,
        outcome: Outcome,
    ) -> Published {
        if Some(reservation.0) != self.attachment() {
            return Published::Dropped;
        }
        self.reserved = self.reserved.saturating_sub(1);
        if self.write(&Stamped { at, event: Event::CommandDone { id, outcome } }) {
            Published::Sent
        } else {
            Published::Dropped
        }
    }

    /// Once at the end of each wake-up, after rows and audio are published: tells apid of drops
    /// (its line table is then newer than the events it misses), and wakes it if it is parked.
    /// `news`: something other than events was published. One system call, if apid is parked.
    ///
    /// # Errors
    /// Apid's read cursor was impossible since the last call: detach.
    pub fn finish_wake(&mut self, news: bool) -> Result<(), PeerFault> {
        let Some(peer) = &self.peer else { return Ok(()) };
        let mut news = news || self.written;
        if self.announced != self.dropped {
            self.announced = self.dropped;
            let word = u64::from(peer.attachment.0) << 32 | u64::from(self.dropped);
            // Pairs with DropsObserve in `EventReader::resync`: the rows it sends the reader to
            // were published before.
            self.dropped_word.store_release(0, word, Edge::DropsPublish);
            news = true;
        }
        self.written = false;
        if news {
            self.ringer.ring_if_parked(&peer.parked);
        }
        if std::mem::take(&mut self.fault) { Err(PeerFault::Cursor) } else { Ok(()) }
    }

    /// Slots neither pending nor reserved.
    fn free_slots(&mut self) -> u32 {
        let Some(peer) = &self.peer else { return 0 };
        if let Ok(room) = self.ring.room(&peer.read) {
            room.saturating_sub(self.reserved)
        } else {
            self.fault = true;
            0
        }
    }

    fn write(&mut self, event: &Stamped) -> bool {
        let sent = wire::encode(event).is_some_and(|words| self.ring.push(&words));
        self.written |= sent;
        sent
    }
}

/// Apid's end of a loop's event ring.
#[derive(Debug)]
pub struct EventReader {
    ring: RingReader<EVENT_WORDS>,
    dropped_word: ReadWords,
    /// Drops known of; `None` before the first look, since at attach a resync is due.
    dropped: Option<u32>,
}

impl EventReader {
    /// Over the ring and its drop counter.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(ring: RingReader<EVENT_WORDS>, dropped_word: ReadWords) -> Self {
        Self { ring, dropped_word, dropped: None }
    }

    /// The loop has taken up this attachment. Before, there are no events.
    pub fn is_attached(&self) -> bool {
        self.ring.is_attached()
    }

    /// Whether [`Self::take`] or [`Self::resync`] has something.
    pub fn has_news(&mut self) -> bool {
        !matches!(self.ring.pending(), Ok(0))
            || self.drops().is_some_and(|n| Some(n) != self.dropped)
    }

    /// The oldest event not taken yet. Never waits.
    ///
    /// # Errors
    /// [`EngineFault::Detached`] once the loop speaks to somebody else: attach anew.
    pub fn take(&mut self) -> Result<Option<Stamped>, EngineFault> {
        let mut words = [0; EVENT_WORDS];
        if !self.ring.pop(&mut words)? {
            return Ok(None);
        }
        wire::decode(&words).map(Some).ok_or(EngineFault::Slot)
    }

    /// Whether to read the line table: once after the loop has taken up this attachment, and
    /// whenever events were dropped since the last call. Ask before reading the table: what is
    /// dropped while it is read will be told by the next call.
    pub fn resync(&mut self) -> bool {
        let Some(dropped) = self.drops() else { return false };
        self.ring.note_attached();
        self.dropped.replace(dropped) != Some(dropped)
    }

    /// Events dropped since the attachment began; `None` before the loop has taken it up.
    fn drops(&self) -> Option<u32> {
        // Pairs with DropsPublish in `EventWriter::finish_wake`.
        let word = self.dropped_word.load_acquire(0, Edge::DropsObserve);
        ((word >> 32) as u32 == self.ring.attachment().0).then_some(word as u32)
    }
}
