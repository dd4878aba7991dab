//! A door behind which there is no engine: for surfaces that are tried by themselves.

use super::{Control, ControlSettings, LineDirectory, NoSignalling};
use crate::call::{CallNumber, Switch, SwitchConfig};
use crate::engine_link::EngineLink;
use crate::journal::Journal;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

impl Control {
    /// Has these lines, all of them offline, for ever. Needs a runtime around it.
    pub fn without_engine(lines: LineDirectory) -> Self {
        let (_, never) = mpsc::channel(1);
        let settings = ControlSettings {
            lines,
            switch: Switch::new(SwitchConfig::default(), CallNumber(1)),
            signalling: Arc::new(NoSignalling),
            rtp_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            sounds: PathBuf::new(),
            journal: Journal::nowhere(),
        };
        Self::start(settings, EngineLink::away(Path::new("")), never)
    }
}
