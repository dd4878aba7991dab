//! An agent of `tests/agents`: a server by somebody else's library, which applications are dialled at.

use crate::pjsua::agents_python;
use crate::process::{Folder, Process};
use crate::system::repository;
use crate::wait;
use std::process::Command;

/// A running agent; ends when dropped.
#[derive(Debug)]
pub struct PythonAgent {
    process: Process,
    _folder: Folder,
    /// Where it listens, on this machine.
    pub port: u16,
}

impl PythonAgent {
    /// Starts `tests/agents/{script}` and waits until it listens.
    ///
    /// # Panics
    /// If it does not listen within a minute.
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        let folder = Folder::new("agent");
        let mut command = Command::new(agents_python());
        command.arg("-u").arg(repository().join("tests/agents").join(script)).args(arguments);
        let process = Process::start(&mut command, &folder.file("agent.log"));
        let mut agent = Self { process, _folder: folder, port: 0 };
        agent.port = agent.says("port ").trim().parse().expect("a port");
        agent
    }

    /// What follows `what` in a line of its output, once it is there.
    ///
    /// # Panics
    /// If it is not within a minute.
    #[track_caller]
    pub fn says(&self, what: &str) -> String {
        wait::until(what, wait::GENEROUS, || {
            let log = self.output();
            let line = log.lines().find_map(|line| line.strip_prefix(what));
            line.map(str::to_owned)
        })
    }

    /// Everything it wrote.
    pub fn output(&self) -> String {
        self.process.log()
    }
}
