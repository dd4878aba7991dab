//! What is said on one line by somebody else than its phone: the two mixers, one for the ear and
//! one for a simulated telephone's microphone, and the playback slots that they share.

use super::outside::Outside;
use super::sources::PlayRings;
use crate::dsp::bounded::Bounded;
use crate::dsp::caller_id::announcement::{self, Announcement};
use crate::dsp::gain::Gain;
use crate::dsp::hybrid::Hybrid;
use crate::dsp::limiter::Limiter;
use crate::dsp::tone_plan::TonePlan;
use crate::frame::{Linear, SILENCE};
use crate::mixer::{Mixer, Note, Notes, Playback, Progress};
use tipring_shm_proto::command::{CallerId, Digits, PlayPath, ProgressTone, Refusal};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::{LineEvent, PlaybackEnd};
use tipring_shm_proto::line_table::{PLAYBACK_SLOTS, PlaybackRow};
use tipring_shm_proto::settings::{CallerIdType, LineSettings};
use tipring_shm_proto::units::{LineId, Nanos, PlaybackId, TenthDb, Text32};

/// Playbacks that ended together.
pub(super) type Ended = Bounded<Progress, PLAYBACK_SLOTS>;

/// See the module.
pub(super) struct Voices {
    ear: Mixer,
    gain: Gain,
    limiter: Limiter,
    microphone: Option<Box<Mixer>>,
    /// Of a simulated telephone's card.
    hybrid: Option<Hybrid>,
}

/// A playback that was stopped by its name.
pub(super) struct Stopped {
    pub(super) slot: usize,
    pub(super) progress: Progress,
    /// It was for the phone's ear, not for a microphone.
    pub(super) heard: bool,
}

impl Voices {
    /// Allocates.
    pub(super) fn new(tones: &'static TonePlan, has_microphone: bool) -> Self {
        let microphone = has_microphone.then(|| Box::new(Mixer::new(tones)));
        let (gain, limiter) = (Gain::new(), Limiter::new());
        Self { ear: Mixer::new(tones), gain, limiter, microphone, hybrid: None }
    }

    /// Takes the tones of another country.
    pub(super) fn set_plan(&mut self, tones: &'static TonePlan) {
        self.ear.set_plan(tones);
    }

    /// What the phone hears comes back, weakened by `loss`; or does not.
    pub(super) fn set_hybrid(&mut self, loss: Option<TenthDb>) {
        self.hybrid = loss.map(Hybrid::new);
    }

    /// Makes `into` the next frame for the ear, and `notes` what happened in it.
    pub(super) fn mix(
        &mut self,
        bridged: Option<&Linear>,
        echo: Option<&Linear>,
        rings: &mut PlayRings<'_>,
        settings: &LineSettings,
        into: &mut Linear,
        notes: &mut Notes,
    ) {
        self.ear.mix(bridged, echo, rings, into, notes);
        self.gain.amplify(into, settings.tx_gain, 0.0);
        self.limiter.limit(into, settings.limiter);
    }

    /// The next frame for the microphone, if there is one, with what happened in it in `notes`;
    /// `given` is what the ear hears.
    pub(super) fn speak(
        &mut self,
        given: &Linear,
        rings: &mut PlayRings<'_>,
        notes: &mut Notes,
    ) -> Option<Linear> {
        let microphone = self.microphone.as_mut()?;
        let echo = self.hybrid.as_mut().map(|hybrid| hybrid.echo(given));
        let mut frame = SILENCE;
        microphone.mix(None, echo.as_ref(), rings, &mut frame, notes);
        Some(frame)
    }

    pub(super) fn set_tone(&mut self, tone: Option<ProgressTone>) {
        self.ear.set_tone(tone);
    }

    pub(super) fn send_digit(&mut self, digit: u8, on_ms: u16, off_ms: u16) {
        // The line keeps the queue and paces it: there is always room for one.
        self.ear.send_digit(digit, on_ms, off_ms);
    }

    /// Begins to say who calls, in this way, if it fits the time there is, at least without the name.
    pub(super) fn announce(&mut self, kind: CallerIdType, caller: &CallerId, room_ms: Option<u32>) {
        let fits = |announcement: &Announcement| {
            let least_after = u32::from(announcement::BEFORE_RING_MS);
            room_ms.is_none_or(|room_ms| announcement.ms() + least_after <= room_ms)
        };
        let of = |caller| Announcement::call(kind, caller, None).filter(fits);
        let nameless = CallerId { name: Text32::EMPTY, ..*caller };
        self.ear.announce(of(caller).or_else(|| of(&nameless)));
    }

    /// After the call-waiting tone, which begins now, says that data may follow.
    pub(super) fn alert_of_data(&mut self) {
        self.ear.alert_of_data();
    }

    /// Says who else calls, to a phone that has asked.
    pub(super) fn tell_caller(&mut self, kind: CallerIdType, caller: &CallerId) {
        self.ear.announce(Announcement::waiting_call(kind, caller, None));
    }

