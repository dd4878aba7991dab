//! A caller's number as DTMF digits (ETSI ES 200 659-1 annex B, and what came before it).
//!
//! *What it does.* `A` number `C`, `D` number `C` or number `#`; for a number that is withheld or
//! unavailable an information code instead: `B10C` or `B00C`; after `D`, and before `#`, the older
//! `D1` and `D3`. Both ways.

use tipring_shm_proto::command::CallerId;
use tipring_shm_proto::units::Text32;

/// Longest sequence that is sent or read.
pub const MAX_DIGITS: usize = 24;

/// How a number begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `A` number `C`.
    FromAToC,
    /// `D` number `C`.
    FromDToC,
    /// Number `#`.
    ToHash,
}

/// Digits in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    digits: [u8; MAX_DIGITS],
    len: usize,
}

impl Sequence {
    /// A caller's number; digits beyond the twentieth are left out.
    pub fn of(caller: &CallerId, framing: Framing) -> Self {
        let mut sequence = Self { digits: [0; MAX_DIGITS], len: 0 };
        let number = caller.number.as_str();
        let known = number.bytes().any(|digit| digit.is_ascii_digit());
        let (before, without, after): (&[u8], [&[u8]; 2], u8) = match framing {
            Framing::FromAToC => (b"A", [b"B10", b"B00"], b'C'),
            Framing::FromDToC => (b"D", [b"D1", b"D3"], b'C'),
            Framing::ToHash => (b"", [b"D1", b"D3"], b'#'),
        };
        if known {
            sequence.push(before);
            for digit in number.bytes().filter(u8::is_ascii_digit).take(20) {
                sequence.push(&[digit]);
            }
        } else {
            let withheld = usize::from(number.is_empty());
            sequence.push(without[withheld]);
        }
        sequence.push(&[after]);
        sequence
    }

    /// As they are sent.
    pub fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    fn push(&mut self, digits: &[u8]) {
        for digit in digits {
            self.digits[self.len] = *digit;
            self.len += 1;
        }
    }
}

/// The caller in a sequence; `None` for what is none.
pub fn read(digits: &[u8]) -> Option<CallerId> {
    let (last, number) = digits.split_last()?;
    let caller = |number: &str| Some(CallerId { number: Text32::new(number), name: Text32::EMPTY });
    let number = match (number, last) {
        (b"B10" | b"D1", b'C' | b'#') => return caller("anonymous"),
        (b"B00" | b"D3", b'C' | b'#') => return caller(""),
        ([b'A' | b'D', number @ ..], b'C') | (number, b'#') => number,
        _ => return None,
    };
    // What follows the number, a redirection or a code, is not the caller's.
    let len = number.iter().position(|digit| !digit.is_ascii_digit()).unwrap_or(number.len());
    let number = std::str::from_utf8(&number[..len]).ok().filter(|number| !number.is_empty())?;
    caller(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: &str) -> CallerId {
        CallerId { number: Text32::new(number), name: Text32::EMPTY }
    }

    #[test]
    fn every_variant_is_sent_and_read() {
        use Framing::{FromAToC, FromDToC, ToHash};
        for (framing, caller, digits) in [
            (FromAToC, "5551234", &b"A5551234C"[..]),
            (FromDToC, "5551234", b"D5551234C"),
            (ToHash, "5551234", b"5551234#"),
            (FromAToC, "anonymous", b"B10C"),
            (FromAToC, "", b"B00C"),
            (FromDToC, "anonymous", b"D1C"),
            (ToHash, "", b"D3#"),
        ] {
            let sequence = Sequence::of(&number(caller), framing);
            assert_eq!(sequence.digits(), digits);
            assert_eq!(read(digits), Some(number(caller)));
        }
        assert_eq!(read(b"A123D456B00C"), Some(number("123")));
        for none in [&b""[..], b"C", b"A", b"AC", b"12345", b"#"] {
            assert_eq!(read(none), None, "{none:?}");
        }
        let long = Sequence::of(&number("12345678901234567890123456789012"), FromAToC);
        assert_eq!(long.digits(), b"A12345678901234567890C");
    }
}
