//! Notices that one side does not hear the other, and guesses why.
//!
//! Sans-IO: asked once a second with what was seen of the phone; tells a change only.

use tipring_shm_proto::event::MediaFault;
use tipring_shm_proto::units::Nanos;

/// How often to look, ms.
const LOOK_MS: u32 = 1000;
/// Time without audio that is a fault, ms.
const FAULT_MS: u32 = 5000;
/// Time of digital silence that is a fault, ms: nobody is that quiet, and rooms are not.
const SILENCE_MS: u32 = 15_000;

/// What can be seen of a phone that should be heard.
#[expect(clippy::struct_excessive_bools, reason = "each is seen for itself")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// It should send.
    pub expected: bool,
    /// Packets of it that were used, since the call began.
    pub received: u64,
    /// Datagrams of others.
    pub foreign: u64,
    /// Packets with payload types that were not agreed on.
    pub payload_type: u64,
    /// Packets that did not authenticate.
    pub not_authentic: u64,
    /// It said BYE by RTCP.
    pub left: bool,
    /// It reports that nothing of our stream comes.
    pub unheard: bool,
    /// Its last packets were digital silence.
    pub silent: bool,
}

/// Watches one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultWatch {
    look: Nanos,
    before: Seen,
    /// Since when there was no audio, and no sound in it.
    without_audio: Option<Nanos>,
    without_sound: Option<Nanos>,
    told: Option<MediaFault>,
}

impl FaultWatch {
    /// It is time to look.
    pub fn is_due(&self, now: Nanos) -> bool {
        now >= self.look
    }

    /// Takes what is seen now; tells what is wrong now, if that has changed.
    pub fn look(&mut self, now: Nanos, seen: Seen) -> Option<Option<MediaFault>> {
        self.look = now.after_ms(LOOK_MS);
        let fault = self.judge(now, &seen);
        self.before = seen;
        (fault != self.told).then(|| {
            self.told = fault;
            fault
        })
    }

    fn judge(&mut self, now: Nanos, seen: &Seen) -> Option<MediaFault> {
        let flows = seen.received > self.before.received;
        if flows || !seen.expected {
            self.without_audio = None;
        }
        if !(flows && seen.silent && seen.expected) {
            self.without_sound = None;
        }
        if seen.expected && !flows {
            let since = *self.without_audio.get_or_insert(now);
            if now.ms_since(since) >= FAULT_MS {
                return Some(Self::reason(&self.before, seen));
            }
            // Too early to say more than was said.
            return self.told;
        }
        if flows && seen.silent && seen.expected {
            let since = *self.without_sound.get_or_insert(now);
            if now.ms_since(since) >= SILENCE_MS {
                return Some(MediaFault::Silence);
            }
        }
        seen.unheard.then_some(MediaFault::Unheard)
    }

    /// What came instead within the last second tells more than what never came.
    fn reason(before: &Seen, seen: &Seen) -> MediaFault {
        if seen.not_authentic > before.not_authentic {
            MediaFault::NotAuthentic
        } else if seen.payload_type > before.payload_type {
            MediaFault::Codec
        } else if seen.foreign > before.foreign {
            MediaFault::Foreign
        } else if seen.left {
            MediaFault::Ended
        } else if seen.received > 0 {
            MediaFault::Ceased
        } else {
            MediaFault::NeverHeard
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told over the seconds of a story, with the second in which it was.
    fn told(seconds: u32, seen: impl Fn(u64) -> Seen) -> Vec<(u32, Option<MediaFault>)> {
        let mut watch = FaultWatch::default();
        (0..seconds)
            .filter_map(|s| {
                watch.look(Nanos(0).after_ms(s * 1000), seen(u64::from(s))).map(|f| (s, f))
            })
            .collect()
    }

    /// What is seen after some seconds of a story.
    type Story = fn(Seen, u64) -> Seen;

    #[test]
    fn each_reason_is_told_once_and_so_is_its_end() {
        let expected = Seen { expected: true, ..Seen::default() };
        let table: [(&str, Story, MediaFault); 6] = [
            ("nothing", |seen, _| seen, MediaFault::NeverHeard),
            ("strangers", |seen, s| Seen { foreign: s * 50, ..seen }, MediaFault::Foreign),
            ("G.729", |seen, s| Seen { payload_type: s * 50, ..seen }, MediaFault::Codec),
            ("keys", |seen, s| Seen { not_authentic: s * 50, ..seen }, MediaFault::NotAuthentic),
            ("it ceases", |seen, s| Seen { received: s.min(1) * 50, ..seen }, MediaFault::Ceased),
            (
                "it leaves",
                |seen, s| Seen { received: s.min(1) * 50, left: s > 1, ..seen },
                MediaFault::Ended,
            ),
        ];
        for (name, story, reason) in table {
            let faults = told(20, |s| story(expected, s));
            assert_eq!(faults.len(), 1, "{name}: {faults:?}");
            assert_eq!(faults[0].1, Some(reason), "{name}");
            assert!((5..=8).contains(&faults[0].0), "{name}: {faults:?}");
        }
        let back = told(30, |s| Seen { received: s.saturating_sub(20) * 50, ..expected });
        assert_eq!(back, [(5, Some(MediaFault::NeverHeard)), (21, None)]);
    }

    #[test]
    fn who_need_not_send_is_not_missed() {
        assert_eq!(told(60, |_| Seen::default()), []);
    }

    #[test]
    fn a_muted_phone_and_one_that_hears_nothing_are_told_apart() {
        let flowing = |s| Seen { expected: true, received: 50 + s * 50, ..Seen::default() };
        let muted = told(40, |s| Seen { silent: s < 30, ..flowing(s) });
        assert_eq!(muted, [(15, Some(MediaFault::Silence)), (30, None)]);
        let deaf = told(40, |s| Seen { unheard: (9..20).contains(&s), ..flowing(s) });
        assert_eq!(deaf, [(9, Some(MediaFault::Unheard)), (20, None)]);
    }
}
