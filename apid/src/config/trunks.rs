//! `sip.trunks`: our accounts at providers.

use super::check::{at, row};
use super::{
    Bounded, Cidr, Codec, Config, ConfigError, HostTransport, Name, Number, Port, Secret, Srtp,
};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Octets of a file with a password.
const PASSWORD_FILE_MAX: u64 = 1024;

/// An account of ours at a provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
    /// Name; its lines are this with `-1`, `-2` … behind it.
    pub name: Spanned<Name>,
    /// The provider's domain, or address of its server.
    pub domain: Spanned<String>,
    /// Of that server; without it the domain says by SRV which servers it has.
    #[serde(default)]
    pub port: Option<Port>,
    /// Outbound proxy, `HOST` or `HOST:PORT`: asked instead of the domain's servers.
    #[serde(default)]
    pub proxy: Option<Spanned<String>>,
    /// How servers are reached.
    #[serde(default)]
    pub transport: HostTransport,
    /// Our name there.
    pub user: String,
    /// Name of the digest; `user` where none is given.
    #[serde(default)]
    pub auth_user: Option<String>,
    /// Of the digest.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The same in the first line of a file, absolute.
    #[serde(default)]
    pub password_file: Option<Spanned<PathBuf>>,
    /// Register there; a provider that knows our address needs none.
    #[serde(default = "yes")]
    pub register: bool,
    /// What to register for, s.
    #[serde(default = "an_hour")]
    pub expires_s: Bounded<60, 86_400>,
    /// What its calls ring.
    pub rings: Spanned<Number>,
    /// Number shown to those who are called.
    #[serde(default)]
    pub number: Option<String>,
    /// Digits at the beginning of what was dialled that are not sent.
    #[serde(default = "none")]
    pub strip: Bounded<0, 32>,
    /// What is sent before the rest.
    #[serde(default)]
    pub prepend: String,
    /// Calls at once, both ways.
    #[serde(default = "two")]
    pub calls: Bounded<1, 24>,
    /// Where its calls come from, besides its servers.
    #[serde(default)]
    pub sources: Vec<Cidr>,
    /// In order of preference.
    #[serde(default = "codecs")]
    pub codecs: Vec<Codec>,
    /// Whether its audio is encrypted.
    #[serde(default)]
    pub srtp: Srtp,
    /// Log its SIP messages, secrets masked.
    #[serde(default)]
    pub trace: bool,
}

const fn yes() -> bool {
    true
}

fn an_hour() -> Bounded<60, 86_400> {
    Bounded::of(3600)
}

fn none() -> Bounded<0, 32> {
    Bounded::of(0)
}

fn two() -> Bounded<1, 24> {
    Bounded::of(2)
}

fn codecs() -> Vec<Codec> {
    vec![Codec::Pcma, Codec::Pcmu]
}

impl TrunkConfig {
    /// Its lines.
    pub fn lines(&self) -> Vec<String> {
        let name = self.name.value.as_str();
        (1..=self.calls.get()).map(|number| format!("{name}-{number}")).collect()
    }

    /// Host and port of its proxy.
    pub fn proxy_address(&self) -> Option<(String, Option<u16>)> {
        self.proxy.as_ref().and_then(|proxy| host_and_port(&proxy.value))
    }

