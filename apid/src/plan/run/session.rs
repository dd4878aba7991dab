//! One channel in a plan: where it is, what it does there, where it goes.

use super::super::dialplan::{Dialplan, Position};
use super::super::substitute;
use super::local::End;
use super::{Begin, Input, PlanNote, Services};
use crate::auth::Caller;
use crate::channel::{self, AgiCommand, Channel};
use crate::control::Cause;
use crate::hub::{Filter, Listener};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What is heard of a call may come that much later than the call itself.
const CHANNEL_PATIENCE: Duration = Duration::from_secs(5);
/// Steps without waiting for anything; then others have their turn.
const STEPS_AT_ONCE: u32 = 500;
const TURN: Duration = Duration::from_millis(10);

/// Why a channel leaves what it does.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// Its call is over, or to be ended for that reason.
    HangUp(Cause),
    /// Somebody else has its line.
    Taken,
    /// It goes on elsewhere.
    Start(Begin),
}

/// What came of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The next step.
    Next,
    /// This one.
    Jump(Position),
    /// A digit interrupted it.
    Digit(char),
}

pub(super) type Ran = Result<Outcome, Stop>;
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Ran> + Send + 'a>>;

/// Where a Gosub returns to, and what holds until then.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) back: Position,
    pub(super) locals: BTreeMap<String, String>,
}

/// One channel.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) services: Services,
    pub(super) call: String,
    pub(super) line: String,
    /// As it was when it began; its name and unique id do not change.
    pub(super) channel: Option<Arc<Channel>>,
    /// Its hang-up is told when this one has ended.
    hold: Option<channel::Hold>,
    pub(super) position: Position,
    pub(super) frames: Vec<Frame>,
    /// What its phone did, until somebody looks.
    pub(super) heard: Listener,
    pub(super) inputs: mpsc::Receiver<Input>,
    /// Notes of calls that came while something else was waited for.
    pub(super) notes: VecDeque<PlanNote>,
    /// The call is over.
    pub(super) over: Option<Cause>,
    /// It was dialled by another one's plan, which has the call; it is answered.
    pub(super) is_dialled: bool,
    /// It has no telephone: an end of a pair.
    pub(super) local: Option<End>,
    /// Plays until it is told to stop: tones, music.
    pub(super) background: Option<String>,
    /// `TIMEOUT(response)`, `TIMEOUT(digit)`.
    pub(super) response: Duration,
    pub(super) between_digits: Duration,
    /// `TIMEOUT(absolute)`.
    pub(super) absolute: Option<Instant>,
    /// Where AGI commands for it are queued, while it takes some.
    pub(super) agi: Arc<Mutex<Option<mpsc::Sender<AgiCommand>>>>,
}

impl Session {
    pub(super) fn new(
        services: Services,
        call: &str,
        line: &str,
        inputs: mpsc::Receiver<Input>,
    ) -> Self {
        let heard = Self::listen(&services, line);
        Self {
            services,
            call: call.to_owned(),
            line: line.to_owned(),
            channel: None,
            hold: None,
            position: Position::start("default", "s"),
            frames: Vec::new(),
            heard,
            inputs,
            notes: VecDeque::new(),
            over: None,
            is_dialled: false,
            local: None,
            background: None,
            response: Duration::from_secs(10),
            between_digits: Duration::from_secs(5),
            absolute: None,
            agi: Arc::default(),
        }
    }

    /// What the phone of a line does from now on.
    pub(super) fn listen(services: &Services, line: &str) -> Listener {
        let types = ["dtmf", "playback_ended", "recording_ended"].map(str::to_owned).to_vec();
        let filter = Filter { lines: vec![line.to_owned()], types };
        services.control.listen_to(filter, "plan")
    }

    /// Whoever wrote the plan may do everything.
    pub(super) fn caller() -> Caller {
        Caller::everything("plan")
    }

    pub(super) fn plan(&self) -> Arc<Dialplan> {
        self.services.plan.get()
    }

