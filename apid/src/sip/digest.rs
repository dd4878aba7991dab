//! Digest access authentication (RFC 7616, RFC 8760), both directions, over raw header values.
//!
//! As a server: nonces are made of their time and a keyed hash, bound to the address they were
//! sent to, and need no table until they are used. A used one is remembered with its highest
//! nonce count. An unknown user is checked against a secret nobody knows, so that the answer and
//! the work are the same as for a known one.

use super::address::{Uri, split_commas, unquote};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use subtle::ConstantTimeEq as _;

/// Used nonces remembered at once; beyond it the oldest are declared stale.
const NONCES_KEPT: usize = 4096;

/// Hash of a challenge (RFC 8760 §2.2). SHA-512-256 is not offered: no phone asked for it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// The only one many phones know.
    Md5,
    /// RFC 7616.
    Sha256,
}

impl Algorithm {
    /// As written in a header.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn parse(token: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|a| a.token().eq_ignore_ascii_case(token))
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
        }
    }

    /// H(user ":" realm ":" password): all a server needs to keep of a password.
    pub fn ha1(self, user: &str, realm: &str, password: &str) -> String {
        self.hash(&format!("{user}:{realm}:{password}"))
    }
}

/// What is kept of an account's password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    ha1: Vec<(Algorithm, String)>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Hashes of a password, in the order in which the algorithms shall be offered.
    pub fn new(user: &str, realm: &str, password: &str, algorithms: &[Algorithm]) -> Self {
        let ha1 = algorithms.iter().map(|a| (*a, a.ha1(user, realm, password))).collect();
        Self { ha1 }
    }

    /// Hashes that somebody else made: H(user ":" realm ":" password) in hex, in the order in which
    /// the algorithms shall be offered.
    pub const fn of_hashes(ha1: Vec<(Algorithm, String)>) -> Self {
        Self { ha1 }
    }

    /// Algorithms in the order in which they are offered.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.ha1.iter().map(|(a, _)| *a)
    }

    fn ha1(&self, algorithm: Algorithm) -> Option<&str> {
        self.ha1.iter().find(|(a, _)| *a == algorithm).map(|(_, h)| h.as_str())
    }
}

/// Which of `count` accounts a user that nobody has is treated like. The key is made of all
/// secrets, so that it is the same after each start and cannot be known outside.
pub fn index_for_nobody<'a>(
    secrets: impl Iterator<Item = &'a Secret>,
    user: &str,
    count: usize,
) -> usize {
    let mut key = Sha256::new();
    for (_, ha1) in secrets.flat_map(|secret| &secret.ha1) {
        key.update(ha1);
    }
    let mac = hmac_sha256(&key.finalize(), user.as_bytes());
    let number =
        mac.iter().take(4).fold(0_usize, |number, octet| number << 8 | usize::from(*octet));
    number % count.max(1)
}

/// An Authorization or Proxy-Authorization header of scheme Digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Claimed user.
    pub username: String,
    /// Realm of the challenge.
    pub realm: String,
    /// Nonce of the challenge.
    pub nonce: String,
    /// Request-URI as the client hashed it.
    pub uri: String,
    /// The proof, hex.
    pub response: String,
    /// Absent means MD5; `None` is one we do not know.
    pub algorithm: Option<Algorithm>,
    /// `auth`, or empty.
    pub qop: String,
    /// Client's nonce.
    pub cnonce: String,
    /// Nonce count as written and as a number (RFC 7616 §3.4: eight hexadecimal digits).
    pub nc: Option<(String, u32)>,
}

impl Credentials {
    /// `None` for another scheme or what is not well-formed.
    pub fn parse(header: &str) -> Option<Self> {
        let fields = fields_of(header)?;
        let get = |name: &str| fields.get(name).cloned();
        let algorithm = match fields.get("algorithm") {
            Some(token) => Algorithm::parse(token),
            None => Some(Algorithm::Md5),
        };
        let nc = match get("nc") {
            Some(text) if text.len() <= 8 => {
                let number = u32::from_str_radix(&text, 16).ok()?;
                Some((text, number))
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            username: get("username")?,
            realm: get("realm")?,
            nonce: get("nonce")?,
            uri: get("uri")?,
            response: get("response")?,
            algorithm,
            qop: get("qop").unwrap_or_default(),
            cnonce: get("cnonce").unwrap_or_default(),
            nc,
        })
    }

