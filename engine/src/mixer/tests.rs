//! What the mixer promises.

use super::*;
use crate::dsp::tone_plan;
use proptest::prelude::*;
use std::collections::VecDeque;
use tipring_shm_proto::command::{ToneSpec, ToneStep};

#[derive(Clone, Debug)]
enum Item {
    Audio(Vec<i16>),
    Mark(u32),
    End,
}

/// A play ring for slot 0.
#[derive(Default)]
struct Ring(VecDeque<Item>);

impl Supply for Ring {
    fn pull(&mut self, slot: usize, playback: PlaybackId, into: &mut Linear) -> Pulled {
        assert_eq!((slot, playback), (0, PlaybackId(7)));
        match self.0.pop_front() {
            None => Pulled::Empty,
            Some(Item::End) => Pulled::End,
            Some(Item::Mark(mark)) => Pulled::Mark(MarkId(mark)),
            Some(Item::Audio(samples)) => {
                into[..samples.len()].copy_from_slice(&samples);
                Pulled::Audio(samples.len())
            }
        }
    }
}

fn mixer() -> Mixer {
    Mixer::new(tone_plan::of_country("us").unwrap())
}

fn playback(source: PlaySource) -> Playback {
    let (id, gain, stop_on) = (PlaybackId(7), TenthDb(0), StopOn::default());
    Playback { id, source, gain, stop_on }
}

fn playing() -> Mixer {
    let mut mixer = mixer();
    mixer.start(0, playback(PlaySource::Ring)).unwrap();
    mixer
}

fn ramp(from: i16, len: usize) -> Vec<i16> {
    (from..).take(len).collect()
}

fn next(mixer: &mut Mixer, ring: &mut Ring) -> (Linear, Vec<Note>) {
    let (mut frame, mut notes) = (SILENCE, Notes::new());
    mixer.mix(None, None, ring, &mut frame, &mut notes);
    (frame, notes.iter().collect())
}

fn sum(mixer: &mut Mixer, bridge: &Linear, echo: Option<&Linear>) -> Linear {
    let mut frame = SILENCE;
    mixer.mix(Some(bridge), echo, &mut Ring::default(), &mut frame, &mut Notes::new());
    frame
}

fn progress(played_samples: u64, underruns: u32) -> Progress {
    Progress { playback: PlaybackId(7), played_samples, underruns, stop_on: StopOn::default() }
}

#[test]
fn items_of_any_length_are_joined_and_marks_are_exact() {
    let items = [
        Item::Audio(ramp(1, 100)),
        Item::Mark(1),
        Item::Audio(ramp(101, 60)),
        Item::Mark(2),
        Item::Audio(ramp(161, 150)),
        Item::Mark(3),
        Item::Audio(ramp(311, 9)),
        Item::End,
    ];
    let (mut mixer, mut ring) = (playing(), Ring(items.into()));
    let mark = |mark, played_samples| Note::Mark {
        slot: 0,
        playback: PlaybackId(7),
        mark: MarkId(mark),
        played_samples,
    };
    let (frame, notes) = next(&mut mixer, &mut ring);
    assert_eq!(frame.to_vec(), ramp(1, 160));
    assert_eq!(notes, [mark(1, 100), mark(2, 160)]);
    let (frame, notes) = next(&mut mixer, &mut ring);
    assert_eq!(frame[..159].to_vec(), ramp(161, 159));
    let finished = Note::Finished { slot: 0, progress: progress(319, 0) };
    assert_eq!(notes, [mark(3, 310), finished]);
}

#[test]
fn the_end_is_noted_with_the_last_sample() {
    for (len, last) in [(320, 0), (300, 20)] {
        let items = [Item::Audio(ramp(1, 160)), Item::Audio(ramp(161, len - 160)), Item::End];
        let (mut mixer, mut ring) = (playing(), Ring(items.into()));
        assert_eq!(next(&mut mixer, &mut ring).1, []);
        let (frame, notes) = next(&mut mixer, &mut ring);
        assert_eq!(frame[..160 - last].to_vec(), ramp(161, 160 - last));
        let progress = progress(len as u64, 0);
        assert_eq!(notes, [Note::Finished { slot: 0, progress }]);
        assert_eq!(mixer.playing(0), None);
        assert!(mixer.start(0, playback(PlaySource::Ring)).is_ok());
    }
}

