//! What is said of a caller: the data of one transmission, both ways.
//!
//! *What it does.* Builds and reads messages of a type, a length, a body and a checksum (Bellcore
//! GR-30 §2.2, ETSI EN 300 659-3 §5): the single data message (SDMF, a number and a time) and the
//! multiple one (MDMF, parameters that have a type and a length of their own).
//!
//! *Limits.* A message has 255 octets of body at most; a number 20 and a name 50 octets (EN 300
//! 659-3; 15 characters of a name are all that many telephones show). What is read from a line is
//! an allegation: a wrong checksum or a length that does not fit is no message.

use tipring_shm_proto::command::CallerId;
use tipring_shm_proto::units::Text32;

/// Type, length, body, checksum.
pub const MAX_OCTETS: usize = 258;

/// Message types.
const SINGLE_CALL: u8 = 0x04;
const SINGLE_WAITING: u8 = 0x06;
const CALL_SETUP: u8 = 0x80;
const WAITING: u8 = 0x82;
/// Parameter types.
const DATE_AND_TIME: u8 = 0x01;
const NUMBER: u8 = 0x02;
const NO_NUMBER: u8 = 0x04;
const NAME: u8 = 0x07;
const NO_NAME: u8 = 0x08;
const INDICATOR: u8 = 0x0B;
/// Why there is no number or name.
const UNAVAILABLE: u8 = b'O';
const PRIVATE: u8 = b'P';
/// Octets of a single message's body that lights the lamp, or puts it out.
const LAMP_ON: [u8; 3] = [0x42; 3];
const LAMP_OFF: [u8; 3] = [0x6F; 3];
/// Of a name that is sent.
const NAME_OCTETS: usize = 15;

/// Local time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTime {
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// A message as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    octets: [u8; MAX_OCTETS],
    len: usize,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Somebody calls. Number and name are empty where they are unavailable, `anonymous` where they
    /// are withheld.
    Call {
        /// Who.
        caller: CallerId,
        /// Month, day, hour, minute, where it says so.
        time: Option<CallTime>,
    },
    /// Messages wait, or none.
    MessagesWait(bool),
}

/// Withheld, as a SIP address says it (RFC 3323 §4.1.1.3).
const ANONYMOUS: &str = "anonymous";

impl Message {
    /// A call, as MDMF.
    pub fn call(caller: &CallerId, time: Option<CallTime>) -> Self {
        let mut message = Self::begin(CALL_SETUP);
        if let Some(time) = time {
            message.parameter(DATE_AND_TIME, &digits_of(time));
        }
        match as_number(caller) {
            Ok((number, len)) => message.parameter(NUMBER, &number[..len]),
            Err(reason) => message.parameter(NO_NUMBER, &[reason]),
        }
        let (name, len) = as_ascii(caller.name.as_str());
        match caller.name.as_str() {
            "" => message.parameter(NO_NAME, &[UNAVAILABLE]),
            ANONYMOUS => message.parameter(NO_NAME, &[PRIVATE]),
            _ => message.parameter(NAME, &name[..len]),
        }
        message.end()
    }

    /// A call, as SDMF; without a time it says midnight of the first of January.
    pub fn single_call(caller: &CallerId, time: Option<CallTime>) -> Self {
        let first = CallTime { month: 1, day: 1, hour: 0, minute: 0 };
        let mut message = Self::begin(SINGLE_CALL);
        message.push(&digits_of(time.unwrap_or(first)));
        match as_number(caller) {
            Ok((number, len)) => message.push(&number[..len]),
            Err(reason) => message.push(&[reason]),
        }
        message.end()
    }

    /// Messages wait, or none, as MDMF (the visual indicator of EN 300 659-3 §5.4.11).
    pub fn waiting(lamp: bool) -> Self {
        let mut message = Self::begin(WAITING);
        message.parameter(INDICATOR, &[if lamp { 0xFF } else { 0x00 }]);
        message.end()
    }

    /// The same as SDMF.
    pub fn single_waiting(lamp: bool) -> Self {
        let mut message = Self::begin(SINGLE_WAITING);
        message.push(if lamp { &LAMP_ON } else { &LAMP_OFF });
        message.end()
    }

