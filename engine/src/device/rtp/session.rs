//! One call's RTP without its socket: packets in, frames out, and the other way round.
//!
//! Sans-IO: time is an argument, packets are octets. Nothing here allocates after
//! [`Session::new`], waits or panics, whatever arrives; the work a packet is bounded by its
//! length.

mod control;

use super::counts::RtpCounts;
use super::drift::Drift;
use super::faults::{FaultWatch, Seen};
use super::intake::Intake;
use super::jitter_buffer::{Inserted, JitterBuffer};
use super::outgoing::{Outgoing, StreamStart};
use super::packet::{self, Header, Packet};
use super::quality::Judge;
use super::reception::{Order, Reception};
use super::reports::Reports;
use super::signals::Signals;
use super::source::{Source, Verdict};
use super::srtp::Srtp;
use super::telephone_event::{EventPayload, EventReceiver, EventSender, NotQueued, PAYLOAD_OCTETS};
use crate::frame::{Companded, Heard, Pace};
use crate::signal::{Driven, Signal};
pub use control::CONTROL_OCTETS;
use tipring_shm_proto::command::{Law, RtpMedia, SrtpKeys};
use tipring_shm_proto::line_table::RtpRow;
use tipring_shm_proto::units::{Endpoint, FRAME_MS, FRAME_SAMPLES, Nanos};

/// Static payload type of PCMU (RFC 3551 §6).
pub const PCMU: u8 = 0;
/// Static payload type of PCMA (RFC 3551 §6).
pub const PCMA: u8 = 8;
/// Static payload type of comfort noise (RFC 3389).
pub const COMFORT_NOISE: u8 = 13;
/// Dynamic payload types (RFC 3551 §6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;
/// Longest encrypted packet that is used.
const MAX_ENCRYPTED: usize = 2048;
/// Silence that is told, and told again, ms.
const SILENT_MS: u32 = 5000;

/// The state of one call; [`Session::begin`] starts another in the same memory.
pub struct Session {
    media: RtpMedia,
    source: Source,
    reception: Reception,
    buffer: JitterBuffer,
    intake: Intake,
    drift: Drift,
    judge: Judge,
    duplicates: u32,
    reports: Reports,
    /// Where the phone's RTCP comes from, if not from RTP's port.
    control_from: Option<Endpoint>,
    watch: FaultWatch,
    seen: Seen,
    /// Of an encrypted call.
    srtp: Option<Srtp>,
    events_in: EventReceiver,
    heard: Nanos,
    silent_told_ms: u32,
    late: u64,
    outgoing: Outgoing,
    events_out: EventSender,
    signals: Signals,
    counts: RtpCounts,
    lost_counted: u64,
}

impl Session {
    /// Of no call yet: it neither sends nor receives. Allocates the jitter buffer.
    pub fn new() -> Self {
        Self {
            media: RtpMedia {
                remote: None,
                law: Law::Mu,
                telephone_event: None,
                send: false,
                receive: false,
                rtcp_mux: false,
                srtp: None,
            },
            source: Source::default(),
            reception: Reception::default(),
            buffer: JitterBuffer::new(),
            intake: Intake::default(),
            drift: Drift::default(),
            judge: Judge::default(),
            duplicates: 0,
            reports: Reports::new(Nanos(0), [0; 12]),
            control_from: None,
            watch: FaultWatch::default(),
            seen: Seen::default(),
            srtp: None,
            events_in: EventReceiver::default(),
            heard: Nanos(0),
            silent_told_ms: 0,
            late: 0,
            outgoing: Outgoing::of(StreamStart {
                ssrc: 0,
                sequence: 0,
                timestamp: 0,
                seed: [0; 12],
            }),
            events_out: EventSender::default(),
            signals: Signals::EMPTY,
            counts: RtpCounts::default(),
            lost_counted: 0,
        }
    }

