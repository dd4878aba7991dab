//! From one state of a line to another, and what ends on the way.

use super::actions::{Action, Actions};
use super::ringing::Ringing;
use super::state::{LeftOff, OffHook, State, Supply, Talk};
use super::{Gauge, Handset, Line};
use crate::signal::Drive;
use tipring_shm_proto::command::{
    Hook, HookSource, LineState, Phase, ProgressTone, Refusal, Since,
};
use tipring_shm_proto::event::{DigitSource, LineEvent, PlaybackEnd, RingStop};
use tipring_shm_proto::units::{Nanos, TenthDb, TenthDbm0};

/// By whom the use of a line ends: a command's own line is not told that its bridge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndedBy {
    Command,
    Phone,
    Device,
}

impl Line {
    /// Takes a new state, and tells it.
    pub(super) fn enter(&mut self, state: State, now: Nanos, actions: &mut Actions) {
        let before = (self.state(), self.phase());
        if !matches!(state, State::Ringing(_)) {
            self.stop_announcing(actions);
        }
        self.state = state;
        if self.state() != before.0 {
            self.since = now;
        }
        if !matches!(self.state, State::Ringing(_) | State::OffHook(_)) {
            self.tag = 0;
        }
        self.say_state_since(before, actions);
    }

    pub(super) fn say_state_since(
        &self,
        before: (LineState, Option<Phase>),
        actions: &mut Actions,
    ) {
        let (state, phase) = (self.state(), self.phase());
        if (state, phase) != before {
            actions.say(LineEvent::State { state, phase });
        }
    }

    /// Takes a new phase, and tells it; the line is off hook.
    pub(super) fn take_phase(&mut self, talk: Talk, actions: &mut Actions) {
        let before = (self.state(), self.phase());
        if let State::OffHook(off) = &mut self.state {
            off.talk = talk;
        }
        self.say_state_since(before, actions);
    }

    /// Learns where the handset is, and tells it if that is new.
    pub(super) fn learn_hook(
        &mut self,
        hook: Hook,
        source: HookSource,
        now: Nanos,
        actions: &mut Actions,
    ) {
        let changed = self.handset.hook.value != hook;
        let at = if changed { now } else { self.handset.hook.at };
        self.handset = Handset { hook: Since { value: hook, at }, source };
        if changed {
            actions.say(LineEvent::HookChanged { hook, source });
        }
    }

    /// The handset was lifted.
    pub(super) fn lifted(&mut self, source: HookSource, now: Nanos, actions: &mut Actions) {
        let ringing = match self.state {
            State::OnHook => false,
            State::Ringing(_) => true,
            State::OffHook(_) => return self.learn_hook(Hook::Off, source, now, actions),
            // Nothing can be done for it; it is judged again when the line is well.
            State::Offline | State::Fault => return,
        };
        if ringing {
            self.order(Drive::RingOff, actions);
            actions.say(LineEvent::RingStopped { cause: RingStop::Answered });
        }
        self.order(Drive::OffHook, actions);
        self.learn_hook(Hook::Off, source, now, actions);
        self.last_digit = 0;
        let talk = if ringing || !self.on_a_loop() {
            Talk::Talking
        } else {
            actions.push(Action::Tone(Some(ProgressTone::Dial)));
            Talk::dial_tone(now, &self.config.phases)
        };
        self.enter(State::OffHook(OffHook::new(talk)), now, actions);
    }

    /// The handset was put down.
    pub(super) fn put_down(&mut self, source: HookSource, now: Nanos, actions: &mut Actions) {
        match self.state {
            State::OffHook(_) => {
                self.end_use(EndedBy::Phone, PlaybackEnd::LineGone, actions);
                self.order(Drive::OnHook, actions);
                self.learn_hook(Hook::On, source, now, actions);
                self.enter(State::OnHook, now, actions);
            }
            State::OnHook | State::Ringing(_) => self.learn_hook(Hook::On, source, now, actions),
            State::Offline | State::Fault => {}
        }
    }

