//! Comfort noise that is the line's own.
//!
//! *What it does.* Gives noise of the same level and spectrum as the line has when nobody speaks
//! and nothing is played, so that a listener does not hear that a sound was taken away.
//!
//! *How it works.* A tenth of a second of the line's own noise is kept, and taken from in pieces of
//! 20 ms from random places, each with a random sign, which overlap by half under a window whose
//! squares add up to one: pieces that have nothing to do with each other add their powers, so level
//! and spectrum stay. Until noise has been heard it is silence.

/// Samples made at a time.
pub const PIECE: usize = 80;
const KEPT: usize = 10 * PIECE;

/// See the module.
#[derive(Clone, Debug)]
pub struct MatchedNoise {
    kept: [f32; KEPT],
    /// Where the next piece is kept; how many have been, at most all there is room for.
    next: usize,
    filled: usize,
    /// The second half of the last piece, under its window.
    tail: [f32; PIECE],
    seed: u32,
}

impl Default for MatchedNoise {
    fn default() -> Self {
        Self::new()
    }
}

impl MatchedNoise {
    /// Has heard none.
    pub const fn new() -> Self {
        Self { kept: [0.0; KEPT], next: 0, filled: 0, tail: [0.0; PIECE], seed: 1 }
    }

    /// This is what the line sounds like when it is quiet.
    pub fn hear(&mut self, quiet: &[i16; PIECE]) {
        for (place, &sample) in self.kept[self.next..][..PIECE].iter_mut().zip(quiet) {
            *place = f32::from(sample);
        }
        self.next = (self.next + PIECE) % KEPT;
        self.filled = (self.filled + PIECE).min(KEPT);
    }

    /// The next 10 ms of noise.
    pub fn make(&mut self) -> [f32; PIECE] {
        let mut made = self.tail;
        let Some(places) = (self.filled + 1).checked_sub(2 * PIECE) else {
            self.tail = [0.0; PIECE];
            return made;
        };
        // Numerical Recipes' generator; its upper bits are the good ones.
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let from = (self.seed >> 8) as usize % places;
        let sign = if self.seed >> 31 == 0 { 1.0 } else { -1.0 };
        let (rising, falling) = self.kept[from..from + 2 * PIECE].split_at(PIECE);
        for (index, made) in made.iter_mut().enumerate() {
            *made += sign * WINDOW[index] * rising[index];
            self.tail[index] = sign * WINDOW[PIECE - 1 - index] * falling[index];
        }
        made
    }
}

/// The rising half of a sine window.
static WINDOW: [f32; PIECE] = window();

const fn window() -> [f32; PIECE] {
    let mut window = [0.0; PIECE];
    let mut i = 0;
    while i < PIECE {
        let quarter = (i as f64 + 0.5) / PIECE as f64 * std::f64::consts::FRAC_PI_2;
        window[i] = crate::dsp::sine::sine_of_quarter(quarter) as f32;
        i += 1;
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise with a spectrum: a first-order low-pass of white noise.
    fn coloured(samples: usize) -> Vec<f32> {
        let (mut seed, mut state) = (7u32, 0.0f32);
        let sample = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (seed >> 8) as f32 / (1 << 23) as f32 - 1.0;
            state = 0.8 * state + 200.0 * white;
            state
        };
        (0..samples).map(sample).collect()
    }

    /// Mean square, and correlation of neighbours.
    fn shape(samples: &[f32]) -> (f32, f32) {
        let power = samples.iter().map(|s| s * s).sum::<f32>();
        let neighbours = samples.windows(2).map(|pair| pair[0] * pair[1]).sum::<f32>();
        (power / samples.len() as f32, neighbours / power)
    }

    #[test]
    fn it_sounds_like_what_it_has_heard() {
        let heard = coloured(KEPT);
        let mut noise = MatchedNoise::new();
        for piece in heard.as_chunks::<PIECE>().0 {
            noise.hear(&piece.map(|sample| sample.round() as i16));
        }
        let made: Vec<f32> = (0..400).flat_map(|_| noise.make()).collect();
        let ((expected, colour), (power, made_colour)) = (shape(&heard), shape(&made));
        let off_db = 10.0 * (power / expected).log10();
        assert!(off_db.abs() < 1.0, "{off_db} dB");
        assert!((made_colour - colour).abs() < 0.05, "{made_colour}, not {colour}");
    }

    #[test]
    fn it_is_silent_until_it_has_heard_enough() {
        let mut noise = MatchedNoise::new();
        let is_silent =
            |noise: &mut MatchedNoise| noise.make().iter().all(|sample| sample.abs() < 1e-9);
        assert!(is_silent(&mut noise));
        noise.hear(&[100; PIECE]);
        assert!(is_silent(&mut noise));
        noise.hear(&[100; PIECE]);
        assert!(!is_silent(&mut noise));
    }
}
