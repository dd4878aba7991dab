//! An apid that asks for calls, as benches need them: many at once.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use tipring_shm_proto::command::{Command, Hook, HookSource, Law, Outcome, Request, RtpMedia};
use tipring_shm_proto::event::{Event, Stamped};
use tipring_shm_proto::units::{CommandId, LineId, LoopId};
use tipring_shm_proto::{CommandWriter, EngineMap, EventReader, handshake};

/// Questions that wait for their answers at once; fewer than the command ring holds.
const WINDOW: usize = 128;
/// After this an answer will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub(crate) struct Apid {
    pub(crate) map: EngineMap,
    events: Vec<EventReader>,
    commands: Vec<CommandWriter>,
    next_id: u64,
    _stream: UnixStream,
}

impl Apid {
    /// Attaches to the engine that serves this socket, waiting until it does.
    pub(crate) fn attach(socket: &Path) -> Self {
        let begin = Instant::now();
        let (stream, [uplink, downlink]) = loop {
            let attached = UnixStream::connect(socket).map_err(|e| e.to_string()).and_then(|s| {
                let (_, fds) = handshake::accept(&s).map_err(|e| e.to_string())?;
                Ok((s, fds))
            });
            match attached {
                Ok(attached) => break attached,
                Err(error) => assert!(begin.elapsed() < PATIENCE, "no engine: {error}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let map = EngineMap::attach(uplink, downlink).expect("it is the engine's memory");
        let loops = (0..map.dimensions().loops).map(LoopId);
        Self {
            events: loops.clone().map(|id| map.event_reader(id)).collect(),
            commands: loops.map(|id| map.command_writer(id)).collect(),
            map,
            next_id: 1,
            _stream: stream,
        }
    }

    /// Has `command` of every line carried out, and gives the answers in the order of the lines.
    /// `meanwhile` is called while there is nothing to do.
    pub(crate) fn ask(
        &mut self,
        lines: &[LineId],
        command: impl Fn(LineId) -> Command,
        mut meanwhile: impl FnMut(),
    ) -> Vec<Outcome> {
        let first = self.next_id;
        self.next_id += lines.len() as u64;
        let mut answers: Vec<Option<Outcome>> = vec![None; lines.len()];
        let (mut asked, mut answered) = (0, 0);
        let begin = Instant::now();
        while answered < lines.len() {
            while asked < lines.len() && asked - answered < WINDOW {
                let line = lines[asked];
                let owner = self.map.line(line).expect("the engine has it").frame_loop;
                let request = Request {
                    id: CommandId(first + asked as u64),
                    generation: self.map.generation(),
                    line,
                    command: command(line),
                };
                if self.commands[usize::from(owner.0)].send(&request).is_err() {
                    break;
                }
                asked += 1;
            }
            meanwhile();
            self.read_events(|id, outcome| {
                if let Some(place) = id.checked_sub(first).and_then(|i| answers.get_mut(i as usize))
                {
                    *place = Some(outcome);
                    answered += 1;
                }
            });
            assert!(begin.elapsed() < PATIENCE, "the engine does not answer");
        }
        answers.into_iter().flatten().collect()
    }

    /// Brings RTP lines into a call with the phone at `remote`; the ports that they have.
    pub(crate) fn open_calls(
        &mut self,
        lines: &[LineId],
        remote: SocketAddr,
        telephone_event: Option<u8>,
        mut meanwhile: impl FnMut(),
    ) -> Vec<u16> {
        let media = RtpMedia {
            remote: Some(remote.into()),
            law: Law::Mu,
            telephone_event,
            send: true,
            receive: true,
            rtcp_mux: false,
            srtp: None,
        };
        let local_ip = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        let opened = self.ask(lines, |_| Command::OpenRtp { media, local_ip }, &mut meanwhile);
        let off_hook = Command::ReportHook { hook: Hook::Off, source: HookSource::Signalling };
        self.ask(lines, |_| off_hook, &mut meanwhile).iter().for_each(done);
        let port = |outcome| match outcome {
            Outcome::RtpOpened { port } => port,
            other => panic!("no call: {other:?}"),
        };
        opened.into_iter().map(port).collect()
    }

    /// Has the phones of these lines hear themselves.
    pub(crate) fn echo(&mut self, lines: &[LineId], meanwhile: impl FnMut()) {
        self.ask(lines, |_| Command::Echo(true), meanwhile).iter().for_each(done);
    }

    /// Takes what happened, of which only answers matter here.
    pub(crate) fn read_events(&mut self, mut answered: impl FnMut(u64, Outcome)) {
        for events in &mut self.events {
            while let Ok(Some(Stamped { event, .. })) = events.take() {
                if let Event::CommandDone { id, outcome } = event {
                    answered(id.0, outcome);
                }
            }
        }
    }
}

fn done(outcome: &Outcome) {
    assert_eq!(*outcome, Outcome::Done);
}
