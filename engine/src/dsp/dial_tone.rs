//! Whether a dial tone is heard, below the tones of DTMF.
//!
//! *What it does.* Says how much of what lies below 600 Hz is there all the time, so that digits can
//! be heard over dial tone and still not in speech, which has much there too.
//!
//! *How it works.* The power of 40 ms is a block, in which the beats of all countries' dial tones
//! are whole. Six blocks that differ by less than 3 dB are a dial tone: a voice is never that
//! steady. What is measured while digits are heard, and shortly before, is theirs.
//!
//! *Limits.* Not known before 0.3 s of dial tone; never of one that is interrupted or modulated.

/// Hops of 2.5 ms in a block, blocks that are compared, and their largest ratio.
const BLOCK: u8 = 16;
const BLOCKS: usize = 6;
const STEADY: f32 = 2.0;
/// Hops until a digit is suspected, with those in which its edge lies.
const PENDING: usize = 12;

/// The tracker of one line.
#[derive(Clone, Debug)]
pub(super) struct DialTone {
    /// What is not certain yet to be no digit's, oldest first.
    pending: [f32; PENDING],
    len: usize,
    /// Sum of the block under way, of how many hops.
    sum: f32,
    hops: u8,
    /// Sums of the last blocks.
    blocks: [f32; BLOCKS],
}

impl DialTone {
    /// None has been heard.
    pub(super) const fn new() -> Self {
        Self { pending: [0.0; PENDING], len: 0, sum: 0.0, hops: 0, blocks: [0.0; BLOCKS] }
    }

    /// Takes the power of a hop; `digits`: tones of a key are heard.
    pub(super) fn hear(&mut self, below: f32, digits: bool) {
        if digits {
            self.len = 0;
            return;
        }
        if self.len < PENDING {
            self.pending[self.len] = below;
            self.len += 1;
            return;
        }
        self.sum += self.pending[0];
        self.hops += 1;
        self.pending.copy_within(1.., 0);
        self.pending[PENDING - 1] = below;
        if self.hops == BLOCK {
            self.blocks.copy_within(1.., 0);
            self.blocks[BLOCKS - 1] = std::mem::take(&mut self.sum);
            self.hops = 0;
        }
    }

    /// Its power in a hop; 0 if there is none.
    pub(super) fn power(&self) -> f32 {
        let most = self.blocks.iter().copied().fold(0.0, f32::max);
        let least = self.blocks.iter().copied().fold(f32::INFINITY, f32::min);
        if most <= least * STEADY { most / f32::from(BLOCK) } else { 0.0 }
    }
}
