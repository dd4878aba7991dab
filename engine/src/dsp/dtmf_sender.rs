//! Digits as two tones (ITU-T Q.23), towards whoever listens.
//!
//! *What it does.* Sends queued digits one after the other, each with its own time on and off;
//! the high group at −9 dBm0, the low group at −11 dBm0 (ETSI ES 201 235-2: the high group
//! leads by 1 to 4 dB, for lines weaken it).
//!
//! *Limits.* 32 digits wait at most; one more is refused.

use crate::dsp::tone_generator::{Partial, Step, ToneGenerator, VOICES};
use tipring_shm_proto::units::TenthDbm0;

/// Low group by row, high group by column of the keypad (Q.23), Hz.
pub const LOW_HZ: [u16; 4] = [697, 770, 852, 941];
/// See [`LOW_HZ`].
pub const HIGH_HZ: [u16; 4] = [1209, 1336, 1477, 1633];
/// The keypad, row by row.
pub const KEYS: [[u8; 4]; 4] = [*b"123A", *b"456B", *b"789C", *b"*0#D"];

/// Level of the low group.
pub const LOW_LEVEL: TenthDbm0 = TenthDbm0(-110);
/// Level of the high group.
pub const HIGH_LEVEL: TenthDbm0 = TenthDbm0(-90);

/// Digits that can wait.
pub const QUEUE: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Waiting {
    row: u8,
    column: u8,
    on_ms: u16,
    off_ms: u16,
}

/// Sends digits.
#[derive(Clone, Debug)]
pub struct DtmfSender {
    queue: [Waiting; QUEUE],
    /// First waiting, and how many wait.
    first: usize,
    waiting: usize,
    tones: ToneGenerator,
    /// The pause that follows what sounds now.
    pause_ms: u16,
}

impl Default for DtmfSender {
    fn default() -> Self {
        Self::new()
    }
}

impl DtmfSender {
    /// Nothing to send.
    pub const fn new() -> Self {
        let nothing = Waiting { row: 0, column: 0, on_ms: 0, off_ms: 0 };
        Self {
            queue: [nothing; QUEUE],
            first: 0,
            waiting: 0,
            tones: ToneGenerator::new(),
            pause_ms: 0,
        }
    }

    /// Queues an ASCII digit; `false` if it is none, has no length, or too many wait.
    pub fn send(&mut self, digit: u8, on_ms: u16, off_ms: u16) -> bool {
        let Some((row, column)) = place_of(digit) else { return false };
        if on_ms == 0 || self.waiting == QUEUE {
            return false;
        }
        let place = (self.first + self.waiting) % QUEUE;
        self.queue[place] = Waiting { row: row as u8, column: column as u8, on_ms, off_ms };
        self.waiting += 1;
        true
    }

    /// Forgets what waits and ends what sounds.
    pub fn stop(&mut self) {
        self.waiting = 0;
        self.pause_ms = 0;
        self.tones.stop();
    }

    /// Something is to be sent, or its pause is not over.
    pub const fn is_sending(&self) -> bool {
        self.waiting > 0 || self.pause_ms > 0 || self.tones.is_playing()
    }

    /// Nothing sounds and nothing will.
    pub fn is_silent(&self) -> bool {
        !self.is_sending() && self.tones.is_silent()
    }

    /// Adds the next samples to `mix`.
    pub fn add(&mut self, mix: &mut [f32]) {
        let mut at = 0;
        while at < mix.len() {
            if !self.tones.is_playing() {
                self.next_step();
            }
            if !self.tones.is_playing() {
                self.tones.add(&mut mix[at..], 1.0);
                return;
            }
            // A step may end in the middle of `mix`: the next one begins there.
            at += self.tones.add_score(&mut mix[at..], 1.0);
        }
    }

    fn next_step(&mut self) {
        if self.pause_ms > 0 {
            let partials = [Partial::NONE; VOICES];
            self.tones.play_step(Step { partials, ms: u32::from(self.pause_ms) });
            self.pause_ms = 0;
        } else if self.waiting > 0 {
            let digit = self.queue[self.first];
            self.first = (self.first + 1) % QUEUE;
            self.waiting -= 1;
            self.pause_ms = digit.off_ms;
            self.tones.play_step(step_of(digit));
        }
    }
}

fn step_of(digit: Waiting) -> Step {
    let low = Partial { tenth_hz: LOW_HZ[digit.row as usize] * 10, level: LOW_LEVEL };
    let high = Partial { tenth_hz: HIGH_HZ[digit.column as usize] * 10, level: HIGH_LEVEL };
    let mut partials = [Partial::NONE; VOICES];
    [partials[0], partials[1]] = [low, high];
    Step { partials, ms: u32::from(digit.on_ms) }
}

/// Row and column of a key.
pub fn place_of(digit: u8) -> Option<(usize, usize)> {
    KEYS.iter().enumerate().find_map(|(row, keys)| {
        keys.iter().position(|&key| key == digit).map(|column| (row, column))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(sender: &mut DtmfSender) -> Vec<f32> {
        let mut samples = Vec::new();
        while sender.is_sending() {
            let mut mix = [0.0; 160];
            sender.add(&mut mix);
            samples.extend(mix);
        }
        samples
    }

    #[test]
    fn digits_keep_their_times() {
        let mut sender = DtmfSender::new();
        assert!(sender.send(b'5', 50, 45));
        assert!(sender.send(b'D', 61, 40));
        let samples = all(&mut sender);
        let quiet = |from: usize, to: usize| samples[from * 8..to * 8].iter().all(|&s| s == 0.0);
        let starts = |ms: usize| samples[ms * 8..][..8].iter().any(|&s| s != 0.0);
        assert!(starts(0) && starts(49) && quiet(50, 95) && starts(95) && starts(155));
        assert!(quiet(156, 196));
        assert!(sender.is_silent());
    }

    #[test]
    fn tones_have_their_levels() {
        let mut sender = DtmfSender::new();
        sender.send(b'#', 2000, 0);
        let samples = all(&mut sender);
        let level = |hz: f32| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in samples[4000..12000].iter().enumerate() {
                let angle = std::f32::consts::TAU * ((hz * n as f32 / 8000.0) % 1.0);
                re += sample * angle.cos();
                im += sample * angle.sin();
            }
            let peak = (re * re + im * im).sqrt() / 4000.0;
            crate::dsp::level::of_mean_square(peak * peak / 2.0)
        };
        assert_eq!((level(941.0), level(1477.0)), (LOW_LEVEL, HIGH_LEVEL));
    }

    #[test]
    fn refuses_what_it_cannot_send() {
        let mut sender = DtmfSender::new();
        assert!(!sender.send(b'E', 50, 50));
        assert!(!sender.send(b'1', 0, 50));
        assert!((0..QUEUE).all(|_| sender.send(b'1', 50, 50)));
        assert!(!sender.send(b'1', 50, 50));
        sender.stop();
        assert!(sender.is_silent());
    }
}
