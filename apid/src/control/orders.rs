//! What calls order, carried out: for each call one order after the other.

use super::media::{LineMedia, TELEPHONE_EVENT, common_law, rtp};
use super::{Cause, Control, MediaOffer, Refused, RemoteMedia, SignallingError, cadences, lock};
use crate::call::{CallNumber, DigitTruth, Input, Order, Role, Seat};
use crate::engine_link::LinkError;
use crate::hub::NoticeBody;
use crate::view::CallerIdView;
use std::net::IpAddr;
use std::time::Duration;
use tipring_shm_proto::command::{
    Cadence, CallerId, Command, HeardBy, Hook, HookSource, LineState, Outcome, Refusal, RtpMedia,
};
use tipring_shm_proto::units::{ConferenceId, LineId, Text32};
use tokio::sync::mpsc;

/// How often a bell that may not change any more is tried again. The engine allows eight changes a
/// second, and a ring takes two.
const BELL_TRIES: usize = 3;
/// How long after each.
const BELL_REST: Duration = Duration::from_millis(150);

impl Control {
    /// Puts an order behind those of its call; one that belongs to no call is carried out now.
    pub(super) fn enqueue(&self, call: CallNumber, order: Order) {
        if call.0 == 0 {
            let control = self.clone();
            self.0.runtime.spawn(async move {
                if let Err(failure) = control.perform(call, order).await {
                    tracing::debug!("an order outside of calls failed: {failure}");
                }
            });
            return;
        }
        let mut queues = lock(&self.0.queues);
        let queue = queues.entry(call).or_insert_with(|| {
            let (sender, orders) = mpsc::unbounded_channel();
            self.0.runtime.spawn(self.clone().work(call, orders));
            sender
        });
        // The worker ends with the call's last order only.
        let _ = queue.send(order);
    }

