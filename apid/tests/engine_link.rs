//! The attachment's promises, against an engine whose every move the test decides.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;
use tipring_apid::engine_link::{EngineLink, LinkError, LinkNote, TapItem, now};
use tipring_shm_proto::command::{Command, LineKind, Outcome, Refusal};
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::handshake::{self, Hello};
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::{Generation, LineId, LoopId, Nanos, PlaybackId, TenthDbm0, Text32};
use tipring_shm_proto::{
    Attachment, AudioWriter, CommandReader, Dimensions, Direction, Downlink, EventWriter,
    FrameFlags, PlayItem, PlayReader, Taken, Uplink,
};
use tokio::sync::mpsc::Receiver;

/// Long enough for the slowest machine; nothing waits that long unless it is broken.
const GENEROUS: Duration = Duration::from_secs(20);
const LOOPS: u8 = 2;
/// Of the first frame loop, and of the second.
const LINES: [LineId; 2] = [LineId(0), LineId(1)];

/// An engine that does what it is told.
struct Engine {
    uplink: Uplink,
    events: Vec<EventWriter>,
    commands: Vec<CommandReader>,
    audio: AudioWriter,
    play: PlayReader,
    stream: UnixStream,
}

fn socket(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tipring-link-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    path
}

impl Engine {
    /// Waits for apid and attaches it.
    fn start(listener: &UnixListener, generation: u64) -> Self {
        let dimensions = Dimensions { loops: LOOPS, lines: LINES.len() as u16 };
        let uplink = Uplink::create(dimensions, Generation(generation)).unwrap();
        for (index, line) in LINES.into_iter().enumerate() {
            let label = Text32::new(&format!("sim/{}", index + 1));
            let frame_loop = LoopId(index as u8);
            let row = LineRow::at_rest(label, LineKind::Sim, frame_loop, now());
            uplink.line_writer(line).publish(&row);
        }
        let mut events: Vec<_> = loops().map(|id| uplink.event_writer(id)).collect();
        let audio = uplink.audio_writer(LINES[0]);
        uplink.set_ready();
        let (stream, _) = listener.accept().unwrap();
        handshake::greeting(&stream).unwrap();
        let attachment = Attachment(1);
        let downlink = Downlink::create(&uplink, attachment).unwrap();
        let hello = Hello { generation: Generation(generation), dimensions, attachment };
        handshake::offer(&stream, &hello, [uplink.fd(), downlink.fd()]).unwrap();
        for (writer, id) in events.iter_mut().zip(loops()) {
            writer.attach(downlink.event_cursor(id));
        }
        let commands = loops().map(|id| downlink.command_reader(id)).collect();
        let play = downlink.play_reader(LINES[0], 0);
        Self { uplink, events, commands, audio, play, stream }
    }

    fn tell(&mut self, frame_loop: usize, at: Nanos, line: LineId, event: LineEvent) {
        self.events[frame_loop].publish(&Stamped { at, event: Event::Line { line, event } });
    }

    fn wake(&mut self) {
        for events in &mut self.events {
            events.finish_wake(true).unwrap();
        }
    }

    /// Answers the next command of a loop.
    fn answer(&mut self, frame_loop: usize, outcome: Outcome) -> Command {
        let begin = std::time::Instant::now();
        loop {
            let events = &mut self.events[frame_loop];
            match self.commands[frame_loop].take(events).unwrap() {
                Taken::Command(request, place) => {
                    assert_eq!(request.generation, self.uplink.generation());
                    let _ = events.answer(place, now(), request.id, outcome);
                    events.finish_wake(false).unwrap();
                    return request.command;
                }
                _ => assert!(begin.elapsed() < GENEROUS, "no command came"),
            }
            std::thread::yield_now();
        }
    }
}

fn loops() -> impl Iterator<Item = LoopId> {
    (0..LOOPS).map(LoopId)
}

async fn next(notes: &mut Receiver<LinkNote>) -> LinkNote {
    tokio::time::timeout(GENEROUS, notes.recv()).await.expect("in time").expect("a note")
}

