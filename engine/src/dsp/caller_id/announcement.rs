//! A whole announcement of a call, from the first pause to the last, exact to the sample.
//!
//! *What it does.* The sequence of one standard ([`CallerIdType`]) as sound; line reversal and
//! ringing belong to the line's rules. What is sent after the first ring begins 550 ms after it
//! (EN 300 659-1: 500 to 800, GR-30: 500 at least); before a ring, the last pause of 250 ms is part
//! of it. DT-AS is 2130 and 2750 Hz for 100 ms, 100 ms before the data (45 to 500); after line
//! reversal it waits 150 ms (100 at least). Digits have 70 ms and pauses of 70 ms. To a telephone that
//! talks (GR-30 off-hook, EN 300 659-2), the same two tones last 80 ms (75 to 85), right after the
//! call-waiting tone; the data is sent 100 ms (50 to 500) after its digit, without a seizure.
//!
//! *How it works.* Parts in a row; a part that ends in the midst of a frame is followed by the next
//! one there.

use super::digits::{Framing, Sequence};
use super::fsk::{FskSender, Modem};
use super::message::{CallTime, Message};
use crate::dsp::dtmf_sender::{HIGH_HZ, HIGH_LEVEL, LOW_HZ, LOW_LEVEL, place_of};
use crate::dsp::tone_generator::{Partial, Step, ToneGenerator, VOICES};
use tipring_shm_proto::command::CallerId;
use tipring_shm_proto::settings::CallerIdType;
use tipring_shm_proto::units::{SAMPLE_RATE_HZ, TenthDbm0};

/// Between the end of the first ring and the data, ms.
const AFTER_RING_MS: u16 = 550;
/// Least between the data and the next ring, ms.
pub const BEFORE_RING_MS: u16 = 250;
/// From line reversal to what follows, ms.
const AFTER_REVERSAL_MS: u16 = 150;
/// DT-AS, and from its end to the data, ms.
const DUAL_TONE_MS: u16 = 100;
const AFTER_DUAL_TONE_MS: u16 = 100;
/// Each of its sines; −15 ±1 dBm0 where it is GR-30's CAS.
const DUAL_TONE: [Partial; 2] = [
    Partial { tenth_hz: 21_300, level: TenthDbm0(-150) },
    Partial { tenth_hz: 27_500, level: TenthDbm0(-150) },
];
/// Seizure and marks of a telephone that lies (GR-30, EN 300 659-1), bits.
const SEIZURE_BITS: u16 = 300;
const MARK_BITS: u16 = 180;
/// Marks for one that talks, bits.
const MARK_BITS_TALKING: u16 = 80;
/// The two tones for one that talks (CAS), and the pauses around, ms.
const ALERT_MS: u16 = 80;
const BEFORE_ALERT_MS: u16 = 20;
const AFTER_DIGIT_MS: u16 = 100;
/// Of a digit, and of the pause after it, ms.
const DIGIT_MS: u16 = 70;

#[derive(Clone, Copy, Debug)]
enum Part {
    Pause(u16),
    DualTone(u16),
    Data,
    Digits,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Announcement {
    parts: &'static [Part],
    data: Option<FskSender>,
    digits: Option<Sequence>,
    /// Of the digits, those sent or under way.
    digit: usize,
    tones: ToneGenerator,
    /// Samples left of the part under way.
    left: u32,
}

impl Announcement {
    /// A call; `None` where nothing is to be sent.
    pub fn call(kind: CallerIdType, caller: &CallerId, time: Option<CallTime>) -> Option<Self> {
        let multiple =
            |modem| FskSender::new(modem, Message::call(caller, time), SEIZURE_BITS, MARK_BITS);
        match kind {
            CallerIdType::Off => None,
            CallerIdType::Bellcore => Some(Self::data(AFTER_RING, &multiple(Modem::Bell202))),
            CallerIdType::BellcoreSingle => {
                let single = Message::single_call(caller, time);
                let sender = FskSender::new(Modem::Bell202, single, SEIZURE_BITS, MARK_BITS);
                Some(Self::data(AFTER_RING, &sender))
            }
            CallerIdType::EtsiAfterRing => Some(Self::data(AFTER_RING, &multiple(Modem::V23))),
            CallerIdType::EtsiDualTone => Some(Self::data(AFTER_ALERT, &multiple(Modem::V23))),
            CallerIdType::EtsiLineReversal => {
                Some(Self::data(AFTER_REVERSAL, &multiple(Modem::V23)))
            }
            CallerIdType::Dtmf => Some(Self::digits(caller, Framing::FromAToC)),
            CallerIdType::DtmfLineReversal => Some(Self::digits(caller, Framing::FromDToC)),
            CallerIdType::DtmfHash => Some(Self::digits(caller, Framing::ToHash)),
        }
    }

    /// Messages wait, or none: for a telephone that lies. With a `kind` that has no data, `None`.
    pub fn messages_wait(kind: CallerIdType, lamp: bool) -> Option<Self> {
        let modem = modem_of(kind)?;
        let message = match kind {
            CallerIdType::BellcoreSingle => Message::single_waiting(lamp),
            _ => Message::waiting(lamp),
        };
        Some(Self::data(AFTER_RING, &FskSender::new(modem, message, SEIZURE_BITS, MARK_BITS)))
    }

    /// That data may follow, for a telephone that talks; after the call-waiting tone, which lasts
    /// `tone_ms`.
    pub fn alert(tone_ms: u32) -> Self {
        let mut new = Self::of(ALERT);
        new.left += samples_of(1) * tone_ms;
        new
    }

