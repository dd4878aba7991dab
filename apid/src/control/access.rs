//! May this caller, and is there such a line?

use super::{Control, LineEntry, Refused};
use crate::auth::{Caller, Scope};
use crate::engine_link::LinkError;
use crate::view::LineKind;
use tipring_shm_proto::command::{Command, LineState, Outcome, Refusal};
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::LineId;

/// The caller has the scope.
pub(super) fn need(caller: &Caller, scope: Scope) -> Result<(), Refused> {
    if caller.may(scope) { Ok(()) } else { Err(Refused::Forbidden { scope }) }
}

impl Control {
    /// A line the caller may see.
    pub(super) fn entry(&self, caller: &Caller, line: &str) -> Result<LineEntry, Refused> {
        if !caller.sees(line) {
            return Err(Refused::NoSuchLine);
        }
        self.directory().get(line).cloned().ok_or(Refused::NoSuchLine)
    }

    /// What the configuration and the engine say of a line. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`.
    pub fn line_entry(&self, caller: &Caller, line: &str) -> Result<LineEntry, Refused> {
        need(caller, Scope::Read)?;
        self.entry(caller, line)
    }

    /// The same of all lines the caller may see, in the order of the configuration. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn line_entries(&self, caller: &Caller) -> Result<Vec<LineEntry>, Refused> {
        need(caller, Scope::Read)?;
        Ok(self.directory().entries().filter(|entry| caller.sees(&entry.id)).cloned().collect())
    }

    /// A line the caller may act on, with its row.
    pub(super) fn attached(
        &self,
        caller: &Caller,
        scope: Scope,
        line: &str,
    ) -> Result<Attached, Refused> {
        need(caller, scope)?;
        let entry = self.entry(caller, line)?;
        self.attach_entry(entry)
    }

    pub(super) fn attach_entry(&self, entry: LineEntry) -> Result<Attached, Refused> {
        let engine = match (entry.engine, self.0.link.generation()) {
            (_, None) => return Err(Refused::EngineAway),
            // The engine has fewer lines than the configuration.
            (None, _) => {
                return Err(Refused::WrongState { state: crate::view::LineState::Offline });
            }
            (Some(engine), _) => engine,
        };
        let row = self.0.link.row(engine).ok_or(Refused::EngineAway)?;
        Ok(Attached { entry, engine, row })
    }

    /// Asks the engine; what it refuses is told in our words.
    pub(super) async fn ask(&self, line: LineId, command: Command) -> Result<Outcome, Refused> {
        self.0.link.ask(line, command).await.map_err(|error| refused(error, self, line))
    }
}

/// A line of the engine that is attached.
pub(super) struct Attached {
    pub(super) entry: LineEntry,
    pub(super) engine: LineId,
    pub(super) row: LineRow,
}

impl Attached {
    pub(super) fn need_sim(&self) -> Result<(), Refused> {
        match kind(&self.entry, Some(&self.row)) {
            LineKind::Sim => Ok(()),
            kind => Err(Refused::WrongKind { kind }),
        }
    }

    pub(super) fn need_off_hook(&self) -> Result<(), Refused> {
        match self.row.state.value {
            LineState::OffHook => Ok(()),
            state => Err(Refused::WrongState { state: state.into() }),
        }
    }
}

/// What kind of telephone a line has; without an engine the label tells.
pub(super) fn kind(entry: &LineEntry, row: Option<&LineRow>) -> LineKind {
    use tipring_shm_proto::command::LineKind as Theirs;
    match row.map(|row| row.kind) {
        Some(Theirs::Dahdi) => LineKind::Dahdi,
        Some(Theirs::Rtp) => LineKind::Sip,
        None if entry.sip => LineKind::Sip,
        None if entry.label.starts_with("dahdi/") => LineKind::Dahdi,
        Some(Theirs::Sim) | None => LineKind::Sim,
    }
}

fn refused(error: LinkError, control: &Control, line: LineId) -> Refused {
    let refusal = match error {
        LinkError::Away => return Refused::EngineAway,
        LinkError::Full => return Refused::Full { what: "commands to the engine" },
        LinkError::TimedOut => return Refused::TimedOut,
        LinkError::Refused(refusal) => refusal,
    };
    let row = control.0.link.row(line);
    let state = row.map_or(LineState::Offline, |row| row.state.value).into();
    match refusal {
        Refusal::Malformed => Refused::Invalid {
            field: "request",
            reason: "a value is out of the range that the engine takes".to_owned(),
        },
        Refusal::EngineRestarted => Refused::EngineAway,
        Refusal::UnknownLine => Refused::NoSuchLine,
        Refusal::State(state) => Refused::WrongState { state: state.into() },
        Refusal::Kind => {
            let entry = control.directory().of_engine(line).cloned();
            let kind = entry.map_or(LineKind::Sim, |entry| kind(&entry, row.as_ref()));
            Refused::WrongKind { kind }
        }
        Refusal::Bridged => Refused::LineBusy { state },
        Refusal::Rtp => Refused::WrongState { state },
        Refusal::Full => Refused::Full { what: "playbacks or digits on this line" },
        Refusal::UnknownPlayback => Refused::NoSuchPlayback,
        Refusal::NoPort => Refused::Full { what: "RTP ports" },
        Refusal::Limit => Refused::Full { what: "rings or changes in so short a time" },
        Refusal::Device => Refused::Device,
    }
}
