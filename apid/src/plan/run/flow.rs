//! Where to go on, and what is remembered.

use super::super::arguments;
use super::super::dialplan::{Position, Start};
use super::super::expression::is_true;
use super::session::{Frame, Outcome, Ran, Session, Stop};
use crate::call::When;
use crate::control::Cause;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Gosubs within each other.
const FRAMES_MAX: usize = 64;

impl Session {
    /// `[[context,]extension,]priority` as a position that is there.
    pub(super) fn place(&self, text: &str) -> Option<Position> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let Position { context, extension, priority } = &self.position;
        let (context, extension, start) = match parts.as_slice() {
            [start] => (context.as_str(), extension.as_str(), *start),
            [extension, start] => (context.as_str(), *extension, *start),
            [context, extension, start] => (*context, *extension, *start),
            _ => return None,
        };
        let start = match start.parse::<u32>() {
            Ok(number) => Start::Priority(number),
            Err(_) if start == "n" => Start::Priority(priority + 1),
            Err(_) => Start::Label(start),
        };
        self.plan().position(context, extension, start)
    }

    fn jump(&self, text: &str) -> Ran {
        let Some(position) = self.place(text) else {
            self.complaint(&format!("there is no `{text}` to go to"));
            return Err(Stop::HangUp(Cause::NormalClearing));
        };
        Ok(Outcome::Jump(position))
    }

    pub(super) fn app_goto(&self, data: &str) -> Ran {
        self.jump(data)
    }

    /// `condition?there:or there`.
    pub(super) fn app_goto_if(&self, data: &str) -> Ran {
        match branch(data) {
            Some("") | None => Ok(Outcome::Next),
            Some(place) => self.jump(place),
        }
    }

    /// `times,days of the week,days of the month,months[,time zone]?there:or there`.
    pub(super) fn app_goto_if_time(&self, data: &str) -> Ran {
        let (when, places) = data.split_once('?').unwrap_or((data, ""));
        match when.parse::<When>() {
            Ok(when) => {
                let holds = u8::from(when.holds(SystemTime::now()));
                self.app_goto_if(&format!("{holds}?{places}"))
            }
            Err(reason) => {
                self.complaint(&reason);
                Ok(Outcome::Next)
            }
        }
    }

    pub(super) fn app_gosub(&mut self, data: &str) -> Ran {
        let (place, given) = match data.split_once('(') {
            Some((place, rest)) => (place, rest.strip_suffix(')').unwrap_or(rest)),
            None => (data, ""),
        };
        let Some(position) = self.place(place) else { return self.jump(place) };
        if self.frames.len() >= FRAMES_MAX {
            self.complaint("too many Gosubs within each other");
            return Err(Stop::HangUp(Cause::NormalClearing));
        }
        let arguments = arguments::split(given, 100);
        let mut locals = BTreeMap::from([("ARGC".to_owned(), arguments.len().to_string())]);
        for (number, value) in (1..).zip(arguments) {
            locals.insert(format!("ARG{number}"), value);
        }
        let mut back = self.position.clone();
        back.priority += 1;
        self.frames.push(Frame { back, locals });
        Ok(Outcome::Jump(position))
    }

    pub(super) fn app_gosub_if(&mut self, data: &str) -> Ran {
        match branch(data).map(str::to_owned) {
            Some(place) if !place.is_empty() => self.app_gosub(&place),
            _ => Ok(Outcome::Next),
        }
    }

    pub(super) fn app_return(&mut self, data: &str) -> Ran {
        let Some(frame) = self.frames.pop() else {
            self.complaint("Return without a Gosub");
            return Err(Stop::HangUp(Cause::NormalClearing));
        };
        if !data.is_empty() {
            self.set("GOSUB_RETVAL", data);
        }
        Ok(Outcome::Jump(frame.back))
    }

    pub(super) fn app_stack_pop(&mut self) {
        if self.frames.pop().is_none() {
            self.complaint("StackPop without a Gosub");
        }
    }

    pub(super) fn app_verbose(&self, data: &str) {
        let text = match data.split_once(',') {
            Some((level, text)) if level.trim().parse::<u8>().is_ok() => text,
            _ => data,
        };
        let text: String = text.chars().filter(|sign| !sign.is_control()).collect();
        tracing::info!(call = self.call, line = self.line, "plan: {text}");
    }

    /// `name=value`.
    pub(super) fn app_set(&mut self, data: &str) {
        match data.split_once('=') {
            Some((name, value)) => {
                if let Err(reason) = self.assign(name.trim(), value.trim_matches('"')) {
                    self.complaint(&reason);
                }
            }
            None => self.complaint("Set is Set(name=value)"),
        }
    }

    /// A variable or a function is given a value.
    pub(super) fn assign(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some((function, rest)) = name.split_once('(') {
            let argument = rest.strip_suffix(')').unwrap_or(rest);
            return self.assign_function(function, argument, value);
        }
        // Underscores have a variable inherited by channels that this one dials; its value is the
        // same for both.
        let name = name.trim_start_matches('_');
        if let Some(frame) = self.frames.last_mut()
            && frame.locals.contains_key(name)
        {
            frame.locals.insert(name.to_owned(), value.to_owned());
            return Ok(());
        }
        self.set(name, value);
        Ok(())
    }
}

/// What holds of `condition?one:other`.
fn branch(data: &str) -> Option<&str> {
    let (condition, places) = data.split_once('?')?;
    let (one, other) = places.split_once(':').unwrap_or((places, ""));
    Some(if is_true(condition) { one.trim() } else { other.trim() })
}
