//! All that one ear hears, added up: progress tone, digits, four playbacks, the bridge, the echo.
//!
//! *What it does.* [`Mixer::mix`] gives one frame and notes what happened in it. Playbacks
//! are exact to the sample: items of a play ring may have any length, they are joined without
//! a gap, a mark has the position at which it stands, and [`Mixer::stop`] tells how many samples
//! were in the frames that `mix` returned, no more, no less. A telephone's simulated microphone
//! is a second mixer.
//!
//! *How it works.* Sources are added in `f32`. A single source at 0 dB is passed bit-exactly.
//! Sums stay as they are up to −3 dBFS; above, a soft knee `x → T + R·d/(R + d)` (d above
//! the threshold T, R what is left to full scale) keeps them below full scale without the edge
//! that clipping has. Where a source ends or runs dry in the midst of a sound, its last value
//! fades within 2 ms instead of clicking.
//!
//! *Real-time contract.* No allocation, no waiting, no clock. `mix` pulls at most
//! [`MAX_ITEMS`] items of a playback, which bounds what a peer's tiny items can cost.

use crate::dsp::bounded::Bounded;
use crate::dsp::caller_id::Announcement;
use crate::dsp::dtmf_sender::DtmfSender;
use crate::dsp::limiter::soften;
use crate::dsp::sample::rounded;
use crate::dsp::tone_generator::ToneGenerator;
use crate::dsp::tone_plan::TonePlan;
use crate::frame::{Linear, SILENCE};
use tipring_shm_proto::command::{PlaySource, ProgressTone, StopOn};
use tipring_shm_proto::line_table::PLAYBACK_SLOTS;
use tipring_shm_proto::units::{FRAME_SAMPLES, MarkId, PlaybackId, TenthDb};

/// Items of one play ring that one frame may use up.
pub const MAX_ITEMS: usize = 32;
/// Marks of one playback that one frame may reach; one more waits, and audio with it.
pub const MAX_MARKS: usize = 6;
/// Notes that one frame can have.
pub const MAX_NOTES: usize = PLAYBACK_SLOTS * (MAX_MARKS + 2) + 2;

/// −12 dB.
const DUCKED: f32 = 0.251;
/// Samples in which the last value of what ended fades.
const FADE: u8 = 16;

/// What the frame loop found in a play ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Audio: this many samples were written, 1 to 160 (more are taken for 160, 0 for nothing).
    Audio(usize),
    /// A mark.
    Mark(MarkId),
    /// The playback ends here.
    End,
    /// The ring is empty.
    Empty,
}

/// Where playbacks of [`PlaySource::Ring`] come from.
pub trait Supply {
    /// The next item of `playback`, from the play ring of `slot`; audio goes to the beginning of
    /// `into`. Items of other playbacks, left over there, are for the supply to skip. Neither
    /// allocates nor waits.
    fn pull(&mut self, slot: usize, playback: PlaybackId, into: &mut Linear) -> Pulled;
}

impl<F: FnMut(usize, PlaybackId, &mut Linear) -> Pulled> Supply for F {
    fn pull(&mut self, slot: usize, playback: PlaybackId, into: &mut Linear) -> Pulled {
        self(slot, playback, into)
    }
}

/// What is to be played in a slot.
#[derive(Clone, Copy, Debug)]
pub struct Playback {
    /// Its name.
    pub id: PlaybackId,
    /// Ring or generator.
    pub source: PlaySource,
    /// −40.0 to +12.0 dB; what is beyond is brought within.
    pub gain: TenthDb,
    /// What silences it; kept for the frame loop, which tells [`Mixer::stop`].
    pub stop_on: StopOn,
}

/// How a playback stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub playback: PlaybackId,
    /// Samples of it in the frames returned so far.
    pub played_samples: u64,
    /// Frames for which its ring was empty too early, since its first item.
    pub underruns: u32,
    /// What silences it.
    pub stop_on: StopOn,
}

/// What happened in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A mark was reached.
    Mark {
        /// In which slot.
        slot: usize,
        /// Of which playback.
        playback: PlaybackId,
        /// Which.
        mark: MarkId,
        /// Samples played before it.
        played_samples: u64,
    },
    /// A ring has run dry before its end: the first frame of a gap.
    Underrun {
        /// In which slot.
        slot: usize,
        /// As it stands.
        progress: Progress,
    },
    /// A playback came to its own end; its slot is free.
    Finished {
        /// In which slot.
        slot: usize,
        /// As it stood.
        progress: Progress,
    },
    /// The last digit's pause is over.
    DigitsSent,
    /// The announcement is over.
    Announced,
}

/// What happened in a frame, in its order, slot by slot.
pub type Notes = Bounded<Note, MAX_NOTES>;

