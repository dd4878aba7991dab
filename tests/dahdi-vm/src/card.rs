//! The fake FXS card in the guest: plugged, pulled out, given voltages and alarms.

use crate::Machine;
use crate::telephone;

/// A card in a machine. Its FXS ports are DAHDI channels `1..=ports`, the telephones' ends of them
/// channels `ports + 1..=2 * ports`.
#[derive(Debug)]
pub struct Card<'a> {
    machine: &'a Machine,
    /// FXS ports.
    pub ports: u16,
}

impl<'a> Card<'a> {
    /// A card in the state in which `dahdi_cfg` leaves one, without udev's or systemd's doing:
    /// channels assigned and configured, tone zone loaded, telephones on hook.
    #[track_caller]
    pub fn plug(machine: &'a Machine, ports: u16) -> Self {
        let card = Self::load(machine, ports, "1");
        machine.run("dahdi_cfg");
        card
    }

    /// A card that is not there yet, where Debian's driver and the telephones are ready: after
    /// `command("plug")` its span has no number and its channels no signalling until somebody gives
    /// them (`auto_assign_spans=0`).
    #[track_caller]
    pub fn away(machine: &'a Machine, ports: u16) -> Self {
        let card = Self::load(machine, ports, "0");
        // It was there once, so that the telephones have the numbers after its own.
        let devices = "/sys/bus/dahdi_devices/devices/platform:";
        machine.run(&format!(
            "dahdi_span_assignments auto {devices}fakefxs.0 && \
             dahdi_span_assignments auto {devices}fakephones.0 && dahdi_cfg && \
             echo unplug >/dev/fakefxs && udevadm settle"
        ));
        card
    }

    #[track_caller]
    fn load(machine: &'a Machine, ports: u16, auto_assign: &str) -> Self {
        machine.write("/etc/dahdi/system.conf", &system_conf(ports));
        machine.run(&format!(
            "modprobe dahdi auto_assign_spans={auto_assign} && \
             modprobe fakefxs ports={ports} && udevadm settle"
        ));
        telephone::serve(machine);
        Self { machine, ports }
    }

    /// Writes one command to the card; the head of `fakefxs/fakefxs.c` lists them.
    #[track_caller]
    pub fn command(&self, command: &str) {
        self.machine.run(&format!("echo '{command}' >/dev/fakefxs"));
    }

    /// Opens and closes the contact of a port's hook: it is closed at once, and changes after each
    /// of these times. Waits until it has.
    #[track_caller]
    pub fn contact(&self, port: u16, changes_ms: &[f64]) {
        let times: Vec<String> = changes_ms.iter().map(ToString::to_string).collect();
        let times = times.join(" ");
        self.machine.run(&format!("chrt -f 40 /host/telephone contact {port} {times}"));
    }

    /// What the card says of itself and of its ports.
    #[track_caller]
    pub fn state(&self) -> String {
        self.machine.run("cat /dev/fakefxs")
    }

    /// What the card does to the line of `port`: `idle`, `offhook`, `ringing` or `kewl` (no
    /// battery).
    ///
    /// # Panics
    /// If there is no such port.
    #[track_caller]
    pub fn line(&self, port: u16) -> String {
        let state = self.state();
        let wanted = format!("port {port} line ");
        let found = state.lines().find_map(|line| line.strip_prefix(&wanted));
        let found = found.unwrap_or_else(|| panic!("no port {port} in\n{state}"));
        found.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// The telephone's own channel at `port`.
    pub fn telephone_channel(&self, port: u16) -> u16 {
        self.ports + port
    }
}

fn system_conf(ports: u16) -> String {
    let (first, last) = (ports + 1, 2 * ports);
    format!("fxoks=1-{ports}\nfxsks={first}-{last}\nloadzone=us\ndefaultzone=us")
}
