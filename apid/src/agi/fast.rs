//! Where a program is that `agi://` names.

/// Where programs listen.
const PORT: u16 = 4573;

/// Where a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, without the first stroke.
    pub script: String,
}

impl Address {
    /// Of `agi://host[:port][/script]`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let form = "a program is agi://host[:port]/script";
        let rest = url.strip_prefix("agi://").ok_or(form)?;
        let (place, script) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match place.rsplit_once(':') {
            // Colons of an IPv6 address stand within brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| form)?),
            _ => (place, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let plain = !url.chars().any(|c| c.is_control() || c.is_whitespace());
        if host.is_empty() || port == 0 || !plain || url.len() > 1024 {
            return Err(form);
        }
        Ok(Self { host: host.to_owned(), port, script: script.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let address = |host: &str, port, script: &str| Address {
            host: host.to_owned(),
            port,
            script: script.to_owned(),
        };
        assert_eq!(
            Address::parse("agi://10.0.0.1:4574/hello.agi?x=1"),
            Ok(address("10.0.0.1", 4574, "hello.agi?x=1"))
        );
        assert_eq!(Address::parse("agi://host"), Ok(address("host", 4573, "")));
        assert_eq!(Address::parse("agi://[::1]/a/b"), Ok(address("::1", 4573, "a/b")));
        assert_eq!(Address::parse("agi://[::1]:9/"), Ok(address("::1", 9, "")));
        for wrong in ["http://x", "agi://", "agi:///x", "agi://x:y/", "agi://x:0/", "agi://x/a\nb"]
        {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
