//! When packets leave: µs by which those of each stream deviate from the stream's own 20 ms grid.
//!
//! `cargo bench -p tipring-engine --bench rtp_departure`. A running engine holds echo calls whose
//! phones speak all the time; the floor is a bare SCHED_FIFO thread that sends and takes the same
//! packets on the same schedule on the same processor. The two take turns. The kernel notes when
//! each packet arrives (SO_TIMESTAMPNS), which over loopback is while it is sent. A stream's grid is the
//! one in whose middle its packets lie. At last 200 calls are held, and the engine's counters
//! compared with what left it. Prints; asserts no time.

#[path = "support/apid.rs"]
mod apid;
#[path = "support/engine_process.rs"]
mod engine_process;
#[path = "support/statistics.rs"]
mod statistics;

use apid::Apid;
use engine_process::{EngineProcess, FIRST_RTP_LINE};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use statistics::{Rounds, percentile, print_head};
use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tipring_engine::device::rtp::packet::Header;
use tipring_engine::frame_loop::{PHASES, Schedule};
use tipring_engine::realtime;
use tipring_shm_proto::CounterValues;
use tipring_shm_proto::units::{FRAME_NS, FRAME_SAMPLES, LineId, LoopId, Nanos};

const ROUNDS: usize = 13;
/// Length of a round, short so that most are not touched when the machine itself pauses; and of its
/// beginning, which is left out.
const ROUND: Duration = Duration::from_secs(1);
const WARM_UP: Duration = Duration::from_millis(300);
/// How long calls are held at the end, and how many.
const HOLD: Duration = Duration::from_secs(20);
const HELD: u16 = 200;
/// Frame loops of the engine: RTP lines are on the last one's processor.
const LOOPS: usize = 2;
const PACKET_OCTETS: usize = 12 + FRAME_SAMPLES;
/// What waits for the receiver, octets: a second of 200 calls as the kernel counts them.
const RECEIVE_BUFFER: usize = 16 << 20;

fn packet(frame: u64) -> [u8; PACKET_OCTETS] {
    let mut octets = [0x2f; PACKET_OCTETS];
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence: frame as u16,
        timestamp: (frame * FRAME_SAMPLES as u64) as u32,
        ssrc: 9,
    };
    octets[..12].copy_from_slice(&header.octets());
    octets
}

/// When a thread works.
#[derive(Clone, Copy)]
struct Turn {
    period: u64,
    phase: usize,
    due: Nanos,
}

/// A thread that works every 2.5 ms until dropped.
struct Paced {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Paced {
    fn start(fifo: bool, mut work: impl FnMut(Turn) + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            if let (true, Some(cpus)) = (fifo, realtime::placement(LOOPS, None)) {
                let prepared =
                    realtime::pin(cpus[LOOPS - 1]).and_then(|()| realtime::schedule_fifo(50));
                if let Err(shortfall) = prepared {
                    eprintln!("{}", shortfall.0);
                }
                realtime::prefault_stack();
            }
            let begin = realtime::now();
            for tick in 0.. {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let due = Nanos(begin.0 + tick * Schedule::PHASE_NS);
                realtime::sleep_until(due);
                let (period, phase) = (tick / PHASES as u64, tick as usize % PHASES);
                work(Turn { period, phase, due });
            }
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }
}

/// Every packet that arrived: from which port, its sequence number, when.
type Arrivals = Vec<(u16, u16, i64)>;

/// All phones behind one socket: they speak, and note what comes.
struct Phones {
    socket: Arc<UdpSocket>,
}

impl Phones {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("Linux has timestamps");
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("any socket can");
        Self { socket: Arc::new(socket) }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Speaks to all `ports`, an eighth of them in each phase.
    fn speak(&self, ports: Vec<SocketAddr>) -> Paced {
        let socket = Arc::clone(&self.socket);
        Paced::start(false, move |Turn { period, phase, .. }| {
            let packet = packet(period);
            for port in ports.iter().skip(phase).step_by(PHASES) {
                // Between two rounds nobody may be there.
                let _ = socket.send_to(&packet, port);
            }
        })
    }

    /// Notes what arrives within `time`.
    fn listen(&self, time: Duration) -> Arrivals {
        let mut arrivals = Vec::with_capacity(1 << 18);
        let mut octets = [0; 256];
        let mut control = nix::cmsg_space!(TimeSpec);
        let until = realtime::now().0 + time.as_nanos() as u64;
        while realtime::now().0 < until {
            let mut parts = [IoSliceMut::new(&mut octets)];
            let received = recvmsg::<SockaddrIn>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::empty(),
            );
            let Ok(message) = received else { continue };
            let at = message.cmsgs().ok().into_iter().flatten().find_map(|c| match c {
                ControlMessageOwned::ScmTimestampns(t) => {
                    Some(t.tv_sec() * 1_000_000_000 + t.tv_nsec())
                }
                _ => None,
            });
            let port = message.address.map(|a| a.port());
            if let (Some(at), Some(port)) = (at, port) {
                arrivals.push((port, u16::from_be_bytes([octets[2], octets[3]]), at));
            }
        }
        arrivals
    }
}

