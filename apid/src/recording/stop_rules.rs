//! When a recording ends by itself. Sans-IO: what is heard goes in, 20 ms at a time, and the
//! cause of the end comes out.

use serde::{Deserialize, Serialize};
use tipring_shm_proto::units::FRAME_MS;
use utoipa::ToSchema;

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// It was told to.
    Stopped,
    /// The person pressed a digit.
    Digit,
    /// The person was silent for long enough.
    Silence,
    /// It is as long as it may be.
    Length,
    /// The phone was put down.
    HungUp,
    /// The engine or its device went away.
    LineGone,
    /// There is no room on the disk.
    DiskFull,
    /// Recordings take up as much as is configured.
    Quota,
    /// The file could not be written.
    FileError,
    /// apid ended in the midst of it.
    Interrupted,
}

/// When it ends.
#[derive(Clone, Debug)]
pub struct StopRules {
    frames_left: u64,
    on_digit: bool,
    /// So many silent frames end it, and how many there were.
    silence: Option<(u64, u64)>,
    speaks: bool,
}

impl StopRules {
    /// `speaks`: the person is speaking as it begins.
    pub fn new(max_ms: u64, on_digit: bool, silence_ms: Option<u64>, speaks: bool) -> Self {
        let frames = |ms: u64| ms.div_ceil(u64::from(FRAME_MS)).max(1);
        let silence = silence_ms.map(|ms| (frames(ms), 0));
        Self { frames_left: frames(max_ms), on_digit, silence, speaks }
    }

    /// 20 ms were recorded.
    pub fn handle_frame(&mut self) -> Option<StopCause> {
        self.frames_left = self.frames_left.saturating_sub(1);
        if self.frames_left == 0 {
            return Some(StopCause::Length);
        }
        let (enough, silent) = self.silence.as_mut()?;
        *silent = if self.speaks { 0 } else { *silent + 1 };
        (*silent >= *enough).then_some(StopCause::Silence)
    }

    /// The person began or ceased to speak.
    pub fn handle_voice(&mut self, active: bool) {
        self.speaks = active;
    }

    /// The person pressed a digit.
    pub fn handle_digit(&mut self) -> Option<StopCause> {
        self.on_digit.then_some(StopCause::Digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames_until(rules: &mut StopRules, cause: StopCause) -> u64 {
        for frame in 1..10_000 {
            if let Some(why) = rules.handle_frame() {
                assert_eq!(why, cause);
                return frame;
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn it_is_as_long_as_it_may_be() {
        let mut rules = StopRules::new(1000, false, None, false);
        assert_eq!(frames_until(&mut rules, StopCause::Length), 50);
        assert_eq!(rules.handle_digit(), None);
    }

    #[test]
    fn silence_counts_from_the_last_word() {
        let mut rules = StopRules::new(60_000, true, Some(2000), false);
        for _ in 0..99 {
            assert_eq!(rules.handle_frame(), None);
        }
        rules.handle_voice(true);
        for _ in 0..500 {
            assert_eq!(rules.handle_frame(), None);
        }
        rules.handle_voice(false);
        assert_eq!(frames_until(&mut rules, StopCause::Silence), 100);
        assert_eq!(rules.handle_digit(), Some(StopCause::Digit));
    }
}
