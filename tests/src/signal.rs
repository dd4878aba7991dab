//! What is said into phones and what is made of what they heard: seeded chirps that are like
//! nothing but themselves, and the normalised cross-correlation that finds them again.

use std::path::Path;

/// Samples a second everywhere in these tests.
pub const RATE: usize = 8000;

/// Samples in `ms` milliseconds.
pub const fn samples(ms: usize) -> usize {
    ms * RATE / 1000
}

/// A small generator (SplitMix64): the same seed gives the same speech on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in `from..to`.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `ms` of chirps from `seed`: sweeps of 120 to 320 ms between random frequencies of 350 to
/// 3000 Hz, amplitude about a quarter of full scale (−15 dBm0). A sweep sounds one frequency at a
/// time, so that no DTMF detector has anything to find.
pub fn chirps(seed: u64, ms: usize) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut out = Vec::with_capacity(samples(ms));
    let mut phase = 0.0f64;
    let mut hz = random.between(350.0, 3000.0);
    while out.len() < samples(ms) {
        let length = samples(random.between(120.0, 320.0) as usize);
        let to = random.between(350.0, 3000.0);
        let amplitude = random.between(5000.0, 9000.0);
        for i in 0..length {
            let now = hz + (to - hz) * i as f64 / length as f64;
            phase = (phase + now / RATE as f64).fract();
            let edge = (i.min(length - i) as f64 / 80.0).min(1.0);
            let sine = (phase * std::f64::consts::TAU).sin();
            out.push((amplitude * edge.max(0.1) * sine) as i16);
        }
        hz = to;
    }
    out.truncate(samples(ms));
    out
}

/// `ms` of what a voice detector takes for speech: syllables of a pitched voice with pauses.
pub fn syllables(seed: u64, ms: usize) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut out = Vec::with_capacity(samples(ms));
    let mut phase = 0.0f64;
    while out.len() < samples(ms) {
        let (voiced, pause) = (random.between(140.0, 260.0), random.between(30.0, 90.0));
        let (from, to) = (random.between(100.0, 160.0), random.between(90.0, 180.0));
        let length = samples(voiced as usize);
        for i in 0..length {
            let part = i as f64 / length as f64;
            phase += (from + (to - from) * part) / RATE as f64;
            let voice: f64 = (1..12)
                .map(|k| (phase * f64::from(k) * std::f64::consts::TAU).sin() / f64::from(k).sqrt())
                .sum();
            let breath = random.between(-0.5, 0.5);
            let envelope = (part * std::f64::consts::PI).sin();
            out.push(((voice + breath) * envelope * 3000.0) as i16);
        }
        out.resize(out.len() + samples(pause as usize), 0);
    }
    out.truncate(samples(ms));
    out
}

/// Where a piece was found in something longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// First sample of the piece in the longer one.
    pub at: usize,
    /// −1 to 1; 1 is the very same shape.
    pub score: f64,
    /// How much louder the longer one has it, dB.
    pub gain_db: f64,
}

/// Looks for `piece` in `whole` at each place of `range`, by normalised cross-correlation.
/// `None` if the piece is silent or the range empty.
pub fn find_in(piece: &[i16], whole: &[i16], range: std::ops::Range<usize>) -> Option<Match> {
    let piece: Vec<f32> = piece.iter().map(|&s| f32::from(s)).collect();
    let last = whole.len().checked_sub(piece.len())?;
    let range = range.start..range.end.min(last + 1);
    if range.is_empty() {
        return None;
    }
    let start = range.start;
    let part: Vec<f32> =
        whole[start..range.end - 1 + piece.len()].iter().map(|&s| f32::from(s)).collect();
    let energy: f64 = piece.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    if energy < 100.0 * piece.len() as f64 {
        return None;
    }
    let mut running: f64 = part[..piece.len()].iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    let mut best: Option<Match> = None;
    for lag in 0..range.len() {
        let window = &part[lag..lag + piece.len()];
        let product = dot(&piece, window);
        let score = product / (energy * running.max(1.0)).sqrt();
        if best.is_none_or(|b| score > b.score) {
            let gain_db = 20.0 * (product.max(1.0) / energy).log10();
            best = Some(Match { at: start + lag, score, gain_db });
        }
        let gone = f64::from(part[lag]);
        let come = part.get(lag + piece.len()).map_or(0.0, |&s| f64::from(s));
        running += come * come - gone * gone;
    }
    best
}

/// In eight lanes, so that the compiler can use vectors.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    lanes.iter().map(|&l| f64::from(l)).sum::<f64>() + f64::from(rest)
}

/// Looks for `piece` everywhere in `whole`.
pub fn find(piece: &[i16], whole: &[i16]) -> Option<Match> {
    find_in(piece, whole, 0..whole.len())
}

/// One stretch of a recording and where it was said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// First sample of the stretch in the recording.
    pub heard_at: usize,
    /// First sample of the stretch in what was said.
    pub said_at: usize,
    /// As in [`Match`].
    pub score: f64,
    /// Heard louder than said, dB.
    pub gain_db: f64,
}

