//! The unprivileged half of Tipring: who may do what, and what it means. Devices, audio and
//! everything that must happen at the next frame are the engine's.
//!
//! Modules in the order a request meets them: `http` and `sip` translate, [`control`] decides.

pub mod ami;
pub mod agi;
pub mod audio_format;
pub mod auth;
pub mod call;
pub mod channel;
pub mod cli;
pub mod config;
pub mod control;
pub mod digit_collector;
pub mod engine_link;
mod event_json;
pub mod fetch;
pub mod http;
pub mod hub;
pub mod import;
pub mod journal;
pub mod log;
pub mod plan;
pub mod recording;
pub mod provisioning;
pub mod self_test;
pub mod sip;
pub mod sounds;
pub mod speech;
pub mod startup;
pub mod store;
pub mod stream;
pub mod tls;
pub mod twilio_sid;
pub mod view;
