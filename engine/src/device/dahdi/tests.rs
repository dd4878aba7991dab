//! The rules of the back end, over a kernel that says what a test lets it say. Whether the real
//! one says so is tested on the real one.

use super::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// What a kernel holds of one channel, and was told.
#[derive(Debug, Default)]
struct Kernel {
    events: VecDeque<i32>,
    blocks: VecDeque<u8>,
    /// Room for blocks to play; what was written, by its first octet.
    room: usize,
    written: Vec<u8>,
    off_hook: bool,
    /// Answers to the next orders; then all are done.
    answers: VecDeque<Trouble>,
    orders: Vec<HookOrder>,
    cadence: Option<[i32; 16]>,
    gone: bool,
}

#[derive(Clone, Debug, Default)]
struct Script(Rc<RefCell<Kernel>>);

impl Script {
    fn kernel(&self) -> std::cell::RefMut<'_, Kernel> {
        self.0.borrow_mut()
    }

    fn answer(&self) -> Result<(), Trouble> {
        let mut kernel = self.kernel();
        if kernel.gone {
            return Err(Trouble::Gone);
        }
        kernel.answers.pop_front().map_or(Ok(()), Err)
    }
}

impl Port for Script {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        let mut kernel = self.kernel();
        if kernel.gone {
            return Err(Trouble::Gone);
        }
        if !kernel.events.is_empty() {
            return Err(Trouble::EventFirst);
        }
        let octet = kernel.blocks.pop_front().ok_or(Trouble::NotNow)?;
        assert_eq!(into.len(), BLOCK, "what is read short is lost");
        into.fill(octet);
        Ok(BLOCK)
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, Trouble> {
        let mut kernel = self.kernel();
        if kernel.gone {
            return Err(Trouble::Gone);
        }
        if !kernel.events.is_empty() {
            return Err(Trouble::EventFirst);
        }
        kernel.room = kernel.room.checked_sub(1).ok_or(Trouble::NotNow)?;
        kernel.written.push(from[0]);
        Ok(from.len())
    }

    fn event(&mut self) -> Result<i32, Trouble> {
        let mut kernel = self.kernel();
        if kernel.gone { Err(Trouble::Gone) } else { Ok(kernel.events.pop_front().unwrap_or(0)) }
    }

    fn hook(&mut self, order: HookOrder) -> Result<(), Trouble> {
        self.kernel().orders.push(order);
        self.answer()
    }

    fn is_off_hook(&mut self) -> Result<bool, Trouble> {
        Ok(self.kernel().off_hook)
    }

    fn set_cadence(&mut self, ms: [i32; 16]) -> Result<(), Trouble> {
        self.kernel().cadence = Some(ms);
        Ok(())
    }

    fn flush_read(&mut self) -> Result<(), Trouble> {
        self.kernel().blocks.clear();
        Ok(())
    }

    fn flush_write(&mut self) -> Result<(), Trouble> {
        let mut kernel = self.kernel();
        (kernel.room, kernel.written) = (2, Vec::new());
        Ok(())
    }

    fn set_polarity(&mut self, _reversed: bool) -> Result<(), Trouble> {
        self.answer()
    }

    fn set_messages(&mut self, _messages: u16) -> Result<(), Trouble> {
        self.answer()
    }

    fn transmit_on_hook(&mut self, _ms: u16) -> Result<(), Trouble> {
        self.answer()
    }

    fn descriptor(&self) -> RawFd {
        7
    }
}

const US: [u16; 4] = [400, 200, 400, 2000];

fn at(ms: u32) -> Nanos {
    Nanos(5_000_000_000).after_ms(ms)
}

/// A channel that was just opened, its first signals told.
fn opened(lifted: bool) -> (Dahdi<Script>, Script) {
    let port = Script::default();
    port.kernel().off_hook = lifted;
    let mut device = Dahdi::new();
    let opened = Opened { port: port.clone(), law: Law::Mu, buffers: 2, flash_ms: 300, lifted };
    assert!(device.adopt(opened).is_none());
    let handset = if lifted { Signal::OffHook } else { Signal::OnHook };
    assert_eq!(signals(&mut device, 0), [Signal::Back, handset]);
    device.align();
    (device, port)
}

