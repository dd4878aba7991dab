//! Puts audio packets back in order and evens out their arrival.
//!
//! What it does: `insert` takes payloads of any length (10 to 200 ms of G.711, RFC 3551 §4.2) in
//! any order, `take` gives 160 samples whenever it is asked, which is about each 20 ms, and `pace`
//! says whether what it gave should be played a little faster or slower.
//!
//! How it works, after WebRTC's NetEQ: a ring of samples indexed by RTP timestamp, and a timestamp
//! at which playing stands. Playing advances by 160 with every `take` whether or not there is audio,
//! so silence that the sender suppresses keeps its length. Its *depth* is how long the fastest packets
//! wait until they are due, and the target is the depth at which 99 of 100 packets are in time
//! ([`super::delay`]). Whoever plays takes out or adds whole pitch periods until depth and target
//! agree; nothing here ever jumps in what is being heard.
//!
//! * The first packet gets the target depth, 40 ms as long as nothing else is known.
//! * Audio that comes when its time is over, and after which nothing was played yet, is played all
//!   the same: that deepens the buffer, up to 300 ms.
//! * A step of more than 500 ms is another recording: hard reset.
//!
//! Allocates in [`JitterBuffer::new`] only. Work a call is bounded by the ring's 8192 samples,
//! usually by one payload or frame.

use super::delay::{Delays, transit_ns};
use crate::frame::{Companded, Heard, Pace};
use tipring_shm_proto::command::Law;
use tipring_shm_proto::units::{FRAME_NS, FRAME_SAMPLES, Nanos};

/// Samples of the ring: the largest step plus the longest payload, up to a power of two.
const RING_SAMPLES: usize = 8192;
/// Longest payload used, samples: 200 ms (RFC 3551 §4.2).
const MAX_PAYLOAD_SAMPLES: usize = 1600;
/// Depth aimed at while nothing is known of the network, ns: 40 ms.
const START_NS: i64 = 40_000_000;
/// Least and largest depth aimed at, ns.
const LEAST_NS: i64 = 20_000_000;
const MOST_NS: i64 = MOST_DEPTH_MS as i64 * 1_000_000;
/// Room above the target in which nothing is done, ns (NetEQ's window of 20 ms).
const SLACK_NS: i64 = 20_000_000;
/// Larger steps are another recording, samples: 500 ms.
const MAX_STEP: i64 = 4000;
/// One frame, samples.
const FRAME: i64 = FRAME_SAMPLES as i64;
/// Duration of a sample, ns.
const SAMPLE_NS: i64 = 125_000;
/// Missing frames in a row before nothing is expected any more: 120 ms. Concealment has faded by
/// then (ITU-T G.711 Appendix I fades over 60 ms).
const STARVED_FRAMES: u32 = 6;

/// Largest depth aimed at, ms.
pub const MOST_DEPTH_MS: u16 = 300;

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

/// A stretch of time without audio that nobody misses. Timestamps, not wrapped.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    from: i64,
    until: Option<i64>,
}

