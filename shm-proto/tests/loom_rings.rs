//! The rings under every interleaving and every weak memory order that loom finds.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p tipring-shm-proto --test loom_rings --release`
//!
//! Each model runs twice, with the writer and with the reader on the model's main thread: loom
//! does not explore both alike (with one placement it may see a single execution, and no bug).
//! Each must have explored more than one execution. Each is also run with each of its orderings
//! taken away (`sync::weaken`), and one of both placements must then fail: a test that cannot see
//! a seeded bug proves nothing.
#![cfg(loom)]

use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tipring_shm_proto::Attachment;
use tipring_shm_proto::bounded_ring::{self, CursorFault};
use tipring_shm_proto::doorbell::{ParkFlag, Ringer, Sleeper};
use tipring_shm_proto::overwriting_ring::{self, Popped, read_stamped, write_stamped};
use tipring_shm_proto::sync::{Edge, WriteWords, weaken};

/// What a model's second thread does, and what its main thread does.
type Half = Box<dyn FnOnce() + Send>;

/// Runs a model, `(writer, reader)`, in one placement; tells the executions explored, or what
/// failed.
fn explore(model: fn() -> (Half, Half), reader_on_main: bool) -> Result<usize, String> {
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 10_000;
    let run = AssertUnwindSafe(move || {
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let (writer, reader) = model();
            let (main, spawned) = if reader_on_main { (reader, writer) } else { (writer, reader) };
            let other = thread::spawn(spawned);
            main();
            other.join().unwrap();
        });
    });
    match catch_unwind(run) {
        Ok(()) => Ok(executions.load(Ordering::Relaxed)),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default()),
    }
}

/// The model holds in both placements, explores more than one execution in each, and fails in at
/// least one of them without each of `edges`.
fn prove(name: &str, model: fn() -> (Half, Half), edges: &[Edge]) {
    for reader_on_main in [false, true] {
        let executions = explore(model, reader_on_main)
            .unwrap_or_else(|failure| panic!("{name}, reader on main {reader_on_main}: {failure}"));
        println!("{name}: reader on main {reader_on_main}: {executions} executions");
        assert!(executions > 1, "{name}: loom explored {executions} execution(s)");
    }
    for edge in edges {
        weaken(Some(*edge));
        let caught = [false, true].map(|reader_on_main| explore(model, reader_on_main).is_err());
        weaken(None);
        println!(
            "{name}: without {edge:?}: caught by writer on main {}, by reader {}",
            caught[0], caught[1]
        );
        assert!(caught.contains(&true), "{name}: nobody sees that {edge:?} is missing");
    }
}

const ATTACHMENT: Attachment = Attachment(1);

struct Bounded {
    slots: WriteWords,
    written: WriteWords,
    read: WriteWords,
}

impl Bounded {
    /// A ring of two slots of two words.
    fn new(exclusive: bool) -> Self {
        Self {
            slots: WriteWords::model(4, exclusive),
            written: WriteWords::model(1, false),
            read: WriteWords::model(1, false),
        }
    }

    fn writer(&self, attachment: Attachment) -> bounded_ring::RingWriter<2> {
        let mut ring = bounded_ring::RingWriter::new(self.slots.clone(), self.written.clone());
        ring.attach(attachment);
        ring
    }

    fn reader(&self, attachment: Attachment) -> bounded_ring::RingReader<2> {
        let (slots, written) = (self.slots.reader(), self.written.reader());
        bounded_ring::RingReader::new(slots, written, self.read.clone(), attachment)
    }
}

/// Three items through two slots: each arrives whole, once, in order, or not yet.
fn bounded() -> (Half, Half) {
    let memory = Bounded::new(true);
    let (mut writer, mut reader) = (memory.writer(ATTACHMENT), memory.reader(ATTACHMENT));
    let peer = memory.read.reader();
    let write = move || {
        let mut sent = 0;
        for _ in 0..4 {
            if writer.room(&peer).unwrap() > 0 && sent < 3 {
                sent += 1;
                assert!(writer.push(&[sent, sent]));
            }
        }
    };
    let read = move || {
        let mut last = 0;
        for _ in 0..3 {
            let mut item = [0; 2];
            if reader.pop(&mut item).unwrap() {
                last += 1;
                assert_eq!(item, [last, last], "whole, once, in order");
            }
        }
    };
    (Box::new(write), Box::new(read))
}

#[test]
fn a_bounded_ring_loses_and_tears_nothing() {
    let edges = [Edge::ItemsPublish, Edge::ItemsObserve, Edge::SlotFree, Edge::SlotReuse];
    prove("bounded ring", bounded, &edges);
}

/// The writer turns to another attachment while the former one's reader still reads.
fn attachments() -> (Half, Half) {
    let memory = Bounded::new(false);
    let mut writer = memory.writer(ATTACHMENT);
    assert!(writer.push(&[1, 1]));
    let mut reader = memory.reader(ATTACHMENT);
    let write = move || {
        writer.attach(Attachment(2));
        assert!(writer.push(&[2, 2]));
    };
    let read = move || {
        for _ in 0..2 {
            let mut item = [0; 2];
            match reader.pop(&mut item) {
                Ok(false) | Err(CursorFault::Detached) => {}
                Ok(true) => assert_eq!(item, [1, 1], "not of the other attachment"),
                Err(CursorFault::Impossible) => panic!("no cursor is impossible"),
            }
        }
    };
    (Box::new(write), Box::new(read))
}

