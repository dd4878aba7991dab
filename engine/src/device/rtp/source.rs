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
