//! All that is said in a conference, added up: what its members say meets by time.

use super::{AudioTap, Control, Samples, TapFrame, Tapped, lock};
use crate::auth::Caller;
use crate::call::Role;
use crate::view::{TapDirection, Timestamp};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, SystemTime};
use tipring_shm_proto::units::{FRAME_MS, FRAME_SAMPLES};
use tokio::time::{Interval, MissedTickBehavior, interval};

const FRAME: Duration = Duration::from_millis(FRAME_MS as u64);
/// Frames that a member's may take to come.
const SETTLED: u64 = 10;
/// A member's frames are that far from where its first one was, and are placed anew.
const ADRIFT: u64 = 3;
/// Frames between two looks at who sits there.
const LOOK_EVERY: u32 = 5;

/// See the module.
pub(super) struct ConferenceTap {
    control: Control,
    name: String,
    began: SystemTime,
    clock: Interval,
    ticks: u32,
    voices: HashMap<String, Voice>,
    sum: Sum,
}

struct Voice {
    tap: AudioTap,
    place: Place,
}

impl ConferenceTap {
    /// From now on.
    pub(super) fn new(control: Control, name: &str) -> Self {
        let mut clock = interval(FRAME);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let began = SystemTime::now();
        let (voices, sum) = (HashMap::new(), Sum::default());
        Self { control, name: name.to_owned(), began, clock, ticks: 0, voices, sum }
    }

    /// Nobody sits there.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.control.0.switch).sitting(Some(&self.name)).next().is_none()
    }

    /// The next 20 ms; waits for them. May be cancelled without loss.
    pub(super) async fn next(&mut self) -> Tapped {
        loop {
            let at = SystemTime::now();
            if let Some((seq, mix)) = self.sum.take(self.frame_at(at)) {
                let frame = TapFrame { rx: Some(mix), tx: None, at: Timestamp(at), seq };
                return Tapped::Frame(Box::new(frame));
            }
            self.clock.tick().await;
            if self.ticks.is_multiple_of(LOOK_EVERY) {
                self.follow_members();
            }
            self.ticks = self.ticks.wrapping_add(1);
            self.listen();
        }
    }

    fn frame_at(&self, at: SystemTime) -> u64 {
        let since = at.duration_since(self.began).unwrap_or_default();
        (since.as_millis() / u128::from(FRAME_MS)) as u64
    }

    fn follow_members(&mut self) {
        let speak: HashSet<String> = {
            let switch = lock(&self.control.0.switch);
            let heard = switch.sitting(Some(&self.name)).filter(|record| {
                record.seat.as_ref().is_some_and(|seat| seat.role == Role::Speaks)
            });
            heard.filter_map(|record| record.lines().next()).map(str::to_owned).collect()
        };
        self.voices.retain(|line, _| speak.contains(line));
        let ourselves = Caller::everything("recorder");
        for line in speak {
            if self.voices.contains_key(&line) {
                continue;
            }
            match self.control.audio_tap(&ourselves, &line, TapDirection::Rx, "recorder") {
                Ok(tap) => {
                    self.voices.insert(line, Voice { tap, place: Place::default() });
                }
                Err(why) => tracing::debug!(line, "not in the conference's recording: {why}"),
            }
        }
    }

    fn listen(&mut self) {
        let began = self.began;
        self.voices.retain(|_, voice| {
            loop {
                match voice.tap.try_next() {
                    None => return true,
                    Some(Tapped::Gone(_)) => return false,
                    Some(Tapped::Lost(_)) => {}
                    Some(Tapped::Frame(frame)) => {
                        let since = frame.at.0.duration_since(began).unwrap_or_default();
                        let due = (since.as_millis() / u128::from(FRAME_MS)) as u64;
                        let at = voice.place.of(frame.seq, due);
                        if let Some(rx) = &frame.rx {
                            self.sum.add(at, rx);
                        }
                    }
                }
            }
        });
    }
}

