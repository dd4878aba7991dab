//! An assembled engine, ticked by hand in virtual time, with an apid that the test plays.

use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tipring_engine::assembly::{Assembly, assemble};
use tipring_engine::config::{Config, PortRange};
use tipring_engine::frame_loop::{FrameLoop, PHASES, Schedule};
use tipring_engine::journal::Journal;
use tipring_engine::realtime;
use tipring_engine::rtp_ports::RtpPorts;
use tipring_engine::supervisor::Supervisor;
use tipring_logging::{Level, Logging};
use tipring_shm_proto::command::{Command, Outcome, Request};
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::handshake;
use tipring_shm_proto::units::{CommandId, LineId, LoopId, Nanos};
use tipring_shm_proto::{CommandWriter, EngineMap, EventReader};

/// Ticks after which an answer that did not come never will.
const PATIENCE_TICKS: usize = 4000;

/// See the module.
pub(crate) struct Rig {
    supervisor: Supervisor,
    signals: SignalFd,
    loops: Vec<FrameLoop>,
    socket: PathBuf,
    /// The apid's side.
    pub(crate) apid: Option<Apid>,
    /// Virtual time.
    pub(crate) now: Nanos,
    /// Events that were not waited for yet.
    pub(crate) seen: Vec<(LineId, LineEvent)>,
    next_id: u64,
    answers: Vec<(CommandId, Outcome)>,
    /// Runs around every tick.
    guard: fn(&mut dyn FnMut()),
}

/// What an attached apid holds.
pub(crate) struct Apid {
    /// Its view of the engine.
    pub(crate) map: EngineMap,
    events: Vec<EventReader>,
    commands: Vec<CommandWriter>,
    _stream: UnixStream,
}

impl Rig {
    /// Two simulated lines and some RTP lines, apid attached.
    pub(crate) fn new(guard: fn(&mut dyn FnMut())) -> Self {
        Self::of(Config { rtp_lines: 4, ..Config::default() }, guard)
    }

    /// These lines, apid attached. The ports for RTP are the rig's own.
    pub(crate) fn of(config: Config, guard: fn(&mut dyn FnMut())) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tipring-rig-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join(format!("{number}.sock"));
        let first_port = 42_000 + (std::process::id() % 50) as u16 * 100 + number as u16 * 20;
        let rtp_ports = PortRange { min: first_port, max: first_port + 18 };
        let config = Config { rtp_ports, ..config };
        let Assembly { uplink, ends, frame_loops, cards } = assemble(&config).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let logging = Logging { level: Level::Error, ..Logging::default() };
        let (journal, _) = Journal::start(&logging).expect("standard error is there");
        let ports = RtpPorts::new(config.rtp_ports);
        uplink.set_ready();
        let supervisor = Supervisor::new(uplink, ends, ports, cards, journal, listener, Vec::new());
        let signals = SignalFd::with_flags(&SigSet::empty(), SfdFlags::SFD_NONBLOCK).unwrap();
        let mut rig = Self {
            supervisor,
            signals,
            loops: frame_loops,
            socket,
            apid: None,
            now: realtime::now(),
            seen: Vec::new(),
            next_id: 1,
            answers: Vec::new(),
            guard,
        };
        rig.attach();
        rig
    }

    /// Attaches an apid; one that was attached must have left before.
    pub(crate) fn attach(&mut self) {
        let socket = self.socket.clone();
        let greeting = std::thread::spawn(move || {
            let stream = UnixStream::connect(socket).unwrap();
            let (_, [uplink, downlink]) = handshake::accept(&stream).unwrap();
            (stream, EngineMap::attach(uplink, downlink).unwrap())
        });
        while !greeting.is_finished() {
            self.period();
        }
        let (stream, map) = greeting.join().unwrap();
        let loops = (0..self.loops.len()).map(|index| LoopId(index as u8));
        self.apid = Some(Apid {
            events: loops.clone().map(|id| map.event_reader(id)).collect(),
            commands: loops.map(|id| map.command_writer(id)).collect(),
            map,
            _stream: stream,
        });
        self.period();
    }

    /// One phase of every loop.
    pub(crate) fn tick(&mut self) {
        self.now = Nanos(self.now.0 + Schedule::PHASE_NS);
        for frame_loop in &mut self.loops {
            let now = self.now;
            (self.guard)(&mut || {
                frame_loop.tick(now);
            });
        }
    }

    /// One period of every loop, a round of the supervisor, and what apid reads.
    pub(crate) fn period(&mut self) {
        for _ in 0..PHASES {
            self.tick();
        }
        self.supervisor.round(&self.signals);
        self.read_events();
    }

    fn read_events(&mut self) {
        let Some(apid) = &mut self.apid else { return };
        for events in &mut apid.events {
            while let Ok(Some(Stamped { event, .. })) = events.take() {
                match event {
                    Event::CommandDone { id, outcome } => self.answers.push((id, outcome)),
                    Event::Line { line, event } => self.seen.push((line, event)),
                    Event::Overloaded(_) => {}
                }
            }
        }
    }

    /// Sends a command without waiting; `false` if the ring is full.
    pub(crate) fn send(&mut self, line: LineId, command: Command) -> Option<CommandId> {
        let apid = self.apid.as_mut()?;
        let id = CommandId(self.next_id);
        self.next_id += 1;
        let owner = apid.map.line(line).map_or(0, |row| usize::from(row.frame_loop.0));
        let generation = apid.map.generation();
        let request = Request { id, generation, line, command };
        apid.commands[owner].send(&request).ok().map(|()| id)
    }

    /// The answer to a command.
    pub(crate) fn ask(&mut self, line: u16, command: Command) -> Outcome {
        let id = self.send(LineId(line), command).expect("the ring has room");
        for _ in 0..PATIENCE_TICKS {
            self.period();
            if let Some(at) = self.answers.iter().position(|(of, _)| *of == id) {
                return self.answers.swap_remove(at).1;
            }
        }
        panic!("no answer to {command:?}");
    }

    /// Asks what must be done.
    pub(crate) fn do_it(&mut self, line: u16, command: Command) {
        assert_eq!(self.ask(line, command), Outcome::Done, "{command:?}");
    }

    /// Ticks until an event of a line that fits has been seen.
    pub(crate) fn wait_for(&mut self, line: u16, fits: impl Fn(&LineEvent) -> bool) -> LineEvent {
        for _ in 0..PATIENCE_TICKS {
            let found = self.seen.iter().position(|(of, event)| of.0 == line && fits(event));
            if let Some(at) = found {
                return self.seen.remove(at).1;
            }
            self.period();
        }
        panic!("line {line} did not have the event; seen: {:?}", self.seen);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}
