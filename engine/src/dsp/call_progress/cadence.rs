//! Tones that are known by their frequencies and their cadence.
//!
//! For each tone a [`Follower`] walks through its cadence, one segment a step; a segment of other
//! frequencies or another length sets it back. A steady tone is recognised when it lasts longer
//! than any burst of the same frequencies in the plan; a cadence after three of its steps, or,
//! where its first burst lasts 800 ms at least, when the pause after it has begun; and only when no
//! other follower has come as far. A modem's answer differs from a fax machine's by its phase,
//! which turns round every 450 ms (ITU-T V.25 §4): each turn spoils a frame or none.

use super::segment::{Segment, Segments, Sound};
use super::special::is_special;
use super::{ToneEvent, ToneEvents};
use crate::dsp::tone_generator::{Partial, Phrase, Step, Tone, VOICES};
use crate::dsp::tone_plan::TonePlan;
use tipring_shm_proto::event::HeardTone;
use tipring_shm_proto::units::{FRAME_MS, TenthDbm0};

/// A burst this long needs no second one, once the pause after it is this long.
const LONG_MS: u32 = 800;
const PAUSE_MS: u32 = 300;
/// What a steady tone lasts at least, and beyond the longest burst like it.
const STEADY_MS: u32 = 500;
const STEADY_BEYOND_MS: u32 = 200;
/// An answer of a machine: long enough for two turns of its phase, of which every second may fall
/// between two frames.
const ANSWER_MS: u32 = 2000;
/// Clicks that are turns of the phase.
const TURNS: u32 = 2;
/// Steps that make a cadence.
const STEPS: u32 = 3;
/// Tones that are followed; those of the country come first.
const FOLLOWED: usize = 8;
const OF_COUNTRY: usize = 5;

const fn sounding(hz: u16, ms: u32) -> Step {
    let mut partials = [Partial::NONE; VOICES];
    partials[0] = Partial { tenth_hz: hz * 10, level: TenthDbm0(-130) };
    Step { partials, ms }
}

/// ITU-T T.30 §4.1: 0.5 s on, 3 s off, both to 15 %.
const FAX_CALLING: &[Step] =
    &[sounding(1100, 500), Step { partials: [Partial::NONE; VOICES], ms: 3000 }];
/// ITU-T T.30 §4.2, V.8 §7.2, V.25 §4.
const ANSWERING: &[Step] = &[sounding(2100, 0)];

/// Walks through the cadence of one tone.
#[derive(Clone, Copy, Debug)]
struct Follower {
    tone: HeardTone,
    /// What is repeated, or all of it.
    steps: &'static [Step],
    /// What a tone of one step that goes on until stopped has to last.
    steady_ms: Option<u32>,
    /// The step that is heard now.
    at: usize,
    /// Steps that were heard from beginning to end.
    heard: u32,
    /// What they lasted.
    age_ms: u32,
}

impl Follower {
    const fn of(tone: HeardTone, steps: &'static [Step]) -> Self {
        Self { tone, steps, steady_ms: None, at: 0, heard: 0, age_ms: 0 }
    }

    fn of_plan(tone: HeardTone, plan: &'static Tone) -> Self {
        Self::of(tone, plan.phrases.last().map_or(&[], |Phrase { steps, .. }| steps))
    }

    const fn begin_again(&mut self) {
        (self.at, self.heard, self.age_ms) = (0, 0, 0);
    }

    /// A segment has ended.
    fn take(&mut self, ended: &Segment) {
        if self.steady_ms.is_some() || self.steps.is_empty() {
            return;
        }
        let next = |at: usize| (at + 1) % self.steps.len();
        let is = |step: &Step| sounds_like(ended.sound, step) && lasts(ended.ms, step.ms);
        if self.heard > 0 && is(&self.steps[self.at]) {
            self.at = next(self.at);
            self.heard += 1;
            self.age_ms += ended.ms;
            return;
        }
        // Perhaps it begins with this one: with a step that sounds.
        let begins = |step: &Step| ended.sound.is_tone() && is(step);
        let found = self.steps.iter().position(begins);
        self.begin_again();
        if let Some(at) = found {
            (self.at, self.heard, self.age_ms) = (next(at), 1, ended.ms);
        }
    }

    /// Steps heard, where what is heard now can be the next one.
    fn progress(&self, now: &Segment, edge: bool) -> Option<u32> {
        if let Some(steady_ms) = self.steady_ms {
            let turns = match self.tone {
                HeardTone::ModemAnswering => now.clicks >= TURNS,
                HeardTone::FaxAnswering => now.clicks < TURNS,
                _ => true,
            };
            let is = sounds_like(now.sound, &self.steps[0]) && now.ms >= steady_ms && turns;
            return is.then_some(1);
        }
        let step = self.steps.get(self.at)?;
        // In an edge the next step may have begun.
        let fits = sounds_like(now.sound, step) && now.ms <= longest(step.ms);
        (self.heard > 0 && (fits || edge)).then_some(self.heard)
    }

    /// Enough was heard, if nothing else is meant.
    fn is_recognised(&self, progress: u32, now: &Segment) -> bool {
        let before = &self.steps[(self.at + self.steps.len() - 1) % self.steps.len()];
        let long = before.ms >= LONG_MS || self.tone == HeardTone::FaxCalling;
        self.steady_ms.is_some()
            || progress >= STEPS
            || (long && now.sound == Sound::Silence && now.ms >= PAUSE_MS)
    }
}

fn sounds_like(sound: Sound, step: &Step) -> bool {
    Sound::of_step(step).is_some_and(|step| sound.is_like(step))
}

const fn longest(ms: u32) -> u32 {
    ms + if ms / 8 > 45 { ms / 8 } else { 45 }
}

