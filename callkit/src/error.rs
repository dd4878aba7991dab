//! Why something cannot be done.

/// What a handler ends with; `?` takes every error.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Why something cannot be done.
#[derive(Debug)]
pub enum Error {
    /// No Tipring answers there; the reason.
    Unreachable(String),
    /// Tipring refuses: HTTP status and reason.
    Refused {
        /// HTTP status.
        status: u16,
        /// For people.
        detail: String,
    },
    /// The call is over, or in other hands.
    Over,
    /// The address is none, or what came back was not understood; what about it.
    Malformed(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(f, "Tipring cannot be reached: {reason}"),
            Self::Refused { status, detail } => write!(f, "{status} {detail}"),
            Self::Over => f.write_str("the call is over"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What an HTTP answer that is no success says.
    pub(crate) fn refused(status: u16, body: &[u8]) -> Self {
        let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let detail = problem["detail"].as_str().map_or_else(
            || String::from_utf8_lossy(body).trim().chars().take(300).collect(),
            str::to_owned,
        );
        Self::Refused { status, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let problem = Error::refused(409, br#"{"type":"x","detail":"the line is busy"}"#);
        assert_eq!(problem.to_string(), "409 the line is busy");
        assert_eq!(Error::refused(502, b" bad gateway\n").to_string(), "502 bad gateway");
    }
}
