//! Rules of the module above, in virtual time.

use super::*;
use proptest::prelude::*;

const SSRC: u32 = 7;

/// A packet: when (ms), timestamp, marker, event, end, duration.
type Row = (u64, u32, bool, u8, bool, u16);

/// What the signals say: `b5` begins 5, `5/100` ended it after 100 ms, `f` is a flash.
fn told(rows: &[Row], until_ms: u64) -> String {
    let mut receiver = EventReceiver::default();
    let mut told = Vec::new();
    let mut rows = rows.iter().peekable();
    for now_ms in 0..=until_ms {
        let now = Nanos(now_ms * 1_000_000);
        while let Some((_, timestamp, marker, event, end, duration)) =
            rows.next_if(|row| row.0 <= now_ms)
        {
            let payload =
                EventPayload { event: *event, end: *end, volume: 10, duration: *duration };
            told.extend(receiver.handle_packet(now, (SSRC, *timestamp, *marker), payload));
        }
        told.extend(receiver.handle_time(now));
    }
    let words = told.into_iter().map(|signal| match signal {
        Signal::DigitBegin { digit, source: DigitSource::TelephoneEvent } => {
            format!("b{}", digit as char)
        }
        Signal::Digit { digit, duration_ms, level: TenthDbm0(-100), .. } => {
            format!("{}/{duration_ms}", digit as char)
        }
        Signal::Flash => "f".into(),
        other => format!("{other:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn packets_become_digits_once() {
    // telephony.md's traps, each in a line: what arrives, what is told by 1 s.
    let table: [(&str, &[Row], &str); 17] = [
        (
            "a digit as RFC 4733 sends it",
            &[
                (0, 0, true, 5, false, 160),
                (20, 0, false, 5, false, 320),
                (40, 0, false, 5, true, 480),
                (40, 0, false, 5, true, 480),
                (40, 0, false, 5, true, 480),
            ],
            "b5 5/60",
        ),
        (
            "SIPp's recording: durations run twice as fast, marker on none",
            &[
                (0, 0, false, 1, false, 320),
                (20, 0, false, 1, false, 640),
                (40, 0, false, 1, false, 960),
                (60, 0, false, 1, true, 2240),
                (60, 0, false, 1, true, 2240),
                (61, 0, false, 1, true, 2240),
            ],
            "b1 1/280",
        ),
        ("only one end arrives", &[(0, 0, false, 11, true, 800)], "b# #/100"),
        ("lost start", &[(0, 0, false, 10, false, 640), (20, 0, false, 10, true, 800)], "b* */100"),
        ("lost end: told after three intervals", &[(0, 0, true, 9, false, 800)], "b9 9/100"),
        (
            "the end comes after it was taken for lost",
            &[(0, 0, true, 9, false, 160), (300, 0, false, 9, true, 2400)],
            "b9 9/20",
        ),
        (
            "a slow sender: 80 ms between packets is no loss",
            &[
                (0, 0, true, 9, false, 160),
                (80, 0, false, 9, false, 800),
                (290, 0, false, 9, true, 2320),
            ],
            "b9 9/290",
        ),
        (
            "the same digit again is another one",
            &[
                (0, 0, true, 4, true, 400),
                (0, 0, false, 4, true, 400),
                (100, 800, true, 4, true, 400),
            ],
            "b4 4/50 b4 4/50",
        ),
        (
            "a new digit before the end of the old one",
            &[(0, 0, true, 1, false, 400), (60, 800, true, 2, true, 400)],
            "b1 1/50 b2 2/50",
        ),
        (
            "an old end after the new digit has begun",
            &[
                (0, 0, true, 1, true, 400),
                (60, 800, true, 2, false, 160),
                (61, 0, false, 1, true, 400),
                (80, 800, false, 2, true, 400),
            ],
            "b1 1/50 b2 2/50",
        ),
        (
            "a whole digit overtaken by the next",
            &[
                (60, 800, true, 2, false, 160),
                (61, 0, true, 1, true, 400),
                (62, 0, false, 1, true, 400),
                (80, 800, false, 2, true, 400),
            ],
            "b2 b1 1/50 2/50",
        ),
        ("no duration", &[(0, 0, true, 1, false, 0), (20, 0, false, 1, true, 320)], "b1 1/40"),
        ("a flash", &[(0, 0, true, 16, false, 160), (20, 0, false, 16, true, 320)], "f"),
        ("fax tones and others", &[(0, 0, true, 36, true, 320), (0, 9, true, 255, true, 9)], ""),
        (
            "updates out of order",
            &[
                (0, 0, true, 3, false, 320),
                (20, 0, false, 3, false, 160),
                (40, 0, false, 3, true, 480),
            ],
            "b3 3/60",
        ),
        (
            "longer than a segment",
            &[
                (0, 0, true, 3, false, 0xFFFF),
                (20, 0xFFFF, false, 3, false, 160),
                (40, 0xFFFF, false, 3, true, 320),
                (40, 0xFFFF, false, 3, true, 320),
            ],
            "b3 3/8231",
        ),
        (
            "as long, but marked: another digit",
            &[(0, 0, true, 3, false, 0xFFFF), (20, 0xFFFF, true, 3, true, 320)],
            "b3 3/8191 b3 3/40",
        ),
    ];
    for (name, rows, expected) in table {
        assert_eq!(told(rows, 1000), expected, "{name}");
    }
}

#[test]
fn another_source_is_another_digit() {
    let mut receiver = EventReceiver::default();
    let payload = EventPayload { event: 1, end: true, volume: 0, duration: 400 };
    let mut told = |ssrc| receiver.handle_packet(Nanos(0), (ssrc, 0, true), payload).count();
    assert_eq!([told(1), told(1), told(2), told(1)], [2, 0, 2, 0]);
}

/// What is sent for each frame: marker, timestamp, end, duration.
fn sent(sender: &mut EventSender, frames: u32) -> Vec<Option<(bool, u32, bool, u16)>> {
    let mut next = |frame| {
        let EventPacket { marker, timestamp, payload } = sender.next_packet(frame * 160)?;
        assert!(payload.volume == VOLUME && payload.event == 5);
        Some((marker, timestamp, payload.end, payload.duration))
    };
    (0..frames).map(&mut next).collect()
}

#[test]
fn a_digit_is_sent_each_frame_and_ends_three_times() {
    let mut sender = EventSender::default();
    sender.queue_digit(b'5', 70, 50).unwrap();
    sender.queue_digit(b'5', 40, 40).unwrap();
    assert_eq!(
        sent(&mut sender, 12),
        [
            Some((true, 0, false, 160)),
            Some((false, 0, false, 320)),
            Some((false, 0, false, 480)),
            Some((false, 0, true, 640)),
            Some((false, 0, true, 640)),
            Some((false, 0, true, 640)),
            None,
            Some((true, 1120, false, 160)),
            Some((false, 1120, true, 320)),
            Some((false, 1120, true, 320)),
            Some((false, 1120, true, 320)),
            None,
        ]
    );
    assert!(!sender.is_pending());
}

#[test]
fn the_queue_is_bounded_and_takes_digits_only() {
    let mut sender = EventSender::default();
    assert_eq!(sender.queue_digit(b'E', 40, 40), Err(NotQueued::NoDigit));
    assert_eq!(sender.queue_digit(16, 40, 40), Err(NotQueued::NoDigit));
    for _ in 0..QUEUE {
        assert_eq!(sender.queue_digit(b'5', 0, u16::MAX), Ok(()));
    }
    assert_eq!(sender.queue_digit(b'5', 40, 40), Err(NotQueued::Full));
    assert_eq!(sender.queue_flash(), Err(NotQueued::Full));
}

proptest! {
    #[test]
    fn a_payload_is_read_as_written(event: u8, end: bool, volume in 0..64u8, duration: u16) {
        let payload = EventPayload { event, end, volume, duration };
        prop_assert_eq!(EventPayload::parse(&payload.octets()), Some(payload));
        prop_assert_eq!(EventPayload::parse(&payload.octets()[..3]), None);
    }

    #[test]
    fn digits_survive_losses_and_repeats_without_doubling(
        digits in prop::collection::vec((0..16usize, 40..300u16, 40..200u16), 1..20),
        fates in prop::collection::vec(0..4u8, 400),
    ) {
        const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
        let mut sender = EventSender::default();
        for (digit, on, off) in &digits {
            sender.queue_digit(DIGITS[*digit], *on, *off).unwrap();
        }
        let mut receiver = EventReceiver::default();
        let (mut begun, mut ended, mut arrived) = (Vec::new(), Vec::new(), Vec::new());
        for frame in 0..700u32 {
            let now = Nanos(u64::from(frame) * 20_000_000);
            let mut told = Vec::new();
            if let Some(packet) = sender.next_packet(frame * 160) {
                // Lost (0) or doubled (1).
                let fate = fates[frame as usize % fates.len()];
                for _ in 0..[0, 2, 1, 1][usize::from(fate)] {
                    let name = (SSRC, packet.timestamp, packet.marker);
                    told.extend(receiver.handle_packet(now, name, packet.payload));
                    let digit = DIGITS[usize::from(packet.payload.event)];
                    if arrived.last() != Some(&(packet.timestamp, digit)) {
                        arrived.push((packet.timestamp, digit));
                    }
                }
            }
            told.extend(receiver.handle_time(now));
            for signal in told {
                match signal {
                    Signal::DigitBegin { digit, .. } => begun.push(digit),
                    Signal::Digit { digit, .. } => ended.push(digit),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
        let expected: Vec<u8> = arrived.into_iter().map(|(_, digit)| digit).collect();
        prop_assert_eq!(&begun, &expected);
        prop_assert_eq!(&ended, &expected);
        prop_assert!(!sender.is_pending());
    }

    #[test]
    fn no_packets_panic(rows: Vec<(u32, u32, u32, bool, u8, bool, u16)>) {
        let mut receiver = EventReceiver::default();
        for (now, ssrc, timestamp, marker, event, end, duration) in rows {
            let payload = EventPayload { event: event % 20, end, volume: 63, duration };
            let now = Nanos(u64::from(now));
            prop_assert!(receiver.handle_packet(now, (ssrc % 2, timestamp, marker), payload).count() <= 3);
            receiver.handle_time(now);
        }
    }
}
