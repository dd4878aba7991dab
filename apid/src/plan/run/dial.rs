//! Dial: several devices at once, and what comes after.

use super::super::arguments;
use super::session::{Outcome, Ran, Session, Stop};
use super::wait::Event;
use crate::channel;
use crate::control::{Cause, PlanDial};
use crate::hub::{Delivery, Filter, Listener, NoticeBody};
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
    /// `*` hangs up: of whom it dialled, of the caller.
    star_callee: bool,
    star_caller: bool,
    /// Music instead of ringing.
    music: Option<String>,
    /// Longest conversation.
    limit: Option<Duration>,
    /// Digits for whom it dialled, and for the caller, once they talk.
    digits: Option<String>,
}

fn options(text: &str) -> Result<Options, String> {
    let mut options = Options::default();
    for (letter, argument) in arguments::options(text)? {
        match letter {
            'g' => options.goes_on = true,
            'h' => options.star_callee = true,
            'H' => options.star_caller = true,
            // Ringing is heard in any case; who may transfer does so by the phone's own key.
            'r' | 't' | 'T' => {}
            'm' => {
                options.music =
                    Some(argument.filter(|a| !a.is_empty()).unwrap_or("default".into()));
            }
            'L' => {
                let argument = argument.unwrap_or_default();
                let ms = argument.parse::<u64>().ok().filter(|ms| *ms > 0);
                let ms = ms.ok_or("L(ms) takes a time alone: warnings are not built")?;
                options.limit = Some(Duration::from_millis(ms));
            }
            'S' => {
                let seconds = argument.and_then(|text| text.parse::<u64>().ok());
                let seconds = seconds.ok_or("S(seconds) takes a time")?;
                options.limit = Some(Duration::from_secs(seconds));
            }
            'D' => options.digits = argument,
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
            Ok(Some(cause)) if options.goes_on => {
                self.set("HANGUPCAUSE", &cause.code().to_string());
                Ok(Outcome::Next)
            }
            // Asterisk's: who was connected is, without `g`, hung up on with the other.
            Ok(Some(cause)) => Err(Stop::HangUp(cause)),
            Ok(None) => Ok(Outcome::Next),
            Err(stop) => {
                self.services.control.plan_ends_dial(&self.call);
                Err(stop)
            }
        }
    }

    fn dialled_in_vain(&mut self, cause: Cause) {
        self.set("DIALSTATUS", channel::Outcome::of_code(cause.code()).text());
        self.set("HANGUPCAUSE", &cause.code().to_string());
    }

    /// Until dialling is over; the cause of its end where somebody answered.
    async fn dialling(&mut self, options: &Options, begin: Instant) -> Result<Option<Cause>, Stop> {
        let mut answered: Option<Instant> = None;
        let mut limit = None;
        let mut callee: Option<Listener> = None;
        loop {
            let happened = tokio::select! {
                happened = self.next(limit) => happened?,
                () = star(&mut callee) => None,
            };
            match happened {
                Some(Event::Connected(Some(line))) => {
                    self.stop_background().await;
                    answered = Some(Instant::now());
                    limit = options.limit.map(|limit| Instant::now() + limit);
                    self.set("DIALSTATUS", "ANSWER");
                    let peer = self.services.channels.of_line(&line);
                    if let Some(peer) = peer {
                        self.set("DIALEDPEERNAME", &peer.name);
                    }
                    if options.star_callee {
                        let types = vec!["dtmf".to_owned()];
                        let filter = Filter { lines: vec![line.clone()], types };
                        callee = Some(self.services.control.listen_to(filter, "plan"));
                    }
                    if let Some(digits) = &options.digits {
                        self.send_after_answer(&line, digits).await;
                    }
                }
                Some(Event::DialOver(cause)) => {
                    let dialled = begin.elapsed().as_secs().to_string();
                    self.set("DIALEDTIME", &dialled);
                    let Some(at) = answered else {
                        self.dialled_in_vain(cause);
                        return Ok(None);
                    };
                    self.set("ANSWEREDTIME", &at.elapsed().as_secs().to_string());
                    return Ok(Some(cause));
                }
                // `*` of the one who may, or the longest conversation: `DialOver` follows.
                Some(Event::Digit('*')) if answered.is_some() && options.star_caller => {
                    self.services.control.plan_ends_dial(&self.call);
                }
                None if answered.is_some() => {
                    (callee, limit) = (None, None);
                    self.services.control.plan_ends_dial(&self.call);
                }
                _ => {}
            }
        }
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

/// Whom was dialled pressed `*`.
async fn star(callee: &mut Option<Listener>) {
    let Some(heard) = callee else { return std::future::pending().await };
    loop {
        if let Delivery::Notice(notice) = heard.next().await
            && matches!(notice.body, NoticeBody::Dtmf { digit: '*', .. })
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_what_they_say_or_are_refused() {
        let found = options("gtThHm(jazz)L(60000)D(12:3)r").unwrap();
        assert!(found.goes_on && found.star_callee && found.star_caller);
        assert_eq!(found.music.as_deref(), Some("jazz"));
        assert_eq!(found.limit, Some(Duration::from_mins(1)));
        assert_eq!(found.digits.as_deref(), Some("12:3"));
        assert_eq!(options("m").unwrap().music.as_deref(), Some("default"));
        for wrong in ["M(x)", "L(60000:1000)", "L(", "Q", "S(x)"] {
            assert!(options(wrong).is_err(), "{wrong}");
        }
    }
}
