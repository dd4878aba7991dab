//! What the engine tells: first to whoever listens, then to calls.

use super::{Control, TapEnd, lock};
use crate::call::{DigitWay, Input, LineNow};
use crate::engine_link::{LinkNote, wall};
use crate::hub::{
    DigitSource, HardwareState, HeardTone, MediaFault, NoticeBody, PlaybackEnd, RingStopCause,
    SitCode, SpeechEnd,
};
use crate::view::{Timestamp, VoltageStatus};
use std::collections::HashMap;
use tipring_shm_proto::command::{Hook, LineState};
use tipring_shm_proto::event::{self, LineEvent, RingStop};
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::{Generation, LineId, TenthDbm0};
use tokio::sync::mpsc;

/// What is remembered between two events of a line.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Name and times of its cadence, and timeout, of the last ring.
    pub(super) rings: HashMap<String, (&'static str, Vec<u16>, u32)>,
    /// Calls of the journal were adopted; later attachments find none of theirs.
    adopted: bool,
}

pub(super) async fn follow_engine(control: Control, mut notes: mpsc::Receiver<LinkNote>) {
    while let Some(note) = notes.recv().await {
        control.take_note(note);
    }
}

impl Control {
    fn take_note(&self, note: LinkNote) {
        match note {
            LinkNote::Attached { generation, rows } => self.engine_attached(generation, &rows),
            LinkNote::Detached { reason } => self.engine_detached(&reason),
            LinkNote::Resync { rows } => self.resync(&rows),
            LinkNote::Line { line, at, event } => {
                if event == LineEvent::DeviceBack {
                    self.learn_line(line);
                }
                let id = self.directory().of_engine(line).map(|entry| entry.id.clone());
                if let Some(id) = id {
                    self.line_event(&id, at, event);
                }
            }
            LinkNote::Overloaded { frame_loop, on } => {
                let status = if on { HardwareState::Overloaded } else { HardwareState::Ok };
                tracing::warn!(frame_loop = frame_loop.0, on, "frame loop overloaded");
                self.hardware(None, status, None);
            }
        }
    }

    fn engine_attached(&self, generation: Generation, rows: &[(LineId, LineRow)]) {
        tracing::info!(generation = generation.0, lines = rows.len(), "engine attached");
        let new =
            self.0.lines.write().unwrap_or_else(std::sync::PoisonError::into_inner).attach(rows);
        let lines = self.lines_now(rows);
        let signalling = self.signalling();
        let mut keep = Vec::new();
        {
            let mut switch = lock(&self.0.switch);
            for entry in &new {
                super::add_to_switch(&mut switch, entry, &self.0.journal);
            }
            let first = !std::mem::replace(&mut lock(&self.0.memory).adopted, true);
            let (records, same) = if first {
                let journalled = self.0.journal.calls();
                (journalled.calls, journalled.generation == Some(generation.0))
            } else {
                (Vec::new(), false)
            };
            let actions = switch.adopt(records, same, &lines, super::moment(&self.0));
            for line in &lines {
                if switch.call_of(&line.line).is_some() {
                    keep.push(line.line.clone());
                }
            }
            self.adopt_media(rows);
            self.apply(&mut switch, actions);
            self.0.journal.note_calls(Some(generation), switch.active());
            let adopted = switch.active().filter(|call| !call.is_over()).count();
            if adopted > 0 {
                tracing::info!(calls = adopted, "running calls adopted");
            }
        }
        self.0.runtime.spawn(async move { signalling.adopt(&keep).await });
        self.restore_line_settings(rows);
        self.hardware(None, HardwareState::EngineAttached, None);
    }

    /// A card was plugged in: its lines may not be known yet.
    fn learn_line(&self, line: LineId) {
        let Some(row) = self.0.link.row(line) else { return };
        let new = self
            .0
            .lines
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .learn(line, &row);
        if let Some(entry) = new {
            super::add_to_switch(&mut lock(&self.0.switch), &entry, &self.0.journal);
        }
    }

