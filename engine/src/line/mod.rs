//! The rules of a telephone line: what its phone, its device, apid and time make of it.
//!
//! Sans-IO: an input and a time go in, actions come out. Nothing here knows what kind of card
//! carries the order out, reads a clock, or hears audio.
//!
//! # Real-time contract
//! Called by the line's frame loop only. Nothing here allocates, waits, formats or panics. Each
//! call does a bounded amount of work and leads to at most [`Actions::CAPACITY`] actions, which
//! the frame loop carries out in their order before the next input. In each tick: every signal
//! of the device, every command, then [`Line::handle_time`].
//!
//! Whatever a peer asks, bounded here are: ring bursts and the share of ringing
//! ([`ringing`]), the time a phone is rung, changes of bell, hook and battery in a second
//! ([`CHANGES_PER_SECOND`]), digits that wait to be sent. How many lines ring at once is the frame
//! loop's to bound.

mod actions;
mod announcing;
mod call_waiting;
mod changes;
mod commands;
mod digit_queue;
mod hook;
mod orders;
pub mod ringing;
mod state;

pub use actions::{Action, Actions, outcome};
pub use digit_queue::{DIGIT_MS, MAX_RUNS};
pub use hook::{HookTiming, MIN_JUDGED_CHANGE_MS, TimingFault};
pub use orders::{CHANGES_PER_SECOND, MAX_TRIES};
pub use state::{Company, Muted, PhaseTiming};

use crate::signal::{Drive, Driven, Signal};
use announcing::Announcing;
use call_waiting::Telling;
use digit_queue::Due;
use hook::{HookSwitch, Judgement};
use orders::{ChangeBudget, Orders, Patience};
use ringing::Stroke;
use state::{State, Supply, Talk};
use tipring_shm_proto::command::{
    Digits, Hook, HookSource, LineKind, LineState, Phase, Refusal, Since,
};
use tipring_shm_proto::event::{LineEvent, RingStop};
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::settings::CallerIdType;
use tipring_shm_proto::units::Nanos;

/// A change of voltage worth an event, mV.
const VOLTAGE_STEP_MV: u32 = 1000;
/// A change of temperature worth an event, tenths of a degree Celsius.
const TEMPERATURE_STEP: u16 = 10;
/// Room that the largest reaction to one judgement or timer needs: putting down a bridged,
/// echoing handset behind a dropped battery, which is being told who else calls.
const LARGEST_REACTION: usize = 11;

/// Times of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LineConfig {
    /// How its loop is understood.
    pub hook: HookTiming,
    /// How long its phases last.
    pub phases: PhaseTiming,
}

/// How a line that has RTP sends digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    /// No RTP is open; or this kind of line needs none.
    None,
    InBand,
    TelephoneEvent,
}

/// Where the handset is, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Handset {
    hook: Since<Hook>,
    source: HookSource,
}

/// A quantity of which small changes are no news.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge<T> {
    last: Option<T>,
    told: Option<T>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    kind: LineKind,
    config: LineConfig,
    state: State,
    since: Nanos,
    handset: Handset,
    switch: HookSwitch,
    orders: Orders,
    budget: ChangeBudget,
    media: Media,
    /// How a telephone is told who calls.
    caller_id: CallerIdType,
    announcing: Option<Announcing>,
    /// While it talks, it is told who else calls.
    telling: Option<Telling>,
    tag: u64,
    last_digit: u8,
    voltage: Gauge<i32>,
    temperature: Gauge<i16>,
    alarm: bool,
}

impl Line {
    /// A line at rest, of whose handset nothing is known; one on a card is offline until its
    /// device is there.
    pub fn new(kind: LineKind, config: LineConfig, now: Nanos) -> Self {
        Self {
            kind,
            config,
            // A card is found, or found again, by its device.
            state: if kind == LineKind::Dahdi { State::Offline } else { State::OnHook },
            since: now,
            handset: Handset {
                hook: Since { value: Hook::Unknown, at: now },
                source: HookSource::None,
            },
            switch: HookSwitch::new(config.hook),
            orders: Orders::default(),
            budget: ChangeBudget::new(),
            media: Media::None,
            caller_id: CallerIdType::Bellcore,
            announcing: None,
            telling: None,
            tag: 0,
            last_digit: 0,
            voltage: Gauge::default(),
            temperature: Gauge::default(),
            alarm: false,
        }
    }

