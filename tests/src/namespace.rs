//! Another machine on the LAN: a network namespace joined to this one by a pair of virtual
//! Ethernet ends. Needs root.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// A network namespace; removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// This machine's address towards it.
    pub here: IpAddr,
    /// Its own address.
    pub there: IpAddr,
}

impl Namespace {
    /// Whether this process may make one.
    pub fn possible() -> bool {
        nix::unistd::geteuid().is_root()
    }

    /// Makes one.
    ///
    /// # Panics
    /// If `ip` refuses.
    pub fn new() -> Self {
        let id = std::process::id() % 10_000;
        let name = format!("tipring{id}");
        let (near, far) = (format!("tr{id}a"), format!("tr{id}b"));
        let subnet = (id % 60) as u8 * 4;
        // RFC 2544's range for tests, away from whatever networks this machine is in.
        let here = Ipv4Addr::new(198, 18, 77, subnet + 1);
        let there = Ipv4Addr::new(198, 18, 77, subnet + 2);
        ip(&["netns", "add", &name]);
        let namespace = Self { name: name.clone(), here: here.into(), there: there.into() };
        ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &name]);
        ip(&["addr", "add", &format!("{here}/30"), "dev", &near]);
        ip(&["link", "set", &near, "up"]);
        ip(&["-n", &name, "addr", "add", &format!("{there}/30"), "dev", &far]);
        ip(&["-n", &name, "link", "set", &far, "up"]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        namespace
    }

    /// Runs `work` on a thread whose sockets belong to that machine.
    ///
    /// # Panics
    /// If `work` does, or the namespace is gone.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/var/run/netns/{}", self.name);
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let file = File::open(path).expect("the namespace exists");
                nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("setns");
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new(ip_program()).args(["netns", "del", &self.name]).status();
    }
}

fn ip_program() -> &'static str {
    // Not on an ordinary user's PATH in Debian.
    if std::path::Path::new("/usr/sbin/ip").exists() { "/usr/sbin/ip" } else { "ip" }
}

fn ip(arguments: &[&str]) {
    let output = Command::new(ip_program()).args(arguments).output().expect("ip runs");
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
