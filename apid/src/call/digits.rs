//! One press of a key is one digit, whatever ways a SIP phone sends it by: telephone-event
//! (RFC 4733) where it does that, else INFO once that was seen, else tones in the audio.

/// The way a digit came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitWay {
    /// RFC 4733.
    TelephoneEvent,
    /// SIP INFO.
    Info,
    /// Tones in the audio.
    Audio,
}

/// How much later the same press may come by another way, ms: INFO is sent when the key is
/// released, and may be repeated.
const SAME_PRESS_MS: u64 = 1500;

/// What a phone has done in its call so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigitTruth {
    /// The best way seen.
    best: Option<DigitWay>,
    last: Option<(char, DigitWay, u64)>,
    /// Digits that came by another way than the one that counts.
    pub ignored: u32,
}

impl DigitTruth {
    /// Whether a digit is one more, or the echo of one by another way.
    pub fn accepts(&mut self, digit: char, way: DigitWay, now_ms: u64) -> bool {
        let rank = |way| match way {
            DigitWay::TelephoneEvent => 2,
            DigitWay::Info => 1,
            DigitWay::Audio => 0,
        };
        let worse = self.best.is_some_and(|best| rank(way) < rank(best));
        if !worse {
            self.best = Some(way);
        }
        let same_press = self.last.is_some_and(|(last, by, at_ms)| {
            last == digit && by != way && now_ms.saturating_sub(at_ms) < SAME_PRESS_MS
        });
        if worse || same_press {
            self.ignored += 1;
            // Each press has one echo: the next one of the same key is a digit again.
            self.last = self.last.filter(|_| !same_press);
            return false;
        }
        self.last = Some((digit, way, now_ms));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::DigitWay::{Audio, Info, TelephoneEvent};
    use super::*;

    fn heard(presses: &[(char, DigitWay, u64)]) -> (String, u32) {
        let mut truth = DigitTruth::default();
        let heard = presses.iter().filter(|(digit, way, at)| truth.accepts(*digit, *way, *at));
        let heard = heard.map(|(digit, ..)| *digit).collect();
        (heard, truth.ignored)
    }

    #[test]
    fn each_way_alone() {
        for way in [TelephoneEvent, Info, Audio] {
            assert_eq!(
                heard(&[('1', way, 0), ('1', way, 200), ('2', way, 400)]),
                ("112".into(), 0)
            );
        }
    }

    #[test]
    fn both_ways_are_one_digit_each_whichever_comes_first() {
        for (a, b) in [(TelephoneEvent, Info), (Info, TelephoneEvent), (Audio, Info)] {
            let mut presses = Vec::new();
            for (i, digit) in "11235".chars().enumerate() {
                let at = i as u64 * 2000;
                presses.extend([(digit, a, at), (digit, b, at + 180)]);
            }
            assert_eq!(heard(&presses), ("11235".into(), 5), "{a:?} {b:?}");
        }
    }

    #[test]
    fn the_better_way_counts_from_then_on() {
        let presses = [('1', Audio, 0), ('2', Info, 5000), ('2', Audio, 5100), ('3', Audio, 9000)];
        assert_eq!(heard(&presses), ("12".into(), 2));
        let presses = [('1', TelephoneEvent, 0), ('2', Info, 5000), ('3', TelephoneEvent, 9000)];
        assert_eq!(heard(&presses), ("13".into(), 1));
    }
}
