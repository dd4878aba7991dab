//! Who is asking: tokens, their scopes and lines, and the one-time tickets of browsers.

use crate::view::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

/// What a token may do. Each scope stands alone: `control` does not include `read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See lines, calls, events.
    Read,
    /// Ring, play, dial, hang up.
    Control,
    /// Hear and speak.
    Audio,
    /// Diagnostics of the whole system, simulated faults, reset.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Control, Self::Audio, Self::Admin];

    /// The name in tokens, requests and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Control => "control",
            Self::Audio => "audio",
            Self::Admin => "admin",
        }
    }

    /// The scope of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All scopes.
    pub const ALL: Self = Self(0b1111);
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether `scope` is in the set.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// The set and `scope`.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | 1 << scope as u8)
    }

    /// What both sets have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes in the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::NONE, Self::with)
    }
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name of the token, for logs and diagnostics; never the token.
    pub name: String,
    /// What the caller may do.
    pub scopes: Scopes,
    /// The only lines the caller may see; `None` is all.
    pub lines: Option<Vec<String>>,
}

impl Caller {
    /// Somebody who may do everything: requests from loopback while no token is configured, and
    /// Tipring itself.
    pub fn everything(name: &str) -> Self {
        Self { name: name.to_owned(), scopes: Scopes::ALL, lines: None }
    }

    /// Whether the caller has `scope`.
    pub const fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// Whether the caller may know of `line`.
    pub fn sees(&self, line: &str) -> bool {
        self.lines.as_ref().is_none_or(|lines| lines.iter().any(|l| l == line))
    }
}

/// Why tokens could not be read or written.
#[derive(Debug)]
pub enum TokenError {
    /// The file could not be read or written.
    Io(std::io::Error),
    /// The file is not what `token create` writes; with line and reason.
    Malformed(String),
    /// There is a token of that name already.
    NameTaken,
}

impl std::fmt::Display for TokenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Malformed(reason) => f.write_str(reason),
            Self::NameTaken => f.write_str("there is a token of this name already"),
        }
    }
}

impl std::error::Error for TokenError {}

/// A ticket: good once, for 30 s.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// To be given as `?ticket=`.
    pub ticket: String,
    /// When it ceases to be good.
    pub expires_at: Timestamp,
}

/// A token without the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    /// SHA-256 in hex. The token has 256 random bits: no slow hash is needed against guessing.
    sha256: String,
    scopes: Vec<Scope>,
    lines: Option<Vec<String>>,
    created_at: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    tokens: Vec<Stored>,
}

