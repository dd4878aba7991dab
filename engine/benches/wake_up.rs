//! From a frame loop that publishes to the thread of apid that waits for it: µs, p50 and p99.
//!
//! `cargo bench -p tipring-engine --bench wake_up`. Waiters of ordinary priority take turns, each woken
//! every 2.5 ms by a SCHED_FIFO thread on the same processor:
//!
//! - an event through the ring and the doorbell, from before it is published; its floor is a bare
//!   futex, as the standard library's `park` and `unpark` use it;
//! - audio of a running engine with a call in every phase, from the wake-up of its frame loop: the
//!   time that stands in the frame. The tick of a line is part of it; its floor makes that line's
//!   system calls before it wakes the waiter.
//!
//! Prints; asserts no time.

#[path = "support/apid.rs"]
mod apid;
#[path = "support/engine_process.rs"]
mod engine_process;
#[path = "support/statistics.rs"]
mod statistics;

use apid::Apid;
use engine_process::{EngineProcess, FIRST_RTP_LINE};
use statistics::{Rounds, percentile, print_head};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tipring_engine::frame_loop::{PHASES, Schedule};
use tipring_engine::realtime;
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::units::{Generation, LineId, LoopId, Nanos};
use tipring_shm_proto::{Attachment, Dimensions, Direction, Downlink, EngineMap, Next, Uplink};

const ROUNDS: usize = 11;
/// Wake-ups in one of them: 1 s.
const WAKES: usize = 400;
/// Wake-ups left out at the beginning of a round.
const WARM_UP: usize = 100;
/// Frame loops of the engine that runs beside: theirs is the last one's processor.
const LOOPS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(1);

/// A thread as a frame loop's: calls `publish` on a grid until told to end.
fn frame_loop(
    end: Arc<AtomicBool>,
    mut publish: impl FnMut(Nanos) + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        if let Some(cpus) = realtime::placement(LOOPS, None) {
            let prepared =
                realtime::pin(cpus[LOOPS - 1]).and_then(|()| realtime::schedule_fifo(50));
            if let Err(shortfall) = prepared {
                eprintln!("{}", shortfall.0);
            }
        }
        let mut due = realtime::now();
        while !end.load(Ordering::Relaxed) {
            due = Nanos(due.0 + Schedule::PHASE_NS);
            realtime::sleep_until(due);
            publish(realtime::now());
        }
    })
}

fn since_us(at: u64) -> f64 {
    realtime::now().0.saturating_sub(at) as f64 / 1000.0
}

/// The floor; `first` is what the publisher does before it wakes the waiter.
fn bare_futex(first: impl Fn() + Send + 'static) -> Vec<f64> {
    let end = Arc::new(AtomicBool::new(false));
    let stamp = Arc::new(AtomicU64::new(0));
    let waiter = std::thread::current();
    let publisher = frame_loop(Arc::clone(&end), {
        let stamp = Arc::clone(&stamp);
        move |now| {
            first();
            stamp.store(now.0, Ordering::Release);
            waiter.unpark();
        }
    });
    let (mut took, mut last) = (Vec::new(), 0);
    while took.len() < WARM_UP + WAKES {
        std::thread::park_timeout(PATIENCE);
        let at = stamp.load(Ordering::Acquire);
        if at != last {
            took.push(since_us(at));
            last = at;
        }
    }
    end.store(true, Ordering::Relaxed);
    publisher.join().expect("it ends");
    took.split_off(WARM_UP)
}

/// The system calls of a line whose phone is silent: one packet out, none in.
fn packet_calls() -> impl Fn() + Send + 'static {
    let phone = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("any socket can be");
    move || {
        let remote = phone.local_addr().expect("it is bound");
        let _ = socket.send_to(&[0; 172], remote);
        let _ = socket.recv_from(&mut [0; 256]);
    }
}

/// An event, by the ring and the doorbell alone.
fn event() -> Vec<f64> {
    let uplink =
        Uplink::create(Dimensions { loops: 1, lines: 1 }, Generation(1)).expect("a memory file");
    uplink.set_ready();
    let downlink = Downlink::create(&uplink, Attachment(1)).expect("another one");
    let [up, down] = [uplink.fd(), downlink.fd()]
        .map(|fd| fd.try_clone_to_owned().expect("a descriptor can be duplicated"));
    let map = EngineMap::attach(up, down).expect("what we made is what we want");
    let mut events = uplink.event_writer(LoopId(0));
    events.attach(downlink.event_cursor(LoopId(0)));
    let mut reader = map.event_reader(LoopId(0));

    let end = Arc::new(AtomicBool::new(false));
    let publisher = frame_loop(Arc::clone(&end), move |at| {
        let event = Event::Line { line: LineId(0), event: LineEvent::Flash { duration_ms: 1 } };
        events.publish(&Stamped { at, event });
        events.finish_wake(false).expect("nobody lies");
    });
    let mut took = Vec::new();
    while took.len() < WARM_UP + WAKES {
        map.wait(PATIENCE, || reader.has_news());
        // Drops are news, too, and the first of them is that there were none.
        reader.resync();
        if let Ok(Some(stamped)) = reader.take() {
            took.push(since_us(stamped.at.0));
        }
    }
    end.store(true, Ordering::Relaxed);
    publisher.join().expect("it ends");
    took.split_off(WARM_UP)
}

/// Audio of a running engine.
fn audio() -> Vec<f64> {
    let engine = EngineProcess::start(PHASES as u16);
    let mut apid = Apid::attach(&engine.socket());
    let phone = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let lines: Vec<LineId> = (0..PHASES as u16).map(|n| LineId(FIRST_RTP_LINE + n)).collect();
    let rest = || std::thread::sleep(Duration::from_millis(1));
    apid.open_calls(&lines, phone.local_addr().expect("it is bound"), Some(101), rest);
    apid.echo(&lines, rest);
    let mut readers: Vec<_> =
        lines.iter().map(|&line| apid.map.audio_reader(line, Direction::Tx)).collect();
    let mut took = Vec::new();
    while took.len() < WARM_UP + WAKES {
        apid.map.wait(PATIENCE, || readers.iter().any(tipring_shm_proto::AudioReader::has_news));
        let awake = realtime::now();
        for reader in &mut readers {
            while let Next::Frame(frame) = reader.next() {
                took.push(awake.0.saturating_sub(frame.at.0) as f64 / 1000.0);
            }
        }
    }
    // Before apid leaves, or the engine would say that it misses it.
    drop(engine);
    took.split_off(WARM_UP)
}

fn main() {
    let shares = [50, 99];
    let mut events = [Rounds::default(), Rounds::default()];
    let mut frames = [Rounds::default(), Rounds::default()];
    for _ in 0..ROUNDS {
        let (mut futex, mut event) = (bare_futex(|| ()), event());
        let (mut calls_and_futex, mut audio) = (bare_futex(packet_calls()), audio());
        for (index, share) in shares.into_iter().enumerate() {
            events[index].add(percentile(&mut event, share), percentile(&mut futex, share));
            frames[index]
                .add(percentile(&mut audio, share), percentile(&mut calls_and_futex, share));
        }
    }
    print_head("wake-up, frame loop to waiting thread", "us");
    for (index, share) in shares.into_iter().enumerate() {
        events[index].print(&format!("event published to thread awake, p{share}"));
        frames[index].print(&format!("tick begun to thread awake with its audio, p{share}"));
    }
}
