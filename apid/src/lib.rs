//! The unprivileged half of Tipring.
pub mod sip;
