//! Progress tones by country: data, nothing is parsed when the engine runs.
//!
//! *Sources.* Frequencies and cadences: ITU-T E.180 supplement 2, as dahdi-tools `zonedata.c` and
//! Asterisk `indications.conf.sample` give them; the United States' SIT: Bellcore SR-2275
//! (intercept). Levels, each sine: North America after the Precise Tone Plan (dial −13, ringing −19,
//! busy and reorder −24 dBm0), United Kingdom after BT (dial −22 and −18, others −19), elsewhere
//! −12 dBm0, inside E.180's −10 ±5. Howler: 1400+2060+2450+2600 Hz, 100 ms on and off, each sine
//! −18 dBm0 for 4 s, −12 for 4 s, then −6 (0 dBm0 together): it shall be heard in the room, but not
//! begin so; the United Kingdom's sweeps from 800 to 3200 Hz twice a second, at −12, −6 and 0 dBm0.

mod countries;
mod score;

pub use countries::PLANS;

use crate::dsp::tone_generator::Tone;
use tipring_shm_proto::command::ProgressTone;

/// What a line of one country sounds like.
#[derive(Clone, Copy, Debug)]
pub struct TonePlan {
    /// ISO 3166-1 code, lower case; the United Kingdom as `uk`.
    pub country: &'static str,
    /// Dial tone.
    pub dial: Tone,
    /// Ringing tone.
    pub ringback: Tone,
    /// Busy tone.
    pub busy: Tone,
    /// Congestion (reorder) tone.
    pub congestion: Tone,
    /// Call-waiting tone.
    pub waiting: Tone,
    /// Dial tone after a flash.
    pub recall: Tone,
    /// Dial tone of somebody for whom messages wait.
    pub stutter: Tone,
    /// Special information tone.
    pub information: Tone,
    /// Receiver off hook.
    pub howler: Tone,
}

impl TonePlan {
    /// The plan's score for a progress tone.
    pub const fn tone(&'static self, tone: ProgressTone) -> &'static Tone {
        match tone {
            ProgressTone::Dial => &self.dial,
            ProgressTone::Ringback => &self.ringback,
            ProgressTone::Busy => &self.busy,
            ProgressTone::Congestion => &self.congestion,
            ProgressTone::SpecialInformation => &self.information,
            ProgressTone::Howler => &self.howler,
            ProgressTone::CallWaiting => &self.waiting,
            ProgressTone::Stutter => &self.stutter,
            ProgressTone::Recall => &self.recall,
        }
    }
}

/// The plan of a country; `ca` is `us`, `gb` is `uk`.
pub fn of_country(country: &str) -> Option<&'static TonePlan> {
    let country = match country {
        "ca" => "us",
        "gb" => "uk",
        other => other,
    };
    PLANS.iter().find(|plan| plan.country == country)
}

/// Every country with a plan.
pub fn countries() -> impl Iterator<Item = &'static str> {
    PLANS.iter().map(|plan| plan.country)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::tone_generator::ToneGenerator;

    const TONES: [ProgressTone; 9] = [
        ProgressTone::Dial,
        ProgressTone::Ringback,
        ProgressTone::Busy,
        ProgressTone::Congestion,
        ProgressTone::SpecialInformation,
        ProgressTone::Howler,
        ProgressTone::CallWaiting,
        ProgressTone::Stutter,
        ProgressTone::Recall,
    ];

    fn sounding_ms(tone: &'static Tone, ms: usize) -> Vec<(bool, usize)> {
        let mut generator = ToneGenerator::new();
        generator.play(tone);
        let mut runs: Vec<(bool, usize)> = Vec::new();
        for _ in 0..ms {
            let mut mix = [0.0; 8];
            generator.add(&mut mix, 1.0);
            let sounds = mix.iter().any(|&sample| sample != 0.0);
            match runs.last_mut() {
                Some((last, length)) if *last == sounds => *length += 1,
                _ => runs.push((sounds, 1)),
            }
        }
        runs
    }

    #[test]
    fn every_country_has_every_tone() {
        for plan in &PLANS {
            for tone in TONES {
                let runs = sounding_ms(plan.tone(tone), 1000);
                assert!(runs[0].0, "{} {tone:?}", plan.country);
            }
            assert_eq!(of_country(plan.country).unwrap().country, plan.country);
        }
        assert_eq!(of_country("ca").unwrap().country, "us");
        assert_eq!(of_country("gb").unwrap().country, "uk");
        assert!(of_country("xx").is_none());
    }

    #[test]
    fn cadences_are_the_countries() {
        let runs = |country, tone, ms| sounding_ms(of_country(country).unwrap().tone(tone), ms);
        assert_eq!(runs("us", ProgressTone::Dial, 20_000), [(true, 20_000)]);
        assert_eq!(
            runs("us", ProgressTone::Ringback, 12_000),
            [(true, 2000), (false, 4000), (true, 2000), (false, 4000)]
        );
        assert_eq!(runs("de", ProgressTone::Busy, 960), [(true, 480), (false, 480)]);
        assert_eq!(
            runs("uk", ProgressTone::Congestion, 1500),
            [(true, 400), (false, 350), (true, 225), (false, 525)]
        );
        assert_eq!(runs("us", ProgressTone::SpecialInformation, 2000)[0], (true, 932));
        assert_eq!(runs("us", ProgressTone::SpecialInformation, 20_000).len(), 2);
    }

    #[test]
    fn howler_grows_louder() {
        let mut generator = ToneGenerator::new();
        generator.play(of_country("us").unwrap().tone(ProgressTone::Howler));
        let mut second = || {
            let mut mix = vec![0.0f32; 8000];
            generator.add(&mut mix, 1.0);
            mix.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()))
        };
        let peaks: Vec<f32> = (0..12).map(|_| second()).collect();
        assert!(peaks[5] > 1.9 * peaks[1] && peaks[10] > 1.9 * peaks[5]);
    }
}