    /// From the beginning to the end of the call, or of the plan; gives the call that it had last.
    pub(super) async fn run(mut self, begin: Begin) -> String {
        self.await_channel().await;
        let mut begin = begin;
        let cause = loop {
            let ran = match begin {
                Begin::At(position) => {
                    self.position = position;
                    self.frames.clear();
                    self.walk(0).await
                }
                Begin::Application { name, data } => {
                    self.tell_step(name, &data);
                    match self.execute(name, &data).await {
                        Ok(Outcome::Jump(position)) => {
                            begin = Begin::At(position);
                            continue;
                        }
                        Ok(Outcome::Next | Outcome::Digit(_)) => Ok(()),
                        Err(stop) => Err(stop),
                    }
                }
            };
            match ran {
                Ok(()) => break Cause::NormalClearing,
                Err(Stop::HangUp(cause)) => break cause,
                Err(Stop::Taken) => {
                    self.stop_background().await;
                    return self.call;
                }
                Err(Stop::Start(next)) => begin = self.leave().await.unwrap_or(next),
            }
        };
        self.after_hang_up(cause).await;
        match self.local.take() {
            Some(end) => end.over(&self.services, cause),
            None => self.services.control.plan_ends(&self.call, cause),
        }
        self.call
    }

    /// `h` of the context it was in: what is to be done when nobody listens any more.
    async fn after_hang_up(&mut self, cause: Cause) {
        self.set("HANGUPCAUSE", &cause.code().to_string());
        let context = self.position.context.clone();
        if self.plan().find(&context, "h").is_none() {
            return;
        }
        self.over.get_or_insert(cause);
        self.position = Position::start(&context, "h");
        // It ends there, whatever happens.
        let _ = self.walk(0).await;
    }

    /// Whatever it did before ends, and what is told of that is of no interest; where it goes on,
    /// where something later was said of that.
    async fn leave(&mut self) -> Option<Begin> {
        if self.local.is_none() {
            self.stop_background().await;
            self.services.control.plan_ends_dial(&self.call);
            // Most do not sit in one.
            let _ = self.services.control.plan_leaves_conference(&self.call);
            let played = self.services.control.stop_playbacks(&Self::caller(), &self.line).await;
            if let Err(refused) = played {
                tracing::debug!(call = self.call, "nothing to stop: {refused}");
            }
        }
        let mut later = None;
        while let Ok(input) = self.inputs.try_recv() {
            match input {
                Input::Note(note) => self.notes.push_back(note),
                Input::Start(begin) => later = Some(begin),
                Input::Seat { call, line } => self.sits_at(call, line),
                Input::Digit(_) => {}
            }
        }
        let ends =
            |note: &PlanNote| matches!(note, PlanNote::Ended { .. } | PlanNote::Taken { .. });
        self.notes.retain(ends);
        later
    }

    /// The channel is there a moment after its call.
    pub(super) async fn await_channel(&mut self) {
        let mut news = self.services.channels.subscribe();
        let there = async {
            loop {
                let found = if self.local.is_some() {
                    self.services.channels.all().into_iter().find(|c| c.call_id == self.call)
                } else {
                    self.services.channels.of_line(&self.line)
                };
                if let Some(channel) = found.filter(|channel| channel.call_id == self.call) {
                    return channel;
                }
                if let Err(tokio::sync::broadcast::error::RecvError::Closed) = news.recv().await {
                    std::future::pending::<()>().await;
                }
            }
        };
        self.channel = tokio::time::timeout(CHANNEL_PATIENCE, there).await.ok();
        let hold = |channel: &Arc<Channel>| self.services.channels.hold(&channel.unique_id);
        self.hold = self.channel.as_ref().map(hold);
        if self.channel.is_none() {
            tracing::warn!(call = self.call, line = self.line, "a call without a channel");
        }
    }

    /// Step by step until there is none, or so few Gosubs are left that the one it began in has
    /// returned.
    pub(super) async fn walk(&mut self, floor: usize) -> Result<(), Stop> {
        let mut steps = 0;
        loop {
            let plan = self.plan();
            let Some(step) = plan.step(&self.position).cloned() else {
                if self.position.priority > 1 || self.invalid()?.is_none() {
                    return Ok(());
                }
                continue;
            };
            steps += 1;
            if steps % STEPS_AT_ONCE == 0 {
                self.wait_for(TURN).await?;
            }
            let data = self.expand(&step.data);
            self.tell_step(step.application, &data);
            let outcome = self.execute(step.application, &data).await?;
            match outcome {
                Outcome::Next => self.position.priority += 1,
                Outcome::Jump(position) => self.position = position,
                Outcome::Digit(digit) => self.dialled(digit).await?,
            }
            if self.frames.len() < floor {
                return Ok(());
            }
        }
    }

