//! What a line costs in its frame loop: ns a line and 20 ms period, of loops of 1 to 1000 lines.
//!
//! `cargo bench -p tipring-engine --bench frame_loop`, or with
//! `-- 96 'RTP echo call'` for some of it. Real packets over loopback, sent and taken
//! away between the ticks, which run in virtual time. Floors, in the same run: the bare `sendto`
//! and `recvmsg` of the same packets, with the time of arrival that RFC 3550's jitter takes; where
//! digits are in band, eight Goertzel filters besides; for lines without a call, a copy of a frame
//! in and a frame out. Prints; asserts no time.

#[path = "support/apid.rs"]
mod apid;
#[path = "support/statistics.rs"]
mod statistics;

use apid::Apid;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, cmsg_space, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use statistics::{Rounds, percentile, print_head};
use std::hint::black_box;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};
use tipring_engine::assembly::{Assembly, assemble};
use tipring_engine::codec::g711;
use tipring_engine::config::{Config, PortRange};
use tipring_engine::device::rtp::packet::Header;
use tipring_engine::frame::{Companded, Linear};
use tipring_engine::frame_loop::{FrameLoop, PHASES, Schedule};
use tipring_engine::journal::Journal;
use tipring_engine::realtime;
use tipring_engine::rtp_ports::RtpPorts;
use tipring_engine::supervisor::Supervisor;
use tipring_logging::{Level, Logging};
use tipring_shm_proto::command::{Command, Law, Outcome};
use tipring_shm_proto::units::{FRAME_SAMPLES, LineId, Nanos};

/// Rounds of which the median is printed, and periods in one of them.
const ROUNDS: usize = 15;
const PERIODS: usize = 8;
/// Periods before the first round: jitter buffers fill, detectors settle.
const WARM_UP: usize = 50;
/// Different frames that phones say in turn.
const FRAMES: usize = 50;
const PACKET_OCTETS: usize = 12 + FRAME_SAMPLES;

/// What the lines do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Idle,
    /// Digits arrive as telephone-event.
    Echo,
    /// Digits are looked for in the audio.
    EchoInBand,
    /// In pairs.
    Bridge,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Echo => "RTP echo call",
            Self::EchoInBand => "RTP echo call, digits in band",
            Self::Bridge => "RTP bridged in pairs",
        }
    }
}

/// An engine ticked by hand, its apid, and the phones.
struct Rig {
    supervisor: Supervisor,
    signals: SignalFd,
    loops: Vec<FrameLoop>,
    now: Nanos,
    ticks: usize,
    /// Of the calls, by line; none of idle lines.
    ports: Vec<SocketAddr>,
    phone: Phone,
}

