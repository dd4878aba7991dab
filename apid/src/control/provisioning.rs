//! Setting adapters up: who may open a window, fetch, compare, resync.

use super::access::need;
use super::{Control, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::provisioning::{
    Device, Fetch, Hooks, Model, Opened, Windows, differences, random_secret, to_xml,
};
use crate::view::{
    Hook, OpenedWindow, ProvisionedDevice, ProvisionedPort, SettingDifference, Timestamp,
    WindowState,
};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest time a window stays open, minutes.
const MAX_MINUTES: u32 = 24 * 60;
/// Most fetches of a window.
const MAX_FETCHES: u32 = 10;

/// Devices and their windows.
#[derive(Debug, Default)]
pub(super) struct Provisioning {
    devices: Vec<Device>,
    windows: Mutex<Windows>,
    fetched: Mutex<HashMap<String, Timestamp>>,
    hooks: Hooks,
}

impl Provisioning {
    pub(super) fn new(devices: Vec<Device>) -> Self {
        Self { devices, ..Self::default() }
    }

    pub(super) fn start(&self) {
        self.hooks.follow(&self.devices);
    }

    fn device(&self, mac: &str) -> Result<&Device, Refused> {
        self.devices.iter().find(|device| device.mac == mac).ok_or(Refused::NoSuchDevice)
    }
}

impl Control {
    /// Adapters that are set up from here. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn devices(&self, caller: &Caller) -> Result<Vec<ProvisionedDevice>, Refused> {
        need(caller, Scope::Admin)?;
        let all = &self.0.provisioning;
        let now_ms = now_ms();
        let port = |user: &String| {
            let seen = all.hooks.of(user);
            ProvisionedPort {
                line: user.clone(),
                hook: match seen {
                    Some(seen) if seen.off => Hook::Off,
                    Some(_) => Hook::On,
                    None => Hook::Unknown,
                },
                hook_source: seen.map(|_| "snmp".to_owned()),
                hook_age_ms: seen.map(|seen| seen.at.elapsed().as_millis() as u64),
            }
        };
        let device = |device: &Device| ProvisionedDevice {
            mac: device.mac.clone(),
            model: match device.model {
                Model::Ht801 => "ht801",
                Model::Ht802 => "ht802",
                Model::Ht802V2 => "ht802v2",
            }
            .to_owned(),
            window: lock(&all.windows)
                .of(&device.mac, now_ms)
                .map(|(until_ms, fetches)| WindowState { until: at(until_ms), fetches }),
            fetched_at: lock(&all.fetched).get(&device.mac).copied(),
            ports: device.ports.iter().map(|p| port(&p.user)).collect(),
        };
        Ok(all.devices.iter().map(device).collect())
    }

    /// Lets a device fetch its file for a while, a few times. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchDevice`, `Invalid`.
    pub fn open_window(
        &self,
        caller: &Caller,
        mac: &str,
        minutes: u32,
        fetches: u32,
    ) -> Result<OpenedWindow, Refused> {
        need(caller, Scope::Admin)?;
        let mac = self.0.provisioning.device(mac)?.mac.clone();
        for (field, value, most) in
            [("minutes", minutes, MAX_MINUTES), ("fetches", fetches, MAX_FETCHES)]
        {
            if !(1..=most).contains(&value) {
                let reason = format!("{value} is out of range; allowed is 1 to {most}");
                return Err(Refused::Invalid { field, reason });
            }
        }
        let password = random_secret().map_err(|_| Refused::Full { what: "random numbers" })?;
        let until_ms = now_ms() + u64::from(minutes) * 60_000;
        tracing::info!(mac, minutes, fetches, caller = caller.name, "window opened for a device");
        let opened = Opened { password: password.clone(), until_ms, fetches };
        lock(&self.0.provisioning.windows).open(&mac, opened);
        let path = format!("/provisioning/{password}/");
        Ok(OpenedWindow { path, user: mac, password, until: at(until_ms), fetches })
    }

    /// Closes a window early. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchDevice` where none is open.
    pub fn close_window(&self, caller: &Caller, mac: &str) -> Result<(), Refused> {
        need(caller, Scope::Admin)?;
        let closed = lock(&self.0.provisioning.windows).close(mac);
        if closed { Ok(()) } else { Err(Refused::NoSuchDevice) }
    }

    /// The file of a device that asks for it. Needs an open window and its password, whoever asks.
    ///
    /// # Errors
    /// `NoSuchDevice`, whatever the reason is.
    pub fn device_file(&self, mac: &str, by: Fetch<'_>, remote: &str) -> Result<String, Refused> {
        let all = &self.0.provisioning;
        let device = all.device(mac)?;
        let fetched = lock(&all.windows).fetch(mac, by, now_ms());
        if let Err(denied) = fetched {
            tracing::warn!(mac, remote, ?denied, "a device's file was refused");
            return Err(Refused::NoSuchDevice);
        }
        tracing::info!(mac, remote, "a device fetched its file");
        lock(&all.fetched).insert(mac.to_owned(), Timestamp::now());
        Ok(to_xml(device))
    }

    /// What differs between what a device has and what we need. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchDevice`; `Invalid` for what is no exported configuration.
    pub fn audit(
        &self,
        caller: &Caller,
        mac: &str,
        exported: &str,
    ) -> Result<Vec<SettingDifference>, Refused> {
        need(caller, Scope::Admin)?;
        let device = self.0.provisioning.device(mac)?;
        let found = differences(device, exported).ok_or_else(|| Refused::Invalid {
            field: "body",
            reason: "no setting was found; allowed are lines `P47=…` and the device's own XML"
                .to_owned(),
        })?;
        let view = |d: crate::provisioning::Difference| SettingDifference {
            setting: d.setting,
            wanted: d.wanted,
            found: d.found,
        };
        Ok(found.into_iter().map(view).collect())
    }

    /// Asks a device by NOTIFY to fetch its file again, or to start anew. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchDevice`; `Signalling` where none of its ports is registered.
    pub async fn resync_device(
        &self,
        caller: &Caller,
        mac: &str,
        reboot: bool,
    ) -> Result<(), Refused> {
        need(caller, Scope::Admin)?;
        let device = self.0.provisioning.device(mac)?;
        let event = if reboot { "check-sync;reboot=true" } else { "resync" };
        for port in &device.ports {
            if self.signalling().notify(&port.user, event).await.is_ok() {
                return Ok(());
            }
        }
        Err(Refused::Signalling("none of the device's ports is registered".to_owned()))
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn at(ms: u64) -> Timestamp {
    Timestamp(UNIX_EPOCH + Duration::from_millis(ms))
}
