//! Builds the engine from its configuration, runs it, and takes it down again.

use crate::assembly::{self, Assembly};
use crate::config::Config;
use crate::confinement;
use crate::frame_loop::{FrameLoop, Schedule};
use crate::journal::Journal;
use crate::privileges;
use crate::realtime;
use crate::rtp_ports::RtpPorts;
use crate::supervisor::{End, Supervisor};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::JoinHandle;
use tipring_logging::Level;
use tipring_shm_proto::units::Nanos;

/// Why the engine did not start, or had to end.
#[derive(Debug)]
pub struct StartError(String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// The log file cannot be written, the socket is in use or its folder cannot be made, no memory,
/// or a frame loop got stuck.
pub fn run(config: &Config) -> Result<(), StartError> {
    // First of all: a thread keeps what it had when it was started.
    let dropped = privileges::drop_capabilities();
    let signals = block_signals()?;
    let (journal, writer) =
        Journal::start(&config.logging).map_err(|error| StartError(error.to_string()))?;
    match dropped {
        Ok(false) => {}
        Ok(true) => journal.write(Level::Info, "started as root: its capabilities are given up"),
        Err(fault) => journal.write(Level::Warn, fault),
    }
    let path = config.socket_path();
    let listener = listen(&path)?;
    let result = run_attached(config, &journal, listener, &signals);
    // The next engine may have replaced it already only if ours was removed: it is still ours.
    let _ = std::fs::remove_file(&path);
    drop(journal);
    let _ = writer.join();
    result
}

fn run_attached(
    config: &Config,
    journal: &Journal,
    listener: UnixListener,
    signals: &SignalFd,
) -> Result<(), StartError> {
    if let Err(shortfall) = realtime::lock_memory() {
        journal.write(Level::Warn, shortfall.0);
    }
    let Assembly { uplink, ends, frame_loops, cards } = assembly::assemble(config)
        .map_err(|e| StartError(format!("shared memory cannot be made: {e}")))?;
    let lines = uplink.dimensions().lines;
    if let Err(unconfined) = confinement::confine_process() {
        journal.write(Level::Warn, unconfined.to_string());
    }
    let threads = start_threads(config, journal, frame_loops);
    journal.write(
        Level::Info,
        format!(
            "{lines} lines in {} frame loops, apid may attach at {}",
            ends.len(),
            config.socket_path().display()
        ),
    );
    let ports = RtpPorts::new(config.rtp_ports);
    let supervisor = Supervisor::new(
        uplink,
        ends,
        ports,
        cards,
        journal.clone(),
        listener,
        config.attach_uids.clone(),
    );
    match supervisor.run(signals) {
        End::Asked => {
            for thread in threads {
                let _ = thread.join();
            }
            journal.write(Level::Info, "stopped");
            Ok(())
        }
        End::Stuck(id) => Err(StartError(format!("frame loop {} does not tick any more", id.0))),
    }
}

/// SIGINT, SIGTERM and SIGXCPU arrive at the supervisor only; threads inherit the mask.
fn block_signals() -> Result<SignalFd, StartError> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGXCPU);
    set.thread_block()
        .and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC))
        .map_err(|e| StartError(format!("signals cannot be taken: {e}")))
}

/// A socket file whose engine is dead is replaced; a living engine is not.
fn listen(path: &Path) -> Result<UnixListener, StartError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| StartError(format!("{}: {e}", folder.display())))?;
    }
    if UnixStream::connect(path).is_ok() {
        let text = "another engine serves this socket; stop it, or use --socket";
        return Err(StartError(format!("{}: {text}", path.display())));
    }
    let _ = std::fs::remove_file(path);
    let bound = UnixListener::bind(path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(listener)
    });
    bound.map_err(|e| StartError(format!("{}: {e}", path.display())))
}

fn start_threads(
    config: &Config,
    journal: &Journal,
    frame_loops: Vec<FrameLoop>,
) -> Vec<JoinHandle<()>> {
    let count = frame_loops.len();
    let placement = realtime::placement(count, config.realtime.cpu);
    if placement.is_none() {
        journal.write(Level::Warn, "a single processor: frame loops are not SCHED_FIFO");
    }
    let started = realtime::now();
    frame_loops
        .into_iter()
        .enumerate()
        .map(|(index, frame_loop)| {
            let cpu = placement.as_ref().map(|cpus| cpus[index]);
            let priority = config.realtime.priority;
            let journal = journal.clone();
            // Loops that share a processor wake in turn, not at once.
            let offset = Schedule::PHASE_NS * index as u64 / count as u64;
            let begin = Nanos(started.0 + offset);
            std::thread::Builder::new()
                .name(format!("frames-{index}"))
                .spawn(move || {
                    let prepared = cpu.map_or(Ok(()), |cpu| {
                        realtime::pin(cpu).and_then(|()| realtime::schedule_fifo(priority))
                    });
                    if let Err(shortfall) = prepared {
                        journal.write(Level::Warn, shortfall.0);
                    }
                    realtime::prefault_stack();
                    if let Err(unconfined) = confinement::confine_frame_loop() {
                        journal.write(Level::Warn, unconfined.to_string());
                    }
                    drop(journal);
                    frame_loop.run(begin);
                })
                .expect("a thread can be started at start-up")
        })
        .collect()
}
