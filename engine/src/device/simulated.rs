//! A telephone on a card, both simulated: a person who lifts, dials, flashes and hangs up, a
//! contact that bounces, a bell, and a card that fails on demand.
//!
//! What the person does is accepted at once and happens in its own time: the contact's changes
//! are told with the moment at which they happened, at the first tick after it. Lifting and
//! putting down happen now, and end what the hand was doing; other gestures follow each other.
//!
//! Nothing is allocated, after [`Simulated::new`] either: all queues are part of the value.

use crate::device::Device;
use crate::device::queue::Queue;
use crate::frame::{Companded, Heard};
use crate::signal::{Drive, Driven, Signal};
use tipring_shm_proto::command::{Digits, Law, LineState, Refusal, SimAction};
use tipring_shm_proto::units::{FRAME_SAMPLES, Nanos};

/// Tip-ring voltage of an idle loop, mV.
pub const IDLE_MILLIVOLTS: i32 = -48_000;
/// Break of a dial pulse, ms: 10 pulses a second, 60 to 40.
const PULSE_BREAK_MS: u32 = 60;
/// Make of a dial pulse, ms.
const PULSE_MAKE_MS: u32 = 40;
/// Pause between dialled digits, ms.
const INTERDIGIT_MS: u32 = 700;
/// A hand's pause between two gestures, ms.
const HAND_MS: u32 = 100;
/// Time between changes of a bouncing contact, ms: a tick's worth of them can be told in a tick.
const BOUNCE_STEP_MS: u32 = 3;
/// Longest bounce, ms.
const MAX_BOUNCE_MS: u16 = 50;
/// Largest return loss of the hybrid, tenths of a dB.
const MAX_RETURN_LOSS: i16 = 400;
/// Battery drop of [`Drive::Flash`], ms.
const FLASH_MS: u32 = 100;

/// The contact changes.
#[derive(Clone, Copy, Debug)]
struct Edge {
    closed: bool,
    at: Nanos,
}

/// What the hand does next.
#[derive(Clone, Copy, Debug)]
enum Gesture {
    Flash {
        ms: u16,
    },
    /// `next` is the index of the digit to dial.
    Pulses {
        digits: Digits,
        next: u8,
    },
}

/// The person, as far as a hook switch knows.
#[derive(Clone, Copy, Debug)]
struct Hand {
    lifted: bool,
    /// The hook switch, mechanically, as far as time has come.
    closed: bool,
    edges: Queue<Edge, 32>,
    gestures: Queue<Gesture, 8>,
    free_at: Nanos,
}

/// What the card does to the line.
#[derive(Clone, Copy, Debug)]
struct Card {
    battery: bool,
    flash_until: Option<Nanos>,
    bell: bool,
}

/// A simulated telephone and its card.
#[derive(Clone, Debug)]
pub struct Simulated {
    law: Law,
    hand: Hand,
    /// `None` is a card that is lost.
    card: Option<Card>,
    /// The loop current last told.
    told: Option<bool>,
    told_at: Nanos,
    news: Queue<Signal, 16>,
    bursts: u32,
    spoken: Option<Companded>,
    earpiece: Companded,
    frames_heard: u64,
    frames_to_miss: u32,
    orders_to_refuse: u32,
}

impl Card {
    const AT_REST: Self = Self { battery: true, flash_until: None, bell: false };

    fn feeds(&self) -> bool {
        self.battery && self.flash_until.is_none()
    }
}

impl Hand {
    fn new() -> Self {
        Self {
            lifted: false,
            closed: false,
            edges: Queue::new(),
            gestures: Queue::new(),
            free_at: Nanos(0),
        }
    }

    /// Lifts or puts down, now; whatever the hand was doing it does not end.
    fn move_handset(&mut self, off: bool, bounce_ms: u16, now: Nanos) {
        if self.lifted == off {
            return;
        }
        self.lifted = off;
        self.edges.clear();
        self.gestures.clear();
        let bounce_ms = u32::from(bounce_ms);
        let mut closed = off;
        for ms in (0..bounce_ms).step_by(BOUNCE_STEP_MS as usize) {
            self.edges.push(Edge { closed, at: now.after_ms(ms) });
            closed = !closed;
        }
        self.edges.push(Edge { closed: off, at: now.after_ms(bounce_ms) });
        self.free_at = now.after_ms(bounce_ms + HAND_MS);
    }

