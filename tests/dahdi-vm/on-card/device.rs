//! A device on a channel, and its telephone.

use crate::channel::{Channel, OFF_HOOK, ON_HOOK};
use crate::{BLOCK, card, guard};
use std::path::Path;
use std::time::{Duration, Instant};
use tipring_engine::codec::g711;
use tipring_engine::device::Device;
use tipring_engine::device::dahdi::Dahdi;
use tipring_engine::device::dahdi::ioctl;
use tipring_engine::device::dahdi::open::{self, NODES, Setup};
use tipring_engine::frame::{Companded, Heard, Linear};
use tipring_engine::realtime;
use tipring_engine::signal::{Drive, Driven, Signal};
use tipring_shm_proto::command::{Cadence, Law};
use tipring_tests::signal::{Random, from_bytes, to_bytes};

const SETUP: Setup = Setup { buffers: 8, flash_ms: 300, gains: None };
/// For what takes milliseconds on a machine that has time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Frames that are said and heard. Their octets, 128 and up, are positive and each softer than the one
/// before.
const FRAMES: u8 = 100;
/// Each is as loud for two frames, since blocks of two channels do not begin at once.
const REPEATED: u8 = 2;

/// Every order that a line can give.
fn orders() -> [Drive; 15] {
    [
        Drive::RingOn,
        Drive::RingOff,
        Drive::Ring(Cadence::new(&[400, 200]).expect("a cadence")),
        Drive::Polarity(true),
        Drive::Polarity(false),
        Drive::MessageWaiting(3),
        Drive::MessageWaiting(0),
        Drive::TransmitOnHook { ms: 100 },
        Drive::OffHook,
        Drive::Flash,
        Drive::Digit { digit: b'5', on_ms: 100, off_ms: 100 },
        Drive::Digit { digit: 0xFF, on_ms: 0, off_ms: u16::MAX },
        Drive::Battery(false),
        Drive::Battery(true),
        Drive::OnHook,
    ]
}

struct Rig {
    device: Dahdi,
    phone: Channel,
}

impl Rig {
    /// With the handset lifted, and the line in use.
    fn lifted(port: u16, phone: u16) -> Self {
        let channel = open::open(Path::new(NODES), port, &SETUP).expect("the channel is free");
        let mut device = Dahdi::new();
        assert!(device.adopt(channel.opened).is_none());
        // The second descriptor is the supervisor's: the channel closes with the last of them.
        drop(channel.watched);
        let phone = Channel::open(phone.into()).expect("the telephone's channel");
        phone.hook(OFF_HOOK).expect("a handset");
        let mut rig = Self { device, phone };
        rig.until("the lifted handset", |_, signals| signals.contains(&Signal::OffHook));
        rig.until("the line", |device, _| {
            device.drive(realtime::now(), Drive::OffHook) == Driven::Done
        });
        rig.device.align();
        rig
    }

    /// Waits for a block as a frame loop does, and takes what the device noticed.
    fn pass(&mut self, signals: &mut Vec<Signal>) {
        let fd = self.device.descriptor().unwrap_or(-1);
        let mut entry = [libc::pollfd { fd, events: libc::POLLIN | libc::POLLPRI, revents: 0 }];
        let device = &mut self.device;
        let mut found = [None; 64];
        guard(&mut || {
            ioctl::wait(&mut entry, 40);
            for place in &mut found {
                *place = device.poll_signal(realtime::now());
                if place.is_none() {
                    break;
                }
            }
        });
        assert!(found[63].is_none(), "signals without end");
        signals.extend(found.into_iter().flatten());
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Dahdi, &[Signal]) -> bool) {
        let (begin, mut signals) = (Instant::now(), Vec::new());
        while !is_so(&mut self.device, &signals) {
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}: {signals:?}");
            self.pass(&mut signals);
            self.read();
        }
    }

    /// The first octet of a frame, if there is one.
    fn read(&mut self) -> Option<Companded> {
        let mut frame = Companded { law: Law::Mu, octets: [0x5a; BLOCK] };
        let untouched = frame;
        let (device, mut heard) = (&mut self.device, Heard::Nothing);
        guard(&mut || heard = device.read_frame(realtime::now(), &mut frame));
        if heard != Heard::Frame {
            assert_eq!(frame, untouched, "{heard:?} wrote");
            return None;
        }
        Some(frame)
    }

    fn write(&mut self, octet: u8) {
        let device = &mut self.device;
        guard(&mut || {
            let frame = Companded { law: Law::Mu, octets: [octet; BLOCK] };
            device.write_frame(realtime::now(), &frame);
            device.flush_out(realtime::now());
        });
    }
}

fn linear(octet: u8) -> i16 {
    let mut frame: Linear = [0; BLOCK];
    g711::decode(&Companded { law: Law::Mu, octets: [octet; BLOCK] }, &mut frame);
    frame[0]
}

/// What was heard, each once, without silence.
fn course(heard: &[u8]) -> Vec<u8> {
    let mut course = heard.to_vec();
    course.retain(|octet| (0x80..0x80 + FRAMES).contains(octet));
    course.dedup();
    course
}

/// In order; whether it was nearly all: an emulated processor may be late.
fn in_order(what: &str, heard: &[u8]) -> bool {
    let course = course(heard);
    assert!(course.is_sorted(), "{what}: {course:?}");
    course.len() >= usize::from(FRAMES) * 3 / 4
}

/// Again as long as the machine stands still in the middle of it.
pub(crate) fn audio_keeps_its_order(port: u16, phone: u16) {
    assert!((0..10).any(|_| audio_is_nearly_complete(port, phone)), "most of it is lost each time");
}

