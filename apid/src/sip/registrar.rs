//! Who can be reached where: the bindings of RFC 3261 §10.3, after authentication.
//!
//! Times are milliseconds since 1970, because bindings outlive the process: a restarted apid
//! still rings its phones.

use super::address::{NameAddr, Uri};
use super::message::{Peer, Request, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest URI that is kept, octets.
const MAX_URI: usize = 512;
/// Proxies between a phone and us.
const MAX_PROXIES: usize = 4;

/// What a registrar grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Below it a registration is answered 423. Phones behind NAT ask for 30 s.
    pub min_expires_s: u32,
    /// Longer wishes are granted this much.
    pub max_expires_s: u32,
    /// Granted where the phone names no time (RFC 3261 §10.2.1.1).
    pub default_expires_s: u32,
    /// Bindings of one account; a new one replaces the one that was refreshed longest ago, so
    /// that a phone which takes a new port at every start is never locked out.
    pub max_contacts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_expires_s: 30, max_expires_s: 3600, default_expires_s: 3600, max_contacts: 5 }
    }
}

/// One place where a phone can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Contact URI as the phone wrote it.
    pub contact: String,
    /// `+sip.instance`, where the phone has one (RFC 5626 §4.1).
    pub instance: Option<String>,
    /// Where the registration came from.
    pub source: Peer,
    /// Call-ID of the registration.
    pub call_id: String,
    /// CSeq of the registration.
    pub cseq: u32,
    /// End, ms since 1970.
    pub expires_ms: u64,
    /// Last refresh, ms since 1970.
    pub refreshed_ms: u64,
    /// User-Agent of the phone, at most 64 characters.
    pub user_agent: Option<String>,
    /// Proxies on the way to the phone, in the order of our requests (RFC 3327).
    #[serde(default)]
    pub path: Vec<String>,
}

impl Binding {
    /// Where requests to this binding go; see [`next_hop`].
    pub fn peer(&self) -> Peer {
        let proxy = self.path.first().and_then(|path| NameAddr::parse(path));
        next_hop(proxy.as_ref().map_or(&self.contact, |proxy| &proxy.uri), self.source)
    }
}

/// Where a request for `target` goes, if its owner was heard from `source`. A contact on the
/// source's address is believed (its port may differ from the one it sends from); one on another
/// address is behind a translator, or a name, and the way back is the only one that works.
/// A stream is always the one that the phone opened.
pub fn next_hop(target: &str, source: Peer) -> Peer {
    match Uri::parse(target).and_then(|uri| uri.address()) {
        Some(address)
            if source.transport == super::message::Transport::Udp
                && address.ip() == source.address.ip() =>
        {
            Peer { address, ..source }
        }
        _ => source,
    }
}

/// How an account's reachability changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has a binding now and had none.
    Registered,
    /// Its last binding has gone.
    Unregistered,
}

/// All bindings.
#[derive(Debug)]
pub struct Registrar {
    limits: Limits,
    bindings: BTreeMap<String, Vec<Binding>>,
}

impl Registrar {
    /// A registrar that knows what an earlier one [saved](Self::saved).
    pub fn new(limits: Limits, saved: BTreeMap<String, Vec<Binding>>) -> Self {
        Self { limits, bindings: saved }
    }

    /// What to keep for the next start.
    pub fn saved(&self) -> &BTreeMap<String, Vec<Binding>> {
        &self.bindings
    }

    /// The binding to ring: the one heard from last.
    pub fn binding(&self, account: &str, now_ms: u64) -> Option<&Binding> {
        let bindings = self.bindings.get(account)?.iter();
        bindings.filter(|b| b.expires_ms > now_ms).max_by_key(|b| b.refreshed_ms)
    }

    /// Whether anybody is registered from this address: such a one is not a stranger.
    pub fn knows(&self, source: std::net::IpAddr, now_ms: u64) -> bool {
        let mut all = self.bindings.values().flatten();
        all.any(|b| b.expires_ms > now_ms && b.source.address.ip() == source)
    }

    /// Whether this account has registered from this address.
    pub fn is_at(&self, account: &str, source: std::net::IpAddr, now_ms: u64) -> bool {
        let mut bindings = self.bindings.get(account).into_iter().flatten();
        bindings.any(|b| b.expires_ms > now_ms && b.source.address.ip() == source)
    }

