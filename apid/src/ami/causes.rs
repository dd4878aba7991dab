//! Causes of ITU-T Q.850 in the words that programs for Asterisk look for.

/// `Cause-txt`.
pub(super) const fn text(code: u8) -> &'static str {
    match code {
        1 => "Unallocated (unassigned) number",
        16 => "Normal Clearing",
        17 => "User busy",
        18 => "No user responding",
        19 => "User alerting, no answer",
        20 => "Subscriber absent",
        21 => "Call Rejected",
        27 => "Destination out of order",
        28 => "Invalid number format",
        38 => "Network out of order",
        41 => "Temporary failure",
        65 => "Bearer capability not implemented",
        102 => "Recover on timer expiry",
        _ => "Unknown",
    }
}
