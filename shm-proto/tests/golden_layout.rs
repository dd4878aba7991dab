//! The layout as literal numbers and bytes, and against `LAYOUT.md`. When this fails, the layout
//! has changed: raise `LAYOUT_VERSION`, then change these, then the document.
#![cfg(not(loom))]

use std::fs::File;
use std::os::unix::fs::FileExt;
use tipring_shm_proto::command::*;
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::{
    DigitSource, Event, HeardTone, LineEvent, MediaFault, PlaybackEnd, RingStop, SitCode,
    SpeechEnd, Stamped,
};
use tipring_shm_proto::layout::*;
use tipring_shm_proto::line_table::{
    DahdiFault, DahdiRow, FarEndReport, LineRow, LineVolts, MeterRow, PlaybackRow, Quality, RtpRow,
};
use tipring_shm_proto::settings::*;
use tipring_shm_proto::units::*;
use tipring_shm_proto::{Direction, Downlink, EngineMap, FrameFlags, Uplink, wire};

const DIMENSIONS: Dimensions = Dimensions { loops: 2, lines: 66 };

#[test]
fn sections_lie_where_they_lay() {
    let up = UplinkLayout {
        loops: 4096,
        play_cursors: 8192,
        rows: 16_384,
        events: 53_248,
        audio: 315_392,
        size: 3_571_712,
    };
    let down = DownlinkLayout {
        loops: 4096,
        play_cursors: 8192,
        commands: 16_384,
        plays: 147_456,
        size: 13_123_584,
    };
    assert_eq!((UplinkLayout::of(DIMENSIONS), DownlinkLayout::of(DIMENSIONS)), (up, down));
    let most = Dimensions { loops: MAX_LOOPS, lines: MAX_LINES };
    assert_eq!(UplinkLayout::of(most).size, 53_161_984);
    assert_eq!(DownlinkLayout::of(most).size, 202_448_896);
    assert_eq!(LAYOUT_VERSION, 7);
}

/// The segments as files, so that what is compared is what lies in them.
struct Segments {
    uplink: Uplink,
    map: EngineMap,
    up: File,
    down: File,
}

impl Segments {
    fn new() -> Self {
        let uplink = Uplink::create(DIMENSIONS, Generation(0x0123_4567_89ab)).unwrap();
        uplink.beat(Nanos(0x55));
        uplink.set_ready();
        let downlink = Downlink::create(&uplink, Attachment(9)).unwrap();
        let clone = || [uplink.fd(), downlink.fd()].map(|fd| fd.try_clone_to_owned().unwrap());
        let ([a, b], [c, d]) = (clone(), clone());
        Self { map: EngineMap::attach(a, b).unwrap(), up: c.into(), down: d.into(), uplink }
    }
}

fn words_at<const N: usize>(file: &File, at: usize) -> [u64; N] {
    std::array::from_fn(|i| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, (at + i * 8) as u64).unwrap();
        u64::from_le_bytes(bytes)
    })
}

#[test]
fn headers_read_as_they_read() {
    let segments = Segments::new();
    let dimensions = 66 << 16 | 2;
    assert_eq!(
        words_at(&segments.up, 0),
        [
            u64::from_le_bytes(*b"TIPRUPLK"),
            7,
            0x0123_4567_89ab,
            dimensions,
            3_571_712,
            1,
            0,
            0,
            0x55
        ]
    );
    segments.uplink.doorbell().ring();
    assert_eq!(words_at(&segments.up, 128), [1]);
    assert_eq!(
        words_at(&segments.down, 0),
        [u64::from_le_bytes(*b"TIPRDNLK"), 7, 9, dimensions, 13_123_584, 0, 0, 0, 0]
    );
}

