//! Audio to play: per line four bounded rings in the downlink, samples and marks in order.

use crate::audio::{pack_samples, unpack_samples};
use crate::bounded_ring::{PeerFault, RingReader, RingWriter, SendError};
use crate::layout::PLAY_WORDS;
use crate::sync::ReadWords;
use crate::units::{FRAME_SAMPLES, MarkId, PlaybackId};

/// Word of a slot with its kind (bits 0 to 7) and its number of samples (bits 16 to 31).
const KIND: usize = 0;
/// Word with the playback's id.
const PLAYBACK: usize = 1;
/// Word with the mark's id.
const MARK: usize = 2;
/// First word of the samples.
const SAMPLES: usize = 8;

const KIND_AUDIO: u64 = 1;
const KIND_MARK: u64 = 2;
const KIND_END: u64 = 3;

/// One slot of a play ring. Items of a playback other than the one that runs are left over from
/// it: skip them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a slot is as large; a frame loop does not box")]
pub enum PlayItem {
    /// Samples to play after what came before.
    Audio {
        /// Of which playback.
        playback: PlaybackId,
        /// How many of `samples` count, 1 to 160.
        len: u16,
        /// 8 kHz, linear.
        samples: [i16; FRAME_SAMPLES],
    },
    /// A place apid wants to hear of.
    Mark {
        /// In which playback.
        playback: PlaybackId,
        /// Which.
        mark: MarkId,
    },
    /// Nothing more follows in this playback; an empty ring before this is an underrun.
    End {
        /// Which playback.
        playback: PlaybackId,
    },
}

impl PlayItem {
    /// The item as a slot.
    #[inline]
    pub fn to_words(&self) -> [u64; PLAY_WORDS] {
        let mut words = [0; PLAY_WORDS];
        match self {
            Self::Audio { playback, len, samples } => {
                audio_words(*playback, *len, samples, &mut words);
            }
            Self::Mark { playback, mark } => {
                words[KIND] = KIND_MARK;
                words[PLAYBACK] = playback.0;
                words[MARK] = u64::from(mark.0);
            }
            Self::End { playback } => {
                words[KIND] = KIND_END;
                words[PLAYBACK] = playback.0;
            }
        }
        words
    }

    /// The item in a slot; `None` if there is none: an unknown kind, an impossible number of
    /// samples.
    #[inline]
    pub fn from_words(words: &[u64; PLAY_WORDS]) -> Option<Self> {
        let playback = PlaybackId(words[PLAYBACK]);
        match (words[KIND] & 0xffff, words[KIND] >> 16) {
            (KIND_AUDIO, len @ 1..=160) => Some(Self::Audio {
                playback,
                len: len as u16,
                samples: unpack_samples(&words[SAMPLES..]),
            }),
            (KIND_MARK, 0) => {
                Some(Self::Mark { playback, mark: MarkId(u32::try_from(words[MARK]).ok()?) })
            }
            (KIND_END, 0) => Some(Self::End { playback }),
            _ => None,
        }
    }
}

#[inline]
fn audio_words(
    playback: PlaybackId,
    len: u16,
    samples: &[i16; FRAME_SAMPLES],
    words: &mut [u64; PLAY_WORDS],
) {
    words[KIND] = KIND_AUDIO | u64::from(len) << 16;
    words[PLAYBACK] = playback.0;
    pack_samples(samples, &mut words[SAMPLES..]);
}

/// Reading end of a play ring, for one attachment.
///
/// Real-time: never allocates, waits or panics, whatever apid wrote; its frame loop only. Drop it
/// elsewhere: it may be the last owner of a mapping.
#[derive(Debug)]
pub struct PlayReader(RingReader<PLAY_WORDS>);

impl PlayReader {
    /// Over a ring of the downlink.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(ring: RingReader<PLAY_WORDS>) -> Self {
        Self(ring)
    }

    /// The oldest item. Empty is silence, and an underrun unless the playback has ended.
    ///
    /// # Errors
    /// [`PeerFault::Slot`]: skipped, count it and ask again at the next tick.
    /// [`PeerFault::Cursor`]: detach.
    #[inline]
    pub fn take(&mut self) -> Result<Option<PlayItem>, PeerFault> {
        let mut words = [0; PLAY_WORDS];
        if !self.0.pop(&mut words)? {
            return Ok(None);
        }
        PlayItem::from_words(&words).map(Some).ok_or(PeerFault::Slot)
    }

    /// Throws away everything apid has written so far; tells how many slots that were.
    ///
    /// # Errors
    /// [`PeerFault::Cursor`]: detach.
    pub fn flush(&mut self) -> Result<u32, PeerFault> {
        Ok(self.0.skip_all()?)
    }
}

/// Apid's end of a play ring.
#[derive(Debug)]
pub struct PlayWriter {
    ring: RingWriter<PLAY_WORDS>,
    peer: ReadWords,
}

impl PlayWriter {
    /// Over a ring of the downlink and the engine's read cursor.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(ring: RingWriter<PLAY_WORDS>, peer: ReadWords) -> Self {
        Self { ring, peer }
    }

    /// Writes up to one frame of samples (the rest of a longer slice is the caller's to send
    /// again; nothing is written for an empty one). Only a playback's last frame should be
    /// shorter than 160. Tells how many samples were written.
    ///
    /// # Errors
    /// [`SendError::Full`] if 128 items are waiting.
    pub fn audio(&mut self, playback: PlaybackId, samples: &[i16]) -> Result<usize, SendError> {
        let mut words = [0; PLAY_WORDS];
        let len = if let Some(frame) = samples.first_chunk() {
            audio_words(playback, FRAME_SAMPLES as u16, frame, &mut words);
            FRAME_SAMPLES
        } else if samples.is_empty() {
            return Ok(0);
        } else {
            let mut frame = [0; FRAME_SAMPLES];
            frame[..samples.len()].copy_from_slice(samples);
            audio_words(playback, samples.len() as u16, &frame, &mut words);
            samples.len()
        };
        self.send(&words)?;
        Ok(len)
    }

    /// Writes a mark; the engine tells when everything before it was handed to the device.
    ///
    /// # Errors
    /// [`SendError::Full`] if 128 items are waiting.
    pub fn mark(&mut self, playback: PlaybackId, mark: MarkId) -> Result<(), SendError> {
        self.send(&PlayItem::Mark { playback, mark }.to_words())
    }

    /// Ends the playback; when it is reached the playback has finished.
    ///
    /// # Errors
    /// [`SendError::Full`] if 128 items are waiting.
    pub fn end(&mut self, playback: PlaybackId) -> Result<(), SendError> {
        self.send(&PlayItem::End { playback }.to_words())
    }

    /// Items the engine has not taken yet: of 20 ms each, but for marks, ends and short frames.
    /// 0 also where the engine's cursor cannot be.
    pub fn queued(&mut self) -> u32 {
        self.ring.room(&self.peer).map_or(0, |_| self.ring.pending())
    }

    #[inline]
    fn send(&mut self, words: &[u64; PLAY_WORDS]) -> Result<(), SendError> {
        match self.ring.room(&self.peer) {
            Err(_) => Err(SendError::EngineFault),
            Ok(0) => Err(SendError::Full),
            Ok(_) => {
                self.ring.push(words);
                Ok(())
            }
        }
    }
}
