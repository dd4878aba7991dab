//! What no single value can tell: things given twice, things that do not go together, and
//! addresses that others can reach while our secrets are everybody's.

use super::{
    Account, Algorithm, Auth, Config, ConfigError, DeviceConfig, DeviceModel, HostTransport, Secret,
};
use serde_saphyr::Spanned;
use std::collections::HashMap;
use std::path::Path;

/// Passwords that stand in our documentation, or in everybody's first guess.
const SAMPLE_SECRETS: [&str; 8] =
    ["secret", "password", "changeme", "change-me", "admin", "1234", "12345", "123456"];

/// Checks what stands in the file.
pub(super) fn check(config: &Config, path: &Path) -> Result<(), ConfigError> {
    let mut ids = Once::new(path, "line id");
    let mut labels = Once::new(path, "engine line");
    let mut numbers = Once::new(path, "number");
    for (key, number) in
        [("numbers.echo", &config.numbers.echo), ("numbers.dial_tone", &config.numbers.dial_tone)]
    {
        if let Some(number) = number {
            numbers.claim(number.as_str(), 0, key)?;
        }
    }
    for line in &config.lines {
        ids.claim(line.id.value.as_str(), row(&line.id), "another line")?;
        labels.claim(&line.engine.value, row(&line.engine), "another line")?;
        if line.engine.value.starts_with("rtp/") {
            return Err(at(
                path,
                row(&line.engine),
                "engine lines `rtp/…` belong to sip.accounts; allowed are `sim/…` and `dahdi/…`",
            ));
        }
        if let Some(number) = &line.extension {
            numbers.claim(number.value.as_str(), row(number), line.id.value.as_str())?;
        }
    }
    for account in &config.sip.accounts {
        let user = account.user.value.as_str();
        ids.claim(user, row(&account.user), "another line")?;
        if let Some(number) = &account.extension {
            numbers.claim(number.value.as_str(), row(number), user)?;
        }
        check_hashes(account, path)?;
        let device = |device: &DeviceConfig| device.accounts.contains(&account.user.value);
        let provisioned = config.provisioning.devices.iter().any(device);
        if provisioned && (account.ha1.is_some() || account.host.is_some()) {
            let reason = "a port that is set up from here needs neither `ha1` nor `host`";
            return Err(at(path, row(&account.user), &format!("account {user}: {reason}")));
        }
        let given = account.password.is_some() || account.ha1.is_some() || provisioned;
        let wrong = match (account.auth, given, account.host) {
            (Auth::Digest, false, _) => Some("`auth: digest` needs `password` or `ha1`"),
            (Auth::None, _, None) => Some("`auth: none` needs `host`, the only address it may use"),
            _ if account.host.is_none() && account.transport != HostTransport::Udp => Some(
                "`transport` is of a phone at a fixed `host`; one that registers chooses itself",
            ),
            (Auth::None, true, Some(_)) => Some("`auth: none` has no use for `password`"),
            _ => None,
        };
        if let Some(reason) = wrong {
            return Err(at(path, row(&account.user), &format!("account {user}: {reason}")));
        }
        if account.auth == Auth::Digest && account.algorithms.is_empty() {
            let reason = format!("account {user}: `algorithms` is empty; allowed: md5, sha256");
            return Err(at(path, row(&account.user), &reason));
        }
        if account.codecs.is_empty() {
            let reason = format!("account {user}: `codecs` is empty; allowed: pcmu, pcma");
            return Err(at(path, row(&account.user), &reason));
        }
    }
    let mut trunks = Once::new(path, "trunk");
    for trunk in &config.sip.trunks {
        let (name, line) = (trunk.name.value.as_str(), row(&trunk.name));
        trunks.claim(name, line, "another trunk")?;
        for id in trunk.lines() {
            ids.claim(&id, line, &format!("trunk {name}"))?;
        }
    }
    for webhook in &config.webhooks {
        webhook.check(path)?;
    }
    config.check_certificates(path)?;
    config.ami.check(path)?;
    config.voltage.check(path)?;
    config.plans(path)?;
    config.check_trunks(path)?;
    config.applications.claimable(path)?;
    config.check_handler(path)?;
    check_devices(config, path)
}

/// Adapters: each once, with accounts that exist, no more than it has ports.
fn check_devices(config: &Config, path: &Path) -> Result<(), ConfigError> {
    let mut macs = Once::new(path, "device");
    let mut ports = Once::new(path, "account of a device");
    for device in &config.provisioning.devices {
        let (mac, line) = (device.mac.value.0.as_str(), row(&device.mac));
        macs.claim(mac, line, "another device")?;
        let refuse = |reason: String| Err(at(path, line, &format!("device {mac}: {reason}")));
        let most = if device.model == DeviceModel::Ht801 { 1 } else { 2 };
        if device.accounts.is_empty() || device.accounts.len() > most {
            return refuse(format!("`accounts` has to name 1 to {most}"));
        }
        for account in &device.accounts {
            ports.claim(account.as_str(), line, mac)?;
            if !config.sip.accounts.iter().any(|known| known.user.value == *account) {
                return refuse(format!("`{}` is no user of sip.accounts", account.as_str()));
            }
        }
        let is_p = |p: &String| {
            p.strip_prefix('P')
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
        };
        if let Some(wrong) = device.settings.keys().find(|p| !is_p(p)) {
            return refuse(format!("`{wrong}` is no setting; allowed are P-values as P4429"));
        }
    }
    Ok(())
}

