//! Rules of the module above, in virtual time.

use super::*;
use crate::device::rtp::rtcp;
use crate::device::rtp::signals::SIGNALS;
use crate::device::rtp::telephone_event::EventPayload;
use tipring_shm_proto::command::{SrtpKey, SrtpKeys, SrtpSuite};
use tipring_shm_proto::event::{DigitSource, MediaFault};

const START: StreamStart =
    StreamStart { ssrc: 0x11, sequence: 0xFFFF, timestamp: 0xFFFF_FFF0, seed: [7; 12] };
const EVENT: u8 = 101;

fn phone() -> Endpoint {
    Endpoint::from(std::net::SocketAddr::from(([192, 0, 2, 1], 4000)))
}

fn media() -> RtpMedia {
    RtpMedia {
        remote: Some(phone()),
        law: Law::Mu,
        telephone_event: Some(EVENT),
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    }
}

/// A session, and what a phone would do; a tick is 20 ms.
struct Call {
    session: Session,
    tick: u64,
    sequence: u16,
    frame: Companded,
}

impl Call {
    fn new(media: RtpMedia) -> Self {
        let mut session = Session::new();
        session.begin(Nanos(0), media, START);
        let frame = Companded { law: Law::Mu, octets: [0; FRAME_SAMPLES] };
        Self { session, tick: 0, sequence: 100, frame }
    }

    fn now(&self) -> Nanos {
        Nanos(self.tick * 20_000_000)
    }

    fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) -> bool {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let header = Header { marker: false, payload_type, sequence, timestamp, ssrc: 5 };
        let octets = [&header.octets()[..], payload].concat();
        self.session.handle_packet(self.now(), phone(), &octets)
    }

    fn speak(&mut self, payload_type: u8) {
        let timestamp = self.tick as u32 * 160;
        assert!(self.packet(payload_type, timestamp, &[0x10; FRAME_SAMPLES]));
    }

    fn take(&mut self) -> Heard {
        self.tick += 1;
        self.session.take_frame(self.now(), &mut self.frame)
    }

    /// One tick's packet as sent: its header and payload.
    fn send(&mut self, law: Law) -> Option<(Header, Vec<u8>)> {
        self.session.put_frame(&Companded { law, octets: [0x22; FRAME_SAMPLES] });
        let (octets, _) = self.session.outgoing()?;
        let Packet { header, payload } = packet::parse(octets).unwrap();
        let sent = (header, payload.to_vec());
        self.session.handle_sent(true);
        assert_eq!(self.session.outgoing(), None);
        Some(sent)
    }

    fn signals(&mut self) -> Vec<Signal> {
        std::iter::from_fn(|| self.session.poll_signal()).collect()
    }
}

#[test]
fn audio_is_heard_in_the_law_of_its_payload_type() {
    let mut call = Call::new(media());
    for (payload_type, law) in [(PCMU, Law::Mu), (PCMA, Law::A)] {
        for _ in 0..10 {
            call.speak(payload_type);
            call.take();
        }
        assert_eq!(call.frame, Companded { law, octets: [0x10; FRAME_SAMPLES] });
    }
    assert_eq!(call.signals(), [Signal::RtpHeard { remote: phone() }]);
}

#[test]
fn sequence_counts_packets_and_timestamps_count_frames() {
    let mut call = Call::new(media());
    assert_eq!(call.session.remote(), Some(phone()));
    let (first, payload) = call.send(Law::Mu).unwrap();
    assert_eq!(
        first,
        Header {
            marker: true,
            payload_type: PCMU,
            sequence: 0xFFFF,
            timestamp: 0xFFFF_FFF0,
            ssrc: 0x11
        }
    );
    assert_eq!(payload, [0x22; FRAME_SAMPLES]);
    let (second, _) = call.send(Law::A).unwrap();
    assert_eq!((second.marker, second.payload_type), (false, PCMA));
    assert_eq!((second.sequence, second.timestamp), (0, 0xFFFF_FFF0_u32.wrapping_add(160)));
    // Two frames of silence by signalling, then a marker.
    call.session.update(Nanos(0), RtpMedia { send: false, ..media() });
    assert_eq!(call.send(Law::Mu), None);
    assert_eq!(call.send(Law::Mu), None);
    call.session.update(Nanos(0), media());
    let (third, _) = call.send(Law::Mu).unwrap();
    assert_eq!((third.marker, third.sequence), (true, 1));
    assert_eq!(third.timestamp, second.timestamp + 3 * 160);
}

