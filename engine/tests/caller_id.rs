//! Caller ID, sent and received: every standard decoded again, the receiver's limits, the times of
//! an announcement to the sample.

use tipring_engine::codec::g711;
use tipring_engine::dsp::caller_id::fsk::{FskSender, Modem};
use tipring_engine::dsp::caller_id::message::{self, Message};
use tipring_engine::dsp::caller_id::{Announcement, CallTime, FskReceiver, Told, digits};
use tipring_engine::dsp::dtmf_detector::{DtmfDetector, DtmfEvent};
use tipring_engine::dsp::dtmf_limits::DtmfLimits;
use tipring_engine::dsp::level;
use tipring_engine::frame::{Companded, Linear};
use tipring_shm_proto::command::{CallerId, Law};
use tipring_shm_proto::settings::{CallerIdType, LineSettings};
use tipring_shm_proto::units::{TenthDbm0, Text32};

const TIME: CallTime = CallTime { month: 11, day: 21, hour: 15, minute: 30 };

fn john() -> CallerId {
    CallerId { number: Text32::new("5551234567"), name: Text32::new("JOHN SMITH") }
}

fn sent(mut announcement: Announcement) -> Vec<f32> {
    let mut samples = Vec::new();
    while !announcement.is_over() {
        let mut mix = [0.0; 160];
        announcement.add(&mut mix);
        samples.extend(mix);
    }
    samples
}

/// As a telephone hears it, A-law and all.
fn frames(samples: &[f32]) -> Vec<Linear> {
    let whole = samples.chunks(160).map(|chunk| {
        let linear: Linear =
            std::array::from_fn(|n| chunk.get(n).map_or(0, |sample| sample.round() as i16));
        let mut octets = Companded { law: Law::A, octets: [0; 160] };
        g711::encode(&linear, Law::A, &mut octets);
        let mut back = linear;
        g711::decode(&octets, &mut back);
        back
    });
    whole.collect()
}

fn heard(samples: &[f32]) -> Vec<Told> {
    let mut receiver = FskReceiver::new();
    let mut told = Vec::new();
    for frame in frames(samples) {
        receiver.hear(&frame, |octets| told.extend(message::read(octets)));
    }
    told
}

#[test]
fn every_standard_that_has_data_is_received_again() {
    use CallerIdType::{Bellcore, BellcoreSingle, EtsiAfterRing, EtsiDualTone, EtsiLineReversal};
    for kind in [Bellcore, BellcoreSingle, EtsiAfterRing, EtsiDualTone, EtsiLineReversal] {
        let name = if kind == BellcoreSingle { Text32::EMPTY } else { john().name };
        let call = Announcement::call(kind, &john(), Some(TIME)).unwrap();
        let caller = CallerId { name, ..john() };
        assert_eq!(heard(&sent(call)), [Told::Call { caller, time: Some(TIME) }], "{kind:?}");
        let lamp = Announcement::messages_wait(kind, true).unwrap();
        assert_eq!(heard(&sent(lamp)), [Told::MessagesWait(true)], "{kind:?}");
    }
}

#[test]
fn every_standard_that_has_digits_is_received_again() {
    use CallerIdType::{Dtmf, DtmfHash, DtmfLineReversal};
    for (kind, expected) in
        [(Dtmf, "A5551234567C"), (DtmfLineReversal, "D5551234567C"), (DtmfHash, "5551234567#")]
    {
        let mut detector = DtmfDetector::new(DtmfLimits::of(LineSettings::of_country(*b"us").dtmf));
        let mut keys = String::new();
        for frame in frames(&sent(Announcement::call(kind, &john(), None).unwrap())) {
            for event in detector.hear(&frame) {
                if let DtmfEvent::End { digit, .. } = event {
                    keys.push(char::from(digit));
                }
            }
        }
        assert_eq!(keys, expected);
        let caller = CallerId { name: Text32::EMPTY, ..john() };
        assert_eq!(digits::read(keys.as_bytes()), Some(caller));
        assert!(Announcement::messages_wait(kind, true).is_none());
    }
}

/// First and last sample that sounds.
fn sounding(samples: &[f32]) -> (usize, usize) {
    let sounds = |sample: &f32| *sample != 0.0;
    let first = samples.iter().position(sounds).unwrap();
    (first, samples.iter().rposition(sounds).unwrap())
}

