//! Two real processes: the reader attaches over a socket, is killed in the middle of reading
//! (SIGKILL), and the next one goes on, while the writer never stops and never notices more than
//! a closed socket.
//!
//! The reader is this same test binary, started anew with the socket's path in its environment.
#![cfg(not(loom))]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tipring_shm_proto::command::{self, Outcome, Request};
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::handshake::{self, Hello, Refused};
use tipring_shm_proto::units::{
    CommandId, Generation, LineId, LoopId, Nanos, PlaybackId, TenthDbm0,
};
use tipring_shm_proto::*;

const SOCKET: &str = "TIPRING_TEST_READER_SOCKET";
const DIMENSIONS: Dimensions = Dimensions { loops: 1, lines: 1 };
const LOOP: LoopId = LoopId(0);
const LINE: LineId = LineId(0);
const GENERATIONS_OF_READERS: u32 = 40;
/// Long enough for the slowest machine; nothing waits that long unless it is broken.
const GENEROUS: Duration = Duration::from_secs(30);

/// Not a test: what the child process runs, until it is killed.
#[test]
fn reader() {
    let Ok(path) = std::env::var(SOCKET) else { return };
    let stream = UnixStream::connect(path).unwrap();
    let (hello, [up, down]) = handshake::accept(&stream).unwrap();
    let map = EngineMap::attach(up, down).unwrap();
    assert_eq!((hello.generation, hello.attachment), (map.generation(), map.attachment()));
    let mut events = map.event_reader(LOOP);
    let mut audio = map.audio_reader(LINE, Direction::Rx);
    let mut commands = map.command_writer(LOOP);
    let mut play = map.play_writer(LINE, 0);
    let mut id = 0;
    loop {
        id += 1;
        let (generation, command) = (map.generation(), command::Command::Tag(id));
        let _ = commands.send(&Request { id: CommandId(id), generation, line: LINE, command });
        let _ = play.audio(PlaybackId(1), &[1; 160]);
        while let Some(stamped) = events.take().unwrap() {
            if let Event::Line { event: LineEvent::Mark { played_samples, .. }, .. } = stamped.event
            {
                let ours = u64::from(map.attachment().0);
                assert_eq!(played_samples, ours, "an event of another attachment");
            }
        }
        events.resync();
        loop {
            match audio.next() {
                Next::Frame(frame) => assert_eq!(frame.samples, [frame.seq.0 as i16; 160]),
                Next::Lost(_) => {}
                Next::Empty => break,
            }
        }
        if let Some(row) = map.line(LINE) {
            assert_eq!(row.tag, row.written_at.0, "a torn row");
        }
        map.wait(Duration::from_millis(5), || events.has_news() || audio.has_news());
    }
}

/// The engine's side: what a frame loop does, as fast as it can.
struct Writer {
    uplink: Uplink,
    events: EventWriter,
    audio: AudioWriter,
    row: LineWriter,
    current: Option<(CommandReader, PlayReader, u32)>,
    ticks: u64,
    answered: u64,
    played: u64,
}

impl Writer {
    fn new() -> Self {
        let uplink = Uplink::create(DIMENSIONS, Generation(3)).unwrap();
        uplink.set_ready();
        Self {
            events: uplink.event_writer(LOOP),
            audio: uplink.audio_writer(LINE),
            row: uplink.line_writer(LINE),
            uplink,
            current: None,
            ticks: 0,
            answered: 0,
            played: 0,
        }
    }

    /// Answers the handshake and turns to the new reader.
    fn welcome(&mut self, stream: &UnixStream, attachment: u32) {
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        assert_eq!(handshake::greeting(stream).unwrap(), LAYOUT_VERSION);
        let downlink = Downlink::create(&self.uplink, Attachment(attachment)).unwrap();
        self.events.attach(downlink.event_cursor(LOOP));
        let (commands, play) = (downlink.command_reader(LOOP), downlink.play_reader(LINE, 0));
        self.current = Some((commands, play, attachment));
        let hello = Hello {
            generation: self.uplink.generation(),
            dimensions: DIMENSIONS,
            attachment: Attachment(attachment),
        };
        handshake::offer(stream, &hello, [self.uplink.fd(), downlink.fd()]).unwrap();
    }