    /// RTP that an earlier apid opened is described by the line's row.
    fn adopt_media(&self, rows: &[(LineId, LineRow)]) {
        let directory = self.directory();
        let mut media = lock(&self.0.media);
        for (line, row) in rows {
            if let (Some(entry), Some(rtp)) = (directory.of_engine(*line), row.rtp) {
                media.insert(
                    entry.id.clone(),
                    super::media::LineMedia {
                        port: rtp.local_port,
                        law: rtp.law,
                        telephone_event: rtp.telephone_event,
                        digits: crate::call::DigitTruth::default(),
                    },
                );
            }
        }
    }

    fn lines_now(&self, rows: &[(LineId, LineRow)]) -> Vec<LineNow> {
        let dialogs = self.signalling().live_dialogs();
        let directory = self.directory();
        let lines = rows.iter().filter_map(|(line, row)| {
            let entry = directory.of_engine(*line)?;
            Some(LineNow {
                line: entry.id.clone(),
                state: row.state.value,
                phase: row.phase,
                tag: row.tag,
                bridged: row.peer.is_some() || row.conference.is_some(),
                dialog: !entry.sip || dialogs.contains(&entry.id),
            })
        });
        lines.collect()
    }

    fn engine_detached(&self, reason: &str) {
        tracing::error!("engine away: {reason}");
        self.0.lines.write().unwrap_or_else(std::sync::PoisonError::into_inner).detach();
        lock(&self.0.media).clear();
        self.lose_playbacks();
        self.lose_streams(None, TapEnd::EngineAway);
        self.forget_all_digits();
        self.feed(Input::EngineGone);
        self.hardware(None, HardwareState::EngineAway, None);
        self.report_error(None, "engine_away", &format!("{reason}; every call has ended"));
    }

    /// Events were lost: what they would have said of states is read from the rows.
    fn resync(&self, rows: &[(LineId, LineRow)]) {
        tracing::warn!("events of the engine were lost; reading its line table");
        for (line, row) in rows {
            let id = self.directory().of_engine(*line).map(|entry| entry.id.clone());
            let Some(line) = id else { continue };
            if row.state.value == LineState::OffHook {
                // If it was ringing, this was the answer.
                let event = LineEvent::RingStopped { cause: RingStop::Answered };
                self.feed(Input::Line { line: line.clone(), event });
            }
            let event = LineEvent::State { state: row.state.value, phase: row.phase };
            self.feed(Input::Line { line, event });
        }
        self.forget_ended_playbacks(rows);
    }

    pub(super) fn line_event(&self, line: &str, at: Timestamp, event: LineEvent) {
        if let LineEvent::Digit { digit, source, .. } = event {
            let way = match source {
                event::DigitSource::TelephoneEvent => DigitWay::TelephoneEvent,
                _ => DigitWay::Audio,
            };
            if !self.is_new_digit(line, char::from(digit), way) {
                return;
            }
        }
        match event {
            LineEvent::PlaybackEnded { playback, cause, played_samples, underruns } => {
                self.playback_ended(line, playback, playback_end(cause), played_samples, underruns);
            }
            LineEvent::Mark { playback, mark, played_samples } => {
                self.mark_reached(line, playback, mark, played_samples);
            }
            LineEvent::Digit { digit, .. } => self.note_digit(line, char::from(digit)),
            LineEvent::State { state, .. } if state != LineState::OffHook => {
                self.forget_digits(line);
            }
            _ => {}
        }
        // Who acts on what he hears finds calls that have heard of it too.
        let mut switch = lock(&self.0.switch);
        let call = switch.call_of(line).map(|call| call.to_string());
        self.publish_event(line, call.as_deref(), at, event);
        if let LineEvent::Voice { active, .. } = event
            && let Some(body) = Self::speaks_in_conference(&switch, line, active)
        {
            self.0.hub.publish(Some(line), call.as_deref(), body);
        }
        let input = Input::Line { line: line.to_owned(), event };
        let actions = switch.handle(input, super::moment(&self.0));
        self.apply(&mut switch, actions);
    }

    /// Whether a digit is one more: a SIP phone may send one press by several ways.
    pub(super) fn is_new_digit(&self, line: &str, digit: char, way: DigitWay) -> bool {
        let now_ms = super::moment(&self.0).ms;
        let mut media = lock(&self.0.media);
        media.get_mut(line).is_none_or(|media| media.digits.accepts(digit, way, now_ms))
    }

