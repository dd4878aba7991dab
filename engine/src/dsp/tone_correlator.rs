//! How much of each DTMF frequency there is, every 2.5 ms.
//!
//! *What it does.* Takes frames; for every hop of 20 samples gives the complex amplitude of the
//! eight frequencies over the last 100 samples (12.5 ms), the energy of those samples, and how fast each
//! phase turns, from which the exact frequency follows.
//!
//! *How it works.* A fourth-order elliptic high-pass (0.5 dB ripple from 660 Hz, −30 dB below
//! 500 Hz) first takes away dial tone and ringing tone of any country; how much that was is told. Every ten samples are
//! correlated with a sine and a cosine of each frequency, turned to a common phase reference (the
//! frequencies are whole hertz, so a table of 800 phasors is exact for ever), and the last ten
//! parts are summed with weights 1 2 3 4 5 5 4 3 2 1: a rectangle of 6.25 ms after one of 7.5 ms.
//! What is 73 Hz off comes with −6 dB, what is 133 Hz off not at all, and of the other group
//! (268 Hz off and more) less than −40 dB comes through, which a single rectangle leaves at −20.

use crate::dsp::dtmf_sender::{HIGH_HZ, LOW_HZ};
use crate::dsp::sine::sine_of_turns;
use crate::frame::Linear;
use crate::vectors::widest;

/// Samples between two results.
pub const HOP: usize = 20;
/// Results a frame.
pub const HOPS: usize = crate::frame::SILENCE.len() / HOP;
/// Samples that are correlated at once.
const PART: usize = 10;
/// Parts in a window.
const PARTS: usize = 10;
/// Weights of a window's parts.
const WEIGHTS: [f32; PARTS] = [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 4.0, 3.0, 2.0, 1.0];
/// Samples in a window, with their weights.
const WEIGHT: f32 = 30.0 * PART as f32;
/// Frequencies: four low, four high.
pub const BINS: usize = 8;
/// Hops over which a phase is compared: 5 ms, unambiguous to ±100 Hz.
const LAG: usize = 2;

/// Seconds over which a phase is compared.
pub const LAG_SECONDS: f32 = (LAG * HOP) as f32 / 8000.0;

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Complex {
    /// Real part.
    pub re: f32,
    /// Imaginary part.
    pub im: f32,
}

impl Complex {
    /// Square of the magnitude.
    pub fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

/// What the window takes from the power of a tone that is so far off its bin, as the factor that
/// gives it back; up to 60 Hz.
pub fn window_loss(off_hz: f32) -> f32 {
    let angle = std::f32::consts::PI * off_hz.abs().min(60.0) * 55.0 / 8000.0;
    // 1/sinc⁴ of a rectangle between the two in length.
    let square = angle * angle;
    let one = 1.0 + square * (1.0 / 6.0) + square * square * (7.0 / 360.0);
    (one * one) * (one * one)
}

/// One hop's result.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spectrum {
    /// Mean square that a sine at the bin's frequency has when it fills the window.
    pub power: [f32; BINS],
    /// Turn of the phase within [`LAG_SECONDS`], weighted by power.
    pub turn: [Complex; BINS],
    /// Mean square of the window, after the high-pass.
    pub total: f32,
    /// Mean square of what the high-pass took away.
    pub below: f32,
}

/// Real parts of all frequencies, then imaginary parts.
type Lanes = [f32; 2 * BINS];

/// The correlator of one line.
#[derive(Clone, Debug)]
pub struct ToneCorrelator {
    high_pass: [Biquad; 2],
    /// The parts of the window, oldest first.
    parts: [Lanes; PARTS],
    energies: [f32; PARTS],
    energies_below: [f32; PARTS],
    /// Windows of the last hops, newest first.
    earlier: [Lanes; LAG],
    /// Each frequency's phase at the next part, as an index into the phasor table.
    phases: [u16; BINS],
}

impl Default for ToneCorrelator {
    fn default() -> Self {
        Self::new()
    }
}

impl ToneCorrelator {
    /// Has heard silence so far.
    pub const fn new() -> Self {
        Self {
            high_pass: [Biquad::FIRST, Biquad::SECOND],
            parts: [[0.0; 2 * BINS]; PARTS],
            energies: [0.0; PARTS],
            energies_below: [0.0; PARTS],
            earlier: [[0.0; 2 * BINS]; LAG],
            phases: [0; BINS],
        }
    }

