//! Certificates as an administrator makes them for a try, by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate and its key, of 127.0.0.1 and ::1.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one that signs itself; one of the same name is replaced.
    ///
    /// # Panics
    /// If openssl is missing or refuses.
    pub fn make(folder: &Path, name: &str) -> Self {
        let (certificate, key) =
            (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "30", "-subj", &format!("/CN={name}")])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,IP:::1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { certificate, key }
    }

    /// The value of a `tls` key.
    pub fn yaml(&self) -> String {
        format!("{{certificate: {}, key: {}}}", self.certificate.display(), self.key.display())
    }
}