#[test]
fn stopping_tells_what_was_handed_out() {
    let items = [Item::Audio(ramp(1, 100)), Item::Audio(ramp(101, 100)), Item::Audio(ramp(1, 100))];
    let (mut mixer, mut ring) = (playing(), Ring(items.into()));
    assert_eq!(mixer.playing(0), Some(progress(0, 0)));
    next(&mut mixer, &mut ring);
    assert_eq!(mixer.stop(0), Some(progress(160, 0)));
    assert_eq!(mixer.stop(0), None);
    assert_eq!(mixer.stop(4), None);
    // What was pulled and not played is gone with it.
    let (frame, notes) = next(&mut mixer, &mut ring);
    assert_eq!(frame[FADE as usize..], [0; 160 - FADE as usize]);
    assert_eq!(notes, []);
}

#[test]
fn running_dry_is_counted_by_frames_and_noted_once() {
    let (mut mixer, mut ring) = (playing(), Ring::default());
    assert_eq!(next(&mut mixer, &mut ring).1, [], "not before the first item");
    ring.0.push_back(Item::Audio(ramp(1, 80)));
    let underrun = Note::Underrun { slot: 0, progress: progress(80, 1) };
    assert_eq!(next(&mut mixer, &mut ring).1, [underrun]);
    assert_eq!(next(&mut mixer, &mut ring).1, []);
    ring.0.extend([Item::Audio(ramp(1, 160)), Item::End]);
    let finished = Note::Finished { slot: 0, progress: progress(240, 2) };
    assert_eq!(next(&mut mixer, &mut ring).1, [finished]);
}

#[test]
fn too_many_marks_wait_for_the_next_frame() {
    let marks = (0..MAX_MARKS as u32 + 2).map(Item::Mark);
    let (mut mixer, mut ring) = (playing(), Ring(marks.chain([Item::End]).collect()));
    let count =
        |notes: Vec<Note>| notes.iter().filter(|note| matches!(note, Note::Mark { .. })).count();
    assert_eq!(count(next(&mut mixer, &mut ring).1), MAX_MARKS);
    assert_eq!(count(next(&mut mixer, &mut ring).1), 2);
    assert_eq!(mixer.playing(0), None);
}

#[test]
fn one_source_passes_bit_exactly_and_two_never_wrap() {
    let loud: Linear = std::array::from_fn(|n| if n % 2 == 0 { i16::MAX } else { i16::MIN });
    let mut mixer = mixer();
    assert_eq!(sum(&mut mixer, &loud, None), loud);
    let both = sum(&mut mixer, &loud, Some(&loud));
    assert!(
        both.iter().enumerate().all(|(n, &s)| s.unsigned_abs() > 28_000 && (s > 0) == (n % 2 == 0))
    );
    let soft = loud.map(|sample| sample / 4);
    let expected = soft.map(|sample| sample * 2);
    assert_eq!(sum(&mut mixer, &soft, Some(&soft)), expected);
}

#[test]
fn a_sound_that_is_cut_fades_instead_of_clicking() {
    let (mut mixer, mut ring) = (playing(), Ring([Item::Audio(vec![16_000; 160])].into()));
    next(&mut mixer, &mut ring);
    mixer.stop(0);
    let (frame, _) = next(&mut mixer, &mut ring);
    assert!(frame.windows(2).all(|pair| (0..=1000).contains(&(pair[0] - pair[1]))));
    assert!((15_000..16_000).contains(&frame[0]) && frame[FADE as usize] == 0);
}

#[test]
fn a_composed_tone_plays_with_its_gain_and_ends() {
    let level = tipring_shm_proto::units::TenthDbm0(-100);
    let step = ToneStep { hz: [1000, 0], level, ms: 30, modulation_hz: 0 };
    let spec = ToneSpec { len: 1, steps: [step; 8], repeat: 1 };
    let mut mixer = mixer();
    let mut tone = playback(PlaySource::Tone(spec));
    tone.gain = TenthDb(-60);
    mixer.start(2, tone).unwrap();
    let mut none = Ring::default();
    let peak = *next(&mut mixer, &mut none).0.iter().max().unwrap();
    let expected = crate::dsp::level::peak(tipring_shm_proto::units::TenthDbm0(-160));
    assert!((f32::from(peak) - expected).abs() < 2.0, "{peak} {expected}");
    let (frame, notes) = next(&mut mixer, &mut none);
    assert_eq!(notes, [Note::Finished { slot: 2, progress: progress(240, 0) }]);
    assert_eq!(frame[80..], [0; 80]);
    let bad = ToneSpec { len: 0, ..spec };
    assert_eq!(mixer.start(2, playback(PlaySource::Tone(bad))), Err(StartError::Tone));
    assert_eq!(mixer.start(4, tone), Err(StartError::SlotTaken));
}