#[test]
fn rings_and_rows_read_as_they_read() {
    let segments = Segments::new();
    let (line, other_line, frame_loop) = (LineId(65), LineId(64), LoopId(1));

    let samples: [i16; 160] = std::array::from_fn(|i| i as i16 - 1);
    let mut audio = segments.uplink.audio_writer(line);
    for direction in [Direction::Rx, Direction::Tx, Direction::Tx] {
        audio.publish(direction, Nanos(7), TenthDbm0(-2), FrameFlags::CONCEALED, &samples);
    }
    let tx = 315_392 + 131 * (64 + 64 * 384);
    assert_eq!(words_at(&segments.up, tx), [2], "head");
    let slot = [4, 7, 0x0002_fffe, 0, 0, 0, 0, 0, 0x0002_0001_0000_ffff, 0x0006_0005_0004_0003];
    assert_eq!(words_at(&segments.up, tx + 64 + 384), slot);
    assert_eq!(words_at(&segments.up, tx + 64 + 383 - 7 + 384), [0x009e_009d_009c_009b]);

    segments.uplink.line_writer(line).publish(&row());
    let length = wire::encode::<_, { ROW_WORDS - 1 }>(&row()).unwrap()[0];
    assert_eq!(words_at(&segments.up, 16_384 + 65 * 512), [2, length]);

    segments.uplink.counters(frame_loop).add(Counter::rtp_lost_total, 5);
    assert_eq!(words_at(&segments.up, 4096 + 512 + 128 + 12 * 8), [5]);

    let mut play = segments.map.play_writer(other_line, 2);
    play.audio(PlaybackId(3), &samples).unwrap();
    play.audio(PlaybackId(3), &samples[..1]).unwrap();
    play.mark(PlaybackId(3), MarkId(4)).unwrap();
    play.end(PlaybackId(3)).unwrap();
    assert_eq!(words_at(&segments.down, 8192 + 64 * 64 + 16), [9 << 32 | 4], "write cursor");
    let ring = 147_456 + (64 * 4 + 2) * 128 * 384;
    let audio = [160 << 16 | 1, 3, 0, 0, 0, 0, 0, 0, 0x0002_0001_0000_ffff];
    assert_eq!(words_at(&segments.down, ring), audio);
    assert_eq!(words_at(&segments.down, ring + 384), [1 << 16 | 1, 3, 0, 0, 0, 0, 0, 0, 0xffff, 0]);
    assert_eq!(words_at(&segments.down, ring + 2 * 384), [2, 3, 4]);
    assert_eq!(words_at(&segments.down, ring + 3 * 384), [3, 3, 0]);

    segments.map.command_writer(frame_loop).send(&request()).unwrap();
    assert_eq!(words_at(&segments.down, 4096 + 128), [9 << 32 | 1], "write cursor");
    let slot = words_at(&segments.down, 16_384 + 256 * 256);
    assert_eq!(slot, [30, 0x1122_3344_5566_7788, 0x99aa, 0xbeef_0000_000d_0203]);
}

#[test]
fn values_encode_as_they_did() {
    assert_eq!(
        hex(&wire::encode::<_, COMMAND_WORDS>(&request()).unwrap()),
        "8877665544332211aa9900000000000003020d000000efbe000000000000"
    );
    assert_eq!(
        hex(&wire::encode::<_, EVENT_WORDS>(&event()).unwrap()),
        "020100000000000001000000030208000000efbe000000000000060500000807000000000000"
    );
    let expected = [
        "067274702f313700000000000000000000000000000000000000000000000000000200000001",
        "0300000001000000000000000102000000010000000200000000000000020000000300000000",
        "000000010400011c00013501fafff9ff",
        "e3ff1f00e0ff2100000001deff23",
        "e2ff1f00e0ff2100000001deff23",
        "01080001eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee901f010000",
        "00016509000000000000000a000000000000000b000000000000000c000000000000000d0000",
        "000e001200130000001400000000000000150000001600000001e9ff01180000000119e6ffff",
        "ff1b00000001b6019c01010f0000000000000010000000000000000f00000000000000100000",
        "00000000000f0000000000000010000000000000000f00000000000000100000000000000001",
        "8044ffff019f0101110000000000000001120013001400201000000000000015000000160000",
        "0007574354444d2f30000000000000000000000000000000000000000000000000001057696c",
        "64636172642054444d343130500000000000000000000000000000000001b8f5ffff0044ffff",
        "4038ffff0109000000756b050000000200000001eeff1300ecff150016001700011800e7ff01",
        "01",
    ];
    assert_eq!(hex(&wire::encode::<_, { ROW_WORDS - 1 }>(&row()).unwrap()), expected.concat());
}

