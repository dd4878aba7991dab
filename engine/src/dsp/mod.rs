//! What is heard in the audio, and what is put into it.
//!
//! A frame of the phone meets, in this order: `concealment` (if it did not come), `time_scale` and
//! `resampler` (if it comes too slowly or too fast), then [`Listener::listen`]: the canceller of
//! `echo`, `level` and `meter`, `dtmf_detector` (on `tone_correlator` and
//! `dial_tone`, with `dtmf_limits`), `sub_bands` and
//! `sine_fit`, which `voice_activity` (on `noise_floor`) and `call_progress` judge, the suppressor of
//! `echo`; then `gain` and `limiter`. What the phone is to hear comes from `tone_generator`, which
//! plays a `tone_plan`, and `dtmf_sender`. Several reckon with `correlation`, `decibel` and `sample`.

pub mod bounded;
pub mod call_progress;
pub mod caller_id;
pub mod concealment;
pub mod correlation;
pub mod decibel;
mod dial_tone;
pub mod dtmf_detector;
pub mod dtmf_limits;
pub mod dtmf_sender;
pub mod echo;
pub mod gain;
pub mod hybrid;
pub mod level;
pub mod limiter;
pub mod meter;
pub mod noise_floor;
pub mod resampler;
pub mod sample;
pub mod sine;
pub mod sine_fit;
pub mod sub_bands;
pub mod time_scale;
pub mod tone_correlator;
pub mod tone_generator;
pub mod tone_plan;
pub mod voice_activity;

use crate::frame::Linear;
use call_progress::{CallProgress, ToneEvents};
use dtmf_detector::{DtmfDetector, DtmfEvent, DtmfEvents};
use dtmf_limits::DtmfLimits;
use echo::EchoControl;
use level::Level;
use meter::Meter;
use sine_fit::Sines;
use sub_bands::SubBands;
use tipring_shm_proto::line_table::MeterRow;
use tipring_shm_proto::settings::LineSettings;
use tipring_shm_proto::units::TenthDbm0;
use voice_activity::{VoiceActivity, VoiceEvents};

/// Sines are not looked for in what is softer.
const SOFTEST_TONE: TenthDbm0 = TenthDbm0(-500);

/// What one frame of the phone told.
#[derive(Clone, Copy, Debug)]
pub struct Listened {
    /// Its level.
    pub level: TenthDbm0,
    /// It touches full scale.
    pub clipped: bool,
    /// The person began or ceased to speak.
    pub voice: VoiceEvents,
    /// The person speaks.
    pub speaking: bool,
    /// Of the noise on the line.
    pub noise: TenthDbm0,
    /// Tones of exchanges and machines.
    pub tones: ToneEvents,
    /// Digits that began or ended.
    pub digits: DtmfEvents,
    /// A digit that is certain sounds in it, or has just ended.
    pub keys: bool,
}

/// Listens to one line.
#[derive(Clone, Debug)]
pub struct Listener {
    meter: Meter,
    digits: DtmfDetector,
    in_band_digits: bool,
    voice_wanted: bool,
    bands: SubBands,
    voice: VoiceActivity,
    country: [u8; 2],
    progress: CallProgress,
    echo: EchoControl,
    /// A digit of our own whose end is still to come.
    own_digit: Option<u8>,
}

impl Default for Listener {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    /// Has heard silence so far; in-band digits are on.
    pub fn new() -> Self {
        Self {
            meter: Meter::new(),
            digits: DtmfDetector::default(),
            in_band_digits: true,
            voice_wanted: true,
            bands: SubBands::new(),
            voice: VoiceActivity::new(LineSettings::of_country(*b"us").voice),
            country: *b"us",
            progress: CallProgress::new(&tone_plan::PLANS[0]),
            echo: EchoControl::new(),
            own_digit: None,
        }
    }

    /// Whether digits are heard in the audio. Off where they come as packets (RFC 4733 §2.3.1), lest
    /// one that leaks into the audio is heard twice. A digit that has begun is forgotten.
    pub fn set_in_band_digits(&mut self, on: bool) {
        if on != self.in_band_digits {
            self.in_band_digits = on;
            self.digits.reset();
        }
    }

    /// What counts as a digit and as speech from now on, and whether the echo of what the phone is
    /// given is taken out of what it says; that is off at first.
    pub fn set(&mut self, settings: &LineSettings) {
        self.echo.set(settings.echo_canceller);
        self.digits.set_limits(DtmfLimits::of(settings.dtmf));
        self.voice.set(settings.voice);
        let plan = std::str::from_utf8(&settings.country).ok().and_then(tone_plan::of_country);
        if let Some(plan) = plan
            && self.country != settings.country
        {
            self.country = settings.country;
            self.progress = CallProgress::new(plan);
        }
    }

