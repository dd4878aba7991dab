//! Names that Twilio's clients expect of calls and accounts: two letters and 32 hexadecimal digits.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The CallSid of a call's id.
pub fn of_call(call_id: &str) -> String {
    format!("CA{call_id:0>32}")
}

/// The id of the call with that CallSid.
pub fn call_of(sid: &str) -> Option<&str> {
    let id = sid.strip_prefix("CA").filter(|id| id.len() == 32)?.trim_start_matches('0');
    (!id.is_empty()).then_some(id)
}

/// The AccountSid of a token's name. No secret: it names the token, and does not prove it.
pub fn of_account(token_name: &str) -> String {
    let mut sid = "AC".to_owned();
    for octet in &Sha256::digest(token_name.as_bytes())[..16] {
        // Writing to a string cannot fail.
        let _ = write!(sid, "{octet:02x}");
    }
    sid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_by_its_sid() {
        let sid = of_call("5f00ab");
        assert_eq!((sid.len(), call_of(&sid)), (34, Some("5f00ab")));
        for wrong in ["", "CA", "CA1", "AC00000000000000000000000000005f0a", &"CA0".repeat(11)] {
            assert_eq!(call_of(wrong), None, "{wrong}");
        }
        assert_eq!(of_account("x").len(), 34);
        assert_ne!(of_account("x"), of_account("y"));
    }
}
