//! The engine's ordinary thread: lets apid attach, serves what frame loops must not do
//! themselves (sockets, bridges, dropping), keeps the heartbeat, watches the loops.
//!
//! It looks at the loops' reports every few milliseconds: a frame loop makes no system call to wake
//! it.

use crate::assembly::CONFERENCE_LOOP;
use crate::cards::{Cards, Work};
use crate::crossing::{CrossingEnd, pair};
use crate::frame_loop::orders::{ApidRings, Discard, Order, Pending, Report};
use crate::journal::Journal;
use crate::line::Company;
use crate::realtime::now;
use crate::rtp_ports::RtpPorts;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use rtrb::{Consumer, Producer};
use sd_notify::NotifyState;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;
use tipring_logging::Level;
use tipring_shm_proto::command::{HeardBy, Refusal};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::handshake::{self, Hello, Peer, Refused};
use tipring_shm_proto::units::{ConferenceId, LineId, LoopId, Nanos};
use tipring_shm_proto::{Attachment, Downlink, LAYOUT_VERSION, Uplink};

/// How long a report may wait, ms.
const ROUND_MS: u16 = 3;
/// How often the heartbeat beats, ms.
const BEAT_MS: u32 = 100;
/// How long a newcomer may take to greet.
const GREETING_PATIENCE: Duration = Duration::from_millis(100);
/// A loop that has not ticked for this long ends the engine, so that it is started anew: longer
/// than another program may keep the processor, ms.
const STUCK_MS: u32 = 10_000;
/// One that has not for this long is told of: systemd's watchdog, which does not say which loop it
/// is, comes after 5 s, ms.
const SLOW_MS: u32 = 2000;

/// The supervisor's end of one frame loop.
#[derive(Debug)]
pub struct LoopEnd {
    /// To it.
    pub orders: Producer<Order>,
    /// From it.
    pub reports: Consumer<Report>,
    /// Its lines, in its order.
    pub lines: Vec<LineId>,
}

/// Why the supervisor returned.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM or SIGINT.
    Asked,
    /// A frame loop does not tick any more.
    Stuck(LoopId),
}

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    uplink: Uplink,
    loops: Vec<LoopEnd>,
    owner: HashMap<LineId, usize>,
    ports: RtpPorts,
    cards: Cards,
    journal: Journal,
    listener: UnixListener,
    attach_uids: Vec<u32>,
    attached: Option<UnixStream>,
    attachment: Attachment,
    bridges: HashMap<u64, HalfBridge>,
    next_ticket: u64,
}

/// A bridge, or seat, whose far side has been asked, and whose near side will be.
#[derive(Debug)]
struct HalfBridge {
    line: LineId,
    company: Company,
    pending: Pending,
    end: CrossingEnd,
}

impl Supervisor {
    /// Over loops that are about to run.
    pub fn new(
        uplink: Uplink,
        loops: Vec<LoopEnd>,
        ports: RtpPorts,
        cards: Cards,
        journal: Journal,
        listener: UnixListener,
        attach_uids: Vec<u32>,
    ) -> Self {
        let owner = loops
            .iter()
            .enumerate()
            .flat_map(|(i, end)| end.lines.iter().map(move |&line| (line, i)))
            .collect();
        Self {
            uplink,
            loops,
            owner,
            ports,
            cards,
            journal,
            listener,
            attach_uids,
            attached: None,
            attachment: Attachment(0),
            bridges: HashMap::new(),
            next_ticket: 0,
        }
    }

