//! `AGI`: a program outside commands the channel, through events of the manager interface or over a
//! connection of its own.

use super::super::arguments;
use super::super::dialplan::Position;
use super::lock;
use super::session::{Outcome, Ran, Session, Stop};
use crate::agi::command::parse;
use crate::agi::connection::{Connection, Heard};
use crate::agi::fast::Address;
use crate::agi::local::{self, NotStarted};
use crate::agi::{Environment, Reply};
use crate::channel::{AgiCommand, NewsBody};
use crate::control::Cause;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Commands of AsyncAGI that wait on one channel.
const QUEUE: usize = 1024;
/// After a hang-up it has so long to finish.
const AFTER_HANG_UP: Duration = Duration::from_secs(5);

/// What is left of a program when it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    /// Where the plan goes on, where that was said.
    pub(super) next: Option<Position>,
    /// It was told to break.
    pub(super) broken: bool,
    /// The call is to end, as soon as the result is told.
    pub(super) hang_up: Option<Cause>,
}

impl Session {
    /// `agi:async`, `agi://host[:port]/script` or a local script's name, then arguments.
    pub(super) async fn app_agi(&mut self, data: &str) -> Ran {
        let mut arguments = arguments::split(data, 64);
        if arguments.is_empty() {
            self.complaint("AGI is AGI(agi:async), AGI(agi://host/script) or AGI(script)");
            return Ok(Outcome::Next);
        }
        let request = arguments.remove(0);
        let mut program = Program::default();
        if request.eq_ignore_ascii_case("agi:async") {
            self.async_agi(arguments, &mut program).await?;
        } else if request.starts_with("agi://") {
            self.fast_agi(&request, arguments, &mut program).await?;
        } else {
            self.local_agi(&request, arguments, &mut program).await?;
        }
        match program.next {
            Some(position) => Ok(Outcome::Jump(position)),
            None => Ok(Outcome::Next),
        }
    }

    fn environment(&self, request: &str, arguments: Vec<String>) -> Environment {
        let channel = self.channel_now();
        let channel = channel.as_deref();
        let text = |of: fn(&crate::channel::Channel) -> &String| {
            channel.map(|channel| of(channel).clone()).unwrap_or_default()
        };
        let name = text(|channel| &channel.name);
        let asynchronous = request.eq_ignore_ascii_case("agi:async");
        Environment {
            request: if asynchronous { "async".to_owned() } else { request.to_owned() },
            script: None,
            kind: name.split('/').next().unwrap_or_default().to_owned(),
            channel: name,
            language: text(|channel| &channel.language),
            unique_id: text(|channel| &channel.unique_id),
            caller_number: text(|channel| &channel.caller.number),
            caller_name: text(|channel| &channel.caller.name),
            dialled: self.position.extension.clone(),
            context: self.position.context.clone(),
            extension: self.position.extension.clone(),
            priority: self.position.priority,
            account: text(|channel| &channel.account),
            arguments,
        }
    }

    pub(super) fn tell(&self, body: NewsBody) {
        if let Some(channel) = &self.channel {
            self.services.channels.tell(&channel.unique_id, body);
        }
    }

    async fn async_agi(
        &mut self,
        arguments: Vec<String>,
        program: &mut Program,
    ) -> Result<(), Stop> {
        let (queue, mut commands) = mpsc::channel(QUEUE);
        *lock(&self.agi) = Some(queue);
        let env = self.environment("agi:async", arguments).text();
        self.tell(NewsBody::AsyncAgiStart { env });
        let ended = loop {
            let command = tokio::select! {
                biased;
                // Keys that nobody waits for are nobody's.
                happened = self.next(None) => match happened {
                    Ok(_) => continue,
                    Err(stop) => break Err(stop),
                },
                command = commands.recv() => command,
            };
            let Some(AgiCommand { command, command_id, action_id }) = command else { break Ok(()) };
            let (reply, stop) = self.perform(&command, program).await;
            let result = reply.text();
            self.tell(NewsBody::AsyncAgiExec { command_id, action_id, result });
            match stop {
                Some(stop) => break Err(stop),
                None if program.hang_up.is_some() => {
                    let cause = program.hang_up.take().unwrap_or(Cause::NormalClearing);
                    break Err(Stop::HangUp(cause));
                }
                None if program.broken => break Ok(()),
                None => {}
            }
        };
        *lock(&self.agi) = None;
        self.tell(NewsBody::AsyncAgiEnd);
        self.set("AGISTATUS", if ended.is_ok() { "SUCCESS" } else { "HANGUP" });
        ended
    }

    async fn fast_agi(
        &mut self,
        request: &str,
        arguments: Vec<String>,
        program: &mut Program,
    ) -> Result<(), Stop> {
        let address = match Address::parse(request) {
            Ok(address) => address,
            Err(reason) => {
                self.complaint(reason);
                self.set("AGISTATUS", "NOTFOUND");
                return Ok(());
            }
        };
        let control = self.services.control.clone();
        let connecting = control.connect_out(&address.host, address.port);
        let stream = match self.while_on(connecting).await? {
            Ok(stream) => stream,
            Err(error) => {
                self.complaint(&format!("{request}: {error}"));
                self.set("AGISTATUS", "FAILURE");
                return Ok(());
            }
        };
        let mut environment = self.environment(request, arguments);
        environment.script = Some(address.script);
        self.command_by(Connection::new(stream), &environment, program).await
    }

