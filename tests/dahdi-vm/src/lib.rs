//! Tipring on the real DAHDI driver: a virtual machine, a card in it, and telephones on the card.
//!
//! The modules in the order a test meets them: the [`machine`], the [`card`] that is plugged into
//! it, and a [`telephone`] at one of its ports.

pub mod card;
pub mod machine;
pub mod telephone;

pub use card::Card;
pub use machine::Machine;
pub use telephone::Telephone;
