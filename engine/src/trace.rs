//! Things worth a log line that a frame loop notices. It pushes a `Copy` value; the supervisor
//! puts it into words.

use tipring_logging::Level;
use tipring_shm_proto::units::{LineId, LoopId};

/// One thing worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The loop runs; with or without what it asked of the kernel.
    LoopStarted,
    /// The peer wrote a cursor that cannot be.
    PeerFault,
    /// More than 80 % of the period was needed for a second.
    Overloaded(bool),
    /// The device of a line is gone.
    DeviceLost(LineId),
    /// It is back.
    DeviceBack(LineId),
    /// The loop woke so late that whole phases were skipped.
    PhasesMissed(u32),
    /// New channels of a card began their blocks together.
    ChannelsAligned {
        /// How many.
        channels: u16,
        /// From the first to the last, µs: as far as their blocks may lie apart.
        took_us: u32,
    },
    /// The card that paces the loop gives no blocks any more.
    CardStalled,
    /// It does again, after so many ms.
    CardRuns(u32),
    /// The kernel's queue of a line's events was full.
    EventsLost(LineId),
}

impl Trace {
    /// How much it matters.
    pub fn level(self) -> Level {
        match self {
            Self::LoopStarted
            | Self::Overloaded(false)
            | Self::DeviceBack(_)
            | Self::CardRuns(_)
            | Self::ChannelsAligned { .. } => Level::Info,
            _ => Level::Warn,
        }
    }

    /// The sentence for the journal.
    pub fn describe(self, frame_loop: LoopId) -> String {
        let n = frame_loop.0;
        match self {
            Self::LoopStarted => format!("frame loop {n} runs"),
            Self::PeerFault => format!("frame loop {n}: apid wrote what cannot be; detaching it"),
            Self::Overloaded(true) => {
                format!("frame loop {n} needs over 80 % of its time: it stops listening for voice")
            }
            Self::Overloaded(false) => format!("frame loop {n} has time again"),
            Self::DeviceLost(line) => format!("line {} has lost its device", line.0),
            Self::DeviceBack(line) => format!("line {} has its device back", line.0),
            Self::ChannelsAligned { channels, took_us } => {
                format!("frame loop {n}: {channels} channels begin within {took_us} us")
            }
            Self::CardStalled => {
                format!("frame loop {n}: its card stands still: it has no audio for anybody")
            }
            Self::CardRuns(ms) => format!("frame loop {n}: its card runs again after {ms} ms"),
            Self::EventsLost(line) => format!(
                "line {}: more events than its card's driver keeps (63): some are lost, and its \
                 handset is looked at instead",
                line.0
            ),
            Self::PhasesMissed(phases) => {
                format!("frame loop {n} was not run for {} ms", u64::from(phases) * 5 / 2)
            }
        }
    }
}