    /// A script of this machine, where that is configured.
    async fn local_agi(
        &mut self,
        script: &str,
        arguments: Vec<String>,
        program: &mut Program,
    ) -> Result<(), Stop> {
        let Some(socket) = self.services.agi.scripts.clone() else {
            self.complaint("local AGI scripts are not run here: see agi.scripts_socket");
            self.set("AGISTATUS", "NOTFOUND");
            return Ok(());
        };
        let started = self.while_on(local::start(&socket, script, &arguments)).await?;
        let connection = match started {
            Ok(connection) => connection,
            Err(why) => {
                let (status, reason) = match why {
                    NotStarted::Name => ("NOTFOUND", "is no name of a script"),
                    NotStarted::Missing => ("NOTFOUND", "is not in the folder of scripts"),
                    NotStarted::Refused => {
                        ("FAILURE", "was not started: is tipring-agi.socket up?")
                    }
                };
                self.complaint(&format!("`{script}` {reason}"));
                self.set("AGISTATUS", status);
                return Ok(());
            }
        };
        let environment = self.environment(script, arguments);
        self.command_by(connection, &environment, program).await
    }

    /// What ends by itself within some seconds; a hang-up ends it earlier.
    async fn while_on<T>(&mut self, task: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::pin!(task);
        loop {
            tokio::select! {
                done = &mut task => return Ok(done),
                happened = self.next(None), if self.over.is_none() => { happened?; }
            }
        }
    }

    async fn command_by(
        &mut self,
        mut connection: Connection,
        environment: &Environment,
        program: &mut Program,
    ) -> Result<(), Stop> {
        let mut status = "SUCCESS";
        if connection.write(&environment.text()).await.is_err() {
            status = "FAILURE";
        }
        let talked = self.talk(&mut connection, program, &mut status).await;
        self.set("AGISTATUS", status);
        talked
    }

    /// Line by line, until the program ends.
    async fn talk(
        &mut self,
        connection: &mut Connection,
        program: &mut Program,
        status: &mut &'static str,
    ) -> Result<(), Stop> {
        let patience = self.services.agi.idle;
        let mut idle = Instant::now() + patience;
        let mut last: Option<Stop> = None;
        while *status == "SUCCESS" || *status == "HANGUP" {
            let happened = if last.is_some() {
                tokio::time::timeout_at(idle, connection.next()).await.ok()
            } else {
                tokio::select! {
                    biased;
                    happened = self.next(Some(idle)) => match happened {
                        Ok(Some(_)) => continue,
                        Ok(None) => None,
                        Err(stop @ (Stop::HangUp(_) | Stop::Taken)) => {
                            last = Some(stop);
                            *status = "HANGUP";
                            idle = Instant::now() + AFTER_HANG_UP;
                            if connection.write("HANGUP\n").await.is_err() {
                                break;
                            }
                            continue;
                        }
                        Err(stop) => return Err(stop),
                    },
                    heard = connection.next() => Some(heard),
                }
            };
            let line = match happened {
                Some(Heard::Line(line)) => line,
                Some(Heard::End) => break,
                Some(Heard::TooLong) | None => {
                    if last.is_none() {
                        self.complaint("the AGI program hangs, or writes no lines");
                        *status = "FAILURE";
                    }
                    break;
                }
            };
            let (reply, stop) = self.perform(&line, program).await;
            if let Some(stop @ Stop::Start(_)) = stop {
                return Err(stop);
            }
            if connection.write(&reply.text()).await.is_err() {
                break;
            }
            if let Some(cause) = program.hang_up.take() {
                self.ends_call(cause);
            }
            if let (Some(stop), None) = (stop, &last) {
                last = Some(stop);
                *status = "HANGUP";
                if connection.write("HANGUP\n").await.is_err() {
                    break;
                }
            }
            idle = Instant::now() + if last.is_some() { AFTER_HANG_UP } else { patience };
        }
        last.map_or(Ok(()), Err)
    }

    /// Does what one line asks for. With a reason to stop, the channel is no more the program's.
    async fn perform(&mut self, line: &str, program: &mut Program) -> (Reply, Option<Stop>) {
        let command = match parse(line.trim()) {
            Ok(command) => command,
            Err(reply) => return (reply, None),
        };
        if self.over.is_some() && command.needs_life() {
            return (Reply::Dead, None);
        }
        let words = line.trim().chars().take(1000).collect::<String>();
        let command_number = self.services.agi_commands.fetch_add(1, Ordering::Relaxed);
        let begun = NewsBody::AgiExecStart { command: words.clone(), command_number };
        self.tell(begun);
        let (reply, stop) = match self.obey(command, program).await {
            Ok(reply) => (reply, None),
            Err(stop) => (Reply::Result(-1), Some(stop)),
        };
        let result = if reply.code() == 200 { "Success" } else { "Failure" }.to_owned();
        let code = reply.code();
        self.tell(NewsBody::AgiExecEnd { command: words, command_number, code, result });
        // A plain hang-up is told of once, by the call itself.
        let stop = stop.or_else(|| self.over.map(Stop::HangUp));
        (reply, stop)
    }
}
