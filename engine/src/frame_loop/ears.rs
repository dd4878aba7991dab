//! What a line hears: the frames of its phone become an even stream, the echo is taken out, then
//! levels, digits and voice are found, and what others hear has its gain. What a loop without time can do
//! without is left out here.

use super::playout::{Playout, PlayoutCounts};
use crate::dsp::call_progress::ToneEvent;
use crate::dsp::gain::{AutomaticGain, Gain};
use crate::dsp::limiter::Limiter;
use crate::dsp::voice_activity::VoiceEvent;
use crate::dsp::{Listened, Listener};
use crate::frame::{Heard, Linear, Pace, SILENCE};
use crate::signal::Signal;
use tipring_shm_proto::event::SpeechEnd;
use tipring_shm_proto::line_table::MeterRow;
use tipring_shm_proto::settings::LineSettings;
use tipring_shm_proto::units::{Nanos, TenthDbm0};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Ears {
    playout: Playout,
    listener: Listener,
    gain: Gain,
    automatic: AutomaticGain,
    limiter: Limiter,
    /// Something was heard since the last rest.
    awake: bool,
}

impl Ears {
    pub(super) fn new() -> Self {
        Self {
            playout: Playout::new(),
            listener: Listener::new(),
            gain: Gain::new(),
            automatic: AutomaticGain::new(),
            limiter: Limiter::new(),
            awake: false,
        }
    }

    /// Whether digits are looked for in the audio.
    pub(super) fn set_in_band_digits(&mut self, on: bool) {
        self.listener.set_in_band_digits(on);
    }

    /// Takes over what of a line's settings concerns listening.
    pub(super) fn set(&mut self, settings: &LineSettings) {
        self.listener.set(settings);
    }

    /// The loop lacks, or has again, the time to listen for voice.
    pub(super) fn shed(&mut self, overloaded: bool) {
        self.listener.set_voice(!overloaded);
    }

    /// Samples of the phone that were put and not heard yet.
    pub(super) fn held(&self) -> u32 {
        self.playout.held()
    }

    /// What was done to the phone's audio in this call.
    pub(super) fn counts(&self) -> PlayoutCounts {
        self.playout.counts()
    }

    /// What the meter says of the phone.
    pub(super) fn meter(&self) -> &MeterRow {
        self.listener.meter()
    }

    /// Another frame of the phone has to be put before this tick's is heard, or should be if it
    /// `is_here`.
    pub(super) fn wants(&self, pace: Pace, is_here: impl FnOnce() -> bool) -> bool {
        self.playout.wants(pace, is_here)
    }

    /// Takes a frame of the phone; one that did not come is made up.
    pub(super) fn put(&mut self, heard: Heard, frame: &mut Linear) {
        self.playout.put(heard, frame);
    }

    /// Makes `rx` what the phone said in this tick, or probably said. `ppm` is what its clock is ahead
    /// of ours.
    pub(super) fn play(&mut self, pace: Pace, ppm: Option<f64>, rx: &mut Linear) -> Heard {
        self.playout.play(pace, self.listener.hears_tones(), ppm, rx)
    }

    /// Another call begins.
    pub(super) fn begin_call(&mut self) {
        self.rest();
        self.playout.begin_call();
    }

    /// Makes `rx` what others hear of what the phone said in this tick; silence and `None` while there
    /// is no phone to hear. `given` and `delay` as in [`Listener::listen`].
    pub(super) fn listen(
        &mut self,
        heard: Heard,
        rx: &mut Linear,
        given: &Linear,
        delay: usize,
        settings: &LineSettings,
    ) -> Option<Listened> {
        if heard == Heard::Nothing {
            *rx = SILENCE;
            self.rest();
            return None;
        }
        self.awake = true;
        let listened = self.listener.listen(rx, given, delay);
        let speech = listened.speaking.then_some(listened.level);
        let more = self.automatic.follow(speech, settings.automatic_gain);
        self.gain.amplify(rx, settings.rx_gain, more);
        self.limiter.limit(rx, settings.limiter);
        Some(listened)
    }

    /// The next thing heard will be another call.
    pub(super) fn rest(&mut self) {
        if std::mem::take(&mut self.awake) {
            self.listener.reset();
            self.playout.rest();
            self.automatic = AutomaticGain::new();
        }
    }
}

/// A tone that was heard in the frame that ended now.
pub(super) fn tone_signal(heard: ToneEvent, now: Nanos) -> Signal {
    let ToneEvent { tone, active, level, began_ago_ms, duration_ms } = heard;
    Signal::Tone { tone, active, level, began: now.before_ms(began_ago_ms), duration_ms }
}

/// What was heard in the frame that ended now.
pub(super) fn voice_signal(heard: VoiceEvent, noise: TenthDbm0, now: Nanos) -> Signal {
    match heard {
        VoiceEvent::Begin { ago_ms, level } => {
            let began = now.before_ms(u32::from(ago_ms));
            Signal::Voice { active: true, level, noise, began, ended: None }
        }
        VoiceEvent::Confirmed => Signal::VoiceConfirmed,
        VoiceEvent::End { ago_ms, lasted_ms, level } => {
            let ended = now.before_ms(u32::from(ago_ms));
            let began = ended.before_ms(lasted_ms);
            Signal::Voice { active: false, level, noise, began, ended: Some(ended) }
        }
        VoiceEvent::ProvisionalEnd { ago_ms } => speech_end(SpeechEnd::Provisional, ago_ms, now),
        VoiceEvent::Withdrawn => speech_end(SpeechEnd::Withdrawn, 0, now),
        VoiceEvent::FinalEnd { ago_ms } => speech_end(SpeechEnd::Final, ago_ms, now),
    }
}

fn speech_end(certainty: SpeechEnd, ago_ms: u16, now: Nanos) -> Signal {
    Signal::SpeechEnd { certainty, last_sound: now.before_ms(u32::from(ago_ms)) }
}