/// Why a playback cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// There is no such slot, or a playback in it.
    SlotTaken,
    /// The tone has a value out of range.
    Tone,
}

/// The sum of sources for one ear.
#[derive(Clone, Debug)]
pub struct Mixer {
    plan: &'static TonePlan,
    /// The progress tone that was asked for last.
    progress: Option<ProgressTone>,
    tone: ToneGenerator,
    digits: DtmfSender,
    announcement: Option<Announcement>,
    slots: [Slot; PLAYBACK_SLOTS],
    /// Somebody seems to speak: what a voice silences is softer.
    ducked: bool,
    /// It has nothing to add, which is known without looking, frame after frame.
    resting: bool,
}

impl Mixer {
    /// Silent; progress tones will be those of `plan`.
    pub const fn new(plan: &'static TonePlan) -> Self {
        Self {
            plan,
            progress: None,
            tone: ToneGenerator::new(),
            digits: DtmfSender::new(),
            announcement: None,
            slots: [const { Slot::FREE }; PLAYBACK_SLOTS],
            ducked: false,
            resting: false,
        }
    }

    /// Takes the tones of another country; one that sounds gives way to its like.
    pub fn set_plan(&mut self, plan: &'static TonePlan) {
        if plan.country != self.plan.country {
            self.plan = plan;
            if self.tone.is_playing() {
                self.set_tone(self.progress);
            }
        }
    }

    /// Plays a progress tone from its beginning, or none.
    pub fn set_tone(&mut self, tone: Option<ProgressTone>) {
        self.progress = tone;
        self.resting = false;
        match tone {
            Some(tone) => self.tone.play(self.plan.tone(tone)),
            None => self.tone.stop(),
        }
    }

    /// Queues a digit (ASCII); `false` if it is none, has no length, or 32 wait already.
    pub fn send_digit(&mut self, digit: u8, on_ms: u16, off_ms: u16) -> bool {
        self.resting = false;
        self.digits.send(digit, on_ms, off_ms)
    }

    /// Begins an announcement with the next frame, or ends the one under way.
    pub const fn announce(&mut self, announcement: Option<Announcement>) {
        self.announcement = announcement;
        self.resting = false;
    }

    /// Says that data may follow the call-waiting tone, which begins with the next frame.
    pub fn alert_of_data(&mut self) {
        let first = self.plan.waiting.phrases.first().and_then(|phrase| phrase.steps.first());
        self.announce(Some(Announcement::alert(first.map_or(0, |step| step.ms))));
    }

    /// Somebody is being announced.
    pub const fn is_announcing(&self) -> bool {
        self.announcement.is_some()
    }

    /// Forgets digits that wait and ends the one that sounds; there is no note of it.
    pub fn stop_digits(&mut self) {
        self.digits.stop();
    }

    /// Starts a playback in a free slot; its first sample is the first of the next frame.
    ///
    /// # Errors
    /// When the slot is not free, or the tone has a value out of its range; nothing changes.
    pub fn start(&mut self, slot: usize, playback: Playback) -> Result<(), StartError> {
        let slot = self.slots.get_mut(slot).ok_or(StartError::SlotTaken)?;
        if slot.playing.is_some() {
            return Err(StartError::SlotTaken);
        }
        let input = match playback.source {
            PlaySource::Ring => Input::Ring(RingInput::new()),
            PlaySource::Tone(spec) => {
                let mut tones = ToneGenerator::new();
                if !tones.play_spec(&spec) {
                    return Err(StartError::Tone);
                }
                Input::Tone(tones)
            }
        };
        let gain = 10f32.powf(f32::from(playback.gain.0.clamp(-400, 120)) / 200.0);
        self.resting = false;
        slot.playing = Some(Playing {
            progress: Progress {
                playback: playback.id,
                played_samples: 0,
                underruns: 0,
                stop_on: playback.stop_on,
            },
            gain,
            unity: playback.gain.0 == 0,
            input,
        });
        Ok(())
    }

    /// Ends the playback of a slot before the next frame and tells how far it came; `None` if
    /// there was none. What its ring still holds is for the frame loop to flush.
    pub fn stop(&mut self, slot: usize) -> Option<Progress> {
        self.slots.get_mut(slot)?.stop()
    }

    /// Makes the playbacks that a voice silences softer by 12 dB from the next frame on, or as loud
    /// as they were.
    pub fn duck(&mut self, on: bool) {
        self.ducked = on;
    }

    /// The playback of a slot, as it stands.
    pub fn playing(&self, slot: usize) -> Option<Progress> {
        Some(self.slots.get(slot)?.playing.as_ref()?.progress)
    }

    /// The playback of a slot, if any, is fed from its play ring.
    pub fn is_fed(&self, slot: usize) -> bool {
        let playing = self.slots.get(slot).and_then(|slot| slot.playing.as_ref());
        playing.is_some_and(|playing| matches!(playing.input, Input::Ring(_)))
    }

