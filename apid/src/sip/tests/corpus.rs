//! Messages as hostile as the torture tests of RFC 4475 and RFC 5118, kept in `fuzz/corpus`, and
//! what becomes of them changed at random. TIPRING_FUZZ_SECONDS sets how long (default 3).

use super::*;
use crate::sip::crypto::Encryption;
use crate::sip::sdp::Description;
use std::time::{Duration, Instant};

fn corpus(of: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(of);
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// xorshift64*.
fn next(state: &mut u64) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize
}

/// A piece of one put into another, octets changed, the end cut off.
fn spoil(seeds: &[Vec<u8>], state: &mut u64) -> Vec<u8> {
    let mut octets = seeds[next(state) % seeds.len()].clone();
    for _ in 0..next(state) % 6 {
        let other = &seeds[next(state) % seeds.len()];
        let from = next(state) % other.len();
        let piece = &other[from..(from + next(state) % 60).min(other.len())];
        let at = next(state) % (octets.len() + 1);
        match next(state) % 4 {
            0 => drop(octets.splice(at..at, piece.iter().copied())),
            1 => octets.truncate(at.max(1)),
            2 => drop(octets.drain(at..(at + piece.len()).min(octets.len()))),
            _ => octets.iter_mut().skip(at).take(1).for_each(|octet| *octet = next(state) as u8),
        }
    }
    octets
}

fn feed(b: &mut Bench, octets: &[u8]) {
    let Some(request) = Request::from_wire(octets) else { return };
    b.txs += 1;
    b.now_ms += 50;
    let (tx, now_ms) = (TxId(b.txs), b.now_ms);
    let source = udp(if tx.0.is_multiple_of(3) { PHONE } else { "10.0.0.7:5060" });
    b.act(|agent, out| agent.handle_request(tx, &request, source, now_ms, out));
    let finals = b.statuses().into_iter().filter(|status| *status >= 200).count();
    assert!(finals <= 2, "{request:?} {:?}", b.done);
}

#[test]
fn hostile_messages_are_read_or_refused() {
    let (mut b, _) = Bench::in_call();
    let requests = corpus("sip_request");
    let descriptions = corpus("session_description");
    for message in &requests {
        feed(&mut b, message);
    }
    let parsed = descriptions
        .iter()
        .filter(|d| Description::parse(d, Encryption::Automatic).is_ok())
        .count();
    assert!(parsed >= 3, "some are good: {parsed}");
    let seconds = std::env::var("TIPRING_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let (limit, begin) = (Duration::from_secs(seconds.unwrap_or(3)), Instant::now());
    let (mut state, mut rounds) = (0x7469_7072_696e_6721, 0_u64);
    while begin.elapsed() < limit {
        feed(&mut b, &spoil(&requests, &mut state));
        if let Ok(offer) =
            Description::parse(&spoil(&descriptions, &mut state), Encryption::Automatic)
        {
            assert!(!offer.audio.laws.is_empty());
        }
        rounds += 1;
    }
    assert!(b.agent.live().len() <= 1 && b.agent.bindings().len() <= 1);
    println!("{rounds} rounds");
}
