//! The thread: attach, wait for the bell, hand on, attach again.

use super::attachment::Attachment;
use super::{LinkNote, Shared, lock, wall};
use crate::view::Timestamp;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tipring_shm_proto::event::{Event, Stamped};
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::{LineId, LoopId};
use tipring_shm_proto::{AttachError, EngineFault, EngineMap, EventReader, handshake};
use tokio::sync::mpsc::Sender;

/// How often an engine that is away is tried.
const RETRY: Duration = Duration::from_millis(100);
/// How long the engine may take to answer a greeting.
const GREETING_PATIENCE: Duration = Duration::from_secs(1);
/// The socket is looked at this often: its closing is the engine's end.
const LOOK_AT_SOCKET: Duration = Duration::from_millis(50);
/// Events of different loops that lie closer than their loops' ticks are merged by time; more
/// than this many of one loop are handed on first.
const BATCH: usize = 1024;

pub(super) fn run(shared: &Arc<Shared>, notes: &Sender<LinkNote>) {
    let mut said = String::new();
    while !shared.stop.load(Ordering::Relaxed) && !notes.is_closed() {
        match attach(shared) {
            Ok((stream, attachment)) => {
                said.clear();
                let reason = serve(shared, notes, &stream, &attachment);
                leave(shared, &attachment);
                let note = LinkNote::Detached { reason: reason.to_owned() };
                if notes.blocking_send(note).is_err() {
                    return;
                }
            }
            Err(error) => {
                let text = error.to_string();
                // Once for each reason, not ten times a second.
                if text != said {
                    tracing::warn!(socket = %shared.socket.display(), "no engine: {text}");
                    said = text;
                }
            }
        }
        std::thread::sleep(RETRY);
    }
}

fn attach(shared: &Shared) -> Result<(UnixStream, Arc<Attachment>), AttachError> {
    let stream = UnixStream::connect(&shared.socket)?;
    stream.set_read_timeout(Some(GREETING_PATIENCE))?;
    stream.set_write_timeout(Some(GREETING_PATIENCE))?;
    let (_, [uplink, downlink]) = handshake::accept(&stream)?;
    let map = EngineMap::attach(uplink, downlink)?;
    stream.set_nonblocking(true)?;
    Ok((stream, Arc::new(Attachment::new(map))))
}

/// Hands on what the engine tells until it goes; says why it went.
fn serve(
    shared: &Shared,
    notes: &Sender<LinkNote>,
    stream: &UnixStream,
    attachment: &Arc<Attachment>,
) -> &'static str {
    let map = &attachment.map;
    let mut loops: Vec<(LoopId, EventReader)> = (0..map.dimensions().loops)
        .map(|index| (LoopId(index), map.event_reader(LoopId(index))))
        .collect();
    let mut announced = false;
    let mut looked_at_socket = Instant::now();
    let mut batch = Vec::new();
    loop {
        if looked_at_socket.elapsed() >= LOOK_AT_SOCKET {
            looked_at_socket = Instant::now();
            if is_closed(stream) {
                return "the engine is gone";
            }
            if shared.stop.load(Ordering::Relaxed) || notes.is_closed() {
                return "asked to leave";
            }
        }
        if !announced && loops.iter().all(|(_, events)| events.is_attached()) {
            announced = true;
            // The tables are read after the loops took up the attachment: what they say from
            // now on is newer.
            for (_, events) in &mut loops {
                events.resync();
            }
            enter(shared, attachment);
            let note = LinkNote::Attached { generation: map.generation(), rows: rows(map) };
            if notes.blocking_send(note).is_err() {
                return "nobody listens";
            }
        }
        if announced {
            match take_events(&mut loops, &mut batch) {
                Ok(()) => {}
                Err(EngineFault::Detached) => return "the engine detached us",
                Err(_) => return "the engine wrote what cannot be",
            }
            for (frame_loop, stamped) in batch.drain(..) {
                if hand_on(attachment, notes, frame_loop, stamped).is_err() {
                    return "nobody listens";
                }
            }
            let dropped = loops.iter_mut().fold(false, |any, (_, events)| events.resync() || any);
            if dropped {
                shared.resyncs.fetch_add(1, Ordering::Relaxed);
                if notes.blocking_send(LinkNote::Resync { rows: rows(map) }).is_err() {
                    return "nobody listens";
                }
            }
        }
        let mut taps = lock(&shared.taps);
        taps.retain(|tap| !tap.is_closed());
        for tap in taps.iter_mut() {
            tap.pump();
        }
        drop(taps);
        let wait = if announced { LOOK_AT_SOCKET } else { Duration::from_millis(2) };
        map.wait(wait, || {
            loops.iter_mut().any(|(_, events)| events.has_news())
                || lock(&shared.taps).iter().any(super::TapSeat::has_news)
        });
    }
}

fn enter(shared: &Shared, attachment: &Arc<Attachment>) {
    *shared.attachment.write().unwrap_or_else(PoisonError::into_inner) = Some(attachment.clone());
    *lock(&shared.since) = Timestamp::now();
    shared.attachments.fetch_add(1, Ordering::Relaxed);
}

fn leave(shared: &Shared, attachment: &Attachment) {
    *shared.attachment.write().unwrap_or_else(PoisonError::into_inner) = None;
    *lock(&shared.since) = Timestamp::now();
    attachment.close();
    for tap in lock(&shared.taps).drain(..) {
        tap.end();
    }
}

/// The engine says nothing after the handshake: anything but "nothing yet" is its end.
fn is_closed(mut stream: &UnixStream) -> bool {
    let said = stream.read(&mut [0; 1]);
    said.map_or_else(|error| error.kind() != std::io::ErrorKind::WouldBlock, |_| true)
}

fn rows(map: &EngineMap) -> Vec<(LineId, LineRow)> {
    let lines = (0..map.dimensions().lines).map(LineId);
    lines.filter_map(|line| Some((line, map.line(line)?))).collect()
}

/// Merges what all loops told by time, then by loop; each loop's own order is kept.
fn take_events(
    loops: &mut [(LoopId, EventReader)],
    batch: &mut Vec<(LoopId, Stamped)>,
) -> Result<(), EngineFault> {
    for (frame_loop, events) in loops.iter_mut() {
        let mut newest = tipring_shm_proto::units::Nanos(0);
        for _ in 0..BATCH {
            match events.take() {
                Ok(Some(mut stamped)) => {
                    // Never earlier than what this loop told before: sorting must not turn it.
                    newest = newest.max(stamped.at);
                    stamped.at = newest;
                    batch.push((*frame_loop, stamped));
                }
                Ok(None) => break,
                // Skipped; what it said of states is told anew when events are found missing.
                Err(EngineFault::Slot) => {}
                Err(fault) => return Err(fault),
            }
        }
    }
    batch.sort_by_key(|(_, stamped)| stamped.at);
    Ok(())
}

fn hand_on(
    attachment: &Attachment,
    notes: &Sender<LinkNote>,
    frame_loop: LoopId,
    stamped: Stamped,
) -> Result<(), ()> {
    let note = match stamped.event {
        Event::CommandDone { id, outcome } => {
            let answer = lock(&attachment.pending).answers.remove(&id);
            if let Some(answer) = answer {
                // Whoever asked may have given up.
                let _ = answer.send(outcome);
            }
            return Ok(());
        }
        Event::Line { line, event } => LinkNote::Line { line, at: wall(stamped.at), event },
        Event::Overloaded(on) => LinkNote::Overloaded { frame_loop, on },
    };
    notes.blocking_send(note).map_err(|_| ())
}
