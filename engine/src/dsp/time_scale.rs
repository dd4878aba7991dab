//! Makes speech a little longer or shorter without changing its pitch.
//!
//! *What it does.* Takes one pitch period out of what is about to be played, or adds one; up to 15 ms
//! at a time. Neither splice clicks: samples on both sides of it are the original's own.
//!
//! *How it works.* The period is the lag, 2.5 to 15 ms, at which the next 15 ms are most like what
//! follows (to take out) or went before them (to add), by normalised cross-correlation. The two
//! periods are cross-faded into one, or a third is made of their cross-fade (WSOLA, as in WebRTC's
//! NetEQ). What is near silence has no pitch, and any 10 ms of it will do. What is like nothing, is
//! left alone.
//!
//! *Limits.* Two tones of different periods, DTMF above all, are spoilt by it: who calls must not do so
//! while they sound.

use crate::dsp::correlation::{Energies, product};
use crate::dsp::sample::rounded;
use crate::vectors::widest;

/// Shortest and longest period, samples.
const SHORTEST: usize = 20;
/// Longest period, samples.
pub const LONGEST: usize = 120;
/// What is compared, samples.
const TEMPLATE: usize = 120;
/// Period taken in silence, samples.
const SILENT_PERIOD: usize = 80;
/// Mean square below which there is silence: about −54 dBm0.
const SILENCE: f32 = 32.0 * 32.0;

/// Samples of the future that [`take_out`] needs.
pub const TAKE_OUT_NEEDS: usize = LONGEST + TEMPLATE;

/// Takes one period out of `samples`, which are about to be played, if they are `likeness` (0 to 1)
/// like what follows them. How many samples are gone: the rest moved forward. Needs
/// [`TAKE_OUT_NEEDS`] samples; does nothing with less.
pub fn take_out(samples: &mut [i16], likeness: f32) -> usize {
    let Some(head) = samples.first_chunk::<TAKE_OUT_NEEDS>() else { return 0 };
    let Some(period) = period(head, 0, true, likeness) else { return 0 };
    for n in 0..period {
        samples[n] = faded(samples[n], samples[period + n], n, period);
    }
    samples.copy_within(2 * period.., period);
    period
}

/// Makes one period, to be put before the sample at `at`, in `into`; how long it is, 0 if what is
/// there is not `likeness` like what went before. Needs [`LONGEST`] samples on both sides.
pub fn add(samples: &[i16], at: usize, likeness: f32, into: &mut [i16; LONGEST]) -> usize {
    if at < LONGEST || samples.len() < at + LONGEST {
        return 0;
    }
    let Some(period) = period(samples, at, false, likeness) else { return 0 };
    for (n, place) in into[..period].iter_mut().enumerate() {
        *place = faded(samples[at + n], samples[at - period + n], n, period);
    }
    period
}

/// From `first` to `second` in `length` steps, the n-th.
fn faded(first: i16, second: i16, n: usize, length: usize) -> i16 {
    let weight = (n as f32 + 0.5) / length as f32;
    rounded(f32::from(first) + (f32::from(second) - f32::from(first)) * weight)
}

/// The lag at which the samples from `at` on are most like those a lag later, or earlier.
fn period(samples: &[i16], at: usize, later: bool, likeness: f32) -> Option<usize> {
    widest(
        #[inline(always)]
        || period_here(samples, at, later, likeness),
    )
}

#[inline(always)]
fn period_here(samples: &[i16], at: usize, later: bool, likeness: f32) -> Option<usize> {
    let from = if later { at } else { at - LONGEST };
    let mut around = [0.0; LONGEST + TEMPLATE];
    for (place, &sample) in around.iter_mut().zip(&samples[from..from + LONGEST + TEMPLATE]) {
        *place = f32::from(sample);
    }
    let template = &around[at - from..at - from + TEMPLATE];
    let own = product(template, template);
    if own < SILENCE * TEMPLATE as f32 {
        return Some(SILENT_PERIOD);
    }
    let mut energies = [0.0; LONGEST + 1];
    for (place, energy) in energies.iter_mut().zip(Energies::<TEMPLATE>::new(&around)) {
        *place = energy;
    }
    let (mut best, mut found) = (likeness.max(0.1), None);
    for lag in SHORTEST..=LONGEST {
        let other = if later { lag } else { LONGEST - lag };
        let product = product(template, &around[other..other + TEMPLATE]);
        let likeness = product / (own * (energies[other] + 1.0)).sqrt();
        // A multiple of the period is as like; the shorter wins unless clearly worse.
        if likeness > best {
            best = likeness + (1.0 - likeness) * 0.1;
            found = Some(lag);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vowel(hz: f32, len: usize) -> Vec<i16> {
        let sample = |n: usize| {
            (1..=8)
                .map(|k| {
                    let turns = (hz * k as f32 * n as f32 / 8000.0).fract();
                    2000.0 / k as f32 * (std::f32::consts::TAU * turns).sin()
                })
                .sum::<f32>() as i16
        };
        (0..len).map(sample).collect()
    }

    fn steepest(samples: &[i16]) -> i32 {
        samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap()
    }

    #[test]
    fn whole_periods_come_and_go_without_a_click() {
        for hz in [70.0, 101.0, 133.3, 200.0, 320.0] {
            let mut voice = vowel(hz, 800);
            let own = steepest(&voice);
            let mut extra = [0; LONGEST];
            let added = add(&voice, 300, 0.9, &mut extra);
            let periods = added as f32 * hz / 8000.0;
            assert!(added > 0 && (periods - periods.round()).abs() < 0.06, "{hz}: {periods}");
            let mut longer = voice.clone();
            longer.splice(300..300, extra[..added].iter().copied());
            assert!(steepest(&longer) <= own + own / 20, "{hz}: {} of {own}", steepest(&longer));

            let gone = take_out(&mut voice[100..], 0.9);
            let periods = gone as f32 * hz / 8000.0;
            assert!(gone > 0 && (periods - periods.round()).abs() < 0.06, "{hz}: {periods}");
            assert!(steepest(&voice[..800 - gone]) <= own + own / 20, "{hz}");
        }
    }

    #[test]
    fn noise_is_left_alone_and_silence_is_not() {
        let mut random = 1u32;
        let mut noise: Vec<i16> = (0..400)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 17) as i16 - 16_384
            })
            .collect();
        let mut extra = [0; LONGEST];
        assert_eq!(take_out(&mut noise, 0.9), 0);
        assert_eq!(add(&noise, 200, 0.9, &mut extra), 0);
        assert_eq!(take_out(&mut [3; 400], 0.9), SILENT_PERIOD);
        assert_eq!(add(&[0; 400], 200, 0.9, &mut extra), SILENT_PERIOD);
        assert_eq!(take_out(&mut [0; 200], 0.9), 0, "too little of it");
    }
}