    /// After what the hand does already.
    fn add(&mut self, gesture: Gesture, now: Nanos) -> Result<(), Refusal> {
        let idle = self.edges.first().is_none() && self.gestures.first().is_none();
        if !self.gestures.push(gesture) {
            return Err(Refusal::Full);
        }
        if idle {
            self.free_at = self.free_at.max(now);
        }
        Ok(())
    }

    /// The next change of the contact up to `now`.
    fn next_edge(&mut self, now: Nanos) -> Option<Edge> {
        if self.edges.first().is_none() && self.free_at <= now {
            self.begin_gesture();
        }
        self.edges.first().filter(|edge| edge.at <= now)
    }

    /// Turns the next gesture, or the next digit of it, into changes of the contact.
    fn begin_gesture(&mut self) {
        let Some(gesture) = self.gestures.pop() else { return };
        let mut at = self.free_at;
        match gesture {
            Gesture::Flash { ms } => {
                self.edges.push(Edge { closed: false, at });
                at = at.after_ms(u32::from(ms));
                self.edges.push(Edge { closed: true, at });
                self.free_at = at.after_ms(HAND_MS);
            }
            Gesture::Pulses { digits, next } => {
                let dialled = digits.checked().unwrap_or(&[]);
                let Some(digit) = dialled.get(usize::from(next)) else { return };
                let pulses = if *digit == b'0' { 10 } else { digit.wrapping_sub(b'0').min(10) };
                for _ in 0..pulses {
                    self.edges.push(Edge { closed: false, at });
                    at = at.after_ms(PULSE_BREAK_MS);
                    self.edges.push(Edge { closed: true, at });
                    at = at.after_ms(PULSE_MAKE_MS);
                }
                self.free_at = at.after_ms(INTERDIGIT_MS);
                if usize::from(next) + 1 < dialled.len() {
                    self.gestures.put_back(Gesture::Pulses { digits, next: next + 1 });
                }
            }
        }
    }
}

impl Simulated {
    /// A telephone with the handset down. Its first signals are the voltage and the open loop.
    pub fn new(law: Law) -> Self {
        let mut news = Queue::new();
        news.push(Signal::Voltage(Some(IDLE_MILLIVOLTS)));
        Self {
            law,
            hand: Hand::new(),
            card: Some(Card::AT_REST),
            told: None,
            told_at: Nanos(0),
            news,
            bursts: 0,
            spoken: None,
            earpiece: silence(law),
            frames_heard: 0,
            frames_to_miss: 0,
            orders_to_refuse: 0,
        }
    }

    /// What the person does, or what happens to the card.
    ///
    /// [`SimAction::DialTones`] and [`SimAction::Hybrid`] are only judged here: keys sound through the microphone, which the
    /// frame loop's own mixer feeds.
    ///
    /// # Errors
    /// `Malformed` for a value out of its range; `State(OnHook)` for what needs a lifted handset;
    /// `State(Offline)` for a card that is lost; `Full` when the hand has too much to do.
    pub fn act(&mut self, action: SimAction, now: Nanos) -> Result<(), Refusal> {
        match action {
            SimAction::Hook { off, bounce_ms } => {
                within(bounce_ms, 0, MAX_BOUNCE_MS)?;
                self.hand.move_handset(off, bounce_ms, now);
                Ok(())
            }
            SimAction::Flash { ms } => {
                within(ms, 10, 2000)?;
                self.needs_lifted()?;
                self.hand.add(Gesture::Flash { ms }, now)
            }
            SimAction::DialPulses { digits } => {
                let dialled = digits.checked().ok_or(Refusal::Malformed)?;
                if !dialled.iter().all(u8::is_ascii_digit) {
                    return Err(Refusal::Malformed);
                }
                self.needs_lifted()?;
                self.hand.add(Gesture::Pulses { digits, next: 0 }, now)
            }
            SimAction::DialTones { digits, on_ms, off_ms } => {
                digits.checked().ok_or(Refusal::Malformed)?;
                within(on_ms, 20, 2000)?;
                within(off_ms, 20, 2000)?;
                self.needs_lifted()
            }
            SimAction::Voltage(millivolts) => self.report(Signal::Voltage(Some(millivolts))),
            SimAction::Alarm(active) => self.report(Signal::Alarm(active)),
            SimAction::Temperature(tenths) => self.report(Signal::Temperature(tenths)),
            SimAction::Fail(lost) => self.fail(lost),
            // What comes back is added to what the microphone picks up, as keys are.
            SimAction::Hybrid { loss } => {
                let range = 0..=MAX_RETURN_LOSS;
                let sane = loss.is_none_or(|loss| range.contains(&loss.0));
                if sane { Ok(()) } else { Err(Refusal::Malformed) }
            }
        }
    }

