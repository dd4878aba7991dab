//! Who the phone is: symmetric RTP (RFC 4961) without being hijacked.
//!
//! Phones stand behind address translators, so packets go where packets come from. Anybody can
//! send packets to an open port, so a source is believed only as far as signalling vouches for it:
//!
//! | a source is | latched first | takes over from a lesser source | from a silent one |
//! |---|---|---|---|
//! | the signalled address and port | with its first packet | with 2 packets in sequence | so too |
//! | of the signalled IP address | with 2 in sequence | so too | so too, after 2 s |
//! | any other | with 2 in sequence | never | after 2 s with the same SSRC or IP, else 5 s |
//!
//! Two packets in sequence are RFC 3550 A.1's MIN_SEQUENTIAL. A new SSRC of the latched address
//! is a new source and needs them too.

use tipring_shm_proto::units::{Endpoint, Nanos};

/// Packets in sequence that make a source (RFC 3550 A.1).
const MIN_SEQUENTIAL: u8 = 2;
/// Silence of the latched source after which a related one may follow it, ms.
const SILENT_MS: u32 = 2000;
/// Silence of the latched source after which any may follow it, ms.
const GONE_MS: u32 = 5000;
/// How long a source that signalling has replaced is not believed, ms.
const REPLACED_MS: u32 = 2000;
/// How long a better candidate keeps lesser ones from being tried, ms.
const CANDIDATE_MS: u32 = 100;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is of the latched source.
    Current,
    /// It is of a source that has just been latched: forget the former's state, then use it.
    New,
    /// Perhaps of a new source: the next packet will tell.
    Unproven,
    /// Of somebody else.
    Foreign,
}

/// How far signalling vouches for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    Other,
    SameIp,
    Signalled,
}

#[derive(Clone, Copy, Debug)]
struct Latched {
    from: Endpoint,
    ssrc: u32,
    heard: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: Endpoint,
    ssrc: u32,
    next: u16,
    run: u8,
    heard: Nanos,
}

/// The far end of one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    signalled: Option<Endpoint>,
    latched: Option<Latched>,
    candidate: Option<Candidate>,
    replaced: Option<(Endpoint, Nanos)>,
}

impl Source {
    /// Of a new call; an unspecified address or port 0 counts as none.
    pub fn new(signalled: Option<Endpoint>) -> Self {
        Self { signalled: signalled.filter(is_usable), ..Self::default() }
    }

    /// Signalling has spoken again. Another address ends the latch, and its source is not
    /// believed for 2 s, unless it is that address. No address leaves all as it is.
    pub fn update(&mut self, now: Nanos, signalled: Option<Endpoint>) {
        let signalled = signalled.filter(is_usable);
        if signalled == self.signalled || signalled.is_none() {
            return;
        }
        self.signalled = signalled;
        self.candidate = None;
        if let Some(latched) = self.latched.take_if(|latched| Some(latched.from) != signalled) {
            self.replaced = Some((latched.from, now.after_ms(REPLACED_MS)));
        }
    }

    /// Where to send to: to whom we hear, else to whom signalling named.
    pub fn target(&self) -> Option<Endpoint> {
        self.latched.map(|latched| latched.from).or(self.signalled)
    }

    /// The source that is latched.
    pub fn ssrc(&self) -> Option<u32> {
        self.latched.map(|latched| latched.ssrc)
    }

    /// Judges a packet with a payload type that was agreed on.
    pub fn judge(&mut self, now: Nanos, from: Endpoint, ssrc: u32, sequence: u16) -> Verdict {
        if let Some(latched) = &mut self.latched
            && latched.from == from
            && latched.ssrc == ssrc
        {
            latched.heard = now;
            return Verdict::Current;
        }
        if !self.may_follow(now, from, ssrc) {
            return Verdict::Foreign;
        }
        let first_and_signalled = self.latched.is_none() && self.trust(from) == Trust::Signalled;
        if first_and_signalled || self.has_proved(now, from, ssrc, sequence) {
            self.latched = Some(Latched { from, ssrc, heard: now });
            self.candidate = None;
            return Verdict::New;
        }
        Verdict::Unproven
    }

    /// The packet is of the latched source, whatever it carries.
    pub fn is_current(&self, from: Endpoint, ssrc: u32) -> bool {
        self.latched.is_some_and(|latched| latched.from == from && latched.ssrc == ssrc)
    }

