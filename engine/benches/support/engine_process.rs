//! A running engine: the real binary with its real threads, ended when dropped.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Simulated lines, which come before the RTP lines.
pub(crate) const FIRST_RTP_LINE: u16 = 2;

/// See the module.
pub(crate) struct EngineProcess {
    child: Child,
    folder: PathBuf,
}

impl EngineProcess {
    /// Started; attach to [`EngineProcess::socket`] to know that it serves.
    pub(crate) fn start(rtp_lines: u16) -> Self {
        let folder = std::env::temp_dir().join(format!("tipring-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for configuration and socket");
        let config = folder.join("engine.yml");
        let text = format!(
            "simulated_lines: {FIRST_RTP_LINE}\nrtp_lines: {rtp_lines}\n\
             rtp_ports: {{min: 33000, max: 39998}}\nlogging: {{level: warn}}\n"
        );
        std::fs::write(&config, text).expect("the configuration is written");
        let child = Command::new(env!("CARGO_BIN_EXE_tipring-engine"))
            .arg("--config")
            .arg(&config)
            .arg("--socket")
            .arg(folder.join("engine.sock"))
            .spawn()
            .expect("the engine was built with this bench");
        Self { child, folder }
    }

    /// Where it serves.
    pub(crate) fn socket(&self) -> PathBuf {
        Path::new(&self.folder).join("engine.sock")
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
