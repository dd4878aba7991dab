//! `Local/NUMBER@CONTEXT` where the number is a plan's own: `;2` goes through the plan without a
//! telephone, `;1` goes on as it was told once `;2` has answered. Neither hears anything, and no digit
//! comes but what the other one sends; what is played takes its time. A phone that one of them dials
//! takes the other one's place: whatever that one does it does at the phone from then on.

use super::super::dialplan::Start as Priority;
use super::session::{Outcome, Ran, Session, Stop};
use super::{Begin, Handle, INPUTS, Input, PlanNote, Runner, Services, lock};
use crate::channel::{self, Channel, ChannelState, Expected, ProgramError, Ringing, Unanswered};
use crate::control::{Cause, Others, PlanDial, PlaySource};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Pairs without telephones at once.
const PAIRS_MAX: usize = 256;

/// How `;2` was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answered {
    /// By its plan: `;1` goes on without a telephone.
    ByPlan,
    /// By the phone of a line, which has taken the place of `;1`.
    ByPhone(String),
}

/// One end of a pair, as its session has it.
#[derive(Debug)]
pub(super) struct End {
    /// Unique ids of this one and of the other one.
    own: String,
    other: String,
    to_other: mpsc::Sender<Input>,
    /// Of `;2`, until it is told.
    settled: Option<oneshot::Sender<Result<Answered, u8>>>,
}

/// A `;1` that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    end: End,
    inputs: mpsc::Receiver<Input>,
    to_itself: mpsc::Sender<Input>,
}

/// The key of a channel without a telephone among the sessions.
pub(super) fn key(unique_id: &str) -> String {
    channel::phoneless_call(unique_id)
}

impl End {
    fn answer(&mut self, services: &Services) {
        if let Some(settled) = self.settled.take() {
            services.channels.pair_answers(&self.other, &self.own);
            // Nobody waits any more where it took too long.
            let _ = settled.send(Ok(Answered::ByPlan));
        }
    }

    /// The session is over: so is the other one.
    pub(super) fn over(self, services: &Services, cause: Cause) {
        services.channels.end_phoneless(&self.own, cause.code());
        if let Some(settled) = self.settled {
            let _ = settled.send(Err(cause.code()));
        }
        let note = PlanNote::Ended { call: key(&self.other), cause };
        // One that has ended already takes nothing more.
        let _ = self.to_other.try_send(Input::Note(note));
    }
}

impl Runner {
    /// Has `;2` of a new pair go through the plan; gives the channel that goes on: `;1`, or the phone
    /// that took its place.
    pub(super) async fn call_pair(
        &self,
        expected: Expected,
        timeout: Duration,
    ) -> Result<Arc<Channel>, Unanswered> {
        let nowhere = Unanswered::Ended(Cause::UnallocatedNumber.code());
        let local = expected.local.clone().unwrap_or_default();
        let plan = self.services.plan.get();
        let position = plan.position(&local.context, &local.exten, Priority::Priority(1));
        let position = position.ok_or(nowhere.clone())?;
        let ends = self.lock().values().filter(|handle| handle.line.is_empty()).count();
        if ends >= 2 * PAIRS_MAX {
            return Err(Unanswered::Ended(Cause::ResourceUnavailable.code()));
        }
        let channels = &self.services.channels;
        let (waits, dials) = channels.open_pair(expected).ok_or(nowhere)?;
        let (to_waits, waits_inputs) = mpsc::channel(INPUTS);
        let (to_dials, dials_inputs) = mpsc::channel(INPUTS);
        let (settled, outcome) = oneshot::channel();
        let end = |own: &Channel, other: &Channel, to_other: &mpsc::Sender<Input>, settled| End {
            own: own.unique_id.clone(),
            other: other.unique_id.clone(),
            to_other: to_other.clone(),
            settled,
        };
        let waiting = Waiting {
            end: end(&waits, &dials, &to_dials, None),
            inputs: waits_inputs,
            to_itself: to_waits.clone(),
        };
        lock(&self.waiting).insert(waits.call_id.clone(), waiting);
        let dialling = end(&dials, &waits, &to_waits, Some(settled));
        self.begin_end(dialling, dials_inputs, to_dials.clone(), Begin::At(position));
        let answered = tokio::time::timeout(timeout, outcome).await;
        let cause = match answered {
            Ok(Ok(Ok(Answered::ByPlan))) => match channels.of_id(&waits.unique_id) {
                Some(channel) => return Ok(channel),
                None => Cause::NormalClearing.code(),
            },
            Ok(Ok(Ok(Answered::ByPhone(line)))) => {
                lock(&self.waiting).remove(&waits.call_id);
                return channels.of_line(&line).ok_or(Unanswered::Lost);
            }
            Ok(Ok(Err(cause))) => cause,
            Ok(Err(_)) => Cause::TemporaryFailure.code(),
            Err(_) => {
                let cause = Cause::NoAnswer;
                let note = PlanNote::Ended { call: dials.call_id.clone(), cause };
                let _ = to_dials.try_send(Input::Note(note));
                cause.code()
            }
        };
        lock(&self.waiting).remove(&waits.call_id);
        channels.end_phoneless(&waits.unique_id, cause);
        Err(Unanswered::Ended(cause))
    }

