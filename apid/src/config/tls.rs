//! Where certificates are.

use super::check::{at, row};
use super::{Config, ConfigError};
use crate::tls::{Certificate, TlsFiles};
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
        if self.sip.wss_port.is_some() && self.sip.tls.is_none() {
            let reason = "`sip.wss_port` needs a certificate: `sip.tls`";
            return Err(ConfigError(format!("{}: {reason}", path.display())));
        }
        Ok(())
    }
}
