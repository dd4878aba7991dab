//! Where certificates are.

use super::check::{at, row};
use super::{Account, Config, ConfigError, HostTransport};
use crate::tls::{Certificate, TlsFiles, Trust};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::{Path, PathBuf};

/// `tls` of a surface.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM: our certificate, then those between it and one that clients know. Absolute.
    pub certificate: Spanned<PathBuf>,
    /// PEM: its key, without a passphrase. Absolute.
    pub key: Spanned<PathBuf>,
}

impl Tls {
    /// For who reads them.
    pub fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.certificate.value.clone(), key: self.key.value.clone() }
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        for file in [&self.certificate, &self.key] {
            if !file.value.is_absolute() {
                let reason = format!("`{}` is no absolute path", file.value.display());
                return Err(at(path, row(file), &reason));
            }
        }
        let line = row(&self.certificate);
        Certificate::load(&self.files()).map_err(|error| at(path, line, &error.to_string()))?;
        Ok(())
    }
}

impl Config {
    /// Refuses certificates that cannot be used.
    pub(super) fn check_certificates(&self, path: &Path) -> Result<(), ConfigError> {
        let all = [&self.api.tls, &self.sip.tls, &self.ami.tls];
        all.into_iter().flatten().try_for_each(|tls| tls.check(path))?;
        if let Some(file) = &self.sip.trusts {
            let refuse = |reason: &str| Err(at(path, row(file), reason));
            if !file.value.is_absolute() {
                return refuse(&format!("`{}` is no absolute path", file.value.display()));
            }
            if let Err(error) = Trust::load(Some(&file.value)) {
                return refuse(&error.to_string());
            }
        }
        let over_tls = |account: &&Account| account.transport == HostTransport::Tls;
        if let Some(account) = self.sip.accounts.iter().find(over_tls)
            && self.sip.tls.is_none()
        {
            let user = account.user.value.as_str();
            let reason = format!(
                "account {user}: `transport: tls` needs a certificate of ours, by which the phone \
                 reaches us: `sip.tls`"
            );
            return Err(at(path, row(&account.user), &reason));
        }
        if self.sip.wss_port.is_some() && self.sip.tls.is_none() {
            let reason = "`sip.wss_port` needs a certificate: `sip.tls`";
            return Err(ConfigError(format!("{}: {reason}", path.display())));
        }
        Ok(())
    }
}
