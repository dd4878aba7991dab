//! Whatever apid does to its memory, the engine's side goes on: no panic, no wait, nothing lost
//! for whoever else looks, and the next attachment is as good as the first.
//!
//! The attacker writes through its descriptor (pwrite, fallocate), as the apid it plays could,
//! in a thread of its own, while the engine's side ticks.
#![cfg(not(loom))]

use nix::fcntl::{FallocateFlags, fallocate};
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tipring_shm_proto::command::{
    Command, Hook, HookSource, LineKind, LineState, Outcome, Refusal, Request, Since,
};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::layout::{
    COMMAND_SLOTS, DOWNLINK_LOOP_BYTES, DownlinkLayout, EVENT_SLOTS, PLAY_CURSORS_BYTES,
    PLAY_SLOTS, UPLINK_LOOP_BYTES, UplinkLayout, downlink_header, downlink_loop, uplink_loop,
};
use tipring_shm_proto::line_table::{LineRow, MeterRow, PLAYBACK_SLOTS, PlaybackRow};
use tipring_shm_proto::settings::LineSettings;
use tipring_shm_proto::units::{
    CommandId, Generation, LineId, LoopId, Nanos, PlaybackId, TenthDbm0, Text32,
};
use tipring_shm_proto::*;

const DIMENSIONS: Dimensions = Dimensions { loops: 2, lines: 3 };
const LOOP: LoopId = LoopId(1);
const LINE: LineId = LineId(2);

/// xorshift64*: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

fn row(tick: u64) -> LineRow {
    LineRow {
        label: Text32::new("sim/3"),
        kind: LineKind::Sim,
        frame_loop: LOOP,
        state: Since { value: LineState::OnHook, at: Nanos(tick) },
        phase: None,
        hook: Since { value: Hook::On, at: Nanos(tick) },
        hook_source: HookSource::Loop,
        tag: tick,
        peer: None,
        conference: None,
        echo: false,
        last_digit: 0,
        voice: false,
        rx_level: TenthDbm0::SILENCE,
        tx_level: TenthDbm0::SILENCE,
        rx_meter: MeterRow::SILENCE,
        tx_meter: MeterRow::SILENCE,
        rtp: None,
        playbacks: [PlaybackRow::default(); PLAYBACK_SLOTS],
        millivolts: Some(-48_000),
        tenths_celsius: None,
        alarm: false,
        written_at: Nanos(tick),
        dahdi: None,
        settings: LineSettings::of_country(*b"us"),
    }
}

/// What a frame loop does with a line, a tick at a time. It does not detach on a fault, so that
/// what follows a fault is tried too.
struct Ticker {
    events: EventWriter,
    commands: CommandReader,
    plays: Vec<PlayReader>,
    /// Answers that come later, as those of the supervisor do.
    owed: VecDeque<(CommandId, Reservation)>,
    audio: AudioWriter,
    row: LineWriter,
    counters: LoopCounters,
    ticks: u64,
    frames: u64,
    commands_taken: u64,
    malformed: u64,
    cursor_faults: u64,
    slot_faults: u64,
    played: u64,
}

impl Ticker {
    fn new(uplink: &Uplink, downlink: &Downlink) -> Self {
        let mut events = uplink.event_writer(LOOP);
        events.attach(downlink.event_cursor(LOOP));
        Self {
            events,
            commands: downlink.command_reader(LOOP),
            plays: (0..PLAYBACK_SLOTS as u8).map(|slot| downlink.play_reader(LINE, slot)).collect(),
            owed: VecDeque::new(),
            audio: uplink.audio_writer(LINE),
            row: uplink.line_writer(LINE),
            counters: uplink.counters(LOOP),
            ticks: 0,
            frames: 0,
            commands_taken: 0,
            malformed: 0,
            cursor_faults: 0,
            slot_faults: 0,
            played: 0,
        }
    }

    fn count(&mut self, fault: PeerFault) {
        match fault {
            PeerFault::Cursor => self.cursor_faults += 1,
            PeerFault::Slot => self.slot_faults += 1,
        }
    }

