//! Special information tones: three sines, one after the other, each higher than the one before.
//!
//! ITU-T E.180 §6: 950, 1400 and 1800 Hz, 330 ms each, with at most 30 ms between them. The North
//! American network tells by frequency and length of the first two which announcement follows
//! (Bellcore SR-2275): 913.8 or 985.2 Hz, 1370.6 or 1428.5 Hz, each 274 or 380 ms, then 1776.7 Hz.

use super::segment::{Segment, Segments, Sound};
use super::{ToneEvent, ToneEvents};
use crate::dsp::tone_generator::Step;
use tipring_shm_proto::event::{HeardTone, SitCode};
use tipring_shm_proto::units::{FRAME_MS, TenthDbm0};

/// Where the three may lie, with what countries differ by, Hz.
const RANGES_HZ: [[f32; 2]; 3] = [[865.0, 1050.0], [1300.0, 1500.0], [1620.0, 1880.0]];
/// What each may last, and what the last one has to before it is certain.
const LENGTHS_MS: [u32; 2] = [220, 470];
const CERTAIN_MS: u32 = 200;
/// What may lie between two of them.
const GAP_MS: u32 = 60;
/// Without its third sine for so long it is over; Sweden repeats it after 2 s.
const PAUSE_MS: u32 = 3100;
/// A frequency of a code, Hz; a length above is long.
const OFF_HZ: f32 = 16.0;
const LONG_MS: u32 = 328;

/// These steps are such a tone.
pub(super) fn is_special(steps: &[Step]) -> bool {
    let sounding = || steps.iter().filter_map(Sound::of_step).filter_map(Sound::single_hz);
    sounding().count() == RANGES_HZ.len()
        && sounding().zip(RANGES_HZ).all(|(hz, [from, to])| (from..=to).contains(&hz))
}

/// Listens for them on one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpecialInformation {
    /// Frequency and length of the tones that were heard to their end.
    tones: [(f32, u32); 2],
    count: usize,
    /// What was recognised and is not over.
    heard: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    code: Option<SitCode>,
    level: TenthDbm0,
    age_ms: u32,
    sounded_ms: u32,
}

impl SpecialInformation {
    pub(super) const fn new() -> Self {
        Self { tones: [(0.0, 0); 2], count: 0, heard: None }
    }

    /// A frame has come; `ended` is the segment that ended before it.
    pub(super) fn follow(
        &mut self,
        segments: &Segments,
        ended: Option<&Segment>,
        events: &mut ToneEvents,
    ) {
        if let Some(ended) = ended {
            self.take(ended);
        }
        let now = segments.now();
        let sounds = self.count == 2 && is_tone(2, now) && now.ms >= CERTAIN_MS;
        match &mut self.heard {
            Some(heard) => {
                heard.age_ms += FRAME_MS;
                if sounds && !segments.is_edge() {
                    heard.sounded_ms = heard.age_ms;
                }
                if heard.age_ms - heard.sounded_ms > PAUSE_MS {
                    events.push(heard.event(false));
                    self.heard = None;
                }
            }
            None if sounds => {
                let age_ms = self.tones.iter().map(|(_, ms)| ms).sum::<u32>() + now.ms;
                let (code, level) = (code_of(self.tones), segments.tone_level());
                let heard = Heard { code, level, age_ms, sounded_ms: age_ms };
                events.push(heard.event(true));
                self.heard = Some(heard);
            }
            None => {}
        }
    }

    fn take(&mut self, ended: &Segment) {
        let gap = ended.sound == Sound::Silence && ended.ms <= GAP_MS;
        if gap && self.count > 0 {
            return;
        }
        let place = if self.count < 2 && is_tone(self.count, ended) { self.count } else { 0 };
        self.count = 0;
        if let Some(hz) = ended.sound.single_hz().filter(|_| is_tone(place, ended)) {
            let [shortest, longest] = LENGTHS_MS;
            if (shortest..=longest).contains(&ended.ms) {
                self.tones[place] = (hz, ended.ms);
                self.count = place + 1;
            }
        }
    }
}

impl Heard {
    const fn event(&self, active: bool) -> ToneEvent {
        ToneEvent {
            tone: HeardTone::SpecialInformation { code: self.code },
            active,
            level: self.level,
            began_ago_ms: self.age_ms,
            duration_ms: self.sounded_ms,
        }
    }
}

fn is_tone(place: usize, segment: &Segment) -> bool {
    let [from, to] = RANGES_HZ[place];
    segment.sound.single_hz().is_some_and(|hz| (from..=to).contains(&hz))
}

fn code_of([(first_hz, first_ms), (second_hz, second_ms)]: [(f32, u32); 2]) -> Option<SitCode> {
    let is = |hz: f32, nominal: f32| (hz - nominal).abs() <= OFF_HZ;
    let high = |hz: f32, [low, high]: [f32; 2]| match hz {
        hz if is(hz, low) => Some(false),
        hz if is(hz, high) => Some(true),
        _ => None,
    };
    let first = high(first_hz, [913.8, 985.2])?;
    let second = high(second_hz, [1370.6, 1428.5])?;
    match (first, first_ms > LONG_MS, second, second_ms > LONG_MS) {
        (false, false, false, false) => Some(SitCode::Intercept),
        (true, true, false, false) => Some(SitCode::VacantCode),
        (false, false, true, true) => Some(SitCode::Reorder),
        (true, true, true, true) => Some(SitCode::NoCircuit),
        _ => None,
    }
}
