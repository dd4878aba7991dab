//! SIP for telephones: registrations, calls from phones, calls to phones (RFC 3261).
pub mod dialog;
pub mod digest;
pub mod gate;
pub mod message;
pub mod registrar;
pub mod sdp;