#[test]
fn every_value_fits_its_slot_and_comes_back() {
    for command in commands() {
        let request = Request { command, ..request() };
        let words = wire::encode::<_, COMMAND_WORDS>(&request).expect("it fits");
        assert_eq!(wire::decode(&words), Some(request));
        assert_eq!(words[1], request.id.0, "the id of a malformed slot can be told");
    }
    for event in events() {
        let stamped = Stamped { at: Nanos(u64::MAX), event };
        let words = wire::encode::<_, EVENT_WORDS>(&stamped).expect("it fits");
        assert_eq!(wire::decode(&words), Some(stamped));
    }
    let words = wire::encode::<_, { ROW_WORDS - 1 }>(&row()).expect("it fits");
    assert_eq!(wire::decode(&words), Some(row()));
}

#[test]
fn what_is_no_value_is_none() {
    let good = wire::encode::<_, COMMAND_WORDS>(&request()).unwrap();
    let with = |word: usize, value: u64| {
        let mut words = good;
        words[word] = value;
        wire::decode::<Request, COMMAND_WORDS>(&words)
    };
    assert_eq!(with(0, good[0]), Some(request()));
    for length in [0, 1, good[0] - 1, good[0] + 1, 248, 249, 1 << 32, u64::MAX] {
        assert_eq!(with(0, length), None, "{length} bytes");
    }
    assert_eq!(with(3, 99 << 16), None, "a variant that there is not");
    assert_eq!(with(3, u64::MAX), None);
}

/// bincode has no names: what an enum's variant is called is its place in the list.
#[test]
fn variants_keep_their_numbers() {
    let tag = |command: Command| {
        let words = wire::encode::<_, COMMAND_WORDS>(&Request { command, ..request() }).unwrap();
        let bytes: Vec<u8> = words[1..].iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes[18]
    };
    let tags: Vec<u8> = commands().into_iter().map(tag).collect();
    let expected = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 17, 17, 18, 19, 20, 21, 22,
        23, 24, 25,
    ];
    assert_eq!(tags, expected);
    let tag = |event: Event| wire::encode::<_, EVENT_WORDS>(&Stamped { at: Nanos(0), event });
    let tags: Vec<u32> = events().into_iter().map(|e| tag(e).unwrap()[2] as u32).collect();
    assert_eq!(tags[..3], [0, 0, 2]);
    assert!(tags[3..].iter().all(|tag| *tag == 1));
    let lines: Vec<u8> = events()[3..].iter().map(|e| (tag(*e).unwrap()[2] >> 48) as u8).collect();
    assert_eq!(lines, (0..lines.len() as u8).collect::<Vec<_>>());
}

#[test]
fn counters_keep_their_words() {
    let names: Vec<&str> = Counter::ALL.iter().map(|counter| counter.name()).collect();
    let expected = "ticks_total ticks_late_total ticks_missed_total frames_late_total \
        commands_total commands_malformed_total peer_faults_total events_dropped_total \
        play_underruns_total bridge_dropped_frames_total rtp_received_total rtp_sent_total \
        rtp_lost_total rtp_late_total rtp_invalid_total tick_ns_max tick_ns_sum \
        signals_dropped_total reports_dropped_total rtp_forwarded_total rtcp_received_total \
        rtcp_invalid_total srtp_refused_total card_overruns_total card_underruns_total \
        card_blocks_missing_total card_errors_total card_pacer_changes_total card_stalls_total \
        card_reserve_ns_min card_event_overflows_total card_open_failures_total";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    for (index, counter) in Counter::ALL.iter().enumerate() {
        assert_eq!(*counter as usize, index);
    }
}

