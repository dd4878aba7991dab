//! Tones with a cadence: progress tones, DTMF, whatever a client composed.
//!
//! *What it does.* Plays phrases of steps of up to six sines, each step exact to the sample
//! (1 ms is 8 samples). No click: every sine enters and leaves by a raised-cosine edge of 3 ms
//! that lies inside its step, so that what is off is exactly zero. From one sounding step to
//! the next sines are continuous in phase, and move to a new level by the same edge.
//!
//! *How it works.* Six voices of [`Sine`]; a score is walked step by step, and a voice that
//! the next step does not need begins to leave an edge's length before its step ends.
//! Nothing here allocates, waits or fails.

use crate::dsp::level;
use crate::dsp::sine::Sine;
use tipring_shm_proto::command::{ToneSpec, ToneStep};
use tipring_shm_proto::units::{SAMPLE_RATE_HZ, TenthDbm0};

/// Sines that can sound at once.
pub const VOICES: usize = 6;
/// Length of an edge, samples.
const EDGE: u32 = 24;
const SAMPLES_PER_MS: u32 = SAMPLE_RATE_HZ / 1000;

/// One sine of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Tenths of a hertz; 0 is no sine.
    pub tenth_hz: u16,
    /// Its level.
    pub level: TenthDbm0,
}

impl Partial {
    /// No sine.
    pub const NONE: Self = Self { tenth_hz: 0, level: TenthDbm0::SILENCE };
}

/// Sines for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What sounds; silence if all are [`Partial::NONE`].
    pub partials: [Partial; VOICES],
    /// For how long; 0 is until stopped.
    pub ms: u32,
}

/// Steps, played a number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The steps in order; at least one.
    pub steps: &'static [Step],
    /// How often; 0 is until stopped.
    pub times: u16,
}

/// A whole tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// The phrases in order; at least one.
    pub phrases: &'static [Phrase],
}

/// What is being played.
#[derive(Clone, Copy, Debug)]
enum Score {
    Nothing,
    Tone(&'static Tone),
    Spec(ToneSpec),
    /// One step, once.
    Step(Step),
}

#[derive(Clone, Copy, Debug, Default)]
struct Voice {
    sine: Sine,
    /// Peak before and after the edge under way, and how much of it is done.
    from: f32,
    to: f32,
    done: u32,
}

impl Voice {
    const SILENT: Self = Self { sine: Sine::SILENT, from: 0.0, to: 0.0, done: EDGE };

    fn peak(&self) -> f32 {
        if self.done >= EDGE {
            self.to
        } else {
            self.from + (self.to - self.from) * RISE[self.done as usize]
        }
    }

    fn aim(&mut self, peak: f32) {
        if (peak - self.to).abs() > 0.0 {
            self.from = self.peak();
            self.to = peak;
            self.done = 0;
        }
    }

    fn is_silent(&self) -> bool {
        self.done >= EDGE && self.to == 0.0
    }

    #[inline]
    fn next(&mut self) -> f32 {
        let value = self.sine.sample() * self.peak();
        self.done = (self.done + 1).min(EDGE);
        value
    }
}

/// Plays one score at a time.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    score: Score,
    phrase: usize,
    step: usize,
    /// Times the phrase has been played through.
    times: u16,
    /// Samples left of the step; `None` is no end.
    left: Option<u32>,
    voices: [Voice; VOICES],
    played: u64,
}

impl Default for ToneGenerator {
    fn default() -> Self {
        Self::new()
    }
}

impl ToneGenerator {
    /// Silent.
    pub const fn new() -> Self {
        Self {
            score: Score::Nothing,
            phrase: 0,
            step: 0,
            times: 0,
            left: None,
            voices: [Voice::SILENT; VOICES],
            played: 0,
        }
    }

    /// Begins `tone`; what sounded before gives way by an edge.
    pub fn play(&mut self, tone: &'static Tone) {
        self.begin(Score::Tone(tone));
    }

    /// Begins what a client composed; `false`, and nothing changed, if a value is out of
    /// its range.
    pub fn play_spec(&mut self, spec: &ToneSpec) -> bool {
        let valid = spec.in_range();
        if valid {
            self.begin(Score::Spec(*spec));
        }
        valid
    }

