//! Messages of chosen accounts for the log, without their secrets.

use super::address::{NameAddr, Uri};
use super::message::{Headers, Peer};
use std::collections::HashSet;
use tracing::info;

/// Longest text of one message, octets; the rest is left out.
const LONGEST: usize = 8192;

/// Accounts whose messages are logged.
#[derive(Debug, Default)]
pub(super) struct Trace(HashSet<String>);

impl Trace {
    /// Of these accounts.
    pub(super) fn of(accounts: impl Iterator<Item = String>) -> Self {
        Self(accounts.collect())
    }

    /// A message to or from `peer`; `way` is an arrow.
    pub(super) fn note(
        &self,
        way: &str,
        peer: Peer,
        headers: &Headers,
        wire: impl Fn() -> Vec<u8>,
    ) {
        if self.0.is_empty() {
            return;
        }
        let user = |name| {
            let value = NameAddr::parse(headers.get(name)?)?;
            Uri::parse(&value.uri)?.user.filter(|user| self.0.contains(user))
        };
        if let Some(account) = user("From").or_else(|| user("To")) {
            let text = masked(&String::from_utf8_lossy(&wire()));
            info!(target: "tipring_apid::sip::trace", account, %peer, "{way}\n{text}");
        }
    }
}

/// A message without what would let its reader log in or listen in: digest answers, tokens, keys
/// of media (RFC 4568), passwords in URIs.
fn masked(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(LONGEST) + 64);
    for line in message.lines() {
        if out.len() + line.len() > LONGEST {
            out.push_str("(more)\n");
            break;
        }
        let lower = line.to_ascii_lowercase();
        let name = lower.split(':').next().unwrap_or("").trim();
        let shown = if matches!(name, "authorization" | "proxy-authorization") {
            let user = line
                .split_once("username=")
                .map_or("", |(_, rest)| rest.split(',').next().unwrap_or(""));
            format!("{name}: Digest username={user}, (masked)")
        } else if lower.starts_with("a=crypto:") {
            "a=crypto:(masked)".to_owned()
        } else if lower.starts_with("k=") {
            "k=(masked)".to_owned()
        } else {
            without_password(line)
        };
        out.push_str(&shown);
        out.push('\n');
    }
    out
}

/// `sip:user:password@host` without the password.
fn without_password(line: &str) -> String {
    let Some(at) = line.find("sip:").or_else(|| line.find("sips:")) else { return line.to_owned() };
    let (before, uri) = line.split_at(at);
    let (Some(end), Some(colon)) = (uri.find('@'), uri.find(':')) else { return line.to_owned() };
    match uri[..end].get(colon + 1..).and_then(|user| user.find(':')) {
        Some(password) => {
            let user_end = colon + 1 + password;
            format!("{before}{}:(masked){}", &uri[..user_end], &uri[end..])
        }
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_the_log() {
        let message = "REGISTER sip:h SIP/2.0\r\nFrom: <sip:phone1:hush1@h>;tag=1\r\n\
            Authorization: Digest username=\"phone1\",realm=\"r\",nonce=\"hush2\",response=\"hush3\"\r\n\
            Proxy-Authorization: Bearer hush4\r\n\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:hush5\r\nk=clear:hush6\r\na=ptime:20\r\n";
        let text = masked(message);
        assert!(!text.contains("hush"), "{text}");
        for kept in ["REGISTER sip:h SIP/2.0\n", "sip:phone1:(masked)@h>;tag=1", "a=ptime:20"] {
            assert!(text.contains(kept), "{text}");
        }
        assert!(text.contains("username=\"phone1\""), "{text}");
        assert!(masked(&"x".repeat(100_000)).len() < LONGEST);
    }
}