    /// Its kind of device.
    pub fn kind(&self) -> LineKind {
        self.kind
    }

    /// Its state.
    pub fn state(&self) -> LineState {
        self.state.name()
    }

    /// Its phase, when off hook.
    pub fn phase(&self) -> Option<Phase> {
        self.state.phase()
    }

    /// What of it is silence; nothing of a line that is not lifted.
    pub fn muted(&self) -> Muted {
        match &self.state {
            State::OffHook(off) => {
                Muted { spoken: off.muted.spoken || self.is_told(), ..off.muted }
            }
            _ => Muted::default(),
        }
    }

    /// Its digits are apid's alone: the frame loop lets none of them pass to its company.
    pub fn keeps_digits(&self) -> bool {
        matches!(&self.state, State::OffHook(off) if off.keeps_digits)
    }

    /// A phone that it is bridged with pressed a key, and none of that is in the audio: its own phone
    /// is sent the digit.
    pub fn handle_press(&mut self, digit: u8, ms: u16, now: Nanos, actions: &mut Actions) {
        let State::OffHook(off) = &mut self.state else { return };
        let on_ms = ms.clamp(*DIGIT_MS.start(), *DIGIT_MS.end());
        let digit = [digit];
        let digit = std::str::from_utf8(&digit).ok().and_then(Digits::new);
        // Nobody presses keys faster than they can be sent, but for a peer that lies.
        if digit.is_some_and(|digit| off.digits.add(digit, on_ms, *DIGIT_MS.start()).is_ok()) {
            self.send_digit(now, actions);
        }
    }

    /// On hold: the frame loop lets no audio of a bridge pass, either way.
    pub fn held(&self) -> bool {
        self.phase() == Some(Phase::Held)
    }

    /// Takes what the device noticed.
    pub fn handle_signal(&mut self, signal: Signal, now: Nanos, actions: &mut Actions) {
        match signal {
            Signal::Loop { closed, at } => {
                let at = at.min(now);
                self.follow_hook(at, actions);
                self.switch.edge(closed, at);
            }
            Signal::OffHook => self.kernel_judged(true, now, actions),
            Signal::OnHook => self.kernel_judged(false, now, actions),
            Signal::Flash => self.flashed(0, actions),
            // Where nobody dials with pulses, one pulse is a timed-break recall, which the kernel
            // does not know (dahdi-base.c leaves SHORT_FLASH_TIME out).
            Signal::PulseDigit(b'1') if !self.config.hook.pulse_dialling => {
                self.flashed(0, actions);
            }
            Signal::PulseBegin | Signal::PulseDigit(_) if !self.config.hook.pulse_dialling => {}
            Signal::PulseDigit(digit) => {
                self.digit_began(actions);
                self.dialled(digit, 0, now, actions);
            }
            Signal::DigitBegin { digit, .. } if self.asks(digit, now) => {}
            Signal::PulseBegin | Signal::DigitBegin { .. } => self.digit_began(actions),
            Signal::Digit { digit, .. } if self.has_asked(digit, actions) => {}
            Signal::Digit { digit, duration_ms, level, source, twist } => {
                let event = LineEvent::Digit { digit, duration_ms, level, source, twist };
                self.digit_ended(digit, event, now, actions);
            }
            Signal::Voice { active, level, noise, began, ended } => {
                let event = LineEvent::Voice { active, level, noise, began, ended };
                self.voice(active, event, actions);
            }
            Signal::VoiceConfirmed => {
                if let State::OffHook(off) = &self.state
                    && off.voice
                {
                    actions.push(Action::StopOnVoice);
                }
            }
            Signal::SpeechEnd { certainty, last_sound } => {
                if self.state() == LineState::OffHook {
                    actions.say(LineEvent::SpeechEnd { certainty, last_sound });
                }
            }
            Signal::Tone { tone, active, level, began, duration_ms } => {
                if self.state() == LineState::OffHook {
                    actions.say(LineEvent::Tone { tone, active, level, began, duration_ms });
                }
            }
            Signal::RtpSilent { silent_ms } => actions.say(LineEvent::RtpSilent { silent_ms }),
            Signal::RtpHeard { remote } => actions.say(LineEvent::RtpHeard { remote }),
            Signal::Media(fault) => actions.say(LineEvent::Media { fault }),
            Signal::Voltage(None) => self.voltage = Gauge::default(),
            Signal::Voltage(Some(millivolts)) => {
                let far = |told: i32| told.abs_diff(millivolts) > VOLTAGE_STEP_MV;
                if self.voltage.is_news(millivolts, far) {
                    actions.say(LineEvent::Voltage { millivolts });
                }
            }
            Signal::Temperature(tenths_celsius) => {
                let far = |told: i16| told.abs_diff(tenths_celsius) > TEMPERATURE_STEP;
                if self.temperature.is_news(tenths_celsius, far) {
                    actions.say(LineEvent::Temperature { tenths_celsius });
                }
            }
            Signal::Alarm(active) => self.alarmed(active, now, actions),
            Signal::Lost => self.lost(now, actions),
            Signal::Back => self.back(now, actions),
        }
    }

