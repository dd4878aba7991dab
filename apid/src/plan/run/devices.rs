//! `SIP/202`, `SIM/1`, `DAHDI/3`: devices as a plan names them.

use super::session::Session;
use crate::channel::Endpoint;
use crate::control::LineEntry;

/// Devices of one Dial.
const DEVICES_MAX: usize = crate::call::DIAL_MAX;

impl Session {
    /// The lines of devices with `&` between them; what is none is told, and left out.
    pub(super) fn lines_of(&self, devices: &str) -> Vec<String> {
        let named = devices.split('&').map(str::trim).filter(|device| !device.is_empty());
        let line = |device: &str| {
            let line = self.line_of(device);
            if line.is_none() {
                self.complaint(&format!("`{device}` is no device"));
            }
            line
        };
        named.take(DEVICES_MAX).filter_map(line).collect()
    }

    fn line_of(&self, device: &str) -> Option<String> {
        let entries = self.services.control.line_entries(&Self::caller()).ok()?;
        let (kind, name) = device.split_once('/')?;
        if kind.eq_ignore_ascii_case("Local") {
            let number = name.split_once('@').filter(|(_, context)| context.starts_with("default"));
            let (number, _) = number?;
            let has = |entry: &&LineEntry| entry.extension.as_deref() == Some(number);
            return entries.iter().find(has).map(|entry| entry.id.clone());
        }
        // A phone is the same whichever of Asterisk's drivers the plan was written for.
        let sip = ["SIP", "PJSIP"].iter().any(|driver| driver.eq_ignore_ascii_case(kind));
        let kind = if sip { "SIP" } else { kind };
        let found = entries.iter().find(|entry| {
            let address = Endpoint::of(entry).address();
            address.eq_ignore_ascii_case(&format!("{kind}/{name}"))
                || sip && entry.sip && entry.id.eq_ignore_ascii_case(name)
        });
        found.map(|entry| entry.id.clone())
    }
}