/// Every number of `LAYOUT.md`'s tables is the code's.
#[test]
fn the_document_says_the_same() {
    let document = include_str!("../LAYOUT.md");
    let has = |row: String| {
        assert!(document.lines().any(|line| line.starts_with(&row)), "LAYOUT.md lacks {row:?}");
    };
    has(format!("Layout version: **{LAYOUT_VERSION}**"));
    for (name, word) in [
        ("magic", uplink_header::MAGIC),
        ("layout version", uplink_header::VERSION),
        ("generation", uplink_header::GENERATION),
        ("dimensions", uplink_header::DIMENSIONS),
        ("size", uplink_header::SIZE_BYTES),
        ("ready", uplink_header::READY),
        ("heartbeat", uplink_header::HEARTBEAT),
        ("doorbell", uplink_header::DOORBELL),
        ("attachment", downlink_header::ATTACHMENT),
        ("parked", downlink_header::PARKED),
        ("events written", uplink_loop::EVENTS_WRITTEN),
        ("events dropped", uplink_loop::EVENTS_DROPPED),
        ("commands read", uplink_loop::COMMANDS_READ),
        ("counters", uplink_loop::COUNTERS),
        ("commands written", downlink_loop::COMMANDS_WRITTEN),
        ("events read", downlink_loop::EVENTS_READ),
    ] {
        has(format!("| {} | {name} |", word * 8));
    }
    for (name, bytes) in [
        ("uplink loop block", UPLINK_LOOP_BYTES),
        ("downlink loop block", DOWNLINK_LOOP_BYTES),
        ("play cursors", PLAY_CURSORS_BYTES),
        ("row", ROW_BYTES),
        ("event ring", EVENT_RING_BYTES),
        ("command ring", COMMAND_RING_BYTES),
        ("play ring", PLAY_RING_BYTES),
        ("audio ring", AUDIO_RING_BYTES),
    ] {
        has(format!("| {name} | {bytes} |"));
    }
    for counter in Counter::ALL {
        has(format!("| {} | `{}` |", *counter as usize * 8, counter.name()));
    }
    let (up, down) = (UplinkLayout::of(DIMENSIONS), DownlinkLayout::of(DIMENSIONS));
    for (name, offset) in [
        ("loop blocks", up.loops),
        ("play read cursors", up.play_cursors),
        ("rows", up.rows),
        ("event rings", up.events),
        ("audio rings", up.audio),
        ("end", up.size),
        ("loop blocks", down.loops),
        ("play write cursors", down.play_cursors),
        ("command rings", down.commands),
        ("play rings", down.plays),
        ("end", down.size),
    ] {
        has(format!("| {name} | {offset} |"));
    }
}