    /// RFC 7616 §3.4.1 with qop=auth, or the older form without qop.
    fn expected(&self, algorithm: Algorithm, ha1: &str, method: &str) -> String {
        let ha2 = algorithm.hash(&format!("{method}:{}", self.uri));
        match (&self.nc, self.qop.as_str()) {
            (Some((nc, _)), qop @ "auth") => {
                algorithm.hash(&format!("{ha1}:{}:{nc}:{}:{qop}:{ha2}", self.nonce, self.cnonce))
            }
            _ => algorithm.hash(&format!("{ha1}:{}:{ha2}", self.nonce)),
        }
    }
}

/// Scheme Digest's comma-separated fields, names in lower case; at most 32 of them.
fn fields_of(header: &str) -> Option<HashMap<String, String>> {
    let (scheme, rest) = header.trim().split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let mut fields = HashMap::new();
    for item in split_commas(rest).take(32) {
        let (name, value) = item.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        if fields.insert(name, unquote(value.trim())).is_some() {
            return None; // a field twice could be read in two ways
        }
    }
    Some(fields)
}

/// What a check of credentials found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Accepted,
    /// They are right but for a nonce that is too old, was counted before, or is of an earlier
    /// start: challenge again with `stale=true`, which a phone answers without asking its user.
    Stale,
    /// Anything else. The caller tells nobody what it was.
    Refused,
}

/// A digest server for one realm.
pub struct Authenticator {
    realm: String,
    key: [u8; 32],
    lifetime_ms: u64,
    /// Accepted instead of an unknown user's secret, never matches.
    nobody: Secret,
    used: HashMap<String, Used>,
    /// Nonces made before it are stale, because what was used of them has been forgotten.
    forgotten_before_ms: u64,
}

struct Used {
    made_ms: u64,
    count: u32,
}

impl Authenticator {
    /// `key` must be random and new at each start.
    pub fn new(realm: &str, key: [u8; 32], lifetime_ms: u64) -> Self {
        let password = hex(&hmac_sha256(&key, b"nobody"));
        let nobody = Secret::new("", realm, &password, &[Algorithm::Md5, Algorithm::Sha256]);
        Self {
            realm: realm.to_owned(),
            key,
            lifetime_ms,
            nobody,
            used: HashMap::new(),
            forgotten_before_ms: 0,
        }
    }

    /// Values for WWW-Authenticate, in the order given. `salt` must not repeat.
    pub fn challenges(
        &self,
        algorithms: impl Iterator<Item = Algorithm>,
        source: IpAddr,
        salt: u64,
        stale: bool,
        now_ms: u64,
    ) -> Vec<String> {
        let nonce = self.nonce(source, salt, now_ms);
        let stale = if stale { ",stale=true" } else { "" };
        algorithms
            .map(|a| {
                let (realm, token) = (&self.realm, a.token());
                format!(
                    "Digest realm=\"{realm}\",nonce=\"{nonce}\",algorithm={token},qop=\"auth\"{stale}"
                )
            })
            .collect()
    }

    fn nonce(&self, source: IpAddr, salt: u64, made_ms: u64) -> String {
        let head = format!("{made_ms:012x}{salt:016x}");
        let mac = hmac_sha256(&self.key, format!("{head}{source}").as_bytes());
        head + &hex(&mac[..12])
    }

    /// When a nonce was made; `None` if it is not one of ours for this source.
    fn made_ms(&self, nonce: &str, source: IpAddr) -> Option<u64> {
        let made_ms = u64::from_str_radix(nonce.get(..12)?, 16).ok()?;
        let salt = u64::from_str_radix(nonce.get(12..28)?, 16).ok()?;
        let ours = self.nonce(source, salt, made_ms);
        bool::from(ours.as_bytes().ct_eq(nonce.as_bytes())).then_some(made_ms)
    }