    async fn work(self, call: CallNumber, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            if order == Order::Release {
                lock(&self.0.queues).remove(&call);
                lock(&self.0.ring_waiters).remove(&call);
                self.feed(Input::Released { call });
                return;
            }
            // Others may still ring; what fails of the rest is the call's end.
            let ringing = match &order {
                Order::Ring { line, .. } | Order::Lift { line, .. } => Some(line.clone()),
                _ => None,
            };
            let rings = matches!(order, Order::Ring { .. });
            let essential = matches!(
                order,
                Order::Ring { .. }
                    | Order::Take { .. }
                    | Order::Lift { .. }
                    | Order::Accept { .. }
                    | Order::Echo { .. }
                    | Order::Bridge { .. }
                    | Order::Confer { .. }
            );
            let result = self.perform(call, order).await;
            if rings && let Some(waiter) = lock(&self.0.ring_waiters).remove(&call) {
                // Whoever asked may have gone.
                let _ = waiter.send(result.clone().map_err(|failure| failure.refused));
            }
            if let Err(failure) = result {
                tracing::debug!(%call, "an order failed: {failure}");
                if essential {
                    let (line, cause) = (ringing, failure.cause);
                    self.feed(Input::Failed { call, line, cause });
                }
            }
        }
    }

    async fn perform(&self, call: CallNumber, order: Order) -> Result<(), Failure> {
        match order {
            Order::Ring { line, number, caller, timeout_ms, cadence_ms } => {
                self.ring_phone(&line, number.as_deref(), &caller, timeout_ms, &cadence_ms).await
            }
            Order::StopRing { line, cause } => self.stop_phone(&line, cause).await,
            Order::Take { line, media } => self.take_phone(&line, &media).await,
            Order::Lift { line, media } => self.lift_phone(&line, &media).await,
            Order::Alert { line } => {
                self.signalling().progress(&line).await;
                Ok(())
            }
            Order::Accept { line } => {
                let media = lock(&self.0.media).get(&line).copied();
                let media = media.ok_or(Failure::of(Cause::ResourceUnavailable))?;
                Ok(self.signalling().accept(&line, media.answer()).await?)
            }
            Order::Tag { line } => self.tell_engine(&line, Command::Tag(call.0)).await,
            Order::Tone { line, tone } => self.tell_engine(&line, Command::Tone(tone)).await,
            Order::CallWaiting { line, caller } => {
                let caller = engine_caller(&caller);
                self.tell_engine(&line, Command::CallWaiting { caller }).await
            }
            Order::Application { line, socket, caller } => {
                self.connect_application(call, line, socket, caller);
                Ok(())
            }
            Order::EndApplication { cause, by_phone } => {
                let end = super::ApplicationEnd { cause, by_phone };
                self.applications().leave(&call.to_string(), end);
                Ok(())
            }
            Order::Echo { line } => self.tell_engine(&line, Command::Echo(true)).await,
            Order::EndEcho { line } => self.tell_engine(&line, Command::Echo(false)).await,
            Order::Part { line } => self.tell_engine(&line, Command::Unbridge).await,
            Order::Bridge { line, peer } => {
                let (_, peer) = self.engine_line(&peer)?;
                self.tell_engine(&line, Command::Bridge { peer }).await
            }
            Order::Confer { line, seat } => {
                let confer = self.seat_in_engine(&seat)?;
                self.tell_engine(&line, confer).await
            }
            Order::Unmute { line } => {
                self.tell_engine(&line, Command::Mute { spoken: false, heard: false }).await
            }
            Order::Drop { line, cause } => self.drop_phone(&line, cause).await,
            Order::Transferred { line } => {
                self.signalling().transferred(&line, 200).await;
                Ok(())
            }
            Order::Gone { line } => self.phone_gone(&line).await,
            Order::Refused { line } => {
                let (_, engine) = self.engine_line(&line)?;
                let (hook, source) = (Hook::Unknown, HookSource::Signalling);
                let told = self.link_ask(engine, Command::ReportHook { hook, source }).await;
                self.close_rtp(&line, engine).await;
                told
            }
            Order::Reset { line } => {
                let (sip, engine) = self.engine_line(&line)?;
                let reset = self.link_ask(engine, Command::Reset).await;
                if sip {
                    self.close_rtp(&line, engine).await;
                }
                reset
            }
            Order::Established => {
                self.feed(Input::Established { call });
                Ok(())
            }
            Order::Release => {
                self.feed(Input::Released { call });
                Ok(())
            }
        }
    }

    /// What the engine is asked for a line that sits down.
    fn seat_in_engine(&self, seat: &Seat) -> Result<Command, Failure> {
        let heard_by = match &seat.role {
            Role::Speaks => HeardBy::Everybody,
            Role::Listens => HeardBy::Nobody,
            Role::Whispers(line) => HeardBy::Only(self.engine_line(line)?.1),
        };
        Ok(Command::Confer { conference: ConferenceId(seat.number), heard_by })
    }

    async fn ring_phone(
        &self,
        line: &str,
        number: Option<&str>,
        caller: &CallerIdView,
        timeout_ms: u32,
        cadence_ms: &[u16],
    ) -> Result<(), Failure> {
        let (sip, engine) = self.engine_line(line)?;
        let of_country = || {
            let country = self.row_of(line).map(|row| row.settings.country);
            cadences::of_country(country.unwrap_or_default())
        };
        let times = if cadence_ms.is_empty() { of_country() } else { cadence_ms };
        let cadence = Cadence::new(times).ok_or(Failure::of(Cause::InvalidNumber))?;
        let rings = (cadences::name(cadence_ms), times.to_vec(), timeout_ms);
        lock(&self.0.memory).rings.insert(line.to_owned(), rings);
        let ring = Command::Ring { cadence, timeout_ms, caller: engine_caller(caller) };
        tracing::info!(line, caller = caller.number, "ring");
        if !sip {
            return self.ring_bell(engine, ring).await;
        }
        let laws = self.directory().get(line).map(|e| e.laws.clone()).unwrap_or_default();
        let law = *laws.first().ok_or(Failure::of(Cause::BearerCapability))?;
        let telephone_event = Some(TELEPHONE_EVENT);
        // Nothing until the answer says what is spoken, and whether it is encrypted.
        let media = RtpMedia {
            remote: None,
            law,
            telephone_event,
            send: false,
            receive: false,
            rtcp_mux: false,
            srtp: None,
        };
        let port = self.open_rtp(line, engine, media).await?;
        self.link_ask(engine, ring).await?;
        let offer = MediaOffer { port, laws, telephone_event };
        Ok(self.signalling().invite(line, number, offer, caller, cadence_ms).await?)
    }

    /// A bell that has changed too often within a second rings a moment later.
    async fn ring_bell(&self, line: LineId, ring: Command) -> Result<(), Failure> {
        for _ in 0..BELL_TRIES {
            match self.0.link.ask(line, ring).await {
                Err(LinkError::Refused(Refusal::Limit)) => tokio::time::sleep(BELL_REST).await,
                other => return Ok(other.map(|_| ())?),
            }
        }
        self.link_ask(line, ring).await
    }

    async fn stop_phone(&self, line: &str, cause: Cause) -> Result<(), Failure> {
        let sip = self.directory().get(line).is_some_and(|entry| entry.sip);
        if sip {
            self.signalling().cancel(line, cause).await;
        }
        let (_, engine) = self.engine_line(line)?;
        let stopped = self.link_ask(engine, Command::StopRing).await;
        if sip {
            self.close_rtp(line, engine).await;
        } else if matches!(&stopped, Err(failure) if failure.found == Some(LineState::OffHook)) {
            // It was lifted at that very moment.
            return self.link_ask(engine, Command::HangUp).await;
        }
        stopped
    }

    async fn take_phone(&self, line: &str, media: &RemoteMedia) -> Result<(), Failure> {
        let (_, engine) = self.engine_line(line)?;
        let law = self.choose_law(line, media)?;
        let mut rtp = rtp(media, law);
        if media.remote.is_none() {
            // Ours is the offer.
            rtp.telephone_event = Some(TELEPHONE_EVENT);
        }
        self.open_rtp(line, engine, rtp).await?;
        self.report_off(engine).await
    }

    async fn lift_phone(&self, line: &str, media: &RemoteMedia) -> Result<(), Failure> {
        let (_, engine) = self.engine_line(line)?;
        let law = self.choose_law(line, media)?;
        let rtp = rtp(media, law);
        self.link_ask(engine, Command::UpdateRtp { media: rtp }).await?;
        if let Some(known) = lock(&self.0.media).get_mut(line) {
            known.law = law;
            known.telephone_event = rtp.telephone_event;
        }
        self.report_off(engine).await
    }

    async fn drop_phone(&self, line: &str, cause: Cause) -> Result<(), Failure> {
        let sip = self.directory().get(line).is_some_and(|entry| entry.sip);
        if sip {
            self.signalling().hang_up(line, cause).await;
        }
        let (_, engine) = self.engine_line(line)?;
        let dropped = self.link_ask(engine, Command::HangUp).await;
        if sip {
            self.close_rtp(line, engine).await;
        }
        dropped
    }

    async fn phone_gone(&self, line: &str) -> Result<(), Failure> {
        let (sip, engine) = self.engine_line(line)?;
        if !sip {
            return Ok(());
        }
        let rings = self.0.link.row(engine).is_some_and(|r| r.state.value == LineState::Ringing);
        if rings {
            self.link_ask(engine, Command::StopRing).await?;
        }
        let (hook, source) = (Hook::On, HookSource::Signalling);
        let told = self.link_ask(engine, Command::ReportHook { hook, source }).await;
        self.close_rtp(line, engine).await;
        told
    }

    fn choose_law(
        &self,
        line: &str,
        media: &RemoteMedia,
    ) -> Result<tipring_shm_proto::command::Law, Failure> {
        let ours = self.directory().get(line).map(|e| e.laws.clone()).unwrap_or_default();
        common_law(media, &ours).ok_or(Failure::of(Cause::BearerCapability))
    }

    async fn report_off(&self, engine: LineId) -> Result<(), Failure> {
        let (hook, source) = (Hook::Off, HookSource::Signalling);
        self.link_ask(engine, Command::ReportHook { hook, source }).await
    }

    async fn open_rtp(&self, line: &str, engine: LineId, media: RtpMedia) -> Result<u16, Failure> {
        let local_ip = mapped(self.0.rtp_address);
        let open = Command::OpenRtp { media, local_ip };
        let mut opened = self.0.link.ask(engine, open).await;
        if opened == Err(LinkError::Refused(Refusal::Rtp)) {
            // Left open by an earlier call or apid.
            self.link_ask(engine, Command::CloseRtp).await?;
            opened = self.0.link.ask(engine, open).await;
        }
        match opened {
            Ok(Outcome::RtpOpened { port }) => {
                let (law, telephone_event) = (media.law, media.telephone_event);
                let digits = DigitTruth::default();
                let media = LineMedia { port, law, telephone_event, digits };
                lock(&self.0.media).insert(line.to_owned(), media);
                Ok(port)
            }
            Ok(_) => Err(Failure::of(Cause::ResourceUnavailable)),
            Err(error) => Err(error.into()),
        }
    }

    async fn close_rtp(&self, line: &str, engine: LineId) {
        lock(&self.0.media).remove(line);
        if let Err(failure) = self.link_ask(engine, Command::CloseRtp).await {
            tracing::debug!(line, "RTP was not closed: {failure}");
        }
    }

    async fn tell_engine(&self, line: &str, command: Command) -> Result<(), Failure> {
        let (_, engine) = self.engine_line(line)?;
        self.link_ask(engine, command).await
    }

    async fn link_ask(&self, engine: LineId, command: Command) -> Result<(), Failure> {
        Ok(self.0.link.ask(engine, command).await.map(|_| ())?)
    }

    /// Whether it is a SIP line, and where the engine has it.
    fn engine_line(&self, line: &str) -> Result<(bool, LineId), Failure> {
        let directory = self.directory();
        let entry = directory.get(line).ok_or(Failure::of(Cause::UnallocatedNumber))?;
        entry.engine.map(|engine| (entry.sip, engine)).ok_or(Failure::from(LinkError::Away))
    }

    /// Tells clients of something that went wrong.
    pub(super) fn report_error(&self, line: Option<&str>, code: &'static str, message: &str) {
        tracing::warn!(line, code, "{message}");
        self.publish_error(line, code, message);
    }

    /// Tells clients of something that went wrong and has its line in the log already.
    pub(super) fn publish_error(&self, line: Option<&str>, code: &'static str, message: &str) {
        let message = message.to_owned();
        self.0.hub.publish(line, None, NoticeBody::Error { code, message });
    }
}

