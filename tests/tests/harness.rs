//! The harness itself: what it would say of a wrong result.

use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::signal::{self, chirps, find, hearing};

#[test]
fn a_piece_is_found_where_it_is_with_its_level() {
    let said = chirps(1, 3000);
    let heard: Vec<i16> = vec![0; 800].into_iter().chain(said.iter().map(|&s| s / 2)).collect();
    let found = find(&said[8000..12_000], &heard).expect("found");
    assert_eq!(found.at, 8800);
    assert!(found.score > 0.99, "{found:?}");
    assert!((found.gain_db + 6.0).abs() < 0.1, "{found:?}");
}

#[test]
fn other_speech_is_not_recognised() {
    let hearing = hearing(&chirps(1, 8000), &chirps(2, 4000));
    assert!(!hearing.clone().is_some_and(|h| h.is_convincing(5)), "{hearing:?}");
}

#[test]
fn a_gap_is_seen() {
    let said = chirps(3, 4000);
    let mut heard = said.clone();
    heard[signal::samples(2000)..signal::samples(2200)].fill(0);
    let hearing = hearing(&said, &heard).expect("mostly heard");
    assert!(hearing.longest_gap >= 2 && hearing.longest_gap <= 4, "{hearing:?}");
}

#[test]
fn mu_law_comes_back_within_its_step() {
    for sample in i16::MIN..=i16::MAX {
        let back = signal::mu_decode(signal::mu_encode(sample));
        let step = 16.max(i32::from(sample).abs() / 16);
        let clipped = i32::from(sample).clamp(-32_635, 32_635);
        assert!((i32::from(back) - clipped).abs() <= step, "{sample} became {back}");
    }
}

/// Two baresips on this machine, without Tipring between them: each hears the other, and the
/// correlation refuses the crossed pair.
#[test]
fn two_phones_hear_each_other_and_not_themselves() {
    let (a_says, b_says) = (chirps(11, 60_000), chirps(12, 60_000));
    let direct = |name: &str, says: &[i16], answers| {
        let mut telephone = Telephone::new(name, "127.0.0.1", says.to_vec());
        telephone.password = None;
        telephone.answers = answers;
        Baresip::start(&telephone)
    };
    let a = direct("a", &a_says, false);
    let b = direct("b", &b_says, true);
    a.dial(&format!("sip:b@127.0.0.1:{}", b.port));
    a.expect_event("CALL_ESTABLISHED");
    let (a_heard, b_heard) = (a.heard_of(3000), b.heard_of(3000));
    a.hang_up();
    b.expect_event("CALL_CLOSED");
    for (said, heard, right) in [
        (&b_says, &a_heard, true),
        (&a_says, &b_heard, true),
        (&a_says, &a_heard, false),
        (&b_says, &b_heard, false),
    ] {
        let hearing = hearing(said, heard);
        let convincing = hearing.as_ref().is_some_and(|h| h.is_convincing(20));
        assert_eq!(convincing, right, "{hearing:?}");
    }
}
