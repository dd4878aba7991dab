//! How loud a line is made: a gain that is set, and one that finds itself.
//!
//! *What it does.* A new gain is reached within one frame, so that nothing clicks; 0 dB passes every
//! bit. [`AutomaticGain`] brings speech slowly to −19 dBm0 (the nominal active level of ITU-T G.169),
//! by 12 dB at most either way, and rests while nobody speaks.

use crate::dsp::sample::rounded;
use crate::frame::Linear;
use tipring_shm_proto::units::{TenthDb, TenthDbm0};

/// Where speech is brought to.
pub const NOMINAL: TenthDbm0 = TenthDbm0(-190);
/// By how much at most, tenths of a dB.
pub const MOST: f32 = 120.0;
/// How much of a new level is believed, a frame: half of it after 0.7 s of speech.
const BELIEF: f32 = 0.02;
/// How fast the gain moves, tenths of a dB a frame: 6 dB a second.
const PACE: f32 = 1.2;

/// A gain.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    factor: f32,
}

impl Default for Gain {
    fn default() -> Self {
        Self::new()
    }
}

impl Gain {
    /// 0 dB.
    pub const fn new() -> Self {
        Self { factor: 1.0 }
    }

    /// Amplifies a frame, at whose end the gain is `gain` and `more` tenths of a dB. Does not
    /// allocate, wait or fail.
    pub fn amplify(&mut self, frame: &mut Linear, gain: TenthDb, more: f32) {
        let tenths = f32::from(gain.0) + more;
        // Before the power: most lines have no gain, and it is dear.
        if tenths.abs() < 8e-5 && (self.factor - 1.0).abs() < 1e-6 {
            return;
        }
        let to = 10f32.powf(tenths / 200.0);
        let step = (to - self.factor) / frame.len() as f32;
        for (index, sample) in frame.iter_mut().enumerate() {
            let factor = self.factor + step * (index + 1) as f32;
            *sample = rounded(f32::from(*sample) * factor);
        }
        self.factor = to;
    }
}

/// A gain that finds itself.
#[derive(Clone, Copy, Debug)]
pub struct AutomaticGain {
    /// Level of the speech so far, tenths of a dBm0.
    speech: Option<f32>,
    tenths: f32,
}

impl Default for AutomaticGain {
    fn default() -> Self {
        Self::new()
    }
}

impl AutomaticGain {
    /// Has heard nobody.
    pub const fn new() -> Self {
        Self { speech: None, tenths: 0.0 }
    }

    /// The gain after a frame, tenths of a dB. `speech` is the frame's level while somebody speaks;
    /// off, the gain goes back to nothing.
    pub fn follow(&mut self, speech: Option<TenthDbm0>, on: bool) -> f32 {
        if !on {
            self.speech = None;
            self.tenths -= self.tenths.clamp(-PACE, PACE);
            return self.tenths;
        }
        let Some(TenthDbm0(level)) = speech else { return self.tenths };
        let level = f32::from(level);
        let known = self.speech.get_or_insert(level);
        *known += BELIEF * (level - *known);
        let wanted = (f32::from(NOMINAL.0) - *known).clamp(-MOST, MOST);
        self.tenths += (wanted - self.tenths).clamp(-PACE, PACE);
        self.tenths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level;

    fn sine(frame: usize, dbm0: i16) -> Linear {
        let peak = level::peak(TenthDbm0(dbm0));
        std::array::from_fn(|i| {
            let turns = 0.0525 * (frame * 160 + i) as f32;
            (peak * (std::f32::consts::TAU * turns).sin()).round() as i16
        })
    }

    #[test]
    fn no_gain_changes_no_bit() {
        let mut gain = Gain::new();
        let mut frame = sine(0, -100);
        gain.amplify(&mut frame, TenthDb(0), 0.0);
        assert_eq!(frame, sine(0, -100));
    }

    #[test]
    fn a_change_does_not_click_and_arrives() {
        for (from, to) in [(0, 120), (120, -200), (-200, 0)] {
            let mut gain = Gain::new();
            let mut whole = Vec::new();
            for frame in 0..30 {
                let mut audio = sine(frame, -200);
                gain.amplify(&mut audio, TenthDb(if frame < 10 { from } else { to }), 0.0);
                whole.extend(audio);
            }
            let steepest =
                |samples: &[i16]| samples.windows(2).map(|p| p[1].abs_diff(p[0])).max().unwrap();
            // The first frame is a change, too.
            let own = steepest(&whole[160..1440]).max(steepest(&whole[3200..]));
            assert!(steepest(&whole[1440..2000]) <= own, "{from} to {to}");
            let last: Linear = whole[29 * 160..].try_into().unwrap();
            let off = level::measure(&last).dbm0.0 - (-200 + to);
            assert!(off.abs() <= 1, "{off}");
        }
    }

    #[test]
    fn speech_is_brought_to_its_nominal_level_slowly_and_kept_through_pauses() {
        for speech in [-310, -250, -190, -120, -400] {
            let mut gain = AutomaticGain::new();
            let mut before = 0.0;
            for frame in 0..500 {
                // Words and pauses of half a second.
                let heard = (frame / 25 % 2 == 0).then_some(TenthDbm0(speech));
                let now = gain.follow(heard, true);
                assert!((now - before).abs() <= PACE + 1e-3);
                assert!(heard.is_some() || (now - before).abs() < 1e-6, "moved in a pause");
                before = now;
            }
            let expected = f32::from(-190 - speech).clamp(-MOST, MOST);
            assert!((before - expected).abs() < 1.0, "{speech}: {before}");
            for _ in 0..200 {
                before = gain.follow(Some(TenthDbm0(speech)), false);
            }
            assert!(before.abs() < 1e-6, "{before}");
        }
    }
}
