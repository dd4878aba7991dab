//! Which events a session is told: patterns over an event's text, as `eventfilter` of Asterisk.

/// Longest pattern, octets.
const MAX_PATTERN: usize = 256;
/// Patterns of a session.
const MAX_PATTERNS: usize = 64;

/// Why a pattern is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// Empty, or longer than 256 octets.
    Length,
    /// More than 64.
    TooMany,
    /// More than text and `.*`.
    Syntax,
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Length => "a filter has 1 to 256 octets",
            Self::TooMany => "there are 64 filters at most",
            Self::Syntax => {
                "a filter is text and `.*`, as `Event: Newchannel` or `!Channel: SIP/201.*`"
            }
        })
    }
}

/// Patterns: an event is told if one of those without `!` occurs in it (or there is none of them),
/// and none of those with `!`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    wanted: Vec<Vec<String>>,
    unwanted: Vec<Vec<String>>,
}

impl Filter {
    /// One more pattern.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn add(&mut self, pattern: &str) -> Result<(), FilterError> {
        let (list, text) = match pattern.strip_prefix('!') {
            Some(text) => (&mut self.unwanted, text),
            None => (&mut self.wanted, pattern),
        };
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err(FilterError::Length);
        }
        if list.len() >= MAX_PATTERNS {
            return Err(FilterError::TooMany);
        }
        let parts: Vec<String> = text.split(".*").map(str::to_owned).collect();
        let special =
            |part: &String| part.contains(['*', '[', ']', '(', ')', '|', '\\', '?', '^', '$', '+']);
        if parts.iter().any(special) {
            return Err(FilterError::Syntax);
        }
        list.push(parts);
        Ok(())
    }

    /// Whether an event of this text is told.
    pub fn wants(&self, text: &str) -> bool {
        let any = |patterns: &[Vec<String>]| {
            patterns.iter().any(|parts| text.lines().any(|line| occurs(parts, line)))
        };
        (self.wanted.is_empty() || any(&self.wanted)) && !any(&self.unwanted)
    }
}

/// The parts, one behind the other, anything between.
fn occurs(parts: &[String], line: &str) -> bool {
    let mut rest = line;
    parts.iter().all(|part| match rest.find(part.as_str()) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}
