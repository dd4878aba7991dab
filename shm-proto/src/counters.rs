//! What a frame loop counts, for everybody to read. Each is an atomic word, relaxed: a number is
//! never torn, and says nothing about any other.

use crate::layout::COUNTER_WORDS;
use crate::sync::{ReadWords, WriteWords};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $index:literal),+ $(,)?) => {
        /// One counter of a frame loop; the value is its word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "a counter has one name, in code and in metrics")]
        #[repr(usize)]
        pub enum Counter {
            $($(#[doc = $doc])+ $name = $index,)+
        }

        /// A loop's counters as apid reads them, one after the other.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        pub struct CounterValues {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Counter {
            /// All of them, in the order of their words.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name with its unit.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }

        impl CounterValues {
            /// Reads a loop's counters.
            #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
            pub(crate) fn read(words: &ReadWords) -> Self {
                Self { $($name: words.load(Counter::$name as usize),)+ }
            }

            /// One of them.
            pub const fn get(&self, counter: Counter) -> u64 {
                match counter { $(Counter::$name => self.$name,)+ }
            }
        }

        $(const _: () = assert!($index < COUNTER_WORDS);)+
    };
}

counters! {
    /// Wake-ups of the loop.
    ticks_total = 0,
    /// Wake-ups more than 2.5 ms after their time.
    ticks_late_total = 1,
    /// Wake-ups left out, since the next one was due already.
    ticks_missed_total = 2,
    /// Frames handed to a device, or sent, after their time.
    frames_late_total = 3,
    /// Commands taken.
    commands_total = 4,
    /// Commands that did not decode, or with a value out of range.
    commands_malformed_total = 5,
    /// Detachments because apid wrote what cannot be.
    peer_faults_total = 6,
    /// Events apid did not get.
    events_dropped_total = 7,
    /// Frames for which a play ring was empty before its playback ended.
    play_underruns_total = 8,
    /// Frames left out to keep a bridge's delay bounded.
    bridge_dropped_frames_total = 9,
    /// RTP packets received and used.
    rtp_received_total = 10,
    /// RTP packets sent.
    rtp_sent_total = 11,
    /// RTP packets that never came.
    rtp_lost_total = 12,
    /// RTP packets that came after their frame was played.
    rtp_late_total = 13,
    /// Datagrams that were no RTP of the call.
    rtp_invalid_total = 14,
    /// Longest wake-up so far, ns of work.
    tick_ns_max = 15,
    /// All wake-ups, ns of work.
    tick_ns_sum = 16,
    /// Signals of devices that came in faster than a tick takes them.
    signals_dropped_total = 17,
    /// Reports to the supervisor that found no room.
    reports_dropped_total = 18,
    /// RTP packets that a plain bridge handed on as they came.
    rtp_forwarded_total = 19,
    /// RTCP packets received and used.
    rtcp_received_total = 20,
    /// Datagrams that were no RTCP of the call.
    rtcp_invalid_total = 21,
    /// RTP and RTCP packets that did not authenticate, or came again (RFC 3711 §3.3).
    srtp_refused_total = 22,
    /// Times a card had audio for which nobody had left it room: what the phone said is lost.
    card_overruns_total = 23,
    /// Times a card had nothing to play: the phone heard a gap.
    card_underruns_total = 24,
    /// Blocks of a card that were not there when the loop came for them, and were concealed.
    card_blocks_missing_total = 25,
    /// Reads, writes and orders that a card refused.
    card_errors_total = 26,
    /// Times another channel took over as the one that paces the loop.
    card_pacer_changes_total = 27,
    /// Times the card that paces the loop had no clock for two frames.
    card_stalls_total = 28,
    /// Least audio that a card still had to play when the loop came with more, ns.
    card_reserve_ns_min = 29,
    /// Times the queue that a card's driver has for the events of a line was full: some are lost.
    card_event_overflows_total = 30,
    /// Times a channel of a card could not be opened, for another reason than the time before.
    card_open_failures_total = 31,
}

/// Writes a loop's counters. Clones write the same ones; additions are atomic.
///
/// Real-time: never allocates, waits or panics.
#[derive(Clone, Debug)]
pub struct LoopCounters(WriteWords);

impl LoopCounters {
    /// Over a loop's counters in the uplink.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(words: WriteWords) -> Self {
        Self(words)
    }

    /// Adds to a counter.
    #[inline]
    pub fn add(&self, counter: Counter, amount: u64) {
        self.0.add(counter as usize, amount);
    }

    /// Sets a counter.
    #[inline]
    pub fn set(&self, counter: Counter, value: u64) {
        self.0.store(counter as usize, value);
    }

    /// Raises a counter to `value` if it is lower.
    #[inline]
    pub fn raise(&self, counter: Counter, value: u64) {
        self.0.max(counter as usize, value);
    }

    /// What a counter is.
    #[inline]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.load(counter as usize)
    }
}