    /// What the microphone picks up in the next frame; without it the person is silent.
    pub fn speak(&mut self, frame: &Companded) {
        self.spoken = Some(*frame);
    }

    /// The person holds the handset.
    pub fn is_lifted(&self) -> bool {
        self.hand.lifted
    }

    /// The bell sounds.
    pub fn is_ringing(&self) -> bool {
        self.card.is_some_and(|card| card.bell)
    }

    /// How often the bell began to sound.
    pub fn bursts(&self) -> u32 {
        self.bursts
    }

    /// The loop is fed.
    pub fn is_fed(&self) -> bool {
        self.card.is_some_and(|card| card.feeds())
    }

    /// The last frame that the ear heard.
    pub fn earpiece(&self) -> &Companded {
        &self.earpiece
    }

    /// Frames that the ear heard.
    pub fn frames_heard(&self) -> u64 {
        self.frames_heard
    }

    /// A fault: so many of the next frames are missing.
    pub fn miss_frames(&mut self, frames: u32) {
        self.frames_to_miss = frames;
    }

    /// A fault: the card is busy for so many of the next orders.
    pub fn refuse_orders(&mut self, orders: u32) {
        self.orders_to_refuse = orders;
    }

    fn needs_card(&self) -> Result<(), Refusal> {
        self.card.map(|_| ()).ok_or(Refusal::State(LineState::Offline))
    }

    fn needs_lifted(&self) -> Result<(), Refusal> {
        self.needs_card()?;
        if self.hand.lifted { Ok(()) } else { Err(Refusal::State(LineState::OnHook)) }
    }

    fn report(&mut self, signal: Signal) -> Result<(), Refusal> {
        self.needs_card()?;
        if self.news.push(signal) { Ok(()) } else { Err(Refusal::Full) }
    }

    fn fail(&mut self, lost: bool) -> Result<(), Refusal> {
        if lost == self.card.is_none() {
            return Ok(());
        }
        if !self.news.push(if lost { Signal::Lost } else { Signal::Back }) {
            return Err(Refusal::Full);
        }
        self.card = (!lost).then_some(Card::AT_REST);
        // Found again, the card tells the loop as at first.
        self.told = None;
        Ok(())
    }

    /// Loop current flows.
    fn current(&self) -> bool {
        self.hand.closed && self.is_fed()
    }

    /// The loop as it is, if that was not told.
    fn tell_loop(&mut self, at: Nanos) -> Option<Signal> {
        let closed = self.current();
        if self.card.is_none() || self.told == Some(closed) {
            return None;
        }
        self.told = Some(closed);
        self.told_at = self.told_at.max(at);
        Some(Signal::Loop { closed, at: self.told_at })
    }

    /// The next moment, up to `now`, at which something happens by itself; it has happened then.
    fn advance(&mut self, now: Nanos) -> Option<Nanos> {
        let edge = self.hand.next_edge(now);
        let flash = self.card.and_then(|card| card.flash_until).filter(|until| *until <= now);
        match (edge, flash, &mut self.card) {
            (Some(edge), flash, _) if flash.is_none_or(|until| edge.at <= until) => {
                self.hand.edges.pop();
                self.hand.closed = edge.closed;
                Some(edge.at)
            }
            (_, Some(until), Some(card)) => {
                card.flash_until = None;
                Some(until)
            }
            _ => None,
        }
    }
}

