//! An apid that is only the contract: attaches to an engine over its socket, asks commands and
//! waits for their answers. And the same apid gone mad, which writes whatever it likes into every
//! byte it can write.

use crate::signal::Random;
use crate::wait::GENEROUS;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use tipring_shm_proto::command::{Command, Outcome, Request};
use tipring_shm_proto::counters::CounterValues;
use tipring_shm_proto::event::Event;
use tipring_shm_proto::handshake;
use tipring_shm_proto::units::{CommandId, LineId, LoopId};
use tipring_shm_proto::{AttachError, EngineMap};

/// An attachment.
#[derive(Debug)]
pub struct Peer {
    /// The engine's memory.
    pub map: EngineMap,
    downlink: File,
    size: u64,
    next: u64,
    // Its closing tells the engine that this apid is gone.
    _stream: UnixStream,
}

impl Peer {
    /// Attaches, waiting until the engine is there and free.
    ///
    /// # Panics
    /// If it is not within a minute.
    #[track_caller]
    pub fn attach(socket: &Path) -> Self {
        crate::wait::until("an attachment", GENEROUS, || Self::try_attach(socket).ok())
    }

    /// Attaches.
    ///
    /// # Errors
    /// Nobody there, or refused.
    pub fn try_attach(socket: &Path) -> Result<Self, AttachError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let (_, [uplink, downlink]): (_, [OwnedFd; 2]) = handshake::accept(&stream)?;
        let copy = File::from(downlink.try_clone()?);
        let size = copy.metadata()?.len();
        let map = EngineMap::attach(uplink, downlink)?;
        Ok(Self { map, downlink: copy, size, next: 1, _stream: stream })
    }

    /// The loop that owns a line.
    ///
    /// # Panics
    /// There is no such line.
    pub fn loop_of(&self, line: LineId) -> LoopId {
        crate::wait::until("the line's row", GENEROUS, || self.map.line(line)).frame_loop
    }

    /// Asks for everything in `commands`, in order, and gives each answer.
    ///
    /// # Panics
    /// If one is not answered within a minute. May be called once an attachment: the rings' ends are
    /// handed out once.
    #[track_caller]
    pub fn ask(&mut self, commands: &[(LineId, Command)]) -> Vec<Outcome> {
        let loops = self.map.dimensions().loops;
        let mut writers: Vec<_> = (0..loops).map(|i| self.map.command_writer(LoopId(i))).collect();
        let mut readers: Vec<_> = (0..loops).map(|i| self.map.event_reader(LoopId(i))).collect();
        let mut answers = Vec::new();
        for &(line, command) in commands {
            let id = CommandId(self.next);
            self.next += 1;
            let request = Request { id, generation: self.map.generation(), line, command };
            let owner = usize::from(self.loop_of(line).0);
            writers[owner].send(&request).expect("the ring has room");
            let begin = Instant::now();
            let answer = 'wait: loop {
                for reader in &mut readers {
                    while let Ok(Some(stamped)) = reader.take() {
                        if let Event::CommandDone { id: done, outcome } = stamped.event
                            && done == id
                        {
                            break 'wait outcome;
                        }
                    }
                }
                assert!(begin.elapsed() < GENEROUS, "{command:?} was not answered");
                self.map.wait(Duration::from_millis(20), || false);
            };
            answers.push(answer);
        }
        answers
    }

    /// Sum of the counters of all loops.
    pub fn counters(&self) -> Vec<CounterValues> {
        (0..self.map.dimensions().loops).map(|i| self.map.counters(LoopId(i))).collect()
    }

    /// Writes garbage for `duration`: random octets, saturated and emptied pages, cursors that
    /// cannot be, holes. Returns how many writes that were.
    pub fn rave(&self, random: &mut Random, duration: Duration) -> u64 {
        let begin = Instant::now();
        let mut writes = 0;
        let mut block = vec![0u8; 4096];
        while begin.elapsed() < duration {
            let pages = self.size / 4096;
            let at = match random.bits() % 4 {
                // The first pages, where the cursors are, as often as all the rest.
                0 | 1 => random.bits() % 16_384.min(self.size),
                _ => random.bits() % pages * 4096,
            };
            let length = (1 + random.bits() % 4096).min(self.size - at) as usize;
            match random.bits() % 6 {
                0 => block.fill(0xff),
                1 => block.fill(0),
                2 => {
                    // Small numbers and their neighbours: what a cursor might be.
                    for word in block.as_chunks_mut::<8>().0 {
                        let value = match random.bits() % 5 {
                            0 => u64::MAX - random.bits() % 3,
                            1 => random.bits() % 2048,
                            2 => 1 << (random.bits() % 64),
                            3 => ((random.bits() % 16) << 32) | (random.bits() % 512),
                            _ => 0,
                        };
                        *word = value.to_le_bytes();
                    }
                }
                3 => {
                    let _ = punch(&self.downlink, at, length as u64);
                    writes += 1;
                    continue;
                }
                _ => {
                    for word in block.as_chunks_mut::<8>().0 {
                        *word = random.bits().to_le_bytes();
                    }
                }
            }
            let _ = self.downlink.write_all_at(&block[..length], at);
            writes += 1;
            if writes % 64 == 0 {
                std::thread::yield_now();
            }
        }
        writes
    }
}

/// `FALLOC_FL_PUNCH_HOLE`: the page is gone until somebody touches it.
fn punch(file: &File, at: u64, length: u64) -> nix::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file, flags, at as i64, length as i64)
}
