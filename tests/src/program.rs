//! A program that answers a number, as somebody would run it: a Python example or a binary.

use crate::process::Folder;
use crate::system::System;
use crate::wait::until_true;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// An interpreter on a busy machine is slow to begin.
const LIMIT: Duration = Duration::from_secs(30);

/// A running program; ends when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    folder: Folder,
}

impl Program {
    /// Starts it with the address of `system`, to answer `number`, and waits until it does.
    ///
    /// # Panics
    /// If it does not within 30 s.
    #[track_caller]
    pub fn answering(system: &System, number: &str, command: &mut Command) -> Self {
        let program = Self::start(system, number, command);
        program.says(&format!("calls to {number} are answered"));
        program
    }

    /// Starts it with the address of `system`.
    ///
    /// # Panics
    /// If there is no such program.
    pub fn start(system: &System, number: &str, command: &mut Command) -> Self {
        let folder = Folder::new("program");
        let output = std::fs::File::create(folder.file("output")).expect("file");
        let errors = output.try_clone().expect("file");
        let child = command
            .env("TIPRING_URL", format!("http://{}", system.address()))
            .env("TIPRING_EXTENSION", number)
            .env("QUECEY_VOIP_REAL", "1")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("it starts");
        Self { child, folder }
    }

    /// Waits until it has written this.
    ///
    /// # Panics
    /// If it does not within 30 s.
    #[track_caller]
    pub fn says(&self, what: &str) {
        until_true(what, LIMIT, || self.output().contains(what));
    }

    /// Everything it wrote.
    pub fn output(&self) -> String {
        let octets = std::fs::read(self.folder.file("output")).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// Waits until it has ended by itself; whether it is content.
    ///
    /// # Panics
    /// If it does not within 30 s.
    #[track_caller]
    pub fn ends(&mut self) -> bool {
        crate::wait::until("its end", LIMIT, || self.child.try_wait().expect("our own child"))
            .success()
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("──── the program\n{}", self.output());
        }
        self.kill();
    }
}
