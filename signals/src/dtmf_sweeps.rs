//! What a DTMF receiver is asked: one thing varied at a time, the rest nominal (ITU-T Q.24
//! table A-1, with the test procedure of Mitel's CM7291 tape: each step with all sixteen digits).

use crate::PER_MS;
use crate::dtmf::{Digit, KEYPAD};
use crate::noise::Noise;
use crate::signal::Signal;

/// Samples of a slot: one question, with silence before and after it.
pub const SLOT: usize = 400 * PER_MS;
/// Times each digit is asked in a step, each time beginning elsewhere in a frame.
pub const ALIGNMENTS: usize = 4;

/// One quantity, in steps.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// For a file name.
    pub name: &'static str,
    /// What is varied, and its unit.
    pub title: &'static str,
    /// What profile `att` asks for.
    pub clause: &'static str,
    /// In order.
    pub steps: Vec<Step>,
}

/// One value of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The value.
    pub value: f64,
    /// Whether this is a digit for profile `att`; `None` where the clause leaves it open.
    pub wanted: Option<bool>,
    /// What a right answer is: the digit, so many times.
    pub times: usize,
    make: fn(Signal, u8, f64) -> Signal,
    seed: u64,
}

impl Step {
    /// Digits of the slots, in order.
    pub fn digits() -> impl Iterator<Item = u8> {
        KEYPAD.iter().flat_map(|&digit| std::iter::repeat_n(digit, ALIGNMENTS))
    }

    /// All slots, one after the other; before them one that does not count, in which a receiver
    /// gets to know the line.
    pub fn signal(&self) -> Vec<f64> {
        let mut all = Vec::new();
        for (slot, digit) in Self::digits().take(1).chain(Self::digits()).enumerate() {
            let lead = 60.0 + 20.0 * (slot % ALIGNMENTS) as f64 / ALIGNMENTS as f64;
            let seed = self.seed ^ ((slot as u64) << 32);
            let signal = Signal::new(seed).silence(lead);
            let made = (self.make)(signal, digit, self.value);
            all.extend_from_slice(made.samples());
            all.resize(SLOT * (slot + 1), 0.0);
        }
        all
    }

    /// What was heard in a slot is the right answer.
    pub fn is_right(&self, digit: u8, heard: &str) -> bool {
        heard.len() == self.times && heard.bytes().all(|heard| heard == digit)
    }
}

impl Sweep {
    /// Each slot has its digit twice.
    fn of_two(mut self) -> Self {
        self.steps.iter_mut().for_each(|step| step.times = 2);
        self
    }
}

/// A range that is accepted, and one beyond which it is refused.
struct Asked {
    accepted: [f64; 2],
    refused: [f64; 2],
}

impl Asked {
    fn of(&self, value: f64) -> Option<bool> {
        if (self.accepted[0]..=self.accepted[1]).contains(&value) {
            Some(true)
        } else if value <= self.refused[0] || value >= self.refused[1] {
            Some(false)
        } else {
            None
        }
    }
}

const NEVER: f64 = f64::INFINITY;

fn nominal(digit: u8) -> Digit {
    Digit::nominal(digit)
}

