//! One application on one line: what happens on either side is told to the dialect, and what the
//! dialect asks for is done. Nothing a socket does reaches further than its own call.

use super::dialect::{About, Act, Dialect, Heard};
use super::socket::{Socket, Unreachable, Writer, dial};
use super::speech::Speech;
use super::{Address, StreamSettings};
use crate::auth::{Caller, Scope, Scopes};
use crate::control::{
    ApplicationCall, ApplicationEnd, AudioTap, Cause, Control, Moment, Refused, Tapped,
};
use crate::hub::{Delivery, Filter, Listener, NoticeBody};
use crate::view::TapDirection;
use futures_util::StreamExt as _;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

/// How long the far end may take to close after the end.
const CLOSING: Duration = Duration::from_secs(1);
/// How long a call may take to end after its application hung up.
const ENDING: Duration = Duration::from_secs(2);
/// Senseless messages of one application that are told; all are counted.
const TOLD_MAX: u64 = 3;

/// Dials the application of a call and serves both until one of them is gone.
pub(super) async fn run(
    control: Control,
    call: ApplicationCall,
    settings: &StreamSettings,
    mut left: watch::Receiver<Option<ApplicationEnd>>,
) {
    let dialled = tokio::select! {
        biased;
        // Nobody is told of anything: there is no socket yet.
        _ = told(&mut left) => return,
        dialled = open(&control, &call, settings) => dialled,
    };
    let (session, socket, ears) = match dialled {
        Ok(open) => open,
        Err(Unreachable { cause, reason }) => {
            let message = format!("application {}: {reason}", shown(&call.url));
            control.application_error(&call.line, "application_refused", &message);
            control.application_left(&call.call_id, cause);
            return;
        }
    };
    session.live(socket, ears, left).await;
}

/// What a session listens to on the line's side.
struct Ears {
    tap: AudioTap,
    events: Listener,
}

struct Session {
    control: Control,
    caller: Caller,
    call: ApplicationCall,
    dialect: Box<dyn Dialect>,
    speech: Speech,
    began: Instant,
    joined: bool,
    senseless: u64,
    /// Samples without room, since it was told last.
    overrun: usize,
    /// What the call's end is to be, once it is known.
    leaving: Option<Cause>,
}

async fn open(
    control: &Control,
    call: &ApplicationCall,
    settings: &StreamSettings,
) -> Result<(Session, Socket, Ears), Unreachable> {
    let refused = |cause, reason: String| Unreachable { cause, reason };
    let address: Address =
        call.url.parse().map_err(|reason| refused(Cause::InvalidNumber, reason))?;
    let scopes = Scopes::NONE.with(Scope::Read).with(Scope::Control).with(Scope::Audio);
    let lines = Some(vec![call.line.clone()]);
    let caller = Caller { name: format!("application of {}", call.call_id), scopes, lines };
    let shown = shown(&call.url);
    let no_ears = |why: Refused| refused(Cause::ResourceUnavailable, why.to_string());
    let filter = Filter { lines: vec![call.line.clone()], types: vec!["dtmf".to_owned()] };
    let socket = dial(&address, settings).await?;
    let events = control.listen(&caller, filter, None, shown).map_err(no_ears)?;
    let tap = control.audio_tap(&caller, &call.line, TapDirection::Rx, shown).map_err(no_ears)?;
    let about = About {
        call_id: call.call_id.clone(),
        line: call.line.clone(),
        caller: call.caller.number.clone(),
        dialled: call.dialled.clone(),
        owner: call.owner.clone(),
        session: random_hex(),
        at: call.at,
    };
    let speech = Speech::new(control.clone(), caller.clone(), call.line.clone(), settings.queue_ms);
    let session = Session {
        control: control.clone(),
        caller,
        call: call.clone(),
        dialect: address.dialect(about),
        speech,
        began: Instant::now(),
        joined: false,
        senseless: 0,
        overrun: 0,
        leaving: None,
    };
    Ok((session, socket, Ears { tap, events }))
}