    fn publish_event(&self, line: &str, call: Option<&str>, at: Timestamp, event: LineEvent) {
        let publish = |body| self.0.hub.publish_at(at, Some(line), call, body);
        match event {
            LineEvent::HookChanged { hook: Hook::Off, source } => {
                publish(NoticeBody::OffHook { source: source.into() });
            }
            LineEvent::HookChanged { hook: Hook::On, source } => {
                publish(NoticeBody::OnHook { source: source.into() });
            }
            LineEvent::Flash { duration_ms } => publish(NoticeBody::Flash { duration_ms }),
            LineEvent::Digit { digit, duration_ms, level, source, twist } => {
                let signal_level_dbm0 = (level > TenthDbm0::SILENCE).then(|| dbm0(level));
                publish(NoticeBody::Dtmf {
                    digit: char::from(digit),
                    duration_ms,
                    signal_level_dbm0,
                    twist_db: signal_level_dbm0
                        .filter(|_| source == event::DigitSource::Dtmf)
                        .map(|_| f64::from(twist.0) / 10.0),
                    source: match source {
                        event::DigitSource::Dtmf => DigitSource::Dtmf,
                        event::DigitSource::Pulse => DigitSource::Pulse,
                        event::DigitSource::TelephoneEvent => DigitSource::TelephoneEvent,
                    },
                });
            }
            LineEvent::Voice { active, level, noise, began, ended } => {
                publish(NoticeBody::Voice {
                    active,
                    level_dbm0: dbm0(level),
                    noise_dbm0: dbm0(noise),
                    started_at: Some(wall(began)),
                    ended_at: ended.map(wall),
                });
            }
            LineEvent::SpeechEnd { certainty, last_sound } => publish(NoticeBody::SpeechEnd {
                certainty: match certainty {
                    event::SpeechEnd::Provisional => SpeechEnd::Provisional,
                    event::SpeechEnd::Withdrawn => SpeechEnd::Withdrawn,
                    event::SpeechEnd::Final => SpeechEnd::Final,
                },
                last_sound_at: wall(last_sound),
            }),
            LineEvent::Tone { tone, active, level, began, duration_ms } => {
                publish(NoticeBody::Tone {
                    tone: heard_tone(tone),
                    active,
                    level_dbm0: dbm0(level),
                    started_at: wall(began),
                    duration_ms,
                });
            }
            LineEvent::RingStarted => {
                let ring = lock(&self.0.memory).rings.get(line).cloned();
                let (pattern, cadence_ms, timeout_ms) = ring.unwrap_or_default();
                let pattern = pattern.to_owned();
                publish(NoticeBody::RingStart { pattern, cadence_ms, timeout_ms });
            }
            LineEvent::RingStopped { cause } => {
                let cause = match cause {
                    RingStop::Answered => RingStopCause::Answered,
                    RingStop::Timeout => RingStopCause::Timeout,
                    RingStop::Stopped => RingStopCause::Stopped,
                    RingStop::Device => RingStopCause::Device,
                };
                publish(NoticeBody::RingStop { cause });
                if cause == RingStopCause::Answered {
                    publish(NoticeBody::Answered);
                }
            }
            LineEvent::Voltage { millivolts } => {
                let voltage = f64::from(millivolts) / 1000.0;
                let state = self.row_of(line).map(|row| row.state.value);
                let status = state.map_or(VoltageStatus::Unknown, |state| {
                    self.voltage_limits().judge(state, Some(voltage))
                });
                publish(NoticeBody::VoltageChange { voltage, status });
            }
            LineEvent::Temperature { tenths_celsius } => {
                let alarm = self.row_of(line).is_some_and(|row| row.alarm);
                let status = if alarm { HardwareState::Alarm } else { HardwareState::Ok };
                self.hardware(Some(line), status, Some(f64::from(tenths_celsius) / 10.0));
            }
            LineEvent::Alarm { active } => {
                let status = if active { HardwareState::Alarm } else { HardwareState::Ok };
                self.hardware(Some(line), status, None);
                if active {
                    self.report_error(Some(line), "hardware_alarm", "the card raises an alarm");
                }
            }
            LineEvent::DeviceLost => {
                self.hardware(Some(line), HardwareState::Lost, None);
                self.report_error(Some(line), "device_lost", "the device of this line is lost");
                self.lose_streams(Some(line), TapEnd::DeviceLost);
                self.lose_taps(line);
            }
            LineEvent::DeviceBack => self.hardware(Some(line), HardwareState::Back, None),
            LineEvent::Media { fault } => {
                publish(NoticeBody::Media { fault: fault.map(media_fault) });
            }
            // Those of playbacks were told; the others concern calls, or nobody.
            LineEvent::HookChanged { hook: Hook::Unknown, .. }
            | LineEvent::State { .. }
            | LineEvent::PlaybackEnded { .. }
            | LineEvent::Mark { .. }
            | LineEvent::DtmfSent
            | LineEvent::BridgeEnded { .. }
            | LineEvent::RtpSilent { .. }
            | LineEvent::RtpHeard { .. } => {}
        }
    }

