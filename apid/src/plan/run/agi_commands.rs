//! AGI commands, done.

use super::super::dialplan::{Position, Start};
use super::super::names::application;
use super::super::substitute::{self, Scope};
use super::agi::Program;
use super::functions::{OfChannel, caller_of};
use super::session::{Frame, Outcome, Session, Stop};
use super::sound::Heard;
use super::speak;
use crate::agi::Reply;
use crate::agi::command::{Command, Say};
use crate::channel::{self, Memory as _};
use crate::control::{Cause, PlaySource};
use crate::recording::StopCause;
use crate::view::{RecordDirection, RecordRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where no time is given for the digit after `GET OPTION`'s prompts.
const OPTION_TIME: Duration = Duration::from_secs(5);
/// However long a program waits for a digit.
const FOR_EVER: Duration = Duration::from_hours(24);

/// A digit as AGI writes it: its ASCII code, 0 for none.
fn code(digit: Option<char>) -> i64 {
    digit.map_or(0, |digit| i64::from(u32::from(digit)))
}

/// A place in what is played, samples.
fn samples(ms: u64) -> u64 {
    ms * 8
}

/// The other way round: `CONTROL STREAM FILE` tells its place so.
fn milliseconds(samples: usize) -> u64 {
    samples as u64 / 8
}

impl Session {
    pub(super) async fn obey(
        &mut self,
        command: Command,
        program: &mut Program,
    ) -> Result<Reply, Stop> {
        Ok(match command {
            Command::Answer => {
                self.answer().await?;
                Reply::Result(0)
            }
            Command::Break => {
                program.broken = true;
                Reply::Result(0)
            }
            Command::NoOp | Command::Send | Command::TextPhone | Command::Speech => {
                Reply::Result(0)
            }
            Command::ReceiveChar => Reply::Text(-1, "hangup".to_owned()),
            Command::ReceiveText => Reply::Result(-1),
            Command::ChannelStatus(name) => self.status_of(name.as_deref()),
            Command::HangUp(name) => self.hang_up(name.as_deref(), program).await,
            Command::DatabaseGet(..)
            | Command::DatabasePut(..)
            | Command::DatabaseDelete(..)
            | Command::DatabaseDeleteTree(..) => self.keep(&command),
            Command::Execute(name, data) => self.execute_for(&name, &data, program).await?,
            Command::Gosub(context, extension, priority, arguments) => {
                self.gosub(&context, &extension, &priority, &arguments).await?
            }
            Command::GetVariable(name) => match self.value_of(&name) {
                Some(value) => Reply::Text(1, value),
                None => Reply::Result(0),
            },
            Command::GetFullVariable(text, name) => self.full_value(&text, name.as_deref()),
            Command::SetVariable(name, value) => {
                if let Err(reason) = self.assign(&name, &value) {
                    self.complaint(&reason);
                }
                Reply::Result(1)
            }
            Command::SetCaller(caller) => {
                if let Some(channel) = &self.channel {
                    let caller = caller_of(&caller);
                    if caller.number.len() <= 32 && caller.name.len() <= 32 {
                        self.services.channels.set_caller(&channel.unique_id, caller);
                    }
                }
                Reply::Result(1)
            }
            Command::SetContext(_) | Command::SetExtension(_) | Command::SetPriority(_) => {
                self.goes_on(command, program)
            }
            Command::AutoHangUp(time) => {
                let at = || tokio::time::Instant::now() + time;
                self.absolute = (!time.is_zero()).then(at);
                Reply::Result(0)
            }
            Command::Music(on, class) => {
                self.answer().await?;
                if on {
                    self.start_music(if class.is_empty() { "default" } else { &class }).await;
                } else {
                    self.stop_background().await;
                }
                Reply::Result(0)
            }
            Command::Verbose(text) => {
                self.app_verbose(&text);
                Reply::Result(1)
            }
            Command::WaitForDigit(time) => {
                Reply::Result(code(self.next_digit(time.unwrap_or(FOR_EVER)).await?))
            }
            Command::Say(what, escape) => self.say_for(what, &escape).await?,
            Command::Stream { files, escape, offset } => {
                let heard = self.stream(&files, &Self::escape(&escape), offset).await?;
                Reply::EndPos(code(heard.digit), offset + samples(heard.played_ms))
            }
            Command::ControlStream { files, escape, skip, keys } => {
                self.control_stream(&files, &Self::escape(&escape), skip, keys).await?
            }
            Command::GetOption { files, escape, timeout } => {
                let escape = Self::escape(&escape);
                let heard = self.stream(&files, &escape, 0).await?;
                let mut digit = heard.digit;
                if digit.is_none() {
                    let time = timeout.unwrap_or(OPTION_TIME);
                    digit = self.silence(time, &escape).await?;
                }
                Reply::EndPos(code(digit), samples(heard.played_ms))
            }
            Command::GetData { files, timeout, count } => {
                let heard = self.stream(&files, "0123456789*#", 0).await?;
                if heard.digit == Some('#') {
                    return Ok(Reply::Digits(String::new()));
                }
                let begun: String = heard.digit.into_iter().collect();
                let (digits, ended) = self.digits(begun, count, "#", timeout, timeout).await?;
                if ended { Reply::Digits(digits) } else { Reply::DigitsTimeout(digits) }
            }
            Command::Record { file, format, escape, longest, beep, silence } => {
                if !matches!(format.as_str(), "wav" | "wav16") {
                    return Ok(Reply::Text(-1, "writefile".to_owned()));
                }
                self.answer().await?;
                let request = RecordRequest {
                    direction: RecordDirection::Rx,
                    max_ms: longest.map(|time| (time.as_millis() as u64).max(20)),
                    stop_on: Vec::new(),
                    silence_ms: silence.map(|time| (time.as_millis() as u64).clamp(100, 600_000)),
                    beep,
                };
                match self.record(&file, request, &Self::escape(&escape)).await? {
                    None => Reply::Text(-1, "writefile".to_owned()),
                    Some(kept) => {
                        let end = samples(kept.recording.duration_ms);
                        match (kept.digit, kept.recording.cause) {
                            (Some(digit), _) => Reply::Recorded(code(Some(digit)), "dtmf", end),
                            (None, Some(StopCause::HungUp)) => Reply::Recorded(-1, "hangup", end),
                            (None, _) => Reply::Recorded(0, "timeout", end),
                        }
                    }
                }
            }
        })
    }

    fn status_of(&self, name: Option<&str>) -> Reply {
        let found = match name {
            Some(name) => self.services.channels.find(name),
            None => self.channel_now().filter(|_| self.over.is_none()),
        };
        // The registry hears of the own answer a moment later than this channel did.
        let answered = name.is_none() && self.is_answered();
        let state = |channel: Arc<channel::Channel>| {
            if answered { channel::ChannelState::Up } else { channel.state }
        };
        Reply::Result(found.map_or(-1, |channel| i64::from(state(channel).number())))
    }

    async fn hang_up(&mut self, name: Option<&str>, program: &mut Program) -> Reply {
        let own =
            |name: &str| self.channel.as_ref().is_some_and(|c| c.name.eq_ignore_ascii_case(name));
        match name {
            Some(name) if !own(name) => {
                let Some(channel) = self.services.channels.find(name) else {
                    return Reply::Result(-1);
                };
                let program = self.services.channels.program();
                let hung = program.end_phoneless(&channel, Cause::NormalClearing)
                    || self.services.control.hangup(&Self::caller(), &channel.line).await.is_ok();
                Reply::Result(if hung { 1 } else { -1 })
            }
            _ => {
                program.hang_up = Some(Cause::NormalClearing);
                Reply::Result(1)
            }
        }
    }

    fn keep(&self, command: &Command) -> Reply {
        let database = &self.services.database;
        let done = match command {
            Command::DatabaseGet(family, key) => {
                return match database.get(family, key) {
                    Some(value) => Reply::Text(1, value),
                    None => Reply::Result(0),
                };
            }
            Command::DatabasePut(family, key, value) => database.put(family, key, value).is_ok(),
            Command::DatabaseDelete(family, key) => database.delete(family, key),
            // The other way round than DATABASE DEL has it (Asterisk 1.8 to 22, res_agi.c).
            Command::DatabaseDeleteTree(family, key) => database.delete_tree(family, key) == 0,
            _ => false,
        };
        Reply::Result(i64::from(done))
    }

    async fn execute_for(
        &mut self,
        name: &str,
        data: &str,
        program: &mut Program,
    ) -> Result<Reply, Stop> {
        let name = match application(name) {
            Ok(name) => name,
            Err(reason) => {
                self.complaint(&reason);
                return Ok(Reply::Result(-2));
            }
        };
        let data = self.expand(data);
        match self.execute(name, &data).await {
            Ok(Outcome::Next) => Ok(Reply::Result(0)),
            Ok(Outcome::Digit(digit)) => Ok(Reply::Result(code(Some(digit)))),
            Ok(Outcome::Jump(position)) => {
                program.next = Some(position);
                Ok(Reply::Result(0))
            }
            Err(Stop::HangUp(cause)) if self.over.is_none() => {
                // The application wants the call to end; whether it does is the program's matter,
                // unless that is all that the application is for.
                if matches!(name, "Hangup" | "Busy" | "Congestion") {
                    program.hang_up = Some(cause);
                }
                Ok(Reply::Result(-1))
            }
            Err(stop) => Err(stop),
        }
    }

    async fn gosub(
        &mut self,
        context: &str,
        extension: &str,
        priority: &str,
        given: &str,
    ) -> Result<Reply, Stop> {
        let start = priority.parse().map_or(Start::Label(priority), Start::Priority);
        let Some(position) = self.plan().position(context, extension, start) else {
            return Ok(Reply::Words(-1, "Gosub label not found"));
        };
        let arguments = super::super::arguments::split(given, 100);
        let mut locals = BTreeMap::from([("ARGC".to_owned(), arguments.len().to_string())]);
        for (number, value) in (1..).zip(arguments) {
            locals.insert(format!("ARG{number}"), value);
        }
        let back = std::mem::replace(&mut self.position, position);
        let floor = self.frames.len() + 1;
        self.frames.push(Frame { back: back.clone(), locals });
        let walked = self.walk(floor).await;
        self.frames.truncate(floor - 1);
        self.position = back;
        walked.map(|()| Reply::Words(0, "Gosub complete"))
    }

    /// A variable, or a function as `CALLERID(num)`.
    fn value_of(&self, name: &str) -> Option<String> {
        let value = if name.contains('(') {
            self.expand(&format!("${{{name}}}"))
        } else {
            self.variable(name).unwrap_or_default()
        };
        (!value.is_empty()).then_some(value)
    }

    fn full_value(&self, text: &str, name: Option<&str>) -> Reply {
        let other = name.and_then(|name| self.services.channels.find(name));
        let value = match (name, other) {
            (None, _) => self.expand(text),
            (Some(_), Some(other)) if other.call_id == self.call && other.line == self.line => {
                self.expand(text)
            }
            (Some(_), Some(other)) => {
                let scope = OfChannel::of(&self.services, Some(&other));
                substitute::expand(text, &scope, &mut Vec::new())
            }
            (Some(_), None) => String::new(),
        };
        if value.is_empty() { Reply::Result(0) } else { Reply::Text(1, value) }
    }

    fn goes_on(&self, command: Command, program: &mut Program) -> Reply {
        let mut position = program.next.clone().unwrap_or_else(|| self.position.clone());
        match command {
            Command::SetContext(context) => {
                position = Position { context, priority: 1, ..position };
            }
            Command::SetExtension(extension) => {
                position = Position { extension, priority: 1, ..position };
            }
            Command::SetPriority(text) => {
                let start = text.parse().map_or(Start::Label(&text), Start::Priority);
                let found = self.plan().position(&position.context, &position.extension, start);
                let Some(found) = found else { return Reply::usage("SET PRIORITY") };
                position = found;
            }
            _ => {}
        }
        program.next = Some(position);
        Reply::Result(0)
    }

    async fn say_for(&mut self, what: Say, escape: &str) -> Result<Reply, Stop> {
        let prompts = match what {
            Say::Alpha(text) => Ok(speak::letters(&text)),
            Say::Digits(text) => Ok(speak::digits(&text)),
            Say::Phonetic(text) => Ok(speak::phonetic(&text)),
            Say::Number(value) => Ok(speak::number(value)),
            Say::Date(seconds) => speak::moment(seconds, "ABdY"),
            Say::Time(seconds) => speak::moment(seconds, "IMp"),
            Say::DateTime(seconds, format, zone) => match zone.as_str() {
                "" | "UTC" | "GMT" if format.is_empty() => {
                    speak::moment(seconds, "ABdY 'digits/at' IMp")
                }
                "" | "UTC" | "GMT" => speak::moment(seconds, &format),
                other => Err(format!("times are said in UTC, not in `{other}`")),
            },
        };
        let prompts = match prompts {
            Ok(prompts) => prompts,
            Err(reason) => {
                self.complaint(&reason);
                return Ok(Reply::Result(-1));
            }
        };
        self.answer().await?;
        let heard = self.say(&prompts, &Self::escape(escape)).await?;
        Ok(Reply::Result(code(heard.digit)))
    }

    async fn stream(&mut self, files: &str, escape: &str, offset: u64) -> Result<Heard, Stop> {
        self.answer().await?;
        if offset == 0 {
            return self.play_files(files, escape).await;
        }
        match self.services.control.prompt_samples(files).await {
            Ok(all) => {
                let rest = all.get(offset as usize..).unwrap_or_default().to_vec();
                if rest.is_empty() {
                    return Ok(Heard::default());
                }
                self.play(PlaySource::Pcm(rest), escape).await
            }
            Err(refused) => {
                self.complaint(&refused.to_string());
                Ok(Heard { failed: true, ..Heard::default() })
            }
        }
    }

    async fn control_stream(
        &mut self,
        files: &str,
        escape: &str,
        skip: Duration,
        keys: [Option<char>; 3],
    ) -> Result<Reply, Stop> {
        self.answer().await?;
        let all = match self.services.control.prompt_samples(files).await {
            Ok(all) => all,
            Err(refused) => {
                self.complaint(&refused.to_string());
                return Ok(Reply::EndPos(-1, 0));
            }
        };
        let step = samples(skip.as_millis() as u64) as usize;
        let mut heard_keys: String = escape.to_owned();
        heard_keys.extend(keys.into_iter().flatten());
        let mut at = 0;
        while at < all.len() {
            let heard = self.play(PlaySource::Pcm(all[at..].to_vec()), &heard_keys).await?;
            at += samples(heard.played_ms) as usize;
            let Some(digit) = heard.digit else { break };
            if escape.contains(digit) {
                return Ok(Reply::EndPos(code(Some(digit)), milliseconds(at)));
            }
            let [forwards, backwards, pause] = keys;
            if Some(digit) == forwards {
                at += step;
            } else if Some(digit) == backwards {
                at = at.saturating_sub(step);
            } else if Some(digit) == pause {
                self.silence(FOR_EVER, &heard_keys).await?;
            }
        }
        Ok(Reply::EndPos(0, milliseconds(at.min(all.len()))))
    }

    /// Escape digits: what is none of a telephone's is nobody's.
    fn escape(digits: &str) -> String {
        digits.chars().filter(|digit| super::sound::EVERY_DIGIT.contains(*digit)).collect()
    }
}