impl Rig {
    fn new(lines: u16, work: Work) -> (Self, Apid) {
        let folder = std::env::temp_dir().join(format!("tipring-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for a socket");
        let socket = folder.join(format!("{}-{lines}.sock", work as u8));
        let config = Config {
            simulated_lines: 0,
            rtp_lines: lines,
            rtp_ports: PortRange { min: 33_000, max: 39_998 },
            logging: Logging { level: Level::Error, ..Logging::default() },
            ..Config::default()
        };
        let Assembly { uplink, ends, frame_loops, cards } = assemble(&config).expect("memory");
        let listener = UnixListener::bind(&socket).expect("a socket");
        listener.set_nonblocking(true).expect("any socket can be");
        let (journal, _) = Journal::start(&config.logging).expect("standard error is there");
        let ports = RtpPorts::new(config.rtp_ports);
        uplink.set_ready();
        let mut rig = Self {
            supervisor: Supervisor::new(uplink, ends, ports, cards, journal, listener, Vec::new()),
            signals: SignalFd::with_flags(&SigSet::empty(), SfdFlags::SFD_NONBLOCK)
                .expect("a descriptor"),
            loops: frame_loops,
            now: realtime::now(),
            ticks: 0,
            ports: Vec::new(),
            phone: Phone::new(),
        };
        let greeting = std::thread::spawn({
            let socket = socket.clone();
            move || Apid::attach(&socket)
        });
        while !greeting.is_finished() {
            rig.round();
        }
        let mut apid = greeting.join().expect("it attached");
        rig.round();
        let _ = std::fs::remove_file(socket);
        rig.call(&mut apid, lines, work);
        (rig, apid)
    }

    fn call(&mut self, apid: &mut Apid, lines: u16, work: Work) {
        if work == Work::Idle {
            return;
        }
        let lines: Vec<LineId> = (0..lines).map(LineId).collect();
        let remote = self.phone.address();
        let telephone_event = (work != Work::EchoInBand).then_some(101);
        let ports = apid.open_calls(&lines, remote, telephone_event, || self.round());
        self.ports = ports.iter().map(|&port| ([127, 0, 0, 1], port).into()).collect();
        if work == Work::Bridge {
            let near: Vec<LineId> = lines.iter().copied().step_by(2).collect();
            let command = |line: LineId| Command::Bridge { peer: LineId(line.0 + 1) };
            let bridged = apid.ask(&near, command, || self.round());
            assert!(bridged.iter().all(|o| *o == Outcome::Done), "{bridged:?}");
        } else {
            apid.echo(&lines, || self.round());
        }
    }

    /// A period without packets, and a round of the supervisor.
    fn round(&mut self) {
        for _ in 0..PHASES {
            self.tick();
        }
        self.supervisor.round(&self.signals);
        self.phone.drain();
    }

    /// One phase of every loop; how long it took.
    fn tick(&mut self) -> Duration {
        self.now = Nanos(self.now.0 + Schedule::PHASE_NS);
        self.ticks += 1;
        let begin = Instant::now();
        for frame_loop in &mut self.loops {
            black_box(frame_loop.tick(self.now));
        }
        begin.elapsed()
    }

    /// A period in which every phone says its frame just before its line is ticked; ns of ticks.
    fn period(&mut self) -> f64 {
        let mut busy = Duration::ZERO;
        for _ in 0..PHASES {
            self.phone.say(&self.ports, self.ticks % PHASES);
            busy += self.tick();
            self.phone.drain();
        }
        self.phone.frame += 1;
        busy.as_nanos() as f64
    }
}

/// All phones, behind one socket.
struct Phone {
    socket: UdpSocket,
    packets: Vec<[u8; PACKET_OCTETS]>,
    frame: usize,
}

impl Phone {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("any socket can be");
        Self { socket, packets: (0..FRAMES).map(speech).collect(), frame: 0 }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Sends this frame to all lines of one phase.
    fn say(&mut self, ports: &[SocketAddr], phase: usize) {
        let packet = &mut self.packets[self.frame % FRAMES];
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: self.frame as u16,
            timestamp: (self.frame * FRAME_SAMPLES) as u32,
            ssrc: 9,
        };
        packet[..12].copy_from_slice(&header.octets());
        for port in ports.iter().skip(phase).step_by(PHASES) {
            self.socket.send_to(packet, port).expect("loopback takes it");
        }
    }

    fn drain(&self) {
        let mut octets = [0; 256];
        while self.socket.recv_from(&mut octets).is_ok() {}
    }
}

/// Frames of something like a voice: a buzz under a slow envelope.
fn speech(frame: usize) -> [u8; PACKET_OCTETS] {
    let samples: Linear = std::array::from_fn(|n| {
        let t = (frame * FRAME_SAMPLES + n) as f32 / 8000.0;
        let envelope = 0.5 + 0.5 * (std::f32::consts::TAU * 3.0 * t).sin();
        let buzz: f32 =
            (1..6).map(|k| (std::f32::consts::TAU * 140.0 * k as f32 * t).sin() / k as f32).sum();
        (4000.0 * envelope * buzz) as i16
    });
    let mut companded = Companded { law: Law::Mu, octets: [0; FRAME_SAMPLES] };
    g711::encode(&samples, Law::Mu, &mut companded);
    let mut packet = [0; PACKET_OCTETS];
    packet[12..].copy_from_slice(&companded.octets);
    packet
}

/// What the same period costs with nothing between the packets.
enum Floor {
    Copies { from: Vec<[Linear; 2]>, to: Vec<[Linear; 2]> },
    Calls { sockets: Vec<UdpSocket>, ports: Vec<SocketAddr>, phone: Phone, listens: bool },
}

impl Floor {
    fn new(lines: u16, work: Work) -> Self {
        let lines = usize::from(lines);
        if work == Work::Idle {
            let frames = vec![[[1; FRAME_SAMPLES]; 2]; lines];
            return Self::Copies { to: frames.clone(), from: frames };
        }
        let socket = |_| UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let sockets: Vec<UdpSocket> = (0..lines).map(socket).collect();
        for socket in &sockets {
            socket.set_nonblocking(true).expect("any socket can be");
            setsockopt(socket, sockopt::ReceiveTimestampns, &true)
                .expect("the kernel notes arrivals");
        }
        let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
        let ports = sockets.iter().map(address).collect();
        Self::Calls { sockets, ports, phone: Phone::new(), listens: work == Work::EchoInBand }
    }