    /// Begins a call. Counts that were not taken yet stay.
    pub fn begin(&mut self, now: Nanos, media: RtpMedia, start: StreamStart) {
        self.media = checked(media);
        self.source = Source::new(media.remote);
        self.reception = Reception::default();
        self.buffer.reset();
        self.drift = Drift::default();
        self.judge = Judge::default();
        self.duplicates = 0;
        self.reports = Reports::new(now, start.seed);
        self.control_from = None;
        self.watch = FaultWatch::default();
        self.seen = Seen::default();
        self.srtp = media.srtp.map(Srtp::new);
        self.events_in = EventReceiver::default();
        self.heard = now;
        self.silent_told_ms = 0;
        self.late = 0;
        self.outgoing = Outgoing::of(start);
        self.events_out = EventSender::default();
        self.signals = Signals::EMPTY;
        self.lost_counted = 0;
    }

    /// What signalling agreed on, from the next frame on.
    pub fn update(&mut self, now: Nanos, media: RtpMedia) {
        let media = checked(media);
        if media.receive && !self.media.receive {
            self.heard = now;
            self.silent_told_ms = 0;
        }
        if media.telephone_event.is_none() {
            self.events_out = EventSender::default();
            self.end_event();
        }
        self.source.update(now, media.remote);
        match (&mut self.srtp, media.srtp) {
            (Some(srtp), Some(keys)) => srtp.update(keys),
            (None, Some(keys)) => self.begin_encryption(keys, media.remote),
            (srtp, None) => *srtp = None,
        }
        self.media = media;
    }

    /// What came before was for whoever has the keys, or of anybody; what waits to leave is plain.
    fn begin_encryption(&mut self, keys: SrtpKeys, remote: Option<Endpoint>) {
        self.srtp = Some(Srtp::new(keys));
        self.source = Source::new(remote);
        self.begin_source();
        if std::mem::take(&mut self.outgoing.ready) > 0 {
            self.count_unsent();
        }
    }

    /// What was agreed on last.
    pub fn media(&self) -> &RtpMedia {
        &self.media
    }

    /// A tick begins: what [`Session::take_frame`] gives next is due now.
    pub fn handle_tick(&mut self, now: Nanos) {
        self.buffer.handle_tick(now);
        self.intake = Intake::default();
    }

    /// Nothing more has to be looked for in this tick; see [`Intake::is_enough`].
    pub fn has_enough(&self, last: Nanos, now: Nanos) -> bool {
        self.intake.is_enough(last, now)
    }

    /// How to play the next frames while `held` samples of the last ones wait.
    pub fn pace(&mut self, held: u32) -> Pace {
        self.buffer.pace(held)
    }

    /// [`Session::take_frame`] would give audio.
    pub fn has_frame(&self) -> bool {
        self.media.receive && self.buffer.has_frame()
    }

    /// What the phone's clock is ahead of ours, ppm, where it is known.
    pub fn drift_ppm(&self) -> Option<f64> {
        self.drift.ppm()
    }

    /// Takes what reached this machine at `now`. `true` if it is the phone's.
    pub fn handle_packet(&mut self, now: Nanos, from: Endpoint, octets: &[u8]) -> bool {
        let Some(srtp) = &mut self.srtp else { return self.handle_plain(now, from, octets) };
        let mut plain = [0; MAX_ENCRYPTED];
        let Some(plain) = plain.get_mut(..octets.len()) else { return false };
        plain.copy_from_slice(octets);
        if let Ok(len) = srtp.unprotect(plain) {
            return self.handle_plain(now, from, &plain[..len]);
        }
        self.counts.not_authentic += 1;
        self.seen.not_authentic += 1;
        false
    }

