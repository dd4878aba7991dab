//! When a line was written.

use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `at` in UTC, as RFC 3339 has it.
pub fn timestamp(at: SystemTime) -> String {
    // Years beyond 9999 have no form there.
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_utc() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_273_199_250);
        assert_eq!(timestamp(at), "2026-11-21T14:59:59.25Z");
    }
}