    fn tick(&mut self) {
        let now = Nanos(self.ticks);
        if let Some((commands, play, attachment)) = &mut self.current {
            // A killed reader's cursors are those of a living one: no fault, whenever it died.
            while let Taken::Command(request, reservation) =
                commands.take(&mut self.events).unwrap()
            {
                let sent = self.events.answer(reservation, now, request.id, Outcome::Done);
                assert_eq!(sent, Published::Sent);
                self.answered += 1;
            }
            while play.take().unwrap().is_some() {
                self.played += 1;
            }
            let event = LineEvent::Mark {
                playback: PlaybackId(1),
                mark: units::MarkId(1),
                played_samples: u64::from(*attachment),
            };
            self.events.publish(&Stamped { at: now, event: Event::Line { line: LINE, event } });
        }
        let (level, flags) = (TenthDbm0::SILENCE, FrameFlags::default());
        let samples = [self.ticks as i16; 160];
        let seq = self.audio.publish(Direction::Rx, now, level, flags, &samples);
        assert_eq!(seq.0, self.ticks);
        let label = units::Text32::new("sim/1");
        let mut row = line_table::LineRow::at_rest(label, command::LineKind::Sim, LOOP, now);
        row.tag = self.ticks;
        self.row.publish(&row);
        self.events.finish_wake(true).unwrap();
        self.ticks += 1;
    }
}

fn socket_path() -> PathBuf {
    std::env::temp_dir().join(format!("tipring-two-processes-{}.sock", std::process::id()))
}

fn start_reader(path: &PathBuf) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reader", "--nocapture", "--test-threads", "1"])
        .env(SOCKET, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_reader_killed_in_the_middle_changes_nothing() {
    let path = socket_path();
    let listener = UnixListener::bind(&path).unwrap();
    let mut writer = Writer::new();
    for attachment in 1..=GENERATIONS_OF_READERS {
        let mut child = start_reader(&path);
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(handshake::peer(&stream).unwrap().pid, child.id().cast_signed());
        writer.welcome(&stream, attachment);

        // It works: commands come, audio to play comes. Then a while that differs each time.
        let (answered, played, begin) = (writer.answered, writer.played, Instant::now());
        while writer.answered < answered + 3 || writer.played < played + 3 {
            assert!(begin.elapsed() < GENEROUS, "reader {attachment} does nothing");
            assert!(child.try_wait().unwrap().is_none(), "{}", complaint(&mut child));
            writer.tick();
        }
        for _ in 0..u64::from(attachment) * 7919 % 2003 {
            writer.tick();
        }
        assert!(child.try_wait().unwrap().is_none(), "{}", complaint(&mut child));
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
        // The closed socket tells. Nobody reads any more; the writer goes on meanwhile.
        stream.set_nonblocking(true).unwrap();
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < GENEROUS, "the socket stays open");
            writer.tick();
            match stream.read(&mut [0; 1]) {
                Ok(0) => break,
                Ok(_) => panic!("nothing more is said"),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
        child.wait().unwrap();
        for _ in 0..100 {
            writer.tick();
        }
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_second_reader_is_told_to_wait() {
    let (engine, apid) = UnixStream::pair().unwrap();
    let second = std::thread::spawn(move || handshake::accept(&apid));
    assert_eq!(handshake::greeting(&engine).unwrap(), LAYOUT_VERSION);
    handshake::refuse(&engine, Refused::Busy).unwrap();
    assert!(matches!(second.join().unwrap(), Err(AttachError::Refused(Refused::Busy))));
}

fn complaint(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut text);
    }
    format!("the reader ended by itself: {text}")
}