    /// Who calls, for a telephone that talks and has asked; `None` with a `kind` that has no data.
    pub fn waiting_call(
        kind: CallerIdType,
        caller: &CallerId,
        time: Option<CallTime>,
    ) -> Option<Self> {
        let modem = modem_of(kind)?;
        let sender = FskSender::new(modem, Message::call(caller, time), 0, MARK_BITS_TALKING);
        Some(Self::data(AFTER_DIGIT, &sender))
    }

    fn data(parts: &'static [Part], sender: &FskSender) -> Self {
        Self { data: Some(*sender), ..Self::of(parts) }
    }

    fn digits(caller: &CallerId, framing: Framing) -> Self {
        Self { digits: Some(Sequence::of(caller, framing)), ..Self::of(DIGITS) }
    }

    fn of(parts: &'static [Part]) -> Self {
        let tones = ToneGenerator::new();
        let mut new = Self { parts, data: None, digits: None, digit: 0, tones, left: 0 };
        new.left = new.samples_of_next();
        new
    }

    /// How long it takes from here.
    pub fn ms(&self) -> u32 {
        let data = self.data.as_ref().map_or(0, FskSender::samples);
        let digits = self.digits.map_or(0, |sequence| sequence.digits().len() as u32);
        let samples = self.parts.iter().map(|part| match part {
            Part::Pause(ms) | Part::DualTone(ms) => samples_of(*ms),
            Part::Data => data,
            Part::Digits => 2 * samples_of(DIGIT_MS) * digits,
        });
        samples.sum::<u32>().div_ceil(SAMPLE_RATE_HZ / 1000)
    }

    /// It is over.
    pub fn is_over(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds the next samples to `mix`. Does not allocate, wait or fail.
    pub fn add(&mut self, mix: &mut [f32]) {
        let mut at = 0;
        while at < mix.len() {
            let Some(part) = self.parts.first() else { return };
            let span = (mix.len() - at).min(self.left as usize);
            let here = &mut mix[at..at + span];
            match (part, &mut self.data) {
                (Part::Data, Some(sender)) => {
                    sender.add(here);
                }
                _ => {
                    self.tones.add(here, 1.0);
                }
            }
            at += span;
            self.left -= span as u32;
            if self.left == 0 {
                self.advance();
            }
        }
    }

    /// From one part, or one digit, to the next.
    fn advance(&mut self) {
        let sent = self.digits.map_or(0, |sequence| sequence.digits().len());
        if matches!(self.parts.first(), Some(Part::Digits)) && self.digit < sent {
            self.left = self.samples_of_next();
            return;
        }
        self.parts = &self.parts[1..];
        self.left = self.samples_of_next();
    }

    /// Begins the first of the parts that are left; its length.
    fn samples_of_next(&mut self) -> u32 {
        match self.parts.first() {
            None => 0,
            Some(Part::Pause(ms)) => samples_of(*ms),
            Some(Part::DualTone(ms)) => {
                self.tones.play_step(step(DUAL_TONE, *ms));
                samples_of(*ms)
            }
            Some(Part::Data) => self.data.as_ref().map_or(0, FskSender::samples),
            Some(Part::Digits) => {
                let digit = self.digits.and_then(|s| s.digits().get(self.digit).copied());
                self.digit += 1;
                if let Some((row, column)) = digit.and_then(place_of) {
                    let low = Partial { tenth_hz: LOW_HZ[row] * 10, level: LOW_LEVEL };
                    let high = Partial { tenth_hz: HIGH_HZ[column] * 10, level: HIGH_LEVEL };
                    self.tones.play_step(step([low, high], DIGIT_MS));
                }
                2 * samples_of(DIGIT_MS)
            }
        }
    }
}

const AFTER_RING: &[Part] = &[Part::Pause(AFTER_RING_MS), Part::Data];
const AFTER_ALERT: &[Part] = &[
    Part::DualTone(DUAL_TONE_MS),
    Part::Pause(AFTER_DUAL_TONE_MS),
    Part::Data,
    Part::Pause(BEFORE_RING_MS),
];
const ALERT: &[Part] = &[Part::Pause(BEFORE_ALERT_MS), Part::DualTone(ALERT_MS)];
const AFTER_DIGIT: &[Part] = &[Part::Pause(AFTER_DIGIT_MS), Part::Data];
const AFTER_REVERSAL: &[Part] = &[
    Part::Pause(AFTER_REVERSAL_MS),
    Part::DualTone(DUAL_TONE_MS),
    Part::Pause(AFTER_DUAL_TONE_MS),
    Part::Data,
    Part::Pause(BEFORE_RING_MS),
];
const DIGITS: &[Part] =
    &[Part::Pause(AFTER_REVERSAL_MS), Part::Digits, Part::Pause(BEFORE_RING_MS)];

/// By which data is sent, where it is.
const fn modem_of(kind: CallerIdType) -> Option<Modem> {
    match kind {
        CallerIdType::Bellcore | CallerIdType::BellcoreSingle => Some(Modem::Bell202),
        other if other.has_data() => Some(Modem::V23),
        _ => None,
    }
}

const fn samples_of(ms: u16) -> u32 {
    ms as u32 * (SAMPLE_RATE_HZ / 1000)
}

fn step(sines: [Partial; 2], ms: u16) -> Step {
    let mut partials = [Partial::NONE; VOICES];
    [partials[0], partials[1]] = sines;
    Step { partials, ms: u32::from(ms) }
}