    pub(super) fn stop_announcing(&mut self) {
        self.ear.announce(None);
    }

    pub(super) fn is_announcing(&self) -> bool {
        self.ear.is_announcing()
    }

    pub(super) fn stop_digits(&mut self) {
        self.ear.stop_digits();
    }

    /// Presses keys in front of the microphone.
    pub(super) fn press(
        &mut self,
        digits: &Digits,
        on_ms: u16,
        off_ms: u16,
    ) -> Result<(), Refusal> {
        let microphone = self.microphone.as_mut().ok_or(Refusal::Kind)?;
        for &digit in digits.checked().ok_or(Refusal::Malformed)? {
            if !microphone.send_digit(digit, on_ms, off_ms) {
                return Err(Refusal::Full);
            }
        }
        Ok(())
    }

    /// Begins a playback with the next frame.
    pub(super) fn start(
        &mut self,
        slot: usize,
        path: PlayPath,
        playback: Playback,
    ) -> Result<(), Refusal> {
        if self.slot_of(playback.id).is_some() {
            return Err(Refusal::Malformed);
        }
        if self.playing(slot).is_some() {
            return Err(Refusal::Full);
        }
        let mixer = match (path, &mut self.microphone) {
            (PlayPath::Line, _) => &mut self.ear,
            (PlayPath::Microphone, Some(microphone)) => microphone,
            (PlayPath::Microphone, None) => return Err(Refusal::Kind),
        };
        mixer.start(slot, playback).map_err(|_| Refusal::Malformed)
    }

    /// Ends one playback before the next frame.
    pub(super) fn stop(&mut self, playback: PlaybackId) -> Option<Stopped> {
        let slot = self.slot_of(playback)?;
        let heard = self.ear.playing(slot).is_some();
        let mixer = if heard { &mut self.ear } else { self.microphone.as_mut()? };
        let progress = mixer.stop(slot)?;
        Some(Stopped { slot, progress, heard })
    }

    /// Makes the playbacks that a voice silences softer, or as loud as they were.
    pub(super) fn duck(&mut self, on: bool) {
        self.ear.duck(on);
    }

    /// Ends the playbacks for the ear that `which` names.
    pub(super) fn stop_heard(&mut self, which: impl Fn(&Progress) -> bool) -> Ended {
        let mut ended = Ended::new();
        for slot in 0..PLAYBACK_SLOTS {
            if self.ear.playing(slot).as_ref().is_some_and(&which)
                && let Some(progress) = self.ear.stop(slot)
            {
                ended.push(progress);
            }
        }
        ended
    }

    /// Ends the playbacks that a play ring feeds: nobody feeds it any more.
    pub(super) fn stop_fed(&mut self) -> Ended {
        let mut ended = Ended::new();
        for mixer in [Some(&mut self.ear), self.microphone.as_deref_mut()].into_iter().flatten() {
            for slot in 0..PLAYBACK_SLOTS {
                if mixer.is_fed(slot)
                    && let Some(progress) = mixer.stop(slot)
                {
                    ended.push(progress);
                }
            }
        }
        ended
    }

    /// All slots, for the line table.
    pub(super) fn rows(&self) -> [PlaybackRow; PLAYBACK_SLOTS] {
        std::array::from_fn(|slot| {
            self.playing(slot).map_or(PlaybackRow::default(), |progress| PlaybackRow {
                playback: progress.playback,
                played_samples: progress.played_samples,
            })
        })
    }

    fn playing(&self, slot: usize) -> Option<Progress> {
        let spoken = || self.microphone.as_ref()?.playing(slot);
        self.ear.playing(slot).or_else(spoken)
    }

    fn slot_of(&self, playback: PlaybackId) -> Option<usize> {
        (0..PLAYBACK_SLOTS).find(|&slot| self.playing(slot).is_some_and(|p| p.playback == playback))
    }
}

/// The event of a playback's end.
pub(super) fn ended(progress: Progress, cause: PlaybackEnd) -> LineEvent {
    LineEvent::PlaybackEnded {
        playback: progress.playback,
        cause,
        played_samples: progress.played_samples,
        underruns: progress.underruns,
    }
}

/// Tells apid what a mixer noticed; whether a playback has ended.
pub(super) fn tell(note: Note, line: LineId, now: Nanos, outside: &mut Outside) -> bool {
    match note {
        Note::Mark { playback, mark, played_samples, .. } => {
            outside.line_event(now, line, LineEvent::Mark { playback, mark, played_samples });
            false
        }
        Note::Underrun { .. } => {
            outside.count(Counter::play_underruns_total, 1);
            false
        }
        Note::Finished { progress, .. } => {
            outside.line_event(now, line, ended(progress, PlaybackEnd::Finished));
            true
        }
        // The line paces its digits itself, and is told of announcements.
        Note::DigitsSent | Note::Announced => false,
    }
}
