//! Audio of a line as apid gets it: two overwriting rings, what the phone says and what it hears,
//! 20 ms a slot.

use crate::layout::AUDIO_WORDS;
use crate::overwriting_ring::{Popped, RingReader, RingWriter};
use crate::sync::{ReadWords, WriteWords};
use crate::units::{FRAME_SAMPLES, Nanos, TenthDbm0};

/// Words of a slot behind its stamp: time, level and flags, five reserved, the samples.
const DATA_WORDS: usize = AUDIO_WORDS - 1;
/// Of the data words, the first with samples.
const FIRST_SAMPLES: usize = 7;

/// Which of a line's two audio rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What the phone says.
    Rx,
    /// What the phone hears.
    Tx,
}

/// Number of a frame in its ring, counted from 0 at the engine's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameSeq(pub u64);

/// What is known of a frame besides its samples; unknown bits are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FrameFlags(pub u16);

impl FrameFlags {
    /// The person speaks.
    pub const VOICE: Self = Self(1);
    /// Nothing was received: the samples were made up.
    pub const CONCEALED: Self = Self(2);
    /// Some samples are at full scale.
    pub const CLIPPED: Self = Self(4);

    /// All flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the flags of `other` set.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One frame out of an audio ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFrame {
    /// Its number.
    pub seq: FrameSeq,
    /// When the engine had it.
    pub at: Nanos,
    /// Its level.
    pub level: TenthDbm0,
    /// What else is known of it.
    pub flags: FrameFlags,
    /// 20 ms at 8 kHz.
    pub samples: [i16; FRAME_SAMPLES],
}

/// What an [`AudioReader`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a frame is handed out by value, without a box")]
pub enum Next {
    /// The next frame.
    Frame(AudioFrame),
    /// So many frames were overwritten before they were read.
    Lost(u64),
    /// Nothing new.
    Empty,
}

/// Four samples, the first in the low bits.
#[inline]
pub(crate) fn pack(samples: [i16; 4]) -> u64 {
    let [a, b, c, d] = samples.map(|s| u64::from(s.cast_unsigned()));
    a | b << 16 | c << 32 | d << 48
}

/// The inverse of [`pack`].
#[inline]
pub(crate) fn unpack(word: u64) -> [i16; 4] {
    [word as i16, (word >> 16) as i16, (word >> 32) as i16, (word >> 48) as i16]
}

/// Fills `words` with the samples, four to a word.
#[inline]
pub(crate) fn pack_samples(samples: &[i16; FRAME_SAMPLES], words: &mut [u64]) {
    for (word, four) in words.iter_mut().zip(samples.as_chunks::<4>().0) {
        *word = pack(*four);
    }
}

/// The inverse of [`pack_samples`].
#[inline]
pub(crate) fn unpack_samples(words: &[u64]) -> [i16; FRAME_SAMPLES] {
    let mut samples = [0; FRAME_SAMPLES];
    for (four, word) in samples.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *four = unpack(*word);
    }
    samples
}

/// Both audio rings of a line, writing end.
///
/// Real-time: never allocates, waits or panics; never full; its frame loop only.
#[derive(Debug)]
pub struct AudioWriter {
    rx: RingWriter<DATA_WORDS>,
    tx: RingWriter<DATA_WORDS>,
}

impl AudioWriter {
    /// Over two rings of the uplink, each its head and its slots.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(rx: (WriteWords, WriteWords), tx: (WriteWords, WriteWords)) -> Self {
        Self { rx: RingWriter::new(rx.1, rx.0), tx: RingWriter::new(tx.1, tx.0) }
    }

    /// Writes one frame over the oldest one.
    #[inline]
    pub fn publish(
        &mut self,
        direction: Direction,
        at: Nanos,
        level: TenthDbm0,
        flags: FrameFlags,
        samples: &[i16; FRAME_SAMPLES],
    ) -> FrameSeq {
        let mut data = [0; DATA_WORDS];
        data[0] = at.0;
        data[1] = u64::from(level.0.cast_unsigned()) | u64::from(flags.0) << 16;
        pack_samples(samples, &mut data[FIRST_SAMPLES..]);
        let ring = match direction {
            Direction::Rx => &mut self.rx,
            Direction::Tx => &mut self.tx,
        };
        FrameSeq(ring.push(&data))
    }
}

/// One reader of one audio ring. Begins with the next frame that is written; a clone reads on
/// from the same place, for itself.
#[derive(Clone, Debug)]
pub struct AudioReader(RingReader<DATA_WORDS>);

impl AudioReader {
    /// Over a ring of the uplink, its head and its slots.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new((head, slots): (ReadWords, ReadWords)) -> Self {
        Self(RingReader::new(slots, head))
    }

    /// Whether [`Self::next`] has something.
    pub fn has_news(&self) -> bool {
        self.0.has_news()
    }

    /// The next frame, or how many were missed; frames and losses add up to frames written.
    /// Never waits.
    #[expect(clippy::should_implement_trait, reason = "a reader never ends")]
    #[inline]
    pub fn next(&mut self) -> Next {
        let mut data = [0; DATA_WORDS];
        match self.0.pop(&mut data) {
            Popped::Item(number) => Next::Frame(AudioFrame {
                seq: FrameSeq(number),
                at: Nanos(data[0]),
                level: TenthDbm0(data[1] as i16),
                flags: FrameFlags((data[1] >> 16) as u16),
                samples: unpack_samples(&data[FIRST_SAMPLES..]),
            }),
            Popped::Lost(frames) => Next::Lost(frames),
            Popped::Empty => Next::Empty,
        }
    }
}