#[test]
fn a_packet_that_the_kernel_refused_or_nobody_flushed_is_lost_and_counted() {
    let mut call = Call::new(media());
    let frame = Companded { law: Law::Mu, octets: [0; FRAME_SAMPLES] };
    call.session.put_frame(&frame);
    call.session.handle_sent(false);
    call.session.put_frame(&frame);
    call.session.put_frame(&frame);
    let (octets, _) = call.session.outgoing().unwrap();
    let header = packet::parse(octets).unwrap().header;
    assert_eq!((header.sequence, header.marker), (START.sequence, true));
    assert_eq!(header.timestamp, START.timestamp.wrapping_add(320));
    assert_eq!(call.session.take_counts().unsent, 2);
}

#[test]
fn a_digit_replaces_audio_and_keeps_the_sequence() {
    let mut call = Call::new(media());
    call.send(Law::Mu);
    assert_eq!(call.session.send_digit(b'#', 40, 40), Driven::Done);
    let mut sent: Vec<_> = (0..5).map(|_| call.send(Law::Mu).unwrap()).collect();
    let (audio, _) = sent.pop().unwrap();
    let start = sent[0].0.timestamp;
    for (index, (header, payload)) in sent.iter().enumerate() {
        let event = EventPayload::parse(payload).unwrap();
        assert_eq!((header.payload_type, event.event), (EVENT, 11));
        assert_eq!((header.marker, header.timestamp), (index == 0, start));
        assert_eq!(usize::from(header.sequence), index);
        assert_eq!(event.end, index >= 1);
        assert_eq!(event.duration, if index == 0 { 160 } else { 320 });
    }
    assert_eq!((audio.payload_type, audio.marker), (PCMU, false));
    assert_eq!((audio.sequence, audio.timestamp), (4, start + 4 * 160));
    assert!(!call.session.digits_pending());
}

#[test]
fn digits_need_an_agreement_and_a_way() {
    let mut call = Call::new(RtpMedia { telephone_event: None, ..media() });
    assert_eq!(call.session.send_digit(b'1', 40, 40), Driven::Unsupported);
    for held in [RtpMedia { send: false, ..media() }, RtpMedia { remote: None, ..media() }] {
        let mut call = Call::new(held);
        assert_eq!(call.session.send_digit(b'1', 40, 40), Driven::Busy);
    }
    assert_eq!(Call::new(media()).session.send_digit(b'x', 40, 40), Driven::Unsupported);
}

#[test]
fn a_payload_type_that_is_not_dynamic_is_no_agreement_on_events() {
    for payload_type in [PCMU, PCMA, COMFORT_NOISE, 72, 95, 128, 255] {
        let hostile = RtpMedia { telephone_event: Some(payload_type), ..media() };
        let mut call = Call::new(hostile);
        assert_eq!(call.session.media().telephone_event, None);
        call.session.update(Nanos(0), hostile);
        assert_eq!(call.session.send_digit(b'1', 40, 40), Driven::Unsupported);
    }
}

#[test]
fn a_received_digit_is_told_once_and_its_audio_is_not_missing() {
    let mut call = Call::new(media());
    for _ in 0..10 {
        call.speak(PCMU);
        call.take();
    }
    call.signals();
    let start = call.tick as u32 * 160;
    let mut heard = Vec::new();
    for update in 1..=5u16 {
        let event = EventPayload { event: 5, end: update == 5, volume: 10, duration: update * 160 };
        for _ in 0..if update == 5 { 3 } else { 1 } {
            call.packet(EVENT, start, &event.octets());
        }
        heard.push(call.take());
    }
    for _ in 0..4 {
        call.speak(PCMU);
        heard.push(call.take());
    }
    assert!(!heard.contains(&Heard::Missing), "{heard:?}");
    assert_eq!(
        call.signals(),
        [
            Signal::DigitBegin { digit: b'5', source: DigitSource::TelephoneEvent },
            Signal::Digit {
                digit: b'5',
                duration_ms: 100,
                level: tipring_shm_proto::units::TenthDbm0(-100),
                source: DigitSource::TelephoneEvent,
                twist: tipring_shm_proto::units::TenthDb(0),
            }
        ]
    );
}

