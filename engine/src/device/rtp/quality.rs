//! How well a call can be heard: the E-model (ITU-T G.107), of the whole call and of each ten
//! seconds, and the bursts of loss that it depends on (RFC 3611 §4.7.2).
//!
//! How it works: each frame that was due is marked as heard or lost (never came, or came too late).
//! Lost frames less than 16 heard ones apart belong to a burst. R = 93.2 − Id − Ie,eff with
//! Ie,eff = Ie + (95 − Ie) · Ppl / (Ppl / BurstR + Bpl); for G.711 with concealment Ie is 0 and Bpl
//! 25.1 (ITU-T G.113 Appendix I). Id is 0.024 d + 0.11 (d − 177.3) where that is positive, d the
//! one-way delay in ms.

use tipring_shm_proto::line_table::Quality;

/// Frames of ten seconds.
const WINDOW_FRAMES: u32 = 500;
/// Heard frames that end a burst (RFC 3611 §4.7.2, Gmin).
pub const GMIN: u32 = 16;
/// Packet-loss robustness of G.711 with concealment.
const BPL: f32 = 25.1;
/// R of a perfect narrow-band call.
const R_BEST: f32 = 93.2;

/// Counts of frames.
#[derive(Clone, Copy, Debug, Default)]
struct Frames {
    due: u32,
    lost: u32,
    /// Runs of lost frames.
    runs: u32,
}

/// Loss in bursts and gaps, as RFC 3611 has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bursts {
    /// Frames in bursts, and lost ones among them.
    pub burst_frames: u32,
    /// Lost frames in bursts.
    pub burst_lost: u32,
    /// Bursts.
    pub bursts: u32,
    /// Frames in gaps.
    pub gap_frames: u32,
    /// Lost frames in gaps.
    pub gap_lost: u32,
}

/// Judges one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judge {
    call: Frames,
    window: Frames,
    recent_mos: Option<u16>,
    in_run: bool,
    bursts: Bursts,
    /// The loss region that is open: its frames up to the last lost one, and lost ones.
    open_frames: u32,
    open_lost: u32,
    /// Heard frames since the last lost one.
    heard_since: u32,
}

impl Judge {
    /// A frame was due. `delay_ms` is the one-way delay, as far as it is known.
    pub fn note(&mut self, lost: bool, delay_ms: u32) {
        for frames in [&mut self.call, &mut self.window] {
            frames.due = frames.due.saturating_add(1);
            frames.lost += u32::from(lost);
            frames.runs += u32::from(lost && !self.in_run);
        }
        self.in_run = lost;
        self.note_burst(lost);
        if self.window.due >= WINDOW_FRAMES {
            self.recent_mos = Some(mos(self.window.r(delay_ms)));
            self.window = Frames::default();
        }
    }

    /// `None` before the first frame.
    pub fn quality(&self, delay_ms: u32) -> Option<Quality> {
        let call_mos = (self.call.due > 0).then(|| mos(self.call.r(delay_ms)))?;
        let recent_mos = self.recent_mos.unwrap_or_else(|| mos(self.window.r(delay_ms)));
        Some(Quality { call_mos, recent_mos })
    }

    /// R of the call, 0 to 93.
    pub fn r_factor(&self, delay_ms: u32) -> u8 {
        self.call.r(delay_ms) as u8
    }

    /// Bursts and gaps of the call so far; a region that is still open counts as what it is now.
    pub fn bursts(&self) -> Bursts {
        let mut closed = *self;
        closed.close_region();
        closed.bursts
    }

    fn note_burst(&mut self, lost: bool) {
        if lost {
            self.open_frames += self.heard_since + 1;
            self.open_lost += 1;
            self.heard_since = 0;
            return;
        }
        self.heard_since += 1;
        if self.open_lost == 0 {
            self.bursts.gap_frames = self.bursts.gap_frames.saturating_add(1);
            self.heard_since = 0;
        } else if self.heard_since >= GMIN {
            self.close_region();
        }
    }

