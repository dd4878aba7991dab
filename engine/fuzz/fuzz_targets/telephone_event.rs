//! Any sequence of event packets: every digit that begins ends, once, and nothing is told twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_engine::device::rtp::telephone_event::{EventPayload, EventReceiver};
use tipring_engine::signal::Signal;
use tipring_shm_proto::units::Nanos;

fuzz_target!(|octets: &[u8]| {
    let mut receiver = EventReceiver::default();
    let (mut now, mut begun, mut ended) = (0, 0u32, 0u32);
    let mut count = |signals: &mut dyn Iterator<Item = Signal>| {
        for (told, signal) in signals.enumerate() {
            assert!(told < 4);
            match signal {
                Signal::DigitBegin { .. } => begun += 1,
                Signal::Digit { .. } => ended += 1,
                _ => {}
            }
        }
        assert!(begun == ended || begun == ended + 1);
    };
    for step in octets.chunks_exact(9) {
        now += u64::from(step[0]) * 1_000_000;
        let timestamp = u32::from_be_bytes([step[1], step[2], step[3], step[4]]);
        if let Some(payload) = EventPayload::parse(&step[5..]) {
            let name = (u32::from(step[0] % 2), timestamp, step[0] & 0x80 != 0);
            count(&mut receiver.handle_packet(Nanos(now), name, payload));
        }
        count(&mut receiver.handle_time(Nanos(now)));
    }
    count(&mut receiver.handle_source_change());
    assert_eq!(begun, ended);
});
