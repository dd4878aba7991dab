//! One line in its frame loop: device, rules, ears and voice joined, 20 ms at a time.
//!
//! # Real-time contract
//! As [`super`]: nothing here allocates, waits or fails, except [`Slot::new`] at start-up.

mod bridge;
mod card;
mod digit_relay;
mod rtp;

use super::ears::{Ears, tone_signal, voice_signal};
use super::outside::Outside;
use super::playout::MOST_READS;
use super::sources::PlayRings;
use super::voices::{Ended, Stopped, Voices, ended, tell};
use crate::codec::g711;
use crate::device::{AnyDevice, Device};
use crate::dsp::Listened;
use crate::dsp::dtmf_detector::DtmfEvent;
use crate::dsp::meter::Meter;
use crate::dsp::tone_plan::{self, TonePlan};
use crate::frame::{Companded, Heard, Linear, SILENCE};
use crate::line::{Action, Actions, Line, LineConfig};
use crate::mixer::{Note, Notes, Playback, Progress};
use crate::signal::{Drive, Signal};
use crate::trace::Trace;
use bridge::Crossing;
use digit_relay::DigitRelay;
use tipring_shm_proto::command::{Command, Law, LineKind, LineState, Outcome, Refusal, SimAction};
use tipring_shm_proto::event::{DigitSource, PlaybackEnd};
use tipring_shm_proto::line_table::{LineRow, MeterRow, RtpRow};
use tipring_shm_proto::settings::LineSettings;
use tipring_shm_proto::units::{LineId, LoopId, Nanos, PlaybackId, TenthDbm0, Text32};
use tipring_shm_proto::{AudioWriter, Direction, FrameFlags, LineWriter, Uplink};

/// Signals taken from a device in one tick, at most.
const SIGNALS_PER_TICK: usize = 8;
/// A busy line's row is written every so many frames, besides every change.
const ROW_EVERY_FRAMES: u8 = 5;
/// The companding of a line whose phone was not heard yet.
const QUIET: Companded = Companded { law: Law::Mu, octets: [0xff; 160] };

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Carried out: this is the answer.
    Out(Outcome),
    /// Allowed; it takes the supervisor to carry it out.
    ToSupervisor,
}

/// See the module.
pub struct Slot {
    id: LineId,
    device: AnyDevice,
    line: Line,
    actions: Actions,
    ears: Ears,
    voices: Voices,
    /// Of what the phone is given to hear.
    meter: Meter,
    crossing: Option<Crossing>,
    relay: DigitRelay,
    echo: bool,
    /// Law of what is written to the device.
    law: Law,
    /// What the phone was given to hear last: some of it comes back.
    given: Linear,
    /// What a mixer noticed, until it is told.
    notes: Notes,
    audio: AudioWriter,
    row: LineRow,
    row_writer: LineWriter,
    row_changed: bool,
    row_age: u8,
    /// A flood of events was told.
    flood_told_at: Option<Nanos>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("id", &self.id).field("row", &self.row).finish_non_exhaustive()
    }
}

impl Slot {
    /// A line at rest. Allocates.
    #[expect(clippy::too_many_arguments, reason = "a line is made once, of everything it has")]
    pub fn new(
        id: LineId,
        label: Text32,
        frame_loop: LoopId,
        kind: LineKind,
        config: LineConfig,
        device: AnyDevice,
        tones: &'static TonePlan,
        law: Law,
        uplink: &Uplink,
    ) -> Self {
        let now = crate::realtime::now();
        let line = Line::new(kind, config, now);
        let mut row = LineRow::at_rest(label, kind, frame_loop, now);
        row.settings = settings_at_first(kind, tones);
        line.fill_row(&mut row);
        let mut ears = Ears::new();
        ears.set(&row.settings);
        let mut row_writer = uplink.line_writer(id);
        row_writer.publish(&row);
        Self {
            id,
            device,
            line,
            actions: Actions::new(),
            ears,
            voices: Voices::new(tones, kind == LineKind::Sim),
            meter: Meter::new(),
            crossing: None,
            relay: DigitRelay::new(),
            echo: false,
            law,
            given: SILENCE,
            notes: Notes::new(),
            audio: uplink.audio_writer(id),
            row,
            row_writer,
            row_changed: true,
            row_age: 0,
            flood_told_at: None,
        }
    }

    /// The line.
    pub fn id(&self) -> LineId {
        self.id
    }

