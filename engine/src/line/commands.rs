//! What apid asks of a line: legal in this state, within the bounds?

use super::actions::{Action, Actions};
use super::changes::EndedBy;
use super::ringing::{self, Ringing};
use super::state::{Company, Muted, OffHook, State, Supply, Talk};
use super::{Line, Media};
use crate::signal::Drive;
use tipring_shm_proto::command::{
    Command, Hook, HookSource, LineKind, LineState, PlayPath, PlaySource, ProgressTone, Refusal,
    RtpMedia,
};
use tipring_shm_proto::event::{LineEvent, PlaybackEnd, RingStop};
use tipring_shm_proto::line_table::PLAYBACK_SLOTS;
use tipring_shm_proto::units::{Nanos, TenthDb};

/// Gains of a playback, tenths of a dB.
const GAIN: std::ops::RangeInclusive<i16> = -400..=120;

impl Line {
    /// Carries out a command, or says why not. Those about audio plumbing
    /// ([`Command::StartPlayback`], `StopPlayback`, `OpenRtp`, `UpdateRtp`, `CloseRtp`, `Bridge`,
    /// `Confer`, `Sim`) are only judged: the frame loop carries them out, and then calls
    /// [`Line::carried_out`].
    ///
    /// # Errors
    /// The refusal to answer; nothing was changed.
    pub fn handle_command(
        &mut self,
        command: &Command,
        now: Nanos,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        self.allows(command)?;
        match *command {
            Command::Ring { ref cadence, timeout_ms, ref caller } => {
                let ringing = Ringing::new(cadence, timeout_ms)?;
                self.spend_change(now)?;
                self.ring_for(caller, ringing, now, actions);
            }
            Command::StopRing => self.stop_ringing(RingStop::Stopped, now, actions),
            Command::ReportHook { hook, source } => {
                self.report_hook(hook, source, now, actions)?;
            }
            Command::HangUp => {
                if self.is_dropped() {
                    return Ok(());
                }
                self.spend_change(now)?;
                if self.on_a_loop() {
                    self.release_loop(now, actions);
                } else {
                    self.release_rtp(HookSource::FarEndHungUp, now, actions);
                }
            }
            Command::CallWaiting { ref caller } => {
                self.call_waits(caller, actions);
                self.take_phase(Talk::Talking, actions);
            }
            Command::Tone(tone) => {
                self.tell_no_more(actions);
                actions.push(Action::Tone(tone));
                let talk = if tone == Some(ProgressTone::Dial) {
                    Talk::dial_tone(now, &self.config.phases)
                } else {
                    Talk::Talking
                };
                self.take_phase(talk, actions);
            }
            Command::Dtmf { digits, on_ms, off_ms } => {
                self.off_hook()?.digits.add(digits, on_ms, off_ms)?;
                self.send_digit(now, actions);
            }
            Command::Flash => {
                self.spend_change(now)?;
                let timing = self.config.phases;
                self.switch.mask(now.after_ms(timing.flash_ms + timing.settle_ms));
                self.orders.give(Drive::Flash, actions);
            }
            Command::Hold(held) => self.hold(held, actions)?,
            Command::Unbridge => self.unbridge(actions),
            Command::Echo(on) => {
                let off = self.off_hook()?;
                let was = std::mem::replace(&mut off.echo, on);
                if was != on {
                    actions.push(Action::Echo(on));
                }
                if on {
                    self.yield_to_talk(actions);
                }
            }
            Command::Mute { spoken, heard } => self.off_hook()?.muted = Muted { spoken, heard },
            Command::KeepDigits(on) => self.off_hook()?.keeps_digits = on,
            Command::Tag(tag) => self.tag = tag,
            Command::LineSettings(settings) => self.caller_id = settings.caller_id,
            Command::Reset => {
                self.spend_change(now)?;
                self.reset(now, actions);
            }
            Command::Polarity { reversed } => {
                self.spend_change(now)?;
                self.orders.give(Drive::Polarity(reversed), actions);
            }
            Command::MessageWaiting { messages } => {
                self.spend_change(now)?;
                self.orders.give(Drive::MessageWaiting(messages), actions);
            }
            Command::Bridge { .. }
            | Command::Confer { .. }
            | Command::StartPlayback { .. }
            | Command::StopPlayback { .. }
            | Command::OpenRtp { .. }
            | Command::UpdateRtp { .. }
            | Command::CloseRtp
            | Command::Sim(_) => {}
        }
        Ok(())
    }

