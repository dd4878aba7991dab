//! Where the engine listens and apid attaches when neither is told.

use nix::unistd::{AccessFlags, access, getuid};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder of a system that runs Tipring for everybody.
const SYSTEM: &str = "/run/tipring";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It makes the socket.
    Engine,
    /// It connects to it.
    Apid,
}

/// `/run/tipring/engine.sock` where that folder can be used, else the same in a folder of this
/// user's own.
pub fn default_socket(side: Side) -> PathBuf {
    let needed = match side {
        Side::Engine => AccessFlags::W_OK,
        Side::Apid => AccessFlags::R_OK,
    };
    let system = access(SYSTEM, needed).is_ok();
    folder(system, std::env::var_os("XDG_RUNTIME_DIR"), getuid().as_raw()).join("engine.sock")
}

fn folder(system: bool, runtime_dir: Option<OsString>, uid: u32) -> PathBuf {
    match runtime_dir {
        _ if system => SYSTEM.into(),
        Some(dir) => Path::new(&dir).join("tipring"),
        None => format!("/tmp/tipring-{uid}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_system_has_a_folder_of_his_own() {
        let runtime_dir = || Some("/run/user/7".into());
        assert_eq!(folder(true, runtime_dir(), 7), Path::new("/run/tipring"));
        assert_eq!(folder(false, runtime_dir(), 7), Path::new("/run/user/7/tipring"));
        assert_eq!(folder(false, None, 7), Path::new("/tmp/tipring-7"));
    }
}
