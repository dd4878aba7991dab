//! Digits and flashes as packets (RFC 4733; flash is event 16 of RFC 2833 §3.10).
//!
//! An event is sent many times: at its start, while it lasts, and three times at its end. All
//! of its packets carry the timestamp of its start, which with source and event number is its
//! name. The traps of receiving, each seen in the field:
//! * any packet may be the first to arrive, the last one too: then the event is begun and ended;
//! * end packets share one sequence number (SIPp's recordings), or are reordered after the next
//!   event began: a name that is done stays done;
//! * all end packets are lost: three intervals without a packet end the event;
//! * an event of more than 8 s is continued under another timestamp (§2.5.1.3).

use crate::signal::Signal;
use tipring_shm_proto::event::DigitSource;
use tipring_shm_proto::units::{FRAME_SAMPLES, Nanos, TenthDb, TenthDbm0};

/// Octets of an event's payload (RFC 4733 §2.3).
pub const PAYLOAD_OCTETS: usize = 4;
/// Timestamp units a ms.
const UNITS_PER_MS: u32 = 8;
/// Updates come each 50 ms at most (RFC 4733 §2.5.1.2), so this is the least interval assumed.
const INTERVAL_MS: u32 = 50;
/// Intervals without a packet that end an event (RFC 4733 §2.5.2.2).
const LOST_INTERVALS: u32 = 3;
/// Longest interval learned from a sender, ms.
const MAX_INTERVAL_MS: u32 = 200;
/// Finished events remembered: reordering never reaches further back.
const REMEMBERED: usize = 8;
/// Event number of a flash.
const FLASH: u8 = 16;
/// Level of the digits we send: −10 dBm0, of 0 to −63.
const VOLUME: u8 = 10;
/// How long the flash is that we send.
const FLASH_MS: u16 = 100;

/// One packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for `A` to `D`, 16 for flash; others exist.
    pub event: u8,
    /// The event has ended.
    pub end: bool,
    /// −dBm0, 0 to 63.
    pub volume: u8,
    /// Since the packet's timestamp, 1/8000 s.
    pub duration: u16,
}

impl EventPayload {
    /// `None` if there are less than four octets; what follows them is redundancy.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk::<PAYLOAD_OCTETS>()?;
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3F,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// With the reserved bit 0.
    pub fn octets(&self) -> [u8; PAYLOAD_OCTETS] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | (self.volume & 0x3F), high, low]
    }
}

/// ASCII of a digit's event number (RFC 4733 §3.2).
fn digit_of(event: u8) -> Option<u8> {
    b"0123456789*#ABCD".get(usize::from(event)).copied()
}

/// Event number of an ASCII digit.
fn event_of(digit: u8) -> Option<u8> {
    b"0123456789*#ABCD".iter().position(|known| *known == digit).map(|event| event as u8)
}

/// At most four signals: an event's end, and another's beginning and end, with room to spare.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    signals: [Option<Signal>; 4],
    len: usize,
}

impl Signals {
    fn push(&mut self, signal: Signal) {
        if let Some(place) = self.signals.get_mut(self.len) {
            *place = Some(signal);
            self.len += 1;
        }
    }
}

impl Iterator for Signals {
    type Item = Signal;

    fn next(&mut self) -> Option<Signal> {
        let signal = self.signals[0].take()?;
        self.signals.rotate_left(1);
        Some(signal)
    }
}

/// An event's name within its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    ssrc: u32,
    timestamp: u32,
    event: u8,
}

#[derive(Clone, Copy, Debug)]
struct Lasting {
    name: Name,
    /// Duration of the segments before this one.
    before: u32,
    duration: u16,
    volume: u8,
    heard: Nanos,
    interval_ms: u32,
}

impl Lasting {
    fn ended(&self) -> Option<Signal> {
        let units = self.before + u32::from(self.duration);
        digit_of(self.name.event).map(|digit| Signal::Digit {
            digit,
            duration_ms: u16::try_from(units / UNITS_PER_MS).unwrap_or(u16::MAX),
            level: TenthDbm0(-10 * i16::from(self.volume)),
            source: DigitSource::TelephoneEvent,
            twist: TenthDb(0),
        })
    }
}

/// Turns received packets into digits and flashes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventReceiver {
    lasting: Option<Lasting>,
    done: [Option<Name>; REMEMBERED],
    oldest_done: usize,
}