fn signals(device: &mut Dahdi<Script>, ms: u32) -> Vec<Signal> {
    std::iter::from_fn(|| device.poll_signal(at(ms))).take(100).collect()
}

fn read(device: &mut Dahdi<Script>) -> (Heard, u8) {
    let mut frame = Companded { law: Law::A, octets: [0; BLOCK] };
    (device.read_frame(at(0), &mut frame), frame.octets[0])
}

#[test]
fn events_are_taken_before_audio_moves() {
    let (mut device, port) = opened(false);
    port.kernel().events.extend([2, 12]);
    port.kernel().blocks.push_back(9);
    assert_eq!(read(&mut device), (Heard::Frame, 9));
    port.kernel().events.push_back(3);
    port.kernel().room = 1;
    device.write_frame(at(0), &Companded { law: Law::Mu, octets: [5; BLOCK] });
    assert_eq!(port.kernel().written.last(), Some(&5));
    assert_eq!(signals(&mut device, 0), [Signal::OffHook, Signal::Flash]);
}

#[test]
fn a_bell_that_has_begun_is_a_bell_that_rings() {
    let (mut device, port) = opened(false);
    let ring = Drive::Ring(Cadence::new(&US).unwrap());
    port.kernel().answers.push_back(Trouble::InProgress);
    assert_eq!(device.drive(at(0), ring), Driven::Done);
    let mut expected = [0; 16];
    expected[..4].copy_from_slice(&[400, 200, 400, 2000]);
    assert_eq!(port.kernel().cadence, Some(expected));
    assert_eq!(device.drive(at(0), Drive::RingOff), Driven::Done);
    // One that does not ring is left alone: the order would take away what the line does.
    assert_eq!(device.drive(at(0), Drive::RingOff), Driven::Done);
    assert_eq!(port.kernel().orders, [HookOrder::Ring, HookOrder::RingOff]);
    port.kernel().answers.extend([Trouble::Busy, Trouble::NoToneZone]);
    assert_eq!(device.drive(at(0), ring), Driven::Busy);
    assert_eq!(device.drive(at(0), ring), Driven::Unsupported);
    let longest = kernel_cadence(&Cadence::new(&[200; 16]).unwrap());
    assert_eq!(longest, [200; 16]);
}

#[test]
fn after_a_battery_drop_the_hook_is_looked_at() {
    let (mut device, port) = opened(true);
    assert_eq!(device.drive(at(0), Drive::OffHook), Driven::Done);
    assert_eq!(device.drive(at(0), Drive::Battery(false)), Driven::Done);
    // Without battery no handset can be judged.
    port.kernel().off_hook = false;
    assert_eq!(device.drive(at(500), Drive::Battery(true)), Driven::Busy);
    assert_eq!(signals(&mut device, 820), []);
    port.kernel().off_hook = true;
    assert_eq!(device.drive(at(DROP_MS), Drive::Battery(true)), Driven::Done);
    assert_eq!(port.kernel().orders, [HookOrder::OffHook, HookOrder::OnHook, HookOrder::OffHook]);
    assert_eq!(signals(&mut device, DROP_MS), [Signal::OffHook]);
}

#[test]
fn whoever_hangs_up_during_the_drop_is_down_and_not_flashing() {
    let (mut device, port) = opened(true);
    device.drive(at(0), Drive::OffHook);
    device.drive(at(0), Drive::Battery(false));
    port.kernel().off_hook = false;
    assert_eq!(signals(&mut device, DROP_MS), []);
    assert_eq!(signals(&mut device, DROP_MS + 300), []);
    assert_eq!(signals(&mut device, DROP_MS + 301), [Signal::OnHook]);
    assert_eq!(signals(&mut device, DROP_MS + 900), []);
}

#[test]
fn hanging_up_begins_new_blocks_with_a_full_reserve() {
    let (mut device, port) = opened(true);
    assert!(device.is_aligned());
    device.drive(at(0), Drive::OffHook);
    // The kernel empties its buffers.
    port.kernel().room = 2;
    port.kernel().written.clear();
    device.drive(at(0), Drive::OnHook);
    assert_eq!(port.kernel().written, [0xff, 0xff]);
    assert!(!device.is_aligned());
    // A line that was never used is not hung up.
    device.drive(at(0), Drive::OnHook);
    assert_eq!(port.kernel().orders, [HookOrder::OffHook, HookOrder::OnHook]);
}

