//! Why a call ends, as SIP says it: the Reason header (RFC 3326) with Q.850 causes.

use super::address::NameAddr;
use super::message::{Headers, Response};
use crate::control::Cause;

/// Value of our Reason header.
pub(super) fn reason(cause: Cause) -> String {
    format!("Q.850;cause={};text=\"{}\"", cause.code(), cause.text())
}

/// The Q.850 cause that a message names, if it is one that we tell apart.
pub(super) fn cause_of(headers: &Headers) -> Option<Cause> {
    headers.list("Reason").find_map(|value| {
        // `protocol;parameters` reads like a bare URI with header parameters.
        let value = NameAddr::parse(value)?;
        let code: u8 = match value.uri.trim() {
            q850 if q850.eq_ignore_ascii_case("Q.850") => value.param("cause")?.parse().ok()?,
            _ => return None,
        };
        Cause::ALL.into_iter().find(|cause| cause.code() == code)
    })
}

/// What a final response to our INVITE means: its Reason, else its status.
pub(super) fn cause_of_refusal(response: &Response) -> Cause {
    cause_of(&response.headers).unwrap_or(Cause::of_sip_status(response.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> Headers {
        let mut headers = Headers::default();
        for value in values {
            headers.push("Reason", *value);
        }
        headers
    }

    #[test]
    fn what_is_written_reads_back() {
        for cause in Cause::ALL {
            assert_eq!(cause_of(&headers(&[&reason(cause)])), Some(cause));
        }
    }

    #[test]
    fn other_protocols_and_causes_are_passed_over() {
        let both = ["SIP;cause=200;text=\"elsewhere\", q.850 ; cause=17"];
        assert_eq!(cause_of(&headers(&both)), Some(Cause::UserBusy));
        for none in ["SIP;cause=17", "Q.850;cause=300", "Q.850;cause=99", "Q.850", ""] {
            assert_eq!(cause_of(&headers(&[none])), None, "{none}");
        }
        let refusal = |status| Response { status, headers: headers(&[]), body: vec![] };
        assert_eq!(cause_of_refusal(&refusal(486)), Cause::UserBusy);
        let mut busy = refusal(480);
        busy.headers = headers(&["Q.850;cause=19"]);
        assert_eq!(cause_of_refusal(&busy), Cause::NoAnswer);
    }
}
