//! Encrypted packets of anybody: refused and left as they were, or, with the keys, what was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_engine::device::rtp::srtp::{CONTROL_OVERHEAD, LONGEST_TAG, Srtp};
use tipring_shm_proto::command::{SrtpKey, SrtpKeys, SrtpSuite};

fuzz_target!(|octets: &[u8]| {
    let key = |number| SrtpKey { key: [number; 16], salt: [number; 14] };
    let suite = SrtpSuite::Aes128HmacSha1Tag80;
    let mut one = Srtp::new(SrtpKeys { suite, ours: key(1), theirs: key(2) });
    let mut two = Srtp::new(SrtpKeys { suite, ours: key(2), theirs: key(1) });
    let mut hostile = octets.to_vec();
    assert!(two.unprotect(&mut hostile).is_err() && hostile == octets);
    assert!(two.unprotect_control(&mut hostile).is_err() && hostile == octets);

    let mut sent = octets.to_vec();
    sent.resize(octets.len() + LONGEST_TAG.max(CONTROL_OVERHEAD), 0);
    let len = one.protect(&mut sent, octets.len());
    if let Ok(plain) = two.unprotect(&mut sent[..len]) {
        assert_eq!(&sent[..plain], octets);
    }
    sent[..octets.len()].copy_from_slice(octets);
    let len = one.protect_control(&mut sent, octets.len());
    if let Ok(plain) = two.unprotect_control(&mut sent[..len]) {
        assert_eq!(&sent[..plain], octets);
    }
});