    /// Whether a nonce is one of ours for this source: whoever answers with it has received it.
    pub fn made(&self, nonce: &str, source: IpAddr) -> bool {
        self.made_ms(nonce, source).is_some()
    }

    /// Checks credentials for a request. `secret` is the claimed user's, if there is one.
    pub fn check(
        &mut self,
        credentials: &Credentials,
        method: &str,
        request_uri: &str,
        secret: Option<&Secret>,
        source: IpAddr,
        now_ms: u64,
    ) -> Verdict {
        let algorithm = credentials.algorithm.unwrap_or(Algorithm::Md5);
        let known = secret.and_then(|s| s.ha1(algorithm));
        let ha1 = known.or(self.nobody.ha1(algorithm)).unwrap_or_default();
        let expected = credentials.expected(algorithm, ha1, method);
        let right =
            expected.as_bytes().ct_eq(credentials.response.to_ascii_lowercase().as_bytes()).into();
        let proven = right
            && known.is_some()
            && credentials.algorithm.is_some()
            && credentials.realm == self.realm
            && credentials.qop == "auth"
            && same_target(&credentials.uri, request_uri);
        let (true, Some((_, count))) = (proven, &credentials.nc) else {
            return Verdict::Refused;
        };
        let Some(made_ms) = self.made_ms(&credentials.nonce, source) else {
            return Verdict::Stale;
        };
        if made_ms < self.forgotten_before_ms || now_ms.saturating_sub(made_ms) > self.lifetime_ms {
            return Verdict::Stale;
        }
        match self.used.get_mut(&credentials.nonce) {
            Some(used) if *count <= used.count => return Verdict::Stale,
            Some(used) => used.count = *count,
            None => {
                self.make_room(now_ms);
                self.used.insert(credentials.nonce.clone(), Used { made_ms, count: *count });
            }
        }
        Verdict::Accepted
    }

    /// Keeps the table bounded. What is forgotten can be replayed no more, because everything
    /// as old is stale from then on.
    fn make_room(&mut self, now_ms: u64) {
        if self.used.len() < NONCES_KEPT {
            return;
        }
        let oldest_ms = now_ms.saturating_sub(self.lifetime_ms);
        self.used.retain(|_, used| used.made_ms >= oldest_ms);
        if self.used.len() >= NONCES_KEPT {
            let mut times: Vec<u64> = self.used.values().map(|u| u.made_ms).collect();
            let (_, median, _) = times.select_nth_unstable(NONCES_KEPT / 2);
            self.forgotten_before_ms = *median + 1;
            self.used.retain(|_, used| used.made_ms >= self.forgotten_before_ms);
        }
    }
}

/// Whether the URI that was hashed means the Request-URI. Phones write the host in other forms
/// (with or without port, name for address) and some leave the user out, so only two different
/// users are taken for a replay to another target.
fn same_target(hashed: &str, request_uri: &str) -> bool {
    if hashed == request_uri {
        return true;
    }
    match (Uri::parse(hashed), Uri::parse(request_uri)) {
        (Some(a), Some(b)) => a.user.is_none() || b.user.is_none() || a.user == b.user,
        _ => false,
    }
}