impl Session {
    async fn live(
        mut self,
        socket: Socket,
        ears: Ears,
        mut left: watch::Receiver<Option<ApplicationEnd>>,
    ) {
        tracing::info!(
            call = self.call.call_id,
            line = self.call.line,
            to = shown(&self.call.url),
            "application connected"
        );
        let Socket { mut reader, mut writer } = socket;
        let Ears { mut tap, mut events } = ears;
        self.tell(Heard::Opened, &writer).await;
        let mut patience = None;
        let end = loop {
            if self.leaving.is_some() && patience.is_none() {
                patience = Some(tokio::time::Instant::now() + ENDING);
            }
            let message = tokio::select! {
                biased;
                end = told(&mut left) => break end,
                () = until(patience) => {
                    let cause = self.leaving.unwrap_or(Cause::NormalClearing);
                    break ApplicationEnd { cause, by_phone: false };
                }
                reason = writer.broken(), if self.leaving.is_none() => {
                    self.broke_off(&reason);
                    continue;
                }
                tapped = tap.next() => {
                    self.tapped(tapped, &writer).await;
                    continue;
                }
                delivery = events.next() => {
                    self.happened(&delivery, &writer).await;
                    continue;
                }
                (name, played_ms) = self.speech.next_mark() => {
                    self.tell(Heard::Mark { name: &name, played_ms }, &writer).await;
                    continue;
                }
                message = reader.next(), if self.leaving.is_none() => message,
            };
            match message {
                Some(Ok(Message::Text(text))) => self.tell(Heard::Text(&text), &writer).await,
                Some(Ok(Message::Binary(octets))) => {
                    self.tell(Heard::Binary(&octets), &writer).await;
                }
                Some(Ok(Message::Close(_))) => self.leave(Cause::NormalClearing),
                // Pings are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(reason)) => self.broke_off(&reason),
                None => self.broke_off("its connection broke off"),
            }
        };
        self.tell(Heard::Over(end), &writer).await;
        // Whoever closes in turn reads what was said before.
        let closing = async {
            while let Some(Ok(message)) = reader.next().await {
                if message.is_close() {
                    break;
                }
            }
        };
        let _ = tokio::join!(writer.close(CLOSING), tokio::time::timeout(CLOSING, closing));
        tracing::info!(call = self.call.call_id, senseless = self.senseless, "application left");
    }

    async fn tapped(&mut self, tapped: Tapped, writer: &Writer) {
        // Pieces of less than a frame wait for this.
        if let Err(why) = self.speech.flush().await {
            tracing::debug!(call = self.call.call_id, "an application's audio: {why}");
        }
        match tapped {
            Tapped::Frame(frame) if self.joined && self.leaving.is_none() => {
                if let Some(samples) = &frame.rx {
                    self.tell(Heard::Frame(samples), writer).await;
                }
                let dropped = writer.take_dropped();
                if dropped > 0 {
                    self.tell(Heard::Lost(dropped), writer).await;
                }
            }
            Tapped::Lost(frames) if self.joined => self.tell(Heard::Lost(frames), writer).await,
            Tapped::Gone(_) => self.leave(Cause::TemporaryFailure),
            Tapped::Frame(_) | Tapped::Lost(_) => {}
        }
    }

    async fn happened(&mut self, delivery: &Delivery, writer: &Writer) {
        if let Delivery::Notice(notice) = delivery
            && let NoticeBody::Dtmf { digit, duration_ms, .. } = notice.body
            && self.joined
        {
            self.tell(Heard::Digit { digit, duration_ms }, writer).await;
        }
    }

    /// Lets the dialect hear something and does what it asks for.
    async fn tell(&mut self, heard: Heard<'_>, writer: &Writer) {
        let mut acts = Vec::new();
        self.dialect.handle(heard, self.now(), &mut acts);
        for act in acts {
            self.act(act, writer).await;
        }
    }

