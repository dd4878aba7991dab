//! Collecting digits: a question, perhaps a prompt, and what the person presses.

use super::access::Attached;
use super::refused::invalid;
use super::{Control, PlayOptions, PlaySource, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::digit_collector::{COUNT_MAX, CollectEnd, CollectRules, DigitCollector};
use crate::hub::{Delivery, Filter, Listener, NoticeBody};
use crate::view::StopOn;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tipring_shm_proto::command::{Command, PlayPath};
use tipring_shm_proto::units::LineId;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Digits of one line that were pressed before anybody asked.
const TYPED_AHEAD: usize = 32;
/// However long the prompt: then it is given up.
const LONGEST: Duration = Duration::from_mins(10);
const EVERY_DIGIT: &str = "0123456789*#ABCD";

/// What to collect.
#[derive(Clone, Debug)]
pub struct Question {
    /// When it is complete.
    pub rules: CollectRules,
    /// Digits pressed before, since its call was answered, count too.
    pub type_ahead: bool,
    /// Played first.
    pub prompt: Option<(PlaySource, PlayOptions)>,
    /// A digit silences the prompt.
    pub barge_in: bool,
}

/// What was collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// In the order in which they were pressed.
    pub digits: String,
    /// Why it ended.
    pub ended: CollectEnd,
    /// Which terminator ended it.
    pub terminator: Option<char>,
}

/// Digits of each line on their way to whoever waits for them.
#[derive(Debug, Default)]
pub(super) struct Digits(HashMap<String, LineDigits>);

#[derive(Debug)]
enum LineDigits {
    /// Nobody waits.
    Typed(VecDeque<char>),
    /// Somebody does.
    Awaited(mpsc::UnboundedSender<char>),
}

impl Digits {
    fn push(&mut self, line: &str, digit: char) {
        let empty = || LineDigits::Typed(VecDeque::new());
        match self.0.entry(line.to_owned()).or_insert_with(empty) {
            // Who waits takes them; one that is about to go puts back what it left.
            LineDigits::Awaited(sender) => {
                let _ = sender.send(digit);
            }
            LineDigits::Typed(typed) => {
                if typed.len() >= TYPED_AHEAD {
                    typed.pop_front();
                }
                typed.push_back(digit);
            }
        }
    }

    fn forget(&mut self, line: &str) {
        self.0.remove(line);
    }

    fn forget_typed(&mut self, line: &str) {
        if let Some(LineDigits::Typed(_)) = self.0.get(line) {
            self.0.remove(line);
        }
    }

    /// From now on digits go to the receiver, those typed before it first.
    fn take(&mut self, line: &str, type_ahead: bool) -> Option<mpsc::UnboundedReceiver<char>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        match self.0.get_mut(line) {
            Some(LineDigits::Awaited(_)) => return None,
            Some(LineDigits::Typed(typed)) if type_ahead => {
                for digit in typed.drain(..) {
                    let _ = sender.send(digit);
                }
            }
            _ => {}
        }
        self.0.insert(line.to_owned(), LineDigits::Awaited(sender));
        Some(receiver)
    }

    fn give_back(&mut self, line: &str, mut receiver: mpsc::UnboundedReceiver<char>) {
        // A phone that was put down meanwhile has no digits any more.
        if let Some(LineDigits::Awaited(_)) = self.0.get(line) {
            let mut typed = VecDeque::new();
            while let Ok(digit) = receiver.try_recv() {
                typed.push_back(digit);
            }
            self.0.insert(line.to_owned(), LineDigits::Typed(typed));
        }
    }
}

/// Digits of a line while somebody waits for them; given back when dropped.
struct Awaited<'a> {
    control: &'a Control,
    line: &'a str,
    engine: LineId,
    digits: Option<mpsc::UnboundedReceiver<char>>,
}

impl Awaited<'_> {
    /// `None` when the phone was put down. May be cancelled without loss.
    async fn next(&mut self) -> Option<char> {
        self.digits.as_mut()?.recv().await
    }

    /// Lets go what was pressed until now.
    fn forget(&mut self) {
        while self.digits.as_mut().is_some_and(|digits| digits.try_recv().is_ok()) {}
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if let Some(digits) = self.digits.take() {
            lock(&self.control.0.digits).give_back(self.line, digits);
            let (control, engine) = (self.control.clone(), self.engine);
            self.control.0.runtime.spawn(async move {
                // A phone that was put down keeps none any more.
                let _ = control.ask(engine, Command::KeepDigits(false)).await;
            });
        }
    }
}