    fn period(&mut self) -> f64 {
        let mut busy = Duration::ZERO;
        for phase in 0..PHASES {
            match self {
                Self::Copies { from, to } => {
                    let begin = Instant::now();
                    let lines = from.iter_mut().zip(to.iter_mut()).skip(phase).step_by(PHASES);
                    for (from, to) in lines {
                        to[0] = *black_box(&from[0]);
                        from[1] = *black_box(&to[1]);
                    }
                    busy += begin.elapsed();
                }
                Self::Calls { sockets, ports, phone, listens } => {
                    phone.say(ports, phase);
                    let remote = phone.address();
                    let packet = phone.packets[0];
                    let mut octets = [0; 256];
                    let begin = Instant::now();
                    for socket in sockets.iter().skip(phase).step_by(PHASES) {
                        socket.send_to(&packet, remote).expect("loopback takes it");
                    }
                    for socket in sockets.iter().skip(phase).step_by(PHASES) {
                        let came = stamped(socket, &mut octets);
                        if *listens {
                            let payload = octets[12..].first_chunk().expect("it is longer");
                            black_box(goertzels(payload));
                        }
                        black_box(came);
                    }
                    busy += begin.elapsed();
                    phone.drain();
                }
            }
        }
        busy.as_nanos() as f64
    }
}

/// The next packet, and when it reached this machine.
fn stamped(socket: &UdpSocket, octets: &mut [u8]) -> Option<TimeSpec> {
    let mut control = [0; cmsg_space::<libc::timespec>()];
    let mut parts = [IoSliceMut::new(octets)];
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags).ok()?;
    message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => Some(at),
        _ => None,
    })
}

/// Power at the eight frequencies of DTMF (ITU-T Q.23): the least that finds a digit.
fn goertzels(octets: &[u8; FRAME_SAMPLES]) -> [f32; 8] {
    const HZ: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];
    let twice_cos = HZ.map(|hz| 2.0 * (std::f32::consts::TAU * hz / 8000.0).cos());
    let (mut last, mut before) = ([0.0f32; 8], [0.0f32; 8]);
    let mut samples = [0; FRAME_SAMPLES];
    g711::decode(&Companded { law: Law::Mu, octets: *octets }, &mut samples);
    for sample in samples.map(f32::from) {
        for n in 0..8 {
            (last[n], before[n]) = (sample + twice_cos[n] * last[n] - before[n], last[n]);
        }
    }
    std::array::from_fn(|n| {
        last[n] * last[n] + before[n] * before[n] - twice_cos[n] * last[n] * before[n]
    })
}

fn measure(lines: u16, work: Work) {
    let (mut rig, mut apid) = Rig::new(lines, work);
    let mut floor = Floor::new(lines, work);
    for _ in 0..WARM_UP {
        rig.period();
        floor.period();
    }
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        apid.read_events(|_, _| ());
        let each = |period: &mut dyn FnMut() -> f64| {
            let mut periods: Vec<f64> = (0..PERIODS).map(|_| period()).collect();
            percentile(&mut periods, 50) / f64::from(lines)
        };
        rounds.add(each(&mut || rig.period()), each(&mut || floor.period()));
    }
    let s = if lines == 1 { "" } else { "s" };
    rounds.print(&format!("{}, {lines} line{s}", work.name()));
}

/// What the arguments ask for: numbers of lines, names of work; everything without.
struct Asked(Vec<String>);

impl Asked {
    fn read() -> Self {
        Self(std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect())
    }

    fn wants(&self, work: Work, lines: u16) -> bool {
        let mut numbers = self.0.iter().filter_map(|word| word.parse::<u16>().ok()).peekable();
        let mut words = self.0.iter().filter(|word| word.parse::<u16>().is_err()).peekable();
        (numbers.peek().is_none() || numbers.any(|n| n == lines))
            && (words.peek().is_none() || words.any(|word| work.name() == word))
    }
}

fn main() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    // As a frame loop is placed.
    if let Some(cpus) = realtime::placement(1, None) {
        let prepared = realtime::pin(cpus[0]).and_then(|()| realtime::schedule_fifo(50));
        if let Err(shortfall) = prepared {
            eprintln!("{}", shortfall.0);
        }
    }
    let asked = Asked::read();
    print_head("ns a line and 20 ms period", "ns");
    for work in [Work::Idle, Work::Echo, Work::EchoInBand, Work::Bridge] {
        for lines in [1, 24, 96, 1000].into_iter().filter(|&lines| asked.wants(work, lines)) {
            let lines = if work == Work::Bridge { lines.max(2) } else { lines };
            measure(lines, work);
        }
    }
}