fn hex(words: &[u64]) -> String {
    let used = words[0] as usize;
    let bytes: Vec<u8> = words[1..].iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes[..used].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn request() -> Request {
    Request {
        id: CommandId(0x1122_3344_5566_7788),
        generation: Generation(0x99aa),
        line: LineId(0x0203),
        command: Command::StopPlayback { playback: PlaybackId(0xbeef) },
    }
}

fn event() -> Stamped {
    let event = LineEvent::Mark {
        playback: PlaybackId(0xbeef),
        mark: MarkId(0x0506),
        played_samples: 0x0708,
    };
    Stamped { at: Nanos(0x0102), event: Event::Line { line: LineId(0x0203), event } }
}

/// The largest row: every option is there.
fn row() -> LineRow {
    let endpoint = Endpoint { ip: [0xee; 16], port: 0x1f90 };
    LineRow {
        label: Text32::new("rtp/17"),
        kind: LineKind::Rtp,
        frame_loop: LoopId(1),
        state: Since { value: LineState::OffHook, at: Nanos(1) },
        phase: Some(Phase::Talking),
        hook: Since { value: Hook::Off, at: Nanos(2) },
        hook_source: HookSource::Signalling,
        tag: 3,
        peer: Some(LineId(4)),
        conference: Some(ConferenceId(28)),
        echo: true,
        last_digit: b'5',
        voice: true,
        rx_level: TenthDbm0(-6),
        tx_level: TenthDbm0(-7),
        rx_meter: meter(-29),
        tx_meter: meter(-30),
        rtp: Some(RtpRow {
            local_port: 8,
            remote: Some(endpoint),
            law: Law::A,
            telephone_event: Some(101),
            received: 9,
            sent: 10,
            lost: 11,
            late: 12,
            jitter_us: 13,
            depth_ms: 14,
            target_ms: 18,
            duplicates: 19,
            concealed_ms: 20,
            stretched_ms: 21,
            shortened_ms: 22,
            drift_ppm: Some(-23),
            round_trip_us: Some(24),
            far_end: Some(FarEndReport { fraction_lost: 25, lost: -26, jitter_us: 27 }),
            quality: Some(Quality { call_mos: 438, recent_mos: 412 }),
            srtp: true,
        }),
        playbacks: [PlaybackRow { playback: PlaybackId(15), played_samples: 16 }; 4],
        millivolts: Some(-48_000),
        tenths_celsius: Some(415),
        alarm: true,
        written_at: Nanos(17),
        dahdi: Some(DahdiRow {
            channel: 18,
            span: 19,
            position: 20,
            signalling: 0x1020,
            law: Law::Mu,
            span_alarms: 21,
            channel_alarms: 22,
            span_name: Text32::new("WCTDM/0"),
            card: Text32::new("Wildcard TDM410P"),
            volts: Some(LineVolts { tip: -2632, ring: -48_128, battery: -51_136 }),
            fault: Some(DahdiFault::Kernel),
        }),
        settings: settings(),
    }
}

fn meter(tenths: i16) -> MeterRow {
    MeterRow {
        level: TenthDbm0(tenths),
        peak: TenthDbm0(31),
        dc: -32,
        clipped_samples: 33,
        active_speech: Some(TenthDbm0(-34)),
        activity_percent: 35,
    }
}

fn settings() -> LineSettings {
    LineSettings {
        caller_id: CallerIdType::EtsiLineReversal,
        dtmf: DtmfSettings { profile: DtmfProfile::Etsi, weakest: Some(TenthDbm0(-18)) },
        voice: VoiceSettings {
            above_noise: TenthDb(19),
            weakest: TenthDbm0(-20),
            offset_ms: 21,
            provisional_end_ms: 22,
            final_end_ms: 23,
        },
        echo_canceller: true,
        rx_gain: TenthDb(24),
        tx_gain: TenthDb(-25),
        automatic_gain: true,
        limiter: true,
        ..LineSettings::of_country(*b"uk")
    }
}

/// Every command, each as large as it gets.
fn commands() -> Vec<Command> {
    let text = Text32::new("01234567890123456789012345678901");
    let digits = Digits::new("01234567890123456789012345678901").unwrap();
    let key = SrtpKey { key: [0xaa; 16], salt: [0x55; 14] };
    let media = RtpMedia {
        remote: Some(Endpoint { ip: [1; 16], port: 2 }),
        law: Law::Mu,
        telephone_event: Some(101),
        send: true,
        receive: true,
        rtcp_mux: true,
        srtp: Some(SrtpKeys { suite: SrtpSuite::Aes128HmacSha1Tag32, ours: key, theirs: key }),
    };
    let step = ToneStep { hz: [350, 440], level: TenthDbm0(-130), ms: 1000, modulation_hz: 20 };
    vec![
        Command::Ring {
            cadence: Cadence::new(&[1000; 16]).unwrap(),
            timeout_ms: 60_000,
            caller: CallerId { number: text, name: text },
        },
        Command::StopRing,
        Command::ReportHook { hook: Hook::Off, source: HookSource::Signalling },
        Command::HangUp,
        Command::Tone(Some(ProgressTone::Busy)),
        Command::Dtmf { digits, on_ms: 100, off_ms: 100 },
        Command::Flash,
        Command::Hold(true),
        Command::Bridge { peer: LineId(1) },
        Command::Unbridge,
        Command::Echo(true),
        Command::Tag(u64::MAX),
        Command::StartPlayback {
            slot: 3,
            playback: PlaybackId(1),
            path: PlayPath::Line,
            source: PlaySource::Tone(ToneSpec { len: 8, steps: [step; 8], repeat: 1 }),
            gain: TenthDb(-60),
            stop_on: StopOn { digit: true, voice: true },
        },
        Command::StopPlayback { playback: PlaybackId(1) },
        Command::OpenRtp { media, local_ip: [0; 16] },
        Command::UpdateRtp { media },
        Command::CloseRtp,
        Command::Sim(SimAction::DialTones { digits, on_ms: 100, off_ms: 100 }),
        Command::Sim(SimAction::Hook { off: true, bounce_ms: 10 }),
        Command::Sim(SimAction::Hybrid { loss: Some(TenthDb(60)) }),
        Command::Reset,
        Command::Polarity { reversed: true },
        Command::MessageWaiting { messages: 3 },
        Command::LineSettings(settings()),
        Command::Mute { spoken: true, heard: true },
        Command::Confer { conference: ConferenceId(1), heard_by: HeardBy::Only(LineId(2)) },
        Command::KeepDigits(true),
        Command::CallWaiting { caller: CallerId { number: text, name: text } },
    ]
}

/// Answers, overload, then every event of a line in the order of the enum, each as large as it
/// gets.
fn events() -> Vec<Event> {
    let level = TenthDbm0(-100);
    let remote = Endpoint { ip: [1; 16], port: 2 };
    let (playback, mark) = (PlaybackId(u64::MAX), MarkId(u32::MAX));
    let id = CommandId(u64::MAX);
    let flushed = Outcome::Flushed { played_samples: u64::MAX, uncertain_samples: 160 };
    let refused = Outcome::Refused(Refusal::State(LineState::Fault));
    let of_line = [
        LineEvent::State { state: LineState::OffHook, phase: Some(Phase::Talking) },
        LineEvent::HookChanged { hook: Hook::Off, source: HookSource::Loop },
        LineEvent::Flash { duration_ms: 300 },
        LineEvent::Digit {
            digit: b'5',
            duration_ms: 60,
            level,
            source: DigitSource::Dtmf,
            twist: TenthDb(-20),
        },
        LineEvent::Voice {
            active: false,
            level,
            noise: level,
            began: Nanos(u64::MAX),
            ended: Some(Nanos(u64::MAX)),
        },
        LineEvent::RingStarted,
        LineEvent::RingStopped { cause: RingStop::Answered },
        LineEvent::PlaybackEnded {
            playback,
            cause: PlaybackEnd::Finished,
            played_samples: u64::MAX,
            underruns: u32::MAX,
        },
        LineEvent::Mark { playback, mark, played_samples: u64::MAX },
        LineEvent::DtmfSent,
        LineEvent::BridgeEnded { peer: LineId(1) },
        LineEvent::RtpSilent { silent_ms: u32::MAX },
        LineEvent::RtpHeard { remote },
        LineEvent::Voltage { millivolts: -48_000 },
        LineEvent::Temperature { tenths_celsius: 415 },
        LineEvent::Alarm { active: true },
        LineEvent::DeviceLost,
        LineEvent::DeviceBack,
        LineEvent::Media { fault: Some(MediaFault::Unheard) },
        LineEvent::SpeechEnd { certainty: SpeechEnd::Final, last_sound: Nanos(u64::MAX) },
        LineEvent::Tone {
            tone: HeardTone::SpecialInformation { code: Some(SitCode::NoCircuit) },
            active: false,
            level,
            began: Nanos(u64::MAX),
            duration_ms: u32::MAX,
        },
    ];
    let mut events = vec![
        Event::CommandDone { id, outcome: flushed },
        Event::CommandDone { id, outcome: refused },
        Event::Overloaded(true),
    ];
    events.extend(of_line.map(|event| Event::Line { line: LineId(u16::MAX), event }));
    events
}