    /// A `;1` that was answered goes on there.
    pub(super) fn begin_waiting(
        &self,
        channel: &Channel,
        begin: Begin,
    ) -> Result<(), ProgramError> {
        let waiting = lock(&self.waiting).remove(&channel.call_id);
        let Waiting { end, inputs, to_itself } = waiting.ok_or(ProgramError::NoSuchChannel)?;
        self.begin_end(end, inputs, to_itself, begin);
        Ok(())
    }

    fn begin_end(
        &self,
        end: End,
        inputs: mpsc::Receiver<Input>,
        to_itself: mpsc::Sender<Input>,
        begin: Begin,
    ) {
        let call = key(&end.own);
        let mut session = Session::new(self.services.clone(), &call, "", inputs);
        session.local = Some(end);
        self.run(session, to_itself, begin);
    }

    /// Hangs up on a channel without a telephone; `false` where it is none, or gone.
    pub(super) fn end_phoneless(&self, channel: &Channel, cause: Cause) -> bool {
        if !channel.line.is_empty() {
            return false;
        }
        let note = Input::Note(PlanNote::Ended { call: channel.call_id.clone(), cause });
        if let Some(handle) = self.lock().get(&channel.call_id) {
            return handle.inputs.try_send(note).is_ok();
        }
        // One that still waits is over with the one that dials.
        let waiting = lock(&self.waiting);
        waiting.get(&channel.call_id).is_some_and(|w| w.end.to_other.try_send(note).is_ok())
    }
}

impl Session {
    /// Whether it was answered.
    pub(super) fn is_answered(&self) -> bool {
        if self.local.is_some() {
            return self.channel_now().is_some_and(|channel| channel.state == ChannelState::Up);
        }
        self.services.control.plan_is_answered(&self.call)
    }

    /// Without a telephone: the plan answers.
    pub(super) fn answers_phoneless(&mut self) -> bool {
        let Some(end) = &mut self.local else { return false };
        end.answer(&self.services);
        true
    }

    /// Ends its call.
    pub(super) fn ends_call(&mut self, cause: Cause) {
        if self.local.is_some() {
            self.over.get_or_insert(cause);
        } else {
            self.services.control.plan_ends(&self.call, cause);
        }
    }

    /// How long something plays, where nobody hears it.
    pub(super) async fn length_of(&self, source: PlaySource) -> Option<Duration> {
        let samples = match source {
            PlaySource::Prompt(name) => match self.services.control.prompt_samples(&name).await {
                Ok(samples) => samples.len(),
                Err(refused) => {
                    self.complaint(&refused.to_string());
                    return None;
                }
            },
            PlaySource::Pcm(samples) => samples.len(),
            _ => 0,
        };
        Some(Duration::from_millis(samples as u64 / 8))
    }

    /// Digits for the other end.
    pub(super) async fn send_to_other(&mut self, digits: &str) -> Result<(), Stop> {
        for digit in digits.chars() {
            if digit == 'W' {
                self.wait_for(Duration::from_millis(500)).await?;
            } else if let Some(end) = &self.local {
                // More than it takes are lost, as on any line.
                let _ = end.to_other.try_send(Input::Digit(digit));
            }
        }
        Ok(())
    }

