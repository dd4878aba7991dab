//! What is heard in the audio, and what is put into it.

pub mod bounded;
pub mod dtmf_sender;
pub mod level;
pub mod sine;
pub mod tone_generator;
pub mod tone_plan;
