//! Dial: several devices at once, and what comes after.

use super::super::arguments;
use super::super::dialplan::Position;
use super::super::substitute::Scope as _;
use super::screen::{Routine, Screened};
use super::session::{Outcome, Ran, Session, Stop};
use super::transfer::Entering;
use super::wait::Event;
use crate::channel;
use crate::control::{Cause, PlanDial, PlaySource};
use crate::hub::{Delivery, Filter, Listener, NoticeBody};
use crate::speech::Utterance;
use std::time::Duration;
use tokio::time::Instant;

/// Longest ringing.
const RING_MAX: u64 = 600;
/// Ringing where no time is given, s.
const RING: u64 = 60;

/// Options that are what they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    /// The plan goes on when whom it dialled has hung up.
    goes_on: bool,
    /// What keys of whom it dialled do, and those of the caller.
    callee: Keys,
    caller: Keys,
    /// Music instead of ringing.
    music: Option<String>,
    /// Longest conversation.
    limit: Option<Limit>,
    /// Digits for whom it dialled, and for the caller, once they talk.
    digits: Option<String>,
    /// What whom it dialled goes through before that.
    routine: Option<Routine>,
}

/// What keys do while two talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Keys {
    /// `*`.
    hangs_up: bool,
    /// `#` and a number.
    hands_on: bool,
}

/// Of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    longest: Duration,
    /// So long before the end the caller is told, and again each so often.
    warns: Option<Duration>,
    every: Option<Duration>,
}

impl Limit {
    /// `ms[:before the end[:again after]]`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let mut next = || match parts.next() {
            None | Some("") => Some(None),
            Some(ms) => ms.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis).map(Some),
        };
        let (longest, warns, every) = (next()??, next()?, next()?);
        let fits = warns.is_none_or(|warns| warns < longest);
        fits.then_some(Self { longest, warns, every })
    }
}

fn options(text: &str) -> Result<Options, String> {
    let mut options = Options::default();
    for (letter, argument) in arguments::options(text)? {
        match letter {
            'g' => options.goes_on = true,
            'h' => options.callee.hangs_up = true,
            'H' => options.caller.hangs_up = true,
            // Ringing is heard in any case.
            'r' => {}
            't' => options.callee.hands_on = true,
            'T' => options.caller.hands_on = true,
            'm' => {
                options.music =
                    Some(argument.filter(|a| !a.is_empty()).unwrap_or("default".into()));
            }
            'L' => {
                let limit = argument.and_then(|text| Limit::parse(&text));
                options.limit = Some(limit.ok_or("L is L(ms[:before the end[:again after]])")?);
            }
            'S' => {
                let seconds = argument.and_then(|text| text.parse::<u64>().ok());
                let seconds = seconds.ok_or("S(seconds) takes a time")?;
                let longest = Duration::from_secs(seconds);
                options.limit = Some(Limit { longest, warns: None, every: None });
            }
            'D' => options.digits = argument,
            'M' => {
                let routine = argument.and_then(|text| Routine::of_macro(&text));
                options.routine = Some(routine.ok_or("M is M(name[^argument…])")?);
            }
            'U' => {
                let routine = argument.and_then(|text| Routine::of_gosub(&text));
                options.routine = Some(routine.ok_or("U is U(context[^argument…])")?);
            }
            other => return Err(format!("Dial's option `{other}` is not built")),
        }
    }
    Ok(options)
}

impl Session {
    /// `devices[,seconds[,options[,URL]]]`.
    pub(super) async fn app_dial(&mut self, data: &str) -> Ran {
        if let Some(cause) = self.over {
            return Err(Stop::HangUp(cause));
        }
        let arguments = arguments::split(data, 4);
        let text = |at: usize| arguments.get(at).map(|text| text.trim()).unwrap_or_default();
        let options = match options(text(2)) {
            Ok(options) => options,
            Err(reason) => {
                self.complaint(&reason);
                self.set("DIALSTATUS", "INVALIDARGS");
                return Ok(Outcome::Next);
            }
        };
        let seconds = text(1).parse::<f64>().ok().filter(|s| *s > 0.0).unwrap_or(RING as f64);
        let dial = PlanDial {
            lines: self.lines_of(text(0)),
            caller: self.channel_now().map(|channel| channel.caller.clone()).unwrap_or_default(),
            timeout_ms: (seconds.min(RING_MAX as f64) * 1000.0) as u32,
            ringback: options.music.is_none(),
        };
        if self.local.is_some() {
            return self.dial_for_other(dial).await;
        }
        self.dial(dial, &options).await
    }