/// Hashes instead of a password: one of each algorithm offered, and hexadecimal.
fn check_hashes(account: &Account, path: &Path) -> Result<(), ConfigError> {
    let Some(ha1) = &account.ha1 else { return Ok(()) };
    let refuse = |reason: &str| {
        let user = account.user.value.as_str();
        Err(at(path, row(&account.user), &format!("account {user}: {reason}")))
    };
    if account.password.is_some() {
        return refuse("`ha1` and `password` say the same; allowed is one of them");
    }
    if account.host.is_some() {
        return refuse(
            "`ha1` is not enough for a phone at a fixed `host`: it wants our answers too",
        );
    }
    if let Some(missing) = account.algorithms.iter().find(|a| !ha1.contains_key(a)) {
        return refuse(&format!("`algorithms` names {missing:?}, and `ha1` has no hash of it"));
    }
    let digits = |algorithm: &Algorithm| match algorithm {
        Algorithm::Md5 => 32,
        Algorithm::Sha256 => 64,
    };
    let is_hash = |(algorithm, hash): (&Algorithm, &Secret)| {
        let hash = hash.reveal();
        hash.len() == digits(algorithm) && hash.bytes().all(|c| c.is_ascii_hexdigit())
    };
    if ha1.iter().all(is_hash) {
        Ok(())
    } else {
        refuse("`ha1` is no hash; allowed are 32 (md5) and 64 (sha256) hexadecimal digits")
    }
}

impl Config {
    /// Refuses addresses that others can reach while secrets are samples or, for HTTP, while
    /// there is no token.
    ///
    /// # Errors
    /// [`ConfigError`] with the reason and what to do.
    pub fn check_exposure(&self, has_tokens: bool) -> Result<(), ConfigError> {
        if !self.api.host.is_loopback() && !has_tokens {
            return Err(ConfigError(format!(
                "api.host {} can be reached by others, but there is no token. Make one with \
                 `tipring-apid token create NAME --scope read --scope control`, or listen on \
                 127.0.0.1",
                self.api.host
            )));
        }
        self.check_ami_exposure()?;
        let open = [("api.host", self.api.host), ("sip.host", self.sip.host)];
        let Some((key, host)) = open.into_iter().find(|(_, host)| !host.is_loopback()) else {
            return Ok(());
        };
        let sample = self.sip.accounts.iter().find(|account| {
            account.password.as_ref().is_some_and(|secret| {
                let secret = secret.reveal();
                SAMPLE_SECRETS.contains(&secret) || secret == account.user.value.as_str()
            })
        });
        if let Some(account) = sample {
            return Err(ConfigError(format!(
                "{key} {host} can be reached by others, but the password of SIP account {} is a \
                 sample secret that everybody knows. Give it one of its own in a configuration file, or \
                 listen on 127.0.0.1",
                account.user.value.as_str()
            )));
        }
        Ok(())
    }
}

impl Config {
    /// Who logs in to AMI may do everything: a secret that everybody knows is for loopback alone.
    fn check_ami_exposure(&self) -> Result<(), ConfigError> {
        let host = self.ami.host;
        let sample = self.ami.users.iter().find(|user| {
            let secret = user.secret.as_ref().map_or("", Secret::reveal);
            user.secret.is_some()
                && (SAMPLE_SECRETS.contains(&secret)
                    || secret.is_empty()
                    || secret == user.user.value.as_str())
        });
        match sample.filter(|_| !host.is_loopback()) {
            None => Ok(()),
            Some(user) => Err(ConfigError(format!(
                "ami.host {host} can be reached by others, but the secret of AMI user {} is a sample \
                 secret that everybody knows. Give it one of its own in a configuration file, or \
                 listen on 127.0.0.1",
                user.user.value.as_str()
            ))),
        }
    }
}

pub(super) fn row<T>(value: &Spanned<T>) -> u64 {
    value.referenced.line()
}

pub(super) fn at(path: &Path, line: u64, reason: &str) -> ConfigError {
    ConfigError(format!("{}:{line}: {reason}", path.display()))
}

/// Things that may be given once.
struct Once<'a> {
    path: &'a Path,
    what: &'static str,
    taken: HashMap<String, String>,
}

impl<'a> Once<'a> {
    fn new(path: &'a Path, what: &'static str) -> Self {
        Self { path, what, taken: HashMap::new() }
    }

    fn claim(&mut self, value: &str, line: u64, owner: &str) -> Result<(), ConfigError> {
        match self.taken.insert(value.to_owned(), owner.to_owned()) {
            None => Ok(()),
            Some(other) => Err(at(
                self.path,
                line,
                &format!(
                    "{} `{value}` is taken by {other} already; each may stand once",
                    self.what
                ),
            )),
        }
    }
}