    /// Begins one step, to be played once.
    pub fn play_step(&mut self, step: Step) {
        self.begin(Score::Step(step));
    }

    /// Ends whatever sounds, by an edge.
    pub fn stop(&mut self) {
        self.score = Score::Nothing;
        self.left = None;
        for voice in &mut self.voices {
            voice.aim(0.0);
        }
    }

    /// A score is being played.
    pub const fn is_playing(&self) -> bool {
        !matches!(self.score, Score::Nothing)
    }

    /// Nothing sounds: no score, no edge on its way out.
    pub fn is_silent(&self) -> bool {
        !self.is_playing() && self.voices.iter().all(Voice::is_silent)
    }

    /// Samples of the score played since it began.
    pub const fn played(&self) -> u64 {
        self.played
    }

    /// Adds the next samples, times `gain`, to `mix`. Returns how many of them belong to the
    /// score: fewer than there are when it ended among them.
    pub fn add(&mut self, mix: &mut [f32], gain: f32) -> usize {
        let before = self.played;
        for place in mix {
            *place += self.next() * gain;
        }
        (self.played - before) as usize
    }

    /// As [`Self::add`], but leaves alone what comes after the end of the score.
    pub fn add_score(&mut self, mix: &mut [f32], gain: f32) -> usize {
        let mut played = 0;
        while played < mix.len() && self.is_playing() {
            mix[played] += self.next() * gain;
            played += 1;
        }
        played
    }