    async fn dial(&mut self, dial: PlanDial, options: &Options) -> Ran {
        self.set("DIALEDTIME", "0");
        self.set("ANSWEREDTIME", "0");
        let begin = Instant::now();
        if let Some(class) = &options.music {
            self.answer().await?;
            self.start_music(class).await;
        }
        if let Err(cause) = self.services.control.plan_dials(&self.call, dial).await {
            self.stop_background().await;
            self.dialled_in_vain(cause);
            return Ok(Outcome::Next);
        }
        let talked = self.dialling(options, begin).await;
        self.stop_background().await;
        match talked {
            Ok(Talked::Over(cause)) if options.goes_on => {
                self.set("HANGUPCAUSE", &cause.code().to_string());
                Ok(Outcome::Next)
            }
            // Asterisk's: who was connected is, without `g`, hung up on with the other.
            Ok(Talked::Over(cause)) => Err(Stop::HangUp(cause)),
            Ok(Talked::InVain) => Ok(Outcome::Next),
            Ok(Talked::HandedOn(position)) => Ok(Outcome::Jump(position)),
            Err(stop) => {
                self.services.control.plan_ends_dial(&self.call);
                Err(stop)
            }
        }
    }

    pub(super) fn dialled_in_vain(&mut self, cause: Cause) {
        self.set("DIALSTATUS", channel::Outcome::of_code(cause.code()).text());
        self.set("HANGUPCAUSE", &cause.code().to_string());
    }

    /// Until dialling is over.
    async fn dialling(&mut self, options: &Options, begin: Instant) -> Result<Talked, Stop> {
        let mut answered: Option<Instant> = None;
        let mut times = Times::default();
        let mut callee = Callee::default();
        let mut entering: Option<Entering> = None;
        loop {
            let until = times.next().into_iter().chain(entering.as_ref().map(|e| e.until)).min();
            let (happened, digit) = tokio::select! {
                happened = self.next(until) => match happened? {
                    Some(Event::Digit(digit)) => (None, Some((digit, true))),
                    happened => (happened, None),
                },
                digit = callee.digit() => (None, Some((digit, false))),
            };
            if let (Some((digit, by_caller)), true) = (digit, answered.is_some()) {
                let keys = if by_caller { options.caller } else { options.callee };
                match (&mut entering, digit) {
                    (Some(entered), digit) if entered.by_caller == by_caller => {
                        self.enter(entered, digit);
                    }
                    (None, '#') if keys.hands_on => {
                        entering = Some(self.begin_entering(by_caller, &callee.line).await);
                    }
                    // `DialOver` follows.
                    (None, '*') if keys.hangs_up => {
                        self.services.control.plan_ends_dial(&self.call);
                    }
                    _ => {}
                }
            }
            match happened {
                Some(Event::Connected(Some(line))) => {
                    if let Some(talked) = self.prepared(options, &line).await? {
                        return Ok(talked);
                    }
                    self.stop_background().await;
                    answered = Some(Instant::now());
                    times = Times::of(options.limit);
                    self.set("DIALSTATUS", "ANSWER");
                    let peer = self.services.channels.of_line(&line);
                    if let Some(peer) = peer {
                        self.set("DIALEDPEERNAME", &peer.name);
                    }
                    if options.callee != Keys::default() {
                        let types = vec!["dtmf".to_owned()];
                        let filter = Filter { lines: vec![line.clone()], types };
                        callee.heard = Some(self.services.control.listen_to(filter, "plan"));
                    }
                    if let Some(digits) = &options.digits {
                        self.send_after_answer(&line, digits).await;
                    }
                    callee.line = line;
                }
                Some(Event::DialOver(cause)) => {
                    let dialled = begin.elapsed().as_secs().to_string();
                    self.set("DIALEDTIME", &dialled);
                    let Some(at) = answered else {
                        self.dialled_in_vain(cause);
                        return Ok(Talked::InVain);
                    };
                    self.set("ANSWEREDTIME", &at.elapsed().as_secs().to_string());
                    return Ok(Talked::Over(cause));
                }
                _ => {}
            }
            if entering.as_ref().is_some_and(|entered| entered.until <= Instant::now())
                && let Some(entered) = entering.take()
                && let Some(position) = self.hand_over(&entered, &callee.line).await
            {
                self.end_dial().await?;
                return Ok(Talked::HandedOn(position));
            }
            match times.due() {
                Some(Due::Over) => {
                    callee.heard = None;
                    self.services.control.plan_ends_dial(&self.call);
                }
                Some(Due::Warn(left)) => self.warn(left).await,
                None => {}
            }
        }
    }