    /// Whether a command is legal in this state and on this kind of line, and well-formed.
    ///
    /// # Errors
    /// The refusal to answer.
    pub fn allows(&self, command: &Command) -> Result<(), Refusal> {
        match command {
            Command::Ring { cadence, timeout_ms, .. } => {
                ringing::check(cadence, *timeout_ms)?;
                self.need(matches!(self.state, State::OnHook))?;
                if self.orders.restless() { Err(Refusal::Device) } else { Ok(()) }
            }
            Command::StopRing => self.need(matches!(self.state, State::Ringing(_))),
            Command::ReportHook { .. } => {
                self.need_kind(LineKind::Rtp)?;
                self.need(!matches!(self.state, State::Offline | State::Fault))
            }
            Command::HangUp
            | Command::Tone(_)
            | Command::CallWaiting { .. }
            | Command::Dtmf { .. }
            | Command::Hold(_)
            | Command::Echo(_)
            | Command::Mute { .. }
            | Command::KeepDigits(_) => self.need_off_hook(),
            Command::Flash => {
                self.need_off_hook()?;
                if self.on_a_loop() || self.media == Media::TelephoneEvent {
                    Ok(())
                } else {
                    Err(Refusal::Kind)
                }
            }
            Command::Bridge { .. } | Command::Confer { .. } => self.may_join(),
            Command::StartPlayback { slot, playback, path, source, gain, .. } => {
                let in_slots = usize::from(*slot) < PLAYBACK_SLOTS;
                if !in_slots || playback.0 == 0 || !gain_is_sane(*gain) || !source_is_sane(source) {
                    return Err(Refusal::Malformed);
                }
                match path {
                    PlayPath::Line => self.need_off_hook(),
                    PlayPath::Microphone => self.need_kind(LineKind::Sim),
                }
            }
            Command::OpenRtp { media, .. } => {
                self.need_kind(LineKind::Rtp)?;
                media_is_sane(media)?;
                if self.media == Media::None { Ok(()) } else { Err(Refusal::Rtp) }
            }
            Command::UpdateRtp { media } => {
                self.need_kind(LineKind::Rtp)?;
                media_is_sane(media)?;
                if self.media == Media::None { Err(Refusal::Rtp) } else { Ok(()) }
            }
            Command::CloseRtp => self.need_kind(LineKind::Rtp),
            Command::Sim(_) => self.need_kind(LineKind::Sim),
            Command::Reset => self.need(!matches!(self.state, State::Offline)),
            Command::Polarity { .. } => {
                self.need_kind(LineKind::Dahdi)?;
                self.need(matches!(self.state, State::OnHook | State::OffHook(_)))
            }
            Command::MessageWaiting { .. } => {
                self.need_kind(LineKind::Dahdi)?;
                self.need(matches!(self.state, State::OnHook | State::OffHook(_)))
            }
            Command::LineSettings(settings) => {
                if settings.in_range() {
                    Ok(())
                } else {
                    Err(Refusal::Malformed)
                }
            }
            Command::Unbridge | Command::Tag(_) | Command::StopPlayback { .. } => Ok(()),
        }
    }

    /// The frame loop has carried out a command about audio plumbing. A bridge or conference makes the
    /// line talk; a playback takes the place of a tone that the engine began by itself, and ends the
    /// wait for a digit; how RTP sends digits is remembered.
    pub fn carried_out(&mut self, command: &Command, actions: &mut Actions) {
        match command {
            Command::Bridge { peer } => self.joined(Company::Line(*peer), actions),
            Command::Confer { conference, .. } => {
                self.joined(Company::Conference(*conference), actions);
            }
            Command::StartPlayback { path: PlayPath::Line, .. } => self.yield_to_talk(actions),
            Command::OpenRtp { media, .. } | Command::UpdateRtp { media } => {
                self.media = match media.telephone_event {
                    Some(_) => Media::TelephoneEvent,
                    None => Media::InBand,
                };
            }
            Command::CloseRtp => {
                self.media = Media::None;
                self.unbridge(actions);
            }
            _ => {}
        }
    }

