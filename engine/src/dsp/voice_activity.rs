//! Whether the person at the phone speaks, and has finished.
//!
//! *What it does.* Says when speech begins, when it is long enough to interrupt a prompt
//! (120 ms), when it has ended, and when the person may have said, and has said, what there was
//! to say. Hum is not speech, nor is DTMF, nor a tone of one or two sines.
//!
//! *How it works.* Every 10 ms the energy of four bands is compared with the noise there
//! ([`NoiseFloor`]). What all bands together stand out by decides: speech begins softly, and
//! seldom in every band. A frame that is one or two sines ([`sine_fit`]) neither speaks for speech
//! nor against it, for nasals are nearly that; when the next frame has the same frequencies it is
//! a tone, and what was heard before it was the tone's edge. DTMF is for its detector to veto.
//!
//! *Limits.* See docs/dsp.md for speech in noise. Music is speech to it unless it lasts: what is
//! steady for 2.5 s is noise.

use crate::dsp::bounded::Bounded;
use crate::dsp::decibel::decibels;
use crate::dsp::level;
use crate::dsp::noise_floor::NoiseFloor;
use crate::dsp::sine_fit::Sines;
use crate::dsp::sub_bands::{BANDS, Bands};
use tipring_shm_proto::settings::VoiceSettings;
use tipring_shm_proto::units::{TenthDb, TenthDbm0};

/// Length of what is judged at once.
const STEP_MS: u16 = 10;
/// Steps of speech among the last eight that begin it.
const ONSET: u32 = 3;
/// Speech that interrupts a prompt.
const CONFIRMED_MS: u16 = 120;
/// Speech goes on at so much less above the noise than it begins, dB.
const GO_ON_LESS: f32 = 2.0;
/// What a band may stand out by without meaning anything, dB.
const FLUCTUATION: f32 = 2.5;
/// And what it can add, lest one band decide alone by being loud, dB.
const MOST: f32 = 12.0;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VoiceEvent {
    /// Speech has begun.
    Begin {
        /// Before the end of the frame.
        ago_ms: u16,
        /// Of what decided.
        level: TenthDbm0,
    },
    /// It is long enough to interrupt.
    Confirmed,
    /// The person may have finished.
    ProvisionalEnd {
        /// When the last sound was, before the end of the frame.
        ago_ms: u16,
    },
    /// The person goes on.
    Withdrawn,
    /// Speech has ended.
    End {
        /// When the last sound was, before the end of the frame.
        ago_ms: u16,
        /// From the first sound to the last.
        lasted_ms: u32,
        /// While there was speech (ITU-T P.56 active level).
        level: TenthDbm0,
    },
    /// The person has finished.
    FinalEnd {
        /// When the last sound was, before the end of the frame.
        ago_ms: u16,
    },
}

/// What one frame can bring.
pub type VoiceEvents = Bounded<VoiceEvent, 6>;

/// The detector of one line.
#[derive(Clone, Debug)]
pub struct VoiceActivity {
    settings: VoiceSettings,
    floor: NoiseFloor,
    /// Energies of the step before, which smooth those of this one.
    before: [f32; BANDS],
    /// The last eight steps, newest in the lowest bit: they had speech.
    steps: u8,
    speaking: bool,
    /// Speech since it began, until it is confirmed.
    unconfirmed_ms: Option<u16>,
    /// Since the first sound of what is being said.
    age_ms: u32,
    /// Since the last step with speech; saturates.
    silent_ms: u16,
    /// What ends of what was said are still to be told.
    provisional: Ending,
    finality: Ending,
    /// Sum of mean squares of the steps with speech, and how many.
    energy: f32,
    spoken_steps: u32,
    last_sines: Sines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nothing was said since it was told.
    Told,
    Due,
}

impl VoiceActivity {
    /// Has heard nothing so far.
    pub const fn new(settings: VoiceSettings) -> Self {
        Self {
            settings,
            floor: NoiseFloor::new(),
            before: [0.0; BANDS],
            steps: 0,
            speaking: false,
            unconfirmed_ms: None,
            age_ms: 0,
            silent_ms: u16::MAX,
            provisional: Ending::Told,
            finality: Ending::Told,
            energy: 0.0,
            spoken_steps: 0,
            last_sines: Sines::None,
        }
    }

    /// What counts as speech from now on.
    pub const fn set(&mut self, settings: VoiceSettings) {
        self.settings = settings;
    }

    /// Forgets what was heard.
    pub const fn reset(&mut self) {
        *self = Self::new(self.settings);
    }

    /// Somebody speaks now.
    pub const fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// Level of the noise on the line.
    pub fn noise(&self) -> TenthDbm0 {
        level::of_mean_square(self.floor.floor().iter().sum())
    }

