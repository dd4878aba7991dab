//! The one door: everything a client can ask of Tipring, whatever surface it came by. Asks first
//! whether this caller may, then whether it can be done, then does it.
//!
//! Scopes: looking needs `read`, acting needs `control`, hearing and speaking need `audio`, the
//! system as a whole and faults of simulated hardware need `admin`. A line the caller may not see
//! does not exist for it.

mod audio;
mod calls;
mod diagnostics;
mod lines;
mod phone;
mod playback;
mod refused;
mod signalling;
mod sim;
mod streams;

pub use crate::call::{Cause, MediaAnswer, MediaOffer, RemoteMedia};
pub use audio::{AudioTap, Player, PlayerNote, PlayerOptions, Queued, Samples, TapFrame, Tapped};
pub use playback::{PlayOptions, PlaySource};
pub use refused::Refused;
pub use signalling::{NoSignalling, RegistrationChange, Signalling, SignallingError};

use crate::auth::Caller;
use crate::hub::{Filter, Hub, Listener};
use std::sync::Arc;

/// The one door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hub: Hub,
}

impl Control {
    /// Everything that happens on lines the caller may see. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a line or type that does not exist.
    pub fn listen(
        &self,
        caller: &Caller,
        filter: Filter,
        since: Option<u64>,
        remote: &str,
    ) -> Result<Listener, Refused> {
        Ok(self.0.hub.listen(caller, filter, since, remote))
    }
}
