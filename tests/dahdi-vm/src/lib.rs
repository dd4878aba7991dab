//! Tipring on the real DAHDI driver: a virtual machine, a card in it, and telephones on the card.
//!
//! The modules in the order a test meets them: the [`machine`], Tipring [`installed`] in it, the
//! [`card`] that is plugged into it, the whole [`system`], and a [`telephone`] at one of its ports; a
//! [`lan`] joins it to SIP phones on the host. Stories that are independent share a machine ([`story`]).

pub mod card;
pub mod installed;
pub mod lan;
pub mod machine;
pub mod story;
pub mod system;
pub mod telephone;

pub use card::Card;
pub use installed::Installed;
pub use lan::Lan;
pub use machine::Machine;
pub use story::story;
pub use system::System;
pub use telephone::Telephone;
