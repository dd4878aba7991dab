//! Calls: look, place, end.
#![expect(clippy::unused_async, reason = "surfaces need not know which of these wait")]

use super::access::need;
use super::lines::refused;
use super::refused::invalid;
use super::{Cause, Control, Refused, TransferTo, lock, media, moment};
use crate::auth::{Caller, Scope};
use crate::call::{Action, CallNumber, CallRecord, Moment, Others, SocketEnd, Switch, Target};
use crate::view::{Call, CallRequest, CallState};
use std::time::Duration;
use tipring_shm_proto::command::Command;

/// How often numbers are looked at that may be complete.
const TIME_ROUND: Duration = Duration::from_millis(100);

/// Lets calls notice that time goes by.
pub(super) async fn follow_time(control: Control) {
    let mut round = tokio::time::interval(TIME_ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        round.tick().await;
        let mut switch = lock(&control.0.switch);
        if switch.next_deadline_ms().is_some() {
            let actions = switch.handle_time(moment(&control.0));
            control.apply(&mut switch, actions);
        }
    }
}

impl Control {
    /// Calls with a line the caller may see: those that are not over, then the last 100 that
    /// are, newest first. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn calls(&self, caller: &Caller) -> Result<Vec<Call>, Refused> {
        need(caller, Scope::Read)?;
        let calls: Vec<Call> = lock(&self.0.switch)
            .calls()
            .filter(|record| sees(caller, record))
            .map(CallRecord::view)
            .collect();
        Ok(calls.into_iter().map(|call| self.with_media(call)).collect())
    }

    /// One call. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchCall`.
    pub fn call(&self, caller: &Caller, call_id: &str) -> Result<Call, Refused> {
        need(caller, Scope::Read)?;
        self.find(caller, call_id).map(|(_, call)| self.with_media(call))
    }

    pub(super) fn find(
        &self,
        caller: &Caller,
        call_id: &str,
    ) -> Result<(CallNumber, Call), Refused> {
        let number = CallNumber::parse(call_id).ok_or(Refused::NoSuchCall)?;
        let switch = lock(&self.0.switch);
        let record = switch.call(number).filter(|record| sees(caller, record));
        record.map(|record| (number, record.view())).ok_or(Refused::NoSuchCall)
    }

    /// Fills in how RTP of its legs is doing, while it lasts.
    pub(super) fn with_media(&self, mut call: Call) -> Call {
        if call.state == CallState::Ended {
            return call;
        }
        let directory = self.directory();
        for leg in &mut call.legs {
            let engine = leg.line.as_ref().and_then(|line| directory.get(line)?.engine);
            let row = engine.and_then(|engine| self.0.link.row(engine));
            leg.media = row.and_then(|row| row.rtp).as_ref().map(media::statistics);
        }
        call.media = call.legs.iter().find_map(|leg| leg.media);
        call
    }

    /// Rings `from`, then `to`, and joins them. A `from` that is lifted already is not rung. `to`
    /// may be an application behind a socket, `app:URL`. Needs `control`.
    ///
    /// # Errors
    /// `Invalid` for an end that is none, `NotBuilt` for `sip:` ends and other applications, `LineBusy`, and
    /// as [`Control::ring`].
    pub async fn place_call(&self, caller: &Caller, request: CallRequest) -> Result<Call, Refused> {
        need(caller, Scope::Control)?;
        let from = line_end("from", &request.from)?;
        if let Some(url) = request.to.strip_prefix("app:").filter(|to| SocketEnd::is_url(to)) {
            return self.place_to_application(caller, from, url, &request).await;
        }
        let to = line_end("to", &request.to)?;
        if from == to {
            return Err(invalid("to", "a line cannot call itself"));
        }
        let from = self.attached(caller, Scope::Control, from)?;
        let to = self.attached(caller, Scope::Control, to)?;
        let mut order = self.ring_order(None, request.caller_id, request.timeout_ms)?;
        if order.caller.number.is_empty() && order.caller.name.is_empty() {
            order.caller.number = from.entry.extension.clone().unwrap_or_default();
            order.caller.name.clone_from(&from.entry.name);
        }
        self.settle(&[&from.entry.id, &to.entry.id]).await;
        self.let_clear(&from.entry.id).await;
        let mut switch = lock(&self.0.switch);
        let placed = switch.place(&from.entry.id, &to.entry.id, order, moment(&self.0));
        let (call, actions) = placed.map_err(|busy| refused(busy, &from.entry.id))?;
        self.apply(&mut switch, actions);
        let record = switch.call(call).ok_or(Refused::NoSuchCall)?;
        Ok(record.view())
    }

    /// Rings `from`, unless it is lifted, and connects it with the application at `url`. Needs
    /// `audio` too, since the application will hear and speak.
    async fn place_to_application(
        &self,
        caller: &Caller,
        from: &str,
        url: &str,
        request: &CallRequest,
    ) -> Result<Call, Refused> {
        need(caller, Scope::Audio)?;
        self.check_application(url)?;
        let from = self.attached(caller, Scope::Control, from)?;
        let caller_id = request.caller_id.clone();
        let order = self.ring_order(None, caller_id, request.timeout_ms)?;
        let (url, owner) = (url.to_owned(), caller.name.clone());
        let socket = SocketEnd { url, dialled: String::new(), owner };
        self.settle(&[&from.entry.id]).await;
        self.let_clear(&from.entry.id).await;
        let mut switch = lock(&self.0.switch);
        let placed = switch.place_to_socket(&from.entry.id, socket, order, moment(&self.0));
        let (call, actions) = placed.map_err(|busy| refused(busy, &from.entry.id))?;
        self.apply(&mut switch, actions);
        let record = switch.call(call).ok_or(Refused::NoSuchCall)?;
        Ok(record.view())
    }

    /// Ends a call. Needs `control`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchCall`, also when it is over.
    pub async fn end_call(&self, caller: &Caller, call_id: &str) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        let (number, call) = self.find(caller, call_id)?;
        if call.state == CallState::Ended {
            return Err(Refused::NoSuchCall);
        }
        let mut switch = lock(&self.0.switch);
        let actions = switch.end_call(number, Cause::NormalClearing, moment(&self.0));
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// Puts all lines of a call on hold, or takes them off (`None`: the one it is not). Needs
    /// `control`.
    ///
    /// # Errors
    /// As [`Control::end_call`]; `WrongState` when none of them talks.
    pub async fn hold_call(
        &self,
        caller: &Caller,
        call_id: &str,
        on: Option<bool>,
    ) -> Result<Call, Refused> {
        need(caller, Scope::Control)?;
        let (number, call) = self.find(caller, call_id)?;
        if call.state == CallState::Ended {
            return Err(Refused::NoSuchCall);
        }
        let on = on.unwrap_or(call.state != CallState::Held);
        let lines: Vec<String> = call.legs.into_iter().filter_map(|leg| leg.line).collect();
        let mut last_refused = None;
        let mut any = false;
        for line in lines {
            let Some(engine) = self.directory().get(&line).and_then(|entry| entry.engine) else {
                continue;
            };
            match self.ask(engine, Command::Hold(on)).await {
                Ok(_) => {
                    any = true;
                    let mut switch = lock(&self.0.switch);
                    let actions = switch.note_hold(&line, on);
                    self.apply(&mut switch, actions);
                }
                Err(why) => last_refused = Some(why),
            }
        }
        match (any, last_refused) {
            (false, Some(why)) => Err(why),
            (false, None) => Err(Refused::EngineAway),
            (true, _) => {
                let switch = lock(&self.0.switch);
                switch.call(number).map(CallRecord::view).ok_or(Refused::NoSuchCall)
            }
        }
    }

    /// Joins the lines of two calls that an application holds, one line each; the second is over
    /// then. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchCall`, `CallState` where one of them is no such call.
    pub async fn bridge_calls(
        &self,
        caller: &Caller,
        call_id: &str,
        with_call_id: &str,
    ) -> Result<Call, Refused> {
        need(caller, Scope::Control)?;
        let (call, with) = (self.own(caller, call_id)?, self.own(caller, with_call_id)?);
        self.change(call, |switch, now| switch.bridge(call, with, now))
    }

    /// Two lines that each take part in a call talk with each other instead; whoever else they
    /// talked with is hung up on, unless a plan has it. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchLine`, `CallState` with the reason.
    pub async fn bridge_lines(
        &self,
        caller: &Caller,
        line: &str,
        other: &str,
    ) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        for line in [line, other] {
            self.entry(caller, line)?;
        }
        let mut switch = lock(&self.0.switch);
        let bridged = switch.bridge_lines(line, other, moment(&self.0));
        let actions = bridged.map_err(|cause| Refused::CallState(cause.text().to_owned()))?;
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// The phone of a line that talks with another reaches a number, of that `context` of the dial
    /// plan if one is given, while that one waits, and hands it over by hanging up. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchLine`, `NoSuchExtension`, `CallState` with the reason.
    pub fn consult(
        &self,
        caller: &Caller,
        line: &str,
        number: &str,
        context: Option<&str>,
    ) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        self.entry(caller, line)?;
        let target = match context {
            Some(context) => Target::Plan(context.to_owned()),
            None => self.visible_target(caller, line, number)?,
        };
        let mut switch = lock(&self.0.switch);
        let consults = switch.consult(line, number, target, moment(&self.0));
        let actions = consults.map_err(|cause| Refused::CallState(cause.text().to_owned()))?;
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// A line reaches a number instead of whatever it does. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchLine`, `NoSuchExtension`, `CallState` with the reason.
    pub fn redirect_line(
        &self,
        caller: &Caller,
        line: &str,
        number: &str,
        others: Others,
    ) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        self.entry(caller, line)?;
        let target = self.visible_target(caller, line, number)?;
        let mut switch = lock(&self.0.switch);
        let redirected = switch.redirect(line, target, others, moment(&self.0));
        let (_, actions) =
            redirected.map_err(|cause| Refused::CallState(cause.text().to_owned()))?;
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// Hands a call on. With `leaves`, that line leaves it and whoever it talks with reaches `to`;
    /// without, the application that holds the call leaves it. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchCall`, `NoSuchLine`, `NoSuchExtension`, `CallState` with the reason.
    pub async fn transfer_call(
        &self,
        caller: &Caller,
        call_id: &str,
        leaves: Option<&str>,
        to: &TransferTo,
    ) -> Result<Call, Refused> {
        need(caller, Scope::Control)?;
        let call = self.own(caller, call_id)?;
        match (leaves, to) {
            (Some(line), _) => {
                self.entry(caller, line)?;
                if lock(&self.0.switch).call_of(line) != Some(call) {
                    return Err(Refused::CallState("that line is not in this call".to_owned()));
                }
                match to {
                    TransferTo::Number(number) => {
                        self.visible_target(caller, line, number)?;
                    }
                    TransferTo::CallOf(other) => {
                        self.entry(caller, other)?;
                    }
                }
                self.change(call, |switch, now| switch.transfer(line, to, now))
            }
            (None, TransferTo::Number(number)) => {
                let (_, view) = self.find(caller, call_id)?;
                let line = view.legs.iter().find_map(|leg| leg.line.clone()).unwrap_or_default();
                let target = self.visible_target(caller, &line, number)?;
                self.change(call, |switch, now| switch.hand_on_to(call, number, target, now))
            }
            (None, TransferTo::CallOf(_)) => {
                Err(invalid("line", "say which line leaves, or join two calls by /bridge"))
            }
        }
    }

    /// Whether a number that everybody can dial reaches somebody the caller may know of.
    pub fn reaches(&self, caller: &Caller, number: &str) -> bool {
        self.visible_target(caller, "", number).is_ok()
    }

    /// What a number reaches when it is dialled on `line`, if the caller may know of it.
    pub(super) fn visible_target(
        &self,
        caller: &Caller,
        line: &str,
        number: &str,
    ) -> Result<Target, Refused> {
        let target = lock(&self.0.switch).target_of(line, number, moment(&self.0).wall).cloned();
        let target = target.ok_or(Refused::NoSuchExtension)?;
        match &target {
            Target::Line(line) if !caller.sees(line) => Err(Refused::NoSuchExtension),
            Target::Trunk(name) if !self.sees_trunk(caller, name) => Err(Refused::NoSuchExtension),
            Target::Group(lines) if !lines.iter().all(|line| caller.sees(line)) => {
                Err(Refused::NoSuchExtension)
            }
            _ => Ok(target),
        }
    }

    fn sees_trunk(&self, caller: &Caller, name: &str) -> bool {
        let switch = lock(&self.0.switch);
        switch.trunk_lines(name).iter().any(|line| caller.sees(line))
    }

    /// A call that is not over, of which the caller sees every line.
    pub(super) fn own(&self, caller: &Caller, call_id: &str) -> Result<CallNumber, Refused> {
        let (number, call) = self.find(caller, call_id)?;
        let whole = call.legs.iter().filter_map(|leg| leg.line.as_deref()).all(|l| caller.sees(l));
        if whole && call.state != CallState::Ended { Ok(number) } else { Err(Refused::NoSuchCall) }
    }

    pub(super) fn change(
        &self,
        call: CallNumber,
        change: impl FnOnce(&mut Switch, Moment) -> Result<Vec<Action>, Cause>,
    ) -> Result<Call, Refused> {
        let mut switch = lock(&self.0.switch);
        let changed = change(&mut switch, moment(&self.0));
        let actions = changed.map_err(|cause| Refused::CallState(cause.text().to_owned()))?;
        self.apply(&mut switch, actions);
        switch.call(call).map(CallRecord::view).ok_or(Refused::NoSuchCall)
    }
}

fn sees(caller: &Caller, record: &CallRecord) -> bool {
    caller.lines.is_none() || record.lines().any(|line| caller.sees(line))
}

fn line_end<'a>(field: &'static str, end: &'a str) -> Result<&'a str, Refused> {
    match end.split_once(':') {
        Some(("line", line)) => Ok(line),
        Some(("sip" | "sips", _)) => Err(Refused::NotBuilt("calls to SIP URIs")),
        Some(("app", _)) => Err(Refused::NotBuilt("calls to applications")),
        _ => Err(invalid(field, "allowed are line:ID, sip:URI and app:URL")),
    }
}