    fn handle_plain(&mut self, now: Nanos, from: Endpoint, octets: &[u8]) -> bool {
        // Until it is known to be the next of the source that is heard already.
        let intake = self.intake;
        self.intake.note_other();
        let Ok(packet) = packet::parse(octets) else {
            self.counts.malformed += 1;
            return false;
        };
        let Header { payload_type, sequence, ssrc, .. } = packet.header;
        if !self.is_agreed(payload_type) {
            // It takes part in the sequence all the same: it is not lost.
            if self.source.is_current(from, ssrc) {
                self.reception.handle_sequence(sequence);
            }
            self.counts.payload_type += 1;
            self.seen.payload_type += 1;
            return false;
        }
        let verdict = self.source.judge(now, from, ssrc, sequence);
        match verdict {
            Verdict::Foreign | Verdict::Unproven => {
                self.counts.foreign += 1;
                self.seen.foreign += 1;
                return false;
            }
            Verdict::New => {
                self.begin_source();
                self.signal(Signal::RtpHeard { remote: from });
            }
            Verdict::Current if self.silent_told_ms > 0 => {
                self.signal(Signal::RtpHeard { remote: from });
            }
            Verdict::Current => {}
        }
        self.heard = now;
        self.silent_told_ms = 0;
        self.counts.received += 1;
        let lost = self.reception.lost();
        match self.reception.handle_sequence(sequence) {
            Order::Fresh if verdict == Verdict::Current && self.reception.lost() == lost => {
                self.intake = intake;
            }
            Order::Fresh => {}
            Order::Restart => self.begin_buffer(),
            Order::Stray => {
                self.counts.malformed += 1;
                return true;
            }
            Order::Duplicate => {
                self.counts.duplicate += 1;
                self.duplicates = self.duplicates.saturating_add(1);
                // Ends of events that share a sequence number are told apart by their names.
                if Some(payload_type) != self.media.telephone_event {
                    return true;
                }
            }
        }
        self.use_payload(now, packet);
        true
    }

    /// Takes the next 20 ms of what the phone says, after the packets of this tick.
    pub fn take_frame(&mut self, now: Nanos, into: &mut Companded) -> Heard {
        let ended = self.events_in.handle_time(now);
        ended.for_each(|signal| self.signal(signal));
        self.tell_silence(now);
        self.tell_fault(now);
        let heard = match self.buffer.take(into) {
            _ if !self.media.receive => Heard::Nothing,
            Heard::Missing if self.events_in.is_lasting() => Heard::Nothing,
            heard => heard,
        };
        if heard != Heard::Nothing {
            self.judge.note(heard == Heard::Missing, self.delay_ms());
        }
        heard
    }

    /// Prepares the packet of this frame: its audio, or the digit that is being sent. One that
    /// still waits is lost.
    pub fn put_frame(&mut self, frame: &Companded) {
        if std::mem::take(&mut self.outgoing.ready) > 0 {
            self.count_unsent();
        }
        let timestamp = self.outgoing.timestamp;
        self.outgoing.timestamp = timestamp.wrapping_add(FRAME_SAMPLES as u32);
        if !self.media.send || self.source.target().is_none() {
            self.outgoing.after_silence = true;
            return;
        }
        let event_type = self.media.telephone_event;
        let event = event_type
            .and_then(|event_type| Some((event_type, self.events_out.next_packet(timestamp)?)));
        if let Some((event_type, event)) = event {
            let payload = event.payload.octets();
            self.outgoing.prepare(event_type, event.marker, event.timestamp, &payload);
        } else {
            let payload_type = match frame.law {
                Law::Mu => PCMU,
                Law::A => PCMA,
            };
            let marker = std::mem::take(&mut self.outgoing.after_silence);
            self.outgoing.prepare(payload_type, marker, timestamp, &frame.octets);
        }
        if let Some(srtp) = &mut self.srtp {
            let Outgoing { octets, ready, .. } = &mut self.outgoing;
            *ready = srtp.protect(octets, *ready);
        }
    }

    /// The packet that waits, and where it goes; [`Session::handle_sent`] tells what became of it.
    pub fn outgoing(&self) -> Option<(&[u8], Endpoint)> {
        let octets = &self.outgoing.octets[..self.outgoing.ready];
        let target = self.source.target()?;
        (!octets.is_empty()).then_some((octets, target))
    }