    /// Makes `into` the next frame, and `notes` what happened in it. `bridge` is what the peer says,
    /// `echo` what this phone said.
    pub fn mix(
        &mut self,
        bridge: Option<&Linear>,
        echo: Option<&Linear>,
        supply: &mut impl Supply,
        into: &mut Linear,
        notes: &mut Notes,
    ) {
        notes.clear();
        self.resting = self.resting || self.is_silent();
        if self.resting {
            match (bridge, echo) {
                (None, None) => return *into = SILENCE,
                (Some(only), None) | (None, Some(only)) => return *into = *only,
                (Some(_), Some(_)) => {}
            }
        }
        let mut sum = Sum::new();
        for frame in [bridge, echo].into_iter().flatten() {
            sum.add_frame(frame);
        }
        if !self.tone.is_silent() {
            self.tone.add(sum.inexact(), 1.0);
        }
        if !self.digits.is_silent() {
            let was_sending = self.digits.is_sending();
            self.digits.add(sum.inexact());
            if was_sending && !self.digits.is_sending() {
                notes.push(Note::DigitsSent);
            }
        }
        if let Some(announcement) = &mut self.announcement {
            announcement.add(sum.inexact());
            if announcement.is_over() {
                self.announcement = None;
                notes.push(Note::Announced);
            }
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.add(index, self.ducked, &mut sum, supply, notes);
        }
        sum.finish(into);
    }

    /// Of its own it has nothing to add.
    fn is_silent(&self) -> bool {
        let sounds = !self.tone.is_silent() || !self.digits.is_silent() || self.is_announcing();
        !sounds && self.slots.iter().all(Slot::is_silent)
    }
}

/// A frame under addition.
struct Sum {
    samples: [f32; FRAME_SAMPLES],
    /// Sources so far; one alone needs no knee.
    sources: u8,
}

impl Sum {
    const fn new() -> Self {
        Self { samples: [0.0; FRAME_SAMPLES], sources: 0 }
    }

    fn add_frame(&mut self, frame: &Linear) {
        self.sources += 1;
        for (place, &sample) in self.samples.iter_mut().zip(frame) {
            *place += f32::from(sample);
        }
    }

    /// For a source that may exceed full scale by itself.
    fn inexact(&mut self) -> &mut [f32] {
        self.sources += 2;
        &mut self.samples
    }

    fn finish(&self, into: &mut Linear) {
        let places = into.iter_mut().zip(&self.samples);
        if self.sources <= 1 {
            // Whole already.
            places.for_each(|(place, &sample)| *place = sample as i16);
        } else {
            places.for_each(|(place, &sample)| *place = rounded(soften(sample)));
        }
    }
}

#[derive(Clone, Debug)]
struct Slot {
    playing: Option<Playing>,
    /// Its last sample, after gain.
    last: f32,
    fade: Fade,
    /// It was softer in the last frame, for somebody seemed to speak.
    softer: bool,
}

#[derive(Clone, Debug)]
struct Playing {
    progress: Progress,
    gain: f32,
    /// The gain is 0 dB.
    unity: bool,
    input: Input,
}

#[derive(Clone, Debug)]
enum Input {
    Ring(RingInput),
    Tone(ToneGenerator),
}

impl Slot {
    const FREE: Self =
        Self { playing: None, last: 0.0, fade: Fade { from: 0.0, left: 0 }, softer: false };

    const fn is_silent(&self) -> bool {
        self.playing.is_none() && !self.fade.is_under_way()
    }

    fn stop(&mut self) -> Option<Progress> {
        self.fade.begin(std::mem::take(&mut self.last));
        self.playing.take().map(|playing| playing.progress)
    }

    fn add(
        &mut self,
        index: usize,
        ducked: bool,
        sum: &mut Sum,
        supply: &mut impl Supply,
        notes: &mut Notes,
    ) {
        if self.is_silent() {
            self.softer = false;
            return;
        }
        let mut own = [0.0; FRAME_SAMPLES];
        let mut heard = 0;
        let mut exact = !self.fade.is_under_way();
        let mut has_edges = false;
        if let Some(playing) = &mut self.playing {
            let softer = ducked && playing.progress.stop_on.voice;
            let finished = playing.fill(index, &mut own, &mut heard, supply, notes);
            exact &= playing.is_exact();
            has_edges = matches!(playing.input, Input::Tone(_));
            exact &= !self.softer && !softer;
            duck(&mut own, std::mem::replace(&mut self.softer, softer), softer);
            if finished {
                notes.push(Note::Finished { slot: index, progress: playing.progress });
                self.playing = None;
            }
        }
        self.fade.add(&mut own);
        if heard > 0 {
            self.last = own[heard - 1];
        }
        if heard < FRAME_SAMPLES && self.last != 0.0 {
            let last = std::mem::take(&mut self.last);
            // A tone that ended has left by its own edge.
            if !has_edges {
                self.fade.begin(last);
                self.fade.add(&mut own[heard..]);
            }
        }
        sum.sources += if exact { 1 } else { 2 };
        sum.samples.iter_mut().zip(&own).for_each(|(place, sample)| *place += sample);
    }
}

