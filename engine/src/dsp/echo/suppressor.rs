//! What linear cancellation leaves: the non-linear processor of ITU-T G.168 §3.
//!
//! *What it does.* While nobody but the echo is heard, replaces what is left of the echo by the
//! line's own noise. Somebody who speaks is let through within 10 ms, unweakened.
//!
//! *How it works.* The canceller says how loud the echo was that it took away; a slow estimate
//! follows what share of it stays behind, falling within half a second, for one vowel is cancelled
//! sooner than all of speech, and rising by a quarter of a decibel in 10 ms. Whatever is more than 6 dB louder than that, and than the line's noise, is somebody.

use super::matched_noise::{MatchedNoise, PIECE};
use crate::dsp::sample::rounded;
use crate::frame::Linear;

/// Share of the echo that is thought to stay behind at first, and at least and most, in power.
const AT_FIRST: f32 = 0.1;
const AT_LEAST: f32 = 0.006;
const AT_MOST: f32 = 0.25;
/// Its rise in 10 ms.
const RISE: f32 = 1.06;
/// Its fall in 10 ms, towards a smaller one.
const FALL: f32 = 0.02;
/// Somebody is this much louder than what would be left of the echo, and than the noise, in power.
const SOMEBODY: f32 = 4.0;
/// What a hybrid returns may sound on for 16 ms: pieces that remember their echo.
const MEMORY: usize = 3;
/// Mean square below which nothing was played: −55 dBm0.
pub(super) const NOTHING: f32 = 820.0;
/// Rise of the noise floor in 10 ms: 3 dB in a second.
const FLOOR_RISE: f32 = 1.007;
/// The quietest line, and the loudest floor that is believed: −75 and −35 dBm0.
const QUIETEST: f32 = 8.0;
const LOUDEST: f32 = 82_000.0;

/// The suppressor of one line.
#[derive(Clone, Debug)]
pub struct Suppressor {
    left_behind: f32,
    echoes: [f32; MEMORY],
    floor: f32,
    noise: MatchedNoise,
    /// How much of what is heard passes, after the last piece.
    gain: f32,
    /// For each piece of the frame under way: pass it.
    pass: [bool; 2],
}

impl Default for Suppressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Suppressor {
    /// Lets everything pass until an echo has been heard.
    pub const fn new() -> Self {
        Self {
            left_behind: AT_FIRST,
            echoes: [0.0; MEMORY],
            floor: LOUDEST,
            noise: MatchedNoise::new(),
            gain: 1.0,
            pass: [true; 2],
        }
    }

    /// Judges a frame that the canceller is done with. `echo` is the mean square of what it took
    /// away, `reference` of what was played. Whether somebody is heard, not merely the echo.
    pub fn judge(&mut self, left: &Linear, echo: f32, reference: f32) -> bool {
        for (index, piece) in left.as_chunks::<PIECE>().0.iter().enumerate() {
            self.pass[index] = self.judge_piece(piece, echo, reference);
        }
        self.pass.contains(&true)
    }

    fn judge_piece(&mut self, piece: &[i16; PIECE], echo: f32, reference: f32) -> bool {
        let power = piece.iter().map(|&s| f32::from(s) * f32::from(s)).sum::<f32>() / PIECE as f32;
        self.echoes.rotate_right(1);
        self.echoes[0] = echo;
        let echo = self.echoes.iter().copied().fold(0.0, f32::max);
        self.floor = (self.floor * FLOOR_RISE).min(power.max(QUIETEST)).min(LOUDEST);
        if reference < NOTHING && power < SOMEBODY * self.floor {
            self.noise.hear(piece);
        }
        // An echo below the noise neither tells how much of it is left, nor has to be suppressed.
        if echo <= self.floor {
            return true;
        }
        let share = ((power - self.floor) / echo).max(0.0);
        let louder = self.left_behind * RISE;
        let nearer = self.left_behind + FALL * (share - self.left_behind);
        self.left_behind = if share < self.left_behind { nearer } else { louder.min(share) };
        self.left_behind = self.left_behind.clamp(AT_LEAST, AT_MOST);
        power > SOMEBODY * (self.left_behind * echo + self.floor)
    }

    /// Makes `left` what others are to hear, as the last [`Suppressor::judge`] decided.
    pub fn suppress(&mut self, left: &mut Linear) {
        for (piece, pass) in left.as_chunks_mut::<PIECE>().0.iter_mut().zip(self.pass) {
            let to = if pass { 1.0 } else { 0.0 };
            if pass && self.gain >= 1.0 {
                continue;
            }
            let noise = self.noise.make();
            let from = self.gain;
            for (index, (place, noise)) in piece.iter_mut().zip(noise).enumerate() {
                // Opened within 2.5 ms, closed within 10.
                let span = if pass { PIECE / 4 } else { PIECE };
                let done = ((index + 1) as f32 / span as f32).min(1.0);
                let gain = from + (to - from) * done;
                let mixed = gain * f32::from(*place) + (1.0 - gain * gain).max(0.0).sqrt() * noise;
                *place = rounded(mixed);
            }
            self.gain = to;
        }
    }
}
