//! A network of the host and a machine, so that SIP phones on the host meet it as on any LAN. Needs
//! root.

use crate::Machine;
use std::net::Ipv4Addr;
use std::process::Command;

/// A network interface of the host; removed when dropped.
#[derive(Debug)]
pub struct Lan {
    /// Its name.
    pub tap: String,
    /// The host's address on it.
    pub host: Ipv4Addr,
    /// The machine's.
    pub guest: Ipv4Addr,
}

impl Lan {
    /// Makes one.
    ///
    /// # Panics
    /// If `ip` refuses.
    pub fn new() -> Self {
        let id = std::process::id() % 10_000;
        // RFC 2544's range for tests, and not the part that the network namespaces of other tests take.
        let subnet = (id % 60) as u8 * 4;
        let host = Ipv4Addr::new(198, 18, 78, subnet + 1);
        let guest = Ipv4Addr::new(198, 18, 78, subnet + 2);
        let lan = Self { tap: format!("tipvm{id}"), host, guest };
        ip(&["tuntap", "add", "mode", "tap", "name", &lan.tap]);
        ip(&["addr", "add", &format!("{host}/30"), "dev", &lan.tap]);
        ip(&["link", "set", &lan.tap, "up"]);
        lan
    }

    /// Gives the machine, booted on this interface, its address.
    #[track_caller]
    pub fn join(&self, machine: &Machine) {
        machine.run(&format!(
            "card=$(ip -o link | awk -F': ' '/52:54:00:00:00:02/ {{ print $2 }}') && \
             ip addr add {}/30 dev $card && ip link set $card up",
            self.guest
        ));
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = Command::new(PROGRAM).args(["link", "del", &self.tap]).status();
    }
}

/// Not on an ordinary user's PATH in Debian.
const PROGRAM: &str = "/usr/sbin/ip";

fn ip(arguments: &[&str]) {
    let output = Command::new(PROGRAM).args(arguments).output().expect("ip runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", arguments.join(" "));
}
