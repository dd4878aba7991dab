//! Addresses in header values: name-addr, URI, lists, quoting (RFC 3261 §19.1, §25.1).

use std::fmt::Write as _;
use std::net::SocketAddr;

/// `"Name" <uri>;param=value`, or a bare URI whose parameters belong to the header
/// (RFC 3261 §20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// Displayed name without its quotes.
    pub display: Option<String>,
    /// The URI as written.
    pub uri: String,
    /// Header parameters as written.
    pub params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// `None` if brackets or quotes do not match or there is no URI.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        let (display, rest) = if let Some(quoted) = value.strip_prefix('"') {
            let end = closing_quote(quoted)?;
            (Some(unescape(&quoted[..end])), quoted[end + 1..].trim_start())
        } else {
            match value.find('<') {
                Some(at) => {
                    let name = value[..at].trim();
                    ((!name.is_empty()).then(|| name.to_owned()), &value[at..])
                }
                None => (None, value),
            }
        };
        let (uri, params) = if let Some(inner) = rest.strip_prefix('<') {
            let end = inner.find('>')?;
            (inner[..end].trim(), inner[end + 1..].trim_start())
        } else if display.is_some() {
            return None;
        } else {
            rest.split_at(rest.find(';').unwrap_or(rest.len()))
        };
        (!uri.is_empty()).then(|| Self {
            display: display.filter(|d| !d.is_empty()),
            uri: uri.to_owned(),
            params: parse_params(params),
        })
    }

    /// Value of a parameter: `Some("")` where it has none.
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.params, name)
    }
}

/// A `sip:`, `sips:` or `tel:` URI, split but not interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// Lower case.
    pub scheme: String,
    /// User part with escapes resolved, without a password; the number of a `tel:` URI.
    pub user: Option<String>,
    /// Host without brackets, lower case; empty for `tel:`.
    pub host: String,
    /// Port, if written.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Vec<(String, Option<String>)>,
}

impl Uri {
    /// `None` for what has no scheme, no host or an impossible port.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.trim().split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split('?').next().unwrap_or("");
        if scheme == "tel" {
            let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            let params = parse_params(params);
            return Some(Self {
                scheme,
                user: Some(percent_decode(number)),
                host: String::new(),
                port: None,
                params,
            });
        }
        // '@' may not stand unescaped in a user part; taking the last one refuses to be fooled.
        let (user, place) = match rest.rfind('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let user = user.map(|u| percent_decode(u.split(':').next().unwrap_or("")));
        let (host_port, params) = place.split_at(place.find(';').unwrap_or(place.len()));
        let (host, port) = if let Some(inner) = host_port.strip_prefix('[') {
            let (host, after) = inner.split_once(']')?;
            (host, after.strip_prefix(':'))
        } else {
            match host_port.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host_port, None),
            }
        };
        let port = match port {
            Some(digits) => Some(digits.trim().parse().ok().filter(|p| *p != 0)?),
            None => None,
        };
        (!host.is_empty()).then(|| Self {
            scheme,
            user: user.filter(|u| !u.is_empty()),
            host: host.to_ascii_lowercase(),
            port,
            params: parse_params(params),
        })
    }

    /// Value of a URI parameter: `Some("")` where it has none.
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.params, name)
    }

    /// Address, where the host is one; the default port is 5060.
    pub fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port.unwrap_or(5060)))
    }
}

fn param<'a>(params: &'a [(String, Option<String>)], name: &str) -> Option<&'a str> {
    params
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_deref().unwrap_or(""))
}

/// `;a=b;c` into pairs; quotes around a value are removed.
fn parse_params(text: &str) -> Vec<(String, Option<String>)> {
    split_outside_quotes(text, ';')
        .filter(|p| !p.is_empty())
        .map(|p| match p.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(unquote(value.trim()))),
            None => (p.to_owned(), None),
        })
        .collect()
}