    /// Its phone hears something.
    pub fn is_in_use(&self) -> bool {
        self.line.state() == LineState::OffHook
    }

    /// It has a bell, and the bell rings.
    pub fn rings_a_bell(&self) -> bool {
        self.line.kind() != LineKind::Rtp && self.line.state() == LineState::Ringing
    }

    /// Sends what the last tick prepared.
    pub fn flush_out(&mut self, now: Nanos) {
        self.device.flush_out(now);
    }

    /// Sheds or restores the listening that a call can do without.
    pub fn shed(&mut self, overloaded: bool) {
        self.ears.shed(overloaded);
    }

    /// Takes what has come for the next [`Self::tick`].
    pub fn receive(&mut self, now: Nanos) {
        self.device.receive(now);
    }

    /// One frame, from the handset to the handset.
    pub fn tick(&mut self, now: Nanos, rings: &mut PlayRings<'_>, outside: &mut Outside) {
        // Here, not in the slot: for the next line they are still in the cache.
        let (mut rx, mut tx) = (SILENCE, SILENCE);
        self.speak_into_microphone(now, rings, outside);
        let heard = self.hear(now, &mut rx);
        let listened = self.listen(heard, &mut rx, now, outside);
        let muted = self.line.muted();
        if muted.spoken {
            // Behind the listening: its digits count all the same.
            rx = SILENCE;
        }
        self.take_signals(now, outside);
        self.keep_time(now, outside);
        let told = self.line.is_told();
        let bridged = self.cross(&rx, outside, now).filter(|_| !told);
        let echo = (self.echo && !told).then_some(&rx);
        self.mix([bridged.as_ref(), echo], &mut tx, now, rings, outside);
        if muted.heard {
            tx = SILENCE;
        }
        self.speak(&tx, now);
        self.publish(heard, listened, [&rx, &tx], now, outside);
        self.given = tx;
    }

    fn speak_into_microphone(
        &mut self,
        now: Nanos,
        rings: &mut PlayRings<'_>,
        outside: &mut Outside,
    ) {
        let Some(frame) = self.voices.speak(&self.given, rings, &mut self.notes) else { return };
        for note in self.notes.iter() {
            self.row_changed |= tell(note, self.id, now, outside);
        }
        if let AnyDevice::Simulated(phone) = &mut self.device {
            let mut spoken = Companded { law: self.law, ..QUIET };
            g711::encode(&frame, self.law, &mut spoken);
            phone.speak(&spoken);
        }
    }

    /// Takes as many frames of the phone as this tick needs.
    fn hear(&mut self, now: Nanos, rx: &mut Linear) -> Heard {
        let mut companded = QUIET;
        let pace = self.device.pace(self.ears.held());
        for _ in 0..MOST_READS {
            if !self.ears.wants(pace, || self.device.has_frame()) {
                break;
            }
            let heard = self.device.read_frame(now, &mut companded);
            if heard == Heard::Frame {
                g711::decode(&companded, rx);
            }
            self.ears.put(heard, rx);
            if heard == Heard::Nothing {
                break;
            }
        }
        self.ears.play(pace, self.device.drift_ppm(), rx)
    }

    /// What the phone says is repaired, measured and searched for digits and voice.
    fn listen(
        &mut self,
        heard: Heard,
        rx: &mut Linear,
        now: Nanos,
        outside: &mut Outside,
    ) -> Option<Listened> {
        self.ears.set_in_band_digits(!self.takes_events());
        // What it hears of itself would be taken for its own echo.
        let given = if self.echo { &SILENCE } else { &self.given };
        // Of what was written the device holds back a frame at least, and it is that which comes
        // back now.
        let delay = (self.device.reserve_samples() as usize).saturating_sub(given.len());
        let settings = &self.row.settings;
        let listened = self.ears.listen(heard, rx, given, delay, settings);
        self.relay.listen(listened.is_some_and(|listened| listened.keys));
        let listened = listened?;
        for digit in listened.digits {
            let source = DigitSource::Dtmf;
            let signal = match digit {
                DtmfEvent::Early { .. } => continue,
                DtmfEvent::Begin { digit } => Signal::DigitBegin { digit, source },
                DtmfEvent::End { digit, duration_ms, level, twist } => {
                    Signal::Digit { digit, duration_ms, level, source, twist }
                }
            };
            self.signal(signal, now, outside);
        }
        for heard in listened.tones {
            self.signal(tone_signal(heard, now), now, outside);
        }
        for heard in listened.voice {
            self.signal(voice_signal(heard, listened.noise, now), now, outside);
        }
        Some(listened)
    }

