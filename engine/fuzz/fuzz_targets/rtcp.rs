//! RTCP of anybody: reading answers, and what was learnt can be reported.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_engine::device::rtp::quality::Judge;
use tipring_engine::device::rtp::reports::{Received, Reports, Sending};
use tipring_engine::device::rtp::rtcp::{LONGEST, parse};
use tipring_shm_proto::units::Nanos;

fuzz_target!(|octets: &[u8]| {
    let now = Nanos(10_000_000_000);
    let real_ns = 1_700_000_000_000_000_000;
    let mut reports = Reports::new(Nanos(0), [3; 12]);
    let _ = reports.handle_packet(now, real_ns, octets, 1, Some(2));
    let mut written = [0; LONGEST];
    let received = Received { ssrc: 2, expected: 9, received: 7, ..Received::default() };
    let (sending, judge) = (Sending::default(), Judge::default());
    let len = reports
        .next_packet(now, real_ns, &sending, Some(&received), &judge, &mut written)
        .expect("it is due");
    parse(&written[..len], |_| {}).expect("what is sent is RTCP");
});
