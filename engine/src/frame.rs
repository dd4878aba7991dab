//! 20 ms of audio, as the engine holds it.

use tipring_shm_proto::command::Law;
use tipring_shm_proto::units::FRAME_SAMPLES;

/// One frame of linear samples, 8 kHz.
pub type Linear = [i16; FRAME_SAMPLES];

/// Digital silence.
pub const SILENCE: Linear = [0; FRAME_SAMPLES];

/// One frame as a device speaks it (ITU-T G.711).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Companded {
    /// Companding law of `octets`.
    pub law: Law,
    /// One octet a sample.
    pub octets: [u8; FRAME_SAMPLES],
}

/// What reading a device gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A frame of the phone's audio.
    Frame,
    /// There should have been one: conceal it.
    Missing,
    /// There is nothing to hear: on hook, not receiving, silence by agreement.
    Nothing,
}

/// How a device wants what it gave to be played, so that its buffer gets the depth it aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pace {
    /// As it is.
    #[default]
    Steady,
    /// A little slower: too little waits.
    Slower,
    /// A little faster: too much waits.
    Faster,
    /// Faster, and not particular about it: far too much waits.
    Hurry,
}