    /// Works until a signal or a stuck loop; then has every loop stop. The service manager is told
    /// that apid may attach, and as long as every frame loop ticks it is told that too
    /// (sd_notify(3)): a loop that stands still has the engine started anew.
    pub fn run(mut self, signals: &SignalFd) -> End {
        self.uplink.set_ready();
        tell(NotifyState::Ready);
        let mut watch = Watch::new(self.loops.len(), now());
        let end = loop {
            if self.round(signals) {
                break End::Asked;
            }
            let now = now();
            if now.ms_since(watch.beaten) >= BEAT_MS {
                self.uplink.beat(now);
                match watch.check(now, |id| self.uplink.counters(id).get(Counter::ticks_total)) {
                    Watched::Well => {}
                    Watched::Slow(id) => {
                        let text = format!("frame loop {} has not ticked for {SLOW_MS} ms", id.0);
                        self.journal.write(Level::Error, text);
                    }
                    Watched::Stuck(id) => break End::Stuck(id),
                }
                if watch.all_ticked() {
                    tell(NotifyState::Watchdog);
                }
            }
        };
        tell(NotifyState::Stopping);
        for frame_loop in 0..self.loops.len() {
            self.order(frame_loop, Order::Stop);
        }
        end
    }

    /// Waits for a round or for something to do, and does it; `true` when asked to end.
    pub fn round(&mut self, signals: &SignalFd) -> bool {
        let mut fds = vec![
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(stream) = &self.attached {
            fds.push(PollFd::new(stream.as_fd(), PollFlags::POLLIN | PollFlags::POLLHUP));
        }
        // An interrupted poll is a short round.
        let _ = poll(&mut fds, PollTimeout::from(ROUND_MS));
        let ready: Vec<bool> =
            fds.iter().map(|fd| fd.revents().is_some_and(|r| !r.is_empty())).collect();
        if ready[0] && self.asked_to_end(signals) {
            return true;
        }
        // Apid has nothing to say after the handshake: a readable stream is a closed one.
        if ready.get(2) == Some(&true) {
            self.detach("apid is gone; calls go on without it");
        }
        if ready[1] {
            self.admit();
        }
        self.serve_reports();
        self.look_after_cards();
        false
    }

    /// SIGXCPU is the kernel's warning before it ends a process whose real-time thread does not
    /// sleep (setrlimit(2), `RLIMIT_RTTIME`); the others ask for the end.
    fn asked_to_end(&self, signals: &SignalFd) -> bool {
        while let Ok(Some(signal)) = signals.read_signal() {
            if signal.ssi_signo != Signal::SIGXCPU as u32 {
                return true;
            }
            let text = "a frame loop runs without sleeping, for seconds: it has too much to do, or \
                        has lost its way; the kernel ends the engine if that goes on (LimitRTTIME)";
            self.journal.write(Level::Error, text);
        }
        false
    }

    fn look_after_cards(&mut self) {
        for work in self.cards.work(now()) {
            match work {
                Work::Order(line, order) => self.order(self.owner[&line], order),
                Work::Say(text) => self.journal.write(Level::Info, text),
                Work::Refused(line, text) => {
                    let counters = self.uplink.counters(LoopId(self.owner[&line] as u8));
                    counters.add(Counter::card_open_failures_total, 1);
                    self.journal.write(Level::Warn, text);
                }
            }
        }
    }

    fn admit(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        match self.greet(&stream) {
            Ok(Ok(peer)) => {
                let text = format!("apid attached (pid {}, user {})", peer.pid, peer.uid);
                self.journal.write(Level::Info, text);
                self.attached = Some(stream);
            }
            Ok(Err(refused)) => {
                let _ = handshake::refuse(&stream, refused);
                self.journal.write(Level::Warn, format!("an apid was refused: {refused}"));
            }
            Err(e) => self.journal.write(Level::Warn, format!("an apid did not attach: {e}")),
        }
    }

    fn greet(&mut self, stream: &UnixStream) -> std::io::Result<Result<Peer, Refused>> {
        // Whoever connects and says nothing holds up bridges and sockets for this long at most.
        stream.set_read_timeout(Some(GREETING_PATIENCE))?;
        stream.set_write_timeout(Some(GREETING_PATIENCE))?;
        let peer = handshake::peer(stream)?;
        let own = nix::unistd::geteuid().as_raw();
        if peer.uid != 0 && peer.uid != own && !self.attach_uids.contains(&peer.uid) {
            return Ok(Err(Refused::User));
        }
        if handshake::greeting(stream)? != LAYOUT_VERSION {
            return Ok(Err(Refused::Version));
        }
        if self.attached.is_some() {
            return Ok(Err(Refused::Busy));
        }
        self.attach(stream)?;
        Ok(Ok(peer))
    }

    fn attach(&mut self, stream: &UnixStream) -> std::io::Result<()> {
        self.attachment = Attachment(self.attachment.0.checked_add(1).unwrap_or(1));
        let downlink = Downlink::create(&self.uplink, self.attachment)?;
        let hello = Hello {
            generation: self.uplink.generation(),
            dimensions: self.uplink.dimensions(),
            attachment: self.attachment,
        };
        handshake::offer(stream, &hello, [self.uplink.fd(), downlink.fd()])?;
        let rings: Vec<_> = self
            .loops
            .iter()
            .enumerate()
            .map(|(index, end)| {
                let id = LoopId(index as u8);
                let rings_of = |&line: &LineId| {
                    std::array::from_fn(|slot| downlink.play_reader(line, slot as u8))
                };
                Box::new(ApidRings {
                    attachment: self.attachment,
                    commands: downlink.command_reader(id),
                    cursor: Some(downlink.event_cursor(id)),
                    plays: end.lines.iter().map(rings_of).collect(),
                })
            })
            .collect();
        for (index, rings) in rings.into_iter().enumerate() {
            self.order(index, Order::Attach(rings));
        }
        Ok(())
    }

    fn detach(&mut self, why: &str) {
        if self.attached.take().is_some() {
            self.journal.write(Level::Warn, why);
            for index in 0..self.loops.len() {
                self.order(index, Order::Detach);
            }
        }
    }

    fn order(&mut self, frame_loop: usize, order: Order) {
        // The ring holds more than all lines can ask for at once; a loop that does not read it
        // is found by the watch.
        if self.loops[frame_loop].orders.push(order).is_err() {
            self.journal
                .write(Level::Error, format!("frame loop {frame_loop} does not take its orders"));
        }
    }

    fn serve_reports(&mut self) {
        for index in 0..self.loops.len() {
            while let Ok(report) = self.loops[index].reports.pop() {
                self.serve(index, report);
            }
        }
    }

    fn serve(&mut self, from: usize, report: Report) {
        match report {
            Report::Trace(trace) => {
                self.journal.write(trace.level(), trace.describe(LoopId(from as u8)));
            }
            Report::OpenRtp { line, pending, media, local_ip } => {
                let opened = self.ports.open(local_ip, media.remote);
                self.order(from, Order::Socket { line, pending, media, opened });
            }
            Report::Bridge { line, peer, pending } => self.begin_bridge(line, peer, pending),
            Report::Confer { line, conference, heard_by, pending } => {
                self.find_seat(line, conference, heard_by, pending);
            }
            Report::Joined { ticket, refused } => self.finish_bridge(ticket, refused),
            Report::Discard(Discard::Channel(line, channel)) => self.cards.close(line, channel),
            Report::PeerFault { attachment } if attachment == self.attachment => {
                self.detach("apid wrote what cannot be; it is detached");
            }
            // A fault of one that has left, and things that are dropped by arriving here.
            Report::PeerFault { .. } | Report::Discard(_) => {}
        }
    }

    /// The far side is asked first: when the near side has its end, audio can flow.
    fn begin_bridge(&mut self, line: LineId, peer: LineId, pending: Pending) {
        let company = Company::Line(peer);
        let Some(&far_loop) = self.owner.get(&peer) else {
            return self.join_near(line, company, pending, Err(Refusal::UnknownLine));
        };
        let (near, far) = pair();
        let ticket = self.keep(HalfBridge { line, company, pending, end: near });
        let company = Company::Line(line);
        let order = Order::Join { line: peer, company, ticket, pending: None, end: Ok(far) };
        self.order(far_loop, order);
    }

    /// The conference is asked first, as the far side of a bridge is.
    fn find_seat(
        &mut self,
        line: LineId,
        conference: ConferenceId,
        heard_by: HeardBy,
        pending: Pending,
    ) {
        let (near, end) = pair();
        let company = Company::Conference(conference);
        let ticket = self.keep(HalfBridge { line, company, pending, end: near });
        self.order(CONFERENCE_LOOP, Order::Seat { conference, line, heard_by, ticket, end });
    }

    fn keep(&mut self, half: HalfBridge) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.bridges.insert(ticket, half);
        ticket
    }

