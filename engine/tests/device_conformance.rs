//! What every back end promises (`tipring_engine::device`), over each of them: a simulated
//! telephone, and RTP to a phone in this process over loopback. Time is virtual; the only waiting
//! is for a datagram to cross the loopback interface.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proptest::prelude::*;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;
use tipring_engine::config::PortRange;
use tipring_engine::device::rtp::packet::{self, Header};
use tipring_engine::device::rtp::telephone_event::EventPayload;
use tipring_engine::device::rtp::{Rtp, StreamStart};
use tipring_engine::device::simulated::Simulated;
use tipring_engine::device::{AnyDevice, Device};
use tipring_engine::frame::{Companded, Heard};
use tipring_engine::frame_loop::orders::OpenedSocket;
use tipring_engine::rtp_ports::RtpPorts;
use tipring_engine::signal::{Drive, Driven, Signal};
use tipring_shm_proto::command::{Law, RtpMedia, SimAction};
use tipring_shm_proto::event::DigitSource;
use tipring_shm_proto::units::{FRAME_NS, FRAME_SAMPLES, Nanos};

/// Longest wait for a datagram on loopback.
const PATIENCE: Duration = Duration::from_secs(10);
/// Signals of one tick after which a device is taken for one that never ends.
const MANY_SIGNALS: usize = 64;
const EVENT: u8 = 101;
const LOOPBACK: [u8; 16] = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
/// What stands in a frame that no device may write to.
const UNTOUCHED: u8 = 0x5A;

/// Every order that a line can give.
const ORDERS: [Drive; 9] = [
    Drive::RingOn,
    Drive::RingOff,
    Drive::Battery(false),
    Drive::Battery(true),
    Drive::Flash,
    Drive::OffHook,
    Drive::OnHook,
    Drive::Digit { digit: b'5', on_ms: 100, off_ms: 100 },
    Drive::Digit { digit: 0xFF, on_ms: 0, off_ms: u16::MAX },
];

/// The phone at the other end of an RTP device.
struct Phone {
    socket: UdpSocket,
    /// The device's sockets once more, to wait on.
    device_sockets: Vec<UdpSocket>,
    sequence: u16,
    ssrc: u32,
}

/// A device, a person at its phone, and the time.
struct Rig {
    name: &'static str,
    device: AnyDevice,
    phone: Option<Phone>,
    now: Nanos,
    frame: u32,
}

fn companded(octet: u8) -> Companded {
    Companded { law: Law::Mu, octets: [octet; FRAME_SAMPLES] }
}

fn simulated() -> Rig {
    let mut device = Simulated::new(Law::Mu);
    device.act(SimAction::Hook { off: true, bounce_ms: 0 }, Nanos(0)).unwrap();
    let device = AnyDevice::Simulated(device);
    let mut rig = Rig { name: "simulated", device, phone: None, now: Nanos(0), frame: 0 };
    rig.pass();
    rig
}

/// Engine and phone each on sockets of their own; `local_ip` is the engine's address. `direct`: signalling
/// has named the phone's address in time for a socket that is connected with it.
fn over_rtp(name: &'static str, local_ip: [u8; 16], direct: bool) -> Rig {
    let phone = phone_socket("127.0.0.1:0");
    let remote = Some(phone.local_addr().unwrap().into());
    let mut ports = RtpPorts::new(PortRange { min: 39_300, max: 39_998 });
    let OpenedSocket { sockets, .. } = ports.open(local_ip, remote.filter(|_| direct)).unwrap();
    let own = sockets.direct.as_ref().map(|direct| &direct.socket);
    assert_eq!(own.is_some(), direct);
    let device_sockets = own.into_iter().chain([&sockets.rtp]);
    let device_sockets = device_sockets.map(|socket| socket.try_clone().unwrap()).collect();
    let phone = Phone { socket: phone, device_sockets, sequence: 65_530, ssrc: 77 };
    let media = RtpMedia {
        remote,
        law: Law::Mu,
        telephone_event: Some(EVENT),
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    };
    let start = StreamStart { ssrc: 1, sequence: 65_533, timestamp: u32::MAX - 500, seed: [7; 12] };
    let mut device = Rtp::new();
    device.open(Nanos(0), sockets, media, start).unwrap();
    let device = AnyDevice::Rtp(device);
    Rig { name, device, phone: Some(phone), now: Nanos(0), frame: 0 }
}

