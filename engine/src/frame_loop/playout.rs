//! From the frames of a device to 160 samples a tick: what never came is made up, what waits too long
//! or too short is played a little faster or slower, and the sender's clock becomes ours.
//!
//! Depth is moved by whole pitch periods alone ([`time_scale`]), at most a quarter of the time, and
//! not while tones sound; clocks are made equal by reading between samples alone ([`resampler`]).
//! A stream that needs neither passes bit for bit and without delay.

use crate::dsp::concealment::Concealment;
use crate::dsp::{resampler, time_scale};
use crate::frame::{Heard, Linear, Pace};
use tipring_shm_proto::units::FRAME_SAMPLES;

/// Frames that one tick may need: one that was used up, one to make up for a faster clock, and one
/// to find a period in.
pub(super) const MOST_READS: usize = 3;
/// Samples kept that were played, for what looks back.
const PAST: usize = 160;
/// Samples that may wait: what a tick begins with, and its reads.
const WAITING: usize = 4 * FRAME_SAMPLES;
/// Samples that may be played before what is kept is moved back to the beginning.
const RUN: usize = 3 * FRAME_SAMPLES;
/// Samples from one scaling to the next, times its period: a quarter faster at most.
const REST_PERIODS: usize = 3;
/// Likeness that a splice wants, and that it wants after having waited for two seconds.
const LIKENESS: f32 = 0.9;
const LEAST_LIKENESS: f32 = 0.5;
const PATIENCE_TICKS: f32 = 100.0;
/// Drift below this is left alone, ppm: a frame in an hour.
const LEAST_PPM: f64 = 2.0;
/// The rate changes by this much a tick at most, ppm.
const SLEW_PPM: f64 = 1.0;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Playout {
    concealment: Concealment,
    /// [`PAST`] samples that were played, then, from `at` on, those that wait.
    line: [i16; PAST + WAITING + RUN],
    at: usize,
    waiting: usize,
    /// Where reading stands, after the first sample that waits.
    fraction: f64,
    /// Rate of reading, ppm above one.
    ppm: f64,
    /// What was put last.
    last: Heard,
    /// Something of this tick was made up.
    concealed: bool,
    /// Samples until the next scaling.
    rest: usize,
    /// Ticks for which a scaling was wanted in vain.
    waited: u32,
    counts: PlayoutCounts,
}

/// What was done to the audio of a call, samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PlayoutCounts {
    /// Made up.
    pub(super) concealed: u64,
    /// Added.
    pub(super) stretched: u64,
    /// Taken out.
    pub(super) shortened: u64,
}

impl Playout {
    pub(super) fn new() -> Self {
        resampler::prepare();
        Self {
            concealment: Concealment::new(),
            line: [0; PAST + WAITING + RUN],
            at: PAST,
            waiting: 0,
            fraction: 0.0,
            ppm: 0.0,
            last: Heard::Nothing,
            concealed: false,
            rest: 0,
            waited: 0,
            counts: PlayoutCounts::default(),
        }
    }

    /// Forgets the audio, and keeps the counts: silence follows.
    pub(super) fn rest(&mut self) {
        let Self { ppm, counts, .. } = *self;
        *self = Self { ppm, counts, ..Self::new() };
    }

    /// Another call follows.
    pub(super) fn begin_call(&mut self) {
        *self = Self::new();
    }

    /// Samples that were put and not played.
    pub(super) fn held(&self) -> u32 {
        self.waiting as u32
    }

    pub(super) fn counts(&self) -> PlayoutCounts {
        self.counts
    }

    /// Another frame has to be put before this tick's can be played; or, if it `is_here`, to find a
    /// period in. One that is not here yet would be made up, and then come too late.
    pub(super) fn wants(&self, pace: Pace, is_here: impl FnOnce() -> bool) -> bool {
        let hastens = matches!(pace, Pace::Faster | Pace::Hurry) && self.rest == 0;
        self.waiting < self.needs() || hastens && self.waiting < self.needs_to_hasten() && is_here()
    }

    /// Samples without which a tick can't be played.
    fn needs(&self) -> usize {
        FRAME_SAMPLES + if self.reads_between() { resampler::REACH + 2 } else { 0 }
    }

    /// Samples of which a period may be taken out before.
    fn needs_to_hasten(&self) -> usize {
        (self.needs() + time_scale::LONGEST).max(time_scale::TAKE_OUT_NEEDS)
    }