    fn next(&mut self) -> f32 {
        if self.left == Some(0) {
            self.advance();
        }
        if self.left == Some(EDGE) {
            self.leave();
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        let sounding = self.voices.iter_mut().filter(|voice| !voice.is_silent());
        let sum = sounding.map(Voice::next).sum();
        if self.is_playing() {
            self.played += 1;
            // The end is known as soon as the last sample is out, not one sample later.
            if self.left == Some(0) && self.following().is_none() {
                self.stop();
            }
        }
        sum
    }

    fn begin(&mut self, score: Score) {
        self.score = score;
        (self.phrase, self.step, self.times) = (0, 0, 0);
        self.played = 0;
        if let Some(step) = self.step_at(0, 0) {
            self.enter(&step);
        }
    }

    /// Takes the next step, or ends the score.
    fn advance(&mut self) {
        match self.following() {
            None => self.stop(),
            Some((phrase, step, times)) => {
                (self.phrase, self.step, self.times) = (phrase, step, times);
                if let Some(step) = self.step_at(phrase, step) {
                    self.enter(&step);
                }
            }
        }
    }

    fn enter(&mut self, step: &Step) {
        self.left = (step.ms != 0).then(|| step.ms.saturating_mul(SAMPLES_PER_MS));
        for (voice, partial) in self.voices.iter_mut().zip(&step.partials) {
            if partial.tenth_hz == 0 {
                voice.aim(0.0);
                continue;
            }
            if voice.is_silent() {
                voice.sine.restart();
            }
            voice.sine.set_tenth_hz(partial.tenth_hz);
            voice.aim(level::peak(partial.level));
        }
    }

    /// An edge's length before the step's end: what the next step does not need begins to leave.
    fn leave(&mut self) {
        let next = self.following().and_then(|(phrase, step, _)| self.step_at(phrase, step));
        for (index, voice) in self.voices.iter_mut().enumerate() {
            if next.is_none_or(|step| step.partials[index].tenth_hz == 0) {
                voice.aim(0.0);
            }
        }
    }

    /// Where the score goes after this step: phrase, step, times; `None` at its end.
    fn following(&self) -> Option<(usize, usize, u16)> {
        if self.step_at(self.phrase, self.step + 1).is_some() {
            return Some((self.phrase, self.step + 1, self.times));
        }
        let limit = match &self.score {
            Score::Nothing => return None,
            Score::Tone(tone) => tone.phrases.get(self.phrase)?.times,
            Score::Spec(spec) => spec.repeat,
            Score::Step(_) => 1,
        };
        if limit == 0 {
            return Some((self.phrase, 0, 0));
        }
        if self.times + 1 < limit {
            return Some((self.phrase, 0, self.times + 1));
        }
        self.step_at(self.phrase + 1, 0).is_some().then_some((self.phrase + 1, 0, 0))
    }

    fn step_at(&self, phrase: usize, step: usize) -> Option<Step> {
        match &self.score {
            Score::Nothing => None,
            Score::Tone(tone) => tone.phrases.get(phrase)?.steps.get(step).copied(),
            Score::Step(only) => (phrase == 0 && step == 0).then_some(*only),
            Score::Spec(spec) => {
                let used = &spec.steps[..(spec.len as usize).min(spec.steps.len())];
                (phrase == 0).then_some(used.get(step)?).map(of_spec)
            }
        }
    }
}

fn of_spec(step: &ToneStep) -> Step {
    let mut partials = [Partial::NONE; VOICES];
    for (three, hz) in partials.as_chunks_mut::<3>().0.iter_mut().zip(step.hz) {
        if hz != 0 {
            *three = modulated(hz * 10, step.level, step.modulation_hz * 10);
        }
    }
    Step { partials, ms: step.ms }
}

/// Level of each sideband of a sine whose amplitude is modulated by 90 %, against the sine's own:
/// 0.45 of its peak, in tenths of a dB.
const SIDEBAND: i16 = -69;

/// A sine whose amplitude is modulated by another one, 90 % of it; 0 does not modulate. As all
/// sines begin at a rising zero, sin a + 0.45·(sin(a − b) + sin(a + b)) = (1 + 0.9·cos b)·sin a.
pub const fn modulated(tenth_hz: u16, level: TenthDbm0, by_tenth_hz: u16) -> [Partial; 3] {
    let carrier = Partial { tenth_hz, level };
    if by_tenth_hz == 0 {
        return [carrier, Partial::NONE, Partial::NONE];
    }
    let level = TenthDbm0(level.0 + SIDEBAND);
    let lower = Partial { tenth_hz: tenth_hz - by_tenth_hz, level };
    let upper = Partial { tenth_hz: tenth_hz + by_tenth_hz, level };
    [carrier, lower, upper]
}

/// A raised cosine from 0 to 1, never either.
static RISE: [f32; EDGE as usize] = rise();

const fn rise() -> [f32; EDGE as usize] {
    let mut table = [0.0; EDGE as usize];
    let mut i = 0;
    while i < EDGE as usize {
        // sin²: the raised cosine of twice the angle.
        let quarter = (i as f64 + 0.5) / EDGE as f64 * std::f64::consts::FRAC_PI_2;
        let sine = crate::dsp::sine::sine_of_quarter(quarter);
        table[i] = (sine * sine) as f32;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn partial(tenth_hz: u16, level: i16) -> Partial {
        Partial { tenth_hz, level: TenthDbm0(level) }
    }

    const fn step(tenth_hz: u16, ms: u32) -> Step {
        let mut partials = [Partial::NONE; VOICES];
        partials[0] = partial(tenth_hz, -100);
        Step { partials, ms }
    }

    const fn spec(steps: &[(u16, u32)], repeat: u16) -> ToneSpec {
        let mut all = [ToneStep { hz: [0, 0], level: TenthDbm0(-100), ms: 0, modulation_hz: 0 }; 8];
        let mut i = 0;
        while i < steps.len() {
            all[i].hz[0] = steps[i].0;
            all[i].ms = steps[i].1;
            i += 1;
        }
        ToneSpec { len: steps.len() as u8, steps: all, repeat }
    }

    fn play(generator: &mut ToneGenerator, samples: usize) -> Vec<f32> {
        let mut mix = vec![0.0; samples];
        generator.add(&mut mix, 1.0);
        mix
    }

    /// Largest step between neighbours: a click is a larger one than the sine's own.
    fn steepest(samples: &[f32]) -> f32 {
        samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_cadence_is_exact_to_the_sample() {
        let mut generator = ToneGenerator::new();
        assert!(generator.play_spec(&spec(&[(425, 480), (0, 480)], 0)));
        let samples = play(&mut generator, 8 * 960 * 50);
        for (n, cycle) in samples.chunks(8 * 960).enumerate() {
            let (on, off) = cycle.split_at(8 * 480);
            assert!(off.iter().all(|&sample| sample == 0.0), "cycle {n}");
            // The sine's first sample is a zero; at the other end 425 Hz · 480 ms is whole turns.
            assert!(on[1] != 0.0 && on[8 * 480 - 1] != 0.0, "cycle {n}");
        }
    }

    #[test]
    fn a_tone_has_its_level() {
        let mut generator = ToneGenerator::new();
        generator.play_step(step(10_000, 0));
        play(&mut generator, 800);
        let samples = play(&mut generator, 8000);
        let mean_square = samples.iter().map(|s| s * s).sum::<f32>() / 8000.0;
        assert_eq!(level::of_mean_square(mean_square), TenthDbm0(-100));
    }

    #[test]
    fn edges_and_changes_do_not_click() {
        static STEPS: [Step; 3] = [step(9500, 330), step(14_000, 330), step(18_000, 330)];
        static TONE: Tone = Tone { phrases: &[Phrase { steps: &STEPS, times: 1 }] };
        let peak = level::peak(TenthDbm0(-100));
        let own = 2.0 * peak * (std::f32::consts::PI * 1800.0 / 8000.0).sin();
        let mut generator = ToneGenerator::new();
        generator.play(&TONE);
        let whole = play(&mut generator, 8 * 1000);
        assert!(steepest(&whole) <= own * 1.001);
        // Stopped in the middle of it.
        generator.play(&TONE);
        let mut whole = play(&mut generator, 8 * 100 + 3);
        generator.stop();
        whole.extend(play(&mut generator, 160));
        assert!(generator.is_silent());
        assert!(steepest(&whole) <= own * 1.001);
    }

    #[test]
    fn phrases_follow_each_other() {
        static TONE: Tone = Tone {
            phrases: &[
                Phrase { steps: &[step(4000, 100), step(0, 100)], times: 3 },
                Phrase { steps: &[step(4000, 0)], times: 1 },
            ],
        };
        let mut generator = ToneGenerator::new();
        generator.play(&TONE);
        let samples = play(&mut generator, 8 * 2000);
        let sounds: Vec<bool> =
            samples.chunks(800).map(|part| part.iter().any(|&s| s != 0.0)).collect();
        let beeps = [true, false, true, false, true, false];
        assert_eq!(sounds[..6], beeps);
        assert!(sounds[6..].iter().all(|&sounds| sounds));
        assert!(generator.is_playing());
    }

    #[test]
    fn a_counted_tone_ends_with_its_last_sample() {
        let mut generator = ToneGenerator::new();
        assert!(generator.play_spec(&spec(&[(1000, 20), (0, 10), (440, 10)], 2)));
        let mut mix = [0.0; 160];
        let mut counts = [0; 5];
        for count in &mut counts {
            *count = generator.add(&mut mix, 1.0);
        }
        assert_eq!(counts, [160, 160, 160, 160, 0]);
        assert!(!generator.is_playing());
        assert_eq!(generator.played(), 640);
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        assert!(spec(&[(1000, 20)], 0).in_range());
        assert!(!spec(&[], 0).in_range());
        assert!(!spec(&[(19, 20)], 0).in_range());
        assert!(!spec(&[(3801, 20)], 0).in_range());
        assert!(!spec(&[(1000, 0)], 0).in_range());
        assert!(!spec(&[(1000, 600_001)], 0).in_range());
        assert!(!(ToneSpec { len: 9, ..spec(&[(1000, 20)], 0) }).in_range());
        let mut loud = spec(&[(1000, 20)], 0);
        loud.steps[0].level = TenthDbm0(1);
        assert!(!loud.in_range());
    }

    proptest! {
        #[test]
        fn any_allowed_tone_lasts_as_long_as_it_says(
            steps in prop::collection::vec((prop_oneof![Just(0u16), 20u16..=3800], 1u32..60), 1..=8),
            repeat in 1u16..4,
            frame in 1usize..400,
        ) {
            let expected: u32 = steps.iter().map(|step| step.1 * 8).sum::<u32>() * u32::from(repeat);
            let mut generator = ToneGenerator::new();
            prop_assert!(generator.play_spec(&spec(&steps, repeat)));
            let mut mix = vec![0.0; frame];
            let mut total = 0;
            while generator.is_playing() {
                mix.fill(0.0);
                total += generator.add(&mut mix, 1.0);
                prop_assert!(mix.iter().all(|sample| sample.abs() < 32768.0));
            }
            prop_assert_eq!(total, expected as usize);
        }
    }
}
