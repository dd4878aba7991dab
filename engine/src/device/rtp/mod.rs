//! A telephone behind RTP (RFC 3550, 3551): G.711 and telephone-event over UDP.
//!
//! The supervisor makes sockets and closes them; between [`Rtp::open`] and [`Rtp::close`] the
//! frame loop owns those of one call. While none are open the phone says nothing and hears nothing. Files in the
//! order that a packet meets them; all but this one are sans-IO:
//!
//! `arrival` → `srtp` (where the call is encrypted) → `packet` → `source` (is it the phone?) →
//! `reception` (order, loss, jitter) → `jitter_buffer`, which aims at what `delay` says, or
//! `telephone_event`; `drift` and `quality` judge what came, `faults` says why nothing came. All joined
//! in `session`, where `control` has RTCP. Beside it, `rtcp` is what both ends tell each other of it and
//! `reports` when.

mod arrival;
mod counts;
pub mod delay;
pub mod drift;
pub mod faults;
mod intake;
pub mod jitter_buffer;
mod outgoing;
pub mod packet;
pub mod quality;
pub mod reception;
pub mod reports;
pub mod rtcp;
pub mod session;
mod signals;
mod sockets;
pub mod source;
pub mod srtp;
pub mod telephone_event;

use crate::device::Device;
use crate::frame::{Companded, Heard, Pace};
use crate::signal::{Drive, Driven, Signal};
use arrival::Clock;
pub use counts::RtpCounts;
pub use outgoing::StreamStart;
use session::{CONTROL_OCTETS, Session};
use sockets::Way;
pub use sockets::{CallSockets, Direct};
use std::net::{IpAddr, SocketAddr};
use tipring_shm_proto::command::{Law, RtpMedia};
use tipring_shm_proto::line_table::RtpRow;
use tipring_shm_proto::units::{Endpoint, FRAME_SAMPLES, Nanos};

/// Packets of the phone taken in one tick: 60 ms of 10 ms packets arriving at once, and two more.
const MAX_PACKETS: u32 = 8;
/// Packets of anybody taken in one tick, so that strangers cannot keep the phone's from us.
const MAX_DATAGRAMS: u32 = 32;
/// Longest datagram taken, octets: 200 ms of G.711 with all that may stand around it; what
/// exceeds it is cut by the kernel.
const MAX_DATAGRAM_OCTETS: usize = 2048;
/// What a phone's own jitter buffer usually holds at most, samples: 100 ms. Nobody can tell from
/// here.
const FAR_END_SAMPLES: u32 = 800;
/// The RTCP socket is looked at once in so many ticks.
const CONTROL_EVERY: u8 = 8;
/// RTCP packets taken from it then, at most.
const MAX_CONTROLS: u32 = 4;
/// The socket by which the phone does not come is looked at once in so many ticks, and whenever it
/// does not come by the other one.
const OTHER_EVERY: u8 = 8;

/// The back end. Allocates once, in [`Rtp::new`].
pub struct Rtp {
    session: Session,
    call: Option<Call>,
    /// The datagram that is being taken.
    octets: [u8; MAX_DATAGRAM_OCTETS],
}

struct Call {
    sockets: CallSockets,
    local_port: u16,
    is_v6: bool,
    /// The tick whose packets were taken.
    received_at: Option<Nanos>,
    /// By which the phone came last.
    way: Way,
    /// Ticks until the other one is looked at.
    other_in: u8,
    /// The last tick took all that it may, and left the rest.
    is_behind: bool,
    /// Ticks until the RTCP socket is looked at.
    control_in: u8,
    /// RTCP goes by the socket of RTP (RFC 5761).
    shares_port: bool,
}

impl Default for Rtp {
    fn default() -> Self {
        Self::new()
    }
}

impl Rtp {
    /// A closed one. Not for the frame loop: allocates.
    pub fn new() -> Self {
        Self { session: Session::new(), call: None, octets: [0; MAX_DATAGRAM_OCTETS] }
    }

