//! Every setting of a line, changed while it sounds: nothing clicks. The largest step from sample to
//! sample at the change is not above those of the signal before it and after it.

use crate::rig::Rig;
use tipring_shm_proto::command::*;
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::settings::CallerIdType as Told;
use tipring_shm_proto::settings::{DtmfProfile, DtmfSettings, LineSettings, VoiceSettings};
use tipring_shm_proto::units::{LineId, PlaybackId, TenthDb, TenthDbm0};
use tipring_shm_proto::{AudioReader, Direction, Next, PlayWriter};
use tipring_signals::noise::{Noise, noise};

/// Frames that are listened to before and after a change, and between.
const BEFORE: usize = 50;
const AFTER: usize = 100;

fn plain(tick: &mut dyn FnMut()) {
    tick();
}

/// A line that sounds.
struct Sounding {
    rig: Rig,
    readers: [AudioReader; 2],
    /// Spoken into the microphone again and again, and what of it comes next.
    speech: Option<(PlayWriter, Vec<i16>, usize)>,
}

impl Sounding {
    fn record(&mut self, frames: usize) -> [Vec<i16>; 2] {
        let mut heard = [Vec::new(), Vec::new()];
        for _ in 0..frames {
            if let Some((ring, speech, at)) = &mut self.speech {
                ring.audio(PlaybackId(4), &speech[*at..*at + 160]).unwrap();
                *at = (*at + 160) % speech.len();
            }
            self.rig.period();
            for (reader, samples) in self.readers.iter_mut().zip(&mut heard) {
                while let Next::Frame(frame) = reader.next() {
                    samples.extend(frame.samples);
                }
            }
        }
        heard
    }
}

/// A second of syllables: noise of the voice's band, four times a second.
fn syllables(dbm0: f64) -> Vec<i16> {
    let whole = noise(Noise::Band, dbm0, 8000, 7);
    let shaped = whole.iter().enumerate().map(|(n, sample)| {
        (sample * (std::f64::consts::PI * n as f64 / 2000.0).sin().powi(2)) as i16
    });
    shaped.collect()
}

fn steepest(samples: &[i16]) -> u16 {
    samples.windows(2).map(|two| two[0].abs_diff(two[1])).max().unwrap_or(0)
}

fn tone(level: i16) -> PlaySource {
    let level = TenthDbm0(level);
    let step = ToneStep { hz: [310, 730], level, ms: 60_000, modulation_hz: 0 };
    PlaySource::Tone(ToneSpec { len: 1, steps: [step; 8], repeat: 1 })
}

fn play(rig: &mut Rig, slot: u8, path: PlayPath, source: PlaySource) {
    let (gain, stop_on) = (TenthDb(0), StopOn::default());
    let playback = PlaybackId(u64::from(slot) + 1);
    rig.do_it(0, Command::StartPlayback { slot, playback, path, source, gain, stop_on });
}

/// What is said into a phone.
#[derive(Clone, Copy)]
enum Said {
    Nothing,
    Tone(i16),
    Speech(f64),
}

/// A phone that hears dial tone, or, `played`, a tone that does not end, and some of it again.
fn sounding(said: Said, played: bool, hybrid: bool) -> Sounding {
    let mut rig = Rig::new(plain);
    rig.do_it(0, Command::Sim(SimAction::Hook { off: true, bounce_ms: 0 }));
    rig.wait_for(0, |e| matches!(e, LineEvent::HookChanged { hook: Hook::Off, .. }));
    rig.do_it(0, Command::Tone(Some(ProgressTone::Dial)));
    if hybrid {
        rig.do_it(0, Command::Sim(SimAction::Hybrid { loss: Some(TenthDb(60)) }));
    }
    if played {
        play(&mut rig, 0, PlayPath::Line, tone(-200));
    }
    let mut speech = None;
    match said {
        Said::Nothing => {}
        Said::Tone(level) => play(&mut rig, 3, PlayPath::Microphone, tone(level)),
        Said::Speech(dbm0) => {
            play(&mut rig, 3, PlayPath::Microphone, PlaySource::Ring);
            let writer = rig.apid.as_ref().unwrap().map.play_writer(LineId(0), 3);
            speech = Some((writer, syllables(dbm0), 0));
        }
    }
    let map = &rig.apid.as_ref().unwrap().map;
    let readers = [Direction::Rx, Direction::Tx].map(|d| map.audio_reader(LineId(0), d));
    Sounding { rig, readers, speech }
}

