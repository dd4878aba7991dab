//! Puts audio packets back in order and evens out their arrival.
//!
//! What it does: `insert` takes payloads of any length (10 to 200 ms of G.711, RFC 3551 §4.2) in
//! any order, `take` gives 160 samples each 20 ms.
//!
//! How it works: a ring of samples indexed by RTP timestamp, and a timestamp at which playing
//! stands. Playing advances by 160 with every `take` whether or not there is audio, so silence
//! that the sender suppresses keeps its length. The distance from a packet's timestamp to the
//! playing one when it arrives is its *slack*: negative is too late.
//!
//! * The first packet gets a slack of the target depth, 40 ms.
//! * A late packet moves playing back, and the target up, by the frames that it lacked, as long
//!   as the largest slack of the last seconds stays within 120 ms.
//! * Over windows of 2 s the smallest slack is kept. Five windows without a late packet lower the
//!   target by 20 ms; frames by which the smallest slack exceeds the target are dropped where
//!   they are quiet, or in any case after at most 2 s. That also takes up a sender's faster
//!   clock; a slower one shows as late packets.
//! * A slack of more than 160 ms (a network that let go of a queue) trims to the target at once,
//!   a step of more than 500 ms is another recording: hard reset.
//!
//! Allocates in [`JitterBuffer::new`] only. Work a call is bounded by the ring's 8192 samples,
//! usually by one payload or frame.

use crate::frame::{Companded, Heard};
use tipring_shm_proto::command::Law;
use tipring_shm_proto::units::FRAME_SAMPLES;

/// Samples of the ring: the largest slack plus the longest payload, up to a power of two.
const RING_SAMPLES: usize = 8192;
/// Longest payload used, samples: 200 ms (RFC 3551 §4.2).
const MAX_PAYLOAD_SAMPLES: usize = 1600;
/// Depth at the start, and least depth aimed at, samples: 40 ms.
const START_DEPTH: i32 = 320;
/// Largest depth aimed at, samples: 120 ms.
const MAX_DEPTH: i32 = 960;
/// Slack from which the buffer is trimmed at once, samples: 160 ms.
const TRIM_SLACK: i32 = 1280;
/// Larger steps are another recording, samples: 500 ms.
const MAX_STEP: i32 = 4000;
/// One frame, samples.
const FRAME: i32 = FRAME_SAMPLES as i32;
/// Frames over which the smallest slack is kept: 2 s.
const WINDOW_FRAMES: u32 = 100;
/// Windows without a late packet before the target is lowered: 10 s.
const CALM_WINDOWS: u32 = 5;
/// Missing frames in a row before nothing is expected any more: 120 ms. Concealment has faded by
/// then (ITU-T G.711 Appendix I fades over 60 ms).
const STARVED_FRAMES: u32 = 6;

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// All of it can be played.
    Kept,
    /// It came late, but the buffer grew and all of it can still be played.
    Grown,
    /// Its first samples, or all of them, were due already.
    Late,
    /// It is far from what was played before, which is dropped.
    Reset,
}

/// What to play when there is no audio for a stretch of time.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    from: u32,
    until: Option<u32>,
}

/// The buffer of one call.
pub struct JitterBuffer {
    octets: Box<[u8; RING_SAMPLES]>,
    /// What `octets` holds: [`ABSENT`], [`MU`] or [`A`].
    contents: Box<[u8; RING_SAMPLES]>,
    /// Timestamp of the next sample to play; `None` before the first packet.
    playing: Option<u32>,
    /// Slack of the first packet of a talkspurt, and slack from which frames are dropped, samples.
    target: i32,
    /// A stretch that the sender keeps silent.
    quiet: Option<Quiet>,
    /// Missing frames in a row.
    missing: u32,
    /// Nothing is playing and nothing is waiting: playing may jump unheard.
    idle: bool,
    window: Window,
    /// Largest slack of the window before, samples.
    largest_before: Option<i32>,
    /// Frames to drop.
    excess: u32,
    /// Frames played since the last of them was dropped.
    excess_age: u32,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    frames: u32,
    smallest_slack: Option<i32>,
    largest_slack: Option<i32>,
    late: bool,
    calm: u32,
}

const ABSENT: u8 = 0;
const MU: u8 = 1;
const A: u8 = 2;

impl Default for JitterBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl JitterBuffer {
    /// An empty one. Allocates.
    pub fn new() -> Self {
        Self {
            octets: Box::new([0; RING_SAMPLES]),
            contents: Box::new([ABSENT; RING_SAMPLES]),
            playing: None,
            target: START_DEPTH,
            quiet: None,
            missing: 0,
            idle: true,
            window: Window::default(),
            largest_before: None,
            excess: 0,
            excess_age: 0,
            dropped: 0,
        }
    }

    /// Forgets everything but the count of dropped frames: another call, another source.
    pub fn reset(&mut self) {
        self.contents.fill(ABSENT);
        self.playing = None;
        self.target = START_DEPTH;
        self.quiet = None;
        self.missing = 0;
        self.idle = true;
        self.forget_slack();
        self.excess = 0;
    }