    /// Whether voice is listened for; without it a person who spoke goes on speaking.
    pub fn set_voice(&mut self, wanted: bool) {
        self.voice_wanted = wanted;
    }

    /// Forgets what was heard: another call, another person.
    pub fn reset(&mut self) {
        self.echo.reset();
        self.own_digit = None;
        self.meter = Meter::new();
        self.digits.reset();
        self.bands = SubBands::new();
        self.voice.reset();
        self.progress.reset();
    }

    /// The last frame had tones in it that no time-scaling may touch.
    pub fn hears_tones(&self) -> bool {
        self.digits.hears_tones()
    }

    /// What the meter says.
    pub const fn meter(&self) -> &MeterRow {
        self.meter.row()
    }

    /// Listens to a frame of the phone, which becomes what others are to hear. `given` is what the
    /// phone was given to hear when it said this, or `delay` samples before. Does not allocate,
    /// wait or fail.
    pub fn listen(&mut self, rx: &mut Linear, given: &Linear, delay: usize) -> Listened {
        let came = level::measure(rx);
        let changed = self.echo.cancel(rx, given, delay, self.digits.hears_tones());
        // Whether it was clipped is known of what came alone.
        let Level { clipped_samples, peak, .. } = came;
        let level =
            if changed { Level { clipped_samples, peak, ..level::measure(rx) } } else { came };
        self.meter.hear(rx, &level);
        let had_keys = self.digits.digit().is_some();
        let digits = if self.in_band_digits { self.digits.hear(rx) } else { DtmfEvents::new() };
        let keys = had_keys || self.digits.digit().is_some();
        let digits = self.without_our_own(digits);
        let no_voice = self.digits.hears_tones() || self.echo.only_echo();
        let mut tones = ToneEvents::new();
        let voice = if self.voice_wanted {
            let bands = self.bands.hear(rx);
            let sines =
                if level.dbm0 < SOFTEST_TONE { Sines::None } else { sine_fit::fit(&bands.rough) };
            // A tone that the phone is given to hear comes back through the hybrid; behind RTP too,
            // where nobody here takes it out.
            let own = sines != Sines::None && sines.is_near(sine_fit::fit(&given.map(f32::from)));
            tones = if own {
                self.progress.hear(Sines::None, TenthDbm0::SILENCE)
            } else {
                self.progress.hear(sines, level.dbm0)
            };
            self.voice.hear(&bands, sines, no_voice)
        } else {
            VoiceEvents::new()
        };
        self.echo.suppress(rx);
        Listened {
            level: level.dbm0,
            clipped: clipped_samples > 0,
            voice,
            speaking: self.voice.is_speaking(),
            noise: self.voice.noise(),
            tones,
            digits,
            keys,
        }
    }

    /// A digit that the phone was given to hear, and that came back before the canceller knew the
    /// line, is nobody's.
    fn without_our_own(&mut self, digits: DtmfEvents) -> DtmfEvents {
        let mut others = DtmfEvents::new();
        for event in digits {
            let own = match event {
                DtmfEvent::Early { digit } => self.echo.is_own_digit(digit),
                DtmfEvent::Begin { digit } => {
                    self.own_digit = self.echo.is_own_digit(digit).then_some(digit);
                    self.own_digit.is_some()
                }
                DtmfEvent::End { digit, .. } => self.own_digit == Some(digit),
            };
            if !own {
                others.push(event);
            }
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::SILENCE;
    use tipring_signals::companding::Law;
    use tipring_signals::signal::Signal;

    /// How many tones are told of dial tone that is heard while `given` sounds in the phone.
    fn told(given: impl Fn(&Linear) -> Linear) -> usize {
        let mut listener = Listener::new();
        let heard = Signal::new(1).sines(&[(350.0, -20.0), (440.0, -20.0)], 3000.0);
        let frames = heard.companded(Law::Mu);
        let frames = frames.as_chunks().0.iter();
        frames.map(|frame| listener.listen(&mut frame.clone(), &given(frame), 0).tones.len()).sum()
    }

    #[test]
    fn our_own_tone_that_comes_back_is_nobodys() {
        assert_eq!(told(|_| SILENCE), 1);
        assert_eq!(told(|heard| heard.map(|sample| sample.saturating_mul(2))), 0);
    }
}