fn phone_socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn rtp_rig() -> Rig {
    over_rtp("rtp", LOOPBACK, true)
}

/// With a socket for the phone alone and without.
fn rtp_rigs() -> [Rig; 2] {
    [rtp_rig(), over_rtp("rtp on one socket", LOOPBACK, false)]
}

fn rigs() -> Vec<Rig> {
    let mut rigs = vec![simulated()];
    rigs.extend(rtp_rigs());
    if UdpSocket::bind("[::]:0").is_ok() {
        rigs.push(over_rtp("rtp on sockets of both families", [0; 16], true));
        rigs.push(over_rtp("rtp on one socket of both families", [0; 16], false));
    } else {
        eprintln!("no IPv6 here: RTP on a socket of both families is not tried");
    }
    rigs
}

impl Phone {
    fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let header = Header { marker: false, payload_type, sequence, timestamp, ssrc: self.ssrc };
        let octets = [&header.octets()[..], payload].concat();
        self.socket.send_to(&octets, ("127.0.0.1", self.device_port())).unwrap();
        let awaited = |socket| PollFd::new(AsFd::as_fd(socket), PollFlags::POLLIN);
        let mut arrivals: Vec<PollFd<'_>> = self.device_sockets.iter().map(awaited).collect();
        let patience = PollTimeout::try_from(PATIENCE).unwrap();
        assert_ne!(poll(&mut arrivals, patience), Ok(0), "a datagram is lost on loopback");
    }

    fn device_port(&self) -> u16 {
        self.device_sockets[0].local_addr().unwrap().port()
    }

    fn hear(&self) -> (Header, Vec<u8>) {
        let mut octets = [0; 2048];
        let (len, _) = self.socket.recv_from(&mut octets).expect("nothing was sent");
        let packet = packet::parse(&octets[..len]).expect("what was sent is RTP");
        (packet.header, packet.payload.to_vec())
    }
}

impl Rig {
    /// The person says a frame, now.
    fn say(&mut self, octet: u8) {
        match (&mut self.device, &mut self.phone) {
            (AnyDevice::Simulated(device), _) => device.speak(&companded(octet)),
            (_, Some(phone)) => phone.send(0, self.frame * 160, &[octet; FRAME_SAMPLES]),
            (AnyDevice::Rtp(_) | AnyDevice::Dahdi(_), None) => {
                unreachable!("every RTP rig has a phone, and none here has a card")
            }
        }
    }

    fn read(&mut self) -> Option<u8> {
        let mut frame = companded(UNTOUCHED);
        let heard = self.device.read_frame(self.now, &mut frame);
        if heard != Heard::Frame {
            assert_eq!(frame, companded(UNTOUCHED), "{}: {heard:?} wrote", self.name);
            return None;
        }
        Some(frame.octets[0])
    }

    fn signals(&mut self) -> Vec<Signal> {
        let poll = || self.device.poll_signal(self.now);
        let signals: Vec<_> = std::iter::from_fn(poll).take(MANY_SIGNALS).collect();
        assert!(signals.len() < MANY_SIGNALS, "{}: signals without end", self.name);
        signals
    }

    fn write(&mut self, octet: u8) {
        self.device.write_frame(self.now, &companded(octet));
        self.device.flush_out(self.now);
    }

