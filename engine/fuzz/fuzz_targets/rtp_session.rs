//! A whole call: datagrams of several sources, frames taken and given, time that jumps. Nothing
//! panics, the jitter buffer stays bounded, what is sent is RTP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tipring_engine::device::rtp::StreamStart;
use tipring_engine::device::rtp::packet::parse;
use tipring_engine::device::rtp::session::Session;
use tipring_engine::frame::Companded;
use tipring_shm_proto::command::{Law, RtpMedia};
use tipring_shm_proto::units::{Endpoint, FRAME_SAMPLES, Nanos};

fn phone(port: u8) -> Endpoint {
    Endpoint::from(std::net::SocketAddr::from(([192, 0, 2, 1], 4000 + u16::from(port))))
}

fuzz_target!(|octets: &[u8]| {
    let media = RtpMedia {
        remote: Some(phone(0)),
        law: Law::Mu,
        telephone_event: Some(101),
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    };
    let mut session = Session::new();
    session.begin(Nanos(0), media, StreamStart { ssrc: 1, sequence: 0xFFFF, timestamp: u32::MAX, seed: [7; 12] });
    let mut frame = Companded { law: Law::A, octets: [0; FRAME_SAMPLES] };
    let mut now = Nanos(0);
    let mut rest = octets;
    while let Some(([step, argument], after)) = rest.split_first_chunk::<2>() {
        rest = after;
        match step % 8 {
            // A datagram as it is, or its first octets with audio behind them.
            0..=2 => {
                let len = usize::from(*argument % 32).min(rest.len());
                let (head, after) = rest.split_at(len);
                rest = after;
                let tail = usize::from(step >> 3) * 16;
                let mut datagram = [0x2A; 32 + 31 * 16];
                datagram[..len].copy_from_slice(head);
                session.handle_packet(now, phone(*argument >> 6), &datagram[..len + tail]);
            }
            3 => now = Nanos(now.0 + u64::from(*argument) * 20_000_000),
            4 => {
                session.take_frame(now, &mut frame);
            }
            5 => {
                session.put_frame(&frame);
                if let Some((sent, _)) = session.outgoing() {
                    parse(sent).expect("what is sent is RTP");
                }
                session.handle_sent(argument % 2 == 0);
            }
            6 => {
                session.send_digit(*argument, 40, 40);
                while session.poll_signal().is_some() {}
            }
            _ => session.update(
                now,
                RtpMedia {
                    remote: Some(phone(argument % 4)),
                    receive: argument & 8 == 0,
                    send: argument & 16 == 0,
                    telephone_event: (argument & 32 == 0).then_some(*argument),
                    ..media
                },
            ),
        }
        assert!(session.stats(0).depth_ms <= 160);
    }
    session.take_counts();
});