    fn trust(&self, from: Endpoint) -> Trust {
        match self.signalled {
            Some(signalled) if signalled == from => Trust::Signalled,
            Some(signalled) if signalled.ip == from.ip => Trust::SameIp,
            _ => Trust::Other,
        }
    }

    fn may_follow(&self, now: Nanos, from: Endpoint, ssrc: u32) -> bool {
        let Some(latched) = self.latched else {
            return !self.replaced.is_some_and(|(replaced, until)| replaced == from && now < until);
        };
        let silent_ms = now.ms_since(latched.heard);
        let related =
            latched.ssrc == ssrc || latched.from.ip == from.ip || self.trust(from) >= Trust::SameIp;
        latched.from == from
            || self.trust(from) > self.trust(latched.from)
            || silent_ms >= SILENT_MS && related
            || silent_ms >= GONE_MS
    }

    fn has_proved(&mut self, now: Nanos, from: Endpoint, ssrc: u32, sequence: u16) -> bool {
        if let Some(candidate) = &mut self.candidate
            && candidate.from == from
            && candidate.ssrc == ssrc
        {
            if sequence == candidate.next {
                candidate.run += 1;
                candidate.next = sequence.wrapping_add(1);
            } else if sequence.wrapping_add(1) != candidate.next {
                candidate.run = 1;
                candidate.next = sequence.wrapping_add(1);
            }
            candidate.heard = now;
            return candidate.run >= MIN_SEQUENTIAL;
        }
        let better_is_tried = self.candidate.is_some_and(|candidate| {
            self.trust(candidate.from) > self.trust(from)
                && now.ms_since(candidate.heard) < CANDIDATE_MS
        });
        if !better_is_tried {
            let next = sequence.wrapping_add(1);
            self.candidate = Some(Candidate { from, ssrc, next, run: 1, heard: now });
        }
        false
    }
}

