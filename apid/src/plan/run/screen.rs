//! What whom was dialled hears and does before the two talk: `M` and `U` of `Dial`.

use super::super::arguments;
use super::super::dialplan::{Position, Start};
use super::INPUTS;
use super::session::{Frame, Session, Stop};
use super::wait::{Event, PATIENCE};
use crate::channel;
use crate::control::Cause;
use std::collections::BTreeMap;
use std::pin::pin;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Steps of the plan that whom was dialled goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Routine {
    /// `[[context,]extension,]priority`, or a context.
    place: String,
    arguments: Vec<String>,
    /// The variable of its channel that says what is to follow.
    result: &'static str,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Screened {
    /// They talk.
    Talks,
    /// Whom was dialled has hung up.
    Gone(Cause),
    /// As if it had been so.
    As(channel::Outcome),
    /// The caller goes on with the next step.
    GoesOn,
    /// The caller goes on there.
    GoesTo(Position),
    /// The caller is hung up on too.
    HangsUp,
}

impl Routine {
    /// `M(name^argument^argument)`: context `macro-name`.
    pub(super) fn of_macro(text: &str) -> Option<Self> {
        let routine = Self::parse(text, "MACRO_RESULT")?;
        Some(Self { place: format!("macro-{}", routine.place), ..routine })
    }

    /// `U(context^argument^argument)`.
    pub(super) fn of_gosub(text: &str) -> Option<Self> {
        Self::parse(text, "GOSUB_RESULT")
    }

    fn parse(text: &str, result: &'static str) -> Option<Self> {
        let mut parts = text.split('^').map(str::to_owned);
        let place = parts.next().filter(|place| !place.is_empty())?;
        Some(Self { place, arguments: parts.collect(), result })
    }
}

impl Session {
    /// Where a routine begins, if the plan has it.
    fn begin_of(&self, routine: &Routine) -> Option<Position> {
        let parts = arguments::split(&routine.place, 3);
        let (context, extension, priority) = match parts.as_slice() {
            [context] => (context.as_str(), "s", "1"),
            [context, extension, priority] => (context.as_str(), extension.as_str(), &**priority),
            _ => return None,
        };
        let start = priority.parse().map_or(Start::Label(priority), Start::Priority);
        self.plan().position(context, extension, start)
    }

    /// Has whom was dialled go through it. Neither hears the other meanwhile; the caller hears
    /// ringing, or what it heard before.
    pub(super) async fn screen(
        &mut self,
        routine: &Routine,
        callee: &str,
    ) -> Result<Screened, Stop> {
        let Some(position) = self.begin_of(routine) else {
            self.complaint(&format!("there is no `{}` for whom was dialled", routine.place));
            return Ok(Screened::Talks);
        };
        self.part_ears(callee, true).await;
        if self.background.is_none() {
            self.start_background("ring").await?;
        }
        let screened = self.go_through(routine, position, callee).await;
        self.stop_background().await;
        if let Ok(Screened::Talks) = screened {
            self.part_ears(callee, false).await;
        }
        screened
    }

    /// Neither hears the other, or both do again but for what was silenced before.
    async fn part_ears(&self, callee: &str, apart: bool) {
        for line in [callee, &self.line] {
            let muted = self.services.channels.of_line(line).map(|channel| channel.muted);
            let (spoken, heard) = muted.unwrap_or_default();
            let control = &self.services.control;
            // One that has just been hung up says nothing more.
            let _ = control.mute(&Self::caller(), line, spoken || apart, heard).await;
        }
    }

    async fn go_through(
        &mut self,
        routine: &Routine,
        position: Position,
        callee: &str,
    ) -> Result<Screened, Stop> {
        // Held until the end: without it that session would be told that its call is over.
        let (_inputs, receiver) = mpsc::channel(INPUTS);
        let own = Self::new(self.services.clone(), &self.call, callee, receiver);
        let result = {
            let mut walks = pin!(own.walk_routine(routine, position));
            loop {
                tokio::select! {
                    result = &mut walks => break result,
                    happened = self.next(None) => if let Some(Event::DialOver(cause)) = happened? {
                        return Ok(Screened::Gone(cause));
                    },
                }
            }
        };
        let Ok(result) = result else {
            // It has hung up on itself: the caller goes on.
            self.end_dial().await?;
            return Ok(Screened::GoesOn);
        };
        let screened = self.screened(&result);
        if screened != Screened::Talks {
            self.end_dial().await?;
        }
        Ok(screened)
    }

    /// Goes through it and gives its result.
    async fn walk_routine(mut self, routine: &Routine, position: Position) -> Result<String, Stop> {
        self.is_dialled = true;
        self.await_channel().await;
        let count = routine.arguments.len().to_string();
        let mut locals = BTreeMap::from([("ARGC".to_owned(), count)]);
        for (number, value) in (1..).zip(&routine.arguments) {
            locals.insert(format!("ARG{number}"), value.clone());
        }
        self.frames.push(Frame { back: position.clone(), locals });
        self.position = position;
        self.walk(1).await?;
        let channel = self.channel.as_ref();
        let result =
            channel.and_then(|c| self.services.channels.variable(&c.unique_id, routine.result));
        Ok(result.unwrap_or_default())
    }

    fn screened(&self, result: &str) -> Screened {
        match result.split_once(':') {
            Some(("GOTO", place)) => {
                if let Some(position) = self.place(&place.replace('^', ",")) {
                    return Screened::GoesTo(position);
                }
                self.complaint(&format!("there is no `{place}` to go to"));
                Screened::HangsUp
            }
            _ => match result {
                "ABORT" => Screened::HangsUp,
                "BUSY" => Screened::As(channel::Outcome::Busy),
                "CONGESTION" => Screened::As(channel::Outcome::Congestion),
                "CONTINUE" => Screened::GoesOn,
                _ => Screened::Talks,
            },
        }
    }

    /// Parts the caller from whom it dialled, and waits until that is done.
    pub(super) async fn end_dial(&mut self) -> Result<(), Stop> {
        self.services.control.plan_ends_dial(&self.call);
        let until = Instant::now() + PATIENCE;
        while let Some(event) = self.next(Some(until)).await? {
            if matches!(event, Event::DialOver(_)) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_is_a_place_and_its_arguments() {
        let routine = Routine::of_macro("screen^301^Front door").unwrap();
        assert_eq!(routine.place, "macro-screen");
        assert_eq!(routine.arguments, ["301", "Front door"]);
        assert_eq!(Routine::of_gosub("screen,s,1").unwrap().place, "screen,s,1");
        assert_eq!(Routine::of_gosub("^x"), None);
    }
}