    /// A number that is none in its context: `i`, where there is one.
    pub(super) fn invalid(&mut self) -> Result<Option<()>, Stop> {
        let Position { context, extension, .. } = self.position.clone();
        if extension == "i" || self.plan().find(&context, "i").is_none() {
            tracing::info!(call = self.call, context, extension, "there is no such extension");
            return if self.over.is_none() {
                Err(Stop::HangUp(Cause::UnallocatedNumber))
            } else {
                Ok(None)
            };
        }
        self.set("INVALID_EXTEN", &extension);
        self.position = Position::start(&context, "i");
        Ok(Some(()))
    }

    fn tell_step(&self, application: &str, data: &str) {
        let Some(channel) = &self.channel else { return };
        let position = channel::Position {
            context: self.position.context.clone(),
            exten: self.position.extension.clone(),
            priority: self.position.priority,
        };
        self.services.channels.set_position(&channel.unique_id, position, application, data);
    }

    pub(super) fn expand(&self, text: &str) -> String {
        let mut complaints = Vec::new();
        let out = substitute::expand(text, self, &mut complaints);
        self.complain(&complaints);
        out
    }

    pub(super) fn complain(&self, complaints: &[String]) {
        for reason in complaints {
            let Position { context, extension, priority } = &self.position;
            tracing::warn!(call = self.call, "{extension}@{context}, step {priority}: {reason}");
        }
    }

    /// Something in the plan is not as it should be; it goes on.
    pub(super) fn complaint(&self, reason: &str) {
        self.complain(&[reason.to_owned()]);
    }

    /// Sets a variable of the channel.
    pub(super) fn set(&self, name: &str, value: &str) {
        let Some(channel) = &self.channel else { return };
        let done = self.services.channels.set_variable(Some(&channel.unique_id), name, value);
        if let Err(error) = done
            && self.over.is_none()
        {
            self.complaint(&format!("{name} is not set: {error:?}"));
        }
    }

    /// Runs an application of [`super::super::APPLICATIONS`].
    pub(super) fn execute<'a>(&'a mut self, name: &'a str, data: &'a str) -> Running<'a> {
        Box::pin(async move {
            match name {
                "AGI" => self.app_agi(data).await,
                "Answer" => self.app_answer(data).await,
                "Background" => self.app_background(data).await,
                "Busy" => self.app_busy(data, Cause::UserBusy).await,
                "ConfBridge" => self.app_conference(data).await,
                "Congestion" => self.app_busy(data, Cause::ResourceUnavailable).await,
                "Dial" => self.app_dial(data).await,
                "Echo" => self.app_echo().await,
                "Gosub" => self.app_gosub(data),
                "GosubIf" => self.app_gosub_if(data),
                "Goto" => self.app_goto(data),
                "GotoIf" => self.app_goto_if(data),
                "GotoIfTime" => self.app_goto_if_time(data),
                "Hangup" => Self::app_hangup(data),
                "Milliwatt" => self.app_milliwatt().await,
                "MusicOnHold" => self.app_music(data).await,
                "NoOp" | "Progress" => Ok(Outcome::Next),
                "Playback" => self.app_playback(data).await,
                "PlayTones" => self.app_play_tones(data).await,
                "Read" => self.app_read(data).await,
                "Record" => self.app_record(data).await,
                "Return" => self.app_return(data),
                "Ringing" => self.app_ringing(),
                "SayAlpha" | "SayDigits" | "SayNumber" | "SayUnixTime" => {
                    self.app_say(name, data).await
                }
                "SendDTMF" => self.app_send_digits(data).await,
                "Set" => {
                    self.app_set(data);
                    Ok(Outcome::Next)
                }
                "StackPop" => {
                    self.app_stack_pop();
                    Ok(Outcome::Next)
                }
                "StopPlayTones" => {
                    self.stop_background().await;
                    Ok(Outcome::Next)
                }
                "Verbose" => {
                    self.app_verbose(data);
                    Ok(Outcome::Next)
                }
                "Wait" => self.app_wait(data).await,
                "WaitExten" => self.app_wait_exten(data).await,
                other => {
                    self.complaint(&format!("{other} cannot be run"));
                    Ok(Outcome::Next)
                }
            }
        })
    }
}
