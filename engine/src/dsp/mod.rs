//! What is heard in the audio, and what is put into it.
//!
//! A frame of the phone meets, in this order: `concealment` (if it did not come), then
//! [`Listener::listen`]: `level`, `dtmf_detector`, `voice_activity`. What the phone is to hear comes
//! from `tone_generator`, which plays a `tone_plan`, and `dtmf_sender`.

pub mod bounded;
pub mod concealment;
pub mod dtmf_detector;
pub mod dtmf_sender;
pub mod level;
pub mod sine;
pub mod tone_correlator;
pub mod tone_generator;
pub mod tone_plan;
pub mod voice_activity;