    /// What the device noticed, at once.
    pub fn take_signals(&mut self, now: Nanos, outside: &mut Outside) {
        for _ in 0..SIGNALS_PER_TICK {
            let Some(signal) = self.device.poll_signal(now) else { break };
            match signal {
                Signal::Lost => outside.trace(Trace::DeviceLost(self.id)),
                Signal::Back => outside.trace(Trace::DeviceBack(self.id)),
                _ => {}
            }
            self.signal(signal, now, outside);
        }
        self.give_up_channel(outside);
    }

    fn signal(&mut self, signal: Signal, now: Nanos, outside: &mut Outside) {
        self.relay.note(&signal);
        self.actions.clear();
        self.line.handle_signal(signal, now, &mut self.actions);
        let _ = self.apply(now, outside);
    }

    fn keep_time(&mut self, now: Nanos, outside: &mut Outside) {
        self.actions.clear();
        self.line.handle_time(now, &mut self.actions);
        let _ = self.apply(now, outside);
    }

    fn mix(
        &mut self,
        [bridged, echo]: [Option<&Linear>; 2],
        tx: &mut Linear,
        now: Nanos,
        rings: &mut PlayRings<'_>,
        outside: &mut Outside,
    ) {
        let Self { voices, row, notes, .. } = self;
        voices.mix(bridged, echo, rings, &row.settings, tx, notes);
        for index in 0..self.notes.len() {
            let Some(note) = self.notes.get(index) else { break };
            self.row_changed |= tell(note, self.id, now, outside);
            if note == Note::Announced {
                self.actions.clear();
                self.line.handle_announced(now, &mut self.actions);
                let _ = self.apply(now, outside);
            }
        }
    }

    fn speak(&mut self, tx: &Linear, now: Nanos) {
        let law = match &self.device {
            AnyDevice::Rtp(rtp) => match rtp.law() {
                Some(law) => law,
                // Nobody is there to hear it.
                None => return,
            },
            AnyDevice::Dahdi(dahdi) => dahdi.law(),
            AnyDevice::Simulated(_) => self.law,
        };
        let mut spoken = QUIET;
        g711::encode(tx, law, &mut spoken);
        self.device.write_frame(now, &spoken);
    }

    fn publish(
        &mut self,
        heard: Heard,
        listened: Option<Listened>,
        [rx, tx]: [&Linear; 2],
        now: Nanos,
        outside: &mut Outside,
    ) {
        let in_use = listened.is_some() || self.is_in_use() || self.voices.is_announcing();
        if in_use {
            let level = listened.map_or(TenthDbm0::SILENCE, |l| l.level);
            let flags = [
                (listened.is_some_and(|l| l.speaking), FrameFlags::VOICE),
                (heard == Heard::Missing, FrameFlags::CONCEALED),
                (listened.is_some_and(|l| l.clipped), FrameFlags::CLIPPED),
            ];
            let flags = flags_of(&flags);
            self.audio.publish(Direction::Rx, now, level, flags, rx);
            let given = crate::dsp::level::measure(tx);
            let flags = flags_of(&[(given.clipped_samples > 0, FrameFlags::CLIPPED)]);
            self.audio.publish(Direction::Tx, now, given.dbm0, flags, tx);
            self.meter.hear(tx, &given);
            (self.row.rx_level, self.row.tx_level) = (level, given.dbm0);
            (self.row.rx_meter, self.row.tx_meter) = (*self.ears.meter(), *self.meter.row());
            outside.note_news();
            self.row_age += 1;
        } else if self.row.rx_level != TenthDbm0::SILENCE || self.row.tx_level != TenthDbm0::SILENCE
        {
            (self.row.rx_level, self.row.tx_level) = (TenthDbm0::SILENCE, TenthDbm0::SILENCE);
            (self.row.rx_meter, self.row.tx_meter) = (MeterRow::SILENCE, MeterRow::SILENCE);
            self.meter = Meter::new();
            self.row_changed = true;
        }
        self.count(now, outside);
        if self.row_changed || self.row_age >= ROW_EVERY_FRAMES {
            self.write_row(now);
        }
    }

    /// What the device has counted since it was asked last.
    fn count(&mut self, now: Nanos, outside: &mut Outside) {
        self.count_of_rtp(outside);
        self.count_of_card(now, outside);
    }