    fn finish_bridge(&mut self, ticket: u64, refused: Option<Refusal>) {
        if let Some(half) = self.bridges.remove(&ticket) {
            let end = refused.map_or(Ok(half.end), Err);
            self.join_near(half.line, half.company, half.pending, end);
        }
    }

    fn join_near(
        &mut self,
        line: LineId,
        company: Company,
        pending: Pending,
        end: Result<CrossingEnd, Refusal>,
    ) {
        let near_loop = self.owner[&line];
        let order = Order::Join { line, company, ticket: u64::MAX, pending: Some(pending), end };
        self.order(near_loop, order);
    }
}

/// To the service manager, where one waits for it.
fn tell(state: NotifyState<'_>) {
    // A manager that does not take it acts on its own limits.
    let _ = sd_notify::notify(&[state]);
}

/// Knows which loop has stopped ticking.
#[derive(Debug)]
struct Watch {
    beaten: Nanos,
    /// Ticks of each loop and since when they are so many.
    loops: Vec<(u64, Nanos)>,
}

impl Watch {
    fn new(loops: usize, now: Nanos) -> Self {
        Self { beaten: now, loops: vec![(0, now); loops] }
    }

    /// Whether each loop had ticked anew at the last check.
    fn all_ticked(&self) -> bool {
        self.loops.iter().all(|&(_, at)| at == self.beaten)
    }