impl Control {
    /// Collects digits of a lifted phone, after a prompt where one is given; waits for the end
    /// of it. One at a time on a line. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook, `Full` while another collection waits there,
    /// `Invalid`, those of [`Control::play`], and as [`Control::line`].
    pub async fn collect(
        &self,
        caller: &Caller,
        line: &str,
        question: Question,
    ) -> Result<Collected, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        at.need_off_hook()?;
        check(&question.rules)?;
        let taken = lock(&self.0.digits).take(line, question.type_ahead);
        let digits = taken.ok_or(Refused::Full { what: "collections of digits on this line" })?;
        let (control, engine) = (self, at.engine);
        let mut awaited = Awaited { control, line, engine, digits: Some(digits) };
        // Whoever the phone talks with meanwhile does not hear them.
        self.ask(engine, Command::KeepDigits(true)).await?;
        let mut collector = DigitCollector::new(question.rules);
        let mut prompt = None;
        if let Some((source, options)) = question.prompt {
            prompt = Some(self.ask_person(&at, source, options, question.barge_in).await?);
        } else {
            collector.handle_prompt_over(0);
        }
        let deaf = !question.barge_in && !question.type_ahead;
        let ended = wait(&mut awaited, &mut collector, prompt, deaf).await;
        drop(awaited);
        let (digits, terminator) = collector.into_digits();
        Ok(Collected { digits, ended, terminator })
    }

    async fn ask_person(
        &self,
        at: &Attached,
        source: PlaySource,
        mut options: PlayOptions,
        barge_in: bool,
    ) -> Result<Prompt, Refused> {
        if barge_in && !options.stop_on.contains(&StopOn::Digit) {
            options.stop_on.push(StopOn::Digit);
        }
        let types = vec!["playback_ended".to_owned()];
        let filter = Filter { lines: vec![at.entry.id.clone()], types };
        let caller = Caller::everything("collector");
        let events = self.0.hub.listen(&caller, filter, None, "collector");
        let playback = self.play_on(at, source, options, PlayPath::Line).await?;
        Ok(Prompt { events, playback })
    }

    /// A digit was pressed.
    pub(super) fn note_digit(&self, line: &str, digit: char) {
        lock(&self.0.digits).push(line, digit);
    }

    /// The number that the phone dialled has reached somebody: it was meant for nobody else.
    pub(super) fn forget_dialled(&self, line: &str) {
        lock(&self.0.digits).forget_typed(line);
    }

    /// The phone was put down, or is lost: whoever waits for its digits is told.
    pub(super) fn forget_digits(&self, line: &str) {
        lock(&self.0.digits).forget(line);
    }

    /// The engine is gone, and with it every lifted phone.
    pub(super) fn forget_all_digits(&self) {
        lock(&self.0.digits).0.clear();
    }
}

/// The playback that asks.
struct Prompt {
    events: Listener,
    playback: String,
}

impl Prompt {
    /// It was heard to its end, or silenced.
    async fn over(&mut self) {
        loop {
            match self.events.next().await {
                Delivery::Notice(notice) => {
                    if let NoticeBody::PlaybackEnded { playback_id, .. } = &notice.body
                        && *playback_id == self.playback
                    {
                        return;
                    }
                }
                // What is missing may be its end.
                Delivery::Lagged { .. } => return,
            }
        }
    }
}

async fn wait(
    awaited: &mut Awaited<'_>,
    collector: &mut DigitCollector,
    mut prompt: Option<Prompt>,
    deaf: bool,
) -> CollectEnd {
    let begin = Instant::now();
    let now_ms = || begin.elapsed().as_millis() as u64;
    loop {
        let deadline = collector.deadline_ms().map_or(LONGEST, Duration::from_millis).min(LONGEST);
        let ended = tokio::select! {
            biased;
            () = over(&mut prompt) => {
                prompt = None;
                if deaf {
                    awaited.forget();
                }
                collector.handle_prompt_over(now_ms());
                None
            }
            digit = awaited.next(), if prompt.is_none() || !deaf => match digit {
                Some(digit) => collector.handle_digit(digit, now_ms()),
                None => Some(CollectEnd::HungUp),
            },
            () = tokio::time::sleep_until(begin + deadline) => {
                if begin.elapsed() >= LONGEST {
                    Some(CollectEnd::Timeout)
                } else {
                    collector.handle_time(now_ms())
                }
            }
        };
        if let Some(ended) = ended {
            return ended;
        }
    }
}

async fn over(prompt: &mut Option<Prompt>) {
    match prompt {
        Some(prompt) => prompt.over().await,
        None => std::future::pending().await,
    }
}

fn check(rules: &CollectRules) -> Result<(), Refused> {
    let digits = |text: &str| text.chars().all(|c| EVERY_DIGIT.contains(c));
    if !(1..=COUNT_MAX).contains(&rules.count) {
        return Err(invalid("count", "allowed is 1 to 64"));
    }
    if !digits(&rules.terminators) {
        return Err(invalid("terminators", "allowed are 0-9*#A-D"));
    }
    if rules.filter.is_empty() || !digits(&rules.filter) {
        return Err(invalid("filter", "allowed are 0-9*#A-D, one at least"));
    }
    if !(100..=600_000).contains(&rules.first_timeout_ms) {
        return Err(invalid("first_timeout_ms", "allowed is 100 to 600000"));
    }
    if !(100..=60_000).contains(&rules.inter_digit_ms) {
        return Err(invalid("inter_digit_ms", "allowed is 100 to 60000"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_go_to_whoever_waits_else_they_are_kept_until_the_phone_is_put_down() {
        let mut digits = Digits::default();
        for digit in "12".chars() {
            digits.push("1", digit);
        }
        let mut first = digits.take("1", true).expect("nobody waits yet");
        assert!(digits.take("1", true).is_none(), "one at a time");
        digits.push("1", '3');
        assert_eq!(first.try_recv(), Ok('1'));
        digits.give_back("1", first);
        let mut second = digits.take("1", true).expect("it was given back");
        assert_eq!((second.try_recv(), second.try_recv()), (Ok('2'), Ok('3')));
        digits.give_back("1", second);
        digits.push("1", '4');
        let mut third = digits.take("1", false).expect("it was given back");
        assert!(third.try_recv().is_err(), "what was typed before does not count");
        digits.forget("1");
        assert!(third.try_recv() == Err(mpsc::error::TryRecvError::Disconnected));
        digits.give_back("1", third);
        assert!(digits.0.is_empty());
    }
}