#[test]
fn a_reader_never_takes_another_attachments_items() {
    prove("attachments", attachments, &[Edge::AttachmentBegin, Edge::AttachmentCheck]);
}

/// Three items over two slots of an overwriting ring: each is read whole, or counted as lost.
fn overwriting() -> (Half, Half) {
    let (slots, head) = (WriteWords::model(6, false), WriteWords::model(1, false));
    let mut reader = overwriting_ring::RingReader::<2>::new(slots.reader(), head.reader());
    let mut writer = overwriting_ring::RingWriter::<2>::new(slots, head);
    writer.push(&[10, 10]);
    let write = move || {
        for n in 1..3 {
            writer.push(&[10 + n, 10 + n]);
        }
    };
    let read = move || {
        let mut accounted = 0;
        for _ in 0..2 {
            let mut data = [0; 2];
            match reader.pop(&mut data) {
                Popped::Item(number) => {
                    assert_eq!(number, accounted, "read and lost add up");
                    assert_eq!(data, [10 + number, 10 + number], "whole");
                    accounted += 1;
                }
                Popped::Lost(items) => {
                    // A round of two later, at the earliest, can an item be lost.
                    accounted += items;
                    assert!(accounted <= 2, "{accounted} accounted for, 3 written");
                }
                Popped::Empty => {}
            }
        }
    };
    (Box::new(write), Box::new(read))
}

#[test]
fn an_overwriting_ring_tears_nothing() {
    prove("overwriting ring", overwriting, &[Edge::StampBegin, Edge::StampCheck]);
}

/// Two items in a ring of two: nothing is overwritten, so nothing may be reported lost.
fn exact() -> (Half, Half) {
    let (slots, head) = (WriteWords::model(6, false), WriteWords::model(1, false));
    let mut reader = overwriting_ring::RingReader::<2>::new(slots.reader(), head.reader());
    let mut writer = overwriting_ring::RingWriter::<2>::new(slots, head);
    let write = move || {
        for n in 0..2 {
            writer.push(&[10 + n, 10 + n]);
        }
    };
    let read = move || {
        let mut next = 0;
        for _ in 0..2 {
            let mut data = [0; 2];
            match reader.pop(&mut data) {
                Popped::Item(number) => {
                    assert_eq!((number, data), (next, [10 + number, 10 + number]));
                    next += 1;
                }
                Popped::Lost(items) => panic!("{items} lost of a ring that never wrapped"),
                Popped::Empty => {}
            }
        }
    };
    (Box::new(write), Box::new(read))
}

#[test]
fn an_overwriting_ring_counts_no_loss_that_was_none() {
    prove("exact loss", exact, &[Edge::HeadPublish, Edge::HeadObserve]);
}

/// A row is read whole or not at all.
fn row() -> (Half, Half) {
    let slot = WriteWords::model(3, false);
    let words = slot.reader();
    write_stamped(&slot, 0, 2, &[1, 1]);
    let write = move || write_stamped(&slot, 0, 4, &[2, 2]);
    let read = move || {
        let mut data = [0; 2];
        if let Some(stamp) = read_stamped(&words, 0, &mut data) {
            assert_eq!(data, [stamp / 2, stamp / 2], "whole");
        }
    };
    (Box::new(write), Box::new(read))
}

#[test]
fn a_stamped_slot_is_read_whole() {
    let edges = [Edge::StampBegin, Edge::StampCheck, Edge::StampEnd, Edge::StampObserve];
    prove("stamped slot", row, &edges);
}

/// Whoever parks sees what was published, or is rung for.
fn doorbell() -> (Half, Half) {
    let (bell, flag, news) =
        (WriteWords::model(1, false), WriteWords::model(1, false), WriteWords::model(1, false));
    let ringer = Ringer::new(bell.clone());
    let parked = ParkFlag::new(flag.reader());
    let sleeper = Sleeper::new(bell.reader(), flag);
    let published = news.reader();
    // Whoever is done last looks at how it ended.
    let done = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
    let (writer_done, reader_done) = (Arc::clone(&done), done);
    let watcher = sleeper.clone();
    let write = move || {
        news.store(0, 1);
        ringer.count_if_parked(&parked);
        finish(&writer_done, DONE, &watcher);
    };
    let read = move || {
        let before = sleeper.park();
        let asleep = if published.load(0) == 1 { 0 } else { ASLEEP };
        let seen = if before == 0 { 0 } else { SAW_A_RING };
        finish(&reader_done, DONE | asleep | seen, &sleeper);
    };
    (Box::new(write), Box::new(read))
}

const DONE: usize = 1;
const ASLEEP: usize = 2;
const SAW_A_RING: usize = 4;

/// The last one to be done checks that a sleeper was rung since it looked.
fn finish(done: &loom::sync::atomic::AtomicUsize, bits: usize, sleeper: &Sleeper) {
    let before = done.swap(bits, loom::sync::atomic::Ordering::AcqRel);
    let both = before | bits;
    if before != 0 && both & ASLEEP != 0 {
        let rings_seen = u64::from(both & SAW_A_RING != 0);
        assert!(sleeper.was_rung(rings_seen), "asleep, and nobody rang");
    }
}

#[test]
fn no_ring_is_lost() {
    prove("doorbell", doorbell, &[Edge::BellRing, Edge::BellPark, Edge::BellObserve]);
}