#[test]
fn times_are_exact_to_the_sample() {
    // The first sample of a sine is its rising zero: what sounds begins one later.
    let call = Announcement::call(CallerIdType::Bellcore, &john(), Some(TIME)).unwrap();
    let ms = call.ms();
    let samples = sent(call);
    let (first, last) = sounding(&samples);
    assert_eq!(first, 550 * 8 + 1);
    // 300 bits of seizure, 180 of marks, 37 octets of ten bits, 20 marks; 20/3 samples each.
    let bits = 300 + 180 + 37 * 10 + 20;
    let end = 550 * 8 + (bits * 20usize).div_ceil(3);
    assert!((end - 16..end).contains(&last), "{last}, not {end}");
    assert_eq!(ms as usize, end.div_ceil(8));

    let call = Announcement::call(CallerIdType::EtsiLineReversal, &john(), Some(TIME)).unwrap();
    let ms = call.ms();
    let samples = sent(call);
    assert_eq!(sounding(&samples).0, 150 * 8 + 1);
    let (tone, data) = samples.split_at(300 * 8);
    let (_, tone_ends) = sounding(tone);
    assert!((249 * 8..250 * 8).contains(&tone_ends), "{tone_ends}");
    let (first, last) = sounding(data);
    assert_eq!(first, 50 * 8 + 1);
    let silence = ms as usize * 8 - (300 * 8 + last + 1);
    assert!((250 * 8..253 * 8).contains(&silence), "{silence}");
}

/// The message, by a modem that is not quite right.
fn off(modem: Modem, hz: f64, baud: f64, dbm0: f64, noise_dbm0: Option<f64>) -> Vec<f32> {
    let call = Message::call(&john(), Some(TIME));
    let mut bits = vec![true; 200];
    bits[..100].iter_mut().step_by(2).for_each(|bit| *bit = false);
    for octet in call.octets() {
        bits.push(false);
        bits.extend((0..8).map(|place| octet >> place & 1 == 1));
        bits.push(true);
    }
    bits.extend([true; 20]);
    let (mark, space) = match modem {
        Modem::Bell202 => (1200.0, 2200.0),
        Modem::V23 => (1300.0, 2100.0),
    };
    let peak = f64::from(level::peak(TenthDbm0((dbm0 * 10.0) as i16)));
    let noise = noise_dbm0.map_or(0.0, |dbm0| {
        f64::from(level::peak(TenthDbm0((dbm0 * 10.0) as i16))) / std::f64::consts::SQRT_2
    });
    let mut seed = 9u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut phase = 0.0f64;
    let samples = (bits.len() as f64 * 8000.0 / (1200.0 * baud)) as usize;
    let one = |n: usize| {
        let bit = (n as f64 * 1200.0 * baud / 8000.0) as usize;
        phase += if bits[bit.min(bits.len() - 1)] { mark } else { space } * hz / 8000.0;
        let gaussian = (0..12).map(|_| random()).sum::<f64>() - 6.0;
        (peak * (std::f64::consts::TAU * phase).sin() + noise * gaussian) as f32
    };
    let mut all = vec![0.0; 803];
    all.extend((0..samples).map(one));
    all.extend([0.0; 800]);
    all
}

#[test]
fn a_modem_that_is_off_as_much_as_it_may_be_is_understood() {
    let told = [Told::Call { caller: john(), time: Some(TIME) }];
    for modem in [Modem::Bell202, Modem::V23] {
        for hz in [0.985, 1.0, 1.015] {
            for baud in [0.99, 1.0, 1.01] {
                for dbm0 in [-40.0, -14.0, 3.0] {
                    let samples = off(modem, hz, baud, dbm0, None);
                    assert_eq!(heard(&samples), told, "{modem:?} {hz} {baud} {dbm0}");
                }
            }
        }
        let noisy = off(modem, 1.0, 1.0, -14.0, Some(-26.0));
        assert_eq!(heard(&noisy), told, "{modem:?} in noise");
    }
}

#[test]
fn silence_speech_and_half_a_message_are_none() {
    let call = FskSender::new(Modem::Bell202, Message::call(&john(), None), 300, 180);
    let (mut sender, mut samples) = (call, vec![0.0; 8000]);
    sender.add(&mut samples);
    assert!(heard(&samples[..4000]).is_empty());
    assert!(heard(&vec![0.0; 8000]).is_empty());
    let mut seed = 1u32;
    let noise: Vec<f32> = (0..80_000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((seed >> 16) as i16)
        })
        .collect();
    assert!(heard(&noise).is_empty());
}