    /// Listens to a frame; `digits` vetoes. Does not allocate, wait or fail.
    pub fn hear(&mut self, bands: &Bands, sines: Sines, digits: bool) -> VoiceEvents {
        let mut events = VoiceEvents::new();
        let tone = digits || sines.is_near(self.last_sines);
        let undecided = sines != Sines::None;
        self.last_sines = sines;
        if tone {
            // What was taken for speech was the beginning of the tone.
            self.steps = 0;
        }
        for (energies, &total) in bands.energies.iter().zip(&bands.totals) {
            let floor = self.floor.hear(energies);
            let smoothed = std::array::from_fn(|band| 0.5 * (energies[band] + self.before[band]));
            self.before = *energies;
            let level = level::of_mean_square(total);
            let loud = self.stands_out(&smoothed, &floor) && level >= self.settings.weakest;
            self.step(loud && !tone && !undecided, total, level, &mut events);
        }
        events
    }

    /// Whether it is speech rather than the noise.
    fn stands_out(&self, energies: &[f32; BANDS], floor: &[f32; BANDS]) -> bool {
        let mut above = [0.0; BANDS];
        for band in 0..BANDS {
            let stands_out = decibels(energies[band] / floor[band]);
            above[band] = (stands_out - FLUCTUATION).clamp(0.0, MOST);
        }
        let above: f32 = above.iter().sum();
        let TenthDb(wanted) = self.settings.above_noise;
        let wanted = f32::from(wanted) / 10.0 - if self.speaking { GO_ON_LESS } else { 0.0 };
        above >= wanted
    }

    fn step(&mut self, speech: bool, energy: f32, level: TenthDbm0, events: &mut VoiceEvents) {
        self.steps = self.steps << 1 | u8::from(speech);
        self.age_ms = self.age_ms.saturating_add(u32::from(STEP_MS));
        if speech {
            self.energy += energy;
            self.spoken_steps += 1;
        }
        if !self.speaking {
            self.silent_ms = self.silent_ms.saturating_add(STEP_MS);
            if self.steps.count_ones() >= ONSET && speech {
                self.begin(level, events);
            }
        } else if speech {
            self.silent_ms = 0;
            self.go_on(events);
        } else {
            self.silent_ms = self.silent_ms.saturating_add(STEP_MS);
        }
        self.ends(events);
        if !self.speaking && self.steps == 0 {
            (self.energy, self.spoken_steps) = (0.0, 0);
        }
    }

    fn begin(&mut self, level: TenthDbm0, events: &mut VoiceEvents) {
        self.speaking = true;
        self.silent_ms = 0;
        self.unconfirmed_ms = Some(0);
        let steps = u16::try_from(self.steps.checked_ilog2().unwrap_or(0)).unwrap_or(0) + 1;
        if self.provisional == Ending::Told && self.finality == Ending::Due {
            events.push(VoiceEvent::Withdrawn);
        }
        (self.provisional, self.finality) = (Ending::Due, Ending::Due);
        self.age_ms = u32::from(steps * STEP_MS);
        events.push(VoiceEvent::Begin { ago_ms: steps * STEP_MS, level });
        self.go_on(events);
    }

    fn go_on(&mut self, events: &mut VoiceEvents) {
        if self.provisional == Ending::Told {
            (self.provisional, self.finality) = (Ending::Due, Ending::Due);
            events.push(VoiceEvent::Withdrawn);
        }
        if let Some(ms) = &mut self.unconfirmed_ms {
            *ms += STEP_MS;
            if *ms >= CONFIRMED_MS {
                self.unconfirmed_ms = None;
                events.push(VoiceEvent::Confirmed);
            }
        }
    }