    /// The packet that waited was sent, or the kernel did not take it: then it is lost, and its
    /// sequence number is the next packet's.
    pub fn handle_sent(&mut self, taken: bool) {
        let ready = std::mem::take(&mut self.outgoing.ready);
        if ready == 0 {
            return;
        }
        if taken {
            self.outgoing.sequence = self.outgoing.sequence.wrapping_add(1);
            self.outgoing.sent += 1;
            self.outgoing.sent_octets += self.outgoing.payload_octets as u64;
            self.counts.sent += 1;
        } else {
            self.count_unsent();
        }
    }

    /// A packet was lost here. The next one has its sequence number, unless that was used with a key
    /// already (RFC 3711 §9.1).
    fn count_unsent(&mut self) {
        self.counts.unsent += 1;
        self.outgoing.after_silence = true;
        if self.srtp.is_some() {
            self.outgoing.sequence = self.outgoing.sequence.wrapping_add(1);
        }
    }

    /// Queues a digit as telephone-event: unsupported where none was agreed on, busy while
    /// nothing may be sent or 32 digits wait.
    pub fn send_digit(&mut self, digit: u8, on_ms: u16, off_ms: u16) -> Driven {
        self.queue(|events| events.queue_digit(digit, on_ms, off_ms))
    }

    /// Queues a flash as event 16, as [`Session::send_digit`].
    pub fn send_flash(&mut self) -> Driven {
        self.queue(EventSender::queue_flash)
    }

    /// Digits or a flash are not sent to their end yet.
    pub fn digits_pending(&self) -> bool {
        self.events_out.is_pending()
    }

