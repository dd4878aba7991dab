//! Progress tones and ring cadences by country: data, nothing is parsed when the engine runs.
//!
//! *Sources.* Frequencies and cadences: ITU-T E.180 supplement 2, as dahdi-tools `zonedata.c` and
//! Asterisk `indications.conf.sample` give them; SIT: Bellcore SR-2275 (intercept). Levels, each
//! sine: North America after the Precise Tone Plan (dial −13, ringing −19, busy and reorder −24
//! dBm0), United Kingdom after BT (dial −22 and −18, others −19), elsewhere −12 dBm0, inside
//! E.180's −10 ±5. Howler: 1400+2060+2450+2600 Hz, 100 ms on and off, each sine −18 dBm0 for
//! 4 s, −12 for 4 s, then −6 (0 dBm0 together): it shall be heard in the room, but not begin so.
//! Cadences of distinctive ringing: GR-506, as telephones name them in Alert-Info.
//!
//! *Limits.* Amplitude-modulated tones (India, South Africa, Singapore, Japan's ringing tone)
//! are not here, nor the sweeping howler of the United Kingdom, which gets the one above.

use crate::dsp::tone_generator::{Partial, Phrase, Step, Tone, VOICES};
use tipring_shm_proto::command::{Cadence, ProgressTone};
use tipring_shm_proto::units::TenthDbm0;

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
    /// Special information tone.
    pub special_information: Tone,
    /// Receiver off hook.
    pub howler: Tone,
    /// How the bell rings.
    pub ring: Cadence,
}