const fn lasts(ms: u32, wanted: u32) -> bool {
    wanted > 0 && ms <= longest(wanted) && wanted <= longest(ms)
}

/// What is heard, since it was recognised.
#[derive(Clone, Copy, Debug)]
struct Heard {
    follower: usize,
    age_ms: u32,
    /// To its last sound.
    sounded_ms: u32,
}

/// The followers of one line.
#[derive(Clone, Debug)]
pub(super) struct Cadences {
    followers: [Follower; FOLLOWED],
    heard: Option<Heard>,
    /// Nobody is meant before another segment begins.
    at_rest: bool,
}

impl Cadences {
    pub(super) fn new(plan: &'static TonePlan) -> Self {
        let information = HeardTone::SpecialInformation { code: None };
        let mut followers = [
            Follower::of_plan(HeardTone::Dial, &plan.dial),
            Follower::of_plan(HeardTone::Ringback, &plan.ringback),
            Follower::of_plan(HeardTone::Busy, &plan.busy),
            Follower::of_plan(HeardTone::Congestion, &plan.congestion),
            Follower::of_plan(information, &plan.information),
            Follower::of(HeardTone::FaxCalling, FAX_CALLING),
            Follower::of(HeardTone::ModemAnswering, ANSWERING),
            Follower::of(HeardTone::FaxAnswering, ANSWERING),
        ];
        if is_special(followers[OF_COUNTRY - 1].steps) {
            followers[OF_COUNTRY - 1].steps = &[];
        }
        for index in 0..FOLLOWED {
            let [steady @ Step { ms: 0, .. }] = followers[index].steps else { continue };
            let bursts = followers.iter().flat_map(|follower| follower.steps);
            let like = bursts.filter(|step| {
                Sound::of_step(step).is_some_and(|sound| sounds_like(sound, steady))
            });
            let beyond = like.map(|step| longest(step.ms) + STEADY_BEYOND_MS).max().unwrap_or(0);
            let least = if index < OF_COUNTRY { STEADY_MS } else { ANSWER_MS };
            followers[index].steady_ms = Some(beyond.max(least));
        }
        Self { followers, heard: None, at_rest: false }
    }

    pub(super) fn reset(&mut self) {
        self.followers.iter_mut().for_each(Follower::begin_again);
        self.heard = None;
        self.at_rest = false;
    }

    /// This may be a burst of one of the tones.
    pub(super) fn knows(&self, burst: &Segment) -> bool {
        let mut steps = self.followers.iter().flat_map(|follower| follower.steps);
        steps.any(|step| {
            sounds_like(burst.sound, step) && (step.ms == 0 || lasts(burst.ms, step.ms))
        })
    }

    /// A frame has come; `ended` is the segment that ended before it.
    pub(super) fn follow(
        &mut self,
        segments: &Segments,
        ended: Option<&Segment>,
        events: &mut ToneEvents,
    ) {
        if let Some(ended) = ended {
            self.followers.iter_mut().for_each(|follower| follower.take(ended));
            self.at_rest = false;
        }
        if self.at_rest {
            return;
        }
        let now = segments.now();
        if let Some(heard) = &mut self.heard {
            heard.age_ms += FRAME_MS;
            if now.sound.is_tone() && !segments.is_edge() {
                heard.sounded_ms = heard.age_ms;
            }
            if self.followers[heard.follower].progress(now, segments.is_edge()).is_some() {
                return;
            }
            let ended = *heard;
            self.heard = None;
            events.push(self.event(&ended, false, segments));
            // What was heard of others while it sounded was its own.
            self.followers
                .iter_mut()
                .filter(|follower| follower.heard > 1)
                .for_each(Follower::begin_again);
        }
        let meant = (0..FOLLOWED).find(|&index| self.is_meant(index, segments));
        if let Some(follower) = meant {
            let age_ms = self.followers[follower].age_ms + now.ms;
            let silent_ms = if now.sound == Sound::Silence { now.ms } else { 0 };
            let heard = Heard { follower, age_ms, sounded_ms: age_ms - silent_ms };
            self.heard = Some(heard);
            events.push(self.event(&heard, true, segments));
        }
        self.at_rest = self.heard.is_none() && self.can_rest(now);
    }

    /// What is heard now leads to nothing, however long it lasts: it is neither a tone, which may be
    /// a steady one, nor a pause that fits.
    fn can_rest(&self, now: &Segment) -> bool {
        let fits = |follower: &Follower| follower.progress(now, false).is_some();
        !now.sound.is_tone() && !self.followers.iter().any(fits)
    }

    fn event(&self, heard: &Heard, active: bool, segments: &Segments) -> ToneEvent {
        ToneEvent {
            tone: self.followers[heard.follower].tone,
            active,
            level: segments.tone_level(),
            began_ago_ms: heard.age_ms,
            duration_ms: heard.sounded_ms,
        }
    }

    /// This tone was heard, and no other can be meant.
    fn is_meant(&self, index: usize, segments: &Segments) -> bool {
        let now = segments.now();
        let of = |index: usize| self.followers[index].progress(now, segments.is_edge());
        let Some(progress) = self.followers[index].progress(now, false) else { return false };
        if !self.followers[index].is_recognised(progress, now) {
            return false;
        }
        let cycle = self.followers.iter().map(|follower| follower.steps.len()).max().unwrap_or(0);
        (0..FOLLOWED).filter(|&other| other != index).all(|other| {
            // Twice round and still the same: then they are the same.
            let same = index < other && progress as usize >= 2 * cycle;
            same || of(other).is_none_or(|theirs| theirs < progress)
        })
    }
}
