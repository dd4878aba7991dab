//! Both processes together, with phones nobody here wrote.
//!
//! The modules in the order a test meets them: the running [`system`], clients of it
//! ([`rest`], [`socket`], [`ami`]), applications that it dials ([`agent`]) or that dial it
//! ([`program`]), phones ([`baresip`], [`pjsua`], [`sipp`], [`rtp`], [`ear`], whose network can be
//! bad), what is said into them and what is made of what they heard ([`signal`]), and other machines
//! ([`namespace`]). What is encrypted shows a [`certificate`].

pub mod agent;
pub mod ami;
pub mod baresip;
pub mod certificate;
pub mod ear;
pub mod namespace;
pub mod peer;
pub mod pjsua;
pub mod process;
pub mod program;
pub mod provider;
pub mod python_agent;
pub mod rest;
pub mod rtp;
pub mod signal;
pub mod sipp;
pub mod socket;
pub mod system;
pub mod wait;

/// Whether the long forms of the tests are asked for (`make soak`).
pub fn soak() -> bool {
    std::env::var_os("TIPRING_SOAK").is_some()
}
