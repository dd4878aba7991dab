//! Playing to a phone: tones, prompts, audio that came with a request.

use super::{Control, Refused};
use crate::auth::Caller;
use crate::view::{Played, StopOn, ToneRequest};

/// What to play.
#[derive(Clone, Debug, PartialEq)]
pub enum PlaySource {
    /// Made by the engine.
    Tone(ToneRequest),
    /// A WAV file of the sounds folder, by its name without `.wav`; never a path out of it.
    Prompt(String),
    /// A complete WAV file of any rate, width and channels.
    Wav(Vec<u8>),
    /// Linear, 8 kHz, mono.
    Pcm(Vec<i16>),
    /// To be fetched.
    Url(String),
    /// To be spoken.
    Say(String),
}

/// How to play it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayOptions {
    /// Again and again until stopped.
    pub looped: bool,
    /// −40 to +12.
    pub gain_db: f32,
    /// What silences it.
    pub stop_on: Vec<StopOn>,
    /// A `mark` of this name is told when it has been played to its end.
    pub mark: Option<String>,
}

impl Control {
    /// Plays to the person at the phone, mixed with what plays already; gives the playback's id.
    /// Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook; `Invalid` with the reason for audio that is not what
    /// it says it is; `NoSuchPrompt`; `Full` beyond four playbacks; `NotBuilt` for urls and
    /// speech; `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn play(
        &self,
        _caller: &Caller,
        _line: &str,
        _source: PlaySource,
        _options: PlayOptions,
    ) -> Result<String, Refused> {
        Err(Refused::EngineAway)
    }

    /// Stops a playback: silent from the next frame. Tells how much of it was handed to the
    /// device and not flushed. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchPlayback`, `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn stop_playback(
        &self,
        _caller: &Caller,
        _line: &str,
        _playback_id: &str,
    ) -> Result<Played, Refused> {
        Err(Refused::EngineAway)
    }

    /// Stops all playbacks of a line; tells the longest. Needs `control`.
    ///
    /// # Errors
    /// `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn stop_playbacks(&self, _caller: &Caller, _line: &str) -> Result<Played, Refused> {
        Err(Refused::EngineAway)
    }
}