    /// One lost frame alone belongs to the gap around it, more are a burst.
    fn close_region(&mut self) {
        let bursts = &mut self.bursts;
        if self.open_lost == 1 {
            bursts.gap_lost += 1;
            bursts.gap_frames = bursts.gap_frames.saturating_add(self.open_frames);
        } else if self.open_lost > 1 {
            bursts.bursts += 1;
            bursts.burst_lost += self.open_lost;
            bursts.burst_frames = bursts.burst_frames.saturating_add(self.open_frames);
        }
        bursts.gap_frames = bursts.gap_frames.saturating_add(self.heard_since);
        (self.open_frames, self.open_lost, self.heard_since) = (0, 0, 0);
    }
}

impl Frames {
    fn r(self, delay_ms: u32) -> f32 {
        let loss = self.lost as f32 / self.due.max(1) as f32;
        // Mean length of a run against what chance alone would give (G.107 §3.5).
        let chance = 1.0 / (1.0 - loss).max(0.01);
        let length = self.lost as f32 / self.runs.max(1) as f32;
        let burst_ratio = if self.lost == 0 { 1.0 } else { (length / chance).max(1.0) };
        let percent = 100.0 * loss;
        let equipment = 95.0 * percent / (percent / burst_ratio + BPL);
        let delay = delay_ms as f32;
        let late = (delay - 177.3).max(0.0);
        (R_BEST - 0.024 * delay - 0.11 * late - equipment).clamp(0.0, 100.0)
    }
}

/// Mean opinion score in hundredths (ITU-T G.107 Annex B).
fn mos(r: f32) -> u16 {
    let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    (mos.clamp(1.0, 4.5) * 100.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(frames: u32, lost: impl Fn(u32) -> bool, delay_ms: u32) -> (Judge, Quality) {
        let mut judge = Judge::default();
        (0..frames).for_each(|n| judge.note(lost(n), delay_ms));
        (judge, judge.quality(delay_ms).unwrap())
    }

    #[test]
    fn the_scores_are_those_of_the_worked_examples() {
        for (every, delay_ms, expected) in
            [(0, 150, 433), (100, 150, 423), (33, 150, 400), (20, 150, 377), (0, 250, 399)]
        {
            let (_, quality) = judged(3300, |n| every > 0 && n % every == 0, delay_ms);
            let off = i32::from(quality.call_mos) - expected;
            assert!(off.abs() <= 6, "1/{every}, {delay_ms} ms: {quality:?}, not {expected}");
        }
        assert_eq!(Judge::default().quality(0), None);
    }

    #[test]
    fn the_last_ten_seconds_recover_before_the_call_does() {
        let (_, bad) = judged(500, |n| n % 5 == 0, 40);
        assert!(bad.call_mos < 300 && bad.recent_mos == bad.call_mos, "{bad:?}");
        let (_, later) = judged(1000, |n| n < 500 && n % 5 == 0, 40);
        assert!(later.recent_mos > 430 && later.call_mos < 390, "{later:?}");
    }

    #[test]
    fn losses_together_are_worse_than_apart() {
        let (_, apart) = judged(3000, |n| n % 20 == 0, 40);
        let (_, together) = judged(3000, |n| n % 200 < 10, 40);
        assert!(together.call_mos < apart.call_mos, "{together:?} {apart:?}");
    }

    #[test]
    fn bursts_and_gaps_are_told_apart() {
        // One alone at 10; 40, 45 and 50 together; two in a row at the end.
        let lost = |n| matches!(n, 10 | 40 | 45 | 50 | 98 | 99);
        let (judge, _) = judged(100, lost, 0);
        let expected = Bursts {
            burst_frames: 11 + 2,
            burst_lost: 5,
            bursts: 2,
            gap_frames: 100 - 13,
            gap_lost: 1,
        };
        assert_eq!(judge.bursts(), expected);
    }
}
