//! The modems that carry a caller's number: Bell 202 (GR-30) and ITU-T V.23 (EN 300 659-1 §5).
//!
//! *What it does.* 1200 baud, a start bit, eight data bits from the lowest, a stop bit; continuous
//! phase; −14 dBm0. [`FskSender`] sends a seizure of alternating bits, marks, octets and two octets'
//! worth of marks; [`FskReceiver`] takes either modem's octets after at least 17 ms of marks.
//!
//! *How it works.* A bit is 20/3 samples; the sender's bit is the sample's number times 3/20. The
//! receiver correlates seven samples with a mark and a space that lie between both modems', 1250 and
//! 2150 Hz: a window as short as a bit does not tell 50 Hz apart. The sign of the difference of both
//! powers, over three samples because powers so short ripple at twice the frequency, is the line's
//! state; a start bit's edge begins an octet, whose bits are taken from their middles.
//!
//! *Limits.* Received from −40 dBm0 to +3 dBm0, with noise 12 dB below, at ±1.5 % of either
//! frequency and ±1 % of the rate (`tests/caller_id.rs`).

use super::message::{MAX_OCTETS, Message};
use crate::dsp::level;
use crate::dsp::sine::{Sine, sine_of_turns};
use crate::frame::Linear;
use tipring_shm_proto::units::TenthDbm0;

/// Which frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modem {
    /// 1200 Hz is a mark, 2200 Hz a space.
    Bell202,
    /// 1300 Hz is a mark, 2100 Hz a space.
    V23,
}

impl Modem {
    const fn tenth_hz(self, mark: bool) -> u16 {
        match (self, mark) {
            (Self::Bell202, true) => 12_000,
            (Self::Bell202, false) => 22_000,
            (Self::V23, true) => 13_000,
            (Self::V23, false) => 21_000,
        }
    }
}

/// What is sent, and heard at the other end of a short line.
pub const LEVEL: TenthDbm0 = TenthDbm0(-140);
/// A bit is this many thirds of a sample.
const BIT_THIRDS: u32 = 20;
/// Bits of an octet, with start and stop.
const OCTET_BITS: u32 = 10;
/// Marks after the last octet.
const LAST_MARKS: u32 = 20;
/// Samples in which the carrier ends, so that it does not click.
const FADE: u32 = 16;

/// Sends one message.
#[derive(Clone, Copy, Debug)]
pub struct FskSender {
    modem: Modem,
    message: Message,
    seizure_bits: u32,
    mark_bits: u32,
    sine: Sine,
    sample: u32,
}

impl FskSender {
    /// To begin with the next sample.
    pub const fn new(modem: Modem, message: Message, seizure_bits: u16, mark_bits: u16) -> Self {
        Self {
            modem,
            message,
            seizure_bits: seizure_bits as u32,
            mark_bits: mark_bits as u32,
            sine: Sine::SILENT,
            sample: 0,
        }
    }

    /// How long it takes.
    pub fn samples(&self) -> u32 {
        let octets = self.message.octets().len() as u32 * OCTET_BITS;
        let bits = self.seizure_bits + self.mark_bits + octets + LAST_MARKS;
        (bits * BIT_THIRDS).div_ceil(3)
    }

    /// Adds the next samples to `mix`; how many were left to send.
    pub fn add(&mut self, mix: &mut [f32]) -> usize {
        let (samples, peak) = (self.samples(), level::peak(LEVEL));
        let left = (samples - self.sample).min(mix.len() as u32) as usize;
        for place in &mut mix[..left] {
            let mark = self.bit(self.sample * 3 / BIT_THIRDS);
            self.sine.set_tenth_hz(self.modem.tenth_hz(mark));
            let fade = (samples - self.sample).min(FADE) as f32 / FADE as f32;
            *place += self.sine.sample() * peak * fade;
            self.sample += 1;
        }
        left
    }

    /// Whether the bit of this number is a mark.
    fn bit(&self, bit: u32) -> bool {
        let Some(bit) = bit.checked_sub(self.seizure_bits) else { return bit % 2 == 1 };
        let Some(bit) = bit.checked_sub(self.mark_bits) else { return true };
        let octet = self.message.octets().get((bit / OCTET_BITS) as usize);
        match (octet, bit % OCTET_BITS) {
            (None, _) | (_, 9) => true,
            (_, 0) => false,
            (Some(octet), place) => octet >> (place - 1) & 1 == 1,
        }
    }
}

/// Samples of a correlation: the whole ones that a bit has.
const WINDOW: usize = 7;
/// Between those of both modems, Hz.
const MARK_HZ: f64 = 1250.0;
const SPACE_HZ: f64 = 2150.0;
/// Samples after which both begin again: 2150 Hz is 43 turns in 160 samples, 1250 Hz 25.
const PERIOD: usize = 160;
/// Weakest sum of both powers: −43 dBm0, over the window.
const WEAKEST: f32 = 13_000.0 * (WINDOW * WINDOW) as f32 / 2.0;
/// Marks before the first octet.
const MARKS: u32 = 20;
/// A pause between octets of more bits is the end (20 may be stuffed, GR-30 §2.2).
const LONGEST_PAUSE: u32 = 60;