/// IPv4 is mapped into IPv6, as the engine has it.
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Why an order was not carried out: for the call, and for whoever asked.
#[derive(Clone, Debug)]
struct Failure {
    cause: Cause,
    refused: Refused,
    /// State in which the engine found the line.
    found: Option<LineState>,
}

impl Failure {
    fn of(cause: Cause) -> Self {
        Self { cause, refused: Refused::Signalling(cause.text().to_owned()), found: None }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.refused.fmt(f)
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let mut found = None;
        let (cause, refused) = match error {
            LinkError::Away => (Cause::TemporaryFailure, Refused::EngineAway),
            LinkError::TimedOut => (Cause::TemporaryFailure, Refused::TimedOut),
            LinkError::Full => {
                (Cause::ResourceUnavailable, Refused::Full { what: "commands to the engine" })
            }
            LinkError::Refused(refusal) => match refusal {
                Refusal::State(state) => {
                    found = Some(state);
                    let busy = matches!(state, LineState::OffHook | LineState::Ringing);
                    let state = state.into();
                    if busy {
                        (Cause::UserBusy, Refused::LineBusy { state })
                    } else {
                        (Cause::DestinationOutOfOrder, Refused::WrongState { state })
                    }
                }
                Refusal::Bridged => {
                    (Cause::UserBusy, Refused::LineBusy { state: crate::view::LineState::OffHook })
                }
                Refusal::NoPort => {
                    (Cause::ResourceUnavailable, Refused::Full { what: "RTP ports" })
                }
                Refusal::Full | Refusal::Limit => {
                    (Cause::ResourceUnavailable, Refused::Full { what: "lines that ring" })
                }
                Refusal::EngineRestarted => (Cause::TemporaryFailure, Refused::EngineAway),
                Refusal::Malformed => (
                    Cause::InvalidNumber,
                    Refused::Invalid {
                        field: "cadence",
                        reason: "the engine bounds bursts of ringing and their share".to_owned(),
                    },
                ),
                _ => (Cause::DestinationOutOfOrder, Refused::Device),
            },
        };
        Self { cause, refused, found }
    }
}

fn engine_caller(caller: &CallerIdView) -> CallerId {
    CallerId { number: Text32::new(&caller.number), name: Text32::new(&caller.name) }
}

impl From<SignallingError> for Failure {
    fn from(error: SignallingError) -> Self {
        let (cause, reason) = match error {
            SignallingError::NotRegistered => {
                (Cause::SubscriberAbsent, "the phone is not registered".to_owned())
            }
            SignallingError::NoDialog => (Cause::NormalClearing, "the phone has left".to_owned()),
            SignallingError::Busy => (Cause::UserBusy, "the phone is in a call".to_owned()),
            SignallingError::Transport(reason) => (Cause::NetworkOutOfOrder, reason),
        };
        Self { cause, refused: Refused::Signalling(reason), found: None }
    }
}