impl EventReceiver {
    /// Takes a packet, duplicates too. Events that are neither digit nor flash, and those of no
    /// duration (RFC 4733 §2.3.5), say nothing.
    pub fn handle_packet(
        &mut self,
        now: Nanos,
        (ssrc, timestamp, marker): (u32, u32, bool),
        payload: EventPayload,
    ) -> Signals {
        let mut signals = Signals::default();
        let name = Name { ssrc, timestamp, event: payload.event };
        let is_known = digit_of(payload.event).is_some() || payload.event == FLASH;
        if !is_known || payload.duration == 0 || self.done.contains(&Some(name)) {
            return signals;
        }
        if !self.continues(name, marker) {
            if self.is_overtaken(name) {
                // Its successor came first: it is told whole, and does not end its successor.
                Self::begin(name, &mut signals);
                let past = Lasting::of(now, name, payload);
                past.ended().into_iter().for_each(|signal| signals.push(signal));
                self.remember(name);
                return signals;
            }
            self.end(&mut signals);
            Self::begin(name, &mut signals);
            self.lasting = Some(Lasting::of(now, name, payload));
        } else if let Some(lasting) = &mut self.lasting {
            lasting.duration = lasting.duration.max(payload.duration);
            let interval_ms = now.ms_since(lasting.heard).clamp(INTERVAL_MS, MAX_INTERVAL_MS);
            lasting.interval_ms = lasting.interval_ms.max(interval_ms);
            lasting.heard = now;
        }
        if payload.end {
            self.end(&mut signals);
        }
        signals
    }

    /// Ends an event whose end was lost.
    pub fn handle_time(&mut self, now: Nanos) -> Signals {
        let mut signals = Signals::default();
        let is_lost = self.lasting.is_some_and(|lasting| {
            now.ms_since(lasting.heard) >= LOST_INTERVALS * lasting.interval_ms
        });
        if is_lost {
            self.end(&mut signals);
        }
        signals
    }

    /// The source is another one, or gone: ends what lasts.
    pub fn handle_source_change(&mut self) -> Signals {
        let mut signals = Signals::default();
        self.end(&mut signals);
        signals
    }

    /// An event lasts: audio of its time is not missing.
    pub fn is_lasting(&self) -> bool {
        self.lasting.is_some()
    }

    /// Is `name` the event that lasts? Steps to its next segment where it begins one.
    fn continues(&mut self, name: Name, marker: bool) -> bool {
        let Some(lasting) = &mut self.lasting else { return false };
        if lasting.name == name {
            return true;
        }
        let advanced = name.timestamp.wrapping_sub(lasting.name.timestamp);
        // A segment is at most 0xFFFF long; the last update of the one before may be lost.
        let is_next_segment = !marker
            && (lasting.name.ssrc, lasting.name.event) == (name.ssrc, name.event)
            && (0xF000..=0xFFFF).contains(&advanced)
            && u32::from(lasting.duration) + 0x1000 >= advanced;
        if is_next_segment {
            lasting.before += advanced;
            lasting.duration = 0;
            lasting.name = name;
        }
        is_next_segment
    }

    /// `name` began up to 1 s before the event that lasts: its packets were reordered.
    fn is_overtaken(&self, name: Name) -> bool {
        self.lasting.is_some_and(|lasting| {
            let ahead = lasting.name.timestamp.wrapping_sub(name.timestamp);
            lasting.name.ssrc == name.ssrc && (1..=8000).contains(&ahead)
        })
    }

    fn begin(name: Name, signals: &mut Signals) {
        signals.push(match digit_of(name.event) {
            Some(digit) => Signal::DigitBegin { digit, source: DigitSource::TelephoneEvent },
            None => Signal::Flash,
        });
    }

    fn end(&mut self, signals: &mut Signals) {
        if let Some(lasting) = self.lasting.take() {
            lasting.ended().into_iter().for_each(|signal| signals.push(signal));
            self.remember(lasting.name);
        }
    }

    fn remember(&mut self, name: Name) {
        self.done[self.oldest_done] = Some(name);
        self.oldest_done = (self.oldest_done + 1) % REMEMBERED;
    }
}

impl Lasting {
    fn of(now: Nanos, name: Name, payload: EventPayload) -> Self {
        Self {
            name,
            before: 0,
            duration: payload.duration,
            volume: payload.volume,
            heard: now,
            interval_ms: INTERVAL_MS,
        }
    }
}

/// Digits that wait to be sent.
const QUEUE: usize = 32;
/// End packets of an event (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
/// Shortest event and pause (ITU-T Q.24 as sent by most: 40 ms).
const LEAST_MS: u16 = 40;

#[derive(Clone, Copy, Debug)]
struct Queued {
    event: u8,
    on_frames: u16,
    off_frames: u16,
}

