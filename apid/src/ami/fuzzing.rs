//! What `make fuzz` feeds with anything.

use super::wire::{Decoder, Message, Packet};

/// The headers of all packets that come of octets which arrive in pieces of so many, and whether the
/// connection is to be closed then.
pub fn packets(octets: &[u8], piece: usize) -> (Vec<Vec<(String, String)>>, bool) {
    let (mut decoder, mut all) = (Decoder::default(), Vec::new());
    for octets in octets.chunks(piece.max(1)) {
        decoder.push(octets);
        loop {
            match decoder.next() {
                Ok(None) => break,
                Ok(Some(packet)) => all.push(headers(&packet)),
                Err(_) => return (all, true),
            }
        }
    }
    (all, false)
}

fn headers(packet: &Packet) -> Vec<(String, String)> {
    packet.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A message of these headers, as it is sent.
pub fn message(headers: &[(String, String)]) -> Vec<u8> {
    let begin = Message::event("UserEvent");
    let message = headers.iter().fold(begin, |message, (name, value)| message.with(name, value));
    let mut octets = Vec::new();
    message.write_to(&mut octets);
    octets
}