impl Device for Simulated {
    fn read_frame(&mut self, _now: Nanos, into: &mut Companded) -> Heard {
        let spoken = self.spoken.take();
        if self.card.is_none() || !self.hand.lifted {
            return Heard::Nothing;
        }
        if let Some(left) = self.frames_to_miss.checked_sub(1) {
            self.frames_to_miss = left;
            return Heard::Missing;
        }
        // A broken loop carries nothing, whatever is said.
        *into = spoken.filter(|_| self.current()).unwrap_or_else(|| silence(self.law));
        Heard::Frame
    }

    fn write_frame(&mut self, _now: Nanos, frame: &Companded) {
        if self.card.is_some() && self.hand.lifted {
            self.earpiece = *frame;
            self.frames_heard += 1;
        }
    }

    fn drive(&mut self, now: Nanos, order: Drive) -> Driven {
        let Some(card) = &mut self.card else { return Driven::Busy };
        if let Some(left) = self.orders_to_refuse.checked_sub(1) {
            self.orders_to_refuse = left;
            return Driven::Busy;
        }
        match order {
            // A lifted telephone cannot be rung (DAHDI_HOOK DAHDI_RING answers EBUSY).
            Drive::RingOn if self.hand.closed => return Driven::Busy,
            Drive::RingOn => {
                self.bursts = self.bursts.wrapping_add(u32::from(!card.bell));
                card.bell = true;
            }
            Drive::RingOff => card.bell = false,
            Drive::Battery(fed) => card.battery = fed,
            Drive::Flash => card.flash_until = Some(now.after_ms(FLASH_MS)),
            Drive::OffHook | Drive::OnHook => {}
            Drive::Ring(_)
            | Drive::Polarity(_)
            | Drive::MessageWaiting(_)
            | Drive::TransmitOnHook { .. }
            | Drive::Digit { .. } => return Driven::Unsupported,
        }
        if let Some(signal) = self.tell_loop(now)
            && !self.news.push(signal)
        {
            self.told = None;
        }
        Driven::Done
    }

    fn poll_signal(&mut self, now: Nanos) -> Option<Signal> {
        if let Some(signal) = self.news.pop() {
            return Some(signal);
        }
        if self.told.is_none()
            && let Some(signal) = self.tell_loop(now)
        {
            return Some(signal);
        }
        while let Some(at) = self.advance(now) {
            if let Some(signal) = self.tell_loop(at) {
                return Some(signal);
            }
        }
        None
    }

    fn reserve_samples(&self) -> u32 {
        // The frame last written is being heard.
        let hears = self.hand.lifted && self.card.is_some() && self.frames_heard > 0;
        if hears { FRAME_SAMPLES as u32 } else { 0 }
    }
}

/// Silence as G.711 says it.
fn silence(law: Law) -> Companded {
    let octet = match law {
        Law::Mu => 0xff,
        Law::A => 0xd5,
    };
    Companded { law, octets: [octet; FRAME_SAMPLES] }
}