/// Splits at commas that stand neither in quotes nor in angle brackets.
pub fn split_commas(value: &str) -> impl Iterator<Item = &str> {
    split_outside_quotes(value, ',').filter(|item| !item.is_empty())
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
        for (at, c) in current.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '<' if !quoted => depth += 1,
                '>' if !quoted => depth = depth.saturating_sub(1),
                _ if c == separator && !quoted && depth == 0 => {
                    rest = Some(&current[at + c.len_utf8()..]);
                    return Some(current[..at].trim());
                }
                _ => {}
            }
        }
        rest = None;
        Some(current.trim())
    })
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// Removes quotes and their escapes, if there are any.
pub fn unquote(value: &str) -> String {
    match value.strip_prefix('"') {
        Some(inner) => unescape(&inner[..closing_quote(inner).unwrap_or(inner.len())]),
        None => value.to_owned(),
    }
}

/// A displayed name as a quoted string; control characters are dropped.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A user part with everything escaped that RFC 3261 §25.1 does not allow there.
pub fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for octet in user.bytes() {
        match octet {
            b'0'..=b'9'
            | b'A'..=b'Z'
            | b'a'..=b'z'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'~'
            | b'*'
            | b'\''
            | b'('
            | b')'
            | b'&'
            | b'='
            | b'+'
            | b'$'
            | b','
            | b'/' => out.push(octet as char),
            _ => {
                let _ = write!(out, "%{octet:02X}");
            }
        }
    }
    out
}

/// Resolves `%XX`; what is no escape stays.
pub fn percent_decode(text: &str) -> String {
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut i = 0;
    while i < octets.len() {
        let hex = octets.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(octet) if octets[i] == b'%' => {
                out.push(octet);
                i += 3;
            }
            _ => {
                out.push(octets[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_addr_keeps_header_parameters_apart_from_uri_parameters() {
        let n =
            NameAddr::parse(r#""A. \"G\" <Bell>" <sip:bell@h;transport=tcp>;tag=9;q=0.5"#).unwrap();
        assert_eq!(n.display.as_deref(), Some(r#"A. "G" <Bell>"#));
        assert_eq!(n.uri, "sip:bell@h;transport=tcp");
        assert_eq!((n.param("tag"), n.param("q"), n.param("x")), (Some("9"), Some("0.5"), None));
        let bare = NameAddr::parse("sip:bell@h;tag=9").unwrap();
        assert_eq!((bare.uri.as_str(), bare.param("tag")), ("sip:bell@h", Some("9")));
        for bad in ["", "<sip:a@b", "\"x <sip:a@b>", "\"x\" sip:a@b", "<>"] {
            assert_eq!(NameAddr::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        let items: Vec<_> =
            split_commas(r#""a, b" <sip:x@h,y>;q=1 , <sip:z@h>,, sip:w@h"#).collect();
        assert_eq!(items, [r#""a, b" <sip:x@h,y>;q=1"#, "<sip:z@h>", "sip:w@h"]);
    }

    #[test]
    fn uris_of_phones() {
        let u = Uri::parse("sip:phone1-0x5570@127.0.0.1:38843;transport=TCP").unwrap();
        assert_eq!(
            (u.user.as_deref(), u.host.as_str(), u.port),
            (Some("phone1-0x5570"), "127.0.0.1", Some(38843))
        );
        assert_eq!(u.param("Transport"), Some("TCP"));
        assert_eq!(
            Uri::parse("sip:%23100:pw@[2001:db8::1]:5070").unwrap().user.as_deref(),
            Some("#100")
        );
        assert_eq!(Uri::parse("sip:[2001:db8::1]").unwrap().address().unwrap().port(), 5060);
        assert_eq!(Uri::parse("tel:+1-201;ext=5").unwrap().user.as_deref(), Some("+1-201"));
        assert_eq!(Uri::parse("sip:h").unwrap().user, None);
        for bad in ["", "sip:", "nonsense", "sip:a@", "sip:a@h:0", "sip:a@h:99999", "sip:a@[::1"] {
            assert_eq!(Uri::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(quote("a\"\r\nb"), r#""a\"b""#);
        assert_eq!(unquote(&quote("a\"b\\c")), "a\"b\\c");
        assert_eq!(escape_user("a b@c#"), "a%20b%40c%23");
        let uri = Uri::parse(&format!("sip:{}@h", escape_user("ü b@c#"))).unwrap();
        assert_eq!(uri.user.as_deref(), Some("ü b@c#"));
    }
}
