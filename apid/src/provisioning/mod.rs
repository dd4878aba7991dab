//! Setting adapters up: what a Grandstream HT80x needs to be told, served as the file that it asks
//! for, compared with what it has, and what it says of its handsets while nobody calls.
//!
//! In the order of a device's life: `settings` is what we want of it, `window` lets it fetch that,
//! `audit` finds what differs afterwards, `snmp` asks for its hook states. Nothing here opens a
//! socket but `hooks`.

mod audit;
mod hooks;
mod secrets;
mod settings;
mod snmp;
mod window;

pub use audit::{Difference, differences};
pub use hooks::{HookSeen, Hooks};
pub use secrets::{device_secrets, random_secret};
pub use settings::{Device, Model, Port, settings_of, to_xml};
pub use window::{Denied, Fetch, Opened, Windows};
