//! The fuzzer itself, tried: here is a bug that no request of the corpus meets, and `make fuzz` fails
//! where it is not found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_apid::sip::message::Request;

fuzz_target!(|octets: &[u8]| {
    let Some(request) = Request::from_wire(octets) else { return };
    let has_reason = request.headers.get("Reason").is_some();
    assert!(!has_reason || request.method == "BYE", "the seeded bug");
});