/// Where a member's frames belong: one after the other from its first one on, which lies where its time
/// says, so that a frame that comes a little early or late is neither doubled nor left out.
#[derive(Default)]
struct Place {
    /// Number of a frame, and where it lies.
    anchor: Option<(u64, u64)>,
}

impl Place {
    fn of(&mut self, seq: u64, due: u64) -> u64 {
        if let Some((first, at)) = self.anchor {
            let place = at.saturating_add(seq.saturating_sub(first));
            if place.abs_diff(due) <= ADRIFT {
                return place;
            }
        }
        self.anchor = Some((seq, due));
        due
    }
}

/// Frames under addition.
#[derive(Default)]
struct Sum {
    /// Number of the first one.
    first: u64,
    frames: VecDeque<[i32; FRAME_SAMPLES]>,
}

impl Sum {
    /// Adds to a frame. What comes too late is left out, and so is what is far too early.
    fn add(&mut self, at: u64, samples: &Samples) {
        let Some(index) = at.checked_sub(self.first).filter(|index| *index < 8 * SETTLED) else {
            return;
        };
        let index = index as usize;
        if self.frames.len() <= index {
            self.frames.resize(index + 1, [0; FRAME_SAMPLES]);
        }
        let sum = self.frames[index].iter_mut().zip(samples);
        sum.for_each(|(sum, sample)| *sum += i32::from(*sample));
    }

    /// The first frame, if nothing of it will come any more.
    fn take(&mut self, now: u64) -> Option<(u64, Samples)> {
        if self.first + SETTLED > now {
            return None;
        }
        let frame = self.frames.pop_front().unwrap_or([0; FRAME_SAMPLES]);
        let seq = self.first;
        self.first += 1;
        let limited = frame.map(|s| s.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16);
        Some((seq, limited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_meet_by_time_and_nobody_is_heard_twice() {
        let (mut one, mut other) = (Place::default(), Place::default());
        let mut sum = Sum::default();
        // The second one begins later; both come now and then a frame early or late.
        for n in 0..40u64 {
            let shaken =
                |n: u64| n + 5 + u64::from(n.is_multiple_of(3)) - u64::from(n.is_multiple_of(5));
            sum.add(one.of(n, shaken(n)), &[1; FRAME_SAMPLES]);
            if n >= 10 {
                sum.add(other.of(n + 900, shaken(n)), &[10; FRAME_SAMPLES]);
            }
        }
        let mut heard = Vec::new();
        while let Some((seq, frame)) = sum.take(54) {
            assert_eq!(seq, heard.len() as u64);
            heard.push(frame[0]);
        }
        assert_eq!(heard.len(), 45);
        assert_eq!(heard.iter().filter(|&&value| value % 10 == 1).count(), 40);
        assert_eq!(heard.iter().filter(|&&value| value >= 10).count(), 30);
        assert!(heard[14..44].iter().all(|&value| value == 11), "{heard:?}");
    }

    #[test]
    fn silence_is_silence_and_a_sum_does_not_wrap_round() {
        let mut sum = Sum::default();
        assert_eq!(sum.take(9), None);
        assert_eq!(sum.take(10), Some((0, [0; FRAME_SAMPLES])));
        sum.add(0, &[5; FRAME_SAMPLES]);
        sum.add(1, &[30_000; FRAME_SAMPLES]);
        sum.add(1, &[30_000; FRAME_SAMPLES]);
        sum.add(1_000_000, &[5; FRAME_SAMPLES]);
        assert_eq!(sum.take(11), Some((1, [i16::MAX; FRAME_SAMPLES])));
    }

    #[test]
    fn who_was_away_is_placed_by_time_again() {
        let mut place = Place::default();
        assert_eq!(place.of(100, 7), 7);
        assert_eq!(place.of(101, 9), 8);
        assert_eq!(place.of(102, 60), 60);
        assert_eq!(place.of(103, 61), 61);
    }
}