    /// Takes the payload of a packet that was not seen before. Of more than 200 ms the rest is
    /// left out.
    pub fn insert(&mut self, timestamp: u32, law: Law, payload: &[u8]) -> Inserted {
        let payload = &payload[..payload.len().min(MAX_PAYLOAD_SAMPLES)];
        if payload.is_empty() {
            return Inserted::Kept;
        }
        let (slack, reset) = self.place(timestamp);
        self.note_slack(slack);
        let was_late = slack < 0;
        let slack = if was_late { self.grow(slack) } else { slack };
        self.idle = false;
        let skipped = usize::try_from(-slack).unwrap_or(0).min(payload.len());
        self.store(timestamp.wrapping_add(skipped as u32), law, &payload[skipped..]);
        if let Some(quiet) = &mut self.quiet {
            let ends = quiet.until.is_none_or(|until| before(timestamp, until));
            if ends && !before(timestamp, quiet.from) {
                quiet.until = Some(timestamp);
            }
        }
        match (reset, slack < 0, was_late) {
            (true, ..) => Inserted::Reset,
            (_, true, _) => Inserted::Late,
            (_, _, true) => Inserted::Grown,
            _ => Inserted::Kept,
        }
    }

    /// From `timestamp` on the sender keeps silent (comfort noise, RFC 3389) or sends something
    /// else than audio (RFC 4733): what is absent there, is not missing.
    pub fn handle_quiet(&mut self, timestamp: u32) {
        let in_reach = self.playing.is_some_and(|playing| {
            (timestamp.wrapping_sub(playing) as i32).saturating_abs() <= MAX_STEP
        });
        let known = self.quiet.is_some_and(|quiet| {
            !before(timestamp, quiet.from)
                && quiet.until.is_none_or(|until| before(timestamp, until))
        });
        if in_reach && !known {
            self.quiet = Some(Quiet { from: timestamp, until: None });
        }
    }

    /// Gives the next 160 samples and moves on; `into` is written for [`Heard::Frame`] only.
    /// [`Heard::Nothing`] before the first packet is due, where the sender keeps silent, and
    /// 120 ms after it fell silent without a word.
    pub fn take(&mut self, into: &mut Companded) -> Heard {
        let Some(mut playing) = self.playing else { return Heard::Nothing };
        if self.excess > 0 {
            self.excess_age += 1;
            if self.excess_age * self.excess > WINDOW_FRAMES || self.is_quiet_frame(playing) {
                self.excess -= 1;
                self.excess_age = 0;
                self.dropped += 1;
                self.clear(playing, FRAME_SAMPLES);
                playing = playing.wrapping_add(FRAME as u32);
                self.shift_slack(-FRAME);
            }
        }
        let heard = match self.copy_frame(playing, into) {
            Some(law) => {
                into.law = law;
                self.missing = 0;
                Heard::Frame
            }
            None if self.is_silent_by_agreement(playing) => {
                self.missing = 0;
                Heard::Nothing
            }
            None if self.missing < STARVED_FRAMES => {
                self.missing += 1;
                Heard::Missing
            }
            None => Heard::Nothing,
        };
        self.clear(playing, FRAME_SAMPLES);
        let next = playing.wrapping_add(FRAME as u32);
        self.playing = Some(next);
        let waits = self.quiet.is_some_and(|quiet| quiet.until.is_some_and(|at| !before(at, next)));
        self.idle = heard == Heard::Nothing && !waits;
        self.end_window();
        heard
    }

    /// What the buffer adds to the delay of packets that come fast, ms.
    pub fn depth_ms(&self) -> u16 {
        u16::try_from(self.depth() / 8).unwrap_or(0)
    }

    /// Frames dropped to shorten the delay, since [`JitterBuffer::new`].
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Slack of a packet, once playing stands where it has to. `true`: after a hard reset.
    fn place(&mut self, timestamp: u32) -> (i32, bool) {
        let Some(playing) = self.playing else {
            self.anchor(timestamp);
            return (self.target, false);
        };
        let slack = timestamp.wrapping_sub(playing) as i32;
        if slack.saturating_abs() > MAX_STEP {
            self.reset();
            self.anchor(timestamp);
            return (self.target, true);
        }
        let idle_jump = self.idle && !(0..=self.target + 2 * FRAME).contains(&slack);
        if idle_jump {
            self.contents.fill(ABSENT);
            self.anchor(timestamp);
            return (self.target, false);
        }
        if slack > TRIM_SLACK {
            let excess = slack - self.target;
            self.dropped += u64::from(excess.unsigned_abs() / FRAME as u32);
            self.clear(playing, excess.unsigned_abs() as usize);
            self.playing = Some(playing.wrapping_add(excess as u32));
            self.forget_slack();
            self.excess = 0;
            return (self.target, false);
        }
        (slack, false)
    }

    fn anchor(&mut self, timestamp: u32) {
        let playing = timestamp.wrapping_sub(self.target as u32);
        self.playing = Some(playing);
        self.quiet = Some(Quiet { from: playing, until: Some(timestamp) });
        self.missing = 0;
        self.forget_slack();
        self.excess = 0;
    }