    /// Accounts after `after`, in order, whose phone is reached by datagrams through a translator:
    /// it was not heard from where it says it is.
    pub fn behind_translators<'a>(
        &'a self,
        after: &'a str,
        now_ms: u64,
    ) -> impl Iterator<Item = &'a str> {
        let translated = move |b: &Binding| {
            let says = Uri::parse(&b.contact).and_then(|uri| uri.address());
            b.expires_ms > now_ms
                && b.source.transport == super::message::Transport::Udp
                && says.is_none_or(|says| says.ip() != b.source.address.ip())
        };
        self.bindings
            .range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            .filter(move |(_, of)| of.iter().any(translated))
            .map(|(account, _)| account.as_str())
    }

    /// Answers a REGISTER of an account that has proven itself.
    pub fn handle_register(
        &mut self,
        account: &str,
        request: &Request,
        source: Peer,
        to_tag: &str,
        now_ms: u64,
    ) -> (Response, Option<Change>) {
        let had = self.binding(account, now_ms).is_some();
        let answer = |status| request.response(status, Some(to_tag));
        match self.update(account, request, source, now_ms) {
            Err(Refusal::BadRequest) => (answer(400), None),
            Err(Refusal::TooBrief) => {
                let min = self.limits.min_expires_s.to_string();
                (answer(423).with("Min-Expires", min), None)
            }
            Err(Refusal::OutOfOrder) => (answer(500).with("Retry-After", "1"), None),
            Ok(()) => {
                let mut response = answer(200);
                for b in self.bindings.get(account).into_iter().flatten() {
                    let left_s = b.expires_ms.saturating_sub(now_ms).div_ceil(1000);
                    response.headers.push("Contact", format!("<{}>;expires={left_s}", b.contact));
                }
                for path in request.headers.all("Path") {
                    response.headers.push("Path", path); // RFC 3327 §5.3
                }
                let change = match (had, self.binding(account, now_ms).is_some()) {
                    (false, true) => Some(Change::Registered),
                    (true, false) => Some(Change::Unregistered),
                    _ => None,
                };
                (response, change)
            }
        }
    }

    /// RFC 3261 §10.3 steps 6 to 8: all contacts or none.
    fn update(
        &mut self,
        account: &str,
        request: &Request,
        source: Peer,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        self.forget_expired(account, now_ms);
        let header_expires = match request.headers.get("Expires") {
            // RFC 3261 §20.19: a malformed value counts as the default
            Some(text) => Some(text.trim().parse().unwrap_or(self.limits.default_expires_s)),
            None => None,
        };
        let contacts: Vec<&str> = request.headers.list("Contact").collect();
        let known = self.bindings.get(account).map_or(&[][..], Vec::as_slice);
        let cseq = request.cseq().ok_or(Refusal::BadRequest)?;
        let out_of_order = |b: &Binding| b.call_id == request.call_id() && b.cseq >= cseq;

        if contacts.contains(&"*") {
            if contacts.len() > 1 || header_expires != Some(0) {
                return Err(Refusal::BadRequest);
            }
            if known.iter().any(out_of_order) {
                return Err(Refusal::OutOfOrder);
            }
            self.bindings.remove(account);
            return Ok(());
        }

        let path: Vec<String> = request.headers.list("Path").map(str::to_owned).collect();
        let long = |proxy: &String| proxy.len() > MAX_URI || NameAddr::parse(proxy).is_none();
        if contacts.len() > self.limits.max_contacts
            || path.len() > MAX_PROXIES
            || path.iter().any(long)
        {
            return Err(Refusal::BadRequest);
        }
        let mut next = known.to_vec();
        for contact in contacts {
            let contact = NameAddr::parse(contact).ok_or(Refusal::BadRequest)?;
            let uri = Uri::parse(&contact.uri).ok_or(Refusal::BadRequest)?;
            if contact.uri.len() > MAX_URI || !matches!(uri.scheme.as_str(), "sip" | "sips") {
                return Err(Refusal::BadRequest);
            }
            let wish_s = match contact.param("expires") {
                Some(text) => text.parse().unwrap_or(self.limits.default_expires_s),
                None => header_expires.unwrap_or(self.limits.default_expires_s),
            };
            if wish_s != 0 && wish_s < self.limits.min_expires_s {
                return Err(Refusal::TooBrief);
            }
            let instance = contact.param("+sip.instance").map(str::to_owned);
            let same = |b: &Binding| {
                Uri::parse(&b.contact).as_ref() == Some(&uri)
                    || (instance.is_some() && b.instance == instance)
            };
            if known.iter().any(|b| same(b) && out_of_order(b)) {
                return Err(Refusal::OutOfOrder);
            }
            next.retain(|b| !same(b));
            if wish_s == 0 {
                continue;
            }
            let granted_ms = u64::from(wish_s.min(self.limits.max_expires_s)) * 1000;
            let user_agent =
                request.headers.get("User-Agent").map(|ua| ua.chars().take(64).collect());
            next.push(Binding {
                contact: contact.uri,
                instance,
                source,
                call_id: request.call_id().to_owned(),
                cseq,
                expires_ms: now_ms + granted_ms,
                refreshed_ms: now_ms,
                user_agent,
                path: path.clone(),
            });
            if next.len() > self.limits.max_contacts {
                let oldest = (0..next.len()).min_by_key(|i| next[*i].refreshed_ms);
                next.remove(oldest.expect("it is not empty"));
            }
        }
        if next.is_empty() {
            self.bindings.remove(account);
        } else {
            self.bindings.insert(account.to_owned(), next);
        }
        Ok(())
    }

    fn forget_expired(&mut self, account: &str, now_ms: u64) {
        if let Some(bindings) = self.bindings.get_mut(account) {
            bindings.retain(|b| b.expires_ms > now_ms);
            if bindings.is_empty() {
                self.bindings.remove(account);
            }
        }
    }

    /// Drops bindings that have expired; returns the accounts that lost their last one.
    pub fn handle_time(&mut self, now_ms: u64) -> Vec<String> {
        if self.next_expiry_ms().is_none_or(|at| at > now_ms) {
            return Vec::new();
        }
        let accounts: Vec<String> = self.bindings.keys().cloned().collect();
        accounts
            .into_iter()
            .filter(|account| {
                self.forget_expired(account, now_ms);
                !self.bindings.contains_key(account)
            })
            .collect()
    }

    /// When [`handle_time`](Self::handle_time) has something to do, ms since 1970.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.bindings.values().flatten().map(|b| b.expires_ms).min()
    }

    /// Drops what belongs to accounts that no longer exist; returns whether there was any.
    pub fn keep_accounts(&mut self, exists: impl Fn(&str) -> bool) -> bool {
        let before = self.bindings.len();
        self.bindings.retain(|account, _| exists(account));
        before != self.bindings.len()
    }
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// A contact that is none, too many of them, or `*` with company or a time.
    BadRequest,
    /// Shorter than the limit.
    TooBrief,
    /// Overtaken by a newer REGISTER of the same Call-ID.
    OutOfOrder,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::{Headers, Transport};

    const T0: u64 = 1_800_000_000_000;

    fn peer(address: &str) -> Peer {
        Peer { transport: Transport::Udp, address: address.parse().unwrap() }
    }

    fn register(cseq: u32, headers: &[(&str, &str)]) -> Request {
        let mut all = Headers::default();
        for (name, value) in [
            ("Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1"),
            ("From", "<sip:phone1@tipring>;tag=f"),
            ("To", "<sip:phone1@tipring>"),
            ("Call-ID", "reg@phone"),
        ] {
            all.push(name, value);
        }
        all.push("CSeq", format!("{cseq} REGISTER"));
        for (name, value) in headers {
            all.set(name, *value);
        }
        Request { method: "REGISTER".into(), uri: "sip:tipring".into(), headers: all, body: vec![] }
    }

    struct Bench {
        registrar: Registrar,
    }

    impl Bench {
        fn new() -> Self {
            Self { registrar: Registrar::new(Limits::default(), BTreeMap::new()) }
        }

        fn send(
            &mut self,
            cseq: u32,
            headers: &[(&str, &str)],
            now_ms: u64,
        ) -> (u16, Vec<String>, Option<Change>) {
            let source = peer("10.0.0.5:5060");
            let request = register(cseq, headers);
            let (response, change) =
                self.registrar.handle_register("phone1", &request, source, "t", now_ms);
            let contacts = response.headers.all("Contact").map(str::to_owned).collect();
            (response.status, contacts, change)
        }
    }

    #[test]
    fn registers_refreshes_expires_and_leaves() {
        let mut b = Bench::new();
        let contact = ("Contact", "<sip:phone1@10.0.0.5:5060>;expires=60");
        let (status, contacts, change) = b.send(1, &[contact], T0);
        assert_eq!((status, change), (200, Some(Change::Registered)));
        assert_eq!(contacts, ["<sip:phone1@10.0.0.5:5060>;expires=60"]);
        assert_eq!(b.send(2, &[contact], T0 + 30_000).2, None, "a refresh is no news");
        assert_eq!(b.registrar.next_expiry_ms(), Some(T0 + 90_000));
        assert_eq!(b.registrar.handle_time(T0 + 89_999), [""; 0]);
        assert!(b.registrar.knows("10.0.0.5".parse().unwrap(), T0 + 89_999));
        assert_eq!(b.registrar.handle_time(T0 + 90_000), ["phone1"]);
        assert!(!b.registrar.knows("10.0.0.5".parse().unwrap(), T0 + 90_000));

        b.send(3, &[contact], T0 + 100_000);
        let gone = [("Contact", "<sip:phone1@10.0.0.5:5060>;expires=0")];
        assert_eq!(b.send(4, &gone, T0 + 101_000), (200, vec![], Some(Change::Unregistered)));
        assert_eq!(b.send(5, &[], T0 + 102_000), (200, vec![], None), "a query");
    }

    #[test]
    fn expires_parameter_wins_over_header_wins_over_default() {
        let mut b = Bench::new();
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("Contact", "<sip:a@h>;expires=100"), ("Expires", "200")], "expires=100"),
            (&[("Contact", "<sip:a@h>"), ("Expires", "200")], "expires=200"),
            (&[("Contact", "<sip:a@h>")], "expires=3600"),
            (&[("Contact", "<sip:a@h>;expires=999999")], "expires=3600"),
            (&[("Contact", "<sip:a@h>"), ("Expires", "soon")], "expires=3600"),
        ];
        for (i, (headers, want)) in cases.into_iter().enumerate() {
            let (status, contacts, _) = b.send(i as u32 + 1, headers, T0);
            assert_eq!(status, 200);
            assert!(contacts[0].ends_with(want), "{contacts:?} {want}");
        }
        assert_eq!(b.send(9, &[("Contact", "<sip:a@h>;expires=29")], T0).0, 423);
        assert_eq!(b.send(9, &[("Contact", "<sip:a@h>;expires=30")], T0).0, 200);
    }

    #[test]
    fn the_wildcard_stands_alone_and_clears() {
        let mut b = Bench::new();
        b.send(1, &[("Contact", "<sip:a@h>, <sip:b@h>")], T0);
        assert_eq!(b.send(2, &[("Contact", "*")], T0).0, 400);
        assert_eq!(b.send(2, &[("Contact", "*"), ("Expires", "60")], T0).0, 400);
        assert_eq!(b.send(2, &[("Contact", "*, <sip:a@h>"), ("Expires", "0")], T0).0, 400);
        assert_eq!(b.send(1, &[("Contact", "*"), ("Expires", "0")], T0).0, 500, "old CSeq");
        let cleared = b.send(2, &[("Contact", "*"), ("Expires", "0")], T0);
        assert_eq!(cleared, (200, vec![], Some(Change::Unregistered)));
    }

    #[test]
    fn an_overtaken_request_changes_nothing_at_all() {
        let mut b = Bench::new();
        b.send(5, &[("Contact", "<sip:a@h>;expires=100")], T0);
        let (status, ..) = b.send(4, &[("Contact", "<sip:new@h>, <sip:a@h>;expires=0")], T0 + 1);
        assert_eq!(status, 500);
        assert_eq!(b.registrar.saved()["phone1"].len(), 1);
        let other_call = [("Call-ID", "rebooted"), ("Contact", "<sip:a@h>;expires=50")];
        assert_eq!(b.send(1, &other_call, T0 + 2).0, 200);
    }

    #[test]
    fn contacts_are_bounded_and_the_last_one_rings() {
        let mut b = Bench::new();
        for i in 1..=20 {
            let contact = format!("<sip:phone1@10.0.0.5:{}>", 5000 + i);
            assert_eq!(b.send(i, &[("Contact", &contact)], T0 + u64::from(i)).0, 200);
        }
        assert_eq!(b.registrar.saved()["phone1"].len(), 5);
        let binding = b.registrar.binding("phone1", T0 + 21).unwrap();
        assert_eq!(binding.contact, "sip:phone1@10.0.0.5:5020");
        let many = ["<sip:a@h>"; 6].join(",");
        assert_eq!(b.send(30, &[("Contact", &many)], T0).0, 400);
        for bad in ["nonsense", "<mailto:a@h>", "<sip:a@h"] {
            assert_eq!(b.send(31, &[("Contact", bad)], T0).0, 400, "{bad}");
        }
    }

    #[test]
    fn a_rebooted_instance_replaces_its_old_contact() {
        let mut b = Bench::new();
        let at =
            |port: u16| format!("<sip:p@10.0.0.5:{port}>;+sip.instance=\"<urn:uuid:1>\";reg-id=1");
        b.send(1, &[("Contact", &at(5060))], T0);
        b.send(1, &[("Call-ID", "x2"), ("Contact", &at(5066))], T0 + 1);
        let bindings = &b.registrar.saved()["phone1"];
        assert_eq!(bindings.len(), 1);
        assert_eq!(bindings[0].contact, "sip:p@10.0.0.5:5066");
    }

    #[test]
    fn proxies_on_the_way_are_kept_and_echoed() {
        let mut b = Bench::new();
        let path = "<sip:edge@10.0.0.5:5090;lr>,<sip:inner.example;lr>";
        let headers = [("Contact", "<sip:a@192.168.1.5>"), ("Path", path)];
        let request = register(1, &headers);
        let (response, _) =
            b.registrar.handle_register("phone1", &request, peer("10.0.0.5:5060"), "t", T0);
        assert_eq!((response.status, response.headers.get("Path")), (200, Some(path)));
        let binding = b.registrar.binding("phone1", T0).unwrap();
        assert_eq!(binding.path, ["<sip:edge@10.0.0.5:5090;lr>", "<sip:inner.example;lr>"]);
        assert_eq!(binding.peer(), peer("10.0.0.5:5090"));
        let many = ["<sip:h;lr>"; MAX_PROXIES + 1].join(",");
        assert_eq!(b.send(2, &[("Contact", "<sip:a@h>"), ("Path", &many)], T0).0, 400);
        assert_eq!(b.send(2, &[("Contact", "<sip:a@h>"), ("Path", "no proxy>")], T0).0, 200);
    }

    #[test]
    fn the_way_to_a_phone_behind_a_translator_is_the_way_it_came() {
        let source = peer("203.0.113.9:40000");
        assert_eq!(next_hop("sip:p@192.168.1.5:5060", source), source);
        assert_eq!(next_hop("sip:p@phone.local", source), source);
        assert_eq!(next_hop("sip:p@203.0.113.9:5062", source), peer("203.0.113.9:5062"));
        let stream = Peer { transport: Transport::Tcp, ..source };
        assert_eq!(next_hop("sip:p@203.0.113.9:5062;transport=tcp", stream), stream);
    }

    #[test]
    fn bindings_survive_a_restart() {
        let mut b = Bench::new();
        b.send(1, &[("Contact", "<sip:a@h>")], T0);
        let text = serde_json::to_string(b.registrar.saved()).unwrap();
        let saved = serde_json::from_str(&text).unwrap();
        let mut next = Registrar::new(Limits::default(), saved);
        assert_eq!(next.binding("phone1", T0).unwrap().contact, "sip:a@h");
        assert!(next.keep_accounts(|a| a != "phone1"));
        assert_eq!(next.binding("phone1", T0), None);
    }
}