impl Point {
    /// Recording time less speaking time, ms. Only its changes mean anything, unless both began
    /// at the same moment.
    pub fn offset_ms(&self) -> f64 {
        (self.heard_at as f64 - self.said_at as f64) * 1000.0 / RATE as f64
    }
}

/// Follows what was `heard` through what was `said` in stretches of `window_ms`, one every
/// `step_ms`. A stretch that is silent, or like nothing that was said, gets the score it has.
pub fn follow(said: &[i16], heard: &[i16], window_ms: usize, step_ms: usize) -> Vec<Point> {
    let window = samples(window_ms);
    let mut points: Vec<Point> = Vec::new();
    let mut heard_at = 0;
    let mut near: Option<isize> = None;
    while heard_at + window <= heard.len() {
        let piece = &heard[heard_at..heard_at + window];
        let nearby = near.and_then(|offset| {
            let centre = (heard_at as isize - offset).max(0) as usize;
            find_in(piece, said, centre.saturating_sub(samples(100))..centre + samples(100))
                .filter(|found| found.score > 0.7)
        });
        let found = nearby.or_else(|| find(piece, said));
        let (said_at, score, gain_db) =
            found.map_or((0, 0.0, f64::NEG_INFINITY), |m| (m.at, m.score, -m.gain_db));
        if score > 0.7 {
            near = Some(heard_at as isize - said_at as isize);
        }
        points.push(Point { heard_at, said_at, score, gain_db });
        heard_at += samples(step_ms);
    }
    points
}

/// What can be said of a whole recording.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// Stretches that were recognised (score above 0.7).
    pub recognised: usize,
    /// Stretches from the first to the last recognised one.
    pub stretches: usize,
    /// Mean offset of the recognised ones, ms.
    pub offset_ms: f64,
    /// Largest minus smallest offset of the recognised ones, ms.
    pub wander_ms: f64,
    /// Mean gain of the recognised ones, dB.
    pub gain_db: f64,
    /// Longest run of stretches in between that were not recognised.
    pub longest_gap: usize,
}

/// Compares a recording with what was said, in stretches of 100 ms. `None` if not one stretch of
/// it was recognised.
pub fn hearing(said: &[i16], heard: &[i16]) -> Option<Hearing> {
    let points = follow(said, heard, 100, 100);
    // A sweep may resemble another one elsewhere: what does not fit the rest is not recognised.
    let mut offsets: Vec<f64> =
        points.iter().filter(|p| p.score > 0.7).map(Point::offset_ms).collect();
    offsets.sort_by(f64::total_cmp);
    let usual = *offsets.get(offsets.len() / 2)?;
    let good = |p: &Point| p.score > 0.7 && (p.offset_ms() - usual).abs() < 150.0;
    let first = points.iter().position(good)?;
    let last = points.iter().rposition(good)?;
    let inside = &points[first..=last];
    let recognised: Vec<&Point> = inside.iter().filter(|p| good(p)).collect();
    let count = recognised.len() as f64;
    let offsets: Vec<f64> = recognised.iter().map(|p| p.offset_ms()).collect();
    let longest_gap = inside.split(|p| good(p)).map(<[Point]>::len).max().unwrap_or(0);
    Some(Hearing {
        recognised: recognised.len(),
        stretches: inside.len(),
        offset_ms: offsets.iter().sum::<f64>() / count,
        wander_ms: offsets.iter().copied().fold(f64::MIN, f64::max)
            - offsets.iter().copied().fold(f64::MAX, f64::min),
        gain_db: recognised.iter().map(|p| p.gain_db).sum::<f64>() / count,
        longest_gap,
    })
}

impl Hearing {
    /// Whether somebody who listened would say that this is what was said: at least `least`
    /// stretches, nine of ten recognised.
    pub fn is_convincing(&self, least: usize) -> bool {
        self.recognised >= least && self.recognised * 10 >= self.stretches * 9
    }
}

/// The longest part of `heard` in which `said` goes on in one piece, ms; for a machine that may stand
/// still, where what is heard jumps, or stops, each time. Of each ten stretches of 100 ms nine are
/// recognised, each within 20 ms of where the one before it puts it, which one end of a jitter buffer
/// may move it. A stretch that only resembles another one elsewhere begins no such piece.
pub fn longest_piece_ms(said: &[i16], heard: &[i16]) -> usize {
    let (mut longest, mut stretches, mut missed) = (0, 0, 0);
    let mut offset: Option<f64> = None;
    for point in follow(said, heard, 100, 100) {
        let here = (point.score > 0.7).then(|| point.offset_ms());
        let goes_on = here.zip(offset).is_some_and(|(here, before)| (here - before).abs() < 20.0);
        if goes_on {
            stretches += 1;
            offset = here;
        } else if offset.is_some() && missed < stretches / 9 {
            stretches += 1;
            missed += 1;
        } else {
            (stretches, missed, offset) = (usize::from(here.is_some()), 0, here);
        }
        longest = longest.max(stretches - missed);
    }
    longest * 100
}