#[test]
fn progress_tone_and_digits_are_heard_and_noted() {
    let mut mixer = mixer();
    let mut none = Ring::default();
    mixer.set_tone(Some(ProgressTone::Dial));
    assert!(next(&mut mixer, &mut none).0.iter().any(|&sample| sample.abs() > 5000));
    mixer.set_tone(None);
    next(&mut mixer, &mut none);
    assert_eq!(next(&mut mixer, &mut none).0, [0; 160]);
    assert!(mixer.send_digit(b'1', 40, 40));
    let notes: Vec<_> = (0..5).flat_map(|_| next(&mut mixer, &mut none).1).collect();
    assert_eq!(notes, [Note::DigitsSent]);
}

proptest! {
    /// However a sound is cut into items, and whenever they come, what is heard is the sound,
    /// with silence only where a frame was short.
    #[test]
    fn nothing_is_lost_or_doubled(
        lens in prop::collection::vec(1usize..=160, 1..40),
        per_frame in prop::collection::vec(0usize..5, 1..60),
    ) {
        let total: usize = lens.iter().sum();
        let mut at = 0;
        let mut items = VecDeque::new();
        for len in lens {
            // Never zero, so that silence can be told.
            items.push_back(Item::Audio((at..at + len).map(|n| (n % 1000) as i16 + 1).collect()));
            at += len;
            items.push_back(Item::Mark(at as u32));
        }
        items.push_back(Item::End);
        let (mut mixer, mut ring) = (playing(), Ring::default());
        let (mut heard, mut was_short) = (0, false);
        let mut given = per_frame.into_iter();
        for _ in 0..1000 {
            let before = mixer.playing(0).unwrap();
            let count = given.next().unwrap_or(9);
            ring.0.extend((0..count).map_while(|_| items.pop_front()));
            let (frame, notes) = next(&mut mixer, &mut ring);
            let mut finished = None;
            for note in notes {
                match note {
                    Note::Mark { mark, played_samples, .. } => {
                        prop_assert_eq!(u64::from(mark.0), played_samples);
                    }
                    Note::Finished { progress, .. } => finished = Some(progress),
                    Note::Underrun { .. } | Note::DigitsSent | Note::Announced => {}
                }
            }
            let after = finished.or(mixer.playing(0)).unwrap();
            let new = (after.played_samples - before.played_samples) as usize;
            // What was cut before may still fade.
            let fading = if was_short { new.min(FADE as usize) } else { 0 };
            for (n, &sample) in frame[..new].iter().enumerate().skip(fading) {
                prop_assert_eq!(sample, ((heard + n) % 1000) as i16 + 1);
            }
            (heard, was_short) = (heard + new, new < FRAME_SAMPLES);
            if finished.is_some() {
                break;
            }
        }
        prop_assert_eq!(heard, total);
        prop_assert!(mixer.playing(0).is_none());
    }

    #[test]
    fn any_sum_stays_in_range_and_in_order(a in any::<i16>(), b in any::<i16>()) {
        let sum = f32::from(a) + f32::from(b);
        let soft = soften(sum);
        prop_assert!(soft.abs() <= 32_767.0);
        prop_assert!(soft.abs() <= sum.abs());
        prop_assert!(soften(sum + 1.0) >= soft);
    }
}

/// Only what a voice silences gives way, by 12 dB and within a frame.
#[test]
fn what_a_voice_silences_is_ducked_without_a_step() {
    for voice in [true, false] {
        let mut mixer = mixer();
        let stop_on = StopOn { digit: false, voice };
        mixer.start(0, Playback { stop_on, ..playback(PlaySource::Ring) }).unwrap();
        let mut ring = Ring((0..5).map(|_| Item::Audio(vec![8000; 160])).collect());
        let mut heard = Vec::new();
        for ducked in [false, true, true, false, false] {
            mixer.duck(ducked);
            heard.extend(next(&mut mixer, &mut ring).0);
        }
        let softest = heard.iter().min().copied().unwrap();
        let largest_step = heard.windows(2).map(|two| two[1].abs_diff(two[0])).max().unwrap();
        assert_eq!(softest, if voice { 2008 } else { 8000 });
        assert!(largest_step < 45, "{largest_step}");
        assert_eq!(heard[799], 8000);
    }
}