fn within(value: u16, least: u16, most: u16) -> Result<(), Refusal> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(Refusal::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u32) -> Nanos {
        Nanos(9_000_000_000).after_ms(ms)
    }

    fn lifted() -> Simulated {
        let mut phone = Simulated::new(Law::Mu);
        while phone.poll_signal(at(0)).is_some() {}
        phone.act(SimAction::Hook { off: true, bounce_ms: 0 }, at(0)).unwrap();
        assert_eq!(phone.poll_signal(at(0)), Some(Signal::Loop { closed: true, at: at(0) }));
        phone
    }

    /// What a frame loop would be told, and how often in one tick at most.
    fn told(phone: &mut Simulated, until_ms: u32) -> (Vec<(bool, Nanos)>, usize) {
        let mut told = Vec::new();
        let mut most = 0;
        for tick in (0..=until_ms).step_by(20) {
            let before = told.len();
            while let Some(Signal::Loop { closed, at: when }) = phone.poll_signal(at(tick)) {
                assert!(when <= at(tick), "told before its time");
                told.push((closed, when));
            }
            most = most.max(told.len() - before);
        }
        (told, most)
    }

    fn digits(digits: &str) -> Digits {
        Digits::new(digits).unwrap()
    }

    #[test]
    fn it_begins_with_its_voltage_and_an_open_loop() {
        let mut phone = Simulated::new(Law::A);
        assert_eq!(phone.poll_signal(at(0)), Some(Signal::Voltage(Some(-48_000))));
        assert_eq!(phone.poll_signal(at(0)), Some(Signal::Loop { closed: false, at: at(0) }));
        assert_eq!(phone.poll_signal(at(0)), None);
    }

    #[test]
    fn pulses_keep_their_time_however_late_they_are_told() {
        let mut phone = lifted();
        phone.act(SimAction::DialPulses { digits: digits("21") }, at(503)).unwrap();
        let (edges, _) = told(&mut phone, 4000);
        let second = 503 + 200 + 700;
        let expected = [503, 563, 603, 663, second, second + 60].map(at);
        assert_eq!(edges.iter().map(|(_, at)| *at).collect::<Vec<_>>(), expected);
        assert!(edges.iter().step_by(2).all(|(closed, _)| !closed));
    }

    #[test]
    fn the_longest_bounce_can_be_told_in_its_ticks_and_ends_where_it_should() {
        for bounce_ms in 0..=MAX_BOUNCE_MS {
            let mut phone = lifted();
            phone.act(SimAction::Hook { off: false, bounce_ms }, at(10)).unwrap();
            let (edges, most) = told(&mut phone, 200);
            assert!(most <= 8, "{most} in a tick");
            assert_eq!(edges.last().map(|(closed, _)| *closed), Some(false));
            assert_eq!(edges.len() % 2, 1);
        }
    }

    #[test]
    fn hanging_up_ends_dialling() {
        let mut phone = lifted();
        phone.act(SimAction::DialPulses { digits: digits("0987654321") }, at(100)).unwrap();
        phone.act(SimAction::Hook { off: false, bounce_ms: 0 }, at(400)).unwrap();
        let (edges, _) = told(&mut phone, 20_000);
        assert_eq!(edges.last(), Some(&(false, at(400))));
        let again = phone.act(SimAction::Flash { ms: 300 }, at(20_000));
        assert_eq!(again, Err(Refusal::State(LineState::OnHook)));
    }

    #[test]
    fn a_hand_has_only_so_much_to_do_and_a_card_only_so_much_to_tell() {
        let mut phone = lifted();
        let refused = (0..20).find_map(|_| phone.act(SimAction::Flash { ms: 10 }, at(1)).err());
        assert_eq!(refused, Some(Refusal::Full));
        let refused = (0..20).find_map(|_| phone.act(SimAction::Voltage(0), at(1)).err());
        assert_eq!(refused, Some(Refusal::Full));
    }

    #[test]
    fn a_mouth_is_heard_once_and_only_over_a_closed_loop() {
        let mut phone = lifted();
        let word = Companded { law: Law::Mu, octets: [0x12; FRAME_SAMPLES] };
        let mut heard = word;
        phone.speak(&word);
        assert_eq!((phone.read_frame(at(20), &mut heard), heard), (Heard::Frame, word));
        assert_eq!(phone.read_frame(at(40), &mut heard), Heard::Frame);
        assert_eq!(heard, silence(Law::Mu));
        assert_eq!(phone.drive(at(40), Drive::Battery(false)), Driven::Done);
        phone.speak(&word);
        phone.read_frame(at(60), &mut heard);
        assert_eq!(heard, silence(Law::Mu));
        phone.miss_frames(1);
        assert_eq!(phone.read_frame(at(80), &mut heard), Heard::Missing);
        assert_eq!(phone.read_frame(at(100), &mut heard), Heard::Frame);
        phone.act(SimAction::Hook { off: false, bounce_ms: 0 }, at(100)).unwrap();
        assert_eq!(phone.read_frame(at(120), &mut heard), Heard::Nothing);
    }
}