    /// The bell begins. The order comes last, so that a device that cannot is told of after it.
    pub(super) fn start_ringing(
        &mut self,
        mut ringing: Ringing,
        now: Nanos,
        actions: &mut Actions,
    ) {
        if !self.on_a_loop() {
            ringing.begin(now);
        }
        let ring = self.first_ring(&ringing);
        actions.say(LineEvent::RingStarted);
        self.enter(State::Ringing(ringing), now, actions);
        self.order(ring, actions);
    }

    /// What begins the ringing.
    pub(super) fn first_ring(&self, ringing: &Ringing) -> Drive {
        if self.rings_by_itself() { Drive::Ring(ringing.cadence()) } else { Drive::RingOn }
    }

    /// The bell ends, and nobody answered.
    pub(super) fn stop_ringing(&mut self, cause: RingStop, now: Nanos, actions: &mut Actions) {
        self.order(Drive::RingOff, actions);
        actions.say(LineEvent::RingStopped { cause });
        self.enter(State::OnHook, now, actions);
    }

    /// The far end of an analog line is gone: the loop is interrupted, so that whatever hangs on
    /// it notices, and the person then hears congestion.
    pub(super) fn release_loop(&mut self, now: Nanos, actions: &mut Actions) {
        let timing = self.config.phases;
        let until = now.after_ms(timing.battery_drop_ms);
        self.end_use(EndedBy::Command, PlaybackEnd::LineGone, actions);
        self.orders.give(Drive::Battery(false), actions);
        self.switch.mask(until.after_ms(timing.settle_ms));
        if let State::OffHook(off) = &mut self.state {
            off.supply = Supply::Dropped { until };
        }
        self.take_phase(Talk::LeftOff(LeftOff::Released { until }), actions);
    }

    /// The far end of an RTP line is gone. What its person does with the handset is not seen.
    pub(super) fn release_rtp(&mut self, source: HookSource, now: Nanos, actions: &mut Actions) {
        self.end_use(EndedBy::Command, PlaybackEnd::LineGone, actions);
        self.learn_hook(Hook::Unknown, source, now, actions);
        self.enter(State::OnHook, now, actions);
    }

    /// Ends whatever makes sound on the line, and its bridge.
    pub(super) fn end_use(&mut self, by: EndedBy, cause: PlaybackEnd, actions: &mut Actions) {
        actions.push(Action::StopPlaybacks(cause));
        self.tell_no_more(actions);
        let State::OffHook(off) = &mut self.state else { return };
        let company = off.company.take();
        let echoed = std::mem::take(&mut off.echo);
        let dropped = std::mem::replace(&mut off.supply, Supply::Fed) != Supply::Fed;
        *off = OffHook::new(off.talk);
        actions.push(Action::Tone(None));
        if echoed {
            actions.push(Action::Echo(false));
        }
        if let Some(company) = company {
            actions.push(Action::EndBridge);
            if let Some(peer) = company.line()
                && by != EndedBy::Command
            {
                actions.say(LineEvent::BridgeEnded { peer });
            }
        }
        if dropped && by != EndedBy::Device {
            self.orders.give(Drive::Battery(true), actions);
        }
    }

    /// Ends the bridge, by a command to this line or because its peer left: then the frame loop,
    /// which found out, tells it.
    pub(super) fn unbridge(&mut self, actions: &mut Actions) {
        if let State::OffHook(off) = &mut self.state
            && off.company.take().is_some()
        {
            actions.push(Action::EndBridge);
        }
    }

    pub(super) fn flashed(&mut self, ms: u16, actions: &mut Actions) {
        if matches!(self.state, State::OffHook(_)) {
            self.tell_no_more(actions);
            actions.say(LineEvent::Flash { duration_ms: ms });
        }
    }