impl TokenFile {
    fn read(path: &Path) -> Result<Self, TokenError> {
        match std::fs::read(path) {
            Ok(octets) => serde_json::from_slice(&octets)
                .map_err(|e| TokenError::Malformed(format!("{}: {e}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(TokenError::Io(error)),
        }
    }
}

/// How long a ticket is good.
const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Tickets at once; the oldest gives way.
const TICKETS: usize = 4096;
/// The token file is looked at again no sooner than that.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// All tokens of an installation, by hash, and the tickets not yet redeemed. A token that is made
/// while apid runs is good within a second.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    file: Mutex<Loaded>,
    tickets: Mutex<VecDeque<(String, Caller, Instant)>>,
}

#[derive(Debug)]
struct Loaded {
    file: TokenFile,
    modified: Option<SystemTime>,
    looked_at: Instant,
}

impl Tokens {
    /// Reads the token file; a file that does not exist is no tokens.
    ///
    /// # Errors
    /// [`TokenError::Io`], [`TokenError::Malformed`].
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let loaded = Loaded {
            modified: modified(path),
            file: TokenFile::read(path)?,
            looked_at: Instant::now(),
        };
        Ok(Self { path: path.to_owned(), file: Mutex::new(loaded), tickets: Mutex::default() })
    }

    /// No token at all, and none will come.
    pub fn none() -> Self {
        let loaded =
            Loaded { file: TokenFile::default(), modified: None, looked_at: Instant::now() };
        Self { path: PathBuf::new(), file: Mutex::new(loaded), tickets: Mutex::default() }
    }

    /// Whether there is no token: everything on loopback is open then.
    pub fn is_empty(&self) -> bool {
        self.loaded().file.tokens.is_empty()
    }

    /// Whom `token` belongs to. Compares in constant time.
    pub fn check(&self, token: &str) -> Option<Caller> {
        let hash = sha256_hex(token.as_bytes());
        let loaded = self.loaded();
        let mut found = None;
        for stored in &loaded.file.tokens {
            if bool::from(stored.sha256.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some(stored);
            }
        }
        found.map(|stored| Caller {
            name: stored.name.clone(),
            scopes: stored.scopes.iter().copied().collect(),
            lines: stored.lines.clone(),
        })
    }

    /// A ticket for whoever `caller` is, with at most `scopes` of the caller's and, where
    /// `lines` is given, at most those lines.
    pub fn issue_ticket(
        &self,
        caller: &Caller,
        scopes: Scopes,
        lines: Option<Vec<String>>,
    ) -> Ticket {
        let ticket = random_text("tkt_");
        let lines = match lines {
            Some(wanted) => Some(wanted.into_iter().filter(|line| caller.sees(line)).collect()),
            None => caller.lines.clone(),
        };
        let bearer = Caller { name: caller.name.clone(), scopes: caller.scopes.and(scopes), lines };
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= TICKETS {
            tickets.pop_front();
        }
        let expires = Instant::now() + TICKET_LIFE;
        tickets.push_back((sha256_hex(ticket.as_bytes()), bearer, expires));
        Ticket { ticket, expires_at: Timestamp(SystemTime::now() + TICKET_LIFE) }
    }

    /// Takes a ticket: whom it was issued to, if it is good. It is not good a second time.
    pub fn redeem_ticket(&self, ticket: &str) -> Option<Caller> {
        self.redeem_at(ticket, Instant::now())
    }

    fn redeem_at(&self, ticket: &str, now: Instant) -> Option<Caller> {
        let hash = sha256_hex(ticket.as_bytes());
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|(_, _, expires)| *expires > now);
        let index = tickets.iter().position(|(other, _, _)| *other == hash)?;
        tickets.remove(index).map(|(_, caller, _)| caller)
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        let mut loaded = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.path.as_os_str().is_empty() && loaded.looked_at.elapsed() >= LOOK_AGAIN {
            loaded.looked_at = Instant::now();
            let modified = modified(&self.path);
            if modified != loaded.modified {
                // A file that cannot be read leaves what was read before.
                if let Ok(file) = TokenFile::read(&self.path) {
                    loaded.file = file;
                    loaded.modified = modified;
                }
            }
        }
        loaded
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

fn sha256_hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(octets).iter().fold(String::with_capacity(64), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}

/// `prefix` and 256 random bits in hex.
fn random_text(prefix: &str) -> String {
    use std::fmt::Write;
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the kernel has randomness once it has booted");
    random.iter().fold(prefix.to_owned(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Writes a file that only we may read, whole or not at all.
///
/// # Errors
/// Of the file system.
pub fn write_private(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(octets)?;
    file.flush()?;
    std::fs::rename(&new, path)
}

/// Makes a token, appends its hash to the file at `path` (mode 0600) and gives the token back:
/// nobody will see it again.
///
/// # Errors
/// As [`Tokens::load`], and [`TokenError::NameTaken`].
pub fn create_token(
    path: &Path,
    name: &str,
    scopes: Scopes,
    lines: Option<Vec<String>>,
) -> Result<String, TokenError> {
    let mut file = TokenFile::read(path)?;
    if file.tokens.iter().any(|stored| stored.name == name) {
        return Err(TokenError::NameTaken);
    }
    let token = random_text("tpr_");
    file.tokens.push(Stored {
        name: name.to_owned(),
        sha256: sha256_hex(token.as_bytes()),
        scopes: scopes.iter().collect(),
        lines,
        created_at: Timestamp::now(),
    });
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(TokenError::Io)?;
    }
    let text =
        serde_json::to_vec_pretty(&file).map_err(|e| TokenError::Malformed(e.to_string()))?;
    write_private(path, &text).map_err(TokenError::Io)?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tipring-auth-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn a_token_is_printed_once_and_known_by_its_hash() {
        let path = file("once.json");
        let scopes = Scopes::NONE.with(Scope::Read).with(Scope::Audio);
        let token = create_token(&path, "app", scopes, Some(vec!["1".to_owned()])).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&token));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let tokens = Tokens::load(&path).unwrap();
        let caller = tokens.check(&token).unwrap();
        assert_eq!(caller.name, "app");
        assert!(caller.may(Scope::Read) && caller.may(Scope::Audio) && !caller.may(Scope::Control));
        assert!(caller.sees("1") && !caller.sees("2"));
        assert_eq!(tokens.check("tpr_wrong"), None);
        assert!(matches!(create_token(&path, "app", scopes, None), Err(TokenError::NameTaken)));
    }

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let tokens = Tokens::none();
        assert!(tokens.is_empty());
        let caller = Caller {
            name: "app".to_owned(),
            scopes: Scopes::NONE.with(Scope::Read).with(Scope::Control),
            lines: Some(vec!["1".to_owned()]),
        };
        let wanted = Scopes::NONE.with(Scope::Read).with(Scope::Audio);
        let lines = Some(vec!["1".to_owned(), "2".to_owned()]);
        let ticket = tokens.issue_ticket(&caller, wanted, lines);
        let bearer = tokens.redeem_ticket(&ticket.ticket).unwrap();
        assert_eq!(bearer.scopes, Scopes::NONE.with(Scope::Read));
        assert_eq!(bearer.lines, Some(vec!["1".to_owned()]));
        assert_eq!(tokens.redeem_ticket(&ticket.ticket), None);
        let stale = tokens.issue_ticket(&caller, wanted, None);
        let later = Instant::now() + TICKET_LIFE;
        assert_eq!(tokens.redeem_at(&stale.ticket, later), None);
    }

    #[test]
    fn a_malformed_file_is_refused_with_its_place() {
        let path = file("malformed.json");
        std::fs::write(&path, "{\"tokens\":[{}]}").unwrap();
        let error = Tokens::load(&path).unwrap_err().to_string();
        assert!(error.contains("malformed.json") && error.contains("line 1"), "{error}");
    }
}