/// Where the sender is, in frames.
#[derive(Clone, Copy, Debug, Default)]
enum Sending {
    #[default]
    Idle,
    /// `sent` frames of `digit` are sent; it began at `timestamp`.
    On { digit: Queued, timestamp: u32, sent: u16 },
    /// `sent` frames of the pause are over; the first of them repeat the end.
    Off { digit: Queued, timestamp: u32, sent: u16 },
}

/// An event packet to send instead of an audio packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// First packet of its event.
    pub marker: bool,
    /// Of the event's start.
    pub timestamp: u32,
    /// What to say.
    pub payload: EventPayload,
}

/// Turns digits into packets, one a frame.
///
/// A digit of n frames is n packets, the last of them the first to say "end", and two more ends
/// in the pause. Duration counts the frame that a packet stands for, so the first says 20 ms.
#[derive(Clone, Copy, Debug)]
pub struct EventSender {
    queue: [Queued; QUEUE],
    first: usize,
    len: usize,
    sending: Sending,
}

impl Default for EventSender {
    fn default() -> Self {
        let none = Queued { event: 0, on_frames: 0, off_frames: 0 };
        Self { queue: [none; QUEUE], first: 0, len: 0, sending: Sending::Idle }
    }
}

/// Why a digit was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotQueued {
    /// The queue is full.
    Full,
    /// It is none of `0-9*#A-D`.
    NoDigit,
}

impl EventSender {
    /// Queues a digit. Times are rounded up to frames and to 40 ms at least, the pause also to
    /// the time that the repeated ends take.
    ///
    /// # Errors
    /// Says why not.
    pub fn queue_digit(&mut self, digit: u8, on_ms: u16, off_ms: u16) -> Result<(), NotQueued> {
        let event = event_of(digit).ok_or(NotQueued::NoDigit)?;
        self.queue_event(event, on_ms, off_ms)
    }

    /// Queues a flash.
    ///
    /// # Errors
    /// If the queue is full.
    pub fn queue_flash(&mut self) -> Result<(), NotQueued> {
        self.queue_event(FLASH, FLASH_MS, LEAST_MS)
    }

    /// Something is queued or under way, pauses included.
    pub fn is_pending(&self) -> bool {
        self.len > 0 || !matches!(self.sending, Sending::Idle)
    }

    /// What to send for the frame at `timestamp` instead of its audio.
    pub fn next_packet(&mut self, timestamp: u32) -> Option<EventPacket> {
        if let Sending::Off { digit, sent, .. } = self.sending
            && sent >= digit.off_frames
        {
            self.sending = Sending::Idle;
        }
        if let Sending::Idle = self.sending {
            let digit = self.take_queued()?;
            self.sending = Sending::On { digit, timestamp, sent: 0 };
        }
        match &mut self.sending {
            Sending::Idle => None,
            Sending::On { digit, timestamp, sent } => {
                *sent += 1;
                let (digit, timestamp, sent) = (*digit, *timestamp, *sent);
                let is_last = sent >= digit.on_frames;
                if is_last {
                    self.sending = Sending::Off { digit, timestamp, sent: 0 };
                }
                Some(packet(digit, timestamp, sent, is_last))
            }
            Sending::Off { digit, timestamp, sent } => {
                *sent += 1;
                let repeats = *sent < u16::from(END_PACKETS);
                repeats.then(|| packet(*digit, *timestamp, digit.on_frames, true))
            }
        }
    }

    fn queue_event(&mut self, event: u8, on_ms: u16, off_ms: u16) -> Result<(), NotQueued> {
        if self.len == QUEUE {
            return Err(NotQueued::Full);
        }
        // 0xFFFF timestamp units are one segment; nobody sends a longer digit (the command's
        // limit is 2 s).
        let frames = |ms: u16| ms.clamp(LEAST_MS, 8000).div_ceil(20);
        let off_frames = frames(off_ms).max(u16::from(END_PACKETS) - 1);
        let place = (self.first + self.len) % QUEUE;
        self.queue[place] = Queued { event, on_frames: frames(on_ms), off_frames };
        self.len += 1;
        Ok(())
    }

    fn take_queued(&mut self) -> Option<Queued> {
        if self.len == 0 {
            return None;
        }
        let queued = self.queue[self.first];
        self.first = (self.first + 1) % QUEUE;
        self.len -= 1;
        Some(queued)
    }
}

fn packet(digit: Queued, timestamp: u32, frames: u16, end: bool) -> EventPacket {
    EventPacket {
        marker: frames == 1,
        timestamp,
        payload: EventPayload {
            event: digit.event,
            end,
            volume: VOLUME,
            duration: frames * FRAME_SAMPLES as u16,
        },
    }
}

#[cfg(test)]
mod tests;
