//! What a line's self-test hears: arithmetic on frames of 20 ms, no I/O.

use std::f32::consts::TAU;

/// Samples of 20 ms at 8 kHz.
pub type Frame = [i16; 160];

/// Frequency of the test tone, Hz (IEEE 743: not 1000, a divisor of the sampling rate).
pub const TONE_HZ: u16 = 1004;
/// Its level, dBm0.
pub const TONE_DBM0: f32 = -10.0;
/// Its length, ms.
pub const TONE_MS: u32 = 1000;
/// The digits that are sent: each row and each column once.
pub const DIGITS: &str = "159D";

/// A full-scale sine, dBm0 (ITU-T G.711 §2).
const FULL_SCALE_DBM0: f32 = 314.0 / 100.0;
/// Level of nothing, dBm0.
const SILENCE_DBM0: f32 = -96.0;
/// Below this a sine is taken for noise, dBm0.
const LEAST_DBM0: f32 = -45.0;
/// A sine of a digit is so much stronger than the others of its group, dB.
const DISTINCT_DB: f32 = 6.0;
const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Level of all of it, dBm0.
pub fn level_dbm0(frames: &[Frame]) -> f32 {
    let samples = frames.as_flattened();
    let energy: f32 = samples.iter().map(|&s| f32::from(s).powi(2)).sum();
    dbm0(energy / samples.len().max(1) as f32)
}

/// Level of the sine of this frequency in it, dBm0: the Goertzel algorithm, frame by frame through a
/// Hann window, so that a dial tone beside it does not count.
pub fn sine_dbm0(frames: &[Frame], hz: f32) -> f32 {
    let sum: f32 = frames.iter().map(|frame| sine_mean_square(frame, hz)).sum();
    dbm0(sum / frames.len().max(1) as f32)
}

fn sine_mean_square(frame: &Frame, hz: f32) -> f32 {
    let coefficient = 2.0 * (TAU * hz / 8000.0).cos();
    let count = frame.len() as f32;
    let (mut last, mut before) = (0.0_f32, 0.0_f32);
    for (n, &sample) in frame.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * (n as f32 + 0.5) / count).cos();
        (last, before) = (window * f32::from(sample) + coefficient * last - before, last);
    }
    let power = last.powi(2) + before.powi(2) - coefficient * last * before;
    // A sine of amplitude a has the power (a n / 4)² behind this window, and the mean square a² / 2.
    8.0 * power / (count * count)
}

fn dbm0(mean_square: f32) -> f32 {
    const FULL_SCALE: f32 = 32767.0 * 32767.0 / 2.0;
    let db = 10.0 * (mean_square / FULL_SCALE).max(f32::MIN_POSITIVE).log10();
    (db + FULL_SCALE_DBM0).max(SILENCE_DBM0)
}

/// Frames in which the test tone sounds: from the first to the last, and how many.
pub fn tone_in(frames: &[Frame]) -> Option<(std::ops::Range<usize>, usize)> {
    let sounds =
        |frame: &Frame| sine_dbm0(std::slice::from_ref(frame), f32::from(TONE_HZ)) > LEAST_DBM0;
    let first = frames.iter().position(sounds)?;
    let last = frames.iter().rposition(sounds)?;
    let count = frames.iter().filter(|frame| sounds(frame)).count();
    Some((first..last + 1, count))
}

/// The DTMF digits in it, each of two frames at least (ITU-T Q.23).
pub fn digits(frames: &[Frame]) -> String {
    let mut found = String::new();
    let (mut run, mut length) = (None, 0);
    for frame in frames {
        let key = key(frame);
        length = if key == run { length + 1 } else { 1 };
        run = key;
        if let (Some(key), 2) = (key, length) {
            found.push(key);
        }
    }
    found
}

fn key(frame: &Frame) -> Option<char> {
    let row = strongest(frame, &ROWS_HZ)?;
    let column = strongest(frame, &COLUMNS_HZ)?;
    Some(KEYS[row][column])
}

/// Which of a group sounds, where one does clearly.
fn strongest(frame: &Frame, group: &[f32; 4]) -> Option<usize> {
    let levels = group.map(|hz| sine_dbm0(std::slice::from_ref(frame), hz));
    let (best, level) =
        levels.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(n, l)| (n, *l))?;
    let clear =
        levels.iter().enumerate().all(|(n, other)| n == best || level - other > DISTINCT_DB);
    (clear && level > LEAST_DBM0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sines of −10 dBm0 each.
    fn sines(frequencies: &[f32], frames: usize) -> Vec<Frame> {
        let peak = 32767.0 * 10_f32.powf((-10.0 - FULL_SCALE_DBM0) / 20.0);
        let sample = |n: usize| {
            let phase = |hz: f32| (TAU * hz * n as f32 / 8000.0).sin();
            frequencies.iter().map(|hz| peak * phase(*hz)).sum::<f32>().round() as i16
        };
        (0..frames).map(|f| std::array::from_fn(|n| sample(160 * f + n))).collect()
    }

    #[test]
    fn levels_are_dbm0() {
        let tone = sines(&[1004.0], 50);
        assert!((level_dbm0(&tone) + 10.0).abs() < 0.1);
        assert!((sine_dbm0(&tone, 1004.0) + 10.0).abs() < 0.1);
        assert!(sine_dbm0(&tone, 440.0) < -35.0);
        assert!((level_dbm0(&[[0; 160]]) - SILENCE_DBM0).abs() < 0.1);
        assert!((level_dbm0(&[]) - SILENCE_DBM0).abs() < 0.1);
    }

    #[test]
    fn the_tone_is_found_beside_a_dial_tone() {
        let mut frames = sines(&[350.0, 440.0], 10);
        frames.extend(sines(&[350.0, 440.0, 1004.0], 50));
        frames.extend(sines(&[350.0, 440.0], 5));
        let (range, count) = tone_in(&frames).unwrap();
        assert_eq!((range, count), (10..60, 50));
        assert_eq!(tone_in(&sines(&[350.0, 440.0], 10)), None);
    }

    #[test]
    fn digits_are_read_in_their_order() {
        let mut frames = Vec::new();
        for (row, column) in [(0, 0), (1, 1), (2, 2), (3, 3), (3, 3)] {
            frames.extend(sines(&[ROWS_HZ[row], COLUMNS_HZ[column]], 5));
            frames.extend(sines(&[350.0, 440.0], 5));
        }
        assert_eq!(digits(&frames), "159DD");
        assert_eq!(digits(&sines(&[697.0], 20)), "");
        assert_eq!(digits(&[[0; 160]; 20]), "");
    }
}