    /// Begins a call on `sockets`, which the supervisor has bound and made non-blocking. Does not
    /// allocate; four system calls.
    ///
    /// # Errors
    /// Gives the sockets back if a call is open already.
    pub fn open(
        &mut self,
        now: Nanos,
        sockets: CallSockets,
        media: RtpMedia,
        start: StreamStart,
    ) -> Result<(), CallSockets> {
        if self.call.is_some() {
            return Err(sockets);
        }
        let local = sockets.rtp.local_addr().ok();
        arrival::ask_for_stamps(&sockets.rtp);
        sockets.by(Way::Direct).into_iter().chain(&sockets.rtcp).for_each(arrival::ask_for_stamps);
        self.session.begin(now, media, start);
        let way = if sockets.direct.is_some() { Way::Direct } else { Way::Any };
        self.call = Some(Call {
            sockets,
            local_port: local.map_or(0, |address| address.port()),
            is_v6: local.is_some_and(|address| address.is_ipv6()),
            received_at: None,
            way,
            other_in: 0,
            is_behind: false,
            control_in: 0,
            shares_port: media.rtcp_mux,
        });
        Ok(())
    }

    /// Ends the call, and says so by RTCP. The sockets go back to the supervisor, which closes them:
    /// closing a descriptor can take long. Signals that were not polled are dropped. `None` if no
    /// call is open. Does not allocate; one system call.
    #[must_use = "dropping the sockets here would close them on the frame loop"]
    pub fn close(&mut self, now: Nanos) -> Option<CallSockets> {
        let call = self.call.take()?;
        let mut octets = [0; CONTROL_OCTETS];
        let goodbye = self.session.goodbye(now, Clock::read(now).real_ns, &mut octets);
        if let Some((len, target)) = goodbye {
            call.send_control(&octets[..len], target);
        }
        Some(call.sockets)
    }

    /// A call is open.
    pub fn is_open(&self) -> bool {
        self.call.is_some()
    }

    /// What signalling agreed on, from the next frame on. `false` if no call is open.
    pub fn update(&mut self, now: Nanos, media: RtpMedia) -> bool {
        let Some(call) = &mut self.call else { return false };
        call.shares_port = media.rtcp_mux;
        self.session.update(now, media);
        true
    }

    /// The law that was agreed on; `None` if no call is open.
    pub fn law(&self) -> Option<Law> {
        self.is_open().then_some(self.session.media().law)
    }

    /// Digits arrive as telephone-event: do not look for them in the audio.
    pub fn has_telephone_event(&self) -> bool {
        self.is_open() && self.session.media().telephone_event.is_some()
    }

    /// Digits accepted by [`Device::drive`] that are not sent to their end yet.
    pub fn digits_pending(&self) -> bool {
        self.is_open() && self.session.digits_pending()
    }

    /// For the line table; `None` if no call is open.
    pub fn stats(&self) -> Option<RtpRow> {
        self.call.as_ref().map(|call| self.session.stats(call.local_port))
    }

    /// Where packets are sent to; `None` if that is not known, or no call is open.
    pub fn remote(&self) -> Option<Endpoint> {
        self.call.as_ref().and_then(|_| self.session.remote())
    }

    /// What happened since the last call of this function.
    pub fn take_counts(&mut self) -> RtpCounts {
        self.session.take_counts()
    }
}

impl Rtp {
    /// Takes RTCP now and then, and sends it when it is due.
    fn exchange_control(&mut self, clock: &Clock) {
        let Some(call) = &mut self.call else { return };
        if call.control_in == 0 {
            call.control_in = CONTROL_EVERY;
            for _ in 0..MAX_CONTROLS {
                let Some(socket) = &call.sockets.rtcp else { break };
                let Some(arrival) = arrival::take(socket, clock, &mut self.octets) else { break };
                let (at, octets) = (arrival.at, &self.octets[..arrival.len]);
                self.session.handle_control(at, clock.real_at(at), arrival.from, octets);
            }
        }
        call.control_in -= 1;
        if self.session.is_control_due(clock.now) {
            let mut octets = [0; CONTROL_OCTETS];
            let due = self.session.next_control(clock.now, clock.real_ns, &mut octets);
            if let Some((len, target)) = due {
                call.send_control(&octets[..len], target);
            }
        }
    }
}