    fn tick(&mut self) {
        let now = Nanos(self.ticks);
        for _ in 0..16 {
            match self.commands.take(&mut self.events) {
                Ok(Taken::Nothing) => break,
                Ok(Taken::Command(request, reservation)) => {
                    self.commands_taken += 1;
                    self.owed.push_back((request.id, reservation));
                }
                Ok(Taken::Malformed(id, reservation)) => {
                    self.malformed += 1;
                    let outcome = Outcome::Refused(Refusal::Malformed);
                    let sent = self.events.answer(reservation, now, id, outcome);
                    assert_eq!(sent, Published::Sent, "its slot was reserved");
                }
                Err(fault) => {
                    self.count(fault);
                    break;
                }
            }
        }
        let late = if self.ticks.is_multiple_of(8) { 0 } else { 100 };
        while self.owed.len() > late {
            let (id, reservation) = self.owed.pop_front().expect("there are more than that");
            let sent = self.events.answer(reservation, now, id, Outcome::Done);
            assert_eq!(sent, Published::Sent, "its slot was reserved");
        }
        for slot in 0..self.plays.len() {
            match self.plays[slot].take() {
                Ok(None) => {}
                Ok(Some(PlayItem::Audio { len, .. })) => {
                    assert!((1..=160).contains(&len));
                    self.played += 1;
                }
                Ok(Some(PlayItem::Mark { .. } | PlayItem::End { .. })) => self.played += 1,
                Err(fault) => self.count(fault),
            }
            if self.ticks % 64 == slot as u64 {
                match self.plays[slot].flush() {
                    Ok(items) => assert!(items <= PLAY_SLOTS as u32),
                    Err(fault) => self.count(fault),
                }
            }
        }
        let event = Event::Line { line: LINE, event: LineEvent::RingStarted };
        self.events.publish(&Stamped { at: now, event });
        let sample = self.ticks as i16;
        for direction in [Direction::Rx, Direction::Tx] {
            let level = TenthDbm0(sample);
            let seq =
                self.audio.publish(direction, now, level, FrameFlags::default(), &[sample; 160]);
            assert_eq!(seq.0, self.frames);
        }
        self.frames += 1;
        self.row.publish(&row(self.ticks));
        self.counters.add(Counter::ticks_total, 1);
        if let Err(fault) = self.events.finish_wake(true) {
            self.count(fault);
        }
        self.ticks += 1;
    }
}

/// Somebody else who reads the uplink, and must not notice anything.
struct Onlooker {
    map: EngineMap,
    audio: [AudioReader; 2],
    accounted: [u64; 2],
}

impl Onlooker {
    fn new(uplink: &Uplink) -> Self {
        let own = Downlink::create(uplink, Attachment(1000)).unwrap();
        let map = attach(uplink, &own);
        let audio = [Direction::Rx, Direction::Tx].map(|d| map.audio_reader(LINE, d));
        Self { map, audio, accounted: [0; 2] }
    }

    fn look(&mut self) {
        for (reader, accounted) in self.audio.iter_mut().zip(&mut self.accounted) {
            loop {
                match reader.next() {
                    Next::Empty => break,
                    Next::Lost(frames) => *accounted += frames,
                    Next::Frame(frame) => {
                        assert_eq!(frame.seq.0, *accounted);
                        assert_eq!(frame.at, Nanos(*accounted));
                        assert_eq!(frame.samples, [*accounted as i16; 160], "whole");
                        *accounted += 1;
                    }
                }
            }
        }
        if let Some(row) = self.map.line(LINE) {
            assert_eq!(row.tag, row.written_at.0, "whole");
        }
    }

    fn finish(mut self, ticks: u64) {
        self.look();
        assert_eq!(self.accounted, [ticks; 2], "frames read and lost add up to those written");
        assert_eq!(self.map.counters(LOOP).ticks_total, ticks);
    }
}

fn attach(uplink: &Uplink, downlink: &Downlink) -> EngineMap {
    let fds = [uplink.fd(), downlink.fd()].map(|fd| fd.try_clone_to_owned().unwrap());
    let [up, down] = fds;
    EngineMap::attach(up, down).unwrap()
}

