//! What is heard in the audio, and what is put into it.
//!
//! A frame of the phone meets, in this order: `concealment` (if it did not come), `time_scale` and
//! `resampler` (if it comes too slowly or too fast), then [`Listener::listen`]: the canceller of `echo`, `level`, `dtmf_detector`, `voice_activity`, the
//! suppressor of `echo`; then `gain` and `limiter`. What the phone is to hear comes from
//! `tone_generator`, which plays a `tone_plan`, and `dtmf_sender`.

pub mod bounded;
pub mod caller_id;
pub mod concealment;
pub mod dtmf_detector;
pub mod dtmf_sender;
pub mod echo;
pub mod gain;
pub mod hybrid;
pub mod level;
pub mod limiter;
pub mod resampler;
pub mod sample;
pub mod sine;
pub mod time_scale;
pub mod tone_correlator;
pub mod tone_generator;
pub mod tone_plan;
pub mod voice_activity;

use crate::frame::Linear;
use dtmf_detector::{DtmfDetector, DtmfEvent, DtmfEvents};
use echo::EchoControl;
use tipring_shm_proto::units::TenthDbm0;
use voice_activity::VoiceActivity;

/// What one frame of the phone told.
#[derive(Clone, Copy, Debug)]
pub struct Listened {
    /// Its level.
    pub level: TenthDbm0,
    /// It touches full scale.
    pub clipped: bool,
    /// The person began (`true`) or ceased to speak.
    pub voice: Option<bool>,
    /// The person speaks.
    pub speaking: bool,
    /// Digits that began or ended.
    pub digits: DtmfEvents,
}

/// Listens to one line.
#[derive(Clone, Debug)]
pub struct Listener {
    digits: DtmfDetector,
    in_band_digits: bool,
    voice_wanted: bool,
    voice: VoiceActivity,
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
            digits: DtmfDetector::new(),
            in_band_digits: true,
            voice_wanted: true,
            voice: VoiceActivity::new(),
            echo: EchoControl::new(),
            own_digit: None,
        }
    }

    /// Whether digits are heard in the audio. Off where they come as packets (RFC 4733 §2.3.1), lest
    /// one that leaks into the audio is heard twice. A digit that has begun is forgotten.
    pub fn set_in_band_digits(&mut self, on: bool) {
        if on != self.in_band_digits {
            self.in_band_digits = on;
            self.digits = DtmfDetector::new();
        }
    }

    /// Whether voice is listened for; without it a person who spoke goes on speaking.
    pub fn set_voice(&mut self, wanted: bool) {
        self.voice_wanted = wanted;
    }

    /// Whether the echo of what the phone is given is taken out of what it says; off at first.
    pub fn set_echo_control(&mut self, on: bool) {
        self.echo.set(on);
    }

    /// Forgets what was heard: another call, another person.
    pub fn reset(&mut self) {
        self.echo.reset();
        self.own_digit = None;
        self.digits = DtmfDetector::new();
        self.voice = VoiceActivity::new();
    }

    /// The last frame had tones in it that no time-scaling may touch.
    pub fn hears_tones(&self) -> bool {
        self.digits.hears_tones()
    }

    /// Listens to a frame of the phone, which becomes what others are to hear. `given` is what the
    /// phone was given to hear when it said this, or `delay` samples before. Does not allocate,
    /// wait or fail.
    pub fn listen(&mut self, rx: &mut Linear, given: &Linear, delay: usize) -> Listened {
        self.echo.cancel(rx, given, delay, self.digits.hears_tones());
        let level = level::measure(rx);
        let digits = if self.in_band_digits { self.digits.hear(rx) } else { DtmfEvents::new() };
        let digits = self.without_our_own(digits);
        let no_voice = self.digits.hears_tones() || self.echo.only_echo();
        let voice = if self.voice_wanted { self.voice.hear(rx, no_voice) } else { None };
        self.echo.suppress(rx);
        Listened {
            level: level.dbm0,
            clipped: level.clipped,
            voice,
            speaking: self.voice.is_speaking(),
            digits,
        }
    }

    /// A digit that the phone was given to hear, and that came back before the canceller knew the
    /// line, is nobody's.
    fn without_our_own(&mut self, digits: DtmfEvents) -> DtmfEvents {
        let mut others = DtmfEvents::new();
        for event in digits {
            let own = match event {
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
