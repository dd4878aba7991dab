//! What a line wants done, in the order in which it must be done.

use crate::signal::Drive;
use std::ops::Deref;
use tipring_shm_proto::command::{CallerId, Outcome, ProgressTone, Refusal};
use tipring_shm_proto::event::{LineEvent, PlaybackEnd};

/// One thing that the frame loop does for a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Give it to the device, and what became of it to [`super::Line::handle_driven`].
    Drive(Drive),
    /// Publish it.
    Event(LineEvent),
    /// Play this progress tone instead of the one that is played; `None` is silence.
    Tone(Option<ProgressTone>),
    /// Play a digit into the phone's ear.
    SendDigit {
        /// ASCII `0-9*#A-D`.
        digit: u8,
        /// Its length, 40 to 2000.
        on_ms: u16,
        /// The pause after it, 40 to 2000.
        off_ms: u16,
    },
    /// End every playback of the line, for this reason, and a digit that is being sent.
    StopPlaybacks(PlaybackEnd),
    /// End the playbacks that a digit silences.
    StopOnDigit,
    /// Make the playbacks that a voice silences softer, or as loud as they were.
    DuckOnVoice(bool),
    /// End the playbacks that a voice silences.
    StopOnVoice,
    /// End the bridge, on both sides.
    EndBridge,
    /// Say who calls, to a phone that lies, and call [`super::Line::handle_announced`] then.
    Announce {
        /// Who.
        caller: CallerId,
        /// What does not fit this time, ms, is not said; `None` is no limit.
        room_ms: Option<u32>,
    },
    /// Say no more of it.
    StopAnnouncement,
    /// After the call-waiting tone, say to a phone that talks that data may follow, and call
    /// [`super::Line::handle_announced`] then.
    AlertOfData,
    /// Say the data, who else calls, and call that again.
    TellCaller(CallerId),
    /// Let the phone hear itself, or not any more.
    Echo(bool),
}

/// What one input to a line led to; the frame loop's own, emptied before each input.
///
/// # Real-time contract
/// Lives on the stack or in the frame loop, never allocates. One input leads to at most
/// [`Actions::CAPACITY`] actions: a line looks for room before it does what can wait for the next
/// tick. What would not fit is dropped and counted; the count stays zero unless a line is wrong.
#[derive(Clone, Debug)]
pub struct Actions {
    len: u8,
    overflows: u32,
    list: [Action; Actions::CAPACITY],
}

impl Actions {
    /// The most that one input can lead to.
    pub const CAPACITY: usize = 16;

    /// None yet.
    pub const fn new() -> Self {
        Self { len: 0, overflows: 0, list: [Action::EndBridge; Self::CAPACITY] }
    }

    /// Forgets them, before the next input.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Actions that did not fit since [`Actions::new`]; a defect of the line if it is not zero.
    pub fn overflows(&self) -> u32 {
        self.overflows
    }

    pub(super) fn room(&self) -> usize {
        Self::CAPACITY - self.len as usize
    }

    pub(super) fn push(&mut self, action: Action) {
        if let Some(place) = self.list.get_mut(self.len as usize) {
            *place = action;
            self.len += 1;
        } else {
            self.overflows = self.overflows.saturating_add(1);
        }
    }

    pub(super) fn say(&mut self, event: LineEvent) {
        self.push(Action::Event(event));
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Actions {
    type Target = [Action];

    fn deref(&self) -> &[Action] {
        &self.list[..self.len as usize]
    }
}

/// The answer to a command that a line has carried out or refused.
pub fn outcome(result: Result<(), Refusal>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut actions = Actions::new();
        for _ in 0..Actions::CAPACITY + 3 {
            actions.push(Action::StopOnDigit);
        }
        assert_eq!((actions.len(), actions.overflows()), (Actions::CAPACITY, 3));
        actions.clear();
        assert!(actions.is_empty());
    }
}