    /// Whether the line is free to talk with somebody.
    ///
    /// # Errors
    /// The refusal to answer.
    pub fn may_join(&self) -> Result<(), Refusal> {
        match &self.state {
            State::OffHook(OffHook { company: Some(_), .. }) => Err(Refusal::Bridged),
            _ => self.need_off_hook(),
        }
    }

    /// The frame loop has joined it with `company`.
    pub fn joined(&mut self, company: Company, actions: &mut Actions) {
        let State::OffHook(off) = &mut self.state else { return };
        off.company = Some(company);
        actions.push(Action::Tone(None));
        self.take_phase(Talk::Talking, actions);
    }

    /// What signalling knows of the handset of an RTP line.
    ///
    /// `Off` answers a ringing line. `On` puts a lifted one down; while ringing it says no more
    /// than that the handset lies. `Unknown` means that the phone is gone, or refused.
    fn report_hook(
        &mut self,
        hook: Hook,
        source: HookSource,
        now: Nanos,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        if self.handset.hook.value != hook {
            self.spend_change(now)?;
        }
        match (hook, &self.state) {
            (Hook::Off, _) => self.lifted(source, now, actions),
            (Hook::On, _) => self.put_down(source, now, actions),
            (Hook::Unknown, State::OffHook(_)) => {
                self.end_use(EndedBy::Phone, PlaybackEnd::LineGone, actions);
                self.learn_hook(hook, source, now, actions);
                self.enter(State::OnHook, now, actions);
            }
            (Hook::Unknown, State::Ringing(_)) => {
                actions.say(LineEvent::RingStopped { cause: RingStop::Device });
                self.learn_hook(hook, source, now, actions);
                self.enter(State::OnHook, now, actions);
            }
            (Hook::Unknown, _) => self.learn_hook(hook, source, now, actions),
        }
        Ok(())
    }

    fn hold(&mut self, held: bool, actions: &mut Actions) -> Result<(), Refusal> {
        let is = matches!(self.off_hook()?.talk, Talk::Held);
        if held && !is {
            actions.push(Action::Tone(None));
            self.take_phase(Talk::Held, actions);
        } else if !held && is {
            self.take_phase(Talk::Talking, actions);
        }
        Ok(())
    }

    /// Somebody wants the line: what the engine plays by itself gives way.
    fn yield_to_talk(&mut self, actions: &mut Actions) {
        let State::OffHook(off) = &self.state else { return };
        match off.talk {
            Talk::Talking | Talk::Held => return,
            Talk::Collecting { .. } => {}
            Talk::DialTone { .. } | Talk::LeftOff(_) => actions.push(Action::Tone(None)),
        }
        self.take_phase(Talk::Talking, actions);
    }

    fn is_dropped(&self) -> bool {
        matches!(&self.state, State::OffHook(off) if off.supply != Supply::Fed)
    }

    fn off_hook(&mut self) -> Result<&mut OffHook, Refusal> {
        let state = self.state();
        match &mut self.state {
            State::OffHook(off) => Ok(off),
            _ => Err(Refusal::State(state)),
        }
    }

    fn need(&self, legal: bool) -> Result<(), Refusal> {
        if legal { Ok(()) } else { Err(Refusal::State(self.state())) }
    }

    fn need_off_hook(&self) -> Result<(), Refusal> {
        self.need(self.state() == LineState::OffHook)
    }

    fn need_kind(&self, kind: LineKind) -> Result<(), Refusal> {
        if self.kind == kind { Ok(()) } else { Err(Refusal::Kind) }
    }
}

fn gain_is_sane(gain: TenthDb) -> bool {
    GAIN.contains(&gain.0)
}

fn source_is_sane(source: &PlaySource) -> bool {
    match source {
        PlaySource::Ring => true,
        PlaySource::Tone(spec) => spec.in_range(),
    }
}

fn media_is_sane(media: &RtpMedia) -> Result<(), Refusal> {
    let dynamic = media.telephone_event.is_none_or(|payload| (96..=127).contains(&payload));
    if dynamic { Ok(()) } else { Err(Refusal::Malformed) }
}
