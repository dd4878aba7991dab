//! Running dial plans: one task for each call that a plan has.
//!
//! [`Runner`] knows them all; [`session`] is one of them, step by step; the rest of this folder are
//! the applications, by what they are about.

mod agi;
mod agi_commands;
mod answer;
mod collect;
mod conference;
mod database;
mod devices;
mod dial;
mod flow;
mod functions;
mod local;
mod screen;
mod session;
mod sound;
mod speak;
mod tones;
mod transfer;
mod wait;

pub use database::Database;

use super::dialplan::{Dialplan, Start as Priority};
use super::names::application;
use crate::agi::AgiSettings;
use crate::channel::{
    self, AgiCommand, Channel, Channels, Expected, Memory, Numbers, Program, ProgramError,
    Unanswered,
};
use crate::control::{Cause, Control, Others, PlanNote, PlanRunner};
use async_trait::async_trait;
use functions::OfChannel;
use local::Waiting;
use session::Session;
use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::mpsc;

/// Things a session has not taken yet; a call has a handful of them.
const INPUTS: usize = 256;

/// The dial plan that holds now. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CurrentPlan(Arc<RwLock<Arc<Dialplan>>>);

impl CurrentPlan {
    /// From now on this one; channels that are in the old one go on by name and priority.
    pub fn set(&self, plan: Arc<Dialplan>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// It.
    pub fn get(&self) -> Arc<Dialplan> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a session is told.
#[derive(Clone, Debug)]
enum Input {
    Note(PlanNote),
    /// The other end of a pair without telephones sent it.
    Digit(char),
    /// A phone is in its place from now on.
    Seat {
        call: String,
        line: String,
    },
    /// It goes on there.
    Start(Begin),
}

/// Where a session begins, or goes on.
#[derive(Clone, Debug)]
enum Begin {
    At(super::Position),
    Application { name: &'static str, data: String },
}

/// A session from outside.
#[derive(Debug)]
struct Handle {
    line: String,
    inputs: mpsc::Sender<Input>,
    agi: Arc<Mutex<Option<mpsc::Sender<AgiCommand>>>>,
}

/// What all sessions share.
#[derive(Clone, Debug)]
struct Services {
    control: Control,
    channels: Channels,
    plan: CurrentPlan,
    database: Database,
    agi: AgiSettings,
    sessions: Sessions,
    /// Counts AGI commands.
    agi_commands: Arc<AtomicU32>,
}

/// By call; those without a telephone by what stands for one.
type Sessions = Arc<Mutex<HashMap<String, Handle>>>;

/// Runs dial plans.
#[derive(Debug)]
pub struct Runner {
    services: Services,
    /// What is no number of the plan may be one of the switch's own.
    numbers: Numbers,
    /// Ends of pairs that are not answered yet, or do not go on yet.
    waiting: Mutex<HashMap<String, Waiting>>,
}

impl Runner {
    /// Runs what `plan` says for every call that enters it; needs a runtime around it.
    pub fn start(
        control: &Control,
        channels: &Channels,
        plan: CurrentPlan,
        database: Database,
        agi: AgiSettings,
    ) -> Arc<Self> {
        for (name, value) in &plan.get().globals {
            // A plan's names and values are within the bounds of variables.
            let _ = channels.set_variable(None, name, value);
        }
        let services = Services {
            control: control.clone(),
            channels: channels.clone(),
            plan,
            database,
            agi,
            sessions: Arc::default(),
            agi_commands: Arc::default(),
        };
        let numbers = Numbers::new(control.clone());
        let runner = Arc::new(Self { services, numbers, waiting: Mutex::default() });
        control.run_plans_by(runner.clone());
        channels.run_by(runner.clone());
        runner
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        lock(&self.services.sessions)
    }

    fn begin(&self, call: &str, line: &str, begin: Begin) {
        let (inputs, receiver) = mpsc::channel(INPUTS);
        // What happens on the line from now on is heard, though its task begins later.
        let session = Session::new(self.services.clone(), call, line, receiver);
        self.run(session, inputs, begin);
    }

    fn run(&self, session: Session, inputs: mpsc::Sender<Input>, begin: Begin) {
        let handle = Handle { line: session.line.clone(), inputs, agi: session.agi.clone() };
        self.lock().insert(session.call.clone(), handle);
        let sessions = self.services.sessions.clone();
        tokio::spawn(async move {
            let call = session.run(begin).await;
            lock(&sessions).remove(&call);
        });
    }

    /// Whether a plan has the channel, rather than having dialled it.
    fn has(&self, channel: &Channel) -> bool {
        self.lock().get(&channel.call_id).is_some_and(|handle| handle.line == channel.line)
    }

    fn go_on(
        &self,
        channel: &Channel,
        start: &channel::Start,
        others: Others,
    ) -> Result<(), ProgramError> {
        let Ok(begin) = self.begin_of(start) else {
            return self.numbers.start(channel, start, others);
        };
        if let Some(handle) = self.lock().get(&channel.call_id)
            && handle.line == channel.line
        {
            return handle.inputs.try_send(Input::Start(begin)).map_err(|_| ProgramError::Full);
        }
        if channel.line.is_empty() {
            return self.begin_waiting(channel, begin);
        }
        let taken = self.services.control.plan_takes(&channel.line, others);
        let call = taken.map_err(|_| ProgramError::NoSuchChannel)?;
        self.begin(&call, &channel.line, begin);
        Ok(())
    }

    fn begin_of(&self, start: &channel::Start) -> Result<Begin, ProgramError> {
        match start {
            channel::Start::Application { name, data } => {
                let name = application(name).map_err(|_| ProgramError::NoSuchApplication)?;
                Ok(Begin::Application { name, data: data.clone() })
            }
            channel::Start::At { context, exten, priority } => {
                let place = match priority.parse() {
                    Ok(number) => Priority::Priority(number),
                    Err(_) => Priority::Label(priority),
                };
                let position = self.services.plan.get().position(context, exten, place);
                position.map(Begin::At).ok_or(ProgramError::NoSuchExtension)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing behind these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PlanRunner for Runner {
    fn note(&self, note: PlanNote) {
        let call = match &note {
            PlanNote::Entered { call, line, number, context } => {
                let position = super::Position::start(context, number);
                self.begin(call, line, Begin::At(position));
                return;
            }
            PlanNote::Connected { call, .. }
            | PlanNote::DialOver { call, .. }
            | PlanNote::Taken { call }
            | PlanNote::Ended { call, .. } => call.clone(),
        };
        let mut sessions = self.lock();
        let Some(handle) = sessions.get(&call) else { return };
        let over = matches!(note, PlanNote::Ended { .. } | PlanNote::Taken { .. });
        if handle.inputs.try_send(Input::Note(note)).is_err() || over {
            // Without a handle its inputs end, which is the end of its channel too.
            sessions.remove(&call);
        }
    }
}

#[async_trait]
impl Program for Runner {
    fn check(&self, start: &channel::Start) -> Result<(), ProgramError> {
        self.begin_of(start).map(|_| ()).or_else(|_| self.numbers.check(start))
    }

    async fn start(&self, channel: &Channel, start: channel::Start) -> Result<(), ProgramError> {
        self.go_on(channel, &start, Others::Left)
    }

    async fn start_both(
        &self,
        one: (&Channel, channel::Start),
        other: (&Channel, channel::Start),
    ) -> Result<(), ProgramError> {
        self.check(&one.1)?;
        self.check(&other.1)?;
        // One whose plan dialled the other one goes last: it would hang up on that one.
        let (first, last) = if self.has(one.0) { (other, one) } else { (one, other) };
        self.go_on(first.0, &first.1, Others::Stay)?;
        self.go_on(last.0, &last.1, Others::Left)
    }

    async fn call_pair(
        &self,
        expected: Expected,
        timeout: Duration,
    ) -> Result<Arc<Channel>, Unanswered> {
        Self::call_pair(self, expected, timeout).await
    }

    fn end_phoneless(&self, channel: &Channel, cause: Cause) -> bool {
        Self::end_phoneless(self, channel, cause)
    }

    fn value(&self, channel: Option<&Channel>, name: &str) -> String {
        let value = OfChannel::of(&self.services, channel).value(name);
        value.unwrap_or_else(|reason| {
            tracing::debug!(name, reason, "asked for from outside");
            String::new()
        })
    }

    fn assign(&self, channel: Option<&Channel>, function: &str, value: &str) -> Result<(), String> {
        let (name, rest) = function.split_once('(').ok_or("it is FUNCTION(argument)")?;
        let argument = rest.strip_suffix(')').unwrap_or(rest);
        OfChannel::of(&self.services, channel).assign_function(name, argument, value)
    }

    fn hint(&self, context: &str, exten: &str) -> Option<String> {
        self.services.plan.get().hint(context, exten).map(str::to_owned)
    }

    fn memory(&self) -> Option<&dyn Memory> {
        Some(&self.services.database)
    }

    fn vocabulary(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (super::APPLICATIONS, super::FUNCTIONS)
    }

    fn queue_agi(&self, channel: &Channel, command: AgiCommand) -> Result<(), ProgramError> {
        let sessions = self.lock();
        let handle = sessions.get(&channel.call_id).filter(|handle| handle.line == channel.line);
        let queue = handle.and_then(|handle| lock(&handle.agi).clone());
        let queue = queue.ok_or(ProgramError::NotInAgi)?;
        queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProgramError::Full,
            mpsc::error::TrySendError::Closed(_) => ProgramError::NotInAgi,
        })
    }
}