#[test]
fn comfort_noise_is_silence_by_agreement() {
    let mut call = Call::new(media());
    for _ in 0..10 {
        call.speak(PCMU);
        call.take();
    }
    assert!(call.packet(COMFORT_NOISE, call.tick as u32 * 160, &[60]));
    let heard: Vec<_> = (0..20).map(|_| call.take()).collect();
    assert!(!heard.contains(&Heard::Missing), "{heard:?}");
    assert_eq!(call.session.stats(0).lost, 0);
}

#[test]
fn silence_is_told_each_5_s_and_its_end_too() {
    let mut call = Call::new(media());
    call.speak(PCMU);
    call.signals();
    for _ in 0..760 {
        call.take();
    }
    let silent = |silent_ms| Signal::RtpSilent { silent_ms };
    let ceased = Signal::Media(Some(MediaFault::Ceased));
    assert_eq!(call.signals(), [silent(5000), ceased, silent(10_000), silent(15_000)]);
    call.speak(PCMU);
    call.speak(PCMU);
    assert_eq!(call.signals(), [Signal::RtpHeard { remote: phone() }]);
    // A phone that was told not to send may be silent.
    call.session.update(call.now(), RtpMedia { receive: false, ..media() });
    for _ in 0..760 {
        assert_eq!(call.take(), Heard::Nothing);
    }
    assert_eq!(call.signals(), [Signal::Media(None)]);
    call.session.update(call.now(), media());
    for _ in 0..251 {
        call.take();
    }
    assert_eq!(call.signals(), [silent(5000)]);
}

/// What the far end would report of our stream, and its BYE.
fn report(ssrc: u32, goodbye: bool) -> Vec<u8> {
    let block = rtcp::Block { ssrc: START.ssrc, fraction_lost: 64, ..rtcp::Block::default() };
    let (cname, block) = (b"0123456789abcdef", Some(block));
    let mut octets = [0; rtcp::LONGEST];
    let len = rtcp::Compound { ssrc, sent: None, block, cname, metrics: None, goodbye }
        .write(&mut octets);
    octets[..len].to_vec()
}

#[test]
fn reports_of_the_phone_are_believed_and_those_of_others_are_not() {
    let mut call = Call::new(media());
    call.speak(PCMU);
    let control = Endpoint { port: 4001, ..phone() };
    let stranger = Endpoint { ip: [9; 16], port: 4001 };
    call.session.handle_control(Nanos(0), 0, stranger, &report(5, false));
    call.session.handle_shared_control(Nanos(0), 0, phone(), &report(5, false));
    call.session.handle_control(Nanos(0), 0, control, b"no RTCP");
    assert_eq!(call.session.stats(0).far_end, None);
    call.session.handle_control(Nanos(0), 0, control, &report(5, false));
    assert_eq!(call.session.stats(0).far_end.unwrap().fraction_lost, 64);
    let counts = call.session.take_counts();
    assert_eq!((counts.control, counts.control_invalid), (1, 3));
}

#[test]
fn reports_go_above_the_phones_port_or_share_it() {
    let mut octets = [0; CONTROL_OCTETS];
    let mut call = Call::new(media());
    call.speak(PCMU);
    assert!(!call.session.is_control_due(Nanos(0)));
    let later = Nanos(10_000_000_000);
    assert!(call.session.is_control_due(later));
    let (len, target) = call.session.next_control(later, 0, &mut octets).unwrap();
    assert_eq!(target, Endpoint { port: 4001, ..phone() });
    assert!(rtcp::parse(&octets[..len], |_| {}).is_ok());
    call.session.update(later, RtpMedia { rtcp_mux: true, ..media() });
    call.session.handle_shared_control(later, 0, phone(), &report(5, true));
    let (_, target) = call.session.goodbye(later, 0, &mut octets).unwrap();
    assert_eq!(target, phone());
    // The phone has said that it leaves: that is the reason of its silence.
    call.signals();
    call.tick = 500;
    let told: Vec<_> = (0..400)
        .flat_map(|_| {
            call.take();
            call.signals()
        })
        .collect();
    assert!(told.contains(&Signal::Media(Some(MediaFault::Ended))), "{told:?}");
}