    fn write_row(&mut self, now: Nanos) {
        self.line.fill_row(&mut self.row);
        self.row.rtp = match &self.device {
            AnyDevice::Rtp(rtp) => rtp.stats().map(|row| {
                let counts = self.ears.counts();
                RtpRow {
                    concealed_ms: counts.concealed / 8,
                    stretched_ms: (counts.stretched / 8) as u32,
                    shortened_ms: (counts.shortened / 8) as u32,
                    ..row
                }
            }),
            AnyDevice::Dahdi(_) | AnyDevice::Simulated(_) => None,
        };
        self.row.dahdi = match &self.device {
            AnyDevice::Dahdi(dahdi) => Some(dahdi.row()),
            AnyDevice::Rtp(_) | AnyDevice::Simulated(_) => None,
        };
        self.row.playbacks = self.voices.rows();
        self.row.written_at = now;
        self.row_writer.publish(&self.row);
        (self.row_changed, self.row_age) = (false, 0);
    }

    /// Carries out a command of apid. The row tells of it before the answer does: whoever has the
    /// answer never reads what was.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn carry_out(
        &mut self,
        command: &Command,
        now: Nanos,
        rings: &mut PlayRings<'_>,
        outside: &mut Outside,
    ) -> Result<Carried, Refusal> {
        let carried = self.obey(command, now, rings, outside);
        if self.row_changed {
            self.write_row(now);
        }
        carried
    }

    fn obey(
        &mut self,
        command: &Command,
        now: Nanos,
        rings: &mut PlayRings<'_>,
        outside: &mut Outside,
    ) -> Result<Carried, Refusal> {
        self.actions.clear();
        self.row_changed = true;
        self.line.handle_command(command, now, &mut self.actions)?;
        match *command {
            Command::StartPlayback { slot, playback, path, source, gain, stop_on } => {
                let playback = Playback { id: playback, source, gain, stop_on };
                self.voices.start(usize::from(slot), path, playback)?;
            }
            Command::StopPlayback { playback } => {
                return self.stop_playback(playback, now, rings, outside).map(Carried::Out);
            }
            Command::OpenRtp { .. } | Command::Bridge { .. } | Command::Confer { .. } => {
                return Ok(Carried::ToSupervisor);
            }
            Command::UpdateRtp { media } => {
                let AnyDevice::Rtp(rtp) = &mut self.device else { return Err(Refusal::Kind) };
                if !rtp.update(now, media) {
                    return Err(Refusal::Rtp);
                }
            }
            Command::CloseRtp => self.close_rtp(now, outside),
            Command::Reset => {
                self.apply(now, outside)?;
                self.actions.clear();
                self.reopen(now, outside);
            }
            Command::Sim(action) => self.simulate(action, now)?,
            Command::LineSettings(settings) => self.set(settings)?,
            _ => {}
        }
        self.apply(now, outside)?;
        self.actions.clear();
        self.line.carried_out(command, &mut self.actions);
        self.apply(now, outside)?;
        Ok(Carried::Out(Outcome::Done))
    }

    /// From the next frame on.
    fn set(&mut self, settings: LineSettings) -> Result<(), Refusal> {
        let country = std::str::from_utf8(&settings.country).map_err(|_| Refusal::Malformed)?;
        let tones = tone_plan::of_country(country).ok_or(Refusal::Malformed)?;
        self.voices.set_plan(tones);
        self.ears.set(&settings);
        self.row.settings = settings;
        Ok(())
    }

    fn stop_playback(
        &mut self,
        playback: PlaybackId,
        now: Nanos,
        rings: &mut PlayRings<'_>,
        outside: &mut Outside,
    ) -> Result<Outcome, Refusal> {
        let Stopped { slot, progress, heard } =
            self.voices.stop(playback).ok_or(Refusal::UnknownPlayback)?;
        rings.flush(slot);
        self.tell_ended(progress, PlaybackEnd::Stopped, now, outside);
        let reserve = if heard { u64::from(self.device.reserve_samples()) } else { 0 };
        Ok(Outcome::Flushed {
            played_samples: progress.played_samples,
            uncertain_samples: reserve.min(progress.played_samples) as u32,
        })
    }

    fn tell_ended(
        &mut self,
        progress: Progress,
        cause: PlaybackEnd,
        now: Nanos,
        outside: &mut Outside,
    ) {
        self.row_changed = true;
        outside.line_event(now, self.id, ended(progress, cause));
    }

    fn tell_all_ended(&mut self, all: Ended, cause: PlaybackEnd, now: Nanos, out: &mut Outside) {
        for progress in all {
            self.tell_ended(progress, cause, now, out);
        }
    }

    fn simulate(&mut self, action: SimAction, now: Nanos) -> Result<(), Refusal> {
        let AnyDevice::Simulated(phone) = &mut self.device else { return Err(Refusal::Kind) };
        phone.act(action, now)?;
        match action {
            SimAction::DialTones { digits, on_ms, off_ms } => {
                self.voices.press(&digits, on_ms, off_ms)
            }
            SimAction::Hybrid { loss } => {
                self.voices.set_hybrid(loss);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Apid is gone: what it fed ends, whatever the engine does by itself goes on.
    pub fn forget_apid(&mut self, now: Nanos, outside: &mut Outside) {
        let fed = self.voices.stop_fed();
        self.tell_all_ended(fed, PlaybackEnd::LineGone, now, outside);
    }

    /// Carries out what the line decided, in its order.
    ///
    /// # Errors
    /// A refusal of the device that the command's answer should carry.
    fn apply(&mut self, now: Nanos, outside: &mut Outside) -> Result<(), Refusal> {
        if self.actions.is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        let decided = self.actions.clone();
        if decided.iter().any(|action| matches!(action, Action::Event(_))) {
            // Whoever has the event never reads what was.
            self.write_row(now);
        }
        for &action in decided.iter() {
            self.row_changed = true;
            match action {
                Action::Drive(order) => result = result.and(self.drive(order, now, outside)),
                Action::Event(event) => outside.line_event(now, self.id, event),
                Action::Tone(tone) => self.voices.set_tone(tone),
                Action::SendDigit { digit, on_ms, off_ms } => {
                    self.voices.send_digit(digit, on_ms, off_ms);
                }
                Action::StopPlaybacks(cause) => {
                    self.voices.stop_digits();
                    let stopped = self.voices.stop_heard(|_| true);
                    self.tell_all_ended(stopped, cause, now, outside);
                }
                Action::StopOnDigit => {
                    let stopped = self.voices.stop_heard(|p| p.stop_on.digit);
                    self.tell_all_ended(stopped, PlaybackEnd::Digit, now, outside);
                }
                Action::DuckOnVoice(on) => self.voices.duck(on),
                Action::StopOnVoice => {
                    let stopped = self.voices.stop_heard(|p| p.stop_on.voice);
                    self.tell_all_ended(stopped, PlaybackEnd::Voice, now, outside);
                }
                Action::Announce { caller, room_ms } => {
                    self.voices.announce(self.row.settings.caller_id, &caller, room_ms);
                }
                Action::StopAnnouncement => self.voices.stop_announcing(),
                Action::AlertOfData => self.voices.alert_of_data(),
                Action::TellCaller(caller) => {
                    self.voices.tell_caller(self.row.settings.caller_id, &caller);
                }
                Action::EndBridge => self.drop_crossing(outside),
                Action::Echo(on) => self.echo = on,
            }
        }
        result
    }

    fn drive(&mut self, order: Drive, now: Nanos, outside: &mut Outside) -> Result<(), Refusal> {
        let driven = self.device.drive(now, order);
        let mut after = Actions::new();
        let result = self.line.handle_driven(order, driven, now, &mut after);
        for &action in after.iter() {
            // Never another order: the line says so.
            match action {
                Action::Event(event) => outside.line_event(now, self.id, event),
                Action::Tone(tone) => self.voices.set_tone(tone),
                Action::SendDigit { digit, on_ms, off_ms } => {
                    self.voices.send_digit(digit, on_ms, off_ms);
                }
                _ => {}
            }
        }
        result
    }
}

/// A loop has a hybrid, whose echo is to be taken out; behind RTP, that is somebody else's.
fn settings_at_first(kind: LineKind, tones: &TonePlan) -> LineSettings {
    let mut country = *b"us";
    country.copy_from_slice(&tones.country.as_bytes()[..2]);
    let echo_canceller = kind == LineKind::Dahdi;
    LineSettings { echo_canceller, ..LineSettings::of_country(country) }
}

fn flags_of(flags: &[(bool, FrameFlags)]) -> FrameFlags {
    let set = flags.iter().filter(|(set, _)| *set);
    set.fold(FrameFlags::default(), |all, (_, flag)| all.with(*flag))
}
