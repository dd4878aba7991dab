//! TLS of everything that listens: a certificate and its key, from files that are read anew when
//! they were renewed. Who calls is proven by tokens and passwords, not by certificates. And of what we
//! connect to: whose certificates are believed.

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Where systems keep the certificates they trust.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Certificates that the system trusts, PEM; none where it has none, and then nothing is trusted.
pub fn system_roots() -> Vec<u8> {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let mut files = named.iter().map(String::as_str).chain(ROOTS);
    files.find_map(|file| std::fs::read(file).ok()).unwrap_or_default()
}

/// Whose word counts for the certificates of those whom we connect to.
#[derive(Clone, Debug)]
pub struct Trust(Arc<RootCertStore>);

impl Trust {
    /// Those of a PEM file, or of the system.
    ///
    /// # Errors
    /// [`TlsError`]; never for the system's.
    pub fn load(file: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let Some(file) = file else {
            let pem = system_roots();
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
            return Ok(Self(Arc::new(roots)));
        };
        for certificate in CertificateDer::pem_slice_iter(&octets(file)?) {
            let certificate = certificate.map_err(|error| not_pem(file, &error))?;
            roots
                .add(certificate)
                .map_err(|error| TlsError::Unusable(file.to_owned(), error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(TlsError::NoCertificate(file.to_owned()));
        }
        Ok(Self(Arc::new(roots)))
    }

    /// Nobody's.
    pub fn none() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }

    /// What a connection of ours needs (TLS 1.2 and 1.3).
    pub fn client(&self) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("this provider has ciphers for each")
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth()
    }
}

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, then those between it and one that clients know.
    pub certificate: PathBuf,
    /// PEM: its key, without a passphrase.
    pub key: PathBuf,
}

/// Why a certificate cannot be used; its text is for the person who configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsError {
    /// The system's word.
    Unreadable(PathBuf, String),
    /// No PEM at all, or one that is broken.
    NotPem(PathBuf, String),
    /// PEM of something else.
    NoCertificate(PathBuf),
    /// PEM of something else.
    NoKey(PathBuf),
    /// Nobody is there to type one.
    Passphrase(PathBuf),
    /// Both are good, and do not belong together.
    OtherKey(TlsFiles),
    /// A kind of key or certificate that nobody here can use.
    Unusable(PathBuf, String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPem(file, why) => write!(f, "{}: broken PEM: {why}", file.display()),
            Self::NoCertificate(file) => {
                write!(f, "{}: no PEM certificate (BEGIN CERTIFICATE) in it", file.display())
            }
            Self::NoKey(file) => {
                write!(f, "{}: no PEM private key (BEGIN … PRIVATE KEY) in it", file.display())
            }
            Self::Passphrase(file) => write!(
                f,
                "{}: this key has a passphrase; allowed is one without, which only the user of \
                 tipring-apid can read",
                file.display()
            ),
            Self::OtherKey(TlsFiles { certificate, key }) => {
                write!(f, "{} is not the key of {}", key.display(), certificate.display())
            }
            Self::Unreadable(file, why) | Self::Unusable(file, why) => {
                write!(f, "{}: {why}", file.display())
            }
        }
    }
}

impl std::error::Error for TlsError {}

/// A certificate that we show.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: &TlsFiles) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(read(files)?);
        Ok(Arc::new(Self { files: files.clone(), current }))
    }

    /// Reads the files again. Connections that are open keep what they were shown; where the
    /// files are no good, so do new ones.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let renewed = read(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// What a listener needs (TLS 1.2 and 1.3).
    pub fn server(self: &Arc<Self>) -> ServerConfig {
        let shown: Arc<dyn ResolvesServerCert> = self.clone();
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("this provider has ciphers for each")
            .with_no_client_auth()
            .with_cert_resolver(shown)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(files: &TlsFiles) -> Result<Arc<CertifiedKey>, TlsError> {
    let TlsFiles { certificate, key } = files;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets(certificate)?).collect();
    let chain = chain.map_err(|error| not_pem(certificate, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.clone()));
    }
    let text = octets(key)?;
    if is_encrypted(&text) {
        return Err(TlsError::Passphrase(key.clone()));
    }
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(key.clone()),
        other => not_pem(key, &other),
    })?;
    CertifiedKey::from_der(chain, private, &default_provider()).map(Arc::new).map_err(|error| {
        match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey(files.clone()),
            rustls::Error::InvalidCertificate(_) => {
                TlsError::Unusable(certificate.clone(), error.to_string())
            }
            _ => TlsError::Unusable(key.clone(), error.to_string()),
        }
    })
}