/// Hears messages.
#[derive(Clone, Debug)]
pub struct FskReceiver {
    /// Products with the two sines, the last [`WINDOW`] of each.
    products: [[f32; 4]; WINDOW],
    at: usize,
    /// Mark less space, of the two samples before.
    before: [f32; 2],
    state: Reception,
    /// Thirds of a sample of uninterrupted marks.
    marks: u32,
    octets: [u8; MAX_OCTETS],
    len: usize,
}

#[derive(Clone, Copy, Debug)]
enum Reception {
    /// Not enough marks yet.
    Waiting,
    /// The next space begins an octet.
    Ready,
    /// In an octet: thirds of a sample until its next bit's middle, which bit, the bits so far.
    Octet { left: i32, bit: u8, octet: u8 },
}

impl Default for FskReceiver {
    fn default() -> Self {
        Self::new()
    }
}

impl FskReceiver {
    /// Has heard nothing.
    pub const fn new() -> Self {
        Self {
            products: [[0.0; 4]; WINDOW],
            at: 0,
            before: [0.0; 2],
            state: Reception::Waiting,
            marks: 0,
            octets: [0; MAX_OCTETS],
            len: 0,
        }
    }

    /// Listens to a frame; calls `found` with the octets of each whole message, whose checksum
    /// nobody has looked at. Does not allocate, wait or fail.
    pub fn hear(&mut self, frame: &Linear, mut found: impl FnMut(&[u8])) {
        for &sample in frame {
            let turn = &TURNS[self.at % PERIOD];
            self.products[self.at % WINDOW] = turn.map(|turn| turn * f32::from(sample));
            // The lowest common multiple of both lengths.
            self.at = (self.at + 1) % (PERIOD * WINDOW);
            let mut sums = [0.0f32; 4];
            for product in &self.products {
                for (sum, product) in sums.iter_mut().zip(product) {
                    *sum += product;
                }
            }
            let [mark, space] = [0, 2].map(|i| sums[i] * sums[i] + sums[i + 1] * sums[i + 1]);
            let carrier = mark + space > WEAKEST;
            let difference = mark - space;
            let [first, second] = self.before;
            self.before = [second, difference];
            self.take(carrier.then_some(first + second + difference > 0.0), &mut found);
        }
    }

    /// The line's state at one sample: mark, space, or no carrier.
    fn take(&mut self, state: Option<bool>, found: &mut impl FnMut(&[u8])) {
        let Some(mark) = state else { return self.give_up() };
        self.marks = if mark { self.marks + 3 } else { 0 };
        match &mut self.state {
            Reception::Waiting => {
                if self.marks >= MARKS * BIT_THIRDS {
                    self.state = Reception::Ready;
                    self.len = 0;
                }
            }
            Reception::Ready => {
                let too_long = self.len > 0 && self.marks > LONGEST_PAUSE * BIT_THIRDS;
                if too_long {
                    self.give_up();
                } else if !mark {
                    self.state = Reception::Octet { left: 10, bit: 0, octet: 0 };
                }
            }
            Reception::Octet { left, bit, octet } => {
                *left -= 3;
                if *left > 0 {
                    return;
                }
                *left += BIT_THIRDS as i32;
                match *bit {
                    // It was no start bit, but a crackle.
                    0 if mark => self.state = Reception::Ready,
                    1..=8 => {
                        *octet |= u8::from(mark) << (*bit - 1);
                        *bit += 1;
                    }
                    0 => *bit = 1,
                    _ if !mark => self.give_up(),
                    _ => {
                        let octet = *octet;
                        self.state = Reception::Ready;
                        self.store(octet, found);
                    }
                }
            }
        }
    }

    fn store(&mut self, octet: u8, found: &mut impl FnMut(&[u8])) {
        self.octets[self.len] = octet;
        self.len += 1;
        // Type, length, body, checksum: 258 at most.
        let whole = self.len >= 2 && self.len == usize::from(self.octets[1]) + 3;
        if whole {
            found(&self.octets[..self.len]);
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.state = Reception::Waiting;
        self.marks = 0;
        self.len = 0;
    }
}

/// Cosine and sine of the mark, then of the space.
static TURNS: [[f32; 4]; PERIOD] = turns();

const fn turns() -> [[f32; 4]; PERIOD] {
    let mut turns = [[0.0; 4]; PERIOD];
    let mut n = 0;
    while n < PERIOD {
        let (mark, space) = (MARK_HZ / 8000.0 * n as f64, SPACE_HZ / 8000.0 * n as f64);
        turns[n] = [
            sine_of_turns(mark + 0.25) as f32,
            sine_of_turns(mark) as f32,
            sine_of_turns(space + 0.25) as f32,
            sine_of_turns(space) as f32,
        ];
        n += 1;
    }
    turns
}
