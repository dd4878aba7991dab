//! Somebody hears a line: the thread reads the audio rings into a bounded queue, the oldest
//! frames give way.

use super::lock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tipring_shm_proto::units::{FRAME_SAMPLES, Nanos};
use tipring_shm_proto::{AudioFrame, AudioReader, Next};
use tokio::sync::Notify;

/// Frames that wait for one listener: 1.28 s.
const QUEUE: usize = 64;
/// A frame of one direction waits so long for the other's, in frames.
const PATIENCE: usize = 2;

/// What a tap delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most of them are frames")]
pub enum TapItem {
    /// 20 ms of what was asked for.
    Frame {
        /// What the phone says.
        rx: Option<[i16; FRAME_SAMPLES]>,
        /// What it hears.
        tx: Option<[i16; FRAME_SAMPLES]>,
        /// When the engine had it.
        at: Nanos,
        /// Its number.
        seq: u64,
    },
    /// So many frames were lost on the way.
    Lost(u64),
    /// The attachment has ended.
    Gone,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<(Instant, TapItem)>,
    lost: u64,
    lost_total: u64,
}

#[derive(Debug, Default)]
struct Channel {
    queue: Mutex<Queue>,
    arrived: Notify,
    gone: AtomicBool,
    closed: AtomicBool,
}

/// The listener's end. Dropping it frees the seat.
#[derive(Debug)]
pub struct Tap(Arc<Channel>);

impl Tap {
    /// The next item; waits for it. May be cancelled without loss.
    pub async fn next(&mut self) -> TapItem {
        loop {
            if let Some(item) = self.try_next() {
                return item;
            }
            self.0.arrived.notified().await;
        }
    }

    /// The next item, if it is there.
    pub fn try_next(&mut self) -> Option<TapItem> {
        let mut queue = lock(&self.0.queue);
        let lost = std::mem::take(&mut queue.lost);
        if lost > 0 {
            return Some(TapItem::Lost(lost));
        }
        match queue.items.pop_front() {
            Some((_, item)) => Some(item),
            None => self.0.gone.load(Ordering::Acquire).then_some(TapItem::Gone),
        }
    }

    /// A handle for diagnostics that outlives nothing.
    pub fn meter(&self) -> TapMeter {
        TapMeter(Arc::downgrade(&self.0))
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }
}

/// Looks at a tap's queue.
#[derive(Clone, Debug)]
pub struct TapMeter(std::sync::Weak<Channel>);

impl TapMeter {
    /// Frames that wait, age of the oldest in ms, frames lost so far; `None` when the tap is
    /// gone.
    pub fn read(&self) -> Option<(usize, u64, u64)> {
        let channel = self.0.upgrade()?;
        let queue = lock(&channel.queue);
        let age = queue.items.front().map_or(0, |(at, _)| at.elapsed().as_millis() as u64);
        Some((queue.items.len(), age, queue.lost_total))
    }
}

/// The thread's end.
#[derive(Debug)]
pub(super) struct TapSeat {
    channel: Arc<Channel>,
    rx: Option<Side>,
    tx: Option<Side>,
    /// Number of the frame that is due; `None` before the first.
    due: Option<u64>,
}

/// One direction, and what was read of it and waits for the other.
#[derive(Debug)]
struct Side {
    reader: AudioReader,
    read: VecDeque<AudioFrame>,
}

impl Side {
    fn new(reader: AudioReader) -> Self {
        Self { reader, read: VecDeque::new() }
    }

    /// Takes what is there. What was overwritten is found missing by its number.
    fn read_on(&mut self) {
        loop {
            match self.reader.next() {
                Next::Frame(frame) => self.read.push_back(frame),
                Next::Lost(_) => {}
                Next::Empty => return,
            }
        }
    }
}

pub(super) fn pair(rx: Option<AudioReader>, tx: Option<AudioReader>) -> (TapSeat, Tap) {
    let channel = Arc::new(Channel::default());
    let seat = TapSeat {
        channel: channel.clone(),
        rx: rx.map(Side::new),
        tx: tx.map(Side::new),
        due: None,
    };
    (seat, Tap(channel))
}

impl TapSeat {
    /// The listener has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.channel.closed.load(Ordering::Relaxed)
    }

    pub(super) fn has_news(&self) -> bool {
        self.rx.iter().chain(&self.tx).any(|side| side.reader.has_news())
    }

    /// Hands on what the engine has written.
    pub(super) fn pump(&mut self) {
        for side in self.rx.iter_mut().chain(&mut self.tx) {
            side.read_on();
        }
        let channel = self.channel.clone();
        let mut queue = lock(&channel.queue);
        let mut arrived = false;
        let mut dropped = 0;
        while let Some((seq, item)) = self.next_item() {
            let missing = seq.checked_sub(self.due.unwrap_or(seq));
            // The other half of a frame that was given up is of no use any more.
            let Some(missing) = missing else { continue };
            dropped += missing;
            self.due = Some(seq + 1);
            arrived = true;
            if queue.items.len() >= QUEUE {
                queue.items.pop_front();
                dropped += 1;
            }
            queue.items.push_back((Instant::now(), item));
        }
        queue.lost += dropped;
        queue.lost_total += dropped;
        drop(queue);
        if arrived || dropped > 0 {
            channel.arrived.notify_one();
        }
    }

    /// Frames of both directions with the same number belong together; both are written in one
    /// tick, rx first.
    fn next_item(&mut self) -> Option<(u64, TapItem)> {
        let item = |rx: Option<AudioFrame>, tx: Option<AudioFrame>| {
            let one = rx.or(tx)?;
            let (at, seq) = (one.at, one.seq.0);
            let (rx, tx) = (rx.map(|frame| frame.samples), tx.map(|frame| frame.samples));
            Some((seq, TapItem::Frame { rx, tx, at, seq }))
        };
        match (&mut self.rx, &mut self.tx) {
            (Some(rx), None) => item(rx.read.pop_front(), None),
            (None, Some(tx)) => item(None, tx.read.pop_front()),
            (None, None) => None,
            (Some(rx), Some(tx)) => match (rx.read.front(), tx.read.front()) {
                (Some(a), Some(b)) if a.seq == b.seq => {
                    item(rx.read.pop_front(), tx.read.pop_front())
                }
                (Some(a), Some(b)) if a.seq < b.seq => item(rx.read.pop_front(), None),
                (Some(_), Some(_)) => item(None, tx.read.pop_front()),
                (Some(_), None) if rx.read.len() > PATIENCE => item(rx.read.pop_front(), None),
                (None, Some(_)) if tx.read.len() > PATIENCE => item(None, tx.read.pop_front()),
                _ => None,
            },
        }
    }

    pub(super) fn end(&self) {
        self.channel.gone.store(true, Ordering::Release);
        self.channel.arrived.notify_one();
    }
}
