//! RTP departure deviation: how far each packet of each of 100 calls leaves from its own stream's
//! 20 ms grid. The floor, in the same run: a bare SCHED_FIFO thread that sends the same packets on
//! the same grid and does nothing else. Times are the kernel's (SO_TIMESTAMPNS), so that the
//! receiver's own wake-ups do not count.
//!
//! `cargo bench -p tipring-tests --bench departures`; as root, or neither side has SCHED_FIFO.

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command as Program;
use std::time::{Duration, Instant};
use tipring_shm_proto::command::{Command, Hook, HookSource, Law, Outcome, RtpMedia};
use tipring_shm_proto::units::{Endpoint, LineId};
use tipring_tests::peer::Peer;
use tipring_tests::process::{Folder, Process};
use tipring_tests::system::program;

const CALLS: usize = 100;
const SECONDS: u64 = 10;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--bare-sender") {
        return send_bare(&arguments[at + 1]);
    }
    println!("RTP departures of {CALLS} calls, ms from each stream's own 20 ms grid");
    for round in 1..=2 {
        let floor = bare();
        let ours = engine();
        println!("  round {round}  floor  {floor}");
        println!(
            "  round {round}  engine {ours}  ({:.2} and {:.2} times the floor)",
            ours.p50 / floor.p50,
            ours.p99 / floor.p99
        );
    }
}

struct Spread {
    p50: f64,
    p99: f64,
    worst: f64,
    packets: usize,
    lost: u64,
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { p50, p99, worst, packets, lost } = self;
        write!(f, "p50 {p50:.3}  p99 {p99:.3}  worst {worst:.3}  {packets} packets, {lost} lost")
    }
}

struct Arrival {
    at_ms: f64,
    sequence: u16,
    timestamp: u32,
}

/// Receives for a while, by source port.
fn receive(socket: &UdpSocket) -> Spread {
    let mut streams: BTreeMap<u16, Vec<Arrival>> = BTreeMap::new();
    let mut space = cmsg_space!(nix::sys::time::TimeSpec);
    let begin = Instant::now();
    // The first second is for the streams to begin.
    while begin.elapsed() < Duration::from_secs(SECONDS + 1) {
        let mut octets = [0u8; 512];
        let mut slices = [IoSliceMut::new(&mut octets)];
        let Ok(message) = recvmsg::<SockaddrIn>(
            socket.as_raw_fd(),
            &mut slices,
            Some(&mut space),
            MsgFlags::empty(),
        ) else {
            continue;
        };
        let stamp = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|c| match c {
                ControlMessageOwned::ScmTimestampns(at) => Some(at),
                _ => None,
            })
        });
        let (Some(at), Some(from), 12..) = (stamp, message.address, message.bytes) else {
            continue;
        };
        if begin.elapsed() < Duration::from_secs(1) {
            continue;
        }
        streams.entry(from.port()).or_default().push(Arrival {
            at_ms: at.tv_sec() as f64 * 1e3 + at.tv_nsec() as f64 / 1e6,
            sequence: u16::from_be_bytes([octets[2], octets[3]]),
            timestamp: u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]),
        });
    }
    let mut deviations = Vec::new();
    let mut missing = 0;
    for stream in streams.values() {
        let (first, last) = (&stream[0], &stream[stream.len() - 1]);
        missing += u64::from(last.sequence.wrapping_sub(first.sequence)) + 1 - stream.len() as u64;
        let mut off: Vec<f64> = stream
            .iter()
            .map(|a| {
                a.at_ms - first.at_ms - f64::from(a.timestamp.wrapping_sub(first.timestamp)) / 8.0
            })
            .collect();
        off.sort_by(f64::total_cmp);
        let middle = off[off.len() / 2];
        deviations.extend(off.iter().map(|o| (o - middle).abs()));
    }
    assert!(streams.len() >= CALLS, "{} of {CALLS} streams came", streams.len());
    deviations.sort_by(f64::total_cmp);
    let at = |share: f64| deviations[((deviations.len() - 1) as f64 * share) as usize];
    Spread { p50: at(0.5), p99: at(0.99), worst: at(1.0), packets: deviations.len(), lost: missing }
}

fn receiver() -> UdpSocket {
    let socket = UdpSocket::bind((HERE, 0)).expect("a port");
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("kernel time stamps");
    setsockopt(&socket, sockopt::RcvBuf, &(4 << 20)).expect("a large buffer");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
    socket
}

/// The floor: this program again, on the engine's processor, under SCHED_FIFO where that may be.
fn bare() -> Spread {
    let socket = receiver();
    let to = socket.local_addr().expect("bound").to_string();
    let processor = (std::thread::available_parallelism().map_or(1, usize::from) - 1).to_string();
    let own = std::env::current_exe().expect("own path");
    let mut command = Program::new("taskset");
    command.args(["-c", &processor]);
    if nix::unistd::geteuid().is_root() {
        command.args(["chrt", "-f", "50"]);
    }
    command.arg(own).args(["--bare-sender", &to]);
    let mut sender = command.spawn().expect("taskset and chrt (util-linux)");
    let spread = receive(&socket);
    let _ = sender.kill();
    let _ = sender.wait();
    spread
}

/// What the floor does: sleeps until the next eighth of the period, sends that eighth's packets.
fn send_bare(to: &str) {
    let to: SocketAddr = to.parse().expect("an address");
    let sockets: Vec<UdpSocket> =
        (0..CALLS).map(|_| UdpSocket::bind((HERE, 0)).expect("a port")).collect();
    let mut packet = [0u8; 172];
    packet[0] = 0x80;
    let begin = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    for wake in 0u64.. {
        let due = begin
            + TimeSpec::new(0, 0)
            + TimeSpec::from_duration(Duration::from_micros(2500) * wake as u32);
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &due);
        let frame = (wake / 8) as u32;
        for socket in sockets.iter().skip((wake % 8) as usize).step_by(8) {
            packet[2..4].copy_from_slice(&(frame as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(frame * 160).to_be_bytes());
            let _ = socket.send_to(&packet, to);
        }
    }
}

fn engine() -> Spread {
    let folder = Folder::new("bench");
    let socket = folder.file("engine.sock");
    let yaml =
        format!("simulated_lines: 0\nrtp_lines: {CALLS}\nrtp_ports: {{min: 22000, max: 22998}}\n");
    std::fs::write(folder.file("engine.yml"), yaml).expect("written");
    let mut command = Program::new(program("tipring-engine"));
    command.arg("--config").arg(folder.file("engine.yml")).arg("--socket").arg(&socket);
    let _engine = Process::start(&mut command, &folder.file("engine.log"));
    let mut peer = Peer::attach(&socket);
    let receiver = receiver();
    let remote = Endpoint::from(receiver.local_addr().expect("bound"));
    let media = RtpMedia {
        remote: Some(remote),
        law: Law::Mu,
        telephone_event: Some(101),
        send: true,
        receive: true,
    };
    let local_ip = Endpoint::from(SocketAddr::new(HERE, 0)).ip;
    let off = Command::ReportHook { hook: Hook::Off, source: HookSource::Signalling };
    let orders: Vec<(LineId, Command)> = (0..CALLS as u16)
        .flat_map(|i| [(LineId(i), Command::OpenRtp { media, local_ip }), (LineId(i), off)])
        .collect();
    let outcomes = peer.ask(&orders);
    assert!(!outcomes.iter().any(|o| matches!(o, Outcome::Refused(_))), "{outcomes:?}");
    receive(&receiver)
}