impl Playing {
    const fn is_exact(&self) -> bool {
        self.unity && matches!(self.input, Input::Ring(_))
    }

    /// Fills `own` with what there is, of which `heard` is the length; whether it has finished.
    fn fill(
        &mut self,
        slot: usize,
        own: &mut [f32; FRAME_SAMPLES],
        heard: &mut usize,
        supply: &mut impl Supply,
        notes: &mut Notes,
    ) -> bool {
        let before = self.progress.played_samples;
        let finished = match &mut self.input {
            Input::Tone(tones) => {
                self.progress.played_samples += tones.add(own, self.gain) as u64;
                !tones.is_playing()
            }
            Input::Ring(ring) => {
                let finished = ring.fill(slot, own, &mut self.progress, supply, notes);
                for sample in own.iter_mut() {
                    *sample *= self.gain;
                }
                finished
            }
        };
        *heard = (self.progress.played_samples - before) as usize;
        finished
    }
}

/// Makes a frame softer, or as loud as it was, without a step where that changes.
fn duck(samples: &mut [f32; FRAME_SAMPLES], before: bool, now: bool) {
    if !before && !now {
        return;
    }
    let [before, now] = [before, now].map(|softer| if softer { DUCKED } else { 1.0 });
    let change = (now - before) / FRAME_SAMPLES as f32;
    for (n, sample) in samples.iter_mut().enumerate() {
        *sample *= before + change * (n + 1) as f32;
    }
}

/// What was pulled and not yet played.
#[derive(Clone, Debug)]
struct RingInput {
    samples: Linear,
    from: usize,
    to: usize,
    /// An item has come: from here on, nothing is too little.
    begun: bool,
    /// In a gap, of which a note was made.
    dry: bool,
}

impl RingInput {
    const fn new() -> Self {
        Self { samples: [0; FRAME_SAMPLES], from: 0, to: 0, begun: false, dry: false }
    }

    /// Fills `own` as far as the ring reaches; whether the playback has finished. What follows a
    /// full frame at once, a mark or the end, belongs to this frame.
    fn fill(
        &mut self,
        slot: usize,
        own: &mut [f32; FRAME_SAMPLES],
        progress: &mut Progress,
        supply: &mut impl Supply,
        notes: &mut Notes,
    ) -> bool {
        let playback = progress.playback;
        let mut at = self.take(own);
        progress.played_samples += at as u64;
        let (mut items, mut marks) = (0, 0);
        while self.from == self.to && items < MAX_ITEMS && marks < MAX_MARKS {
            items += 1;
            match supply.pull(slot, playback, &mut self.samples) {
                Pulled::Audio(len) => {
                    (self.from, self.to) = (0, len.min(FRAME_SAMPLES));
                    let taken = self.take(&mut own[at..]);
                    at += taken;
                    progress.played_samples += taken as u64;
                }
                Pulled::Mark(mark) => {
                    marks += 1;
                    let played_samples = progress.played_samples;
                    notes.push(Note::Mark { slot, playback, mark, played_samples });
                }
                Pulled::End => return true,
                Pulled::Empty => break,
            }
            self.begun = true;
        }
        if at == FRAME_SAMPLES {
            self.dry = false;
        } else if self.begun {
            progress.underruns = progress.underruns.saturating_add(1);
            if !std::mem::replace(&mut self.dry, true) {
                notes.push(Note::Underrun { slot, progress: *progress });
            }
        }
        false
    }

    /// Moves what is left to `places`; how many samples.
    fn take(&mut self, places: &mut [f32]) -> usize {
        let left = &self.samples[self.from..self.to];
        for (place, &sample) in places.iter_mut().zip(left) {
            *place = f32::from(sample);
        }
        let taken = left.len().min(places.len());
        self.from += taken;
        taken
    }
}

/// What is heard after a sound was cut: its last value, going to zero.
#[derive(Clone, Copy, Debug)]
struct Fade {
    from: f32,
    left: u8,
}

impl Fade {
    const fn begin(&mut self, from: f32) {
        *self = Self { from, left: FADE };
    }

    const fn is_under_way(self) -> bool {
        self.left > 0 && self.from != 0.0
    }

    fn add(&mut self, own: &mut [f32]) {
        for place in own {
            if self.left == 0 {
                return;
            }
            *place += self.from * f32::from(self.left) / f32::from(FADE + 1);
            self.left -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
