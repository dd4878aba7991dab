//! Listening in on a call from another telephone, and whispering to one of those who talk. What they say is
//! played to that telephone as it comes, beside their own path: the call itself is not touched.

use super::access::need;
use super::refused::invalid;
use super::{AudioTap, Control, Player, PlayerOptions, Refused, Samples, Tapped, lock, moment};
use crate::auth::{Caller, Scope};
use crate::call::{CallNumber, CallRecord};
use crate::hub::{Delivery, Filter, NoticeBody};
use crate::view::{Call, CallState, LegState, ListenRequest, TapDirection};

/// What waits to be heard, at most: two clocks differ, and the later one is to stay near.
const WAITING_MS: u32 = 200;

impl Control {
    /// Rings a line, unless it is lifted, and has it hear a call in which it does not take part. With
    /// `whispers_to`, whoever of the call has that line hears what is said there, and nobody else does.
    /// It ends with either call. Needs `control` and `audio`, and all lines of the call.
    ///
    /// # Errors
    /// `NoSuchCall`, `CallState` where nobody talks there, `Invalid`, and as [`Control::ring`].
    pub async fn listen_in(
        &self,
        caller: &Caller,
        call_id: &str,
        request: ListenRequest,
    ) -> Result<Call, Refused> {
        need(caller, Scope::Audio)?;
        let at = self.attached(caller, Scope::Control, &request.line)?;
        let (heard, call) = self.find(caller, call_id)?;
        let lines: Vec<&str> = call.legs.iter().filter_map(|leg| leg.line.as_deref()).collect();
        if !lines.iter().all(|line| caller.sees(line)) {
            return Err(Refused::NoSuchCall);
        }
        if !matches!(call.state, CallState::Connected | CallState::Held) {
            return Err(Refused::CallState("nobody talks in it".to_owned()));
        }
        if lines.contains(&request.line.as_str()) {
            return Err(invalid("line", "it takes part in that call"));
        }
        let whispers_to = request.whispers_to;
        if whispers_to.as_deref().is_some_and(|to| !lines.contains(&to)) {
            return Err(invalid("whispers_to", "a line of that call"));
        }
        let line = at.entry.id;
        let ring = self.ring_order(None, request.caller_id, request.timeout_ms)?;
        self.settle(&[&line]).await;
        self.let_clear(&line).await;
        // From before the call on: nothing of it may be missed.
        let types = vec!["call_*".to_owned()];
        let news = self.listen_to(Filter { lines: Vec::new(), types }, "listening in");
        let (number, view) = {
            let mut switch = lock(&self.0.switch);
            let placed = switch.listen(&line, ring, moment(&self.0));
            let (number, actions) = placed.map_err(|busy| super::lines::refused(busy, &line))?;
            self.apply(&mut switch, actions);
            let view = switch.call(number).map(CallRecord::view).ok_or(Refused::NoSuchCall)?;
            (number, view)
        };
        tracing::info!(call = call_id, line, by = caller.name, "listening in");
        let listening = Listening {
            control: self.clone(),
            caller: caller.clone(),
            heard,
            own: number,
            line,
            whispers_to,
            ears: None,
            mouth: None,
        };
        self.0.runtime.spawn(listening.run(news));
        Ok(view)
    }
}

/// One telephone that listens in.
struct Listening {
    control: Control,
    caller: Caller,
    /// The call that is listened to.
    heard: CallNumber,
    /// The telephone's own.
    own: CallNumber,
    line: String,
    whispers_to: Option<String>,
    /// What is said there; the line that it was taken from.
    ears: Option<(String, Pipe)>,
    /// What is whispered.
    mouth: Option<Pipe>,
}

impl Listening {
    async fn run(mut self, mut news: crate::hub::Listener) {
        loop {
            tokio::select! {
                biased;
                delivery = news.next() => {
                    if self.is_news(&delivery) && !self.follow().await {
                        break;
                    }
                }
                () = pass(self.ears.as_mut().map(|(_, pipe)| pipe)) => self.ears = None,
                () = pass(self.mouth.as_mut()) => self.mouth = None,
            }
        }
        // Nothing to end where the telephone was put down.
        let mut switch = lock(&self.control.0.switch);
        let now = moment(&self.control.0);
        let actions = switch.end_call(self.own, super::Cause::NormalClearing, now);
        self.control.apply(&mut switch, actions);
    }