    /// Its password, read from its file where it stands in one.
    ///
    /// # Errors
    /// Why the file cannot be used.
    pub fn read_password(&self) -> Result<Option<String>, String> {
        let Some(file) = &self.password_file else {
            return Ok(self.password.as_ref().map(|password| password.reveal().to_owned()));
        };
        let file = &file.value;
        let why = |error: std::io::Error| format!("`{}`: {error}", file.display());
        if !file.is_absolute() {
            return Err(format!("`{}` is no absolute path", file.display()));
        }
        if std::fs::metadata(file).map_err(why)?.len() > PASSWORD_FILE_MAX {
            return Err(format!("`{}` is too long for a password", file.display()));
        }
        let text = std::fs::read_to_string(file).map_err(why)?;
        let line = text.lines().next().unwrap_or_default().trim();
        if line.is_empty() {
            return Err(format!("`{}`: its first line is empty", file.display()));
        }
        Ok(Some(line.to_owned()))
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let name = self.name.value.as_str();
        let refuse = |line, reason: &str| Err(at(path, line, &format!("trunk {name}: {reason}")));
        let here = row(&self.name);
        let is_user = |user: &str| {
            (1..=64).contains(&user.len())
                && user.bytes().all(|c| c.is_ascii_graphic() && !b"\"\\<>".contains(&c))
        };
        if !is_host(&self.domain.value) {
            let reason = format!("`{}` is neither a domain nor an address", self.domain.value);
            return refuse(row(&self.domain), &reason);
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|p| host_and_port(&p.value).is_none()) {
            let reason = format!("`{}` is no proxy; allowed is HOST or HOST:PORT", proxy.value);
            return refuse(row(proxy), &reason);
        }
        let users = [Some(&self.user), self.auth_user.as_ref(), self.number.as_ref()];
        if let Some(wrong) = users.into_iter().flatten().find(|user| !is_user(user)) {
            return refuse(
                here,
                &format!("`{wrong}` is no user; allowed are 1 to 64 printable characters"),
            );
        }
        if self.password.is_some() && self.password_file.is_some() {
            return refuse(here, "allowed is one of `password` and `password_file`");
        }
        if let Err(reason) = self.read_password() {
            return refuse(self.password_file.as_ref().map_or(here, row), &reason);
        }
        let dials = |c: u8| c.is_ascii_digit() || b"+*#".contains(&c);
        if self.prepend.len() > 32 || !self.prepend.bytes().all(dials) {
            return refuse(here, "`prepend` cannot be dialled; allowed are up to 32 of 0-9 + * #");
        }
        if self.codecs.is_empty() {
            return refuse(here, "`codecs` is empty; allowed: pcmu, pcma");
        }
        Ok(())
    }
}

impl Config {
    /// Refuses trunks that cannot work.
    pub(super) fn check_trunks(&self, path: &Path) -> Result<(), ConfigError> {
        for trunk in &self.sip.trunks {
            trunk.check(path)?;
            let rings = &trunk.rings;
            if !self.is_number(rings.value.as_str()) {
                let (name, number) = (trunk.name.value.as_str(), rings.value.as_str());
                let reason = format!("trunk {name}: nothing has the number `{number}`");
                return Err(at(path, row(rings), &reason));
            }
        }
        Ok(())
    }
}

/// A host name, or an IP address without brackets.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    host.parse::<IpAddr>().is_ok()
        || (host.len() <= 253 && host.trim_end_matches('.').split('.').all(label))
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if is_host(text) {
        return Some((text.to_owned(), None));
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    is_host(host).then(|| (host.to_owned(), Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(trunk: &str) -> Result<Config, String> {
        let text = format!(
            "sip:\n  trunks:\n    - {{name: out, domain: sip.example.org, user: \"49\", \
             rings: \"101\"{trunk}}}\nlines: [{{id: \"1\", engine: sim/1, extension: \"101\"}}]\n"
        );
        Config::parse(&text, Path::new("apid.yml")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_has_a_value() {
        let config = parse("").unwrap();
        let trunk = &config.sip.trunks[0];
        assert_eq!(trunk.lines(), ["out-1", "out-2"]);
        assert!(trunk.register && trunk.expires_s.get() == 3600 && trunk.proxy_address().is_none());
        let proxy = |text: &str| parse(text).unwrap().sip.trunks[0].proxy_address();
        assert_eq!(proxy(", proxy: edge.example.org"), Some(("edge.example.org".into(), None)));
        assert_eq!(proxy(", proxy: \"[::1]:5070\""), Some(("::1".into(), Some(5070))));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_line() {
        for (trunk, expected) in [
            (", proxy: \"a b\"", "no proxy"),
            (", auth_user: \"a\\\"b\"", "no user"),
            (", password: a, password_file: /b", "one of"),
            (", password_file: /nowhere/at/all", "/nowhere/at/all"),
            (", password_file: relative", "no absolute path"),
            (", prepend: abc", "cannot be dialled"),
            (", codecs: []", "`codecs` is empty"),
            (", calls: 0", "out of range"),
            (", colour: red", "colour"),
        ] {
            let error = parse(trunk).unwrap_err();
            assert!(
                error.starts_with("apid.yml:3") && error.contains(expected),
                "{trunk}: {error}"
            );
        }
        let text = "sip: {trunks: [{name: out, domain: a..b, user: u, rings: \"600\"}]}\n";
        let error = Config::parse(text, Path::new("apid.yml")).unwrap_err().to_string();
        assert!(error.contains("neither a domain nor an address"), "{error}");
        let text = "sip: {trunks: [{name: out, domain: a.b, user: u, rings: \"999\"}]}\n";
        let error = Config::parse(text, Path::new("apid.yml")).unwrap_err().to_string();
        assert!(error.contains("nothing has the number `999`"), "{error}");
    }
}