    /// As it is sent.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    fn begin(kind: u8) -> Self {
        let mut octets = [0; MAX_OCTETS];
        octets[0] = kind;
        Self { octets, len: 2 }
    }

    fn parameter(&mut self, kind: u8, content: &[u8]) {
        self.push(&[kind, content.len() as u8]);
        self.push(content);
    }

    /// Bodies that this file builds always fit.
    fn push(&mut self, content: &[u8]) {
        self.octets[self.len..][..content.len()].copy_from_slice(content);
        self.len += content.len();
    }

    fn end(mut self) -> Self {
        self.octets[1] = (self.len - 2) as u8;
        let sum = sum_of(&self.octets[..self.len]);
        self.push(&[sum.wrapping_neg()]);
        self
    }
}

/// Reads what came over a line; `None` for what is no message of a caller or a lamp.
pub fn read(octets: &[u8]) -> Option<Told> {
    let [kind, len, rest @ ..] = octets else { return None };
    let body = rest.get(..usize::from(*len))?;
    let checked = octets.get(..body.len() + 3)?;
    if sum_of(checked) != 0 {
        return None;
    }
    match *kind {
        SINGLE_CALL => {
            let (time, number) = body.split_at_checked(8)?;
            let number = match number {
                [UNAVAILABLE] => Text32::EMPTY,
                [PRIVATE] => Text32::new(ANONYMOUS),
                number => printable(number),
            };
            let caller = CallerId { number, name: Text32::EMPTY };
            Some(Told::Call { caller, time: time_of(time) })
        }
        SINGLE_WAITING => Some(Told::MessagesWait(body == LAMP_ON)),
        CALL_SETUP => Some(read_call(body)),
        WAITING => {
            let (_, lamp) = Parameters(body).find(|(kind, _)| *kind == INDICATOR)?;
            Some(Told::MessagesWait(*lamp.first()? != 0))
        }
        _ => None,
    }
}

fn read_call(body: &[u8]) -> Told {
    let mut caller = CallerId { number: Text32::EMPTY, name: Text32::EMPTY };
    let mut time = None;
    for (kind, content) in Parameters(body) {
        match kind {
            DATE_AND_TIME => time = time_of(content),
            NUMBER => caller.number = printable(content),
            NAME => caller.name = printable(content),
            NO_NUMBER if content == [PRIVATE] => caller.number = Text32::new(ANONYMOUS),
            NO_NAME if content == [PRIVATE] => caller.name = Text32::new(ANONYMOUS),
            _ => {}
        }
    }
    Told::Call { caller, time }
}

/// Type and content; ends where a length does not fit.
struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [kind, len, rest @ ..] = self.0 else { return None };
        let (content, rest) = rest.split_at_checked(usize::from(*len))?;
        self.0 = rest;
        Some((*kind, content))
    }
}

fn sum_of(octets: &[u8]) -> u8 {
    octets.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet))
}

/// Digits of a number, or why there is none.
fn as_number(caller: &CallerId) -> Result<([u8; 20], usize), u8> {
    match caller.number.as_str() {
        ANONYMOUS => return Err(PRIVATE),
        "" => return Err(UNAVAILABLE),
        _ => {}
    }
    let mut number = [0; 20];
    let octets = caller.number.as_str().bytes();
    let dialled = octets.filter(|c| c.is_ascii_digit() || matches!(c, b'*' | b'#' | b'+'));
    let len = number.iter_mut().zip(dialled).map(|(place, digit)| *place = digit).count();
    if len == 0 { Err(UNAVAILABLE) } else { Ok((number, len)) }
}

/// Telephones know ASCII.
fn as_ascii(name: &str) -> ([u8; NAME_OCTETS], usize) {
    let mut ascii = [0; NAME_OCTETS];
    let letters = name.chars().map(|letter| match letter {
        ' '..='~' => letter as u8,
        _ => b'?',
    });
    let len = ascii.iter_mut().zip(letters).map(|(place, letter)| *place = letter).count();
    (ascii, len)
}

