//! Telephones that are Python programs: pjsua2 (`tests/phones/telephone.py`), and one on a WebSocket
//! (`tests/phones/web_telephone.py`).

use crate::process::Folder;
use crate::system::{System, repository};
use crate::wait::until_true;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Python and its library are slow to begin.
const LIMIT: Duration = Duration::from_secs(30);

/// The Python of the tests' own environment.
///
/// # Panics
/// If it is not there.
pub fn python() -> PathBuf {
    let python = std::env::var_os("TIPRING_PYTHON")
        .map_or_else(|| repository().join("target/venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "{} is missing; tools/test setup makes it", python.display());
    python
}

/// The Python of the agents' environment, which has a library of WebSockets.
///
/// # Panics
/// If it is not there.
pub fn agents_python() -> PathBuf {
    let python = std::env::var_os("TIPRING_AGENT_PYTHON")
        .map_or_else(|| repository().join("target/venv-agents/bin/python"), PathBuf::from);
    assert!(python.exists(), "{} is missing; tools/test setup makes it", python.display());
    python
}

/// A running telephone; ends when dropped.
#[derive(Debug)]
pub struct Pjsua {
    child: Child,
    input: ChildStdin,
    folder: Folder,
}

impl Pjsua {
    /// Starts it and waits until it is registered.
    ///
    /// # Panics
    /// If it does not within 30 s.
    pub fn start(system: &System, user: &str, password: &str) -> Self {
        Self::registered(&[&system.sip_address(), user, password])
    }

    /// The same over TLS, to this port; it trusts this certificate only.
    ///
    /// # Panics
    /// As there.
    pub fn over_tls(registrar: &str, user: &str, password: &str, trusts: &Path) -> Self {
        Self::registered(&[registrar, user, password, &trusts.to_string_lossy()])
    }

    /// The same, which is not expected to register.
    ///
    /// # Panics
    /// If there is no Python.
    pub fn suspicious(registrar: &str, user: &str, trusts: &Path) -> Self {
        let trusts = trusts.to_string_lossy();
        Self::run(&python(), "telephone.py", &[registrar, user, "secret", &trusts])
    }

    fn registered(arguments: &[&str]) -> Self {
        let phone = Self::run(&python(), "telephone.py", arguments);
        phone.says("registered");
        phone
    }

    /// Starts one of `tests/phones`.
    ///
    /// # Panics
    /// If there is no such Python.
    pub fn run(python: &Path, script: &str, arguments: &[&str]) -> Self {
        let folder = Folder::new("pjsua");
        let output = std::fs::File::create(folder.file("output")).expect("file");
        let errors = output.try_clone().expect("file");
        let mut child = Command::new(python)
            .arg("-u")
            .arg(repository().join("tests/phones").join(script))
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("Python starts");
        let input = child.stdin.take().expect("piped");
        Self { child, input, folder }
    }

    /// Gives it a command.
    ///
    /// # Panics
    /// If it has ended.
    pub fn does(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap_or_else(|e| panic!("{e}\n{}", self.output()));
    }

    /// Waits until it has said a line that begins so.
    ///
    /// # Panics
    /// If it does not within 30 s.
    #[track_caller]
    pub fn says(&self, what: &str) {
        until_true(what, LIMIT, || self.output().lines().any(|line| line.starts_with(what)));
    }

    /// Everything it said.
    pub fn output(&self) -> String {
        let octets = std::fs::read(self.folder.file("output")).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }
}

impl Drop for Pjsua {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("──── the telephone\n{}", self.output());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
