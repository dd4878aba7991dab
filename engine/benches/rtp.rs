//! What RTP costs: ns a packet received and a packet sent, on one line, without and with the
//! socket. `cargo bench -p tipring-engine --bench rtp`. Prints; asserts no time.

use std::hint::black_box;
use std::net::UdpSocket;
use std::time::Instant;
use tipring_engine::device::Device;
use tipring_engine::device::rtp::packet::Header;
use tipring_engine::device::rtp::session::Session;
use tipring_engine::device::rtp::{Rtp, StreamStart};
use tipring_engine::frame::{Companded, Heard};
use tipring_shm_proto::command::{Law, RtpMedia};
use tipring_shm_proto::units::{Endpoint, FRAME_NS, FRAME_SAMPLES, Nanos};

const FRAMES: u32 = 200_000;
const SOCKET_FRAMES: u32 = 20_000;
const START: StreamStart = StreamStart { ssrc: 1, sequence: 1, timestamp: 1, seed: [7; 12] };

fn media(remote: Endpoint) -> RtpMedia {
    RtpMedia {
        remote: Some(remote),
        law: Law::Mu,
        telephone_event: Some(101),
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    }
}

fn packet(frame: u32) -> [u8; 12 + FRAME_SAMPLES] {
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence: frame as u16,
        timestamp: frame.wrapping_mul(160),
        ssrc: 9,
    };
    let mut octets = [0x11; 12 + FRAME_SAMPLES];
    octets[..12].copy_from_slice(&header.octets());
    octets
}

fn report(what: &str, start: Instant, frames: u32) {
    let ns = start.elapsed().as_nanos() / u128::from(frames);
    println!("{what:<44} {ns:>7} ns");
}

fn rules(phone: Endpoint) {
    let mut session = Session::new();
    session.begin(Nanos(0), media(phone), START);
    let mut frame = Companded { law: Law::Mu, octets: [0x22; FRAME_SAMPLES] };
    let mut heard = 0;

    let start = Instant::now();
    for number in 0..FRAMES {
        let now = Nanos(u64::from(number) * FRAME_NS);
        session.handle_packet(now, phone, black_box(&packet(number)));
        heard += u32::from(session.take_frame(now, &mut frame) == Heard::Frame);
    }
    report("in: packet to frame, without socket", start, FRAMES);
    assert!(heard + 2 >= FRAMES, "{heard}");

    let start = Instant::now();
    for _ in 0..FRAMES {
        session.put_frame(black_box(&frame));
        black_box(session.outgoing());
        session.handle_sent(true);
    }
    report("out: frame to packet, without socket", start, FRAMES);
}

fn sockets() -> std::io::Result<()> {
    let phone = UdpSocket::bind("127.0.0.1:0")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    let mut device = Rtp::new();
    let remote = phone.local_addr()?.into();
    device.open(Nanos(0), socket.into(), media(remote), START).expect("it is new");
    let mut frame = Companded { law: Law::Mu, octets: [0x22; FRAME_SAMPLES] };
    let (mut reading, mut writing) = (0, 0);
    let mut octets = [0; 256];
    for number in 0..SOCKET_FRAMES {
        let now = Nanos(u64::from(number) * FRAME_NS);
        phone.send_to(&packet(number), local)?;
        let start = Instant::now();
        device.read_frame(now, &mut frame);
        reading += start.elapsed().as_nanos();
        let start = Instant::now();
        device.write_frame(now, &frame);
        device.flush_out(now);
        writing += start.elapsed().as_nanos();
        phone.recv_from(&mut octets)?;
    }
    let frames = u128::from(SOCKET_FRAMES);
    println!("{:<44} {:>7} ns", "read_frame, loopback", reading / frames);
    println!("{:<44} {:>7} ns", "write_frame and flush_out, loopback", writing / frames);
    Ok(())
}

fn main() -> std::io::Result<()> {
    // `cargo test --benches` runs it too.
    rules(Endpoint::from(std::net::SocketAddr::from(([192, 0, 2, 1], 4000))));
    sockets()
}