#[test]
fn what_is_not_the_phones_is_counted_and_left_alone() {
    let mut call = Call::new(media());
    call.speak(PCMU);
    let stranger = Endpoint { port: 9, ..phone() };
    let octets = Header { marker: false, payload_type: 0, sequence: 1, timestamp: 1, ssrc: 9 };
    assert!(!call.session.handle_packet(Nanos(0), stranger, &octets.octets()));
    assert!(!call.session.handle_packet(Nanos(0), phone(), b"OPTIONS sip:"));
    assert!(!call.packet(34, 0, &[1, 2, 3]));
    call.sequence -= 1;
    call.speak(PCMU);
    call.sequence += 2;
    call.speak(PCMU);
    assert!(call.packet(EVENT, 0, &[1, 2, 3]));
    let counts = call.session.take_counts();
    assert_eq!(
        counts,
        RtpCounts {
            received: 4,
            duplicate: 1,
            lost: 2,
            foreign: 1,
            malformed: 2,
            payload_type: 1,
            ..RtpCounts::default()
        }
    );
    assert_eq!(call.session.take_counts(), RtpCounts::default());
}

#[test]
fn another_source_starts_anew_and_totals_stay() {
    let mut call = Call::new(media());
    for _ in 0..10 {
        call.speak(PCMU);
        call.take();
    }
    for sequence in 0..5 {
        let header = Header { marker: false, payload_type: 0, sequence, timestamp: 9, ssrc: 77 };
        let octets = [&header.octets()[..], &[0x33; FRAME_SAMPLES]].concat();
        call.session.handle_packet(call.now(), phone(), &octets);
    }
    let row = call.session.stats(4711);
    assert_eq!((row.received, row.lost, row.local_port), (14, 0, 4711));
    assert_eq!(call.session.take_counts().resets, 1);
    let heard = [call.take(), call.take(), call.take()];
    assert_eq!(heard, [Heard::Nothing, Heard::Nothing, Heard::Frame]);
    assert_eq!(call.frame.octets, [0x33; FRAME_SAMPLES]);
}

#[test]
fn what_waits_in_the_socket_is_looked_for_until_the_tick_has_its_frame() {
    const MS: u64 = 1_000_000;
    let mut call = Call::new(media());
    let (last, now) = (Nanos(100 * MS), Nanos(120 * MS));
    let mut enough = |sequence: u16, came_ms: u64, samples: usize| {
        let timestamp = u32::from(sequence) * 160;
        let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 5 };
        let octets = [&header.octets()[..], &vec![0x10; samples]].concat();
        call.session.handle_packet(Nanos(came_ms * MS), phone(), &octets);
        let enough = call.session.has_enough(last, now);
        call.session.handle_tick(now);
        enough
    };
    assert!(!enough(9, 115, 160), "the first of its source");
    assert!(enough(10, 115, 160), "the next frame");
    assert!(!enough(11, 95, 160), "the next frame, which another may have overtaken in time");
    assert!(!enough(12, 115, 80), "half of it");
    assert!(!enough(14, 115, 160), "one is missing before it");
    assert!(!enough(13, 115, 160), "that one");
    assert!(!enough(14, 115, 160), "once more");
    assert!(!enough(15, 120, 160), "nobody knows when it came");
    assert!(enough(16, 115, 160), "in order again");
    assert!(!enough(17, 104, 160), "late, so that the one after it may be there too");
}

#[test]
fn signals_are_bounded() {
    let mut call = Call::new(media());
    for digit in 0..100u32 {
        let event = EventPayload { event: 5, end: true, volume: 10, duration: 400 };
        call.packet(EVENT, digit * 800, &event.octets());
    }
    assert_eq!(call.signals().len(), SIGNALS);
    assert!(call.session.take_counts().signals_dropped > 100);
}

proptest::proptest! {
    #[test]
    fn no_packets_panic(packets: Vec<(u8, u8, bool, Vec<u8>)>) {
        let mut call = Call::new(media());
        for (port, what, valid, mut octets) in packets {
            if valid && octets.len() > 12 {
                octets[0] = 0x80;
                octets[1] = [PCMU, PCMA, COMFORT_NOISE, EVENT][usize::from(octets[1] % 4)];
                octets[2] = 0;
                octets[8..12].fill(0);
            }
            let from = Endpoint { port: 4000 + u16::from(port % 3), ..phone() };
            call.session.handle_packet(call.now(), from, &octets);
            match what % 4 {
                0 => { call.take(); }
                1 => { call.send(Law::A); }
                2 => { call.session.send_digit(b'1', 40, 40); }
                _ => { call.session.poll_signal(); }
            }
        }
        call.session.take_counts();
    }
}

