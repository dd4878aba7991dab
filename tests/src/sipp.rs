//! SIPp (Debian's 3.6.1): scenarios from `tests/sip/`, one process a phone, since this version
//! takes the user of a digest from the command line only.

use crate::process::{Folder, Process};
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

/// A running scenario.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
    folder: Folder,
}

/// What a scenario is to be played with.
#[derive(Clone, Debug)]
pub struct Scenario<'a> {
    /// File in `tests/sip/` without `.xml`.
    pub name: &'a str,
    /// `host:port` it talks to.
    pub remote: &'a str,
    /// Its own address.
    pub host: IpAddr,
    /// Its own port.
    pub port: u16,
    /// User of the digest, and `[service]`.
    pub user: &'a str,
    /// Secret of the digest.
    pub password: &'a str,
    /// Keywords: `[name]` in the file becomes the value.
    pub keys: &'a [(&'a str, String)],
    /// How long the file's pauses are.
    pub pause: Duration,
    /// Over TCP.
    pub tcp: bool,
}

impl Sipp {
    /// Plays a scenario once.
    pub fn start(scenario: &Scenario) -> Self {
        let folder = Folder::new(scenario.user);
        let file = crate::system::repository().join("tests/sip").join(scenario.name);
        let mut command = Command::new("sipp");
        command
            .arg("-sf")
            .arg(file.with_extension("xml"))
            .args(["-i", &scenario.host.to_string()])
            .args(["-p", &scenario.port.to_string()])
            .args(["-s", scenario.user, "-au", scenario.user, "-ap", scenario.password])
            .args(["-d", &scenario.pause.as_millis().to_string()])
            .args(["-m", "1", "-nostdin", "-trace_err", "-trace_msg"])
            .args(["-t", if scenario.tcp { "t1" } else { "u1" }]);
        for (name, value) in scenario.keys {
            command.args(["-key", name, value]);
        }
        command.arg(scenario.remote).current_dir(folder.path()).env("TERM", "dumb");
        let process = Process::start(&mut command, &folder.file("screen.log"));
        Self { process, folder }
    }

    /// Waits until the scenario is over.
    ///
    /// # Panics
    /// If it went otherwise than written, or is not over within `limit`.
    #[track_caller]
    pub fn succeeds(mut self, limit: Duration) {
        let status = self.process.finish(limit);
        assert!(
            status.is_some_and(|s| s.success()),
            "sipp ended with {status:?}\n{}",
            self.messages()
        );
    }

    /// Whether it is still at it.
    pub fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// The messages it sent and received, and its errors.
    pub fn messages(&self) -> String {
        let mut text = String::new();
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        for path in files.map(|entry| entry.path()) {
            let name = path.to_string_lossy().into_owned();
            if name.ends_with("_messages.log") || name.ends_with("_errors.log") {
                text += &String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default());
            }
        }
        text
    }

    /// SIGUSR1: finish the call and stop.
    pub fn wind_up(&self) {
        self.process.signal(nix::sys::signal::Signal::SIGUSR1);
    }
}
