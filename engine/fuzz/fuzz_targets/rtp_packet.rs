//! Any datagram is RTP or is not; what is read and is plain is written back as it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_engine::device::rtp::packet::{HEADER_OCTETS, parse};

fuzz_target!(|octets: &[u8]| {
    let Ok(packet) = parse(octets) else { return };
    assert!(packet.payload.len() + HEADER_OCTETS <= octets.len());
    if octets[0] == 0x80 {
        assert_eq!(packet.header.octets(), octets[..HEADER_OCTETS]);
        assert_eq!(packet.payload, &octets[HEADER_OCTETS..]);
    }
});