    /// The next signal, oldest first.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop()
    }

    /// Where packets are sent to.
    pub fn remote(&self) -> Option<Endpoint> {
        self.source.target()
    }

    /// For the line table.
    pub fn stats(&self, local_port: u16) -> RtpRow {
        RtpRow {
            local_port,
            remote: self.source.target(),
            law: self.media.law,
            telephone_event: self.media.telephone_event,
            received: self.reception.received(),
            sent: self.outgoing.sent,
            lost: self.reception.lost(),
            late: self.late,
            jitter_us: self.reception.jitter_us(),
            depth_ms: self.buffer.depth_ms(),
            target_ms: self.buffer.target_ms(),
            duplicates: self.duplicates,
            concealed_ms: 0,
            stretched_ms: 0,
            shortened_ms: 0,
            drift_ppm: self.drift.ppm().map(|ppm| ppm.round() as i16),
            round_trip_us: self.reports.round_trip_us(),
            far_end: self.reports.far_end(),
            quality: self.judge.quality(self.delay_ms()),
            srtp: self.srtp.is_some(),
        }
    }

    /// What happened since the last call of this function.
    pub fn take_counts(&mut self) -> RtpCounts {
        let lost = self.reception.lost();
        self.counts.lost = lost.saturating_sub(self.lost_counted) as u32;
        self.lost_counted = self.lost_counted.max(lost);
        std::mem::take(&mut self.counts)
    }

    fn is_agreed(&self, payload_type: u8) -> bool {
        matches!(payload_type, PCMU | PCMA | COMFORT_NOISE)
            || Some(payload_type) == self.media.telephone_event
    }

    fn use_payload(&mut self, now: Nanos, Packet { header, payload }: Packet<'_>) {
        if Some(header.payload_type) == self.media.telephone_event {
            let Some(event) = EventPayload::parse(payload) else {
                self.counts.malformed += 1;
                return;
            };
            let name = (header.ssrc, header.timestamp, header.marker);
            let signals = self.events_in.handle_packet(now, name, event);
            signals.for_each(|signal| self.signal(signal));
            self.buffer.handle_quiet(header.timestamp);
            return;
        }
        let law = match header.payload_type {
            PCMU => Law::Mu,
            PCMA => Law::A,
            _ => return self.buffer.handle_quiet(header.timestamp),
        };
        self.intake.note_audio(now, payload.len());
        self.seen.silent = is_digital_silence(payload);
        self.reception.handle_timestamp(in_timestamp_units(now), header.timestamp);
        let (inserted, transit) = self.buffer.insert(now, header.timestamp, law, payload);
        self.drift.note(now, transit);
        match inserted {
            Inserted::Kept => {}
            Inserted::Grown | Inserted::Late => {
                self.late += 1;
                self.counts.late += 1;
            }
            Inserted::Reset => self.counts.resets += 1,
        }
    }

    /// Another source speaks: what the former left behind is not to be mixed with it.
    fn begin_source(&mut self) {
        if self.reception.received() > 0 {
            self.reception.begin_anew();
            self.reports.begin_source();
            self.begin_buffer();
        }
        self.end_event();
    }

    fn begin_buffer(&mut self) {
        self.buffer.reset();
        self.drift = Drift::default();
        self.counts.resets += 1;
    }

    fn end_event(&mut self) {
        let ended = self.events_in.handle_source_change();
        ended.for_each(|signal| self.signal(signal));
    }

    /// From mouth to ear, as far as it is known here: packet, half the round trip and jitter buffer.
    fn delay_ms(&self) -> u32 {
        let way_ms = self.reports.round_trip_us().map_or(0, |us| us / 2000);
        u32::from(self.buffer.depth_ms()) + FRAME_MS + way_ms
    }

    fn tell_fault(&mut self, now: Nanos) {
        if !self.watch.is_due(now) {
            return;
        }
        self.seen.expected = self.media.receive;
        self.seen.received = self.reception.received();
        self.seen.left = self.reports.has_left();
        self.seen.unheard = self.media.send && self.reports.is_unheard();
        if let Some(change) = self.watch.look(now, self.seen) {
            self.signal(Signal::Media(change));
        }
    }

    fn tell_silence(&mut self, now: Nanos) {
        let silent_ms = now.ms_since(self.heard);
        if self.media.receive && silent_ms >= self.silent_told_ms.saturating_add(SILENT_MS) {
            self.silent_told_ms = silent_ms - silent_ms % SILENT_MS;
            self.signal(Signal::RtpSilent { silent_ms });
        }
    }

    fn signal(&mut self, signal: Signal) {
        if !self.signals.push(signal) {
            self.counts.signals_dropped += 1;
        }
    }

    fn queue(&mut self, queue: impl FnOnce(&mut EventSender) -> Result<(), NotQueued>) -> Driven {
        if self.media.telephone_event.is_none() {
            return Driven::Unsupported;
        }
        if !self.media.send || self.source.target().is_none() {
            return Driven::Busy;
        }
        match queue(&mut self.events_out) {
            Ok(()) => Driven::Done,
            Err(NotQueued::Full) => Driven::Busy,
            Err(NotQueued::NoDigit) => Driven::Unsupported,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

/// A payload type that is not dynamic (RFC 3551 §6) would be taken for audio or RTCP: then there
/// are no telephone-events.
fn checked(media: RtpMedia) -> RtpMedia {
    let telephone_event = media.telephone_event.filter(|event| DYNAMIC.contains(event));
    RtpMedia { telephone_event, ..media }
}

/// The same octet throughout, and that of the smallest value in either law and of either sign.
fn is_digital_silence(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| {
        matches!(first, 0xFF | 0x7F | 0xD5 | 0x55) && payload.iter().all(|octet| octet == first)
    })
}

/// 1/8000 s, wrapping as timestamps do.
fn in_timestamp_units(now: Nanos) -> u32 {
    (now.0 / 125_000) as u32
}

const _: () = assert!(PAYLOAD_OCTETS <= FRAME_SAMPLES);

#[cfg(test)]
mod tests;