fn octets(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|error| TlsError::Unreadable(file.to_owned(), error.to_string()))
}

fn not_pem(file: &Path, error: &pem::Error) -> TlsError {
    TlsError::NotPem(file.to_owned(), error.to_string())
}

/// PKCS #8 (RFC 5958 §3) says so in its label, older keys in a header (RFC 1421 §4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("tipring-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn openssl(folder: &Path, arguments: &str) {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let done = done.expect("openssl is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn certificate(folder: &Path, name: &str, key: &str) -> TlsFiles {
        let command = format!(
            "req -x509 -newkey {key} -nodes -keyout {name}.key -out {name}.pem -subj /CN={name}"
        );
        openssl(folder, &command);
        TlsFiles {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        }
    }

    #[test]
    fn each_kind_of_key_is_read_and_every_mistake_told_apart() {
        let folder = folder("kinds");
        let one = certificate(&folder, "one", "ec -pkeyopt ec_paramgen_curve:P-256");
        let two = certificate(&folder, "two", "ec -pkeyopt ec_paramgen_curve:P-256");
        let rsa = certificate(&folder, "rsa", "rsa:2048");
        for files in [&one, &rsa, &certificate(&folder, "ed", "ed25519")] {
            Certificate::load(files).unwrap();
        }
        openssl(&folder, "rsa -in rsa.key -traditional -out rsa1.key"); // PKCS #1
        Certificate::load(&TlsFiles { key: folder.join("rsa1.key"), ..rsa }).unwrap();
        openssl(&folder, "ec -in one.key -out one-sec1.key");
        Certificate::load(&TlsFiles { key: folder.join("one-sec1.key"), ..one.clone() }).unwrap();

        let wrong = |certificate: &Path, key: &Path| {
            let files = TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() };
            Certificate::load(&files).unwrap_err()
        };
        let error = wrong(&folder.join("none.pem"), &one.key);
        assert!(
            matches!(error, TlsError::Unreadable(..)) && error.to_string().contains("none.pem")
        );
        let error = wrong(&one.certificate, &two.key);
        assert!(
            error
                .to_string()
                .ends_with(&format!("is not the key of {}", one.certificate.display()))
        );
        assert_eq!(wrong(&one.key, &one.key), TlsError::NoCertificate(one.key.clone()));
        assert_eq!(
            wrong(&one.certificate, &one.certificate),
            TlsError::NoKey(one.certificate.clone())
        );
        openssl(&folder, "pkcs8 -topk8 -in one.key -out locked.key -passout pass:x");
        openssl(&folder, "rsa -in rsa.key -traditional -aes128 -out locked1.key -passout pass:x");
        for locked in ["locked.key", "locked1.key"] {
            let locked = folder.join(locked);
            assert_eq!(wrong(&one.certificate, &locked), TlsError::Passphrase(locked.clone()));
        }
        let broken = folder.join("broken.pem");
        std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(matches!(wrong(&broken, &one.key), TlsError::NotPem(..)));
        std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(matches!(wrong(&broken, &one.key), TlsError::Unusable(file, _) if file == broken));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn who_is_trusted_is_read_and_mistakes_are_told() {
        let folder = folder("trust");
        let one = certificate(&folder, "one", "ed25519");
        assert_eq!(Trust::load(Some(&one.certificate)).unwrap().0.len(), 1);
        let refused = |file: &Path| Trust::load(Some(file)).unwrap_err();
        assert_eq!(refused(&one.key), TlsError::NoCertificate(one.key.clone()));
        assert!(matches!(refused(&folder.join("none.pem")), TlsError::Unreadable(..)));
        let broken = folder.join("broken.pem");
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&broken, text).unwrap();
        assert!(matches!(refused(&broken), TlsError::Unusable(file, _) if file == broken));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
        let folder = folder("renewed");
        let files = certificate(&folder, "a", "ed25519");
        let shown = |certificate: &Certificate| {
            certificate.current.read().unwrap().cert.first().unwrap().to_vec()
        };
        let certificate_shown = Certificate::load(&files).unwrap();
        let before = shown(&certificate_shown);
        certificate(&folder, "a", "ed25519");
        certificate_shown.reload().unwrap();
        let renewed = shown(&certificate_shown);
        assert_ne!(before, renewed);
        std::fs::write(&files.key, "").unwrap();
        assert_eq!(certificate_shown.reload(), Err(TlsError::NoKey(files.key.clone())));
        assert_eq!(shown(&certificate_shown), renewed);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