/// Goes from one to the next of `all`, at another moment of the signal each time; what was heard of
/// each, once it had settled.
fn change(what: &str, mut line: Sounding, all: &[LineSettings]) -> Vec<[Vec<i16>; 2]> {
    line.rig.do_it(0, Command::LineSettings(all[0]));
    line.record(AFTER);
    let mut before = line.record(BEFORE);
    let mut settled = vec![before.clone()];
    for pair in all.windows(2) {
        assert!(line.rig.send(LineId(0), Command::LineSettings(pair[1])).is_some());
        let until_settled = line.record(AFTER);
        let after = line.record(BEFORE);
        for direction in 0..2 {
            let own = steepest(&before[direction]).max(steepest(&after[direction]));
            let mut over = before[direction][before[direction].len() - 160..].to_vec();
            over.extend(&until_settled[direction]);
            let step = steepest(&over);
            // One step of the law is nobody's: echo and noise are never twice the same.
            let quantum = own / 16 + 16;
            let at = over.windows(2).position(|two| two[0].abs_diff(two[1]) == step);
            assert!(
                step <= own + quantum,
                "{what}, direction {direction}: {step} beside {own}, {at:?} of {:?}",
                pair[1]
            );
        }
        before = after;
        settled.push(before.clone());
    }
    settled
}

fn level(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    10.0 * (energy / samples.len() as f64).max(1.0).log10()
}

const US: LineSettings = LineSettings::of_country(*b"us");

#[test]
fn gains_and_their_guardians() {
    let gains = |rx, tx| LineSettings { rx_gain: TenthDb(rx), tx_gain: TenthDb(tx), ..US };
    let heard = change(
        "gains",
        sounding(Said::Tone(-200), true, false),
        &[gains(0, 0), gains(120, -200), gains(-200, 120), gains(0, 0)],
    );
    let levels = |n: usize| heard[n].each_ref().map(|samples| level(samples));
    let [rx, tx] = levels(0);
    let near = |a: f64, b: f64| (a - b).abs() < 0.5;
    assert!(near(levels(1)[0], rx + 12.0) && near(levels(2)[0], rx - 20.0));
    assert!(near(levels(1)[1], tx - 20.0) && near(levels(2)[1], tx + 12.0));

    let automatic = |on| LineSettings { automatic_gain: on, ..US };
    let speech = sounding(Said::Speech(-28.0), true, false);
    let all = [automatic(false), automatic(true), automatic(true), automatic(false)];
    let heard = change("automatic gain", speech, &all);
    let levels: Vec<f64> = heard.iter().map(|both| level(&both[0])).collect();
    assert!(levels[2] > levels[0] + 3.0, "it does nothing: {levels:?}");

    let limited = |on| LineSettings { limiter: on, rx_gain: TenthDb(100), ..US };
    let loud = sounding(Said::Tone(-60), true, false);
    let heard = change("limiter", loud, &[limited(false), limited(true), limited(false)]);
    assert!(level(&heard[1][0]) < level(&heard[0][0]) - 0.5, "it does nothing");
}

#[test]
fn tones_of_another_country() {
    let of = |country: &[u8; 2]| LineSettings { country: *country, ..US };
    let all = [of(b"us"), of(b"de"), of(b"jp"), of(b"us")];
    let heard = change("country", sounding(Said::Nothing, false, false), &all);
    assert_ne!(heard[0][1], heard[1][1]);
}

#[test]
fn the_echo_canceller() {
    let with = |on| LineSettings { echo_canceller: on, ..US };
    let all = [with(false), with(true), with(false), with(true), with(false), with(true)];
    let heard = change("echo canceller", sounding(Said::Nothing, true, true), &all);
    assert!(level(&heard[1][0]) < level(&heard[0][0]) - 15.0, "it takes nothing away");
    change("echo canceller, somebody speaks", sounding(Said::Speech(-20.0), true, true), &all);
}

#[test]
fn what_is_listened_for() {
    let voice = |above, weakest, ms| {
        let voice = VoiceSettings {
            above_noise: TenthDb(above),
            weakest: TenthDbm0(weakest),
            offset_ms: ms,
            provisional_end_ms: ms,
            final_end_ms: ms,
        };
        LineSettings { voice, ..US }
    };
    let said = || sounding(Said::Speech(-20.0), true, true);
    change("voice", said(), &[voice(30, -600, 100), voice(300, -200, 3000), voice(60, -500, 300)]);
    let dtmf = |profile, weakest| LineSettings { dtmf: DtmfSettings { profile, weakest }, ..US };
    let all = [
        dtmf(DtmfProfile::Att, None),
        dtmf(DtmfProfile::Ntt, Some(TenthDbm0(-200))),
        dtmf(DtmfProfile::Etsi, None),
    ];
    change("digits", said(), &all);
    let told = [Told::Bellcore, Told::EtsiLineReversal, Told::Dtmf, Told::Off]
        .map(|caller_id| LineSettings { caller_id, ..US });
    change("caller ID", said(), &told);
}
