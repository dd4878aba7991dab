//! What the manager interface needs of whoever runs dial plans and AGI. `plan` and `agi` implement
//! it, `startup` wires it.

use super::model::Channel;
use super::registry::Expected;
use super::ring::Unanswered;
use crate::control::Cause;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

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

/// Values by family and key that outlive calls, as `DB(family/key)` has them. None of its methods
/// waits.
pub trait Memory: Send + Sync {
    /// A value, if there is one.
    fn get(&self, family: &str, key: &str) -> Option<String>;

    /// Keeps a value.
    ///
    /// # Errors
    /// What is too much; nothing was changed.
    fn put(&self, family: &str, key: &str, value: &str) -> Result<(), String>;

    /// Forgets a value; `false` where there is none.
    fn delete(&self, family: &str, key: &str) -> bool;

    /// Forgets a family, or what of it is `key` or lies below it; gives how many.
    fn delete_tree(&self, family: &str, key: &str) -> usize;

    /// Family, key and value of all, of a family, or of what of it is `key` or lies below it.
    fn list(&self, family: &str, key: &str) -> Vec<(String, String, String)>;
}

/// Runs dial plans and AGI.
#[async_trait]
pub trait Program: Send + Sync {
    /// Whether [`Program::start`] would find it.
    ///
    /// # Errors
    /// `NoSuchExtension`, `NoSuchApplication`.
    fn check(&self, start: &Start) -> Result<(), ProgramError>;

    /// Has a channel go on there; what it did before ends. Whoever it talked with is hung up on,
    /// unless that one is in a plan which goes on without it. Returns when that has begun.
    ///
    /// # Errors
    /// As [`Program::check`]; `NoSuchChannel`.
    async fn start(&self, channel: &Channel, start: Start) -> Result<(), ProgramError>;

    /// Has two channels, which may talk with each other, go on there.
    ///
    /// # Errors
    /// As [`Program::start`]; one of them may have gone on then.
    async fn start_both(
        &self,
        one: (&Channel, Start),
        other: (&Channel, Start),
    ) -> Result<(), ProgramError>;

    /// Has one end of a new pair without telephones (`expected.local`) go through a dial plan; gives
    /// the channel that goes on once that is answered: the other end, or the phone in its place.
    ///
    /// # Errors
    /// Why it is not answered.
    async fn call_pair(
        &self,
        expected: Expected,
        timeout: Duration,
    ) -> Result<Arc<Channel>, Unanswered>;

    /// Hangs up on a channel without a telephone; `false` where it is none, or gone.
    fn end_phoneless(&self, channel: &Channel, cause: Cause) -> bool;

    /// A variable of a channel or of all, or a function of dial plans as `CALLERID(num)`; empty
    /// where there is none.
    fn value(&self, channel: Option<&Channel>, name: &str) -> String;

    /// Gives a function of dial plans, as `CALLERID(num)`, a value.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    fn assign(&self, channel: Option<&Channel>, function: &str, value: &str) -> Result<(), String>;

    /// The devices, `&` between them, whose state is that of an extension.
    fn hint(&self, context: &str, exten: &str) -> Option<String>;

    /// What dial plans remember; `None` where there are none.
    fn memory(&self) -> Option<&dyn Memory>;

    /// Names of the applications and of the functions that dial plans know.
    fn vocabulary(&self) -> (&'static [&'static str], &'static [&'static str]);

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

    async fn start_both(
        &self,
        one: (&Channel, Start),
        _other: (&Channel, Start),
    ) -> Result<(), ProgramError> {
        self.check(&one.1)
    }

    async fn call_pair(&self, _: Expected, _: Duration) -> Result<Arc<Channel>, Unanswered> {
        Err(Unanswered::Ended(Cause::UnallocatedNumber.code()))
    }

    fn end_phoneless(&self, _channel: &Channel, _cause: Cause) -> bool {
        false
    }

    fn value(&self, _channel: Option<&Channel>, _name: &str) -> String {
        String::new()
    }

    fn assign(&self, _: Option<&Channel>, function: &str, _: &str) -> Result<(), String> {
        Err(format!("{function} cannot be set: there are no dial plans"))
    }

    fn hint(&self, _context: &str, _exten: &str) -> Option<String> {
        None
    }

    fn memory(&self) -> Option<&dyn Memory> {
        None
    }

    fn vocabulary(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (&[], &[])
    }

    fn queue_agi(&self, _channel: &Channel, _command: AgiCommand) -> Result<(), ProgramError> {
        Err(ProgramError::NotInAgi)
    }
}