    /// Does what is due: cadence, timeouts, tones, the end of a battery drop, digits to send,
    /// orders to repeat. Once a tick, after the signals.
    pub fn handle_time(&mut self, now: Nanos, actions: &mut Actions) {
        self.follow_hook(now, actions);
        self.tell_on_time(now);
        if actions.room() >= LARGEST_REACTION {
            self.ring_on_time(now, actions);
            self.phase_on_time(now, actions);
        }
        while actions.room() > 0 && self.send_digit(now, actions) {}
        self.orders.handle_time(now, actions);
    }

    /// The person began or ceased to speak.
    fn voice(&mut self, active: bool, event: LineEvent, actions: &mut Actions) {
        let State::OffHook(off) = &mut self.state else { return };
        if off.voice == active {
            return;
        }
        off.voice = active;
        actions.say(event);
        actions.push(Action::DuckOnVoice(active));
    }

    /// What became of an [`Action::Drive`]. Never leads to another one: what has to be ordered
    /// goes out with the next [`Line::handle_time`].
    ///
    /// # Errors
    /// Why an order will not be carried out; the answer to the command that led to it, if that
    /// was not answered yet.
    pub fn handle_driven(
        &mut self,
        order: Drive,
        driven: Driven,
        now: Nanos,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        let refusal = match driven {
            Driven::Done => {
                self.orders.done(order);
                if let (Drive::RingOn | Drive::Ring(_), State::Ringing(ringing)) =
                    (order, &mut self.state)
                {
                    ringing.begin(now);
                }
                return Ok(());
            }
            Driven::Busy => match self.orders.busy(order, now) {
                Patience::Left => return Ok(()),
                Patience::Spent => Refusal::Device,
            },
            Driven::Unsupported => {
                self.orders.done(order);
                Refusal::Kind
            }
        };
        match order {
            Drive::RingOn | Drive::Ring(_) if matches!(self.state, State::Ringing(_)) => {
                self.orders.give_later(Drive::RingOff, now);
                actions.say(LineEvent::RingStopped { cause: RingStop::Device });
                self.enter(State::OnHook, now, actions);
                Err(refusal)
            }
            Drive::Digit { digit, on_ms, off_ms } => {
                actions.push(Action::SendDigit { digit, on_ms, off_ms });
                Ok(())
            }
            Drive::Flash => Err(refusal),
            Drive::MessageWaiting(_) => Err(Refusal::Device),
            // A device without battery or use of its own has nothing to do.
            _ if driven == Driven::Unsupported => Ok(()),
            _ => Err(refusal),
        }
    }

    /// Writes what the line knows into its row: all but `label`, `frame_loop`, the levels, `rtp`,
    /// `playbacks` and `written_at`, which are the frame loop's.
    pub fn fill_row(&self, row: &mut LineRow) {
        row.kind = self.kind;
        row.state = Since { value: self.state(), at: self.since };
        row.phase = self.phase();
        row.hook = self.handset.hook;
        row.hook_source = self.handset.source;
        row.tag = self.tag;
        row.last_digit = self.last_digit;
        row.millivolts = self.voltage.last;
        row.tenths_celsius = self.temperature.last;
        row.alarm = self.alarm;
        let company;
        (company, row.echo, row.voice) = match &self.state {
            State::OffHook(off) => (off.company, off.echo, off.voice),
            _ => (None, false, false),
        };
        row.peer = company.and_then(Company::line);
        row.conference = company.and_then(Company::conference);
    }