/// Deviations of all streams, µs.
fn deviations(arrivals: &Arrivals) -> Vec<f64> {
    let mut streams: HashMap<u16, Vec<f64>> = HashMap::new();
    let mut first: HashMap<u16, (u16, i64)> = HashMap::new();
    for &(port, sequence, at) in arrivals {
        let (sequence0, at0) = *first.entry(port).or_insert((sequence, at));
        // A round is shorter than the sequence numbers are.
        let due = i64::from(sequence.wrapping_sub(sequence0).cast_signed()) * FRAME_NS as i64;
        streams.entry(port).or_default().push((at - at0 - due) as f64 / 1000.0);
    }
    let mut all = Vec::with_capacity(arrivals.len());
    for late in streams.values_mut() {
        let middle = percentile(late, 50);
        all.extend(late.iter().map(|late| (late - middle).abs()));
    }
    all
}

/// The engine in calls.
struct Calls {
    /// Ended before apid leaves, or it would say that it misses it.
    _engine: EngineProcess,
    apid: Apid,
    ports: Vec<SocketAddr>,
}

impl Calls {
    fn open(calls: u16, phones: &Phones) -> Self {
        let engine = EngineProcess::start(calls);
        let mut apid = Apid::attach(&engine.socket());
        let lines: Vec<LineId> = (0..calls).map(|n| LineId(FIRST_RTP_LINE + n)).collect();
        let rest = || std::thread::sleep(Duration::from_millis(1));
        let ports = apid.open_calls(&lines, phones.address(), Some(101), rest);
        apid.echo(&lines, rest);
        let ports = ports.into_iter().map(|port| ([127, 0, 0, 1], port).into()).collect();
        Self { _engine: engine, apid, ports }
    }
}

fn engine(calls: u16) -> Vec<f64> {
    let phones = Phones::new();
    let calls = Calls::open(calls, &phones);
    let _speaking = phones.speak(calls.ports.clone());
    phones.listen(WARM_UP);
    deviations(&phones.listen(ROUND))
}

/// The same packets, and nothing between them.
fn bare(calls: u16) -> Vec<f64> {
    let phones = Phones::new();
    let socket = |_| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("any socket can be");
        socket
    };
    let sockets: Vec<UdpSocket> = (0..calls).map(socket).collect();
    let ports = sockets.iter().map(|s| s.local_addr().expect("it is bound")).collect();
    let remote = phones.address();
    let _sender = Paced::start(true, move |Turn { period, phase, .. }| {
        let packet = packet(period);
        let mut octets = [0; 256];
        for socket in sockets.iter().skip(phase).step_by(PHASES) {
            let _ = socket.send_to(&packet, remote);
        }
        for socket in sockets.iter().skip(phase).step_by(PHASES) {
            while socket.recv_from(&mut octets).is_ok() {}
        }
    });
    let _speaking = phones.speak(ports);
    phones.listen(WARM_UP);
    deviations(&phones.listen(ROUND))
}

fn compare(calls: u16) {
    let shares = [50, 99];
    let mut rounds = [Rounds::default(), Rounds::default()];
    for _ in 0..ROUNDS {
        let (mut floor, mut engine) = (bare(calls), engine(calls));
        for (rounds, share) in rounds.iter_mut().zip(shares) {
            rounds.add(percentile(&mut engine, share), percentile(&mut floor, share));
        }
    }
    for (rounds, share) in rounds.iter().zip(shares) {
        rounds.print(&format!("{calls} calls, p{share}"));
    }
}

/// What the engine counted, beside what arrived.
fn hold() {
    let phones = Phones::new();
    let calls = Calls::open(HELD, &phones);
    let _speaking = phones.speak(calls.ports.clone());
    phones.listen(WARM_UP);
    let counters = || (0..LOOPS as u8).map(|id| calls.apid.map.counters(LoopId(id)));
    let sum = |of: fn(&CounterValues) -> u64| counters().map(|c| of(&c)).sum::<u64>();
    let figures = || {
        [
            sum(|c| c.ticks_late_total),
            sum(|c| c.ticks_missed_total),
            sum(|c| c.rtp_sent_total),
            sum(|c| c.rtp_lost_total + c.rtp_late_total),
            sum(|c| c.tick_ns_sum),
        ]
    };
    let (before, begin) = (figures(), realtime::now());
    let bare_late = Arc::new(AtomicU64::new(0));
    let beside = Paced::start(true, {
        let late = Arc::clone(&bare_late);
        move |turn| {
            if realtime::now().0 > turn.due.0 + Schedule::PHASE_NS {
                late.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let arrived = phones.listen(HOLD).len();
    drop(beside);
    let (after, took) = (figures(), realtime::now().0 - begin.0);
    let [late, missed, sent, lost, busy] = std::array::from_fn(|i| after[i] - before[i]);
    let expected = u64::from(HELD) * took / FRAME_NS;
    println!("{HELD} calls held for {} s:", took / 1_000_000_000);
    let beside = bare_late.load(Ordering::Relaxed);
    println!(
        "  {late} ticks late, {missed} left out in {LOOPS} frame loops; {beside} of a bare thread beside"
    );
    println!("  {sent} packets sent of {expected} due, {arrived} arrived");
    println!("  {lost} of the phones' packets lost or late");
    println!("  frame loops at work {:.1} % of the time", busy as f64 * 100.0 / took as f64);
}

fn main() {
    print_head("departure, deviation from each stream's grid", "us");
    for calls in [100, 200] {
        compare(calls);
    }
    hold();
}
