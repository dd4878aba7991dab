//! Tones as the tables of the field write them, turned into steps when this is compiled.
//!
//! A tone is one or more phrases. A phrase is `[TIMESx]STEP[,STEP…]`; without a number it is played
//! until stopped. A step is `SINE[+SINE…][/MS]`; without a time it lasts until stopped. A sine is
//! `HZ[*HZ][@DBM0]`: its frequency, what modulates its amplitude by 90 %, its level where that is not
//! the tone's; 0 Hz is silence. What is written wrongly does not compile.

use crate::dsp::tone_generator::{Partial, Step, VOICES, modulated};
use tipring_shm_proto::units::TenthDbm0;

/// A [`Tone`](crate::dsp::tone_generator::Tone) of this level, dBm0, and these phrases.
macro_rules! tone {
    ($level:expr, [$($phrase:literal),+]) => {
        $crate::dsp::tone_generator::Tone {
            phrases: &[$({
                const STEPS: &[$crate::dsp::tone_generator::Step] =
                    &$crate::dsp::tone_plan::score::steps::<
                        { $crate::dsp::tone_plan::score::count($phrase) },
                    >($level, $phrase);
                $crate::dsp::tone_generator::Phrase {
                    steps: STEPS,
                    times: $crate::dsp::tone_plan::score::times($phrase),
                }
            }),+],
        }
    };
}
pub(super) use tone;

/// How often a phrase is played.
pub(super) const fn times(phrase: &str) -> u16 {
    Reader::of(phrase).times()
}

/// Steps of a phrase.
pub(super) const fn count(phrase: &str) -> usize {
    let text = phrase.as_bytes();
    let (mut at, mut steps) = (0, 1);
    while at < text.len() {
        steps += (text[at] == b',') as usize;
        at += 1;
    }
    steps
}

/// The steps of a phrase whose sines have this level, dBm0.
pub(super) const fn steps<const N: usize>(dbm0: i16, phrase: &str) -> [Step; N] {
    let mut reader = Reader::of(phrase);
    reader.times();
    let mut steps = [Step { partials: [Partial::NONE; VOICES], ms: 0 }; N];
    let mut index = 0;
    while index < N {
        steps[index] = reader.step(dbm0);
        index += 1;
    }
    assert!(reader.at == reader.text.len(), "a tone ends with its last step");
    steps
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }

    /// Passes over this character, if it is the next.
    const fn take(&mut self, character: u8) -> bool {
        let is = self.at < self.text.len() && self.text[self.at] == character;
        self.at += is as usize;
        is
    }

    const fn number(&mut self) -> u16 {
        let from = self.at;
        let mut number = 0;
        while self.at < self.text.len() && self.text[self.at].is_ascii_digit() {
            number = number * 10 + (self.text[self.at] - b'0') as u16;
            self.at += 1;
        }
        assert!(self.at > from, "a number is missing");
        number
    }

    const fn times(&mut self) -> u16 {
        let times = self.number();
        if self.take(b'x') {
            return times;
        }
        self.at = 0;
        0
    }

    const fn step(&mut self, dbm0: i16) -> Step {
        let mut partials = [Partial::NONE; VOICES];
        let mut voice = 0;
        loop {
            let tenth_hz = self.number() * 10;
            let by_tenth_hz = if self.take(b'*') { self.number() * 10 } else { 0 };
            let dbm0 = if self.take(b'@') {
                assert!(self.take(b'-'), "levels are below 0 dBm0");
                -(self.number() as i16)
            } else {
                dbm0
            };
            if tenth_hz > 0 {
                let three = modulated(tenth_hz, TenthDbm0(dbm0 * 10), by_tenth_hz);
                let used = if by_tenth_hz > 0 { 3 } else { 1 };
                let mut index = 0;
                while index < used {
                    partials[voice] = three[index];
                    voice += 1;
                    index += 1;
                }
            }
            if !self.take(b'+') {
                break;
            }
        }
        let ms = if self.take(b'/') { self.number() as u32 } else { 0 };
        self.take(b',');
        Step { partials, ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_reads_as_it_is_written() {
        assert_eq!((times("3x425/100,0/100"), count("3x425/100,0/100")), (3, 2));
        assert_eq!((times("425"), count("425")), (0, 1));
        let [on, off] = steps(-12, "3x425*25+400@-19/100,0/50");
        let partial = |tenth_hz, level| Partial { tenth_hz, level: TenthDbm0(level) };
        assert_eq!(
            on.partials[..4],
            [partial(4250, -120), partial(4000, -189), partial(4500, -189), partial(4000, -190)]
        );
        assert_eq!((on.ms, off.ms, off.partials), (100, 50, [Partial::NONE; VOICES]));
    }
}