    fn is_news(&self, delivery: &Delivery) -> bool {
        let Delivery::Notice(notice) = delivery else { return true };
        let of_ours = |call: &Call| {
            CallNumber::parse(&call.id).is_some_and(|call| call == self.heard || call == self.own)
        };
        match &notice.body {
            NoticeBody::CallConnected { call }
            | NoticeBody::CallHeld { call }
            | NoticeBody::CallResumed { call }
            | NoticeBody::CallEnded { call, .. } => of_ours(call),
            _ => false,
        }
    }

    /// Hears and whispers where there is something to; `false` once either call is over.
    async fn follow(&mut self) -> bool {
        let (from, answered) = {
            let switch = lock(&self.control.0.switch);
            let running = |call| switch.call(call).filter(|record| !record.is_over());
            let (Some(heard), Some(own)) = (running(self.heard), running(self.own)) else {
                return false;
            };
            (self.who_is_tapped(heard), own.answered_at.is_some())
        };
        if !answered {
            return true;
        }
        if self.ears.as_ref().map(|(line, _)| line) != from.as_ref() {
            self.ears = None;
            if let Some(from) = from {
                let pipe = self.pipe(&from, TapDirection::Both, &self.line).await;
                self.ears = pipe.map(|pipe| (from, pipe));
            }
        }
        if let (Some(to), None) = (&self.whispers_to, &self.mouth) {
            self.mouth = self.pipe(&self.line, TapDirection::Rx, to).await;
        }
        true
    }

    /// Whose telephone says and hears everything: not the one that is whispered to, where there is
    /// another, for that would be heard again.
    fn who_is_tapped(&self, heard: &CallRecord) -> Option<String> {
        let mut talk: Vec<&str> = heard
            .legs
            .iter()
            .filter(|leg| matches!(leg.state, LegState::Connected | LegState::Held))
            .filter_map(|leg| leg.line.as_deref())
            .collect();
        talk.sort_by_key(|line| self.whispers_to.as_deref() == Some(line));
        talk.first().map(|line| (*line).to_owned())
    }

    async fn pipe(&self, from: &str, direction: TapDirection, to: &str) -> Option<Pipe> {
        let options = PlayerOptions { microphone: false, max_queued_ms: WAITING_MS };
        let opened = async {
            let tap = self.control.audio_tap(&self.caller, from, direction, "listening in")?;
            let player = self.control.open_player(&self.caller, to, options).await?;
            Ok::<_, Refused>(Pipe { tap, player })
        };
        let opened = opened.await;
        if let Err(why) = &opened {
            tracing::debug!(from, to, "listening in: {why}");
        }
        opened.ok()
    }
}

/// What one telephone says, or says and hears, at another.
struct Pipe {
    tap: AudioTap,
    player: Player,
}

/// Passes on what is said until there is no more; waits where there is nothing to pass on.
async fn pass(pipe: Option<&mut Pipe>) {
    let Some(Pipe { tap, player }) = pipe else { return std::future::pending().await };
    loop {
        match tap.next().await {
            Tapped::Frame(frame) => {
                let heard = match (&frame.rx, &frame.tx) {
                    (Some(rx), Some(tx)) => sum(rx, tx),
                    (Some(one), None) | (None, Some(one)) => *one,
                    (None, None) => continue,
                };
                // Whoever is late is brought back by what is left out here.
                if matches!(player.write(&heard), Err(why) if !matches!(why, Refused::Full { .. }))
                {
                    return;
                }
            }
            Tapped::Lost(_) => {}
            Tapped::Gone(_) => return,
        }
    }
}

fn sum(one: &Samples, other: &Samples) -> Samples {
    std::array::from_fn(|n| one[n].saturating_add(other[n]))
}