/// The buffer of one call.
pub struct JitterBuffer {
    octets: Box<[u8; RING_SAMPLES]>,
    /// What `octets` holds: [`ABSENT`], [`MU`] or [`A`].
    contents: Box<[u8; RING_SAMPLES]>,
    /// Timestamp of the next sample to play, not wrapped; `None` before the first packet.
    playing: Option<i64>,
    /// When that sample is due.
    due: Nanos,
    depth_told_ns: i64,
    /// End of the last audio that was played.
    played_to: i64,
    delays: Delays,
    /// A stretch that the sender keeps silent.
    quiet: Option<Quiet>,
    /// Missing frames in a row.
    missing: u32,
    /// Nothing is playing and nothing is waiting: playing may jump unheard.
    idle: bool,
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
            due: Nanos(0),
            depth_told_ns: 0,
            played_to: 0,
            delays: Delays::default(),
            quiet: None,
            missing: 0,
            idle: true,
        }
    }

    /// Forgets everything: another call, another source.
    pub fn reset(&mut self) {
        self.contents.fill(ABSENT);
        self.playing = None;
        self.delays = Delays::default();
        self.depth_told_ns = 0;
        self.quiet = None;
        self.missing = 0;
        self.idle = true;
    }

    /// A tick begins: what is taken next is due now.
    pub fn handle_tick(&mut self, now: Nanos) {
        self.due = now;
    }

    /// Takes the payload of a packet that was not seen before, which came at `arrived`. Of more than
    /// 200 ms the rest is left out. Tells its transit too, ns.
    pub fn insert(
        &mut self,
        arrived: Nanos,
        timestamp: u32,
        law: Law,
        payload: &[u8],
    ) -> (Inserted, i64) {
        let payload = &payload[..payload.len().min(MAX_PAYLOAD_SAMPLES)];
        let begins = self.unwrapped(timestamp);
        if payload.is_empty() {
            return (Inserted::Kept, transit_ns(arrived, begins));
        }
        let ends = begins + payload.len() as i64;
        let reset = self.place(arrived, begins);
        let transit = transit_ns(arrived, begins);
        self.delays.note(arrived, transit);
        let playing = self.playing.unwrap_or(begins);
        let was_late = begins < playing;
        let playing = if was_late { self.grow(begins, playing) } else { playing };
        self.idle = false;
        let skipped = (playing - begins).clamp(0, payload.len() as i64);
        self.store(begins + skipped, law, &payload[skipped as usize..]);
        if let Some(quiet) = &mut self.quiet {
            let ends_it = quiet.until.is_none_or(|until| begins < until);
            if ends_it && ends > quiet.from {
                quiet.until = Some(begins);
            }
        }
        let inserted = match (reset, skipped > 0, was_late) {
            (true, ..) => Inserted::Reset,
            (_, true, _) => Inserted::Late,
            (_, _, true) => Inserted::Grown,
            _ => Inserted::Kept,
        };
        (inserted, transit)
    }

    /// From `timestamp` on the sender keeps silent (comfort noise, RFC 3389) or sends something
    /// else than audio (RFC 4733): what is absent there, is not missing.
    pub fn handle_quiet(&mut self, timestamp: u32) {
        let from = self.unwrapped(timestamp);
        let in_reach = self.playing.is_some_and(|playing| (from - playing).abs() <= MAX_STEP);
        let known = self.quiet.is_some_and(|quiet| {
            from >= quiet.from && quiet.until.is_none_or(|until| from < until)
        });
        if in_reach && !known {
            self.quiet = Some(Quiet { from, until: None });
        }
    }

    /// Gives the next 160 samples and moves on; `into` is written for [`Heard::Frame`] only.
    /// [`Heard::Nothing`] before the first packet is due, where the sender keeps silent, and
    /// 120 ms after it fell silent without a word.
    pub fn take(&mut self, into: &mut Companded) -> Heard {
        let Some(playing) = self.playing else { return Heard::Nothing };
        let heard = match self.law_of_frame(playing) {
            Some(law) => {
                self.copy_frame(playing, into);
                into.law = law;
                self.missing = 0;
                self.played_to = playing + FRAME;
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
        let next = playing + FRAME;
        self.playing = Some(next);
        let waits = self.quiet.is_some_and(|quiet| quiet.until.is_some_and(|at| at >= next));
        self.idle = heard == Heard::Nothing && !waits;
        heard
    }

    /// All of the next frame is here.
    pub fn has_frame(&self) -> bool {
        self.playing.is_some_and(|playing| self.law_of_frame(playing).is_some())
    }

    /// How to play what was taken, of which `held` samples are not played yet.
    pub fn pace(&mut self, held: u32) -> Pace {
        if self.idle || self.missing > 0 {
            return Pace::Steady;
        }
        let Some(depth) = self.depth_ns() else { return Pace::Steady };
        let depth = depth + i64::from(held) * SAMPLE_NS;
        self.depth_told_ns = depth;
        let target = self.target_ns();
        let low = target * 3 / 4;
        let high = target.max(low + SLACK_NS);
        if depth > 3 * high {
            Pace::Hurry
        } else if depth > high {
            Pace::Faster
        } else if depth < low {
            Pace::Slower
        } else {
            Pace::Steady
        }
    }

    /// What the buffer, and what was held at the last [`JitterBuffer::pace`], adds to the delay of the
    /// fastest packets, ms.
    pub fn depth_ms(&self) -> u16 {
        in_ms(self.depth_told_ns)
    }

    /// The depth that it aims at, ms.
    pub fn target_ms(&self) -> u16 {
        in_ms(self.target_ns())
    }

    fn target_ns(&self) -> i64 {
        self.delays.enough_ns().unwrap_or(START_NS).clamp(LEAST_NS, MOST_NS)
    }

    /// From the arrival of the fastest packets until they are due, ns.
    fn depth_ns(&self) -> Option<i64> {
        let fastest = self.delays.fastest_ns()?;
        Some(transit_ns(self.due, self.playing?) - fastest)
    }

    /// The value nearest to what plays.
    fn unwrapped(&self, timestamp: u32) -> i64 {
        let near = self.playing.unwrap_or(1 << 32);
        near + i64::from(timestamp.wrapping_sub(near as u32) as i32)
    }

    /// Sees to it that playing stands where it has to for a packet; `true`: after a hard reset.
    fn place(&mut self, arrived: Nanos, begins: i64) -> bool {
        let Some(playing) = self.playing else {
            self.anchor(arrived, begins);
            return false;
        };
        let slack = begins - playing;
        if slack.abs() > MAX_STEP {
            self.reset();
            self.anchor(arrived, begins);
            return true;
        }
        let room = (self.target_ns() + SLACK_NS) / SAMPLE_NS;
        if self.idle && !(0..=room).contains(&slack) {
            self.contents.fill(ABSENT);
            self.anchor(arrived, begins);
        }
        false
    }

    /// Lets the packet wait for the target depth, to the nearest frame: so that packets and frames
    /// begin together.
    fn anchor(&mut self, arrived: Nanos, begins: i64) {
        let waits_ns = self.due.0.saturating_sub(arrived.0) as i64;
        let frames = (self.target_ns() - waits_ns + FRAME_NS as i64 / 2) / FRAME_NS as i64;
        let playing = begins - frames.clamp(0, 10) * FRAME;
        self.playing = Some(playing);
        self.played_to = playing;
        self.quiet = Some(Quiet { from: playing, until: Some(begins) });
        self.missing = 0;
    }

    /// Moves playing back for a packet that begins before it, where nothing later was heard yet.
    /// Where it stands then.
    fn grow(&mut self, begins: i64, playing: i64) -> i64 {
        let step_ns = (playing - begins) * SAMPLE_NS;
        let deep = self.depth_ns().is_some_and(|depth| depth + step_ns > MOST_NS);
        if begins < self.played_to || deep {
            return playing;
        }
        self.playing = Some(begins);
        begins
    }

    fn is_silent_by_agreement(&self, playing: i64) -> bool {
        self.quiet.is_some_and(|quiet| {
            quiet.from < playing + FRAME && quiet.until.is_none_or(|until| playing < until)
        })
    }

    /// The law of the frame, if all its samples are there and of one law.
    fn law_of_frame(&self, playing: i64) -> Option<Law> {
        let start = index(playing, 0);
        let law = match self.contents[start] {
            MU => Law::Mu,
            A => Law::A,
            _ => return None,
        };
        let first = (RING_SAMPLES - start).min(FRAME_SAMPLES);
        // Without a way out in the middle many are compared at once.
        let differs = |content: &u8| content ^ self.contents[start];
        let (head, tail) = (start..start + first, 0..FRAME_SAMPLES - first);
        let contents = self.contents[head].iter().chain(&self.contents[tail]);
        let all_alike = contents.map(differs).fold(0, |all, differs| all | differs) == 0;
        all_alike.then_some(law)
    }

    fn copy_frame(&self, playing: i64, into: &mut Companded) {
        let start = index(playing, 0);
        let first = (RING_SAMPLES - start).min(FRAME_SAMPLES);
        into.octets[..first].copy_from_slice(&self.octets[start..start + first]);
        into.octets[first..].copy_from_slice(&self.octets[..FRAME_SAMPLES - first]);
    }

    fn store(&mut self, timestamp: i64, law: Law, samples: &[u8]) {
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

    fn clear(&mut self, timestamp: i64, samples: usize) {
        let samples = samples.min(RING_SAMPLES);
        let start = index(timestamp, 0);
        let first = (RING_SAMPLES - start).min(samples);
        self.contents[start..start + first].fill(ABSENT);
        self.contents[..samples - first].fill(ABSENT);
    }
}

fn index(timestamp: i64, offset: usize) -> usize {
    (timestamp.rem_euclid(RING_SAMPLES as i64) as usize + offset) % RING_SAMPLES
}

fn in_ms(ns: i64) -> u16 {
    u16::try_from(ns.max(0) / 1_000_000).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
