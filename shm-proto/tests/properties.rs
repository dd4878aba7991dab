//! What holds whatever the order of calls: nothing is lost without being counted, answers never
//! are, and values that decode at all come back the same.
#![cfg(not(loom))]

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use tipring_shm_proto::command::{Command, Outcome, Request};
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::layout::{COMMAND_SLOTS, COMMAND_WORDS, EVENT_SLOTS, EVENT_WORDS};
use tipring_shm_proto::units::*;
use tipring_shm_proto::*;

const DIMENSIONS: Dimensions = Dimensions { loops: 1, lines: 1 };
const LOOP: LoopId = LoopId(0);
const LINE: LineId = LineId(0);

fn attach(uplink: &Uplink, number: u32) -> (Downlink, EngineMap) {
    uplink.set_ready();
    let downlink = Downlink::create(uplink, Attachment(number)).unwrap();
    let [up, down] = [uplink.fd(), downlink.fd()].map(|fd| fd.try_clone_to_owned().unwrap());
    (downlink, EngineMap::attach(up, down).unwrap())
}

/// What can happen between a loop and its apid.
#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(u16),
    Send(u16),
    Take(u16),
    Answer(u16),
    Read(u16),
    FinishWake,
    Attach,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..1500_u16).prop_map(Step::Publish),
        4 => (1..300_u16).prop_map(Step::Send),
        4 => (1..300_u16).prop_map(Step::Take),
        4 => (1..300_u16).prop_map(Step::Answer),
        4 => (1..2000_u16).prop_map(Step::Read),
        2 => Just(Step::FinishWake),
        1 => Just(Step::Attach),
    ]
}

/// Both ends of one attachment, and what they must say next.
struct Pair {
    downlink: Downlink,
    taker: CommandReader,
    sender: CommandWriter,
    reader: EventReader,
    expected: VecDeque<Stamped>,
    waiting: VecDeque<u64>,
    owed: VecDeque<(u64, Reservation)>,
    dropped: u32,
    told: u32,
    sent: u64,
}

impl Pair {
    fn new(uplink: &Uplink, number: u32, events: &mut EventWriter) -> Self {
        let (downlink, map) = attach(uplink, number);
        events.attach(downlink.event_cursor(LOOP));
        let mut reader = map.event_reader(LOOP);
        assert!(reader.resync());
        Self {
            taker: downlink.command_reader(LOOP),
            sender: map.command_writer(LOOP),
            reader,
            downlink,
            expected: VecDeque::new(),
            waiting: VecDeque::new(),
            owed: VecDeque::new(),
            dropped: 0,
            told: 0,
            sent: 0,
        }
    }

    fn occupied(&self) -> usize {
        self.expected.len() + self.owed.len()
    }

    fn perform(&mut self, step: Step, events: &mut EventWriter) {
        match step {
            Step::Publish(times) => (0..times).for_each(|n| self.publish(n, events)),
            Step::Send(times) => (0..times).for_each(|_| self.send()),
            Step::Take(times) => (0..times).for_each(|_| self.take(events)),
            Step::Answer(times) => (0..times).for_each(|_| self.answer(events)),
            Step::Read(times) => {
                for _ in 0..times {
                    assert_eq!(self.reader.take(), Ok(self.expected.pop_front()));
                }
            }
            Step::FinishWake => {
                events.finish_wake(false).unwrap();
                assert_eq!(self.reader.resync(), self.dropped != self.told);
                self.told = self.dropped;
            }
            Step::Attach => {}
        }
    }

    fn publish(&mut self, number: u16, events: &mut EventWriter) {
        let event = LineEvent::Flash { duration_ms: number };
        let stamped = Stamped { at: Nanos(1), event: Event::Line { line: LINE, event } };
        if self.occupied() < EVENT_SLOTS {
            assert_eq!(events.publish(&stamped), Published::Sent);
            self.expected.push_back(stamped);
        } else {
            assert_eq!(events.publish(&stamped), Published::Dropped);
            self.dropped += 1;
        }
    }

    fn send(&mut self) {
        let (id, generation) = (CommandId(self.sent), Generation(1));
        let result =
            self.sender.send(&Request { id, generation, line: LINE, command: Command::StopRing });
        if self.waiting.len() < COMMAND_SLOTS {
            assert_eq!(result, Ok(()));
            self.waiting.push_back(self.sent);
            self.sent += 1;
        } else {
            assert_eq!(result, Err(SendError::Full));
        }
    }

    fn take(&mut self, events: &mut EventWriter) {
        let room = self.occupied() < EVENT_SLOTS;
        match self.taker.take(events).unwrap() {
            Taken::Command(request, reservation) => {
                assert!(room, "an answer always has its slot");
                assert_eq!(Some(request.id.0), self.waiting.pop_front());
                self.owed.push_back((request.id.0, reservation));
            }
            Taken::Nothing => assert!(!room || self.waiting.is_empty()),
            Taken::Malformed(..) => panic!("what was sent decodes"),
        }
    }