impl TonePlan {
    /// The plan's score for a progress tone.
    pub const fn tone(&'static self, tone: ProgressTone) -> &'static Tone {
        match tone {
            ProgressTone::Dial => &self.dial,
            ProgressTone::Ringback => &self.ringback,
            ProgressTone::Busy => &self.busy,
            ProgressTone::Congestion => &self.congestion,
            ProgressTone::SpecialInformation => &self.special_information,
            ProgressTone::Howler => &self.howler,
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

/// The cadence that a telephone knows by this name: `Bellcore-dr1` to `Bellcore-dr5` (GR-506).
/// `dr5` is one splash: repeated after 6 s, it is for the caller to ring it for that long only.
pub fn distinctive(name: &str) -> Option<Cadence> {
    DISTINCTIVE.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, ring)| *ring)
}

static DISTINCTIVE: [(&str, Cadence); 5] = [
    ("Bellcore-dr1", ring(&[2000, 4000])),
    ("Bellcore-dr2", ring(&[800, 400, 800, 4000])),
    ("Bellcore-dr3", ring(&[400, 200, 400, 200, 800, 4000])),
    ("Bellcore-dr4", ring(&[300, 200, 1000, 200, 300, 4000])),
    ("Bellcore-dr5", ring(&[500, 5500])),
];

const fn ring(on_off: &[u16]) -> Cadence {
    Cadence::new(on_off).expect("an even number of entries")
}

const fn sine(tenth_hz: u16, tenth_dbm0: i16) -> Partial {
    Partial { tenth_hz, level: TenthDbm0(tenth_dbm0) }
}

const fn step(sines: &[Partial], ms: u32) -> Step {
    let mut partials = [Partial::NONE; VOICES];
    let mut i = 0;
    while i < sines.len() {
        partials[i] = sines[i];
        i += 1;
    }
    Step { partials, ms }
}

/// One sine of −12 dBm0.
const fn on(hz: u16, ms: u32) -> Step {
    step(&[sine(hz * 10, -120)], ms)
}

/// Two sines of −12 dBm0.
const fn pair(first_hz: u16, second_hz: u16, ms: u32) -> Step {
    step(&[sine(first_hz * 10, -120), sine(second_hz * 10, -120)], ms)
}

/// One sine of −19 dBm0 (BT).
const fn uk(hz: u16, ms: u32) -> Step {
    step(&[sine(hz * 10, -190)], ms)
}

const fn off(ms: u32) -> Step {
    step(&[], ms)
}

/// A tone of these steps, over and over.
macro_rules! repeated {
    ($($step:expr),+) => { Tone { phrases: &[Phrase { steps: &[$($step),+], times: 0 }] } };
}

/// Dial, ringing, busy and congestion of one sine, and the usual SIT: what most of Europe has.
macro_rules! european {
    ($country:literal, $hz:literal, ring $ring:expr,
     ringback $ringback:expr, busy $busy:literal, congestion $congestion:literal) => {
        TonePlan {
            country: $country,
            dial: repeated!(on($hz, 0)),
            ringback: repeated!(on($hz, $ringback.0), off($ringback.1)),
            busy: repeated!(on($hz, $busy), off($busy)),
            congestion: repeated!(on($hz, $congestion), off($congestion)),
            special_information: SIT,
            howler: HOWLER,
            ring: ring(&$ring),
        }
    };
}

/// E.180 §6.
const SIT: Tone = repeated!(on(950, 330), on(1400, 330), on(1800, 330), off(1000));

const HOWLER: Tone = Tone {
    phrases: &[
        Phrase { steps: &[howl(-180), off(100)], times: 20 },
        Phrase { steps: &[howl(-120), off(100)], times: 20 },
        Phrase { steps: &[howl(-60), off(100)], times: 0 },
    ],
};

const fn howl(level: i16) -> Step {
    let sines = [sine(14_000, level), sine(20_600, level), sine(24_500, level)];
    step(&[sines[0], sines[1], sines[2], sine(26_000, level)], 100)
}

const US_DIAL: [Partial; 2] = [sine(3500, -130), sine(4400, -130)];
const US_RINGBACK: [Partial; 2] = [sine(4400, -190), sine(4800, -190)];
const US_BUSY: [Partial; 2] = [sine(4800, -240), sine(6200, -240)];
const UK_RINGBACK: [Partial; 2] = [sine(4000, -190), sine(4500, -190)];

/// Every plan there is.
pub static PLANS: [TonePlan; 22] = [
    TonePlan {
        country: "us",
        dial: repeated!(step(&US_DIAL, 0)),
        ringback: repeated!(step(&US_RINGBACK, 2000), off(4000)),
        busy: repeated!(step(&US_BUSY, 500), off(500)),
        congestion: repeated!(step(&US_BUSY, 250), off(250)),
        // Intercept: low short, middle short, high long; once (SR-2275 §6.21.2).
        special_information: Tone {
            phrases: &[Phrase {
                steps: &[
                    step(&[sine(9138, -240)], 276),
                    step(&[sine(13_706, -240)], 276),
                    step(&[sine(17_767, -240)], 380),
                ],
                times: 1,
            }],
        },
        howler: HOWLER,
        ring: ring(&[2000, 4000]),
    },
    TonePlan {
        country: "uk",
        dial: repeated!(step(&[sine(3500, -220), sine(4400, -180)], 0)),
        ringback: repeated!(step(&UK_RINGBACK, 400), off(200), step(&UK_RINGBACK, 400), off(2000)),
        busy: repeated!(uk(400, 375), off(375)),
        congestion: repeated!(uk(400, 400), off(350), uk(400, 225), off(525)),
        special_information: repeated!(
            uk(950, 330),
            off(15),
            uk(1400, 330),
            off(15),
            uk(1800, 330),
            off(1000)
        ),
        howler: HOWLER,
        ring: ring(&[400, 200, 400, 2000]),
    },
    european!("de", 425, ring [1000, 4000], ringback (1000, 4000), busy 480, congestion 240),
    european!("fr", 440, ring [1500, 3500], ringback (1500, 3500), busy 500, congestion 250),
    TonePlan {
        dial: repeated!(on(425, 200), off(200), on(425, 600), off(1000)),
        ..european!("it", 425, ring [1000, 4000], ringback (1000, 4000), busy 500, congestion 200)
    },
    TonePlan {
        congestion: repeated!(
            on(425, 200),
            off(200),
            on(425, 200),
            off(200),
            on(425, 200),
            off(600)
        ),
        ..european!("es", 425, ring [1500, 3000], ringback (1500, 3000), busy 200, congestion 200)
    },
    european!("nl", 425, ring [1000, 4000], ringback (1000, 4000), busy 500, congestion 250),
    TonePlan {
        special_information: repeated!(on(900, 330), on(1400, 330), on(1800, 330), off(1000)),
        ..european!("be", 425, ring [1000, 3000], ringback (1000, 3000), busy 500, congestion 167)
    },
    european!("ch", 425, ring [1000, 4000], ringback (1000, 4000), busy 500, congestion 200),
    TonePlan {
        special_information: repeated!(on(950, 330), on(1450, 330), on(1850, 330), off(1000)),
        ..european!("at", 420, ring [1000, 5000], ringback (1000, 5000), busy 400, congestion 200)
    },
    TonePlan {
        congestion: repeated!(on(425, 250), off(750)),
        ..european!("se", 425, ring [1000, 5000], ringback (1000, 5000), busy 250, congestion 250)
    },
    european!("no", 425, ring [1000, 4000], ringback (1000, 4000), busy 500, congestion 200),
    european!("dk", 425, ring [1000, 4000], ringback (1000, 4000), busy 500, congestion 200),
    TonePlan {
        special_information: repeated!(
            on(950, 650),
            off(325),
            on(950, 325),
            off(30),
            on(1400, 1300),
            off(2600)
        ),
        ..european!("fi", 425, ring [1000, 4000], ringback (1000, 4000), busy 300, congestion 200)
    },
    european!("pl", 425, ring [1000, 4000], ringback (1000, 4000), busy 500, congestion 500),
    european!("pt", 425, ring [1000, 5000], ringback (1000, 5000), busy 500, congestion 200),
    TonePlan {
        dial: repeated!(on(425, 330), off(330), on(425, 660), off(660)),
        ..european!("cz", 425, ring [1000, 4000], ringback (1000, 4000), busy 330, congestion 165)
    },
    european!("ru", 425, ring [1000, 4000], ringback (1000, 4000), busy 350, congestion 175),
    TonePlan {
        dial: repeated!(pair(413, 438, 0)),
        ringback: repeated!(pair(413, 438, 400), off(200), pair(413, 438, 400), off(2000)),
        // Every second burst is 10 dB weaker.
        congestion: repeated!(on(425, 375), off(375), step(&[sine(4250, -220)], 375), off(375)),
        special_information: repeated!(on(425, 2500), off(500)),
        ..european!("au", 425, ring [400, 200, 400, 2000], ringback (400, 200), busy 375,
            congestion 375)
    },
    TonePlan {
        ringback: repeated!(pair(400, 450, 400), off(200), pair(400, 450, 400), off(2000)),
        special_information: Tone {
            phrases: &[Phrase {
                steps: &[
                    on(400, 750),
                    off(100),
                    on(400, 750),
                    off(100),
                    on(400, 750),
                    off(100),
                    on(400, 750),
                    off(400),
                ],
                times: 0,
            }],
        },
        ..european!("nz", 400, ring [400, 200, 400, 2000], ringback (400, 200), busy 500,
            congestion 250)
    },
    TonePlan {
        special_information: repeated!(
            on(450, 100),
            off(100),
            on(450, 100),
            off(100),
            on(450, 100),
            off(100),
            on(450, 400),
            off(400)
        ),
        ..european!("cn", 450, ring [1000, 4000], ringback (1000, 4000), busy 350, congestion 700)
    },
    TonePlan {
        congestion: repeated!(on(425, 250), off(250), on(425, 750), off(250)),
        ..european!("br", 425, ring [1000, 4000], ringback (1000, 4000), busy 250, congestion 250)
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::tone_generator::ToneGenerator;

    const TONES: [ProgressTone; 6] = [
        ProgressTone::Dial,
        ProgressTone::Ringback,
        ProgressTone::Busy,
        ProgressTone::Congestion,
        ProgressTone::SpecialInformation,
        ProgressTone::Howler,
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

    #[test]
    fn distinctive_rings_have_their_names() {
        assert_eq!(
            distinctive("bellcore-DR3").unwrap().as_slice(),
            [400, 200, 400, 200, 800, 4000]
        );
        assert!(distinctive("Bellcore-dr9").is_none());
    }
}
