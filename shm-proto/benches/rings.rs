//! ns per audio frame through an overwriting ring and through a play ring, write and read,
//! against a ring of plain memory copies in the same run: one core, warm.
//!
//! `cargo bench -p tipring-shm-proto --bench rings`

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::hint::black_box;
use std::time::Instant;
use tipring_shm_proto::units::{Generation, LineId, LoopId, Nanos, PlaybackId, TenthDbm0};
use tipring_shm_proto::{
    Attachment, Dimensions, Direction, Downlink, EngineMap, FrameFlags, Next, Uplink,
};

/// Frames between two clock readings; less than any ring holds.
const BATCH: usize = 32;
/// Batches a round; the reported time is the median of all batches of all rounds.
const BATCHES: usize = 20_000;

/// The floor: what any ring with these slots has to do, 384 bytes in, 384 bytes out.
struct CopyRing {
    slots: Vec<[u8; 384]>,
    written: usize,
    read: usize,
}

impl CopyRing {
    fn write(&mut self, slot: &[u8; 384]) {
        let index = self.written % self.slots.len();
        self.slots[index].copy_from_slice(slot);
        self.written += 1;
    }

    fn read(&mut self, into: &mut [u8; 384]) {
        let index = self.read % self.slots.len();
        into.copy_from_slice(&self.slots[index]);
        self.read += 1;
    }
}

/// ns per frame of each batch.
struct Timings(Vec<f64>);

impl Timings {
    fn batch(&mut self, mut each: impl FnMut()) {
        let begin = Instant::now();
        for _ in 0..BATCH {
            each();
        }
        self.0.push(begin.elapsed().as_nanos() as f64 / BATCH as f64);
    }

    /// Prints and returns the median.
    fn report(&mut self, name: &str, floor: Option<f64>) -> f64 {
        // The first tenth warms caches, branch predictor and clock.
        self.0.drain(..self.0.len() / 10);
        self.0.sort_by(f64::total_cmp);
        let at = |share: f64| self.0[((self.0.len() - 1) as f64 * share) as usize];
        let (median, p99) = (at(0.5), at(0.99));
        let over =
            floor.map_or_else(String::new, |floor| format!("  {:5.2} x floor", median / floor));
        println!("{name:<24} {median:7.1} ns median {p99:8.1} ns p99{over}");
        median
    }
}

fn main() {
    pin();
    let uplink = Uplink::create(Dimensions { loops: 1, lines: 1 }, Generation(1))
        .expect("a memory file can be made");
    uplink.set_ready();
    let downlink = Downlink::create(&uplink, Attachment(1)).expect("a second one, too");
    let [up, down] = [uplink.fd(), downlink.fd()]
        .map(|fd| fd.try_clone_to_owned().expect("a descriptor can be duplicated"));
    let map = EngineMap::attach(up, down).expect("what we made is what we want");
    let mut events = uplink.event_writer(LoopId(0));
    events.attach(downlink.event_cursor(LoopId(0)));

    let mut audio_writer = uplink.audio_writer(LineId(0));
    let mut audio_reader = map.audio_reader(LineId(0), Direction::Rx);
    let mut play_writer = map.play_writer(LineId(0), 0);
    let mut play_reader = downlink.play_reader(LineId(0), 0);
    let mut copy = CopyRing { slots: vec![[0; 384]; 64], written: 0, read: 0 };

    let samples: [i16; 160] = std::array::from_fn(|i| i as i16 * 200);
    let plain = [7_u8; 384];
    let mut out = [0_u8; 384];
    let mut times: [Timings; 6] = std::array::from_fn(|_| Timings(Vec::new()));
    for _ in 0..BATCHES {
        times[0].batch(|| copy.write(black_box(&plain)));
        times[1].batch(|| {
            copy.read(&mut out);
            black_box(&out);
        });
        times[2].batch(|| {
            let (at, level) = (Nanos(1), TenthDbm0(-100));
            let seq = audio_writer.publish(
                Direction::Rx,
                at,
                level,
                FrameFlags::VOICE,
                black_box(&samples),
            );
            black_box(seq);
        });
        times[3].batch(|| match audio_reader.next() {
            Next::Frame(frame) => {
                black_box(&frame);
            }
            other => panic!("{BATCH} frames were written and fit: {other:?}"),
        });
        times[4].batch(|| {
            play_writer.audio(PlaybackId(1), black_box(&samples)).expect("it was read");
        });
        times[5].batch(|| {
            let item = play_reader.take().expect("nobody lies");
            black_box(&item.expect("it was written"));
        });
    }
    println!("one core, warm, {BATCHES} batches of {BATCH} frames, 384 bytes a slot");
    let write = times[0].report("memcpy ring, write", None);
    let read = times[1].report("memcpy ring, read", None);
    times[2].report("audio ring, write", Some(write));
    times[3].report("audio ring, read", Some(read));
    times[4].report("play ring, write", Some(write));
    times[5].report("play ring, read", Some(read));
}

/// To the CPU it is on, so that it is one core.
fn pin() {
    let mut cpus = CpuSet::new();
    let cpu = nix::sched::sched_getcpu().unwrap_or(0);
    let pinned = cpus.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus));
    if let Err(error) = pinned {
        eprintln!("not pinned to a core: {error}");
    }
}