/// The client's half: a value for Authorization that answers one challenge of `challenges`
/// (values of WWW-Authenticate or Proxy-Authenticate), the first whose algorithm is known.
pub fn answer(
    challenges: &[&str],
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    cnonce: &str,
    count: u32,
) -> Option<String> {
    challenges.iter().find_map(|challenge| {
        let fields = fields_of(challenge)?;
        let algorithm = match fields.get("algorithm") {
            Some(token) => Algorithm::parse(token)?,
            None => Algorithm::Md5,
        };
        let qop = match fields.get("qop") {
            Some(offered) => {
                split_commas(offered).find(|q| q.eq_ignore_ascii_case("auth")).map(|_| "auth")?
            }
            None => "",
        };
        let nc = format!("{count:08x}");
        let mut credentials = Credentials {
            username: user.to_owned(),
            realm: fields.get("realm")?.clone(),
            nonce: fields.get("nonce")?.clone(),
            uri: uri.to_owned(),
            response: String::new(),
            algorithm: Some(algorithm),
            qop: qop.to_owned(),
            cnonce: cnonce.to_owned(),
            nc: Some((nc.clone(), count)),
        };
        let ha1 = algorithm.ha1(user, &credentials.realm, password);
        credentials.response = credentials.expected(algorithm, &ha1, method);
        let Credentials { realm, nonce, response, .. } = &credentials;
        let mut value = format!(
            "Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",\
             response=\"{response}\",algorithm={}",
            algorithm.token()
        );
        if qop == "auth" {
            let _ = write!(value, ",qop=auth,nc={nc},cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = fields.get("opaque") {
            let _ = write!(value, ",opaque=\"{opaque}\"");
        }
        Some(value)
    })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}

/// RFC 2104 over SHA-256 for keys of up to 64 octets.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut pad = [0_u8; 64];
    pad[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(pad.map(|b| b ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(pad.map(|b| b ^ 0x5c)).chain_update(inner).finalize();
    outer.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const URI: &str = "sip:127.0.0.1";

    /// RFC 7616 §3.9.1.
    #[test]
    fn vectors_of_the_standard() {
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let header = format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                 uri=\"/dir/index.html\", algorithm={}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
                 response=\"{response}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                algorithm.token()
            );
            let credentials = Credentials::parse(&header).unwrap();
            let ha1 = algorithm.ha1("Mufasa", "http-auth@example.org", "Circle of Life");
            assert_eq!(credentials.expected(algorithm, &ha1, "GET"), response);
        }
    }

    /// RFC 4231 §4.3.
    #[test]
    fn hmac_vector() {
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    fn server() -> (Authenticator, Secret) {
        let secret =
            Secret::new("phone1", "tipring", "secret", &[Algorithm::Md5, Algorithm::Sha256]);
        (Authenticator::new("tipring", [7; 32], 300_000), secret)
    }

    fn try_it(
        server: &mut Authenticator,
        secret: Option<&Secret>,
        header: &str,
        now_ms: u64,
    ) -> Verdict {
        let credentials = Credentials::parse(header).unwrap();
        server.check(&credentials, "REGISTER", URI, secret, HERE, now_ms)
    }

    #[test]
    fn a_nonce_serves_many_requests_with_a_rising_hexadecimal_count() {
        let (mut server, secret) = server();
        for (salt, algorithm) in [(1, Algorithm::Md5), (2, Algorithm::Sha256)] {
            let challenge = server.challenges([algorithm].into_iter(), HERE, salt, false, 1000);
            let answer = |count| {
                answer(&[&challenge[0]], "phone1", "secret", "REGISTER", URI, "c", count).unwrap()
            };
            for count in [1, 2, 9, 0x0a, 0x10, 0x100, 0xffff_ffff] {
                let verdict = try_it(&mut server, Some(&secret), &answer(count), 2000);
                assert_eq!(verdict, Verdict::Accepted, "{count:x}");
            }
            // A replay, and a count below one already seen, ask for a new nonce.
            assert_eq!(
                try_it(&mut server, Some(&secret), &answer(0xffff_ffff), 2000),
                Verdict::Stale
            );
            assert_eq!(try_it(&mut server, Some(&secret), &answer(3), 2000), Verdict::Stale);
        }
    }

    #[test]
    fn what_is_stale_and_what_is_refused() {
        let (mut server, secret) = server();
        let offers: Vec<_> = server.challenges(secret.algorithms(), HERE, 1, false, 1000);
        assert!(offers[0].contains("algorithm=MD5") && offers[1].contains("algorithm=SHA-256"));
        let challenge = offers[0].as_str();
        let right = answer(&[challenge], "phone1", "secret", "REGISTER", URI, "c", 1).unwrap();
        let wrong = answer(&[challenge], "phone1", "guess", "REGISTER", URI, "c", 1).unwrap();

        assert_eq!(try_it(&mut server, Some(&secret), &right, 301_001), Verdict::Stale, "too old");
        assert_eq!(try_it(&mut server, Some(&secret), &wrong, 301_001), Verdict::Refused);
        assert_eq!(try_it(&mut server, Some(&secret), &wrong, 1000), Verdict::Refused);
        assert_eq!(try_it(&mut server, None, &right, 1000), Verdict::Refused, "unknown user");
        for (from, to) in [
            ("qop=auth", "qop=auth-int"),
            ("algorithm=MD5", "algorithm=MD5-sess"),
            ("realm=\"tipring\"", "realm=\"other\""),
            (",nc=00000001", ""),
            (",qop=auth,nc=00000001,cnonce=\"c\"", ""),
        ] {
            let header = right.replace(from, to);
            assert_ne!(header, right);
            assert_eq!(try_it(&mut server, Some(&secret), &header, 1000), Verdict::Refused, "{to}");
        }
        // Another address, another server start.
        let credentials = Credentials::parse(&right).unwrap();
        let elsewhere = "10.0.0.9".parse().unwrap();
        let verdict = server.check(&credentials, "REGISTER", URI, Some(&secret), elsewhere, 1000);
        assert_eq!(verdict, Verdict::Stale);
        let mut next = Authenticator::new("tipring", [8; 32], 300_000);
        assert_eq!(try_it(&mut next, Some(&secret), &right, 1000), Verdict::Stale);
        // After all that the untouched one is still good, for its own method only.
        let verdict = server.check(&credentials, "INVITE", URI, Some(&secret), HERE, 1000);
        assert_eq!(verdict, Verdict::Refused);
        assert_eq!(try_it(&mut server, Some(&secret), &right, 1000), Verdict::Accepted);
    }

    #[test]
    fn unknown_users_get_the_same_challenge() {
        let (server, secret) = server();
        let known = server.challenges(secret.algorithms(), HERE, 1, false, 1000);
        let unknown = server.challenges(
            [Algorithm::Md5, Algorithm::Sha256].into_iter(),
            HERE,
            1,
            false,
            1000,
        );
        assert_eq!(known, unknown);
        assert!(
            server.challenges(secret.algorithms(), HERE, 1, true, 1000)[0].ends_with(",stale=true")
        );
    }

    #[test]
    fn the_hashed_uri_may_differ_in_host_but_not_in_user() {
        assert!(same_target("sip:127.0.0.1:5060", "sip:600@tipring"));
        assert!(same_target("sip:600@10.0.0.1", "sip:600@tipring:5060;user=phone"));
        assert!(!same_target("sip:600@10.0.0.1", "sip:900@10.0.0.1"));
        assert!(!same_target("/index.html", "sip:900@10.0.0.1"));
    }

    #[test]
    fn forgetting_never_opens_a_replay() {
        let (mut server, secret) = server();
        let mut first = None;
        for i in 0..NONCES_KEPT as u64 + 10 {
            let challenge =
                server.challenges([Algorithm::Md5].into_iter(), HERE, i, false, 1000 + i);
            let header =
                answer(&[&challenge[0]], "phone1", "secret", "REGISTER", URI, "c", 1).unwrap();
            assert_eq!(try_it(&mut server, Some(&secret), &header, 1000 + i), Verdict::Accepted);
            first.get_or_insert(header);
        }
        assert!(server.used.len() <= NONCES_KEPT);
        assert_eq!(try_it(&mut server, Some(&secret), &first.unwrap(), 6000), Verdict::Stale);
    }

    #[test]
    fn hostile_headers_are_refused_not_believed() {
        for bad in [
            "",
            "Digest",
            "Basic Zm9v",
            "Digest username",
            "Digest username=\"a\",username=\"b\",realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\"",
            "Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\",nc=100000000",
            "Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\",nc=zz",
            "Digest username=\"a\",realm=\"r\"",
        ] {
            assert_eq!(Credentials::parse(bad), None, "{bad}");
        }
        let (mut server, secret) = server();
        for nonce in ["", "é", "zz", "0123456789ab", &"0".repeat(52), &"f".repeat(5000)] {
            let challenge = format!("Digest realm=\"tipring\",nonce=\"{nonce}\",qop=\"auth\"");
            let header =
                answer(&[&challenge], "phone1", "secret", "REGISTER", URI, "c", 1).unwrap();
            assert_eq!(
                try_it(&mut server, Some(&secret), &header, 1000),
                Verdict::Stale,
                "{nonce}"
            );
        }
    }
}