    pub(super) fn row_of(&self, line: &str) -> Option<LineRow> {
        let engine = self.directory().get(line)?.engine?;
        self.0.link.row(engine)
    }

    fn hardware(&self, line: Option<&str>, status: HardwareState, temperature: Option<f64>) {
        let row = line.and_then(|line| self.row_of(line));
        let known = row.and_then(|row| row.tenths_celsius).map(|tenths| f64::from(tenths) / 10.0);
        let body = NoticeBody::HardwareStatus {
            status,
            temperature_celsius: temperature.or(known),
            uptime_ms: self.0.started.elapsed().as_millis() as u64,
        };
        self.0.hub.publish(line, None, body);
    }
}

fn dbm0(level: TenthDbm0) -> f64 {
    f64::from(level.0) / 10.0
}

fn playback_end(cause: event::PlaybackEnd) -> PlaybackEnd {
    match cause {
        event::PlaybackEnd::Finished => PlaybackEnd::Finished,
        event::PlaybackEnd::Stopped => PlaybackEnd::Stopped,
        event::PlaybackEnd::Digit => PlaybackEnd::Digit,
        event::PlaybackEnd::Voice => PlaybackEnd::Voice,
        event::PlaybackEnd::LineGone => PlaybackEnd::LineGone,
        event::PlaybackEnd::DeviceLost => PlaybackEnd::DeviceLost,
    }
}

const fn sit_code(code: event::SitCode) -> SitCode {
    match code {
        event::SitCode::Intercept => SitCode::Intercept,
        event::SitCode::VacantCode => SitCode::VacantCode,
        event::SitCode::Reorder => SitCode::Reorder,
        event::SitCode::NoCircuit => SitCode::NoCircuit,
    }
}

fn heard_tone(tone: event::HeardTone) -> HeardTone {
    match tone {
        event::HeardTone::Dial => HeardTone::Dial,
        event::HeardTone::Ringback => HeardTone::Ringback,
        event::HeardTone::Busy => HeardTone::Busy,
        event::HeardTone::Congestion => HeardTone::Congestion,
        event::HeardTone::SpecialInformation { code } => {
            HeardTone::SpecialInformation(code.map(sit_code))
        }
        event::HeardTone::FaxCalling => HeardTone::FaxCalling,
        event::HeardTone::FaxAnswering => HeardTone::FaxAnswering,
        event::HeardTone::ModemAnswering => HeardTone::ModemAnswering,
        event::HeardTone::Beep => HeardTone::Beep,
    }
}

fn media_fault(fault: event::MediaFault) -> MediaFault {
    match fault {
        event::MediaFault::NeverHeard => MediaFault::NeverHeard,
        event::MediaFault::Ceased => MediaFault::Ceased,
        event::MediaFault::Ended => MediaFault::Ended,
        event::MediaFault::Foreign => MediaFault::Foreign,
        event::MediaFault::Codec => MediaFault::Codec,
        event::MediaFault::NotAuthentic => MediaFault::NotAuthentic,
        event::MediaFault::Silence => MediaFault::Silence,
        event::MediaFault::Unheard => MediaFault::Unheard,
    }
}