fn keys(ours: u8, theirs: u8) -> SrtpKeys {
    let key = |number| SrtpKey { key: [number; 16], salt: [number; 14] };
    let suite = SrtpSuite::Aes128HmacSha1Tag80;
    SrtpKeys { suite, ours: key(ours), theirs: key(theirs) }
}

#[test]
fn an_encrypted_call_is_heard_by_who_has_the_keys_and_by_nobody_else() {
    let secured = RtpMedia { srtp: Some(keys(1, 2)), ..media() };
    let (mut call, mut far) = (Call::new(secured), Srtp::new(keys(2, 1)));
    // What leaves is not what was said, but comes back with the keys; each packet has a number of its
    // own, even where the one before never left.
    let mut sequences = Vec::new();
    for taken in [true, false, true] {
        call.session.put_frame(&Companded { law: Law::Mu, octets: [0x22; FRAME_SAMPLES] });
        let mut octets = call.session.outgoing().unwrap().0.to_vec();
        assert_eq!(octets.len(), 12 + FRAME_SAMPLES + 10);
        let len = far.unprotect(&mut octets).unwrap();
        assert_eq!(octets[12..len], [0x22; FRAME_SAMPLES]);
        sequences.push(u16::from_be_bytes([octets[2], octets[3]]));
        call.session.handle_sent(taken);
    }
    assert_eq!(sequences, [0xFFFF, 0, 1]);
    // What comes in is heard if it authenticates, once.
    for number in 0..6u32 {
        let header = Header {
            marker: false,
            payload_type: PCMU,
            sequence: number as u16,
            timestamp: number * 160,
            ssrc: 5,
        };
        let plain = [&header.octets()[..], &[0x10; FRAME_SAMPLES], &[0; 10]].concat();
        let mut octets = plain.clone();
        let len = far.protect(&mut octets, plain.len() - 10);
        let now = call.now();
        assert!(!call.session.handle_packet(now, phone(), &plain), "unencrypted");
        assert!(call.session.handle_packet(now, phone(), &octets[..len]));
        assert!(!call.session.handle_packet(now, phone(), &octets[..len]), "again");
        call.take();
    }
    assert_eq!(call.frame.octets, [0x10; FRAME_SAMPLES]);
    assert_eq!(call.session.take_counts().not_authentic, 12);
    assert!(call.session.stats(0).srtp);
    // Other keys from now on, and what comes with the old ones is a fault.
    call.session.update(call.now(), RtpMedia { srtp: Some(keys(3, 4)), ..media() });
    for tick in 0..400u32 {
        let header = Header {
            marker: false,
            payload_type: PCMU,
            sequence: 100 + tick as u16,
            timestamp: tick * 160,
            ssrc: 5,
        };
        let mut octets = [&header.octets()[..], &[0x10; FRAME_SAMPLES], &[0; 10]].concat();
        far.protect(&mut octets, 12 + FRAME_SAMPLES);
        call.session.handle_packet(call.now(), phone(), &octets);
        call.take();
    }
    assert!(call.signals().contains(&Signal::Media(Some(MediaFault::NotAuthentic))));
}

#[test]
fn what_was_there_before_the_keys_is_neither_sent_nor_heard() {
    let mut call = Call::new(RtpMedia { remote: None, ..media() });
    let mut far = Srtp::new(keys(2, 1));
    let mut packet = |number: u16| {
        let timestamp = u32::from(number) * 160;
        let header =
            Header { marker: false, payload_type: PCMU, sequence: number, timestamp, ssrc: 5 };
        let mut octets = [&header.octets()[..], &[0x10; FRAME_SAMPLES], &[0; 10]].concat();
        let len = far.protect(&mut octets, 12 + FRAME_SAMPLES);
        octets[..len].to_vec()
    };
    for number in 0..2 {
        call.session.handle_packet(call.now(), phone(), &packet(number));
    }
    call.session.put_frame(&Companded { law: Law::Mu, octets: [0x22; FRAME_SAMPLES] });
    assert!(call.session.outgoing().is_some(), "to whom it heard");
    call.session.update(call.now(), RtpMedia { srtp: Some(keys(1, 2)), ..media() });
    assert!(call.session.outgoing().is_none());
    for number in 2..10 {
        call.session.handle_packet(call.now(), phone(), &packet(number));
        if call.take() == Heard::Frame {
            assert_eq!(call.frame.octets, [0x10; FRAME_SAMPLES]);
        }
    }
    assert_eq!(call.frame.octets, [0x10; FRAME_SAMPLES], "heard at last");
}