#[test]
fn what_is_missing_is_concealed_once_and_what_is_behind_is_left_out() {
    let (mut device, port) = opened(true);
    assert_eq!(read(&mut device).0, Heard::Missing);
    // A block behind is where it rests.
    port.kernel().blocks.extend([1, 2]);
    assert_eq!(read(&mut device), (Heard::Frame, 1));
    assert_eq!(read(&mut device), (Heard::Frame, 2));
    assert_eq!(read(&mut device).0, Heard::Missing);
    port.kernel().blocks.extend([3, 4, 5]);
    assert_eq!(read(&mut device), (Heard::Frame, 4));
    assert_eq!(read(&mut device), (Heard::Frame, 5));
    // A card that had stalled holds nothing back.
    for _ in 0..25 {
        read(&mut device);
    }
    port.kernel().blocks.push_back(6);
    assert_eq!(read(&mut device), (Heard::Frame, 6));
    port.kernel().blocks.extend([7, 8]);
    assert_eq!(read(&mut device), (Heard::Frame, 7));
    assert_eq!(device.take_counts().missing, 27);
}

#[test]
fn a_phone_that_lies_is_not_heard() {
    let (mut device, port) = opened(false);
    port.kernel().blocks.push_back(1);
    assert_eq!(read(&mut device).0, Heard::Nothing);
    assert!(port.kernel().blocks.is_empty(), "its blocks are read all the same");
}

#[test]
fn a_card_that_is_pulled_is_lost_at_once_and_closed_by_others() {
    for gone in [false, true] {
        let (mut device, port) = opened(true);
        port.kernel().gone = gone;
        port.kernel().events.extend([4, 20, 4]);
        read(&mut device);
        assert_eq!(signals(&mut device, 0), [Signal::Lost]);
        assert!(device.take_gone().is_some() && device.take_gone().is_none());
        assert_eq!(device.descriptor(), None);
        assert_eq!(device.drive(at(0), Drive::OffHook), Driven::Busy);
        assert_eq!(device.row().fault, Some(DahdiFault::Removed));
        let port = Script::default();
        let again = Opened { port, law: Law::A, buffers: 2, flash_ms: 300, lifted: false };
        assert!(device.adopt(again).is_none());
        assert_eq!(signals(&mut device, 0), [Signal::Back, Signal::OnHook]);
    }
}

#[test]
fn an_overflow_of_events_is_followed_by_a_look_at_the_hook() {
    let (mut device, port) = opened(true);
    // A contact that bounces: the kernel keeps 63 and drops what comes after.
    port.kernel().events.extend((0..63).map(|n| 1 + n % 2));
    port.kernel().off_hook = false;
    let told = signals(&mut device, 0);
    assert_eq!(told.len(), 63);
    assert_eq!(signals(&mut device, 400), [Signal::OnHook]);
    let counts = device.take_counts();
    assert_eq!((counts.events_dropped, counts.overflows), (0, 1));
    port.kernel().events.extend([2; 62]);
    signals(&mut device, 800);
    assert_eq!(device.take_counts().overflows, 0, "one less is no overflow");
}

#[test]
fn a_cleared_alarm_is_followed_by_a_look_at_the_hook() {
    let (mut device, port) = opened(true);
    port.kernel().events.extend([4, 5]);
    let expected = [Signal::Alarm(true), Signal::Alarm(false), Signal::OffHook];
    assert_eq!(signals(&mut device, 0), expected);
}

#[test]
fn overruns_and_underruns_are_counted() {
    let (mut device, port) = opened(true);
    port.kernel().events.extend([29, 30, 30, 16]);
    assert_eq!(signals(&mut device, 0), []);
    let counts = device.take_counts();
    assert_eq!((counts.overruns, counts.underruns, counts.errors), (1, 2, 0));
    port.kernel().answers.push_back(Trouble::Other(5));
    assert_eq!(device.drive(at(0), Drive::Polarity(true)), Driven::Unsupported);
    assert_eq!(device.take_counts().errors, 1);
}
