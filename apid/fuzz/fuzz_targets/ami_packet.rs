//! Any octets are packets of the manager interface or end the connection, in whatever pieces they
//! come; what they said becomes one line each when it is told again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_apid::ami::fuzzing::{message, packets};

fuzz_target!(|octets: &[u8]| {
    let Some((first, octets)) = octets.split_first() else { return };
    let whole = packets(octets, usize::MAX);
    let pieces = packets(octets, usize::from(*first));
    // Too much may be seen earlier in small pieces, and never changes what was there before.
    if !whole.1 && !pieces.1 {
        assert_eq!(whole.0, pieces.0);
    }
    for headers in &whole.0 {
        let told = message(headers);
        assert_eq!(told.iter().filter(|octet| **octet == b'\n').count(), headers.len() + 2);
        assert!(told.ends_with(b"\r\n\r\n"));
    }
});