    /// Whom it dialled goes through what there is for it; what comes of the dial where the two are
    /// not to talk then.
    async fn prepared(&mut self, options: &Options, line: &str) -> Result<Option<Talked>, Stop> {
        let Some(routine) = &options.routine else { return Ok(None) };
        Ok(Some(match self.screen(routine, line).await? {
            Screened::Talks => return Ok(None),
            Screened::HangsUp => return Err(Stop::HangUp(Cause::NormalClearing)),
            Screened::Gone(cause) => {
                self.dialled_in_vain(cause);
                Talked::InVain
            }
            Screened::As(outcome) => {
                self.set("DIALSTATUS", outcome.text());
                Talked::InVain
            }
            Screened::GoesOn => {
                self.set("DIALSTATUS", channel::Outcome::Answer.text());
                Talked::InVain
            }
            Screened::GoesTo(position) => Talked::HandedOn(position),
        }))
    }

    /// The caller hears how long there is: `LIMIT_WARNING_FILE`, or so many seconds.
    async fn warn(&self, left: Duration) {
        let file = self.variable("LIMIT_WARNING_FILE").unwrap_or_default();
        let source = if file.is_empty() {
            let text = format!("You have {:.0} seconds left.", left.as_secs_f64());
            PlaySource::Say(Utterance { text, ..Utterance::default() })
        } else {
            PlaySource::Prompt(file)
        };
        self.tell_line(&self.line, source).await;
    }

    /// `called[:calling]`.
    async fn send_after_answer(&mut self, callee: &str, digits: &str) {
        let mut parts = digits.split(':');
        for line in [callee.to_owned(), self.line.clone()] {
            let digits = parts.next().unwrap_or_default().replace(['w', 'W'], "");
            if digits.is_empty() {
                continue;
            }
            let sent =
                self.services.control.dtmf(&Self::caller(), &line, &digits, None, None).await;
            if let Err(refused) = sent {
                self.complaint(&refused.to_string());
            }
        }
    }
}

/// What came of dialling.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Talked {
    /// Nobody answered, or nobody who wanted to talk.
    InVain,
    /// They talked.
    Over(Cause),
    /// Whom it dialled has sent it there.
    HandedOn(Position),
}

/// Whom was dialled.
#[derive(Debug, Default)]
struct Callee {
    line: String,
    /// Its keys, where they mean something.
    heard: Option<Listener>,
}

impl Callee {
    /// The next key it presses.
    async fn digit(&mut self) -> char {
        let Some(heard) = &mut self.heard else { return std::future::pending().await };
        loop {
            if let Delivery::Notice(notice) = heard.next().await
                && let NoticeBody::Dtmf { digit, .. } = notice.body
            {
                return digit;
            }
        }
    }
}

/// When a conversation is over, and when the caller is told that it will be.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    over: Option<Instant>,
    warn: Option<Instant>,
    every: Option<Duration>,
}

/// Of [`Times`].
enum Due {
    Over,
    Warn(Duration),
}

impl Times {
    fn of(limit: Option<Limit>) -> Self {
        let Some(limit) = limit else { return Self::default() };
        let over = Instant::now() + limit.longest;
        Self { over: Some(over), warn: limit.warns.map(|warns| over - warns), every: limit.every }
    }

    fn next(&self) -> Option<Instant> {
        self.warn.into_iter().chain(self.over).min()
    }

    fn due(&mut self) -> Option<Due> {
        let now = Instant::now();
        let over = self.over?;
        if over <= now {
            *self = Self::default();
            return Some(Due::Over);
        }
        let warned = self.warn.filter(|at| *at <= now)?;
        self.warn = self.every.map(|every| warned + every);
        Some(Due::Warn(over - warned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_what_they_say_or_are_refused() {
        let found = options("gtThHm(jazz)L(60000)D(12:3)r").unwrap();
        let both = Keys { hangs_up: true, hands_on: true };
        assert_eq!((found.goes_on, found.callee, found.caller), (true, both, both));
        assert_eq!(found.music.as_deref(), Some("jazz"));
        let longest = Duration::from_mins(1);
        assert_eq!(found.limit, Some(Limit { longest, warns: None, every: None }));
        let limit = options("L(60000:30000:10000)").unwrap().limit.unwrap();
        assert_eq!(limit.warns, Some(Duration::from_secs(30)));
        assert_eq!(limit.every, Some(Duration::from_secs(10)));
        assert_eq!(found.digits.as_deref(), Some("12:3"));
        assert!(options("M(screen^1)U(other)").unwrap().routine.is_some());
        assert_eq!(options("m").unwrap().music.as_deref(), Some("default"));
        for wrong in ["M", "U()", "L", "L(60000:70000)", "L(1:x)", "L(", "Q", "S(x)"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }
}