impl Device for Rtp {
    fn receive(&mut self, now: Nanos) {
        let Self { session, call, octets } = self;
        let Some(call) = call else { return };
        let last = call.received_at.replace(now).unwrap_or(now);
        session.handle_tick(now);
        let clock = Clock::read(now);
        let was_behind = std::mem::take(&mut call.is_behind);
        let mut take = |call: &mut Call, way| {
            let Some(socket) = call.sockets.by(way) else { return false };
            let mut accepted = 0;
            for _ in 0..MAX_DATAGRAMS {
                // Any error ends it: mostly there is nothing yet, and what else there may be
                // (ENOMEM, an interrupt, ICMP's) is over by the next tick.
                let Some(arrival) = arrival::take(socket, &clock, octets) else {
                    return accepted > 0;
                };
                let octets = &octets[..arrival.len];
                if rtcp::is_control(octets) {
                    let real_ns = clock.real_at(arrival.at);
                    session.handle_shared_control(arrival.at, real_ns, arrival.from, octets);
                    continue;
                }
                accepted += u32::from(session.handle_packet(arrival.at, arrival.from, octets));
                if accepted == MAX_PACKETS {
                    break;
                }
                if !was_behind && session.has_enough(last, now) {
                    return true;
                }
            }
            call.is_behind = true;
            accepted > 0
        };
        let came = take(call, call.way);
        if !came || call.other_in == 0 {
            call.other_in = OTHER_EVERY;
            let other = call.way.other();
            if take(call, other) && !came {
                call.way = other;
            }
        }
        call.other_in -= 1;
        self.exchange_control(&clock);
    }

    fn pace(&mut self, held: u32) -> Pace {
        if self.is_open() { self.session.pace(held) } else { Pace::Steady }
    }

    fn has_frame(&self) -> bool {
        self.call.is_some() && self.session.has_frame()
    }

    fn drift_ppm(&self) -> Option<f64> {
        self.call.as_ref().and_then(|_| self.session.drift_ppm())
    }

    fn read_frame(&mut self, now: Nanos, into: &mut Companded) -> Heard {
        let Some(call) = &self.call else { return Heard::Nothing };
        if call.received_at != Some(now) {
            self.receive(now);
        }
        self.session.take_frame(now, into)
    }

    fn write_frame(&mut self, _now: Nanos, frame: &Companded) {
        if self.call.is_some() {
            self.session.put_frame(frame);
        }
    }

    fn flush_out(&mut self, _now: Nanos) {
        let Some(call) = &self.call else { return };
        let Some((octets, target)) = self.session.outgoing() else { return };
        let sent = call.sockets.send(octets, call.address_of(target));
        self.session.handle_sent(sent.is_ok());
    }

    fn drive(&mut self, _now: Nanos, order: Drive) -> Driven {
        if self.call.is_none() {
            return Driven::Unsupported;
        }
        match order {
            Drive::Digit { digit, on_ms, off_ms } => self.session.send_digit(digit, on_ms, off_ms),
            Drive::Flash => self.session.send_flash(),
            // Bell and hook are signalling's, and the rest needs a loop.
            Drive::RingOn
            | Drive::Ring(_)
            | Drive::RingOff
            | Drive::Battery(_)
            | Drive::OffHook
            | Drive::OnHook
            | Drive::Polarity(_)
            | Drive::MessageWaiting(_)
            | Drive::TransmitOnHook { .. } => Driven::Unsupported,
        }
    }

    fn poll_signal(&mut self, _now: Nanos) -> Option<Signal> {
        self.call.as_ref()?;
        self.session.poll_signal()
    }

    fn reserve_samples(&self) -> u32 {
        if self.is_open() { FRAME_SAMPLES as u32 + FAR_END_SAMPLES } else { 0 }
    }
}

impl Call {
    /// One that the kernel does not take is lost, as any may be.
    fn send_control(&self, octets: &[u8], target: Endpoint) {
        let socket = self.sockets.rtcp.as_ref().unwrap_or(&self.sockets.rtp);
        let socket = if self.shares_port { &self.sockets.rtp } else { socket };
        let _ = socket.send_to(octets, self.address_of(target));
    }

    /// A socket of IPv6 reaches IPv4 at mapped addresses only (RFC 4291 §2.5.5.2).
    fn address_of(&self, target: Endpoint) -> SocketAddr {
        let address = SocketAddr::from(target);
        match address.ip() {
            IpAddr::V4(v4) if self.is_v6 => {
                SocketAddr::new(IpAddr::V6(v4.to_ipv6_mapped()), address.port())
            }
            _ => address,
        }
    }
}
