//! Digits (ITU-T Q.23), sent well or badly.

/// The keypad, row by row.
pub const KEYPAD: &[u8; 16] = b"123A456B789C*0#D";

/// Frequencies of the rows, then of the columns (Q.23 §6), Hz.
const GROUPS: [[f64; 4]; 2] = [[697.0, 770.0, 852.0, 941.0], [1209.0, 1336.0, 1477.0, 1633.0]];

/// Both frequencies of a key.
///
/// # Panics
/// If `digit` is none.
pub fn frequencies_hz(digit: u8) -> [f64; 2] {
    let place = KEYPAD.iter().position(|&key| key == digit).expect("a key");
    [GROUPS[0][place / 4], GROUPS[1][place % 4]]
}

/// How a digit is sent; low group before high group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Digit {
    /// ASCII.
    pub digit: u8,
    /// Length.
    pub ms: f64,
    /// Level of each tone.
    pub dbm0: [f64; 2],
    /// Relative deviation of each frequency.
    pub off: [f64; 2],
}

impl Digit {
    /// As Q.24's tests take it where they vary something else: −10 dBm0 a tone, 50 ms.
    pub const fn nominal(digit: u8) -> Self {
        Self { digit, ms: 50.0, dbm0: [-10.0; 2], off: [0.0; 2] }
    }

    /// Another length.
    #[must_use]
    pub const fn lasting(self, ms: f64) -> Self {
        Self { ms, ..self }
    }

    /// Another level of both tones.
    #[must_use]
    pub const fn at(self, dbm0: f64) -> Self {
        Self { dbm0: [dbm0; 2], ..self }
    }

    /// The high tone so much above the low one, the louder one as it was.
    #[must_use]
    pub fn twisted(self, db: f64) -> Self {
        let [low, high] = self.dbm0;
        Self { dbm0: [low - db.max(0.0), high + db.min(0.0)], ..self }
    }

    /// Frequencies off by these shares.
    #[must_use]
    pub const fn off(self, off: [f64; 2]) -> Self {
        Self { off, ..self }
    }
}