/// All of them.
pub fn sweeps() -> Vec<Sweep> {
    let frequency = Asked { accepted: [-1.5, 1.5], refused: [-3.5, 3.5] };
    let twist = Asked { accepted: [-8.0, 4.0], refused: [-12.0, 12.0] };
    let level = Asked { accepted: [-25.0, 0.0], refused: [-55.0, NEVER] };
    let length = Asked { accepted: [40.0, NEVER], refused: [23.0, NEVER] };
    let pause = Asked { accepted: [40.0, NEVER], refused: [10.0, NEVER] };
    let interruption = Asked { accepted: [15.0, 60.0], refused: [-NEVER, NEVER] };
    let noise = Asked { accepted: [12.0, NEVER], refused: [-NEVER, NEVER] };
    let dial_tone = Asked { accepted: [-NEVER, 0.0], refused: [-NEVER, NEVER] };
    let deviations =
        [-5.0, -4.0, -3.5, -3.0, -2.6, -2.4, -2.2, -2.0, -1.8, -1.5, -1.0, 0.0, 1.0, 1.5, 1.8, 2.0]
            .into_iter()
            .chain([2.2, 2.4, 2.6, 3.0, 3.5, 4.0, 5.0]);
    let deviations: Vec<f64> = deviations.collect();
    let whole = |from: i32, to: i32, step: usize| -> Vec<f64> {
        (from..=to).step_by(step).map(f64::from).collect()
    };
    vec![
        sweep(
            "both-frequencies",
            "deviation of both tones, %",
            "±1.5 accepted, ±3.5 refused",
            &deviations,
            &frequency,
            |signal, digit, percent| signal.digit(nominal(digit).off([percent / 100.0; 2])),
        ),
        sweep(
            "low-frequency",
            "deviation of the low tone, %",
            "±1.5 accepted, ±3.5 refused",
            &deviations,
            &frequency,
            |signal, digit, percent| signal.digit(nominal(digit).off([percent / 100.0, 0.0])),
        ),
        sweep(
            "high-frequency",
            "deviation of the high tone, %",
            "±1.5 accepted, ±3.5 refused",
            &deviations,
            &frequency,
            |signal, digit, percent| signal.digit(nominal(digit).off([0.0, percent / 100.0])),
        ),
        sweep(
            "twist",
            "twist, high over low, dB",
            "−8 to +4 accepted, ±12 refused",
            &whole(-14, 14, 1),
            &twist,
            |signal, digit, db| signal.digit(nominal(digit).twisted(db)),
        ),
        sweep(
            "level",
            "level of each tone, dBm0",
            "0 to −25 accepted, −55 refused",
            &whole(-58, 3, 1),
            &level,
            |signal, digit, dbm0| signal.digit(nominal(digit).at(dbm0)),
        ),
        sweep(
            "length",
            "length, ms",
            "40 accepted, 23 refused",
            &whole(18, 50, 1),
            &length,
            |signal, digit, ms| signal.digit(nominal(digit).lasting(ms)),
        ),
        sweep(
            "pause",
            "pause between two of the same digit, ms: heard as two",
            "40 separates, 10 does not",
            &whole(8, 46, 2),
            &pause,
            |signal, digit, ms| signal.digit(nominal(digit)).silence(ms).digit(nominal(digit)),
        )
        .of_two(),
        sweep(
            "interruption",
            "10 ms of silence in a digit of 60 ms, so long before its end, ms",
            "one digit",
            &whole(10, 60, 5),
            &interruption,
            |signal, digit, before_end_ms| {
                signal.digit(nominal(digit).lasting(60.0)).interrupted(before_end_ms, 10.0)
            },
        ),
        sweep(
            "noise",
            "both tones over noise of 300 to 3400 Hz, dB",
            "12 without a miss",
            &whole(0, 24, 1),
            &noise,
            |signal, digit, db| {
                let signal = signal.digit(nominal(digit));
                // Two tones of −10 dBm0 are −7 dBm0 together.
                signal.silence(250.0).over_noise(Noise::Band, -10.0 + 3.01 - db)
            },
        ),
        sweep(
            "dial-tone",
            "each tone of 350 + 440 Hz over each of a digit of −15 dBm0, dB",
            "0 without a miss",
            &whole(-12, 18, 2),
            &dial_tone,
            |signal, digit, db| {
                let signal = signal.digit(nominal(digit).at(-15.0));
                signal.silence_up_to(SLOT).over_sines(&[350.0, 440.0], -15.0 + db)
            },
        ),
    ]
}

fn sweep(
    name: &'static str,
    title: &'static str,
    clause: &'static str,
    values: &[f64],
    asked: &Asked,
    make: fn(Signal, u8, f64) -> Signal,
) -> Sweep {
    let seed =
        name.bytes().fold(0u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let step = |(index, &value): (usize, &f64)| Step {
        value,
        wanted: asked.of(value),
        times: 1,
        make,
        seed: seed ^ ((index as u64) << 16),
    };
    Sweep { name, title, clause, steps: values.iter().enumerate().map(step).collect() }
}
