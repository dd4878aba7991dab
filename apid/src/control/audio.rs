//! Live audio of a line for whoever listens.

use super::access::need;
use super::{Control, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::engine_link::{Tap, TapItem, TapMeter, wall};
use crate::view::{ClientDiagnostics, TapDirection, Timestamp};
use tokio::sync::watch;

/// Taps at once.
const TAPS: usize = 1024;

/// Samples of 20 ms at 8 kHz.
pub type Samples = [i16; 160];

/// One frame of a line's audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapFrame {
    /// What the phone says, where it was asked for.
    pub rx: Option<Samples>,
    /// What it hears, where it was asked for.
    pub tx: Option<Samples>,
    /// When the frame was heard.
    pub at: Timestamp,
    /// Counts the line's frames; a gap is told by [`Tapped::Lost`].
    pub seq: u64,
}

/// What a tap delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tapped {
    /// 20 ms.
    Frame(Box<TapFrame>),
    /// So many frames are lost: the client was too slow.
    Lost(u64),
    /// There will be no more.
    Gone(TapEnd),
}

/// Why there is no more audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapEnd {
    /// The stream was stopped by a client.
    Stopped,
    /// The engine is away.
    EngineAway,
    /// The device of the line is lost.
    DeviceLost,
}

impl TapEnd {
    /// The code of an `error` that tells it; `None` for what was asked for.
    pub const fn error_code(self) -> Option<&'static str> {
        match self {
            Self::Stopped => None,
            Self::EngineAway => Some("engine_away"),
            Self::DeviceLost => Some("device_lost"),
        }
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Stopped => "the stream was stopped",
            Self::EngineAway => "the engine is away",
            Self::DeviceLost => "the device of the line is lost",
        }
    }
}

/// Ends taps, saying why; nothing is said while they run.
pub(super) type Stop = watch::Sender<Option<TapEnd>>;

/// Somebody listens to a line. Dropping it ends that.
#[derive(Debug)]
pub struct AudioTap {
    tap: Tap,
    stop: Stop,
}

impl AudioTap {
    /// The next 20 ms; waits for them. May be cancelled without loss.
    pub async fn next(&mut self) -> Tapped {
        let mut stopped = self.stop.subscribe();
        let item = tokio::select! {
            biased;
            // The sender is ours too, so it is not gone.
            Ok(end) = stopped.wait_for(Option::is_some) => {
                return Tapped::Gone(end.unwrap_or(TapEnd::Stopped));
            }
            item = self.tap.next() => item,
        };
        tapped(&item)
    }

    /// What is there already.
    pub(super) fn try_next(&mut self) -> Option<Tapped> {
        self.tap.try_next().as_ref().map(tapped)
    }
}

fn tapped(item: &TapItem) -> Tapped {
    match *item {
        TapItem::Frame { rx, tx, at, seq } => {
            Tapped::Frame(Box::new(TapFrame { rx, tx, at: wall(at), seq }))
        }
        TapItem::Lost(frames) => Tapped::Lost(frames),
        TapItem::Gone => Tapped::Gone(TapEnd::EngineAway),
    }
}

/// A tap, for diagnostics.
#[derive(Debug)]
pub(super) struct TapRecord {
    caller: String,
    remote: String,
    line: String,
    since: Timestamp,
    meter: TapMeter,
    stop: Stop,
}

impl Control {
    /// Listens to a line, from now on, whatever its state, until its device or the engine is lost.
    /// Needs `audio`. `remote` names the
    /// client in diagnostics.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`, `EngineAway`, `Full`.
    pub fn audio_tap(
        &self,
        caller: &Caller,
        line: &str,
        direction: TapDirection,
        remote: &str,
    ) -> Result<AudioTap, Refused> {
        self.tap_until(caller, line, direction, remote, Stop::new(None))
    }

    pub(super) fn tap_until(
        &self,
        caller: &Caller,
        line: &str,
        direction: TapDirection,
        remote: &str,
        stop: Stop,
    ) -> Result<AudioTap, Refused> {
        need(caller, Scope::Audio)?;
        let entry = self.entry(caller, line)?;
        let at = self.attach_entry(entry)?;
        let mut taps = lock(&self.0.taps);
        taps.retain(|tap| tap.meter.read().is_some());
        if taps.len() >= TAPS {
            return Err(Refused::Full { what: "audio listeners" });
        }
        let (rx, tx) = match direction {
            TapDirection::Rx => (true, false),
            TapDirection::Tx => (false, true),
            TapDirection::Both => (true, true),
        };
        let tap = self.0.link.tap(at.engine, rx, tx).ok_or(Refused::EngineAway)?;
        taps.push(TapRecord {
            caller: caller.name.clone(),
            remote: remote.to_owned(),
            line: line.to_owned(),
            since: Timestamp::now(),
            meter: tap.meter(),
            stop: stop.clone(),
        });
        Ok(AudioTap { tap, stop })
    }

    /// The device of a line is lost, and with it all who listen to it.
    pub(super) fn lose_taps(&self, line: &str) {
        for tap in lock(&self.0.taps).iter().filter(|tap| tap.line == line) {
            tap.stop.send_replace(Some(TapEnd::DeviceLost));
        }
    }

    /// Everybody who listens to audio.
    pub(super) fn audio_clients(&self) -> Vec<ClientDiagnostics> {
        let taps = lock(&self.0.taps);
        let clients = taps.iter().filter_map(|tap| {
            let (queued, oldest_age_ms, missed) = tap.meter.read()?;
            Some(ClientDiagnostics {
                kind: "audio".to_owned(),
                caller: tap.caller.clone(),
                remote: tap.remote.clone(),
                line: Some(tap.line.clone()),
                since: tap.since,
                queued,
                oldest_age_ms,
                missed,
            })
        });
        clients.collect()
    }
}
