//! Tipring installed in the guest, by `make install` and from the binaries that were built for it.

use crate::Machine;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tipring_tests::rest::Rest;
use tipring_tests::socket::Socket;
use tipring_tests::system::repository;

/// How long a unit may take to start under emulation.
pub const UNIT_PATIENCE: Duration = Duration::from_mins(1);
/// The guest's address towards the host.
pub const GUEST: &str = "10.0.2.15";
/// The engine's unit.
pub const ENGINE: &str = "tipring-engine.service";
/// apid's unit.
pub const APID: &str = "tipring-apid.service";
/// apid's HTTP.
pub const HTTP_PORT: u16 = 8000;

/// An installed Tipring.
#[derive(Debug)]
pub struct Installed<'a> {
    machine: &'a Machine,
}

impl<'a> Installed<'a> {
    /// Runs `make install` in the guest. Nothing is started.
    ///
    /// # Panics
    /// If a binary was not built.
    #[track_caller]
    pub fn on(machine: &'a Machine) -> Self {
        for name in ["tipring-engine", "tipring-apid", "tipring"] {
            let lent = machine.share().join("target/release").join(name);
            std::fs::create_dir_all(lent.parent().expect("a folder")).expect("the share");
            // Lines of code are of no use in the guest, and ten times the size.
            let stripped = Command::new("strip")
                .args(["--strip-debug", "-o"])
                .args([&lent, &release().join(name)])
                .status();
            let is_there = stripped.is_ok_and(|status| status.success());
            assert!(is_there, "{name} is not built: tools/test dahdi builds it");
        }
        for folder in ["systemd", "udev", "tools", "docs"] {
            lend_folder(machine, folder);
        }
        for file in ["Makefile", "engine/engine.yml", "apid/apid.yml"] {
            machine.lend(&repository().join(file), file);
        }
        machine.run("make -C /host install");
        Self { machine }
    }

    /// Writes `/etc/tipring/{name}`.
    #[track_caller]
    pub fn configure(&self, name: &str, text: &str) {
        self.machine.run(&format!("rm -f /etc/tipring/{name}"));
        self.machine.write(&format!("/etc/tipring/{name}"), text);
        self.machine.run(&format!("chmod 644 /etc/tipring/{name}"));
    }

    /// Starts apid where the host can reach it, with `more` of `apid.yml`. The machine must forward
    /// [`HTTP_PORT`].
    ///
    /// # Panics
    /// If no token is printed.
    #[track_caller]
    pub fn api(&self, more: &str) -> Api {
        self.configure("apid.yml", &format!("api: {{host: {GUEST}}}\n{more}"));
        let token = self.machine.run(
            "setpriv --reuid tipring-apid --regid tipring-apid --clear-groups \
             tipring-apid --state-dir /var/lib/tipring token create test \
             --scope read --scope control --scope audio --scope admin",
        );
        let token = token.split_whitespace().last().expect("a token").to_owned();
        self.start(APID);
        let address = self.machine.address(HTTP_PORT);
        Api { rest: Rest::new(&address, Some(&token)), address, token }
    }

    /// Starts a unit and waits until it says that it is ready.
    #[track_caller]
    pub fn start(&self, unit: &str) {
        let (status, output) = self.machine.try_run(&format!("systemctl start {unit}"));
        assert!(status == 0, "{unit}: {output}\n{}", self.machine.journal(unit));
    }

    /// The main process of a unit.
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn pid(&self, unit: &str) -> u32 {
        let text = self.machine.run(&format!("systemctl show -P MainPID {unit}"));
        let pid = text.parse().expect("a number");
        assert!(pid != 0, "{unit} does not run:\n{}", self.machine.journal(unit));
        pid
    }

    /// Waits until a unit is active.
    #[track_caller]
    pub fn becomes_active(&self, unit: &str) {
        self.machine.wait_for(unit, UNIT_PATIENCE, &format!("systemctl is-active {unit}"));
    }

    /// Runs `make uninstall` in the guest.
    #[track_caller]
    pub fn uninstall(self) {
        self.machine.run("make -C /host uninstall");
    }
}

/// The API of an installed Tipring, with a token that may do everything.
#[derive(Debug)]
pub struct Api {
    /// Its REST.
    pub rest: Rest,
    address: String,
    token: String,
}

impl Api {
    /// One of its WebSockets.
    #[track_caller]
    pub fn socket(&self, path: &str) -> Socket {
        Socket::open(&self.address, path, Some(&self.token))
    }
}

fn lend_folder(machine: &Machine, folder: &str) {
    let entries = std::fs::read_dir(repository().join(folder)).expect("a folder of the repository");
    for entry in entries.map(|entry| entry.expect("readable")) {
        let name = entry.file_name();
        if entry.path().is_file() {
            machine.lend(&entry.path(), &format!("{folder}/{}", name.display()));
        }
    }
}

/// Where release binaries are: `TIPRING_BIN_DIR`, or beside this test's own profile.
pub fn release() -> PathBuf {
    std::env::var_os("TIPRING_BIN_DIR").map_or_else(
        || {
            let test = std::env::current_exe().expect("path of this test");
            let target = test.ancestors().nth(3).map(Path::to_owned).expect("the target folder");
            target.join("release")
        },
        PathBuf::from,
    )
}