    /// `ticks` is how often a loop has ticked.
    fn check(&mut self, now: Nanos, ticks: impl Fn(LoopId) -> u64) -> Watched {
        // Where nobody was run, a machine that was paused say, no loop is to blame.
        let nobody_ran = now.ms_since(self.beaten) > 10 * BEAT_MS;
        let last = std::mem::replace(&mut self.beaten, now);
        let mut found = Watched::Well;
        for (index, (seen, at)) in self.loops.iter_mut().enumerate() {
            let id = LoopId(index as u8);
            let ticks = ticks(id);
            if nobody_ran || ticks != *seen {
                (*seen, *at) = (ticks, now);
            } else if now.ms_since(*at) > STUCK_MS {
                return Watched::Stuck(id);
            } else if now.ms_since(*at) >= SLOW_MS && last.ms_since(*at) < SLOW_MS {
                found = Watched::Slow(id);
            }
        }
        found
    }
}

/// What is found of the loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// Nothing that was not told yet.
    Well,
    /// This one has not ticked for [`SLOW_MS`]; found once.
    Slow(LoopId),
    /// This one is given up.
    Stuck(LoopId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loop_is_watched_by_itself() {
        let at = |ms: u32| Nanos(1_000_000_000).after_ms(ms);
        let mut watch = Watch::new(2, at(0));
        let mut found = Vec::new();
        for beat in 1..=110 {
            // The second stops after a second.
            let ticks = |id: LoopId| if id.0 == 0 { beat } else { beat.min(10) };
            let now = at(beat as u32 * BEAT_MS);
            match watch.check(now, ticks) {
                Watched::Well => {}
                told => found.push((beat, told)),
            }
            assert_eq!(watch.all_ticked(), beat <= 10, "beat {beat}");
        }
        assert_eq!(found, [(30, Watched::Slow(LoopId(1)))]);
        assert_eq!(watch.check(at(11_100), |id| u64::from(id.0) * 10), Watched::Stuck(LoopId(1)));
    }

    #[test]
    fn a_machine_that_was_paused_blames_no_loop() {
        let at = |ms: u32| Nanos(1_000_000_000).after_ms(ms);
        let mut watch = Watch::new(1, at(0));
        assert_eq!(watch.check(at(60_000), |_| 0), Watched::Well);
        assert_eq!(watch.check(at(60_100), |_| 0), Watched::Well);
    }
}
