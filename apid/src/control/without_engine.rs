//! A door behind which there is no engine: for surfaces that are tried by themselves.

use super::{
    Control, ControlSettings, LineDirectory, NoSignalling, RecordLimits, RecordingLimits,
    VoltageLimits,
};
use crate::call::{CallNumber, Switch, SwitchConfig};
use crate::engine_link::EngineLink;
use crate::fetch::{FetchSettings, Fetcher};
use crate::journal::Journal;
use crate::recording::Shelf;
use crate::sounds::Sounds;
use crate::speech::{Speech, SpeechSettings};
use crate::store::Store;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

impl Control {
    /// Has these lines, all of them offline, for ever. Needs a runtime around it.
    pub fn without_engine(lines: LineDirectory) -> Self {
        let (_, never) = mpsc::channel(1);
        let settings = ControlSettings {
            lines,
            switch: Switch::new(SwitchConfig::default(), CallNumber(1)),
            applications: Arc::new(super::NoApplications),
            signalling: Arc::new(NoSignalling),
            rtp_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            sounds: Sounds::default(),
            speech: Speech::new(SpeechSettings::default()),
            fetcher: Fetcher::new(FetchSettings::default()),
            journal: Journal::nowhere(),
            store: Store::in_memory().expect("memory is there"),
            shelf: Shelf::nowhere(),
            recording_limits: RecordingLimits { max_ms: 1000, max_running: 0, keep: None },
            record_limits: RecordLimits { keep: None, max_calls: 100 },
            voltage_limits: VoltageLimits { low: 42.5, high: 56.5 },
            devices: Vec::new(),
            webhooks: Vec::new(),
            hold_music: None,
            read_plans: Arc::new(|| Err("there is no configuration".to_owned())),
        };
        Self::start(settings, EngineLink::away(Path::new("")), never)
    }
}