/// Byte offsets of every word that the engine reads a cursor or flag from.
fn cursors() -> Vec<usize> {
    let layout = DownlinkLayout::of(DIMENSIONS);
    let block = layout.loops + usize::from(LOOP.0) * DOWNLINK_LOOP_BYTES;
    let plays = layout.play_cursors + usize::from(LINE.0) * PLAY_CURSORS_BYTES;
    let mut words = vec![
        downlink_header::PARKED * 8,
        block + downlink_loop::COMMANDS_WRITTEN * 8,
        block + downlink_loop::EVENTS_READ * 8,
    ];
    words.extend((0..PLAYBACK_SLOTS).map(|slot| plays + slot * 8));
    words
}

/// Runs an attack in its own thread against a ticking engine with an onlooker, then checks that
/// the next attachment works. Tells what the engine counted.
fn withstand(attack: impl FnOnce(&Uplink, File) -> Box<dyn FnOnce() + Send>) -> Ticker {
    let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
    uplink.set_ready();
    let downlink = Downlink::create(&uplink, Attachment(7)).unwrap();
    let mut ticker = Ticker::new(&uplink, &downlink);
    let mut onlooker = Onlooker::new(&uplink);
    let attack = attack(&uplink, File::from(downlink.fd().try_clone_to_owned().unwrap()));

    let over = Arc::new(AtomicBool::new(false));
    let looking = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                onlooker.look();
                std::thread::yield_now();
            }
            onlooker
        })
    };
    let attacking = std::thread::spawn(attack);
    while !attacking.is_finished() {
        ticker.tick();
    }
    attacking.join().unwrap();
    for _ in 0..100 {
        ticker.tick();
    }
    over.store(true, Ordering::Release);
    looking.join().unwrap().finish(ticker.ticks);

    let next = Downlink::create(&uplink, Attachment(8)).unwrap();
    let map = attach(&uplink, &next);
    let mut reader = map.event_reader(LOOP);
    ticker.events.attach(next.event_cursor(LOOP));
    ticker.commands = next.command_reader(LOOP);
    ticker.plays = (0..PLAYBACK_SLOTS as u8).map(|slot| next.play_reader(LINE, slot)).collect();
    // What was owed to the former one goes nowhere.
    for (id, reservation) in ticker.owed.drain(..) {
        let gone = ticker.events.answer(reservation, Nanos(0), id, Outcome::Done);
        assert_eq!(gone, Published::Dropped);
    }
    ticker.ticks = ticker.ticks.next_multiple_of(8);
    let (faults, played) = (ticker.cursor_faults, ticker.played);
    let mut commands = map.command_writer(LOOP);
    let id = CommandId(4711);
    let command = Command::Tag(1);
    commands.send(&Request { id, generation: Generation(1), line: LINE, command }).unwrap();
    map.play_writer(LINE, 0).audio(PlaybackId(1), &[1; 160]).unwrap();
    ticker.tick();
    assert_eq!(ticker.cursor_faults, faults, "the next attachment is as good as the first");
    assert_eq!(ticker.played, played + 1);
    assert!(reader.resync());
    let answers = std::iter::from_fn(|| reader.take().unwrap())
        .filter(|stamped| matches!(stamped.event, Event::CommandDone { id: CommandId(4711), .. }));
    assert_eq!(answers.count(), 1);
    ticker
}

