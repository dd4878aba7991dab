//! What both sides are promised when nobody lies: attach, speak, detach, attach anew.
#![cfg(not(loom))]

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tipring_shm_proto::command::{Command, Outcome, Refusal, Request};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::handshake::{self, Hello, Refused};
use tipring_shm_proto::layout::{EVENT_SLOTS, PLAY_SLOTS};
use tipring_shm_proto::units::{
    CommandId, Generation, LineId, LoopId, MarkId, Nanos, PlaybackId, TenthDbm0,
};
use tipring_shm_proto::*;

const DIMENSIONS: Dimensions = Dimensions { loops: 2, lines: 3 };
const LOOP: LoopId = LoopId(1);
const LINE: LineId = LineId(2);

fn uplink() -> Uplink {
    let uplink = Uplink::create(DIMENSIONS, Generation(77)).unwrap();
    uplink.set_ready();
    uplink
}

fn attach(uplink: &Uplink, number: u32) -> (Downlink, EngineMap) {
    let downlink = Downlink::create(uplink, Attachment(number)).unwrap();
    let fds = [uplink.fd(), downlink.fd()].map(|fd| fd.try_clone_to_owned().unwrap());
    let [up, down] = fds;
    let map = EngineMap::attach(up, down).unwrap();
    (downlink, map)
}

fn event(number: u16) -> Stamped {
    let event = LineEvent::Flash { duration_ms: number };
    Stamped { at: Nanos(u64::from(number)), event: Event::Line { line: LINE, event } }
}

fn request(id: u64) -> Request {
    Request { id: CommandId(id), generation: Generation(77), line: LINE, command: Command::Tag(id) }
}

#[test]
fn the_handshake_carries_both_segments() {
    let uplink = uplink();
    let downlink = Downlink::create(&uplink, Attachment(5)).unwrap();
    let (engine, apid) = UnixStream::pair().unwrap();
    let waiting = std::thread::spawn(move || {
        let (hello, [up, down]) = handshake::accept(&apid).unwrap();
        (hello, EngineMap::attach(up, down).unwrap())
    });
    assert_eq!(handshake::peer(&engine).unwrap().pid, std::process::id().cast_signed());
    assert_eq!(handshake::greeting(&engine).unwrap(), LAYOUT_VERSION);
    let told = Hello {
        generation: uplink.generation(),
        dimensions: DIMENSIONS,
        attachment: Attachment(5),
    };
    handshake::offer(&engine, &told, [uplink.fd(), downlink.fd()]).unwrap();
    let (hello, map) = waiting.join().unwrap();
    assert_eq!(hello, told);
    assert_eq!(map.generation(), Generation(77));
    assert_eq!(map.attachment(), Attachment(5));
    assert_eq!(map.dimensions(), DIMENSIONS);
    uplink.beat(Nanos(123));
    assert_eq!(map.heartbeat(), Nanos(123));
}

