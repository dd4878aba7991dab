//! What the manager interface needs of whoever runs dial plans and AGI. `plan` and `agi` implement
//! it, `startup` wires it.

use super::model::Channel;
use async_trait::async_trait;

/// Where a channel starts or goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a place in a dial plan.
    At {
        /// Context.
        context: String,
        /// Extension.
        exten: String,
        /// A number from 1, or a label.
        priority: String,
    },
    /// In one application, after which it is hung up.
    Application {
        /// Its name.
        name: String,
        /// What it is given.
        data: String,
    },
}

/// An AGI command for a channel in `AGI(agi:async)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgiCommand {
    /// The command line.
    pub command: String,
    /// Told again with its result; empty for none.
    pub command_id: String,
    /// `ActionID` of who queued it; empty for none.
    pub action_id: String,
}

/// Why a program cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramError {
    /// There is no such extension or priority.
    NoSuchExtension,
    /// There is no such application.
    NoSuchApplication,
    /// The channel is gone, or not answered.
    NoSuchChannel,
    /// The channel is in no AsyncAGI.
    NotInAgi,
    /// Too many wait.
    Full,
}

/// Runs dial plans and AGI.
#[async_trait]
pub trait Program: Send + Sync {
    /// Whether [`Program::start`] would find it.
    ///
    /// # Errors
    /// `NoSuchExtension`, `NoSuchApplication`.
    fn check(&self, start: &Start) -> Result<(), ProgramError>;

    /// Has an answered channel go on there; what it did before ends. Returns when that has begun.
    ///
    /// # Errors
    /// As [`Program::check`]; `NoSuchChannel`.
    async fn start(&self, channel: &Channel, start: Start) -> Result<(), ProgramError>;

    /// Queues an AGI command; its result comes as [`super::NewsBody::AsyncAgiExec`]. Never waits.
    ///
    /// # Errors
    /// `NotInAgi`, `Full`.
    fn queue_agi(&self, channel: &Channel, command: AgiCommand) -> Result<(), ProgramError>;
}

/// Where there is no dial plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgram;

#[async_trait]
impl Program for NoProgram {
    fn check(&self, start: &Start) -> Result<(), ProgramError> {
        Err(match start {
            Start::At { .. } => ProgramError::NoSuchExtension,
            Start::Application { .. } => ProgramError::NoSuchApplication,
        })
    }

    async fn start(&self, _channel: &Channel, start: Start) -> Result<(), ProgramError> {
        self.check(&start)
    }

    fn queue_agi(&self, _channel: &Channel, _command: AgiCommand) -> Result<(), ProgramError> {
        Err(ProgramError::NotInAgi)
    }
}