fn is_usable(endpoint: &Endpoint) -> bool {
    const UNSPECIFIED_V6: [u8; 16] = [0; 16];
    const UNSPECIFIED_V4: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];
    endpoint.port != 0 && endpoint.ip != UNSPECIFIED_V6 && endpoint.ip != UNSPECIFIED_V4
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Current, Foreign, New, Unproven};
    use super::*;

    fn at(last: u8, port: u16) -> Endpoint {
        Endpoint::from(std::net::SocketAddr::from(([192, 0, 2, last], port)))
    }

    const fn ms(ms: u64) -> Nanos {
        Nanos(ms * 1_000_000)
    }

    /// A source that was latched at 0 ms: `from`, SSRC 1, signalled as `signalled`.
    fn latched(signalled: Option<Endpoint>, from: Endpoint) -> Source {
        let mut source = Source::new(signalled);
        source.judge(ms(0), from, 1, 9);
        source.judge(ms(0), from, 1, 10);
        assert!(source.is_current(from, 1));
        source
    }

    #[test]
    fn packets_go_where_signalling_says_until_somebody_is_heard() {
        let mut source = Source::new(Some(at(1, 4000)));
        assert_eq!(source.target(), Some(at(1, 4000)));
        assert_eq!(source.judge(ms(0), at(9, 1024), 1, 7), Unproven);
        assert_eq!(source.target(), Some(at(1, 4000)));
        assert_eq!(source.judge(ms(20), at(9, 1024), 1, 8), New);
        assert_eq!(source.target(), Some(at(9, 1024)));
    }

    #[test]
    fn the_signalled_address_is_believed_at_once() {
        let mut source = Source::new(Some(at(1, 4000)));
        assert_eq!(source.judge(ms(0), at(1, 4000), 1, 7), New);
        assert_eq!(source.judge(ms(20), at(1, 4000), 1, 9), Current);
    }

    #[test]
    fn packets_out_of_sequence_prove_nothing() {
        let mut source = Source::new(None);
        for sequence in [5, 9, 30, 30, 29] {
            assert_eq!(source.judge(ms(0), at(9, 1), 1, sequence), Unproven, "{sequence}");
        }
        assert_eq!(source.judge(ms(0), at(9, 1), 2, 30), Unproven, "another SSRC");
        assert_eq!(source.judge(ms(0), at(9, 1), 2, 31), New);
    }

    #[test]
    fn a_latched_source_is_not_displaced_by_a_stranger() {
        let mut source = latched(Some(at(1, 4000)), at(1, 4000));
        for n in 0..100 {
            let now = ms(u64::from(n) * 20);
            assert_eq!(source.judge(now, at(66, 6), 6, n), Foreign);
            // Not even with the phone's own SSRC and sequence.
            assert_eq!(source.judge(now, at(66, 6), 1, 11 + n), Foreign);
            assert_eq!(source.judge(now, at(1, 4000), 1, 11 + n), Current);
        }
    }

    #[test]
    fn the_signalled_address_displaces_a_stranger_who_was_first() {
        let mut source = latched(Some(at(1, 4000)), at(66, 6));
        assert_eq!(source.judge(ms(20), at(1, 4001), 5, 100), Unproven);
        assert_eq!(source.judge(ms(40), at(1, 4001), 5, 101), New, "its IP address is enough");
        assert_eq!(source.judge(ms(60), at(66, 6), 1, 12), Foreign);
        assert_eq!(source.judge(ms(60), at(1, 4000), 7, 1), Unproven);
        assert_eq!(source.judge(ms(80), at(1, 4000), 7, 2), New);
        assert_eq!(source.judge(ms(90), at(1, 4001), 5, 102), Foreign);
    }

    #[test]
    fn a_silent_source_is_followed_by_its_like_and_later_by_any() {
        let table = [
            ("another port, 1.9 s", at(9, 2), 5, 1900, Foreign),
            ("another port, 2 s", at(9, 2), 5, 2000, New),
            ("same SSRC, 2 s", at(66, 6), 1, 2000, New),
            ("a stranger, 4.9 s", at(66, 6), 5, 4900, Foreign),
            ("a stranger, 5 s", at(66, 6), 5, 5000, New),
        ];
        for (name, from, ssrc, after, expected) in table {
            let mut source = latched(None, at(9, 1));
            source.judge(ms(after), from, ssrc, 1);
            assert_eq!(source.judge(ms(after), from, ssrc, 2), expected, "{name}");
        }
    }

    #[test]
    fn another_ssrc_of_the_phone_needs_two_packets() {
        let mut source = latched(None, at(9, 1));
        assert_eq!(source.judge(ms(20), at(9, 1), 2, 500), Unproven);
        assert_eq!(source.judge(ms(40), at(9, 1), 2, 501), New);
    }

    #[test]
    fn a_flood_of_strangers_does_not_hide_a_better_candidate() {
        let mut source = Source::new(Some(at(1, 4000)));
        assert_eq!(source.judge(ms(0), at(1, 5000), 1, 1), Unproven);
        for n in 0..50 {
            assert_eq!(source.judge(ms(1), at(66, 6), 6, n), Unproven);
        }
        assert_eq!(source.judge(ms(20), at(1, 5000), 1, 2), New);
    }

    #[test]
    fn another_signalled_address_ends_the_latch() {
        let mut source = latched(Some(at(1, 4000)), at(1, 4000));
        source.update(ms(100), Some(at(2, 4000)));
        assert_eq!(source.target(), Some(at(2, 4000)));
        // What the old one still sends does not draw our packets back.
        assert_eq!(source.judge(ms(120), at(1, 4000), 1, 11), Foreign);
        assert_eq!(source.judge(ms(140), at(1, 4000), 1, 12), Foreign);
        assert_eq!(source.judge(ms(160), at(2, 4000), 3, 1), New);
    }

    #[test]
    fn the_same_or_no_signalled_address_keeps_the_latch() {
        let mut source = latched(Some(at(1, 4000)), at(9, 1));
        source.update(ms(100), Some(at(1, 4000)));
        source.update(ms(100), None);
        source.update(ms(100), Some(at(9, 1)));
        assert_eq!(source.target(), Some(at(9, 1)));
        assert_eq!(source.judge(ms(120), at(9, 1), 1, 11), Current);
    }

    #[test]
    fn an_address_that_cannot_be_is_none() {
        let zero = Endpoint::from(std::net::SocketAddr::from(([0, 0, 0, 0], 4000)));
        for signalled in [zero, at(1, 0), Endpoint { ip: [0; 16], port: 4000 }] {
            assert_eq!(Source::new(Some(signalled)).target(), None);
        }
    }
}
