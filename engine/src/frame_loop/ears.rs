//! What a line hears: frames that never came are concealed, the echo is taken out, then levels,
//! digits and voice are found, and what others hear has its gain. What a loop without time can do
//! without is left out here.

use crate::dsp::concealment::Concealment;
use crate::dsp::gain::{AutomaticGain, Gain};
use crate::dsp::limiter::Limiter;
use crate::dsp::{Listened, Listener};
use crate::frame::{Heard, Linear, SILENCE};
use tipring_shm_proto::settings::LineSettings;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Ears {
    concealment: Concealment,
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
            concealment: Concealment::new(),
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
        self.listener.set_echo_control(settings.echo_canceller);
    }

    /// The loop lacks, or has again, the time to listen for voice.
    pub(super) fn shed(&mut self, overloaded: bool) {
        self.listener.set_voice(!overloaded);
    }

    /// Makes `rx` what others hear of what the phone said, or probably said; `None` while there is
    /// no phone to hear. `given` and `delay` as in [`Listener::listen`].
    pub(super) fn listen(
        &mut self,
        heard: Heard,
        rx: &mut Linear,
        given: &Linear,
        delay: usize,
        settings: &LineSettings,
    ) -> Option<Listened> {
        match heard {
            Heard::Nothing => {
                *rx = SILENCE;
                self.rest();
                return None;
            }
            Heard::Frame => self.concealment.heard(rx),
            Heard::Missing => self.concealment.missing(rx),
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
            self.concealment = Concealment::new();
            self.automatic = AutomaticGain::new();
        }
    }
}