#[test]
fn a_refusal_says_why() {
    for reason in [Refused::Busy, Refused::User, Refused::NotReady, Refused::Version] {
        let (engine, apid) = UnixStream::pair().unwrap();
        handshake::refuse(&engine, reason).unwrap();
        match handshake::accept(&apid) {
            Err(AttachError::Refused(told)) => assert_eq!(told, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_answer_without_descriptors_or_sense_is_no_engine() {
    use std::io::Write;
    let (mut engine, apid) = UnixStream::pair().unwrap();
    engine.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nand so on").unwrap();
    assert!(matches!(handshake::accept(&apid), Err(AttachError::NotAnEngine)));
    let (engine, apid) = UnixStream::pair().unwrap();
    drop(engine);
    assert!(handshake::accept(&apid).is_err());
    let (engine, mut apid) = UnixStream::pair().unwrap();
    apid.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!(handshake::greeting(&engine).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn descriptors_that_are_not_sealed_are_not_mapped() {
    let uplink = uplink();
    let downlink = Downlink::create(&uplink, Attachment(1)).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let refused = EngineMap::attach(
        file.as_fd().try_clone_to_owned().unwrap(),
        downlink.fd().try_clone_to_owned().unwrap(),
    );
    assert!(matches!(refused, Err(AttachError::NotSealed)));
    // The downlink in the uplink's place could be written by others.
    let twice = [0, 1].map(|_| downlink.fd().try_clone_to_owned().unwrap());
    let [a, b] = twice;
    assert!(matches!(EngineMap::attach(a, b), Err(AttachError::NotSealed)));
}

#[test]
fn an_engine_that_is_not_ready_is_not_used() {
    let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
    let downlink = Downlink::create(&uplink, Attachment(1)).unwrap();
    let [a, b] = [uplink.fd(), downlink.fd()].map(|fd| fd.try_clone_to_owned().unwrap());
    assert!(matches!(EngineMap::attach(a, b), Err(AttachError::NotReady)));
}

#[test]
fn apid_cannot_write_the_uplink_nor_resize_either() {
    use std::os::unix::fs::FileExt;
    let uplink = uplink();
    let downlink = Downlink::create(&uplink, Attachment(1)).unwrap();
    let up = std::fs::File::from(uplink.fd().try_clone_to_owned().unwrap());
    let down = std::fs::File::from(downlink.fd().try_clone_to_owned().unwrap());
    assert!(up.write_all_at(&[1], 0).is_err());
    assert!(memmap2::MmapOptions::new().map_raw(&up).is_err(), "no new writable mapping");
    for file in [&up, &down] {
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(1 << 30).is_err());
    }
}

#[test]
fn dimensions_beyond_the_limits_are_refused() {
    for (loops, lines) in [(0, 1), (17, 1), (1, 0), (1, 1025)] {
        let error = Uplink::create(Dimensions { loops, lines }, Generation(1)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    assert!(Uplink::create(Dimensions { loops: 16, lines: 1 }, Generation(1)).is_ok());
}

#[test]
fn events_arrive_in_order_and_answers_always() {
    let uplink = uplink();
    let mut events = uplink.event_writer(LOOP);
    assert_eq!(events.publish(&event(1)), Published::Dropped, "nobody is attached");
    let (downlink, map) = attach(&uplink, 1);
    let mut reader = map.event_reader(LOOP);
    assert!(!reader.is_attached());
    assert!(!reader.resync());
    assert_eq!(reader.take(), Ok(None));

    assert!(events.attach(downlink.event_cursor(LOOP)).is_none());
    assert!(reader.is_attached());
    assert!(reader.resync(), "due at attach");
    assert!(!reader.resync());

    let mut commands = map.command_writer(LOOP);
    let mut command_reader = downlink.command_reader(LOOP);
    commands.send(&request(9)).unwrap();
    let Taken::Command(got, reservation) = command_reader.take(&mut events).unwrap() else {
        panic!("a command was sent")
    };
    assert_eq!(got, request(9));

    let sent = (0..2000).filter(|n| events.publish(&event(*n)) == Published::Sent).count();
    assert_eq!(sent, EVENT_SLOTS - 1, "one slot is the answer's");
    assert!(!reader.resync(), "told at the end of the wake-up, when rows are newer");
    events.finish_wake(false).unwrap();
    assert!(reader.resync());
    assert!(!reader.resync());

    // Without a slot for the answer a command stays in its ring.
    commands.send(&request(10)).unwrap();
    assert!(matches!(command_reader.take(&mut events), Ok(Taken::Nothing)));

    let answered = events.answer(reservation, Nanos(3), CommandId(9), Outcome::Done);
    assert_eq!(answered, Published::Sent);
    for number in 0..EVENT_SLOTS as u16 - 1 {
        assert_eq!(reader.take(), Ok(Some(event(number))));
    }
    let Ok(Some(Stamped { event: Event::CommandDone { id, outcome }, .. })) = reader.take() else {
        panic!("the answer is last")
    };
    assert_eq!((id, outcome), (CommandId(9), Outcome::Done));
    assert_eq!(reader.take(), Ok(None));
    assert!(
        matches!(command_reader.take(&mut events), Ok(Taken::Command(r, _)) if r == request(10))
    );
}

#[test]
fn nothing_of_an_earlier_attachment_reaches_a_later_one() {
    let uplink = uplink();
    let mut events = uplink.event_writer(LOOP);
    let (first_down, first) = attach(&uplink, 1);
    let mut first_reader = first.event_reader(LOOP);
    events.attach(first_down.event_cursor(LOOP));
    let mut commands = first.command_writer(LOOP);
    let mut command_reader = first_down.command_reader(LOOP);
    for id in 0..3 {
        commands.send(&request(id)).unwrap();
    }
    let Ok(Taken::Command(_, owed)) = command_reader.take(&mut events) else { panic!() };
    events.publish(&event(1));
    assert_eq!(first_reader.take(), Ok(Some(event(1))));
    events.publish(&event(2));

    let (second_down, second) = attach(&uplink, 2);
    let mut second_reader = second.event_reader(LOOP);
    let mut second_commands = second.command_writer(LOOP);
    second_commands.send(&request(50)).unwrap();
    assert_eq!(second_reader.take(), Ok(None));
    let former = events.attach(second_down.event_cursor(LOOP)).unwrap();
    assert_eq!(former.attachment(), Attachment(1));
    assert_eq!(
        events.answer(
            owed,
            Nanos(4),
            CommandId(0),
            Outcome::Refused(Refusal::State(tipring_shm_proto::command::LineState::OnHook))
        ),
        Published::Dropped
    );
    assert_eq!(first_reader.take(), Err(EngineFault::Detached));
    assert_eq!(second_reader.take(), Ok(None));
    assert!(second_reader.resync());
    events.publish(&event(3));
    assert_eq!(second_reader.take(), Ok(Some(event(3))));
    let mut second_command_reader = second_down.command_reader(LOOP);
    let Ok(Taken::Command(got, _)) = second_command_reader.take(&mut events) else { panic!() };
    assert_eq!(got, request(50));
    drop((first, first_down, former));
    events.detach();
    assert_eq!(second_reader.take(), Err(EngineFault::Detached));
}

#[test]
fn playing_keeps_order_and_flush_is_exact() {
    let uplink = uplink();
    let (downlink, map) = attach(&uplink, 1);
    let mut writer = map.play_writer(LINE, 3);
    let mut reader = downlink.play_reader(LINE, 3);
    let id = PlaybackId(8);
    assert_eq!(reader.take(), Ok(None));
    assert_eq!(writer.audio(id, &[]), Ok(0));
    assert_eq!(writer.audio(id, &[7; 200]), Ok(160));
    assert_eq!(writer.audio(id, &[-9; 40]), Ok(40));
    writer.mark(id, MarkId(5)).unwrap();
    writer.end(id).unwrap();
    assert_eq!(writer.queued(), 4);
    assert_eq!(
        reader.take(),
        Ok(Some(PlayItem::Audio { playback: id, len: 160, samples: [7; 160] }))
    );
    let Ok(Some(PlayItem::Audio { len: 40, samples, .. })) = reader.take() else { panic!() };
    assert_eq!(samples[..41], [[-9; 40].as_slice(), &[0]].concat());
    assert_eq!(reader.take(), Ok(Some(PlayItem::Mark { playback: id, mark: MarkId(5) })));
    assert_eq!(writer.queued(), 1);
    assert_eq!(reader.take(), Ok(Some(PlayItem::End { playback: id })));
    assert_eq!(reader.take(), Ok(None));
    for _ in 0..PLAY_SLOTS {
        writer.audio(id, &[1; 160]).unwrap();
    }
    assert_eq!(writer.audio(id, &[1; 160]), Err(SendError::Full));
    assert_eq!(reader.flush(), Ok(PLAY_SLOTS as u32));
    assert_eq!(reader.flush(), Ok(0));
    assert_eq!(writer.queued(), 0);
    assert_eq!(writer.audio(id, &[2; 160]), Ok(160));
}

#[test]
fn every_reader_of_audio_gets_everything_or_knows_how_much_not() {
    let uplink = uplink();
    let (_downlink, map) = attach(&uplink, 1);
    let mut writer = uplink.audio_writer(LINE);
    let mut prompt = map.audio_reader(LINE, Direction::Rx);
    let mut late = prompt.clone();
    let mut other = map.audio_reader(LINE, Direction::Tx);
    let flags = FrameFlags::VOICE.with(FrameFlags::CLIPPED);
    for n in 0..1000_i16 {
        let seq = writer.publish(Direction::Rx, Nanos(n as u64), TenthDbm0(-n), flags, &[n; 160]);
        assert_eq!(seq, FrameSeq(n as u64));
        let frame =
            AudioFrame { seq, at: Nanos(n as u64), level: TenthDbm0(-n), flags, samples: [n; 160] };
        assert!(prompt.has_news());
        assert_eq!(prompt.next(), Next::Frame(frame));
        assert_eq!(prompt.next(), Next::Empty);
    }
    assert_eq!(other.next(), Next::Empty);
    let Next::Lost(lost) = late.next() else { panic!("1000 frames do not fit") };
    let rest = std::iter::from_fn(|| match late.next() {
        Next::Frame(frame) => Some(frame.seq.0),
        Next::Lost(n) => panic!("nobody writes, {n} lost"),
        Next::Empty => None,
    });
    assert_eq!(rest.collect::<Vec<_>>(), (lost..1000).collect::<Vec<_>>());
    assert_eq!(map.audio_reader(LINE, Direction::Rx).next(), Next::Empty, "begins at the newest");
}

#[test]
fn counters_are_seen_by_name() {
    let uplink = uplink();
    let (_downlink, map) = attach(&uplink, 1);
    let counters = uplink.counters(LOOP);
    counters.add(Counter::ticks_total, 3);
    counters.raise(Counter::tick_ns_max, 50);
    counters.raise(Counter::tick_ns_max, 40);
    counters.set(Counter::rtp_lost_total, 6);
    let values = map.counters(LOOP);
    assert_eq!((values.ticks_total, values.tick_ns_max, values.rtp_lost_total), (3, 50, 6));
    for counter in Counter::ALL {
        assert_eq!(values.get(*counter), counters.get(*counter), "{}", counter.name());
    }
    assert_eq!(map.counters(LoopId(0)), CounterValues::default());
}

#[test]
fn the_doorbell_wakes_who_waits() {
    let uplink = uplink();
    let (downlink, map) = attach(&uplink, 1);
    let mut events = uplink.event_writer(LOOP);
    events.attach(downlink.event_cursor(LOOP));
    assert_eq!(map.wait(Duration::from_millis(1), || false), Woken::TimedOut);
    assert_eq!(map.wait(Duration::from_mins(1), || true), Woken::Busy);
    let mut reader = map.event_reader(LOOP);
    let (parked, is_parked) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        for n in 0..200 {
            loop {
                parked.send(()).unwrap();
                match map.wait(Duration::from_secs(20), || reader.has_news()) {
                    Woken::TimedOut => panic!("ring {n} was lost"),
                    Woken::Rung | Woken::Busy => {}
                }
                reader.resync();
                if let Some(got) = reader.take().unwrap() {
                    assert_eq!(got, event(n));
                    break;
                }
            }
        }
    });
    for n in 0..200 {
        is_parked.recv().unwrap();
        events.publish(&event(n));
        events.finish_wake(false).unwrap();
    }
    waiting.join().unwrap();
}

#[test]
fn what_loops_hold_can_be_moved_to_them() {
    fn is_send<T: Send + 'static>() {}
    fn is_shared<T: Send + Sync + 'static>() {}

    is_send::<EventWriter>();
    is_send::<EventCursor>();
    is_send::<Reservation>();
    is_send::<CommandReader>();
    is_send::<PlayReader>();
    is_send::<AudioWriter>();
    is_send::<LineWriter>();
    is_send::<LoopCounters>();
    is_send::<Downlink>();
    is_send::<Uplink>();
    is_shared::<EngineMap>();
    is_shared::<Uplink>();
    is_shared::<AudioReader>();
}
