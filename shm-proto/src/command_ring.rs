//! Commands to a frame loop: a bounded ring in the downlink whose read cursor is the engine's.

use crate::bounded_ring::{PeerFault, RingReader, RingWriter, SendError};
use crate::command::Request;
use crate::event_ring::{EventWriter, Reservation};
use crate::layout::COMMAND_WORDS;
use crate::sync::ReadWords;
use crate::units::CommandId;
use crate::wire;

/// What a loop finds in its command ring.
#[derive(Debug)]
pub enum Taken {
    /// No command, or no slot for its answer.
    Nothing,
    /// A command, to be answered with the reservation, now or later.
    Command(Request, Reservation),
    /// A slot that does not decode, with the id it begins with. Answer
    /// [`crate::command::Refusal::Malformed`], and count it.
    Malformed(CommandId, Reservation),
}

/// Reading end of a loop's command ring, for one attachment.
///
/// Real-time: never allocates, waits or panics, whatever apid wrote; its frame loop only. Drop it
/// elsewhere: it may be the last owner of a mapping.
#[derive(Debug)]
pub struct CommandReader(RingReader<COMMAND_WORDS>);

impl CommandReader {
    /// Over a ring of the downlink.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(ring: RingReader<COMMAND_WORDS>) -> Self {
        Self(ring)
    }

    /// The oldest command, its answer's slot reserved in `events`. Without a slot the command
    /// stays where it is, and apid is told "full" sooner or later.
    ///
    /// # Errors
    /// [`PeerFault::Cursor`]: detach.
    pub fn take(&mut self, events: &mut EventWriter) -> Result<Taken, PeerFault> {
        if self.0.pending()? == 0 {
            return Ok(Taken::Nothing);
        }
        let Some(reservation) = events.reserve() else { return Ok(Taken::Nothing) };
        let mut words = [0; COMMAND_WORDS];
        match self.0.pop(&mut words) {
            Ok(true) => Ok(match wire::decode::<Request, COMMAND_WORDS>(&words) {
                Some(request) => Taken::Command(request, reservation),
                // `Request::id` is encoded first.
                None => Taken::Malformed(CommandId(words[1]), reservation),
            }),
            Ok(false) => {
                events.release(reservation);
                Ok(Taken::Nothing)
            }
            Err(fault) => {
                events.release(reservation);
                Err(fault.into())
            }
        }
    }
}

/// Apid's end of a loop's command ring.
#[derive(Debug)]
pub struct CommandWriter {
    ring: RingWriter<COMMAND_WORDS>,
    peer: ReadWords,
}

impl CommandWriter {
    /// Over a ring of the downlink and the engine's read cursor.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(ring: RingWriter<COMMAND_WORDS>, peer: ReadWords) -> Self {
        Self { ring, peer }
    }

    /// Sends a command. Commands sent before the loop took up the attachment wait for it.
    ///
    /// # Errors
    /// [`SendError::Full`] if 256 are waiting.
    pub fn send(&mut self, request: &Request) -> Result<(), SendError> {
        let room = self.ring.room(&self.peer).map_err(|_| SendError::EngineFault)?;
        if room == 0 {
            return Err(SendError::Full);
        }
        let words = wire::encode(request).expect("the golden test: every request fits its slot");
        self.ring.push(&words);
        Ok(())
    }
}