    /// What the phone hears of the frame that was written last.
    fn hear(&self) -> u8 {
        match (&self.device, &self.phone) {
            (AnyDevice::Simulated(device), _) => device.earpiece().octets[0],
            (_, Some(phone)) => phone.hear().1[0],
            (AnyDevice::Rtp(_) | AnyDevice::Dahdi(_), None) => {
                unreachable!("every RTP rig has a phone, and none here has a card")
            }
        }
    }

    /// 20 ms go by; what the device tells is dropped.
    fn pass(&mut self) {
        self.signals();
        self.now = Nanos(self.now.0 + FRAME_NS);
        self.frame += 1;
    }

    /// The card is lost, or the call over.
    fn end(&mut self) {
        match &mut self.device {
            AnyDevice::Simulated(device) => device.act(SimAction::Fail(true), self.now).unwrap(),
            AnyDevice::Rtp(device) => drop(device.close(Nanos(0)).expect("it was open")),
            AnyDevice::Dahdi(_) => unreachable!("no rig here has a card"),
        }
    }

    fn rtp(&mut self) -> (&mut Rtp, &mut Phone) {
        match (&mut self.device, &mut self.phone) {
            (AnyDevice::Rtp(device), Some(phone)) => (device, phone),
            _ => unreachable!("asked of RTP rigs only"),
        }
    }
}

#[test]
fn what_is_said_is_read_in_order() {
    for mut rig in rigs() {
        let mut heard = Vec::new();
        for frame in 0..60 {
            if frame < 50 {
                rig.say(frame);
            }
            heard.extend(rig.read());
            rig.pass();
        }
        // Silence of a lifted handset is 0xFF.
        heard.retain(|octet| *octet < 50);
        assert_eq!(heard, (0..50).collect::<Vec<u8>>(), "{}", rig.name);
    }
}

#[test]
fn what_is_written_is_heard_in_order() {
    for mut rig in rigs() {
        for frame in 0..50 {
            rig.write(frame);
            assert_eq!(rig.hear(), frame, "{}", rig.name);
            let reserve = rig.device.reserve_samples();
            assert!((160..=8000).contains(&reserve), "{}: {reserve}", rig.name);
            rig.pass();
        }
    }
}

#[test]
fn every_order_is_answered() {
    for mut rig in rigs() {
        let answers = ORDERS.map(|order| {
            let answer = rig.device.drive(rig.now, order);
            rig.pass();
            answer
        });
        // A bell cannot ring in the hand, and over the wire it is signalling's; what is no digit
        // is sent by nobody.
        assert_ne!(answers[0], Driven::Done, "{}", rig.name);
        assert_eq!(answers[8], Driven::Unsupported, "{}", rig.name);
        assert_eq!(answers[4], Driven::Done, "{}: flash", rig.name);
    }
}