fn printable(octets: &[u8]) -> Text32 {
    let mut text = [b'?'; 32];
    let len = octets.len().min(text.len());
    for (place, octet) in text.iter_mut().zip(octets) {
        if (b' '..=b'~').contains(octet) {
            *place = *octet;
        }
    }
    Text32::new(std::str::from_utf8(&text[..len]).unwrap_or(""))
}

fn digits_of(time: CallTime) -> [u8; 8] {
    let CallTime { month, day, hour, minute } = time;
    let mut digits = [0; 8];
    for (two, number) in digits.as_chunks_mut::<2>().0.iter_mut().zip([month, day, hour, minute]) {
        *two = [b'0' + number / 10 % 10, b'0' + number % 10];
    }
    digits
}

fn time_of(digits: &[u8]) -> Option<CallTime> {
    let two = |at: usize| match digits.get(at..at + 2)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    };
    Some(CallTime { month: two(0)?, day: two(2)?, hour: two(4)?, minute: two(6)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIME: CallTime = CallTime { month: 11, day: 21, hour: 15, minute: 30 };

    fn caller(number: &str, name: &str) -> CallerId {
        CallerId { number: Text32::new(number), name: Text32::new(name) }
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02X}"))
    }

    fn of_hex(hex: &str) -> Vec<u8> {
        let octet =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        hex.as_bytes().chunks(2).map(octet).collect()
    }

    /// These were decoded by spandsp, the multiple ones by multimon-ng too.
    #[test]
    fn messages_are_those_that_other_decoders_read() {
        let john = caller("5551234567", "JOHN SMITH");
        assert_eq!(
            hex(Message::call(&john, Some(TIME)).octets()),
            "802201083131323131353330020A35353531323334353637070A4A4F484E20534D495448CB"
        );
        assert_eq!(
            hex(Message::single_call(&caller("5551234567", ""), Some(TIME)).octets()),
            "041231313231313533303535353132333435363751"
        );
        assert_eq!(hex(Message::waiting(true).octets()), "82030B01FF70");
        assert_eq!(hex(Message::waiting(false).octets()), "82030B01006F");
        assert_eq!(hex(Message::single_waiting(true).octets()), "060342424231");
        assert_eq!(hex(Message::single_waiting(false).octets()), "06036F6F6FAA");
        let withheld = Message::call(&caller("anonymous", "anonymous"), None);
        assert_eq!(
            hex(withheld.octets()),
            "8006040150080150D3"
                .replace("D3", &hex(&[sum_of(&of_hex("8006040150080150")).wrapping_neg()]))
        );
    }

    #[test]
    fn messages_of_others_are_read() {
        let published = of_hex("80160108303731313130333602073731353130303007014F10");
        let time = Some(CallTime { month: 7, day: 11, hour: 10, minute: 36 });
        let told = Some(Told::Call { caller: caller("7151000", "O"), time });
        assert_eq!(read(&published), told);
        // Published too, and wrong in its length and its sum.
        assert_eq!(read(&of_hex("0412303731313130333637313531303030F9")), None);
        assert_eq!(read(&of_hex("82030B01FF70")), Some(Told::MessagesWait(true)));
        assert_eq!(read(&of_hex("06036F6F6FAA")), Some(Told::MessagesWait(false)));
    }

    proptest! {
        #[test]
        fn what_is_sent_is_read(number in "[0-9]{1,20}", name in "[A-Za-z ]{1,15}") {
            let caller = caller(&number, &name);
            let call = Message::call(&caller, Some(TIME));
            prop_assert_eq!(read(call.octets()), Some(Told::Call { caller, time: Some(TIME) }));
            let single = Message::single_call(&caller, Some(TIME));
            let caller = CallerId { name: Text32::EMPTY, ..caller };
            prop_assert_eq!(read(single.octets()), Some(Told::Call { caller, time: Some(TIME) }));
        }

        #[test]
        fn whatever_comes_is_survived(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&octets);
        }

        #[test]
        fn one_wrong_octet_is_no_message(at in 0usize..37, by in 1u8..=255) {
            let mut octets = Message::call(&caller("5551234567", "JOHN SMITH"), Some(TIME))
                .octets().to_vec();
            octets[at] = octets[at].wrapping_add(by);
            prop_assert_eq!(read(&octets), None);
        }
    }
}