    /// Everything the hook switch has to say up to `now`, as far as there is room.
    fn follow_hook(&mut self, now: Nanos, actions: &mut Actions) {
        while actions.room() >= LARGEST_REACTION {
            match self.switch.next(now) {
                Some(Judgement::Lifted) => self.lifted(HookSource::Loop, now, actions),
                Some(Judgement::Down) => self.put_down(HookSource::Loop, now, actions),
                Some(Judgement::Flash { ms }) => self.flashed(ms, actions),
                Some(Judgement::PulseBegan) => self.digit_began(actions),
                Some(Judgement::Digit { digit, ms }) => self.dialled(digit, ms, now, actions),
                None => return,
            }
        }
    }

    fn kernel_judged(&mut self, lifted: bool, now: Nanos, actions: &mut Actions) {
        self.switch.judge(lifted);
        self.follow_hook(now, actions);
    }

    fn ring_on_time(&mut self, now: Nanos, actions: &mut Actions) {
        let State::Ringing(ringing) = &mut self.state else { return };
        let (stroke, pause_ms) = (ringing.handle_time(now), ringing.pause_ms(now));
        let by_itself = self.rings_by_itself();
        match stroke {
            Some(Stroke::Timeout) => self.stop_ringing(RingStop::Timeout, now, actions),
            Some(Stroke::On) if by_itself => {}
            Some(Stroke::On) => self.order(Drive::RingOn, actions),
            Some(Stroke::Off) => {
                if !by_itself {
                    self.order(Drive::RingOff, actions);
                }
                self.announce_in_pause(pause_ms, actions);
            }
            None => self.announce_on_time(now, actions),
        }
    }

    fn phase_on_time(&mut self, now: Nanos, actions: &mut Actions) {
        let howls = self.on_a_loop();
        let before = (self.state(), self.phase());
        let State::OffHook(off) = &mut self.state else { return };
        if matches!(off.supply, Supply::Dropped { until } if now >= until) {
            off.supply = Supply::Fed;
            self.orders.give(Drive::Battery(true), actions);
        }
        if let Some(left_off) = off.talk.handle_time(now, &self.config.phases, howls) {
            actions.push(Action::Tone(left_off.tone()));
            self.say_state_since(before, actions);
        }
    }

    fn send_digit(&mut self, now: Nanos, actions: &mut Actions) -> bool {
        let State::OffHook(off) = &mut self.state else { return false };
        match off.digits.next(now) {
            Some(Due::Digit { digit, on_ms, off_ms }) if self.media == Media::TelephoneEvent => {
                self.orders.give(Drive::Digit { digit, on_ms, off_ms }, actions);
            }
            Some(Due::Digit { digit, on_ms, off_ms }) => {
                actions.push(Action::SendDigit { digit, on_ms, off_ms });
            }
            Some(Due::Sent) => actions.say(LineEvent::DtmfSent),
            None => return false,
        }
        true
    }

    /// The device rings whole cadences, by its own clock.
    fn rings_by_itself(&self) -> bool {
        self.kind == LineKind::Dahdi
    }

    /// The device has a bell, a battery and a loop.
    fn on_a_loop(&self) -> bool {
        self.kind != LineKind::Rtp
    }

    /// Orders what only a loop can.
    fn order(&mut self, order: Drive, actions: &mut Actions) {
        if self.on_a_loop() {
            self.orders.give(order, actions);
        }
    }
}

impl<T: Copy> Gauge<T> {
    /// Keeps the value; whether it is far enough from the one last told, and told now.
    fn is_news(&mut self, value: T, far: impl Fn(T) -> bool) -> bool {
        self.last = Some(value);
        let news = self.told.is_none_or(far);
        if news {
            self.told = Some(value);
        }
        news
    }
}

impl Talk {
    /// A digit is dialled, not merely heard.
    fn dials(self) -> bool {
        matches!(self, Self::DialTone { .. } | Self::Collecting { .. })
    }
}

#[cfg(test)]
mod card_tests;
#[cfg(test)]
mod properties;