    async fn act(&mut self, act: Act, writer: &Writer) {
        match act {
            Act::Text(text) => self.say(Message::text(text), writer),
            Act::Packet(octets) => self.say(Message::binary(octets), writer),
            Act::Audio(text) => writer.audio(Message::text(text)),
            Act::Binary(octets) => writer.audio(Message::binary(octets)),
            Act::Join => {
                self.joined = true;
                self.control.application_joined(&self.call.call_id);
            }
            Act::Speak(samples) => {
                let said = self.speech.say(&samples).await;
                self.said(said);
            }
            Act::Mark(name) => {
                let marked = self.speech.mark(&name).await;
                self.obeyed(marked);
            }
            Act::Clear => match self.speech.clear().await {
                Ok(played_ms) => {
                    let mut acts = Vec::new();
                    self.dialect.handle(Heard::Cleared { played_ms }, self.now(), &mut acts);
                    for act in acts {
                        if let Act::Text(text) = act {
                            writer.say(Message::text(text));
                        }
                    }
                }
                Err(why) => self.obeyed(Err(why)),
            },
            Act::Press { digits, on_ms } => {
                let line = &self.call.line;
                let pressed =
                    self.control.dtmf(&self.caller, line, &digits, Some(on_ms), None).await;
                self.obeyed(pressed);
            }
            Act::HangUp => self.leave(Cause::NormalClearing),
            Act::Ignored(reason) => self.ignored(&reason),
        }
    }

    fn say(&mut self, message: Message, writer: &Writer) {
        if !writer.say(message) && self.leaving.is_none() {
            self.broke_off("it does not read what it is told");
        }
    }

    /// Tells once that there is no room, until there is again.
    fn said(&mut self, said: Result<usize, Refused>) {
        match said {
            Ok(0) => self.overrun = 0,
            Ok(dropped) => {
                let before = self.overrun;
                self.overrun += dropped;
                if before == 0 {
                    let message = "the application says more than may wait; the rest is dropped";
                    let line = &self.call.line;
                    self.control.application_error(line, "application_overrun", message);
                }
            }
            Err(why) => self.obeyed(Err(why)),
        }
    }

    fn obeyed(&mut self, done: Result<(), Refused>) {
        if let Err(why) = done {
            self.ignored(&why.to_string());
        }
    }

    fn ignored(&mut self, reason: &str) {
        self.senseless += 1;
        if self.senseless <= TOLD_MAX && self.leaving.is_none() {
            let message = format!("ignored of the application: {reason}");
            self.control.application_error(&self.call.line, "application_ignored", &message);
        }
    }

    fn broke_off(&mut self, reason: &str) {
        if self.leaving.is_none() {
            let message = format!("application {}: {reason}", shown(&self.call.url));
            self.control.application_error(&self.call.line, "application_lost", &message);
        }
        self.leave(Cause::NetworkOutOfOrder);
    }

    fn leave(&mut self, cause: Cause) {
        if self.leaving.is_none() {
            self.leaving = Some(cause);
            self.control.application_left(&self.call.call_id, cause);
        }
    }

    fn now(&self) -> Moment {
        Moment { ms: self.began.elapsed().as_millis() as u64, wall: SystemTime::now() }
    }
}

/// The end of the call, or that it goes on without its application.
async fn told(left: &mut watch::Receiver<Option<ApplicationEnd>>) -> ApplicationEnd {
    let told = left.wait_for(Option::is_some).await.map(|end| *end);
    let cause = Cause::NormalClearing;
    told.ok().flatten().unwrap_or(ApplicationEnd { cause, by_phone: false })
}

/// That moment, or never.
async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// A URL without its query, which may hold secrets.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn random_hex() -> String {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).expect("the kernel has randomness once it has booted");
    octets.iter().fold(String::with_capacity(32), |mut text, octet| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}
