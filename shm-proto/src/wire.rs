//! The one place that knows bincode: values to and from the words of a slot.
//!
//! Fixed-width little-endian integers, no allocation in either direction, whatever the bytes are:
//! bincode's feature `alloc` is off in this workspace, and no type of the contract owns memory.
//! Allocates: never. Waits: never. Panics: never.

use serde::{Serialize, de::DeserializeOwned};

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
> = bincode::config::standard().with_fixed_int_encoding();

/// Largest slot, bytes.
const MAX_BYTES: usize = 512;

/// The value as `[payload length in bytes, payload …, 0 …]`; `None` if it needs more than
/// `8 * (WORDS - 1)` bytes (the golden test shows that no value of the contract does).
pub fn encode<T: Serialize, const WORDS: usize>(value: &T) -> Option<[u64; WORDS]> {
    const { assert!(WORDS >= 2 && WORDS * 8 <= MAX_BYTES) };
    let mut bytes = [0; MAX_BYTES];
    let payload = &mut bytes[..(WORDS - 1) * 8];
    let used = bincode::serde::encode_into_slice(value, payload, CONFIG).ok()?;
    let mut words = [0; WORDS];
    words[0] = used as u64;
    for (word, chunk) in words[1..].iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    Some(words)
}

/// The value in a slot; `None` if the words are none: a length that cannot be, an unknown enum
/// variant, bytes left over.
pub fn decode<T: DeserializeOwned, const WORDS: usize>(words: &[u64; WORDS]) -> Option<T> {
    const { assert!(WORDS >= 2 && WORDS * 8 <= MAX_BYTES) };
    let used = usize::try_from(words[0]).ok()?;
    let mut bytes = [0; MAX_BYTES];
    for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&words[1..]) {
        *chunk = word.to_le_bytes();
    }
    let payload = bytes[..(WORDS - 1) * 8].get(..used)?;
    let (value, read) = bincode::serde::decode_from_slice(payload, CONFIG).ok()?;
    (read == used).then_some(value)
}

/// Decodes arbitrary bytes as every slot there is. For the fuzzer and the hostile-peer test:
/// whatever comes in, it returns.
pub fn decode_anything(bytes: &[u8]) {
    fn words<const WORDS: usize>(bytes: &[u8]) -> [u64; WORDS] {
        std::array::from_fn(|i| {
            let mut word = [0; 8];
            let from = bytes.get(i * 8..).unwrap_or(&[]);
            let n = from.len().min(8);
            word[..n].copy_from_slice(&from[..n]);
            u64::from_le_bytes(word)
        })
    }
    use crate::layout::{COMMAND_WORDS, EVENT_WORDS, PLAY_WORDS, ROW_WORDS};
    let _ = decode::<crate::command::Request, COMMAND_WORDS>(&words(bytes));
    let _ = decode::<crate::event::Stamped, EVENT_WORDS>(&words(bytes));
    // A row's stamp stands before its length.
    let _ = decode::<crate::line_table::LineRow, { ROW_WORDS - 1 }>(&words(bytes));
    let _ = crate::play_ring::PlayItem::from_words(&words::<PLAY_WORDS>(bytes));
}