    /// Takes the next frame of the device; `frame` means something for [`Heard::Frame`] only.
    pub(super) fn put(&mut self, heard: Heard, frame: &mut Linear) {
        self.last = heard;
        match heard {
            Heard::Nothing => return,
            Heard::Frame => self.concealment.heard(frame),
            Heard::Missing => {
                self.concealment.missing(frame);
                self.concealed = true;
                self.counts.concealed += FRAME_SAMPLES as u64;
            }
        }
        if self.waiting + FRAME_SAMPLES <= WAITING {
            self.make_room(FRAME_SAMPLES);
            let end = self.at + self.waiting;
            self.line[end..end + FRAME_SAMPLES].copy_from_slice(frame);
            self.waiting += FRAME_SAMPLES;
        }
    }

    /// Gives this tick's samples. `tones` sound, `ppm` is what the sender's clock is ahead of ours.
    pub(super) fn play(
        &mut self,
        pace: Pace,
        tones: bool,
        ppm: Option<f64>,
        into: &mut Linear,
    ) -> Heard {
        if self.last == Heard::Nothing {
            return Heard::Nothing;
        }
        let concealed = std::mem::take(&mut self.concealed);
        if !tones && !concealed {
            self.scale(pace);
        }
        self.follow(ppm);
        if self.reads_between() {
            self.read_between(into);
        } else {
            self.read(into);
        }
        self.rest = self.rest.saturating_sub(FRAME_SAMPLES);
        if concealed { Heard::Missing } else { Heard::Frame }
    }

    /// Moves the depth by a period, where that is wanted and will not be heard.
    fn scale(&mut self, pace: Pace) {
        if pace == Pace::Steady {
            self.waited = 0;
            return;
        }
        let slower = pace == Pace::Slower;
        if self.rest > 0 || !slower && self.waiting < self.needs_to_hasten() {
            return;
        }
        let haste = if pace == Pace::Hurry { 1.0 } else { self.waited as f32 / PATIENCE_TICKS };
        let likeness = LIKENESS - (LIKENESS - LEAST_LIKENESS) * haste.min(1.0);
        let period = if slower {
            self.stretch(likeness)
        } else {
            let waits = &mut self.line[self.at..self.at + self.waiting];
            let gone = time_scale::take_out(waits, likeness);
            self.waiting -= gone;
            self.counts.shortened += gone as u64;
            gone
        };
        self.waited = if period == 0 { self.waited.saturating_add(1) } else { 0 };
        self.rest = if pace == Pace::Hurry { 0 } else { REST_PERIODS * period };
    }

    fn stretch(&mut self, likeness: f32) -> usize {
        let mut extra = [0; time_scale::LONGEST];
        let (at, end) = (self.at, self.at + self.waiting);
        let added = time_scale::add(&self.line[at - PAST..end], PAST, likeness, &mut extra);
        if added == 0 || self.waiting + added > WAITING {
            return 0;
        }
        self.make_room(added);
        let (at, end) = (self.at, self.at + self.waiting);
        self.line.copy_within(at..end, at + added);
        self.line[at..at + added].copy_from_slice(&extra[..added]);
        self.waiting += added;
        self.counts.stretched += added as u64;
        added
    }

    /// Brings the rate nearer to the sender's.
    fn follow(&mut self, ppm: Option<f64>) {
        let wanted = ppm.filter(|ppm| ppm.abs() >= LEAST_PPM).unwrap_or(0.0);
        self.ppm += (wanted - self.ppm).clamp(-SLEW_PPM, SLEW_PPM);
    }

    fn reads_between(&self) -> bool {
        self.ppm != 0.0 || self.fraction != 0.0
    }

    fn read(&mut self, into: &mut Linear) {
        into.copy_from_slice(&self.line[self.at..self.at + FRAME_SAMPLES]);
        self.advance(FRAME_SAMPLES);
    }

    fn read_between(&mut self, into: &mut Linear) {
        let step = (1.0 + self.ppm * 1e-6).min(resampler::FASTEST);
        let from = PAST as f64 + self.fraction;
        let line = &self.line[self.at - PAST..];
        let place = resampler::read(line, from, step, into) - PAST as f64;
        self.fraction = place.fract();
        self.advance(place as usize);
    }

    /// Leaves samples behind; what was never put reads as what was there, and is never asked for.
    fn advance(&mut self, samples: usize) {
        if self.at + samples > PAST + RUN {
            self.move_back();
        }
        self.at += samples;
        self.waiting = self.waiting.saturating_sub(samples);
    }