    fn note_slack(&mut self, slack: i32) {
        let Window { smallest_slack, largest_slack, late, .. } = &mut self.window;
        *smallest_slack = Some(smallest_slack.map_or(slack, |smallest| smallest.min(slack)));
        *largest_slack = Some(largest_slack.map_or(slack, |largest| largest.max(slack)));
        *late |= slack < 0;
    }

    /// Playing has moved: slacks noted before are those that the packets would have now.
    fn shift_slack(&mut self, by: i32) {
        for slack in [
            &mut self.window.smallest_slack,
            &mut self.window.largest_slack,
            &mut self.largest_before,
        ] {
            *slack = slack.map(|slack| slack + by);
        }
    }

    fn forget_slack(&mut self) {
        self.window = Window::default();
        self.largest_before = None;
    }

    /// Slack of the packets that came fastest in the last 2 to 4 s, samples.
    fn depth(&self) -> i32 {
        self.window.largest_slack.max(self.largest_before).unwrap_or(self.target)
    }

    /// Moves playing back for a packet that lacked `-slack` samples. The slack it has now.
    fn grow(&mut self, slack: i32) -> i32 {
        let lacked = (FRAME - 1 - slack) / FRAME;
        let step = lacked.min((MAX_DEPTH - self.depth()) / FRAME).max(0) * FRAME;
        self.excess = 0;
        self.target = (self.target + step).min(MAX_DEPTH);
        self.playing = self.playing.map(|playing| playing.wrapping_sub(step as u32));
        self.shift_slack(step);
        slack + step
    }

    fn end_window(&mut self) {
        self.window.frames += 1;
        if self.window.frames < WINDOW_FRAMES {
            return;
        }
        let Window { smallest_slack, largest_slack, late, calm, .. } = self.window;
        let calm = if late { 0 } else { calm + 1 };
        self.window = Window { calm, ..Window::default() };
        self.largest_before = largest_slack;
        if calm >= CALM_WINDOWS && self.target > START_DEPTH {
            self.target = (self.target - FRAME).max(START_DEPTH);
            self.window.calm = 0;
        }
        let excess = smallest_slack.map_or(0, |slack| slack - self.target);
        self.excess = (excess.max(0) / FRAME) as u32;
    }

    fn is_silent_by_agreement(&self, playing: u32) -> bool {
        self.quiet.is_some_and(|quiet| {
            before(quiet.from, playing.wrapping_add(FRAME as u32))
                && quiet.until.is_none_or(|until| before(playing, until))
        })
    }

    /// Nobody will miss this frame: it is absent, or near silence throughout.
    fn is_quiet_frame(&self, playing: u32) -> bool {
        (0..FRAME_SAMPLES).all(|offset| {
            let index = index(playing, offset);
            let octet = self.octets[index];
            match self.contents[index] {
                // Segment 0 of either law (ITU-T G.711): within 4/1000 of full scale.
                MU => !octet & 0x7F < 16,
                A => (octet ^ 0x55) & 0x7F < 8,
                _ => true,
            }
        })
    }

    /// The law of the frame, if all its samples are there and of one law.
    fn copy_frame(&self, playing: u32, into: &mut Companded) -> Option<Law> {
        let start = index(playing, 0);
        let law = match self.contents[start] {
            MU => Law::Mu,
            A => Law::A,
            _ => return None,
        };
        let first = (RING_SAMPLES - start).min(FRAME_SAMPLES);
        let (head, tail) = (start..start + first, 0..FRAME_SAMPLES - first);
        let is_whole = |content: &u8| *content == self.contents[start];
        if !self.contents[head.clone()].iter().all(is_whole)
            || !self.contents[tail.clone()].iter().all(is_whole)
        {
            return None;
        }
        into.octets[..first].copy_from_slice(&self.octets[head]);
        into.octets[first..].copy_from_slice(&self.octets[tail]);
        Some(law)
    }

    fn store(&mut self, timestamp: u32, law: Law, samples: &[u8]) {
        let content = match law {
            Law::Mu => MU,
            Law::A => A,
        };
        let start = index(timestamp, 0);
        let (head, tail) = samples.split_at((RING_SAMPLES - start).min(samples.len()));
        self.octets[start..start + head.len()].copy_from_slice(head);
        self.contents[start..start + head.len()].fill(content);
        self.octets[..tail.len()].copy_from_slice(tail);
        self.contents[..tail.len()].fill(content);
    }

    fn clear(&mut self, timestamp: u32, samples: usize) {
        let samples = samples.min(RING_SAMPLES);
        let start = index(timestamp, 0);
        let first = (RING_SAMPLES - start).min(samples);
        self.contents[start..start + first].fill(ABSENT);
        self.contents[..samples - first].fill(ABSENT);
    }
}

/// Timestamps wrap, and so does the ring: its length divides 2³².
fn index(timestamp: u32, offset: usize) -> usize {
    (timestamp as usize).wrapping_add(offset) % RING_SAMPLES
}

fn before(earlier: u32, later: u32) -> bool {
    (earlier.wrapping_sub(later) as i32) < 0
}

#[cfg(test)]
mod tests;
