//! Caller ID that we send, read by spandsp (Debian's libspandsp2) and by multimon-ng; and what
//! spandsp sends, read by us. All of it through A-law.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tipring_engine::dsp::caller_id::{Announcement, CallTime, FskReceiver, Told, digits, message};
use tipring_engine::dsp::dtmf_detector::{DtmfDetector, DtmfEvent};
use tipring_engine::dsp::sample::rounded;
use tipring_shm_proto::command::CallerId;
use tipring_shm_proto::settings::CallerIdType;
use tipring_shm_proto::units::Text32;
use tipring_signals::companding::{Law, round_trip};
use tipring_signals::resample::at_speed;
use tipring_signals::{RATE_HZ, wav};

const TIME: CallTime = CallTime { month: 11, day: 21, hour: 15, minute: 30 };
/// 15:30 on 21 November, 5551234567, JOHN SMITH: type, length, three parameters (GR-30, EN 300 659-3).
const MULTIPLE: &str = "802201083131323131353330020a35353531323334353637070a4a4f484e20534d495448";
/// The same of one kind, without the name.
const SINGLE: &str = "0412313132313135333035353531323334353637";
/// Samples a second that multimon-ng takes.
const MULTIMON_HZ: f64 = 22_050.0;

fn john() -> CallerId {
    CallerId { number: Text32::new("5551234567"), name: Text32::new("JOHN SMITH") }
}

fn companded(samples: impl IntoIterator<Item = i16>) -> Vec<i16> {
    samples.into_iter().map(|sample| round_trip(Law::A, sample)).collect()
}

/// What a telephone hears of it, and half a second more.
fn announced(mut announcement: Announcement) -> Vec<i16> {
    let mut samples = Vec::new();
    while !announcement.is_over() {
        let mut mix = [0.0; 160];
        announcement.add(&mut mix);
        samples.extend(mix.map(rounded));
    }
    samples.resize(samples.len() + RATE_HZ / 2, 0);
    companded(samples)
}

fn call(kind: CallerIdType) -> Vec<i16> {
    announced(Announcement::call(kind, &john(), Some(TIME)).expect("an announcement"))
}

/// A file of its own for each test and what it is about.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("caller_id_{name}.wav"))
}

fn spandsp(program: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spandsp").join(program);
    let output = Command::new("/usr/bin/python3").arg(script).args(arguments).output();
    said(&output.expect("python3"))
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text").trim().to_owned()
}

fn read_by_spandsp(standard: &str, samples: &[i16]) -> String {
    let path = file(standard);
    wav::write(&path, samples).expect("a file");
    spandsp("caller_id.py", &[path.to_str().expect("UTF-8"), standard])
}

fn sent_by_spandsp(standard: &str, message: &str) -> Vec<i16> {
    let path = file(&format!("of_{standard}"));
    spandsp("caller_id_sender.py", &[standard, message, path.to_str().expect("UTF-8")]);
    companded(wav::read(&path).expect("a file"))
}

/// What multimon-ng reads: a line for each message.
fn read_by_multimon(samples: &[i16]) -> String {
    let faster = at_speed(samples, RATE_HZ as f64 / MULTIMON_HZ);
    let octets: Vec<u8> =
        faster.iter().flat_map(|sample| (sample.round() as i16).to_le_bytes()).collect();
    let mut multimon = Command::new("multimon-ng")
        .args(["-q", "-t", "raw", "-a", "CLIPFSK", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("multimon-ng, of Debian's package of that name");
    multimon.stdin.take().expect("a pipe").write_all(&octets).expect("a reader");
    said(&multimon.wait_with_output().expect("multimon-ng"))
}

fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hexadecimal, octet| {
        write!(hexadecimal, "{octet:02x}").expect("a string takes it");
        hexadecimal
    })
}

#[test]
fn spandsp_reads_every_standard() {
    use CallerIdType::{
        Bellcore, BellcoreSingle, Dtmf, DtmfHash, DtmfLineReversal, EtsiAfterRing, EtsiDualTone,
        EtsiLineReversal,
    };
    for (kind, standard, expected) in [
        (Bellcore, "class", MULTIPLE.to_owned()),
        (BellcoreSingle, "class", SINGLE.to_owned()),
        (EtsiAfterRing, "clip", MULTIPLE.to_owned()),
        (EtsiDualTone, "clip", MULTIPLE.to_owned()),
        (EtsiLineReversal, "clip", MULTIPLE.to_owned()),
        (Dtmf, "dtmf", hexadecimal("A5551234567C")),
        (DtmfLineReversal, "dtmf", hexadecimal("D5551234567C")),
        (DtmfHash, "dtmf", hexadecimal("5551234567#")),
    ] {
        assert_eq!(read_by_spandsp(standard, &call(kind)), expected, "{kind:?}");
    }
    // To a telephone that talks, by the same modems and without a seizure.
    for (kind, standard) in [(Bellcore, "class"), (EtsiAfterRing, "clip")] {
        let waits = Announcement::waiting_call(kind, &john(), Some(TIME)).expect("data");
        assert_eq!(read_by_spandsp(standard, &announced(waits)), MULTIPLE, "{kind:?}, waiting");
    }
    let lamp = Announcement::messages_wait(CallerIdType::Bellcore, true).expect("a message");
    assert_eq!(read_by_spandsp("class", &announced(lamp)), "82030b01ff");
}

#[test]
fn multimon_reads_date_number_and_name() {
    for kind in [CallerIdType::Bellcore, CallerIdType::EtsiAfterRing] {
        let read = read_by_multimon(&call(kind));
        assert_eq!(read, "CLIPFSK: CS DATE=11211530 CID=5551234567 CNT=JOHN SMITH", "{kind:?}");
    }
}

#[test]
fn what_spandsp_sends_is_read() {
    for standard in ["class", "clip"] {
        let mut receiver = FskReceiver::new();
        let mut told = Vec::new();
        for frame in sent_by_spandsp(standard, MULTIPLE).as_chunks().0 {
            receiver.hear(frame, |octets| told.extend(message::read(octets)));
        }
        assert_eq!(told, [Told::Call { caller: john(), time: Some(TIME) }], "{standard}");
    }
    let mut detector = DtmfDetector::default();
    let sent = sent_by_spandsp("dtmf", &hexadecimal("A5551234567C"));
    let events = sent.as_chunks().0.iter().flat_map(|frame| detector.hear(frame));
    let keys: Vec<u8> = events
        .filter_map(|event| match event {
            DtmfEvent::End { digit, .. } => Some(digit),
            DtmfEvent::Early { .. } | DtmfEvent::Begin { .. } => None,
        })
        .collect();
    assert_eq!(digits::read(&keys), Some(CallerId { name: Text32::EMPTY, ..john() }));
}