    /// Results of the hops of one frame. Does not allocate, wait or fail.
    pub fn hear(&mut self, frame: &Linear) -> [Spectrum; HOPS] {
        widest(
            #[inline(always)]
            || self.measure(frame),
        )
    }

    #[inline(always)]
    fn measure(&mut self, frame: &Linear) -> [Spectrum; HOPS] {
        let unfiltered = frame.map(f32::from);
        let mut filtered = unfiltered;
        // Both in one pass: the second's arithmetic runs while the first waits for its own.
        let [mut first, mut second] = self.high_pass.clone();
        for sample in &mut filtered {
            *sample = second.hear(first.hear(*sample));
        }
        self.high_pass = [first, second];
        let mut spectra = [Spectrum::default(); HOPS];
        let hops = filtered.as_chunks::<HOP>().0.iter().zip(unfiltered.as_chunks::<HOP>().0);
        for (spectrum, (hop, unfiltered)) in spectra.iter_mut().zip(hops) {
            self.parts.copy_within(HOP / PART.., 0);
            self.energies.copy_within(HOP / PART.., 0);
            self.energies_below.copy_within(HOP / PART.., 0);
            let parts = hop.as_chunks::<PART>().0.iter().zip(unfiltered.as_chunks::<PART>().0);
            for (index, (part, unfiltered)) in parts.enumerate() {
                let place = PARTS - HOP / PART + index;
                self.parts[place] = self.correlate(part);
                self.energies[place] = energy(part);
                self.energies_below[place] = energy(unfiltered) - self.energies[place];
            }
            *spectrum = self.spectrum();
        }
        spectra
    }

    #[inline(always)]
    fn correlate(&mut self, part: &[f32; PART]) -> Lanes {
        let mut sums = [0.0; 2 * BINS];
        for (sample, row) in part.iter().zip(&REFERENCE) {
            for (sum, reference) in sums.iter_mut().zip(row) {
                *sum += sample * reference;
            }
        }
        // Turned by e^{-jφ}, φ the phase at which the part begins.
        let mut turned = [0.0; 2 * BINS];
        for bin in 0..BINS {
            let (re, im) = (sums[bin], sums[bin + BINS]);
            let (cos, sin) = PHASORS[usize::from(self.phases[bin])];
            self.phases[bin] = (self.phases[bin] + BIN_HZ[bin]) % PHASORS.len() as u16;
            turned[bin] = re * cos + im * sin;
            turned[bin + BINS] = im * cos - re * sin;
        }
        turned
    }

    #[inline(always)]
    fn spectrum(&mut self) -> Spectrum {
        // |Σ|² of a sine of peak A is (A·N/2)²; its mean square is A²/2.
        const SCALE: f32 = 2.0 / (WEIGHT * WEIGHT);
        let mut window = [0.0; 2 * BINS];
        let (mut total, mut below) = (0.0, 0.0);
        for (index, (part, weight)) in self.parts.iter().zip(&WEIGHTS).enumerate() {
            total += weight * self.energies[index];
            below += weight * self.energies_below[index];
            for (sum, lane) in window.iter_mut().zip(part) {
                *sum += weight * lane;
            }
        }
        let mut spectrum = Spectrum {
            total: total / WEIGHT,
            // At an edge the filter may give more than it got.
            below: below.max(0.0) / WEIGHT,
            ..Spectrum::default()
        };
        let earlier = &self.earlier[LAG - 1];
        for bin in 0..BINS {
            let scale = SCALE * EQUALISE[bin];
            let (re, im) = (window[bin], window[bin + BINS]);
            let (was_re, was_im) = (earlier[bin], earlier[bin + BINS]);
            spectrum.power[bin] = (re * re + im * im) * scale;
            // Times the conjugate of what it was.
            spectrum.turn[bin] = Complex {
                re: (re * was_re + im * was_im) * scale,
                im: (im * was_re - re * was_im) * scale,
            };
        }
        self.earlier.copy_within(..LAG - 1, 1);
        self.earlier[0] = window;
        spectrum
    }
}

/// In lanes, for a sum in order cannot be computed at once.
#[inline(always)]
fn energy(part: &[f32; PART]) -> f32 {
    const HALF: usize = PART / 2;
    let lanes: [f32; HALF] =
        std::array::from_fn(|n| part[n] * part[n] + part[n + HALF] * part[n + HALF]);
    lanes.iter().sum()
}