/// Attached, and the link told so.
async fn attached(name: &str) -> (Engine, EngineLink, Receiver<LinkNote>, UnixListener) {
    let path = socket(name);
    let listener = UnixListener::bind(&path).unwrap();
    let (link, mut notes) = EngineLink::start(&path).unwrap();
    let engine = Engine::start(&listener, 7);
    match next(&mut notes).await {
        LinkNote::Attached { generation, rows } => {
            assert_eq!(generation, Generation(7));
            assert_eq!(rows.len(), LINES.len());
            assert_eq!(rows[1].1.label.as_str(), "sim/2");
        }
        other => panic!("{other:?}"),
    }
    (engine, link, notes, listener)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_by_its_own_loop() {
    let (mut engine, link, _notes, _listener) = attached("answered").await;
    let asked = link.clone();
    let answer = tokio::spawn(async move { asked.ask(LINES[1], Command::Tag(5)).await });
    let engine = tokio::task::spawn_blocking(move || {
        assert_eq!(engine.answer(1, Outcome::Done), Command::Tag(5));
        engine
    });
    assert_eq!(answer.await.unwrap(), Ok(Outcome::Done));
    let mut engine = engine.await.unwrap();
    let asked = link.clone();
    let answer = tokio::spawn(async move { asked.ask(LINES[0], Command::HangUp).await });
    let refusal = Refusal::State(tipring_shm_proto::command::LineState::OnHook);
    tokio::task::spawn_blocking(move || {
        engine.answer(0, Outcome::Refused(refusal));
        engine
    })
    .await
    .unwrap();
    assert_eq!(answer.await.unwrap(), Err(LinkError::Refused(refusal)));
    let nowhere = link.ask(LineId(9), Command::HangUp).await;
    assert_eq!(nowhere, Err(LinkError::Refused(Refusal::UnknownLine)));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_two_loops_come_by_time_and_each_loops_own_in_order() {
    let (mut engine, _link, mut notes, _listener) = attached("merged").await;
    let flash = |duration_ms| LineEvent::Flash { duration_ms };
    let at = |ms: u64| Nanos(now().0 + ms * 1_000_000);
    let base = at(0);
    let after = |ms: u32| base.after_ms(ms);
    engine.tell(1, after(2), LINES[1], flash(2));
    engine.tell(0, after(1), LINES[0], flash(1));
    engine.tell(0, after(3), LINES[0], flash(3));
    engine.tell(1, after(4), LINES[1], flash(4));
    engine.wake();
    let mut order: Vec<u16> = Vec::new();
    while order.len() < 4 {
        if let LinkNote::Line { event: LineEvent::Flash { duration_ms }, .. } =
            next(&mut notes).await
        {
            order.push(duration_ms);
        }
    }
    let of = |loop_: [u16; 2]| order.iter().copied().filter(|n| loop_.contains(n)).collect();
    let (first, second): (Vec<u16>, Vec<u16>) = (of([1, 3]), of([2, 4]));
    assert_eq!((first, second), (vec![1, 3], vec![2, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_events_lead_to_a_look_at_the_line_table() {
    let (mut engine, link, mut notes, _listener) = attached("dropped").await;
    // More than a ring holds, before anybody is woken.
    let event = LineEvent::RtpSilent { silent_ms: 1 };
    for _ in 0..100_000 {
        engine.tell(0, now(), LINES[0], event);
    }
    engine.wake();
    loop {
        if let LinkNote::Resync { rows } = next(&mut notes).await {
            assert_eq!(rows.len(), LINES.len());
            break;
        }
    }
    assert!(link.diagnostics().resyncs >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_fails_who_waits_and_the_next_one_is_attached() {
    let (engine, link, mut notes, listener) = attached("goes").await;
    let asked = link.clone();
    let unanswered = tokio::spawn(async move { asked.ask(LINES[0], Command::Reset).await });
    let mut tap = link.tap(LINES[0], true, false).unwrap();
    // The command is in the ring.
    while link.diagnostics().commands_pending == 0 {
        tokio::task::yield_now().await;
    }
    drop(engine.stream);
    assert!(matches!(next(&mut notes).await, LinkNote::Detached { .. }));
    assert_eq!(unanswered.await.unwrap(), Err(LinkError::Away));
    assert_eq!(tokio::time::timeout(GENEROUS, tap.next()).await.unwrap(), TapItem::Gone);
    assert_eq!(link.ask(LINES[0], Command::Reset).await, Err(LinkError::Away));
    assert!(link.tap(LINES[0], true, true).is_none());

    let _second = Engine::start(&listener, 8);
    let note = next(&mut notes).await;
    assert!(matches!(note, LinkNote::Attached { generation: Generation(8), .. }), "{note:?}");
    assert_eq!(link.diagnostics().attachments, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_hears_each_frame_or_how_many_it_missed() {
    let (mut engine, link, _notes, _listener) = attached("tap").await;
    let mut tap = link.tap(LINES[0], true, true).unwrap();
    let frame = |engine: &mut Engine, n: i16| {
        for direction in [Direction::Rx, Direction::Tx] {
            let sign = if direction == Direction::Rx { 1 } else { -1 };
            let (level, flags) = (TenthDbm0::SILENCE, FrameFlags::default());
            engine.audio.publish(direction, now(), level, flags, &[sign * n; 160]);
        }
        engine.wake();
    };
    frame(&mut engine, 5);
    match tokio::time::timeout(GENEROUS, tap.next()).await.unwrap() {
        TapItem::Frame { rx: Some(rx), tx: Some(tx), .. } => assert_eq!((rx[0], tx[9]), (5, -5)),
        other => panic!("{other:?}"),
    }
    // Nobody takes these: the oldest are lost, and counted.
    for n in 0..500 {
        frame(&mut engine, n);
    }
    let (mut heard, mut lost, mut newest) = (0, 0, 0);
    while newest != 499 {
        match tokio::time::timeout(GENEROUS, tap.next()).await.unwrap() {
            TapItem::Frame { rx, .. } => {
                heard += 1;
                newest = rx.map_or(0, |rx| rx[0]);
            }
            TapItem::Lost(n) => lost += n,
            TapItem::Gone => panic!("the engine is there"),
        }
    }
    assert_eq!(heard + lost, 500);
    assert!(lost >= 500 - 2 * 64, "64 wait here and 64 in the ring, at most: {lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_play_ring_has_one_owner_at_a_time() {
    let (mut engine, link, _notes, _listener) = attached("lease").await;
    let mut lease = link.lease_play_ring(LINES[0], 0).unwrap();
    assert!(link.lease_play_ring(LINES[0], 0).is_none());
    assert_eq!(lease.audio(PlaybackId(3), &[7; 160]), 160);
    assert!(lease.end(PlaybackId(3)));
    assert_eq!(lease.queued(), 2);
    let item = engine.play.take().unwrap();
    assert!(matches!(item, Some(PlayItem::Audio { playback: PlaybackId(3), .. })), "{item:?}");
    drop(lease);
    assert!(link.lease_play_ring(LINES[0], 0).is_some());
    assert!(link.lease_play_ring(LineId(9), 0).is_none());
}
