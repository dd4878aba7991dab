//! AudioSocket, as Asterisk's documentation has it: we are Asterisk, the application is the server on
//! TCP. Packets of a type, a length (16 bit, big-endian) and so many octets.

use super::dialect::{About, Act, Dialect, Heard};
use crate::audio_format::Codec;
use crate::control::Moment;
use crate::view::AudioFormat;

/// Octets of a packet before its payload.
pub(super) const HEAD: usize = 3;

const TERMINATE: u8 = 0x00;
const UUID: u8 = 0x01;
const DTMF: u8 = 0x03;
/// 16-bit samples, little-endian, 8 kHz.
const SLIN: u8 = 0x10;
/// Other rates, which are asked for by nobody here.
const OTHER_RATES: std::ops::RangeInclusive<u8> = 0x11..=0x18;
const ERROR: u8 = 0xff;

/// One conversation.
pub(super) struct AudioSocket {
    /// Names the call to the application.
    uuid: [u8; 16],
    audio: Codec,
}

impl AudioSocket {
    pub(super) fn new(about: &About) -> Self {
        let number = u128::from_str_radix(&about.session, 16);
        let uuid = random_uuid(number.expect("32 hexadecimal digits")).to_be_bytes();
        Self { uuid, audio: Codec::new(AudioFormat::PcmS16le) }
    }

    fn obey(&mut self, packet: &[u8]) -> Act {
        let (kind, payload) = match packet {
            [kind, _, _, payload @ ..] => (*kind, payload),
            _ => return Act::Ignored("a packet without its head".to_owned()),
        };
        match kind {
            SLIN => Act::Speak(self.audio.decode(payload)),
            TERMINATE => Act::HangUp,
            ERROR => Act::Ignored(format!("it reports the error {payload:02x?}")),
            kind if OTHER_RATES.contains(&kind) => {
                Act::Ignored(format!("audio of type {kind:#04x}; 0x10 (8 kHz) is taken"))
            }
            kind => Act::Ignored(format!("a packet of type {kind:#04x}")),
        }
    }
}

impl Dialect for AudioSocket {
    fn handle(&mut self, heard: Heard<'_>, _now: Moment, out: &mut Vec<Act>) {
        match heard {
            Heard::Opened => {
                out.push(Act::Packet(packet(UUID, &self.uuid)));
                out.push(Act::Join);
            }
            Heard::Frame(samples) => {
                out.push(Act::Binary(packet(SLIN, &self.audio.encode(samples))));
            }
            Heard::Digit { digit, .. } => out.push(Act::Packet(packet(DTMF, &[digit as u8]))),
            Heard::Binary(octets) => out.push(self.obey(octets)),
            Heard::Over(_) => out.push(Act::Packet(packet(TERMINATE, &[]))),
            // There are no words for them.
            Heard::Lost(_) | Heard::Text(_) | Heard::Mark { .. } | Heard::Cleared { .. } => {}
        }
    }
}

fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("what is said here is short");
    let mut packet = Vec::with_capacity(HEAD + payload.len());
    packet.push(kind);
    packet.extend(length.to_be_bytes());
    packet.extend(payload);
    packet
}

/// The random number as a UUID of version 4 (RFC 9562 §5.4).
const fn random_uuid(number: u128) -> u128 {
    number & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tests::{about, talk};
    use super::*;
    use crate::control::{ApplicationEnd, Cause};

    #[test]
    fn it_names_itself_speaks_presses_and_terminates() {
        let mut us = AudioSocket::new(&about());
        let opened = talk(&mut us, Heard::Opened);
        let Act::Packet(named) = &opened[0] else { panic!("{opened:?}") };
        assert_eq!(named[..3], [1, 0, 16]);
        // 01234567-89ab-4def-8123-456789abcdef: version and variant are set.
        assert_eq!(named[3..], 0x0123_4567_89ab_4def_8123_4567_89ab_cdef_u128.to_be_bytes());
        assert_eq!(opened[1], Act::Join);
        let spoken = talk(&mut us, Heard::Frame(&[0x0102; 160]));
        let Act::Binary(spoken) = &spoken[0] else { panic!("{spoken:?}") };
        assert_eq!((spoken.len(), &spoken[..5]), (323, &[0x10, 1, 0x40, 2, 1][..]));
        let pressed = talk(&mut us, Heard::Digit { digit: '#', duration_ms: 80 });
        assert_eq!(pressed, [Act::Packet(vec![3, 0, 1, b'#'])]);
        let end = ApplicationEnd { cause: Cause::NormalClearing, by_phone: true };
        assert_eq!(talk(&mut us, Heard::Over(end)), [Act::Packet(vec![0, 0, 0])]);
    }

    #[test]
    fn it_hears_samples_and_the_end_and_nothing_else() {
        let mut us = AudioSocket::new(&about());
        assert_eq!(talk(&mut us, Heard::Binary(&[0x10, 0, 3, 1, 0, 2])), [Act::Speak(vec![1])]);
        assert_eq!(talk(&mut us, Heard::Binary(&[0x10, 0, 1, 0])), [Act::Speak(vec![2])]);
        assert_eq!(talk(&mut us, Heard::Binary(&[0, 0, 0])), [Act::HangUp]);
        for (wrong, reason) in [
            (&[0x12, 0, 0][..], "type 0x12; 0x10 (8 kHz)"),
            (&[0xff, 0, 1, 4], "the error [04]"),
            (&[0x42, 0, 0], "type 0x42"),
            (&[0x10], "without its head"),
        ] {
            let acts = talk(&mut us, Heard::Binary(wrong));
            let told = matches!(&acts[0], Act::Ignored(why) if why.contains(reason));
            assert!(told, "{acts:?}");
        }
    }
}