    /// A digit has begun: what it silences falls silent. The phase waits for its end, and for
    /// the event that says which digit it was.
    pub(super) fn digit_began(&mut self, actions: &mut Actions) {
        let State::OffHook(off) = &mut self.state else { return };
        actions.push(Action::StopOnDigit);
        if let Talk::DialTone { sounds, .. } = &mut off.talk
            && std::mem::take(sounds)
        {
            actions.push(Action::Tone(None));
        }
    }

    pub(super) fn dialled(&mut self, digit: u8, ms: u16, now: Nanos, actions: &mut Actions) {
        let event = LineEvent::Digit {
            digit,
            duration_ms: ms,
            level: TenthDbm0::SILENCE,
            source: DigitSource::Pulse,
            twist: TenthDb(0),
        };
        self.digit_ended(digit, event, now, actions);
    }

    pub(super) fn digit_ended(
        &mut self,
        digit: u8,
        event: LineEvent,
        now: Nanos,
        actions: &mut Actions,
    ) {
        self.digit_began(actions);
        let State::OffHook(off) = &self.state else { return };
        let dials = off.talk.dials();
        self.last_digit = digit;
        actions.say(event);
        if dials {
            self.take_phase(Talk::collecting(now, &self.config.phases), actions);
        }
    }

    pub(super) fn alarmed(&mut self, active: bool, now: Nanos, actions: &mut Actions) {
        if self.alarm == active {
            return;
        }
        self.alarm = active;
        actions.say(LineEvent::Alarm { active });
        match self.state {
            State::Offline => {}
            State::Fault if active => {}
            State::Fault => self.recover(now, actions),
            _ if active => {
                self.end_all(EndedBy::Phone, PlaybackEnd::LineGone, actions);
                self.enter(State::Fault, now, actions);
            }
            _ => {}
        }
    }

    pub(super) fn lost(&mut self, now: Nanos, actions: &mut Actions) {
        if matches!(self.state, State::Offline) {
            return;
        }
        self.end_all(EndedBy::Device, PlaybackEnd::DeviceLost, actions);
        self.orders.clear();
        self.switch.lose();
        self.alarm = false;
        self.voltage = Gauge::default();
        self.temperature = Gauge::default();
        actions.say(LineEvent::DeviceLost);
        self.learn_hook(Hook::Unknown, HookSource::None, now, actions);
        self.enter(State::Offline, now, actions);
    }

    pub(super) fn back(&mut self, now: Nanos, actions: &mut Actions) {
        if matches!(self.state, State::Offline) {
            actions.say(LineEvent::DeviceBack);
            self.recover(now, actions);
        }
    }

    /// Back to the state after start.
    pub(super) fn reset(&mut self, now: Nanos, actions: &mut Actions) {
        self.end_all(EndedBy::Command, PlaybackEnd::LineGone, actions);
        self.tag = 0;
        if !self.on_a_loop() {
            self.learn_hook(Hook::Unknown, HookSource::None, now, actions);
        }
        self.recover(now, actions);
    }

    /// At rest; a handset that is lifted lifts itself again.
    fn recover(&mut self, now: Nanos, actions: &mut Actions) {
        self.switch.forget();
        self.enter(State::OnHook, now, actions);
    }

    /// Ends ringing or use, whichever there is.
    fn end_all(&mut self, by: EndedBy, cause: PlaybackEnd, actions: &mut Actions) {
        if matches!(self.state, State::Ringing(_)) {
            if by != EndedBy::Device {
                self.order(Drive::RingOff, actions);
            }
            let cause = if by == EndedBy::Command { RingStop::Stopped } else { RingStop::Device };
            actions.say(LineEvent::RingStopped { cause });
        }
        let used = matches!(self.state, State::OffHook(_));
        self.end_use(by, cause, actions);
        if used && by != EndedBy::Device {
            self.order(Drive::OnHook, actions);
        }
    }

    /// Takes one change of hook, bell or battery from what commands may cause.
    pub(super) fn spend_change(&mut self, now: Nanos) -> Result<(), Refusal> {
        if self.budget.take(now) { Ok(()) } else { Err(Refusal::Limit) }
    }
}