    /// Tells the ends that are due.
    fn ends(&mut self, events: &mut VoiceEvents) {
        let ago_ms = self.silent_ms;
        if self.provisional == Ending::Due && ago_ms >= self.settings.provisional_end_ms {
            self.provisional = Ending::Told;
            events.push(VoiceEvent::ProvisionalEnd { ago_ms });
        }
        if self.speaking && ago_ms >= self.settings.offset_ms {
            let level = level::of_mean_square(self.energy / self.spoken_steps.max(1) as f32);
            self.speaking = false;
            self.unconfirmed_ms = None;
            self.steps = 0;
            let lasted_ms = self.age_ms.saturating_sub(u32::from(ago_ms));
            events.push(VoiceEvent::End { ago_ms, lasted_ms, level });
        }
        if self.finality == Ending::Due && ago_ms >= self.settings.final_end_ms {
            self.finality = Ending::Told;
            self.provisional = Ending::Told;
            events.push(VoiceEvent::FinalEnd { ago_ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level;
    use crate::dsp::sine_fit;
    use crate::dsp::sub_bands::SubBands;
    use tipring_shm_proto::settings::LineSettings;
    use tipring_signals::companding::Law;
    use tipring_signals::noise::{Noise, noise};
    use tipring_signals::signal::Signal;

    /// What was heard in a signal, with the end of the frame that brought it.
    fn heard(samples: &[i16], digits: bool) -> Vec<(u32, VoiceEvent)> {
        let mut bands = SubBands::new();
        let mut voice = VoiceActivity::new(LineSettings::of_country(*b"us").voice);
        let frames = samples.as_chunks().0.iter().zip(1..);
        let events = frames.flat_map(|(frame, number): (&[i16; 160], u32)| {
            let bands = bands.hear(frame);
            let quiet = level::measure(frame).dbm0 < TenthDbm0(-500);
            let sines = if quiet { Sines::None } else { sine_fit::fit(&bands.rough) };
            voice
                .hear(&bands, sines, digits)
                .iter()
                .map(move |e| (number * 20, e))
                .collect::<Vec<_>>()
        });
        events.collect()
    }

    /// Beginnings and ends.
    fn changes(samples: &[i16]) -> Vec<(u32, bool)> {
        let change = |(at, event)| match event {
            VoiceEvent::Begin { .. } => Some((at, true)),
            VoiceEvent::End { .. } => Some((at, false)),
            _ => None,
        };
        heard(samples, false).into_iter().filter_map(change).collect()
    }

    fn over_noise(signal: Signal, dbm0: f64) -> Vec<i16> {
        signal.over_noise(Noise::White, dbm0).companded(Law::A)
    }

    /// Harmonics of 120 Hz with a syllable's envelope, four a second.
    fn speech(ms: usize) -> Vec<f64> {
        let sample = |n: usize| {
            let time = n as f64 / 8000.0;
            let envelope = (std::f64::consts::PI * 4.0 * time).sin().abs();
            let harmonics = (1..20).map(|k| {
                let k = f64::from(k);
                (std::f64::consts::TAU * 120.0 * k * time + k * k).sin() / k
            });
            harmonics.sum::<f64>() * envelope * 3000.0
        };
        (0..ms * 8).map(sample).collect()
    }

    #[test]
    fn speech_begins_and_ends() {
        let said = Signal::new(1).silence(1000.0).then(&speech(2000)).silence(2000.0);
        let changes = changes(&over_noise(said, -60.0));
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(changes[0].1 && (1040..=1120).contains(&changes[0].0), "{changes:?}");
        assert!(!changes[1].1 && (3240..=3340).contains(&changes[1].0), "{changes:?}");
    }

    /// Of 250 ms within speech only the provisional end is told, and taken back.
    #[test]
    fn ends_are_provisional_and_then_final() {
        let said = Signal::new(1).silence(1000.0).then(&speech(1000)).silence(250.0);
        let said = said.then(&speech(1000)).silence(2000.0);
        let kinds: Vec<&str> = heard(&over_noise(said, -60.0), false)
            .into_iter()
            .map(|(_, event)| match event {
                VoiceEvent::Begin { .. } => "begin",
                VoiceEvent::Confirmed => "confirmed",
                VoiceEvent::ProvisionalEnd { .. } => "provisional",
                VoiceEvent::Withdrawn => "withdrawn",
                VoiceEvent::End { .. } => "end",
                VoiceEvent::FinalEnd { .. } => "final",
            })
            .collect();
        let expected =
            ["begin", "confirmed", "provisional", "withdrawn", "provisional", "end", "final"];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn an_end_tells_length_and_level() {
        let said = Signal::new(1).silence(1000.0).then(&noise(Noise::Band, -20.0, 8000, 5));
        let events = heard(&over_noise(said.silence(1000.0), -60.0), false);
        let Some((at, VoiceEvent::End { ago_ms, lasted_ms, level })) =
            events.iter().copied().find(|(_, event)| matches!(event, VoiceEvent::End { .. }))
        else {
            panic!("{events:?}")
        };
        assert!((at - u32::from(ago_ms)).abs_diff(2000) <= 20, "{events:?}");
        assert!(lasted_ms.abs_diff(1000) <= 30, "{lasted_ms}");
        assert!((level.0 + 200).abs() <= 15, "{level:?}");
    }

    #[test]
    fn noise_is_not_speech() {
        for kind in [Noise::White, Noise::Pink, Noise::Hum] {
            for dbm0 in [-90.0, -60.0, -40.0, -25.0] {
                let background = Signal::new(1).then(&noise(kind, dbm0, 160_000, 9));
                let changes = changes(&background.companded(Law::A));
                assert!(changes.is_empty(), "{kind:?} {dbm0}: {changes:?}");
            }
        }
    }

    #[test]
    fn louder_noise_is_speech_for_a_while_only() {
        let soft = Signal::new(1).then(&noise(Noise::White, -60.0, 40_000, 1));
        let louder = soft.then(&noise(Noise::White, -30.0, 120_000, 2));
        let changes = changes(&louder.companded(Law::A));
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(changes[1].0 < 5000 + 2750 + 400, "{changes:?}");
    }

    #[test]
    fn tones_are_not_speech() {
        for hz in [&[350.0, 440.0][..], &[425.0], &[400.0, 450.0], &[480.0, 620.0], &[2100.0]] {
            let sines: Vec<(f64, f64)> = hz.iter().map(|&hz| (hz, -15.0)).collect();
            let mut tone = Signal::new(1).silence(500.0);
            for _ in 0..10 {
                tone = tone.sines(&sines, 500.0).silence(500.0);
            }
            let changes = changes(&over_noise(tone, -55.0));
            assert!(changes.is_empty(), "{hz:?}: {changes:?}");
        }
    }

    #[test]
    fn a_veto_is_obeyed() {
        let said = Signal::new(1).silence(500.0).then(&speech(2000));
        assert_eq!(heard(&over_noise(said, -60.0), true), []);
    }
}