#[test]
fn a_device_that_is_gone_is_silent_and_takes_everything() {
    for mut rig in rigs() {
        rig.say(1);
        rig.read();
        rig.pass();
        rig.end();
        for _ in 0..10 {
            rig.write(1);
            assert_eq!(rig.read(), None, "{}", rig.name);
            assert_eq!(rig.device.reserve_samples(), 0, "{}", rig.name);
            for order in ORDERS {
                assert_ne!(rig.device.drive(rig.now, order), Driven::Done, "{}", rig.name);
            }
            rig.pass();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_order_of_calls_is_survived(
        steps in prop::collection::vec((0..8u8, 0..ORDERS.len(), 0..4u64), 0..300),
    ) {
        for mut rig in rigs() {
            for (step, order, ms) in &steps {
                match step {
                    0 => rig.say(*order as u8),
                    1 => { rig.read(); }
                    2 => rig.device.write_frame(rig.now, &companded(3)),
                    3 => rig.device.flush_out(rig.now),
                    4 => { rig.device.drive(rig.now, ORDERS[*order]); }
                    5 => { rig.signals(); }
                    6 => {
                        let step = [0, 1, FRAME_NS, 10_000_000_000][*ms as usize];
                        rig.now = Nanos(rig.now.0 + step);
                    }
                    // A clock that runs back is a bug elsewhere, and no reason to fall over here.
                    _ => rig.now = Nanos(rig.now.0.saturating_sub(*ms * FRAME_NS)),
                }
                prop_assert!(rig.device.reserve_samples() <= 8000);
            }
            rig.signals();
        }
    }
}

#[test]
fn digits_cross_rtp_both_ways() {
    let mut rig = rtp_rig();
    rig.say(1);
    rig.read();
    rig.pass();
    let order = Drive::Digit { digit: b'7', on_ms: 60, off_ms: 40 };
    assert_eq!(rig.device.drive(rig.now, order), Driven::Done);
    let mut sent = Vec::new();
    for _ in 0..6 {
        rig.write(1);
        let (header, payload) = rig.rtp().1.hear();
        let event = (header.payload_type == EVENT).then(|| EventPayload::parse(&payload).unwrap());
        sent.push(event.map(|event| (event.event, event.end, event.duration)));
        // The phone sends it back as it came.
        if event.is_some() {
            rig.rtp().1.send(EVENT, header.timestamp, &payload);
        }
        rig.read();
        rig.now = Nanos(rig.now.0 + FRAME_NS);
    }
    let expected =
        [(7, false, 160), (7, false, 320), (7, true, 480), (7, true, 480), (7, true, 480)];
    assert_eq!(sent[..5], expected.map(Some));
    assert_eq!(sent[5], None);
    let digits = rig.signals();
    let source = DigitSource::TelephoneEvent;
    assert_eq!(digits[0], Signal::DigitBegin { digit: b'7', source });
    assert!(matches!(digits[1], Signal::Digit { digit: b'7', duration_ms: 60, .. }), "{digits:?}");
    assert_eq!(digits.len(), 2);
}

#[test]
fn packets_follow_the_phone_to_the_port_it_sends_from() {
    for mut rig in rtp_rigs() {
        rig.rtp().1.socket = phone_socket("127.0.0.1:0");
        for _ in 0..3 {
            rig.say(9);
            rig.read();
            rig.now = Nanos(rig.now.0 + FRAME_NS);
        }
        let translated = rig.rtp().1.socket.local_addr().unwrap().into();
        assert_eq!(rig.signals(), [Signal::RtpHeard { remote: translated }]);
        rig.write(4);
        assert_eq!(rig.hear(), 4);
        assert_eq!(rig.rtp().0.stats().unwrap().remote, Some(translated));
    }
}

#[test]
fn a_flood_of_strangers_does_not_silence_the_phone() {
    for mut rig in rtp_rigs() {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let device = ("127.0.0.1", rig.rtp().1.device_port());
        let mut heard = 0;
        for ssrc in 0..100 {
            for sequence in 0..20 {
                let header =
                    Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc };
                let octets = [&header.octets()[..], &[UNTOUCHED; FRAME_SAMPLES]].concat();
                stranger.send_to(&octets, device).unwrap();
            }
            rig.say(7);
            let octet = rig.read();
            assert_ne!(octet, Some(UNTOUCHED));
            heard += u32::from(octet == Some(7));
            rig.pass();
        }
        assert!(heard >= 90, "{heard}");
    }
}

/// A tick that looks for more than the frame it needs pays a system call for it.
#[test]
fn after_a_tick_in_vain_only_what_is_needed_is_taken_again() {
    for mut rig in rtp_rigs() {
        rig.say(1);
        rig.read();
        rig.pass();
        rig.read();
        rig.pass();
        rig.say(2);
        rig.say(3);
        rig.read();
        let now = rig.now;
        let sockets = rig.rtp().0.close(now).unwrap();
        let mut octets = [0; 512];
        let socket = sockets.direct.as_ref().map_or(&sockets.rtp, |direct| &direct.socket);
        assert!(socket.recv(&mut octets).is_ok(), "the second packet waits for its own tick");
        assert!(socket.recv(&mut octets).is_err(), "the first one was taken");
    }
}

#[test]
fn a_phone_that_has_gone_harms_nothing_and_may_come_back() {
    for mut rig in rtp_rigs() {
        rig.say(1);
        let address = rig.rtp().1.socket.local_addr().unwrap();
        // Its port closes: each packet is answered by ICMP "port unreachable".
        rig.rtp().1.socket = phone_socket("127.0.0.1:0");
        for _ in 0..50 {
            rig.read();
            rig.write(1);
            rig.pass();
        }
        assert_eq!(rig.rtp().0.take_counts().sent, 50);
        rig.rtp().1.socket = phone_socket(&address.to_string());
        rig.write(8);
        assert_eq!(rig.hear(), 8);
        let mut heard = 0;
        for _ in 0..10 {
            rig.say(6);
            heard += u32::from(rig.read() == Some(6));
            rig.pass();
        }
        assert!(heard >= 7, "{heard}");
    }
}

#[test]
fn junk_is_counted_and_audio_goes_on() {
    let mut rig = rtp_rig();
    let device = ("127.0.0.1", rig.rtp().1.device_port());
    for frame in 0..50u8 {
        let junk = vec![frame; usize::from(frame) * 50];
        rig.rtp().1.socket.send_to(&junk, device).unwrap();
        rig.say(2);
        let octet = rig.read();
        assert!(octet == Some(2) || frame < 3, "{frame}: {octet:?}");
        rig.pass();
    }
    for _ in 0..5 {
        rig.read();
    }
    let counts = rig.rtp().0.take_counts();
    assert_eq!((counts.received, counts.malformed, counts.sent), (50, 50, 0));
}

#[test]
fn one_call_follows_another_on_the_same_device() {
    let mut rig = rtp_rig();
    rig.say(1);
    rig.read();
    let media = RtpMedia {
        remote: None,
        law: Law::A,
        telephone_event: None,
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    };
    let start = StreamStart { ssrc: 2, sequence: 1, timestamp: 1, seed: [7; 12] };
    let socket = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let (device, _) = rig.rtp();
    assert!(device.open(Nanos(0), socket().into(), media, start).is_err(), "a call is open");
    assert!(device.has_telephone_event());
    assert!(device.close(Nanos(0)).is_some());
    assert!(device.close(Nanos(0)).is_none());
    assert_eq!((device.stats(), device.remote(), device.is_open()), (None, None, false));
    assert!(!device.update(Nanos(0), media));
    assert!(!device.has_telephone_event());
    let next = socket();
    let port = next.local_addr().unwrap().port();
    device.open(Nanos(0), next.into(), media, start).unwrap();
    let row = device.stats().unwrap();
    assert_eq!((row.local_port, row.received, row.sent, row.remote), (port, 0, 0, None));
    assert_eq!((row.law, row.telephone_event), (Law::A, None));
    // Without an address nothing is sent, and that is no failure.
    device.write_frame(Nanos(0), &companded(1));
    device.flush_out(Nanos(0));
    assert_eq!(device.take_counts().unsent, 0);
}

#[test]
fn a_packet_carries_its_frame_and_is_sent_once() {
    let mut rig = rtp_rig();
    rig.device.write_frame(rig.now, &Companded { law: Law::A, octets: [0xD5; FRAME_SAMPLES] });
    rig.device.flush_out(rig.now);
    rig.device.flush_out(rig.now);
    let (header, payload) = rig.rtp().1.hear();
    assert_eq!((header.payload_type, payload), (8, vec![0xD5; FRAME_SAMPLES]));
    assert_eq!((header.ssrc, header.sequence, header.timestamp), (1, 65_533, u32::MAX - 500));
    rig.write(7);
    let (next, payload) = rig.rtp().1.hear();
    assert_eq!((next.sequence, payload.len()), (65_534, FRAME_SAMPLES));
}