/// The exact case of answers that are owed when the peer takes back what it had freed.
#[test]
fn a_read_cursor_that_goes_back_takes_no_promised_slot() {
    let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
    uplink.set_ready();
    let downlink = Downlink::create(&uplink, Attachment(7)).unwrap();
    let mut events = uplink.event_writer(LOOP);
    events.attach(downlink.event_cursor(LOOP));
    let file = File::from(downlink.fd().try_clone_to_owned().unwrap());
    let block = DownlinkLayout::of(DIMENSIONS).loops + usize::from(LOOP.0) * DOWNLINK_LOOP_BYTES;
    let event = Event::Line { line: LINE, event: LineEvent::RingStarted };
    let event = Stamped { at: Nanos(1), event };
    for _ in 0..10 {
        assert_eq!(events.publish(&event), Published::Sent);
    }
    let set_read = |count: u64| {
        let at = block + downlink_loop::EVENTS_READ * 8;
        file.write_all_at(&(7 << 32 | count).to_le_bytes(), at as u64).unwrap();
    };
    set_read(10);
    let owed = [(); 5].map(|()| events.reserve().unwrap());
    while events.publish(&event) == Published::Sent {}
    // Possible as such, were it the first: 1024 pending. But five of those slots are promised.
    set_read(5);
    assert_eq!(events.publish(&event), Published::Dropped);
    for reservation in owed {
        let sent = events.answer(reservation, Nanos(2), CommandId(1), Outcome::Done);
        assert_eq!(sent, Published::Sent);
    }
    assert_eq!(events.finish_wake(false), Err(PeerFault::Cursor));
}

#[test]
fn random_words_everywhere() {
    let ticker = withstand(|_, file| {
        Box::new(move || {
            let mut random = Random(0x7469_7072_696e_6701);
            let size = file.metadata().unwrap().len();
            for _ in 0..100_000 {
                // Cursors are a small part of the segment; they get half of the words.
                let targets = cursors();
                let at = if random.below(2) == 0 {
                    targets[random.below(targets.len() as u64) as usize] as u64
                } else {
                    random.below(size / 8) * 8
                };
                let word = match random.below(4) {
                    0 => random.next(),
                    1 => 7 << 32 | random.below(2048),
                    2 => 7 << 32 | random.next() & 0xffff_ffff,
                    _ => random.below(2048),
                };
                file.write_all_at(&word.to_le_bytes(), at).unwrap();
            }
        })
    });
    assert!(ticker.cursor_faults > 0, "the attack went home");
}

#[test]
fn every_cursor_at_every_edge() {
    let ticker = withstand(|_, file| {
        Box::new(move || {
            let slots = [PLAY_SLOTS, COMMAND_SLOTS, EVENT_SLOTS].map(|n| n as u64);
            let mut counts = vec![0, 1, 2, u64::from(u32::MAX), 1 << 31, (1 << 31) - 1];
            counts.extend(slots.iter().flat_map(|n| [n - 1, *n, n + 1]));
            for _ in 0..200 {
                for at in cursors() {
                    for attachment in [7_u64, 0, 6, 8, u64::from(u32::MAX)] {
                        for count in &counts {
                            let word = attachment << 32 | count;
                            file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
                        }
                    }
                }
            }
        })
    });
    assert!(ticker.cursor_faults > 0);
}

#[test]
fn garbage_in_every_slot_with_good_cursors() {
    let ticker = withstand(|uplink, down| {
        let up = File::from(uplink.fd().try_clone_to_owned().unwrap());
        let (upper, lower) = (UplinkLayout::of(DIMENSIONS), DownlinkLayout::of(DIMENSIONS));
        let upper_loop = upper.loops + usize::from(LOOP.0) * UPLINK_LOOP_BYTES;
        let lower_loop = lower.loops + usize::from(LOOP.0) * DOWNLINK_LOOP_BYTES;
        let play = usize::from(LINE.0) * PLAY_CURSORS_BYTES + 8;
        // The engine's cursor, and that of ours it is behind by at most so much.
        let commands = (
            upper_loop + uplink_loop::COMMANDS_READ * 8,
            lower_loop + downlink_loop::COMMANDS_WRITTEN * 8,
        );
        let plays = (upper.play_cursors + play, lower.play_cursors + play);
        let events = (
            upper_loop + uplink_loop::EVENTS_WRITTEN * 8,
            lower_loop + downlink_loop::EVENTS_READ * 8,
        );
        let read = move |at: usize| {
            let mut word = [0; 8];
            up.read_exact_at(&mut word, at as u64).unwrap();
            u64::from_le_bytes(word)
        };
        Box::new(move || {
            let mut random = Random(0x7469_7072_696e_6702);
            let mut garbage = vec![0_u8; lower.size - lower.commands];
            for _ in 0..50 {
                for chunk in garbage.as_chunks_mut::<8>().0 {
                    let word = match random.below(3) {
                        0 => random.next(),
                        1 => random.below(300),
                        _ => 0,
                    };
                    *chunk = word.to_le_bytes();
                }
                down.write_all_at(&garbage, lower.commands as u64).unwrap();
                for _ in 0..10 {
                    for ((theirs, ours), ahead) in [(commands, 200), (plays, 100), (events, 0)] {
                        let cursor = read(theirs).max(7 << 32) + ahead;
                        down.write_all_at(&cursor.to_le_bytes(), ours as u64).unwrap();
                    }
                    std::thread::yield_now();
                }
            }
        })
    });
    assert!(ticker.malformed > 100 && ticker.slot_faults > 100, "the attack went home");
}

