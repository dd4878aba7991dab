//! Live audio of a line: taps hear it, players speak into it.

use super::{Control, Refused};
use crate::auth::Caller;
use crate::view::{Played, TapDirection, Timestamp};

/// Samples of 20 ms at 8 kHz.
pub type Samples = [i16; 160];

/// One frame of a line's audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapFrame {
    /// What the phone says, where it was asked for.
    pub rx: Option<Samples>,
    /// What it hears, where it was asked for.
    pub tx: Option<Samples>,
    /// When the frame was heard.
    pub at: Timestamp,
    /// Counts the line's frames; a gap is told by [`Tapped::Lost`].
    pub seq: u64,
}

/// What a tap delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tapped {
    /// 20 ms.
    Frame(Box<TapFrame>),
    /// So many frames are lost: the client was too slow.
    Lost(u64),
    /// There will be no more: the engine or the line is gone, or the stream was stopped.
    Gone,
}

/// Somebody listens to a line. Dropping it ends that.
#[derive(Debug)]
pub struct AudioTap {}

impl AudioTap {
    /// The next 20 ms; waits for them. May be cancelled without loss.
    pub async fn next(&mut self) -> Tapped {
        Tapped::Gone
    }
}

/// How a player plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayerOptions {
    /// Into the microphone of a simulated phone, instead of to the person at the phone.
    pub microphone: bool,
    /// 20 to 60 000; what waits beyond is refused.
    pub max_queued_ms: u32,
}

/// How much waits to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Length of it.
    pub queued_ms: u64,
    /// Age of the oldest of it.
    pub age_ms: u64,
}

/// What a player tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayerNote {
    /// A mark was reached: everything written before it was handed to the device.
    Mark {
        /// Its name.
        name: String,
        /// Handed to the device since the player was opened or cleared.
        played_ms: u64,
    },
    /// There will be no more: the line hung up, the device or the engine is gone.
    Ended,
}

/// Somebody speaks into a line. Dropping it flushes what waits.
#[derive(Debug)]
pub struct Player {}

impl Player {
    /// Appends samples, 8 kHz mono, any length. Never waits.
    ///
    /// # Errors
    /// `Full` beyond `max_queued_ms`, nothing was taken then; `WrongState` after `Ended`.
    pub fn write(&self, _samples: &[i16]) -> Result<Queued, Refused> {
        Err(Refused::EngineAway)
    }

    /// Asks to be told when everything written so far has been handed to the device.
    ///
    /// # Errors
    /// `Full` beyond 256 marks; `WrongState` after `Ended`.
    pub fn mark(&self, _name: &str) -> Result<(), Refused> {
        Err(Refused::EngineAway)
    }

    /// Drops what waits, silent from the next frame. Pending marks are told, with what was played.
    ///
    /// # Errors
    /// `EngineAway`, `TimedOut`.
    pub async fn clear(&self) -> Result<Played, Refused> {
        Err(Refused::EngineAway)
    }

    /// How much waits.
    pub fn queued(&self) -> Queued {
        Queued { queued_ms: 0, age_ms: 0 }
    }

    /// The next note; waits for it. May be cancelled without loss.
    pub async fn next_note(&mut self) -> PlayerNote {
        PlayerNote::Ended
    }
}

impl Control {
    /// Listens to a line, from now on, whatever its state. Needs `audio`. `remote` names the
    /// client in diagnostics.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`, `EngineAway`, `Full`.
    pub fn audio_tap(
        &self,
        _caller: &Caller,
        _line: &str,
        _direction: TapDirection,
        _remote: &str,
    ) -> Result<AudioTap, Refused> {
        Err(Refused::EngineAway)
    }

    /// Opens a player; it takes one of the line's four playback slots when it is first written
    /// to. Needs `audio`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`, `WrongKind` for the microphone of a phone that is not
    /// simulated, `Invalid`, `EngineAway`.
    pub async fn open_player(
        &self,
        _caller: &Caller,
        _line: &str,
        _options: PlayerOptions,
    ) -> Result<Player, Refused> {
        Err(Refused::EngineAway)
    }
}