/// Listens until a second of what is `said`, over and over, was heard in one piece; `heard_of` waits until
/// the recording is so many ms long, and returns it. Begins at `from_ms`.
///
/// # Panics
/// If there was no such second in `limit_ms`; tells how much there was at best.
#[track_caller]
pub fn hear_a_second(
    who: &str,
    said: &[i16],
    (from_ms, limit_ms): (usize, usize),
    mut heard_of: impl FnMut(usize) -> Vec<i16>,
) {
    let (mut best, mut at) = (0, from_ms);
    while best < 1000 {
        assert!(at < from_ms + limit_ms, "{who} heard {best} ms in one piece at best");
        // Twice as much as is looked for, of which the next look sees the second half again.
        let heard = heard_of(at + 2000);
        best = best.max(longest_piece_ms(said, &heard[samples(at)..samples(at + 2000)]));
        at += 1000;
    }
}

/// Writes 16-bit mono at 8 kHz.
///
/// # Panics
/// If it cannot be written.
pub fn write_wav(path: &Path, audio: &[i16]) {
    std::fs::write(path, wav(audio, RATE as u32, 1)).expect("WAV written");
}

/// A WAV file in memory: interleaved 16-bit samples.
///
/// # Panics
/// Never: the sink is memory.
pub fn wav(audio: &[i16], rate_hz: u32, channels: u16) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut sink = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut sink, spec).expect("in memory");
    for &sample in audio {
        writer.write_sample(sample).expect("in memory");
    }
    writer.finalize().expect("in memory");
    sink.into_inner()
}

/// The samples of a 16-bit mono WAV that may still be open for writing, so that its header cannot
/// be believed about lengths.
pub fn read_growing_wav(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let start = bytes.windows(4).position(|w| w == b"data").map_or(bytes.len(), |at| at + 8);
    from_bytes(bytes.get(start..).unwrap_or(&[]))
}

/// Little-endian 16-bit samples of `bytes`.
pub fn from_bytes(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks::<2>().0.iter().map(|&b| i16::from_le_bytes(b)).collect()
}

/// Samples as little-endian bytes.
pub fn to_bytes(audio: &[i16]) -> Vec<u8> {
    audio.iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// ITU-T G.711 µ-law, written from the Recommendation's segments and not from the engine's code.
pub fn mu_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80u8 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + 132;
    let segment = (31 - magnitude.leading_zeros()).saturating_sub(7).min(7);
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment as u8) << 4 | step as u8)
}

/// Back from µ-law.
pub fn mu_decode(octet: u8) -> i16 {
    let octet = !octet;
    let segment = (octet >> 4) & 7;
    let magnitude = (((i32::from(octet & 0x0f) << 3) + 132) << segment) - 132;
    (if octet & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

/// `ms` of a sine, its level in dBm0.
pub fn sine(hz: f64, dbm0: f64, ms: usize) -> Vec<i16> {
    let peak = 32_767.0 * 10f64.powf((dbm0 - 3.17) / 20.0);
    let turns = |n: usize| (hz * n as f64 / RATE as f64).fract();
    (0..samples(ms)).map(|n| (peak * (std::f64::consts::TAU * turns(n)).sin()) as i16).collect()
}

/// RMS level of `audio` in dBm0 (a full-scale sine is +3.17 dBm0).
pub fn level_dbm0(audio: &[i16]) -> f64 {
    let power: f64 = audio.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>();
    let rms = (power / audio.len().max(1) as f64).sqrt().max(1e-3);
    20.0 * (rms / (32_767.0 / 2f64.sqrt())).log10() + 3.17
}

#[cfg(test)]
mod tests {
    use super::{chirps, longest_piece_ms, samples};

    #[test]
    fn a_piece_goes_on_until_the_machine_stands_still() {
        let said = chirps(1, 6000);
        assert_eq!(longest_piece_ms(&said, &said), 6000);
        // 700 ms lost and a pause of 300 ms, after 1.5 s and after 3.5 s.
        let parts = [(0, 1500), (2200, 4200), (4900, 6000)];
        let heard: Vec<i16> = parts
            .iter()
            .flat_map(|&(from, to)| {
                let pause = vec![0; samples(300)];
                [said[samples(from)..samples(to)].to_vec(), pause].concat()
            })
            .collect();
        let longest = longest_piece_ms(&said, &heard);
        assert!((1800..=2000).contains(&longest), "{longest}");
        // A block of 20 ms that was concealed is no break.
        let mut concealed = said.clone();
        concealed[samples(3000)..samples(3020)].fill(0);
        assert!(longest_piece_ms(&said, &concealed) >= 5900);
    }

    #[test]
    fn what_somebody_else_says_is_no_piece() {
        for seed in 0..4 {
            let longest = longest_piece_ms(&chirps(100 + seed, 6000), &chirps(seed, 6000));
            assert!(longest < 500, "{longest} ms of seed {seed}");
        }
        // In shreds of 200 ms, each in its place: nothing goes on.
        let said = chirps(1, 6000);
        let shreds: Vec<i16> =
            said.chunks(samples(400)).flat_map(|chunk| chunk[..samples(200)].to_vec()).collect();
        assert!(longest_piece_ms(&said, &shreds) < 500);
        assert_eq!(longest_piece_ms(&said, &vec![0; samples(2000)]), 0);
    }
}
