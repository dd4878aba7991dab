//! Whatever apid writes into a slot decodes or does not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| tipring_shm_proto::wire::decode_anything(octets));
