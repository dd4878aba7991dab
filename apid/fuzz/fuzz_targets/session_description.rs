//! Any body is a session description or is not; one that is has a codec in common with us.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_apid::sip::crypto::Encryption;
use tipring_apid::sip::sdp::Description;

fuzz_target!(|octets: &[u8]| {
    if let Ok(offer) = Description::parse(octets, Encryption::Automatic) {
        assert!(!offer.audio.laws.is_empty());
        assert_ne!(offer.audio.remote.port(), 0);
    }
});