    /// Somebody else's `Dial` has reached a phone, which is this one's from now on.
    pub(super) fn sits_at(&mut self, call: String, line: String) {
        self.local = None;
        self.heard = Self::listen(&self.services, &line);
        (self.call, self.line) = (call, line);
    }

    /// Rings lines; the first one that is lifted takes the other end's place.
    pub(super) async fn dial_for_other(&mut self, dial: PlanDial) -> Ran {
        let Some(own) = self.local.as_ref().map(|end| end.own.clone()) else {
            return Ok(Outcome::Next);
        };
        let mut worst = Cause::SubscriberAbsent;
        let mut calls = Vec::new();
        let mut rings = JoinSet::new();
        for line in &dial.lines {
            let expected = Expected {
                caller: dial.caller.clone(),
                dialled_by: Some(own.clone()),
                ..Expected::default()
            };
            let services = (&self.services.control, &self.services.channels);
            let caller = Self::caller();
            match Ringing::begin(services, &caller, line, expected, dial.timeout_ms).await {
                Ok(ringing) => {
                    let line = line.clone();
                    calls.push((line.clone(), ringing.call.clone()));
                    rings.spawn(async move { (line, ringing.answered().await) });
                }
                Err(refused) => {
                    self.complaint(&refused.to_string());
                    worst = Cause::UserBusy;
                }
            }
        }
        let lifted = loop {
            tokio::select! {
                biased;
                happened = self.next(None) => if let Err(stop) = happened {
                    self.stop_ringing(&calls, None).await;
                    return Err(stop);
                },
                done = rings.join_next() => match done {
                    Some(Ok((line, Ok(_)))) => break Some(line),
                    Some(Ok((_, Err(Unanswered::Ended(code))))) => {
                        let known = Cause::ALL.into_iter().find(|cause| cause.code() == code);
                        worst = known.unwrap_or(worst);
                    }
                    Some(_) => {}
                    None => break None,
                },
            }
        };
        self.stop_ringing(&calls, lifted.as_deref()).await;
        let Some(line) = lifted else {
            self.dialled_in_vain(worst);
            return Ok(Outcome::Next);
        };
        self.set("DIALSTATUS", channel::Outcome::Answer.text());
        if let Some(end) = self.local.take() {
            self.seat_other(end, &line);
            return Err(Stop::Taken);
        }
        // It was given a phone itself meanwhile.
        let control = self.services.control.clone();
        let joined = control.bridge_lines(&Self::caller(), &self.line, &line).await;
        if let Err(refused) = joined {
            self.complaint(&refused.to_string());
        }
        Err(self.wait_for_end().await)
    }

    async fn stop_ringing(&self, calls: &[(String, String)], but: Option<&str>) {
        for (_, call) in calls.iter().filter(|(line, _)| Some(line.as_str()) != but) {
            // One that is over already stays so.
            let _ = self.services.control.end_call(&Self::caller(), call).await;
        }
    }

    /// The phone of `line` is in the other end's place, and this end is no more.
    fn seat_other(&self, end: End, line: &str) {
        let Services { control, channels, sessions, .. } = &self.services;
        channels.phone_takes_place(line, &end.other, &end.own);
        if let Some(settled) = end.settled {
            // Who waits for it has the phone go on.
            let _ = settled.send(Ok(Answered::ByPhone(line.to_owned())));
            return;
        }
        let Ok(call) = control.plan_takes(line, Others::Left) else {
            let note = PlanNote::Ended { call: key(&end.other), cause: Cause::NormalClearing };
            let _ = end.to_other.try_send(Input::Note(note));
            return;
        };
        let mut sessions = lock(sessions);
        if let Some(handle) = sessions.remove(&key(&end.other)) {
            let handle = Handle { line: line.to_owned(), ..handle };
            sessions.insert(call.clone(), handle);
        }
        let _ = end.to_other.try_send(Input::Seat { call, line: line.to_owned() });
    }
}
