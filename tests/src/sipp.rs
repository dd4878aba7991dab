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

/// How often a scenario is to be played, side by side.
#[derive(Clone, Debug)]
pub struct Flood {
    /// Altogether.
    pub calls: u32,
    /// Begun a second.
    pub rate: u32,
    /// Running at once, at most.
    pub at_once: u32,
    /// `[field0]`, `[field1]` … of each, in turns; one line a call, separated by `;`.
    pub values: String,
}

/// What came of a [`Flood`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Went as written.
    pub succeeded: u64,
    /// Did not.
    pub failed: u64,
    /// Requests that had to be sent again.
    pub repeated: u64,
}

impl Sipp {
    /// Plays a scenario many times; it can then be asked for its [`Tally`].
    pub fn flood(scenario: &Scenario, flood: &Flood) -> Self {
        Self::begin(scenario, |command, folder| {
            std::fs::write(folder.file("values.csv"), format!("SEQUENTIAL\n{}", flood.values))
                .expect("values written");
            command
                .args(["-m", &flood.calls.to_string(), "-r", &flood.rate.to_string()])
                .args(["-l", &flood.at_once.to_string()])
                .arg("-inf")
                .arg(folder.file("values.csv"))
                .args(["-trace_err", "-trace_stat", "-fd", "1", "-stf"])
                .arg(folder.file("statistics.csv"));
        })
    }

    /// What came of a flood that is over within `limit`; of one that is not, what came so far.
    ///
    /// # Panics
    /// If it left no statistics.
    pub fn tally(mut self, limit: Duration) -> Tally {
        let _ = self.process.finish(limit);
        let text = std::fs::read_to_string(self.folder.file("statistics.csv"));
        let text = text.unwrap_or_else(|e| panic!("{e}\n{}", self.process.log()));
        let mut rows = text.lines().map(|line| line.split(';').collect::<Vec<_>>());
        let (head, last) = (rows.next().unwrap_or_default(), rows.next_back().unwrap_or_default());
        let of = |name: &str| {
            let place = head.iter().position(|column| *column == name).expect("a column of sipp's");
            last.get(place).and_then(|value| value.parse().ok()).unwrap_or_default()
        };
        Tally {
            succeeded: of("SuccessfulCall(C)"),
            failed: of("FailedCall(C)"),
            repeated: of("Retransmissions(C)"),
        }
    }

    /// Plays a scenario once.
    pub fn start(scenario: &Scenario) -> Self {
        Self::begin(scenario, |command, _| {
            command.args(["-m", "1", "-trace_err", "-trace_msg"]);
        })
    }

    fn begin(scenario: &Scenario, options: impl FnOnce(&mut Command, &Folder)) -> Self {
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
            .arg("-nostdin")
            .args(["-t", if scenario.tcp { "t1" } else { "u1" }]);
        for (name, value) in scenario.keys {
            command.args(["-key", name, value]);
        }
        // The first of a name holds.
        command.args(["-key", "expires_s", "600"]);
        options(&mut command, &folder);
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
