//! Keeps channels up with what happens to calls.

use super::calls::Lookup;
use super::model::{Endpoint, EndpointKind};
use super::shared::Channels;
use crate::auth::Caller;
use crate::control::{Control, LineEntry};
use crate::hub::Delivery;
use crate::view::Call;

/// Takes every notice of the hub from now on; ends with the process.
pub async fn follow(channels: Channels, control: Control) {
    let mut listener = control.listen_inside("channels");
    let lookup = OfControl { caller: Caller::everything("channels"), control: control.clone() };
    // Calls that an earlier apid left behind are told by nobody.
    channels.resync(&control.calls(&lookup.caller).unwrap_or_default(), &lookup);
    loop {
        match listener.next().await {
            Delivery::Notice(notice) => channels.take(&notice, &lookup),
            Delivery::Lagged { missed } => {
                tracing::warn!(missed, "channels missed news of calls; reading them anew");
                // This caller may read.
                let calls = control.calls(&lookup.caller).unwrap_or_default();
                channels.resync(&calls, &lookup);
            }
        }
    }
}

struct OfControl {
    caller: Caller,
    control: Control,
}

impl Lookup for OfControl {
    fn endpoint(&self, line: &str) -> Option<Endpoint> {
        self.control.line_entry(&self.caller, line).ok().map(|entry| endpoint(&entry))
    }

    fn call_of(&self, line: &str) -> Option<Call> {
        let call = self.control.line(&self.caller, line).ok()?.call_id?;
        self.control.call(&self.caller, &call).ok()
    }
}

impl Endpoint {
    /// Of a line.
    pub fn of(entry: &LineEntry) -> Self {
        endpoint(entry)
    }
}

fn endpoint(entry: &LineEntry) -> Endpoint {
    let number = entry.extension.clone().unwrap_or_default();
    let (kind, name) = match entry.label.split_once('/') {
        Some(("dahdi", channel)) => (EndpointKind::Dahdi, channel.to_owned()),
        Some(("sim", line)) => (EndpointKind::Sim, line.to_owned()),
        _ => (EndpointKind::Sip, entry.extension.clone().unwrap_or_else(|| entry.id.clone())),
    };
    Endpoint { kind, name, number, caller_name: entry.name.clone() }
}