#[test]
fn holes_punched_under_a_running_engine() {
    let ticker = withstand(|_, file| {
        Box::new(move || {
            let mut random = Random(0x7469_7072_696e_6703);
            let size = file.metadata().unwrap().len();
            let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            for _ in 0..2000 {
                let at = random.below(size / 4096) * 4096;
                let len = (4096 << random.below(8)).min(size - at);
                fallocate(&file, punch, at as i64, len as i64).unwrap();
                file.write_all_at(&random.next().to_le_bytes(), at).unwrap();
            }
            fallocate(&file, punch, 0, size as i64).unwrap();
        })
    });
    assert!(ticker.ticks > 0);
}

#[test]
fn saturated_and_never_read() {
    let ticker = withstand(|uplink, file| {
        let fds = [uplink.fd().try_clone_to_owned().unwrap(), file.into()];
        let [up, down] = fds;
        let map = EngineMap::attach(up, down).unwrap();
        Box::new(move || {
            let mut commands = map.command_writer(LOOP);
            let mut plays: Vec<_> = (0..4).map(|slot| map.play_writer(LINE, slot)).collect();
            for id in 0..200_000 {
                let (id, command) = (CommandId(id), Command::StopRing);
                let generation = Generation(1);
                let _ = commands.send(&Request { id, generation, line: LINE, command });
                for play in &mut plays {
                    let _ = play.audio(PlaybackId(9), &[1; 160]);
                }
            }
        })
    });
    assert_eq!((ticker.cursor_faults, ticker.slot_faults, ticker.malformed), (0, 0, 0));
    assert!(ticker.commands_taken <= EVENT_SLOTS as u64 + 1, "no answer, no command");
}

#[test]
fn attached_twice_with_the_same_descriptors() {
    withstand(|uplink, file| {
        let maps = [(); 2].map(|()| {
            let up = uplink.fd().try_clone_to_owned().unwrap();
            EngineMap::attach(up, file.try_clone().unwrap().into()).unwrap()
        });
        Box::new(move || {
            let threads = maps.map(|map| {
                std::thread::spawn(move || {
                    let mut events = map.event_reader(LOOP);
                    let mut commands = map.command_writer(LOOP);
                    let mut play = map.play_writer(LINE, 2);
                    for id in 0..50_000 {
                        let (id, command) = (CommandId(id), Command::Echo(true));
                        let generation = Generation(1);
                        let _ = commands.send(&Request { id, generation, line: LINE, command });
                        let _ = play.audio(PlaybackId(2), &[2; 80]);
                        let _ = events.take();
                    }
                })
            });
            for thread in threads {
                thread.join().unwrap();
            }
        })
    });
}

#[test]
fn arbitrary_bytes_decode_to_something_or_nothing() {
    let mut random = Random(0x7469_7072_696e_6704);
    let mut bytes = [0; 520];
    for round in 0..200_000_u64 {
        // Small words reach enum variants; a few bits are flipped in an otherwise good slot.
        for chunk in bytes.as_chunks_mut::<8>().0 {
            let word = match round % 3 {
                0 => random.next(),
                1 => random.next() & 0x0000_0003_0000_0007,
                _ => random.below(128),
            };
            *chunk = word.to_le_bytes();
        }
        bytes[..8].copy_from_slice(&(random.below(512)).to_le_bytes());
        wire::decode_anything(&bytes[..random.below(521) as usize]);
    }
}
