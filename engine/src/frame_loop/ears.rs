//! What a line hears: frames that never came are concealed, then levels, digits and voice are
//! found. What a loop without time can do without is left out here.

use crate::dsp::concealment::Concealment;
use crate::dsp::{Listened, Listener};
use crate::frame::{Heard, Linear, SILENCE};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Ears {
    concealment: Concealment,
    listener: Listener,
    /// Something was heard since the last rest.
    awake: bool,
}

impl Ears {
    pub(super) fn new() -> Self {
        Self { concealment: Concealment::new(), listener: Listener::new(), awake: false }
    }

    /// Whether digits are looked for in the audio.
    pub(super) fn set_in_band_digits(&mut self, on: bool) {
        self.listener.set_in_band_digits(on);
    }

    /// The loop lacks, or has again, the time to listen for voice.
    pub(super) fn shed(&mut self, overloaded: bool) {
        self.listener.set_voice(!overloaded);
    }

    /// Makes `rx` what the phone said, or probably said; `None` while there is no phone to hear.
    pub(super) fn listen(
        &mut self,
        heard: Heard,
        rx: &mut Linear,
        reference: &Linear,
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
        Some(self.listener.listen(rx, reference))
    }

    /// The next thing heard will be another call.
    pub(super) fn rest(&mut self) {
        if std::mem::take(&mut self.awake) {
            self.listener.reset();
            self.concealment = Concealment::new();
        }
    }
}