    fn answer(&mut self, events: &mut EventWriter) {
        if let Some((id, reservation)) = self.owed.pop_front() {
            let (id, outcome) = (CommandId(id), Outcome::Done);
            assert_eq!(events.answer(reservation, Nanos(2), id, outcome), Published::Sent);
            let event = Event::CommandDone { id, outcome };
            self.expected.push_back(Stamped { at: Nanos(2), event });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_commands_and_answers_in_any_order(steps in vec(step(), 1..60)) {
        let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
        let mut events = uplink.event_writer(LOOP);
        let mut number = 1;
        let mut pair = Pair::new(&uplink, number, &mut events);
        for step in steps {
            if matches!(step, Step::Attach) {
                number += 1;
                let next = Pair::new(&uplink, number, &mut events);
                let mut former = std::mem::replace(&mut pair, next);
                prop_assert_eq!(former.downlink.attachment(), Attachment(number - 1));
                // Whatever is still owed to the former one goes nowhere.
                for (id, reservation) in former.owed.drain(..) {
                    let gone = events.answer(reservation, Nanos(3), CommandId(id), Outcome::Done);
                    prop_assert_eq!(gone, Published::Dropped);
                }
                prop_assert_eq!(former.reader.take(), Err(EngineFault::Detached));
            }
            pair.perform(step, &mut events);
        }
        let rest = Step::Read(u16::MAX);
        pair.perform(rest, &mut events);
        prop_assert_eq!(pair.occupied(), pair.owed.len());
    }

    #[test]
    fn audio_read_and_lost_add_up(steps in vec((0..200_u32, 0..100_u32, 0..3_usize), 1..60)) {
        let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
        let (_downlink, map) = attach(&uplink, 1);
        let mut writer = uplink.audio_writer(LINE);
        let mut readers = [(); 3].map(|()| (map.audio_reader(LINE, Direction::Tx), 0_u64));
        let mut written = 0;
        for (write, read, which) in steps {
            for _ in 0..write {
                let (level, flags) = (TenthDbm0::SILENCE, FrameFlags::default());
                let at = Nanos(written);
                let seq = writer.publish(Direction::Tx, at, level, flags, &[written as i16; 160]);
                prop_assert_eq!(seq, FrameSeq(written));
                written += 1;
            }
            let (reader, accounted) = &mut readers[which];
            for _ in 0..read {
                match reader.next() {
                    Next::Empty => prop_assert_eq!(*accounted, written),
                    Next::Lost(frames) => *accounted += frames,
                    Next::Frame(frame) => {
                        prop_assert_eq!(frame.seq, FrameSeq(*accounted));
                        prop_assert_eq!(frame.samples, [*accounted as i16; 160]);
                        *accounted += 1;
                    }
                }
                prop_assert!(*accounted <= written);
            }
        }
    }

    #[test]
    fn what_decodes_comes_back(words in vec(prop_oneof![0..40_u64, any::<u64>()], COMMAND_WORDS)) {
        let command: [u64; COMMAND_WORDS] = words.as_slice().try_into().unwrap();
        if let Some(request) = wire::decode::<Request, COMMAND_WORDS>(&command) {
            let again = wire::encode::<_, COMMAND_WORDS>(&request).unwrap();
            prop_assert_eq!(wire::decode::<Request, COMMAND_WORDS>(&again), Some(request));
        }
        let event: [u64; EVENT_WORDS] = words[..EVENT_WORDS].try_into().unwrap();
        if let Some(stamped) = wire::decode::<Stamped, EVENT_WORDS>(&event) {
            let again = wire::encode::<_, EVENT_WORDS>(&stamped).unwrap();
            prop_assert_eq!(wire::decode::<Stamped, EVENT_WORDS>(&again), Some(stamped));
        }
    }

    #[test]
    fn a_play_item_comes_back(
        playback in any::<u64>(),
        mark in any::<u32>(),
        samples in vec(any::<i16>(), 1..161),
    ) {
        let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
        let (downlink, map) = attach(&uplink, 1);
        let (mut writer, mut reader) = (map.play_writer(LINE, 1), downlink.play_reader(LINE, 1));
        let playback = PlaybackId(playback);
        prop_assert_eq!(writer.audio(playback, &samples), Ok(samples.len()));
        writer.mark(playback, MarkId(mark)).unwrap();
        let Ok(Some(PlayItem::Audio { playback: p, len, samples: got })) = reader.take() else {
            panic!("audio was written")
        };
        prop_assert_eq!((p, &got[..usize::from(len)]), (playback, samples.as_slice()));
        prop_assert_eq!(reader.take(), Ok(Some(PlayItem::Mark { playback, mark: MarkId(mark) })));
        prop_assert_eq!(reader.take(), Ok(None));
    }
}