/// Direct form II transposed.
#[derive(Clone, Debug)]
struct Biquad {
    b: [f32; 3],
    a: [f32; 2],
    state: [f32; 2],
}

impl Biquad {
    /// Elliptic high-pass, order 4, 0.5 dB, −30 dB, 660 Hz of 8000 Hz.
    const FIRST: Self = Self {
        b: [0.546_868_1, -1.075_925_1, 0.546_868_1],
        a: [-1.078_390_2, 0.409_419],
        state: [0.0; 2],
    };
    const SECOND: Self =
        Self { b: [1.0, -1.860_701_3, 1.0], a: [-1.664_738_9, 0.901_751_6], state: [0.0; 2] };

    #[inline]
    fn hear(&mut self, input: f32) -> f32 {
        let output = self.b[0] * input + self.state[0];
        // What does not wait for the output comes first.
        self.state[0] = (self.b[1] * input + self.state[1]) - self.a[0] * output;
        self.state[1] = self.b[2] * input - self.a[1] * output;
        output
    }
}

const BIN_HZ: [u16; BINS] =
    [LOW_HZ[0], LOW_HZ[1], LOW_HZ[2], LOW_HZ[3], HIGH_HZ[0], HIGH_HZ[1], HIGH_HZ[2], HIGH_HZ[3]];

/// What undoes the high-pass' ripple at each frequency.
const EQUALISE: [f32; BINS] = [1.0, 1.096, 1.122, 1.096, 1.0, 1.0, 1.0, 1.023];

/// e^{-jωn} of each frequency within a part.
static REFERENCE: [Lanes; PART] = reference();

const fn reference() -> [Lanes; PART] {
    let mut table = [[0.0; 2 * BINS]; PART];
    let mut n = 0;
    while n < PART {
        let mut bin = 0;
        while bin < BINS {
            let turns = BIN_HZ[bin] as f64 * n as f64 / 8000.0;
            table[n][bin] = sine_of_turns(turns + 0.25) as f32;
            table[n][bin + BINS] = -sine_of_turns(turns) as f32;
            bin += 1;
        }
        n += 1;
    }
    table
}

/// Cosine and sine of whole 800ths of a turn: f · 10 / 8000 turns a part.
static PHASORS: [(f32, f32); 8000 / PART] = phasors();

const fn phasors() -> [(f32, f32); 8000 / PART] {
    let mut table = [(0.0, 0.0); 8000 / PART];
    let mut n = 0;
    while n < table.len() {
        let turns = n as f64 / table.len() as f64;
        table[n] = (sine_of_turns(turns + 0.25) as f32, sine_of_turns(turns) as f32);
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(hz: f32, peak: f32) -> Spectrum {
        let mut correlator = ToneCorrelator::new();
        let mut last = Spectrum::default();
        for frame in 0..10 {
            let samples = std::array::from_fn(|i| {
                let n = (frame * 160 + i) as f32;
                (peak * (std::f32::consts::TAU * (hz * n / 8000.0).fract()).sin()).round() as i16
            });
            last = correlator.hear(&samples)[HOPS - 1];
        }
        last
    }

    #[test]
    fn each_bin_measures_its_own_sine() {
        for (bin, &hz) in BIN_HZ.iter().enumerate() {
            let spectrum = settled(f32::from(hz), 8000.0);
            let expected = 8000.0f32.powi(2) / 2.0;
            let error_db = 10.0 * (spectrum.power[bin] / expected).log10();
            assert!(error_db.abs() < 0.35, "{hz}: {error_db} dB");
        }
    }

    #[test]
    fn the_turn_tells_the_frequency() {
        for (bin, &hz) in BIN_HZ.iter().enumerate() {
            for percent in [-3.5f32, -1.5, 0.0, 1.5, 3.5] {
                let off = f32::from(hz) * percent / 100.0;
                let turn = settled(f32::from(hz) + off, 8000.0).turn[bin];
                let measured = turn.im.atan2(turn.re) / std::f32::consts::TAU / LAG_SECONDS;
                assert!((measured - off).abs() < 3.0, "{hz} {off}: {measured}");
            }
        }
    }

    #[test]
    fn dial_tone_is_taken_away() {
        for hz in [350.0, 400.0, 425.0, 440.0, 450.0, 480.0] {
            let left_db = 10.0 * (settled(hz, 8000.0).total / 3.2e7).log10();
            assert!(left_db < -29.0, "{hz}: {left_db} dB");
        }
    }
}
