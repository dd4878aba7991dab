//! Builds the engine from its configuration, runs it, and takes it down again.

use crate::config::{Config, Level};
use crate::device::AnyDevice;
use crate::device::rtp::Rtp;
use crate::device::simulated::Simulated;
use crate::dsp::tone_plan;
use crate::frame_loop::orders::{self, Order, Report};
use crate::frame_loop::slot::Slot;
use crate::frame_loop::{FrameLoop, Schedule};
use crate::journal::Journal;
use crate::realtime;
use crate::rtp_ports::RtpPorts;
use crate::supervisor::{End, LoopEnd, Supervisor};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rtrb::RingBuffer;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::SystemTime;
use tipring_shm_proto::command::{Law, LineKind};
use tipring_shm_proto::units::{Generation, LineId, LoopId, Nanos, Text32};
use tipring_shm_proto::{Dimensions, Uplink};

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
/// The socket is in use or its folder cannot be made, no memory, or a frame loop got stuck.
pub fn run(config: &Config) -> Result<(), StartError> {
    let signals = block_signals()?;
    let (journal, writer) = Journal::start(config.log);
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
    let plan = plan_lines(config);
    let loops = 1 + usize::from(config.rtp_loops);
    let dimensions = Dimensions { loops: loops as u8, lines: plan.len() as u16 };
    let uplink = Uplink::create(dimensions, generation())
        .map_err(|e| StartError(format!("shared memory cannot be made: {e}")))?;
    let (ends, frame_loops) = build_loops(config, &uplink, &plan, loops);
    let threads = start_threads(config, journal, frame_loops);
    journal.write(
        Level::Info,
        format!(
            "{} lines in {loops} frame loops, apid may attach at {}",
            plan.len(),
            config.socket_path().display()
        ),
    );
    let ports = RtpPorts::new(config.rtp_ports);
    let supervisor =
        Supervisor::new(uplink, ends, ports, journal.clone(), listener, config.attach_uids.clone());
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

/// SIGINT and SIGTERM arrive at the supervisor only; threads inherit the mask.
fn block_signals() -> Result<SignalFd, StartError> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    set.add(Signal::SIGTERM);
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

fn generation() -> Generation {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Generation(since_epoch.map_or(1, |t| t.as_nanos() as u64))
}

/// One line to be.
#[derive(Clone, Copy, Debug)]
struct Planned {
    id: LineId,
    label: Text32,
    kind: LineKind,
    frame_loop: usize,
}

/// Simulated lines first, on the first loop; RTP lines dealt out to the others.
fn plan_lines(config: &Config) -> Vec<Planned> {
    let simulated = (0..config.simulated_lines).map(|i| (i, LineKind::Sim, 0));
    let loops = usize::from(config.rtp_loops);
    let rtp = (0..config.rtp_lines).map(|i| (i, LineKind::Rtp, 1 + usize::from(i) % loops));
    let all = simulated.chain(rtp).enumerate();
    all.map(|(index, (i, kind, frame_loop))| {
        let family = if kind == LineKind::Sim { "sim" } else { "rtp" };
        let label = Text32::new(&format!("{family}/{}", i + 1));
        Planned { id: LineId(index as u16), label, kind, frame_loop }
    })
    .collect()
}

fn build_loops(
    config: &Config,
    uplink: &Uplink,
    plan: &[Planned],
    loops: usize,
) -> (Vec<LoopEnd>, Vec<FrameLoop>) {
    let tones = tone_plan::of_country(&config.country).expect("checked with the configuration");
    let law = Law::from(config.companding);
    (0..loops)
        .map(|index| {
            let id = LoopId(index as u8);
            let own: Vec<&Planned> = plan.iter().filter(|p| p.frame_loop == index).collect();
            let slots = own.iter().map(|p| {
                let device = match p.kind {
                    LineKind::Sim => AnyDevice::Simulated(Simulated::new(law)),
                    LineKind::Dahdi | LineKind::Rtp => AnyDevice::Rtp(Rtp::new()),
                };
                Slot::new(p.id, p.label, id, p.kind, device, tones, law, uplink)
            });
            let slots = slots.collect();
            let (orders_in, orders_out) = RingBuffer::<Order>::new(orders::CAPACITY);
            let (reports_in, reports_out) = RingBuffer::<Report>::new(orders::CAPACITY);
            let lines = own.iter().map(|p| p.id).collect();
            let end = LoopEnd { orders: orders_in, reports: reports_out, lines };
            (end, FrameLoop::new(id, slots, uplink, orders_out, reports_in))
        })
        .unzip()
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
                    drop(journal);
                    frame_loop.run(begin);
                })
                .expect("a thread can be started at start-up")
        })
        .collect()
}