fn audio_is_nearly_complete(port: u16, phone: u16) -> bool {
    let mut rig = Rig::lifted(port, phone);
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    let mut signals = Vec::new();
    for step in 0..u32::from(FRAMES) * u32::from(REPEATED) + 40 {
        rig.pass(&mut signals);
        let frame = u8::try_from(step / u32::from(REPEATED)).unwrap_or(u8::MAX).min(FRAMES);
        let octet = if frame < FRAMES { 0x80 + frame } else { 0xff };
        rig.phone.events().expect("events");
        rig.phone.write(&to_bytes(&[linear(octet); BLOCK])).expect("a block said");
        rig.write(octet);
        while let Some(frame) = rig.read() {
            said.extend(frame.octets);
        }
        rig.phone.events().expect("events");
        while let Ok(Some(block)) = rig.phone.read() {
            let octet = |sample: &i16| g711::encode_mu(*sample);
            heard.extend(from_bytes(&block).iter().map(octet));
        }
        let reserve = rig.device.reserve_samples();
        assert!((160..=8000).contains(&reserve), "{reserve}");
    }
    // The order of both holds, even where one of them is not whole.
    let (said, heard) = (in_order("what is said", &said), in_order("what is heard", &heard));
    said && heard
}

pub(crate) fn every_order_is_answered(port: u16, phone: u16) {
    let mut rig = Rig::lifted(port, phone);
    let mut signals = Vec::new();
    let mut answers = Vec::new();
    for order in orders() {
        let (device, mut answer) = (&mut rig.device, Driven::Busy);
        guard(&mut || answer = device.drive(realtime::now(), order));
        answers.push(answer);
        rig.pass(&mut signals);
        rig.read();
        rig.write(0xff);
    }
    // The kernel rings whole cadences, has no digit to send and no flash towards the phone; a bell
    // does not ring in the hand.
    for unsupported in [0, 9, 10, 11] {
        assert_eq!(answers[unsupported], Driven::Unsupported, "{answers:?}");
    }
    assert_ne!(answers[2], Driven::Done, "{answers:?}");
    for done in [3, 4, 5, 6, 7, 12] {
        assert_eq!(answers[done], Driven::Done, "{answers:?}");
    }
}

/// A line that has lost its battery takes no order for 800 ms (EBUSY), which is no failure: then it does.
/// Its telephone was put down meanwhile, and is rung.
pub(crate) fn a_drop_is_waited_for(port: u16, phone: u16) {
    const RING_BEGINS: i32 = 18;
    let mut rig = Rig::lifted(port, phone);
    let bell = Drive::Ring(Cadence::new(&[1000, 200]).expect("a cadence"));
    let drive = |device: &mut Dahdi, order| {
        let mut answer = Driven::Unsupported;
        guard(&mut || answer = device.drive(realtime::now(), order));
        answer
    };
    assert_eq!(drive(&mut rig.device, Drive::Battery(false)), Driven::Done);
    rig.phone.hook(ON_HOOK).expect("a handset");
    for order in [bell, Drive::OffHook, Drive::Battery(true)] {
        assert_eq!(drive(&mut rig.device, order), Driven::Busy, "{order:?}");
    }
    rig.until("the line", |device, _| drive(device, bell) == Driven::Done);
    let (begin, mut felt) = (Instant::now(), Vec::new());
    while !felt.contains(&RING_BEGINS) {
        assert!(begin.elapsed() < PATIENCE, "the bell is not felt, but {felt:?}");
        felt.extend(rig.phone.events().expect("events"));
    }
    assert_eq!(drive(&mut rig.device, Drive::RingOff), Driven::Done);
}

pub(crate) fn any_order_of_calls_is_survived(port: u16, phone: u16) {
    let mut rig = Rig::lifted(port, phone);
    let (orders, mut random) = (orders(), Random::new(11));
    let mut signals = Vec::new();
    for _ in 0..1500 {
        let which = (random.bits() % orders.len() as u64) as usize;
        match random.bits() % 6 {
            0 => rig.write(which as u8),
            1 => {
                rig.read();
            }
            2 => {
                let device = &mut rig.device;
                guard(&mut || {
                    device.drive(realtime::now(), orders[which]);
                });
            }
            3 => rig.device.align(),
            4 => card(if which.is_multiple_of(2) { "hook 1 1" } else { "hook 1 0" }),
            _ => rig.pass(&mut signals),
        }
        assert!(rig.device.reserve_samples() <= 8000);
    }
    card("hook 1 0");
}

pub(crate) fn a_card_that_is_pulled(port: u16) {
    let channel = open::open(Path::new(NODES), port, &SETUP).expect("the channel is free");
    let mut device = Dahdi::new();
    device.adopt(channel.opened);
    drop(channel.watched);
    // The driver waits until the channel is let go.
    let pulling = std::thread::spawn(|| card("unplug"));
    let begin = Instant::now();
    let mut lost = false;
    while !lost {
        assert!(begin.elapsed() < PATIENCE, "nobody noticed");
        guard(&mut || {
            while let Some(signal) = device.poll_signal(realtime::now()) {
                lost |= signal == Signal::Lost;
            }
            let mut frame = Companded { law: Law::Mu, octets: [0; BLOCK] };
            device.read_frame(realtime::now(), &mut frame);
        });
    }
    drop(device.take_gone());
    for order in orders() {
        let mut frame = Companded { law: Law::Mu, octets: [0; BLOCK] };
        guard(&mut || {
            device.write_frame(realtime::now(), &frame);
            assert!(device.read_frame(realtime::now(), &mut frame) != Heard::Frame);
            assert!(device.reserve_samples() == 0);
            assert!(device.drive(realtime::now(), order) != Driven::Done);
        });
    }
    pulling.join().expect("the card is out");
    card("plug");
}