    /// Sees to it that so many samples fit behind those that wait, no more than [`WAITING`] with them.
    fn make_room(&mut self, samples: usize) {
        if self.at + self.waiting + samples > self.line.len() {
            self.move_back();
        }
    }

    fn move_back(&mut self) {
        self.line.copy_within(self.at - PAST..self.at + self.waiting, 0);
        self.at = PAST;
    }
}

#[cfg(test)]
mod impaired;

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `ticks` of a 400 Hz sine at a pace; what was heard and how many frames were read.
    fn played(ticks: usize, pace: Pace, ppm: Option<f64>) -> (Vec<i16>, usize) {
        let mut playout = Playout::new();
        let (mut said, mut reads, mut heard) = (0u32, 0, Vec::new());
        for _ in 0..ticks {
            while playout.wants(pace, || true) {
                let mut frame = [0; FRAME_SAMPLES];
                for sample in &mut frame {
                    let turn = f64::from(said % 20) / 20.0;
                    *sample = (12_000.0 * (std::f64::consts::TAU * turn).sin()).round() as i16;
                    said += 1;
                }
                playout.put(Heard::Frame, &mut frame);
                reads += 1;
            }
            let mut out = [0; FRAME_SAMPLES];
            assert_eq!(playout.play(pace, false, ppm, &mut out), Heard::Frame);
            heard.extend(out);
        }
        (heard, reads)
    }

    fn steepest(samples: &[i16]) -> i32 {
        samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap()
    }

    #[test]
    fn what_needs_nothing_passes_bit_for_bit() {
        let mut playout = Playout::new();
        for n in 0..50i16 {
            assert!(playout.wants(Pace::Steady, || true));
            let mut frame = [n * 300; FRAME_SAMPLES];
            playout.put(Heard::Frame, &mut frame);
            assert!(!playout.wants(Pace::Steady, || true));
            let mut out = [0; FRAME_SAMPLES];
            playout.play(Pace::Steady, false, Some(0.5), &mut out);
            assert_eq!(out, [n * 300; FRAME_SAMPLES]);
            assert_eq!(playout.held(), 0);
        }
    }

    #[test]
    fn faster_and_slower_read_more_and_less_and_never_click() {
        let (plain, reads) = played(200, Pace::Steady, None);
        assert_eq!(reads, 200);
        let own = steepest(&plain);
        let (fast, more) = played(200, Pace::Faster, None);
        assert!((220..=270).contains(&more), "{more}");
        let (slow, less) = played(200, Pace::Slower, None);
        assert!((150..=180).contains(&less), "{less}");
        for (name, heard) in [("fast", fast), ("slow", slow)] {
            assert!(steepest(&heard) <= own + own / 50, "{name}: {} of {own}", steepest(&heard));
        }
    }

    #[test]
    fn another_clock_is_followed_without_a_click() {
        let (plain, _) = played(200, Pace::Steady, None);
        for (ppm, frames) in [(200.0, 1), (-200.0, -1)] {
            let ticks = 5000;
            let (heard, reads) = played(ticks, Pace::Steady, Some(ppm));
            let off = reads as i64 - ticks as i64;
            assert!((off - frames).abs() <= 1, "{ppm}: {off}");
            let own = steepest(&plain);
            assert!(steepest(&heard) <= own + own / 50, "{ppm}: {} of {own}", steepest(&heard));
        }
    }

    #[test]
    fn tones_are_never_scaled() {
        let mut playout = Playout::new();
        for _ in 0..100 {
            while playout.wants(Pace::Slower, || true) {
                playout.put(Heard::Frame, &mut [100; FRAME_SAMPLES]);
            }
            playout.play(Pace::Slower, true, None, &mut [0; FRAME_SAMPLES]);
        }
        assert_eq!(playout.counts(), PlayoutCounts::default());
    }

    #[test]
    fn what_is_lost_is_made_up_and_counted() {
        let mut playout = Playout::new();
        playout.put(Heard::Frame, &mut [100; FRAME_SAMPLES]);
        playout.play(Pace::Steady, false, None, &mut [0; FRAME_SAMPLES]);
        playout.put(Heard::Missing, &mut [0; FRAME_SAMPLES]);
        let mut out = [0; FRAME_SAMPLES];
        assert_eq!(playout.play(Pace::Steady, false, None, &mut out), Heard::Missing);
        assert!(out[0] != 0);
        assert_eq!(playout.counts().concealed, 160);
        playout.put(Heard::Nothing, &mut [0; FRAME_SAMPLES]);
        assert_eq!(playout.play(Pace::Steady, false, None, &mut out), Heard::Nothing);
    }
}
